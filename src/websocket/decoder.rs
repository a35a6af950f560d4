//! Turns a client's bytes into messages, RFC 6455 §5 and §6.2.
//!
//! Bytes enter, split at any position. Whole messages leave through the caller's buffers: unmasked,
//! joined from their fragments and checked. A frame that is whole in the input is written directly
//! to these buffers. The decoder keeps only incomplete data: never more of it than has arrived (plus
//! the spare capacity of a growing buffer) and never more than the limit. The decoder depends on
//! neither the meaning of a message for a session nor the response to a control frame.

use crate::websocket::assembly::Assembly;
use crate::websocket::deflate::{DeflateWindow, Inflater, most_compressed};
use crate::websocket::error::DecodeError;
use crate::websocket::header::{Header, MAX_CLIENT_HEADER};
use crate::websocket::kind::Kind;
use crate::websocket::scratch::Scratch;
use crate::websocket::{MAX_CONTROL_PAYLOAD, Opcode, mask};

/// Decodes the bytes of one client.
///
/// ```text
///        header whole
/// Head ───────────────▶ Body ──▶ input used up: stays, `None`
///  ▲                     │
///  ├── fragment whole ───┤       `half` keeps its kind and its bytes
///  └── message whole ────┘       leaves through the caller's buffers
/// ```
///
/// A compressed message is decompressed as its pieces arrive, into `half` too.
///
/// A control frame is accepted between the fragments of a message and leaves `half` unchanged.
/// After an error the position of the next frame is unknown, and the decoder must not be used
/// again.
#[derive(Debug)]
pub(crate) struct Decoder {
    max_message: usize,
    /// The received part of the incomplete message. No heap memory is held while idle.
    half: Option<Box<Assembly>>,
    /// Decompresses messages, if that was agreed.
    inflater: Option<Box<Inflater>>,
    stage: Stage,
}

impl Decoder {
    /// Creates a decoder that refuses messages with more than `max_message` bytes of payload in all
    /// their fragments.
    pub(crate) fn new(max_message: usize) -> Self {
        Self {
            max_message,
            half: None,
            inflater: None,
            stage: Stage::START,
        }
    }

    /// Accepts compressed messages too. The limit holds for their decompressed size.
    pub(crate) fn inflating(self, window: DeflateWindow) -> Self {
        Self {
            inflater: Some(Box::new(Inflater::new(window))),
            ..self
        }
    }

    /// Takes bytes from the front of `input` until a frame is whole, and returns its kind. Returns
    /// `None` if all input is used up. `scratch` is cleared and filled with the message's payload,
    /// which [`Kind::message`] reads.
    ///
    /// # Errors
    ///
    /// Returns the violated rule of RFC 6455, or an error if the message exceeds the limit.
    pub(crate) fn decode(
        &mut self,
        input: &mut &[u8],
        scratch: &mut Scratch,
    ) -> Result<Option<Kind>, DecodeError> {
        scratch.bytes.clear();
        let body = match &mut self.stage {
            Stage::Body(body) => *body,
            Stage::Control(_) => return Ok(self.rest_of_control(input, scratch)),
            Stage::Head { bytes, held } => {
                let (bytes, held) = (*bytes, *held);
                match self.head(bytes, held, input)? {
                    Some(body) => body,
                    None => return Ok(None),
                }
            }
        };
        self.body(body, input, scratch)
    }

    /// Reads a header. The first `held` of `bytes` arrived with earlier input.
    fn head(
        &mut self,
        mut bytes: [u8; MAX_CLIENT_HEADER],
        held: u8,
        input: &mut &[u8],
    ) -> Result<Option<Body>, DecodeError> {
        let earlier = usize::from(held);
        let deflates = self.inflater.is_some();
        let (header, filled) = if earlier == 0 {
            // The usual case reads in place, and copies only the rest of a split header.
            match Header::read(input, deflates)? {
                None => (None, fill(&mut bytes, 0, input)),
                header => (header, 0),
            }
        } else {
            let filled = fill(&mut bytes, earlier, input);
            (Header::read(&bytes[..earlier + filled], deflates)?, filled)
        };
        if let Some(header) = header {
            let body = self.accept(header)?;
            take(input, header.size.saturating_sub(earlier));
            return Ok(Some(body));
        }
        take(input, filled);
        // Not more than the 14 bytes of the array.
        self.stage = Stage::Head {
            bytes,
            held: (earlier + filled) as u8,
        };
        Ok(None)
    }

    /// Decides from the header alone whether the frame may follow the previous frames.
    fn accept(&self, header: Header) -> Result<Body, DecodeError> {
        // RFC 6455 §5.4: fragments of one message are not interleaved with those of another, but
        // control frames may come between them.
        let kind = match (header.opcode, self.half.as_deref().map(Assembly::kind)) {
            (Opcode::Close, _) => Kind::Close,
            (Opcode::Ping, _) => Kind::Ping,
            (Opcode::Pong, _) => Kind::Pong,
            (Opcode::Continuation, Some(open)) => open,
            (Opcode::Continuation, None) => return Err(DecodeError::StrayContinuation),
            (Opcode::Text, None) => Kind::Text,
            (Opcode::Binary, None) => Kind::Binary,
            (Opcode::Text | Opcode::Binary, Some(_)) => {
                return Err(DecodeError::InterruptedMessage(header.opcode));
            }
        };
        // RFC 6455 §10.4 asks for a limit. Before a header `half` holds only the earlier fragments.
        // A control frame has its own limit, which was checked with the header.
        let (limit, earlier, is_compressed) = if kind.is_control() {
            (MAX_CONTROL_PAYLOAD, 0, false)
        } else if self.half.is_none() && !header.is_compressed {
            (self.max_message, 0, false)
        } else {
            self.limit_of_part(header.is_compressed)
        };
        match usize::try_from(header.payload) {
            Ok(length) if length <= limit.saturating_sub(earlier) => Ok(Body {
                kind,
                is_final: header.is_final,
                is_compressed,
                mask: header.mask,
                length,
                received: 0,
            }),
            _ => Err(DecodeError::MessageTooBig {
                declared: header.payload.saturating_add(earlier as u64),
                limit,
            }),
        }
    }

