//! A request of HTTP long-polling as plain values: its purpose, its response, or the reason for
//! none.
//!
//! The transport makes them from HTTP, the adapter carries them to other nodes.

use crate::engineio;

/// The purpose of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PollRequest {
    /// Take the queued packets, as soon as there are some.
    Receive,
    /// Bring these packets.
    Send(String),
}

/// The response to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PollResponse {
    /// Packets, with or without compression.
    Packets { body: Vec<u8>, compress: bool },
    /// Its packets were handled.
    Taken,
}

impl PollResponse {
    /// Engine.IO v4, Packet types: a noop, after which a client polls again.
    pub(crate) fn noop() -> Self {
        Self::Packets {
            body: engineio::NOOP.as_bytes().to_vec(),
            compress: false,
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
