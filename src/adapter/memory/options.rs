//! The broker as a program holds it: it makes the adapters of a cluster.

use std::sync::Arc;

use uuid::Uuid;

use crate::adapter::format::{Format, Streams};
use crate::adapter::memory::KEY;
use crate::adapter::memory::broker::Memory;
use crate::adapter::memory::hub::Hub;
use crate::adapter::setup::{AdapterSetup, QUEUE_LIMIT, REQUESTS_IN_FLIGHT};
use crate::cluster::ClusterOffset;

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
        AdapterSetup {
            format,
            broker: Arc::new(Memory::new(&self.hub)),
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
