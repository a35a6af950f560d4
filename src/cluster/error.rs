//! The errors between nodes, and the health of the adapter.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

/// The reason why an action took place on this node only and was not sent to the others.
///
/// It has reached the sockets of this node in any case.
///
/// # Examples
///
/// ```
/// use actix_socketio::{ClusterError, EmitError, SocketIo};
///
/// async fn publish(io: &SocketIo) {
///     match io.emit("news", "hello").await {
///         Ok(()) => {}
///         Err(EmitError::Cluster(ClusterError::QueueFull { bytes, .. })) => {
///             log::warn!("not published: {bytes} bytes already wait");
///         }
///         Err(error) => log::error!("{error}"),
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClusterError {
    /// The queue to publish is full: the store has been unreachable, or slow, for too long.
    #[non_exhaustive]
    QueueFull {
        /// The number of bytes in the queue.
        bytes: usize,
    },
    /// The server has closed its adapter, after [`SocketIo::close`](crate::SocketIo::close) or a
    /// drain.
    Closed,
    /// The store is unreachable; the request has no answer.
    Unavailable(String),
    /// The format of the cluster does not support this.
    Unsupported(&'static str),
    /// The data cannot be written in the cluster's format.
    Encode(String),
}

impl fmt::Display for ClusterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::QueueFull { bytes } => write!(
                f,
                "not published to the other nodes: the queue is full with {bytes} bytes"
            ),
            Self::Closed => f.write_str("not published to the other nodes: the server has closed"),
            Self::Unavailable(cause) => write!(f, "the broker is unreachable: {cause}"),
            Self::Unsupported(what) => {
                write!(f, "{what} is not supported by this adapter")
            }
            Self::Encode(cause) => {
                write!(
                    f,
                    "data cannot be encoded in the format of the cluster: {cause}"
                )
            }
        }
    }
}

impl std::error::Error for ClusterError {}

/// Serialized as its text, so that a handler may return it.
impl Serialize for ClusterError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The reason why an adapter cannot be made: the address is not that of a Redis server.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "redis")] {
/// use actix_socketio::RedisAdapter;
///
/// let error = RedisAdapter::classic("http://127.0.0.1").unwrap_err();
/// println!("{error}");
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdapterError(String);

impl AdapterError {
    #[allow(dead_code, reason = "made by an adapter")]
    pub(crate) fn new(cause: &dyn fmt::Display) -> Self {
        Self(cause.to_string())
    }
}

impl fmt::Display for AdapterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid address of a broker: {}", self.0)
    }
}

impl std::error::Error for AdapterError {}

impl From<AdapterError> for std::io::Error {
    fn from(error: AdapterError) -> Self {
        Self::new(std::io::ErrorKind::InvalidInput, error)
    }
}

/// The health of a server's connections to the other nodes.
///
/// # Examples
///
/// ```
/// # fn check(io: actix_socketio::SocketIo) -> bool {
/// let health = io.adapter_health();
/// health.is_connected() && health.queued_bytes() < 1 << 20
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdapterHealth {
    pub(crate) connected: bool,
    pub(crate) queued_bytes: usize,
    pub(crate) refused: u64,
    pub(crate) lost: u64,
    pub(crate) unreadable: u64,
    pub(crate) reconnects: u64,
    pub(crate) lag: Option<Duration>,
    pub(crate) error: Option<String>,
}

impl AdapterHealth {
    /// Returns `true` if messages can be sent and received at the moment. A server without an
    /// adapter is always connected.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// Returns the number of bytes that wait to be published, and of records for recovery that wait
    /// to be stored.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// Returns the number of messages refused so far because the queue was full.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Returns the number of messages that may have been lost so far. They were in transit when the
    /// connection broke, Redis refused them permanently, or a part of a stream was trimmed before
    /// it was read. Such a part counts as one message before Redis 7, which does not report their
    /// number. It also counts as one if Redis itself has lost a part of its stream.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Returns the number of messages of other nodes that could not be read and were dropped. Each
    /// causes a log line, unless there are too many. The causes are nodes that use different
    /// formats on one channel, and programs that are not nodes.
    #[must_use]
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// Returns the number of reconnects.
    #[must_use]
    pub fn reconnects(&self) -> u64 {
        self.reconnects
    }

    /// Returns the time from the broker's receipt of the last message to its receipt by this node.
    /// It is measured for Redis Streams, whose entries have a time, and is `None` for other formats
    /// and before the first message. The clocks of Redis and of this node are compared.
    #[must_use]
    pub fn lag(&self) -> Option<Duration> {
        self.lag
    }

    /// Returns the error that last broke the connection. While it is connected it is `None`, or it
    /// names the channels that Redis does not let this node subscribe to.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }
}
