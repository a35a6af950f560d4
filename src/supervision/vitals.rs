//! The counts of an actor that the supervision tree shows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// How often an actor was restarted, and how many messages wait for it. Its parent keeps it, also
/// for the actor that takes its place.
#[derive(Debug, Default)]
pub(crate) struct Vitals {
    /// Written by the actor's task.
    restarts: AtomicU64,
    /// Written under the lock of the mailbox.
    mailbox: AtomicUsize,
}

impl Vitals {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    /// Returns the number of messages that wait.
    pub(crate) fn mailbox(&self) -> usize {
        self.mailbox.load(Ordering::Relaxed)
    }

    pub(super) fn restarted(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn set_mailbox(&self, messages: usize) {
        self.mailbox.store(messages, Ordering::Relaxed);
    }
}
