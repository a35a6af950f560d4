//! The program's handles: one client ([`Socket`]), many ([`Broadcast`]), and those of other nodes.
//!
//! The calls of a program enter; packets leave through the namespace's data in `members/`, directly
//! into outboxes. No handler, no session and no transport is known here.

mod ack_stream;
mod broadcast;
mod call;
mod closed;
mod cluster_result;
mod data;
mod handle;
mod login;
mod remote;
mod users;

pub use ack_stream::AckStream;
#[cfg(feature = "cluster")]
pub(crate) use ack_stream::ask;
pub use broadcast::Broadcast;
pub(crate) use call::call;
pub use cluster_result::ClusterResult;
pub use handle::Socket;
pub use remote::RemoteSocket;
