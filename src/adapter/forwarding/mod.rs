//! Polling requests at the wrong node: forwarded to the right one, and answered.

mod answering;
mod asking;
mod forwarder;
mod forwards;
mod wire;

pub(crate) use forwarder::PollForwarder;
