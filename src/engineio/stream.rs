//! Packets in a stream of bytes: the framing of WebTransport.
//!
//! Bytes of a client enter, cut at any place; messages leave, or the rule that the client violated.
//! In the other direction the header of a message leaves. The stream itself is not known here.
//!
//! ```text
//!   +-+-------+------------------------+---------------------+
//!   |B| length| 126: length of 16 bits | text of a packet, or|
//!   | |  (7)  | 127: length of 64 bits | a binary message    |
//!   +-+-------+------------------------+---------------------+
//! ```
//! The lengths are in network byte order. `B` marks a binary message.

use std::error::Error;
use std::fmt;
use std::str;

/// A complete message of a client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum StreamMessage<'a> {
    /// The text of a packet.
    Text(&'a str),
    /// A binary message. The receiver may take the `Vec` and leave an empty one.
    Binary(&'a mut Vec<u8>),
}

/// The reason for refusing the bytes of a client. No message follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamError {
    /// A message without a byte.
    Empty,
    /// The header has a length above the limit.
    TooLarge { length: u64, limit: usize },
    /// The text of a packet is not UTF-8.
    InvalidUtf8,
}

/// Reads the messages of one client.
#[derive(Debug)]
pub(crate) struct StreamDecoder {
    limit: usize,
    state: DecoderState,
    /// The payload of an incomplete message. It grows with the bytes that arrive, so that a header
    /// alone occupies nothing.
    payload: Vec<u8>,
    /// The last message was passed on from `payload`.
    is_passed: bool,
}

#[derive(Clone, Copy, Debug)]
enum DecoderState {
    Header,
    Length {
        is_binary: bool,
        value: u64,
        missing: u8,
    },
    Payload {
        is_binary: bool,
        length: usize,
    },
    Failed(StreamError),
}

impl StreamDecoder {
    /// Reads messages of up to `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            state: DecoderState::Header,
            payload: Vec::new(),
            is_passed: false,
        }
    }

    /// Takes bytes from the front of `input` up to the end of the next message; `None` if all of
    /// them were taken before.
    ///
    /// # Errors
    ///
    /// The rule that the client violated. A length is refused with the last byte of its header.
    pub(crate) fn decode<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<StreamMessage<'a>>, StreamError> {
        if self.is_passed {
            self.is_passed = false;
            self.payload.clear();
            // The memory of a large message is not kept by a client that is idle.
            self.payload.shrink_to(PAYLOAD_KEPT);
        }
        loop {
            match self.state {
                DecoderState::Failed(error) => return Err(error),
                DecoderState::Payload { is_binary, length } => {
                    return self.payload(is_binary, length, input);
                }
                DecoderState::Header | DecoderState::Length { .. } => {
                    let Some((byte, rest)) = input.split_first() else {
                        return Ok(None);
                    };
                    *input = rest;
                    self.state = match self.state.after(*byte, self.limit) {
                        Ok(state) => state,
                        Err(error) => DecoderState::Failed(error),
                    };
                }
            }
        }
    }

    fn payload<'a, 'i: 'a>(
        &'a mut self,
        is_binary: bool,
        length: usize,
        input: &mut &'i [u8],
    ) -> Result<Option<StreamMessage<'a>>, StreamError> {
        let missing = length - self.payload.len();
        let Some((last, rest)) = input.split_at_checked(missing) else {
            self.payload.extend_from_slice(input);
            *input = &[];
            return Ok(None);
        };
        *input = rest;
        self.state = DecoderState::Header;
        if is_binary {
            self.payload.extend_from_slice(last);
            self.is_passed = true;
            return Ok(Some(StreamMessage::Binary(&mut self.payload)));
        }
        let text = if self.payload.is_empty() {
            // The usual case: the message is complete in the input.
            last
        } else {
            self.payload.extend_from_slice(last);
            self.is_passed = true;
            &self.payload
        };
        match str::from_utf8(text) {
            Ok(text) => Ok(Some(StreamMessage::Text(text))),
            Err(_) => {
                self.state = DecoderState::Failed(StreamError::InvalidUtf8);
                Err(StreamError::InvalidUtf8)
            }
        }
    }
}

impl DecoderState {
    /// Returns the state after a byte of a header.
    fn after(self, byte: u8, limit: usize) -> Result<Self, StreamError> {
        match self {
            Self::Header => {
                let is_binary = byte & BINARY != 0;
                let length_of = |missing| Self::Length {
                    is_binary,
                    value: 0,
                    missing,
                };
                match byte & !BINARY {
                    LENGTH_16 => Ok(length_of(2)),
                    LENGTH_64 => Ok(length_of(8)),
                    length => Self::of_length(is_binary, u64::from(length), limit),
                }
            }
            Self::Length {
                is_binary,
                value,
                missing,
            } => {
                let value = value << 8 | u64::from(byte);
                match missing - 1 {
                    0 => Self::of_length(is_binary, value, limit),
                    missing => Ok(Self::Length {
                        is_binary,
                        value,
                        missing,
                    }),
                }
            }
            Self::Payload { .. } | Self::Failed(_) => Ok(self),
        }
    }

