//! The builder of a server, and the options of Socket.IO.
//!
//! `options.rs` has the options that an Engine.IO server has too.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[cfg(feature = "cluster")]
use crate::adapter::{AdapterSetup, start as start_adapter};
use crate::client::Client;
use crate::config::{Config, SessionScope};
use crate::handler::ServerContext;
use crate::link::{Link, Protocol};
use crate::members::RecoveryOptions;
use crate::message::PanicSource;
#[cfg(feature = "cluster")]
use crate::message::Panicked;
use crate::namespace::{Cluster, Registry, Server};
use crate::panics::{PanicReports, TaskOwner};
#[cfg(feature = "session")]
use crate::server::HttpSession;
use crate::server::extractors::Home;
#[cfg(feature = "session")]
use crate::server::logout::Watchers;
use crate::server::{SocketIo, StartError, sampling};
use crate::session::{Engine, Forwarding};
use crate::supervision::{ChildPanic, lasting_arbiter};
use crate::transport::{Hooks, ServerSentEvents};

/// Configures a server: [`SocketIo`], or [`EngineIo`](crate::EngineIo) as
/// [`EngineIoBuilder`](crate::EngineIoBuilder).
///
/// Both have the options of the first block below; those of the other blocks are for one of them.
///
/// # Examples
///
/// ```
/// # #[actix_web::main] async fn main() -> Result<(), actix_socketio::StartError> {
/// use std::time::Duration;
/// use actix_socketio::{Cors, SocketIo};
///
/// let io = SocketIo::builder()
///     .ping_interval(Duration::from_secs(10))
///     .cors(Cors::origins(["https://app.example"]))
///     .start()?;
/// # Ok(()) }
/// ```
#[must_use = "nothing runs before `start`"]
pub struct Builder<S: Buildable = SocketIo> {
    pub(super) config: Config,
    pub(super) hooks: Hooks,
    /// The options of one kind of server.
    pub(super) own: S::Options,
}

/// A server that a [`Builder`] configures: [`SocketIo`] or [`EngineIo`](crate::EngineIo).
pub trait Buildable {
    /// The options that no other server has.
    #[doc(hidden)]
    type Options;
}

/// The options of a Socket.IO server that are not in its `Config`.
#[derive(Debug)]
#[allow(
    unreachable_pub,
    unnameable_types,
    reason = "a public trait names it, and no program needs to"
)]
pub struct SocketIoOptions {
    server_context: ServerContext,
    #[cfg(feature = "cluster")]
    adapter: Option<AdapterSetup>,
    #[cfg(feature = "session")]
    logouts: Option<Watchers>,
}

impl Buildable for SocketIo {
    type Options = SocketIoOptions;
}

impl SocketIo {
    /// Returns a builder with the default options; see [`Builder`].
    pub fn builder() -> Builder {
        let config = Config::new("/socket.io/");
        let mut server_context = ServerContext::default();
        server_context.line_limits = Arc::clone(&config.line_limits);
        Builder {
            config,
            hooks: Hooks::default(),
            own: SocketIoOptions {
                server_context,
                #[cfg(feature = "cluster")]
                adapter: None,
                #[cfg(feature = "session")]
                logouts: None,
            },
        }
    }
}

