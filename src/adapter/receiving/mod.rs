//! The messages of other nodes, until this one's sockets have them.

mod delivery;
mod load;
mod positions;
mod seen;

pub(crate) use delivery::Delivery;
pub(crate) use positions::{Position, Positions};
