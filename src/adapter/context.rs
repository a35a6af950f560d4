//! The owners that the parts of a node share: each part takes those that it needs.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::adapter::broker::Broker;
use crate::adapter::format::Format;
use crate::adapter::health::Health;
use crate::logging::LogLimits;
use crate::tasks::TaskGroup;

/// The owners that the parts of one node share.
#[derive(Clone, Debug)]
pub(crate) struct NodeContext {
    pub(crate) format: Arc<dyn Format>,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) health: Arc<Health>,
    /// The tasks that wait; the label names a task in the report of its panic.
    pub(crate) tasks: TaskGroup<&'static str>,
    /// Cancelled when the node has closed.
    pub(crate) closed: CancellationToken,
    pub(crate) line_limits: Arc<LogLimits>,
}
