//! The format of python-socketio's `RedisManager`, the message queue of Flask-SocketIO.
//!
//! One channel carries all messages, as JSON objects with a `method`. It does not support questions
//! to all nodes, or joining and disconnecting by rooms: sockets are named one by one. Binary is in
//! base64 after the arguments.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::adapter::format::channel::polls;
use crate::adapter::format::json::{for_clients, inner, list, quoted};
use crate::adapter::format::{
    Callback, Channel, Envelope, Format, Incoming, MembershipChange, NodeDiscovery, Received,
    Requester,
};
use crate::cluster::{ClusterError, EmitFlags, EventPayload, Message, Question, Reply, Scope};
use crate::id::{SocketId, Tag};
use crate::socketio::Args;

/// The format, for one node.
#[derive(Debug)]
pub(crate) struct Bus {
    uid: String,
    channel: String,
    /// Set after the log has reported that some process writes pickle; only `hear` writes it.
    has_seen_pickle: AtomicBool,
}

impl Bus {
    pub(crate) fn new(uid: &str, channel: &str) -> Self {
        Self {
            uid: uid.to_owned(),
            channel: channel.to_owned(),
            has_seen_pickle: AtomicBool::new(false),
        }
    }

    /// Reports once, not for each message, that some process writes messages that are not read
    /// here. Pickle is a program for its reader. Reading a subset of it would accept some events
    /// and lose others.
    fn refuse_pickle(&self) {
        if !self.has_seen_pickle.swap(true, Ordering::Relaxed) {
            log::error!(
                "messages on channel {:?} are in pickle, which python-socketio before 5.14 \
                 writes, and are dropped: upgrade python-socketio to 5.14 or later in every \
                 program that uses this channel",
                self.channel
            );
        }
    }

    fn envelope(&self, json: String) -> Envelope {
        Envelope::Publish {
            channel: Channel::Plain(self.channel.clone()),
            payload: json.into(),
        }
    }

    fn emit(
        &self,
        namespace: &str,
        content: &EventPayload,
        scope: &Scope,
        callback: Option<String>,
    ) -> Result<Envelope, ClusterError> {
        if scope.except.iter().any(|name| !is_socket(name)) {
            return Err(ClusterError::Unsupported("the exclusion of a room"));
        }
        let args = &content.0;
        let (name, arguments) = args.split_text();
        let arguments = arguments.unwrap_or("null");
        let (data, binary) = if args.attachments().is_empty() {
            (format!("[{arguments}]"), false)
        } else {
            let attachments = args.attachments().iter();
            let encoded: Vec<_> = attachments
                .map(|data| quoted(&STANDARD.encode(data)))
                .collect();
            (format!("[[{arguments}],{}]", encoded.join(",")), true)
        };
        let (room, skip) = (one_or_many(&scope.rooms), one_or_many(&scope.except));
        let callback = callback.unwrap_or_else(|| "null".to_owned());
        let (namespace, uid) = (quoted(namespace), quoted(&self.uid));
        Ok(self.envelope(format!(
            r#"{{"method":"emit","event":{name},"data":{data},"binary":{binary},"namespace":{namespace},"room":{room},"skip_sid":{skip},"callback":{callback},"host_id":{uid}}}"#
        )))
    }

    /// Writes a method about one socket, for each addressed socket, with each of these fields.
    fn each(
        &self,
        namespace: &str,
        method: &str,
        scope: &Scope,
        fields: &[String],
    ) -> Result<Vec<Envelope>, ClusterError> {
        let one_by_one = scope.except.is_empty() && scope.rooms.iter().all(|name| is_socket(name));
        if !one_by_one || scope.rooms.is_empty() {
            return Err(ClusterError::Unsupported("an operation on many sockets"));
        }
        let (namespace, uid) = (quoted(namespace), quoted(&self.uid));
        let sockets = scope.rooms.iter();
        let written = sockets.flat_map(|socket| {
            let (namespace, uid) = (&namespace, &uid);
            fields.iter().map(move |field| {
                self.envelope(format!(
                    r#"{{"method":"{method}","sid":"{socket}",{field},"namespace":{namespace},"host_id":{uid}}}"#
                ))
            })
        });
        Ok(written.collect())
    }
}

impl Format for Bus {
    fn uid(&self) -> &str {
        &self.uid
    }

