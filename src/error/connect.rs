//! The refusal of a client: one that the program makes, and one made from an error.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::num::{ParseFloatError, ParseIntError};
use std::str::Utf8Error;
use std::string::FromUtf8Error;

use serde_json::Value;

use crate::cluster::ClusterError;
use crate::error::{CallError, EmitError, INTERNAL, Rejection, RoomError, SessionError, UserError};
use crate::socketio::{ArgsError, Shortened};

/// Refuses a client. The client's `connect_error` event receives it.
///
/// A message that the program gives to [`new`](Self::new), or a text that it converts, is for the
/// client. An error that `?` converts is not: the client receives its text only if
/// [`error_details`](crate::Builder::error_details) is on, otherwise `internal server error`.
/// [`Handlers::on_error`](crate::Handlers::on_error) and the log have the text in any case.
///
/// `?` converts these: `io::Error`, `serde_json::Error`, the errors of parsed numbers and texts,
/// `actix::MailboxError`, a boxed error, [`HandlerError`](crate::HandlerError), and the errors of
/// this crate. For any other error write `.map_err(ConnectError::internal)?`, or let the handler
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
    /// The client's message if error details are off.
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

    /// Refuses because of an internal error. The client receives the error's text only if
    /// [`error_details`](crate::Builder::error_details) is on.
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

    /// Sets the client's message for the case that error details are off.
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

    /// Returns `true` if it was made from an error, not by the program.
    pub(crate) fn is_internal(&self) -> bool {
        self.undetailed.is_some()
    }

    /// Returns the client's version, with or without the details.
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
        // The text may repeat a client's whole packet.
        Self::internal(Shortened(&error))
    }
}

impl From<UserError> for ConnectError {
    fn from(error: UserError) -> Self {
        match error {
            UserError::TooManyLogins(_) => Self::new(error.to_string()),
            UserError::Disconnected | UserError::IdTooLong(_) => Self::internal(error),
        }
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
