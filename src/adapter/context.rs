//! The owners that the parts of a node share: each part takes those that it needs.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::adapter::broker::Broker;
use crate::adapter::format::Format;
use crate::adapter::health::Health;
use crate::adapter::tasks::Tasks;
use crate::logging::LogLimits;

/// The owners that the parts of one node share.
#[derive(Clone, Debug)]
pub(crate) struct NodeContext {
    pub(crate) format: Arc<dyn Format>,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) health: Arc<Health>,
    pub(crate) tasks: Arc<Tasks>,
    /// Cancelled when the node has closed.
    pub(crate) closed: CancellationToken,
    pub(crate) line_limits: Arc<LogLimits>,
}
