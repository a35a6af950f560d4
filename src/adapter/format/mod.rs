//! How the nodes' messages look on Redis, in the formats that existing servers speak.
//!
//! Messages of [`crate::cluster`] become [`Parcel`]s, and what came on a channel or a stream
//! becomes something [`Heard`]. Each format says which channels a node listens to. Nothing here
//! does I/O, keeps time or knows a socket.

mod bus;
mod classic;
mod cluster_adapter;
#[cfg(test)]
mod fixture;
mod json;
pub(crate) mod msgpack;
mod sharded;
mod streams;

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::cluster::{ClusterError, Message, Question, Reply, Scope};
use crate::id::{SocketId, Tag};

pub(crate) use bus::Bus;
pub(crate) use classic::Classic;
pub(crate) use cluster_adapter::from_fields;
pub(crate) use sharded::Sharded;
pub(crate) use streams::Streams;

/// A way to write and read what nodes say.
pub(crate) trait Format: fmt::Debug + Send + Sync {
    /// Returns the name that this node signs with.
    fn uid(&self) -> &str;

    /// Writes what every other node is told.
    ///
    /// # Errors
    ///
    /// [`ClusterError::Encode`] and [`ClusterError::Unsupported`].
    fn tell(&self, namespace: &str, message: &Message) -> Result<Vec<Parcel>, ClusterError>;

    /// Writes what every other node is asked, under a request's id.
    ///
    /// # Errors
    ///
    /// As of [`tell`](Self::tell).
    fn ask(
        &self,
        namespace: &str,
        question: &Question,
        request: &str,
    ) -> Result<Vec<Parcel>, ClusterError>;

    /// Writes an answer; `None` where the format, or the asker, has no word for it.
    ///
    /// # Errors
    ///
    /// As of [`tell`](Self::tell).
    fn answer(
        &self,
        namespace: &str,
        asker: &Asker,
        reply: &Reply,
    ) -> Result<Option<Parcel>, ClusterError>;

    /// Reads what came on a channel, to which this node listens by `heard_by`: its name, or a
    /// pattern. `None` where it is nothing for this node.
    ///
    /// # Errors
    ///
    /// Says what is wrong with it.
    fn hear(&self, heard_by: &str, channel: &str, payload: &Bytes)
    -> Result<Option<Heard>, String>;

    /// Returns the stream that a namespace's events are written to.
    fn stream(&self, _: &str) -> Option<String> {
        None
    }

    /// Tells whether there is a question for a node's rooms.
    fn asks_for_rooms(&self) -> bool {
        false
    }

    /// Returns where a node listens for one namespace.
    fn channels(&self, namespace: &str) -> Vec<Channel>;

    /// Returns where a node listens that has somebody in this room.
    fn room_channel(&self, namespace: &str, room: &str) -> Option<Channel>;

    /// Returns where a node listens for requests of polling to its sessions.
    fn poll_channel(&self, node: Tag) -> Channel;

    /// Returns how to find out which nodes there are; `None` where the format has no way.
    fn roll(&self, namespace: &str) -> Option<Roll>;
}

/// Something to be handed to Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Parcel {
    Publish {
        channel: String,
        payload: Bytes,
    },
    ShardPublish {
        channel: String,
        payload: Bytes,
    },
    /// An entry of a stream.
    Append {
        stream: String,
        fields: Vec<(&'static str, Bytes)>,
    },
}

impl Parcel {
    /// Returns about how many bytes it takes.
    pub(crate) fn len(&self) -> usize {
        let content = match self {
            Self::Publish { channel, payload } | Self::ShardPublish { channel, payload } => {
                channel.len() + payload.len()
            }
            Self::Append { stream, fields } => {
                let fields = fields.iter().map(|(name, value)| name.len() + value.len());
                stream.len() + fields.sum::<usize>()
            }
        };
        content + OVERHEAD
    }
}

/// Refuses what is too long to be read: what it becomes takes several times its bytes.
///
/// # Errors
///
/// Says how long it is and how long it may be.
pub(crate) fn check_length(length: usize) -> Result<(), String> {
    if length <= MAX_MESSAGE {
        return Ok(());
    }
    Err(format!(
        "it has {length} bytes, and a message between nodes has at most {MAX_MESSAGE}"
    ))
}

/// Bytes of a message between nodes, at most: as many as one POST or WebSocket message has with
/// sixty times the default of `max_payload`.
const MAX_MESSAGE: usize = 64 << 20;

/// Bytes that a parcel takes beside its content.
const OVERHEAD: usize = 64;

/// Where a node listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Channel {
    Plain(String),
    /// All channels of this glob pattern.
    Pattern(String),
    Shard(String),
}

impl Channel {
    pub(crate) fn into_name(self) -> String {
        match self {
            Self::Plain(name) | Self::Pattern(name) | Self::Shard(name) => name,
        }
    }
}

/// How the nodes of a namespace are found: all listen on one channel, and each on a channel below
/// it that has its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Roll {
    /// Where all listen.
    pub(crate) everyone: Channel,
    /// What precedes the names.
    pub(crate) prefix: String,
    /// Characters of a node's name.
    pub(crate) length: usize,
}

