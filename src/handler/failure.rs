//! Failures: the argument of the program's error hook, and the default answer without a hook.
//!
//! A handler that returned an error, panicked, or was not called enters; the content of the
//! acknowledgement leaves. It depends on no packet.

use std::fmt;
use std::sync::Arc;

use log::Level;
use serde_json::Value;

use crate::error::{INTERNAL, Rejection, SessionError};
use crate::handler::context::NamespaceContext;
use crate::limits::Limit;
use crate::logging::{LogKind, Quoted, TARGET_HANDLER, cut, plain};
use crate::message::{PanicSource, Panicked};
use crate::panics::catch_panic;
use crate::socket::Socket;
use crate::socketio::ArgsError;

/// A failed call of a handler, as the argument of an error hook.
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
    /// The error is about a disconnected socket.
    pub(crate) says_gone: bool,
}

impl Failure<'_> {
    /// Returns the socket of the call.
    #[must_use]
    pub fn socket(&self) -> &Socket {
        self.socket
    }

    /// Returns the event's name; `connect`, `expiring`, `disconnecting` and `disconnect` are those of
    /// the handlers for these, and `spawn` is that of a task of [`Socket::spawn`].
    #[must_use]
    pub fn event(&self) -> &str {
        self.event
    }

    /// Returns `true` if the client expects an acknowledgement.
    #[must_use]
    pub fn wants_ack(&self) -> bool {
        self.wants_ack
    }

    /// Returns the cause of the failure.
    #[must_use]
    pub fn cause(&self) -> &FailureCause {
        &self.cause
    }

    /// Returns the hook's answer; the default if there is no hook.
    pub(crate) fn shown_to_hook(&self, context: &NamespaceContext) -> ErrorAnswer {
        let hook = context.error_hook();
        self.log(hook.is_some());
        let Some(hook) = hook else {
            return ErrorAnswer::Default;
        };
        catch_panic(|| hook(self)).unwrap_or_else(|panic| {
            let panic = cut(panic);
            let line = format_args!("{self}; its error hook panicked: {panic}");
            self.write(LogKind::Panicked, Level::Error, line);
            ErrorAnswer::Default
        })
    }

    /// Returns the JSON text of the client's answer without a hook.
    pub(crate) fn client_error(&self, context: &NamespaceContext) -> String {
        let text = match &self.cause {
            FailureCause::RateExceeded(_) => "rate limit exceeded",
            _ if !context.server_context.tells_errors => INTERNAL,
            FailureCause::Returned(json) => return json.clone(),
            FailureCause::Panicked(_) => INTERNAL,
            FailureCause::SerializeFailed(_) => "the acknowledgement cannot be encoded",
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

    /// Returns the JSON text of the additional data for the client.
    pub(crate) fn told_data(&self, context: &NamespaceContext) -> Option<String> {
        match &self.cause {
            FailureCause::Rejected(rejection) if context.server_context.tells_errors => {
                rejection.data().map(Value::to_string)
            }
            _ => None,
        }
    }

    /// Logs the failure, once: at the level debug if it is routine, if there is a hook, or if the
    /// log has its cause already.
    fn log(&self, has_hook: bool) {
        let (kind, level) = match &self.cause {
            // The log has it as a panic.
            FailureCause::Panicked(_) => return,
            FailureCause::Refused(_)
            | FailureCause::RateExceeded(_)
            | FailureCause::Dropped
            | FailureCause::Rejected(Rejection::Session(
                SessionError::NotLoaded | SessionError::NotSaved,
            )) => return self.debug(),
            FailureCause::AckDropped if self.socket.state().has_ended() => return self.debug(),
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

    /// Returns `true` if the handler failed only because its own client had disconnected: a routine
    /// end.
    fn is_routine(&self) -> bool {
        self.says_gone && self.socket.state().end_reason().is_some()
    }

    fn write(&self, kind: LogKind, level: Level, line: fmt::Arguments<'_>) {
        let config = &self.socket.state().link.config;
        config.line_limits.write(kind, level, line);
    }
}

impl fmt::Display for Failure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let namespace = plain(self.socket.namespace());
        let event = Quoted(self.event);
        write!(f, "event {event} in namespace {namespace}: ")?;
        match &self.cause {
            // The wrong value may be a password, and this text is logged.
            FailureCause::Rejected(Rejection::Auth(_)) => f.write_str("invalid auth payload"),
            cause => cut(cause).fmt(f),
        }
    }
}

/// The client of the failure, for the log.
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

/// The reason why a handler's call failed.
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
    /// The handler returned an `Err`; this is its JSON text. For a disconnect handler it is the
    /// error's `Display` text, as a JSON string.
    Returned(String),
    /// The handler was not called: an extractor could not make an argument, or
    /// [`event_middleware`](crate::Handlers::event_middleware) refused the event.
    Rejected(Rejection),
    /// The client exceeds this rate, and its [`RatePolicy`](crate::RatePolicy) drops the event or
    /// disconnects the client. The client is told in any case. It is logged at the level debug.
    RateExceeded(Limit),
    /// Middleware or a connect handler refused the client with this message. It is routine, and is
    /// logged at the level debug.
    Refused(String),
    /// The handler panicked with this text.
    Panicked(String),
    /// The handler's return value cannot be written as JSON.
    SerializeFailed(ArgsError),
    /// The handler dropped its [`Ack`](crate::Ack) without an answer.
    AckDropped,
    /// The actor to which the event was [forwarded](crate::Handlers::forward) has ended, or has
    /// not taken it within [`Builder::ack_timeout`](crate::Builder::ack_timeout).
    NotTaken,
    /// The client requested a namespace that does not exist. Only
    /// [`on_error_default`](crate::SocketIo::on_error_default) receives it. The socket is in no
    /// namespace, and names the client and the requested namespace.
    InvalidNamespace,
    /// The handler was dropped while it waited: its socket had ended, and
    /// [`Builder::handler_grace`](crate::Builder::handler_grace) was over, or the server was
    /// stopped.
    Dropped,
}

