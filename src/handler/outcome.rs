//! The values that handlers return.

use std::any::Any;
use std::fmt;

use serde::Serialize;

use crate::error::{ConnectError, HandlerError, says_gone};
use crate::handshake::QueryError;

/// The return type of a handler of an event: any type that serde can write. It is the
/// acknowledgement, if the client expects one.
///
/// No implementation is needed: derive `Serialize`. An `Err` is a failure, which goes to
/// [`on_error`](crate::Handlers::on_error); `?` converts any error to [`HandlerError`].
///
/// # Examples
///
/// ```
/// use actix_socketio::{Data, HandlerError, Namespace};
///
/// async fn read(Data(name): Data<String>) -> Result<String, HandlerError> {
///     Ok(std::fs::read_to_string(name)?)
/// }
///
/// fn register(namespace: &Namespace) {
///     namespace.on("read", read);
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a return type of an event handler",
    label = "the return value is the acknowledgement, but `{Self}` is not `Serialize`",
    note = "if its error is not `Serialize`, as `std::io::Error`: return `Result<_, HandlerError>`, \
            which `?` makes of any error",
    note = "if it is a type of your own: derive `serde::Serialize`",
    note = "if the client receives no data: return `()`"
)]
pub trait EventOutcome: Serialize {}

// Otherwise the compiler names the part that is not `Serialize`, in serde's words.
#[diagnostic::do_not_recommend]
impl<T: Serialize> EventOutcome for T {}

/// The return type of a connect handler: `()` accepts the client, an `Err` refuses it.
///
/// # Examples
///
/// ```
/// use actix_socketio::{ConnectError, Namespace};
///
/// async fn closed() -> Result<(), ConnectError> {
///     Err("closed today".into())
/// }
///
/// fn register(namespace: &Namespace) {
///     namespace.on_connect(closed);
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a return type of a connect handler",
    label = "expected `()`, or a `Result<(), E>` whose `E` becomes a `ConnectError`",
    note = "to refuse a client return an `Err`, as `Err(ConnectError::new(\"not authorized\"))`: \
            a `bool` decides nothing",
    note = "if its error is another one, as `std::io::Error`: return `Result<(), HandlerError>`, \
            which `?` makes of any error"
)]
pub trait ConnectOutcome: 'static {
    /// Returns whether the client is accepted.
    ///
    /// # Errors
    ///
    /// The refusal for the client.
    fn outcome(self) -> Result<(), ConnectError>;
}

impl ConnectOutcome for () {
    fn outcome(self) -> Result<(), ConnectError> {
        Ok(())
    }
}

#[diagnostic::do_not_recommend]
impl<E: Into<ConnectError> + 'static> ConnectOutcome for Result<(), E> {
    fn outcome(self) -> Result<(), ConnectError> {
        self.map_err(Into::into)
    }
}

/// The return type of a disconnect handler: an `Err` is a failure, which goes to
/// [`on_error`](crate::Handlers::on_error), or to the log.
///
/// # Examples
///
/// ```
/// use actix_socketio::{HandlerError, Namespace};
///
/// async fn left() -> Result<(), HandlerError> {
///     Err(HandlerError::new("the presence could not be stored"))
/// }
///
/// fn register(namespace: &Namespace) {
///     namespace.on_disconnect(left);
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a return type of a disconnect handler",
    label = "expected `()`, or a `Result` whose error has a text",
    note = "the client has gone, so nobody gets a value: end the handler with `;`, or return an `Err` \
            for `on_error`"
)]
pub trait LeaveOutcome: 'static {
    /// Returns the error's text, if it is one.
    fn error(&self) -> Option<String>;

    /// Returns `true` if it is an error about a disconnected socket.
    #[doc(hidden)]
    fn says_gone(&self) -> bool {
        false
    }
}

macro_rules! no_error {
    ($($outcome:ty),*) => {$(
        impl LeaveOutcome for $outcome {
            fn error(&self) -> Option<String> {
                None
            }
        }
    )*};
}

no_error!((), bool, <fn() -> ! as Returns>::Value);

impl<T: 'static> LeaveOutcome for Option<T> {
    fn error(&self) -> Option<String> {
        None
    }
}

#[diagnostic::do_not_recommend]
impl<T: 'static, E: fmt::Display + 'static> LeaveOutcome for Result<T, E> {
    fn error(&self) -> Option<String> {
        self.as_ref().err().map(ToString::to_string)
    }

    fn says_gone(&self) -> bool {
        let Err(error) = self else { return false };
        says_gone(error as &dyn Any)
    }
}

/// Names the type `!`, of a handler that only panics.
#[doc(hidden)]
#[allow(
    unreachable_pub,
    unnameable_types,
    reason = "a public impl names it, and no program needs to"
)]
pub trait Returns {
    /// The type.
    type Value;
}

impl<T> Returns for fn() -> T {
    type Value = T;
}

impl From<HandlerError> for ConnectError {
    fn from(error: HandlerError) -> Self {
        Self::internal(error)
    }
}

impl From<QueryError> for ConnectError {
    fn from(error: QueryError) -> Self {
        Self::internal(error)
    }
}

impl From<actix::MailboxError> for ConnectError {
    fn from(error: actix::MailboxError) -> Self {
        Self::internal(error)
    }
}
