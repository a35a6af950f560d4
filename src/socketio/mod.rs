//! Socket.IO v5: the content of Engine.IO messages, as JSON, as MessagePack (`msgpack/`), or by a
//! program's own parser (`parser.rs`).
//!
//! Decoding: the text of a message enters, and the binary messages that follow it as attachments.
//! [`Packet`]s leave that borrow from the text; their JSON is checked but not parsed. Encoding: the
//! bytes of packets to send leave.
//!
//! Pure code: it refers to no namespace by name, no socket and no clock. The caller decides
//! whether a packet is allowed in the present state, for example a second CONNECT.

mod args;
mod assemble;
mod built_in;
mod decode;
mod encode;
mod error;
mod event_view;
mod excerpt;
mod json;
pub(crate) mod msgpack;
mod packet;
mod parser;
mod placeholder_check;
mod query;

#[cfg(feature = "contracts")]
pub(crate) use self::args::Shape;
pub(crate) use self::args::{
    ACK_DROPPED, ArgsRef, ArgsText, FailureMark, GONE, Outcome, PacketLimits, failure_of,
    from_json, is_failure, push_args, push_packed,
};
pub use self::args::{AnyValue, Args, ArgsError};
pub(crate) use self::assemble::Assembler;
#[cfg(feature = "testing")]
pub(crate) use self::encode::push_connect_data;
pub(crate) use self::encode::{
    push_ack_head, push_connect, push_connect_error, push_connect_v4, push_disconnect,
    push_error_v4, push_event_head, push_event_start, split_event,
};
pub(crate) use self::error::DecodeError;
pub use self::event_view::EventView;
pub(crate) use self::excerpt::{Cut, Shortened};
pub(crate) use self::msgpack::PackedLimits;
pub(crate) use self::packet::{Body, Limits, Packet, is_reserved};
#[cfg(feature = "testing")]
pub(crate) use self::parser::IncomingContent;
pub(crate) use self::parser::{Content, Encoding};
pub use self::parser::{
    IncomingPacket, JsonParser, MessagePackParser, OutgoingPacket, PacketData, PacketDecoder,
    PacketKind, Parser, ParserError,
};
#[cfg(feature = "cluster")]
pub(crate) use self::placeholder_check::check_placeholders;
pub(crate) use self::query::query_to_json;
