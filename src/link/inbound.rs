//! The contract between a session and the transport that brings its messages.
//!
//! The owner of the connection implements [`Inbound`]; the session polls it on its own worker. The
//! words are those of every transport of messages, and no frame of one is named.

use std::fmt;
use std::ops::ControlFlow;
use std::task::Context;

/// The source of a client's messages, for every kind of connection.
pub(crate) trait Inbound {
    /// Passes the received messages to `take`, one after another, until it breaks or all are read;
    /// then `cx` is woken by the next one. No message follows an [`InboundError`].
    fn read(
        &mut self,
        cx: &mut Context<'_>,
        take: &mut dyn FnMut(Result<InboundMessage<'_>, InboundError>) -> ControlFlow<()>,
    );
}

/// One message of a client; its payload is in the reader's buffer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum InboundMessage<'a> {
    Text(&'a str),
    /// The session may take the `Vec` and leave an empty one.
    Binary(&'a mut Vec<u8>),
    /// Carries the payload of the pong.
    Ping(&'a [u8]),
    Pong,
    /// A part of a message that is not the last: it counts as work, and carries no data.
    Fragment,
    /// Carries the transport's code, if the client sent one.
    Close(Option<u16>),
}

/// The reason why no more messages arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InboundError {
    /// The client closed the connection.
    Closed,
    /// The connection broke.
    Broken,
    /// The client violated a rule of its transport.
    Refused(Violation),
}

/// The rule of the transport that a client violated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// The rule and the offending value, for the log.
    pub(crate) cause: String,
    /// The message exceeds the server's size limit.
    pub(crate) is_too_large: bool,
    /// The code for closing the transport.
    pub(crate) close_code: u16,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)
    }
}
