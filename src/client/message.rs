//! A whole message of a client, from which its packet is read: at once, or when its socket is
//! connected.

use std::borrow::Cow;

use bytes::Bytes;

use crate::socketio::{DecodeError, IncomingPacket, Limits, PackedLimits, Packet, msgpack};

/// A message with all that belongs to it.
#[derive(Clone, Debug)]
pub(super) enum Message<'a> {
    /// The text of a packet, and its attachments if they have arrived.
    Json(Cow<'a, str>, Vec<Bytes>),
    /// A packet in MessagePack.
    Packed(Bytes, PackedLimits),
    /// A packet of a program's parser, and the size of its messages in bytes.
    Parsed(Box<IncomingPacket>, usize),
}

impl Message<'_> {
    /// Reads the packet.
    ///
    /// # Errors
    ///
    /// Refuses a packet that the protocol never allows a client to send, and one beyond the limits.
    #[inline]
    pub(super) fn packet(&self, limits: &Limits) -> Result<Packet<'_>, DecodeError> {
        match self {
            Message::Json(text, _) => Packet::decode(text, limits),
            Message::Packed(message, limits) => msgpack::decode(message, limits),
            Message::Parsed(packet, _) => packet.packet(),
        }
    }

    /// Returns the attachments that have arrived.
    pub(super) fn attachments(&self) -> &[Bytes] {
        match self {
            Message::Json(_, attachments) => attachments,
            Message::Packed(..) => &[],
            Message::Parsed(packet, _) => packet.attachments(),
        }
    }

    /// Returns the size, in bytes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Message::Json(text, attachments) => {
                text.len() + attachments.iter().map(Bytes::len).sum::<usize>()
            }
            Message::Packed(message, _) => message.len(),
            Message::Parsed(_, bytes) => *bytes,
        }
    }

    pub(super) fn into_owned(self) -> Message<'static> {
        match self {
            Message::Json(text, attachments) => {
                Message::Json(Cow::Owned(text.into_owned()), attachments)
            }
            Message::Packed(message, limits) => Message::Packed(message, limits),
            Message::Parsed(packet, bytes) => Message::Parsed(packet, bytes),
        }
    }
}
