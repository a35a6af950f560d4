//! The promises of the server, kept by clients over real sockets.
//!
//! A file is a chapter of a specification, a test is one of its rules. `support` starts servers on
//! ports of their own and speaks to them in bytes; nothing is mocked, and every wait has an end.
//!
//! A test that is `#[on_both_servers]` is two: `http` runs it on an `HttpServer`, `direct` on a server
//! of `SocketIo::serve`. `#[tokio::test]` is for a test whose servers have one path only.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed where it stands"
)]

#[macro_use]
extern crate on_both_servers;

mod support;

#[cfg(feature = "admin")]
mod admin;
mod admission;
mod arguments;
mod attachments;
mod background;
mod backpressure;
mod calls;
mod client_files;
#[cfg(feature = "redis")]
mod cluster;
mod contracts;
mod cors;
mod diagnostics;
mod direct;
mod disconnect;
mod drain;
mod emitting;
mod engineio;
mod errors;
mod extractors;
mod failure;
mod first_packets;
mod grace;
mod handlers;
mod handshake;
mod http;
mod layers;
mod limit_hits;
mod limits;
mod links;
mod logging;
mod logins;
#[cfg(feature = "metrics")]
mod metrics;
mod metrics_dashboard;
mod middleware;
mod migrating;
mod modifiers;
mod namespaces;
mod outbox;
#[cfg(feature = "testing")]
mod parsers;
mod prose;
mod rates;
mod readiness;
mod reasons;
mod recovery;
mod reports;
mod returned_values;
mod room_actors;
mod rooms;
mod saved_rooms;
#[cfg(all(feature = "metrics", feature = "tracing"))]
mod secrets;
mod sessions;
mod shutdown;
mod socketio;
#[cfg(feature = "tracing")]
mod spans;
mod stats;
mod supervision;
#[cfg(feature = "testing")]
mod testing;
mod tutorial;
#[cfg(unix)]
mod unix_socket;
mod unread;
mod users;
#[cfg(feature = "webtransport")]
mod webtransport;
