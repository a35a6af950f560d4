//! The errors of a client's session.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::socketio::Shortened;

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
                write!(f, "session value {key:?} cannot be written: {message}")
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
