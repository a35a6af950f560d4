//! A WebSocket whose connection is ours: taken over from the HTTP server once the App has answered.
//!
//! ```text
//! upgrade request ──▶ service ──▶ the program's App ──▶ 101 ──▶ takeover ──▶ connection
//!                        └──────────── any other answer ──────▶ relay        └ flusher
//! ```
//! What a client sends is read into a buffer that all connections of a worker share; only a cut
//! frame is kept. What it gets is written from the shared frames of its outbox, by one flusher on
//! each worker: filling an outbox wakes no task of the connection's own.

mod connection;
mod flusher;
mod relay;
mod service;
mod takeover;

pub(crate) use connection::hold;
pub(crate) use service::{AppService, SharedApp, Upgrades};
pub(crate) use takeover::{ConnectionTakeover, Io};
