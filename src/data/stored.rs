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

use log::Level;
use parking_lot::Mutex;
use serde_json::Value;

use crate::data::session::{Entries, Session};
use crate::error::SessionError;
use crate::logging::{LogKind, LogLimits, cut};
use crate::panics::catch_panic;

/// One client's entry in a store. Its futures never panic, and always end.
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
            actix::spawn(take_turns(self.clone()));
        }
    }
}

/// Loads and saves until there are no more requests.
async fn take_turns(session: Session) {
    let Some(stored) = session.stored() else {
        return;
    };
    let _forget = ForgetOnDrop(stored);
    while let Some(next) = stored.next() {
        match next {
            Next::Save(tasks) => {
                let changes = session.take_changes();
                let saved = if changes.is_empty() {
                    Ok(())
                } else {
                    stored.store.save(changes).await
                };
                for task in tasks {
                    run(task, saved.clone());
                }
            }
            Next::Load => {
                let loaded = stored.store.load().await;
                let loaded = loaded.map(|entries| session.refresh(entries));
                let task = stored.tasks.lock().loads.pop_front();
                if let Some(task) = task {
                    run(task, loaded);
                }
            }
        }
    }
}

/// Runs a task. The tasks after one that panics belong to other events, and are run.
fn run(task: StoreTask, outcome: Result<(), SessionError>) {
    if let Err(panic) = catch_panic(|| task(outcome)) {
        let line = format_args!("task of a stored session panicked: {}", cut(panic));
        LogLimits::of_process().write(LogKind::Panicked, Level::Error, line);
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
