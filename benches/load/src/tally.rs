//! The counters of a run. In: latencies and errors. Out: the same, together.

use crate::histogram::Histogram;

/// The counters.
pub(crate) struct Tally {
    pub(crate) latencies: Histogram,
    pub(crate) errors: u64,
    pub(crate) first_error: Option<String>,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            latencies: Histogram::new(),
            errors: 0,
            first_error: None,
        }
    }

    pub(crate) fn error(&mut self, error: &str) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| error.to_owned());
    }
}
