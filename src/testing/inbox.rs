//! The packets received from the server, sorted by namespace.

use std::collections::{HashMap, VecDeque};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::engineio::EngineMessage;
use crate::socketio::{
    Args, ArgsRef, Body, Encoding, IncomingContent, IncomingPacket, Limits, MessagePackParser,
    Packet, PacketDecoder, msgpack,
};

/// A client's side of a session.
#[derive(Debug)]
pub(crate) struct Inbox {
    /// The parser of the client.
    encoding: Encoding,
    /// The decoder of a program's parser, made with the first message.
    decoder: Option<Box<dyn PacketDecoder>>,
    pub(crate) sockets: HashMap<String, Socket>,
    /// The waiting callers of the server's acknowledgements.
    pub(crate) calls: HashMap<(String, u64), oneshot::Sender<Args>>,
    pub(crate) next_call: u64,
    /// A packet whose attachments are missing.
    assembling: Option<Assembling>,
    /// The number of pings to answer.
    pub(crate) pings: usize,
    /// The session has ended.
    pub(crate) ended: bool,
}

/// One namespace on the client's side.
#[derive(Debug, Default)]
pub(crate) struct Socket {
    pub(crate) state: State,
    pub(crate) events: VecDeque<Event>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum State {
    #[default]
    Connecting,
    Connected {
        id: String,
    },
    Refused {
        message: String,
        data: Option<Value>,
    },
    Left,
}

#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) args: Args,
    pub(crate) id: Option<u64>,
}

#[derive(Debug)]
struct Assembling {
    text: String,
    attachments: Vec<Bytes>,
    expected: usize,
}

impl Inbox {
    pub(crate) fn new(encoding: Encoding) -> Self {
        Self {
            encoding,
            decoder: None,
            sockets: HashMap::new(),
            calls: HashMap::new(),
            next_call: 0,
            assembling: None,
            pings: 0,
            ended: false,
        }
    }

    /// Reads the body of a poll.
    pub(crate) fn take(&mut self, body: &str) {
        for packet in body.split('\u{1e}') {
            match packet.split_at_checked(1) {
                Some(("4", text)) => self.message(EngineMessage::Text(text.to_owned())),
                Some(("b", data)) => {
                    let data = STANDARD.decode(data).unwrap_or_default();
                    self.message(EngineMessage::Binary(data.into()));
                }
                Some(("2", _)) => self.pings += 1,
                Some(("1", _)) => self.end(),
                // A noop, or a packet that the server does not send over polling.
                Some(_) | None => {}
            }
        }
    }

    /// Ends all waiting: no more packets will arrive.
    pub(crate) fn end(&mut self) {
        self.ended = true;
        self.calls.clear();
        for socket in self.sockets.values_mut() {
            socket.leave();
        }
    }

    fn message(&mut self, message: EngineMessage) {
        match (&self.encoding, message) {
            (Encoding::Json, EngineMessage::Text(text)) => self.text(&text),
            (Encoding::Json, EngineMessage::Binary(data)) => self.binary(data),
            (Encoding::MessagePack(_), EngineMessage::Binary(data)) => self.packed(&data),
            (Encoding::MessagePack(_), EngineMessage::Text(_)) => {}
            (Encoding::Own(parser), message) => {
                let decoder = self.decoder.get_or_insert_with(|| parser.decoder());
                if let Ok(Some(packet)) = decoder.decode(message) {
                    self.parsed(&packet);
                }
            }
        }
    }

    fn packed(&mut self, message: &Bytes) {
        let limits = MessagePackParser::new().max_values(usize::MAX).limits;
        match msgpack::decode(message, &limits) {
            Ok(packet) => self.take_packet(packet, &[]),
            // Only a server sends it, so the decoder refuses it.
            Err(_) => {
                let refused = Args::packed(message.clone()).read::<Refused>();
                if let Ok(Refused { nsp, data }) = refused {
                    self.refused_with(nsp, &data);
                }
            }
        }
    }

