//! Requests and responses of the classic format, as received.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::adapter::format::json::{EventPacket, Options, argument, named, value, with_more};
use crate::adapter::format::{MembershipChange, Received, Requester};
use crate::cluster::{Details, Message, Question, Reply, names};

/// A request of a node: a question or a message, but not an event.
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
    #[serde(default, deserialize_with = "names")]
    room: Vec<String>,
    #[serde(default)]
    close: Option<bool>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    packet: Option<EventPacket<'a>>,
    #[serde(default, rename = "kin")]
    is_native: bool,
}

impl Request<'_> {
    /// Returns its content; `None` for an unknown type.
    pub(super) fn word(self, attachments: Vec<Bytes>) -> Result<Option<Received>, String> {
        let requester = Requester {
            uid: self.uid.unwrap_or_default(),
            request: self.request.clone().unwrap_or_default(),
            is_native: self.is_native,
            callback: None,
        };
        let rooms: Vec<String> = self.rooms.into_iter().chain(self.room).collect();
        let change = match self.kind {
            SOCKETS => return Ok(Some(Received::Asked(requester, Question::Ids(rooms)))),
            ALL_ROOMS => return Ok(Some(Received::Asked(requester, Question::Rooms))),
            SERVER_SIDE_EMIT => {
                let data = self.data.ok_or("a server-side event without data")?;
                let content = named(data, attachments)?;
                return Ok(Some(match self.request {
                    Some(_) => Received::Asked(requester, Question::ServerSide(content)),
                    None => Received::Message(Message::ServerSide(content)),
                }));
            }
            REMOTE_JOIN => Some(MembershipChange::Join(rooms)),
            REMOTE_LEAVE => Some(MembershipChange::Leave(rooms)),
            REMOTE_DISCONNECT => Some(MembershipChange::Disconnect {
                close: self.close.unwrap_or(false),
            }),
            REMOTE_FETCH | BROADCAST => None,
            _ => return Ok(None),
        };
        let options = match (self.opts, change, self.sid) {
            (Some(options), Some(change), _) => {
                return Ok(Some(Received::Message(change.of(options.into_scope()))));
            }
            // An older adapter names one socket; an id of another form does not belong to this
            // node.
            (None, Some(change), Some(sid)) => {
                let single = |socket| Received::Single {
                    requester,
                    socket,
                    change,
                };
                return Ok(sid.parse().ok().map(single));
            }
            (Some(options), None, _) => options,
            // It is not for all sockets, which empty options would mean.
            (None, ..) => return Err(format!("a request of type {} without opts", self.kind)),
        };
        let question = match self.packet {
            Some(packet) if self.kind == BROADCAST => Question::Emit {
                content: packet.content(attachments)?,
                flags: options.flags(),
                limit: options.limit(),
                scope: options.into_scope(),
            },
            None if self.kind == BROADCAST => {
                return Err("a broadcast without a packet".to_owned());
            }
            _ => Question::Sockets(options.into_scope()),
        };
        Ok(Some(Received::Asked(requester, question)))
    }
}

/// An answer of a node.
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
    #[serde(default, borrow, deserialize_with = "value")]
    data: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "value")]
    packet: Option<&'a RawValue>,
    #[serde(borrow)]
    more: Option<&'a RawValue>,
    sid: Option<String>,
    #[serde(rename = "clientCount")]
    count: Option<usize>,
    gone: Option<usize>,
}

impl Response<'_> {
    /// Returns its content; `None` if it is not an answer.
    pub(super) fn reply(self, attachments: Vec<Bytes>) -> Result<Option<Reply>, String> {
        Ok(match self.kind {
            Some(SERVER_SIDE_EMIT) => Some(Reply::ServerSide(argument(self.data, attachments))),
            Some(BROADCAST_CLIENT_COUNT) => self.count.map(Reply::Asked),
            Some(BROADCAST_ACK) if self.gone.is_some() => self.gone.map(Reply::Gone),
            Some(BROADCAST_ACK) => {
                let socket = self.sid.and_then(|sid| sid.parse().ok());
                let args = with_more(self.packet, self.more, attachments);
                Some(Reply::Acknowledged(socket, args))
            }
            None => Some(match self.sockets.map(RawValue::get) {
                Some(sockets) => found(sockets).map_err(|error| error.to_string())?,
                None => Reply::Rooms(self.rooms),
            }),
            Some(_) => None,
        })
    }
}

/// Reads sockets: their ids, or their descriptions.
fn found(sockets: &str) -> serde_json::Result<Reply> {
    let ids = serde_json::from_str(sockets).map(Reply::Ids);
    let details = |_| serde_json::from_str::<Vec<Details>>(sockets).map(Reply::Sockets);
    ids.or_else(details)
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
