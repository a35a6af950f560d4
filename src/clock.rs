//! The time of the actors: that of the runtime, which a program's tests may pause.

use std::time::{Instant, SystemTime};

/// Returns the present time.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Returns the present wall clock time. If a test has paused the runtime's clock, it follows that.
pub(crate) fn wall() -> SystemTime {
    let (clock, runtime, real) = (SystemTime::now(), now(), Instant::now());
    let ahead = clock.checked_add(runtime.saturating_duration_since(real));
    let moved = ahead.and_then(|it| it.checked_sub(real.saturating_duration_since(runtime)));
    moved.unwrap_or(clock)
}
