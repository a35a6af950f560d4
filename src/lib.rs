//! A Socket.IO server for [Actix](https://actix.rs).

#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]
#![cfg_attr(docsrs, feature(doc_cfg))]

// Wiring, and the HTTP edge where bytes come in.
mod server;
mod transport;

// The actors: session, namespace, room, server.
mod actor;

// What user code plugs in, and what it holds.
mod handler;
mod socket;

// The way out: a session's outbox, and the words the actors speak.
mod link;
mod message;

// The wire: values only, no I/O, no clock.
mod engineio;
mod socketio;
mod websocket;

// Plain data for all.
mod config;
mod error;
mod id;
mod reason;

pub use bytes::Bytes;

pub use actor::{EngineMessage, EngineSession, Room, Server};
pub use config::{Cors, Overflow, Transport};
pub use error::{CallError, ConnectError, EmitError, HandlerError, Rejection, RoomError};
pub use handler::{
    Ack, Auth, CallContext, ConnectOutcome, Connecting, Data, Event, Extract, Handler, Incoming,
    Leaving, State,
};
pub use id::{InvalidSocketId, SocketId};
pub use message::{Call, CrashPlace, Crashed, Disconnect, Emit, ListMembers};
pub use reason::{CloseReason, DisconnectReason};
pub use server::{Builder, EngineIo, EngineIoBuilder, Namespace, SocketIo, StartError};
pub use socket::{Broadcast, Socket};
pub use socketio::{Args, ArgsError};
