//! The nodes' messages as bytes, in the formats of existing servers.
//!
//! Messages of [`crate::cluster`] become [`Envelope`]s, and payloads of a channel or a stream
//! become [`Incoming`] messages. Each format defines the channels of a node. Nothing here does I/O,
//! keeps time or depends on a socket.

#[cfg(feature = "redis")]
mod bus;
mod channel;
#[cfg(feature = "redis")]
mod classic;
mod cluster_adapter;
mod discovery;
mod envelope;
#[cfg(test)]
mod fixture;
mod heard;
mod json;
#[cfg(feature = "redis")]
mod payload;
#[cfg(feature = "redis")]
mod sharded;
mod streams;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::cluster::{ClusterError, Message, Question, Reply};
use crate::id::Tag;

#[cfg(feature = "redis")]
pub(crate) use bus::Bus;
pub(crate) use channel::{Channel, glob};
#[cfg(feature = "redis")]
pub(crate) use classic::Classic;
pub(crate) use cluster_adapter::from_fields;
pub(crate) use discovery::{NodeDiscovery, Peers};
pub(crate) use envelope::{Envelope, check_length};
pub(crate) use heard::{Callback, Incoming, MembershipChange, Presence, Received, Requester};
#[cfg(feature = "redis")]
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

    /// Reads a message of a channel. `subscription` is the subscription that matched: the channel's
    /// name, or a pattern. Returns `None` if it is not for this node.
    ///
    /// # Errors
    ///
    /// If it is invalid, with the reason.
    fn decode(
        &self,
        subscription: &str,
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

/// The timeout of clients' acknowledgements, if the message does not contain one.
const DEFAULT_LIMIT: Duration = Duration::from_secs(60);
