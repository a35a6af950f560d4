//! The limits: how much one client may send, occupy or keep.

use crate::socketio::PacketLimits;

/// Sizes in bytes, and numbers. Each has the name of its method of the builder.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Bytes in a polling body or a WebSocket message from the client.
    pub(crate) max_payload: usize,
    /// Bytes of the head of a client's first request.
    pub(crate) handshake_limit: usize,
    /// Bytes that may wait in a session's outbox.
    pub(crate) outbox_limit: usize,
    /// The size limit of a packet to a client, in bytes.
    pub(crate) packet_limit: usize,
    /// Attachments of one binary packet, in either direction.
    pub(crate) max_attachments: usize,
    /// The number of waiting handlers of one client.
    pub(crate) max_concurrent_handlers: usize,
    /// The number of bytes of events of these handlers from which reading pauses.
    pub(crate) handlers_bytes: usize,
    /// Bytes of a CONNECT payload.
    pub(crate) auth_limit: usize,
    /// The number of calls to one socket that wait for an acknowledgement.
    pub(crate) pending_calls: usize,
    /// The number of namespaces that one client may connect to.
    pub(crate) namespaces_per_session: usize,
    /// Bytes of the name of a namespace that a pattern makes for a client.
    pub(crate) namespace_name_limit: usize,
    /// The number of namespaces of patterns that remain after their last client has left.
    pub(crate) kept_namespaces: usize,
    /// The number of rooms of one socket.
    pub(crate) rooms_per_socket: usize,
    /// Bytes of the name of a room that a socket may join.
    pub(crate) room_name_limit: usize,
    /// The number of bytes of events that a namespace keeps for recovery.
    pub(crate) recovery_limit: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_payload: 1_000_000,
            handshake_limit: 16 << 10,
            outbox_limit: 1 << 20,
            packet_limit: PacketLimits::DEFAULT.bytes,
            max_attachments: PacketLimits::DEFAULT.attachments,
            max_concurrent_handlers: 128,
            handlers_bytes: 4 << 20,
            auth_limit: 64 << 10,
            pending_calls: 1024,
            namespaces_per_session: 32,
            namespace_name_limit: 1024,
            kept_namespaces: 10_000,
            rooms_per_socket: 1000,
            room_name_limit: 1024,
            recovery_limit: 16 << 20,
        }
    }
}

impl Limits {
    /// Returns the size limits of a packet to a client.
    pub(crate) fn packets(&self) -> PacketLimits {
        PacketLimits {
            attachments: self.max_attachments,
            bytes: self.packet_limit,
        }
    }
}
