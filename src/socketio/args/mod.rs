//! An event's arguments: from JSON text and attachments to Rust values, and back.
//!
//! Reading: the text between an event's brackets and its attachments enter, a value of any serde
//! type leaves. Writing: a value enters, text and attachments leave. In MessagePack it is values that
//! follow each other (`packed.rs`).
//!
//! The rule is about the outermost type only. A tuple is as many arguments as it has members, `()`
//! is none. Every other type is one argument: an array, a struct and `Value::Null` too
//! (`shape.rs`). Binary is any value that serde calls bytes. It is an attachment at any depth, and
//! the text holds `{"_placeholder":true,"num":0}` in its place.
//!
//! This module depends on no packets, event names or sockets. The limits of a packet (`limits.rs`)
//! come from the caller.

mod any_value;
mod binary;
mod buffered;
mod de;
mod elements;
mod error;
mod failed;
mod limits;
mod packed;
mod placeholder;
mod raw;
mod ser;
mod shape;
mod whole;

pub use crate::socketio::args::any_value::AnyValue;
pub use crate::socketio::args::error::ArgsError;
pub(crate) use crate::socketio::args::limits::PacketLimits;
pub(crate) use crate::socketio::args::packed::push_packed;
pub use crate::socketio::args::raw::Args;
pub(crate) use crate::socketio::args::raw::{ArgsRef, ArgsText};
#[cfg(feature = "contracts")]
pub(crate) use crate::socketio::args::shape::Shape;
pub(in crate::socketio) use crate::socketio::args::{binary::no_binary, whole::MAX_SAFE_INTEGER};
pub(crate) use crate::socketio::args::{
    de::from_json,
    failed::{ACK_DROPPED, FailureMark, GONE, failure_of, is_failure},
    ser::push_args,
};

/// The kind of value that [`push_args`] was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A plain value, or the value of a `Result::Ok`.
    Sent,
    /// The error of a `Result::Err`. It then is the arguments.
    Failed,
}

#[cfg(test)]
mod tests;
