//! The waiting tasks of a node: for a client, another node, or the broker.
//!
//! Each is tracked, so that a node that closes waits for it, and a panic in it is caught and
//! reported to the program's supervisors.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use actix::ArbiterHandle;
use tokio_util::task::TaskTracker;

use crate::panics::Caught;
use crate::supervision::ChildPanic;

/// The tasks of one node.
pub(crate) struct Tasks {
    arbiter: ArbiterHandle,
    tracker: TaskTracker,
    fallen: Arc<dyn Fn(ChildPanic) + Send + Sync>,
}

impl Tasks {
    pub(crate) fn new(
        arbiter: ArbiterHandle,
        fallen: Arc<dyn Fn(ChildPanic) + Send + Sync>,
    ) -> Arc<Self> {
        Arc::new(Self {
            arbiter,
            tracker: TaskTracker::new(),
            fallen,
        })
    }

    /// Runs a task on the adapter's arbiter. `what` names it in a report.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        what: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        self.spawn_in(&self.tracker, what, task);
    }

    /// Runs a task that another part of the node awaits by its own tracker.
    pub(crate) fn spawn_in(
        self: &Arc<Self>,
        tracker: &TaskTracker,
        what: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let tasks = Arc::clone(self);
        let guarded = async move {
            let _ = tasks.guard(what, task).await;
        };
        self.arbiter.spawn(tracker.track_future(guarded));
    }

    /// Runs a future and reports its panic; then there is no value.
    pub(crate) async fn guard<T>(&self, what: &str, future: impl Future<Output = T>) -> Option<T> {
        let ended = Caught::new(future).await;
        ended
            .map_err(|panic| {
                (self.fallen)(ChildPanic {
                    panic: format!("{what}: {panic}"),
                    given_up: false,
                });
            })
            .ok()
    }

    /// Waits until all tasks have ended.
    pub(crate) async fn ended(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks")
            .field("tracker", &self.tracker)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;

    #[actix_rt::test]
    async fn a_panic_is_reported_and_the_task_has_ended() {
        let reported = Arc::new(Mutex::new(Vec::new()));
        let reporting = Arc::clone(&reported);
        let fallen = Arc::new(move |fall: ChildPanic| reporting.lock().push(fall.panic));
        let tasks = Tasks::new(actix::Arbiter::current(), fallen);
        tasks.spawn("question", async {
            tokio::task::yield_now().await;
            std::panic::panic_any("boom");
        });
        tasks.ended().await;
        assert_eq!(*reported.lock(), ["question: boom"]);
        assert_eq!(tasks.guard("restore", async { 7 }).await, Some(7));
    }
}
