//! The refusal of one call of a handler: by an extractor, or by middleware.

use std::fmt;

use serde_json::Value;

use crate::error::{ConnectError, INTERNAL, SessionError};
use crate::socketio::ArgsError;

/// The reason why a handler was not called: an extractor could not make an argument, or the
/// program's middleware refused the event.
///
/// If the client expects an acknowledgement it receives `{"error": "…"}` with this text. The text
/// is replaced if [`on_error`](crate::Handlers::on_error) answers, or if
/// [`error_details`](crate::Builder::error_details) is off. The log has a line if there is no such
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
    /// The event's arguments do not have the type that [`Data`](crate::Data) asks for.
    Data(ArgsError),
    /// The CONNECT payload does not have the type that [`Auth`](crate::Auth) asks for.
    Auth(String),
    /// The builder has no [`State`](crate::State) of this type.
    State(&'static str),
    /// The socket has no [`Extension`](crate::Extension) of this type.
    Extension(&'static str),
    /// The client's session could not be loaded before the handler, or not be saved after it.
    Session(SessionError),
    /// The parameters of the namespace's name do not have the type that [`Params`](crate::Params)
    /// asks for.
    Params(String),
    /// A text of the program, from an extractor of its own or from its middleware.
    Other(String),
    /// A rejection with data for the client, made by [`with_data`](Self::with_data).
    WithData(Box<Self>, Value),
}

impl Rejection {
    /// Adds data for the client. The acknowledgement is then `{"error": "…", "data": …}`. If the
    /// rejection refuses a client, its `connect_error` has the data in `error.data`.
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

    /// Returns the client's refusal that this rejection causes.
    pub(crate) fn refusal(&self) -> ConnectError {
        let error = ConnectError::new(self.to_string());
        match self {
            Self::Other(_) => error,
            Self::WithData(rejection, data) => rejection.refusal().with_data(data.clone()),
            Self::Auth(_) => error.undetailed("invalid auth payload"),
            Self::Params(_) => error.undetailed("invalid namespace parameters"),
            Self::Data(_) | Self::State(_) | Self::Extension(_) | Self::Session(_) => {
                error.undetailed(INTERNAL)
            }
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data(error) => write!(f, "invalid event data: {error}"),
            Self::Auth(error) => write!(f, "invalid auth payload: {error}"),
            Self::State(name) => write!(
                f,
                "no state of type {name}: register it by SocketIo::builder().state(..)"
            ),
            Self::Session(error) => error.fmt(f),
            Self::Params(error) => write!(f, "invalid namespace parameters: {error}"),
            Self::Extension(name) => write!(
                f,
                "the socket has no extension of type {name}: insert it by socket.insert_extension(..), \
                 for example in the connect handler"
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
