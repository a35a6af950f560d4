//! Wiring: what a program builds, mounts and holds.
//!
//! [`SocketIo`] puts the layers together and is the program's handle on them; [`EngineIo`] does the
//! same for Engine.IO alone. No protocol and no routing is decided here.

mod all_namespaces;
mod background;
mod builder;
mod closing;
mod dealing;
mod engine_io;
mod extractors;
#[cfg(feature = "session")]
mod http_session;
#[cfg(feature = "session")]
mod logout;
mod namespace;
mod object;
mod operator;
mod options;
mod pattern;
mod registration;
mod serve;
mod serving;
#[cfg(feature = "session")]
mod session_cookie;
mod start_error;
mod tuning;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix::{Addr, Recipient};
use actix_web::web;
use serde_json::Value;

use crate::cluster::{AdapterHealth, ClusterError, NodeId};
use crate::handler::{BackgroundTask, ErrorAnswer, Failure};
use crate::message::{Crashed, namespace_name};
use crate::namespace::{Choice, NamespaceCore, Registry, Server};
use crate::pattern::{Pattern, PatternError};
use crate::server::closing::Closing;
use crate::server::operator::operator;
use crate::server::serve::serve;
use crate::server::tuning::tune;
use crate::session::Engine;
use crate::socket::Broadcast;
use crate::transport::{self, Hooks};

#[cfg(feature = "testing")]
pub(crate) use crate::transport::InMemory;
pub use all_namespaces::AllNamespaces;
pub use builder::Builder;
pub use engine_io::{EngineIo, EngineIoBuilder};
#[cfg(feature = "session")]
pub use http_session::HttpSession;
#[cfg(feature = "session")]
pub use logout::LogoutStore;
pub use namespace::Namespace;
pub use object::{NamespaceHandlers, Registrar};
pub use pattern::NamespacePattern;
pub use serve::AppServer;
pub use serving::{AppServerHandle, RunningAppServer};
pub use start_error::StartError;

/// A Socket.IO server: a cheap handle that any thread may use, and an argument of any handler. Its
/// methods about rooms and sockets are those of the namespace `/`; [`of`](Self::of) names others.
///
/// # Examples
///
/// ```no_run
/// use actix_socketio::{Data, Socket, SocketIo};
///
/// #[actix_web::main]
/// async fn main() -> std::io::Result<()> {
///     let io = SocketIo::builder().start()?;
///     io.of("/").on("message", |socket: Socket, Data(text): Data<String>| async move {
///         socket.broadcast().emit("message", text).await
///     });
///     io.run(("127.0.0.1", 3000)).await
/// }
/// ```
#[derive(Clone)]
pub struct SocketIo {
    engine: Arc<Engine>,
    hooks: Arc<Hooks>,
    registry: Arc<Registry>,
    server: Addr<Server>,
}

impl SocketIo {
    pub(crate) fn new(
        engine: Arc<Engine>,
        hooks: Hooks,
        registry: Arc<Registry>,
        server: Addr<Server>,
    ) -> Self {
        Self {
            engine,
            hooks: Arc::new(hooks),
            registry,
            server,
        }
    }

    #[cfg(feature = "testing")]
    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Starts with the default options; see [`Builder`] for them.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Returns the namespace of this name; it is made where there was none. A slash in front may be
    /// left out.
    pub fn of(&self, namespace: &str) -> Namespace {
        Namespace::new(self.registry.open(&namespace_name(namespace)))
    }

    /// Returns the namespace of this name if there is one: it is not made. A slash in front may be
    /// left out.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(io: actix_socketio::SocketIo) {
    /// // A name that a client sent makes no namespace.
    /// let players = io.namespace("/game/7").map_or(0, |game| game.count());
    /// # }
    /// ```
    #[must_use]
    pub fn namespace(&self, name: &str) -> Option<Namespace> {
        self.registry
            .namespace(&namespace_name(name))
            .map(Namespace::new)
    }

    /// Returns all namespaces together, to register handlers for each: those that are named by
    /// [`of`](Self::of), those of patterns, and those to come.
    #[must_use]
    pub fn all_namespaces(&self) -> AllNamespaces {
        AllNamespaces::new(&self.registry)
    }

    /// Makes namespaces when the first client asks for one whose name fits the pattern. `{name}`
    /// stands for one or more characters but `/`, and as few as will do; the last takes all that is
    /// left. Handlers get what it stands for by [`Params`](crate::Params). Patterns are tried in
    /// the order in which they were added, after the names that there are.
    ///
    /// # Errors
    ///
    /// [`PatternError`], where the text is no pattern.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{Params, PatternError, SocketIo};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Shop { id: u32 }
    ///
    /// fn register(io: &SocketIo) -> Result<(), PatternError> {
    ///     io.of_pattern("/shop-{id}")?
    ///         .remove_when_empty()
    ///         .on("which", |Params(shop): Params<Shop>| async move { shop.id });
    ///     Ok(())
    /// }
    /// ```
    pub fn of_pattern(&self, pattern: &str) -> Result<NamespacePattern, PatternError> {
        let choice = Choice::Pattern(Pattern::parse(pattern)?);
        Ok(self.add_pattern(choice))
    }