    /// Returns the limit of a message that comes in fragments or is compressed, the number of its
    /// bytes that have arrived, and whether it is compressed.
    #[cold]
    #[inline(never)]
    fn limit_of_part(&self, begins_compressed: bool) -> (usize, usize, bool) {
        let compressed = self.half.as_deref().and_then(Assembly::compressed);
        if begins_compressed || compressed.is_some() {
            // The limit itself is checked while the message is decompressed.
            (
                most_compressed(self.max_message),
                compressed.unwrap_or(0),
                true,
            )
        } else {
            (self.max_message, self.received(), false)
        }
    }

    fn body(
        &mut self,
        body: Body,
        input: &mut &[u8],
        scratch: &mut Scratch,
    ) -> Result<Option<Kind>, DecodeError> {
        let missing = body.length - body.received;
        let bytes = take(input, missing);
        let is_whole = bytes.len() == missing;
        let is_alone = body.kind.is_control() || (self.half.is_none() && !body.is_compressed);
        if is_whole && body.is_final && body.received == 0 && is_alone {
            scratch.bytes.reserve_exact(bytes.len());
            mask::unmask(&mut scratch.bytes, bytes, body.mask);
            self.stage = Stage::START;
            return Ok(Some(body.kind));
        }
        if body.kind.is_control() {
            // The input ends here: a whole control frame was taken above.
            self.stage = Stage::Control(Box::new(HalfControl {
                payload: bytes.to_vec(),
                body,
            }));
            return Ok(None);
        }
        self.part(body, bytes, scratch)
    }

    /// Takes a piece of a data frame that is not a whole message, or that is compressed.
    // Apart, so that the usual case, a whole message, stays short.
    #[cold]
    #[inline(never)]
    fn part(
        &mut self,
        mut body: Body,
        bytes: &[u8],
        scratch: &mut Scratch,
    ) -> Result<Option<Kind>, DecodeError> {
        let missing = body.length - body.received;
        let is_whole = bytes.len() == missing;
        // The next fragment's length is unknown; all of them together stay below the limit.
        let most = if body.is_final {
            self.received() + missing
        } else {
            self.max_message
        };
        // Nothing of the payload has arrived: it may still come whole.
        if is_whole || !bytes.is_empty() {
            let mask = mask::rotated(body.mask, body.received);
            let begin = || Assembly::new(body.kind, body.is_compressed);
            let half = self.half.get_or_insert_with(begin);
            match &mut self.inflater {
                Some(inflater) if body.is_compressed => {
                    half.received(bytes.len());
                    scratch.bytes.reserve_exact(bytes.len());
                    mask::unmask(&mut scratch.bytes, bytes, mask);
                    let (piece, is_last) = (&scratch.bytes, is_whole && body.is_final);
                    inflater.inflate(piece, is_last, &mut scratch.inflated, |plain| {
                        half.append_inflated(plain, self.max_message)
                    })?;
                    scratch.bytes.clear();
                }
                _ => half.append(bytes, mask, most, &mut scratch.bytes)?,
            }
        }
        if !is_whole {
            body.received += bytes.len();
            self.stage = Stage::Body(body);
            return Ok(None);
        }
        self.stage = Stage::START;
        if body.is_final
            && let Some(half) = self.half.take()
        {
            return half.finish(scratch).map(Some);
        }
        // Returned so that a caller that counts frames sees each of them, also an empty one.
        Ok(Some(Kind::Fragment))
    }

    /// Returns the number of bytes of the incomplete message.
    fn received(&self) -> usize {
        self.half.as_deref().map_or(0, Assembly::len)
    }

    /// Returns the number of bytes that are allocated for the incomplete message.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.half.as_deref().map_or(0, Assembly::capacity)
    }

    /// Takes the rest of a control frame whose payload was cut.
    #[cold]
    #[inline(never)]
    fn rest_of_control(&mut self, input: &mut &[u8], scratch: &mut Scratch) -> Option<Kind> {
        let Stage::Control(control) = &mut self.stage else {
            return None;
        };
        let (body, payload) = (control.body, &mut control.payload);
        payload.extend_from_slice(take(input, body.length - payload.len()));
        if payload.len() < body.length {
            return None;
        }
        scratch.bytes.reserve_exact(payload.len());
        mask::unmask(&mut scratch.bytes, payload, body.mask);
        self.stage = Stage::START;
        Some(body.kind)
    }
}

#[derive(Debug)]
enum Stage {
    /// The first `held` bytes of the next header have arrived.
    Head {
        bytes: [u8; MAX_CLIENT_HEADER],
        held: u8,
    },
    Body(Body),
    /// A control frame whose payload is incomplete. It may come between the fragments of a message,
    /// so its bytes have a place of their own. Only a frame that is cut needs the allocation.
    Control(Box<HalfControl>),
}

