//! The log line of an emit.

use std::fmt;

use crate::logging::{Quoted, TARGET_EVENT, plain};
use crate::members::audience::Audience;

/// Logs that an event of `size` bytes is sent. Separate, so that a program without such lines pays
/// only for a check of the level.
#[cold]
pub(crate) fn log_emit(event: &str, size: usize, to: &dyn fmt::Display) {
    log::debug!(target: TARGET_EVENT, "event {}: {size} bytes to {to}", Quoted(event));
}

/// The recipients of a broadcast: the namespace's name, and the audience.
pub(crate) struct Recipients<'a>(pub(crate) &'a str, pub(crate) &'a Audience);

impl fmt::Display for Recipients<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in namespace {}", self.1, plain(self.0))
    }
}
