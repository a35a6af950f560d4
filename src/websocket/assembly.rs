//! The received part of a message that comes in pieces: in fragments, or in several reads.
//!
//! Pieces of payload enter. A text is checked as its pieces arrive, so that a byte that is not UTF-8
//! is refused before the message is whole (RFC 6455 §8.1). No byte is checked twice, except up to
//! three of a character that is cut. The whole message leaves through the caller's buffers. The
//! limit of a message is its caller's.

use std::str;

use crate::websocket::error::DecodeError;
use crate::websocket::kind::Kind;
use crate::websocket::mask;
use crate::websocket::scratch::Scratch;

/// The incomplete message of one client.
#[derive(Debug)]
pub(super) struct Assembly {
    content: Content,
    /// The beginning of a character whose end has not arrived: the first `held` of the bytes.
    character: [u8; 3],
    held: u8,
    kind: Kind,
    /// The number of received bytes, if the message is compressed.
    compressed: Option<usize>,
}

#[derive(Debug)]
enum Content {
    Binary(Vec<u8>),
    /// Whole characters. A `String`, because its bytes need no second check.
    Text(String),
}

impl Assembly {
    /// Begins a message.
    pub(super) fn new(kind: Kind, is_compressed: bool) -> Box<Self> {
        let content = match kind {
            Kind::Text => Content::Text(String::new()),
            _ => Content::Binary(Vec::new()),
        };
        Box::new(Self {
            content,
            character: [0; 3],
            held: 0,
            kind,
            compressed: is_compressed.then_some(0),
        })
    }

    /// Returns the kind of the message.
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the number of received bytes, if the message is compressed.
    pub(super) fn compressed(&self) -> Option<usize> {
        self.compressed
    }

    /// Counts received bytes of a compressed message.
    pub(super) fn received(&mut self, bytes: usize) {
        self.compressed = self.compressed.map(|earlier| earlier + bytes);
    }

    /// Returns the number of bytes of the message, without compression.
    pub(super) fn len(&self) -> usize {
        let content = match &self.content {
            Content::Binary(bytes) => bytes.len(),
            Content::Text(text) => text.len(),
        };
        content + usize::from(self.held)
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        match &self.content {
            Content::Binary(bytes) => bytes.capacity(),
            Content::Text(text) => text.capacity(),
        }
    }

    /// Appends a masked piece to a message of up to `most` bytes. `plain` is an empty buffer.
    ///
    /// # Errors
    ///
    /// Returns the position from which on a text is not UTF-8.
    pub(super) fn append(
        &mut self,
        masked: &[u8],
        mask: [u8; 4],
        most: usize,
        plain: &mut Vec<u8>,
    ) -> Result<(), DecodeError> {
        match &mut self.content {
            Content::Binary(bytes) => {
                let wanted = growth(bytes.len(), bytes.capacity(), masked.len(), most);
                bytes.reserve_exact(wanted);
                mask::unmask(bytes, masked, mask);
                Ok(())
            }
            Content::Text(_) => {
                plain.reserve_exact(masked.len());
                mask::unmask(plain, masked, mask);
                let checked = self.append_text(plain, most);
                plain.clear();
                checked
            }
        }
    }

    /// Appends a decompressed piece to a message of up to `most` bytes.
    ///
    /// # Errors
    ///
    /// Returns that the message is too large, or the position from which on a text is not UTF-8.
    pub(super) fn append_inflated(&mut self, plain: &[u8], most: usize) -> Result<(), DecodeError> {
        if plain.len() > most.saturating_sub(self.len()) {
            return Err(DecodeError::InflatedTooBig { limit: most });
        }
        match &mut self.content {
            Content::Binary(bytes) => {
                bytes.reserve_exact(growth(bytes.len(), bytes.capacity(), plain.len(), most));
                bytes.extend_from_slice(plain);
                Ok(())
            }
            Content::Text(_) => self.append_text(plain, most),
        }
    }

