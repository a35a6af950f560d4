//! The format of python-socketio's `RedisManager`, which Flask-SocketIO's message queue is.
//!
//! One channel carries everything, as JSON objects with a `method`. It has no words for what is asked of
//! all nodes, nor for joining or disconnecting by rooms: sockets are named one by one there. Binary
//! stands in base64 behind the arguments.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::adapter::format::body::{list, quoted};
use crate::adapter::format::{
    Asker, Callback, Channel, DEFAULT_LIMIT, Format, Heard, Parcel, Roll, Word, polls, rest_of,
};
use crate::cluster::{ClusterError, Content, Manner, Message, Question, Reply, Scope};
use crate::id::{SocketId, Tag};
use crate::socketio::Args;

/// The format, for one node.
#[derive(Debug)]
pub(crate) struct Bus {
    uid: String,
    channel: String,
}

impl Bus {
    pub(crate) fn new(uid: &str, channel: &str) -> Self {
        Self {
            uid: uid.to_owned(),
            channel: channel.to_owned(),
        }
    }

    fn parcel(&self, json: String) -> Parcel {
        Parcel::Publish {
            channel: self.channel.clone(),
            payload: json.into(),
        }
    }

    fn emit(
        &self,
        namespace: &str,
        content: &Content,
        scope: &Scope,
        callback: Option<String>,
    ) -> Result<Parcel, ClusterError> {
        if scope.except.iter().any(|name| !is_socket(name)) {
            return Err(ClusterError::Unsupported("that a room is left out"));
        }
        let args = &content.0;
        let (name, arguments) = rest_of(args);
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
        Ok(self.parcel(format!(
            r#"{{"method":"emit","event":{name},"data":{data},"binary":{binary},"namespace":{namespace},"room":{room},"skip_sid":{skip},"callback":{callback},"host_id":{uid}}}"#
        )))
    }

