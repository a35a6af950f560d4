//! Packets as server-sent events, as pure code.
//!
//! The payloads of the session's frames enter. The text of the stream leaves, and what the stream
//! must do.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::value::RawValue;

/// Writes the packets of one client.
#[derive(Default)]
pub(super) struct EventText {
    /// The client's private id, if the server has recovery. Then the last argument of an event is
    /// its offset.
    pid: Option<String>,
    /// A binary event whose attachments have not all arrived.
    waiting: Option<Binary>,
}

struct Binary {
    /// The JSON text of its list.
    list: String,
    attachments: Vec<String>,
    count: usize,
}

/// The meaning of a packet for the stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The text says all of it.
    Text,
    /// The session awaits a pong.
    Ping,
    Connected,
    /// The content of CONNECT_ERROR.
    Refused(String),
    /// The socket was disconnected, or the session has ended.
    Ended,
}

impl EventText {
    /// `pid` is the private id of a client that reconnects: what it missed precedes its CONNECT.
    pub(super) fn new(pid: Option<String>) -> Self {
        Self { pid, waiting: None }
    }

    /// Handles a text packet of Engine.IO.
    pub(super) fn packet(&mut self, packet: &str, out: &mut String) -> Heard {
        let mut rest = packet.chars();
        match (rest.next(), rest.next()) {
            (Some('2'), _) => {
                // A comment keeps the connection, and shows whether the client still reads.
                out.push_str(":\n\n");
                Heard::Ping
            }
            (Some('1'), _) => Heard::Ended,
            (Some('4'), Some(kind)) => self.message(kind, rest.as_str(), out),
            _ => Heard::Text,
        }
    }

    /// Handles a binary message: an attachment of the last event.
    pub(super) fn attachment(&mut self, data: &[u8], out: &mut String) {
        let Some(mut event) = self.waiting.take() else {
            return;
        };
        event.attachments.push(STANDARD.encode(data));
        if event.attachments.len() < event.count {
            self.waiting = Some(event);
            return;
        }
        let list = serde_json::from_str::<Value>(&event.list).unwrap_or_default();
        let list = with_attachments(list, &event.attachments).to_string();
        self.event(&list, out);
    }

    /// Socket.IO v5, Packet encoding: the type, the number of attachments, the namespace, the id.
    fn message(&mut self, kind: char, rest: &str, out: &mut String) -> Heard {
        let (count, rest) = match kind {
            '5' => rest.split_once('-').unwrap_or(("", rest)),
            _ => ("", rest),
        };
        let rest = match rest.strip_prefix('/') {
            Some(named) => named.split_once(',').map_or("", |(_, rest)| rest),
            None => rest,
        };
        let content = rest.trim_start_matches(|digit: char| digit.is_ascii_digit());
        match kind {
            '0' => {
                self.connected(content, out);
                Heard::Connected
            }
            '1' => {
                out.push_str("event: disconnect\ndata: []\n\n");
                Heard::Ended
            }
            '2' => {
                self.event(content, out);
                Heard::Text
            }
            '4' => Heard::Refused(content.to_owned()),
            '5' => {
                self.waiting = count.parse().ok().map(|count| Binary {
                    list: content.to_owned(),
                    attachments: Vec::new(),
                    count,
                });
                Heard::Text
            }
            // Acknowledgements: the client has sent no event.
            _ => Heard::Text,
        }
    }

    fn connected(&mut self, content: &str, out: &mut String) {
        let content: Value = serde_json::from_str(content).unwrap_or_default();
        let text = |key: &str| content[key].as_str().map(str::to_owned);
        self.pid = text("pid");
        self.id("", out);
        let sid = Value::from(text("sid"));
        out.push_str(&format!("event: connect\ndata: [{sid}]\n\n"));
    }

    fn event(&self, list: &str, out: &mut String) {
        let Ok(mut list) = serde_json::from_str::<Vec<&RawValue>>(list) else {
            return;
        };
        // The first value is the name, whatever it looks like.
        if self.pid.is_some()
            && list.len() > 1
            && let Some(offset) = list.last().and_then(|last| offset(last.get()))
        {
            self.id(offset, out);
            list.pop();
        }
        let mut list = list.into_iter();
        let Some(name) = list.next() else { return };
        let name: String = serde_json::from_str(name.get()).unwrap_or_default();
        out.push_str("event: ");
        out.extend(name.chars().map(without_line_end));
        out.push_str("\ndata: [");
        for (at, value) in list.enumerate() {
            if at > 0 {
                out.push(',');
            }
            // Only white space between values can have line ends.
            out.extend(value.get().chars().map(without_line_end));
        }
        out.push_str("]\n\n");
    }

