//! A WebSocket whose connection the server owns: the HTTP server releases it after the App's
//! response.
//!
//! ```text
//! upgrade request ──▶ service ──▶ the program's App ──▶ 101 ──▶ takeover ──▶ connection
//!                        └──────────── any other answer ──────▶ relay        └ flusher
//! ```
//! A client's bytes are read into a buffer that all connections of a worker share; only an
//! incomplete frame is kept. One flusher on each worker writes the shared frames of the outboxes: a
//! push to an outbox wakes no task of the connection.

mod connection;
mod counted;
mod flusher;
mod relay;
mod service;
mod takeover;

pub(crate) use connection::hold;
pub(crate) use counted::{websocket_ended, websockets_here};
pub(crate) use service::{AppService, SharedApp, Upgrades};
pub(crate) use takeover::{ConnectionTakeover, Io};
