//! The rules of a supervisor, in the words of OTP. Pure.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::supervision::ChildEnd;

/// The ends of a child that are followed by a restart; [`ChildEnd`] has the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    /// Each of its ends.
    #[default]
    Permanent,
    /// A panic or an error, and no normal end.
    Transient,
    /// None.
    Temporary,
}

impl Restart {
    /// Returns `true` if a child with this end is restarted.
    pub(super) fn follows(self, end: &ChildEnd) -> bool {
        match self {
            Self::Permanent => true,
            Self::Transient => !matches!(end, ChildEnd::Normal | ChildEnd::Shutdown),
            Self::Temporary => false,
        }
    }
}

impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Permanent => "permanent",
            Self::Transient => "transient",
            Self::Temporary => "temporary",
        })
    }
}

/// The children that are restarted together.
///
/// | strategy | after the end of a child |
/// | --- | --- |
/// | `OneForOne` | this child is restarted |
/// | `RestForOne` | the children that were started after it are stopped, the last first; then it and they are started in their order, each after `started` of the one before has returned |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Only the child that has ended.
    #[default]
    OneForOne,
    /// The child that has ended, and those that were started after it.
    RestForOne,
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OneForOne => "one for one",
            Self::RestForOne => "rest for one",
        })
    }
}

/// The pause before a restart. It doubles with each end that follows soon, and begins anew after a
/// life that was longer than the longest pause.
///
/// The default is no pause. Messages to the child wait meanwhile.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use actix_socketio::BackOff;
///
/// // 0.1 s, 0.2 s, 0.4 s, … at most 10 s, each shorter by up to a half.
/// let back_off = BackOff::new(Duration::from_millis(100), Duration::from_secs(10)).jitter(0.5);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BackOff {
    first: Duration,
    pub(super) longest: Duration,
    jitter: f64,
}

impl BackOff {
    /// Returns pauses that double from `first` up to `longest`, without jitter.
    #[must_use]
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first: first.min(longest),
            longest,
            jitter: 0.0,
        }
    }

    /// Shortens each pause by a random part of it, up to this one, from 0 to 1. So actors that have
    /// failed together do not come back together.
    #[must_use]
    pub fn jitter(mut self, part: f64) -> Self {
        self.jitter = if part.is_finite() {
            part.clamp(0.0, 1.0)
        } else {
            0.0
        };
        self
    }

    /// Returns the pause after the `nth` end in a row, counted from 1. `random` is from 0 to 1.
    pub(super) fn pause(&self, nth: u32, random: f64) -> Duration {
        let doublings = nth.saturating_sub(1).min(31);
        let whole = self.first.saturating_mul(1 << doublings).min(self.longest);
        whole.mul_f64(1.0 - self.jitter * random.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_policy_restarts_the_ends_of_its_row() {
        let ends = [
            ChildEnd::Panic(String::new()),
            ChildEnd::Error(String::new()),
            ChildEnd::Escalated(String::new()),
            ChildEnd::Normal,
        ];
        let table = [
            (Restart::Permanent, [true, true, true, true]),
            (Restart::Transient, [true, true, true, false]),
            (Restart::Temporary, [false, false, false, false]),
        ];
        for (restart, row) in table {
            assert_eq!(
                ends.each_ref().map(|end| restart.follows(end)),
                row,
                "{restart}"
            );
        }
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_are_shortened_by_jitter() {
        let back_off = BackOff::new(Duration::from_millis(100), Duration::from_secs(1));
        let millis = |back_off: BackOff, random| {
            [1, 2, 3, 4, 5, 99].map(|nth| back_off.pause(nth, random).as_millis())
        };
        assert_eq!(millis(back_off, 1.0), [100, 200, 400, 800, 1000, 1000]);
        let half = back_off.jitter(0.5);
        assert_eq!(millis(half, 0.0), [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(millis(half, 1.0), [50, 100, 200, 400, 500, 500]);
        assert_eq!(millis(back_off.jitter(f64::NAN), 1.0)[0], 100);
        assert_eq!(BackOff::default().pause(9, 0.5), Duration::ZERO);
    }
}
