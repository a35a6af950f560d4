//! Compresses payloads into frames.

use std::cell::RefCell;

use bytes::Bytes;
use flate2::{Compress, CompressError, FlushCompress, Status};

use crate::websocket::deflate::{LEAST_BITS, TAIL, WINDOW_BITS};
use crate::websocket::{MAX_HEADER, Opcode, RSV1, write_header};

/// The way to compress: messages that are compressed in the same way have the same bytes, if there
/// is no context takeover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Compression {
    /// The base-2 logarithm of the window's size.
    pub(crate) window_bits: u8,
    /// From 1, the fastest, to 9.
    pub(crate) level: u8,
}

/// A stream whose messages refer to the messages before them.
#[derive(Debug)]
pub(crate) struct Compressor {
    stream: Compress,
}

impl Compressor {
    pub(crate) fn new(compression: Compression) -> Self {
        Self {
            stream: stream(compression),
        }
    }

    /// Returns the frame of a payload; `None` if it failed: then the stream must not be used again.
    pub(crate) fn frame(&mut self, opcode: Opcode, payload: &[u8]) -> Option<Bytes> {
        deflate(&mut self.stream, opcode, payload).ok()
    }
}

/// Returns the compressed frame of a payload, without context takeover; `None` if it would be no
/// smaller than the payload.
pub(crate) fn compressed(
    compression: Compression,
    opcode: Opcode,
    payload: &[u8],
) -> Option<Bytes> {
    let pooled = POOL.with_borrow_mut(|pool| {
        let place = pool.iter().position(|(kept, _)| *kept == compression)?;
        Some(pool.swap_remove(place).1)
    });
    let mut stream = pooled.unwrap_or_else(|| stream(compression));
    // A stream that failed is dropped.
    let frame = deflate(&mut stream, opcode, payload).ok()?;
    stream.reset();
    POOL.with_borrow_mut(|pool| {
        if pool.len() < POOLED {
            pool.push((compression, stream));
        }
    });
    (frame.len() < payload.len()).then_some(frame)
}

fn stream(compression: Compression) -> Compress {
    // RFC 7692 §7.1.2.1: a smaller window than the agreed one is allowed, a larger one is not.
    let bits = compression
        .window_bits
        .clamp(LEAST_BITS, *WINDOW_BITS.end());
    let level = flate2::Compression::new(compression.level.into());
    Compress::new_with_window_bits(level, false, bits)
}

/// RFC 7692 §7.2.1: compresses, flushes to a byte boundary, and removes the tail.
fn deflate(
    stream: &mut Compress,
    opcode: Opcode,
    mut payload: &[u8],
) -> Result<Bytes, CompressError> {
    #[cfg(test)]
    COMPRESSIONS.with(|count| count.set(count.get() + 1));
    let mut out = vec![0; MAX_HEADER];
    out.reserve(payload.len() / 4 + LEAST_SPACE);
    loop {
        let before = stream.total_in();
        let status = stream.compress_vec(payload, &mut out, FlushCompress::Sync)?;
        let taken = stream.total_in() - before;
        payload = payload
            .get(usize::try_from(taken).unwrap_or_default()..)
            .unwrap_or_default();
        // Free space is left behind a flush that is complete.
        if payload.is_empty() && (out.len() < out.capacity() || status == Status::BufError) {
            break;
        }
        out.reserve((out.len() / 2).max(LEAST_SPACE));
    }
    if out.ends_with(&TAIL) {
        out.truncate(out.len() - TAIL.len());
    }
    let mut space = [0; MAX_HEADER];
    let header = write_header(&mut space, opcode, out.len() - MAX_HEADER);
    let start = MAX_HEADER - header;
    space[start] |= RSV1;
    out[start..MAX_HEADER].copy_from_slice(&space[start..]);
    Ok(Bytes::copy_from_slice(&out[start..]))
}

