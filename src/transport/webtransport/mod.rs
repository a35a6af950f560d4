//! WebTransport: sessions on a stream of HTTP/3.
//!
//! QUIC connections enter from UDP; each brings one session, which is that of any other client, with
//! the same outbox. Its request passes through the program's App like any other.
//!
//! ```text
//!             UDP ──▶ listener ──▶ a worker: connection ──▶ http3 ──▶ request ──▶ the program's App
//!                                     │                                  └── offer ◀── route
//!     session ◀── inbound ◀── stream ─┤◀── opening: first packet, new session or upgrade
//!      outbox ──▶ writer  ──▶ stream ─┘
//! ```
//! `listener.rs` has a thread of its own, which gives attempts to the workers. `http3.rs` has the part
//! of HTTP/3 that is needed. `request.rs` makes a request for the App, `offer.rs` lets the route of
//! the server accept it. `opening.rs` reads the first packet. `inbound.rs` and `writer.rs` move the
//! packets, in the framing of `engineio/stream.rs`; `connection.rs` drives all of it, and ends the
//! connection. The meaning of packets is not known here.

mod connection;
mod http3;
mod inbound;
mod listener;
mod offer;
mod opening;
mod request;
mod writer;

pub(crate) use connection::serve;
pub(crate) use listener::{ListenerOptions, ListenerStop, WebTransportListener};
pub(crate) use offer::SessionOffer;
