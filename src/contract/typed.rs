//! The compiler's requirements for the handler of a typed event: its arguments and its answer.

use std::fmt;

use serde::de::DeserializeOwned;

use crate::contract::EventContract;
use crate::error::Rejection;
use crate::handler::{EventContext, Extract};

/// The data of an event of the contract `E`, as an argument of its handler.
/// [`Handlers::on_event`](crate::Handlers::on_event) requires one.
///
/// It is read as [`Data`](crate::Data) reads an event's arguments.
///
/// # Examples
///
/// ```
/// use actix_socketio::{Socket, Typed, event};
///
/// event! { pub Move("move", (u32, Option<bool>) => u32); }
///
/// async fn on_move(socket: Socket, Typed((steps, _fast)): Typed<Move>) -> u32 {
///     log::debug!("{} moves", socket.id());
///     steps
/// }
/// ```
pub struct Typed<E: EventContract>(pub E::Data);

impl<E: EventContract> Extract<EventContext<'_>> for Typed<E>
where
    E::Data: DeserializeOwned,
{
    fn extract(incoming: &EventContext<'_>) -> Result<Self, Rejection> {
        incoming.read().map(Self).map_err(Rejection::Data)
    }
}

impl<E: EventContract> fmt::Debug for Typed<E>
where
    E::Data: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Typed").field(&self.0).finish()
    }
}

/// The arguments of a handler of the contract `E`: extractors, and exactly one [`Typed<E>`](Typed)
/// among them, at the position `AT`, counted from 0.
///
/// It is implemented for tuples of up to eight; no other implementation is needed. The compiler
/// infers `AT`.
#[diagnostic::on_unimplemented(
    message = "a handler of the event `{E}` takes `Typed<{E}>`, but this one takes `{Self}`",
    label = "`Typed<{E}>` is not among the arguments",
    note = "take the data of the event by one argument `Typed(data): Typed<{E}>`"
)]
pub trait TypedArguments<E: EventContract, const AT: usize> {}

/// Makes the impls for `Typed` after the arguments in the first brackets, and before those in the
/// second. Each impl omits one more argument.
macro_rules! typed_arguments {
    ($at:literal [$($before:ident)*] []) => {
        impl<E: EventContract, $($before),*> TypedArguments<E, $at>
            for ($($before,)* Typed<E>,) {}
    };
    ($at:literal [$($before:ident)*] [$next:ident $($after:ident)*]) => {
        impl<E: EventContract, $($before,)* $next, $($after),*> TypedArguments<E, $at>
            for ($($before,)* Typed<E>, $next, $($after),*) {}
        typed_arguments!($at [$($before)*] [$($after)*]);
    };
}

typed_arguments!(0 [] [A B C D F G H]);
typed_arguments!(1 [A] [B C D F G H]);
typed_arguments!(2 [A B] [C D F G H]);
typed_arguments!(3 [A B C] [D F G H]);
typed_arguments!(4 [A B C D] [F G H]);
typed_arguments!(5 [A B C D F] [G H]);
typed_arguments!(6 [A B C D F G] [H]);
typed_arguments!(7 [A B C D F G H] []);

/// A return type of a handler whose contract has the answer `T`: a `T`, or a `Result` of one and
/// any error that can be sent.
///
/// No other implementation is needed.
#[diagnostic::on_unimplemented(
    message = "the contract asks for the answer `{T}`, but the handler returns `{Self}`",
    label = "returns `{Self}`, neither `{T}` nor a `Result<{T}, _>`"
)]
pub trait ContractAnswer<T> {}

impl<T> ContractAnswer<T> for T {}

impl<T, E> ContractAnswer<T> for Result<T, E> {}
