//! The kinds of frames and messages, and the reading of a whole message.
//!
//! A payload enters; a [`Message`] leaves, or the violated rule.

use std::str;

use crate::websocket::Message;
use crate::websocket::error::DecodeError;
use crate::websocket::scratch::Scratch;

/// The kind of message of a frame: its opcode, with continuations resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// A text that came in pieces: each was checked as it arrived.
    CheckedText,
    Binary,
    Ping,
    Pong,
    Close,
    /// No message: a frame that is not the last of its message.
    Fragment,
}

impl Kind {
    /// Reads the payload of a whole message of this kind.
    ///
    /// # Errors
    ///
    /// Returns the error in the payload of a text or of a close frame.
    pub(crate) fn message(self, scratch: &mut Scratch) -> Result<Message<'_>, DecodeError> {
        let payload = &mut scratch.bytes;
        match self {
            // RFC 6455 §8.1: text that is not UTF-8 fails.
            Self::Text => match str::from_utf8(payload) {
                Ok(text) => Ok(Message::Text(text)),
                Err(error) => Err(DecodeError::InvalidText(error.valid_up_to())),
            },
            Self::CheckedText => Ok(Message::Text(&scratch.text)),
            Self::Binary => Ok(Message::Binary(payload)),
            Self::Ping => Ok(Message::Ping(payload)),
            Self::Pong => Ok(Message::Pong),
            Self::Fragment => Ok(Message::Fragment),
            Self::Close => close_code(payload).map(Message::Close),
        }
    }

    pub(super) const fn is_control(self) -> bool {
        matches!(self, Self::Ping | Self::Pong | Self::Close)
    }
}

/// RFC 6455 §5.5.1: empty, or a status code and optionally a reason in UTF-8.
fn close_code(payload: &[u8]) -> Result<Option<u16>, DecodeError> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return if payload.is_empty() {
            Ok(None)
        } else {
            Err(DecodeError::HalfCloseCode)
        };
    };
    match u16::from_be_bytes(*code) {
        // RFC 6455 §7.4.1 and its IANA registry (1012 to 1014), §7.4.2 (3000 on). 1004 has no
        // meaning; 1005, 1006 and 1015 must not be sent.
        code @ (1000..=1003 | 1007..=1014 | 3000..=4999) => match str::from_utf8(reason) {
            Ok(_) => Ok(Some(code)),
            Err(error) => Err(DecodeError::InvalidCloseReason(error.valid_up_to())),
        },
        code => Err(DecodeError::InvalidCloseCode(code)),
    }
}
