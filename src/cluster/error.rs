//! What can go wrong between nodes, and how the adapter is.

use std::fmt;

use serde::{Serialize, Serializer};

/// Why something was done on this node only, and not told to the others.
///
/// The sockets of this node have been served in any case.
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
///             log::warn!("the other nodes did not get it: {bytes} bytes wait already");
///         }
///         Err(error) => log::error!("{error}"),
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClusterError {
    /// What waits to be published has reached its bound: the store has been away, or slow, for too
    /// long.
    #[non_exhaustive]
    QueueFull {
        /// Bytes that wait.
        bytes: usize,
    },
    /// The store cannot be reached at the moment; what it was asked has no answer.
    Unavailable(String),
    /// The format that the cluster speaks has no word for this.
    Unsupported(&'static str),
    /// The data cannot be written in the cluster's format.
    Encode(String),
}

impl fmt::Display for ClusterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::QueueFull { bytes } => write!(
                f,
                "the other nodes were not told: {bytes} bytes wait to be published already"
            ),
            Self::Unavailable(cause) => write!(f, "the cluster's store cannot be reached: {cause}"),
            Self::Unsupported(what) => {
                write!(f, "the cluster's format cannot say {what} to other nodes")
            }
            Self::Encode(cause) => {
                write!(f, "data cannot be written in the cluster's format: {cause}")
            }
        }
    }
}

impl std::error::Error for ClusterError {}

/// As its text, so that a handler may return it.
impl Serialize for ClusterError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Why an adapter cannot be made: the address is none of a Redis server.
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
        write!(f, "no adapter for this address: {}", self.0)
    }
}

impl std::error::Error for AdapterError {}

impl From<AdapterError> for std::io::Error {
    fn from(error: AdapterError) -> Self {
        Self::new(std::io::ErrorKind::InvalidInput, error)
    }
}

/// How a server's way to the other nodes is.
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
    pub(crate) error: Option<String>,
}

impl AdapterHealth {
    /// Tells whether messages go both ways at the moment. A server without an adapter needs no way
    /// and is connected.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// Returns the bytes that wait to be published, and what waits to be kept for clients that come
    /// back.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// Returns how many messages were refused so far because the queue was full.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Returns how many messages may have been lost so far: they were on their way when the
    /// connection broke, Redis has refused them for good, or they lay in a part of a stream that
    /// was cut off before it was read. Such a part counts as one message before Redis 7, which does
    /// not say how many there were; and so does a Redis that has lost a part of its stream itself.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Returns how many messages of other nodes could not be read so far, and were dropped: each is
    /// a line in the log, unless there are many. Nodes that use different formats on one channel
    /// cause them, and programs that are no nodes.
    #[must_use]
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// Returns how often the connection was made anew.
    #[must_use]
    pub fn reconnects(&self) -> u64 {
        self.reconnects
    }

    /// Returns what broke the connection last. While there is one it is `None`, or says where Redis
    /// does not let this node listen.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }
}
