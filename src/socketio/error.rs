//! The reasons for refusing a packet from a client.
//!
//! Each variant is one violation of the protocol. The caller closes the whole session, because the
//! client and the server no longer agree on the state of the stream.

use std::error::Error;
use std::fmt;

/// The reason for refusing a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DecodeError {
    /// A message without a packet type.
    Empty,
    /// A packet type other than 0 to 6.
    UnknownType(char),
    /// A CONNECT_ERROR, which only a server sends.
    ConnectErrorFromClient,
    /// A binary packet without its number of attachments.
    AttachmentsMissing,
    /// A binary packet whose number of attachments is not a number, or is not followed by `-`.
    AttachmentsInvalid(Excerpt),
    /// A binary packet with 0 attachments.
    AttachmentsZero,
    /// More attachments than the limit.
    TooManyAttachments {
        /// The announced number; `usize::MAX` stands for anything above it.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// Characters other than decimal digits in the place of an ack id.
    AckIdInvalid(Excerpt),
    /// An ack id that does not fit 64 bits.
    AckIdTooLarge(Excerpt),
    /// A CONNECT whose payload is not an object. The payload may contain a password, so it is not
    /// shown.
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
    /// An EVENT with a reserved name.
    EventNameReserved(Excerpt),
    /// A payload that is not JSON.
    InvalidJson {
        /// The position of the error in the packet's text, in bytes.
        offset: usize,
    },
    /// A payload with more open brackets than the limit.
    TooDeep {
        /// The limit of open brackets.
        limit: usize,
    },
    /// A placeholder without a `num`.
    PlaceholderWithoutNum,
    /// A placeholder of an attachment that the packet does not have.
    PlaceholderOutOfRange {
        /// The `num` as written.
        num: Excerpt,
        /// The number of attachments.
        attachments: usize,
    },
    /// More placeholders than attachments.
    TooManyPlaceholders {
        /// The number of attachments.
        attachments: usize,
    },
    /// A binary message without a packet that announced it.
    UnexpectedAttachment,
    /// The attachments of one packet have more bytes than this limit.
    AttachmentsTooLarge(usize),
    /// A text message while attachments are missing.
    TextAmongAttachments,
    /// A text message of a client whose parser sends binary messages alone.
    UnexpectedText,
    /// A message that is not MessagePack, and why.
    InvalidMessagePack(&'static str),
    /// A packet that is no map.
    NotAMap,
    /// A field of a packet that is missing or has the wrong type.
    Field(&'static str),
    /// More values in one packet than the limit.
    TooManyValues {
        /// The limit.
        limit: usize,
    },
    /// A CONNECT whose payload holds binary.
    ConnectPayloadBinary,
    /// A message that the program's parser has refused, and why.
    Parser(Excerpt),
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
            Self::UnexpectedText => f.write_str("text message, the parser reads binary alone"),
            Self::InvalidMessagePack(cause) => write!(f, "invalid MessagePack: {cause}"),
            Self::NotAMap => f.write_str("packet is not a map"),
            Self::Field(name) => {
                write!(
                    f,
                    "field `{name}` of the packet is missing or has the wrong type"
                )
            }
            Self::TooManyValues { limit } => write!(f, "packet with more than {limit} values"),
            Self::ConnectPayloadBinary => f.write_str("connect payload has binary"),
            Self::Parser(cause) => write!(f, "the parser has refused a message: {cause}"),
        }
    }
}

impl Error for DecodeError {}

/// The start of a client's text, cut to a length for log lines, displayed quoted and escaped.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Excerpt(Box<str>);

impl Excerpt {
    /// Copies the start of a text.
    pub(super) fn of(text: &str) -> Self {
        Self::up_to(text, EXCERPT_CHARS)
    }

    /// Copies the start of a text that may repeat a client's, such as the message of an error.
    pub(super) fn start_of(message: &str) -> Self {
        Self::up_to(message, MESSAGE_CHARS)
    }

    fn up_to(text: &str, limit: usize) -> Self {
        match text.char_indices().nth(limit) {
            Some(_) => Self(text.chars().take(limit).chain(['…']).collect()),
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

/// The number of characters of a message that may repeat a client's text.
const MESSAGE_CHARS: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_whole_at_two_hundred_characters_and_cut_behind() {
        let shown = |count| Excerpt::start_of(&"é".repeat(count)).to_string();
        assert_eq!(shown(200), format!("{:?}", "é".repeat(200)));
        assert_eq!(shown(201), format!("{:?}", format!("{}…", "é".repeat(200))));
    }

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
