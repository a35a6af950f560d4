//! The refusal of a client: what a program says on purpose, and what an error on the way becomes.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::num::{ParseFloatError, ParseIntError};
use std::str::Utf8Error;
use std::string::FromUtf8Error;

use serde_json::Value;

use crate::cluster::ClusterError;
use crate::error::{CallError, EmitError, INTERNAL, Rejection, RoomError, SessionError};
use crate::socketio::{ArgsError, Shortened};

/// Refuses a client: what its `connect_error` event gets.
///
/// What a program says by [`new`](Self::new), or makes of a text, is for the client. An error that
/// `?` turns into one is not: the client gets its text only if the server tells
/// [`error_details`](crate::Builder::error_details), and `internal server error` otherwise.
/// [`Namespace::on_error`](crate::Namespace::on_error) and the log have the text in any case.
///
/// `?` turns these into one: `io::Error`, `serde_json::Error`, the errors of parsed numbers and
/// texts, `actix::MailboxError`, a boxed error, [`HandlerError`](crate::HandlerError), and the errors
/// of this crate. For any other error write `.map_err(ConnectError::internal)?`, or let the handler
/// return `Result<(), HandlerError>`.
///
/// # Examples
///
/// ```
/// use actix_socketio::{Auth, ConnectError};
///
/// let plain: ConnectError = "not authorized".into();
/// let with_data = ConnectError::new("not authorized").with_data(serde_json::json!({ "code": 401 }));
/// assert_eq!(plain.message(), with_data.message());
///
/// async fn enter(Auth(auth): Auth<serde_json::Value>) -> Result<(), ConnectError> {
///     let tokens = std::fs::read_to_string("tokens.json")?;
///     let tokens: Vec<String> = serde_json::from_str(&tokens)?;
///     match auth["token"].as_str() {
///         Some(token) if tokens.iter().any(|known| known == token) => Ok(()),
///         _ => Err("not authorized".into()),
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectError {
    message: Cow<'static, str>,
    data: Option<Value>,
    /// What the client gets instead of the message if the server tells no details.
    undetailed: Option<&'static str>,
}

impl ConnectError {
    /// Refuses with a message: `error.message` in the client.
    pub fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            message: message.into(),
            data: None,
            undetailed: None,
        }
    }

    /// Refuses because of an error that the client need not know: it gets the error's text only if
    /// the server tells [`error_details`](crate::Builder::error_details).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::net::IpAddr;
    ///
    /// use actix_socketio::{Auth, ConnectError};
    ///
    /// async fn enter(Auth(auth): Auth<serde_json::Value>) -> Result<(), ConnectError> {
    ///     let text = auth["address"].as_str().unwrap_or("::1");
    ///     let address: IpAddr = text.parse().map_err(ConnectError::internal)?;
    ///     log::info!("{address} connects");
    ///     Ok(())
    /// }
    /// ```
    pub fn internal<E: fmt::Display>(error: E) -> Self {
        Self::new(error.to_string()).undetailed(INTERNAL)
    }

    /// Says what the client gets if the server tells no details.
    pub(crate) fn undetailed(mut self, text: &'static str) -> Self {
        self.undetailed = Some(text);
        self
    }

    /// Adds data: `error.data` in the client.
    #[must_use]
    pub fn with_data(mut self, data: impl Into<Value>) -> Self {
        self.data = Some(data.into());
        self
    }

    /// Returns the message.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the data.
    #[must_use]
    pub fn data(&self) -> Option<&Value> {
        self.data.as_ref()
    }

    /// Tells whether it is an error on the way, and no refusal on purpose.
    pub(crate) fn is_internal(&self) -> bool {
        self.undetailed.is_some()
    }

    /// Returns what the client gets, with or without the details.
    pub(crate) fn shown(self, with_details: bool) -> Self {
        match self.undetailed {
            Some(text) if !with_details => Self::new(text),
            _ => self,
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConnectError {}

impl From<&'static str> for ConnectError {
    fn from(message: &'static str) -> Self {
        Self::new(message)
    }
}

impl From<String> for ConnectError {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}

impl From<Rejection> for ConnectError {
    fn from(rejection: Rejection) -> Self {
        rejection.refusal()
    }
}

impl From<serde_json::Error> for ConnectError {
    fn from(error: serde_json::Error) -> Self {
        // It may repeat the whole of what a client sent.
        Self::internal(Shortened(&error))
    }
}

macro_rules! internal {
    ($($error:ty),* $(,)?) => {$(
        impl From<$error> for ConnectError {
            fn from(error: $error) -> Self {
                Self::internal(error)
            }
        }
    )*};
}

internal!(
    io::Error,
    ParseIntError,
    ParseFloatError,
    Utf8Error,
    FromUtf8Error,
    fmt::Error,
    Box<dyn std::error::Error>,
    Box<dyn std::error::Error + Send + Sync>,
    ArgsError,
    EmitError,
    CallError,
    RoomError,
    SessionError,
    ClusterError,
);
