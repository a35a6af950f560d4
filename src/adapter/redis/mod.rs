//! Redis as a broker: publish and subscribe, streams and records.
//!
//! [`Redis`] combines the parts: a task publishes, one subscribes, and one reads streams, each by
//! its own connection. Questions to Redis itself use the publisher's connection. Nothing outside
//! this folder names the crate `redis`. The formats in `adapter/format/` write the content of
//! messages.
//!
//! | command | purpose | file |
//! | --- | --- | --- |
//! | `PUBLISH`, `SPUBLISH`, `XADD` | sends a message, to a channel or a stream | `connection.rs` |
//! | `SET`, `DEL` | stores and deletes the record of a client | `connection.rs` |
//! | `CLIENT INFO`, `CLIENT KILL`, `XREVRANGE` | after a disconnect: finds entries of the last batch | `publisher.rs` |
//! | `SUBSCRIBE`, `PSUBSCRIBE`, `SSUBSCRIBE`, and their opposites | follows the subscriptions | `subscriber.rs` |
//! | `XREAD`, `XRANGE` | reads the entries of other nodes | `reader.rs` |
//! | `XRANGE`, `XREVRANGE`, `XINFO STREAM` | reads the events that a client missed, and the ends of a stream | `stream.rs` |
//! | `GET`, `DEL` | reads and takes the record of a client | `records.rs` |
//! | `PUBSUB` | finds and counts the nodes that subscribe | `roster.rs` |
//! | `PING` | checks each connection | `connection.rs` |

mod connection;
mod emitter;
mod options;
mod publisher;
mod reader;
mod records;
mod roster;
mod stream;
mod subscriber;

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use redis::RedisError;
use redis::aio::MultiplexedConnection;

use crate::adapter::broker::{
    Broker, BrokerError, BrokerFuture, BrokerTask, EventLog, ListenerCount, Receipt, RecordStore,
    Wires,
};
use crate::adapter::format::Channel;
use crate::adapter::redis::connection::publish;
use crate::adapter::redis::publisher::ConnectionId;

pub use options::RedisAdapter;

/// The Redis of one node.
#[derive(Debug)]
pub(crate) struct Redis {
    client: redis::Client,
    /// The approximate number of entries in a stream.
    max_length: usize,
    /// The name with which this node signs entries.
    uid: String,
    /// The streams to read.
    streams: Vec<String>,
    /// The connection for questions to Redis itself; `None` while it is unreachable. The publisher
    /// writes it.
    commands: RwLock<Option<MultiplexedConnection>>,
    /// Redis' own name of the publishing connection.
    publisher: Mutex<Option<ConnectionId>>,
}

impl Redis {
    pub(crate) fn new(
        client: redis::Client,
        max_length: usize,
        uid: &str,
        streams: Vec<String>,
    ) -> Self {
        Self {
            client,
            max_length,
            uid: uid.to_owned(),
            streams,
            commands: RwLock::new(None),
            publisher: Mutex::new(None),
        }
    }

    pub(crate) fn client(&self) -> &redis::Client {
        &self.client
    }

    pub(crate) fn max_length(&self) -> usize {
        self.max_length
    }

    pub(crate) fn uid(&self) -> &str {
        &self.uid
    }

    pub(crate) fn streams(&self) -> &[String] {
        &self.streams
    }

    /// Sets the connection for questions to Redis itself.
    pub(crate) fn set_commands(&self, connection: Option<MultiplexedConnection>) {
        *self.commands.write() = connection;
    }

    /// Sets the publishing connection.
    pub(crate) fn publishes_by(&self, connection: Option<ConnectionId>) {
        *self.publisher.lock() = connection;
    }

    /// Returns the last publishing connection.
    pub(crate) fn publisher(&self) -> Option<ConnectionId> {
        self.publisher.lock().clone()
    }

    /// Returns the connection for questions to Redis itself.
    fn commands(&self) -> Result<MultiplexedConnection, BrokerError> {
        let connection = self.commands.read().clone();
        connection.ok_or_else(BrokerError::not_connected)
    }
}

impl Broker for Redis {
    fn tasks(self: Arc<Self>, wires: &Wires) -> Vec<BrokerTask> {
        let mut tasks: Vec<BrokerTask> = vec![
            Box::pin(publisher::run(Arc::clone(&self), wires.clone())),
            Box::pin(subscriber::run(Arc::clone(&self), wires.clone())),
        ];
        if !self.streams.is_empty() {
            tasks.push(Box::pin(reader::run(self, wires.clone())));
        }
        tasks
    }

    fn is_connected(&self) -> bool {
        self.commands.read().is_some()
    }

    fn ended(&self) {
        self.set_commands(None);
    }

    fn send(&self, channel: Channel, payload: Bytes) -> BrokerFuture<'_, Receipt> {
        Box::pin(async move {
            let command = publish(&channel, &payload);
            let heard: usize = command.query_async(&mut self.commands()?).await?;
            Ok(match heard {
                0 => Receipt::Nobody,
                _ => Receipt::Somebody,
            })
        })
    }

    fn listeners(&self) -> Option<&dyn ListenerCount> {
        Some(self)
    }

    fn log(&self) -> Option<&dyn EventLog> {
        (!self.streams.is_empty()).then_some(self)
    }

    fn records(&self) -> Option<&dyn RecordStore> {
        Some(self)
    }
}

impl From<RedisError> for BrokerError {
    fn from(error: RedisError) -> Self {
        Self::new(&error)
    }
}
