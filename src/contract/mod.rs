//! Typed events: a contract states the types of an event's data and answer, for the compiler.
//!
//! [`event!`](crate::event) makes contracts. The compiler checks handlers, emits and calls that
//! name one. At run time they are the same as those of a plain event. With the feature `contracts`,
//! [`Contracts`] exports them as TypeScript definitions and as an AsyncAPI document.
//!
//! This module does not depend on how an event is sent; it only calls the public methods.

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
