//! The nodes' messages as bytes, in the formats of existing servers.
//!
//! Messages of [`crate::cluster`] become [`Envelope`]s, and payloads of a channel or a stream
//! become [`Incoming`] messages. Each format defines the channels of a node. Nothing here does I/O,
//! keeps time or knows a socket.

mod bus;
mod classic;
mod cluster_adapter;
#[cfg(test)]
mod fixture;
mod heard;
mod json;
pub(crate) mod msgpack;
mod sharded;
mod streams;

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::cluster::{ClusterError, Message, Question, Reply};
use crate::id::Tag;

pub(crate) use bus::Bus;
pub(crate) use classic::Classic;
pub(crate) use cluster_adapter::from_fields;
pub(crate) use heard::{Callback, Incoming, MembershipChange, Presence, Received, Requester};
pub(crate) use sharded::Sharded;
pub(crate) use streams::Streams;

/// Writes and reads the messages of nodes.
pub(crate) trait Format: fmt::Debug + Send + Sync {
    /// Returns the name with which this node signs.
    fn uid(&self) -> &str;

    /// Writes a message for all other nodes.
    ///
    /// # Errors
    ///
    /// [`ClusterError::Encode`] and [`ClusterError::Unsupported`].
    fn encode(&self, namespace: &str, message: &Message) -> Result<Vec<Envelope>, ClusterError>;

    /// Writes a question for all other nodes, under a request's id.
    ///
    /// # Errors
    ///
    /// The same as of [`encode`](Self::encode).
    fn encode_question(
        &self,
        namespace: &str,
        question: &Question,
        request: &str,
    ) -> Result<Vec<Envelope>, ClusterError>;

    /// Writes an answer; `None` if the format, or the node that asks, does not support it.
    ///
    /// # Errors
    ///
    /// The same as of [`encode`](Self::encode).
    fn encode_reply(
        &self,
        namespace: &str,
        requester: &Requester,
        reply: &Reply,
    ) -> Result<Option<Envelope>, ClusterError>;

    /// Reads a message of a channel. `heard_by` is the subscription that matched: the channel's
    /// name, or a pattern. Returns `None` if it is not for this node.
    ///
    /// # Errors
    ///
    /// If it is invalid, with the reason.
    fn decode(
        &self,
        heard_by: &str,
        channel: &str,
        payload: &Bytes,
    ) -> Result<Option<Incoming>, String>;

    /// Returns the stream of a namespace's events.
    fn stream(&self, _: &str) -> Option<String> {
        None
    }

    /// Returns the messages that it supports beyond those of all formats.
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    /// Returns the channels of a namespace to which each node subscribes.
    fn channels(&self, namespace: &str) -> Vec<Channel>;

    /// Returns the channel to which the nodes with a member of this room subscribe.
    fn room_channel(&self, namespace: &str, room: &str) -> Option<Channel>;

    /// Returns the channel on which a node receives polling requests for its sessions.
    fn poll_channel(&self, node: Tag) -> Channel;

    /// Returns how the nodes of a namespace are discovered; `None` if the format does not support
    /// it.
    fn discovery(&self, namespace: &str) -> Option<NodeDiscovery>;
}

/// The messages that only some formats support.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Capabilities {
    /// A node can be asked for its rooms.
    pub(crate) rooms: bool,
    /// Clients of other nodes can be restored: there are streams and records.
    pub(crate) recovery: bool,
}

/// A message to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Envelope {
    Publish {
        channel: Channel,
        payload: Bytes,
    },
    /// An entry of a stream.
    Append {
        stream: String,
        fields: Vec<(&'static str, Bytes)>,
    },
}

impl Envelope {
    /// Returns its approximate size, in bytes.
    pub(crate) fn len(&self) -> usize {
        let content = match self {
            Self::Publish { channel, payload } => channel.name().len() + payload.len(),
            Self::Append { stream, fields } => {
                let fields = fields.iter().map(|(name, value)| name.len() + value.len());
                stream.len() + fields.sum::<usize>()
            }
        };
        content + OVERHEAD
    }
}

