//! A token bucket, as pure code: the time is an argument, the arithmetic has integers only.

use std::time::{Duration, Instant};

use crate::limits::RateLimit;

/// The tokens that are missing from a full bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    per_second: u64,
    burst: u64,
    /// In billionths of a token, so that each nanosecond adds `per_second` of them.
    missing: u128,
    /// The time of `missing`. It never goes back.
    at: Instant,
}

impl Bucket {
    /// Makes a full bucket.
    pub(crate) fn new(limit: RateLimit, now: Instant) -> Self {
        Self {
            per_second: limit.per_second,
            burst: limit.burst,
            missing: 0,
            at: now,
        }
    }

    /// Takes tokens if the bucket has them. A full bucket gives any number, so that a message
    /// larger than the burst is possible, and its debt delays the next one.
    ///
    /// # Errors
    ///
    /// The time after which the bucket will have them.
    pub(crate) fn take(&mut self, tokens: u64, now: Instant) -> Result<(), Duration> {
        self.refill(now);
        let wanted = billionths(tokens);
        let allowed = billionths(self.burst).saturating_sub(wanted);
        if self.burst == 0 || self.missing > allowed {
            return Err(self.time_of(self.missing.saturating_sub(allowed)));
        }
        self.missing += wanted;
        Ok(())
    }

    /// Gives tokens back that were taken for an event that is not handled yet.
    pub(crate) fn give_back(&mut self, tokens: u64) {
        self.missing = self.missing.saturating_sub(billionths(tokens));
    }

    /// Changes the rate, for the next tokens.
    pub(crate) fn replace_rate(&mut self, limit: RateLimit) {
        self.per_second = limit.per_second;
        self.burst = limit.burst;
    }

    /// Returns `true` if the bucket is like a new one.
    pub(crate) fn is_full(&mut self, now: Instant) -> bool {
        self.refill(now);
        self.missing == 0
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.at);
        let added = elapsed.as_nanos().saturating_mul(self.per_second.into());
        self.missing = self.missing.saturating_sub(added);
        self.at = self.at.max(now);
    }

    /// Returns the time in which so many billionths are added, rounded up.
    fn time_of(&self, billionths: u128) -> Duration {
        if self.per_second == 0 {
            return NEVER;
        }
        let nanos = billionths.div_ceil(self.per_second.into());
        u64::try_from(nanos).map_or(NEVER, |nanos| Duration::from_nanos(nanos).min(NEVER))
    }
}

fn billionths(tokens: u64) -> u128 {
    u128::from(tokens) * 1_000_000_000
}

/// The longest wait: an hour, after which a caller asks again.
const NEVER: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn bucket(limit: RateLimit) -> (Bucket, Instant) {
        let now = Instant::now();
        (Bucket::new(limit, now), now)
    }

    #[test]
    fn a_burst_passes_and_one_more_waits() {
        let (mut bucket, start) = bucket(RateLimit::new(4).burst(10));
        // The clock stands still.
        for _ in 0..10 {
            assert_eq!(bucket.take(1, start), Ok(()));
        }
        assert_eq!(bucket.take(1, start), Err(SECOND / 4));
        assert_eq!(bucket.take(2, start), Err(SECOND / 2));
        let soon = start + SECOND / 4;
        assert!(bucket.take(1, soon - Duration::from_nanos(1)).is_err());
        assert_eq!(bucket.take(1, soon), Ok(()));
        assert!(bucket.take(1, soon).is_err());
    }

    #[test]
    fn a_long_pause_gives_no_more_than_a_burst() {
        let (mut bucket, start) = bucket(RateLimit::new(1).burst(3));
        assert_eq!(bucket.take(3, start), Ok(()));
        assert!(!bucket.is_full(start + 2 * SECOND));
        let later = start + 1_000_000 * SECOND;
        assert!(bucket.is_full(later));
        assert_eq!(bucket.take(3, later), Ok(()));
        assert!(bucket.take(1, later).is_err());
    }

    #[test]
    fn thirds_of_a_second_are_exact() {
        let (mut bucket, start) = bucket(RateLimit::new(3));
        let taken = (0..=300_u32)
            .filter(|tenth| bucket.take(1, start + *tenth * SECOND / 10).is_ok())
            .count();
        // Three at once, and three in each of the thirty seconds.
        assert!((92..=93).contains(&taken), "{taken}");
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing() {
        let (mut bucket, start) = bucket(RateLimit::new(1));
        assert_eq!(bucket.take(1, start + SECOND), Ok(()));
        assert!(bucket.take(1, start).is_err());
        assert!(bucket.take(1, start + SECOND).is_err());
        assert_eq!(bucket.take(1, start + 2 * SECOND), Ok(()));
    }

    #[test]
    fn a_full_bucket_gives_more_than_its_burst_once() {
        let (mut bucket, start) = bucket(RateLimit::new(10));
        assert_eq!(bucket.take(25, start), Ok(()));
        assert_eq!(bucket.take(1, start), Err(SECOND * 16 / 10));
        assert_eq!(bucket.take(25, start), Err(SECOND * 25 / 10));
    }

    #[test]
    fn extreme_rates_do_not_overflow() {
        let (mut most, start) = bucket(RateLimit::new(u64::MAX));
        assert_eq!(most.take(u64::MAX, start), Ok(()));
        assert!(most.take(1, start).is_err());
        assert_eq!(most.take(1, start + 1_000_000 * SECOND), Ok(()));
        let (mut none, start) = bucket(RateLimit::new(0));
        assert_eq!(none.take(1, start), Err(NEVER));
        assert_eq!(none.take(1, start + 1_000_000 * SECOND), Err(NEVER));
    }
}
