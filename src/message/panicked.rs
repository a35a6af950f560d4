//! The messages to a program's supervisor.

use std::fmt;

use actix::Message;

use crate::id::SocketId;
use crate::logging::{Quoted, cut, plain};

/// Notifies the supervisors of [`SocketIo::supervise`](crate::SocketIo::supervise) of a panic.
///
/// The panic has been contained when this arrives. A handler's panic ends that call, and a
/// session's closes its transport. A room, a namespace or the server was restarted with its
/// members, and an adapter reconnects.
///
/// # Examples
///
/// ```
/// use actix::{Actor, Context, Handler};
/// use actix_socketio::{PanicSource, Panicked};
///
/// struct Watch;
///
/// impl Actor for Watch {
///     type Context = Context<Self>;
/// }
///
/// impl Handler<Panicked> for Watch {
///     type Result = ();
///
///     fn handle(&mut self, crashed: Panicked, _: &mut Self::Context) {
///         if let PanicSource::Handler(event) = &crashed.source {
///             println!("the handler of {event} panicked: {}", crashed.panic);
///         }
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Message)]
#[rtype(result = "()")]
#[non_exhaustive]
pub struct Panicked {
    /// The source of the panic.
    pub source: PanicSource,
    /// The namespace, if the source belongs to one.
    pub namespace: Option<String>,
    /// The socket of the handler.
    pub socket: Option<SocketId>,
    /// The panic's text.
    pub panic: String,
}

/// The source of a panic.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PanicSource {
    /// The handler of this event; `connect` and `disconnect` are those of
    /// [`Handlers::on_connect`](crate::Handlers::on_connect) and
    /// [`Handlers::on_disconnect`](crate::Handlers::on_disconnect). Also the listener of this
    /// server-side event; then there is no socket.
    Handler(String),
    /// A session's actor, or a task of the session (its upgrade, the writes of its WebSocket, the
    /// turns of its store): then the text of the panic begins with the task's name.
    Session,
    /// The task of an HTTP connection of [`SocketIo::serve`](crate::SocketIo::serve): a service of
    /// the program's App has panicked, and the connection was closed.
    HttpConnection,
    /// The actor of this room.
    Room(String),
    /// A namespace's actor.
    Namespace,
    /// The server's actor.
    Server,
    /// The child of this path, of a [`Supervisor`](crate::Supervisor) of the program.
    Child(String),
    /// The children of this [`Supervisor`](crate::Supervisor) were restarted too often, and none is
    /// above it: it has ended.
    Supervisor(String),
    /// A task that [`SocketIo::spawn`](crate::SocketIo::spawn) or
    /// [`Socket::spawn`](crate::Socket::spawn) has started.
    BackgroundTask,
    /// The adapter's actor, which keeps the connections to the broker, or a task of the adapter:
    /// then the text of the panic begins with the task's name.
    Adapter,
}

impl PanicSource {
    /// Returns the source's name for metrics, without names of events and rooms.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Handler(_) => "handler",
            Self::Session => "session",
            Self::HttpConnection => "http_connection",
            Self::Room(_) => "room",
            Self::Namespace => "namespace",
            Self::Server => "server",
            Self::Child(_) => "child",
            Self::Supervisor(_) => "supervisor",
            Self::BackgroundTask => "background_task",
            Self::Adapter => "adapter",
        }
    }
}

impl fmt::Display for PanicSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handler(event) => write!(f, "handler of {}", Quoted(event)),
            Self::Session => f.write_str("session"),
            Self::HttpConnection => f.write_str("HTTP connection"),
            Self::Room(name) => write!(f, "room {}", Quoted(name)),
            Self::Namespace => f.write_str("namespace"),
            Self::Server => f.write_str("server"),
            Self::Child(path) => write!(f, "child {}", Quoted(path)),
            Self::Supervisor(path) => write!(f, "supervisor {}", Quoted(path)),
            Self::BackgroundTask => f.write_str("background task"),
            Self::Adapter => f.write_str("adapter"),
        }
    }
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} panicked", self.source)?;
        if let Some(namespace) = &self.namespace {
            write!(f, " in namespace {}", plain(namespace))?;
        }
        if let Some(socket) = &self.socket {
            write!(f, " for socket {socket}")?;
        }
        write!(f, ": {}", cut(&self.panic))
    }
}
