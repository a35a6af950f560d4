//! The counts of hits, and the program's hooks.

use std::array;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use log::Level;

use crate::limits::{Limit, LimitHit};
use crate::logging::{LogKind, LogLimits, cut};
use crate::panics::catch_panic;

/// Counts the hits of a server's limits, and calls the hooks of the program.
#[derive(Clone)]
pub(crate) struct LimitHooks {
    hooks: Vec<Arc<LimitHook>>,
    /// By limit; every thread that finds a hit adds to it.
    counts: Arc<[AtomicU64; Limit::COUNT]>,
}

type LimitHook = dyn Fn(&LimitHit<'_>) + Send + Sync;

impl LimitHooks {
    pub(crate) fn add(&mut self, hook: impl Fn(&LimitHit<'_>) + Send + Sync + 'static) {
        self.hooks.push(Arc::new(hook));
    }

    /// Counts a hit, and reports it to the program. The caller holds no lock that a hook may need.
    pub(crate) fn hit(&self, hit: &LimitHit<'_>) {
        self.counts[hit.limit() as usize].fetch_add(1, Ordering::Relaxed);
        for hook in &self.hooks {
            if let Err(panic) = catch_panic(|| hook(hit)) {
                let line = format_args!("hook `on_limit` panicked: {}", cut(panic));
                LogLimits::of_process().write(LogKind::Panicked, Level::Error, line);
            }
        }
    }

    /// Returns all limits with their numbers of hits since the server's start.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (Limit, u64)> + use<> {
        let counts = Arc::clone(&self.counts);
        Limit::all().map(move |limit| (limit, counts[limit as usize].load(Ordering::Relaxed)))
    }
}

impl Default for LimitHooks {
    fn default() -> Self {
        Self {
            hooks: Vec::new(),
            counts: Arc::new(array::from_fn(|_| AtomicU64::new(0))),
        }
    }
}

impl fmt::Debug for LimitHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitHooks")
            .field("hooks", &self.hooks.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;

    #[test]
    fn a_hit_is_counted_and_reported_although_a_hook_panics() {
        let mut hooks = LimitHooks::default();
        let seen = Arc::new(Mutex::new(Vec::new()));
        hooks.add(|_| panic!("in the hook"));
        let report = Arc::clone(&seen);
        hooks.add(move |hit| report.lock().push((hit.limit(), hit.value())));
        let shared = hooks.clone();
        shared.hit(&LimitHit::new(Limit::AuthLimit, 7_usize));
        hooks.hit(&LimitHit::new(Limit::AuthLimit, 7_usize));
        assert_eq!(*seen.lock(), [(Limit::AuthLimit, 7), (Limit::AuthLimit, 7)]);
        let hit: Vec<_> = hooks.counts().filter(|(_, count)| *count > 0).collect();
        assert_eq!(hit, [(Limit::AuthLimit, 2)]);
    }
}
