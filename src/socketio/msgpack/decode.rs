//! Packets of a client in MessagePack: one binary message holds a whole packet.
//!
//! The bytes of a message enter. A packet that borrows from them leaves, or the reason for its
//! refusal. All values in it are checked here, so that later readers find whole values.
//!
//! `socket.io-msgpack-parser`: a map with `type`, `nsp`, `data` and `id` in any order. Other keys,
//! such as `options`, are ignored.

use std::borrow::Cow;

use bytes::Bytes;

use crate::socketio::args::ArgsText;
use crate::socketio::error::{DecodeError, Excerpt};
use crate::socketio::msgpack::item::{Flaw, Item, ItemLimits, Items};
use crate::socketio::msgpack::transcode::to_json;
use crate::socketio::packet::{Body, NOBODYS_ID, Packet, check_event_name};

/// The limits of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PackedLimits {
    /// The number of arrays and maps that may be open at once, including the packet's own.
    pub(crate) depth: usize,
    /// The number of values in the packet, keys included.
    pub(crate) values: usize,
}

/// Reads the packet of a binary message.
///
/// # Errors
///
/// Refuses what is not MessagePack, a packet that the protocol never allows a client to send, and
/// one beyond the limits.
pub(crate) fn decode<'a>(
    message: &'a [u8],
    limits: &PackedLimits,
) -> Result<Packet<'a>, DecodeError> {
    let fields = Fields::read(message, limits)?;
    let namespace = match fields.nsp {
        Some(Item::Text(bytes)) => std::str::from_utf8(bytes).ok(),
        _ => None,
    };
    let namespace = namespace.ok_or(DecodeError::Field("nsp"))?;
    // Older clients append a query, as in JSON.
    let (namespace, query) = match namespace.split_once('?') {
        Some((namespace, query)) => (namespace, Some(query)),
        None => (namespace, None),
    };
    let body = match fields.kind {
        Some(Item::Unsigned(0)) => Body::Connect {
            auth: auth(fields.data)?,
            query,
        },
        Some(Item::Unsigned(1)) => match fields.data {
            None => Body::Disconnect,
            Some(_) => return Err(DecodeError::Field("data")),
        },
        Some(Item::Unsigned(2)) => event(&fields)?,
        Some(Item::Unsigned(3)) => Body::Ack {
            // As in JSON, an acknowledgement without an event is ignored.
            id: fields.id()?.unwrap_or(NOBODYS_ID),
            args: ArgsText::Packed(list(fields.data)?),
            attachments: 0,
        },
        Some(Item::Unsigned(4)) => return Err(DecodeError::ConnectErrorFromClient),
        _ => return Err(DecodeError::Field("type")),
    };
    Ok(Packet { namespace, body })
}

/// The fields of a packet; one that is `undefined` is `None`, as one that is missing.
#[derive(Default)]
struct Fields<'a> {
    kind: Option<Item<'a>>,
    nsp: Option<Item<'a>>,
    id: Option<Item<'a>>,
    /// The bytes of the value.
    data: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    fn read(message: &'a [u8], limits: &PackedLimits) -> Result<Self, DecodeError> {
        let flaw = |flaw: Flaw| match flaw {
            Flaw::TooDeep => DecodeError::TooDeep {
                limit: limits.depth,
            },
            Flaw::TooMany => DecodeError::TooManyValues {
                limit: limits.values,
            },
            other => DecodeError::InvalidMessagePack(other.text()),
        };
        let mut left = ItemLimits {
            depth: limits.depth.saturating_sub(1),
            values: limits.values,
        };
        let mut items = Items::new(message);
        let mut fields = Self::default();
        let Item::Map(count) = items.next().map_err(flaw)? else {
            return Err(DecodeError::NotAMap);
        };
        for _ in 0..count {
            let key = items.next().map_err(flaw)?;
            if !key.is_key() {
                return Err(flaw(Flaw::Key));
            }
            let value = items.peek().map_err(flaw)?;
            let bytes = items.skip(&mut left).map_err(flaw)?;
            let is_defined = value != Item::Undefined;
            match key {
                Item::Text(b"type") => fields.kind = Some(value),
                Item::Text(b"nsp") => fields.nsp = Some(value),
                Item::Text(b"id") => fields.id = is_defined.then_some(value),
                Item::Text(b"data") => fields.data = is_defined.then_some(bytes),
                _ => {}
            }
        }
        match items.is_at_end() {
            true => Ok(fields),
            false => Err(flaw(Flaw::Trailing)),
        }
    }

    /// Returns the ack id. One that no event has is ignored in an acknowledgement.
    fn id(&self) -> Result<Option<u64>, DecodeError> {
        match self.id {
            None => Ok(None),
            Some(Item::Unsigned(id)) => Ok(Some(id)),
            Some(Item::Float(id)) if id.fract() == 0.0 && (0.0..MAX_ID).contains(&id) => {
                Ok(Some(id as u64))
            }
            Some(_) => Err(DecodeError::Field("id")),
        }
    }
}

