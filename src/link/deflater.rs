//! The compression of the frames of one WebSocket.
//!
//! Frames enter in the order in which they are sent, the bytes to send leave. Without context
//! takeover the compressed bytes of a broadcast are those of its [`Frame`], which all recipients
//! share, and nothing is held here. The outbox does not know whether its WebSocket compresses.

use bytes::Bytes;

use crate::link::Frame;
use crate::websocket::{Compression, Compressor};

/// Compresses the frames of one WebSocket.
#[derive(Debug)]
pub(crate) struct Deflater {
    threshold: usize,
    compression: Compression,
    keeps_context: bool,
    /// The stream with context takeover, from the first compressed frame on.
    own: Option<Compressor>,
}

impl Deflater {
    /// Compresses packets of at least `threshold` bytes.
    pub(crate) fn new(threshold: usize, compression: Compression, keeps_context: bool) -> Self {
        Self {
            threshold,
            compression,
            keeps_context,
            own: None,
        }
    }

    /// Returns the bytes of a frame for this WebSocket.
    pub(crate) fn bytes(&mut self, frame: &Frame) -> Bytes {
        let compressed = if !self.keeps_context {
            frame.compressed(self.threshold, self.compression)
        } else if let Some((opcode, payload)) = frame.compressible(self.threshold) {
            let fresh = || Compressor::new(self.compression);
            let made = self.own.get_or_insert_with(fresh).frame(opcode, payload);
            if made.is_none() {
                // A new stream refers to nothing that the client does not have.
                self.own = None;
            }
            made
        } else {
            None
        };
        compressed.unwrap_or_else(|| frame.websocket().clone())
    }
}
