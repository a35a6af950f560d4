//! The other nodes of a namespace, as the broker lists them.
//!
//! The number of nodes is the number of subscribers of the common channel; their names are those of
//! the channels of single nodes. A broker removes a node with its connection, so a node that has
//! crashed is detected at once.

mod peers;
mod recent;

pub(crate) use peers::Roster;
pub(crate) use recent::RecentNodes;
