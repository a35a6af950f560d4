//! The time of the actors: the runtime's, which a program's tests may pause.

use std::time::Instant;

/// Returns what time it is.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
