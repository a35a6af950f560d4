//! The errors of a socket's login.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::error::text::marked;

/// The reason why a socket was not identified as a user's; see
/// [`Socket::identify`](crate::Socket::identify).
///
/// As the error of a connect handler, [`TooManyLogins`](Self::TooManyLogins) is told to the client,
/// and the others are internal errors.
///
/// # Examples
///
/// ```
/// use actix_socketio::{ConnectError, Socket, UserError};
///
/// async fn enter(socket: Socket) -> Result<(), ConnectError> {
///     match socket.identify("user-7").await {
///         Err(UserError::TooManyLogins(limit)) => {
///             Err(ConnectError::new(format!("you are logged in {limit} times")))
///         }
///         identified => Ok(identified?),
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UserError {
    /// The socket is disconnected from its namespace, or a newer login has taken its place.
    Disconnected,
    /// The user's id exceeds the limit in bytes of
    /// [`Builder::room_name_limit`](crate::Builder::room_name_limit), the value.
    IdTooLong(usize),
    /// The user has as many sockets as [`UserPolicy::RefuseNewest`](crate::UserPolicy) allows, the
    /// value.
    TooManyLogins(usize),
}

impl fmt::Display for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected => f.write_str("the socket is disconnected"),
            // The id is omitted: a client may have chosen it.
            Self::IdTooLong(limit) => write!(f, "the user's id has more than {limit} bytes"),
            Self::TooManyLogins(limit) => {
                write!(f, "the user has too many logins, the limit is {limit}")
            }
        }
    }
}

impl std::error::Error for UserError {}

impl Serialize for UserError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        marked(self, *self == Self::Disconnected, serializer)
    }
}