impl fmt::Display for FailureCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Returned(json) => write!(f, "handler failed: {json}"),
            Self::Rejected(rejection) => rejection.fmt(f),
            Self::RateExceeded(limit) => write!(f, "the client exceeds `{limit}`"),
            Self::Refused(message) => write!(f, "client refused: {message:?}"),
            Self::Panicked(panic) => write!(f, "handler panicked: {panic}"),
            Self::SerializeFailed(error) => {
                write!(f, "the acknowledgement cannot be encoded: {error}")
            }
            Self::AckDropped => f.write_str("the handler dropped the acknowledgement"),
            Self::NotTaken => {
                f.write_str("the actor has ended, or did not accept the event in time")
            }
            Self::InvalidNamespace => f.write_str("client refused: the namespace does not exist"),
            Self::Dropped => f.write_str(
                "the handler was dropped: still pending after `handler_grace` or the server's stop",
            ),
        }
    }
}

/// The answer of an error hook to a client that expects an acknowledgement.
///
/// | answer | the client receives | its `emitWithAck` | its `retries` |
/// | --- | --- | --- | --- |
/// | `Default` | `{"error": …}`, or nothing if the handler asked for that | ends | stop |
/// | `Value` | this value | ends | stop |
/// | `Nothing` | nothing | waits, or fails after its `timeout` | send the event again |
///
/// `None` is `Default`, and `Some(value)` is `Value(value)`. The answer has no effect for a connect
/// or disconnect handler, and for an event without an acknowledgement.
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
    /// The answer without a hook.
    #[default]
    Default,
    /// This value.
    Value(Value),
    /// No answer: the event is not acknowledged.
    Nothing,
}

impl From<Option<Value>> for ErrorAnswer {
    fn from(value: Option<Value>) -> Self {
        value.map_or(Self::Default, Self::Value)
    }
}

/// Receives a failure, and may answer.
pub(crate) type ErrorHook = Arc<dyn Fn(&Failure<'_>) -> ErrorAnswer + Send + Sync>;

/// Reports a failure without an answer to the program's error hook and the log.
pub(crate) fn failed(
    context: &NamespaceContext,
    socket: &Socket,
    event: &str,
    cause: FailureCause,
) {
    failed_as(context, socket, event, cause, false);
}

/// The same, for an error that may be about a disconnected socket.
pub(crate) fn failed_as(
    context: &NamespaceContext,
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
    let _ = failure.shown_to_hook(context);
}

/// Reports a panic without an answer to the log, the program's supervisors and its error hook.
pub(crate) fn panicked(context: &NamespaceContext, socket: &Socket, event: &str, panic: String) {
    report(context, socket, event, &panic);
    failed(context, socket, event, FailureCause::Panicked(panic));
}

/// Reports a handler's panic to the log and the program's supervisors.
pub(crate) fn report(context: &NamespaceContext, socket: &Socket, event: &str, panic: &str) {
    context.report(&Panicked {
        source: PanicSource::Handler(event.to_owned()),
        namespace: Some(socket.namespace().to_owned()),
        socket: Some(socket.id()),
        panic: panic.to_owned(),
    });
}

/// The same, for a panic in a task of a socket.
pub(crate) fn task_panicked(context: &NamespaceContext, socket: &Socket, panic: String) {
    context.report(&Panicked {
        source: PanicSource::BackgroundTask,
        namespace: Some(socket.namespace().to_owned()),
        socket: Some(socket.id()),
        panic: panic.clone(),
    });
    failed(context, socket, "spawn", FailureCause::Panicked(panic));
}
