//! One Engine.IO packet, encoded once for all its recipients.
//!
//! A frame's bytes are the whole WebSocket frame. Polling uses the tail of the same bytes for a
//! text packet; the base64 of a binary one, its frame for clients of Engine.IO v3, and the compressed
//! frame of a broadcast are made when the first recipient needs them (`forms.rs`). Cloning a frame
//! copies no data. It depends on neither sender nor recipient.
//!
//! `websocket/encode.rs` writes the header of a frame. The bytes of an outbox are written to the
//! client by `transport/direct/flusher.rs` on a server of this crate, by `transport/bodies.rs` on an
//! `HttpServer`, and by `transport/polling.rs` in the response to a poll.

use std::cell::RefCell;
use std::sync::Arc;

use bytes::Bytes;

use crate::engineio::{self, EngineMessage, v3};
use crate::link::forms::Forms;
use crate::websocket::{self, Compression, Opcode};

/// An encoded Engine.IO packet.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    websocket: Bytes,
    /// The forms that are made on demand: those of a binary packet, and of one with several
    /// recipients.
    forms: Option<Arc<Forms>>,
    shape: Shape,
}

/// The small values of a frame, in one word: a frame moves several times on its way to a client, and
/// a move of five bytes takes five instructions.
#[derive(Clone, Copy, Debug)]
struct Shape(u32);

impl Shape {
    const COMPRESSIBLE: u32 = 1 << 24;
    const SHARED: u32 = 1 << 25;

    const fn new(polling: Polling, start: u8, skipped: u8) -> Self {
        Self(u32::from_le_bytes([polling as u8, start, skipped, 0]))
    }

    const fn with(self, flag: u32) -> Self {
        Self(self.0 | flag)
    }

    const fn without(self, flag: u32) -> Self {
        Self(self.0 & !flag)
    }

    const fn has(self, flag: u32) -> bool {
        self.0 & flag != 0
    }

    const fn flags(self) -> u32 {
        self.0 & (Self::COMPRESSIBLE | Self::SHARED)
    }

    const fn polling(self) -> Polling {
        match self.0.to_le_bytes()[0] {
            0 => Polling::Tail,
            1 => Polling::Base64,
            2 => Polling::Noop,
            _ => Polling::Close,
        }
    }

    /// Returns the position of the payload in the frame.
    const fn start(self) -> usize {
        self.0.to_le_bytes()[1] as usize
    }

    /// Returns the number of bytes between this position and the data: of the type, in Engine.IO v3.
    const fn skipped(self) -> usize {
        self.0.to_le_bytes()[2] as usize
    }
}

/// The form of the packet in the body of a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Polling {
    /// The frame's payload.
    Tail,
    /// `b` and the base64 of the data.
    Base64,
    /// The packet that says nothing.
    Noop,
    /// The packet that ends a session.
    Close,
}

/// The form of the binary messages of a client, and of the payloads of its polls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum BinaryForm {
    #[default]
    V4,
    /// Engine.IO v3.
    V3,
    /// Engine.IO v3, for a client that reads only text.
    V3Base64,
}

