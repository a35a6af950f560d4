//! The messages of other nodes, up to their delivery to this node's sockets.

mod delivery;
mod load;
mod seen;

pub(crate) use delivery::Delivery;
