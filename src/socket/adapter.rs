//! The way from a namespace to the other nodes of its cluster.
//!
//! A server without one is alone, and pays for it with one look at an empty place. What is sent
//! goes to this node's sockets first and then to the adapter, which never makes the sender wait.
//! What comes from other nodes is done to the [`Membership`] by the adapter itself.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;

use crate::cluster::{AdapterHealth, Answer, ClusterError, EntryId, Message, NodeId, Question};
use crate::socket::membership::Membership;
use crate::socket::recovery::{Back, Claim, Kept};

/// What carries messages between nodes.
pub(crate) trait Adapter: fmt::Debug + Send + Sync {
    /// Queues a message for every other node. What one thread tells is heard in that order.
    ///
    /// # Errors
    ///
    /// Says why nobody will hear it.
    fn tell(&self, namespace: &Arc<str>, message: &Message) -> Result<(), ClusterError>;

    /// Asks every other node. The channel brings what each answers and ends when all have, or time
    /// is up; then it says how far the question got. What cannot be asked at once is not asked at
    /// all.
    fn ask(
        self: Arc<Self>,
        namespace: &Arc<str>,
        question: Question,
        limit: Duration,
    ) -> UnboundedReceiver<Answer>;

    /// Finds out which nodes there are, this one included.
    fn nodes(self: Arc<Self>, namespace: &Arc<str>) -> NodesFuture;

    /// Tells whether it keeps what clients need that come back to another node.
    fn remembers(&self) -> bool {
        false
    }

    /// Returns this node's name.
    fn uid(&self) -> &str;

    /// Returns the number of this node's next message; the caller tells it before the next one, if
    /// at all.
    fn reserve(&self) -> u64;

    /// Queues a message under a number of its own.
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

    /// Returns the last entry of the namespace's stream that was done here; `None` before the first
    /// look.
    fn position(&self, namespace: &str) -> Option<EntryId>;

    /// Keeps what a client needs to come back, for this long.
    fn keep(&self, kept: Kept, limit: Duration);

    /// Keeps it no longer.
    fn forget(&self, pid: &str);

    /// Finds what a client needs that was on another node, and what it has missed since.
    fn restore(self: Arc<Self>, membership: Arc<Membership>, claim: Claim) -> BackFuture;

    /// Starts to listen for a namespace.
    fn enter(&self, namespace: &Arc<Membership>);

    /// Stops listening for a namespace.
    fn leave(&self, namespace: &Arc<str>);

    /// A room has got its first member here, or lost its last. Called under the namespace's lock.
    fn room_changed(&self, namespace: &Arc<str>, room: &Arc<str>, began: bool);

    /// Returns how long clients of other nodes may take to acknowledge, unless it is said.
    fn ack_timeout(&self) -> Duration;

    /// Tells whether nodes may be asked for their rooms.
    fn asks_for_rooms(&self) -> bool;

    fn health(&self) -> AdapterHealth;

    /// Takes no more server-side events of other nodes, and waits until the program has answered
    /// those that it has.
    fn settle(self: Arc<Self>) -> SettledFuture;

    /// Sends what is queued and what other nodes wait for, for up to `limit`, and ends; tells
    /// whether all was sent.
    fn close(self: Arc<Self>, limit: Duration) -> ClosedFuture;
}

/// The nodes of a cluster, to be waited for.
pub(crate) type NodesFuture =
    Pin<Box<dyn Future<Output = Result<Vec<NodeId>, ClusterError>> + Send>>;

/// The end of the last server-side event, to be waited for.
pub(crate) type SettledFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Whether an adapter has sent everything, to be waited for.
pub(crate) type ClosedFuture = Pin<Box<dyn Future<Output = bool> + Send>>;

/// What a client comes back with, to be waited for.
pub(crate) type BackFuture = Pin<Box<dyn Future<Output = Option<Back>> + Send>>;
