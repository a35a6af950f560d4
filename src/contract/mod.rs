//! Typed events: a contract says what an event carries and what answers it, for the compiler.
//!
//! [`event!`](crate::event) makes contracts. Handlers, emits and calls that name one are checked
//! against it when the program is compiled, and then go the way of every plain event: nothing is
//! asked of a contract while the program runs. With the feature `contracts`, [`Contracts`] writes
//! them down for others, as TypeScript definitions and as an AsyncAPI document.
//!
//! Nothing here knows how an event travels; it only calls what a program could call itself.

#[cfg(feature = "contracts")]
mod asyncapi;
mod binary;
#[cfg(feature = "contracts")]
mod contracts;
mod event;
mod methods;
#[cfg(feature = "contracts")]
mod shape;
mod typed;
#[cfg(feature = "contracts")]
mod typescript;

pub use binary::Binary;
#[cfg(feature = "contracts")]
pub use contracts::Contracts;
pub use event::{EventContract, is_event_name};
pub use typed::{ContractAnswer, Typed, TypedArguments};
