//! The error of a handler that uses `?`, and the meaning of a handler's error for the server.
//!
//! A handler's error is sent as its JSON text. The serde name of the value tells the server the
//! rest: the acknowledgement is dropped, or the socket is disconnected.

use std::any::Any;
use std::error::Error;
use std::fmt;

use serde::{Serialize, Serializer};

use crate::error::text::marked;
use crate::error::{CallError, EmitError, RoomError, UserError};
use crate::socketio::{ACK_DROPPED, Shortened};

/// The error of a handler that uses `?`: made from any [`std::error::Error`].
///
/// If the client expects an acknowledgement it receives `{"error": "…"}` with the error's text.
///
/// # Examples
///
/// ```
/// use actix_socketio::{Data, HandlerError};
///
/// async fn double(Data(text): Data<String>) -> Result<i64, HandlerError> {
///     Ok(text.parse::<i64>()? * 2)
/// }
/// ```
#[derive(Debug)]
pub struct HandlerError {
    error: Box<dyn Error + Send + Sync>,
    pub(crate) is_answered: bool,
}

impl<E> From<E> for HandlerError
where
    E: Error + Send + Sync + 'static,
{
    fn from(error: E) -> Self {
        Self {
            error: Box::new(error),
            is_answered: true,
        }
    }
}

impl HandlerError {
    /// Makes an error from a text.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            error: message.into().into(),
            is_answered: true,
        }
    }

    pub(crate) fn says_gone(&self) -> bool {
        has_gone(self.error.as_ref())
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.error.is::<serde_json::Error>() {
            // The text may repeat a client's whole packet.
            return Shortened(&self.error).fmt(f);
        }
        self.error.fmt(f)
    }
}

impl Serialize for HandlerError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_answered {
            marked(self, self.says_gone(), serializer)
        } else {
            serializer.serialize_newtype_struct(ACK_DROPPED, &self.to_string())
        }
    }
}

/// Returns `true` if a value is an error about a disconnected socket.
pub(crate) fn says_gone(value: &dyn Any) -> bool {
    if let Some(error) = value.downcast_ref::<HandlerError>() {
        return error.says_gone();
    }
    if let Some(error) = value.downcast_ref::<Box<dyn Error>>() {
        return has_gone(error.as_ref());
    }
    if let Some(error) = value.downcast_ref::<Box<dyn Error + Send + Sync>>() {
        return has_gone(error.as_ref());
    }
    value.downcast_ref().is_some_and(EmitError::is_gone)
        || value.downcast_ref().is_some_and(CallError::is_gone)
        || value.downcast_ref() == Some(&RoomError::Disconnected)
        || value.downcast_ref() == Some(&UserError::Disconnected)
}

/// Returns `true` if an error, or one of its sources, is about a disconnected socket.
fn has_gone(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let is_gone = error.downcast_ref().is_some_and(EmitError::is_gone)
            || error.downcast_ref().is_some_and(CallError::is_gone)
            || error.downcast_ref() == Some(&RoomError::Disconnected)
            || error.downcast_ref() == Some(&UserError::Disconnected);
        if is_gone {
            return true;
        }
        cause = error.source();
    }
    false
}
