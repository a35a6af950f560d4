//! The content of a message of another node.

use crate::cluster::{Message, Question, Reply, Scope};
use crate::id::SocketId;

/// A message of another node.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Incoming {
    pub(crate) namespace: String,
    /// The name of that node; empty if the message does not contain it.
    pub(crate) from: String,
    pub(crate) word: Received,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Received {
    Message(Message),
    Asked(Requester, Question),
    Answered {
        request: String,
        reply: Reply,
    },
    Presence(Presence),
    /// A change of one socket, by its id: a room of that name is not changed.
    Single {
        requester: Requester,
        socket: SocketId,
        change: MembershipChange,
    },
}

/// The announcement of a node, in formats whose nodes find each other by heartbeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It has started, and asks for the other nodes.
    Hello,
    /// It exists.
    Here,
    /// It ends.
    Bye,
}

/// A change of a socket.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum MembershipChange {
    Join(Vec<String>),
    Leave(Vec<String>),
    Disconnect { close: bool },
}

impl MembershipChange {
    /// Makes it a change of all sockets of a scope.
    pub(crate) fn of(self, scope: Scope) -> Message {
        match self {
            Self::Join(rooms) => Message::Join { scope, rooms },
            Self::Leave(rooms) => Message::Leave { scope, rooms },
            Self::Disconnect { close } => Message::Disconnect { scope, close },
        }
    }
}

/// The node that asks, and the id of its request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Requester {
    pub(crate) uid: String,
    pub(crate) request: String,
    /// It is a node of this crate, and reads fields that only those write.
    pub(crate) is_native: bool,
    /// Returned with each answer, in the format of Flask-SocketIO.
    pub(crate) callback: Option<Callback>,
}

/// The callback of an emit in the format of Flask-SocketIO, in JSON: a room, a namespace, a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Callback {
    pub(crate) room: String,
    pub(crate) namespace: String,
    pub(crate) id: String,
}
