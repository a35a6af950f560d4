//! The steps of a server towards its end.

use std::sync::atomic::{AtomicU8, Ordering};

/// The step that a server has reached. It never goes back.
///
/// ```text
///   Serving ──▶ Draining ──▶ Refusing ──▶ Closing
/// ```
/// `Draining` changes only what the server reports about itself: a load balancer looks away. From
/// `Refusing` on no new client is served. `Closing` closes the open sessions.
#[derive(Debug, Default)]
pub(crate) struct StageCell(AtomicU8);

/// The steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stage {
    Draining = 1,
    Refusing,
    Closing,
}

impl StageCell {
    pub(crate) fn reach(&self, stage: Stage) {
        self.0.fetch_max(stage as u8, Ordering::AcqRel);
    }

    pub(crate) fn has_reached(&self, stage: Stage) -> bool {
        self.0.load(Ordering::Acquire) >= stage as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_does_not_go_back() {
        let cell = StageCell::default();
        assert!(!cell.has_reached(Stage::Draining));
        cell.reach(Stage::Closing);
        cell.reach(Stage::Draining);
        for stage in [Stage::Draining, Stage::Refusing, Stage::Closing] {
            assert!(cell.has_reached(stage));
        }
    }
}
