//! The error of decoding a packet.

use std::error::Error;
use std::fmt;

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
    /// A first byte of a binary packet of v3 that is not the type of a message.
    UnknownBinaryType(u8),
    /// A payload of v3 has no length before a packet.
    LengthMissing,
    /// The length of a packet of a v3 payload has a character that is no digit.
    LengthInvalid(char),
    /// The length of a packet of a binary v3 payload has a byte that is no digit's value.
    UnknownDigit(u8),
    /// A packet of a binary v3 payload is neither text nor binary.
    UnknownPart(u8),
    /// The payload ends before the packet of this length.
    PacketIncomplete { length: usize },
    /// The length of a packet ends between the two UTF-16 code units of a character.
    CharacterSplit(char),
    /// The text of a packet of a binary v3 payload is not UTF-8.
    InvalidUtf8,
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
            Self::UnknownBinaryType(found) => write!(f, "unknown binary packet type {found:#04x}"),
            Self::LengthMissing => f.write_str("packet of a payload without a length"),
            Self::LengthInvalid(found) => write!(f, "invalid character {found:?} in a length"),
            Self::UnknownDigit(found) => write!(f, "invalid byte {found:#04x} in a length"),
            Self::UnknownPart(found) => write!(f, "unknown kind of packet {found:#04x}"),
            Self::PacketIncomplete { length } => {
                write!(f, "payload ends before a packet of length {length}")
            }
            Self::CharacterSplit(found) => write!(f, "length ends inside of {found:?}"),
            Self::InvalidUtf8 => f.write_str("text of a packet is not UTF-8"),
        }
    }
}

impl Error for DecodeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::InvalidBase64(cause) => Some(cause),
            _ => None,
        }
    }
}

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
        for (error, text) in [
            (
                DecodeError::UnknownBinaryType(2),
                "unknown binary packet type 0x02",
            ),
            (
                DecodeError::LengthInvalid('x'),
                "invalid character 'x' in a length",
            ),
            (
                DecodeError::UnknownDigit(49),
                "invalid byte 0x31 in a length",
            ),
            (
                DecodeError::PacketIncomplete { length: 7 },
                "payload ends before a packet of length 7",
            ),
            (
                DecodeError::CharacterSplit('😀'),
                "length ends inside of '😀'",
            ),
        ] {
            assert_eq!(error.to_string(), text);
        }
        assert!(
            DecodeError::InvalidBase64(base64::DecodeError::InvalidPadding)
                .source()
                .is_some()
        );
    }
}
