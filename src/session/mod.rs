//! Sessions: the Engine.IO side of clients, and their registry.
//!
//! Handshakes, requests and messages enter from transports. A client's packets go to the
//! [`Protocol`] above; the packets for a client are in its outbox. A session is an actor on the
//! worker of its transport. Nothing here depends on HTTP or Socket.IO.

mod actor;
mod drive;
mod engine;
mod forwarding;
mod handle;
mod host;
mod machine;
mod new_client;
mod poll;
mod post;
mod stage;
mod state;
#[allow(dead_code, reason = "only features read the sums")]
mod totals;

pub(crate) use actor::{HandOver, Probe, ProbeFailed};
pub(crate) use engine::Engine;
#[allow(unused_imports, reason = "an adapter forwards, and there may be none")]
pub(crate) use forwarding::{Forwarding, PolledFuture, ReleasedFuture, RemoteSession, ThereFuture};
pub(crate) use handle::{CloseOnDrop, Handle};
#[cfg(feature = "admin")]
pub(crate) use host::SessionWatcher;
pub(crate) use new_client::NewClient;
pub(crate) use poll::{PollError, PollRequest, PollResponse, PostBody, payload_of};
pub(crate) use stage::Stage;
#[allow(unused_imports, reason = "only features read the sums")]
pub(crate) use totals::Totals;
