//! Requests and responses of the classic format, as they are read.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::adapter::format::body::{EventPacket, Options, argument, content, names};
use crate::adapter::format::classic::with_more;
use crate::adapter::format::{Asker, DEFAULT_LIMIT, Word};
use crate::cluster::{Details, Message, Question, Reply, Scope};

/// What a node asks or tells, but for events.
#[derive(Deserialize)]
pub(super) struct Request<'a> {
    pub(super) uid: Option<String>,
    #[serde(rename = "requestId")]
    request: Option<String>,
    #[serde(rename = "type")]
    kind: u8,
    opts: Option<Options>,
    #[serde(default, deserialize_with = "names")]
    rooms: Vec<String>,
    sid: Option<String>,
    room: Option<String>,
    #[serde(default)]
    close: Option<bool>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    packet: Option<EventPacket<'a>>,
    #[serde(default)]
    kin: bool,
}

impl Request<'_> {
    /// Says what it means; `None` for a kind that nobody knows here.
    pub(super) fn word(self, attachments: Vec<Bytes>) -> Result<Option<Word>, String> {
        let asker = Asker {
            uid: self.uid.unwrap_or_default(),
            request: self.request.clone().unwrap_or_default(),
            kin: self.kin,
            callback: None,
        };
        // An older adapter names one socket, and one room.
        let limit = self.opts.as_ref().map(Options::limit);
        let scope = match (self.opts, self.sid) {
            (Some(options), _) => options.into_scope(),
            (None, Some(sid)) => Scope {
                rooms: vec![sid],
                except: Vec::new(),
            },
            (None, None) => Scope::default(),
        };
        let rooms: Vec<String> = self.rooms.into_iter().chain(self.room).collect();
        Ok(Some(match self.kind {
            SOCKETS => Word::Asked(asker, Question::Ids(rooms)),
            ALL_ROOMS => Word::Asked(asker, Question::Rooms),
            REMOTE_JOIN => Word::Told(Message::Join { scope, rooms }),
            REMOTE_LEAVE => Word::Told(Message::Leave { scope, rooms }),
            REMOTE_DISCONNECT => {
                let close = self.close.unwrap_or(false);
                Word::Told(Message::Disconnect { scope, close })
            }
            REMOTE_FETCH => Word::Asked(asker, Question::Sockets(scope)),
            SERVER_SIDE_EMIT => {
                let data = self.data.ok_or("a server-side event without data")?;
                let content = content(data, attachments)?;
                match self.request {
                    Some(_) => Word::Asked(asker, Question::ServerSide(content)),
                    None => Word::Told(Message::ServerSide(content)),
                }
            }
            BROADCAST => {
                let packet = self.packet.ok_or("a broadcast without a packet")?;
                let content = packet.content(attachments)?;
                let limit = limit.unwrap_or(DEFAULT_LIMIT);
                let question = Question::Emit {
                    content,
                    scope,
                    limit,
                };
                Word::Asked(asker, question)
            }
            _ => return Ok(None),
        }))
    }
}

/// What a node answers.
#[derive(Deserialize)]
pub(super) struct Response<'a> {
    pub(super) uid: Option<String>,
    #[serde(rename = "requestId")]
    pub(super) request: Option<String>,
    #[serde(rename = "type")]
    kind: Option<u8>,
    #[serde(borrow)]
    sockets: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "names")]
    rooms: Vec<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    packet: Option<&'a RawValue>,
    #[serde(borrow)]
    more: Option<&'a RawValue>,
    sid: Option<String>,
    #[serde(rename = "clientCount")]
    count: Option<usize>,
    gone: Option<usize>,
}

impl Response<'_> {
    /// Says what it means; `None` where it is no answer.
    pub(super) fn reply(self, attachments: Vec<Bytes>) -> Option<Reply> {
        match self.kind {
            Some(SERVER_SIDE_EMIT) => Some(Reply::ServerSide(argument(self.data, attachments))),
            Some(BROADCAST_CLIENT_COUNT) => self.count.map(Reply::Asked),
            Some(BROADCAST_ACK) if self.gone.is_some() => self.gone.map(Reply::Gone),
            Some(BROADCAST_ACK) => {
                let socket = self.sid.and_then(|sid| sid.parse().ok());
                let args = with_more(self.packet, self.more, attachments);
                Some(Reply::Acknowledged(socket, args))
            }
            None => match self.sockets.map(RawValue::get) {
                Some(sockets) => {
                    let ids = serde_json::from_str(sockets).map(Reply::Ids);
                    let details = |_| serde_json::from_str::<Vec<Details>>(sockets);
                    ids.or_else(|error| details(error).map(Reply::Sockets)).ok()
                }
                None => Some(Reply::Rooms(self.rooms)),
            },
            Some(_) => None,
        }
    }
}

pub(super) const SOCKETS: u8 = 0;
pub(super) const ALL_ROOMS: u8 = 1;
pub(super) const REMOTE_JOIN: u8 = 2;
pub(super) const REMOTE_LEAVE: u8 = 3;
pub(super) const REMOTE_DISCONNECT: u8 = 4;
pub(super) const REMOTE_FETCH: u8 = 5;
pub(super) const SERVER_SIDE_EMIT: u8 = 6;
pub(super) const BROADCAST: u8 = 7;
pub(super) const BROADCAST_CLIENT_COUNT: u8 = 8;
pub(super) const BROADCAST_ACK: u8 = 9;
