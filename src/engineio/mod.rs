//! Engine.IO v4 as text: packets, polling payloads and the OPEN packet's JSON.
//!
//! Decoding: one packet's text enters, or the body of a polling POST; [`Packet`]s leave that borrow
//! from it. Encoding: the bytes of the server's packets leave. A binary WebSocket frame is not
//! packet text and is not decoded here.
//!
//! Pure code: it knows no session, no transport and no clock, and it does not read messages.

use std::error::Error;
use std::fmt;

mod open;
mod packet;
mod payload;

pub(crate) use self::open::Open;
pub(crate) use self::packet::Packet;
pub(crate) use self::payload::{SEPARATOR, push_binary, split_packet};

/// The reason for refusing a packet's text. The reference closes the session with "parse error" for
/// each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DecodeError {
    /// A packet without a type.
    Empty,
    /// A first character that is neither a type digit nor `b`.
    UnknownType(char),
    /// The text after the `b` of a binary packet is not base64.
    InvalidBase64(base64::DecodeError),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use base64::DecodeError as Cause;

        match self {
            Self::Empty => f.write_str("empty packet"),
            Self::UnknownType(found) => write!(f, "unknown packet type {found:?}"),
            Self::InvalidBase64(Cause::InvalidByte(offset, byte)) => {
                write!(f, "invalid base64: byte {byte:#04x} at offset {offset}")
            }
            Self::InvalidBase64(Cause::InvalidLastSymbol(offset, byte)) => {
                write!(
                    f,
                    "invalid base64: last byte {byte:#04x} at offset {offset}"
                )
            }
            Self::InvalidBase64(Cause::InvalidLength(length)) => {
                write!(f, "invalid base64: {length} characters")
            }
            Self::InvalidBase64(Cause::InvalidPadding) => f.write_str("invalid base64: padding"),
        }
    }
}

impl Error for DecodeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::InvalidBase64(cause) => Some(cause),
            Self::Empty | Self::UnknownType(_) => None,
        }
    }
}

/// The packet that ends a session.
pub(crate) const CLOSE: &str = "1";
/// The heartbeat's ping. Engine.IO v4, Heartbeat: the server sends the ping.
pub(crate) const PING: &str = "2";
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_offending_value() {
        let base64 = |cause| DecodeError::InvalidBase64(cause).to_string();
        assert_eq!(DecodeError::Empty.to_string(), "empty packet");
        assert_eq!(
            DecodeError::UnknownType('\n').to_string(),
            "unknown packet type '\\n'"
        );
        assert_eq!(
            base64(base64::DecodeError::InvalidByte(3, b'!')),
            "invalid base64: byte 0x21 at offset 3"
        );
        assert_eq!(
            base64(base64::DecodeError::InvalidLength(5)),
            "invalid base64: 5 characters"
        );
        assert!(
            DecodeError::InvalidBase64(base64::DecodeError::InvalidPadding)
                .source()
                .is_some()
        );
    }
}
