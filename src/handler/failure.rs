//! Failures: what the program's error hook gets to see, and what the client is told without one.
//!
//! A handler that returned an error, panicked, or was never called comes in; what is to be sent as
//! the acknowledgement leaves. It knows no packet.

use std::fmt;
use std::sync::Arc;

use log::Level;
use serde_json::Value;

use crate::error::{INTERNAL, Rejection, SessionError};
use crate::handler::environment::Environment;
use crate::logging::{LogKind, Quoted, TARGET_HANDLER, cut, plain};
use crate::message::{CrashPlace, Crashed};
use crate::panics::catch_panic;
use crate::socket::Socket;
use crate::socketio::ArgsError;

/// A handler's call that failed, as an error hook sees it.
///
/// # Examples
///
/// ```
/// use actix_socketio::{Failure, FailureCause, Namespace};
/// use serde_json::{Value, json};
///
/// /// Answers every failure with a number that stands in the log.
/// fn numbered(failure: &Failure<'_>) -> Option<Value> {
///     let number = 4711;
///     log::warn!("{number}: {failure}");
///     match failure.cause() {
///         FailureCause::Panicked(_) => Some(json!({ "error": "broken", "number": number })),
///         // The default rule: `{"error": …}` with the error's text.
///         _ => None,
///     }
/// }
///
/// fn register(namespace: &Namespace) {
///     namespace.on_error(numbered);
/// }
/// ```
#[derive(Debug)]
pub struct Failure<'a> {
    pub(crate) socket: &'a Socket,
    pub(crate) event: &'a str,
    pub(crate) wants_ack: bool,
    pub(crate) cause: FailureCause,
    /// The error says that its socket has gone.
    pub(crate) says_gone: bool,
}

impl Failure<'_> {
    /// Returns the socket that the handler was called for.
    #[must_use]
    pub fn socket(&self) -> &Socket {
        self.socket
    }

    /// Returns the event's name; `connect`, `disconnecting` and `disconnect` are those of the
    /// handlers for these, and `spawn` is that of a task of [`Socket::spawn`].
    #[must_use]
    pub fn event(&self) -> &str {
        self.event
    }

    /// Tells whether the client waits for an acknowledgement.
    #[must_use]
    pub fn wants_ack(&self) -> bool {
        self.wants_ack
    }

    /// Returns what went wrong.
    #[must_use]
    pub fn cause(&self) -> &FailureCause {
        &self.cause
    }

    /// Returns what the hook answers; the default where there is no hook.
    pub(crate) fn shown_to_hook(&self, environment: &Environment) -> ErrorAnswer {
        let hook = environment.error_hook();
        self.log(hook.is_some());
        let Some(hook) = hook else {
            return ErrorAnswer::Default;
        };
        catch_panic(|| hook(self)).unwrap_or_else(|panic| {
            let panic = cut(panic);
            let line = format_args!("{self}; the error hook panicked over it: {panic}");
            self.write(LogKind::Panicked, Level::Error, line);
            ErrorAnswer::Default
        })
    }

    /// Returns the JSON text of what the client is told without a hook.
    pub(crate) fn told(&self, environment: &Environment) -> String {
        let text = match &self.cause {
            _ if !environment.surroundings.tells_errors => INTERNAL,
            FailureCause::Returned(json) => return json.clone(),
            FailureCause::Panicked(_) => INTERNAL,
            FailureCause::SerializeFailed(_) => "the answer cannot be sent",
            cause @ (FailureCause::Rejected(_)
            | FailureCause::Refused(_)
            | FailureCause::InvalidNamespace
            | FailureCause::NotTaken
            | FailureCause::AckDropped
            | FailureCause::Dropped) => {
                return Value::from(cause.to_string()).to_string();
            }
        };
        Value::from(text).to_string()
    }

    /// Returns the JSON text of the data that the client gets beside it.
    pub(crate) fn told_data(&self, environment: &Environment) -> Option<String> {
        match &self.cause {
            FailureCause::Rejected(rejection) if environment.surroundings.tells_errors => {
                rejection.data().map(Value::to_string)
            }
            _ => None,
        }
    }

    /// Writes the failure to the log, once: at the level debug if it is routine, if a hook sees it,
    /// or if the log has its cause already.
    fn log(&self, has_hook: bool) {
        let (kind, level) = match &self.cause {
            // It stands in the log as a panic.
            FailureCause::Panicked(_) => return,
            FailureCause::Refused(_)
            | FailureCause::Dropped
            | FailureCause::Rejected(Rejection::Session(
                SessionError::NotLoaded | SessionError::NotSaved,
            )) => return self.debug(),
            FailureCause::AckDropped if self.socket.core().has_ended() => return self.debug(),
            _ if has_hook || self.is_routine() => return self.debug(),
            FailureCause::InvalidNamespace => (LogKind::Refused, Level::Info),
            FailureCause::SerializeFailed(_) => (LogKind::Failed, Level::Error),
            _ => (LogKind::Failed, Level::Warn),
        };
        let client = Client(self.socket);
        self.write(kind, level, format_args!("{self}; {client}"));
    }

    fn debug(&self) {
        let client = Client(self.socket);
        log::debug!(target: TARGET_HANDLER, "{self}; {client}");
    }

    /// Tells whether the handler only found that its own client has gone: a routine end.
    fn is_routine(&self) -> bool {
        self.says_gone && self.socket.core().end_reason().is_some()
    }

    fn write(&self, kind: LogKind, level: Level, line: fmt::Arguments<'_>) {
        let config = &self.socket.core().link.config;
        config.line_limits.write(kind, level, line);
    }
}

