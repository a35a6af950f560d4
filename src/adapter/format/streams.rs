//! The format of `@socket.io/redis-streams-adapter` 0.3, on a Redis stream.
//!
//! What every node must get is appended to a stream, from which each reads on where it was; answers go
//! by pub/sub to the channel of who asked. Questions are appended too, so that they keep their place
//! behind the events before them, where the reference hands them to pub/sub: its readers take them from
//! either.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::adapter::format::family::{BROADCAST, Body, from_whole};
use crate::adapter::format::{Asker, Channel, Format, Heard, Parcel, Roll, msgpack, polls};
use crate::cluster::{ClusterError, Message, Question, Reply};
use crate::id::Tag;

/// The format, for one node.
#[derive(Debug)]
pub(crate) struct Streams {
    uid: String,
    stream: String,
    prefix: String,
    /// Among how many streams namespaces are shared out.
    count: u32,
}

impl Streams {
    pub(crate) fn new(uid: &str, stream: &str, prefix: &str, count: u32) -> Self {
        Self {
            uid: uid.to_owned(),
            stream: stream.to_owned(),
            prefix: prefix.to_owned(),
            count: count.max(1),
        }
    }

    fn stream_of(&self, namespace: &str) -> String {
        if self.count == 1 {
            return self.stream.clone();
        }
        // The hash of the reference. Its remainder may be negative there, and names a stream that
        // nobody reads: its readers sort what they read by namespace, so another will do.
        let hash = namespace.encode_utf16().fold(0_i32, |hash, unit| {
            hash.wrapping_mul(31).wrapping_add(unit.into())
        });
        let number = (hash % self.count as i32).unsigned_abs();
        format!("{}-{number}", self.stream)
    }

    /// Returns all streams that a node reads, those too that the reference writes to by mistake.
    pub(crate) fn streams(&self) -> Vec<String> {
        if self.count == 1 {
            return vec![self.stream.clone()];
        }
        let last = i64::from(self.count) - 1;
        (-last..=last)
            .map(|number| format!("{}-{number}", self.stream))
            .collect()
    }

    fn channel(&self, namespace: &str, uid: &str) -> String {
        format!("{}#{namespace}#{uid}#", self.prefix)
    /// Returns the channel to which all nodes listen.
    fn public(&self, namespace: &str) -> String {
        format!("{}#{namespace}#", self.prefix)
    }

    }

    fn entry(
        &self,
        namespace: &str,
        kind: String,
        body: &Body<'_>,
    ) -> Result<Parcel, ClusterError> {
        let data: Bytes = if body.attachments.is_empty() {
            body.data.clone().into()
        } else {
            let packed = msgpack::from_json(&body.data, body.attachments);
            STANDARD
                .encode(packed.map_err(ClusterError::Encode)?)
                .into()
        };
        Ok(Parcel::Append {
            stream: self.stream_of(namespace),
            fields: vec![
                ("uid", self.uid.clone().into()),
                ("nsp", namespace.to_owned().into()),
                ("type", kind.into()),
                ("data", data),
            ],
        })
    }
}

impl Format for Streams {
    fn uid(&self) -> &str {
        &self.uid
    }

    fn tell(&self, namespace: &str, message: &Message) -> Result<Vec<Parcel>, ClusterError> {
        let body = Body::of_message(message);
        Ok(vec![self.entry(namespace, body.kind.to_string(), &body)?])
    }

    fn ask(
        &self,
        namespace: &str,
        question: &Question,
        request: &str,
    ) -> Result<Vec<Parcel>, ClusterError> {
        let body = Body::of_question(question, request);
        let body = body.ok_or(ClusterError::Unsupported("this question"))?;
        // The reference replays entries of the type `3` to a client that comes back, and a question is
        // none of them: `03` is the same number and another text.
        let kind = if body.kind == BROADCAST {
            format!("0{BROADCAST}")
        } else {
            body.kind.to_string()
        };
        Ok(vec![self.entry(namespace, kind, &body)?])
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
        let packed = msgpack::from_json(&body.whole(&self.uid, namespace), body.attachments);
        Ok(Some(Parcel::Publish {
            channel: self.channel(namespace, &asker.uid),
            payload: packed.map_err(ClusterError::Encode)?.into(),
        }))
    }

    fn hear(&self, _: &str, payload: &Bytes) -> Result<Option<Heard>, String> {
        let (json, attachments) = msgpack::to_json(payload)?;
        from_whole(&json, attachments, &self.uid)
    }

    fn channels(&self, namespace: &str) -> Vec<Channel> {
        vec![
            Channel::Plain(self.public(namespace)),
            Channel::Plain(self.channel(namespace, &self.uid)),
        ]
    }

    fn stream(&self, namespace: &str) -> Option<String> {
        Some(self.stream_of(namespace))
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
            everyone: self.public(namespace),
            prefix: self.public(namespace),
            length: self.uid.len(),
        })
    }
}