    fn encode(&self, namespace: &str, message: &Message) -> Result<Vec<Envelope>, ClusterError> {
        match message {
            Message::Emit { content, scope, .. } => {
                Ok(vec![self.emit(namespace, content, scope, None)?])
            }
            Message::Join { scope, rooms } => {
                self.each(namespace, "enter_room", scope, &room_fields(rooms))
            }
            Message::Leave { scope, rooms } => {
                self.each(namespace, "leave_room", scope, &room_fields(rooms))
            }
            // `close` is a field of nodes of this crate, which python-socketio ignores.
            Message::Disconnect { scope, close } => {
                let close = format!(r#""close":{close}"#);
                self.each(namespace, "disconnect", scope, &[close])
            }
            Message::CloseRoom { room } => {
                let (room, namespace, uid) = (quoted(room), quoted(namespace), quoted(&self.uid));
                Ok(vec![self.envelope(format!(
                    r#"{{"method":"close_room","room":{room},"namespace":{namespace},"host_id":{uid}}}"#
                ))])
            }
            Message::ServerSide(_) => Err(ClusterError::Unsupported("an event between servers")),
        }
    }

    fn encode_question(
        &self,
        namespace: &str,
        question: &Question,
        request: &str,
    ) -> Result<Vec<Envelope>, ClusterError> {
        let Question::Emit { content, scope, .. } = question else {
            return Err(ClusterError::Unsupported("this request"));
        };
        // An answer goes to the callback of a room, from any of its sockets.
        let [room] = scope.rooms.as_slice() else {
            return Err(ClusterError::Unsupported("a call to no room or to several"));
        };
        let id = u64::from_str_radix(request, 16).unwrap_or_default();
        let callback = format!("[{},{},{id}]", quoted(room), quoted(namespace));
        Ok(vec![self.emit(
            namespace,
            content,
            scope,
            Some(callback),
        )?])
    }

    fn encode_reply(
        &self,
        _: &str,
        requester: &Requester,
        reply: &Reply,
    ) -> Result<Option<Envelope>, ClusterError> {
        let (Reply::Acknowledged(_, args), Some(callback)) = (reply, &requester.callback) else {
            return Ok(None);
        };
        if !args.attachments().is_empty() {
            return Err(ClusterError::Unsupported("a binary acknowledgement"));
        }
        let Callback {
            room,
            namespace,
            id,
        } = callback;
        let (host, args) = (quoted(&requester.uid), args.as_json());
        Ok(Some(self.envelope(format!(
            r#"{{"method":"callback","host_id":{host},"sid":{room},"namespace":{namespace},"id":{id},"args":[{args}]}}"#
        ))))
    }

    fn decode(&self, _: &str, _: &str, payload: &Bytes) -> Result<Option<Incoming>, String> {
        if is_pickle(payload) {
            self.refuse_pickle();
            return Ok(None);
        }
        let said: BusMessage<'_> =
            serde_json::from_slice(payload).map_err(|error| error.to_string())?;
        let own = said.host.as_deref() == Some(&self.uid);
        if own != (said.method == "callback") {
            return Ok(None);
        }
        let (namespace, from) = (
            said.namespace.clone().unwrap_or_else(|| "/".to_owned()),
            said.host.clone().unwrap_or_default(),
        );
        Ok(said.word(&from)?.map(|word| Incoming {
            namespace,
            from,
            word,
        }))
    }

    fn channels(&self, _: &str) -> Vec<Channel> {
        vec![Channel::Plain(self.channel.clone())]
    }

    fn room_channel(&self, _: &str, _: &str) -> Option<Channel> {
        None
    }

    fn poll_channel(&self, node: Tag) -> Channel {
        Channel::Plain(polls(&self.channel, node))
    }

    fn discovery(&self, _: &str) -> Option<NodeDiscovery> {
        None
    }
}

#[derive(Deserialize)]
struct BusMessage<'a> {
    method: String,
    #[serde(rename = "host_id")]
    host: Option<String>,
    namespace: Option<String>,
    event: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(default)]
    binary: Option<bool>,
    #[serde(default)]
    room: Value,
    #[serde(default)]
    skip_sid: Value,
    #[serde(default, borrow)]
    callback: Option<Vec<&'a RawValue>>,
    sid: Option<String>,
    id: Option<u64>,
    #[serde(borrow)]
    args: Option<&'a RawValue>,
    close: Option<bool>,
}

