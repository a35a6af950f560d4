//! A session in a store that HTTP handlers use too: its loading and saving.
//!
//! Code that needs it loaded or saved queues a task. The tasks of one client run one after
//! another, loads in the order of their requests, so that handlers start in the order of arrival.
//! Changes are recorded by key and are merged into the present state of the store, so the changes
//! of an HTTP handler to other keys are kept.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;

use parking_lot::Mutex;
use serde_json::Value;

use crate::data::session::{Entries, Session};
use crate::error::SessionError;
use crate::panics::{Caught, PanicReports, TaskOwner, catch_panic};

/// One client's entry in a store. Its futures always end; a panic is an error for those that wait.
pub(crate) trait SessionStore: Send + Sync {
    /// Returns the values in the store; empty if the client has no session there, or no longer has
    /// one.
    fn load(&self) -> Done<Entries>;

    /// Merges the changes into the present state of the store, if it still has the session.
    fn save(&self, changes: Changes) -> Done<()>;
}

/// An operation of a store, on the worker that requests it.
pub(crate) type Done<T> = Pin<Box<dyn Future<Output = Result<T, SessionError>>>>;

/// Called after the session was loaded or saved, or could not be.
pub(crate) type StoreTask = Box<dyn FnOnce(Result<(), SessionError>) + Send>;

/// The changes of handlers since the last save.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// All values were removed before the other changes.
    pub(crate) cleared: bool,
    /// The new value under a key; `None` if it was removed.
    pub(crate) values: BTreeMap<String, Option<Value>>,
}

impl Changes {
    pub(crate) fn is_empty(&self) -> bool {
        !self.cleared && self.values.is_empty()
    }

    /// Makes the changes in `entries`.
    pub(crate) fn apply(&self, entries: &mut Entries) {
        if self.cleared {
            entries.clear();
        }
        for (key, value) in &self.values {
            match value {
                Some(value) => entries.insert(key.clone(), value.clone()),
                None => entries.remove(key),
            };
        }
    }
}

/// A session's store, and the waiting tasks.
pub(crate) struct Stored {
    store: Box<dyn SessionStore>,
    tasks: Mutex<StoreTasks>,
    /// Set by the client's link, whose server hears of the panics.
    panic_reports: OnceLock<PanicReports>,
}

#[derive(Default)]
struct StoreTasks {
    loads: VecDeque<StoreTask>,
    saves: Vec<StoreTask>,
    /// `true` if a task is running them.
    are_taken: bool,
}

/// The next task.
enum Next {
    /// All requests so far: their changes are saved together.
    Save(Vec<StoreTask>),
    Load,
}

impl Stored {
    pub(crate) fn new(store: Box<dyn SessionStore>) -> Self {
        Self {
            store,
            tasks: Mutex::default(),
            panic_reports: OnceLock::new(),
        }
    }

    /// Runs one turn; its panic is reported, and is the error `failed` for those that wait.
    async fn caught(
        &self,
        turn: impl Future<Output = Result<(), SessionError>>,
        failed: SessionError,
    ) -> Result<(), SessionError> {
        Caught::new(turn).await.unwrap_or_else(|panic| {
            self.report(&panic);
            Err(failed)
        })
    }

    /// Runs a task. The tasks after one that panics belong to other events, and are run.
    fn run(&self, task: StoreTask, outcome: Result<(), SessionError>) {
        if let Err(panic) = catch_panic(|| task(outcome)) {
            self.report(&panic);
        }
    }

    fn report(&self, panic: &str) {
        if let Some(reports) = self.panic_reports.get() {
            reports.report(TaskOwner::Session, format!("stored session: {panic}"));
        }
    }

    fn next(&self) -> Option<Next> {
        let mut tasks = self.tasks.lock();
        if !tasks.saves.is_empty() {
            return Some(Next::Save(std::mem::take(&mut tasks.saves)));
        }
        if !tasks.loads.is_empty() {
            return Some(Next::Load);
        }
        tasks.are_taken = false;
        None
    }
}

impl Session {
    /// Sets the receiver of the panics of its store and its tasks; the first is kept.
    pub(crate) fn report_panics(&self, reports: &PanicReports) {
        if let Some(stored) = self.stored() {
            let _ = stored.panic_reports.set(reports.clone());
        }
    }

