//! The contract between a session and the transport that brings its messages.
//!
//! Whatever holds the connection implements [`Inbound`]; the session polls it on its own worker. The
//! words are those of every transport that carries messages, and no frame of one is named.

use std::fmt;
use std::ops::ControlFlow;
use std::task::Context;

/// Where a client's messages come from, however its connection is held.
pub(crate) trait Inbound {
    /// Hands on what has come, one message after another, until `take` breaks off or there is no
    /// more; then `cx` is woken by the next. No message follows an [`InboundError`].
    fn read(
        &mut self,
        cx: &mut Context<'_>,
        take: &mut dyn FnMut(Result<InboundMessage<'_>, InboundError>) -> ControlFlow<()>,
    );
}

/// One message of a client; its payload lies in the reader's buffer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum InboundMessage<'a> {
    Text(&'a str),
    /// The session may take the `Vec` and leave an empty one.
    Binary(&'a mut Vec<u8>),
    /// Carries what the pong has to repeat.
    Ping(&'a [u8]),
    Pong,
    /// A part of a message of which more is to come: it counts as work, and carries nothing.
    Fragment,
    /// Carries the transport's code, if the client gave one.
    Close(Option<u16>),
}

/// The reason why no more messages arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InboundError {
    /// The client closed the connection.
    Closed,
    /// The connection broke.
    Broken,
    /// The client broke a rule of its transport.
    Refused(Violation),
}

/// A rule of the transport that a client broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// The rule and the offending value, for the log.
    pub(crate) cause: String,
    /// The message has more bytes than the server takes.
    pub(crate) is_too_large: bool,
    /// The code with which the transport is closed.
    pub(crate) close_code: u16,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)
    }
}
