//! Handlers: the program's async functions, and their calls.
//!
//! A packet's event and its socket enter; the function's return value leaves as the
//! acknowledgement. User code runs only here, and always inside `catch_unwind`. Nothing here knows
//! the transport of a packet or the actor of the socket.

mod call;
mod context;
mod extension;
mod extract;
mod failure;
mod future_slots;
mod handlers;
mod kinds;
mod method;
mod pending;
mod received;
mod registrar;
mod reply;
mod shared;
mod table;
mod task;
mod transit;
mod turn;

use std::any::Any;
use std::fmt;
use std::future::Future;

use serde::Serialize;

use crate::error::{ConnectError, HandlerError, says_gone};
use crate::handshake::QueryError;

pub(crate) use context::{NamespaceContext, ServerContext};
pub use extension::Extension;
pub use extract::{
    Auth, CallContext, ConnectContext, Data, DisconnectContext, Event, EventContext, Extract,
    Params, State,
};
pub(crate) use failure::failed;
pub use failure::{ErrorAnswer, Failure, FailureCause};
pub(crate) use future_slots::FutureSlots;
pub use handlers::Handlers;
pub(crate) use method::Bound;
pub use method::Method;
pub(crate) use pending::{Pending, Unfinished};
pub(crate) use received::Received;
pub use registrar::{NamespaceHandlers, Registrar};
pub use reply::Ack;
pub(crate) use shared::{SharedTable, TableView};
pub(crate) use table::Table;
pub use task::BackgroundTask;
pub(crate) use task::Tasks;
pub use transit::IncomingEvent;

/// An async function whose arguments are extractors, up to eight of them.
///
/// It is implemented for functions and closures; no other implementation is needed. The kind of
/// call decides about the allowed extractors: see [`Handlers::on`](crate::Handlers::on),
/// [`Handlers::on_connect`](crate::Handlers::on_connect) and
/// [`Handlers::on_disconnect`](crate::Handlers::on_disconnect). The future need not be `Send`.
///
/// # Examples
///
/// ```
/// use actix_socketio::{Data, Namespace, Socket};
///
/// async fn join(socket: Socket, Data(room): Data<String>) -> bool {
///     socket.join(room).await.is_ok()
/// }
///
/// fn register(namespace: &Namespace) {
///     namespace.on("join", join).on("now", || async { "now" });
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler",
    label = "expected an async function whose arguments are extractors, at most eight of them",
    note = "if it is not async: write `async fn`, or `|..| async move {{ .. }}` for a closure",
    note = "if it has more than eight arguments: take several by one, as `Data<(A, B)>` or a struct"
)]
pub trait Handler<Args>: Send + Sync + 'static {
    /// The function's return value.
    type Output: 'static;
    /// Its future.
    type Future: Future<Output = Self::Output> + 'static;

    /// Calls the function.
    fn call(&self, args: Args) -> Self::Future;
}

macro_rules! handler {
    ($($arg:ident)*) => {
        impl<Function, Returned, $($arg),*> Handler<($($arg,)*)> for Function
        where
            Function: Fn($($arg),*) -> Returned + Send + Sync + 'static,
            Returned: Future + 'static,
            Returned::Output: 'static,
        {
            type Output = Returned::Output;
            type Future = Returned;

            #[allow(non_snake_case, reason = "the type parameters name the arguments too")]
            fn call(&self, ($($arg,)*): ($($arg,)*)) -> Returned {
                self($($arg),*)
            }
        }
    };
}

handler!();
handler!(A);
handler!(A B);
handler!(A B C);
handler!(A B C D);
handler!(A B C D E);
handler!(A B C D E F);
handler!(A B C D E F G);
handler!(A B C D E F G H);

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
    message = "`{Self}` cannot be what a handler of an event returns",
    label = "this is the acknowledgement, and `{Self}` cannot be written: it is not `Serialize`",
    note = "if its error is not `Serialize`, as `std::io::Error`: return `Result<_, HandlerError>`, \
            which `?` makes of any error",
    note = "if it is a type of your own: derive `serde::Serialize`",
    note = "if the client gets nothing: return `()`"
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
    message = "`{Self}` cannot be what a connect handler returns",
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
    message = "`{Self}` cannot be what a disconnect handler returns",
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
