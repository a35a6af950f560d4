//! The WebSocket framing of RFC 6455, server side, with the compression of RFC 7692. The opening handshake belongs to HTTP and is not
//! part of it.
//!
//! Bytes from a client enter [`Decoder`] in the pieces that the network delivers. Whole messages
//! leave it, and the caller owns the buffers of their payload. Payloads to send leave through
//! [`write_header`], [`frame`] and [`close_frame`].
//!
//! The folder is pure: it depends on no runtime, clock or socket, and no other module of the crate.
//! Its caller answers a ping, echoes a close frame and closes the connection.

mod assembly;
mod decoder;
mod deflate;
mod encode;
mod error;
mod header;
mod kind;
mod mask;
mod scratch;

use std::fmt;

pub(crate) use decoder::Decoder;
#[cfg(test)]
pub(crate) use deflate::compressions;
pub(crate) use deflate::{
    Compression, Compressor, DeflateParameters, DeflateWindow, LEAST_BITS, WINDOW_BITS, compressed,
};
pub(crate) use encode::{MAX_HEADER, close_frame, frame, write_header};
pub(crate) use error::DecodeError;
pub(crate) use kind::Kind;
pub(crate) use scratch::Scratch;

/// One decoded message; its payload is in the caller's [`Scratch`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message<'s> {
    Text(&'s str),
    /// The caller may take the `Vec` and leave an empty one.
    Binary(&'s mut Vec<u8>),
    /// Carries the payload of the pong, at most 125 bytes.
    Ping(&'s [u8]),
    Pong,
    /// A frame that is not the last of its message: it counts as work, and carries no data.
    Fragment,
    /// Carries the status code, if the client sent one; its reason is checked and dropped.
    Close(Option<u16>),
}

/// RFC 6455 §5.2: the defined opcodes.
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
    /// RFC 6455 §5.5: an opcode whose highest bit is set is a control frame.
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
/// RFC 7692 §6: the bit of the first byte of a compressed message.
const RSV1: u8 = 0x40;
/// RFC 6455 §5.5: the maximal payload of a control frame.
const MAX_CONTROL_PAYLOAD: usize = 125;
/// The short lengths that announce a length of 16 and of 64 bits.
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;
