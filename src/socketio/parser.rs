//! Parsers: how a packet becomes messages of Engine.IO, and messages a packet.
//!
//! The contract of a program's own parser, and the names of the two that this crate has. A packet to
//! a client enters as a view of its parts, a packet of a client leaves with all of them.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::engineio::EngineMessage;
use crate::socketio::args::{Args, ArgsRef};
use crate::socketio::error::{DecodeError, Excerpt};
use crate::socketio::msgpack::PackedLimits;
use crate::socketio::packet::{Body, Packet, check_event_name};

/// Encodes the packets to clients, and decodes theirs.
///
/// A parser is chosen for all clients by [`Builder::parser`](crate::Builder::parser), or for some
/// by [`Builder::parser_when`](crate::Builder::parser_when). A client must use the same one: it is
/// the option `parser` of the JavaScript client. This crate has [`JsonParser`], the default, and
/// [`MessagePackParser`].
///
/// Handlers, rooms, acknowledgements, recovery and clusters are the same whatever the parser. An
/// event to many is encoded once for each parser that a connected client uses.
///
/// The methods are called on the worker of the client, or of the sender. If one panics, the panic is
/// logged, and the packet is refused as by an error.
///
/// # Examples
///
/// ```
/// use actix_socketio::{
///     Args, EngineMessage, IncomingPacket, OutgoingPacket, PacketDecoder, Parser, ParserError,
/// };
/// use serde_json::{Value, json};
///
/// /// Each packet is a JSON object.
/// #[derive(Debug)]
/// struct Objects;
///
/// impl Parser for Objects {
///     fn encode(&self, packet: &OutgoingPacket<'_>) -> Result<Vec<EngineMessage>, ParserError> {
///         let object = json!({
///             "type": packet.kind().number(),
///             "nsp": packet.namespace(),
///             "id": packet.id(),
///             "data": packet.data(),
///         });
///         Ok(vec![EngineMessage::Text(object.to_string())])
///     }
///
///     fn decoder(&self) -> Box<dyn PacketDecoder> {
///         Box::new(ObjectDecoder)
///     }
/// }
///
/// #[derive(Debug)]
/// struct ObjectDecoder;
///
/// impl PacketDecoder for ObjectDecoder {
///     fn decode(&mut self, message: EngineMessage) -> Result<Option<IncomingPacket>, ParserError> {
///         let EngineMessage::Text(text) = message else {
///             return Err(ParserError::new("a binary message"));
///         };
///         let packet: Value = serde_json::from_str(&text).map_err(ParserError::new)?;
///         let namespace = packet["nsp"].as_str().unwrap_or("/");
///         let id = packet["id"].as_u64();
///         let data = packet["data"].as_array().cloned().unwrap_or_default();
///         Ok(Some(match packet["type"].as_u64() {
///             Some(0) => IncomingPacket::connect(namespace, packet.get("data").cloned()),
///             Some(1) => IncomingPacket::disconnect(namespace),
///             Some(2) => {
///                 let [name, args @ ..] = data.as_slice() else {
///                     return Err(ParserError::new("an event without a name"));
///                 };
///                 let args = Args::from_values(args).map_err(ParserError::new)?;
///                 IncomingPacket::event(namespace, id, name.as_str().unwrap_or_default(), args)
///             }
///             Some(3) => {
///                 let args = Args::from_values(&data).map_err(ParserError::new)?;
///                 IncomingPacket::ack(namespace, id.unwrap_or(u64::MAX), args)
///             }
///             other => return Err(ParserError::new(format!("packet type {other:?}"))),
///         }))
///     }
/// }
///
/// # fn configure() {
/// let builder = actix_socketio::SocketIo::builder().parser(Objects);
/// # }
/// ```
pub trait Parser: Any + fmt::Debug + Send + Sync {
    /// Encodes a packet as messages, which are sent one directly after another.
    ///
    /// # Errors
    ///
    /// If the packet has no form: an event is then sent to no client, and the caller gets
    /// [`EmitError::Encode`](crate::EmitError::Encode).
    fn encode(&self, packet: &OutgoingPacket<'_>) -> Result<Vec<EngineMessage>, ParserError>;

    /// Makes the decoder of one client.
    fn decoder(&self) -> Box<dyn PacketDecoder>;
}

/// Decodes the messages of one client.
pub trait PacketDecoder: fmt::Debug + Send {
    /// Takes the next message, which has at most
    /// [`max_payload`](crate::Builder::max_payload) bytes. Returns `None` if a packet needs more
    /// messages; a decoder limits what it keeps for that.
    ///
    /// # Errors
    ///
    /// If the message is no packet, or not the expected part of one: the session is closed, and the
    /// reason is logged.
    fn decode(&mut self, message: EngineMessage) -> Result<Option<IncomingPacket>, ParserError>;
}

/// The type of a packet.
// Socket.IO v5, Packet types. Binary events and acknowledgements are those of one parser only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketKind {
    /// A client has connected to the namespace.
    Connect,
    /// A client is disconnected from the namespace.
    Disconnect,
    /// An event.
    Event,
    /// The acknowledgement of an event.
    Ack,
    /// A client is refused in the namespace.
    ConnectError,
}

