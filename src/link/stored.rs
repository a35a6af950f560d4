//! A session that lies in a store, where HTTP handlers find it too: when it is loaded and saved.
//!
//! Whoever needs it loaded or saved asks for a turn. The turns of one client come one after another,
//! loads in the order in which they were asked for, so that handlers start in the order of arrival.
//! Changes are written down key by key and go into what the store has by then: what an HTTP handler
//! has done to other keys meanwhile stays.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use log::Level;
use parking_lot::Mutex;
use serde_json::Value;

use crate::error::SessionError;
use crate::link::session::{Entries, Session};
use crate::logging::{LogKind, LogLimits, cut};
use crate::panics::catch_panic;

/// One client's place in a store. Its futures never panic, and always end.
pub(crate) trait SessionStore: Send + Sync {
    /// Returns what the store has; nothing where the client has no session there, or none any more.
    fn load(&self) -> Done<Entries>;

    /// Makes the changes in what the store has by now, where that is still something.
    fn save(&self, changes: Changes) -> Done<()>;
}

/// What a store does, on the worker that asks.
pub(crate) type Done<T> = Pin<Box<dyn Future<Output = Result<T, SessionError>>>>;

/// What is run when the session has been loaded or saved, or could not be.
pub(crate) type Turn = Box<dyn FnOnce(Result<(), SessionError>) + Send>;

/// What handlers have changed since the last save.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Everything was taken out before the other changes.
    pub(crate) cleared: bool,
    /// The new value under a key; `None` where it was taken out.
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

/// A session's store, and who waits for it.
pub(crate) struct Stored {
    store: Box<dyn SessionStore>,
    turns: Mutex<Turns>,
}

#[derive(Default)]
struct Turns {
    loads: VecDeque<Turn>,
    saves: Vec<Turn>,
    /// There is a task that takes them.
    are_taken: bool,
}

/// Whose turn it is.
enum Next {
    /// All who have asked so far: their changes are saved together.
    Save(Vec<Turn>),
    Load,
}

impl Stored {
    pub(crate) fn new(store: Box<dyn SessionStore>) -> Self {
        Self {
            store,
            turns: Mutex::default(),
        }
    }

    fn next(&self) -> Option<Next> {
        let mut turns = self.turns.lock();
        if !turns.saves.is_empty() {
            return Some(Next::Save(std::mem::take(&mut turns.saves)));
        }
        if !turns.loads.is_empty() {
            return Some(Next::Load);
        }
        turns.are_taken = false;
        None
    }
}

impl Session {
    /// Runs `turn` when the session has been loaded, behind those that have asked before; at once
    /// where it lies in no store. To be called on a worker.
    pub(crate) fn after_load(&self, turn: Turn) {
        self.ask(turn, |turns, turn| turns.loads.push_back(turn));
    }

    /// Runs `turn` when what has been changed so far has been saved; at once where the session lies
    /// in no store. To be called on a worker.
    pub(crate) fn after_save(&self, turn: Turn) {
        self.ask(turn, |turns, turn| turns.saves.push(turn));
    }

    fn ask(&self, turn: Turn, queue: impl FnOnce(&mut Turns, Turn)) {
        let Some(stored) = self.stored() else {
            return turn(Ok(()));
        };
        let mut turns = stored.turns.lock();
        queue(&mut turns, turn);
        if !std::mem::replace(&mut turns.are_taken, true) {
            drop(turns);
            actix::spawn(take_turns(self.clone()));
        }
    }
}

/// Loads and saves until nobody asks for more.
async fn take_turns(session: Session) {
    let Some(stored) = session.stored() else {
        return;
    };
    let _forget = ForgetOnDrop(stored);
    while let Some(next) = stored.next() {
        match next {
            Next::Save(turns) => {
                let changes = session.take_changes();
                let saved = if changes.is_empty() {
                    Ok(())
                } else {
                    stored.store.save(changes).await
                };
                for turn in turns {
                    run(turn, saved.clone());
                }
            }
            Next::Load => {
                let loaded = stored.store.load().await;
                let loaded = loaded.map(|entries| session.refresh(entries));
                let turn = stored.turns.lock().loads.pop_front();
                if let Some(turn) = turn {
                    run(turn, loaded);
                }
            }
        }
    }
}

/// Runs a turn. The turns behind one that panics belong to other events, and go on.
fn run(turn: Turn, outcome: Result<(), SessionError>) {
    if let Err(panic) = catch_panic(|| turn(outcome)) {
        let line = format_args!("turn of a stored session panicked: {}", cut(panic));
        LogLimits::of_process().write(LogKind::Panicked, Level::Error, line);
    }
}

/// Drops the turns that nobody takes any more, where the worker ends before they were taken: they
/// hold the session that holds them.
struct ForgetOnDrop<'a>(&'a Stored);

impl Drop for ForgetOnDrop<'_> {
    fn drop(&mut self) {
        let mut turns = self.0.turns.lock();
        if turns.are_taken {
            let forgotten = std::mem::take(&mut *turns);
            drop(turns);
            drop(forgotten);
        }
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.turns.lock().loads.len();
        f.debug_struct("Stored")
            .field("waiting", &waiting)
            .finish_non_exhaustive()
    }
}
