//! The promises of the server, kept by clients over real sockets.
//!
//! A file is a chapter of a specification, a test is one of its rules. `support` starts servers on
//! ports of their own and speaks to them in bytes; nothing is mocked, and every wait has an end.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed where it stands"
)]

mod support;

mod arguments;
mod attachments;
mod background;
mod backpressure;
mod calls;
mod client_files;
#[cfg(feature = "redis")]
mod cluster;
#[cfg(feature = "redis")]
mod cluster_failures;
#[cfg(feature = "redis")]
mod cluster_formats;
#[cfg(feature = "redis")]
mod cluster_forwarding;
#[cfg(feature = "redis")]
mod cluster_outbox;
mod cluster_questions;
#[cfg(feature = "redis")]
mod cluster_recovery;
#[cfg(feature = "redis")]
mod cluster_stop;
mod contracts;
mod cors;
mod diagnostics;
mod direct;
mod direct_routes;
mod direct_stop;
#[cfg(feature = "rustls-0_23")]
mod direct_tls;
mod direct_wire;
mod direct_workers;
mod disconnect;
mod emitting;
mod engineio_handshake;
mod engineio_heartbeat;
mod engineio_polling;
mod engineio_sessions;
mod engineio_upgrade;
mod engineio_websocket;
mod errors;
mod extractors;
mod failure;
mod grace;
mod handlers;
mod handshake;
mod http_compression;
mod http_edge;
mod http_hooks;
#[cfg(feature = "session")]
mod http_sessions;
mod layers;
mod limits;
mod logging;
mod middleware;
mod migrating;
mod modifiers;
mod namespaces;
mod outbox;
mod prose;
mod recovery;
mod reports;
mod rooms;
mod sessions;
mod shutdown;
mod socketio_binary;
mod socketio_connect;
mod socketio_events;
mod socketio_malformed;
#[cfg(feature = "testing")]
mod testing;
mod tutorial;
#[cfg(unix)]
mod unix_socket;
mod unread;