impl BusMessage<'_> {
    /// Returns its content; `None` if it is not for this node.
    fn word(self, from: &str) -> Result<Option<Received>, String> {
        let Self { method, sid, .. } = &self;
        let rooms = || names(&self.room);
        let change = match method.as_str() {
            "emit" => return self.emit(from),
            "disconnect" => MembershipChange::Disconnect {
                close: self.close == Some(true),
            },
            "enter_room" => MembershipChange::Join(rooms()),
            "leave_room" => MembershipChange::Leave(rooms()),
            "close_room" => {
                let room = rooms().into_iter().next();
                let room = room.ok_or("close_room without a room")?;
                return Ok(Some(Received::Message(Message::CloseRoom { room })));
            }
            "callback" => return self.callback().map(Some),
            _ => return Ok(None),
        };
        let sid = sid
            .as_ref()
            .ok_or_else(|| format!("{method} without a sid"))?;
        // An id of another form does not belong to this node.
        Ok(sid.parse().ok().map(|socket| Received::Single {
            requester: Requester::default(),
            socket,
            change,
        }))
    }

    fn callback(self) -> Result<Received, String> {
        let id = self.id.ok_or("a callback without an id")?;
        let socket = self.sid.and_then(|sid| sid.parse().ok());
        let args = self.args.map_or("[]", RawValue::get);
        let args = inner(args).ok_or("a callback whose args are not a list")?;
        Ok(Received::Answered {
            request: format!("{id:012x}"),
            reply: Reply::Acknowledged(socket, Args::new(args.to_owned(), Vec::new())),
        })
    }

    fn emit(self, from: &str) -> Result<Option<Received>, String> {
        // No room means all sockets, and an empty list means none.
        if self.room.as_array().is_some_and(Vec::is_empty) {
            return Ok(None);
        }
        let name = self.event.as_deref().ok_or("an emit without an event")?;
        let is_binary = self.binary == Some(true);
        let args = arguments(self.data.map_or("null", RawValue::get), is_binary)?;
        let content = for_clients(EventPayload::new(name, &args), is_binary)?;
        let scope = Scope {
            rooms: names(&self.room),
            except: names(&self.skip_sid),
        };
        let flags = EmitFlags::default();
        let Some([room, namespace, id]) = self.callback.as_deref() else {
            return Ok(Some(Received::Message(Message::Emit {
                content,
                scope,
                flags,
            })));
        };
        let requester = Requester {
            uid: from.to_owned(),
            callback: Some(Callback {
                room: room.get().to_owned(),
                namespace: namespace.get().to_owned(),
                id: id.get().to_owned(),
            }),
            ..Requester::default()
        };
        let question = Question::Emit {
            content,
            scope,
            flags,
            limit: CALLBACK_LIMIT,
        };
        Ok(Some(Received::Asked(requester, question)))
    }
}

/// Reads an emit's data: a list of arguments, followed by binary, or one argument from older
/// writers.
fn arguments(data: &str, binary: bool) -> Result<Args, String> {
    let error = |error: serde_json::Error| error.to_string();
    if !binary {
        let args = inner(data).unwrap_or(data);
        // No data and `None` are the same in python-socketio.
        let args = if args == "null" { "" } else { args };
        return Ok(Args::new(args.to_owned(), Vec::new()));
    }
    let parts: Vec<&RawValue> = serde_json::from_str(data).map_err(error)?;
    let (args, encoded) = parts.split_first().ok_or("binary data without arguments")?;
    let args = inner(args.get()).unwrap_or(args.get());
    let mut attachments = Vec::with_capacity(encoded.len());
    for text in encoded {
        let text: String = serde_json::from_str(text.get()).map_err(error)?;
        let data = STANDARD.decode(text).map_err(|error| error.to_string())?;
        attachments.push(Bytes::from(data));
    }
    Ok(Args::new(args.to_owned(), attachments))
}

fn names(value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::String(name) => vec![name.clone()],
        Value::Array(many) => many.iter().flat_map(names).collect(),
        other => vec![other.to_string()],
    }
}