impl Roll {
    /// Returns the pattern of the nodes' own channels.
    pub(crate) fn pattern(&self) -> String {
        format!("{}{}#", glob(&self.prefix), "?".repeat(self.length))
    }

    /// Returns the channel of a node.
    pub(crate) fn channel(&self, name: &str) -> Channel {
        let channel = format!("{}{name}#", self.prefix);
        match self.everyone {
            Channel::Shard(_) => Channel::Shard(channel),
            Channel::Plain(_) | Channel::Pattern(_) => Channel::Plain(channel),
        }
    }

    /// Returns which nodes there are beside `own`, of the channels that fit the pattern and the
    /// number of those that listen where all do.
    pub(crate) fn others(&self, own: &str, channels: &[String], listeners: usize) -> Others {
        let names = channels.iter().filter_map(|channel| self.name(channel));
        let mut names: HashSet<_> = names.map(str::to_owned).collect();
        let is_there = names.remove(own);
        Others {
            names,
            count: listeners.saturating_sub(usize::from(is_there)),
        }
    }

    /// Returns the name in a channel's.
    fn name<'c>(&self, channel: &'c str) -> Option<&'c str> {
        let name = channel.strip_prefix(&self.prefix)?.strip_suffix('#')?;
        let plain = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        (name.len() == self.length && plain).then_some(name)
    }
}

/// The other nodes of a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Others {
    /// Their names. In the sharded format a room has a channel of the same form: one whose name is
    /// as long as a node's is among them, and only the number tells.
    pub(crate) names: HashSet<String>,
    pub(crate) count: usize,
}

/// What came from another node.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Heard {
    pub(crate) namespace: String,
    /// Who said it; empty where it doesn't say.
    pub(crate) from: String,
    pub(crate) word: Word,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Word {
    Told(Message),
    Asked(Asker, Question),
    Answered {
        request: String,
        reply: Reply,
    },
    /// What one socket is to do, by its id: a room of that name is not meant.
    Single {
        asker: Asker,
        socket: SocketId,
        change: Change,
    },
}

/// What a socket is to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    Join(Vec<String>),
    Leave(Vec<String>),
    Disconnect { close: bool },
}

impl Change {
    /// Says it of all sockets of a scope.
    fn of(self, scope: Scope) -> Message {
        match self {
            Self::Join(rooms) => Message::Join { scope, rooms },
            Self::Leave(rooms) => Message::Leave { scope, rooms },
            Self::Disconnect { close } => Message::Disconnect { scope, close },
        }
    }
}

/// Who asks, and under which id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asker {
    pub(crate) uid: String,
    pub(crate) request: String,
    /// It is a node of this crate, and takes words that only those say.
    pub(crate) kin: bool,
    /// What goes back with each answer, in the format of Flask-SocketIO.
    pub(crate) callback: Option<Callback>,
}

/// The callback of an emit in the format of Flask-SocketIO, in JSON: a room, a namespace, a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Callback {
    pub(crate) room: String,
    pub(crate) namespace: String,
    pub(crate) id: String,
}

/// Returns the name of the channel for polls to a node; all channels of the cluster begin with
/// `key`.
fn polls(key: &str, node: Tag) -> String {
    format!("{key}-poll#{}#", node.as_str())
}

/// Escapes what a glob pattern gives a meaning.
pub(crate) fn glob(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\' | '^') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

/// How long an event that clients acknowledge may take, where it doesn't say.
const DEFAULT_LIMIT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn roll() -> Roll {
        Roll {
            everyone: Channel::Plain("socket.io-request#/a*#".to_owned()),
            prefix: "socket.io#/a*#".to_owned(),
            length: 6,
        }
    }

    #[test]
    fn a_roll_finds_the_names_of_nodes_and_no_rooms() {
        let roll = roll();
        assert_eq!(roll.pattern(), r"socket.io#/a\*#??????#");
        assert_eq!(roll.name("socket.io#/a*#abc-_9#"), Some("abc-_9"));
        for other in [
            "socket.io#/a*#abc#",
            "socket.io#/a*#ab#def#",
            "socket.io#/b#abcdef#",
        ] {
            assert_eq!(roll.name(other), None, "{other}");
        }
    }

    #[test]
    fn the_other_nodes_are_as_many_as_listen_whatever_rooms_are_named() {
        let channel = |name: &str| format!("socket.io#/a*#{name}#");
        for (channels, listeners, names, count) in [
            (&["node-1", "node-2"][..], 2, &["node-2"][..], 1),
            (&["node-1", "a-room"], 1, &["a-room"], 0),
            // This node's connection is being made.
            (&["node-2"], 1, &["node-2"], 1),
            (&[], 0, &[], 0),
        ] {
            let channels: Vec<_> = channels.iter().map(|name| channel(name)).collect();
            let others = roll().others("node-1", &channels, listeners);
            let names = names.iter().map(|&name| name.to_owned()).collect();
            assert_eq!(others, Others { names, count });
        }
    }
}
