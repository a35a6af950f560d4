//! A broker in memory, for tests: several servers of one process are a cluster without Redis.
//!
//! [`Hub`] is shared by the nodes; each node has a [`Memory`], whose tasks publish, subscribe and
//! read. No message is lost, and no connection breaks. A seed decides the order in which messages
//! of several nodes are delivered.

mod hub;
mod tasks;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use uuid::Uuid;

use crate::adapter::broker::{
    Broker, BrokerError, BrokerFuture, BrokerTask, EventLog, ListenerCount, LogEntry, Receipt,
    RecordStore, Wires,
};
use crate::adapter::format::{Channel, Format, Streams};
use crate::adapter::memory::hub::{Hub, NodeNumber};
use crate::adapter::setup::{AdapterSetup, QUEUE_LIMIT, REQUESTS_IN_FLIGHT};
use crate::cluster::{ClusterOffset, EntryId};

/// A broker in memory: servers of one process with an adapter of it are the nodes of a cluster.
///
/// It is for tests. It supports the same functions as `RedisAdapter::streams` in the same format,
/// including connection state recovery. Its connections never break, and other kinds of nodes
/// cannot join. If several nodes publish at the same time, the seed decides which message is next;
/// messages of one node keep their order.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use actix_socketio::testing::{MemoryBroker, TestClient};
/// use actix_socketio::SocketIo;
///
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let broker = MemoryBroker::new();
/// let one = SocketIo::builder().adapter(broker.adapter()).start()?;
/// let two = SocketIo::builder().adapter(broker.adapter()).start()?;
/// let client = TestClient::connect(&two).await?;
/// // A node that has just started is known when it listens.
/// while one.nodes().await.map_or(true, |nodes| nodes.len() < 2) {
///     tokio::task::yield_now().await;
/// }
/// one.emit("news", "hello").await?;
/// let news: String = client.expect("news", Duration::from_secs(1)).await?;
/// assert_eq!(news, "hello");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct MemoryBroker {
    hub: Arc<Hub>,
}

impl MemoryBroker {
    /// Makes a broker without nodes.
    #[must_use]
    pub fn new() -> Self {
        Self::seeded(0)
    }

    /// Makes a broker whose seed decides the order of deliveries between nodes.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self {
            hub: Hub::new(seed),
        }
    }

    /// Returns an adapter for one server; each server needs its own.
    #[must_use]
    pub fn adapter(&self) -> AdapterSetup {
        let random = Uuid::new_v4().simple().to_string();
        let uid = &random[..ClusterOffset::NODE_LENGTH];
        let format: Arc<dyn Format> = Arc::new(Streams::new(uid, KEY, KEY, 1));
        let broker = Memory {
            hub: Arc::clone(&self.hub),
            number: self.hub.register(),
            is_connected: AtomicBool::new(false),
        };
        AdapterSetup {
            format,
            broker: Arc::new(broker),
            queue_limit: QUEUE_LIMIT,
            requests_in_flight: REQUESTS_IN_FLIGHT,
        }
    }
}

impl Default for MemoryBroker {
    fn default() -> Self {
        Self::new()
    }
}

/// The broker of one node.
#[derive(Debug)]
struct Memory {
    hub: Arc<Hub>,
    number: NodeNumber,
    /// `true` while the tasks run; `tasks` sets it, and `ended` clears it.
    is_connected: AtomicBool,
}

impl Memory {
    fn check(&self) -> Result<(), BrokerError> {
        match self.is_connected() {
            true => Ok(()),
            false => Err(BrokerError::not_connected()),
        }
    }
}

impl Broker for Memory {
    fn tasks(self: Arc<Self>, wires: &Wires) -> Vec<BrokerTask> {
        self.is_connected.store(true, Ordering::Release);
        let (hub, number) = (&self.hub, self.number);
        vec![
            Box::pin(tasks::publish(Arc::clone(hub), number, wires.clone())),
            Box::pin(tasks::listen(Arc::clone(hub), number, wires.clone())),
            Box::pin(tasks::read(Arc::clone(hub), KEY, wires.clone())),
        ]
    }

    fn is_connected(&self) -> bool {
        self.is_connected.load(Ordering::Acquire)
    }

    fn ended(&self) {
        self.is_connected.store(false, Ordering::Release);
        self.hub.leave(self.number);
    }

    fn send(&self, channel: Channel, payload: Bytes) -> BrokerFuture<'_, Receipt> {
        Box::pin(async move {
            self.check()?;
            Ok(match self.hub.deliver(&channel, &payload) {
                0 => Receipt::Nobody,
                _ => Receipt::Somebody,
            })
        })
    }

    fn listeners(&self) -> Option<&dyn ListenerCount> {
        Some(self)
    }

    fn log(&self) -> Option<&dyn EventLog> {
        Some(self)
    }

    fn records(&self) -> Option<&dyn RecordStore> {
        Some(self)
    }
}

impl ListenerCount for Memory {
    fn count(&self, channels: Vec<Channel>) -> BrokerFuture<'_, Vec<usize>> {
        Box::pin(async move {
            self.check()?;
            let counts = channels.iter().map(|channel| self.hub.listeners(channel));
            Ok(counts.collect())
        })
    }

    fn find(&self, pattern: String, everyone: Channel) -> BrokerFuture<'_, (Vec<String>, usize)> {
        Box::pin(async move {
            self.check()?;
            Ok((self.hub.matching(&pattern), self.hub.listeners(&everyone)))
        })
    }
}

impl EventLog for Memory {
    fn first<'a>(&'a self, stream: &'a str) -> BrokerFuture<'a, Option<EntryId>> {
        Box::pin(async move {
            self.check()?;
            Ok(self.hub.extent(stream).first)
        })
    }

    fn last<'a>(&'a self, stream: &'a str) -> BrokerFuture<'a, EntryId> {
        Box::pin(async move {
            self.check()?;
            Ok(self.hub.extent(stream).last)
        })
    }

    fn is_uncut<'a>(&'a self, stream: &'a str) -> BrokerFuture<'a, bool> {
        Box::pin(async move {
            self.check()?;
            Ok(self.hub.extent(stream).is_uncut)
        })
    }

    fn range<'a>(
        &'a self,
        stream: &'a str,
        after: EntryId,
        upto: EntryId,
        count: usize,
    ) -> BrokerFuture<'a, Vec<LogEntry>> {
        Box::pin(async move {
            self.check()?;
            let entries = self.hub.range(stream, after, upto, count);
            Ok(entries.into_iter().map(|(_, entry)| entry).collect())
        })
    }
}

impl RecordStore for Memory {
    fn get(&self, key: String) -> BrokerFuture<'_, Option<String>> {
        Box::pin(async move {
            self.check()?;
            Ok(self.hub.record(&key))
        })
    }

    fn take(&self, key: String) -> BrokerFuture<'_, Option<String>> {
        Box::pin(async move {
            self.check()?;
            Ok(self.hub.take_record(&key))
        })
    }
}

/// The name of the stream and of all channels.
const KEY: &str = "socket.io";
