//! The choice of a broker and a format, as an argument of the builder.

use std::sync::Arc;

use crate::adapter::broker::Broker;
use crate::adapter::format::Format;

/// An adapter for [`Builder::adapter`](crate::Builder::adapter): a broker and the format of the
/// messages on it. Every adapter of the crate converts to it by [`Into`].
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
    /// The number of bytes that may wait to be published.
    pub(crate) queue_limit: usize,
    /// The maximal number of questions, and of server-side events, of other nodes in progress.
    pub(crate) requests_in_flight: usize,
}

/// The default number of bytes that may wait to be published.
pub(crate) const QUEUE_LIMIT: usize = 16 << 20;

/// The default number of questions of other nodes in progress.
pub(crate) const REQUESTS_IN_FLIGHT: usize = 10_000;

/// The default number of entries in a stream.
pub(crate) const STREAM_LENGTH: usize = 10_000;
