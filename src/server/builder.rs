//! The builder of a Socket.IO server.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[cfg(feature = "cluster")]
use crate::adapter::{AdapterSetup, start as start_adapter};
use crate::client::Client;
use crate::config::{Config, Cors, SessionScope, SlowClientPolicy, Transport};
use crate::handler::Surroundings;
use crate::link::Link;
use crate::message::CrashPlace;
#[cfg(feature = "cluster")]
use crate::message::Crashed;
use crate::namespace::{Registry, Server};
#[cfg(feature = "session")]
use crate::server::HttpSession;
use crate::server::extractors::Home;
#[cfg(feature = "session")]
use crate::server::logout::Watchers;
use crate::server::options::engine_options;
use crate::server::{SocketIo, StartError};
use crate::session::{Engine, Forwarding, Protocol};
use crate::socket::{Adapter, RecoveryOptions};
use crate::supervision::{Fall, lasting_arbiter};
use crate::transport::Hooks;

/// Sets up a [`SocketIo`] server.
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
#[derive(Debug)]
#[must_use = "nothing runs before `start`"]
pub struct Builder {
    config: Config,
    surroundings: Surroundings,
    hooks: Hooks,
    #[cfg(feature = "cluster")]
    adapter: Option<AdapterSetup>,
    #[cfg(feature = "session")]
    logouts: Option<Watchers>,
}

impl Builder {
    pub(crate) fn new() -> Self {
        let config = Config::new("/socket.io/");
        let mut surroundings = Surroundings::default();
        surroundings.line_limits = Arc::clone(&config.line_limits);
        Self {
            config,
            surroundings,
            hooks: Hooks::default(),
            #[cfg(feature = "cluster")]
            adapter: None,
            #[cfg(feature = "session")]
            logouts: None,
        }
    }

    engine_options!();

