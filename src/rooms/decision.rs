//! The decision of a room about a client that wants in.

use std::fmt;

use actix::fut::{ActorFuture, LocalBoxActorFuture};
use actix::{Actor, Context};

use crate::error::ConnectError;

/// Accepts or refuses a client; [`RoomActor::enter`](crate::RoomActor::enter) returns it.
///
/// # Examples
///
/// ```
/// use actix_socketio::{ConnectError, Decision, RoomActor};
///
/// fn decide<A: RoomActor>(seats: usize) -> Decision<A> {
///     if seats == 0 {
///         return Decision::refuse(ConnectError::new("the game is full"));
///     }
///     Decision::accept()
/// }
/// ```
#[must_use = "it decides about a client"]
pub struct Decision<A: Actor>(pub(super) Decided<A>);

pub(super) enum Decided<A: Actor> {
    Now(Result<(), ConnectError>),
    Later(LocalBoxActorFuture<A, Result<(), ConnectError>>),
}

impl<A> Decision<A>
where
    A: Actor<Context = Context<A>>,
{
    /// Lets the client in.
    pub fn accept() -> Self {
        Self(Decided::Now(Ok(())))
    }

    /// Refuses the client: in a namespace it receives `connect_error` with the message and data of
    /// the error, and [`Socket::join`](crate::Socket::join) of a room returns
    /// [`RoomError::Refused`](crate::RoomError::Refused).
    pub fn refuse(error: impl Into<ConnectError>) -> Self {
        Self(Decided::Now(Err(error.into())))
    }

    /// Decides later, for example after a query of a database. The actor handles other messages in
    /// the meantime; if they must wait, use [`ctx.wait`](actix::AsyncContext::wait) too. A future
    /// that panics, or an actor that ends, refuses the client with `internal server error`.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix::fut::wrap_future;
    /// use actix_socketio::{ConnectError, Decision, RoomActor};
    ///
    /// async fn is_invited(user: String) -> bool {
    ///     user != "eve"
    /// }
    ///
    /// fn decide<A: RoomActor>(user: String) -> Decision<A> {
    ///     Decision::later(wrap_future(async move {
    ///         match is_invited(user).await {
    ///             true => Ok(()),
    ///             false => Err(ConnectError::new("you are not invited")),
    ///         }
    ///     }))
    /// }
    /// ```
    pub fn later<F>(decision: F) -> Self
    where
        F: ActorFuture<A, Output = Result<(), ConnectError>> + 'static,
    {
        Self(Decided::Later(Box::pin(decision)))
    }
}

/// `Ok` accepts, and `Err` refuses with the error.
impl<A, E> From<Result<(), E>> for Decision<A>
where
    A: Actor<Context = Context<A>>,
    E: Into<ConnectError>,
{
    fn from(decided: Result<(), E>) -> Self {
        Self(Decided::Now(decided.map_err(Into::into)))
    }
}

impl<A: Actor> fmt::Debug for Decision<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Decided::Now(decided) => f.debug_tuple("Decision").field(decided).finish(),
            Decided::Later(_) => f.write_str("Decision(later)"),
        }
    }
}
