//! Handlers as functions: a future from extracted arguments.

use std::future::Future;

use crate::handler::tuples::for_each_tuple;

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
    note = "if it has more than eight arguments: combine several in one, as `Data<(A, B)>` or a struct"
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

for_each_tuple!(handler);
