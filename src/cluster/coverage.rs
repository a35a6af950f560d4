//! How far a question got.

use crate::cluster::{ClusterError, NodeId};

/// How far a question to the whole cluster got: which nodes did not answer it.
///
/// # Examples
///
/// ```
/// # async fn run(io: actix_socketio::SocketIo) {
/// let sockets = io.fetch_sockets().await;
/// if let Some(error) = sockets.coverage().error() {
///     log::warn!("{} sockets of this node: {error}", sockets.len());
/// } else if !sockets.coverage().is_complete() {
///     log::warn!("{} sockets, without those of {:?}", sockets.len(), sockets.coverage().unresponsive_nodes());
/// }
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    pub(crate) nodes: usize,
    pub(crate) unresponsive_nodes: Vec<NodeId>,
    pub(crate) unidentified_nodes: usize,
    pub(crate) cut_off: Option<ClusterError>,
    pub(crate) timed_out: bool,
}

impl Coverage {
    /// Tells whether every node has answered.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.unresponsive_nodes.is_empty() && self.unidentified_nodes == 0 && !self.is_cut_off()
    }

    /// Returns how many other nodes were asked.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// Returns the nodes that did not answer: they ended while they were asked, or time was up.
    #[must_use]
    pub fn unresponsive_nodes(&self) -> &[NodeId] {
        &self.unresponsive_nodes
    }

    /// Returns how many further nodes did not answer that cannot be named: the answers of Node.js
    /// servers in the classic format do not say whose they are.
    #[must_use]
    pub fn unidentified_nodes(&self) -> usize {
        self.unidentified_nodes
    }

    /// Tells whether the other nodes could not be asked at all: the way to them is broken, or the
    /// cluster's format has no word for the question.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        self.cut_off.is_some()
    }

    /// Returns why the other nodes could not be asked; `None` where they were. As of an emit:
    /// [`ClusterError::QueueFull`], [`ClusterError::Unavailable`] while the store is away, and
    /// [`ClusterError::Unsupported`] or [`ClusterError::Encode`] where the format cannot say it.
    #[must_use]
    pub fn error(&self) -> Option<&ClusterError> {
        self.cut_off.as_ref()
    }
}
