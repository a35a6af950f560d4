//! The owners that the parts of a node share: each part takes those that it needs.

use std::sync::Arc;

use actix::ArbiterHandle;
use tokio_util::sync::CancellationToken;

use crate::adapter::broker::Broker;
use crate::adapter::format::Format;
use crate::adapter::health::Health;
use crate::logging::LogLimits;
use crate::supervision::ChildPanic;
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

impl NodeContext {
    /// Makes the owners of a new node. The panics of its tasks are sent to `fallen`.
    pub(crate) fn new(
        format: Arc<dyn Format>,
        broker: Arc<dyn Broker>,
        arbiter: &ArbiterHandle,
        fallen: Arc<dyn Fn(ChildPanic) + Send + Sync>,
    ) -> Self {
        let panicked = move |task, panic: String| {
            fallen(ChildPanic {
                panic: format!("{task}: {panic}"),
                given_up: false,
            });
        };
        let line_limits = LogLimits::new();
        Self {
            format,
            broker,
            health: Health::new(&line_limits),
            tasks: TaskGroup::new(arbiter.clone(), panicked),
            closed: CancellationToken::new(),
            line_limits,
        }
    }
}
