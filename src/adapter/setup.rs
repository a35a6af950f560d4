//! The choice of a broker and a format, as a program hands it to the builder.

use std::sync::Arc;

use crate::adapter::broker::Broker;
use crate::adapter::format::Format;

/// An adapter for [`Builder::adapter`](crate::Builder::adapter): a broker and the format of the
/// messages on it. Every adapter of the crate becomes one by [`Into`].
///
/// # Examples
///
/// ```no_run
/// # #[cfg(feature = "redis")] {
/// use actix_socketio::{AdapterSetup, RedisAdapter};
///
/// # fn setup() -> Result<AdapterSetup, actix_socketio::AdapterError> {
/// let adapter = RedisAdapter::classic("redis://127.0.0.1:6379")?;
/// # Ok(
/// adapter.into()
/// # ) }
/// # }
/// ```
#[derive(Debug)]
pub struct AdapterSetup {
    pub(crate) format: Arc<dyn Format>,
    pub(crate) broker: Arc<dyn Broker>,
    /// Bytes that may wait to be published.
    pub(crate) queue_limit: usize,
    /// Questions, and server-side events, of other nodes that are worked on at the same time.
    pub(crate) requests_in_flight: usize,
}

/// Bytes that may wait to be published, by default.
pub(crate) const QUEUE_LIMIT: usize = 16 << 20;

/// Questions of other nodes that are worked on at the same time, by default.
pub(crate) const REQUESTS_IN_FLIGHT: usize = 10_000;

/// Entries that a stream keeps, by default.
pub(crate) const STREAM_LENGTH: usize = 10_000;
