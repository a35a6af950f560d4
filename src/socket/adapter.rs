//! The way from a namespace to the other nodes of its cluster.
//!
//! A server without an adapter is alone, at the cost of one check. A message goes to this node's
//! sockets first and then to the adapter, which never makes the sender wait. The adapter delivers
//! messages of other nodes to the [`Membership`] itself.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;

use crate::cluster::{AdapterHealth, Answer, ClusterError, EntryId, Message, NodeId, Question};
use crate::socket::membership::Membership;
use crate::socket::recovery::{Back, Claim, Kept};

/// Carries messages between nodes.
pub(crate) trait Adapter: fmt::Debug + Send + Sync {
    /// Queues a message for every other node. Messages of one thread arrive in their order.
    ///
    /// # Errors
    ///
    /// If no other node will get it.
    fn tell(&self, namespace: &Arc<str>, message: &Message) -> Result<(), ClusterError>;

    /// Asks every other node. The channel brings the answers, and ends when all have come or time is
    /// up; its last item says which nodes answered. A question that cannot be sent at once is not
    /// sent at all.
    fn ask(
        self: Arc<Self>,
        namespace: &Arc<str>,
        question: Question,
        limit: Duration,
    ) -> UnboundedReceiver<Answer>;

    /// Returns the nodes of the cluster, this one included.
    fn nodes(self: Arc<Self>, namespace: &Arc<str>) -> NodesFuture;

    /// Tells whether clients are restored that were connected to another node.
    fn remembers(&self) -> bool {
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
    /// As of [`tell`](Self::tell).
    fn tell_as(
        &self,
        number: u64,
        namespace: &Arc<str>,
        message: &Message,
    ) -> Result<(), ClusterError>;

    /// Returns the last entry of the namespace's stream that was delivered here; `None` before the
    /// stream is read.
    fn position(&self, namespace: &str) -> Option<EntryId>;

    /// Stores the record of a client for this long.
    fn keep(&self, kept: Kept, limit: Duration);

    /// Deletes the record of a client.
    fn forget(&self, pid: &str);

    /// Returns the state and the missed events of a client that was connected to another node.
    fn restore(self: Arc<Self>, membership: Arc<Membership>, claim: Claim) -> BackFuture;

    /// Starts to listen for a namespace.
    fn enter(&self, namespace: &Arc<Membership>);

    /// Stops listening for a namespace.
    fn leave(&self, namespace: &Arc<str>);

    /// A room has got its first member here, or lost its last one. Called under the namespace's lock.
    fn room_changed(&self, namespace: &Arc<str>, room: &Arc<str>, began: bool);

    /// Returns the time for acknowledgements of clients of other nodes, if a call sets none.
    fn ack_timeout(&self) -> Duration;

    /// Tells whether nodes may be asked for their rooms.
    fn asks_for_rooms(&self) -> bool;

    fn health(&self) -> AdapterHealth;

    /// Takes no more server-side events of other nodes, and waits until the program has answered
    /// those that it has.
    fn settle(self: Arc<Self>) -> SettledFuture;

    /// Sends the queue and the answers that other nodes wait for, for up to `limit`, and ends. Returns
    /// `true` if all were sent.
    fn close(self: Arc<Self>, limit: Duration) -> ClosedFuture;
}

/// The nodes of a cluster, to be waited for.
pub(crate) type NodesFuture =
    Pin<Box<dyn Future<Output = Result<Vec<NodeId>, ClusterError>> + Send>>;

/// The end of the last server-side event, to be waited for.
pub(crate) type SettledFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Whether an adapter has sent everything, to be waited for.
pub(crate) type ClosedFuture = Pin<Box<dyn Future<Output = bool> + Send>>;

/// The state of a client that has reconnected, to be waited for.
pub(crate) type BackFuture = Pin<Box<dyn Future<Output = Option<Back>> + Send>>;
