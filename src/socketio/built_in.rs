//! The parsers of this crate by the contract of all parsers, for a program's parser around one of
//! them.
//!
//! The server itself does not come here: it has shorter ways for both.

use bytes::Bytes;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::engineio::EngineMessage;
use crate::socketio::args::{Args, ArgsError, ArgsRef, push_packed};
use crate::socketio::assemble::Assembler;
use crate::socketio::encode::{
    push_ack_head, push_connect_data, push_disconnect, push_error_data, push_event_start,
};
use crate::socketio::error::DecodeError;
use crate::socketio::msgpack;
use crate::socketio::packet::{Body, Limits, Packet};
use crate::socketio::parser::{
    Content, IncomingContent, IncomingPacket, JsonParser, MessagePackParser, OutgoingPacket,
    PacketDecoder, PacketKind, Parser, ParserError,
};

impl Parser for JsonParser {
    fn encode(&self, packet: &OutgoingPacket<'_>) -> Result<Vec<EngineMessage>, ParserError> {
        let namespace = packet.namespace;
        let mut out = Vec::new();
        let mut messages = Vec::new();
        match (packet.kind, packet.data.map(|data| data.0)) {
            (PacketKind::Disconnect, _) => push_disconnect(&mut out, namespace),
            (PacketKind::Connect, Some(Content::Value(data))) => {
                push_connect_data(&mut out, namespace, Some(&raw(data)?));
            }
            (PacketKind::Connect, _) => push_connect_data(&mut out, namespace, None),
            (PacketKind::ConnectError, Some(Content::Value(data))) => {
                push_error_data(&mut out, namespace, &raw(data)?);
            }
            (PacketKind::Event, Some(Content::List(list))) => {
                let attachments = list.attachments();
                push_event_start(&mut out, namespace, packet.id, attachments.len());
                push_list(&mut out, list, &mut messages);
            }
            (PacketKind::Ack, Some(Content::List(list))) => {
                let id = packet.id.unwrap_or_default();
                push_ack_head(&mut out, namespace, id, list.attachments().len());
                push_list(&mut out, list, &mut messages);
            }
            _ => return Err(ParserError::new("a packet without its data")),
        }
        let text = String::from_utf8(out).map_err(ParserError::new)?;
        messages.insert(0, EngineMessage::Text(text));
        Ok(messages)
    }

    fn decoder(&self) -> Box<dyn PacketDecoder> {
        Box::new(JsonDecoder {
            assembler: Assembler::default(),
            limits: Limits::default(),
        })
    }
}

fn raw(data: &Value) -> Result<Box<RawValue>, ParserError> {
    serde_json::value::to_raw_value(data).map_err(ParserError::new)
}

fn push_list(out: &mut Vec<u8>, list: &Args, messages: &mut Vec<EngineMessage>) {
    out.extend_from_slice(list.as_json().as_bytes());
    out.push(b']');
    let attachments = list.attachments().iter().cloned();
    messages.extend(attachments.map(EngineMessage::Binary));
}

#[derive(Debug)]
struct JsonDecoder {
    assembler: Assembler,
    limits: Limits,
}

impl PacketDecoder for JsonDecoder {
    fn decode(&mut self, message: EngineMessage) -> Result<Option<IncomingPacket>, ParserError> {
        match message {
            EngineMessage::Text(_) if self.assembler.is_waiting() => {
                Err(ParserError::new(DecodeError::TextAmongAttachments))
            }
            EngineMessage::Text(text) => {
                let packet = Packet::decode(&text, &self.limits).map_err(ParserError::new)?;
                if let Body::Event { attachments, .. } | Body::Ack { attachments, .. } = packet.body
                    && attachments > 0
                {
                    self.assembler.begin(&text, attachments, ATTACHMENTS_LIMIT);
                    return Ok(None);
                }
                Ok(owned(packet, &[]))
            }
            EngineMessage::Binary(data) => {
                let Some(whole) = self.assembler.add(data).map_err(ParserError::new)? else {
                    return Ok(None);
                };
                let packet = Packet::decode(&whole.text, &self.limits).map_err(ParserError::new)?;
                Ok(owned(packet, &whole.attachments))
            }
        }
    }
}

impl Parser for MessagePackParser {
    fn encode(&self, packet: &OutgoingPacket<'_>) -> Result<Vec<EngineMessage>, ParserError> {
        let namespace = packet.namespace;
        let mut out = Vec::new();
        match (packet.kind, packet.data.map(|data| data.0)) {
            (PacketKind::Disconnect, _) => msgpack::push_disconnect(&mut out, namespace),
            (PacketKind::Connect, Some(Content::Value(data))) => {
                let data = data.to_string();
                let pushed = msgpack::push_connect(&mut out, namespace, Some(&data));
                pushed.map_err(ParserError::new)?;
            }
            (PacketKind::Connect, _) => {
                let pushed = msgpack::push_connect(&mut out, namespace, None);
                pushed.map_err(ParserError::new)?;
            }
            (PacketKind::ConnectError, Some(Content::Value(data))) => {
                let data = data.to_string();
                let pushed = msgpack::push_connect_error(&mut out, namespace, &data);
                pushed.map_err(ParserError::new)?;
            }
            (PacketKind::Event, Some(Content::List(list))) => {
                let values = written(list);
                let pushed = msgpack::push_list_of_event(&mut out, namespace, packet.id, values);
                pushed.map_err(ParserError::new)?;
            }
            (PacketKind::Ack, Some(Content::List(list))) => {
                let id = packet.id.unwrap_or_default();
                let pushed = msgpack::push_ack(&mut out, namespace, id, written(list));
                pushed.map_err(ParserError::new)?;
            }
            _ => return Err(ParserError::new("a packet without its data")),
        }
        Ok(vec![EngineMessage::Binary(out.into())])
    }

    fn decoder(&self) -> Box<dyn PacketDecoder> {
        Box::new(*self)
    }
}

impl PacketDecoder for MessagePackParser {
    fn decode(&mut self, message: EngineMessage) -> Result<Option<IncomingPacket>, ParserError> {
        let EngineMessage::Binary(data) = message else {
            return Err(ParserError::new(DecodeError::UnexpectedText));
        };
        let packet = msgpack::decode(&data, &self.limits).map_err(ParserError::new)?;
        Ok(owned(packet, &[]))
    }
}

/// Returns a writer of the values of a list, which returns their number.
fn written(list: &Args) -> impl FnOnce(&mut Vec<u8>) -> Result<usize, ArgsError> + '_ {
    |out| push_packed(out, list).map(|(count, _)| count)
}

/// Returns a packet with its own data; `None` if it has no content.
fn owned(packet: Packet<'_>, attachments: &[Bytes]) -> Option<IncomingPacket> {
    let args = |text| ArgsRef { text, attachments }.to_args();
    let content = match packet.body {
        Body::Connect { auth, .. } => {
            IncomingContent::Connect(auth.map(std::borrow::Cow::into_owned))
        }
        Body::Disconnect => IncomingContent::Disconnect,
        Body::Event {
            id,
            name,
            args: text,
            ..
        } => IncomingContent::Event {
            id,
            name: name.into_owned(),
            args: args(text),
        },
        Body::Ack { id, args: text, .. } => IncomingContent::Ack {
            id,
            args: args(text),
        },
        Body::Empty => return None,
    };
    Some(IncomingPacket {
        namespace: packet.namespace.to_owned(),
        content,
    })
}

/// The size of all attachments of one packet, in bytes. The number of attachments is limited too, and
/// a server limits each.
const ATTACHMENTS_LIMIT: usize = 100_000_000;
