//! Tasks beside actors: tracked, so that the owner can wait for them, and caught, so that each
//! panic is reported.
//!
//! A future enters with its label. Nothing leaves; if the future panics, the owner's closure gets
//! the label and the text of the panic. The purpose of the tasks is not known here.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use actix::ArbiterHandle;
use tokio_util::task::TaskTracker;

use crate::panics::Caught;

/// The tasks of one owner, on one arbiter. `L` tells them apart in a report.
pub(crate) struct TaskGroup<L> {
    arbiter: ArbiterHandle,
    tracker: TaskTracker,
    panicked: Arc<dyn Fn(L, String) + Send + Sync>,
}

impl<L: Send + 'static> TaskGroup<L> {
    pub(crate) fn new(
        arbiter: ArbiterHandle,
        panicked: impl Fn(L, String) + Send + Sync + 'static,
    ) -> Self {
        Self {
            arbiter,
            tracker: TaskTracker::new(),
            panicked: Arc::new(panicked),
        }
    }

    /// Returns the thread of the tasks.
    pub(crate) fn arbiter(&self) -> &ArbiterHandle {
        &self.arbiter
    }

    /// Returns a group of other tasks, which is awaited alone and has the same reports.
    #[cfg(feature = "cluster")]
    pub(crate) fn new_group(&self) -> Self {
        Self {
            tracker: TaskTracker::new(),
            ..self.clone()
        }
    }

    /// Runs a task on the arbiter.
    pub(crate) fn spawn(&self, label: L, task: impl Future<Output = ()> + Send + 'static) {
        let panicked = Arc::clone(&self.panicked);
        self.arbiter.spawn(self.tracker.track_future(async move {
            if let Err(panic) = Caught::new(task).await {
                panicked(label, panic);
            }
        }));
    }

    /// Reports a panic that the owner has caught in work that is not spawned.
    #[cfg(feature = "cluster")]
    pub(crate) fn report(&self, label: L, panic: String) {
        (self.panicked)(label, panic);
    }

    /// Returns `true` after the first call of [`ended`](Self::ended).
    #[cfg(feature = "cluster")]
    pub(crate) fn is_ending(&self) -> bool {
        self.tracker.is_closed()
    }

    /// Waits until all tasks have ended.
    pub(crate) async fn ended(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

// Handles of the same tasks; a label need not be `Clone`.
impl<L> Clone for TaskGroup<L> {
    fn clone(&self) -> Self {
        Self {
            arbiter: self.arbiter.clone(),
            tracker: self.tracker.clone(),
            panicked: Arc::clone(&self.panicked),
        }
    }
}

impl<L> fmt::Debug for TaskGroup<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskGroup")
            .field("tracker", &self.tracker)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use parking_lot::Mutex;
    use tokio::task::yield_now;

    use super::*;

    type Reports = Arc<Mutex<Vec<String>>>;

    fn tasks() -> (TaskGroup<&'static str>, Reports) {
        let reports = Reports::default();
        let reported = Arc::clone(&reports);
        let panicked = move |label, panic| reported.lock().push(format!("{label}: {panic}"));
        (TaskGroup::new(actix::Arbiter::current(), panicked), reports)
    }

    #[actix_rt::test]
    async fn a_panic_is_reported_and_the_task_has_ended() {
        let (tasks, reports) = tasks();
        tasks.spawn("question", async {
            yield_now().await;
            std::panic::panic_any("boom");
        });
        tasks.spawn("answer", async {});
        assert!(!tasks.is_ending());
        tasks.ended().await;
        assert!(tasks.is_ending());
        assert_eq!(*reports.lock(), ["question: boom"]);
    }

    #[actix_rt::test]
    async fn another_group_is_awaited_alone_and_has_the_same_reports() {
        let (tasks, reports) = tasks();
        tasks.spawn("waits", pending());
        let group = tasks.new_group();
        group.spawn("answer", async { std::panic::panic_any("boom") });
        group.ended().await;
        assert!(!tasks.is_ending());
        tasks.report("delivery", "boom".to_owned());
        assert_eq!(*reports.lock(), ["answer: boom", "delivery: boom"]);
    }
}
