//! When messages are due under a fixed rate. In: the clock. Out: which message is due at what moment,
//! and how late they went out.
//!
//! A message is due whether or not those before it are answered, and its latency counts from then: a
//! server that stalls makes all that falls due meanwhile late, not only what was in flight.

use std::hint;
use std::num::NonZeroU64;
use std::time::Duration;

use crate::clock::Clock;
use crate::histogram::Histogram;

/// The schedule of a run: message number n is due n / `per_second` seconds after the start.
pub(crate) struct Rate {
    per_second: NonZeroU64,
    start: Option<u64>,
    /// How many messages have been taken.
    taken: u64,
    /// How long after it was due each message was sent.
    pub(crate) lateness: Histogram,
}

impl Rate {
    pub(crate) fn new(per_second: NonZeroU64) -> Self {
        Self {
            per_second,
            start: None,
            taken: 0,
            lateness: Histogram::new(),
        }
    }

    pub(crate) fn start(&mut self, now: u64) {
        self.start = Some(now);
    }

    pub(crate) fn is_running(&self) -> bool {
        self.start.is_some()
    }

    /// Lets nothing fall due any more.
    pub(crate) fn stop(&mut self) {
        self.start = None;
    }

    /// Returns when the next message is due, if one ever is.
    pub(crate) fn next_due(&self) -> Option<u64> {
        let offset = u128::from(self.taken) * NANOS / u128::from(self.per_second.get());
        Some(self.start? + u64::try_from(offset).unwrap_or(u64::MAX / 2))
    }

    /// Takes the next message if it is due by `now`.
    pub(crate) fn take(&mut self, now: u64) -> Option<Due> {
        let at = self.next_due().filter(|at| *at <= now)?;
        self.lateness.record(now - at);
        let number = self.taken;
        self.taken += 1;
        Some(Due { number, at })
    }

    /// Passes the time until the next message is due or answers are to be looked for.
    pub(crate) fn spin(&self, clock: Clock) {
        let until = self.idle_until(clock.now());
        while clock.now() < until {
            hint::spin_loop();
        }
    }

    /// Returns until when there is nothing to do but to look for answers, and to look at `now`.
    fn idle_until(&self, now: u64) -> u64 {
        let look = now + LOOK_EVERY.as_nanos() as u64;
        self.next_due().map_or(look, |due| due.min(look))
    }
}

/// A message that is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Due {
    pub(crate) number: u64,
    pub(crate) at: u64,
}

impl Due {
    /// Returns whose turn it is: the clients take turns, so each has its messages evenly in time.
    pub(crate) fn index(self, clients: usize) -> usize {
        usize::try_from(self.number % clients as u64).unwrap_or_default()
    }
}

/// How many messages that are due go out before answers are looked for again. A load that is behind
/// must not stop reading, or the server would stop too.
pub(crate) const SENT_AT_ONCE_MAX: usize = 64;

/// How long answers may lie unseen. epoll's own timeout counts milliseconds, so the load spins
/// instead of sleeping; looking as often as it can would be nothing but system calls.
const LOOK_EVERY: Duration = Duration::from_micros(5);
const NANOS: u128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::{Due, Rate};

    fn rate(per_second: u64) -> Rate {
        Rate::new(NonZeroU64::new(per_second).unwrap())
    }

    #[test]
    fn messages_are_spread_evenly_and_do_not_drift() {
        let mut rate = rate(3);
        assert_eq!(rate.take(u64::MAX), None);
        rate.start(1_000);
        let due: Vec<u64> = (0..4).map(|_| rate.take(u64::MAX).unwrap().at).collect();
        assert_eq!(due, [1_000, 333_334_333, 666_667_666, 1_000_001_000]);
        for _ in 4..300_000 {
            rate.take(u64::MAX);
        }
        assert_eq!(rate.next_due(), Some(100_000_000_001_000));
    }

    #[test]
    fn nothing_goes_out_before_it_is_due() {
        let mut rate = rate(1_000_000);
        rate.start(0);
        assert_eq!(rate.take(0), Some(Due { number: 0, at: 0 }));
        assert_eq!(rate.take(999), None);
        assert_eq!(
            rate.take(1_500),
            Some(Due {
                number: 1,
                at: 1_000
            })
        );
        assert_eq!(rate.lateness.percentile(1.0), Some(501));
        rate.stop();
        assert_eq!(rate.take(u64::MAX), None);
    }

    #[test]
    fn waiting_ends_with_the_next_message_or_the_next_look() {
        let mut rate = rate(1_000);
        assert_eq!(rate.idle_until(7), 5_007);
        rate.start(0);
        rate.take(0);
        assert_eq!(rate.idle_until(0), 5_000);
        assert_eq!(rate.idle_until(998_000), 1_000_000);
    }

    #[test]
    fn clients_take_turns() {
        let turns = [0, 1, 2, 3].map(|number| Due { number, at: 0 }.index(3));
        assert_eq!(turns, [0, 1, 2, 0]);
    }
}