    fn parsed(&mut self, incoming: &IncomingPacket) {
        if let IncomingContent::ConnectError(data) = &incoming.content {
            self.refused_with(incoming.namespace.clone(), data);
        } else if let Ok(packet) = incoming.packet() {
            self.take_packet(packet, incoming.attachments());
        }
    }

    fn text(&mut self, text: &str) {
        let attachments = match text.as_bytes().first() {
            // The server's own packet types, which the codec refuses from clients.
            Some(b'4') => return self.refused(text.get(1..).unwrap_or_default()),
            Some(b'5' | b'6') => attachments(text),
            _ => 0,
        };
        if attachments > 0 {
            self.assembling = Some(Assembling {
                text: text.to_owned(),
                attachments: Vec::new(),
                expected: attachments,
            });
        } else {
            self.packet(text, &[]);
        }
    }

    fn binary(&mut self, data: Bytes) {
        let Some(mut assembling) = self.assembling.take() else {
            return;
        };
        assembling.attachments.push(data);
        if assembling.attachments.len() == assembling.expected {
            self.packet(&assembling.text, &assembling.attachments);
        } else {
            self.assembling = Some(assembling);
        }
    }

    fn packet(&mut self, text: &str, attachments: &[Bytes]) {
        let limits = Limits {
            attachments: usize::MAX,
            ..Limits::default()
        };
        if let Ok(packet) = Packet::decode(text, &limits) {
            self.take_packet(packet, attachments);
        }
    }

    fn take_packet(&mut self, packet: Packet<'_>, attachments: &[Bytes]) {
        let args = |text| ArgsRef { text, attachments }.to_args();
        let namespace = packet.namespace.to_owned();
        match packet.body {
            Body::Connect { auth, .. } => {
                let data: Value = auth
                    .and_then(|auth| serde_json::from_str(&auth).ok())
                    .unwrap_or_default();
                let id = data["sid"].as_str().unwrap_or_default().to_owned();
                self.sockets.entry(namespace).or_default().state = State::Connected { id };
            }
            Body::Disconnect => {
                self.sockets.entry(namespace.clone()).or_default().leave();
                self.calls.retain(|(called, _), _| *called != namespace);
            }
            Body::Event {
                id,
                name,
                args: text,
                ..
            } => {
                let event = Event {
                    name: name.into_owned(),
                    args: args(text),
                    id,
                };
                self.sockets
                    .entry(namespace)
                    .or_default()
                    .events
                    .push_back(event);
            }
            Body::Ack { id, args: text, .. } => {
                if let Some(call) = self.calls.remove(&(namespace, id)) {
                    // The caller may have stopped waiting.
                    let _ = call.send(args(text));
                }
            }
            Body::Empty => {}
        }
    }

    /// Socket.IO v5, CONNECT_ERROR: the namespace, then an object.
    fn refused(&mut self, text: &str) {
        let (namespace, json) = match text.find('{') {
            Some(at) => text.split_at(at),
            None => (text, "{}"),
        };
        let namespace = match namespace.trim_end_matches(',') {
            "" => "/",
            name => name,
        };
        let error: Value = serde_json::from_str(json).unwrap_or_default();
        self.refused_with(namespace.to_owned(), &error);
    }

    fn refused_with(&mut self, namespace: String, error: &Value) {
        let message = error["message"].as_str().unwrap_or_default().to_owned();
        let data = error.get("data").cloned();
        let socket = self.sockets.entry(namespace).or_default();
        socket.state = State::Refused { message, data };
    }
}

impl Socket {
    fn leave(&mut self) {
        if !matches!(self.state, State::Refused { .. }) {
            self.state = State::Left;
        }
    }
}

/// The CONNECT_ERROR of a server.
#[derive(Deserialize)]
struct Refused {
    nsp: String,
    data: Value,
}

/// Returns the number of attachments that a binary packet announces: `51-…`.
fn attachments(text: &str) -> usize {
    let digits = text.get(1..).unwrap_or_default();
    let digits = digits.split('-').next().unwrap_or_default();
    digits.parse().unwrap_or_default()
}
