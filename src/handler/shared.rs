//! The table that all sockets of a namespace share.
//!
//! A registration replaces the whole table, so a session reads its own view of it without a lock.
//! Registrations for all namespaces are in a separate table, which the others follow: each of them
//! is merged with it before a session reads it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, RwLock};

use crate::handler::table::Table;

/// A table that may change while clients are connected.
#[derive(Debug, Default)]
pub(crate) struct SharedTable {
    layers: RwLock<Layers>,
    version: AtomicU64,
    /// The tables that change with this one. Locked after `layers`.
    followers: Mutex<Vec<Weak<Self>>>,
}

/// The parts of a table.
#[derive(Debug, Default)]
struct Layers {
    /// The registrations of this table alone.
    own: Arc<Table>,
    /// The registrations for all namespaces, if this table follows them.
    common: Option<Arc<Table>>,
    /// Both together: the view of sessions.
    current: Arc<Table>,
}

impl Layers {
    fn merge(&mut self) {
        self.current = match &self.common {
            Some(common) => Arc::new(self.own.with(common)),
            None => Arc::clone(&self.own),
        };
    }
}

impl SharedTable {
    /// Makes a table with the registrations of `common`, present and future, and its own.
    pub(crate) fn following(common: &Self) -> Arc<Self> {
        let shared = Arc::new(Self::default());
        let layers = common.layers.read();
        shared.follow(&layers.own);
        let mut followers = common.followers.lock();
        followers.retain(|follower| follower.strong_count() > 0);
        followers.push(Arc::downgrade(&shared));
        shared
    }

    /// Replaces the table with a changed one, and those of its followers.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Table) -> T) -> T {
        let mut layers = self.layers.write();
        let outcome = change(Arc::make_mut(&mut layers.own));
        layers.merge();
        self.version.fetch_add(1, Ordering::Release);
        for follower in self.followers.lock().iter().filter_map(Weak::upgrade) {
            follower.follow(&layers.own);
        }
        outcome
    }

    fn follow(&self, common: &Arc<Table>) {
        let mut layers = self.layers.write();
        layers.common = (!common.is_empty()).then(|| Arc::clone(common));
        layers.merge();
        self.version.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn read(&self) -> Arc<Table> {
        Arc::clone(&self.layers.read().current)
    }

    pub(crate) fn view(&self) -> TableView {
        let layers = self.layers.read();
        TableView {
            version: self.version.load(Ordering::Acquire),
            table: Arc::clone(&layers.current),
        }
    }
}

/// One socket's copy of the table's address.
#[derive(Clone, Debug)]
pub(crate) struct TableView {
    table: Arc<Table>,
    version: u64,
}

impl TableView {
    /// Returns the present table.
    pub(crate) fn current(&mut self, shared: &SharedTable) -> &Arc<Table> {
        if shared.version.load(Ordering::Acquire) != self.version {
            *self = shared.view();
        }
        &self.table
    }
}
