//! The parts of an event that its span shows.

use std::fmt;

/// An event before its handlers are called.
pub(crate) struct EventParts<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) event: &'a str,
    pub(crate) socket: &'a dyn fmt::Display,
    /// The id of the acknowledgement, if the client expects one.
    pub(crate) ack: Option<u64>,
}