    /// The offset is of no use without the client's private id, so both are sent as one.
    fn id(&self, offset: &str, out: &mut String) {
        if let Some(pid) = &self.pid {
            out.push_str(&format!("id: {pid}:{offset}\n"));
        }
    }
}

/// Returns the offset in an event's last argument. Events of the server itself have none.
fn offset(json: &str) -> Option<&str> {
    let text = json.strip_prefix('"')?.strip_suffix('"')?;
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let mut parts = text.split('.');
    let is_own = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_of_cluster =
        parts.clone().count() == PARTS && parts.all(|part| part.bytes().all(is_part));
    (is_own || is_of_cluster).then_some(text)
}

/// Replaces placeholders by the base64 of their attachments.
fn with_attachments(value: Value, attachments: &[String]) -> Value {
    match value {
        Value::Array(list) => {
            let list = list.into_iter();
            list.map(|value| with_attachments(value, attachments))
                .collect()
        }
        Value::Object(map) if map.get("_placeholder") == Some(&Value::Bool(true)) => {
            let number = map.get("num").and_then(Value::as_u64);
            let number = number.and_then(|number| usize::try_from(number).ok());
            let found = number.and_then(|number| attachments.get(number));
            found.map_or(Value::Null, |text| Value::from(text.as_str()))
        }
        Value::Object(map) => {
            let map = map.into_iter();
            map.map(|(key, value)| (key, with_attachments(value, attachments)))
                .collect()
        }
        other => other,
    }
}

/// HTML, Server-sent events, 9.2.5: a line ends at CR, LF or both.
fn without_line_end(character: char) -> char {
    match character {
        '\r' | '\n' | '\0' => ' ',
        other => other,
    }
}