    /// Calls `task` after the session was loaded, in the order of requests; at once if it is not in
    /// a store. Must be called on a worker.
    pub(crate) fn after_load(&self, task: StoreTask) {
        self.ask(task, |tasks, task| tasks.loads.push_back(task));
    }

    /// Calls `task` after the changes so far were saved; at once if the session is not in a store.
    /// Must be called on a worker.
    pub(crate) fn after_save(&self, task: StoreTask) {
        self.ask(task, |tasks, task| tasks.saves.push(task));
    }

    fn ask(&self, task: StoreTask, queue: impl FnOnce(&mut StoreTasks, StoreTask)) {
        let Some(stored) = self.stored() else {
            return task(Ok(()));
        };
        let mut tasks = stored.tasks.lock();
        queue(&mut tasks, task);
        if !std::mem::replace(&mut tasks.are_taken, true) {
            drop(tasks);
            actix::spawn(run_tasks(self.clone()));
        }
    }
}

/// Loads and saves until there are no more requests.
async fn run_tasks(session: Session) {
    let Some(stored) = session.stored() else {
        return;
    };
    let _forget = ForgetOnDrop(stored);
    while let Some(next) = stored.next() {
        match next {
            Next::Save(tasks) => {
                let saving = async {
                    let changes = session.take_changes();
                    if changes.is_empty() {
                        return Ok(());
                    }
                    stored.store.save(changes).await
                };
                let saved = stored.caught(saving, SessionError::NotSaved).await;
                for task in tasks {
                    stored.run(task, saved.clone());
                }
            }
            Next::Load => {
                let loading = async {
                    let loaded = stored.store.load().await;
                    loaded.map(|entries| session.refresh(entries))
                };
                let loaded = stored.caught(loading, SessionError::NotLoaded).await;
                let task = stored.tasks.lock().loads.pop_front();
                if let Some(task) = task {
                    stored.run(task, loaded);
                }
            }
        }
    }
}

/// Drops the remaining tasks if the worker ends before they ran, because they hold the session that
/// holds them.
struct ForgetOnDrop<'a>(&'a Stored);

impl Drop for ForgetOnDrop<'_> {
    fn drop(&mut self) {
        let mut tasks = self.0.tasks.lock();
        if tasks.are_taken {
            let forgotten = std::mem::take(&mut *tasks);
            drop(tasks);
            drop(forgotten);
        }
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.tasks.lock().loads.len();
        f.debug_struct("Stored")
            .field("waiting", &waiting)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;

    use tokio::sync::oneshot;

    use super::*;

    /// Panics in the call, or when it is polled.
    struct Panics;

    impl SessionStore for Panics {
        fn load(&self) -> Done<Entries> {
            panic!("in the load");
        }

        fn save(&self, _: Changes) -> Done<()> {
            Box::pin(poll_fn(|_| panic!("in the save")))
        }
    }

    #[actix_rt::test]
    async fn a_panic_of_the_store_is_reported_and_all_tasks_get_an_error() {
        let reports: Arc<Mutex<Vec<(TaskOwner, String)>>> = Arc::default();
        let reported = Arc::clone(&reports);
        let session = Session::lying_in(Box::new(Panics));
        session.report_panics(&PanicReports::new(move |owner, panic| {
            reported.lock().push((owner, panic));
        }));
        session.insert("n", 1).unwrap();
        let mut waiting = Vec::new();
        for is_load in [true, false, true] {
            let (told, outcome) = oneshot::channel();
            let task: StoreTask = Box::new(move |outcome| {
                told.send(outcome).unwrap();
                panic!("in the task");
            });
            if is_load {
                session.after_load(task);
            } else {
                session.after_save(task);
            }
            waiting.push(outcome);
        }
        let mut outcomes = Vec::new();
        for outcome in waiting {
            outcomes.push(outcome.await.unwrap().unwrap_err().to_string());
        }
        let [loaded, saved] = [SessionError::NotLoaded, SessionError::NotSaved];
        let expected = [&loaded, &saved, &loaded].map(ToString::to_string);
        assert_eq!(outcomes, expected);
        tokio::task::yield_now().await;
        let panics = ["save", "task", "load", "task", "load", "task"];
        let panics = panics.map(|place| format!("stored session: in the {place}"));
        let expected = panics.map(|panic| (TaskOwner::Session, panic));
        assert_eq!(*reports.lock(), expected);
    }
}
