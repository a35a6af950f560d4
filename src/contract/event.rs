//! The contract of an event, and the macro that makes contracts.
//!
//! A name and two types enter, a unit type that carries them leaves. The compiler refuses names
//! that no event may have.

/// The contract of an event: its name, its data and its answer.
///
/// [`event!`](crate::event) implements it for unit types.
///
/// # Examples
///
/// ```
/// use actix_socketio::{EventContract, event};
///
/// event! {
///     /// Adds two numbers.
///     pub Add("add", (i64, i64) => i64);
/// }
/// assert_eq!(Add::NAME, "add");
/// ```
pub trait EventContract {
    /// The event's name.
    const NAME: &'static str;
    /// The documentation of the event, for readers of its definition.
    const DOCS: &'static str = "";
    /// The event's data: a tuple is as many arguments as it has members, `()` is none, any other
    /// type is one.
    type Data;
    /// The data of its acknowledgement; `()` if it has none.
    type Answer;
}

/// Makes contracts of events: a unit type for each, which implements
/// [`EventContract`](crate::EventContract).
///
/// A line is a visibility, the type's name, and in parentheses the event's name, the type of its
/// data and, after `=>`, the type of its answer. Doc comments before a line are kept, and appear in
/// the definitions that `Contracts` writes (feature `contracts`). A contract is valid for both
/// directions: it does not name the sender.
///
/// An event's name must not be empty or reserved by Socket.IO. Such a name does not compile.
///
/// # Examples
///
/// ```
/// use actix_socketio::{CallError, Namespace, Socket, Typed, event};
///
/// event! {
///     /// Says something to the room.
///     pub Say("say", String => u64);
///     /// What somebody has said.
///     pub Said("said", (u64, String));
///     Confirm("confirm", String => bool);
/// }
///
/// async fn say(socket: Socket, Typed(text): Typed<Say>) -> Result<u64, CallError> {
///     let sure = socket.call_event(Confirm, text.clone()).await?;
///     if sure {
///         socket.to("lobby").emit_event(Said, (1, text)).await?;
///     }
///     Ok(1)
/// }
///
/// fn register(namespace: &Namespace) {
///     namespace.on_event(Say, say);
/// }
/// ```
///
/// ```compile_fail
/// actix_socketio::event! { pub Gone("disconnect", String); }
/// ```
///
/// A name that is not reserved compiles:
///
/// ```
/// actix_socketio::event! { pub Gone("disconnected", String); }
/// ```
#[macro_export]
macro_rules! event {
    (@answer) => { () };
    (@answer $answer:ty) => { $answer };
    ($(
        $(#[doc = $docs:literal])*
        $visibility:vis $contract:ident($name:expr, $data:ty $(=> $answer:ty)?);
    )*) => {$(
        $(#[doc = $docs])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        $visibility struct $contract;

        impl $crate::EventContract for $contract {
            const NAME: &'static str = $name;
            const DOCS: &'static str = concat!($($docs, "\n"),*);
            type Data = $data;
            type Answer = $crate::event!(@answer $($answer)?);
        }

        const _: () = assert!(
            $crate::is_event_name($name),
            concat!(
                "the name of the event `",
                stringify!($contract),
                "` is empty, or reserved by Socket.IO",
            ),
        );
    )*};
}

/// Returns `true` if an event may have this name: it is not empty and not reserved by Socket.IO.
///
/// # Examples
///
/// ```
/// use actix_socketio::is_event_name;
///
/// const _: () = assert!(is_event_name("chat"));
/// assert!(!is_event_name("disconnect"));
/// ```
#[must_use]
pub const fn is_event_name(name: &str) -> bool {
    // `matches!` on texts is not allowed in constants.
    let mut rest = RESERVED;
    while let Some((reserved, others)) = rest.split_first() {
        if equal(name.as_bytes(), reserved.as_bytes()) {
            return false;
        }
        rest = others;
    }
    !name.is_empty()
}

const fn equal(mut one: &[u8], mut other: &[u8]) -> bool {
    while let (Some((first, one_rest)), Some((second, other_rest))) =
        (one.split_first(), other.split_first())
    {
        if *first != *second {
            return false;
        }
        (one, other) = (one_rest, other_rest);
    }
    one.is_empty() && other.is_empty()
}

const RESERVED: &[&str] = &[
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socketio::is_reserved;

    crate::event! {
        /// Has docs
        /// of two lines.
        Full("full", (u8, String) => Vec<u8>);
        Plain("plain", ());
    }

    fn answer_of<E: EventContract<Answer = A>, A>(_: E) {}

    #[test]
    fn only_reserved_and_empty_event_names_are_refused() {
        for name in RESERVED {
            assert!(is_reserved(name) && !is_event_name(name), "{name}");
        }
        for name in [
            "connec", "connects", "Connect", "connect_", "message", "ö", " ",
        ] {
            assert!(!is_reserved(name) && is_event_name(name), "{name}");
        }
        assert!(!is_event_name(""));
    }

    #[test]
    fn a_contract_has_its_docs_and_an_answer() {
        assert_eq!(Full::DOCS, " Has docs\n of two lines.\n");
        assert_eq!((Plain::NAME, Plain::DOCS), ("plain", ""));
        answer_of::<_, Vec<u8>>(Full);
        answer_of::<_, ()>(Plain);
    }
}