impl fmt::Display for Failure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let namespace = plain(self.socket.namespace());
        let event = Quoted(self.event);
        write!(f, "event {event} in namespace {namespace}: ")?;
        match &self.cause {
            // What does not fit may be a password, and this text goes to logs.
            FailureCause::Rejected(Rejection::Auth(_)) => f.write_str("auth payload does not fit"),
            cause => cut(cause).fmt(f),
        }
    }
}

/// Whose failure it is, for the log.
struct Client<'a>(&'a Socket);

impl fmt::Display for Client<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "socket {}", self.0.id())?;
        match self.0.handshake().address() {
            Some(address) => write!(f, " of {address}"),
            None => Ok(()),
        }
    }
}

/// Why a handler's call failed.
///
/// # Examples
///
/// ```
/// use actix_socketio::FailureCause;
///
/// fn is_ours(cause: &FailureCause) -> bool {
///     matches!(cause, FailureCause::Panicked(_) | FailureCause::SerializeFailed(_))
/// }
/// assert!(is_ours(&FailureCause::Panicked("oh".into())));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum FailureCause {
    /// The handler returned an `Err`; this is its JSON text. Of a disconnect handler it is the
    /// error's `Display` text, as a JSON string.
    Returned(String),
    /// The handler was not called: an argument of it could not be made, or
    /// [`event_middleware`](crate::Namespace::event_middleware) refused the event.
    Rejected(Rejection),
    /// Middleware or a connect handler refused the client with this message. It is routine, and
    /// goes to the log at the level debug.
    Refused(String),
    /// The handler panicked with this text.
    Panicked(String),
    /// What the handler returned cannot be written as JSON.
    SerializeFailed(ArgsError),
    /// The handler dropped its [`Ack`](crate::Ack) without an answer.
    AckDropped,
    /// The actor that the event was [forwarded](crate::Namespace::forward) to has ended, or has not
    /// taken it within [`Builder::ack_timeout`](crate::Builder::ack_timeout).
    NotTaken,
    /// The client asked for a namespace that does not exist. Only
    /// [`on_error_default`](crate::SocketIo::on_error_default) sees it; the socket is in no
    /// namespace, and says who asked, and for which one.
    InvalidNamespace,
    /// The handler was dropped where it waited for something: its socket had ended, and
    /// [`Builder::handler_grace`](crate::Builder::handler_grace) was over, or the server was
    /// stopped.
    Dropped,
}

