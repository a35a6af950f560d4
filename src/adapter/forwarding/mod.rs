//! Requests of polling that reached the wrong node.

mod forwards;
mod wire;

pub(crate) use forwards::PollForwarder;
