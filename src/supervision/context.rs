//! The error of a child, as it reports it itself.

use std::fmt;

use actix::{Actor, Context};

use crate::supervision::life;

/// The context of an actor that a [`Supervisor`](crate::Supervisor) runs.
///
/// # Examples
///
/// ```
/// use actix::{Actor, Context};
/// use actix_socketio::ChildContext;
///
/// struct Prices;
///
/// impl Actor for Prices {
///     type Context = Context<Self>;
///
///     fn started(&mut self, ctx: &mut Self::Context) {
///         if let Err(error) = std::fs::metadata("prices.json") {
///             ctx.fail(error);
///         }
///     }
/// }
/// ```
pub trait ChildContext {
    /// Stops the actor because of an error. Its supervisor restarts it, unless it is temporary; of an
    /// actor without a supervisor the error is dropped.
    ///
    /// The end is [`ChildEnd::Error`](crate::ChildEnd) with the text of `error`. If the actor's
    /// `stopping` returns `Running::Continue`, the actor goes on.
    fn fail(&mut self, error: impl fmt::Display);
}

impl<A: Actor<Context = Self>> ChildContext for Context<A> {
    fn fail(&mut self, error: impl fmt::Display) {
        life::fail(self, error.to_string());
    }
}
