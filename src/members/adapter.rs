//! The adapter of a namespace: its connection to the other nodes of the cluster.
//!
//! A server without an adapter is alone, at the cost of one check. A message goes to this node's
//! sockets first and then to the adapter, which never makes the sender wait. The adapter delivers
//! messages of other nodes to the namespace itself; `namespace/cluster.rs` has the contract of its
//! life.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;

use crate::cluster::{Answer, ClusterError, EntryId, Message, NodeId, Question};
use crate::members::recovery::PersistedSocket;

/// Carries messages between nodes.
pub(crate) trait Adapter: fmt::Debug + Send + Sync {
    /// Queues a message for every other node. Messages of one thread arrive in order.
    ///
    /// # Errors
    ///
    /// If no other node will receive it.
    fn tell(&self, namespace: &Arc<str>, message: &Message) -> Result<(), ClusterError>;

    /// Asks every other node. The channel delivers the answers, and ends after the last one or at
    /// the timeout; its last item says which nodes answered. A question that cannot be sent at once
    /// is not sent at all.
    fn ask(
        self: Arc<Self>,
        namespace: &Arc<str>,
        question: Question,
        limit: Duration,
    ) -> UnboundedReceiver<Answer>;

    /// Returns the nodes of the cluster, including this one.
    fn nodes(self: Arc<Self>, namespace: &Arc<str>) -> NodesFuture;

    /// Returns `true` if clients of other nodes can be restored.
    fn stores_records(&self) -> bool {
        false
    }

    /// Returns this node's name.
    fn uid(&self) -> &str;

    /// Returns the number of this node's next message; the caller sends it before the next one, if
    /// at all.
    fn reserve(&self) -> u64;

    /// Queues a message under a number that was [reserved](Self::reserve).
    ///
    /// # Errors
    ///
    /// The same as of [`tell`](Self::tell).
    fn tell_as(
        &self,
        number: u64,
        namespace: &Arc<str>,
        message: &Message,
    ) -> Result<(), ClusterError>;

    /// Returns the last entry of the namespace's stream that was delivered here; `None` before the
    /// stream is read.
    fn read_position(&self, namespace: &str) -> Option<EntryId>;

    /// Stores the record of a client for this long, unless it has moved to another node since then.
    fn store_record(&self, kept: PersistedSocket, limit: Duration);

    /// Deletes the record of a client that has moved this often, unless it has moved once more since
    /// then.
    fn delete_record(&self, pid: &str, moves: u64);

    /// A room has received its first member here, or lost its last one. Called under the
    /// namespace's lock.
    fn room_changed(&self, namespace: &Arc<str>, room: &Arc<str>, began: bool);

    /// Returns the name of the event that gives a client the reason for its disconnect.
    fn disconnect_event(&self) -> &str;

    /// Returns the timeout of acknowledgements of other nodes' clients, if a call sets none.
    fn ack_timeout(&self) -> Duration;

    /// Returns `true` if nodes may be asked for their rooms.
    fn asks_for_rooms(&self) -> bool;
}

/// The nodes of a cluster, as a future.
pub(crate) type NodesFuture =
    Pin<Box<dyn Future<Output = Result<Vec<NodeId>, ClusterError>> + Send>>;
