//! Engine.IO v4 as text: packets, polling payloads and the OPEN packet's JSON; in `v3/` the
//! differences of the third revision; in `stream.rs` the framing of WebTransport, as bytes.
//!
//! Decoding: one packet's text enters, or the body of a polling POST; [`Packet`]s leave that borrow
//! from it. Encoding: the bytes of the server's packets leave. A binary WebSocket frame is not
//! packet text and is not decoded here.
//!
//! Pure code: it depends on no session, no transport and no clock, and it does not read messages.

mod error;
mod message;
mod open;
mod packet;
mod payload;
#[cfg(feature = "webtransport")]
mod stream;
pub(crate) mod v3;

pub(crate) use self::error::DecodeError;
pub use self::message::EngineMessage;
pub(crate) use self::open::Open;
pub(crate) use self::packet::{Packet, decode_base64};
pub(crate) use self::payload::{SEPARATOR, push_binary, split_packet};
#[cfg(feature = "webtransport")]
pub(crate) use self::stream::{
    EMPTY_BINARY, StreamDecoder, StreamError, StreamMessage, push_header,
};

/// The packet that ends a session.
pub(crate) const CLOSE: &str = "1";
/// The heartbeat's ping. Engine.IO v4, Heartbeat: the server sends the ping.
pub(crate) const PING: &str = "2";
/// The answer to a client's ping. Engine.IO v3, Ping: the client sends the ping.
pub(crate) const PONG: &str = "3";
/// The first byte of a MESSAGE packet's text; the message follows.
pub(crate) const MESSAGE: u8 = b'4';
/// The client's last packet of an upgrade.
pub(crate) const UPGRADE: &str = "5";
/// Ends a pending poll without data, so that an upgrade can proceed.
pub(crate) const NOOP: &str = "6";
/// The first packet on a transport to which a session upgrades.
pub(crate) const PROBE: &str = "2probe";
/// The server's response to [`PROBE`].
pub(crate) const PROBE_ANSWER: &str = "3probe";
