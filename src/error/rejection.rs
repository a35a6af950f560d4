//! The refusal of one call: an argument that could not be made, or middleware that said no.

use std::fmt;

use serde_json::Value;

use crate::error::{ConnectError, INTERNAL, SessionError};
use crate::socketio::ArgsError;

/// Why a handler was not called: an argument of it could not be made from what came in, or the
/// program's middleware refused the event.
///
/// Where the client asked for an acknowledgement it gets `{"error": "…"}` with this text, unless
/// [`on_error`](crate::Namespace::on_error) answers for it, or the server tells no
/// [`error_details`](crate::Builder::error_details); the log has a line where there is no such
/// hook.
///
/// # Examples
///
/// ```
/// use actix_socketio::Rejection;
///
/// let rejection = Rejection::from("join a room first");
/// assert_eq!(rejection.to_string(), "join a room first");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Rejection {
    /// The event's arguments are not of the type that [`Data`](crate::Data) asks for.
    Data(ArgsError),
    /// The CONNECT payload is not of the type that [`Auth`](crate::Auth) asks for.
    Auth(String),
    /// No [`State`](crate::State) of this type was given to the builder.
    State(&'static str),
    /// No [`Extension`](crate::Extension) of this type was attached to the socket.
    Extension(&'static str),
    /// The client's session could not be loaded before the handler, or not be saved after it.
    Session(SessionError),
    /// The parameters of the namespace's name are not of the type that
    /// [`Params`](crate::Params) asks for.
    Params(String),
    /// What the program says: an extractor of its own, or its middleware.
    Other(String),
    /// A rejection with data for the client, by [`with_data`](Self::with_data).
    WithData(Box<Self>, Value),
}

impl Rejection {
    /// Adds data for the client. The acknowledgement is `{"error": "…", "data": …}` then; a client
    /// that is refused by it finds them in `error.data` of its `connect_error`.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{IncomingEvent, Namespace, Rejection};
    /// use serde_json::json;
    ///
    /// fn limit(_: &mut IncomingEvent<'_>) -> Result<(), Rejection> {
    ///     Err(Rejection::from("too many messages").with_data(json!({ "retry_after": 5 })))
    /// }
    ///
    /// fn register(namespace: &Namespace) {
    ///     namespace.event_middleware(limit);
    /// }
    /// ```
    #[must_use]
    pub fn with_data(self, data: impl Into<Value>) -> Self {
        match self {
            Self::WithData(rejection, _) => Self::WithData(rejection, data.into()),
            rejection => Self::WithData(Box::new(rejection), data.into()),
        }
    }

    /// Returns the data for the client.
    #[must_use]
    pub fn data(&self) -> Option<&Value> {
        match self {
            Self::WithData(_, data) => Some(data),
            _ => None,
        }
    }

    /// Returns what a client gets that is refused by it.
    pub(crate) fn refusal(&self) -> ConnectError {
        let error = ConnectError::new(self.to_string());
        match self {
            Self::Other(_) => error,
            Self::WithData(rejection, data) => rejection.refusal().with_data(data.clone()),
            Self::Auth(_) => error.undetailed("auth payload does not fit"),
            Self::Params(_) => error.undetailed("the namespace's parameters do not fit"),
            Self::Data(_) | Self::State(_) | Self::Extension(_) | Self::Session(_) => {
                error.undetailed(INTERNAL)
            }
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data(error) => write!(f, "event data does not fit: {error}"),
            Self::Auth(error) => write!(f, "auth payload does not fit: {error}"),
            Self::State(name) => write!(
                f,
                "no state of type {name}: give one to SocketIo::builder().state(..)"
            ),
            Self::Session(error) => error.fmt(f),
            Self::Params(error) => write!(f, "the namespace's parameters do not fit: {error}"),
            Self::Extension(name) => write!(
                f,
                "the socket has no extension of type {name}: attach it by socket.insert_extension(..), \
                 as in the connect handler"
            ),
            Self::Other(text) => f.write_str(text),
            Self::WithData(rejection, _) => rejection.fmt(f),
        }
    }
}

impl std::error::Error for Rejection {}

impl From<&str> for Rejection {
    fn from(text: &str) -> Self {
        Self::Other(text.to_owned())
    }
}

impl From<String> for Rejection {
    fn from(text: String) -> Self {
        Self::Other(text)
    }
}

impl From<ArgsError> for Rejection {
    fn from(error: ArgsError) -> Self {
        Self::Data(error)
    }
}