#[derive(Debug)]
struct HalfControl {
    body: Body,
    /// The received part, masked as it came.
    payload: Vec<u8>,
}

impl Stage {
    const START: Self = Self::Head {
        bytes: [0; MAX_CLIENT_HEADER],
        held: 0,
    };
}

/// A frame whose header was accepted.
#[derive(Debug, Clone, Copy)]
struct Body {
    kind: Kind,
    is_final: bool,
    is_compressed: bool,
    mask: [u8; 4],
    length: usize,
    /// The number of its bytes that have arrived, at most `length`.
    received: usize,
}

/// Takes up to `most` bytes from the front of `input`.
fn take<'i>(input: &mut &'i [u8], most: usize) -> &'i [u8] {
    let (taken, rest) = input.split_at(most.min(input.len()));
    *input = rest;
    taken
}

/// Copies from the front of `input` into `bytes` from `start` on. Returns the number of bytes.
fn fill(bytes: &mut [u8; MAX_CLIENT_HEADER], start: usize, input: &[u8]) -> usize {
    let space = bytes.get_mut(start..).unwrap_or_default();
    let count = space.len().min(input.len());
    space[..count].copy_from_slice(&input[..count]);
    count
}

#[cfg(test)]
mod tests {
    use proptest::{
        collection::vec,
        prelude::{Just, Strategy, any, prop_oneof},
        prop_assert, prop_assert_eq, proptest,
        sample::Index,
    };

    use super::*;
    use crate::seeds::replay;
    use crate::websocket::Message;
    use crate::websocket::assembly::LEAST_CAPACITY;

    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    const LIMIT: usize = 1000;

    /// A [`Message`] that outlives the scratch buffer.
    #[derive(Debug, Clone, PartialEq, Eq)]
    enum Owned {
        Text(String),
        Binary(Vec<u8>),
        Ping(Vec<u8>),
        Pong,
        Close(Option<u16>),
    }

