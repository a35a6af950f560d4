//! The contract between a node and a broker: the transport of bytes, and the broker's information.
//!
//! A broker gets [`Wires`]. It publishes the content of the queue, subscribes to the channels that
//! the node wants, and passes on the messages that it receives. The node's work is to queue,
//! number, count and answer. Nothing here names a broker, or depends on the content of the bytes.
//!
//! A new broker is a folder beside `redis/` and `memory/` (the shortest example), with these parts:
//!
//! * a struct that implements [`Broker`], and [`ListenerCount`], [`EventLog`] and [`RecordStore`] if
//!   the broker has such data;
//! * a task that publishes the content of [`Wires::queue`], and one that follows
//!   [`Wires::subscriptions`] and calls [`Inbound::received`];
//! * public options that become an [`AdapterSetup`](crate::AdapterSetup), with a format.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::adapter::format::{Channel, Envelope};
use crate::adapter::health::{ConnectionRole, Health};
use crate::adapter::log_entry::LogEntry;
use crate::adapter::positions::Positions;
use crate::adapter::sending::Queue;
use crate::adapter::subscriptions::Subscriptions;
use crate::cluster::{ClusterError, EntryId};

/// A transport of bytes between the nodes.
pub(crate) trait Broker: fmt::Debug + Send + Sync {
    /// Returns the tasks that run as long as the node. Each of them connects and reconnects itself.
    /// After a panic in one of them all are made again.
    fn tasks(self: Arc<Self>, wires: &Wires) -> Vec<BrokerTask>;

    /// Returns `true` if the broker is reachable, as far as this node knows.
    fn is_connected(&self) -> bool;

    /// Drops the connections. The node calls it after the tasks have ended.
    fn ended(&self);

    /// Publishes to one channel at once, without the queue.
    fn send(&self, channel: Channel, payload: Bytes) -> BrokerFuture<'_, Receipt>;

    /// Returns the counter of a channel's listeners, if the broker has one.
    fn listeners(&self) -> Option<&dyn ListenerCount> {
        None
    }

    /// Returns the log of events, if the broker keeps one.
    fn log(&self) -> Option<&dyn EventLog> {
        None
    }

    /// Returns the store of records, if the broker keeps them.
    fn records(&self) -> Option<&dyn RecordStore> {
        None
    }
}

/// A task of a broker, which is polled by the adapter's actor.
pub(crate) type BrokerTask = Pin<Box<dyn Future<Output = ()>>>;

/// The answer of a broker.
pub(crate) type BrokerFuture<'a, T> =
    Pin<Box<dyn Future<Output = Result<T, BrokerError>> + Send + 'a>>;

/// Counts the nodes that subscribe.
pub(crate) trait ListenerCount: Send + Sync {
    /// Returns the number of listeners of each of these channels, in their order. They are all of
    /// one kind.
    fn count(&self, channels: Vec<Channel>) -> BrokerFuture<'_, Vec<usize>>;

    /// Returns the names of the channels that have listeners and match a glob pattern, and the
    /// number of listeners of `everyone`, which is of the same kind.
    fn find(&self, pattern: String, everyone: Channel) -> BrokerFuture<'_, (Vec<String>, usize)>;
}

/// Keeps the events of a stream in order.
pub(crate) trait EventLog: Send + Sync {
    /// Returns the id of the first entry that still exists.
    fn first<'a>(&'a self, stream: &'a str) -> BrokerFuture<'a, Option<EntryId>>;

    /// Returns the id of the last entry; the least id if there is none.
    fn last<'a>(&'a self, stream: &'a str) -> BrokerFuture<'a, EntryId>;

    /// Returns `true` if no entry was ever trimmed.
    fn is_uncut<'a>(&'a self, stream: &'a str) -> BrokerFuture<'a, bool>;

    /// Returns the first `count` entries after one entry and up to another.
    fn range<'a>(
        &'a self,
        stream: &'a str,
        after: EntryId,
        upto: EntryId,
        count: usize,
    ) -> BrokerFuture<'a, Vec<LogEntry>>;
}

/// Keeps values under keys for a time. They are written through the queue.
///
/// A node that was cut off may write the record of a client that has moved to another node in the
/// meantime. So a store keeps the number of moves of each key too, at least twice as long as the
/// record: it neither writes nor deletes for a record with fewer moves.
pub(crate) trait RecordStore: Send + Sync {
    fn get(&self, key: String) -> BrokerFuture<'_, Option<String>>;

    /// Returns a value and deletes it, so that no other node gets it. It counts as a move, which is
    /// remembered for this time.
    fn take(&self, key: String, limit: Duration) -> BrokerFuture<'_, Option<TakenRecord>>;
}

/// A record that was taken from its store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TakenRecord {
    pub(crate) value: String,
    /// The number of moves with this one, as the store has counted them.
    pub(crate) moves: u64,
}

/// The ends of a node that a broker connects.
#[derive(Clone, Debug)]
pub(crate) struct Wires {
    /// The envelopes and records to publish.
    pub(crate) queue: Arc<Queue>,
    /// The channels to which the node subscribes.
    pub(crate) subscriptions: Arc<Subscriptions>,
    /// The read position of each stream; the broker's reader writes them.
    pub(crate) positions: Arc<Positions>,
    pub(crate) inbound: Arc<dyn Inbound>,
    pub(crate) health: Arc<Health>,
}

impl Wires {
    /// Records that a connection was made.
    pub(crate) fn connected(&self, role: ConnectionRole) {
        if role == ConnectionRole::Listener {
            self.inbound.listens(true);
        }
        self.health.connected(role);
    }

    /// Records that a connection has broken, or could not be made.
    pub(crate) fn broken(&self, role: ConnectionRole, error: &str) {
        if role == ConnectionRole::Listener {
            self.inbound.listens(false);
        }
        self.health.broken(role, error);
    }
}

/// Handles the messages that a broker has received. It never blocks, and never fails: a message
/// that cannot be read is counted and logged.
pub(crate) trait Inbound: fmt::Debug + Send + Sync {
    /// Handles a message of a channel. `subscription` is the pattern that matched, or the channel's
    /// name.
    fn received(&self, subscription: &str, channel: &str, payload: &Bytes);

    /// Handles an entry of a stream.
    fn entry(&self, stream: &str, entry: &LogEntry);

    /// The node is subscribed to its channels from now on, or no longer is.
    fn listens(&self, listens: bool);
}

/// Publishes for a process that is not a node.
pub(crate) trait DirectPublisher: fmt::Debug + Send + Sync {
    /// Publishes all envelopes in order, and waits until the broker has them.
    fn publish(&self, envelopes: Vec<Envelope>) -> BrokerFuture<'_, ()>;
}

/// Whether a message had a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Receipt {
    Nobody,
    Somebody,
}

/// The reason why a broker refuses a request. The text is for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BrokerError(String);

impl BrokerError {
    pub(crate) fn new(cause: &dyn fmt::Display) -> Self {
        Self(cause.to_string())
    }

    pub(crate) fn not_connected() -> Self {
        Self("no connection to the broker".to_owned())
    }
}

impl fmt::Display for BrokerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<BrokerError> for ClusterError {
    fn from(error: BrokerError) -> Self {
        Self::Unavailable(error.0)
    }
}
