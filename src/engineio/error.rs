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
