//! The messages, as envelopes and from payloads.

use bytes::Bytes;
use serde::Deserialize;

use crate::adapter::format::channel::polls;
use crate::adapter::format::classic::words::{
    ALL_ROOMS, BROADCAST, BROADCAST_ACK, BROADCAST_CLIENT_COUNT, REMOTE_DISCONNECT, REMOTE_FETCH,
    REMOTE_JOIN, REMOTE_LEAVE, Request, Response, SERVER_SIDE_EMIT, SOCKETS,
};
use crate::adapter::format::json::{
    EventPacket, Options, acknowledged, details_json, first, list, options, quoted,
};
use crate::adapter::format::payload::{payload, unpack};
use crate::adapter::format::{
    Capabilities, Channel, Envelope, Format, Incoming, NodeDiscovery, Received, Requester, glob,
};
use crate::cluster::{ClusterError, Message, Question, Reply, Scope};
use crate::id::Tag;
use crate::socketio::{Args, msgpack};

/// The format, for one node.
#[derive(Debug)]
pub(crate) struct Classic {
    uid: String,
    prefix: String,
}

impl Classic {
    /// Signs with `uid`; all channels begin with `key`.
    pub(crate) fn new(uid: &str, key: &str) -> Self {
        Self {
            uid: uid.to_owned(),
            prefix: key.to_owned(),
        }
    }

    fn events(&self, namespace: &str) -> String {
        format!("{}#{namespace}#", self.prefix)
    }

    fn requests(&self, namespace: &str) -> String {
        format!("{}-request#{namespace}#", self.prefix)
    }

    fn responses(&self, namespace: &str) -> String {
        format!("{}-response#{namespace}#", self.prefix)
    }

    /// Returns the pattern of a namespace's channels for events.
    fn pattern(&self, namespace: &str) -> String {
        format!("{}*", glob(&self.events(namespace)))
    }

    fn request(&self, namespace: &str, json: String, attachments: &[Bytes]) -> EncodeResult {
        Ok(Envelope::Publish {
            channel: Channel::Plain(self.requests(namespace)),
            payload: payload(json, attachments)?,
        })
    }

