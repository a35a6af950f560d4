//! The coverage of a question to the cluster.

use crate::cluster::{ClusterError, NodeId};

/// The coverage of a question to the whole cluster: the nodes that did not answer it.
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
    /// Returns `true` if every node has answered.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.unresponsive_nodes.is_empty() && self.unidentified_nodes == 0 && !self.is_cut_off()
    }

    /// Returns the number of other nodes that were asked.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// Returns the nodes that did not answer: they ended during the question, or reached the
    /// timeout.
    #[must_use]
    pub fn unresponsive_nodes(&self) -> &[NodeId] {
        &self.unresponsive_nodes
    }

    /// Returns the number of further nodes that did not answer and have no known name: the answers
    /// of Node.js servers in the classic format do not contain it.
    #[must_use]
    pub fn unidentified_nodes(&self) -> usize {
        self.unidentified_nodes
    }

    /// Returns `true` if the other nodes could not be asked at all: the broker is unreachable, or
    /// the cluster's format does not support the question.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        self.cut_off.is_some()
    }

    /// Returns the reason why the other nodes could not be asked; `None` if they were. The reasons
    /// are those of an emit: [`ClusterError::QueueFull`], [`ClusterError::Unavailable`] while the
    /// store is unreachable, and [`ClusterError::Unsupported`] or [`ClusterError::Encode`] if the
    /// format does not support it.
    #[must_use]
    pub fn error(&self) -> Option<&ClusterError> {
        self.cut_off.as_ref()
    }
}