    /// Makes namespaces when the first client asks for one that `predicate` takes: it looks at the
    /// name and at the CONNECT payload, the client's `auth` option, `{}` without one.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn register(io: &actix_socketio::SocketIo) {
    /// io.of_predicate(|name, auth| name.starts_with("/game/") && auth["token"] == "secret")
    ///     .remove_when_empty()
    ///     .on("move", |actix_socketio::Data(to): actix_socketio::Data<String>| async move { to });
    /// # }
    /// ```
    pub fn of_predicate<F>(&self, predicate: F) -> NamespacePattern
    where
        F: Fn(&str, &Value) -> bool + Send + Sync + 'static,
    {
        self.add_pattern(Choice::Predicate(Box::new(predicate)))
    }

    /// Tells `watcher` of each namespace that is made from now on, by [`of`](Self::of) or by the
    /// first client of a pattern, before that client is let in.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(io: actix_socketio::SocketIo) {
    /// io.on_new_namespace(|namespace| log::info!("{} begins", namespace.name()));
    /// # }
    /// ```
    pub fn on_new_namespace<F>(&self, watcher: F)
    where
        F: Fn(&Namespace) + Send + Sync + 'static,
    {
        let watcher = move |core: &Arc<NamespaceCore>| watcher(&Namespace::new(Arc::clone(core)));
        self.registry.watch(Arc::new(watcher));
    }

