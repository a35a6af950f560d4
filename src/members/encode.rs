//! Events and acknowledgements, encoded once into the frames of all recipients.
//!
//! Names and Rust values enter, [`Outgoing`] packets leave. It depends on no socket and no room.

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use crate::error::{ConnectError, EmitError};
use crate::handshake::Revision;
use crate::link::{Frame, Outgoing};
use crate::socketio::{self, Args, ArgsError, Outcome, PacketLimits};

/// Encodes EVENT, or BINARY_EVENT if `data` holds bytes, within these limits.
pub(crate) fn event<T>(
    namespace: &str,
    id: Option<u64>,
    name: &str,
    data: &T,
    limits: PacketLimits,
) -> Result<Outgoing, EmitError>
where
    T: Serialize + ?Sized,
{
    if socketio::is_reserved(name) {
        return Err(EmitError::ReservedEvent(name.to_owned()));
    }
    let head = |out: &mut Vec<u8>, attachments| {
        socketio::push_event_head(out, namespace, id, name, attachments);
    };
    let (packet, _) = packet(head, true, data, limits)?;
    Ok(packet)
}

/// Encodes an event whose list of name and arguments is encoded already.
pub(crate) fn relayed(namespace: &str, id: Option<u64>, list: &Args) -> Outgoing {
    let text = infallible(|out| {
        socketio::push_event_start(out, namespace, id, list.attachments().len());
        out.extend_from_slice(list.as_json().as_bytes());
        out.push(b']');
    });
    let attached = list.attachments().iter();
    Outgoing {
        frame: text.frame,
        attached: attached.map(|data| Frame::binary(data)).collect(),
    }
}

/// The return value of a handler, encoded.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The acknowledgement with the value.
    Value(Outgoing),
    /// It was an `Err`: the JSON text of the error.
    Error(String),
}

/// Encodes ACK, or BINARY_ACK if `data` holds bytes, within these limits.
pub(crate) fn ack<T>(
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

/// Encodes the ACK of a failed call: `{"error": …}`, with the JSON text of the error, and of its
/// data if there are any.
pub(crate) fn ack_error(namespace: &str, id: u64, json: &str, data: Option<&str>) -> Outgoing {
    infallible(|out| {
        socketio::push_ack_head(out, namespace, id, 0);
        out.extend_from_slice(br#"{"error":"#);
        out.extend_from_slice(json.as_bytes());
        if let Some(data) = data {
            out.extend_from_slice(br#","data":"#);
            out.extend_from_slice(data.as_bytes());
        }
        out.extend_from_slice(b"}]");
    })
}

/// Encodes CONNECT, with the socket's id if its client does not know that.
pub(crate) fn connect(
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

/// Encodes CONNECT_ERROR, in Socket.IO v4 the ERROR packet.
pub(crate) fn connect_error(revision: Revision, namespace: &str, error: &ConnectError) -> Outgoing {
    // A `Value` always has a text: its keys are strings.
    let data = error.data().and_then(|data| raw(data).ok());
    let (message, data) = (error.message(), data.as_deref());
    infallible(|out| match revision {
        Revision::V4 => socketio::push_connect_error(out, namespace, message, data),
        Revision::V3 => socketio::push_error_v4(out, namespace, message, data),
    })
}

/// Encodes DISCONNECT.
pub(crate) fn disconnect(namespace: &str) -> Outgoing {
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
    Ok((Outgoing { frame, attached }, error))
}

fn infallible(write: impl FnOnce(&mut Vec<u8>)) -> Outgoing {
    let written = Frame::message(|out| {
        write(out);
        Ok::<(), std::convert::Infallible>(())
    });
    match written {
        Ok((frame, ())) => frame.into(),
        Err(never) => match never {},
    }
}

fn raw(data: &Value) -> serde_json::Result<Box<serde_json::value::RawValue>> {
    serde_json::value::to_raw_value(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(packet: &Outgoing) -> String {
        let mut body = Vec::new();
        packet.frame.push_polling(&mut body);
        String::from_utf8(body).unwrap()
    }

    #[test]
    fn packets_have_the_texts_of_the_protocol() {
        assert_eq!(
            text(&event("/", None, "a", &(1, "b"), PacketLimits::NONE).unwrap()),
            r#"42["a",1,"b"]"#
        );
        assert_eq!(
            text(&event("/x", Some(7), "a", &(), PacketLimits::NONE).unwrap()),
            r#"42/x,7["a"]"#
        );
        let Answer::Value(ack) = ack("/", 3, &"ok", PacketLimits::NONE).unwrap() else {
            panic!("a value is no error")
        };
        assert_eq!(text(&ack), r#"433["ok"]"#);
        assert_eq!(text(&ack_error("/", 3, "1", None)), r#"433[{"error":1}]"#);
        assert_eq!(
            text(&connect(Revision::V4, "/", "abc", None)),
            r#"40{"sid":"abc"}"#
        );
        assert_eq!(text(&disconnect("/x")), "41/x,");
        let refused = ConnectError::new("no").with_data(serde_json::json!({ "a": 1 }));
        assert_eq!(
            text(&connect_error(Revision::V4, "/", &refused)),
            r#"44{"message":"no","data":{"a":1}}"#
        );
    }

    #[test]
    fn older_clients_get_neither_sid_nor_message() {
        let pid = Some("def");
        assert_eq!(text(&connect(Revision::V3, "/", "abc", pid)), "40");
        let refused = ConnectError::new("no");
        let error = |refused: &_| text(&connect_error(Revision::V3, "/x", refused));
        assert_eq!(error(&refused), r#"44/x,"no""#);
        let refused = refused.with_data(serde_json::json!({ "a": 1 }));
        assert_eq!(error(&refused), r#"44/x,{"a":1}"#);
    }

    #[test]
    fn bytes_become_attachments_that_are_counted_in_the_head() {
        let packet = event(
            "/",
            None,
            "a",
            &(Bytes::from_static(&[1]), 2),
            PacketLimits::NONE,
        )
        .unwrap();
        assert_eq!(
            text(&packet),
            r#"451-["a",{"_placeholder":true,"num":0},2]"#
        );
        assert_eq!(packet.attached.len(), 1);
    }

    #[test]
    fn reserved_names_are_refused() {
        let error = event("/", None, "disconnect", &(), PacketLimits::NONE).unwrap_err();
        assert_eq!(error.to_string(), r#"event name "disconnect" is reserved"#);
    }

    #[test]
    fn an_err_is_encoded_as_an_error() {
        let answer = ack("/", 1, &Err::<(), _>("no"), PacketLimits::NONE).unwrap();
        assert!(matches!(answer, Answer::Error(json) if json == r#""no""#));
    }
}
