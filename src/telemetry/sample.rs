//! The state of a server at one moment, as numbers.
//!
//! The server fills a sample every few seconds from counters that exist anyway, so that these
//! metrics cost nothing for an event.

use std::sync::Arc;

/// The gauges and sums of a server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    /// The open sessions by the name of their transport.
    pub(crate) sessions: Vec<(&'static str, usize)>,
    /// The connected sockets by the label of their namespace.
    pub(crate) sockets: Vec<(Arc<str>, usize)>,
    pub(crate) packets_received: u64,
    pub(crate) bytes_received: u64,
    pub(crate) packets_sent: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) volatile_dropped: u64,
    /// The bytes that wait in all outboxes.
    pub(crate) outbox_bytes: usize,
    /// The largest number of bytes that have waited in one outbox since the start.
    pub(crate) outbox_high_water: usize,
    pub(crate) handlers_in_flight: usize,
    /// How often each limit was hit, by its name.
    pub(crate) limit_hits: Vec<(&'static str, u64)>,
    pub(crate) adapter: Option<AdapterSample>,
}

/// The state of the connections to other nodes.
#[derive(Clone, Debug, Default)]
pub(crate) struct AdapterSample {
    pub(crate) is_connected: bool,
    pub(crate) queued_bytes: usize,
    /// The time from the broker's receipt of a message to its receipt here, in seconds; of the last
    /// message.
    pub(crate) lag_seconds: Option<f64>,
    pub(crate) reconnects: u64,
    pub(crate) refused: u64,
    pub(crate) lost: u64,
    pub(crate) unreadable: u64,
}