/// Refuses a message that is too long to read, because its JSON occupies several times its size.
///
/// # Errors
///
/// Its length and the limit.
pub(crate) fn check_length(length: usize) -> Result<(), String> {
    if length <= MAX_MESSAGE {
        return Ok(());
    }
    Err(format!(
        "it has {length} bytes, and a message between nodes has at most {MAX_MESSAGE}"
    ))
}

/// The maximal size of a message between nodes: that of one POST or WebSocket message with sixty
/// times the default of `max_payload`.
const MAX_MESSAGE: usize = 64 << 20;

/// The number of bytes of an envelope beside its content.
const OVERHEAD: usize = 64;

/// A channel to which a node can subscribe.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Channel {
    Plain(String),
    /// All channels of this glob pattern.
    Pattern(String),
    Shard(String),
}

impl Channel {
    pub(crate) fn name(&self) -> &str {
        let (Self::Plain(name) | Self::Pattern(name) | Self::Shard(name)) = self;
        name
    }

    pub(crate) fn into_name(self) -> String {
        match self {
            Self::Plain(name) | Self::Pattern(name) | Self::Shard(name) => name,
        }
    }
}

/// The discovery of the nodes of a namespace: all subscribe to one channel, and each to a channel
/// of its own name below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeDiscovery {
    /// The channel to which all subscribe.
    pub(crate) everyone: Channel,
    /// The part of the channels' names before the nodes'.
    pub(crate) prefix: String,
    /// The number of characters of a node's name.
    pub(crate) length: usize,
}

impl NodeDiscovery {
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

    /// Returns the nodes except `own`, from the channels that match the pattern and the number of
    /// subscribers of the common channel.
    pub(crate) fn others(&self, own: &str, channels: &[String], listeners: usize) -> Peers {
        let names = channels.iter().filter_map(|channel| self.name(channel));
        let mut names: HashSet<_> = names.map(str::to_owned).collect();
        let is_there = names.remove(own);
        Peers {
            names,
            count: listeners.saturating_sub(usize::from(is_there)),
        }
    }

    /// Returns the node's name in the name of a channel.
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
pub(crate) struct Peers {
    /// Their names. In the sharded format a room has a channel of the same form. A room whose name
    /// is as long as a node's is among them, and only the number shows it.
    pub(crate) names: HashSet<String>,
    pub(crate) count: usize,
}

/// Returns the name of the channel for polls to a node; all channels of the cluster begin with
/// `key`.
fn polls(key: &str, node: Tag) -> String {
    format!("{key}-poll#{}#", node.as_str())
}

/// Escapes the characters that have a meaning in a glob pattern.
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

/// The timeout of clients' acknowledgements, if the message does not contain one.
const DEFAULT_LIMIT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn discovery() -> NodeDiscovery {
        NodeDiscovery {
            everyone: Channel::Plain("socket.io-request#/a*#".to_owned()),
            prefix: "socket.io#/a*#".to_owned(),
            length: 6,
        }
    }

    #[test]
    fn a_roll_finds_the_names_of_nodes_and_no_rooms() {
        let discovery = discovery();
        assert_eq!(discovery.pattern(), r"socket.io#/a\*#??????#");
        assert_eq!(discovery.name("socket.io#/a*#abc-_9#"), Some("abc-_9"));
        for other in [
            "socket.io#/a*#abc#",
            "socket.io#/a*#ab#def#",
            "socket.io#/b#abcdef#",
        ] {
            assert_eq!(discovery.name(other), None, "{other}");
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
            let others = discovery().others("node-1", &channels, listeners);
            let names = names.iter().map(|&name| name.to_owned()).collect();
            assert_eq!(others, Peers { names, count });
        }
    }
}