impl PacketKind {
    /// Returns the number of the type in the protocol.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Connect => 0,
            Self::Disconnect => 1,
            Self::Event => 2,
            Self::Ack => 3,
            Self::ConnectError => 4,
        }
    }
}

/// A packet to a client, for [`Parser::encode`].
#[derive(Clone, Copy, Debug)]
pub struct OutgoingPacket<'a> {
    pub(crate) kind: PacketKind,
    pub(crate) namespace: &'a str,
    pub(crate) id: Option<u64>,
    pub(crate) data: Option<PacketData<'a>>,
}

impl<'a> OutgoingPacket<'a> {
    /// Returns the type.
    #[must_use]
    pub fn kind(&self) -> PacketKind {
        self.kind
    }

    /// Returns the name of the namespace.
    #[must_use]
    pub fn namespace(&self) -> &'a str {
        self.namespace
    }

    /// Returns the id of an acknowledgement, or of an event that the client must acknowledge.
    #[must_use]
    pub fn id(&self) -> Option<u64> {
        self.id
    }

    /// Returns the content: a list of an event's name and its arguments, a list of the arguments of
    /// an acknowledgement, or an object. `None` if the type has no content.
    #[must_use]
    pub fn data(&self) -> Option<PacketData<'a>> {
        self.data
    }
}

/// The content of a packet to a client. A serializer writes it as an array or as a map; binary in it
/// is bytes of serde.
#[derive(Clone, Copy, Debug)]
pub struct PacketData<'a>(pub(crate) Content<'a>);

#[derive(Clone, Copy, Debug)]
pub(crate) enum Content<'a> {
    List(&'a Args),
    Value(&'a Value),
}

impl Serialize for PacketData<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Content::List(args) => args.serialize(serializer),
            Content::Value(value) => value.serialize(serializer),
        }
    }
}

/// A packet of a client, made by a [`PacketDecoder`].
///
/// Names of events that the protocol reserves are refused, and limits are checked, after it was
/// returned.
#[derive(Clone, Debug, PartialEq)]
pub struct IncomingPacket {
    pub(crate) namespace: String,
    pub(crate) content: IncomingContent,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum IncomingContent {
    /// The JSON text of the payload.
    Connect(Option<String>),
    Disconnect,
    Event {
        id: Option<u64>,
        name: String,
        args: Args,
    },
    Ack {
        id: u64,
        args: Args,
    },
    ConnectError(Value),
}

impl IncomingPacket {
    /// The client connects to a namespace. The payload must be an object, if there is one; `null`
    /// is none.
    #[must_use]
    pub fn connect(namespace: impl Into<String>, auth: Option<Value>) -> Self {
        let auth = auth.filter(|auth| !auth.is_null());
        Self::new(
            namespace,
            IncomingContent::Connect(auth.map(|auth| auth.to_string())),
        )
    }

    /// The client disconnects from a namespace.
    #[must_use]
    pub fn disconnect(namespace: impl Into<String>) -> Self {
        Self::new(namespace, IncomingContent::Disconnect)
    }

    /// An event. Its `id` is that of the acknowledgement, if the client expects one.
    #[must_use]
    pub fn event(
        namespace: impl Into<String>,
        id: Option<u64>,
        name: impl Into<String>,
        args: Args,
    ) -> Self {
        let name = name.into();
        Self::new(namespace, IncomingContent::Event { id, name, args })
    }

    /// The acknowledgement of the event with this id. An id that no event has is ignored.
    #[must_use]
    pub fn ack(namespace: impl Into<String>, id: u64, args: Args) -> Self {
        Self::new(namespace, IncomingContent::Ack { id, args })
    }

    /// A refusal, with an object that has `message` and perhaps `data`. Only a server sends it: the
    /// server refuses it, and a [`TestClient`](crate::testing::TestClient) reads it.
    #[must_use]
    pub fn connect_error(namespace: impl Into<String>, data: Value) -> Self {
        Self::new(namespace, IncomingContent::ConnectError(data))
    }

