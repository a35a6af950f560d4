//! A request of HTTP long-polling as plain values: its purpose, its response, or the reason for
//! none.
//!
//! The transport makes them from HTTP, the adapter carries them to other nodes.

use crate::engineio::{self, v3};
use crate::handshake::Revision;

/// The purpose of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PollRequest {
    /// Take the queued packets, as soon as there are some.
    Receive,
    /// Bring these packets.
    Send(PostBody),
}

/// The body of a POST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PostBody {
    Text(String),
    /// A binary payload. Engine.IO v4 has none.
    Binary(Vec<u8>),
}

#[cfg(feature = "cluster")]
impl PostBody {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(data) => data,
        }
    }
}

/// The response to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PollResponse {
    /// Packets, with or without compression.
    Packets {
        body: Vec<u8>,
        compress: bool,
        /// The body is a binary payload of Engine.IO v3.
        is_binary: bool,
    },
    /// Its packets were handled.
    Taken,
}

impl PollResponse {
    /// Engine.IO v4, Packet types: a noop, after which a client polls again.
    pub(crate) fn noop(revision: Revision) -> Self {
        Self::Packets {
            body: payload_of(engineio::NOOP, revision),
            compress: false,
            is_binary: false,
        }
    }
}

/// Returns the payload of a single packet.
pub(crate) fn payload_of(packet: &str, revision: Revision) -> Vec<u8> {
    match revision {
        Revision::V4 => packet.as_bytes().to_vec(),
        Revision::V3 => {
            let mut body = Vec::new();
            v3::push_packet(&mut body, packet.as_bytes());
            body
        }
    }
}

/// The reason why a request has no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PollError {
    /// The session does not exist, or has ended.
    Unknown,
    /// The session is not on polling, or has ended because of the packets.
    Refused,
    /// The request violates a rule and thereby ends the session.
    Violation,
}
