//! The handlers of a room's events: functions of the actor, with extracted arguments.

use actix::Context;

use crate::handler::for_each_tuple;
use crate::rooms::actor::RoomActor;

/// A function that handles an event in the actor of a room: `&mut` the actor, up to eight
/// extractors, `&mut` its context. Its return value is the acknowledgement, as of
/// [`Handlers::on`](crate::Handlers::on).
///
/// It is implemented for methods, functions and closures; no other implementation is needed. To
/// acknowledge later, it takes an [`Ack`](crate::Ack) and keeps it.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use actix::{Actor, AsyncContext, Context};
/// use actix_socketio::{Ack, Data, RoomActor, RoomActors, Socket};
///
/// struct Dice;
///
/// impl Dice {
///     fn roll(&mut self, _: Socket, Data(sides): Data<u32>, ack: Ack, ctx: &mut Context<Self>) {
///         ctx.run_later(Duration::from_secs(1), move |_, _| ack.send(sides / 2));
///     }
/// }
/// # impl Actor for Dice { type Context = Context<Self>; }
/// # impl RoomActor for Dice {}
///
/// fn register(rooms: &RoomActors<Dice>) {
///     rooms.on("roll", Dice::roll);
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler of a room's event",
    label = "expected a function of `&mut {A}`, then extractors, at most eight, then `&mut Context<{A}>`",
    note = "it is not async: to answer later take an `Ack`, and spawn the future on the context"
)]
pub trait RoomHandler<A, Args>: Send + Sync + 'static {
    /// The function's return value.
    type Output: 'static;

    /// Calls the function.
    fn call(&self, actor: &mut A, args: Args, ctx: &mut Context<A>) -> Self::Output
    where
        A: RoomActor;
}

macro_rules! room_handler {
    ($($arg:ident)*) => {
        impl<Function, Room, Returned, $($arg),*> RoomHandler<Room, ($($arg,)*)> for Function
        where
            Function: Fn(&mut Room, $($arg,)* &mut Context<Room>) -> Returned
                + Send
                + Sync
                + 'static,
            Room: RoomActor,
            Returned: 'static,
        {
            type Output = Returned;

            #[allow(non_snake_case, reason = "the type parameters name the arguments too")]
            fn call(
                &self,
                room: &mut Room,
                ($($arg,)*): ($($arg,)*),
                ctx: &mut Context<Room>,
            ) -> Returned {
                self(room, $($arg,)* ctx)
            }
        }
    };
}

for_each_tuple!(room_handler);
