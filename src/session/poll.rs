//! A request of HTTP long-polling as plain values: what it wants, what it gets, and why not.
//!
//! The transport makes them of HTTP, the adapter carries them to other nodes.

use crate::engineio;

/// What a request wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PollRequest {
    /// What there is to send, as soon as there is something.
    Receive,
    /// That these packets are taken.
    Send(String),
}

/// What it gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PollResponse {
    /// Packets, which somebody wants compressed or not.
    Packets { body: Vec<u8>, compress: bool },
    /// Its packets have been taken.
    Taken,
}

impl PollResponse {
    /// Engine.IO v4, Packet types: a noop, with which a client polls anew.
    pub(crate) fn noop() -> Self {
        Self::Packets {
            body: engineio::NOOP.as_bytes().to_vec(),
            compress: false,
        }
    }
}

/// Why it gets nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PollError {
    /// There is no such session, or none any more.
    Unknown,
    /// The session is not, or no longer, on polling, or has ended over what it was sent.
    Refused,
    /// The request breaks a rule that ends the session.
    Violation,
}
