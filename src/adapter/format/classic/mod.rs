//! The format of `@socket.io/redis-adapter` 8.3 and `@socket.io/redis-emitter` 5.1, on Redis pub/sub.
//!
//! An event goes to `<prefix>#<namespace>#`, or to its room's channel below that, as MessagePack;
//! everything else to `<prefix>-request#<namespace>#`, as JSON, or as MessagePack where clients are
//! asked or binary is sent. Answers go to `<prefix>-response#<namespace>#<uid>#` of who asked. What is
//! written here beside the adapter's own fields, `uid`, `sid`, `more` and `gone` in answers and `kin` in
//! requests, is skipped by its readers.

mod words;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::adapter::format::body::{EventPacket, Options, details_json, list, options, quoted};
use crate::adapter::format::classic::words::{
    ALL_ROOMS, BROADCAST, BROADCAST_ACK, BROADCAST_CLIENT_COUNT, REMOTE_DISCONNECT, REMOTE_FETCH,
    REMOTE_JOIN, REMOTE_LEAVE, Request, Response, SERVER_SIDE_EMIT, SOCKETS,
};
use crate::adapter::format::{
    Asker, Channel, Format, Heard, Parcel, Roll, Word, glob, msgpack, polls, rest_of,
};
use crate::cluster::{ClusterError, Manner, Message, Question, Reply, Scope};
use crate::id::Tag;
use crate::socketio::Args;

/// The format, for one node.
#[derive(Debug)]
pub(crate) struct Classic {
    uid: String,
    prefix: String,
}

impl Classic {
    /// Signs with `uid`; `key` is what all channels begin with.
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

    fn request(&self, namespace: &str, json: String, attachments: &[Bytes]) -> Wrote {
        Ok(Parcel::Publish {
            channel: self.requests(namespace),
            payload: payload(json, attachments)?,
        })
    }