impl fmt::Display for FailureCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Returned(json) => write!(f, "handler failed: {json}"),
            Self::Rejected(rejection) => rejection.fmt(f),
            Self::Refused(message) => write!(f, "client refused: {message:?}"),
            Self::Panicked(panic) => write!(f, "handler panicked: {panic}"),
            Self::SerializeFailed(error) => write!(f, "answer cannot be sent: {error}"),
            Self::AckDropped => f.write_str("the handler gave no answer"),
            Self::NotTaken => f.write_str("the actor has not taken the event"),
            Self::InvalidNamespace => f.write_str("client refused: there is no such namespace"),
            Self::Dropped => f.write_str("the handler still waited behind its socket's end"),
        }
    }
}

/// What an error hook answers to the client that waits for an acknowledgement.
///
/// | answer | the client gets | its `emitWithAck` | its `retries` |
/// | --- | --- | --- | --- |
/// | `Default` | `{"error": …}`, or nothing if the handler asked for that | ends | stop |
/// | `Value` | this value | ends | stop |
/// | `Nothing` | nothing | waits, or fails after its `timeout` | send the event again |
///
/// `None` is `Default`, and `Some(value)` is `Value(value)`. Of a connect or disconnect handler,
/// and of an event without an acknowledgement, the answer has no effect.
///
/// # Examples
///
/// ```
/// use actix_socketio::{ErrorAnswer, Namespace};
///
/// fn register(namespace: &Namespace) {
///     namespace.on_error(|failure| {
///         log::warn!("{failure}");
///         ErrorAnswer::Nothing
///     });
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum ErrorAnswer {
    /// By the rule that holds without a hook.
    #[default]
    Default,
    /// This value.
    Value(Value),
    /// Nothing: the event stays unanswered.
    Nothing,
}

impl From<Option<Value>> for ErrorAnswer {
    fn from(value: Option<Value>) -> Self {
        value.map_or(Self::Default, Self::Value)
    }
}

/// Sees a failure, and may answer for it.
pub(crate) type ErrorHook = Arc<dyn Fn(&Failure<'_>) -> ErrorAnswer + Send + Sync>;

/// Tells the program's error hook and the log of a failure that nobody waits for.
pub(crate) fn failed(environment: &Environment, socket: &Socket, event: &str, cause: FailureCause) {
    failed_as(environment, socket, event, cause, false);
}

/// The same, of an error that may say that its socket has gone.
pub(crate) fn failed_as(
    environment: &Environment,
    socket: &Socket,
    event: &str,
    cause: FailureCause,
    says_gone: bool,
) {
    let failure = Failure {
        socket,
        event,
        wants_ack: false,
        cause,
        says_gone,
    };
    let _ = failure.shown_to_hook(environment);
}

/// Tells the log, the program's supervisors and its error hook of a panic where nobody waits for an
/// answer.
pub(crate) fn panicked(environment: &Environment, socket: &Socket, event: &str, panic: String) {
    report(environment, socket, event, &panic);
    failed(environment, socket, event, FailureCause::Panicked(panic));
}

/// Tells the log and the program's supervisors of a handler's panic.
pub(crate) fn report(environment: &Environment, socket: &Socket, event: &str, panic: &str) {
    environment.report(&Crashed {
        place: CrashPlace::Handler(event.to_owned()),
        namespace: Some(socket.namespace().to_owned()),
        socket: Some(socket.id()),
        panic: panic.to_owned(),
    });
}

/// The same, of a panic in a task of a socket.
pub(crate) fn task_panicked(environment: &Environment, socket: &Socket, panic: String) {
    environment.report(&Crashed {
        place: CrashPlace::BackgroundTask,
        namespace: Some(socket.namespace().to_owned()),
        socket: Some(socket.id()),
        panic: panic.clone(),
    });
    failed(environment, socket, "spawn", FailureCause::Panicked(panic));
}