    /// Returns an answer's JSON, its attachments, and whether it is always packed.
    fn reply<'r>(&self, requester: &Requester, reply: &'r Reply) -> (String, &'r [Bytes], bool) {
        let uid = quoted(&self.uid);
        let request = format!(r#""requestId":{}"#, quoted(&requester.request));
        match reply {
            Reply::Asked(count) => {
                let kind = BROADCAST_CLIENT_COUNT;
                let json =
                    format!(r#"{{"type":{kind},{request},"clientCount":{count},"uid":{uid}}}"#);
                (json, &[][..], false)
            }
            Reply::Acknowledged(socket, args) => {
                let (kind, fields) = (BROADCAST_ACK, acknowledged(socket.as_ref(), args));
                let json = format!(r#"{{"type":{kind},{request}{fields},"uid":{uid}}}"#);
                (json, args.attachments(), true)
            }
            Reply::Gone(count) => {
                let kind = BROADCAST_ACK;
                let json = format!(r#"{{"type":{kind},{request},"gone":{count},"uid":{uid}}}"#);
                (json, &[][..], false)
            }
            Reply::Sockets(sockets) => {
                let sockets = details_json(sockets);
                let json = format!(r#"{{{request},"sockets":{sockets},"uid":{uid}}}"#);
                (json, &[][..], false)
            }
            Reply::Ids(ids) => {
                let ids = list(ids);
                (
                    format!(r#"{{{request},"sockets":{ids},"uid":{uid}}}"#),
                    &[][..],
                    false,
                )
            }
            Reply::Rooms(rooms) => {
                let rooms = list(rooms);
                (
                    format!(r#"{{{request},"rooms":{rooms},"uid":{uid}}}"#),
                    &[][..],
                    false,
                )
            }
            Reply::ServerSide(args) => {
                let (kind, data) = (SERVER_SIDE_EMIT, first("data", args));
                let json = format!(r#"{{"type":{kind},{request}{data},"uid":{uid}}}"#);
                (json, args.attachments(), false)
            }
            Reply::Done => (format!(r#"{{{request},"uid":{uid}}}"#), &[][..], false),
        }
    }

    fn hear_event(&self, pattern: &str, channel: &str, payload: &Bytes) -> DecodeResult {
        let (json, attachments) = msgpack::to_json(payload)?;
        let (from, packet, options): (String, EventPacket<'_>, Options) = read(&json)?;
        let namespace = packet.namespace().unwrap_or("/");
        // Redis sends it for each pattern that matches, and the name of another namespace may be
        // longer.
        if from == self.uid || pattern != self.pattern(namespace) {
            return Ok(None);
        }
        let flags = options.flags();
        let mut scope = options.into_scope();
        let events = self.events(namespace);
        let below = channel.strip_prefix(&events);
        // Some emitters publish for each room separately and name all rooms each time.
        if let Some(room) = below.and_then(|below| below.strip_suffix('#')) {
            scope.rooms = vec![room.to_owned()];
        }
        let message = Message::Emit {
            content: packet.content(attachments)?,
            scope,
            flags,
        };
        Ok(Some(Incoming {
            namespace: namespace.to_owned(),
            from,
            word: Received::Message(message),
        }))
    }

    fn hear_request(&self, namespace: &str, payload: &Bytes) -> DecodeResult {
        let (json, attachments) = unpack(payload)?;
        let request: Request<'_> = read(&json)?;
        if request.uid.as_deref() == Some(&self.uid) {
            return Ok(None);
        }
        let from = request.uid.clone().unwrap_or_default();
        Ok(request.word(attachments)?.map(|word| Incoming {
            namespace: namespace.to_owned(),
            from,
            word,
        }))
    }

    /// A request's id is enough: the channel may have a node's name after the namespace's.
    fn hear_response(payload: &Bytes) -> DecodeResult {
        let (json, attachments) = unpack(payload)?;
        let response: Response<'_> = read(&json)?;
        let (from, request) = (response.uid.clone(), response.request.clone());
        let (Some(request), Some(reply)) = (request, response.reply(attachments)?) else {
            return Ok(None);
        };
        Ok(Some(Incoming {
            namespace: String::new(),
            from: from.unwrap_or_default(),
            word: Received::Answered { request, reply },
        }))
    }
}

impl Format for Classic {
    fn uid(&self) -> &str {
        &self.uid
    }

    fn encode(&self, namespace: &str, message: &Message) -> Result<Vec<Envelope>, ClusterError> {
        let uid = quoted(&self.uid);
        let about = |kind: u8, scope: &Scope, rest: &str| {
            let scope = scope_json(scope);
            format!(r#"{{"uid":{uid},"type":{kind},"opts":{scope},{rest}}}"#)
        };
        let envelope = match message {
            Message::Emit {
                content,
                scope,
                flags,
            } => {
                let json = format!(
                    r#"[{uid},{},{}]"#,
                    packet(namespace, &content.0),
                    options(scope, *flags, None)
                );
                let packed = msgpack::from_json(&json, content.0.attachments());
                let mut channel = self.events(namespace);
                if let [room] = scope.rooms.as_slice() {
                    channel.push_str(room);
                    channel.push('#');
                }
                Envelope::Publish {
                    channel: Channel::Plain(channel),
                    payload: packed.map_err(ClusterError::Encode)?.into(),
                }
            }
            Message::Join { scope, rooms } => {
                let rest = format!(r#""rooms":{}"#, list(rooms));
                self.request(namespace, about(REMOTE_JOIN, scope, &rest), &[])?
            }
            Message::Leave { scope, rooms } => {
                let rest = format!(r#""rooms":{}"#, list(rooms));
                self.request(namespace, about(REMOTE_LEAVE, scope, &rest), &[])?
            }
            Message::CloseRoom { room } => {
                let scope = Scope {
                    rooms: vec![room.clone()],
                    except: Vec::new(),
                };
                let rest = format!(r#""rooms":{}"#, list(&scope.rooms));
                self.request(namespace, about(REMOTE_LEAVE, &scope, &rest), &[])?
            }
            Message::Disconnect { scope, close } => {
                let rest = format!(r#""close":{close}"#);
                self.request(namespace, about(REMOTE_DISCONNECT, scope, &rest), &[])?
            }
            Message::ServerSide(content) => {
                let data = content.0.as_json();
                let json = format!(r#"{{"uid":{uid},"type":{SERVER_SIDE_EMIT},"data":[{data}]}}"#);
                self.request(namespace, json, content.0.attachments())?
            }
        };
        Ok(vec![envelope])
    }

    fn encode_question(
        &self,
        namespace: &str,
        question: &Question,
        request: &str,
    ) -> Result<Vec<Envelope>, ClusterError> {
        let head = format!(
            r#"{{"uid":{},"requestId":{}"#,
            quoted(&self.uid),
            quoted(request)
        );
        let envelope = match question {
            Question::Emit {
                content,
                scope,
                flags,
                limit,
            } => {
                let json = format!(
                    r#"{head},"type":{BROADCAST},"packet":{},"opts":{},"kin":true}}"#,
                    packet(namespace, &content.0),
                    options(scope, *flags, Some(*limit))
                );
                let packed = msgpack::from_json(&json, content.0.attachments());
                Envelope::Publish {
                    channel: Channel::Plain(self.requests(namespace)),
                    payload: packed.map_err(ClusterError::Encode)?.into(),
                }
            }
            Question::Sockets(scope) => {
                let scope = scope_json(scope);
                let json = format!(r#"{head},"type":{REMOTE_FETCH},"opts":{scope}}}"#);
                self.request(namespace, json, &[])?
            }
            Question::Ids(rooms) => {
                let rooms = list(rooms);
                let json = format!(r#"{head},"type":{SOCKETS},"rooms":{rooms}}}"#);
                self.request(namespace, json, &[])?
            }
            Question::Rooms => {
                let json = format!(r#"{head},"type":{ALL_ROOMS},"kin":true}}"#);
                self.request(namespace, json, &[])?
            }
            Question::ServerSide(content) => {
                let data = content.0.as_json();
                let json = format!(r#"{head},"type":{SERVER_SIDE_EMIT},"data":[{data}]}}"#);
                self.request(namespace, json, content.0.attachments())?
            }
        };
        Ok(vec![envelope])
    }

    fn encode_reply(
        &self,
        namespace: &str,
        requester: &Requester,
        reply: &Reply,
    ) -> Result<Option<Envelope>, ClusterError> {
        if matches!(reply, Reply::Gone(_)) && !requester.is_native {
            return Ok(None);
        }
        let (json, attachments, packed) = self.reply(requester, reply);
        let mut channel = self.responses(namespace);
        if !requester.uid.is_empty() {
            channel.push_str(&requester.uid);
            channel.push('#');
        }
        let payload = if packed {
            let packed = msgpack::from_json(&json, attachments);
            packed.map_err(ClusterError::Encode)?.into()
        } else {
            payload(json, attachments)?
        };
        Ok(Some(Envelope::Publish {
            channel: Channel::Plain(channel),
            payload,
        }))
    }

    fn decode(&self, subscription: &str, channel: &str, payload: &Bytes) -> DecodeResult {
        let rest = channel.strip_prefix(&self.prefix).unwrap_or_default();
        if rest.starts_with('#') {
            self.hear_event(subscription, channel, payload)
        } else if let Some(rest) = rest.strip_prefix("-request#") {
            self.hear_request(rest.strip_suffix('#').unwrap_or(rest), payload)
        } else if rest.starts_with("-response#") {
            Self::hear_response(payload)
        } else {
            Ok(None)
        }
    }

    fn channels(&self, namespace: &str) -> Vec<Channel> {
        let responses = self.responses(namespace);
        vec![
            Channel::Pattern(self.pattern(namespace)),
            Channel::Plain(self.requests(namespace)),
            Channel::Plain(format!("{responses}{}#", self.uid)),
            Channel::Plain(responses),
        ]
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            rooms: true,
            recovery: false,
        }
    }

    fn room_channel(&self, _: &str, _: &str) -> Option<Channel> {
        None
    }

    fn poll_channel(&self, node: Tag) -> Channel {
        Channel::Plain(polls(&self.prefix, node))
    }

    fn discovery(&self, namespace: &str) -> Option<NodeDiscovery> {
        Some(NodeDiscovery {
            everyone: Channel::Plain(self.requests(namespace)),
            prefix: self.responses(namespace),
            length: self.uid.len(),
        })
    }
}

type EncodeResult = Result<Envelope, ClusterError>;
type DecodeResult = Result<Option<Incoming>, String>;

fn read<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

fn packet(namespace: &str, args: &Args) -> String {
    let data = args.as_json();
    format!(
        r#"{{"type":2,"data":[{data}],"nsp":{}}}"#,
        quoted(namespace)
    )
}

fn scope_json(scope: &Scope) -> String {
    format!(
        r#"{{"rooms":{},"except":{}}}"#,
        list(&scope.rooms),
        list(&scope.except)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::format::{MembershipChange, fixture};
    use crate::cluster::Details;
    use crate::seeds::replay_all;

    const OWN: &str = "socket.io#/#*";

    fn node(uid: &str) -> Classic {
        Classic::new(uid, "socket.io")
    }

    fn decode(channel: &str, payload: impl Into<Bytes>) -> DecodeResult {
        let events = channel.starts_with("socket.io#");
        let subscription = if events { OWN } else { channel };
        node("abcdef").decode(subscription, channel, &payload.into())
    }

    fn heard(channel: &str, payload: impl Into<Bytes>) -> Received {
        decode(channel, payload).unwrap().unwrap().word
    }

    fn requester(is_native: bool) -> Requester {
        Requester {
            uid: "TSOU2i".to_owned(),
            request: "RB2tsa".to_owned(),
            is_native,
            callback: None,
        }
    }

    #[test]
    fn messages_are_written_and_read_as_captured() {
        for (message, (channel, captured)) in fixture::messages().into_iter().zip(MESSAGES) {
            let payload = fixture::payload(captured);
            let envelope = Envelope::Publish {
                channel: Channel::Plain(channel.to_owned()),
                payload: payload.clone(),
            };
            let sender = node("TSOU2i");
            assert_eq!(sender.encode("/", &message), Ok(vec![envelope]));
            let read = decode(channel, payload.clone()).unwrap().unwrap();
            assert_eq!(
                (read.namespace.as_str(), read.from.as_str()),
                ("/", "TSOU2i")
            );
            assert_eq!(read.word, Received::Message(message));
            let subscription = if channel.starts_with("socket.io#") {
                OWN
            } else {
                channel
            };
            assert_eq!(sender.decode(subscription, channel, &payload), Ok(None));
        }
    }

    #[test]
    fn questions_are_read_as_captured_and_as_they_are_written() {
        let ids = ["1gHFtN", "RB2tsa", "q-se6x"];
        for (n, (question, captured)) in fixture::questions().into_iter().zip(QUESTIONS).enumerate()
        {
            let requester = |is_native| Requester {
                request: ids[n].to_owned(),
                ..requester(is_native)
            };
            let read = heard("socket.io-request#/#", fixture::payload(captured));
            assert_eq!(read, Received::Asked(requester(false), question.clone()));
            let written = node("TSOU2i")
                .encode_question("/", &question, ids[n])
                .unwrap();
            let [
                Envelope::Publish {
                    channel: Channel::Plain(channel),
                    payload,
                },
            ] = written.as_slice()
            else {
                panic!("{written:?}");
            };
            let is_for_clients = matches!(question, Question::Emit { .. });
            let read = heard(channel, payload.clone());
            assert_eq!(read, Received::Asked(requester(is_for_clients), question));
        }
        let rooms = node("TSOU2i")
            .encode_question("/", &Question::Rooms, "RB2tsa")
            .unwrap();
        let json = r#"{"uid":"TSOU2i","requestId":"RB2tsa","type":1,"kin":true}"#;
        let channel = "socket.io-request#/#".to_owned();
        let payload = json.into();
        assert_eq!(
            rooms,
            [Envelope::Publish {
                channel: Channel::Plain(channel),
                payload
            }]
        );
        let read = heard("socket.io-request#/#", json.replace(r#","kin":true"#, ""));
        assert_eq!(read, Received::Asked(requester(false), Question::Rooms));
        let json = r#"{"requestId":"RB2tsa","uid":"TSOU2i","type":0,"rooms":["a",42]}"#;
        let ids = Question::Ids(vec!["a".to_owned(), "42".to_owned()]);
        assert_eq!(
            heard("socket.io-request#/#", json),
            Received::Asked(requester(false), ids)
        );
    }

    #[test]
    fn broadcast_with_ack_carries_its_flags() {
        let question = fixture::swift_question();
        let written = node("TSOU2i")
            .encode_question("/", &question, "RB2tsa")
            .unwrap();
        let [
            Envelope::Publish {
                channel: Channel::Plain(channel),
                payload,
            },
        ] = written.as_slice()
        else {
            panic!("{written:?}");
        };
        let read = heard(channel, payload.clone());
        assert_eq!(read, Received::Asked(requester(true), question));
    }

    #[test]
    fn answers_are_read_as_they_are_written() {
        let id = crate::id::SocketId::random();
        let acknowledged =
            fixture::acknowledgements().map(|args| Reply::Acknowledged(Some(id.clone()), args));
        let others = [
            Reply::Asked(2),
            Reply::Gone(1),
            Reply::Ids(vec![id.as_str().to_owned()]),
            Reply::Rooms(vec!["a".to_owned()]),
            Reply::Sockets(vec![Details {
                id: id.as_str().to_owned(),
                rooms: vec!["a".to_owned()],
                ..Details::default()
            }]),
            Reply::ServerSide(fixture::args("")),
            Reply::ServerSide(fixture::args("null")),
            Reply::ServerSide(fixture::args(r#"{"a":1}"#)),
        ];
        for reply in acknowledged.into_iter().chain(others) {
            let written = node("abcdef")
                .encode_reply("/", &requester(true), &reply)
                .unwrap();
            let Some(Envelope::Publish {
                channel: Channel::Plain(channel),
                payload,
            }) = written
            else {
                panic!("{reply:?}");
            };
            assert_eq!(channel, "socket.io-response#/#TSOU2i#");
            let read = node("TSOU2i")
                .decode(&channel, &channel, &payload)
                .unwrap()
                .unwrap();
            let request = "RB2tsa".to_owned();
            assert_eq!(read.word, Received::Answered { request, reply });
            assert_eq!(read.from, "abcdef");
        }
        let gone = node("abcdef").encode_reply("/", &requester(false), &Reply::Gone(1));
        assert_eq!(gone, Ok(None));
    }

    #[test]
    fn answers_of_the_reference_are_read() {
        let channel = "socket.io-response#/#";
        let answered = |json: &str| match heard(channel, json.to_owned()) {
            Received::Answered { request, reply } if request == "r" => reply,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            answered(r#"{"requestId":"r","rooms":["a","s1"]}"#),
            Reply::Rooms(vec!["a".to_owned(), "s1".to_owned()])
        );
        assert_eq!(
            answered(r#"{"type":8,"requestId":"r","clientCount":3}"#),
            Reply::Asked(3)
        );
        assert_eq!(
            answered(r#"{"type":6,"requestId":"r","data":null}"#),
            Reply::ServerSide(fixture::args("null"))
        );
        assert_eq!(
            answered(r#"{"type":6,"requestId":"r"}"#),
            Reply::ServerSide(fixture::args(""))
        );
        let sockets = answered(
            r#"{"requestId":"r","sockets":[{"id":"s","handshake":{},"rooms":["s",42],"data":{"x":1}}]}"#,
        );
        let Reply::Sockets(sockets) = sockets else {
            panic!("{sockets:?}");
        };
        assert_eq!(sockets[0].rooms, ["s", "42"]);
        let no_sockets = decode(channel, r#"{"requestId":"r","sockets":[{"rooms":[]}]}"#);
        assert!(no_sockets.unwrap_err().contains("missing field `id`"));
    }

    #[test]
    fn an_event_for_a_room_is_for_that_room_alone_of_those_that_it_names() {
        let message = fixture::emit(
            fixture::args(r#""m""#),
            fixture::scope(&["a", "b#", "c"], &["d"]),
            fixture::PLAIN,
        );
        let written = node("TSOU2i").encode("/", &message).unwrap();
        let [Envelope::Publish { payload, .. }] = written.as_slice() else {
            panic!("{written:?}");
        };
        for (channel, rooms) in [
            ("socket.io#/#", &["a", "b#", "c"][..]),
            ("socket.io#/#a#", &["a"]),
            ("socket.io#/#b##", &["b#"]),
        ] {
            let message = fixture::emit(
                fixture::args(r#""m""#),
                fixture::scope(rooms, &["d"]),
                fixture::PLAIN,
            );
            assert_eq!(heard(channel, payload.clone()), Received::Message(message));
        }
    }

    #[test]
    fn a_namespace_may_have_a_number_sign_in_its_name() {
        let message = fixture::emit(
            fixture::args(r#""m""#),
            fixture::scope(&[], &[]),
            fixture::PLAIN,
        );
        let written = node("TSOU2i").encode("/#x", &message).unwrap();
        let [
            Envelope::Publish {
                channel: Channel::Plain(channel),
                payload,
            },
        ] = written.as_slice()
        else {
            panic!("{written:?}");
        };
        // It matches the pattern of the namespace `/` too.
        assert_eq!(node("abcdef").decode(OWN, channel, payload), Ok(None));
        let read = node("abcdef").decode("socket.io#/#x#*", channel, payload);
        assert_eq!(read.unwrap().unwrap().namespace, "/#x");
        let message = Message::Leave {
            scope: Scope::default(),
            rooms: vec!["z".to_owned()],
        };
        let written = node("TSOU2i").encode("/#x", &message).unwrap();
        let [
            Envelope::Publish {
                channel: Channel::Plain(channel),
                payload,
            },
        ] = written.as_slice()
        else {
            panic!("{written:?}");
        };
        let read = decode(channel, payload.clone()).unwrap().unwrap();
        assert_eq!(read.namespace, "/#x");
    }

    #[test]
    fn single_socket_requests_of_old_adapters_are_answered() {
        let id = crate::id::SocketId::random();
        let rooms = || vec!["a".to_owned()];
        for (kind, rest, change) in [
            (2, r#""room":"a""#, MembershipChange::Join(rooms())),
            (3, r#""room":"a""#, MembershipChange::Leave(rooms())),
            (
                4,
                r#""close":true"#,
                MembershipChange::Disconnect { close: true },
            ),
        ] {
            let json = format!(r#"{{"requestId":"RB2tsa","type":{kind},"sid":"{id}",{rest}}}"#);
            let requester = Requester {
                uid: String::new(),
                ..requester(false)
            };
            let single = Received::Single {
                requester: requester.clone(),
                socket: id.clone(),
                change,
            };
            assert_eq!(heard("socket.io-request#/#", json.clone()), single);
            let lobby = json.replace(id.as_str(), "lobby");
            assert_eq!(decode("socket.io-request#/#", lobby), Ok(None));
            let done = Envelope::Publish {
                channel: Channel::Plain("socket.io-response#/#".to_owned()),
                payload: r#"{"requestId":"RB2tsa","uid":"abcdef"}"#.into(),
            };
            let written = node("abcdef").encode_reply("/", &requester, &Reply::Done);
            assert_eq!(written, Ok(Some(done)));
        }
    }

    #[test]
    fn malformed_message_is_an_error_with_its_cause() {
        for (payload, why) in [
            (
                r#"{"type":4,"close":true}"#,
                "a request of type 4 without opts",
            ),
            (
                r#"{"type":2,"rooms":["a"]}"#,
                "a request of type 2 without opts",
            ),
            (
                r#"{"type":5,"requestId":"r"}"#,
                "a request of type 5 without opts",
            ),
            (
                r#"{"type":4,"opts":{"rooms":{}}}"#,
                "{} is no list of rooms",
            ),
            (
                r#"{"type":7,"requestId":"r","opts":{}}"#,
                "a broadcast without a packet",
            ),
            (
                r#"{"type":6,"uid":"x"}"#,
                "a server-side event without data",
            ),
            (r#"{"type":6,"data":[{}]}"#, "not a list with a name first"),
            (r#"{"uid":"x"}"#, "missing field `type`"),
            ("{", "EOF"),
            ("\u{1}\u{1}", "bytes after the value"),
        ] {
            let error = decode("socket.io-request#/#", payload).unwrap_err();
            assert!(error.contains(why), "{payload}: {error}");
        }
        for (json, why) in [
            (
                r#"["x",{"type":2,"data":["a"],"nsp":"/"}]"#,
                "invalid length 2",
            ),
            (
                r#"["x",{"type":2,"data":["disconnect"],"nsp":"/"},{}]"#,
                "\"disconnect\" is reserved",
            ),
            (
                r#"["x",{"type":2,"data":[],"nsp":"/"},{}]"#,
                "not a list with a name first",
            ),
        ] {
            let packed = msgpack::from_json(json, &[]).unwrap();
            let error = decode("socket.io#/#", packed).unwrap_err();
            assert!(error.contains(why), "{json}: {error}");
        }
    }

    /// Messages published by the reference.
    const MESSAGES: [(&str, &str); 9] = [
        (
            "socket.io#/#",
            "93a654534f55326983a47479706502a46461746193a568656c6c6f0181a161a2c3a9a36e7370a12f83a5726f6f6d7390a665786365707490a5666c61677380",
        ),
        (
            "socket.io#/#room1#",
            "93a654534f55326983a47479706502a46461746192a172c4020102a36e7370a12f83a5726f6f6d7391a5726f6f6d31a665786365707490a5666c61677380",
        ),
        (
            "socket.io#/#",
            "93a654534f55326983a47479706502a46461746191a16da36e7370a12f83a5726f6f6d7392a161a162a665786365707491a163a5666c61677380",
        ),
        (
            "socket.io#/#room1#",
            "93a654534f55326983a47479706502a46461746191a176a36e7370a12f83a5726f6f6d7391a5726f6f6d31a665786365707490a5666c61677382a8766f6c6174696c65c3a8636f6d7072657373c2",
        ),
        (
            "socket.io#/#xxxxxxxxxxxxxxxxxxxx#",
            "93a654534f55326983a47479706502a46461746191a470726976a36e7370a12f83a5726f6f6d7391b47878787878787878787878787878787878787878a665786365707490a5666c61677380",
        ),
        (
            "socket.io-request#/#",
            r#"{"uid":"TSOU2i","type":2,"opts":{"rooms":["room1"],"except":[]},"rooms":["z"]}"#,
        ),
        (
            "socket.io-request#/#",
            r#"{"uid":"TSOU2i","type":3,"opts":{"rooms":[],"except":[]},"rooms":["z"]}"#,
        ),
        (
            "socket.io-request#/#",
            r#"{"uid":"TSOU2i","type":4,"opts":{"rooms":["s"],"except":[]},"close":true}"#,
        ),
        (
            "socket.io-request#/#",
            r#"{"uid":"TSOU2i","type":6,"data":["ping",1]}"#,
        ),
    ];

    const QUESTIONS: [&str; 3] = [
        "85a3756964a654534f553269a9726571756573744964a631674846744ea47479706507a67061636b657483a47479706502a46461746192a361636b01a36e7370a12fa46f70747383a5726f6f6d7390a665786365707490a5666c61677381a774696d656f757432",
        r#"{"uid":"TSOU2i","requestId":"RB2tsa","type":6,"data":["ping2"]}"#,
        r#"{"uid":"TSOU2i","requestId":"q-se6x","type":5,"opts":{"rooms":[],"except":[]}}"#,
    ];

    #[test]
    fn captured_messages_and_their_mutations_do_not_panic() {
        for (channel, captured) in MESSAGES {
            let seeds = [fixture::payload(captured).to_vec()];
            replay_all("classic", &seeds, |input| {
                let _ = decode(channel, input.to_vec());
            });
        }
    }
}
