//! The packets that the server sends, appended to a buffer.
//!
//! Names, numbers, and serialized JSON enter. The text inside an Engine.IO message leaves, without
//! its leading `4`. Only the head of events and acknowledgements is written here; the caller writes
//! the arguments and the closing bracket.
//!
//! A namespace must start with `/` and contain no comma. That is checked when a namespace is named.

use serde_json::value::RawValue;

use crate::socketio::packet::MAIN_NAMESPACE;

/// Appends a CONNECT: `0{"sid":"…"}`, `0/nsp,{"sid":"…"}`.
// Socket.IO v5, Connection to a namespace: the response carries the socket's id. With connection
// state recovery it also carries the private session id.
pub(crate) fn push_connect(out: &mut Vec<u8>, namespace: &str, sid: &str, pid: Option<&str>) {
    push_start(out, b'0', namespace);
    out.extend_from_slice(b"{\"sid\":");
    push_json_str(out, sid);
    if let Some(pid) = pid {
        out.extend_from_slice(b",\"pid\":");
        push_json_str(out, pid);
    }
    out.push(b'}');
}

/// Appends a CONNECT_ERROR: `4{"message":"…"}`, `4/nsp,{"message":"…","data":…}`.
// Socket.IO v5, Connection to a namespace: the refusal carries a message, and data if present.
pub(crate) fn push_connect_error(
    out: &mut Vec<u8>,
    namespace: &str,
    message: &str,
    data: Option<&RawValue>,
) {
    push_start(out, b'4', namespace);
    out.extend_from_slice(b"{\"message\":");
    push_json_str(out, message);
    if let Some(data) = data {
        out.extend_from_slice(b",\"data\":");
        out.extend_from_slice(data.get().as_bytes());
    }
    out.push(b'}');
}

/// Appends a CONNECT with these data.
pub(crate) fn push_connect_data(out: &mut Vec<u8>, namespace: &str, data: Option<&RawValue>) {
    push_start(out, b'0', namespace);
    out.extend_from_slice(data.map_or("", RawValue::get).as_bytes());
}

/// Appends a CONNECT_ERROR with these data.
pub(crate) fn push_error_data(out: &mut Vec<u8>, namespace: &str, data: &RawValue) {
    push_start(out, b'4', namespace);
    out.extend_from_slice(data.get().as_bytes());
}

/// Appends a CONNECT of Socket.IO v4: `0`, `0/nsp,`. The client knows the id of its socket.
pub(crate) fn push_connect_v4(out: &mut Vec<u8>, namespace: &str) {
    push_start(out, b'0', namespace);
}

/// Appends an ERROR of Socket.IO v4: the data of the refusal, or its message as a string.
pub(crate) fn push_error_v4(
    out: &mut Vec<u8>,
    namespace: &str,
    message: &str,
    data: Option<&RawValue>,
) {
    push_start(out, b'4', namespace);
    match data {
        Some(data) => out.extend_from_slice(data.get().as_bytes()),
        None => push_json_str(out, message),
    }
}

/// Appends a DISCONNECT: `1`, `1/nsp,`.
pub(crate) fn push_disconnect(out: &mut Vec<u8>, namespace: &str) {
    push_start(out, b'1', namespace);
}

/// Appends the head of an EVENT, or of a BINARY_EVENT if there are attachments, including the
/// event's name: `2/nsp,12["name"`. The caller appends `,arg` for each argument, then `]`.
pub(crate) fn push_event_head(
    out: &mut Vec<u8>,
    namespace: &str,
    id: Option<u64>,
    name: &str,
    attachments: usize,
) {
    push_event_start(out, namespace, id, attachments);
    push_json_str(out, name);
}

/// Appends the part before an event's name: `2/nsp,12[`. The caller appends the name in JSON,
/// `,arg` for each argument, then `]`.
pub(crate) fn push_event_start(
    out: &mut Vec<u8>,
    namespace: &str,
    id: Option<u64>,
    attachments: usize,
) {
    push_kind(out, b'2', b'5', attachments);
    push_namespace(out, namespace);
    if let Some(id) = id {
        push_decimal(out, id);
    }
    out.push(b'[');
}

/// Splits an EVENT that was written here into its id and the list of its name and its arguments.
pub(crate) fn split_event(packet: &str) -> Option<(Option<u64>, &str)> {
    let rest = match packet.strip_prefix('2') {
        Some(rest) => rest,
        None => packet.strip_prefix('5')?.split_once('-')?.1,
    };
    // No namespace has a bracket before the comma behind it.
    let rest = match rest.starts_with('/') {
        true => rest.split_once(',')?.1,
        false => rest,
    };
    let (id, list) = rest.split_once('[')?;
    Some((id.parse().ok(), list.strip_suffix(']')?))
}

