//! The messages between the nodes of a cluster, independent of the broker.
//!
//! A node is a server of this crate or of another kind. A [`Message`] is for all other nodes and
//! has no answer; each of them answers a [`Question`] with [`Reply`]s. The types hold plain values:
//! the adapter encodes them, and the receiver applies them to sockets.

mod coverage;
mod details;
mod error;
#[cfg_attr(
    not(feature = "cluster"),
    allow(dead_code, reason = "an adapter reads them")
)]
mod marks;
mod offset;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::id::SocketId;
use crate::socketio::Args;

pub use coverage::Coverage;
#[cfg(feature = "cluster")]
pub(crate) use details::names;
pub(crate) use details::{CLIENT_ENTRY, Details};
pub use error::{AdapterError, AdapterHealth, ClusterError};
pub(crate) use offset::{ClusterOffset, EntryId};

/// A node's name, unique in its cluster while it runs.
///
/// # Examples
///
/// ```
/// # async fn run(io: actix_socketio::SocketIo) {
/// for node in io.in_room("lobby").fetch_sockets().await.coverage().unresponsive_nodes() {
///     log::warn!("node {node} did not answer");
/// }
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(Arc<str>);

impl NodeId {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Returns the name's characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The recipients of a message: sockets of one namespace on every node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    /// The union of these rooms; empty for the whole namespace.
    pub(crate) rooms: Vec<String>,
    pub(crate) except: Vec<String>,
}

/// The options of sending an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EmitFlags {
    pub(crate) volatile: bool,
    pub(crate) uncompressed: bool,
}

/// An event: its name, then its arguments, as the list in a packet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EventPayload(pub(crate) Args);

impl EventPayload {
    /// Puts an event's name before its arguments.
    pub(crate) fn new(name: &str, args: &Args) -> Self {
        Self(args.preceded_by(name))
    }
}

/// Returns `true` if an event between servers must not have this name, because the Node.js server
/// emits it to its own program.
pub(crate) fn is_reserved_between_servers(name: &str) -> bool {
    matches!(name, "connect" | "connection" | "new_namespace")
}

/// A message of one node to all others.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Message {
    Emit {
        content: EventPayload,
        scope: Scope,
        flags: EmitFlags,
    },
    Join {
        scope: Scope,
        rooms: Vec<String>,
    },
    Leave {
        scope: Scope,
        rooms: Vec<String>,
    },
    Disconnect {
        scope: Scope,
        close: bool,
    },
    CloseRoom {
        room: String,
    },
    /// An event for the servers' programs, not for clients.
    ServerSide(EventPayload),
}

/// A question of one node to all others.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Question {
    /// An event that clients acknowledge. The answers are the number of clients, and their
    /// acknowledgements.
    Emit {
        content: EventPayload,
        scope: Scope,
        flags: EmitFlags,
        limit: Duration,
    },
    /// The sockets.
    Sockets(Scope),
    /// The ids of the sockets in these rooms; of all sockets if there are none.
    Ids(Vec<String>),
    /// The rooms that have members.
    Rooms,
    /// An event for the servers' programs, which they answer.
    ServerSide(EventPayload),
}

/// A node's reply to a question.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    /// The number of clients that were asked.
    Asked(usize),
    /// A client has acknowledged. Nodes of this crate name its socket.
    Acknowledged(Option<SocketId>, Args),
    /// The number of asked clients that will not answer any more. Only nodes of this crate send it.
    Gone(usize),
    Sockets(Vec<Details>),
    Ids(Vec<String>),
    Rooms(Vec<String>),
    ServerSide(Args),
    /// Done. Older adapters wait for it if they name one socket.
    Done,
}

/// An answer to a question; several arrive until the channel ends.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    Reply(Reply),
    /// The last answer: the time limit is over, or the nodes could not be asked.
    Coverage(Coverage),
}
