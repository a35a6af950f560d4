//! The schedule of a drain, as pure code: which client closes at which time.
//!
//! The number of clients and the time enter; the number of clients to close now leaves.

use std::time::{Duration, Instant};

use crate::config::Pace;

/// The batches of one drain.
#[derive(Debug)]
pub(crate) struct Schedule {
    clients: usize,
    begun: Instant,
    limit: Duration,
    /// `None` spreads the clients evenly over the limit.
    batch: Option<usize>,
    interval: Duration,
    jitter: f64,
    /// The number of clients that were closed so far.
    closed: usize,
    /// The time up to which an even spread has closed its clients.
    spread: Duration,
    /// The number of batches so far, and the delay of the next one.
    batches: u32,
    late: Duration,
}

/// The next step of a drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Close this number of clients now.
    Close(usize),
    Wait(Instant),
    /// All clients are closed, or the limit has passed.
    Done,
}

impl Schedule {
    pub(crate) fn new(pace: &Pace, clients: usize, now: Instant) -> Self {
        let interval = match (pace.interval, pace.batch) {
            (Some(interval), _) => interval,
            (None, Some(batch)) => {
                let batches = clients.div_ceil(batch.max(1));
                pace.limit / u32::try_from(batches).unwrap_or(u32::MAX).max(1)
            }
            (None, None) => INTERVAL,
        };
        Self {
            clients,
            begun: now,
            limit: pace.limit,
            batch: pace.batch,
            interval: interval.max(SHORTEST),
            jitter: pace.jitter,
            closed: 0,
            spread: Duration::ZERO,
            batches: 0,
            late: Duration::ZERO,
        }
    }

    /// Returns what is due. `random`, from 0 to 1, is the lateness of the batch that follows.
    pub(crate) fn step(&mut self, now: Instant, random: f64) -> Step {
        let elapsed = now.saturating_duration_since(self.begun);
        if self.closed >= self.clients || self.is_over(now) {
            return Step::Done;
        }
        let at = self.interval.saturating_mul(self.batches) + self.late;
        if elapsed < at {
            return Step::Wait(self.begun + at.min(self.limit));
        }
        let target = match self.batch {
            Some(batch) => self.closed + batch,
            None => {
                // A late timer does not close all that is due: they would reconnect together.
                let catching_up = self.spread + self.interval + self.interval / CATCH_UP;
                self.spread = catching_up.min(elapsed + self.interval);
                self.even(self.spread)
            }
        };
        let ran = elapsed.as_nanos() / self.interval.as_nanos().max(1);
        let ran = u32::try_from(ran).unwrap_or(u32::MAX);
        self.batches = ran.max(self.batches).saturating_add(1);
        self.late = self.interval.mul_f64(self.jitter * random.clamp(0.0, 1.0));
        let count = target.min(self.clients).saturating_sub(self.closed);
        self.closed += count;
        Step::Close(count)
    }

    /// Returns `true` if the limit has passed.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.begun) >= self.limit
    }

    /// Returns the number of clients that an even spread has closed by then.
    fn even(&self, elapsed: Duration) -> usize {
        let (elapsed, limit) = (elapsed.as_nanos(), self.limit.as_nanos().max(1));
        let due = (self.clients as u128).saturating_mul(elapsed) / limit;
        usize::try_from(due).unwrap_or(usize::MAX)
    }
}

/// After a delay, an even spread is faster by this part of an interval.
const CATCH_UP: u32 = 10;

/// The time between two batches if the program sets none.
const INTERVAL: Duration = Duration::from_millis(100);

