//! The HTTP edge: it turns a client's requests into a session's packets.
//!
//! Requests enter on any worker. Each is checked against the protocol and passed on to polling, to a
//! WebSocket or to an event stream, or answered with an error of the protocol. The meaning of packets is not known
//! here. WebTransport has a port of its own, whose requests take the same way.

mod admission;
mod app;
mod bodies;
mod client_files;
mod compression;
mod connection_error;
mod direct;
mod dispatch;
mod events;
mod extensions;
mod feed;
mod frames;
mod handshake;
mod held;
mod hooks;
mod jsonp;
mod opening;
mod origin;
mod polling;
mod refusal;
mod request;
mod routes;
mod tuning;
mod upgrade;
mod websocket;
#[cfg(feature = "webtransport")]
mod webtransport;

pub use app::AppFactory;
pub use connection_error::ConnectionError;
pub(crate) use direct::{AppService, Io, SharedApp, Upgrades, websocket_ended, websockets_here};
pub use events::ServerSentEvents;
pub(crate) use hooks::Hooks;
pub(crate) use routes::{mount, mount_once};
pub(crate) use tuning::set_user_timeout;
#[cfg(feature = "webtransport")]
pub(crate) use webtransport::{
    ListenerOptions, ListenerStop, WebTransportListener, serve as serve_webtransport,
};

/// Marks the request of a test client: it may poll, whatever transports the server allows.
#[cfg(feature = "testing")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct InMemory;
