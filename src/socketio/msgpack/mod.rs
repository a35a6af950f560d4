//! MessagePack in place of JSON, in the forms of `notepack.io`, which the parsers of the JavaScript
//! servers and clients use.
//!
//! Bytes enter, and items leave (`item.rs`), packets (`decode.rs`), Rust values (`read.rs`) or JSON
//! (`transcode.rs`). Rust values (`write.rs`), packets (`encode.rs`) or JSON enter, and bytes leave.
//! The number of arguments of a type is the same as in JSON, by `../args`.

mod decode;
mod encode;
mod item;
mod key;
mod read;
mod transcode;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use self::decode::{PackedLimits, decode};
pub(crate) use self::encode::{
    push_ack, push_connect, push_connect_error, push_disconnect, push_event, push_list_of_event,
};
pub(super) use self::read::Reader;
pub(super) use self::transcode::{behind_first, count, push_text};
#[cfg(feature = "cluster")]
pub(crate) use self::transcode::{from_json, to_json};
pub(crate) use self::transcode::{push_values, split_last, values_to_json};
pub(super) use self::write::{Compound, Record, Writer};
