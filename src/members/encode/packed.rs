//! Packets in MessagePack: one binary message each.

use serde::Serialize;
use serde::ser::Error as _;

use crate::config::ParserId;
use crate::error::ConnectError;
use crate::handshake::Revision;
use crate::link::{EmittedEvent, Frame, Outgoing};
use crate::members::encode::{Answer, connect_data, error_data};
use crate::socketio::{
    Args, ArgsError, ArgsRef, Body, MessagePackParser, Outcome, PacketLimits, msgpack, push_packed,
};

pub(super) fn event<T>(
    parser: ParserId,
    namespace: &str,
    id: Option<u64>,
    name: &str,
    data: &T,
    limits: PacketLimits,
) -> Result<Outgoing, ArgsError>
where
    T: Serialize + ?Sized,
{
    let write = |out: &mut Vec<u8>| push_packed(out, data).map(|(count, _)| count);
    let mut out = Vec::new();
    msgpack::push_event(&mut out, namespace, id, name, write)?;
    limits.check(out.len(), &[])?;
    Ok(message(parser, &out))
}

pub(super) fn relayed(
    parser: ParserId,
    namespace: &str,
    id: Option<u64>,
    list: &Args,
) -> Result<Outgoing, ArgsError> {
    let write = |out: &mut Vec<u8>| push_packed(out, list).map(|(count, _)| count);
    let mut out = Vec::new();
    msgpack::push_list_of_event(&mut out, namespace, id, write)?;
    Ok(message(parser, &out))
}

pub(super) fn ack<T>(
    parser: ParserId,
    namespace: &str,
    id: u64,
    data: &T,
    limits: PacketLimits,
) -> Result<Answer, ArgsError>
where
    T: Serialize + ?Sized,
{
    let mut failed = None;
    let write = |out: &mut Vec<u8>| {
        let start = out.len();
        let (count, outcome) = push_packed(out, data)?;
        if outcome == Outcome::Failed {
            let values = out.split_off(start);
            failed = Some(Args::packed(values.into()));
        }
        Ok::<_, ArgsError>(count)
    };
    let mut out = Vec::new();
    msgpack::push_ack(&mut out, namespace, id, write)?;
    if let Some(error) = failed {
        return Ok(Answer::Error(error.as_json().to_owned()));
    }
    limits.check(out.len(), &[])?;
    Ok(Answer::Value(message(parser, &out)))
}

/// Encodes an ACK with one argument, whose JSON is given.
pub(super) fn ack_of_json(parser: ParserId, namespace: &str, id: u64, json: &str) -> Outgoing {
    let write = |out: &mut Vec<u8>| {
        let count = msgpack::push_values(out, json, &[]);
        count.map_err(serde_json::Error::custom)
    };
    written(parser, |out| msgpack::push_ack(out, namespace, id, write))
}

pub(super) fn connect(
    parser: ParserId,
    revision: Revision,
    namespace: &str,
    sid: &str,
    pid: Option<&str>,
) -> Outgoing {
    let data = connect_data(revision, sid, pid).map(|data| data.to_string());
    written(parser, |out| {
        msgpack::push_connect(out, namespace, data.as_deref())
    })
}

/// Encodes the CONNECT of a client.
#[cfg(feature = "testing")]
pub(super) fn client_connect(
    parser: ParserId,
    namespace: &str,
    auth: Option<&serde_json::Value>,
) -> Outgoing {
    let auth = auth.map(serde_json::Value::to_string);
    written(parser, |out| {
        msgpack::push_connect(out, namespace, auth.as_deref())
    })
}

pub(super) fn connect_error(
    parser: ParserId,
    revision: Revision,
    namespace: &str,
    error: &ConnectError,
) -> Outgoing {
    let data = error_data(revision, error).to_string();
    written(parser, |out| {
        msgpack::push_connect_error(out, namespace, &data)
    })
}

pub(super) fn disconnect(parser: ParserId, namespace: &str) -> Outgoing {
    written(parser, |out| {
        msgpack::push_disconnect(out, namespace);
        Ok(())
    })
}

/// Reads an event that was encoded here.
pub(super) fn decoded(packet: &Outgoing) -> Option<EmittedEvent> {
    let limits = MessagePackParser::new().max_values(usize::MAX).limits;
    let packet = msgpack::decode(packet.frame.binary_data()?, &limits).ok()?;
    let Body::Event { id, name, args, .. } = packet.body else {
        return None;
    };
    let args = ArgsRef {
        text: args,
        attachments: &[],
    };
    let list = args.to_args().preceded_by(&name);
    Some(EmittedEvent { id, list })
}

/// Writes a packet whose data are JSON of this server, which has a form in MessagePack.
fn written(
    parser: ParserId,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), serde_json::Error>,
) -> Outgoing {
    let mut out = Vec::new();
    if let Err(error) = write(&mut out) {
        log::error!("a packet has no form in MessagePack: {error}");
        return Outgoing::nothing(parser);
    }
    message(parser, &out)
}

fn message(parser: ParserId, packet: &[u8]) -> Outgoing {
    Outgoing::new(parser, Frame::binary(packet), Vec::new())
}
