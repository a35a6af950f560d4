//! The state that the parts of one node's Redis share.

use parking_lot::{Mutex, RwLock};
use redis::RedisError;
use redis::aio::MultiplexedConnection;

use crate::adapter::broker::BrokerError;
use crate::adapter::redis::connection::ConnectionId;

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

    /// Returns `true` while Redis can be asked.
    pub(crate) fn is_connected(&self) -> bool {
        self.commands.read().is_some()
    }

    /// Returns the connection for questions to Redis itself.
    pub(crate) fn commands(&self) -> Result<MultiplexedConnection, BrokerError> {
        let connection = self.commands.read().clone();
        connection.ok_or_else(BrokerError::not_connected)
    }
}

impl From<RedisError> for BrokerError {
    fn from(error: RedisError) -> Self {
        Self::new(&error)
    }
}