/// Socket.IO v5, Connection to a namespace: the payload is an object, if there is one. It is kept as
/// JSON, which has no binary.
fn auth<'a>(data: Option<&[u8]>) -> Result<Option<Cow<'a, str>>, DecodeError> {
    let Some(data) = data else {
        return Ok(None);
    };
    let is_map = matches!(Items::new(data).next(), Ok(Item::Map(_)));
    if !is_map {
        return Err(DecodeError::ConnectPayloadNotAnObject);
    }
    let (json, binary) =
        to_json(&Bytes::copy_from_slice(data)).map_err(DecodeError::InvalidMessagePack)?;
    match binary.is_empty() {
        true => Ok(Some(Cow::Owned(json))),
        false => Err(DecodeError::ConnectPayloadBinary),
    }
}

/// Socket.IO v5, Sending and receiving data: the payload is an array that is not empty. Its first
/// element is the event's name.
fn event<'a>(fields: &Fields<'a>) -> Result<Body<'a>, DecodeError> {
    let id = fields.id()?;
    let values = list(fields.data)?;
    if values.is_empty() {
        return Err(DecodeError::EventNameMissing);
    }
    let mut items = Items::new(values);
    let name = match items.next() {
        Ok(Item::Text(bytes)) => match std::str::from_utf8(bytes) {
            Ok(name) => Cow::Borrowed(name),
            Err(_) => {
                let name = String::from_utf8_lossy(bytes);
                return Err(DecodeError::EventNameInvalid(Excerpt::of(&name)));
            }
        },
        Ok(Item::Unsigned(number)) => Cow::Owned(number.to_string()),
        Ok(Item::Signed(number)) => Cow::Owned(number.to_string()),
        Ok(Item::Float(number)) => Cow::Owned(number.to_string()),
        found => {
            let found = format!("{found:?}");
            return Err(DecodeError::EventNameInvalid(Excerpt::of(&found)));
        }
    };
    check_event_name(&name)?;
    Ok(Body::Event {
        id,
        name,
        args: ArgsText::Packed(items.rest()),
        attachments: 0,
    })
}

/// Returns the elements of an array.
fn list(data: Option<&[u8]>) -> Result<&[u8], DecodeError> {
    let mut items = Items::new(data.ok_or(DecodeError::Field("data"))?);
    match items.next() {
        Ok(Item::Array(_)) => Ok(items.rest()),
        _ => Err(DecodeError::Field("data")),
    }
}

/// 2^64, the first whole number that is no id.
const MAX_ID: f64 = 18_446_744_073_709_551_616.0;

#[cfg(test)]
mod tests {
    use serde::de::IgnoredAny;
    use serde_json::Value;

    use super::*;
    use crate::seeds::replay;
    use crate::socketio::args::ArgsRef;

    /// Each event that is accepted can be read, as values and as JSON.
    #[test]
    fn seeds_and_their_mutations_do_not_panic() {
        let limits = PackedLimits {
            depth: 128,
            values: 1000,
        };
        replay("msgpack", |message| {
            let Ok(Packet { body, .. }) = decode(message, &limits) else {
                return;
            };
            if let Body::Event { args: text, .. } = body {
                let attachments = &[];
                let args = ArgsRef { text, attachments }.to_args();
                assert!(args.is_empty() || args.read::<IgnoredAny>().is_ok());
                let json = format!("[{}]", args.as_json());
                assert!(serde_json::from_str::<Vec<Value>>(&json).is_ok(), "{json}");
            }
        });
    }
}
