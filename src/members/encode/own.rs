//! Packets in the encoding of a program's parser.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::config::ParserId;
use crate::engineio::EngineMessage;
use crate::error::ConnectError;
use crate::handshake::Revision;
use crate::link::{Frame, Outgoing};
use crate::logging::cut;
use crate::members::encode::{Answer, connect_data, error_data};
use crate::panics::catch_panic;
use crate::socketio::{
    Args, ArgsError, Content, Outcome, OutgoingPacket, PacketData, PacketKind, PacketLimits,
    Parser, push_packed,
};

/// A parser of the program, and its number.
type Own = Arc<dyn Parser>;

pub(super) fn event(
    parser: ParserId,
    own: &Own,
    namespace: &str,
    id: Option<u64>,
    list: &Args,
    limits: PacketLimits,
) -> Result<Outgoing, ArgsError> {
    let packet = OutgoingPacket {
        kind: PacketKind::Event,
        namespace,
        id,
        data: Some(PacketData(Content::List(list))),
    };
    encoded(parser, own, &packet, limits)
}

pub(super) fn ack<T>(
    parser: ParserId,
    own: &Own,
    namespace: &str,
    id: u64,
    data: &T,
    limits: PacketLimits,
) -> Result<Answer, ArgsError>
where
    T: Serialize + ?Sized,
{
    let mut values = Vec::new();
    let (_, outcome) = push_packed(&mut values, data)?;
    let list = Args::packed(values.into());
    if outcome == Outcome::Failed {
        return Ok(Answer::Error(list.as_json().to_owned()));
    }
    let packet = acknowledged(namespace, id, &list);
    encoded(parser, own, &packet, limits).map(Answer::Value)
}

/// Encodes an ACK with one argument, whose JSON is given.
pub(super) fn ack_of_json(
    parser: ParserId,
    own: &Own,
    namespace: &str,
    id: u64,
    json: String,
) -> Outgoing {
    let list = Args::new(json, Vec::new());
    infallible(parser, own, &acknowledged(namespace, id, &list))
}

pub(super) fn connect(
    parser: ParserId,
    own: &Own,
    revision: Revision,
    namespace: &str,
    sid: &str,
    pid: Option<&str>,
) -> Outgoing {
    let data = connect_data(revision, sid, pid);
    connect_with(parser, own, namespace, data.as_ref())
}

/// Encodes CONNECT with these data.
pub(super) fn connect_with(
    parser: ParserId,
    own: &Own,
    namespace: &str,
    data: Option<&Value>,
) -> Outgoing {
    let packet = OutgoingPacket {
        kind: PacketKind::Connect,
        namespace,
        id: None,
        data: data.map(|data| PacketData(Content::Value(data))),
    };
    infallible(parser, own, &packet)
}

pub(super) fn connect_error(
    parser: ParserId,
    own: &Own,
    revision: Revision,
    namespace: &str,
    error: &ConnectError,
) -> Outgoing {
    let data: Value = error_data(revision, error);
    let packet = OutgoingPacket {
        kind: PacketKind::ConnectError,
        namespace,
        id: None,
        data: Some(PacketData(Content::Value(&data))),
    };
    infallible(parser, own, &packet)
}

pub(super) fn disconnect(parser: ParserId, own: &Own, namespace: &str) -> Outgoing {
    let packet = OutgoingPacket {
        kind: PacketKind::Disconnect,
        namespace,
        id: None,
        data: None,
    };
    infallible(parser, own, &packet)
}

fn acknowledged<'a>(namespace: &'a str, id: u64, list: &'a Args) -> OutgoingPacket<'a> {
    OutgoingPacket {
        kind: PacketKind::Ack,
        namespace,
        id: Some(id),
        data: Some(PacketData(Content::List(list))),
    }
}

fn encoded(
    parser: ParserId,
    own: &Own,
    packet: &OutgoingPacket<'_>,
    limits: PacketLimits,
) -> Result<Outgoing, ArgsError> {
    let messages = match catch_panic(|| own.encode(packet)) {
        Ok(Ok(messages)) => messages,
        Ok(Err(error)) => return Err(ArgsError::no_form(error)),
        Err(panic) => {
            log::error!("`Parser::encode` panicked: {}", cut(&panic));
            return Err(ArgsError::no_form("the parser panicked"));
        }
    };
    let bytes = messages.iter().map(EngineMessage::size).sum();
    limits.check(bytes, &[])?;
    let mut frames = messages.iter().map(Frame::of);
    let first = frames
        .next()
        .ok_or_else(|| ArgsError::no_form("no message"))?;
    Ok(Outgoing::new(parser, first, frames.collect()))
}

/// Encodes a packet about the state of a client. Without it the client waits until its own timeout.
fn infallible(parser: ParserId, own: &Own, packet: &OutgoingPacket<'_>) -> Outgoing {
    encoded(parser, own, packet, PacketLimits::NONE).unwrap_or_else(|error| {
        log::error!(
            "the parser {own:?} has encoded no {:?}: {error}",
            packet.kind
        );
        Outgoing::nothing(parser)
    })
}