/// The shortest time between two batches.
const SHORTEST: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pace(limit: Duration, batch: Option<usize>, interval: Option<Duration>) -> Pace {
        Pace {
            limit,
            batch,
            interval,
            jitter: 0.0,
        }
    }

    /// Runs a schedule with exact timers; returns the time and the size of each batch.
    fn run(pace: &Pace, clients: usize, random: f64) -> Vec<(Duration, usize)> {
        let start = Instant::now();
        let (mut now, mut batches) = (start, Vec::new());
        let mut schedule = Schedule::new(pace, clients, start);
        loop {
            match schedule.step(now, random) {
                Step::Close(count) => batches.push((now - start, count)),
                Step::Wait(until) => {
                    assert!(until > now);
                    now = until;
                }
                Step::Done => return batches,
            }
        }
    }

    fn total(batches: &[(Duration, usize)]) -> usize {
        batches.iter().map(|(_, count)| count).sum()
    }

    #[test]
    fn clients_are_spread_evenly_over_the_limit_by_default() {
        for (clients, seconds) in [(5000, 10), (7, 30), (1, 1), (100_000, 60)] {
            let limit = SECOND * seconds;
            let batches = run(&pace(limit, None, None), clients, 0.0);
            assert_eq!(total(&batches), clients);
            for (from, _) in &batches {
                let within = batches
                    .iter()
                    .filter(|(at, _)| at >= from && *at < *from + SECOND);
                let count: usize = within.map(|(_, count)| count).sum();
                let most = clients.div_ceil(seconds as usize);
                assert!(count <= most + 1, "{count} of {clients} in a second");
            }
        }
    }

    #[test]
    fn batch_without_interval_is_spread_over_the_limit() {
        let batches = run(&pace(SECOND * 10, Some(25), None), 100, 0.0);
        let seconds = [0.0, 2.5, 5.0, 7.5];
        let expected = seconds.map(|at| (Duration::from_secs_f64(at), 25));
        assert_eq!(batches, expected);
    }

    #[test]
    fn batch_and_interval_are_kept_up_to_the_limit() {
        let batches = run(&pace(SECOND * 3, Some(10), Some(SECOND)), 25, 0.0);
        let expected = [(Duration::ZERO, 10), (SECOND, 10), (SECOND * 2, 5)];
        assert_eq!(batches, expected);
        let batches = run(&pace(SECOND * 2, Some(10), Some(SECOND)), 25, 0.0);
        assert_eq!(total(&batches), 20, "the rest is closed at the limit");
    }

    #[test]
    fn jitter_delays_a_batch_by_a_part_of_the_interval() {
        let mut pace = pace(SECOND * 3, Some(10), Some(SECOND));
        pace.jitter = 0.5;
        let batches = run(&pace, 30, 0.5);
        let late = Duration::from_millis(250);
        let expected = [
            (Duration::ZERO, 10),
            (SECOND + late, 10),
            (SECOND * 2 + late, 10),
        ];
        assert_eq!(batches, expected);
    }

    #[test]
    fn late_timer_does_not_add_batches_up() {
        let start = Instant::now();
        let pace = pace(SECOND * 10, Some(10), Some(SECOND));
        let mut schedule = Schedule::new(&pace, 100, start);
        let now = start + Duration::from_millis(4500);
        assert_eq!(schedule.step(now, 0.0), Step::Close(10));
        assert_eq!(schedule.step(now, 0.0), Step::Wait(start + SECOND * 5));
    }

    /// The other nodes get no more clients in a second than without the delay, and a tenth.
    #[test]
    fn even_spread_catches_up_slowly_after_a_delay() {
        let start = Instant::now();
        let mut schedule = Schedule::new(&pace(SECOND * 10, None, None), 1000, start);
        let mut now = start;
        let (mut batches, mut closed) = (Vec::new(), 0);
        loop {
            match schedule.step(now, 0.0) {
                Step::Close(count) => {
                    batches.push((now - start, count));
                    closed += count;
                }
                // Half a second is lost after two seconds.
                Step::Wait(until) if until == start + SECOND * 2 => now = until + SECOND / 2,
                Step::Wait(until) => now = until,
                Step::Done => break,
            }
        }
        assert!(batches.iter().all(|(_, count)| *count <= 11), "{batches:?}");
        let by = |at| {
            batches
                .iter()
                .filter(move |(then, _)| *then <= at)
                .map(|(_, count)| count)
                .sum::<usize>()
        };
        assert_eq!((by(SECOND * 2), by(SECOND * 8), closed), (200, 810, 1000));
    }

    #[test]
    fn nobody_and_no_time_end_at_once() {
        let start = Instant::now();
        for (limit, clients) in [(SECOND, 0), (Duration::ZERO, 5)] {
            let mut schedule = Schedule::new(&pace(limit, None, None), clients, start);
            assert_eq!(schedule.step(start, 0.0), Step::Done);
        }
    }
}
