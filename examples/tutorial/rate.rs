//! The rate limit of a client's events.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use actix_socketio::Rejection;

/// The limit: twenty events at once, and five more each second.
pub(crate) struct Rate(Mutex<Bucket>);

struct Bucket {
    left: f64,
    at: Instant,
}

impl Default for Rate {
    fn default() -> Self {
        let (left, at) = (BURST, Instant::now());
        Self(Mutex::new(Bucket { left, at }))
    }
}

impl Rate {
    /// Counts an event, or refuses it.
    pub(crate) fn spend(&self) -> Result<(), Rejection> {
        let mut bucket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let gained = now.duration_since(bucket.at).as_secs_f64() * PER_SECOND;
        bucket.left = (bucket.left + gained).min(BURST);
        bucket.at = now;
        if bucket.left < 1.0 {
            return Err("too many events".into());
        }
        bucket.left -= 1.0;
        Ok(())
    }
}

const BURST: f64 = 20.0;
const PER_SECOND: f64 = 5.0;
