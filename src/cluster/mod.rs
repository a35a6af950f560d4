//! What the nodes of a cluster say to one another, whatever carries it.
//!
//! A node is a server of this crate or of another kind. A [`Message`] is for all other nodes and
//! nobody answers; a [`Question`] is answered by each of them with [`Reply`]s. They hold plain
//! values: how they look on a wire is the adapter's affair, what they do to sockets is their
//! receiver's.

mod calendar;
mod details;
mod error;
mod fetched;
mod mark;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::id::SocketId;
use crate::socketio::Args;

pub(crate) use calendar::date_text;
#[cfg(feature = "cluster")]
pub(crate) use calendar::iso_time;
pub(crate) use details::Details;
#[cfg(feature = "cluster")]
pub(crate) use details::names;
pub use error::{AdapterError, AdapterHealth, ClusterError};
pub use fetched::Reach;
pub(crate) use mark::{EntryId, Mark};

/// A node's name in its cluster: as long as it runs nobody else has it.
///
/// # Examples
///
/// ```
/// # async fn run(io: actix_socketio::SocketIo) {
/// for node in io.in_room("lobby").fetch_sockets().await.reach().silent() {
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

/// Whom a message is about: sockets of one namespace on every node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    /// The union of these rooms; everybody where there is none.
    pub(crate) rooms: Vec<String>,
    pub(crate) except: Vec<String>,
}

/// How an event is to be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EmitFlags {
    pub(crate) volatile: bool,
    pub(crate) uncompressed: bool,
}

/// An event: its name, then its arguments, as the list that a packet holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EventPayload(pub(crate) Args);

impl EventPayload {
    /// Puts an event's name before its arguments.
    pub(crate) fn new(name: &str, args: &Args) -> Self {
        let mut json = serde_json::Value::from(name).to_string();
        if !args.is_empty() {
            json.push(',');
            json.push_str(args.as_json());
        }
        Self(Args::new(json, args.attachments().to_vec()))
    }
}

/// Tells whether an event between servers may not have this name: the Node.js server emits it to
/// its own program.
pub(crate) fn is_reserved_between_servers(name: &str) -> bool {
    matches!(name, "connect" | "connection" | "new_namespace")
}

/// What one node tells all others.
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

/// What one node asks all others.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Question {
    /// An event that clients acknowledge: answered by a count of them, and by each of them.
    Emit {
        content: EventPayload,
        scope: Scope,
        flags: EmitFlags,
        limit: Duration,
    },
    /// Who is there.
    Sockets(Scope),
    /// The ids of those who are in these rooms; of everybody where there is none.
    Ids(Vec<String>),
    /// Which rooms somebody is in.
    Rooms,
    /// An event for the servers' programs, which they answer.
    ServerSide(EventPayload),
}

/// What a node answers to a question.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    /// This many clients have been asked.
    Asked(usize),
    /// A client has acknowledged; which, is said by nodes of this crate.
    Acknowledged(Option<SocketId>, Args),
    /// So many of the clients that were asked will not answer any more; said by nodes of this
    /// crate.
    Gone(usize),
    Sockets(Vec<Details>),
    Ids(Vec<String>),
    Rooms(Vec<String>),
    ServerSide(Args),
    /// It was done; older adapters wait for that, which name one socket.
    Done,
}

/// What comes back of a question, until the channel ends.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    Reply(Reply),
    /// Time was up, or the nodes could not be asked; the last that comes.
    Reach(Reach),
}
