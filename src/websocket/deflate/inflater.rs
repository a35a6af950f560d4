//! Decompresses the messages of one client.

use std::cell::RefCell;

use flate2::{Decompress, FlushDecompress, Status};

use crate::websocket::deflate::{DeflateWindow, LEAST_BITS, TAIL, WINDOW_BITS};
use crate::websocket::error::DecodeError;

/// Decompresses message after message. Without context takeover it holds a stream only while a
/// message is incomplete.
#[derive(Debug)]
pub(crate) struct Inflater {
    window: DeflateWindow,
    stream: Option<Decompress>,
    /// The sender has removed no tail: no byte of the message has arrived, or its last one so far
    /// has ended a block that was marked as final.
    is_complete: bool,
}

impl Inflater {
    pub(crate) fn new(window: DeflateWindow) -> Self {
        Self {
            window,
            stream: None,
            is_complete: true,
        }
    }

    /// Decompresses a piece of a message, and passes the plain bytes to `give` as they come, in
    /// pieces of up to [`CHUNK`] bytes. `space` is a buffer for them.
    ///
    /// # Errors
    ///
    /// Returns the error of `give`, or that the data are no DEFLATE.
    pub(crate) fn inflate(
        &mut self,
        piece: &[u8],
        is_last: bool,
        space: &mut Vec<u8>,
        mut give: impl FnMut(&[u8]) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        space.resize(CHUNK, 0);
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.fresh(),
        };
        self.step(&mut stream, piece, space, &mut give)?;
        // RFC 7692 §7.2.2: the tail that the sender has removed.
        if is_last && !self.is_complete {
            self.step(&mut stream, &TAIL, space, &mut give)?;
        }
        if !is_last {
            self.stream = Some(stream);
            return Ok(());
        }
        self.is_complete = true;
        if self.window.is_kept {
            self.stream = Some(stream);
        } else {
            stream.reset(false);
            POOL.with_borrow_mut(|pool| {
                if pool.len() < POOLED {
                    pool.push(stream);
                }
            });
        }
        Ok(())
    }

    fn fresh(&self) -> Decompress {
        let most = *WINDOW_BITS.end();
        if self.window.is_kept {
            // A larger window than that of the sender is allowed.
            let bits = self.window.bits.clamp(LEAST_BITS, most);
            return Decompress::new_with_window_bits(false, bits);
        }
        let pooled = POOL.with_borrow_mut(Vec::pop);
        pooled.unwrap_or_else(|| Decompress::new_with_window_bits(false, most))
    }

    fn step(
        &mut self,
        stream: &mut Decompress,
        mut input: &[u8],
        space: &mut [u8],
        give: &mut impl FnMut(&[u8]) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        loop {
            let before = (stream.total_in(), stream.total_out());
            let status = stream
                .decompress(input, space, FlushDecompress::Sync)
                .map_err(|_| DecodeError::InvalidDeflate)?;
            let taken = usize::try_from(stream.total_in() - before.0).unwrap_or_default();
            let given = usize::try_from(stream.total_out() - before.1).unwrap_or_default();
            input = input.get(taken..).unwrap_or_default();
            if taken > 0 {
                self.is_complete = status == Status::StreamEnd;
            }
            give(space.get(..given).unwrap_or_default())?;
            if status == Status::StreamEnd {
                // RFC 7692 §7.2.3.4 and §7.2.3.5: a block that is marked as final does not end the
                // message.
                stream.reset(false);
            } else if given < space.len() && (input.is_empty() || taken == 0) {
                return Ok(());
            }
            if self.is_complete && input.is_empty() {
                return Ok(());
            }
        }
    }
}

/// Returns the number of bytes to which a message of `plain` bytes may be compressed, by any
/// encoder that avoids useless blocks: one that uses 9 bits for a byte, with the heads of its blocks.
pub(crate) fn most_compressed(plain: usize) -> usize {
    plain
        .saturating_add(plain / 4)
        .saturating_add(LEAST_COMPRESSED)
}

const LEAST_COMPRESSED: usize = 64;

/// The number of bytes that are decompressed at once. A message exceeds its limit by less than that.
pub(crate) const CHUNK: usize = 16 * 1024;

thread_local! {
    /// The streams that no message uses. Each takes up to 48 kB.
    static POOL: RefCell<Vec<Decompress>> = const { RefCell::new(Vec::new()) };
}

/// The number of streams that a thread keeps. More are in use only if more clients have incomplete
/// messages.
const POOLED: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: [u8; 7] = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00];

    fn inflater(is_kept: bool) -> Inflater {
        Inflater::new(DeflateWindow { bits: 15, is_kept })
    }

    /// Decompresses a message that comes byte by byte.
    fn inflated(inflater: &mut Inflater, data: &[u8]) -> Result<String, DecodeError> {
        let (mut plain, mut space) = (Vec::new(), Vec::new());
        for (index, byte) in data.iter().enumerate() {
            let is_last = index + 1 == data.len();
            inflater.inflate(&[*byte], is_last, &mut space, |piece| {
                plain.extend_from_slice(piece);
                Ok(())
            })?;
        }
        Ok(String::from_utf8(plain).unwrap())
    }

    /// RFC 7692 §7.2.3.
    #[test]
    fn examples_of_the_specification_are_read() {
        let table: [&[u8]; 5] = [
            &HELLO,
            // Without compression, and with a final block, with its padding and without.
            &[
                0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00,
            ],
            &[0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00],
            &[0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00],
            // Two blocks.
            &[
                0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00,
            ],
        ];
        for is_kept in [false, true] {
            let mut inflater = inflater(is_kept);
            for data in table {
                assert_eq!(
                    inflated(&mut inflater, data),
                    Ok("Hello".to_owned()),
                    "{data:x?}"
                );
            }
        }
    }

    /// RFC 7692 §7.2.3.2.
    #[test]
    fn a_message_refers_to_the_one_before_only_with_context_takeover() {
        let again = [0xF2, 0x00, 0x11, 0x00, 0x00];
        let mut keeping = inflater(true);
        assert!(inflated(&mut keeping, &HELLO).is_ok());
        assert_eq!(inflated(&mut keeping, &again), Ok("Hello".to_owned()));
        let mut single = inflater(false);
        assert!(inflated(&mut single, &HELLO).is_ok());
        assert_eq!(
            inflated(&mut single, &again),
            Err(DecodeError::InvalidDeflate)
        );
    }

    #[test]
    fn without_context_takeover_a_stream_is_held_during_a_message_only() {
        let (mut inflater, mut space) = (inflater(false), Vec::new());
        assert!(inflater.stream.is_none());
        inflater
            .inflate(&HELLO[..3], false, &mut space, |_| Ok(()))
            .unwrap();
        assert!(inflater.stream.is_some());
        inflater
            .inflate(&HELLO[3..], true, &mut space, |_| Ok(()))
            .unwrap();
        assert!(inflater.stream.is_none());
        assert_eq!(POOL.with_borrow(Vec::len), 1);
    }

    #[test]
    fn data_that_are_no_deflate_are_refused() {
        for data in [&[0x07][..], &[0xFF; 10], &[0x00, 0x05, 0x00, 0xFA, 0xFE]] {
            let found = inflated(&mut inflater(false), data);
            assert_eq!(found, Err(DecodeError::InvalidDeflate), "{data:x?}");
        }
    }
}
