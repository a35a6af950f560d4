//! Sessions: the Engine.IO side of clients, and where they are found.
//!
//! Handshakes, requests and messages enter from transports; what a client sends goes to the
//! [`Protocol`] above it, what it gets lies in its outbox. A session is an actor on the worker that
//! holds its transport. Nothing here knows HTTP or Socket.IO.

mod actor;
mod drive;
mod engine;
mod forwarding;
mod machine;
mod polling;
mod state;

pub(crate) use actor::{HandOver, Inbound, Lost, Probe, ProbeFailed, Protocol, Session};
pub(crate) use engine::{Engine, Handle};
#[allow(unused_imports, reason = "an adapter forwards, and there may be none")]
pub(crate) use forwarding::{Elsewhere, Forwarding, PolledFuture, ReleasedFuture, ThereFuture};
pub(crate) use polling::{CloseOnDrop, Poll, Polled, Unpolled};