    fn of_length(is_binary: bool, length: u64, limit: usize) -> Result<Self, StreamError> {
        match usize::try_from(length) {
            Ok(0) => Err(StreamError::Empty),
            Ok(length) if length <= limit => Ok(Self::Payload { is_binary, length }),
            Ok(_) | Err(_) => Err(StreamError::TooLarge { length, limit }),
        }
    }
}

/// Appends the header of a message of `length` bytes.
pub(crate) fn push_header(out: &mut Vec<u8>, is_binary: bool, length: usize) {
    let binary = if is_binary { BINARY } else { 0 };
    if let Ok(short @ ..LENGTH_16) = u8::try_from(length) {
        out.push(binary | short);
    } else if let Ok(length) = u16::try_from(length) {
        out.push(binary | LENGTH_16);
        out.extend_from_slice(&length.to_be_bytes());
    } else {
        out.push(binary | LENGTH_64);
        out.extend_from_slice(&(length as u64).to_be_bytes());
    }
}

/// A binary message without a byte, as text: a client refuses a message of length 0.
pub(crate) const EMPTY_BINARY: &str = "b";

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("message without a byte"),
            Self::TooLarge { length, limit } => {
                write!(
                    f,
                    "message of {length} bytes exceeds the limit of {limit} bytes"
                )
            }
            Self::InvalidUtf8 => f.write_str("text of a packet is not UTF-8"),
        }
    }
}

impl Error for StreamError {}

/// The bit of a header that marks a binary message.
const BINARY: u8 = 0x80;

/// The length in the first byte that is followed by one of 16 bits.
const LENGTH_16: u8 = 126;

/// The length in the first byte that is followed by one of 64 bits.
const LENGTH_64: u8 = 127;