    impl From<Message<'_>> for Owned {
        fn from(message: Message<'_>) -> Self {
            match message {
                Message::Text(text) => Self::Text(text.to_owned()),
                Message::Binary(bytes) => Self::Binary(bytes.clone()),
                Message::Ping(bytes) => Self::Ping(bytes.to_vec()),
                Message::Pong | Message::Fragment => Self::Pong,
                Message::Close(code) => Self::Close(code),
            }
        }
    }

    fn text(text: &str) -> Owned {
        Owned::Text(text.to_owned())
    }

    /// A masked frame; the first byte is given as sent.
    fn masked(first: u8, mask: [u8; 4], payload: &[u8]) -> Vec<u8> {
        let mut wire = head(first, payload.len() as u64, mask);
        wire.extend(
            payload
                .iter()
                .zip(mask.iter().cycle())
                .map(|(byte, key)| byte ^ key),
        );
        wire
    }

    fn head(first: u8, payload: u64, mask: [u8; 4]) -> Vec<u8> {
        let mut wire = vec![first];
        match payload {
            0..=125 => wire.push(0x80 | payload as u8),
            126..=65_535 => {
                wire.push(0xFE);
                wire.extend((payload as u16).to_be_bytes());
            }
            _ => {
                wire.push(0xFF);
                wire.extend(payload.to_be_bytes());
            }
        }
        wire.extend(mask);
        wire
    }

    /// First bytes and payloads.
    type Frames<'f> = &'f [(u8, &'f [u8])];

    fn frames(frames: Frames<'_>) -> Vec<u8> {
        frames
            .iter()
            .flat_map(|(first, payload)| masked(*first, MASK, payload))
            .collect()
    }

    fn next(
        decoder: &mut Decoder,
        input: &mut &[u8],
        scratch: &mut Scratch,
    ) -> Result<Option<Owned>, DecodeError> {
        let kind = loop {
            match decoder.decode(input, scratch)? {
                None => return Ok(None),
                Some(Kind::Fragment) => {}
                Some(kind) => break kind,
            }
        };
        Ok(Some(kind.message(scratch)?.into()))
    }

    fn drain(decoder: &mut Decoder, mut input: &[u8]) -> Result<Vec<Owned>, DecodeError> {
        let mut scratch = Scratch::new();
        let mut messages = Vec::new();
        while let Some(message) = next(decoder, &mut input, &mut scratch)? {
            messages.push(message);
        }
        assert!(input.is_empty());
        Ok(messages)
    }

    fn decode(input: &[u8]) -> Result<Vec<Owned>, DecodeError> {
        drain(&mut Decoder::new(LIMIT), input)
    }

    fn with_room(room: usize) -> Scratch {
        Scratch {
            bytes: Vec::with_capacity(room),
            ..Scratch::new()
        }
    }

    fn held_by(decoder: &Decoder) -> usize {
        decoder.capacity()
    }

    fn is_idle(decoder: &Decoder) -> bool {
        decoder.half.is_none() && matches!(decoder.stage, Stage::Head { held: 0, .. })
    }

    #[test]
    fn a_decoder_is_small_and_send() {
        fn is_send<T: Send>(_: &T) {}
        is_send(&Decoder::new(1));
        assert!(size_of::<Decoder>() <= 48, "{}", size_of::<Decoder>());
    }

    /// RFC 6455 §5.7.
    #[test]
    fn example_of_the_specification_decodes() {
        let wire = [
            0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
        ];
        assert_eq!(decode(&wire), Ok(vec![text("Hello")]));
    }

    #[test]
    fn each_frame_that_ends_no_message_is_handed_on_and_an_empty_one_too() {
        let wire = frames(&[(0x01, b""), (0x00, b""), (0x00, b"a"), (0x80, b"")]);
        let (mut decoder, mut input, mut scratch) =
            (Decoder::new(LIMIT), &wire[..], Scratch::new());
        let last = Kind::CheckedText;
        for kind in [Kind::Fragment, Kind::Fragment, Kind::Fragment, last] {
            assert_eq!(decoder.decode(&mut input, &mut scratch), Ok(Some(kind)));
        }
        assert_eq!(last.message(&mut scratch), Ok(Message::Text("a")));
    }

    #[test]
    fn frames_decode_to_messages() {
        let long = "x".repeat(LIMIT);
        let table: [(u8, &[u8], Owned); 11] = [
            (0x81, b"", text("")),
            (0x81, "grüße".as_bytes(), text("grüße")),
            (0x81, long.as_bytes(), text(&long)),
            (0x82, b"", Owned::Binary(vec![])),
            (0x82, &[0xFF, 0], Owned::Binary(vec![0xFF, 0])),
            (0x89, b"", Owned::Ping(vec![])),
            (0x89, &[0xFF; 125], Owned::Ping(vec![0xFF; 125])),
            (0x8A, &[0xFF; 125], Owned::Pong),
            (0x88, b"", Owned::Close(None)),
            (0x88, &[0x03, 0xE8], Owned::Close(Some(1000))),
            (0x88, b"\x03\xE8bye", Owned::Close(Some(1000))),
        ];
        for (first, payload, message) in table {
            let wire = masked(first, MASK, payload);
            assert_eq!(decode(&wire), Ok(vec![message.clone()]), "{first:#x}");

            let mut decoder = Decoder::new(LIMIT);
            let bytewise: Vec<Owned> = wire
                .chunks(1)
                .flat_map(|byte| drain(&mut decoder, byte).unwrap())
                .collect();
            assert_eq!(bytewise, [message], "{first:#x} byte by byte");
            assert!(is_idle(&decoder));
        }
    }

    #[test]
    fn one_call_returns_one_message_and_leaves_the_rest() {
        let wire = frames(&[(0x81, b"one"), (0x81, b"two")]);
        let (mut input, mut scratch) = (&wire[..], Scratch::new());
        let mut decoder = Decoder::new(LIMIT);
        assert_eq!(
            next(&mut decoder, &mut input, &mut scratch),
            Ok(Some(text("one")))
        );
        assert_eq!(input.len(), wire.len() / 2);
        assert_eq!(
            next(&mut decoder, &mut input, &mut scratch),
            Ok(Some(text("two")))
        );
        assert_eq!(decoder.decode(&mut input, &mut scratch), Ok(None));
        assert!(scratch.bytes.is_empty());
    }

    /// RFC 6455 §5.4.
    #[test]
    fn fragments_make_one_message() {
        let wire = frames(&[(0x01, b"Hel"), (0x00, b""), (0x00, b"l"), (0x80, b"o")]);
        assert_eq!(decode(&wire), Ok(vec![text("Hello")]));
        assert_eq!(
            decode(&frames(&[(0x02, b""), (0x80, b"")])),
            Ok(vec![Owned::Binary(vec![])])
        );
    }

    /// RFC 6455 §5.4: control frames may come between fragments.
    #[test]
    fn a_half_message_survives_control_frames_cut_anywhere() {
        let wire = frames(&[
            (0x01, b"Hel"),
            (0x89, b"ping"),
            (0x00, b"l"),
            (0x8A, b"pong"),
            (0x88, b"\x03\xE8bye"),
            (0x80, b"o"),
            (0x81, b"next"),
        ]);
        let expected = vec![
            Owned::Ping(b"ping".to_vec()),
            Owned::Pong,
            Owned::Close(Some(1000)),
            text("Hello"),
            text("next"),
        ];
        for cut in 0..=wire.len() {
            let mut decoder = Decoder::new(LIMIT);
            let mut messages = drain(&mut decoder, &wire[..cut]).unwrap();
            messages.extend(drain(&mut decoder, &wire[cut..]).unwrap());
            assert_eq!(messages, expected, "cut at {cut}");
            assert!(is_idle(&decoder));
        }
    }

    /// RFC 6455 §5.4.
    #[test]
    fn frames_out_of_order_are_refused() {
        let table: [(Frames<'_>, DecodeError); 6] = [
            (&[(0x80, b"x")], DecodeError::StrayContinuation),
            (&[(0x00, b"x")], DecodeError::StrayContinuation),
            (
                &[(0x01, b"x"), (0x80, b"y"), (0x80, b"z")],
                DecodeError::StrayContinuation,
            ),
            (
                &[(0x01, b""), (0x81, b"")],
                DecodeError::InterruptedMessage(Opcode::Text),
            ),
            (
                &[(0x02, b"x"), (0x02, b"y")],
                DecodeError::InterruptedMessage(Opcode::Binary),
            ),
            (
                &[(0x02, b"x"), (0x00, b"y"), (0x89, b""), (0x81, b"z")],
                DecodeError::InterruptedMessage(Opcode::Text),
            ),
        ];
        for (sent, error) in table {
            assert_eq!(decode(&frames(sent)), Err(error), "{sent:x?}");
        }
    }

    /// RFC 6455 §5.2: the header's own rules hold if it arrives in pieces, too.
    #[test]
    fn a_broken_header_is_refused_however_it_is_cut() {
        let table: [(&[u8], DecodeError); 6] = [
            (&[0xC1, 0x80], DecodeError::ReservedBits(0x40)),
            (&[0x83, 0x80], DecodeError::ReservedOpcode(3)),
            (&[0x81, 0x00], DecodeError::Unmasked),
            (&[0x09, 0x80], DecodeError::FragmentedControl(Opcode::Ping)),
            (&[0x89, 0xFE], DecodeError::LongControl(Opcode::Ping)),
            (&[0x81, 0xFE, 0, 125], DecodeError::NonMinimalLength(125)),
        ];
        for (wire, error) in table {
            for cut in 0..wire.len() {
                let mut decoder = Decoder::new(LIMIT);
                let found = drain(&mut decoder, &wire[..cut])
                    .and_then(|_| drain(&mut decoder, &wire[cut..]));
                assert_eq!(found, Err(error), "{wire:x?} cut at {cut}");
            }
        }
    }

    /// RFC 6455 §10.4.
    #[test]
    fn the_limit_passes_and_one_byte_more_is_refused_from_the_header() {
        let limit = LIMIT as u64;
        assert_eq!(decode(&head(0x82, limit, MASK)), Ok(vec![]));
        for declared in [limit + 1, 65_536, 1 << 32, (1 << 63) - 1] {
            let error = DecodeError::MessageTooBig {
                declared,
                limit: LIMIT,
            };
            assert_eq!(decode(&head(0x82, declared, MASK)), Err(error));
            assert_eq!(decode(&head(0x02, declared, MASK)), Err(error));
        }
    }

    /// RFC 6455 §10.4.
    #[test]
    fn the_limit_counts_all_fragments() {
        let start = frames(&[(0x02, &[0; 600]), (0x89, &[0; 125]), (0x00, &[0; 300])]);
        let whole = [start.clone(), masked(0x80, MASK, &[0; 100])].concat();
        let expected = vec![Owned::Ping(vec![0; 125]), Owned::Binary(vec![0; LIMIT])];
        assert_eq!(decode(&whole), Ok(expected));

        for (more, declared) in [(101, 1001), ((1 << 63) - 1, (1 << 63) + 899)] {
            let over = [start.clone(), head(0x80, more, MASK)].concat();
            assert_eq!(
                decode(&over),
                Err(DecodeError::MessageTooBig {
                    declared,
                    limit: LIMIT
                })
            );
        }
    }

    #[test]
    fn the_largest_limit_does_not_overflow() {
        let mut decoder = Decoder::new(usize::MAX);
        let wire = [
            frames(&[(0x02, &[1; 10])]),
            head(0x00, (1 << 63) - 1, MASK),
            vec![0; 9],
        ];
        assert_eq!(drain(&mut decoder, &wire.concat()), Ok(vec![]));
        assert!(held_by(&decoder) <= LEAST_CAPACITY);
    }

    #[test]
    fn limit_of_zero_accepts_control_frames_and_empty_messages() {
        let mut decoder = Decoder::new(0);
        let wire = frames(&[(0x89, &[7; 125]), (0x81, b"")]);
        assert_eq!(
            drain(&mut decoder, &wire),
            Ok(vec![Owned::Ping(vec![7; 125]), text("")])
        );
        let error = DecodeError::MessageTooBig {
            declared: 1,
            limit: 0,
        };
        assert_eq!(drain(&mut decoder, &frames(&[(0x81, b"x")])), Err(error));
    }

    /// Texts, and the position of the byte at which each stops to be UTF-8.
    const TEXTS: [(&[u8], Option<usize>); 17] = [
        (b"", None),
        (b"plain", None),
        (
            "gr\u{fc}\u{df}e \u{20ac} \u{1f980}\u{10ffff}".as_bytes(),
            None,
        ),
        (
            "\u{80}\u{7ff}\u{800}\u{d7ff}\u{e000}\u{ffff}\u{10000}".as_bytes(),
            None,
        ),
        (b"ab\xFFcd", Some(2)),
        (b"a\x80", Some(1)),
        (b"\xC1\x80", Some(0)),
        (b"\xC3b", Some(1)),
        (b"\xE0\x9F\x80", Some(1)),
        (b"\xED\xA0\x80", Some(1)),
        (b"\xE2\x82x", Some(2)),
        (b"\xE2\xC3\xA9", Some(1)),
        (b"\xF0\x8F\x80\x80", Some(1)),
        (b"\xF4\x90\x80\x80", Some(1)),
        (b"\xF0\x9F\xA6x", Some(3)),
        (b"\xF5\x80\x80\x80", Some(0)),
        // Autobahn 6.4: the euro signs are whole, and the surrogate is not allowed.
        (b"\xCE\xBA\xE1\xBD\xB9\xF4\x90\x80\x80edited", Some(6)),
    ];

    /// RFC 6455 §8.1.
    #[test]
    fn a_text_is_refused_at_its_invalid_byte_before_it_is_whole() {
        for (payload, invalid) in TEXTS {
            // In one frame of which more is to come, and in fragments.
            let mut frame = Decoder::new(LIMIT);
            drain(&mut frame, &head(0x81, 100, [0; 4])).unwrap();
            let mut fragments = Decoder::new(LIMIT);
            drain(&mut fragments, &frames(&[(0x01, b"")])).unwrap();
            for (position, byte) in payload.iter().enumerate() {
                let fragment = frames(&[(0x00, &[*byte]), (0x89, b"between")]);
                let expected = invalid == Some(position);
                let found = drain(&mut fragments, &fragment);
                assert_eq!(found.is_err(), expected, "{payload:x?} at {position}");
                assert_eq!(drain(&mut frame, &[*byte]).err(), found.err());
                if expected {
                    break;
                }
            }
        }
    }

    /// RFC 6455 §8.1, §5.4.
    #[test]
    fn a_text_cut_anywhere_has_one_verdict() {
        for (payload, _) in TEXTS {
            let expected = str::from_utf8(payload)
                .map(|whole| vec![text(whole)])
                .map_err(|error| DecodeError::InvalidText(error.valid_up_to()));
            for first in 0..=payload.len() {
                for second in first..=payload.len() {
                    let (start, rest) = payload.split_at(first);
                    let (middle, end) = rest.split_at(second - first);
                    let fragments = frames(&[(0x01, start), (0x00, middle), (0x80, end)]);
                    assert_eq!(decode(&fragments), expected, "{payload:x?}");

                    let wire = frames(&[(0x81, payload)]);
                    let mut decoder = Decoder::new(LIMIT);
                    let found = drain(&mut decoder, &wire[..6 + first])
                        .and_then(|_| drain(&mut decoder, &wire[6 + first..6 + second]))
                        .and_then(|_| drain(&mut decoder, &wire[6 + second..]));
                    if first < payload.len() && second < payload.len() || expected.is_err() {
                        assert_eq!(found, expected, "{payload:x?} {first} {second}");
                    }
                }
            }
        }
    }

    /// RFC 6455 §8.1.
    #[test]
    fn a_text_that_ends_within_a_character_is_refused_when_whole() {
        for payload in ["\u{e9}", "\u{20ac}", "\u{1f980}"] {
            for cut in 1..payload.len() {
                let half = &payload.as_bytes()[..cut];
                let error = Err(DecodeError::InvalidText(1));
                let whole = [b"a", half].concat();
                assert_eq!(decode(&frames(&[(0x81, &whole)])), error);
                assert_eq!(decode(&frames(&[(0x01, &whole)])), Ok(vec![]));
                assert_eq!(decode(&frames(&[(0x01, &whole), (0x80, b"")])), error);
                // The next character is no continuation of a message that has ended.
                let mut decoder = Decoder::new(LIMIT);
                let sent = frames(&[(0x01, "\u{e9}".as_bytes()), (0x80, b"b"), (0x82, half)]);
                let expected = vec![text("\u{e9}b"), Owned::Binary(half.to_vec())];
                assert_eq!(drain(&mut decoder, &sent), Ok(expected));
                assert!(is_idle(&decoder));
            }
        }
    }

    /// RFC 6455 §7.4.
    #[test]
    fn close_codes_pass_by_their_range() {
        let ranges = [1000..=1003, 1007..=1014, 3000..=4999];
        for code in 0..=u16::MAX {
            let expected = if ranges.iter().any(|range| range.contains(&code)) {
                Ok(vec![Owned::Close(Some(code))])
            } else {
                Err(DecodeError::InvalidCloseCode(code))
            };
            assert_eq!(decode(&masked(0x88, MASK, &code.to_be_bytes())), expected);
        }
    }

    /// RFC 6455 §5.5.1.
    #[test]
    fn a_close_frame_has_a_whole_code_and_a_reason_in_utf_8() {
        let table: [(&[u8], DecodeError); 3] = [
            (b"\x03", DecodeError::HalfCloseCode),
            (b"\x03\xE8a\xFF", DecodeError::InvalidCloseReason(1)),
            (b"\x03\xED\xFF", DecodeError::InvalidCloseCode(1005)),
        ];
        for (payload, error) in table {
            assert_eq!(
                decode(&masked(0x88, MASK, payload)),
                Err(error),
                "{payload:x?}"
            );
        }
    }

    #[test]
    fn a_whole_frame_uses_the_room_the_caller_has() {
        let mut scratch = with_room(LIMIT);
        let room = scratch.bytes.as_ptr();
        let mut decoder = Decoder::new(LIMIT);
        for length in [0, 1, 63, 64, 65, LIMIT] {
            let wire = masked(0x82, MASK, &vec![7; length]);
            let found = next(&mut decoder, &mut &wire[..], &mut scratch);
            assert_eq!(found, Ok(Some(Owned::Binary(vec![7; length]))));
            assert_eq!(
                (scratch.bytes.as_ptr(), scratch.bytes.capacity()),
                (room, LIMIT)
            );
            assert!(is_idle(&decoder));
        }
    }

    #[test]
    fn a_finished_message_leaves_the_larger_buffer_with_the_caller() {
        let wire = masked(0x82, MASK, &[7; 500]);
        for (room, kept) in [(0, 500), (499, 500), (500, 500), (800, 800)] {
            let mut scratch = with_room(room);
            let mut decoder = Decoder::new(LIMIT);
            assert_eq!(decoder.decode(&mut &wire[..300], &mut scratch), Ok(None));
            assert!(
                decoder
                    .decode(&mut &wire[300..], &mut scratch)
                    .unwrap()
                    .is_some()
            );
            assert_eq!((scratch.bytes.len(), scratch.bytes.capacity()), (500, kept));
            assert!(is_idle(&decoder));
        }
    }

    #[test]
    fn a_large_declaration_allocates_nothing_before_its_bytes_come() {
        let mut decoder = Decoder::new(1_000_000);
        let (mut scratch, payload) = (Scratch::new(), [0; 100]);
        let header = head(0x82, 900_000, MASK);
        assert_eq!(decoder.decode(&mut &header[..], &mut scratch), Ok(None));
        assert_eq!(held_by(&decoder), 0);
        for round in 1..9_000 {
            assert_eq!(decoder.decode(&mut &payload[..], &mut scratch), Ok(None));
            assert!(held_by(&decoder) <= (round * 200).min(900_000));
        }
        assert!(
            decoder
                .decode(&mut &payload[..], &mut scratch)
                .unwrap()
                .is_some()
        );
        assert_eq!(
            (scratch.bytes.len(), scratch.bytes.capacity()),
            (900_000, 900_000)
        );
        assert!(is_idle(&decoder));
    }

    #[test]
    fn many_small_fragments_grow_the_buffer_rarely() {
        let mut decoder = Decoder::new(100_000);
        drain(&mut decoder, &masked(0x02, MASK, b"x")).unwrap();
        let fragment = masked(0x00, MASK, b"x");
        let (mut growths, mut capacity) = (0, held_by(&decoder));
        for _ in 1..100_000 {
            drain(&mut decoder, &fragment).unwrap();
            growths += usize::from(held_by(&decoder) != capacity);
            capacity = held_by(&decoder);
        }
        assert!(growths < 20, "{growths}");
        assert_eq!(capacity, 100_000);
    }

    /// A message, its split into fragments, its frames' mask and the pings between them.
    fn sent() -> impl Strategy<Value = (Owned, Vec<u8>)> {
        let message = prop_oneof![
            ".{0,200}".prop_map(Owned::Text),
            vec(any::<u8>(), 0..400).prop_map(Owned::Binary),
            Just(Owned::Binary(vec![7; 66_000])),
        ];
        let parts = vec((any::<Index>(), any::<bool>()), 0..4);
        (message, parts, any::<[u8; 4]>()).prop_map(|(message, parts, mask)| {
            let (opcode, payload) = match &message {
                Owned::Text(text) => (1, text.as_bytes()),
                Owned::Binary(bytes) => (2, &bytes[..]),
                _ => (9, &[][..]),
            };
            let mut cuts: Vec<usize> = parts
                .iter()
                .map(|(index, _)| index.index(payload.len() + 1))
                .collect();
            cuts.sort_unstable();
            let (mut wire, mut start, mut first) = (Vec::new(), 0, opcode);
            for (cut, (_, ping)) in cuts.into_iter().zip(parts) {
                wire.extend(masked(first, mask, &payload[start..cut]));
                if ping {
                    wire.extend(masked(0x89, mask, b"between"));
                }
                (start, first) = (cut, 0);
            }
            wire.extend(masked(0x80 | first, mask, &payload[start..]));
            (message, wire)
        })
    }

    /// Bytes that often continue as frames, so that random input passes the first header.
    fn hostile() -> impl Strategy<Value = Vec<u8>> {
        let first = prop_oneof![
            Just(0x00_u8),
            Just(0x01),
            Just(0x02),
            Just(0x80),
            Just(0x81),
            Just(0x82),
            Just(0x88),
            Just(0x89),
            Just(0x8A),
            any::<u8>(),
        ];
        let piece = prop_oneof![
            4 => (first.clone(), vec(any::<u8>(), 0..150), any::<[u8; 4]>())
                .prop_map(|(first, payload, mask)| masked(first, mask, &payload)),
            2 => (first, any::<u64>(), 0_u32..64, vec(any::<u8>(), 0..40))
                .prop_map(|(first, length, shift, payload)| {
                    [head(first, length >> shift, [1, 2, 3, 4]), payload].concat()
                }),
            1 => vec(any::<u8>(), 0..40),
        ];
        vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }

    /// Splits `wire` and returns the pieces.
    fn pieces<'w>(wire: &'w [u8], cuts: &[Index]) -> Vec<&'w [u8]> {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(wire.len() + 1)).collect();
        cuts.extend([0, wire.len()]);
        cuts.sort_unstable();
        cuts.windows(2)
            .map(|pair| &wire[pair[0]..pair[1]])
            .collect()
    }

    /// Bytes that are almost UTF-8.
    fn almost_text() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            12 => any::<char>().prop_map(|char| char.to_string().into_bytes()),
            4 => "[a-z]{0,40}".prop_map(String::into_bytes),
            1 => any::<u8>().prop_map(|byte| vec![byte]),
            1 => (any::<char>(), 1_usize..4).prop_map(|(char, cut)| {
                let whole = char.to_string().into_bytes();
                whole[..cut.min(whole.len())].to_vec()
            }),
        ];
        vec(piece, 0..20).prop_map(|pieces| pieces.concat())
    }

    /// Returns the shortest part of `bytes` that no text begins with.
    fn first_invalid(bytes: &[u8]) -> Option<usize> {
        (1..=bytes.len()).find(|length| {
            str::from_utf8(&bytes[..*length]).is_err_and(|error| error.error_len().is_some())
        })
    }

    proptest! {
        /// RFC 6455 §8.1.
        #[test]
        fn a_text_in_pieces_is_refused_at_the_byte_that_is_not_utf_8(
            payload in almost_text(),
            fragments in vec(any::<Index>(), 0..6),
            cuts in vec(any::<Index>(), 0..12),
        ) {
            // The positions in the wire of the payload's bytes.
            let (mut wire, mut places, mut first) = (Vec::new(), Vec::new(), 0x01);
            for piece in pieces(&payload, &fragments) {
                wire.extend(masked(first, MASK, piece));
                places.extend(wire.len() - piece.len()..wire.len());
                first = 0x00;
            }
            let invalid = first_invalid(&payload).map(|length| places[length - 1]);
            let mut decoder = Decoder::new(100_000);
            let (mut read, mut refused) = (0, None);
            for piece in pieces(&wire, &cuts) {
                read += piece.len();
                if drain(&mut decoder, piece).is_err() {
                    refused = Some(read);
                    break;
                }
                prop_assert!(decoder.received() <= payload.len());
            }
            // Refused with the piece that has the byte.
            let mut ends: Vec<usize> = pieces(&wire, &cuts)
                .iter()
                .scan(0, |end, piece| { *end += piece.len(); Some(*end) })
                .collect();
            ends.dedup();
            let expected = invalid.and_then(|at| ends.into_iter().find(|end| *end > at));
            prop_assert_eq!(refused, expected);
            if refused.is_none() {
                let found = drain(&mut decoder, &frames(&[(0x80, b"")]));
                let whole = str::from_utf8(&payload)
                    .map(|whole| vec![text(whole)])
                    .map_err(|error| DecodeError::InvalidText(error.valid_up_to()));
                prop_assert_eq!(found, whole);
            }
        }

        #[test]
        fn messages_masked_fragmented_and_cut_decode_to_themselves(
            sent in vec(sent(), 1..5),
            cuts in vec(any::<Index>(), 0..12),
        ) {
            let wire: Vec<u8> = sent.iter().flat_map(|(_, wire)| wire.clone()).collect();
            let mut decoder = Decoder::new(66_000);
            let mut messages = Vec::new();
            for piece in pieces(&wire, &cuts) {
                messages.extend(drain(&mut decoder, piece).unwrap());
            }
            messages.retain(|message| match message {
                Owned::Ping(payload) => payload != b"between",
                _ => true,
            });
            let expected: Vec<Owned> = sent.into_iter().map(|(message, _)| message).collect();
            prop_assert_eq!(messages, expected);
            prop_assert!(is_idle(&decoder));
        }

        #[test]
        fn no_bytes_panic_and_none_allocate_much_more_than_arrived(
            wire in hostile(),
            cuts in vec(any::<Index>(), 0..12),
            limit in prop_oneof![Just(0), Just(100), Just(100_000), Just(usize::MAX)],
        ) {
            let mut decoder = Decoder::new(limit);
            let mut scratch = Scratch::new();
            let mut arrived = 0;
            for mut piece in pieces(&wire, &cuts) {
                arrived += piece.len();
                // The test continues after an error: a decoder must not panic even if it is used
                // again.
                while let Ok(Some(_)) = decoder.decode(&mut piece, &mut scratch) {}
                let most = (2 * arrived).max(LEAST_CAPACITY);
                prop_assert!(held_by(&decoder) <= most);
                prop_assert!(scratch.bytes.capacity() <= most);
                prop_assert!(scratch.text.capacity() <= most);
            }
        }

        #[test]
        fn cuts_do_not_change_what_hostile_bytes_decode_to(
            wire in hostile(),
            cuts in vec(any::<Index>(), 0..12),
        ) {
            let run = |pieces: Vec<&[u8]>| {
                let (mut decoder, mut scratch) = (Decoder::new(300), Scratch::new());
                let mut found: Vec<Result<Owned, DecodeError>> = Vec::new();
                for mut piece in pieces {
                    loop {
                        match next(&mut decoder, &mut piece, &mut scratch) {
                            Ok(Some(message)) => found.push(Ok(message)),
                            Ok(None) => break,
                            Err(error) => {
                                found.push(Err(error));
                                return found;
                            }
                        }
                    }
                }
                found
            };
            prop_assert_eq!(run(pieces(&wire, &cuts)), run(vec![&wire]));
        }
    }

    #[test]
    fn seeds_and_their_mutations_are_bounded_and_do_not_depend_on_cuts() {
        replay("websocket", |input| {
            let run = |size: usize| {
                let (mut decoder, mut scratch) = (Decoder::new(300), Scratch::new());
                let (mut found, mut arrived) = (Vec::new(), 0);
                for mut piece in input.chunks(size) {
                    arrived += piece.len();
                    loop {
                        match next(&mut decoder, &mut piece, &mut scratch) {
                            Ok(Some(message)) => found.push(Ok(message)),
                            Ok(None) => break,
                            Err(error) => {
                                found.push(Err(error));
                                return found;
                            }
                        }
                    }
                    assert!(held_by(&decoder) <= (2 * arrived).max(LEAST_CAPACITY));
                }
                found
            };
            let whole = run(input.len().max(1));
            for size in [1, 2, 3, 7] {
                assert_eq!(run(size), whole, "pieces of {size}");
            }
        });
    }

    /// Texts that are cut at any place, against the standard library.
    #[test]
    fn seeds_of_utf_8_are_refused_as_by_the_standard_library() {
        replay("utf8", |input| {
            for cut in 0..=input.len() {
                let (one, two) = input.split_at(cut);
                let wire = [masked(0x01, MASK, one), masked(0x80, MASK, two)].concat();
                let expected = str::from_utf8(input)
                    .map(|whole| vec![text(whole)])
                    .map_err(|error| DecodeError::InvalidText(error.valid_up_to()));
                assert_eq!(drain(&mut Decoder::new(100_000), &wire), expected, "{cut}");
            }
        });
    }
}