    /// Writes a method that is about one socket, for each that is meant.
    fn each(
        &self,
        namespace: &str,
        method: &str,
        scope: &Scope,
        rooms: &[Option<&String>],
    ) -> Result<Vec<Parcel>, ClusterError> {
        let one_by_one = scope.except.is_empty() && scope.rooms.iter().all(|name| is_socket(name));
        if !one_by_one || scope.rooms.is_empty() {
            return Err(ClusterError::Unsupported("what is about many sockets"));
        }
        let (namespace, uid) = (quoted(namespace), quoted(&self.uid));
        let sockets = scope.rooms.iter();
        let written = sockets.flat_map(|socket| {
            let (namespace, uid) = (&namespace, &uid);
            rooms.iter().map(move |room| {
                let room = room.map(|room| format!(r#""room":{},"#, quoted(room)));
                let room = room.unwrap_or_default();
                self.parcel(format!(
                    r#"{{"method":"{method}","sid":"{socket}",{room}"namespace":{namespace},"host_id":{uid}}}"#
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

    fn tell(&self, namespace: &str, message: &Message) -> Result<Vec<Parcel>, ClusterError> {
        match message {
            Message::Emit { content, scope, .. } => {
                Ok(vec![self.emit(namespace, content, scope, None)?])
            }
            Message::Join { scope, rooms } => {
                let rooms: Vec<_> = rooms.iter().map(Some).collect();
                self.each(namespace, "enter_room", scope, &rooms)
            }
            Message::Leave { scope, rooms } => {
                let rooms: Vec<_> = rooms.iter().map(Some).collect();
                self.each(namespace, "leave_room", scope, &rooms)
            }
            Message::Disconnect { scope, .. } => self.each(namespace, "disconnect", scope, &[None]),
            Message::CloseRoom { room } => {
                let (room, namespace, uid) = (quoted(room), quoted(namespace), quoted(&self.uid));
                Ok(vec![self.parcel(format!(
                    r#"{{"method":"close_room","room":{room},"namespace":{namespace},"host_id":{uid}}}"#
                ))])
            }
            Message::ServerSide(_) => Err(ClusterError::Unsupported("events between servers")),
        }
    }

    fn ask(
        &self,
        namespace: &str,
        question: &Question,
        request: &str,
    ) -> Result<Vec<Parcel>, ClusterError> {
        let Question::Emit { content, scope, .. } = question else {
            return Err(ClusterError::Unsupported("this question"));
        };
        // An answer goes to the callback of a room, whichever of its sockets it comes from.
        let [room] = scope.rooms.as_slice() else {
            return Err(ClusterError::Unsupported(
                "a callback of no room, or of many",
            ));
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

    fn answer(
        &self,
        _: &str,
        asker: &Asker,
        reply: &Reply,
    ) -> Result<Option<Parcel>, ClusterError> {
        let (Reply::Acknowledged(_, args), Some(callback)) = (reply, &asker.callback) else {
            return Ok(None);
        };
        if !args.attachments().is_empty() {
            return Err(ClusterError::Unsupported("a callback with binary"));
        }
        let Callback {
            room,
            namespace,
            id,
        } = callback;
        let (host, args) = (quoted(&asker.uid), args.as_json());
        Ok(Some(self.parcel(format!(
            r#"{{"method":"callback","host_id":{host},"sid":{room},"namespace":{namespace},"id":{id},"args":[{args}]}}"#
        ))))
    }

    fn hear(&self, _: &str, payload: &Bytes) -> Result<Option<Heard>, String> {
        let said: Said<'_> = serde_json::from_slice(payload).map_err(|error| error.to_string())?;
        let own = said.host.as_deref() == Some(&self.uid);
        if own != (said.method == "callback") {
            return Ok(None);
        }
        let (namespace, from) = (
            said.namespace.clone().unwrap_or_else(|| "/".to_owned()),
            said.host.clone().unwrap_or_default(),
        );
        Ok(said.word(&from)?.map(|word| Heard {
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

    fn roll(&self, _: &str) -> Option<Roll> {
        None
    }
}

#[derive(Deserialize)]
struct Said<'a> {
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
}

impl Said<'_> {
    fn word(self, from: &str) -> Result<Option<Word>, String> {
        let scope = |sid: Option<String>| Scope {
            rooms: sid.into_iter().collect(),
            except: Vec::new(),
        };
        let rooms = names(&self.room);
        Ok(Some(match self.method.as_str() {
            "emit" => self.emit(from)?,
            "disconnect" => Word::Told(Message::Disconnect {
                scope: scope(Some(self.sid.ok_or("disconnect without a sid")?)),
                close: false,
            }),
            "enter_room" => Word::Told(Message::Join {
                scope: scope(Some(self.sid.ok_or("enter_room without a sid")?)),
                rooms,
            }),
            "leave_room" => Word::Told(Message::Leave {
                scope: scope(Some(self.sid.ok_or("leave_room without a sid")?)),
                rooms,
            }),
            "close_room" => {
                let room = rooms
                    .into_iter()
                    .next()
                    .ok_or("close_room without a room")?;
                Word::Told(Message::CloseRoom { room })
            }
            "callback" => {
                let id = self.id.ok_or("a callback without its number")?;
                let socket = self.sid.and_then(|sid| sid.parse().ok());
                let args = self.args.map_or("[]", RawValue::get);
                let args = inner(args).ok_or("a callback whose args are no list")?;
                Word::Answered {
                    request: format!("{id:012x}"),
                    reply: Reply::Acknowledged(socket, Args::new(args, Vec::new())),
                }
            }
            _ => return Ok(None),
        }))
    }

    fn emit(self, from: &str) -> Result<Word, String> {
        let name = self.event.as_deref().ok_or("an emit without an event")?;
        let args = arguments(
            self.data.map_or("null", RawValue::get),
            self.binary == Some(true),
        )?;
        let content = Content::new(name, &args);
        let scope = Scope {
            rooms: names(&self.room),
            except: names(&self.skip_sid),
        };
        let Some([room, namespace, id]) = self.callback.as_deref() else {
            return Ok(Word::Told(Message::Emit {
                content,
                scope,
                manner: Manner::default(),
            }));
        };
        let asker = Asker {
            uid: from.to_owned(),
            callback: Some(Callback {
                room: room.get().to_owned(),
                namespace: namespace.get().to_owned(),
                id: id.get().to_owned(),
            }),
            ..Asker::default()
        };
        let question = Question::Emit {
            content,
            scope,
            limit: DEFAULT_LIMIT,
        };
        Ok(Word::Asked(asker, question))
    }
}

/// Reads an emit's data: a list of arguments, with binary behind it, or, from older writers, one
/// argument.
fn arguments(data: &str, binary: bool) -> Result<Args, String> {
    let error = |error: serde_json::Error| error.to_string();
    if !binary {
        let args = inner(data).unwrap_or_else(|| data.to_owned());
        // No data and `None` are the same to python-socketio.
        let args = if args == "null" { String::new() } else { args };
        return Ok(Args::new(args, Vec::new()));
    }
    let parts: Vec<&RawValue> = serde_json::from_str(data).map_err(error)?;
    let (args, encoded) = parts.split_first().ok_or("binary data without arguments")?;
    let args = inner(args.get()).unwrap_or_else(|| args.get().to_owned());
    let mut attachments = Vec::with_capacity(encoded.len());
    for text in encoded {
        let text: String = serde_json::from_str(text.get()).map_err(error)?;
        let data = STANDARD.decode(text).map_err(|error| error.to_string())?;
        attachments.push(Bytes::from(data));
    }
    Ok(Args::new(args, attachments))
}

/// Returns what stands between a list's brackets.
fn inner(list: &str) -> Option<String> {
    let list = list.trim().strip_prefix('[')?.strip_suffix(']')?;
    Some(list.trim().to_owned())
}

fn names(value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::String(name) => vec![name.clone()],
        Value::Array(many) => many.iter().flat_map(names).collect(),
        other => vec![other.to_string()],
    }
}

fn one_or_many(names: &[String]) -> String {
    match names {
        [] => "null".to_owned(),
        [one] => quoted(one),
        many => list(many),
    }
}

fn is_socket(name: &str) -> bool {
    name.parse::<SocketId>().is_ok()
}
