//! Namespaces: their registry, and the actors of a server.
//!
//! The program's messages enter, and leave as frames in the outboxes of the recipients. The
//! server's actor supervises namespaces, a namespace supervises its rooms. Nothing here depends on
//! sessions.

mod actor;
mod cluster;
#[cfg(test)]
pub(crate) mod fixture;
mod registry;
mod room;
mod server;
mod state;
mod supervisor;

pub(crate) use actor::{FindRoom, NamespaceActor};
pub(crate) use cluster::Cluster;
#[cfg(feature = "cluster")]
pub(crate) use cluster::{ClosedFuture, ResumedFuture, SettledFuture};
pub(crate) use registry::{LeaseRefused, NamespaceLease, Registry};
pub use room::Room;
pub use server::Server;
pub(crate) use server::ServerAddress;
pub(crate) use state::{NamespaceMatcher, NamespaceState, PatternState};
