//! A Socket.IO packet from a client, and its size limits.
//!
//! The types only: [`decode`](super::decode) makes them from text. A packet borrows from the text
//! of the Engine.IO message, or of the [`Assembler`](super::Assembler)'s packet.

use std::borrow::Cow;

use crate::socketio::args::ArgsText;
use crate::socketio::error::{DecodeError, Excerpt};

/// A packet with its namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packet<'a> {
    /// The namespace: `/` if the text names none, and without the query that older clients append.
    pub(crate) namespace: &'a str,
    /// The packet's type and content.
    pub(crate) body: Body<'a>,
}

/// A packet's type and content. EVENT and BINARY_EVENT are one variant, and so are ACK and
/// BINARY_ACK: they differ in the number of attachments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body<'a> {
    /// The client connects to the namespace.
    Connect {
        /// The text of a JSON object, if there was a payload.
        auth: Option<Cow<'a, str>>,
        /// The query behind the namespace, which older clients append.
        query: Option<&'a str>,
    },
    /// The client disconnects from the namespace.
    Disconnect,
    /// An event.
    Event {
        /// The ack id, if the client expects an acknowledgement.
        id: Option<u64>,
        /// The event's name, or a number's text if the name was a number.
        name: Cow<'a, str>,
        /// The arguments.
        args: ArgsText<'a>,
        /// The number of attachments; 0 for a plain EVENT.
        attachments: usize,
    },
    /// The acknowledgement of one of the server's events.
    Ack {
        /// The ack id of the server's event.
        id: u64,
        /// The arguments.
        args: ArgsText<'a>,
        /// The number of attachments; 0 for a plain ACK.
        attachments: usize,
    },
    /// An EVENT or ACK without a payload (`2`, `31`). The reference accepts and ignores it.
    Empty,
}

/// The size limits of a packet from a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// The number of attachments of a binary packet. They are kept until the last has arrived.
    pub(crate) attachments: usize,
    /// The number of brackets that may be open at once, including the payload's own. serde_json
    /// later parses arguments by recursion, and refuses one deeper than 127.
    pub(crate) depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            attachments: 10,
            depth: 128,
        }
    }
}

/// The namespace of a packet whose text names none.
pub(super) const MAIN_NAMESPACE: &str = "/";

/// The id for acknowledgements without one that an event may have. Ids count from 0 and never reach
/// it.
pub(super) const NOBODYS_ID: u64 = u64::MAX;

/// Refuses an event whose name is reserved.
pub(crate) fn check_event_name(name: &str) -> Result<(), DecodeError> {
    match is_reserved(name) {
        true => Err(DecodeError::EventNameReserved(Excerpt::of(name))),
        false => Ok(()),
    }
}

/// Returns `true` if clients reserve the event's name for their own events.
// Socket.IO v5, Sending and receiving data: reserved event names.
pub(crate) fn is_reserved(name: &str) -> bool {
    matches!(
        name,
        "connect"
            | "connect_error"
            | "disconnect"
            | "disconnecting"
            | "newListener"
            | "removeListener"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_six_names_are_reserved_and_error_is_not() {
        for name in [
            "connect",
            "connect_error",
            "disconnect",
            "disconnecting",
            "newListener",
            "removeListener",
        ] {
            assert!(is_reserved(name), "{name}");
        }
        for name in ["error", "message", "", "Connect", "connect ", "newlistener"] {
            assert!(!is_reserved(name), "{name}");
        }
    }

    #[test]
    fn limits_default_to_the_references_and_to_serde_jsons() {
        let limits = Limits::default();
        assert_eq!((limits.attachments, limits.depth), (10, 128));
    }
}