/// The options of Socket.IO.
impl Builder<SocketIo> {
    /// Adds a value for handlers: their argument [`State<T>`](crate::State). One value for each
    /// type.
    pub fn state<T: Send + Sync + 'static>(mut self, state: T) -> Self {
        self.own.server_context.insert(state);
        self
    }

    /// Sets whether clients receive the texts and values of errors. By default they do in a debug
    /// build, and do not in a release build (`cfg!(debug_assertions)`), because such a text may
    /// come from a database, or name a type of the program.
    ///
    /// If a call fails, a client that expects an acknowledgement receives `{"error": …}`, unless
    /// [`Handlers::on_error`](crate::Handlers::on_error) answers. With details it is the error that
    /// the handler returned, or the rejection's text. Without details, and after a panic, it is
    /// `internal server error`. The error of an event without a handler is sent in any case.
    ///
    /// A refused client always receives the error if the program makes it by
    /// [`ConnectError`](crate::ConnectError). It receives the text of another error only with
    /// details.
    ///
    /// Switch it on for clients that depend on the `Err` values of handlers, if these are written
    /// for clients. `on_error` can decide for each error.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{Data, SocketIo};
    ///
    /// # fn start() -> Result<(), actix_socketio::StartError> {
    /// // The errors of this program are written for its clients.
    /// let io = SocketIo::builder().error_details(true).start()?;
    /// io.of("/").on("join", |Data(room): Data<String>| async move {
    ///     match room.as_str() {
    ///         "lobby" => Ok(()),
    ///         _ => Err("there is no such room"),
    ///     }
    /// });
    /// # Ok(()) }
    /// ```
    pub fn error_details(mut self, told: bool) -> Self {
        self.own.server_context.tells_errors = told;
        self
    }

    /// Sets whether the server acknowledges an event without a handler with an error; true by
    /// default. With false it sends no acknowledgement, as on Node.js.
    pub fn answer_unhandled(mut self, answered: bool) -> Self {
        self.own.server_context.answers_unhandled = answered;
        self
    }

    /// Sets the timeout for a client to connect to its first namespace; 45 seconds by default. Its
    /// session is then closed.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.config.sockets.connect_timeout = timeout;
        self
    }

    /// Sets the timeout of [`Socket::call`](crate::Socket::call), and of a [`Call`](crate::Call)
    /// without a timeout of its own; 60 seconds by default.
    pub fn ack_timeout(mut self, timeout: Duration) -> Self {
        self.config.sockets.ack_timeout = timeout;
        self
    }

    /// Sets the maximal number of calls to one socket that wait for acknowledgement; 1024 by
    /// default.
    pub fn pending_calls(mut self, calls: usize) -> Self {
        self.config.limits.pending_calls = calls;
        self
    }

    /// Sets the maximal number of attachments of a packet, in either direction; 10 by default. A
    /// packet with more closes its session, and an emit or an acknowledgement with more is
    /// [`ArgsError::TooManyAttachments`](crate::ArgsError). Official clients close the connection
    /// if a packet has more than 10, so raise it only for clients that allow more.
    pub fn max_attachments(mut self, attachments: usize) -> Self {
        self.config.limits.max_attachments = attachments;
        self
    }

    /// Sets the time limit for the arrival of one packet's attachments, counted from the packet; 60
    /// seconds by default. The session is then closed. Their total size is limited by
    /// [`max_payload`](Self::max_payload).
    pub fn attachments_timeout(mut self, timeout: Duration) -> Self {
        self.config.sockets.attachments_timeout = timeout;
        self
    }

    /// Sets the maximal number of namespaces of one client; 32 by default. A further one is
    /// refused.
    pub fn namespaces_per_session(mut self, namespaces: usize) -> Self {
        self.config.limits.namespaces_per_session = namespaces;
        self
    }

    /// Sets the maximal size of the payload of a CONNECT packet, the client's `auth` option, in
    /// bytes; 64 KiB by default. A client with a larger one is refused, because the payload is kept
    /// while the socket exists.
    pub fn auth_limit(mut self, bytes: usize) -> Self {
        self.config.limits.auth_limit = bytes;
        self
    }

    /// Sets the maximal length of a namespace's name, in bytes; 1024 by default. It applies to
    /// namespaces that [`of_pattern`](crate::SocketIo::of_pattern) or
    /// [`of_predicate`](crate::SocketIo::of_predicate) makes for a client. A client that requests a
    /// longer name is refused before any predicate runs. Namespaces that the program itself names
    /// are not limited.
    pub fn namespace_name_limit(mut self, bytes: usize) -> Self {
        self.config.limits.namespace_name_limit = bytes;
        self
    }

    /// Sets the maximal number of namespaces that patterns and predicates make without
    /// [`remove_when_empty`](crate::NamespacePattern::remove_when_empty); 10,000 by default. They
    /// exist until the server ends, so a client that requests one more is refused. Clients can
    /// connect to existing ones at any time.
    pub fn kept_namespaces(mut self, namespaces: usize) -> Self {
        self.config.limits.kept_namespaces = namespaces;
        self
    }

    /// Sets the maximal number of rooms of one socket; 1000 by default. One more is
    /// [`RoomError::TooManyRooms`](crate::RoomError).
    pub fn rooms_per_socket(mut self, rooms: usize) -> Self {
        self.config.limits.rooms_per_socket = rooms;
        self
    }

    /// Sets the maximal length of a room's name that a socket joins, in bytes; 1024 by default. A
    /// longer one is [`RoomError::NameTooLong`](crate::RoomError).
    pub fn room_name_limit(mut self, bytes: usize) -> Self {
        self.config.limits.room_name_limit = bytes;
        self
    }

    /// Sets the scope of a client's [`Session`](crate::Session): one for all its namespaces, the
    /// default, or one for each.
    pub fn session_scope(mut self, scope: SessionScope) -> Self {
        self.config.sockets.session_scope = scope;
        self
    }

    /// Connects the client's [`Session`](crate::Session) with its HTTP session of `actix-session`:
    /// by a copy, or by a shared store ([`HttpSession`](crate::HttpSession)). Without it the two
    /// are independent.
    #[cfg(feature = "session")]
    #[cfg_attr(docsrs, doc(cfg(feature = "session")))]
    pub fn http_session(mut self, http_session: HttpSession) -> Self {
        self.config.sockets.stored_sessions = http_session.is_shared();
        self.own.logouts = http_session.watchers().cloned();
        self.handshake_extensions(move |request, extensions| {
            http_session.begin(request, extensions);
        })
    }

    /// Makes the server a node of a cluster: broadcasts reach the clients of all nodes. Without an
    /// adapter a server is alone.
    ///
    /// If a proxy sends polling requests to the wrong node of this crate, that node forwards them
    /// to the node of their session.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # #[cfg(feature = "redis")] {
    /// use actix_socketio::{RedisAdapter, SocketIo};
    ///
    /// # fn start() -> std::io::Result<()> {
    /// let adapter = RedisAdapter::streams("redis://127.0.0.1:6379")?;
    /// let io = SocketIo::builder().adapter(adapter).start()?;
    /// # Ok(()) }
    /// # }
    /// ```
    #[cfg(feature = "cluster")]
    #[cfg_attr(docsrs, doc(cfg(any(feature = "redis", feature = "testing"))))]
    pub fn adapter(mut self, adapter: impl Into<AdapterSetup>) -> Self {
        self.own.adapter = Some(adapter.into());
        self
    }

    /// Sends events to clients that only read, at `events` below the server's
    /// [`path`](Self::path): for `EventSource` in browsers, and for curl. By default there is no
    /// such path. See [`ServerSentEvents`] for the query, the events and the reconnect.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{ServerSentEvents, SocketIo};
    ///
    /// // curl -N "http://localhost:3000/socket.io/events?room=public"
    /// let events = ServerSentEvents::new().rooms(|_, _, room| room == "public");
    /// let builder = SocketIo::builder().server_sent_events(events);
    /// ```
    pub fn server_sent_events(mut self, options: ServerSentEvents) -> Self {
        self.hooks.set_events(options);
        self
    }

    /// Enables connection state recovery. If a client reconnects within `window`, its socket is
    /// restored with id, rooms and data. The client receives every missed event, in order and once,
    /// and then the CONNECT packet. Off by default.
    ///
    /// Its connect handlers run again, and [`Socket::recovered`](crate::Socket::recovered) is then
    /// true. Middleware does not run, unless
    /// [`recovery_skips_middleware`](Self::recovery_skips_middleware) is off. Data are the values
    /// of [`Socket::insert_extension`](crate::Socket::insert_extension) and of its
    /// [`Session`](crate::Session). Volatile events and events that wait for an acknowledgement are
    /// not kept. Every other event carries its offset as an additional argument. The official
    /// client sends the last offset when it reconnects.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use actix_socketio::{Socket, SocketIo};
    ///
    /// # fn start() -> Result<(), actix_socketio::StartError> {
    /// let io = SocketIo::builder()
    ///     .connection_state_recovery(Duration::from_secs(120))
    ///     .start()?;
    /// io.of("/").on_connect(|socket: Socket| async move {
    ///     if !socket.recovered() {
    ///         let _ = socket.join("lobby").await;
    ///     }
    /// });
    /// # Ok(()) }
    /// ```
    pub fn connection_state_recovery(mut self, window: Duration) -> Self {
        self.config.sockets.recovery = Some(window);
        self
    }

    /// Sets whether a recovered client skips middleware; true by default.
    pub fn recovery_skips_middleware(mut self, skips: bool) -> Self {
        self.config.sockets.recovery_skips_middleware = skips;
        self
    }

    /// Sets the maximal size of the events that each namespace keeps for recovery, and of the state
    /// of disconnected sockets, in bytes each; 16 MiB by default. An event counts with the names of
    /// its rooms and exceptions and about 400 bytes more. A client starts a new session if it has
    /// missed more than this, or more than half of [`outbox_limit`](Self::outbox_limit). If too
    /// many clients are disconnected, those that disconnected first start new sessions.
    pub fn recovery_limit(mut self, bytes: usize) -> Self {
        self.config.limits.recovery_limit = bytes;
        self
    }

    /// Serves the official client's files from this folder, below the server's path:
    /// `socket.io.js`, `socket.io.min.js`, `socket.io.esm.min.js`, `socket.io.msgpack.min.js` and
    /// their maps. The npm package `socket.io-client` has them in `dist`.
    pub fn client_files(mut self, folder: impl Into<PathBuf>) -> Self {
        self.config.http.client_files = Some(folder.into());
        self
    }

    /// Starts the server's actors in the actix system of this thread. If there is none they run in
    /// a thread with a system of its own. The namespace `/` exists from the start.
    ///
    /// # Errors
    ///
    /// [`StartError`], if the thread cannot be started, or if the path or an origin of
    /// [`cors`](Self::cors) is invalid; the text names it.
    pub fn start(mut self) -> Result<SocketIo, StartError> {
        self.config.check().map_err(StartError::option)?;
        let arbiter = lasting_arbiter().map_err(StartError)?;
        let home = self.own.server_context.insert(Home::default());
        self.config.telemetry.metrics.describe();
        self.own.server_context.telemetry = self.config.telemetry.clone();
        self.own.server_context.limit_hooks = self.config.limit_hooks.clone();
        let server_context = Arc::new(self.own.server_context);
        let recovery = recovery(&self.config);
        #[cfg(feature = "cluster")]
        let node = self.own.adapter.map(|adapter| {
            let told = Arc::clone(&server_context);
            let fallen = move |fall: ChildPanic| {
                told.report(&Panicked {
                    source: PanicSource::Adapter,
                    namespace: None,
                    socket: None,
                    panic: fall.panic,
                });
            };
            start_adapter(adapter, &arbiter, &self.config.sockets, fallen)
        });
        #[cfg(feature = "cluster")]
        let cluster = node.clone().map(|node| node as Arc<dyn Cluster>);
        #[cfg(feature = "cluster")]
        let forwarding: Option<Arc<dyn Forwarding>> = node.as_ref().map(|node| node.forwarding());
        #[cfg(not(feature = "cluster"))]
        let cluster: Option<Arc<dyn Cluster>> = None;
        #[cfg(not(feature = "cluster"))]
        let forwarding: Option<Arc<dyn Forwarding>> = None;
        let registry = Registry::new(server_context, arbiter, &self.config, cluster, recovery);
        let server = Server::start(&registry);
        registry.open("/");
        #[cfg(feature = "session")]
        if let Some(logouts) = &self.own.logouts {
            logouts.add(&registry);
        }
        let accepting = Arc::clone(&registry);
        let accept = move |link: &Arc<Link>, now: Instant| -> Box<dyn Protocol> {
            Box::new(Client::new(&accepting, link, now))
        };
        let panic_reports = panic_reports(&registry);
        self.config.panic_reports = panic_reports.clone();
        let fallen = move |fall: ChildPanic| panic_reports.report(TaskOwner::Session, fall.panic);
        let engine = Engine::new(Arc::new(self.config), Box::new(accept), fallen, forwarding);
        #[cfg(feature = "cluster")]
        if let Some(node) = node {
            node.serve(&engine);
        }
        sampling::start(&engine, Some(&registry)).map_err(StartError)?;
        let io = SocketIo::new(engine, self.hooks, registry, server);
        home.set(&io);
        Ok(io)
    }
}

impl<S: Buildable> fmt::Debug for Builder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// Returns the reports of the panics of tasks below the namespaces.
fn panic_reports(registry: &Arc<Registry>) -> PanicReports {
    let registry = Arc::clone(registry);
    PanicReports::new(move |owner, panic| {
        let source = match owner {
            TaskOwner::Session => PanicSource::Session,
            TaskOwner::HttpConnection => PanicSource::HttpConnection,
        };
        registry.supervisor.report(source, None, panic);
    })
}

fn recovery(config: &Config) -> Option<RecoveryOptions> {
    config.sockets.recovery.map(|window| RecoveryOptions {
        window,
        silence: config.engine.silence_limit(),
        limit: config.limits.recovery_limit,
        burst: config.limits.outbox_limit / 2,
        skips_middleware: config.sockets.recovery_skips_middleware,
    })
}