    fn append_text(&mut self, piece: &[u8], most: usize) -> Result<(), DecodeError> {
        let Content::Text(text) = &mut self.content else {
            return Ok(());
        };
        let mut held = usize::from(self.held);
        let wanted = growth(text.len(), text.capacity(), held + piece.len(), most);
        text.reserve_exact(wanted);
        let mut character = [0; 4];
        character[..held].copy_from_slice(&self.character[..held]);
        let mut piece = piece;
        while held > 0 {
            let Some((&byte, rest)) = piece.split_first() else {
                break;
            };
            piece = rest;
            // A valid character has at most four bytes, so one of four bytes ends here.
            character[held] = byte;
            held = begun(&character[..=held], text)?;
        }
        if held == 0 {
            let cut = last_character(piece);
            match str::from_utf8(&piece[..cut]) {
                Ok(whole) => text.push_str(whole),
                Err(error) => {
                    return Err(DecodeError::InvalidText(text.len() + error.valid_up_to()));
                }
            }
            let rest = &piece[cut..];
            character[..rest.len()].copy_from_slice(rest);
            held = begun(rest, text)?;
        }
        self.character.copy_from_slice(&character[..3]);
        // At most three: the fourth byte ends a character.
        self.held = held as u8;
        Ok(())
    }

    /// Gives the whole message away, and returns how to read it.
    ///
    /// # Errors
    ///
    /// Returns the position of the last character of a text, if it is cut.
    pub(super) fn finish(self, scratch: &mut Scratch) -> Result<Kind, DecodeError> {
        match self.content {
            Content::Binary(bytes) => {
                // The caller keeps the larger buffer: a short message that was split by chance must
                // not replace a large buffer by a small one.
                if bytes.len() > scratch.bytes.capacity() {
                    scratch.bytes = bytes;
                } else {
                    scratch.bytes.extend_from_slice(&bytes);
                }
                Ok(Kind::Binary)
            }
            Content::Text(text) if self.held > 0 => Err(DecodeError::InvalidText(text.len())),
            Content::Text(text) => {
                scratch.text = text;
                Ok(Kind::CheckedText)
            }
        }
    }
}

/// Appends `bytes` to `text` if they are a character, or nothing. Returns the number of bytes if
/// they are only the beginning of a character.
fn begun(bytes: &[u8], text: &mut String) -> Result<usize, DecodeError> {
    match str::from_utf8(bytes) {
        Ok(whole) => {
            text.push_str(whole);
            Ok(0)
        }
        Err(error) if error.error_len().is_none() => Ok(bytes.len()),
        Err(_) => Err(DecodeError::InvalidText(text.len())),
    }
}

/// Returns the position of a character that is cut by the end of `bytes`, or their length.
fn last_character(bytes: &[u8]) -> usize {
    for (back, byte) in bytes.iter().rev().take(3).enumerate() {
        let width = match byte {
            0x80..=0xBF => continue,
            0x00..=0x7F => 1,
            0xC0..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xFF => 4,
        };
        return bytes.len() - if back + 1 < width { back + 1 } else { 0 };
    }
    bytes.len()
}

/// Returns the capacity to reserve for `arrived` more bytes, of a message of up to `most` bytes. It
/// doubles the capacity as `Vec` does, so that many small pieces are cheap. The length in a header
/// is only an upper bound: a client that declares much and sends little must not cause a large
/// allocation.
fn growth(length: usize, capacity: usize, arrived: usize, most: usize) -> usize {
    let needed = length.saturating_add(arrived).min(most.max(length));
    if needed <= capacity {
        return 0;
    }
    let target = capacity
        .saturating_mul(2)
        .max(LEAST_CAPACITY)
        .min(most)
        .max(needed);
    target - length
}

/// Saves one allocation each for the first few bytes of a slow message.
pub(super) const LEAST_CAPACITY: usize = 64;
