//! The table that all sockets of a namespace look at.
//!
//! It is replaced as a whole when the program registers something, so that a session reads its own
//! view of it without a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use crate::handler::table::Table;

/// A table that may change while clients are connected.
#[derive(Debug, Default)]
pub(crate) struct SharedTable {
    current: RwLock<Arc<Table>>,
    version: AtomicU64,
}

impl SharedTable {
    /// Replaces the table with a changed one.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Table) -> T) -> T {
        let mut current = self.current.write();
        let outcome = change(Arc::make_mut(&mut current));
        self.version.fetch_add(1, Ordering::Release);
        outcome
    }

    pub(crate) fn read(&self) -> Arc<Table> {
        Arc::clone(&self.current.read())
    }

    pub(crate) fn view(&self) -> TableView {
        let current = self.current.read();
        TableView {
            version: self.version.load(Ordering::Acquire),
            table: Arc::clone(&current),
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
    /// Returns the table as it is now.
    pub(crate) fn current(&mut self, shared: &SharedTable) -> &Arc<Table> {
        if shared.version.load(Ordering::Acquire) != self.version {
            *self = shared.view();
        }
        &self.table
    }
}
