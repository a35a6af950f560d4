//! The WebSocket framing of RFC 6455, server side, and nothing else of it: the opening handshake
//! is HTTP's business.
//!
//! Bytes from a client enter [`Decoder`] in whatever pieces the network made of them, and whole
//! messages leave it, their payload in a buffer the caller keeps. Payloads to send leave through
//! [`write_header`], [`frame`] and [`close_frame`].
//!
//! The folder is pure: it must not know a runtime, a clock, a socket or any other module of the
//! crate. Answering a ping, echoing a close and dropping the peer are decisions of its caller.

mod decoder;
mod encode;
mod error;
mod header;
mod mask;

use std::fmt;

pub(crate) use decoder::{Decoder, Kind};
pub(crate) use encode::{MAX_HEADER, close_frame, frame, write_header};
pub(crate) use error::DecodeError;

/// What one decoded message is; its payload lies in the caller's scratch buffer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message<'s> {
    Text(&'s str),
    /// The caller may take the `Vec` and leave an empty one.
    Binary(&'s mut Vec<u8>),
    /// Carries what the pong has to repeat, at most 125 bytes.
    Ping(&'s [u8]),
    Pong,
    /// A frame of a message of which more is to come: it counts as work, and carries nothing.
    Fragment,
    /// Carries the status code, if the client gave one; its reason is checked and dropped.
    Close(Option<u16>),
}

/// RFC 6455 §5.2: the opcodes that have a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continuation = 0x0,
    Text = 0x1,
    Binary = 0x2,
    Close = 0x8,
    Ping = 0x9,
    Pong = 0xA,
}

impl Opcode {
    /// RFC 6455 §5.5: control frames are those whose opcode has its highest bit set.
    const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

impl fmt::Display for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Continuation => "continuation",
            Self::Text => "text",
            Self::Binary => "binary",
            Self::Close => "close",
            Self::Ping => "ping",
            Self::Pong => "pong",
        })
    }
}

/// The bit of a frame's first byte that marks the last frame of a message.
const FIN: u8 = 0x80;
/// RFC 6455 §5.5: the most payload a control frame may have.
const MAX_CONTROL_PAYLOAD: usize = 125;
/// The short lengths that announce a length of 16 and of 64 bits.
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;
