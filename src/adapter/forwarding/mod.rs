//! Polling requests at the wrong node.

mod forwards;
mod wire;

pub(crate) use forwards::PollForwarder;
