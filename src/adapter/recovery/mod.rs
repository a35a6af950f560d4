//! Connection state recovery across nodes.

mod record;
mod replay;
mod restore;

pub(crate) use record::to_text;
pub(crate) use restore::{MOVED, Restorer, key};
