//! The messages that the sharded and the stream adapters of the Node.js server share.
//!
//! Each has a type, who says it, the namespace, and data, which is written and read here. An answer's
//! `sid`, `more` and `gone`, and a question's `kin`, are words between nodes of this crate, which other
//! readers skip.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::adapter::format::body::{
    EventPacket, Options, argument, content, details_json, list, names, options, quoted,
};
use crate::adapter::format::classic::with_more;
use crate::adapter::format::{Asker, Heard, Word, msgpack, rest_of};
use crate::cluster::{Details, Manner, Message, Question, Reply, Scope};

/// A message's type and data.
#[derive(Debug)]
pub(crate) struct Body<'a> {
    pub(crate) kind: u8,
    pub(crate) data: String,
    pub(crate) attachments: &'a [Bytes],
}

impl<'a> Body<'a> {
    pub(crate) fn of_message(message: &'a Message) -> Self {
        let everyone = Manner::default();
        let (kind, data, attachments) = match message {
            Message::Emit {
                content,
                scope,
                manner,
            } => {
                let (packet, options) = (content.0.as_json(), options(scope, *manner, None));
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

    /// `None` where the family has no such question.
    pub(crate) fn of_question(question: &'a Question, request: &str) -> Option<Self> {
        let request = quoted(request);
        let everyone = Manner::default();
        let (kind, data, attachments) = match question {
            Question::Emit {
                content,
                scope,
                limit,
            } => {
                let packet = content.0.as_json();
                let options = options(scope, everyone, Some(*limit));
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

    /// `None` where the asker has no word for it.
    pub(crate) fn of_reply(asker: &Asker, reply: &'a Reply) -> Option<Self> {
        let request = format!(r#"{{"requestId":{}"#, quoted(&asker.request));
        let (kind, data, attachments) = match reply {
            Reply::Asked(count) => {
                let data = format!(r#"{request},"clientCount":{count}}}"#);
                (BROADCAST_CLIENT_COUNT, data, &[][..])
            }
            Reply::Acknowledged(socket, args) => {
                let (first, more) = rest_of(args);
                let mut data = request;
                if !first.is_empty() {
                    data.push_str(&format!(r#","packet":{first}"#));
                }
                if let Some(more) = more {
                    data.push_str(&format!(r#","more":[{more}]"#));
                }
                if let Some(socket) = socket {
                    data.push_str(&format!(r#","sid":"{socket}""#));
                }
                data.push('}');
                (BROADCAST_ACK, data, args.attachments())
            }
            Reply::Gone(count) if asker.kin => (
                BROADCAST_ACK,
                format!(r#"{request},"gone":{count}}}"#),
                &[][..],
            ),
            Reply::Sockets(sockets) => {
                let data = format!(r#"{request},"sockets":{}}}"#, details_json(sockets));
                (FETCH_SOCKETS_RESPONSE, data, &[][..])
            }
            Reply::ServerSide(args) => {
                let (first, _) = rest_of(args);
                let first = if first.is_empty() { "null" } else { first };
                let data = format!(r#"{request},"packet":{first}}}"#);
                (SERVER_SIDE_EMIT_RESPONSE, data, args.attachments())
            }
            Reply::Gone(_) | Reply::Ids(_) | Reply::Rooms(_) => return None,
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
) -> Result<Option<Heard>, String> {
    let whole: Whole<'_> = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let (from, namespace) = (whole.uid.unwrap_or_default(), whole.nsp.unwrap_or_default());
    if from == own {
        return Ok(None);
    }
    let data = whole.data.map_or("{}", RawValue::get);
    let word = word(whole.kind, data, attachments, &from)?;
    Ok(word.map(|word| Heard {
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
) -> Result<Option<Heard>, String> {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    let kind = kind.parse().map_err(|_| format!("type {kind:?}"))?;
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
    Ok(word.map(|word| Heard {
        namespace: namespace.to_owned(),
        from: from.to_owned(),
        word,
    }))
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    packet: Option<&'a RawValue>,
    #[serde(default)]
    opts: Options,
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
    #[serde(default)]
    kin: bool,
}

fn word(kind: u8, json: &str, attachments: Vec<Bytes>, from: &str) -> Result<Option<Word>, String> {
    let data: Data<'_> = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let asker = |request: &str| Asker {
        uid: from.to_owned(),
        request: request.to_owned(),
        kin: data.kin,
        callback: None,
    };
    let request = data.request.clone().unwrap_or_default();
    let answered = |reply| Word::Answered { request, reply };
    let packet = data.packet.ok_or("a message without its packet");
    Ok(Some(match kind {
        BROADCAST => return broadcast(data, packet?, attachments, from).map(Some),
        SOCKETS_JOIN => Word::Told(Message::Join {
            scope: data.opts.into_scope(),
            rooms: data.rooms,
        }),
        SOCKETS_LEAVE => Word::Told(Message::Leave {
            scope: data.opts.into_scope(),
            rooms: data.rooms,
        }),
        DISCONNECT_SOCKETS => Word::Told(Message::Disconnect {
            scope: data.opts.into_scope(),
            close: data.close.unwrap_or(false),
        }),
        FETCH_SOCKETS => {
            let asker = asker(&data.request.unwrap_or_default());
            Word::Asked(asker, Question::Sockets(data.opts.into_scope()))
        }
        SERVER_SIDE_EMIT => {
            let content = content(packet?, attachments)?;
            match &data.request {
                None => Word::Told(Message::ServerSide(content)),
                Some(request) => Word::Asked(asker(request), Question::ServerSide(content)),
            }
        }
        FETCH_SOCKETS_RESPONSE => answered(Reply::Sockets(data.sockets.unwrap_or_default())),
        SERVER_SIDE_EMIT_RESPONSE => {
            answered(Reply::ServerSide(argument(data.packet, attachments)))
        }
        BROADCAST_CLIENT_COUNT => answered(Reply::Asked(data.count.unwrap_or(0))),
        BROADCAST_ACK => match data.gone {
            Some(gone) => answered(Reply::Gone(gone)),
            None => {
                let socket = data.sid.and_then(|sid| sid.parse().ok());
                let args = with_more(data.packet, data.more, attachments);
                answered(Reply::Acknowledged(socket, args))
            }
        },
        INITIAL_HEARTBEAT | HEARTBEAT | ADAPTER_CLOSE => return Ok(None),
        other => return Err(format!("message type {other}")),
    }))
}

/// Reads an event for clients, which they acknowledge where it has a request's id.
fn broadcast(
    data: Data<'_>,
    packet: &RawValue,
    attachments: Vec<Bytes>,
    from: &str,
) -> Result<Word, String> {
    let packet: EventPacket<'_> =
        serde_json::from_str(packet.get()).map_err(|error| error.to_string())?;
    let content = packet.content(attachments)?;
    let (manner, limit) = (data.opts.manner(), data.opts.limit());
    let scope = data.opts.into_scope();
    let Some(request) = data.request else {
        return Ok(Word::Told(Message::Emit {
            content,
            scope,
            manner,
        }));
    };
    let asker = Asker {
        uid: from.to_owned(),
        request,
        kin: data.kin,
        callback: None,
    };
    let question = Question::Emit {
        content,
        scope,
        limit,
    };
    Ok(Word::Asked(asker, question))
}

const INITIAL_HEARTBEAT: u8 = 1;
const HEARTBEAT: u8 = 2;
pub(crate) const BROADCAST: u8 = 3;
const SOCKETS_JOIN: u8 = 4;
const SOCKETS_LEAVE: u8 = 5;
const DISCONNECT_SOCKETS: u8 = 6;
const FETCH_SOCKETS: u8 = 7;
const FETCH_SOCKETS_RESPONSE: u8 = 8;
const SERVER_SIDE_EMIT: u8 = 9;
const SERVER_SIDE_EMIT_RESPONSE: u8 = 10;
const BROADCAST_CLIENT_COUNT: u8 = 11;
const BROADCAST_ACK: u8 = 12;
const ADAPTER_CLOSE: u8 = 13;