    /// Gives handlers a value: they get it as [`State<T>`](crate::State). One value for each type.
    pub fn state<T: Send + Sync + 'static>(mut self, state: T) -> Self {
        self.surroundings.insert(state);
        self
    }

    /// Sets whether clients get the texts and values of errors. By default they do in a debug
    /// build, and do not in a release build (`cfg!(debug_assertions)`), because such a text may be
    /// one of the database's, or name a type of the program.
    ///
    /// A client that asked for an acknowledgement gets `{"error": …}` if the call failed, unless
    /// [`Namespace::on_error`](crate::Namespace::on_error) answers. With details that is the error
    /// that the handler returned, or the rejection's text. Without details, and after a panic, it
    /// is `internal server error`. That nobody handles an event is in the answer in any case.
    ///
    /// A client that is refused gets what the program says on purpose by
    /// [`ConnectError`](crate::ConnectError) in any case, and the text of another error only with
    /// details.
    ///
    /// Switch it on for clients that depend on what `Err` values say, if these are written for
    /// them; `on_error` can choose between errors.
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
        self.surroundings.tells_errors = told;
        self
    }

    /// Sets whether a client that asked for an acknowledgement is told that nobody handles its
    /// event; true by default. With false the event stays unanswered, as on Node.js.
    pub fn answer_unhandled(mut self, answered: bool) -> Self {
        self.surroundings.answers_unhandled = answered;
        self
    }

    /// Sets how long a client may take to join its first namespace; 45 seconds by default. Its
    /// session is closed then.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.config.connect_timeout = timeout;
        self
    }

    /// Sets how long [`Socket::call`](crate::Socket::call), and a
    /// [`Call`](crate::Call) without a timeout of its own, wait; 60 seconds by default.
    pub fn ack_timeout(mut self, timeout: Duration) -> Self {
        self.config.ack_timeout = timeout;
        self
    }

    /// Sets how many calls to one socket may wait for their acknowledgement; 1024 by default.
    pub fn pending_calls(mut self, calls: usize) -> Self {
        self.config.pending_calls = calls;
        self
    }

    /// Sets how many attachments one packet may have, in either direction; 10 by default. A packet
    /// with more closes its session, and an emit or an acknowledgement with more is
    /// [`ArgsError::TooManyAttachments`](crate::ArgsError). Official clients close the connection
    /// over a packet with more than 10, so raise it only for clients that allow more.
    pub fn max_attachments(mut self, attachments: usize) -> Self {
        self.config.attachments = attachments;
        self
    }

    /// Sets how long the attachments of one packet may take to arrive, counted from the packet; 60
    /// seconds by default. The session is closed then. Together they may have as many bytes as
    /// [`max_payload`](Self::max_payload) says.
    pub fn attachments_timeout(mut self, timeout: Duration) -> Self {
        self.config.attachments_timeout = timeout;
        self
    }

    /// Sets how many namespaces one client may join; 32 by default. A further one is refused.
    pub fn namespaces_per_session(mut self, namespaces: usize) -> Self {
        self.config.namespaces_per_session = namespaces;
        self
    }

    /// Sets how many bytes the payload of a CONNECT packet, the client's `auth` option, may have;
    /// 64 KiB by default. A client with a larger one is refused, because the payload is kept for as
    /// long as the socket.
    pub fn auth_limit(mut self, bytes: usize) -> Self {
        self.config.auth_limit = bytes;
        self
    }

    /// Sets how many bytes the name of a namespace may have that
    /// [`of_pattern`](crate::SocketIo::of_pattern) or
    /// [`of_predicate`](crate::SocketIo::of_predicate) makes for a client; 1024 by default. A
    /// client that asks for a longer one is refused, and no predicate is asked. Namespaces that the
    /// program has named itself are not bound by it.
    pub fn namespace_name_limit(mut self, bytes: usize) -> Self {
        self.config.namespace_name_limit = bytes;
        self
    }

    /// Sets how many namespaces patterns and predicates may make without
    /// [`remove_when_empty`](crate::NamespacePattern::remove_when_empty); 10,000 by default. They
    /// stay until the server ends, so a client that asks for one more is refused. Those that there
    /// are can be joined at any time.
    pub fn kept_namespaces(mut self, namespaces: usize) -> Self {
        self.config.kept_namespaces = namespaces;
        self
    }

    /// Sets how many rooms one socket may be in; 1000 by default. One more is
    /// [`RoomError::TooManyRooms`](crate::RoomError).
    pub fn rooms_per_socket(mut self, rooms: usize) -> Self {
        self.config.rooms_per_socket = rooms;
        self
    }

    /// Sets how many bytes the name of a room may have that a socket joins; 1024 by default. A
    /// longer one is [`RoomError::NameTooLong`](crate::RoomError).
    pub fn room_name_limit(mut self, bytes: usize) -> Self {
        self.config.room_name_limit = bytes;
        self
    }

    /// Sets whether a client has one [`Session`](crate::Session) in all its namespaces, which is
    /// the default, or one in each.
    pub fn session_scope(mut self, scope: SessionScope) -> Self {
        self.config.session_scope = scope;
        self
    }

    /// Lets the client's [`Session`](crate::Session) begin with its HTTP session of
    /// `actix-session`, or be that session: [`HttpSession`](crate::HttpSession) says how. Without
    /// it the two know nothing of each other.
    #[cfg(feature = "session")]
    #[cfg_attr(docsrs, doc(cfg(feature = "session")))]
    pub fn http_session(mut self, http_session: HttpSession) -> Self {
        self.config.stored_sessions = http_session.is_shared();
        self.logouts = http_session.watchers().cloned();
        self.handshake_extensions(move |request, extensions| {
            http_session.begin(request, extensions);
        })
    }

    /// Makes the server a node of a cluster: what is sent to many reaches the clients of all nodes.
    /// Without an adapter a server is alone.
    ///
    /// Requests of polling that a proxy sends to another node of this crate are forwarded to the
    /// one that has their session.
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
        self.adapter = Some(adapter.into());
        self
    }

    /// Lets a client come back whose connection broke: within `window` it gets its id, its rooms,
    /// its data and every event that it missed, in order and once, and then the CONNECT packet. Off
    /// by default.
    ///
    /// Its connect handlers run again, where [`Socket::recovered`](crate::Socket::recovered) is
    /// true; middleware does not, unless
    /// [`recovery_skips_middleware`](Self::recovery_skips_middleware) says so. Data are the values
    /// of [`Socket::insert_extension`](crate::Socket::insert_extension) and those of its
    /// [`Session`](crate::Session). Events that wait for an acknowledgement and volatile ones are
    /// not kept. Every other event carries its number as one more argument, from which the official
    /// client takes the offset that it comes back with.
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
        self.config.recovery = Some(window);
        self
    }

    /// Sets whether a client that comes back is let in without being looked at by middleware; true
    /// by default.
    pub fn recovery_skips_middleware(mut self, skips: bool) -> Self {
        self.config.recovery_skips_middleware = skips;
        self
    }

    /// Sets how many bytes of events each namespace keeps for clients that come back, and as many
    /// again of what these clients had; 16 MiB by default. An event counts with the names of its
    /// rooms and exceptions and about 400 bytes more. A client that has missed more, or more than
    /// half of [`outbox_limit`](Self::outbox_limit), begins anew, and so do those that went first
    /// if too many have gone.
    pub fn recovery_limit(mut self, bytes: usize) -> Self {
        self.config.recovery_limit = bytes;
        self
    }

    /// Serves the official client's files from this folder, below the server's path:
    /// `socket.io.js`, `socket.io.min.js`, `socket.io.esm.min.js`, `socket.io.msgpack.min.js` and
    /// their maps. They lie in `dist` of the npm package `socket.io-client`.
    pub fn client_files(mut self, folder: impl Into<PathBuf>) -> Self {
        self.config.client_files = Some(folder.into());
        self
    }

    /// Starts the server's actors, in the actix system of this thread; a program without one gets a
    /// thread with a system of its own. There is a namespace `/` from the start.
    ///
    /// # Errors
    ///
    /// [`StartError`], where the thread cannot be started, or where the path or an origin of
    /// [`cors`](Self::cors) cannot be served; the text names it.
    pub fn start(mut self) -> Result<SocketIo, StartError> {
        self.config.check().map_err(StartError::option)?;
        let arbiter = lasting_arbiter().map_err(StartError)?;
        let home = self.surroundings.insert(Home::default());
        let surroundings = Arc::new(self.surroundings);
        let recovery = recovery(&self.config);
        #[cfg(feature = "cluster")]
        let node = self.adapter.map(|adapter| {
            let told = Arc::clone(&surroundings);
            let fallen = move |fall: Fall| {
                told.report(&Crashed {
                    place: CrashPlace::Adapter,
                    namespace: None,
                    socket: None,
                    panic: fall.panic,
                });
            };
            let ack_timeout = self.config.ack_timeout;
            start_adapter(adapter, &arbiter, ack_timeout, fallen)
        });
        #[cfg(feature = "cluster")]
        let adapter = node.clone().map(|node| node as Arc<dyn Adapter>);
        #[cfg(feature = "cluster")]
        let forwarding: Option<Arc<dyn Forwarding>> = node.as_ref().map(|node| node.forwarding());
        #[cfg(not(feature = "cluster"))]
        let adapter: Option<Arc<dyn Adapter>> = None;
        #[cfg(not(feature = "cluster"))]
        let forwarding: Option<Arc<dyn Forwarding>> = None;
        let registry = Registry::new(surroundings, arbiter, &self.config, adapter, recovery);
        let server = Server::start(&registry);
        registry.open("/");
        #[cfg(feature = "session")]
        if let Some(logouts) = &self.logouts {
            logouts.add(&registry);
        }
        let accepting = Arc::clone(&registry);
        let accept = move |link: &Arc<Link>, now: Instant| -> Box<dyn Protocol> {
            Box::new(Client::new(&accepting, link, now))
        };
        let reporting = Arc::clone(&registry);
        let fallen = move |fall: Fall| {
            reporting.report(CrashPlace::Session, None, fall.panic);
        };
        let engine = Engine::new(Arc::new(self.config), Box::new(accept), fallen, forwarding);
        #[cfg(feature = "cluster")]
        if let Some(node) = node {
            node.serve(&engine);
        }
        let io = SocketIo::new(engine, self.hooks, registry, server);
        home.set(&io);
        Ok(io)
    }
}

fn recovery(config: &Config) -> Option<RecoveryOptions> {
    config.recovery.map(|window| RecoveryOptions {
        window,
        silence: config.silence_limit(),
        limit: config.recovery_limit,
        burst: config.outbox_limit / 2,
        skips_middleware: config.recovery_skips_middleware,
    })
}
