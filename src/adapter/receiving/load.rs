//! The limit of the work that this node does for other nodes at the same time.
//!
//! Each question that waits for clients, and each server-side event that waits for the program,
//! takes a place; if none is free it is refused. Nothing here depends on the kind of work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The places of one kind of work.
#[derive(Debug)]
pub(crate) struct Load {
    limit: usize,
    count: AtomicUsize,
    /// The log has reported that no place is free. Cleared when half of the places are free again,
    /// so that work at the limit does not write a line for each refusal.
    is_full: AtomicBool,
}

impl Load {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            count: AtomicUsize::new(0),
            is_full: AtomicBool::new(false),
        })
    }

    /// Takes a place until the returned value is dropped; `None` if none is free. `what` names the
    /// work in the log.
    pub(crate) fn enter(self: &Arc<Self>, what: &str) -> Option<Permit> {
        let more = |count: usize| (count < self.limit).then_some(count + 1);
        let (set, fetch) = (Ordering::AcqRel, Ordering::Acquire);
        if self.count.fetch_update(set, fetch, more).is_ok() {
            return Some(Permit(Arc::clone(self)));
        }
        if !self.is_full.swap(true, Ordering::Relaxed) {
            log::warn!(
                "{what} of other nodes are dropped: the limit of {} in progress is reached, see \
                 `requests_in_flight` of the adapter",
                self.limit
            );
        }
        None
    }
}

/// One place.
#[derive(Debug)]
pub(crate) struct Permit(Arc<Load>);

impl Drop for Permit {
    fn drop(&mut self) {
        let left = self.0.count.fetch_sub(1, Ordering::AcqRel) - 1;
        if left <= self.0.limit / 2 {
            self.0.is_full.store(false, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_accepted_up_to_the_limit() {
        for limit in [0, 1, 3] {
            let load = Load::new(limit);
            let places: Vec<_> = (0..limit).map(|_| load.enter("questions")).collect();
            assert!(places.iter().all(Option::is_some));
            assert!(load.enter("questions").is_none());
            drop(places);
            assert_eq!(load.enter("questions").is_some(), limit > 0);
        }
    }
}
