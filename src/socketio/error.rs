//! Why a packet from a client was refused.
//!
//! One variant per way to break the protocol. Whoever gets one closes the whole session: the
//! client and the server no longer agree on what was said.

use std::error::Error;
use std::fmt;

/// Why a packet was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DecodeError {
    /// A message without even a packet type.
    Empty,
    /// A packet type other than 0 to 6.
    UnknownType(char),
    /// A CONNECT_ERROR, which only a server sends.
    ConnectErrorFromClient,
    /// A binary packet that does not say how many attachments it has.
    AttachmentsMissing,
    /// A binary packet whose number of attachments is no number, or not followed by `-`.
    AttachmentsInvalid(Excerpt),
    /// A binary packet with 0 attachments.
    AttachmentsZero,
    /// More attachments than the limit.
    TooManyAttachments {
        /// How many were announced; `usize::MAX` stands for anything above it.
        count: usize,
        /// How many are taken.
        limit: usize,
    },
    /// Something other than decimal digits where an ack id stands.
    AckIdInvalid(Excerpt),
    /// An ack id that does not fit 64 bits.
    AckIdTooLarge(Excerpt),
    /// A CONNECT whose payload is not an object.
    /// It may have a password in it, and is not shown.
    ConnectPayloadNotAnObject,
    /// A DISCONNECT with a payload.
    DisconnectPayload(Excerpt),
    /// A binary packet without a payload.
    PayloadMissing,
    /// An EVENT or ACK whose payload is not an array.
    PayloadNotAnArray(Excerpt),
    /// An EVENT whose array is empty.
    EventNameMissing,
    /// An EVENT whose name is neither a number nor a string, or has half of a surrogate pair.
    EventNameInvalid(Excerpt),
    /// An EVENT with a name that is not the client's to send.
    EventNameReserved(Excerpt),
    /// A payload that is not JSON.
    InvalidJson {
        /// Where in the packet's text it goes wrong, in bytes.
        offset: usize,
    },
    /// A payload with more open brackets than the limit.
    TooDeep {
        /// How many may be open at once.
        limit: usize,
    },
    /// A placeholder without a `num`.
    PlaceholderWithoutNum,
    /// A placeholder for an attachment that the packet does not have.
    PlaceholderOutOfRange {
        /// The `num`, as it was written.
        num: Excerpt,
        /// How many attachments there are.
        attachments: usize,
    },
    /// More placeholders than attachments.
    TooManyPlaceholders {
        /// How many attachments there are.
        attachments: usize,
    },
    /// A binary message that no packet announced.
    UnexpectedAttachment,
    /// The attachments of one packet have more bytes than this limit.
    AttachmentsTooLarge(usize),
    /// A text message while attachments are still to come.
    TextAmongAttachments,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("empty packet"),
            Self::UnknownType(found) => write!(f, "unknown packet type {found:?}"),
            Self::ConnectErrorFromClient => f.write_str("connect error from a client"),
            Self::AttachmentsMissing => f.write_str("binary packet without an attachment count"),
            Self::AttachmentsInvalid(found) => write!(f, "invalid attachment count {found}"),
            Self::AttachmentsZero => f.write_str("binary packet with 0 attachments"),
            Self::TooManyAttachments { count, limit } => {
                write!(f, "{count} attachments, the limit is {limit}")
            }
            Self::AckIdInvalid(found) => write!(f, "invalid ack id {found}"),
            Self::AckIdTooLarge(found) => write!(f, "ack id {found} exceeds 64 bits"),
            Self::ConnectPayloadNotAnObject => f.write_str("connect payload is not an object"),
            Self::DisconnectPayload(found) => write!(f, "disconnect with payload {found}"),
            Self::PayloadMissing => f.write_str("binary packet without a payload"),
            Self::PayloadNotAnArray(found) => write!(f, "payload {found} is not an array"),
            Self::EventNameMissing => f.write_str("event without a name"),
            Self::EventNameInvalid(found) => write!(f, "invalid event name {found}"),
            Self::EventNameReserved(name) => write!(f, "event name {name} is reserved"),
            Self::InvalidJson { offset } => write!(f, "invalid JSON at offset {offset}"),
            Self::TooDeep { limit } => write!(f, "payload nested deeper than {limit}"),
            Self::PlaceholderWithoutNum => f.write_str("placeholder without a num"),
            Self::PlaceholderOutOfRange { num, attachments } => {
                write!(
                    f,
                    "placeholder {num} in a packet with {attachments} attachments"
                )
            }
            Self::TooManyPlaceholders { attachments } => {
                write!(f, "more placeholders than the {attachments} attachments")
            }
            Self::UnexpectedAttachment => f.write_str("binary message that no packet announced"),
            Self::AttachmentsTooLarge(limit) => {
                write!(f, "attachments of one packet exceed {limit} bytes")
            }
            Self::TextAmongAttachments => f.write_str("text message among attachments"),
        }
    }
}

impl Error for DecodeError {}

/// The start of what a client sent, cut to what a log line can bear, shown quoted and escaped.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Excerpt(Box<str>);

impl Excerpt {
    /// Copies the start of a text.
    pub(super) fn of(text: &str) -> Self {
        match text.char_indices().nth(EXCERPT_CHARS) {
            Some(_) => Self(text.chars().take(EXCERPT_CHARS).chain(['…']).collect()),
            None => Self(text.into()),
        }
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

const EXCERPT_CHARS: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_whole_at_forty_characters_and_cut_at_forty_one() {
        let forty = "é".repeat(40);
        assert_eq!(Excerpt::of(&forty).to_string(), format!("\"{forty}\""));
        let longer = format!("{forty}é");
        assert_eq!(Excerpt::of(&longer).to_string(), format!("\"{forty}…\""));
    }

    #[test]
    fn an_excerpt_keeps_control_characters_out_of_logs() {
        assert_eq!(
            Excerpt::of("a\n\u{1b}[31m").to_string(),
            r#""a\n\u{1b}[31m""#
        );
    }

    #[test]
    fn errors_name_the_offending_value() {
        let table = [
            (
                DecodeError::TooManyAttachments {
                    count: 11,
                    limit: 10,
                },
                "11 attachments, the limit is 10",
            ),
            (
                DecodeError::EventNameReserved(Excerpt::of("connect")),
                "event name \"connect\" is reserved",
            ),
            (
                DecodeError::InvalidJson { offset: 3 },
                "invalid JSON at offset 3",
            ),
            (
                DecodeError::TooDeep { limit: 128 },
                "payload nested deeper than 128",
            ),
            (
                DecodeError::PlaceholderOutOfRange {
                    num: Excerpt::of("7"),
                    attachments: 1,
                },
                "placeholder \"7\" in a packet with 1 attachments",
            ),
        ];
        for (error, text) in table {
            assert_eq!(error.to_string(), text);
        }
    }
}
