//! The errors of the public interface: a variant for each cause on which a program can act.
//!
//! Errors of the protocol stay in their codecs. If a peer violates the protocol, its session is
//! closed with a [`CloseReason`](crate::CloseReason) and a log line.

mod connect;
mod handler;
mod rejection;

use std::fmt;

use serde::{Serialize, Serializer};

use crate::cluster::ClusterError;
use crate::socketio::{ArgsError, Shortened};

pub use connect::ConnectError;
pub use handler::HandlerError;
use handler::marked;
pub(crate) use handler::says_gone;
pub use rejection::Rejection;

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
                write!(f, "{limit} calls wait for this socket already")
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

/// The reason why a call has no answer.
///
/// # Examples
///
/// ```
/// use actix_socketio::{CallError, Socket};
///
/// async fn age(socket: &Socket) -> Option<u32> {
///     match socket.call("ask", "age").await {
///         Ok(age) => Some(age),
///         Err(CallError::Timeout | CallError::Disconnected) => None,
///         Err(error) => {
///             log::error!("{error}");
///             None
///         }
///     }
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum CallError {
    /// The event could not be sent.
    Emit(EmitError),
    /// The client did not acknowledge in time.
    Timeout,
    /// The client is disconnected, or its node has ended.
    Disconnected,
    /// The client's answer has another type than requested.
    Answer(ArgsError),
    /// A call is for exactly one socket. The value is the number of sockets that were addressed, or
    /// that have answered on other nodes.
    NotOneRecipient(usize),
}

impl CallError {
    pub(crate) fn is_gone(&self) -> bool {
        matches!(
            self,
            Self::Disconnected | Self::Emit(EmitError::Disconnected)
        )
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Emit(error) => error.fmt(f),
            Self::Timeout => f.write_str("the client did not acknowledge in time"),
            Self::Disconnected => f.write_str("the client disconnected before it acknowledged"),
            Self::Answer(error) => write!(f, "the acknowledgement cannot be read: {error}"),
            Self::NotOneRecipient(sockets) => {
                write!(f, "a call goes to one socket, and {sockets} are addressed")
            }
        }
    }
}

impl std::error::Error for CallError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Emit(error) => Some(error),
            Self::Answer(error) => Some(error),
            Self::Timeout | Self::Disconnected | Self::NotOneRecipient(_) => None,
        }
    }
}

impl From<EmitError> for CallError {
    fn from(error: EmitError) -> Self {
        match error {
            EmitError::Disconnected => Self::Disconnected,
            error => Self::Emit(error),
        }
    }
}

impl Serialize for CallError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        marked(self, self.is_gone(), serializer)
    }
}

/// The reason why a room was not joined, left or found.
///
/// # Examples
///
/// ```
/// use actix_socketio::{Namespace, RoomError};
///
/// async fn is_empty(namespace: &Namespace, room: &str) -> bool {
///     namespace.room(room).await.err() == Some(RoomError::NoSuchRoom)
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RoomError {
    /// The socket is disconnected from its namespace.
    Disconnected,
    /// The room has no members.
    NoSuchRoom,
    /// The server is closing, or did not answer within five seconds.
    Unavailable,
    /// The room's name exceeds the limit in bytes of
    /// [`Builder::room_name_limit`](crate::Builder::room_name_limit), the value.
    NameTooLong(usize),
    /// The socket has reached the limit of
    /// [`Builder::rooms_per_socket`](crate::Builder::rooms_per_socket), the value.
    TooManyRooms(usize),
}

impl fmt::Display for RoomError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected => f.write_str("the socket is disconnected"),
            Self::NoSuchRoom => f.write_str("nobody is in the room"),
            Self::Unavailable => f.write_str("the namespace does not answer"),
            // The name is omitted: a client may have chosen it.
            Self::NameTooLong(limit) => write!(f, "the room's name has more than {limit} bytes"),
            Self::TooManyRooms(limit) => write!(f, "the socket is in {limit} rooms already"),
        }
    }
}

impl std::error::Error for RoomError {}

impl Serialize for RoomError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        marked(self, *self == Self::Disconnected, serializer)
    }
}

/// The reason why a value was not read from a [`Session`](crate::Session), or not saved in it.
///
/// # Examples
///
/// ```
/// use actix_socketio::{Session, SessionError};
///
/// fn name(session: &Session) -> String {
///     match session.get("name") {
///         Ok(name) => name.unwrap_or_else(|| "nobody".to_owned()),
///         Err(SessionError::Read { key, .. }) => format!("{key} is no text"),
///         Err(error) => error.to_string(),
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionError {
    /// The value under this key has another type than requested.
    Read {
        /// The requested key.
        key: String,
        /// The error of serde.
        message: String,
    },
    /// The value for this key cannot be written as JSON.
    Write {
        /// The key of the value.
        key: String,
        /// The error of serde.
        message: String,
    },
    /// The store of the HTTP session failed, or exceeded its timeout, while loading the session for
    /// an event. The log has the cause.
    NotLoaded,
    /// The store failed, or exceeded its timeout, while saving the session after an event.
    NotSaved,
    /// The HTTP session was ended by a logout after the client connected, and the server
    /// disconnects such clients (`HttpSession::disconnect_at_logout`).
    Ended,
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { key, message } => {
                let message = Shortened(message);
                write!(f, "session value {key:?} cannot be read: {message}")
            }
            Self::Write { key, message } => {
                write!(f, "session value {key:?} cannot be kept: {message}")
            }
            Self::NotLoaded => f.write_str("the session cannot be loaded"),
            Self::NotSaved => f.write_str("the session cannot be saved"),
            Self::Ended => f.write_str("the session has ended"),
        }
    }
}

impl std::error::Error for SessionError {}

impl Serialize for SessionError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The text that a client receives instead of an internal error.
pub(crate) const INTERNAL: &str = "internal server error";