thread_local! {
    /// The streams that no message uses. Each takes up to 320 kB.
    static POOL: RefCell<Vec<(Compression, Compress)>> = const { RefCell::new(Vec::new()) };
}

/// The number of streams that a thread keeps: one for each size of the window.
const POOLED: usize = 7;

/// The free space with which a flush is complete in one step, for a short message.
const LEAST_SPACE: usize = 64;

#[cfg(test)]
thread_local! {
    static COMPRESSIONS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Returns the number of payloads that this thread has compressed.
#[cfg(test)]
pub(crate) fn compressions() -> u64 {
    COMPRESSIONS.get()
}

#[cfg(test)]
mod tests {
    use proptest::{
        collection::vec,
        prelude::{Strategy, any},
        prop_assert, prop_assert_eq, proptest,
    };

    use super::*;
    use crate::websocket::deflate::{DeflateWindow, Inflater};

    const FAST: Compression = Compression {
        window_bits: 15,
        level: 1,
    };

    fn payload(frame: &[u8]) -> &[u8] {
        match frame[1] {
            126 => &frame[4..],
            127 => &frame[10..],
            _ => &frame[2..],
        }
    }

    fn inflated(inflater: &mut Inflater, data: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        let give = |piece: &[u8]| {
            plain.extend_from_slice(piece);
            Ok(())
        };
        inflater.inflate(data, true, &mut Vec::new(), give).unwrap();
        plain
    }

    fn inflater(bits: u8, is_kept: bool) -> Inflater {
        Inflater::new(DeflateWindow { bits, is_kept })
    }

    /// RFC 7692 §7.2.3.1 and §7.2.3.2.
    #[test]
    fn examples_of_the_specification_are_written() {
        let mut stream = Compressor::new(FAST);
        let hello = [0xC1, 7, 0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00];
        assert_eq!(stream.frame(Opcode::Text, b"Hello").unwrap(), hello[..]);
        let again = stream.frame(Opcode::Text, b"Hello").unwrap();
        assert!(again.len() < hello.len(), "{again:x?}");
        let mut inflater = inflater(15, true);
        assert_eq!(inflated(&mut inflater, &hello[2..]), b"Hello");
        assert_eq!(inflated(&mut inflater, &again[2..]), b"Hello");
    }

    #[test]
    fn a_payload_that_does_not_shrink_is_not_compressed() {
        assert_eq!(compressed(FAST, Opcode::Text, b"Hello"), None);
        let frame = compressed(FAST, Opcode::Binary, &[7; 100]).unwrap();
        assert_eq!(frame[0], 0xC2);
        assert!(frame.len() < 30);
    }

    #[test]
    fn a_stream_goes_back_to_its_pool() {
        for bits in WINDOW_BITS {
            let compression = Compression {
                window_bits: bits,
                level: 1,
            };
            for _ in 0..3 {
                compressed(compression, Opcode::Text, &[b'a'; 100]).unwrap();
            }
        }
        // The eighth has no place: the window of 8 bits is not negotiated.
        assert_eq!(POOL.with_borrow(Vec::len), POOLED);
    }

    proptest! {
        #[test]
        fn frames_inflate_to_their_payloads_in_every_window(
            payloads in vec(vec(any::<u8>().prop_map(|byte| byte % 4), 1..3000), 1..4),
            bits in 9_u8..=15,
            level in 1_u8..=9,
        ) {
            let compression = Compression { window_bits: bits, level };
            let mut keeping = Compressor::new(compression);
            let (mut kept, mut single) = (inflater(bits, true), inflater(bits, false));
            for plain in payloads {
                let frame = keeping.frame(Opcode::Binary, &plain).unwrap();
                prop_assert_eq!(&inflated(&mut kept, payload(&frame)), &plain);
                if let Some(frame) = compressed(compression, Opcode::Binary, &plain) {
                    prop_assert!(frame.len() < plain.len());
                    prop_assert_eq!(&inflated(&mut single, payload(&frame)), &plain);
                }
            }
        }
    }
}
