//! The life of an adapter: the namespaces that it serves, the clients that it restores, its end.
//!
//! A namespace sends and asks by the other contract, [`Adapter`].

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::cluster::AdapterHealth;
use crate::members::{Adapter, Membership, ResumeRequest, Resumed};

/// A node of a cluster.
pub(crate) trait Cluster: Adapter {
    /// Subscribes to the messages of a namespace.
    fn enter(&self, namespace: &Arc<Membership>);

    /// Ends the subscription to the messages of a namespace.
    fn leave(&self, namespace: &Arc<str>);

    /// Returns the state and the missed events of a client that was connected to another node.
    fn restore(
        self: Arc<Self>,
        membership: Arc<Membership>,
        request: ResumeRequest,
    ) -> ResumedFuture;

    /// Returns the state of the connections to the other nodes.
    fn health(&self) -> AdapterHealth;

    /// Waits until the records of clients were stored.
    fn recorded(self: Arc<Self>) -> SettledFuture;

    /// Accepts no more server-side events of other nodes, and waits until the program has answered
    /// the present ones.
    fn settle(self: Arc<Self>) -> SettledFuture;

    /// Sends the queue and the awaited answers, for up to `limit`, and ends. Returns `true` if all
    /// were sent.
    fn close(self: Arc<Self>, limit: Duration) -> ClosedFuture;
}

/// Ends with the last server-side event, or the last record.
pub(crate) type SettledFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Whether an adapter has sent everything, as a future.
pub(crate) type ClosedFuture = Pin<Box<dyn Future<Output = bool> + Send>>;

/// The state of a client that has reconnected, as a future.
pub(crate) type ResumedFuture = Pin<Box<dyn Future<Output = Option<Resumed>> + Send>>;
