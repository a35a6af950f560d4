//! The format of `@socket.io/redis-streams-adapter` 0.3, on a Redis stream.
//!
//! Messages for all nodes are appended to a stream, and each node reads from its position on.
//! Answers are published on the channel of the node that asked. Questions to clients and for
//! sockets are appended too, so that they keep their position after earlier events. The reference
//! publishes them; its readers accept both. Events between servers are published, as in the
//! reference: if the program of such a reader throws at an entry of the stream, the reader handles
//! the same entry again and again, and no other.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::adapter::format::channel::polls;
use crate::adapter::format::cluster_adapter::{BROADCAST, Body, SERVER_SIDE_EMIT, from_whole};
use crate::adapter::format::{
    Capabilities, Channel, Envelope, Format, Incoming, NodeDiscovery, Requester,
};
use crate::cluster::{ClusterError, Message, Question, Reply};
use crate::id::Tag;
use crate::socketio::msgpack;

/// The format, for one node.
#[derive(Debug)]
pub(crate) struct Streams {
    uid: String,
    stream: String,
    prefix: String,
    /// The number of streams among which namespaces are distributed.
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
        // The hash of the reference. There its remainder may be negative and then names a stream
        // without readers. Its readers sort entries by namespace, so another stream is correct.
        let hash = namespace.encode_utf16().fold(0_i32, |hash, unit| {
            hash.wrapping_mul(31).wrapping_add(unit.into())
        });
        let number = (hash % self.count as i32).unsigned_abs();
        format!("{}-{number}", self.stream)
    }

    /// Returns all streams that a node reads, including those that the reference writes to by
    /// mistake.
    pub(crate) fn streams(&self) -> Vec<String> {
        if self.count == 1 {
            return vec![self.stream.clone()];
        }
        let last = i64::from(self.count) - 1;
        (-last..=last)
            .map(|number| format!("{}-{number}", self.stream))
            .collect()
    }

    /// Returns the channel to which all nodes subscribe.
    fn public(&self, namespace: &str) -> String {
        format!("{}#{namespace}#", self.prefix)
    }

    fn channel(&self, namespace: &str, uid: &str) -> String {
        format!("{}#{namespace}#{uid}#", self.prefix)
    }

    /// Writes a message for every node. `kind` is its type, as in the entry.
    fn envelope(
        &self,
        namespace: &str,
        kind: String,
        body: &Body<'_>,
    ) -> Result<Envelope, ClusterError> {
        if body.kind == SERVER_SIDE_EMIT {
            self.publish(self.public(namespace), namespace, body)
        } else {
            self.entry(namespace, kind, body)
        }
    }

    fn publish(
        &self,
        channel: String,
        namespace: &str,
        body: &Body<'_>,
    ) -> Result<Envelope, ClusterError> {
        let packed = msgpack::from_json(&body.whole(&self.uid, namespace), body.attachments);
        Ok(Envelope::Publish {
            channel: Channel::Plain(channel),
            payload: packed.map_err(ClusterError::Encode)?.into(),
        })
    }

    fn entry(
        &self,
        namespace: &str,
        kind: String,
        body: &Body<'_>,
    ) -> Result<Envelope, ClusterError> {
        let data: Bytes = if body.attachments.is_empty() {
            body.data.clone().into()
        } else {
            let packed = msgpack::from_json(&body.data, body.attachments);
            STANDARD
                .encode(packed.map_err(ClusterError::Encode)?)
                .into()
        };
        Ok(Envelope::Append {
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

    fn encode(&self, namespace: &str, message: &Message) -> Result<Vec<Envelope>, ClusterError> {
        let body = Body::of_message(message);
        Ok(vec![self.envelope(
            namespace,
            body.kind.to_string(),
            &body,
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
        // The reference replays entries of the type `3` to a reconnecting client, and a question
        // must not be replayed: `03` is the same number with another text.
        let kind = if body.kind == BROADCAST {
            format!("0{BROADCAST}")
        } else {
            body.kind.to_string()
        };
        Ok(vec![self.envelope(namespace, kind, &body)?])
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
        let channel = self.channel(namespace, &requester.uid);
        self.publish(channel, namespace, &body).map(Some)
    }

    fn decode(&self, _: &str, _: &str, payload: &Bytes) -> Result<Option<Incoming>, String> {
        let (json, attachments) = msgpack::to_json(payload)?;
        from_whole(&json, attachments, &self.uid)
    }

    fn channels(&self, namespace: &str) -> Vec<Channel> {
        vec![
            Channel::Plain(self.public(namespace)),
            Channel::Plain(self.channel(namespace, &self.uid)),
        ]
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            rooms: false,
            recovery: true,
        }
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

    fn discovery(&self, namespace: &str) -> Option<NodeDiscovery> {
        Some(NodeDiscovery {
            everyone: Channel::Plain(self.public(namespace)),
            prefix: self.public(namespace),
            length: self.uid.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::format::{Received, fixture, from_fields};
    use crate::seeds::replay_all;

    const OWN: &str = "63cb95890f858ad4";

    fn node(uid: &str) -> Streams {
        Streams::new(uid, "socket.io", "socket.io", 1)
    }

    fn heard(payload: &Bytes) -> Received {
        let channel = "socket.io#/#";
        let read = node("0123456789abcdef").decode(channel, channel, payload);
        read.unwrap().unwrap().word
    }

    #[test]
    fn messages_are_written_and_read_as_captured() {
        // The last one is published.
        let messages = fixture::messages();
        let appended = &messages[..ENTRIES.len()];
        assert_eq!(appended.len() + 1, messages.len());
        for (message, (kind, data)) in appended.iter().zip(ENTRIES) {
            let written = node(OWN).encode("/", message).unwrap();
            let fields = vec![
                ("uid", OWN.into()),
                ("nsp", "/".into()),
                ("type", kind.into()),
                ("data", data.into()),
            ];
            let stream = "socket.io".to_owned();
            assert_eq!(written, [Envelope::Append { stream, fields }]);
            let read = from_fields(OWN, "/", kind, data.as_bytes())
                .unwrap()
                .unwrap();
            assert_eq!((read.namespace.as_str(), read.from.as_str()), ("/", OWN));
            assert_eq!(&read.word, &Received::Message(message.clone()));
        }
    }

    #[test]
    fn events_between_servers_are_published_as_captured() {
        let payload = fixture::payload(PUBLISHED[1]);
        let message = fixture::messages()[8].clone();
        let envelope = |payload| Envelope::Publish {
            channel: Channel::Plain("socket.io#/#".to_owned()),
            payload,
        };
        let written = node(OWN).encode("/", &message);
        assert_eq!(written, Ok(vec![envelope(payload.clone())]));
        assert_eq!(heard(&payload), Received::Message(message));
        let payload = fixture::payload(PUBLISHED[2]);
        let question = fixture::questions()[1].clone();
        let written = node(OWN).encode_question("/", &question, "2bf0877de64fba0e");
        assert_eq!(written, Ok(vec![envelope(payload)]));
    }

    #[test]
    fn questions_are_read_as_captured_and_as_they_are_written() {
        let ids = ["f0cc9d774ae6ccbb", "2bf0877de64fba0e", "7d7ff59f7f658ad5"];
        let captured = [PUBLISHED[0], PUBLISHED[2], PUBLISHED[3]];
        let kinds = [Some("03"), None, Some("7")];
        for (n, question) in fixture::questions().into_iter().enumerate() {
            let requester = |is_native| Requester {
                uid: OWN.to_owned(),
                request: ids[n].to_owned(),
                is_native,
                callback: None,
            };
            let read = heard(&fixture::payload(captured[n]));
            assert_eq!(read, Received::Asked(requester(false), question.clone()));
            let written = node(OWN).encode_question("/", &question, ids[n]).unwrap();
            let kind = match written.as_slice() {
                [Envelope::Append { fields, .. }] => Some(fields),
                _ => None,
            };
            assert_eq!(
                kind.map(|fields| &fields[2].1[..]),
                kinds[n].map(str::as_bytes)
            );
            if let (Some(fields), Some(kind)) = (kind, kinds[n]) {
                let read = from_fields(OWN, "/", kind, &fields[3].1).unwrap().unwrap();
                let is_for_clients = matches!(question, Question::Emit { .. });
                assert_eq!(
                    read.word,
                    Received::Asked(requester(is_for_clients), question)
                );
            }
        }
    }

    #[test]
    fn entries_that_cannot_be_read_are_errors_that_say_why() {
        for (kind, data, why) in [
            ("x", "{}", "type \"x\""),
            ("3", r#"{"opts":{}}"#, "without a packet"),
            ("3", "not base64!", "Invalid symbol"),
            ("3", "wQ==", "invalid type: null"),
            ("6", "", "a message of type 6 without opts"),
        ] {
            let error = from_fields(OWN, "/", kind, data.as_bytes()).unwrap_err();
            assert!(error.contains(why), "{kind} {data}: {error}");
        }
    }

    /// The entries appended by the reference: types and data.
    const ENTRIES: [(&str, &str); 8] = [
        (
            "3",
            r#"{"packet":{"type":2,"data":["hello",1,{"a":"é"}]},"opts":{"rooms":[],"except":[],"flags":{}}}"#,
        ),
        (
            "3",
            r#"gqZwYWNrZXSCpHR5cGUCpGRhdGGSoXLEAgECpG9wdHODpXJvb21zkaVyb29tMaZleGNlcHSQpWZsYWdzgA=="#,
        ),
        (
            "3",
            r#"{"packet":{"type":2,"data":["m"]},"opts":{"rooms":["a","b"],"except":["c"],"flags":{}}}"#,
        ),
        (
            "3",
            r#"{"packet":{"type":2,"data":["v"]},"opts":{"rooms":["room1"],"except":[],"flags":{"volatile":true,"compress":false}}}"#,
        ),
        (
            "3",
            r#"{"packet":{"type":2,"data":["priv"]},"opts":{"rooms":["xxxxxxxxxxxxxxxxxxxx"],"except":[],"flags":{}}}"#,
        ),
        (
            "4",
            r#"{"opts":{"rooms":["room1"],"except":[],"flags":{}},"rooms":["z"]}"#,
        ),
        (
            "5",
            r#"{"opts":{"rooms":[],"except":[],"flags":{}},"rooms":["z"]}"#,
        ),
        (
            "6",
            r#"{"opts":{"rooms":["s"],"except":[],"flags":{}},"close":true}"#,
        ),
    ];

    /// Messages published by the reference: an event for clients to acknowledge, one for servers,
    /// one for them to answer, and the question for sockets.
    const PUBLISHED: [&str; 4] = [
        "84a47479706503a46461746183a67061636b657482a47479706502a46461746192a361636b01a9726571756573744964b066306363396437373461653663636262a46f70747383a5726f6f6d7390a665786365707490a5666c61677381a774696d656f757432a3756964b036336362393538393066383538616434a36e7370a12f",
        "84a47479706509a46461746181a67061636b657492a470696e6701a3756964b036336362393538393066383538616434a36e7370a12f",
        "84a47479706509a46461746182a9726571756573744964b032626630383737646536346662613065a67061636b657491a570696e6732a3756964b036336362393538393066383538616434a36e7370a12f",
        "84a47479706507a46461746182a46f70747383a5726f6f6d7390a665786365707490a5666c61677380a9726571756573744964b037643766663539663766363538616435a3756964b036336362393538393066383538616434a36e7370a12f",
    ];

    #[test]
    fn captured_entries_and_their_mutations_do_not_panic() {
        for (kind, data) in ENTRIES {
            replay_all("streams", &[data.as_bytes().to_vec()], |input| {
                let _ = from_fields(OWN, "/", kind, input);
            });
        }
    }
}
