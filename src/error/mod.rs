//! What can go wrong for a program: a variant for each cause that it can act on.
//!
//! Errors of the wire stay with their codecs; a peer that breaks the protocol is disconnected with
//! a [`CloseReason`](crate::CloseReason) and a line in the log.

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

/// Why an event was not sent.
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
    /// The socket has left its namespace.
    Disconnected,
    /// The client reads too slowly: its outbox has no room for this packet.
    OutboxFull,
    /// The event has a name that the protocol keeps for itself.
    ReservedEvent(String),
    /// The data cannot be written as JSON.
    Encode(ArgsError),
    /// As many calls as the server allows wait for an acknowledgement of this socket already.
    TooManyCalls(usize),
    /// The sockets of this node have it, those of other nodes will not get it. Of a call to a
    /// socket of another node: nobody waits for its answer.
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

/// Why a call has no answer.
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
    /// The client has gone, or the node that had it.
    Disconnected,
    /// The client's answer is not of the type that was asked for.
    Answer(ArgsError),
    /// A call goes to exactly one socket; this many were addressed, or have answered on other
    /// nodes.
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

/// Why a room was not joined, left or found.
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
    /// The socket has left its namespace.
    Disconnected,
    /// Nobody is in the room.
    NoSuchRoom,
    /// The server is being closed, or did not answer within five seconds.
    Unavailable,
    /// The room's name has more bytes than
    /// [`Builder::room_name_limit`](crate::Builder::room_name_limit) allows, which is this many.
    NameTooLong(usize),
    /// The socket is in as many rooms as
    /// [`Builder::rooms_per_socket`](crate::Builder::rooms_per_socket) allows, which is this many.
    TooManyRooms(usize),
}

impl fmt::Display for RoomError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected => f.write_str("the socket is disconnected"),
            Self::NoSuchRoom => f.write_str("nobody is in the room"),
            Self::Unavailable => f.write_str("the namespace does not answer"),
            // Not the name: a client may have chosen it.
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

/// Why a value was not read from a [`Session`](crate::Session), or not kept in it.
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
    /// The value under this key is not of the type that was asked for; the text says why.
    Read {
        /// The key that was asked for.
        key: String,
        /// What does not fit.
        message: String,
    },
    /// The value for this key cannot be written as JSON; the text says why.
    Write {
        /// The key that it was for.
        key: String,
        /// What cannot be written.
        message: String,
    },
    /// The store of the HTTP session failed, or took too long, when the session was loaded for an
    /// event; the log says why.
    NotLoaded,
    /// The same when it was saved behind an event.
    NotSaved,
    /// The HTTP session has ended since the client came, by a logout, and the server disconnects such
    /// clients (`HttpSession::disconnect_at_logout`).
    Ended,
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { key, message } => {
                let message = Shortened(message);
                write!(f, "session value {key:?} does not fit: {message}")
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

/// What a client learns of an error that it need not know.
pub(crate) const INTERNAL: &str = "internal server error";