/// The capacity that a client keeps between two messages, in bytes.
const PAYLOAD_KEPT: usize = 1024;

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// An owned copy of a message.
    #[derive(Clone, Debug, PartialEq, Eq)]
    enum Read {
        Text(String),
        Binary(Vec<u8>),
    }

    /// Decodes pieces one after another, up to the first error.
    fn read<'a>(
        limit: usize,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> (Vec<Read>, Option<StreamError>) {
        let mut decoder = StreamDecoder::new(limit);
        let mut found = Vec::new();
        for piece in pieces {
            let mut input = piece;
            loop {
                match decoder.decode(&mut input) {
                    Ok(Some(StreamMessage::Text(text))) => found.push(Read::Text(text.to_owned())),
                    Ok(Some(StreamMessage::Binary(data))) => found.push(Read::Binary(data.clone())),
                    Ok(None) => break,
                    Err(error) => {
                        assert_eq!(decoder.decode(&mut input), Err(error), "nothing follows");
                        return (found, Some(error));
                    }
                }
            }
            assert!(input.is_empty());
        }
        (found, None)
    }

    fn wire(messages: &[Read]) -> Vec<u8> {
        let mut out = Vec::new();
        for message in messages {
            let (is_binary, data) = match message {
                Read::Text(text) => (false, text.as_bytes()),
                Read::Binary(data) => (true, &data[..]),
            };
            push_header(&mut out, is_binary, data.len());
            out.extend_from_slice(data);
        }
        out
    }

    #[test]
    fn the_header_has_the_shortest_length() {
        for (length, header) in [
            (1, &[1][..]),
            (125, &[125]),
            (126, &[126, 0, 126]),
            (65_535, &[126, 255, 255]),
            (65_536, &[127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let mut out = Vec::new();
            push_header(&mut out, false, length);
            assert_eq!(out, header, "{length}");
            let mut binary = Vec::new();
            push_header(&mut binary, true, length);
            assert_eq!(binary[0], header[0] | 0x80, "{length}");
            assert_eq!(binary[1..], header[1..], "{length}");
        }
    }

    #[test]
    fn the_flag_says_whether_a_message_is_text() {
        let bytes = [1, b'2', 0x82, 0, 255, 126, 0, 2, b'4', b'a'];
        let (found, error) = read(10, [&bytes[..]]);
        assert_eq!(error, None);
        assert_eq!(
            found,
            [
                Read::Text("2".to_owned()),
                Read::Binary(vec![0, 255]),
                // A length that would fit into fewer bytes is read as by the reference.
                Read::Text("4a".to_owned()),
            ]
        );
    }

    #[test]
    fn messages_are_the_same_whatever_the_cut() {
        let messages = [
            Read::Text("40{\"a\":\"ä😀\"}".to_owned()),
            Read::Binary(vec![0, 0x80, 126, 127]),
            Read::Text("4".repeat(126)),
            Read::Binary(vec![7; 65_536]),
            Read::Text("4ö".repeat(22_000)),
        ];
        let bytes = wire(&messages);
        let cuts = (0..300).chain(65_000..bytes.len().min(67_000));
        for cut in cuts.chain([bytes.len() - 1]) {
            let (first, second) = bytes.split_at(cut);
            assert_eq!(
                read(100_000, [first, second]),
                (messages.to_vec(), None),
                "{cut}"
            );
        }
        assert_eq!(read(100_000, bytes.chunks(1)), (messages.to_vec(), None));
    }

    #[test]
    fn a_length_above_the_limit_is_refused_with_the_header() {
        for (limit, length) in [(1, 2), (125, 126), (1000, 1001), (70_000, 70_001)] {
            let mut header = Vec::new();
            push_header(&mut header, false, length);
            let (last, before) = header.split_last().unwrap();
            assert_eq!(read(limit, [before]), (vec![], None));
            let error = StreamError::TooLarge {
                length: length as u64,
                limit,
            };
            assert_eq!(read(limit, [before, &[*last]]), (vec![], Some(error)));

            let full = Read::Text("4".repeat(limit));
            assert_eq!(
                read(limit, [&wire(std::slice::from_ref(&full))[..]]),
                (vec![full], None)
            );
        }
        let (_, error) = read(
            usize::MAX - 1,
            [&[127, 255, 255, 255, 255, 255, 255, 255, 255][..]],
        );
        assert!(matches!(
            error,
            Some(StreamError::TooLarge {
                length: u64::MAX,
                ..
            })
        ));
    }

    #[test]
    fn an_empty_message_is_refused() {
        for bytes in [
            &[0][..],
            &[0x80],
            &[126, 0, 0],
            &[127, 0, 0, 0, 0, 0, 0, 0, 0],
        ] {
            assert_eq!(
                read(10, [bytes]),
                (vec![], Some(StreamError::Empty)),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn text_that_is_not_utf8_is_refused() {
        let error = Some(StreamError::InvalidUtf8);
        assert_eq!(read(10, [&[2, b'4', 0xFF][..]]), (vec![], error));
        // Cut within the character.
        assert_eq!(read(10, [&[3, b'4', 0xC3][..], &[0x28]]), (vec![], error));
        assert_eq!(
            read(10, [&[2, 0xC3][..], &[0xA4]]).0,
            [Read::Text("ä".to_owned())]
        );
    }

    #[test]
    fn a_header_alone_occupies_nothing() {
        let mut decoder = StreamDecoder::new(usize::MAX - 1);
        let mut input = &[127, 0, 0, 0, 255, 255, 255, 255, 255][..];
        assert_eq!(decoder.decode(&mut input), Ok(None));
        assert_eq!(decoder.payload.capacity(), 0);
    }

    #[test]
    fn the_memory_of_a_large_message_is_not_kept() {
        let mut decoder = StreamDecoder::new(100_000);
        let bytes = wire(&[Read::Binary(vec![1; 90_000]), Read::Text("2".to_owned())]);
        let mut input = &bytes[..];
        assert!(matches!(
            decoder.decode(&mut input),
            Ok(Some(StreamMessage::Binary(_)))
        ));
        assert_eq!(
            decoder.decode(&mut input),
            Ok(Some(StreamMessage::Text("2")))
        );
        assert!(decoder.payload.capacity() <= PAYLOAD_KEPT);
    }

    #[test]
    fn errors_name_the_offending_value() {
        let too_large = StreamError::TooLarge {
            length: 11,
            limit: 10,
        };
        assert_eq!(
            too_large.to_string(),
            "message of 11 bytes exceeds the limit of 10 bytes"
        );
    }

    fn message() -> impl Strategy<Value = Read> {
        let size = prop_oneof![1..200_usize, 65_500..65_600_usize];
        prop_oneof![
            "[0-6b].{0,60}".prop_map(Read::Text),
            size.prop_flat_map(|size| vec(any::<u8>(), size))
                .prop_map(Read::Binary),
        ]
    }

    proptest! {
        #[test]
        fn messages_are_read_as_they_were_written(
            messages in vec(message(), 0..6),
            pieces in vec(1..5000_usize, 1..40),
        ) {
            let bytes = wire(&messages);
            let mut rest = &bytes[..];
            let mut cut = Vec::new();
            for size in pieces {
                let (piece, after) = rest.split_at(size.min(rest.len()));
                cut.push(piece);
                rest = after;
            }
            cut.push(rest);
            prop_assert_eq!(read(100_000, cut), (messages, None));
        }

        /// Any bytes: no panic, and the same result whatever the cut.
        #[test]
        fn random_bytes_are_read_the_same_in_pieces(
            bytes in vec(prop_oneof![0..4_u8, 124..130_u8, any::<u8>()], 0..400),
            limit in 1..300_usize,
            size in 1..20_usize,
        ) {
            let whole = read(limit, [&bytes[..]]);
            prop_assert_eq!(&read(limit, bytes.chunks(size)), &whole);
            for message in whole.0 {
                let length = match message {
                    Read::Text(text) => text.len(),
                    Read::Binary(data) => data.len(),
                };
                prop_assert!((1..=limit).contains(&length));
            }
        }
    }
}