    /// Writes an answer's JSON, what is attached to it, and whether it is always packed.
    fn reply<'r>(&self, asker: &Asker, reply: &'r Reply) -> (String, &'r [Bytes], bool) {
        let uid = quoted(&self.uid);
        let request = format!(r#""requestId":{}"#, quoted(&asker.request));
        match reply {
            Reply::Asked(count) => {
                let kind = BROADCAST_CLIENT_COUNT;
                let json =
                    format!(r#"{{"type":{kind},{request},"clientCount":{count},"uid":{uid}}}"#);
                (json, &[][..], false)
            }
            Reply::Acknowledged(socket, args) => {
                let (first, more) = rest_of(args);
                let mut json = format!(r#"{{"type":{BROADCAST_ACK},{request}"#);
                if !first.is_empty() {
                    json.push_str(&format!(r#","packet":{first}"#));
                }
                if let Some(more) = more {
                    json.push_str(&format!(r#","more":[{more}]"#));
                }
                if let Some(socket) = socket {
                    json.push_str(&format!(r#","sid":"{socket}""#));
                }
                json.push_str(&format!(r#","uid":{uid}}}"#));
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
                let (first, _) = rest_of(args);
                let data = if first.is_empty() { "null" } else { first };
                let kind = SERVER_SIDE_EMIT;
                let json = format!(r#"{{"type":{kind},{request},"data":{data},"uid":{uid}}}"#);
                (json, args.attachments(), false)
            }
        }
    }

    fn hear_event(&self, namespace: &str, payload: &Bytes) -> Hears {
        let (json, attachments) = msgpack::to_json(payload)?;
        let (from, packet, options): (String, EventPacket<'_>, Options) =
            serde_json::from_str(&json).map_err(|error| error.to_string())?;
        if from == self.uid || packet.namespace().unwrap_or("/") != namespace {
            return Ok(None);
        }
        let manner = options.manner();
        let message = Message::Emit {
            content: packet.content(attachments)?,
            scope: options.into_scope(),
            manner,
        };
        Ok(Some(Heard {
            namespace: namespace.to_owned(),
            from,
            word: Word::Told(message),
        }))
    }

    fn hear_request(&self, namespace: &str, payload: &Bytes) -> Hears {
        let (json, attachments) = unpack(payload)?;
        let request: Request<'_> = read(&json)?;
        if request.uid.as_deref() == Some(&self.uid) {
            return Ok(None);
        }
        let from = request.uid.clone().unwrap_or_default();
        Ok(request.word(attachments)?.map(|word| Heard {
            namespace: namespace.to_owned(),
            from,
            word,
        }))
    }

    fn hear_response(namespace: &str, payload: &Bytes) -> Hears {
        let (json, attachments) = unpack(payload)?;
        let response: Response<'_> = read(&json)?;
        let (from, request) = (response.uid.clone(), response.request.clone());
        let (Some(request), Some(reply)) = (request, response.reply(attachments)) else {
            return Ok(None);
        };
        Ok(Some(Heard {
            namespace: namespace.to_owned(),
            from: from.unwrap_or_default(),
            word: Word::Answered { request, reply },
        }))
    }
}

impl Format for Classic {
    fn uid(&self) -> &str {
        &self.uid
    }

    fn tell(&self, namespace: &str, message: &Message) -> Result<Vec<Parcel>, ClusterError> {
        let uid = quoted(&self.uid);
        let about = |kind: u8, scope: &Scope, rest: &str| {
            let scope = scope_json(scope);
            format!(r#"{{"uid":{uid},"type":{kind},"opts":{scope},{rest}}}"#)
        };
        let parcel = match message {
            Message::Emit {
                content,
                scope,
                manner,
            } => {
                let json = format!(
                    r#"[{uid},{},{}]"#,
                    packet(namespace, &content.0),
                    options(scope, *manner, None)
                );
                let packed = msgpack::from_json(&json, content.0.attachments());
                let mut channel = self.events(namespace);
                if let [room] = scope.rooms.as_slice() {
                    channel.push_str(room);
                    channel.push('#');
                }
                Parcel::Publish {
                    channel,
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
        Ok(vec![parcel])
    }

    fn ask(
        &self,
        namespace: &str,
        question: &Question,
        request: &str,
    ) -> Result<Vec<Parcel>, ClusterError> {
        let head = format!(
            r#"{{"uid":{},"requestId":{}"#,
            quoted(&self.uid),
            quoted(request)
        );
        let parcel = match question {
            Question::Emit {
                content,
                scope,
                limit,
            } => {
                let json = format!(
                    r#"{head},"type":{BROADCAST},"packet":{},"opts":{},"kin":true}}"#,
                    packet(namespace, &content.0),
                    options(scope, Manner::default(), Some(*limit))
                );
                let packed = msgpack::from_json(&json, content.0.attachments());
                Parcel::Publish {
                    channel: self.requests(namespace),
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
                self.request(namespace, format!(r#"{head},"type":{ALL_ROOMS}}}"#), &[])?
            }
            Question::ServerSide(content) => {
                let data = content.0.as_json();
                let json = format!(r#"{head},"type":{SERVER_SIDE_EMIT},"data":[{data}]}}"#);
                self.request(namespace, json, content.0.attachments())?
            }
        };
        Ok(vec![parcel])
    }

    fn answer(
        &self,
        namespace: &str,
        asker: &Asker,
        reply: &Reply,
    ) -> Result<Option<Parcel>, ClusterError> {
        if matches!(reply, Reply::Gone(_)) && !asker.kin {
            return Ok(None);
        }
        let (json, attachments, packed) = self.reply(asker, reply);
        let mut channel = self.responses(namespace);
        if !asker.uid.is_empty() {
            channel.push_str(&asker.uid);
            channel.push('#');
        }
        let payload = if packed {
            let packed = msgpack::from_json(&json, attachments);
            packed.map_err(ClusterError::Encode)?.into()
        } else {
            payload(json, attachments)?
        };
        Ok(Some(Parcel::Publish { channel, payload }))
    }

    fn hear(&self, channel: &str, payload: &Bytes) -> Hears {
        let rest = channel.strip_prefix(&self.prefix).unwrap_or_default();
        let named = |rest: &str| rest.split('#').next().unwrap_or_default().to_owned();
        if let Some(rest) = rest.strip_prefix('#') {
            self.hear_event(&named(rest), payload)
        } else if let Some(rest) = rest.strip_prefix("-request#") {
            self.hear_request(&named(rest), payload)
        } else if let Some(rest) = rest.strip_prefix("-response#") {
            Self::hear_response(&named(rest), payload)
        } else {
            Ok(None)
        }
    }

    fn channels(&self, namespace: &str) -> Vec<Channel> {
        let responses = self.responses(namespace);
        vec![
            Channel::Pattern(format!("{}*", glob(&self.events(namespace)))),
            Channel::Plain(self.requests(namespace)),
            Channel::Plain(format!("{responses}{}#", self.uid)),
            Channel::Plain(responses),
        ]
    }

    fn asks_for_rooms(&self) -> bool {
        true
    }

    fn room_channel(&self, _: &str, _: &str) -> Option<Channel> {
        None
    }

    fn poll_channel(&self, node: Tag) -> Channel {
        Channel::Plain(polls(&self.prefix, node))
    }

    fn roll(&self, namespace: &str) -> Option<Roll> {
        Some(Roll {
            sharded: false,
            prefix: self.responses(namespace),
            length: self.uid.len(),
        })
    }
}

/// Puts the first argument of an acknowledgement before those that only nodes of this crate send.
pub(crate) fn with_more(
    first: Option<&RawValue>,
    more: Option<&RawValue>,
    attachments: Vec<Bytes>,
) -> Args {
    let mut json = first
        .map(|first| first.get().to_owned())
        .unwrap_or_default();
    let more = more.and_then(|more| more.get().trim().strip_prefix('['));
    if let Some(more) = more.and_then(|more| more.strip_suffix(']')) {
        json.push(',');
            everyone: self.requests(namespace),
        json.push_str(more);
    }
    Args::new(json, attachments)
}

type Wrote = Result<Parcel, ClusterError>;
type Hears = Result<Option<Heard>, String>;

fn read<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

/// JSON begins with a brace, and MessagePack never does.
pub(crate) fn unpack(payload: &Bytes) -> Result<(String, Vec<Bytes>), String> {
    if payload.first() == Some(&b'{') {
        let json = std::str::from_utf8(payload).map_err(|error| error.to_string())?;
        return Ok((json.to_owned(), Vec::new()));
    }
    Ok(msgpack::to_json(payload)?)
}

/// Writes JSON where it can carry what there is, and MessagePack where binary is in it.
pub(crate) fn payload(json: String, attachments: &[Bytes]) -> Result<Bytes, ClusterError> {
    if attachments.is_empty() {
        return Ok(json.into());
    }
    let packed = msgpack::from_json(&json, attachments);
    packed.map(Into::into).map_err(ClusterError::Encode)
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
