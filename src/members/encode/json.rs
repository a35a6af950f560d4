//! Packets in JSON: a text, and a binary message for each attachment.

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use crate::config::ParserId;
use crate::error::ConnectError;
use crate::handshake::Revision;
use crate::link::{EmittedEvent, Frame, Outgoing};
use crate::members::encode::Answer;
use crate::socketio::{self, Args, ArgsError, Outcome, PacketLimits};

/// Encodes EVENT, or BINARY_EVENT if `data` holds bytes, within these limits.
pub(super) fn event<T>(
    namespace: &str,
    id: Option<u64>,
    name: &str,
    data: &T,
    limits: PacketLimits,
) -> Result<Outgoing, ArgsError>
where
    T: Serialize + ?Sized,
{
    let head = |out: &mut Vec<u8>, attachments| {
        socketio::push_event_head(out, namespace, id, name, attachments);
    };
    let (packet, _) = packet(head, true, data, limits)?;
    Ok(packet)
}

/// Encodes an event whose list of name and arguments is encoded already.
pub(super) fn relayed(namespace: &str, id: Option<u64>, list: &Args) -> Outgoing {
    let text = infallible(|out| {
        socketio::push_event_start(out, namespace, id, list.attachments().len());
        out.extend_from_slice(list.as_json().as_bytes());
        out.push(b']');
    });
    let attached = list.attachments().iter();
    let attached = attached.map(|data| Frame::binary(data)).collect();
    Outgoing::new(ParserId::JSON, text.frame, attached)
}

/// Encodes ACK, or BINARY_ACK if `data` holds bytes, within these limits.
pub(super) fn ack<T>(
    namespace: &str,
    id: u64,
    data: &T,
    limits: PacketLimits,
) -> Result<Answer, ArgsError>
where
    T: Serialize + ?Sized,
{
    let head = |out: &mut Vec<u8>, attachments| {
        socketio::push_ack_head(out, namespace, id, attachments);
    };
    let (packet, error) = packet(head, false, data, limits)?;
    Ok(error.map_or(Answer::Value(packet), Answer::Error))
}

/// Encodes an ACK with one argument, whose JSON is given.
pub(super) fn ack_of_json(namespace: &str, id: u64, json: &str) -> Outgoing {
    infallible(|out| {
        socketio::push_ack_head(out, namespace, id, 0);
        out.extend_from_slice(json.as_bytes());
        out.push(b']');
    })
}

/// Encodes CONNECT, with the socket's id if its client does not know that.
pub(super) fn connect(
    revision: Revision,
    namespace: &str,
    sid: &str,
    pid: Option<&str>,
) -> Outgoing {
    infallible(|out| match revision {
        Revision::V4 => socketio::push_connect(out, namespace, sid, pid),
        Revision::V3 => socketio::push_connect_v4(out, namespace),
    })
}

/// Encodes the CONNECT of a client.
#[cfg(feature = "testing")]
pub(super) fn client_connect(namespace: &str, auth: Option<&Value>) -> Outgoing {
    let auth = auth.and_then(|auth| raw(auth).ok());
    infallible(|out| socketio::push_connect_data(out, namespace, auth.as_deref()))
}

/// Encodes CONNECT_ERROR, in Socket.IO v4 the ERROR packet.
pub(super) fn connect_error(revision: Revision, namespace: &str, error: &ConnectError) -> Outgoing {
    // A `Value` always has a text: its keys are strings.
    let data = error.data().and_then(|data| raw(data).ok());
    let (message, data) = (error.message(), data.as_deref());
    infallible(|out| match revision {
        Revision::V4 => socketio::push_connect_error(out, namespace, message, data),
        Revision::V3 => socketio::push_error_v4(out, namespace, message, data),
    })
}

/// Encodes DISCONNECT.
pub(super) fn disconnect(namespace: &str) -> Outgoing {
    infallible(|out| socketio::push_disconnect(out, namespace))
}

fn packet<T>(
    head: impl Fn(&mut Vec<u8>, usize),
    named: bool,
    data: &T,
    limits: PacketLimits,
) -> Result<(Outgoing, Option<String>), ArgsError>
where
    T: Serialize + ?Sized,
{
    let mut attachments: Vec<Bytes> = Vec::new();
    let (frame, error) = Frame::message(|out| {
        let start = out.len();
        head(out, 0);
        let args = out.len();
        let outcome = socketio::push_args(out, named, data, &mut attachments)?;
        // With the bracket that will follow.
        limits.check(out.len() - start + 1, &attachments)?;
        let error = match outcome {
            Outcome::Sent => None,
            Outcome::Failed => Some(String::from_utf8_lossy(&out[args..]).into_owned()),
        };
        if !attachments.is_empty() {
            // The number in the head is only known now.
            let args = out.split_off(args);
            out.truncate(start);
            head(out, attachments.len());
            out.extend_from_slice(&args);
        }
        out.push(b']');
        Ok::<_, ArgsError>(error)
    })?;
    let attached = attachments.iter().map(|data| Frame::binary(data)).collect();
    Ok((Outgoing::new(ParserId::JSON, frame, attached), error))
}

fn infallible(write: impl FnOnce(&mut Vec<u8>)) -> Outgoing {
    Frame::written_message(write).into()
}

fn raw(data: &Value) -> serde_json::Result<Box<serde_json::value::RawValue>> {
    serde_json::value::to_raw_value(data)
}

/// Reads an event that was encoded here.
pub(super) fn decoded(packet: &Outgoing) -> Option<EmittedEvent> {
    let (id, list) = socketio::split_event(packet.frame.message_text()?)?;
    let attached = packet.attached().iter();
    let attached = attached.filter_map(|frame| frame.binary_data().map(Bytes::copy_from_slice));
    let list = Args::new(list.to_owned(), attached.collect());
    Some(EmittedEvent { id, list })
}
