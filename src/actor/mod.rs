//! The actors: sessions, namespaces, rooms and the server, and how they are supervised.
//!
//! Life-cycle messages travel through mailboxes, frames never do. Messages enter from transports
//! and from the program; handlers are called here, on the worker that holds the session. Nothing
//! here knows HTTP.

mod client;
mod engine;
#[cfg(test)]
mod fixture;
mod forwarding;
mod namespace;
mod polling;
mod raw;
mod registry;
mod room;
mod server;
mod session;

pub(crate) use client::Client;
pub(crate) use engine::{Engine, Handle};
#[allow(
    unused_imports,
    reason = "the adapter forwards, by the crate's feature `redis`"
)]
pub(crate) use forwarding::{Elsewhere, Forwarding, PolledFuture, ReleasedFuture, ThereFuture};
pub(crate) use namespace::FindRoom;
pub(crate) use polling::{CloseOnDrop, Poll, Polled, Unpolled};
pub(crate) use raw::{Callbacks, Raw, Running};
pub use raw::{EngineMessage, EngineSession, ReadyState};
pub(crate) use registry::{Choice, NamespaceCore, PatternCore, Registry};
pub use room::Room;
pub use server::Server;
pub(crate) use session::{HandOver, Inbound, Lost, Probe, ProbeFailed, Protocol, Session};
