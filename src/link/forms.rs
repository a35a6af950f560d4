//! The forms of a packet that are made on demand, once for all its recipients.

use std::sync::OnceLock;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::engineio;
use crate::websocket::{self, Compression, Opcode};

/// The forms of one packet, shared by its clones.
#[derive(Debug, Default)]
pub(crate) struct Forms {
    /// `b` and the base64 of a binary packet.
    base64: OnceLock<Bytes>,
    /// The compressed frame for each agreed way to compress; `None` if compression is no gain. The
    /// lock is held while a frame is compressed, so that no other thread compresses it too.
    compressed: Mutex<Vec<(Compression, Option<Bytes>)>>,
}

impl Forms {
    /// Returns the form of binary data in a poll.
    pub(crate) fn base64(&self, data: &[u8]) -> &Bytes {
        self.base64.get_or_init(|| {
            let mut text = Vec::with_capacity(1 + data.len().div_ceil(3) * 4);
            engineio::push_binary(&mut text, data);
            text.into()
        })
    }

    /// Returns the compressed frame of a payload.
    pub(crate) fn compressed(
        &self,
        compression: Compression,
        opcode: Opcode,
        payload: &[u8],
    ) -> Option<Bytes> {
        let mut forms = self.compressed.lock();
        if let Some((_, made)) = forms.iter().find(|(kept, _)| *kept == compression) {
            return made.clone();
        }
        let made = websocket::compressed(compression, opcode, payload);
        forms.push((compression, made.clone()));
        made
    }
}