/// Appends the head of an ACK, or of a BINARY_ACK if there are attachments: `3/nsp,12[`. The caller
/// appends the arguments, separated by commas, then `]`.
pub(crate) fn push_ack_head(out: &mut Vec<u8>, namespace: &str, id: u64, attachments: usize) {
    push_kind(out, b'3', b'6', attachments);
    push_namespace(out, namespace);
    push_decimal(out, id);
    out.push(b'[');
}

/// Appends a text as a JSON string, quoted, with the escapes that `JSON.stringify` writes.
fn push_json_str(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|&byte| must_escape(byte)) {
        let (plain, tail) = rest.split_at(at);
        out.extend_from_slice(plain);
        let Some((&byte, tail)) = tail.split_first() else {
            break;
        };
        push_escape(out, byte);
        rest = tail;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

// Socket.IO v5, Packet encoding: the number of attachments stands between the type and the
// namespace, and only binary types have one.
fn push_kind(out: &mut Vec<u8>, plain: u8, binary: u8, attachments: usize) {
    if attachments == 0 {
        out.push(plain);
    } else {
        out.push(binary);
        push_decimal(out, attachments as u64);
        out.push(b'-');
    }
}

/// Appends the type and the namespace of a packet without attachments.
fn push_start(out: &mut Vec<u8>, kind: u8, namespace: &str) {
    out.push(kind);
    push_namespace(out, namespace);
}

// Socket.IO v5, Packet encoding: the main namespace is omitted.
fn push_namespace(out: &mut Vec<u8>, namespace: &str) {
    if namespace != MAIN_NAMESPACE {
        out.extend_from_slice(namespace.as_bytes());
        out.push(b',');
    }
}

fn push_decimal(out: &mut Vec<u8>, mut number: u64) {
    let start = out.len();
    loop {
        out.push(b'0' + (number % 10) as u8);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out[start..].reverse();
}

fn must_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn push_escape(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x0c => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            let digit = |nibble: u8| {
                if nibble < 10 {
                    b'0' + nibble
                } else {
                    b'a' + nibble - 10
                }
            };
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;
    use serde_json::Value;
    use serde_json::value::to_raw_value;

    use super::*;
    use crate::socketio::{ArgsText, Body, Limits, Packet, is_reserved};

    fn written(push: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = b"4".to_vec();
        push(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_connect_carries_the_sid() {
        assert_eq!(
            written(|out| push_connect(out, "/", "VE3UGFSuTZ3W9EcRAAAA", None)),
            r#"40{"sid":"VE3UGFSuTZ3W9EcRAAAA"}"#
        );
        assert_eq!(
            written(|out| push_connect(out, "/nsp", "x", None)),
            r#"40/nsp,{"sid":"x"}"#
        );
    }

    #[test]
    fn a_connect_error_carries_its_message_and_its_data() {
        assert_eq!(
            written(|out| push_connect_error(out, "/x", "Invalid namespace", None)),
            r#"44/x,{"message":"Invalid namespace"}"#
        );
        let data = to_raw_value(&serde_json::json!({"a": 1})).unwrap();
        assert_eq!(
            written(|out| push_connect_error(out, "/", "nope", Some(&data))),
            r#"44{"message":"nope","data":{"a":1}}"#
        );
    }

    #[test]
    fn older_clients_get_no_sid_and_a_plain_error() {
        assert_eq!(written(|out| push_connect_v4(out, "/")), "40");
        assert_eq!(written(|out| push_connect_v4(out, "/nsp")), "40/nsp,");
        assert_eq!(
            written(|out| push_error_v4(out, "/", "no \"entry\"", None)),
            r#"44"no \"entry\"""#
        );
        let data = to_raw_value(&serde_json::json!({"a": 1})).unwrap();
        assert_eq!(
            written(|out| push_error_v4(out, "/nsp", "no", Some(&data))),
            r#"44/nsp,{"a":1}"#
        );
    }

    #[test]
    fn a_disconnect_names_its_namespace_unless_it_is_the_main_one() {
        assert_eq!(written(|out| push_disconnect(out, "/")), "41");
        assert_eq!(written(|out| push_disconnect(out, "/nsp")), "41/nsp,");
    }

    #[test]
    fn event_heads_are_written_in_the_specs_order() {
        let table = [
            (("/", None, "a", 0), r#"42["a""#),
            (("/nsp", Some(12), "a", 0), r#"42/nsp,12["a""#),
            (("/", Some(0), "a", 0), r#"420["a""#),
            (("/", None, "bin", 1), r#"451-["bin""#),
            (
                ("/nsp", Some(u64::MAX), "q", 10),
                r#"4510-/nsp,18446744073709551615["q""#,
            ),
        ];
        for ((namespace, id, name, attachments), text) in table {
            assert_eq!(
                written(|out| push_event_head(out, namespace, id, name, attachments)),
                text
            );
        }
    }

    #[test]
    fn ack_heads_are_written_in_the_specs_order() {
        assert_eq!(written(|out| push_ack_head(out, "/", 1, 0)), "431[");
        assert_eq!(
            written(|out| push_ack_head(out, "/nsp", 12, 0)),
            "43/nsp,12["
        );
        assert_eq!(
            written(|out| push_ack_head(out, "/nsp", 12, 2)),
            "462-/nsp,12["
        );
    }

    #[test]
    fn strings_are_escaped_as_javascript_does() {
        let all: String = (0..0x80u8)
            .map(char::from)
            .chain("é\u{2028}😀".chars())
            .collect();
        let text = written(|out| push_json_str(out, &all));
        assert_eq!(text[1..], serde_json::to_string(&all).unwrap());
    }

    fn namespace() -> impl Strategy<Value = String> {
        prop_oneof![Just("/".to_owned()), "/[a-zé/_ \"-]{0,8}"]
    }

    fn values() -> impl Strategy<Value = Vec<Value>> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<i32>().prop_map(|eighths| Value::from(f64::from(eighths) / 8.0)),
            any::<String>().prop_map(Value::from),
        ];
        let value = leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        });
        prop::collection::vec(value, 0..4)
    }

    fn read_back(args: ArgsText<'_>) -> Vec<Value> {
        let ArgsText::Json(args) = args else {
            panic!("not JSON")
        };
        serde_json::from_str(&format!("[{args}]")).unwrap()
    }

    proptest! {
        #[test]
        fn events_decode_to_themselves(
            namespace in namespace(),
            id in any::<Option<u64>>(),
            name in any::<String>(),
            attachments in 0..=10usize,
            values in values(),
        ) {
            prop_assume!(!is_reserved(&name));
            let mut out = Vec::new();
            push_event_head(&mut out, &namespace, id, &name, attachments);
            for value in &values {
                out.extend_from_slice(format!(",{value}").as_bytes());
            }
            out.push(b']');
            let text = String::from_utf8(out).unwrap();
            let packet = Packet::decode(&text, &Limits::default()).unwrap();
            prop_assert_eq!(packet.namespace, namespace);
            let Body::Event { id: read_id, name: read_name, args, attachments: count } = packet.body
            else {
                panic!("no event: {text}");
            };
            prop_assert_eq!((read_id, &*read_name, count), (id, &*name, attachments));
            prop_assert_eq!(read_back(args), values);
            if text.contains(&format!("\"{name}\"")) {
                prop_assert!(matches!(read_name, Cow::Borrowed(_)));
            }
        }

        #[test]
        fn acks_decode_to_themselves(
            namespace in namespace(),
            id in any::<u64>(),
            attachments in 0..=10usize,
            values in values(),
        ) {
            let mut out = Vec::new();
            push_ack_head(&mut out, &namespace, id, attachments);
            let texts: Vec<_> = values.iter().map(Value::to_string).collect();
            out.extend_from_slice(texts.join(",").as_bytes());
            out.push(b']');
            let text = String::from_utf8(out).unwrap();
            let packet = Packet::decode(&text, &Limits::default()).unwrap();
            prop_assert_eq!(packet.namespace, namespace);
            let Body::Ack { id: read_id, args, attachments: count } = packet.body else {
                panic!("no ack: {text}");
            };
            prop_assert_eq!((read_id, count), (id, attachments));
            prop_assert_eq!(read_back(args), values);
        }

        #[test]
        fn connects_and_disconnects_decode_to_themselves(
            namespace in namespace(),
            sid in any::<String>(),
        ) {
            let mut out = Vec::new();
            push_connect(&mut out, &namespace, &sid, None);
            let text = String::from_utf8(out).unwrap();
            let packet = Packet::decode(&text, &Limits::default()).unwrap();
            prop_assert_eq!(packet.namespace, &namespace);
            let Body::Connect { auth: Some(auth), .. } = packet.body else {
                panic!("no connect: {text}");
            };
            let auth: Value = serde_json::from_str(&auth).unwrap();
            prop_assert_eq!(auth, serde_json::json!({ "sid": sid }));

            let mut out = Vec::new();
            push_disconnect(&mut out, &namespace);
            let text = String::from_utf8(out).unwrap();
            let packet = Packet::decode(&text, &Limits::default()).unwrap();
            prop_assert_eq!(packet, Packet { namespace: &namespace, body: Body::Disconnect });
        }

        #[test]
        fn strings_are_escaped_as_serde_json_does(text in any::<String>()) {
            let mut out = Vec::new();
            push_json_str(&mut out, &text);
            prop_assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&text).unwrap());
        }
    }
}
