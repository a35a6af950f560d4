//! The time of the actors: that of the runtime, which a program's tests may pause.

use std::time::Instant;

/// Returns the present time.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