    /// Shows `hook` the failures of handlers in all namespaces that have no
    /// [`on_error`](Namespace::on_error) of their own, and clients that ask for a namespace that
    /// does not exist.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(io: actix_socketio::SocketIo) {
    /// io.on_error_default(|failure| {
    ///     log::warn!("{failure}");
    ///     Some(serde_json::json!({ "error": "try again later" }))
    /// });
    /// # }
    /// ```
    pub fn on_error_default<F, R>(&self, hook: F)
    where
        F: Fn(&Failure<'_>) -> R + Send + Sync + 'static,
        R: Into<ErrorAnswer>,
    {
        let hook = move |failure: &Failure<'_>| hook(failure).into();
        self.registry.surroundings.on_error(Arc::new(hook));
    }

    operator!();

    /// Returns the names of the rooms of the namespace `/`; see [`Namespace::rooms`].
    #[must_use]
    pub fn rooms(&self) -> Vec<String> {
        self.of("/").rooms()
    }

    /// Makes everyone leave a room of the namespace `/`; see [`Namespace::close_room`].
    ///
    /// # Errors
    ///
    /// [`ClusterError`], where other nodes will not hear of it.
    pub async fn close_room(&self, room: impl AsRef<str>) -> Result<usize, ClusterError> {
        self.of("/").close_room(room).await
    }

    /// Returns the address of the server's actor; [`Server`] lists the messages that it takes.
    #[must_use]
    pub fn server(&self) -> Addr<Server> {
        // Another one than at the start where that one panicked too often.
        self.registry
            .server()
            .unwrap_or_else(|| self.server.clone())
    }

    /// Tells an actor of every panic from now on, be it of a handler, a session, a room, a
    /// namespace, the server, the adapter of a cluster or a background task. Several actors may
    /// ask.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix::{Actor, Addr, Context, Handler};
    /// use actix_socketio::{Crashed, SocketIo};
    ///
    /// struct Watch;
    ///
    /// impl Actor for Watch {
    ///     type Context = Context<Self>;
    /// }
    ///
    /// impl Handler<Crashed> for Watch {
    ///     type Result = ();
    ///
    ///     fn handle(&mut self, crashed: Crashed, _: &mut Self::Context) {
    ///         println!("{crashed}");
    ///     }
    /// }
    ///
    /// fn watch(io: &SocketIo, watch: Addr<Watch>) {
    ///     io.supervise(watch.recipient());
    /// }
    /// ```
    pub fn supervise(&self, supervisor: Recipient<Crashed>) {
        self.registry.surroundings.supervise(supervisor);
    }

    /// Returns which nodes there are in the cluster, this one included.
    ///
    /// # Errors
    ///
    /// [`ClusterError::Unavailable`], and [`ClusterError::Unsupported`] in a format whose nodes do
    /// not make themselves known.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn run(io: actix_socketio::SocketIo) -> Result<(), actix_socketio::ClusterError> {
    /// println!("{} nodes", io.nodes().await?.len());
    /// # Ok(()) }
    /// ```
    pub async fn nodes(&self) -> Result<Vec<NodeId>, ClusterError> {
        match &self.registry.adapter {
            Some(adapter) => Arc::clone(adapter).nodes(&Arc::from("/")).await,
            None => Ok(vec![NodeId::new("alone")]),
        }
    }

    /// Returns how the way to the other nodes is.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::SocketIo;
    /// use actix_web::HttpResponse;
    ///
    /// /// What a proxy asks for: who is cut off serves its clients on, and gets no new ones.
    /// async fn health(io: SocketIo) -> HttpResponse {
    ///     match io.adapter_health().error() {
    ///         None => HttpResponse::Ok().finish(),
    ///         Some(error) => HttpResponse::ServiceUnavailable().body(error.to_owned()),
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn adapter_health(&self) -> AdapterHealth {
        let alone = || AdapterHealth {
            connected: true,
            ..AdapterHealth::default()
        };
        let adapter = self.registry.adapter.as_ref();
        adapter.map_or_else(alone, |adapter| adapter.health())
    }

    /// Returns how many clients are connected. A client that was disconnected is not counted, also
    /// if it has yet to fetch its last packets.
    #[must_use]
    pub fn clients_count(&self) -> usize {
        self.engine.count()
    }

    /// Closes the server for good: new clients are answered with 503, no new events are taken, and
    /// those who are there are disconnected with
    /// [`CloseReason::ServerShuttingDown`](crate::CloseReason), each when its handlers in flight
    /// have ended and have been acknowledged, behind what was sent to it before. Returns whether
    /// all had gone within `limit`, and in a cluster whether what was queued for the other nodes
    /// has been sent too, for which the last tenth of the time is kept.
    ///
    /// Handlers that are in flight when the last tenth begins are dropped, and so is what slow
    /// clients have not taken, so that all clients get the close. A handler that waits for
    /// [`Socket::closed`](crate::Socket::closed) is not waited for: it ends by the close.
    /// Disconnect handlers are waited for up to the limit.
    ///
    /// A client has gone when its transport has taken the last packets: its WebSocket has written
    /// them, or a poll has fetched them. A client that polls and has no request open is waited for
    /// up to 3 seconds. Clients of other nodes that poll here are sent home with a noop, so that
    /// their next poll goes to a node that stays.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use actix_web::{App, HttpServer};
    ///
    /// # async fn run(io: actix_socketio::SocketIo) -> std::io::Result<()> {
    /// let routes = io.clone();
    /// let server = HttpServer::new(move || App::new().configure(routes.routes()));
    /// // Without its own handling of signals, which would end it at once.
    /// let server = io.tune(server).disable_signals().bind(("127.0.0.1", 3000))?.run();
    /// let handle = server.handle();
    /// actix_web::rt::spawn(server);
    /// actix_web::rt::signal::ctrl_c().await?;
    /// io.close(Duration::from_secs(5)).await;
    /// handle.stop(true).await;
    /// # Ok(()) }
    /// ```
    pub async fn close(&self, limit: Duration) -> bool {
        self.closing().close(limit).await
    }

    /// Runs a task of the program's beside the server's actors, until it ends or
    /// [`close`](Self::close) has closed the server; [`AppServer::run`] closes it at its end. A
    /// panic of the task goes to the log and to whoever [`supervise`](Self::supervise)s.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use actix_web::rt::time::interval;
    ///
    /// # fn run(io: actix_socketio::SocketIo) {
    /// let clock = io.clone();
    /// io.spawn(async move {
    ///     let mut every_second = interval(Duration::from_secs(1));
    ///     for seconds in 0_u64.. {
    ///         every_second.tick().await;
    ///         let _ = clock.emit("seconds", seconds).await;
    ///     }
    /// });
    /// # }
    /// ```
    pub fn spawn<F>(&self, task: F) -> BackgroundTask<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        background::spawn(&self.registry, &self.engine.ended, task)
    }

    /// Returns what mounts the server in an App: `App::new().configure(io.routes())`. The App of an
    /// `HttpServer` needs it; [`serve`](Self::serve) does it by itself.
    ///
    /// actix-web asks an App's services in the order in which they were registered: mount the
    /// server before `Files::new("/", ..)`, `web::scope("")` and resources that fit every path.
    pub fn routes(&self) -> impl FnOnce(&mut web::ServiceConfig) + Clone + Send + use<> {
        let (engine, hooks) = (Arc::clone(&self.engine), Arc::clone(&self.hooks));
        move |app: &mut web::ServiceConfig| transport::mount(&engine, &hooks, app)
    }

    /// Everyone in the namespace `/`, which the methods of the server speak of.
    fn everyone(&self) -> Broadcast {
        self.of("/").everyone()
    }

    fn add_pattern(&self, choice: Choice) -> NamespacePattern {
        NamespacePattern::new(self.registry.add_pattern(choice), &self.registry)
    }

    /// Returns what the server's end closes.
    fn closing(&self) -> Closing {
        Closing::new(&self.engine, self.registry.adapter.as_ref())
    }

    /// Returns what was registered in vain.
    pub(crate) fn fault(&self) -> Option<String> {
        self.registry.surroundings.fault()
    }

    serve!();

    tune!();
}

impl fmt::Debug for SocketIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketIo")
            .field("path", &self.engine.config.path)
            .field("clients", &self.clients_count())
            .finish_non_exhaustive()
    }
}
