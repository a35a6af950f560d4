//! The caller's buffers for one message, which all clients of a worker may share.

/// The payload of the last decoded message. [`Kind::message`](super::Kind::message) reads it.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// The payload, except that of a [`Kind::CheckedText`](super::Kind::CheckedText). While a piece
    /// of such a text is decoded, the piece without its mask.
    pub(super) bytes: Vec<u8>,
    /// The last text that came in pieces.
    pub(super) text: String,
    /// A piece of a compressed message, decompressed.
    pub(super) inflated: Vec<u8>,
}

impl Scratch {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            text: String::new(),
            inflated: Vec::new(),
        }
    }

    /// Releases each buffer with more than `kept` bytes. The buffer of decompressed pieces has a
    /// constant size.
    pub(crate) fn trim(&mut self, kept: usize) {
        if self.bytes.capacity() > kept {
            self.bytes = Vec::new();
        }
        if self.text.capacity() > kept {
            self.text = String::new();
        }
    }
}