    /// Returns the packet, checked as the parsers of this crate check theirs.
    pub(crate) fn packet(&self) -> Result<Packet<'_>, DecodeError> {
        let body = match &self.content {
            IncomingContent::Connect(auth) => match auth {
                Some(auth) if !auth.starts_with('{') => {
                    return Err(DecodeError::ConnectPayloadNotAnObject);
                }
                auth => Body::Connect {
                    auth: auth.as_deref().map(Cow::Borrowed),
                    query: None,
                },
            },
            IncomingContent::Disconnect => Body::Disconnect,
            IncomingContent::ConnectError(_) => return Err(DecodeError::ConnectErrorFromClient),
            IncomingContent::Event { id, name, args } => {
                check_event_name(name)?;
                let ArgsRef { text, attachments } = args.as_args_ref();
                Body::Event {
                    id: *id,
                    name: Cow::Borrowed(name),
                    args: text,
                    attachments: attachments.len(),
                }
            }
            IncomingContent::Ack { id, args } => {
                let ArgsRef { text, attachments } = args.as_args_ref();
                Body::Ack {
                    id: *id,
                    args: text,
                    attachments: attachments.len(),
                }
            }
        };
        Ok(Packet {
            namespace: &self.namespace,
            body,
        })
    }

    /// Returns the attachments of the arguments.
    pub(crate) fn attachments(&self) -> &[Bytes] {
        match &self.content {
            IncomingContent::Event { args, .. } | IncomingContent::Ack { args, .. } => {
                args.as_args_ref().attachments
            }
            IncomingContent::Connect(_)
            | IncomingContent::ConnectError(_)
            | IncomingContent::Disconnect => &[],
        }
    }

    fn new(namespace: impl Into<String>, content: IncomingContent) -> Self {
        Self {
            namespace: namespace.into(),
            content,
        }
    }
}

/// The reason for which a parser refuses a packet or a message, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParserError(pub(crate) Box<str>);

impl ParserError {
    /// Makes an error with this text.
    pub fn new(cause: impl fmt::Display) -> Self {
        Self(cause.to_string().into())
    }
}

impl fmt::Display for ParserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ParserError {}

impl From<ParserError> for DecodeError {
    fn from(error: ParserError) -> Self {
        // It may repeat the client's text.
        Self::Parser(Excerpt::start_of(&error.0))
    }
}

/// The default parser of the protocol: JSON, with binary in messages of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JsonParser;

/// MessagePack, as [`socket.io-msgpack-parser`](https://www.npmjs.com/package/socket.io-msgpack-parser)
/// writes and reads it: each packet is one binary message, with binary in it.
///
/// Values are written and read by serde, and never become JSON; the payload of a CONNECT does. A
/// `Date` of JavaScript is read as a text in the format of RFC 3339, as from JSON, and `undefined`
/// as `null` or a missing field. Half of a surrogate pair is an error of the handler that reads it.
///
/// # Examples
///
/// ```
/// use actix_socketio::{MessagePackParser, SocketIo};
///
/// // io(url, { parser, query: { parser: "msgpack" } })
/// let builder = SocketIo::builder().parser_when(MessagePackParser::new(), |client| {
///     client.query_value("parser").as_deref() == Some("msgpack")
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessagePackParser {
    pub(crate) limits: PackedLimits,
}

impl MessagePackParser {
    /// Makes the parser with its default limits.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            limits: PackedLimits {
                depth: 128,
                values: 500_000,
            },
        }
    }

    /// Sets how many arrays and maps of a client's packet may be open at once, the packet's own
    /// included. Default: 128, the maximum, which is that of JSON.
    #[must_use]
    pub const fn max_depth(mut self, depth: usize) -> Self {
        self.limits.depth = if depth < 128 { depth } else { 128 };
        self
    }

    /// Sets how many values a client's packet may have, keys included. A value of one byte may
    /// occupy 32 bytes in the program. Default: 500,000, as many as JSON has in 1 MB.
    #[must_use]
    pub const fn max_values(mut self, values: usize) -> Self {
        self.limits.values = values;
        self
    }
}

impl Default for MessagePackParser {
    fn default() -> Self {
        Self::new()
    }
}

/// A parser as the server uses it: those of this crate by their names.
#[derive(Clone, Debug)]
pub(crate) enum Encoding {
    Json,
    MessagePack(PackedLimits),
    Own(Arc<dyn Parser>),
}

impl Encoding {
    pub(crate) fn of<P: Parser>(parser: P) -> Self {
        let any: &dyn Any = &parser;
        if any.is::<JsonParser>() {
            return Self::Json;
        }
        match any.downcast_ref::<MessagePackParser>() {
            Some(parser) => Self::MessagePack(parser.limits),
            None => Self::Own(Arc::new(parser)),
        }
    }
}
