//! The errors of rooms.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::error::text::marked;

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
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// The name begins with `@user:`, which is reserved for the sockets of a user; see
    /// [`Socket::identify`](crate::Socket::identify).
    ReservedName,
    /// The actor of the room has refused the socket; see
    /// [`Namespace::room_actor`](crate::Namespace::room_actor).
    Refused {
        /// The message of the actor's [`ConnectError`](crate::ConnectError).
        message: String,
        /// Its data.
        data: Option<Value>,
    },
}

impl fmt::Display for RoomError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected => f.write_str("the socket is disconnected"),
            Self::NoSuchRoom => f.write_str("the room has no members"),
            Self::Unavailable => f.write_str("the namespace does not respond"),
            // The name is omitted: a client may have chosen it.
            Self::NameTooLong(limit) => write!(f, "the room's name has more than {limit} bytes"),
            Self::TooManyRooms(limit) => {
                write!(f, "the socket is in too many rooms, the limit is {limit}")
            }
            Self::ReservedName => f.write_str("the room's name is reserved for a user"),
            Self::Refused { message, .. } => f.write_str(message),
        }
    }
}

impl std::error::Error for RoomError {}

impl Serialize for RoomError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        marked(self, *self == Self::Disconnected, serializer)
    }
}
