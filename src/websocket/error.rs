//! The reasons for refusing bytes from a client as WebSocket messages.
//!
//! Each variant is caused by the peer and makes all later framing invalid. The caller closes the
//! transport with [`DecodeError::close_code`]. Errors of the network and of the caller are of other
//! types.

use std::{error::Error, fmt};

use crate::websocket::Opcode;

/// A violation of RFC 6455 by the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DecodeError {
    /// Bits of extensions are set, although no extension was negotiated that allows them here. The value holds them at their
    /// position in the byte.
    ReservedBits(u8),
    /// The opcode has no meaning.
    ReservedOpcode(u8),
    /// The frame is not masked.
    Unmasked,
    /// A control frame is not final.
    FragmentedControl(Opcode),
    /// A control frame declares more than 125 bytes.
    LongControl(Opcode),
    /// A length is not encoded in its shortest form.
    NonMinimalLength(u64),
    /// A 64 bit length has its highest bit set.
    NegativeLength(u64),
    /// A continuation has no started message.
    StrayContinuation,
    /// A data frame starts a message while a fragmented one is incomplete.
    InterruptedMessage(Opcode),
    /// The message would exceed the limit; `declared` includes its earlier fragments.
    MessageTooBig { declared: u64, limit: usize },
    /// A compressed message would be larger than the limit when it is decompressed.
    InflatedTooBig { limit: usize },
    /// A compressed message is no DEFLATE.
    InvalidDeflate,
    /// A text message is not UTF-8 from this byte on.
    InvalidText(usize),
    /// A close frame has one byte of payload, half a status code.
    HalfCloseCode,
    /// A close frame's status code must not be sent, or is undefined.
    InvalidCloseCode(u16),
    /// A close frame's reason is not UTF-8 from this byte on.
    InvalidCloseReason(usize),
}

impl DecodeError {
    /// Returns the status code for closing, RFC 6455 §7.4.1.
    pub(crate) fn close_code(&self) -> u16 {
        match self {
            Self::ReservedBits(_)
            | Self::ReservedOpcode(_)
            | Self::Unmasked
            | Self::FragmentedControl(_)
            | Self::LongControl(_)
            | Self::NonMinimalLength(_)
            | Self::NegativeLength(_)
            | Self::StrayContinuation
            | Self::InterruptedMessage(_)
            | Self::HalfCloseCode
            | Self::InvalidCloseCode(_) => 1002,
            Self::InvalidText(_) | Self::InvalidCloseReason(_) | Self::InvalidDeflate => 1007,
            Self::MessageTooBig { .. } | Self::InflatedTooBig { .. } => 1009,
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReservedBits(bits) => write!(f, "reserved bits {bits:#04x} are set"),
            Self::ReservedOpcode(opcode) => write!(f, "opcode {opcode:#x} is reserved"),
            Self::Unmasked => f.write_str("client frame is not masked"),
            Self::FragmentedControl(opcode) => write!(f, "{opcode} frame is fragmented"),
            Self::LongControl(opcode) => write!(f, "{opcode} frame declares more than 125 bytes"),
            Self::NonMinimalLength(length) => {
                write!(f, "frame length {length} is not in its shortest form")
            }
            Self::NegativeLength(length) => {
                write!(f, "frame length {length:#x} has its highest bit set")
            }
            Self::StrayContinuation => f.write_str("continuation frame continues no message"),
            Self::InterruptedMessage(opcode) => {
                write!(f, "{opcode} frame starts within a fragmented message")
            }
            Self::MessageTooBig { declared, limit } => {
                write!(
                    f,
                    "message of {declared} bytes exceeds the limit of {limit} bytes"
                )
            }
            Self::InflatedTooBig { limit } => {
                write!(
                    f,
                    "compressed message inflates to more than the limit of {limit} bytes"
                )
            }
            Self::InvalidDeflate => f.write_str("compressed message is not in the deflate format"),
            Self::InvalidText(at) => write!(f, "text message is not utf-8 from byte {at} on"),
            Self::HalfCloseCode => f.write_str("close frame has a payload of 1 byte"),
            Self::InvalidCloseCode(code) => write!(f, "close code {code} must not be sent"),
            Self::InvalidCloseReason(at) => {
                write!(f, "close reason is not utf-8 from byte {at} on")
            }
        }
    }
}

impl Error for DecodeError {}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: [(DecodeError, u16, &str); 16] = [
        (
            DecodeError::ReservedBits(0x40),
            1002,
            "reserved bits 0x40 are set",
        ),
        (
            DecodeError::ReservedOpcode(0xB),
            1002,
            "opcode 0xb is reserved",
        ),
        (DecodeError::Unmasked, 1002, "client frame is not masked"),
        (
            DecodeError::FragmentedControl(Opcode::Ping),
            1002,
            "ping frame is fragmented",
        ),
        (
            DecodeError::LongControl(Opcode::Close),
            1002,
            "close frame declares more than 125 bytes",
        ),
        (
            DecodeError::NonMinimalLength(125),
            1002,
            "frame length 125 is not in its shortest form",
        ),
        (
            DecodeError::NegativeLength(1 << 63),
            1002,
            "frame length 0x8000000000000000 has its highest bit set",
        ),
        (
            DecodeError::StrayContinuation,
            1002,
            "continuation frame continues no message",
        ),
        (
            DecodeError::InterruptedMessage(Opcode::Text),
            1002,
            "text frame starts within a fragmented message",
        ),
        (
            DecodeError::MessageTooBig {
                declared: 11,
                limit: 10,
            },
            1009,
            "message of 11 bytes exceeds the limit of 10 bytes",
        ),
        (
            DecodeError::InflatedTooBig { limit: 10 },
            1009,
            "compressed message inflates to more than the limit of 10 bytes",
        ),
        (
            DecodeError::InvalidDeflate,
            1007,
            "compressed message is not in the deflate format",
        ),
        (
            DecodeError::InvalidText(3),
            1007,
            "text message is not utf-8 from byte 3 on",
        ),
        (
            DecodeError::HalfCloseCode,
            1002,
            "close frame has a payload of 1 byte",
        ),
        (
            DecodeError::InvalidCloseCode(1005),
            1002,
            "close code 1005 must not be sent",
        ),
        (
            DecodeError::InvalidCloseReason(0),
            1007,
            "close reason is not utf-8 from byte 0 on",
        ),
    ];

    /// RFC 6455 §7.4.1.
    #[test]
    fn every_cause_has_its_close_code_and_text() {
        for (error, code, text) in TABLE {
            assert_eq!(error.close_code(), code, "{error:?}");
            assert_eq!(error.to_string(), text);
        }
    }
}