/// A packet of a payload of v3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FramePart<'a> {
    /// The text of a packet.
    Text(&'a [u8]),
    /// The data of a binary message.
    Binary(&'a [u8]),
}

impl Frame {
    /// The number of bytes that a waiting frame occupies beside its own: its entry in the queue,
    /// which may be half empty, and the allocator's overhead for a few bytes. Without them a queue
    /// of empty frames would occupy thirty times its counted size.
    pub(crate) const OVERHEAD: usize = 128;

    /// Encodes a text message, which `write` appends to its argument.
    ///
    /// # Errors
    ///
    /// The error of `write`.
    pub(crate) fn message<T, E>(
        write: impl FnOnce(&mut Vec<u8>) -> Result<T, E>,
    ) -> Result<(Self, T), E> {
        Self::text(|out| {
            out.push(engineio::MESSAGE);
            write(out)
        })
    }

    /// Encodes a packet that has no data or a fixed one.
    pub(crate) fn packet(text: &str) -> Self {
        Self::written(|out| out.extend_from_slice(text.as_bytes()))
    }

    /// Encodes a message of a program, or of its parser.
    pub(crate) fn of(message: &EngineMessage) -> Self {
        match message {
            EngineMessage::Binary(data) => Self::binary(data),
            EngineMessage::Text(text) => {
                Self::written_message(|out| out.extend_from_slice(text.as_bytes()))
            }
        }
    }

    /// Encodes a text message whose writer does not fail.
    pub(crate) fn written_message(write: impl FnOnce(&mut Vec<u8>)) -> Self {
        Self::written(|out| {
            out.push(engineio::MESSAGE);
            write(out);
        })
    }

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> Self {
        let written = Self::text(|out| {
            write(out);
            Ok::<(), std::convert::Infallible>(())
        });
        match written {
            Ok((frame, ())) => frame,
            Err(never) => match never {},
        }
    }

    /// Encodes a binary message.
    pub(crate) fn binary(data: &[u8]) -> Self {
        let mut space = [0; websocket::MAX_HEADER];
        let header = websocket::write_header(&mut space, websocket::Opcode::Binary, data.len());
        let mut framed = Vec::with_capacity(header + data.len());
        framed.extend_from_slice(&space[space.len() - header..]);
        framed.extend_from_slice(data);
        Self {
            websocket: framed.into(),
            forms: Some(Arc::default()),
            shape: Shape::new(Polling::Base64, header as u8, 0).with(Shape::COMPRESSIBLE),
        }
    }

    #[inline]
    pub(crate) fn is_binary(&self) -> bool {
        self.shape.polling() == Polling::Base64
    }

    /// Changes a binary message to the form of its client. A text is the same in all forms.
    pub(crate) fn take_form(&mut self, form: BinaryForm) {
        let (Polling::Base64, Some(forms)) = (self.shape.polling(), &self.forms) else {
            return;
        };
        let data = self.data();
        let (v3, polling) = match form {
            BinaryForm::V3 if self.shape.skipped() == 0 => (forms.v3_binary(data), Polling::Base64),
            BinaryForm::V3Base64 => (forms.v3_base64(data), Polling::Tail),
            BinaryForm::V3 | BinaryForm::V4 => return,
        };
        let payload = match polling {
            Polling::Base64 => data.len() + 1,
            Polling::Tail | Polling::Noop | Polling::Close => v3::base64_len(data.len()),
        };
        *self = Self {
            websocket: v3.websocket.clone(),
            forms: Some(Arc::clone(&v3.forms)),
            shape: Shape::new(
                polling,
                (v3.websocket.len() - payload) as u8,
                u8::from(polling == Polling::Base64),
            )
            .with(self.shape.flags()),
        };
    }

    /// Returns the packet as a part of a payload of v3.
    pub(crate) fn part(&self) -> FramePart<'_> {
        match self.shape.polling() {
            Polling::Tail => FramePart::Text(self.payload()),
            Polling::Base64 => FramePart::Binary(self.data()),
            Polling::Noop => FramePart::Text(engineio::NOOP.as_bytes()),
            Polling::Close => FramePart::Text(engineio::CLOSE.as_bytes()),
        }
    }

    /// Returns bytes that precede all frames of a WebSocket; a poll ignores them.
    pub(crate) fn raw(bytes: Bytes) -> Self {
        Self::fixed(bytes, Polling::Noop)
    }

    /// Returns the packet that ends a session: a close frame, or `1` in a poll.
    pub(crate) fn close(code: Option<u16>) -> Self {
        Self::fixed(websocket::close_frame(code), Polling::Close)
    }

    /// Returns the pong frame for a ping frame.
    pub(crate) fn pong(payload: &[u8]) -> Self {
        let frame = websocket::frame(Opcode::Pong, payload);
        Self::fixed(frame, Polling::Noop)
    }

    fn fixed(websocket: Bytes, polling: Polling) -> Self {
        Self {
            websocket,
            forms: None,
            shape: Shape::new(polling, 0, 0),
        }
    }

    /// Marks the packet as not worth compressing.
    pub(crate) fn without_compression(mut self) -> Self {
        self.shape = self.shape.without(Shape::COMPRESSIBLE);
        self
    }

    /// Lets the recipients share the compressed frame of a packet that has at least `threshold`
    /// bytes. It is compressed when the first of them needs it.
    pub(crate) fn shared(mut self, threshold: usize) -> Self {
        if self.compressible(threshold).is_some() {
            self.forms.get_or_insert_default();
            self.shape = self.shape.with(Shape::SHARED);
        }
        self
    }

    /// Returns the payload of a packet that is worth compressing and has at least `threshold`
    /// bytes.
    pub(crate) fn compressible(&self, threshold: usize) -> Option<(Opcode, &[u8])> {
        let opcode = match self.shape.polling() {
            Polling::Tail => Opcode::Text,
            Polling::Base64 => Opcode::Binary,
            Polling::Noop | Polling::Close => return None,
        };
        let payload = self.payload();
        let is_worth_it = self.shape.has(Shape::COMPRESSIBLE) && payload.len() >= threshold.max(1);
        is_worth_it.then_some((opcode, payload))
    }

    /// Returns the compressed frame of such a packet, if compression is a gain.
    pub(crate) fn compressed(&self, threshold: usize, compression: Compression) -> Option<Bytes> {
        let (opcode, payload) = self.compressible(threshold)?;
        match &self.forms {
            Some(forms) if self.shape.has(Shape::SHARED) => {
                forms.compressed(compression, opcode, payload)
            }
            _ => websocket::compressed(compression, opcode, payload),
        }
    }

    /// Returns `true` if this packet is a reason to compress the body of a poll.
    pub(crate) fn wants_compression(&self) -> bool {
        self.shape.has(Shape::COMPRESSIBLE)
    }

    /// Returns the frame's bytes on a WebSocket.
    pub(crate) fn websocket(&self) -> &Bytes {
        &self.websocket
    }

    /// Returns the frame's size on a WebSocket, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.websocket.len()
    }

    /// Returns the approximate maximal memory of the frame while it is kept, in bytes: its own, the
    /// base64 for polls, and the compressed frame of a packet with several recipients.
    pub(crate) fn footprint(&self) -> usize {
        let length = self.websocket.len();
        let base64 = match self.shape.polling() {
            Polling::Base64 => length.div_ceil(3) * 4,
            Polling::Tail | Polling::Noop | Polling::Close => 0,
        };
        let compressed = if self.shape.has(Shape::SHARED) {
            length
        } else {
            0
        };
        let forms = match self.forms {
            Some(_) => base64 + compressed + FORMS,
            None => 0,
        };
        length + forms + ALLOCATION
    }

    /// Returns the frame's cost in an outbox.
    pub(crate) fn cost(&self) -> usize {
        self.len() + Self::OVERHEAD
    }

    /// Appends the packet in the form of a poll's body.
    pub(crate) fn push_polling(&self, body: &mut Vec<u8>) {
        match self.shape.polling() {
            Polling::Tail => body.extend_from_slice(self.payload()),
            Polling::Base64 => match &self.forms {
                Some(forms) => body.extend_from_slice(forms.base64(self.data())),
                None => engineio::push_binary(body, self.data()),
            },
            Polling::Noop => body.extend_from_slice(engineio::NOOP.as_bytes()),
            Polling::Close => body.extend_from_slice(engineio::CLOSE.as_bytes()),
        }
    }

    /// Returns the text of a message.
    pub(crate) fn message_text(&self) -> Option<&str> {
        match (self.shape.polling(), self.payload().split_first()) {
            (Polling::Tail, Some((&engineio::MESSAGE, text))) => std::str::from_utf8(text).ok(),
            _ => None,
        }
    }

    /// Returns the data of a binary message.
    pub(crate) fn binary_data(&self) -> Option<&[u8]> {
        self.is_binary().then(|| self.data())
    }

    fn payload(&self) -> &[u8] {
        &self.websocket[self.shape.start()..]
    }

    /// Returns the data of a binary message.
    fn data(&self) -> &[u8] {
        &self.websocket[self.shape.start() + self.shape.skipped()..]
    }

    /// Writes after a gap for the longest header, then puts the header directly before the text.
    fn text<T, E>(write: impl FnOnce(&mut Vec<u8>) -> Result<T, E>) -> Result<(Self, T), E> {
        // Taken out during its use, because a `Serialize` of the program may emit itself.
        let mut scratch = SCRATCH.with(RefCell::take);
        scratch.clear();
        scratch.resize(websocket::MAX_HEADER, 0);
        let written = write(&mut scratch);
        let frame = Self::from_scratch(&mut scratch);
        if scratch.capacity() <= SCRATCH_KEPT {
            SCRATCH.with(|kept| kept.replace(scratch));
        }
        written.map(|written| (frame, written))
    }

    fn from_scratch(scratch: &mut [u8]) -> Self {
        let mut space = [0; websocket::MAX_HEADER];
        let length = scratch.len() - websocket::MAX_HEADER;
        let header = websocket::write_header(&mut space, websocket::Opcode::Text, length);
        let start = websocket::MAX_HEADER - header;
        scratch[start..websocket::MAX_HEADER].copy_from_slice(&space[start..]);
        Self {
            // The exact size in one allocation, which its first recipient owns without a count.
            websocket: Bytes::copy_from_slice(&scratch[start..]),
            forms: None,
            shape: Shape::new(Polling::Tail, header as u8, 0).with(Shape::COMPRESSIBLE),
        }
    }
}

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The number of bytes that the allocator adds to an allocation, for its own data and by rounding.
const ALLOCATION: usize = 24;

