//! The messages shared by the sharded and the stream adapters of the Node.js server.
//!
//! Each has a type, a sender, the namespace, and data, which is written and read here. An answer's
//! `sid`, `more` and `gone`, and a question's `kin`, are fields of nodes of this crate, which other
//! readers ignore.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::adapter::format::json::{
    EventPacket, Options, acknowledged, argument, details_json, first, list, named, options,
    quoted, value, with_more,
};
use crate::adapter::format::{Incoming, MembershipChange, Presence, Received, Requester};
use crate::cluster::{Details, EmitFlags, Message, Question, Reply, Scope, names};
use crate::socketio::msgpack;

/// A message's type and data.
#[derive(Debug)]
pub(crate) struct Body<'a> {
    pub(crate) kind: u8,
    pub(crate) data: String,
    pub(crate) attachments: &'a [Bytes],
}

impl<'a> Body<'a> {
    pub(crate) fn of_message(message: &'a Message) -> Self {
        let everyone = EmitFlags::default();
        let (kind, data, attachments) = match message {
            Message::Emit {
                content,
                scope,
                flags,
            } => {
                let (packet, options) = (content.0.as_json(), options(scope, *flags, None));
                let data =
                    format!(r#"{{"packet":{{"type":2,"data":[{packet}]}},"opts":{options}}}"#);
                (BROADCAST, data, content.0.attachments())
            }
            Message::Join { scope, rooms } => {
                let (options, rooms) = (options(scope, everyone, None), list(rooms));
                let data = format!(r#"{{"opts":{options},"rooms":{rooms}}}"#);
                (SOCKETS_JOIN, data, &[][..])
            }
            Message::Leave { scope, rooms } => {
                let (options, rooms) = (options(scope, everyone, None), list(rooms));
                let data = format!(r#"{{"opts":{options},"rooms":{rooms}}}"#);
                (SOCKETS_LEAVE, data, &[][..])
            }
            Message::CloseRoom { room } => {
                let rooms = vec![room.clone()];
                let named = list(&rooms);
                let scope = Scope {
                    rooms,
                    except: Vec::new(),
                };
                let options = options(&scope, everyone, None);
                let data = format!(r#"{{"opts":{options},"rooms":{named}}}"#);
                (SOCKETS_LEAVE, data, &[][..])
            }
            Message::Disconnect { scope, close } => {
                let options = options(scope, everyone, None);
                let data = format!(r#"{{"opts":{options},"close":{close}}}"#);
                (DISCONNECT_SOCKETS, data, &[][..])
            }
            Message::ServerSide(content) => {
                let data = format!(r#"{{"packet":[{}]}}"#, content.0.as_json());
                (SERVER_SIDE_EMIT, data, content.0.attachments())
            }
        };
        Self {
            kind,
            data,
            attachments,
        }
    }

    /// Returns `None` if these messages do not support the question.
    pub(crate) fn of_question(question: &'a Question, request: &str) -> Option<Self> {
        let request = quoted(request);
        let everyone = EmitFlags::default();
        let (kind, data, attachments) = match question {
            Question::Emit {
                content,
                scope,
                flags,
                limit,
            } => {
                let packet = content.0.as_json();
                let options = options(scope, *flags, Some(*limit));
                let data = format!(
                    r#"{{"packet":{{"type":2,"data":[{packet}]}},"requestId":{request},"opts":{options},"kin":true}}"#
                );
                (BROADCAST, data, content.0.attachments())
            }
            Question::Sockets(scope) => {
                let options = options(scope, everyone, None);
                let data = format!(r#"{{"opts":{options},"requestId":{request}}}"#);
                (FETCH_SOCKETS, data, &[][..])
            }
            Question::ServerSide(content) => {
                let packet = content.0.as_json();
                let data = format!(r#"{{"requestId":{request},"packet":[{packet}]}}"#);
                (SERVER_SIDE_EMIT, data, content.0.attachments())
            }
            Question::Ids(_) | Question::Rooms => return None,
        };
        Some(Self {
            kind,
            data,
            attachments,
        })
    }

    /// Returns `None` if the node that asks does not support the reply.
    pub(crate) fn of_reply(requester: &Requester, reply: &'a Reply) -> Option<Self> {
        let request = format!(r#"{{"requestId":{}"#, quoted(&requester.request));
        let (kind, data, attachments) = match reply {
            Reply::Asked(count) => {
                let data = format!(r#"{request},"clientCount":{count}}}"#);
                (BROADCAST_CLIENT_COUNT, data, &[][..])
            }
            Reply::Acknowledged(socket, args) => {
                let data = format!("{request}{}}}", acknowledged(socket.as_ref(), args));
                (BROADCAST_ACK, data, args.attachments())
            }
            Reply::Gone(count) if requester.is_native => (
                BROADCAST_ACK,
                format!(r#"{request},"gone":{count}}}"#),
                &[][..],
            ),
            Reply::Sockets(sockets) => {
                let data = format!(r#"{request},"sockets":{}}}"#, details_json(sockets));
                (FETCH_SOCKETS_RESPONSE, data, &[][..])
            }
            Reply::ServerSide(args) => {
                let data = format!("{request}{}}}", first("packet", args));
                (SERVER_SIDE_EMIT_RESPONSE, data, args.attachments())
            }
            Reply::Gone(_) | Reply::Ids(_) | Reply::Rooms(_) | Reply::Done => return None,
        };
        Some(Self {
            kind,
            data,
            attachments,
        })
    }

    /// Writes the whole message as one value.
    pub(crate) fn whole(&self, uid: &str, namespace: &str) -> String {
        let Self { kind, data, .. } = self;
        let (uid, namespace) = (quoted(uid), quoted(namespace));
        format!(r#"{{"type":{kind},"data":{data},"uid":{uid},"nsp":{namespace}}}"#)
    }
}

/// A message as one value.
#[derive(Debug, Deserialize)]
pub(crate) struct Whole<'a> {
    #[serde(rename = "type")]
    pub(crate) kind: u8,
    #[serde(borrow)]
    pub(crate) data: Option<&'a RawValue>,
    pub(crate) uid: Option<String>,
    pub(crate) nsp: Option<String>,
}

/// Reads a message that is one value.
pub(crate) fn from_whole(
    json: &str,
    attachments: Vec<Bytes>,
    own: &str,
) -> Result<Option<Incoming>, String> {
    let whole: Whole<'_> = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let (from, namespace) = (whole.uid.unwrap_or_default(), whole.nsp.unwrap_or_default());
    if from == own {
        return Ok(None);
    }
    let data = whole.data.map_or("{}", RawValue::get);
    let word = word(whole.kind, data, attachments, &from)?;
    Ok(word.map(|word| Incoming {
        namespace,
        from,
        word,
    }))
}

/// Reads a message whose parts are the fields of a stream's entry.
pub(crate) fn from_fields(
    from: &str,
    namespace: &str,
    kind: &str,
    data: &[u8],
) -> Result<Option<Incoming>, String> {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    let kind = kind
        .parse()
        .map_err(|_| format!("unknown message type {kind:?}"))?;
    let (json, attachments) = match data.first() {
        None => ("{}".to_owned(), Vec::new()),
        Some(b'{') => {
            let text = std::str::from_utf8(data).map_err(|error| error.to_string())?;
            (text.to_owned(), Vec::new())
        }
        Some(_) => {
            let packed = STANDARD.decode(data).map_err(|error| error.to_string())?;
            msgpack::to_json(&packed.into())?
        }
    };
    let word = word(kind, &json, attachments, from)?;
    Ok(word.map(|word| Incoming {
        namespace: namespace.to_owned(),
        from: from.to_owned(),
        word,
    }))
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(default, borrow, deserialize_with = "value")]
    packet: Option<&'a RawValue>,
    opts: Option<Options>,
    #[serde(rename = "requestId")]
    request: Option<String>,
    #[serde(default, deserialize_with = "names")]
    rooms: Vec<String>,
    close: Option<bool>,
    sockets: Option<Vec<Details>>,
    #[serde(rename = "clientCount")]
    count: Option<usize>,
    #[serde(borrow)]
    more: Option<&'a RawValue>,
    sid: Option<String>,
    gone: Option<usize>,
    #[serde(default, rename = "kin")]
    is_native: bool,
}

fn word(
    kind: u8,
    json: &str,
    attachments: Vec<Bytes>,
    from: &str,
) -> Result<Option<Received>, String> {
    let data: Data<'_> = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let reply = match kind {
        INITIAL_HEARTBEAT => return Ok(Some(Received::Presence(Presence::Hello))),
        HEARTBEAT => return Ok(Some(Received::Presence(Presence::Here))),
        ADAPTER_CLOSE => return Ok(Some(Received::Presence(Presence::Bye))),
        FETCH_SOCKETS_RESPONSE => {
            let sockets = data.sockets.unwrap_or_default().into_iter();
            let sockets = sockets.map(|socket| with_binary(socket, &attachments));
            Reply::Sockets(sockets.collect())
        }
        SERVER_SIDE_EMIT_RESPONSE => Reply::ServerSide(argument(data.packet, attachments)),
        BROADCAST_CLIENT_COUNT => Reply::Asked(data.count.unwrap_or(0)),
        BROADCAST_ACK => match data.gone {
            Some(gone) => Reply::Gone(gone),
            None => {
                let socket = data.sid.and_then(|sid| sid.parse().ok());
                Reply::Acknowledged(socket, with_more(data.packet, data.more, attachments))
            }
        },
        _ => return data.said(kind, attachments, from).map(Some),
    };
    let request = data.request.unwrap_or_default();
    Ok(Some(Received::Answered { request, reply }))
}

impl Data<'_> {
    /// Returns a message, or a question if the node has given it an id.
    fn said(self, kind: u8, attachments: Vec<Bytes>, from: &str) -> Result<Received, String> {
        let requester = self.request.map(|request| Requester {
            uid: from.to_owned(),
            request,
            is_native: self.is_native,
            callback: None,
        });
        // It is not for all sockets, which empty options would mean.
        let options = self.opts;
        let options = options.ok_or_else(|| format!("a message of type {kind} without opts"));
        let packet = self.packet.ok_or("a message without a packet");
        let change = match kind {
            BROADCAST => return broadcast(requester, packet?, options?, attachments),
            FETCH_SOCKETS => {
                let question = Question::Sockets(options?.into_scope());
                return Ok(Received::Asked(requester.unwrap_or_default(), question));
            }
            SERVER_SIDE_EMIT => {
                let content = named(packet?, attachments)?;
                return Ok(match requester {
                    None => Received::Message(Message::ServerSide(content)),
                    Some(requester) => Received::Asked(requester, Question::ServerSide(content)),
                });
            }
            SOCKETS_JOIN => MembershipChange::Join(self.rooms),
            SOCKETS_LEAVE => MembershipChange::Leave(self.rooms),
            DISCONNECT_SOCKETS => MembershipChange::Disconnect {
                close: self.close.unwrap_or(false),
            },
            other => return Err(format!("unknown message type {other}")),
        };
        Ok(Received::Message(change.of(options?.into_scope())))
    }
}

/// Reads an event for clients, with or without acknowledgements.
fn broadcast(
    requester: Option<Requester>,
    packet: &RawValue,
    options: Options,
    attachments: Vec<Bytes>,
) -> Result<Received, String> {
    let packet: EventPacket<'_> =
        serde_json::from_str(packet.get()).map_err(|error| error.to_string())?;
    let content = packet.content(attachments)?;
    let (flags, limit) = (options.flags(), options.limit());
    let scope = options.into_scope();
    Ok(match requester {
        None => Received::Message(Message::Emit {
            content,
            scope,
            flags,
        }),
        Some(requester) => {
            let question = Question::Emit {
                content,
                scope,
                flags,
                limit,
            };
            Received::Asked(requester, question)
        }
    })
}

/// Writes the binary that a program keeps for a socket, as `JSON.stringify` does.
fn with_binary(mut socket: Details, attachments: &[Bytes]) -> Details {
    if !attachments.is_empty() {
        let values = socket.data.values_mut();
        values
            .chain([&mut socket.handshake])
            .for_each(|value| write_binary(value, attachments));
    }
    socket
}

fn write_binary(value: &mut Value, attachments: &[Bytes]) {
    match value {
        Value::Array(list) => list
            .iter_mut()
            .for_each(|value| write_binary(value, attachments)),
        Value::Object(entries) => {
            let is_binary = entries.get("_placeholder") == Some(&Value::Bool(true));
            let number = entries.get("num").filter(|_| is_binary);
            let number = number.and_then(Value::as_u64).map(usize::try_from);
            if let Some(data) = number.and_then(|number| attachments.get(number.ok()?)) {
                *value = json!({ "type": "Buffer", "data": data.as_ref() });
            } else {
                entries
                    .values_mut()
                    .for_each(|value| write_binary(value, attachments));
            }
        }
        _ => {}
    }
}

const INITIAL_HEARTBEAT: u8 = 1;
const HEARTBEAT: u8 = 2;
pub(crate) const BROADCAST: u8 = 3;
const SOCKETS_JOIN: u8 = 4;
const SOCKETS_LEAVE: u8 = 5;
const DISCONNECT_SOCKETS: u8 = 6;
const FETCH_SOCKETS: u8 = 7;
const FETCH_SOCKETS_RESPONSE: u8 = 8;
pub(crate) const SERVER_SIDE_EMIT: u8 = 9;
const SERVER_SIDE_EMIT_RESPONSE: u8 = 10;
const BROADCAST_CLIENT_COUNT: u8 = 11;
const BROADCAST_ACK: u8 = 12;
const ADAPTER_CLOSE: u8 = 13;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::format::fixture;
    use crate::cluster::EventPayload;
    use crate::id::SocketId;
    use crate::socketio::Args;

    fn read(json: &str, attachments: &[Bytes]) -> Result<Option<Received>, String> {
        let heard = from_whole(json, attachments.to_vec(), "own")?;
        Ok(heard.map(|heard| heard.word))
    }

    fn requester(is_native: bool) -> Requester {
        Requester {
            uid: "other".to_owned(),
            request: "r".to_owned(),
            is_native,
            callback: None,
        }
    }

    #[test]
    fn answers_are_read_as_they_are_written() {
        let id = SocketId::random();
        let acknowledged =
            fixture::acknowledgements().map(|args| Reply::Acknowledged(Some(id.clone()), args));
        let others = [
            Reply::Asked(2),
            Reply::Gone(1),
            Reply::Sockets(vec![Details {
                id: id.as_str().to_owned(),
                ..Details::default()
            }]),
            Reply::ServerSide(fixture::args("")),
            Reply::ServerSide(fixture::args("null")),
            Reply::ServerSide(fixture::binary()),
        ];
        for reply in acknowledged.into_iter().chain(others) {
            let body = Body::of_reply(&requester(true), &reply).unwrap();
            let word = read(&body.whole("other", "/"), body.attachments).unwrap();
            let reply = match &reply {
                // These have one argument.
                Reply::ServerSide(args) => {
                    let first = args.split_text().0.to_owned();
                    Reply::ServerSide(Args::new(first, args.attachments().to_vec()))
                }
                other => other.clone(),
            };
            let request = "r".to_owned();
            assert_eq!(word, Some(Received::Answered { request, reply }));
        }
        for reply in [Reply::Gone(1), Reply::Rooms(Vec::new()), Reply::Done] {
            assert!(
                Body::of_reply(&requester(false), &reply).is_none(),
                "{reply:?}"
            );
        }
    }

    #[test]
    fn broadcast_with_ack_carries_its_flags() {
        let question = fixture::swift_question();
        let body = Body::of_question(&question, "r").unwrap();
        let word = read(&body.whole("other", "/"), body.attachments).unwrap();
        assert_eq!(word, Some(Received::Asked(requester(true), question)));
    }

    #[test]
    fn binary_that_is_kept_for_a_socket_is_read_as_it_is_stringified() {
        let json = concat!(
            r#"{"type":8,"uid":"other","nsp":"/","data":{"requestId":"r","sockets":[{"id":"s","rooms":[42],"#,
            r#""data":{"key":{"_placeholder":true,"num":0},"list":[1,{"_placeholder":true,"num":1}]}}]}}"#
        );
        let attachments = [Bytes::from_static(&[1, 2]), Bytes::from_static(&[3])];
        let Ok(Some(Received::Answered {
            reply: Reply::Sockets(sockets),
            ..
        })) = read(json, &attachments)
        else {
            panic!("no sockets");
        };
        assert_eq!(
            sockets[0].data["key"],
            json!({ "type": "Buffer", "data": [1, 2] })
        );
        assert_eq!(
            sockets[0].data["list"],
            json!([1, { "type": "Buffer", "data": [3] }])
        );
        assert_eq!(sockets[0].rooms, ["42"]);
    }

    #[test]
    fn malformed_message_is_an_error_with_its_cause() {
        let placeholder = r#"{"packet":{"data":["a",{"_placeholder":true,"num":1}]},"opts":{}}"#;
        for (kind, data, why) in [
            (
                3,
                r#"{"packet":{"data":["a"]}}"#,
                "a message of type 3 without opts",
            ),
            (4, r#"{"rooms":["a"]}"#, "a message of type 4 without opts"),
            (5, r#"{"rooms":["a"]}"#, "a message of type 5 without opts"),
            (6, r#"{"close":true}"#, "a message of type 6 without opts"),
            (
                7,
                r#"{"requestId":"r"}"#,
                "a message of type 7 without opts",
            ),
            (3, r#"{"opts":{}}"#, "without a packet"),
            (3, r#"{"packet":null,"opts":{}}"#, "null"),
            (
                3,
                r#"{"packet":{"data":["connect"]},"opts":{}}"#,
                "\"connect\" is reserved",
            ),
            (
                3,
                r#"{"packet":{"data":["dis\u0063onnect"]},"opts":{}}"#,
                "is reserved",
            ),
            (
                3,
                placeholder,
                "placeholder \"1\" in a packet with 1 attachments",
            ),
            (8, r#"{"sockets":[{}]}"#, "missing field `id`"),
            (11, r#"{"clientCount":-1}"#, "invalid value"),
            (14, "{}", "message type 14"),
        ] {
            let json = format!(r#"{{"type":{kind},"uid":"other","nsp":"/","data":{data}}}"#);
            let attachments = if data == placeholder {
                vec![Bytes::new()]
            } else {
                Vec::new()
            };
            let error = read(&json, &attachments).unwrap_err();
            assert!(error.contains(why), "{json}: {error}");
        }
        // Between servers these names are not reserved.
        let json = r#"{"type":9,"uid":"other","nsp":"/","data":{"packet":["disconnect"]}}"#;
        let content = EventPayload(fixture::args(r#""disconnect""#));
        let told = Received::Message(Message::ServerSide(content));
        assert_eq!(read(json, &[]), Ok(Some(told)));
    }
}
