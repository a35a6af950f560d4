//! The format of `createShardedAdapter` of `@socket.io/redis-adapter` 8.3, on sharded pub/sub.
//!
//! Every message is one value, in JSON or, if it contains binary, in MessagePack. An event for one
//! room goes to that room's channel, to which only nodes with a member of the room subscribe;
//! sockets' own rooms have no channel. Sharded pub/sub exists since Redis 7.

use bytes::Bytes;

use crate::adapter::format::channel::polls;
use crate::adapter::format::cluster_adapter::{Body, from_whole};
use crate::adapter::format::payload::{payload, unpack};
use crate::adapter::format::{Channel, Envelope, Format, Incoming, NodeDiscovery, Requester};
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

    fn envelope(
        &self,
        channel: String,
        namespace: &str,
        body: &Body<'_>,
    ) -> Result<Envelope, ClusterError> {
        Ok(Envelope::Publish {
            channel: Channel::Shard(channel),
            payload: payload(body.whole(&self.uid, namespace), body.attachments)?,
        })
    }
}

impl Format for Sharded {
    fn uid(&self) -> &str {
        &self.uid
    }

    fn encode(&self, namespace: &str, message: &Message) -> Result<Vec<Envelope>, ClusterError> {
        let channel = match message {
            Message::Emit { scope, .. } => match scope.rooms.as_slice() {
                // As long as a socket's id: other nodes would read it as one, and do not subscribe
                // to such a channel.
                [room] if room.encode_utf16().count() != SOCKET_ID => self.room(namespace, room),
                _ => self.channel(namespace),
            },
            _ => self.channel(namespace),
        };
        Ok(vec![self.envelope(
            channel,
            namespace,
            &Body::of_message(message),
        )?])
    }

    fn encode_question(
        &self,
        namespace: &str,
        question: &Question,
        request: &str,
    ) -> Result<Vec<Envelope>, ClusterError> {
        let body = Body::of_question(question, request);
        let body = body.ok_or(ClusterError::Unsupported("this request"))?;
        Ok(vec![self.envelope(
            self.channel(namespace),
            namespace,
            &body,
        )?])
    }

    fn encode_reply(
        &self,
        namespace: &str,
        requester: &Requester,
        reply: &Reply,
    ) -> Result<Option<Envelope>, ClusterError> {
        let Some(body) = Body::of_reply(requester, reply) else {
            return Ok(None);
        };
        let channel = self.room(namespace, &requester.uid);
        self.envelope(channel, namespace, &body).map(Some)
    }

    fn decode(&self, _: &str, _: &str, payload: &Bytes) -> Result<Option<Incoming>, String> {
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
        // A room with the name of a socket receives its events on the namespace's channel.
        let listens = room.parse::<SocketId>().is_err();
        listens.then(|| Channel::Shard(self.room(namespace, room)))
    }

    fn poll_channel(&self, node: Tag) -> Channel {
        Channel::Shard(polls(&self.prefix, node))
    }

    fn discovery(&self, namespace: &str) -> Option<NodeDiscovery> {
        Some(NodeDiscovery {
            everyone: Channel::Shard(self.channel(namespace)),
            prefix: self.channel(namespace),
            length: self.uid.len(),
        })
    }
}

