//! Engine.IO v3: its differences from v4 in packets and payloads.
//!
//! The body of a POST enters, or a binary message; [`Part`]s leave that borrow from it. Or a packet
//! enters, and is appended to the body of a GET. The text of a packet without binary data is the
//! same in both revisions.

mod binary;
mod packet;
mod payload;

pub(crate) use self::binary::{as_text, push_binary_part, push_text_part, split_part};
pub(crate) use self::packet::{base64_len, check_type, decode_base64, push_base64, push_binary};
pub(crate) use self::payload::{push_packet, split_packet};

/// One packet of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// The text of a packet.
    Text(&'a str),
    /// The type and the data of a binary packet.
    Binary(&'a [u8]),
}