/// The number of bytes of the holder of a frame's further forms.
const FORMS: usize = size_of::<Forms>() + 2 * ALLOCATION;

/// The number of bytes of scratch that a thread keeps between two frames.
const SCRATCH_KEPT: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn polling(frame: &Frame) -> String {
        let mut body = Vec::new();
        frame.push_polling(&mut body);
        String::from_utf8(body).unwrap()
    }

    fn message(text: &str) -> Frame {
        let write = |out: &mut Vec<u8>| {
            out.extend_from_slice(text.as_bytes());
            Ok::<(), ()>(())
        };
        Frame::message(write).unwrap().0
    }

    fn in_form(frame: &Frame, form: BinaryForm) -> Frame {
        let mut frame = frame.clone();
        frame.take_form(form);
        frame
    }

    #[test]
    fn a_text_message_is_one_buffer_for_both_transports() {
        for length in [0, 124, 125, 65_534, 65_535, 100_000] {
            let text = "x".repeat(length);
            let frame = message(&text);
            assert_eq!(polling(&frame), format!("4{text}"));
            let header = frame.len() - length - 1;
            assert_eq!(
                header,
                [2, 4, 10][usize::from(length >= 125) + usize::from(length > 65_534)]
            );
            assert_eq!(frame.websocket()[0], 0x81);
        }
    }

    #[test]
    fn a_binary_message_is_raw_on_a_websocket_and_base64_in_a_poll() {
        let frame = Frame::binary(&[1, 2, 3]);
        assert_eq!(&frame.websocket()[..], [0x82, 3, 1, 2, 3]);
        assert_eq!(polling(&frame), "bAQID");
        assert_eq!(polling(&frame), "bAQID");
    }

    #[test]
    fn a_binary_message_of_v3_begins_with_its_type() {
        let data: Vec<u8> = (0..=255).cycle().take(70_000).collect();
        for length in [0, 3, 124, 125, 126, 65_534, 65_535, 70_000] {
            let frame = Frame::binary(&data[..length]);
            let old = in_form(&frame, BinaryForm::V3);
            let (header, packet) = old.websocket().split_at(old.len() - length - 1);
            assert_eq!(header[0], 0x82);
            assert_eq!((packet[0], &packet[1..]), (4, &data[..length]));
            assert_eq!(old.part(), FramePart::Binary(&data[..length]));
            assert_eq!(old.compressible(0), Some((Opcode::Binary, packet)));
            // The base64 for polls of v4 is that of the same data.
            assert_eq!(polling(&old), polling(&frame));
            let text = in_form(&frame, BinaryForm::V3Base64);
            assert_eq!(text.websocket()[0], 0x81);
            assert_eq!(polling(&text), format!("b4{}", &polling(&frame)[1..]));
            assert_eq!(text.part(), FramePart::Text(polling(&text).as_bytes()));
            // Changed again, as by an upgrade.
            let again = in_form(&old, BinaryForm::V3);
            assert_eq!(again.websocket(), old.websocket());
            let again = in_form(&old, BinaryForm::V3Base64);
            assert_eq!(again.websocket(), text.websocket());
        }
    }

    #[test]
    fn each_form_of_a_message_is_made_once() {
        for form in [BinaryForm::V4, BinaryForm::V3, BinaryForm::V3Base64] {
            let frame = Frame::binary(&[1, 2, 3]).shared(1);
            let (one, other) = (in_form(&frame, form), in_form(&frame, form));
            assert_eq!(one.websocket().as_ptr(), other.websocket().as_ptr());
            let forms = |frame: &Frame| frame.forms.as_ref().map(Arc::as_ptr);
            assert!(forms(&one).is_some());
            assert_eq!(forms(&one), forms(&other));
        }
        let text = message("text");
        let same = in_form(&text, BinaryForm::V3);
        assert_eq!(text.websocket().as_ptr(), same.websocket().as_ptr());
        assert_eq!(same.part(), FramePart::Text(b"4text"));
        assert_eq!(Frame::close(None).part(), FramePart::Text(b"1"));
    }

    #[test]
    fn closing_is_a_close_frame_or_a_close_packet() {
        assert_eq!(&Frame::close(None).websocket()[..], [0x88, 0]);
        assert_eq!(
            &Frame::close(Some(1009)).websocket()[..],
            [0x88, 2, 3, 0xf1]
        );
        assert_eq!(polling(&Frame::close(None)), "1");
    }

    #[test]
    fn a_frame_is_small() {
        assert!(size_of::<Frame>() <= 48, "{}", size_of::<Frame>());
    }

    const FAST: Compression = Compression {
        window_bits: 15,
        level: 1,
    };

    #[test]
    fn a_shared_frame_is_compressed_once_for_each_way_to_compress() {
        let frames = [message(&"x".repeat(2000)), Frame::binary(&[7; 2000])];
        for frame in frames {
            let before = websocket::compressions();
            let shared = frame.clone().shared(1024);
            let made = shared.compressed(1024, FAST).unwrap();
            for clone in vec![shared.clone(); 1000] {
                assert_eq!(clone.compressed(1024, FAST).as_ref(), Some(&made));
            }
            assert_eq!(websocket::compressions() - before, 1);
            let narrow = Compression {
                window_bits: 9,
                ..FAST
            };
            assert!(shared.clone().compressed(1024, narrow).is_some());
            assert!(shared.compressed(1024, narrow).is_some());
            assert_eq!(websocket::compressions() - before, 2);
            assert_eq!(polling(&shared), polling(&frame));
            // A frame of one recipient has no place for it.
            assert_eq!(frame.compressed(1024, FAST), Some(made));
            assert_eq!(websocket::compressions() - before, 3);
        }
    }

    #[test]
    fn a_frame_is_compressed_from_the_threshold_on() {
        // With the type of the packet.
        for (length, is_compressed) in [(98, false), (99, true)] {
            let frame = message(&"x".repeat(length)).shared(100);
            assert_eq!(frame.compressed(100, FAST).is_some(), is_compressed);
            let binary = Frame::binary(&vec![7; length + 1]).shared(100);
            assert_eq!(binary.compressed(100, FAST).is_some(), is_compressed);
        }
        assert!(Frame::binary(&[]).compressible(0).is_none());
        assert!(Frame::close(None).compressible(0).is_none());
        assert!(Frame::pong(b"x").compressible(0).is_none());
        assert!(
            Frame::raw(Bytes::from_static(b"x"))
                .compressible(0)
                .is_none()
        );
    }

    #[test]
    fn a_frame_without_compression_is_not_compressed() {
        for frame in [message(&"x".repeat(2000)), Frame::binary(&[7; 2000])] {
            let plain = frame.clone().shared(100).without_compression();
            assert_eq!(plain.compressed(100, FAST), None);
            assert!(!plain.wants_compression());
            assert_eq!(
                frame
                    .without_compression()
                    .shared(100)
                    .compressed(100, FAST),
                None
            );
        }
    }

    #[test]
    fn a_failed_write_is_no_frame() {
        assert_eq!(Frame::message(|_| Err::<(), _>("no")).unwrap_err(), "no");
        assert_eq!(polling(&message("after")), "4after");
    }
}
