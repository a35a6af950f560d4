//! The root of a program's supervisors: the server.

use std::fmt;
use std::sync::{Arc, Weak};

use actix::ArbiterHandle;
use parking_lot::Mutex;

use crate::supervision::dead_letter::DeadLetter;
use crate::supervision::node::{Node, Subordinate};
use crate::supervision::supervisor_error::SupervisorError;
use crate::supervision::tree::SupervisionTree;

/// The reports of supervisors to the server.
pub(crate) trait SupervisionReports: Send + Sync {
    /// The child of this path has panicked.
    fn panicked(&self, child: &str, panic: String);

    /// The child of this path has ended with an error.
    fn failed(&self, child: &str, error: &str);

    /// The supervisor of this name, which has no supervisor above it, has ended: its children were
    /// restarted too often.
    fn escalated(&self, supervisor: &str, text: String);

    /// A child of the supervisor of this path is restarted.
    fn restarted(&self, supervisor: &str);

    /// Nobody takes this message of a child of the supervisor of this path. `is_taken` if the
    /// program has a recipient for it.
    fn undelivered(&self, supervisor: &str, letter: &DeadLetter, is_taken: bool);
}

/// The supervisors of a server that have none above them.
pub(crate) struct SupervisionRoot {
    pub(super) arbiter: ArbiterHandle,
    pub(super) reports: Box<dyn SupervisionReports>,
    /// A supervisor lives as long as a child of it, or a handle.
    tops: Mutex<Vec<Weak<Node>>>,
    is_closed: Mutex<bool>,
}

impl SupervisionRoot {
    pub(crate) fn new(
        arbiter: ArbiterHandle,
        reports: impl SupervisionReports + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            arbiter,
            reports: Box::new(reports),
            tops: Mutex::default(),
            is_closed: Mutex::new(false),
        })
    }

    /// Returns the trees of the supervisors, in the order of their start.
    pub(crate) fn trees(&self) -> Vec<SupervisionTree> {
        self.tops().iter().map(|top| top.tree()).collect()
    }

    /// Stops all supervisors, without waiting. None can start afterwards.
    pub(crate) fn stop(&self) {
        *self.is_closed.lock() = true;
        self.tops().iter().rev().for_each(Node::stop);
    }

    /// Waits for the ends of all supervisors.
    pub(crate) async fn ended(&self) {
        for top in self.tops() {
            top.ended.cancelled().await;
        }
    }

    /// Adds a supervisor.
    ///
    /// # Errors
    ///
    /// The server is closed, or has a supervisor of this name.
    pub(super) fn add(&self, top: &Arc<Node>) -> Result<(), SupervisorError> {
        let is_closed = self.is_closed.lock();
        let mut tops = self.tops.lock();
        tops.retain(|top| top.upgrade().is_some_and(|top| !top.ended.is_cancelled()));
        let path = || top.path.as_ref().to_owned();
        if *is_closed {
            return Err(SupervisorError::Ended(path()));
        }
        let mut others = tops.iter().filter_map(Weak::upgrade);
        if others.any(|other| other.path == top.path) {
            return Err(SupervisorError::NameTaken(path()));
        }
        tops.push(Arc::downgrade(top));
        Ok(())
    }

    fn tops(&self) -> Vec<Arc<Node>> {
        let tops = self.tops.lock();
        let tops = tops.iter().filter_map(Weak::upgrade);
        tops.filter(|top| !top.ended.is_cancelled()).collect()
    }
}

impl fmt::Debug for SupervisionRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupervisionRoot").finish_non_exhaustive()
    }
}
