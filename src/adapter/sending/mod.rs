//! The messages of this node, until the broker has them.

mod outbound;
mod queue;
mod records;

pub(crate) use outbound::{OWN, Outbound};
pub(crate) use queue::{Batch, Queue, SEQUENCE};
#[cfg(test)]
pub(crate) use records::Records;
pub(crate) use records::{Record, RecordKey};
