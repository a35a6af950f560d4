//! The format of `createShardedAdapter` of `@socket.io/redis-adapter` 8.3, on sharded pub/sub.
//!
//! Every message is one value, in JSON or, with binary in it, in MessagePack. An event for one room goes
//! to that room's channel, to which only nodes listen that have somebody in it; sockets' own rooms have
//! none. Sharded pub/sub is there from Redis 7 on.

use bytes::Bytes;

use crate::adapter::format::classic::{payload, unpack};
use crate::adapter::format::family::{Body, from_whole};
use crate::adapter::format::{Asker, Channel, Format, Heard, Parcel, Roll, polls};
use crate::cluster::{ClusterError, Message, Question, Reply};
use crate::id::{SocketId, Tag};

/// The format, for one node.
#[derive(Debug)]
pub(crate) struct Sharded {
    uid: String,
    prefix: String,
}

impl Sharded {
    pub(crate) fn new(uid: &str, prefix: &str) -> Self {
        Self {
            uid: uid.to_owned(),
            prefix: prefix.to_owned(),
        }
    }

    fn channel(&self, namespace: &str) -> String {
        format!("{}#{namespace}#", self.prefix)
    }

    fn room(&self, namespace: &str, room: &str) -> String {
        format!("{}#{namespace}#{room}#", self.prefix)
    }

    fn parcel(
        &self,
        channel: String,
        namespace: &str,
        body: &Body<'_>,
    ) -> Result<Parcel, ClusterError> {
        Ok(Parcel::ShardPublish {
            channel,
            payload: payload(body.whole(&self.uid, namespace), body.attachments)?,
        })
    }
}

impl Format for Sharded {
    fn uid(&self) -> &str {
        &self.uid
    }

    fn tell(&self, namespace: &str, message: &Message) -> Result<Vec<Parcel>, ClusterError> {
        let channel = match message {
            Message::Emit { scope, .. } => match scope.rooms.as_slice() {
                // As long as a socket's id: its readers take it for one, and listen to no such channel.
                [room] if room.encode_utf16().count() != SOCKET_ID => self.room(namespace, room),
                _ => self.channel(namespace),
            },
            _ => self.channel(namespace),
        };
        Ok(vec![self.parcel(
            channel,
            namespace,
            &Body::of_message(message),
        )?])
    }

    fn ask(
        &self,
        namespace: &str,
        question: &Question,
        request: &str,
    ) -> Result<Vec<Parcel>, ClusterError> {
        let body = Body::of_question(question, request);
        let body = body.ok_or(ClusterError::Unsupported("this question"))?;
        Ok(vec![self.parcel(
            self.channel(namespace),
            namespace,
            &body,
        )?])
    }

    fn answer(
        &self,
        namespace: &str,
        asker: &Asker,
        reply: &Reply,
    ) -> Result<Option<Parcel>, ClusterError> {
        let Some(body) = Body::of_reply(asker, reply) else {
            return Ok(None);
        };
        let channel = self.room(namespace, &asker.uid);
        self.parcel(channel, namespace, &body).map(Some)
    }

    fn hear(&self, _: &str, payload: &Bytes) -> Result<Option<Heard>, String> {
        let (json, attachments) = unpack(payload)?;
        from_whole(&json, attachments, &self.uid)
    }

    fn channels(&self, namespace: &str) -> Vec<Channel> {
        vec![
            Channel::Shard(self.channel(namespace)),
            Channel::Shard(self.room(namespace, &self.uid)),
        ]
    }

    fn room_channel(&self, namespace: &str, room: &str) -> Option<Channel> {
        // A room that somebody has named like a socket gets its events by the namespace's channel.
        let listens = room.parse::<SocketId>().is_err();
        listens.then(|| Channel::Shard(self.room(namespace, room)))
    }

    fn poll_channel(&self, node: Tag) -> Channel {
        Channel::Shard(polls(&self.prefix, node))
    }

    fn roll(&self, namespace: &str) -> Option<Roll> {
        Some(Roll {
            sharded: true,
            everyone: self.channel(namespace),
            prefix: self.channel(namespace),
            length: self.uid.len(),
        })
    }
}

/// Characters of a socket's id.
const SOCKET_ID: usize = 20;
