//! The questions of this node to the others.

mod asking;
mod pending;
mod tracker;

pub(crate) use asking::Questions;
pub(crate) use pending::Pending;
