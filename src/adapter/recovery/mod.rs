//! Connection state recovery across nodes.

mod keeper;
mod record;
mod replay;
mod restore;

pub(crate) use keeper::keep_writing;
pub(crate) use record::to_text;
pub(crate) use restore::{MOVED, Restorer, key};