fn room_fields(rooms: &[String]) -> Vec<String> {
    let field = |room: &String| format!(r#""room":{}"#, quoted(room));
    rooms.iter().map(field).collect()
}

fn one_or_many(names: &[String]) -> String {
    match names {
        [] => "null".to_owned(),
        [one] => quoted(one),
        many => list(many),
    }
}

/// Returns `true` if these bytes are Python's pickle, of protocol 2 or later: JSON never begins
/// with its first byte, and its last byte is a full stop.
fn is_pickle(payload: &[u8]) -> bool {
    matches!(payload, [0x80, 2..=5, .., b'.'])
}

fn is_socket(name: &str) -> bool {
    name.parse::<SocketId>().is_ok()
}

/// The time limit of a callback of a Python program. There it lives as long as its client; here it
/// ends with its client or at this limit, because each one counts as a pending call of the client.
const CALLBACK_LIMIT: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::format::fixture;
    use crate::seeds::replay_all;

    const CHANNEL: &str = "flask-socketio";
    const PYTHON: &str = "3f0e8d6f7c2b4a5e9d1c0b8a7f6e5d4c";

    fn node() -> Bus {
        Bus::new("own", CHANNEL)
    }

    fn read(json: &str) -> Result<Option<Received>, String> {
        let payload = json.to_owned().into();
        let heard = node().decode(CHANNEL, CHANNEL, &payload)?;
        Ok(heard.map(|heard| heard.word))
    }

    /// The message of python-socketio 5.13.0 on Python 3.11 for
    /// `emit("e", {"a": 1}, namespace="/", room="r")`.
    const PICKLE: &str = "80049591000000000000007d94288c066d6574686f64948c04656d6974948c0565766\
        56e74948c0165948c0464617461947d948c0161944b01738c096e616d657370616365948c012f948c04726f6f6d\
        948c0172948c08736b69705f736964944e8c0863616c6c6261636b944e8c07686f73745f6964948c20336630653\
        864366637633262346135653964316330623861376636653564346394752e";

    /// The message of python-socketio 5.14.0 for the same.
    const JSON: &str = r#"{"method": "emit", "event": "e", "data": {"a": 1}, "namespace": "/", "room": "r", "skip_sid": null, "callback": null, "host_id": "3f0e8d6f7c2b4a5e9d1c0b8a7f6e5d4c"}"#;

    #[test]
    fn pickle_is_known_and_dropped() {
        let node = node();
        let pickle = fixture::payload(PICKLE);
        assert!(is_pickle(&pickle));
        for _ in 0..2 {
            assert_eq!(node.decode(CHANNEL, CHANNEL, &pickle), Ok(None));
            assert!(node.has_seen_pickle.load(Ordering::Relaxed));
        }
        assert!(matches!(read(JSON), Ok(Some(Received::Message(_)))));
        for other in [&b"\x80\x06."[..], b"\x80\x01.", b"\x80", b"{}", b"\x80\x04"] {
            assert!(!is_pickle(other), "{other:?}");
            assert!(
                node.decode(CHANNEL, CHANNEL, &Bytes::copy_from_slice(other))
                    .is_err()
            );
        }
    }

    /// Writes an emit of python-socketio.
    fn emit(data: &str, rest: &str) -> String {
        format!(
            r#"{{"method": "emit", "event": "e", "data": {data}, "namespace": "/", {rest}, "host_id": "{PYTHON}"}}"#
        )
    }

    fn plain(rest: &str) -> String {
        format!(r#""binary": false, {rest}, "callback": null"#)
    }

    #[test]
    fn emits_of_python_are_read() {
        let all = (&[][..], &[][..]);
        let everyone = r#""room": null, "skip_sid": null"#;
        for (data, rest, list, (rooms, except)) in [
            (r#"["text"]"#, plain(everyone), r#""e","text""#, all),
            (
                r#"[1, [2], {"a": null}]"#,
                plain(everyone),
                r#""e",1, [2], {"a": null}"#,
                all,
            ),
            ("[null]", plain(everyone), r#""e""#, all),
            ("[]", plain(everyone), r#""e""#, all),
            // Older versions write one value without a list.
            (r#"{"a": 1}"#, plain(everyone), r#""e",{"a": 1}"#, all),
            (
                "[1]",
                plain(r#""room": "a", "skip_sid": "s""#),
                r#""e",1"#,
                (&["a"], &["s"]),
            ),
            (
                "[1]",
                plain(r#""room": ["a", 42], "skip_sid": ["s", "t"]"#),
                r#""e",1"#,
                (&["a", "42"], &["s", "t"]),
            ),
        ] {
            let scope = fixture::scope(rooms, except);
            let message = fixture::emit(fixture::args(list), scope, fixture::PLAIN);
            assert_eq!(
                read(&emit(data, &rest)),
                Ok(Some(Received::Message(message))),
                "{data}"
            );
        }
        let binary = r#"[[{"_placeholder": true, "num": 0}], "AQI="]"#;
        let rest = format!(r#""binary": true, {everyone}, "callback": null"#);
        let list = Args::new(
            r#""e",{"_placeholder": true, "num": 0}"#.to_owned(),
            vec![Bytes::from_static(&[1, 2])],
        );
        let message = fixture::emit(list, Scope::default(), fixture::PLAIN);
        assert_eq!(
            read(&emit(binary, &rest)),
            Ok(Some(Received::Message(message)))
        );
    }

    #[test]
    fn empty_list_of_rooms_addresses_no_socket() {
        let nobody = plain(r#""room": [], "skip_sid": null"#);
        assert_eq!(read(&emit("[1]", &nobody)), Ok(None));
    }

    #[test]
    fn callbacks_are_answered_to_the_requester() {
        let rest = r#""binary": false, "room": "a", "skip_sid": null, "callback": ["a", "/", 7]"#;
        let Ok(Some(Received::Asked(requester, Question::Emit { limit, .. }))) =
            read(&emit("[1]", rest))
        else {
            panic!("no question");
        };
        assert_eq!(limit, CALLBACK_LIMIT);
        for (args, written) in [("", "[]"), ("null", "[null]"), (r#"1,"a""#, r#"[1,"a"]"#)] {
            let reply = Reply::Acknowledged(None, fixture::args(args));
            let envelope = node()
                .encode_reply("/", &requester, &reply)
                .unwrap()
                .unwrap();
            let json = format!(
                r#"{{"method":"callback","host_id":"{PYTHON}","sid":"a","namespace":"/","id":7,"args":{written}}}"#
            );
            assert_eq!(envelope, node().envelope(json));
        }
        let reply = Reply::Acknowledged(None, fixture::binary());
        let answered = node().encode_reply("/", &requester, &reply);
        assert_eq!(
            answered,
            Err(ClusterError::Unsupported("a binary acknowledgement"))
        );
        // An answer to this node, and one to another.
        let json = r#"{"method": "callback", "host_id": "own", "sid": "a", "namespace": "/", "id": 255, "args": [null, 5]}"#;
        let request = "0000000000ff".to_owned();
        let reply = Reply::Acknowledged(None, fixture::args("null, 5"));
        assert_eq!(read(json), Ok(Some(Received::Answered { request, reply })));
        assert_eq!(read(&json.replace("own", PYTHON)), Ok(None));
    }

    #[test]
    fn membership_change_of_a_sid_addresses_one_socket() {
        let id = SocketId::random();
        let rooms = || vec!["a".to_owned()];
        for (method, rest, change) in [
            (
                "enter_room",
                r#""room": "a", "#,
                MembershipChange::Join(rooms()),
            ),
            (
                "leave_room",
                r#""room": "a", "#,
                MembershipChange::Leave(rooms()),
            ),
            (
                "disconnect",
                "",
                MembershipChange::Disconnect { close: false },
            ),
            (
                "disconnect",
                r#""close": true, "#,
                MembershipChange::Disconnect { close: true },
            ),
        ] {
            let json = format!(
                r#"{{"method": "{method}", "sid": "{id}", {rest}"namespace": "/", "host_id": "{PYTHON}"}}"#
            );
            let single = Received::Single {
                requester: Requester::default(),
                socket: id.clone(),
                change,
            };
            assert_eq!(read(&json), Ok(Some(single)));
            assert_eq!(read(&json.replace(id.as_str(), "lobby")), Ok(None));
            let error = read(&json.replace(r#""sid""#, r#""id of""#)).unwrap_err();
            assert_eq!(error, format!("{method} without a sid"));
        }
        let close = format!(
            r#"{{"method": "close_room", "room": "a", "namespace": "/", "host_id": "{PYTHON}"}}"#
        );
        let room = "a".to_owned();
        assert_eq!(
            read(&close),
            Ok(Some(Received::Message(Message::CloseRoom { room })))
        );
    }

    fn emit_to(scope: Scope) -> Message {
        fixture::emit(fixture::binary(), scope, fixture::SWIFT)
    }

    #[test]
    fn messages_are_written_as_python_reads_them() {
        let id = SocketId::random();
        let one = || fixture::scope(&[id.as_str()], &[]);
        let rooms = || vec!["a".to_owned(), "b".to_owned()];
        let end = r#""namespace":"/","host_id":"own"}"#;
        let emitted = concat!(
            r#"{"method":"emit","event":"r","data":[[{"_placeholder":true,"num":0}],"AQI="],"binary":true,"#,
            r#""namespace":"/","room":["a","b"],"skip_sid":null,"callback":null,"host_id":"own"}"#
        );
        for (message, written) in [
            (
                emit_to(fixture::scope(&["a", "b"], &[])),
                vec![emitted.to_owned()],
            ),
            (
                Message::Join {
                    scope: one(),
                    rooms: rooms(),
                },
                vec![
                    format!(r#"{{"method":"enter_room","sid":"{id}","room":"a",{end}"#),
                    format!(r#"{{"method":"enter_room","sid":"{id}","room":"b",{end}"#),
                ],
            ),
            (
                Message::Disconnect {
                    scope: one(),
                    close: true,
                },
                vec![format!(
                    r#"{{"method":"disconnect","sid":"{id}","close":true,{end}"#
                )],
            ),
            (
                Message::CloseRoom {
                    room: "a".to_owned(),
                },
                vec![format!(r#"{{"method":"close_room","room":"a",{end}"#)],
            ),
        ] {
            let envelopes = written
                .into_iter()
                .map(|json| node().envelope(json))
                .collect();
            assert_eq!(node().encode("/", &message), Ok(envelopes));
        }
    }

    #[test]
    fn messages_without_a_python_method_are_unsupported() {
        let rooms = || vec!["a".to_owned()];
        let all = fixture::scope(&[], &[]);
        let unsupported = |message: Message| {
            let told = node().encode("/", &message);
            assert!(
                matches!(told, Err(ClusterError::Unsupported(_))),
                "{message:?}"
            );
        };
        unsupported(emit_to(fixture::scope(&[], &["a"])));
        unsupported(Message::Join {
            scope: all,
            rooms: rooms(),
        });
        unsupported(Message::Disconnect {
            scope: fixture::scope(&["lobby"], &[]),
            close: false,
        });
        unsupported(fixture::messages()[8].clone());
        let rooms = Question::Rooms;
        let ids = Question::Ids(Vec::new());
        for question in fixture::questions().into_iter().chain([rooms, ids]) {
            let asked = node().encode_question("/", &question, "0000000000ff");
            assert!(
                matches!(asked, Err(ClusterError::Unsupported(_))),
                "{question:?}"
            );
        }
    }

    #[test]
    fn malformed_message_is_an_error_with_its_cause() {
        let everyone = plain(r#""room": null, "skip_sid": null"#);
        let binary = everyone.replace("false", "true");
        for (json, why) in [
            (
                emit("[1]", &everyone).replace(r#""e""#, r#""disconnect""#),
                "\"disconnect\" is reserved",
            ),
            (
                emit("[1]", &everyone).replace(r#""event""#, r#""name""#),
                "an emit without an event",
            ),
            (
                emit(r#"[[{"_placeholder": true, "num": 1}], "AQI="]"#, &binary),
                "placeholder \"1\" in a packet with 1 attachments",
            ),
            (
                emit(r#"[[{"_placeholder": true, "num": 0}]]"#, &binary),
                "placeholder \"0\" in a packet with 0 attachments",
            ),
            (emit(r#"[[], "%"]"#, &binary), "Invalid"),
            (emit("[]", &binary), "binary data without arguments"),
            (emit("NaN", &everyone), "expected value"),
            ("{}".to_owned(), "missing field `method`"),
        ] {
            let error = read(&json).unwrap_err();
            assert!(error.contains(why), "{json}: {error}");
        }
    }

    #[test]
    fn captured_messages_and_their_mutations_do_not_panic() {
        let pickle = fixture::payload(PICKLE).to_vec();
        replay_all("bus", &[pickle, JSON.as_bytes().to_vec()], |input| {
            let payload = Bytes::copy_from_slice(input);
            let _ = node().decode(CHANNEL, CHANNEL, &payload);
        });
    }
}
