//! The errors of emits.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::cluster::ClusterError;
use crate::error::text::marked;
use crate::socketio::ArgsError;

/// The reason why an event was not sent.
///
/// # Examples
///
/// ```
/// use actix_socketio::{EmitError, Socket};
///
/// async fn tell(socket: &Socket) {
///     match socket.emit("news", "hello").await {
///         Ok(()) => {}
///         Err(EmitError::Disconnected | EmitError::OutboxFull) => log::info!("it has gone, or is slow"),
///         Err(error) => log::error!("{error}"),
///     }
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum EmitError {
    /// The socket is disconnected from its namespace.
    Disconnected,
    /// The client is slow: its outbox has no room for this packet.
    OutboxFull,
    /// The event's name is reserved by the protocol.
    ReservedEvent(String),
    /// The data cannot be written as JSON.
    Encode(ArgsError),
    /// The server's limit of calls to this socket that wait for an acknowledgement is reached.
    TooManyCalls(usize),
    /// The sockets of this node have received the event, those of other nodes will not. If it was a
    /// call to a socket of another node, no acknowledgement is awaited.
    Cluster(ClusterError),
}

impl EmitError {
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Disconnected)
    }
}

impl fmt::Display for EmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected => f.write_str("the socket is disconnected"),
            Self::OutboxFull => f.write_str("the client's outbox is full"),
            Self::ReservedEvent(name) => write!(f, "event name {name:?} is reserved"),
            Self::Encode(error) => write!(f, "data cannot be sent: {error}"),
            Self::TooManyCalls(limit) => {
                write!(
                    f,
                    "too many calls wait for this socket, the limit is {limit}"
                )
            }
            Self::Cluster(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for EmitError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Encode(error) => Some(error),
            Self::Cluster(error) => Some(error),
            _ => None,
        }
    }
}

impl From<ClusterError> for EmitError {
    fn from(error: ClusterError) -> Self {
        Self::Cluster(error)
    }
}

impl From<ArgsError> for EmitError {
    fn from(error: ArgsError) -> Self {
        Self::Encode(error)
    }
}

impl Serialize for EmitError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        marked(self, self.is_gone(), serializer)
    }
}
