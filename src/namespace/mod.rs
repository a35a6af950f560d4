//! Namespaces: their registry, and the actors of a server.
//!
//! The program's messages enter, and leave as frames in the outboxes of the recipients. The
//! server's actor supervises namespaces, a namespace supervises its rooms. Nothing here knows
//! sessions.

mod actor;
#[cfg(test)]
pub(crate) mod fixture;
mod registry;
mod room;
mod server;

pub(crate) use actor::FindRoom;
pub(crate) use registry::{Choice, NamespaceCore, NoSeat, PatternCore, Registry, Seat};
pub use room::Room;
pub use server::Server;
