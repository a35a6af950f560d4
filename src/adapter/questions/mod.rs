//! The questions of this node to the others.

mod asking;
mod pending;

pub(crate) use asking::Questions;
pub(crate) use pending::Pending;
