//! The resident memory of the process, read at most every [`INTERVAL`].

use std::fmt;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::panics::catch_panic;

/// Measures the memory of the process in bytes; `None` if it cannot.
#[derive(Clone)]
pub(crate) struct MemoryGauge(Arc<dyn Fn() -> Option<u64> + Send + Sync>);

impl MemoryGauge {
    pub(crate) fn new(measure: impl Fn() -> Option<u64> + Send + Sync + 'static) -> Self {
        Self(Arc::new(measure))
    }

    /// A gauge of the program that panics measures nothing.
    pub(crate) fn measure(&self) -> Option<u64> {
        catch_panic(|| (self.0)()).ok().flatten()
    }
}

impl Default for MemoryGauge {
    /// The gauge of Linux.
    fn default() -> Self {
        Self::new(|| resident(&fs::read_to_string("/proc/self/status").ok()?))
    }
}

impl fmt::Debug for MemoryGauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryGauge").finish_non_exhaustive()
    }
}

/// The limit of memory for new clients, and the last measurement.
#[derive(Debug)]
pub(crate) struct MemoryMark {
    pub(crate) limit: u64,
    gauge: MemoryGauge,
    begun: Instant,
    /// Milliseconds after `begun` from which the next caller measures again.
    next: AtomicU64,
    measured: AtomicU64,
}

impl MemoryMark {
    pub(crate) fn new(limit: u64, gauge: MemoryGauge, now: Instant) -> Self {
        Self {
            limit,
            gauge,
            begun: now,
            next: AtomicU64::new(0),
            measured: AtomicU64::new(0),
        }
    }

    /// Returns `true` if the process has more memory than the limit. One of the callers at the same
    /// time measures, the others use the last value.
    pub(crate) fn is_exceeded(&self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.begun);
        let elapsed = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let due = self.next.load(Ordering::Relaxed);
        let then = elapsed.saturating_add(INTERVAL);
        let (set, failed) = (Ordering::Relaxed, Ordering::Relaxed);
        if elapsed >= due
            && self.next.compare_exchange(due, then, set, failed).is_ok()
            && let Some(bytes) = self.gauge.measure()
        {
            self.measured.store(bytes, Ordering::Relaxed);
        }
        self.measured.load(Ordering::Relaxed) > self.limit
    }
}

/// Reads the resident memory in `/proc/self/status`.
fn resident(status: &str) -> Option<u64> {
    let mut lines = status.lines();
    let value = lines.find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// The time between two measurements.
const INTERVAL: u64 = Duration::from_millis(250).as_millis() as u64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_in_kibibytes() {
        let status = "Name:\tserver\nVmPeak:\t  900 kB\nVmRSS:\t  1234 kB\nThreads:\t3\n";
        assert_eq!(resident(status), Some(1234 * 1024));
        for other in [
            "",
            "VmRSS:\t12",
            "VmRSS:\tx kB",
            "VmRSS:\t99999999999999999999 kB",
        ] {
            assert_eq!(resident(other), None, "{other:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn linux_tells_the_memory_of_this_process() {
        assert!(
            MemoryGauge::default()
                .measure()
                .is_some_and(|bytes| bytes > 1 << 20)
        );
    }

    #[test]
    fn the_mark_is_exceeded_above_its_limit_and_measured_rarely() {
        let bytes = Arc::new(AtomicU64::new(100));
        let read = Arc::clone(&bytes);
        let start = Instant::now();
        let gauge = MemoryGauge::new(move || Some(read.load(Ordering::Relaxed)));
        let mark = MemoryMark::new(100, gauge, start);
        assert!(!mark.is_exceeded(start));
        bytes.store(101, Ordering::Relaxed);
        assert!(!mark.is_exceeded(start + Duration::from_millis(249)));
        assert!(mark.is_exceeded(start + Duration::from_millis(250)));
        bytes.store(100, Ordering::Relaxed);
        assert!(mark.is_exceeded(start + Duration::from_millis(499)));
        assert!(!mark.is_exceeded(start + Duration::from_millis(500)));
    }

    #[test]
    fn a_gauge_that_panics_or_knows_nothing_refuses_nobody() {
        let start = Instant::now();
        for gauge in [
            MemoryGauge::new(|| panic!("broken")),
            MemoryGauge::new(|| None),
        ] {
            assert!(!MemoryMark::new(0, gauge, start).is_exceeded(start));
        }
    }
}