/// The parts of an offset in a cluster: number, node, number of the node, entry.
const PARTS: usize = 4;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::seeds::replay;

    /// Returns the text of packets, and the meaning of the last one.
    fn written(packets: &[&str]) -> (String, Heard) {
        let (mut text, mut out) = (EventText::default(), String::new());
        let mut heard = Heard::Text;
        for packet in packets {
            heard = text.packet(packet, &mut out);
        }
        (out, heard)
    }

    #[test]
    fn packets_become_events() {
        for (packet, text, meaning) in [
            (
                r#"40{"sid":"a"}"#,
                "event: connect\ndata: [\"a\"]\n\n",
                Heard::Connected,
            ),
            (
                r#"40/news,{"sid":"a"}"#,
                "event: connect\ndata: [\"a\"]\n\n",
                Heard::Connected,
            ),
            (
                r#"44{"message":"no"}"#,
                "",
                Heard::Refused(r#"{"message":"no"}"#.to_owned()),
            ),
            (
                r#"44/a,{"message":"no"}"#,
                "",
                Heard::Refused(r#"{"message":"no"}"#.to_owned()),
            ),
            (
                r#"42["n",1,{"a":"b"}]"#,
                "event: n\ndata: [1,{\"a\":\"b\"}]\n\n",
                Heard::Text,
            ),
            (r#"42/news,["n"]"#, "event: n\ndata: []\n\n", Heard::Text),
            (
                r#"42/news,7["ask","1"]"#,
                "event: ask\ndata: [\"1\"]\n\n",
                Heard::Text,
            ),
            (
                "42[\"a\\nb\", [1,\r\n2]]",
                "event: a b\ndata: [[1,  2]]\n\n",
                Heard::Text,
            ),
            ("2", ":\n\n", Heard::Ping),
            ("41", "event: disconnect\ndata: []\n\n", Heard::Ended),
            ("1", "", Heard::Ended),
            ("6", "", Heard::Text),
            ("43[1]", "", Heard::Text),
        ] {
            assert_eq!(written(&[packet]), (text.to_owned(), meaning), "{packet}");
        }
    }

    #[test]
    fn id_has_the_private_id_and_the_offset() {
        let connect = r#"40{"sid":"a","pid":"p"}"#;
        let (text, _) = written(&[connect, r#"42["n","x","7"]"#]);
        let expected =
            "id: p:\nevent: connect\ndata: [\"a\"]\n\nid: p:7\nevent: n\ndata: [\"x\"]\n\n";
        assert_eq!(text, expected);
        for offset in ["28.0e22fa752650435a.15.1796039881401-1", "r.0e22.65.1796-1"] {
            let event = format!(r#"42["n","{offset}"]"#);
            let (text, _) = written(&[connect, &event]);
            assert!(
                text.ends_with(&format!("id: p:{offset}\nevent: n\ndata: []\n\n")),
                "{text}"
            );
        }
        // An event of the server itself.
        for event in [
            r#"42["n","lobby"]"#,
            r#"42["n",""]"#,
            r#"42["n","a.b"]"#,
            r#"42["7"]"#,
            r#"42["a.b.1.2"]"#,
        ] {
            let (text, _) = written(&[connect, event]);
            assert_eq!(text.matches("id:").count(), 1, "{text}");
        }
    }

    #[test]
    fn missed_events_precede_the_connect() {
        let (mut text, mut out) = (EventText::new(Some("p".to_owned())), String::new());
        text.packet(r#"42["n",2,"8"]"#, &mut out);
        assert_eq!(out, "id: p:8\nevent: n\ndata: [2]\n\n");
    }

    #[test]
    fn attachments_become_base64() {
        let (mut text, mut out) = (EventText::default(), String::new());
        let packet = r#"452-["b",{"_placeholder":true,"num":1},[{"_placeholder":true,"num":0}]]"#;
        assert_eq!(text.packet(packet, &mut out), Heard::Text);
        text.attachment(&[1], &mut out);
        assert_eq!(out, "");
        text.attachment(&[2, 3], &mut out);
        assert_eq!(out, "event: b\ndata: [\"AgM=\",[\"AQ==\"]]\n\n");
        text.attachment(&[4], &mut out);
        assert_eq!(out.matches("event").count(), 1);
        // An announced number that no server sends.
        text.packet(r#"450-["none"]"#, &mut out);
        text.attachment(&[5], &mut out);
        assert_eq!(out.matches("event").count(), 2);
    }

    /// Writes packets of one client; those that begin with `b` are attachments.
    fn stream(packets: &str) -> String {
        let (mut text, mut out) = (EventText::default(), String::new());
        for packet in packets.split('\u{1e}') {
            match packet.strip_prefix('b') {
                Some(data) => text.attachment(data.as_bytes(), &mut out),
                None => drop(text.packet(packet, &mut out)),
            }
        }
        out
    }

    /// HTML, Server-sent events, 9.2.5: what a client reads of a stream.
    fn assert_is_a_stream(text: &str) {
        assert!(!text.contains(['\r', '\0']), "{text:?}");
        let blocks = text.strip_suffix("\n\n");
        if text.is_empty() {
            return;
        }
        for block in blocks.unwrap().split("\n\n") {
            let mut lines = block.lines().peekable();
            if block == ":" {
                continue;
            }
            lines.next_if(|line| line.starts_with("id: "));
            assert!(lines.next().unwrap().starts_with("event: "), "{text:?}");
            let data = lines.next().unwrap().strip_prefix("data: ").unwrap();
            let list = serde_json::from_str::<Vec<&RawValue>>(data);
            assert!(list.is_ok(), "{text:?}");
            assert_eq!(lines.next(), None);
        }
    }

    #[test]
    fn seeds_and_their_mutations_are_a_stream() {
        replay("server-sent-events", |input| {
            assert_is_a_stream(&stream(&String::from_utf8_lossy(input)));
        });
    }

    proptest! {
        #[test]
        fn an_event_has_its_name_and_its_arguments(
            name in "[a-z\\r\\n\u{e9} ]{0,8}", args in prop::collection::vec(any::<String>(), 0..4),
        ) {
            let mut list = vec![name.clone()];
            list.extend(args.iter().cloned());
            let packet = format!("42{}", serde_json::to_string(&list).unwrap());
            let text = stream(&packet);
            assert_is_a_stream(&text);
            let (head, data) = text.split_once("\ndata: ").unwrap();
            let spaced = name.replace(['\r', '\n'], " ");
            prop_assert_eq!(head, format!("event: {spaced}"));
            let found: Vec<String> = serde_json::from_str(data.trim_end_matches('\n')).unwrap();
            prop_assert_eq!(found, args);
        }
    }
}
