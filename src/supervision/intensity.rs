//! How many restarts are too many. Pure: the time is an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The number of restarts within a time that is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RestartIntensity {
    pub(crate) restarts: usize,
    pub(crate) within: Duration,
}

impl RestartIntensity {
    /// For an actor that can rebuild its state.
    pub(crate) const LASTING: Self = Self {
        restarts: 5,
        within: Duration::from_secs(10),
    };
}

/// The recent ends of actors that were restarted.
#[derive(Debug)]
pub(crate) struct RestartWindow {
    intensity: RestartIntensity,
    recent: VecDeque<Instant>,
}

impl RestartWindow {
    pub(crate) fn new(intensity: RestartIntensity) -> Self {
        Self {
            intensity,
            recent: VecDeque::new(),
        }
    }

    /// Counts an end. Returns `true` if the limit is exceeded.
    pub(crate) fn too_many(&mut self, now: Instant) -> bool {
        let within = self.intensity.within;
        self.recent
            .retain(|end| now.saturating_duration_since(*end) < within);
        self.recent.push_back(now);
        self.recent.len() > self.intensity.restarts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_ends_within_the_window_count() {
        let mut window = RestartWindow::new(RestartIntensity {
            restarts: 2,
            within: Duration::from_secs(10),
        });
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let table = [(0, false), (5, false), (10, false), (14, true), (24, false)];
        for (seconds, too_many) in table {
            assert_eq!(window.too_many(after(seconds)), too_many, "at {seconds}");
        }
    }
}
