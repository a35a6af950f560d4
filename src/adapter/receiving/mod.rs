//! The messages of other nodes, until this one's sockets have them.

mod delivery;
mod load;
mod seen;

pub(crate) use delivery::Delivery;
