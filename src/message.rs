//! The words that programs and actors exchange.
//!
//! Verbs that [`Server`](crate::Server) and [`Room`](crate::Room) understand, and what the program's
//! own actors are told. They hold plain values and may be sent from any thread.

use std::fmt;
use std::time::Duration;

use actix::Message;
use serde::Serialize;

use crate::error::{CallError, EmitError};
use crate::id::SocketId;
use crate::socketio::{Args, ArgsError};

/// Sends an event to many: to everyone in a room when sent to a [`Room`](crate::Room), and to
/// everyone in a namespace, or in some of its rooms, when sent to the [`Server`](crate::Server).
///
/// # Examples
///
/// ```
/// # use actix_socketio::{Emit, Server};
/// # async fn run(server: actix::Addr<Server>) -> Result<(), Box<dyn std::error::Error>> {
/// server.send(Emit::event("news", "to all of /chat in the lobby").of("/chat").to("lobby")).await??;
/// # Ok(()) }
/// ```
#[derive(Debug, Message)]
#[rtype(result = "Result<(), EmitError>")]
pub struct Emit {
    pub(crate) event: String,
    pub(crate) data: Result<Args, ArgsError>,
    pub(crate) namespace: String,
    pub(crate) rooms: Option<Vec<String>>,
    pub(crate) except: Vec<String>,
}

impl Emit {
    /// Names the event and its data: a tuple is sent as that many arguments, `()` as none, anything
    /// else as one. Data that cannot be sent is an error of the message's answer.
    pub fn event(name: impl Into<String>, data: impl Serialize) -> Self {
        Self {
            event: name.into(),
            data: Args::from_value(&data),
            namespace: "/".to_owned(),
            rooms: None,
            except: Vec::new(),
        }
    }

    /// Names the namespace; `/` without it. A slash in front may be left out. A room ignores it: it
    /// has its own.
    #[must_use]
    pub fn of(mut self, namespace: impl AsRef<str>) -> Self {
        self.namespace = namespace_name(namespace.as_ref());
        self
    }

    /// Adds a room, or a socket's id, to those who get the event. A room ignores it.
    #[must_use]
    pub fn to(mut self, room: impl AsRef<str>) -> Self {
        let rooms = self.rooms.get_or_insert_default();
        rooms.push(room.as_ref().to_owned());
        self
    }

    /// Leaves out the sockets of a room, or the socket with this id.
    #[must_use]
    pub fn except(mut self, room: impl AsRef<str>) -> Self {
        self.except.push(room.as_ref().to_owned());
        self
    }
}

/// Sends an event to one socket and answers with its acknowledgement, whatever namespace it is in.
///
/// # Examples
///
/// ```
/// # use actix_socketio::{Call, Server, SocketId};
/// # async fn run(server: actix::Addr<Server>, id: SocketId) -> Result<(), Box<dyn std::error::Error>> {
/// let answer = server.send(Call::to(id).event("ask", 1)).await??;
/// let number: i64 = answer.read()?;
/// # Ok(()) }
/// ```
#[derive(Debug, Message)]
#[rtype(result = "Result<Args, CallError>")]
pub struct Call {
    pub(crate) socket: SocketId,
    pub(crate) event: String,
    pub(crate) data: Result<Args, ArgsError>,
    pub(crate) timeout: Option<Duration>,
}

impl Call {
    /// Names the socket.
    #[must_use]
    pub fn to(socket: SocketId) -> Self {
        Self {
            socket,
            event: "message".to_owned(),
            data: Ok(Args::default()),
            timeout: None,
        }
    }

    /// Names the event and its data; without it the event is `message` and has no data.
    #[must_use]
    pub fn event(mut self, name: impl Into<String>, data: impl Serialize) -> Self {
        self.event = name.into();
        self.data = Args::from_value(&data);
        self
    }

    /// Sets how long the answer may take; the server's `ack_timeout` without it.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }
}

/// Makes a socket leave its namespace; answers whether there was such a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Message)]
#[rtype(result = "bool")]
pub struct Disconnect(pub SocketId);

/// Asks a [`Room`](crate::Room) for the ids of the sockets in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Message)]
#[rtype(result = "Vec<SocketId>")]
pub struct ListMembers;

/// Tells whoever asked by [`SocketIo::supervise`](crate::SocketIo::supervise) that something panicked.
///
/// What panicked has been contained when this arrives: a handler's panic cost that call, a session's
/// closed its transport, a room, a namespace or the server was restarted with its members.
#[derive(Clone, Debug, PartialEq, Eq, Message)]
#[rtype(result = "()")]
#[non_exhaustive]
pub struct Crashed {
    /// What panicked.
    pub place: CrashPlace,
    /// The namespace, where it was in one.
    pub namespace: Option<String>,
    /// The socket that the handler ran for.
    pub socket: Option<SocketId>,
    /// The panic's text.
    pub panic: String,
}

/// What panicked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CrashPlace {
    /// The handler of this event; `connect` and `disconnect` are those of
    /// [`Namespace::on_connect`](crate::Namespace::on_connect) and
    /// [`Namespace::on_disconnect`](crate::Namespace::on_disconnect).
    Handler(String),
    /// A session's actor.
    Session,
    /// The actor of this room.
    Room(String),
    /// A namespace's actor.
    Namespace,
    /// The server's actor.
    Server,
}

impl fmt::Display for CrashPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handler(event) => write!(f, "handler of {event:?}"),
            Self::Session => f.write_str("session"),
            Self::Room(name) => write!(f, "room {name:?}"),
            Self::Namespace => f.write_str("namespace"),
            Self::Server => f.write_str("server"),
        }
    }
}

impl fmt::Display for Crashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} panicked", self.place)?;
        if let Some(namespace) = &self.namespace {
            write!(f, " in namespace {namespace}")?;
        }
        if let Some(socket) = &self.socket {
            write!(f, " for socket {socket}")?;
        }
        write!(f, ": {}", self.panic)
    }
}

/// Returns the name that a program means: the slash in front may be left out.
pub(crate) fn namespace_name(name: &str) -> String {
    format!("/{}", name.trim_start_matches('/'))
}
