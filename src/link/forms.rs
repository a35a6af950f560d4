//! The forms of a packet that are made on demand, once for all its recipients.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::engineio::{self, v3};
use crate::websocket::{self, Compression, Opcode};

/// The forms of one packet, shared by its clones.
#[derive(Debug, Default)]
pub(crate) struct Forms {
    /// `b` and the base64 of a binary packet.
    base64: OnceLock<Bytes>,
    /// The compressed frame for each agreed way to compress; `None` if compression is no gain. The
    /// lock is held while a frame is compressed, so that no other thread compresses it too.
    compressed: Mutex<Vec<(Compression, Option<Bytes>)>>,
    /// Made for the first client of Engine.IO v3.
    v3: OnceLock<Box<V3Forms>>,
}

/// The WebSocket frames of a binary packet in Engine.IO v3.
#[derive(Debug, Default)]
struct V3Forms {
    /// The byte of the type, and the data.
    binary: OnceLock<V3Form>,
    /// `b4` and the base64, as a text.
    base64: OnceLock<V3Form>,
}

/// A WebSocket frame in Engine.IO v3, and its own further forms.
#[derive(Debug)]
pub(crate) struct V3Form {
    pub(crate) websocket: Bytes,
    pub(crate) forms: Arc<Forms>,
}

impl V3Form {
    fn new(opcode: Opcode, packet: &[u8]) -> Self {
        Self {
            websocket: websocket::frame(opcode, packet),
            forms: Arc::default(),
        }
    }
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

    /// Returns the frame of binary data in v3.
    pub(crate) fn v3_binary(&self, data: &[u8]) -> &V3Form {
        let forms = self.v3.get_or_init(Box::default);
        forms.binary.get_or_init(|| {
            let mut packet = Vec::with_capacity(data.len() + 1);
            v3::push_binary(&mut packet, data);
            V3Form::new(Opcode::Binary, &packet)
        })
    }

    /// Returns the frame of binary data in v3, for a client that reads only text.
    pub(crate) fn v3_base64(&self, data: &[u8]) -> &V3Form {
        let forms = self.v3.get_or_init(Box::default);
        forms.base64.get_or_init(|| {
            let mut packet = Vec::with_capacity(v3::base64_len(data.len()));
            v3::push_base64(&mut packet, data);
            V3Form::new(Opcode::Text, &packet)
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
