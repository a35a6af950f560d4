//! The errors of calls.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::error::EmitError;
use crate::error::text::marked;
use crate::socketio::ArgsError;

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
                write!(
                    f,
                    "a call needs exactly 1 socket, but {sockets} are addressed"
                )
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