/// The number of characters of a socket's id.
const SOCKET_ID: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::format::{Received, fixture};
    use crate::seeds::replay_all;

    const OWN: &str = "521af9e9fc91fdfa";

    fn node(uid: &str) -> Sharded {
        Sharded::new(uid, "socket.io")
    }

    #[test]
    fn messages_are_written_and_read_as_captured() {
        for (message, (channel, captured)) in fixture::messages().into_iter().zip(MESSAGES) {
            let payload = fixture::payload(captured);
            let envelope = Envelope::Publish {
                channel: Channel::Shard(channel.to_owned()),
                payload: payload.clone(),
            };
            assert_eq!(node(OWN).encode("/nsp", &message), Ok(vec![envelope]));
            let read = node("0123456789abcdef").decode(channel, channel, &payload);
            let read = read.unwrap().unwrap();
            assert_eq!((read.namespace.as_str(), read.from.as_str()), ("/nsp", OWN));
            assert_eq!(read.word, Received::Message(message));
            assert_eq!(node(OWN).decode(channel, channel, &payload), Ok(None));
        }
    }

    #[test]
    fn questions_are_written_and_read_as_captured() {
        let ids = ["b402d730b4b3fe53", "89695d503b6611f8", "1dd59a8ed2d2562f"];
        for (n, (question, captured)) in fixture::questions().into_iter().zip(QUESTIONS).enumerate()
        {
            let written = node(OWN)
                .encode_question("/nsp", &question, ids[n])
                .unwrap();
            let [
                Envelope::Publish {
                    channel: Channel::Shard(channel),
                    payload,
                },
            ] = written.as_slice()
            else {
                panic!("{written:?}");
            };
            let written = std::str::from_utf8(payload)
                .unwrap()
                .replace(r#","kin":true"#, "");
            assert_eq!(
                (channel.as_str(), written.as_str()),
                ("socket.io#/nsp#", captured)
            );
            let read = node("0123456789abcdef").decode(channel, channel, &captured.into());
            let requester = Requester {
                uid: OWN.to_owned(),
                request: ids[n].to_owned(),
                ..Requester::default()
            };
            assert_eq!(
                read.unwrap().unwrap().word,
                Received::Asked(requester, question)
            );
        }
    }

    /// Messages published by the reference.
    const MESSAGES: [(&str, &str); 9] = [
        (
            "socket.io#/nsp#",
            r#"{"type":3,"data":{"packet":{"type":2,"data":["hello",1,{"a":"é"}]},"opts":{"rooms":[],"except":[],"flags":{}}},"uid":"521af9e9fc91fdfa","nsp":"/nsp"}"#,
        ),
        (
            "socket.io#/nsp#room1#",
            "84a47479706503a46461746182a67061636b657482a47479706502a46461746192a172c4020102a46f70747383a5726f6f6d7391a5726f6f6d31a665786365707490a5666c61677380a3756964b035323161663965396663393166646661a36e7370a42f6e7370",
        ),
        (
            "socket.io#/nsp#",
            r#"{"type":3,"data":{"packet":{"type":2,"data":["m"]},"opts":{"rooms":["a","b"],"except":["c"],"flags":{}}},"uid":"521af9e9fc91fdfa","nsp":"/nsp"}"#,
        ),
        (
            "socket.io#/nsp#room1#",
            r#"{"type":3,"data":{"packet":{"type":2,"data":["v"]},"opts":{"rooms":["room1"],"except":[],"flags":{"volatile":true,"compress":false}}},"uid":"521af9e9fc91fdfa","nsp":"/nsp"}"#,
        ),
        (
            "socket.io#/nsp#",
            r#"{"type":3,"data":{"packet":{"type":2,"data":["priv"]},"opts":{"rooms":["xxxxxxxxxxxxxxxxxxxx"],"except":[],"flags":{}}},"uid":"521af9e9fc91fdfa","nsp":"/nsp"}"#,
        ),
        (
            "socket.io#/nsp#",
            r#"{"type":4,"data":{"opts":{"rooms":["room1"],"except":[],"flags":{}},"rooms":["z"]},"uid":"521af9e9fc91fdfa","nsp":"/nsp"}"#,
        ),
        (
            "socket.io#/nsp#",
            r#"{"type":5,"data":{"opts":{"rooms":[],"except":[],"flags":{}},"rooms":["z"]},"uid":"521af9e9fc91fdfa","nsp":"/nsp"}"#,
        ),
        (
            "socket.io#/nsp#",
            r#"{"type":6,"data":{"opts":{"rooms":["s"],"except":[],"flags":{}},"close":true},"uid":"521af9e9fc91fdfa","nsp":"/nsp"}"#,
        ),
        (
            "socket.io#/nsp#",
            r#"{"type":9,"data":{"packet":["ping",1]},"uid":"521af9e9fc91fdfa","nsp":"/nsp"}"#,
        ),
    ];

    const QUESTIONS: [&str; 3] = [
        r#"{"type":3,"data":{"packet":{"type":2,"data":["ack",1]},"requestId":"b402d730b4b3fe53","opts":{"rooms":[],"except":[],"flags":{"timeout":50}}},"uid":"521af9e9fc91fdfa","nsp":"/nsp"}"#,
        r#"{"type":9,"data":{"requestId":"89695d503b6611f8","packet":["ping2"]},"uid":"521af9e9fc91fdfa","nsp":"/nsp"}"#,
        r#"{"type":7,"data":{"opts":{"rooms":[],"except":[],"flags":{}},"requestId":"1dd59a8ed2d2562f"},"uid":"521af9e9fc91fdfa","nsp":"/nsp"}"#,
    ];

    #[test]
    fn captured_messages_and_their_mutations_do_not_panic() {
        let seeds = MESSAGES.map(|(_, captured)| fixture::payload(captured).to_vec());
        replay_all("sharded", &seeds, |input| {
            let payload = Bytes::copy_from_slice(input);
            let _ = node("0123456789abcdef").decode("c", "c", &payload);
        });
    }
}
