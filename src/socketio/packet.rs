//! A Socket.IO packet from a client, and how large it may be.
//!
//! The types only: [`decode`](super::decode) makes them from text. What is borrowed is the text of
//! the Engine.IO message, or of the [`Assembler`](super::Assembler)'s packet.

use std::borrow::Cow;

/// A packet, with the namespace it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packet<'a> {
    /// The namespace: `/` when the text names none, and without the query that older clients
    /// append.
    pub(crate) namespace: &'a str,
    /// What the packet asks for.
    pub(crate) body: Body<'a>,
}

/// What a packet asks for. EVENT and BINARY_EVENT are one, and so are ACK and BINARY_ACK: they
/// differ in the number of attachments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body<'a> {
    /// The client wants to join the namespace.
    Connect {
        /// A JSON object's text, if there was a payload.
        auth: Option<&'a str>,
    },
    /// The client leaves the namespace.
    Disconnect,
    /// An event.
    Event {
        /// The number the client wants to see in the acknowledgement, if it wants one.
        id: Option<u64>,
        /// The event's name; a number's text, if the name was a number.
        name: Cow<'a, str>,
        /// The JSON text of the arguments, without brackets: `1,{"b":2}`.
        args: &'a str,
        /// How many attachments follow, or have followed; 0 for a plain EVENT.
        attachments: usize,
    },
    /// The answer to one of the server's events.
    Ack {
        /// The number that the server's event carried.
        id: u64,
        /// The JSON text of the arguments, without brackets.
        args: &'a str,
        /// How many attachments follow, or have followed; 0 for a plain ACK.
        attachments: usize,
    },
    /// An EVENT or ACK with no payload at all (`2`, `31`). The reference takes it and does nothing.
    Empty,
}

/// How much of a packet is taken from a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// How many attachments a binary packet may announce. They are kept until the last has come.
    pub(crate) attachments: usize,
    /// How many brackets may be open at once, the payload's own among them. What is deserialised
    /// later is parsed by recursion, and `serde_json` gives up on an argument deeper than 127.
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

/// The namespace that a packet is for when its text names none.
pub(super) const MAIN_NAMESPACE: &str = "/";

/// Tells whether an event's name is one that clients use for their own events.
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
