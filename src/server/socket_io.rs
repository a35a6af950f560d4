//! The program's handle for a Socket.IO server.
//!
//! `builder.rs` makes it. `operator.rs` has the methods that begin a broadcast.

use std::fmt;
use std::io;
use std::net::ToSocketAddrs;
use std::sync::{Arc, Weak};
use std::time::Duration;

use actix::{Addr, Recipient};
use actix_web::{App, web};
use serde_json::Value;

use crate::cluster::{AdapterHealth, ClusterError, NodeId};
use crate::handler::{BackgroundTask, ErrorAnswer, Failure};
use crate::limits::Limit;
use crate::message::{Panicked, namespace_name};
use crate::namespace::{NamespaceMatcher, NamespaceState, Registry, Server, ServerAddress};
use crate::pattern::{Pattern, PatternError};
use crate::server::closing::Closing;
use crate::server::{AllNamespaces, AppServer, Namespace, NamespacePattern, Tunable, background};
use crate::session::Engine;
use crate::socket::Broadcast;
use crate::transport::{self, AppFactory, Hooks};

/// A Socket.IO server: a cheap handle for any thread, and an argument of any handler. Its methods
/// about rooms and sockets are those of the namespace `/`; [`of`](Self::of) names others.
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
    pub(super) engine: Arc<Engine>,
    pub(super) hooks: Arc<Hooks>,
    pub(super) registry: Arc<Registry>,
    pub(super) server: ServerAddress,
}

impl SocketIo {
    pub(crate) fn new(
        engine: Arc<Engine>,
        hooks: Hooks,
        registry: Arc<Registry>,
        server: ServerAddress,
    ) -> Self {
        Self {
            engine,
            hooks: Arc::new(hooks),
            registry,
            server,
        }
    }

    #[cfg(any(feature = "admin", feature = "testing"))]
    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Returns the namespace of this name, and makes it if it does not exist. The leading slash is
    /// optional.
    pub fn of(&self, namespace: &str) -> Namespace {
        self.named(self.registry.open(&namespace_name(namespace)))
    }

    /// Returns the namespace of this name if it exists. The leading slash is optional.
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
            .map(|state| self.named(state))
    }

    /// Returns all namespaces together, to register handlers for each: those of [`of`](Self::of),
    /// those of patterns, and future ones.
    #[must_use]
    pub fn all_namespaces(&self) -> AllNamespaces {
        AllNamespaces::new(&self.registry)
    }

    /// Makes a namespace when the first client requests a name that matches the pattern. `{name}`
    /// stands for one or more characters except `/`, as few as possible; the last one takes the
    /// rest. Handlers read the values by [`Params`](crate::Params). Existing names are tried first,
    /// then the patterns in the order in which they were added.
    ///
    /// # Errors
    ///
    /// [`PatternError`], if the text is not a pattern.
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
        let matcher = NamespaceMatcher::Pattern(Pattern::parse(pattern)?);
        Ok(self.add_pattern(matcher))
    }

    /// Makes a namespace when the first client requests one that `predicate` accepts. Its arguments
    /// are the name and the CONNECT payload, the client's `auth` option, `{}` if there is none.
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
        self.add_pattern(NamespaceMatcher::Predicate(Box::new(predicate)))
    }

    /// Calls `watcher` for each namespace that is made from now on, by [`of`](Self::of) or by the
    /// first client of a pattern, before that client connects.
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
        let registry = Arc::downgrade(&self.registry);
        let watcher = move |state: &Arc<NamespaceState>| {
            watcher(&Namespace::new(Arc::clone(state), Weak::clone(&registry)));
        };
        self.registry.watch(Arc::new(watcher));
    }

    /// Calls `hook` for failures of handlers in all namespaces without an
    /// [`on_error`](crate::Handlers::on_error) of their own, and for clients that request a
    /// namespace that does not exist.
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
        self.registry.server_context.on_error(Arc::new(hook));
    }

    /// Returns the names of the rooms of the namespace `/`; see [`Namespace::rooms`].
    #[must_use]
    pub fn rooms(&self) -> Vec<String> {
        self.of("/").rooms()
    }

    /// Removes all members from a room of the namespace `/`; see [`Namespace::close_room`].
    ///
    /// # Errors
    ///
    /// [`ClusterError`], if other nodes will not receive it.
    pub async fn close_room(&self, room: impl AsRef<str>) -> Result<usize, ClusterError> {
        self.of("/").close_room(room).await
    }

    /// Returns the address of the server's actor; [`Server`] lists its messages.
    #[must_use]
    pub fn server(&self) -> Addr<Server> {
        self.server.get()
    }

    /// Sends an actor a message for every panic from now on: of a handler, a session, a room, a
    /// namespace, the server, the adapter of a cluster or a background task. Several actors may be
    /// registered.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix::{Actor, Addr, Context, Handler};
    /// use actix_socketio::{Panicked, SocketIo};
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
    ///         println!("{crashed}");
    ///     }
    /// }
    ///
    /// fn watch(io: &SocketIo, watch: Addr<Watch>) {
    ///     io.supervise(watch.recipient());
    /// }
    /// ```
    pub fn supervise(&self, supervisor: Recipient<Panicked>) {
        self.registry.server_context.supervise(supervisor);
    }

    /// Returns the nodes in the cluster, including this one.
    ///
    /// # Errors
    ///
    /// [`ClusterError::Unavailable`], and [`ClusterError::Unsupported`] if the nodes of the format
    /// do not announce themselves.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn run(io: actix_socketio::SocketIo) -> Result<(), actix_socketio::ClusterError> {
    /// println!("{} nodes", io.nodes().await?.len());
    /// # Ok(()) }
    /// ```
    pub async fn nodes(&self) -> Result<Vec<NodeId>, ClusterError> {
        match &self.registry.cluster {
            Some(cluster) => Arc::clone(cluster).nodes(&Arc::from("/")).await,
            None => Ok(vec![NodeId::new("alone")]),
        }
    }

    /// Returns the health of the connections to the other nodes.
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
        let cluster = self.registry.cluster.as_ref();
        cluster.map_or_else(alone, |cluster| cluster.health())
    }

    /// Returns the number of connected clients. A disconnected client is not counted, even if it
    /// has not yet fetched its last packets.
    #[must_use]
    pub fn clients_count(&self) -> usize {
        self.engine.count()
    }

    /// Returns how often each limit was reached since the start.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::SocketIo;
    ///
    /// fn show(io: &SocketIo) {
    ///     for (limit, hits) in io.limit_counts().filter(|(_, hits)| *hits > 0) {
    ///         println!("{limit}: {hits}");
    ///     }
    /// }
    /// ```
    pub fn limit_counts(&self) -> impl Iterator<Item = (Limit, u64)> + use<> {
        self.engine.config.limit_hooks.counts()
    }

    /// Closes the server permanently. New clients receive 503, and no new events are read. Each
    /// client is disconnected with [`CloseReason::ServerShuttingDown`](crate::CloseReason), after
    /// its handlers in flight have ended and were acknowledged, and after its queued packets.
    /// Returns whether all had ended within `limit`. In a cluster it also returns whether the
    /// messages queued for other nodes were sent; the last tenth of the time is reserved for them.
    ///
    /// In a cluster with recovery the state of all clients is stored for the other nodes before a
    /// client is closed, for up to a second, as a [`drain`](Self::drain) does it.
    ///
    /// At the start of the last tenth, handlers in flight are dropped, and so are queued packets of
    /// slow clients, so that all clients receive the close. A handler that waits for
    /// [`Socket::closed`](crate::Socket::closed) is not awaited: it ends by the close. Disconnect
    /// handlers are awaited up to the limit.
    ///
    /// A client has ended when its transport has taken the last packets: its WebSocket has written
    /// them, or a poll has fetched them. A polling client without an open request is awaited for up
    /// to 3 seconds. If clients of other nodes poll here, their polls end with a noop, so that the
    /// next poll goes to a node that stays.
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

    /// Runs a task of the program beside the server's actors, until it ends or
    /// [`close`](Self::close) has closed the server; [`AppServer::run`] closes it at its end. A
    /// panic of the task is logged and sent to the actors of [`supervise`](Self::supervise).
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

    /// Returns the routes of the server for an App: `App::new().configure(io.routes())`. The App of
    /// an `HttpServer` needs it; [`serve`](Self::serve) mounts them by itself.
    ///
    /// actix-web tries an App's services in the order of their registration: mount the server
    /// before `Files::new("/", ..)`, `web::scope("")` and resources that match every path.
    pub fn routes(&self) -> impl FnOnce(&mut web::ServiceConfig) + Clone + Send + use<> {
        let (engine, hooks) = (Arc::clone(&self.engine), Arc::clone(&self.hooks));
        move |app: &mut web::ServiceConfig| transport::mount(&engine, &hooks, app)
    }

    /// Returns all sockets of the namespace `/`, which the methods of the server use.
    pub(super) fn everyone(&self) -> Broadcast {
        self.of("/").everyone()
    }

    fn named(&self, state: Arc<NamespaceState>) -> Namespace {
        Namespace::new(state, Arc::downgrade(&self.registry))
    }

    fn add_pattern(&self, matcher: NamespaceMatcher) -> NamespacePattern {
        NamespacePattern::new(self.registry.add_pattern(matcher), &self.registry)
    }

    /// Returns the parts that the server's end closes.
    pub(super) fn closing(&self) -> Closing {
        Closing::new(&self.engine, Some(&self.registry))
    }

    /// Returns an invalid registration, if there is one.
    pub(crate) fn fault(&self) -> Option<String> {
        self.registry.server_context.fault()
    }

    /// Serves an App on a server of this crate, which owns the WebSockets itself: it needs less
    /// memory and time than an `HttpServer`. The routes are mounted at the App's root, unless the
    /// App has mounted them itself: inside the App's middleware and before its services, so that no
    /// `Files::new("/", ..)` or empty scope takes their requests. Only a server whose path is `/`
    /// comes after the App's services.
    ///
    /// [`AppServer`] describes such a server and its options.
    pub fn serve<F: AppFactory>(&self, app: F) -> AppServer<F> {
        AppServer::new(&self.engine, &self.hooks, self.closing(), app, self.fault())
    }

    /// Serves only this server and its [`health_routes`](Self::health_routes), at these addresses,
    /// until the process receives a signal to end.
    /// [`Builder::drain_on_signal`](crate::Builder::drain_on_signal) drains it then.
    ///
    /// # Errors
    ///
    /// Returns the system's error if none of the addresses can be used.
    pub async fn run(&self, addresses: impl ToSocketAddrs) -> io::Result<()> {
        let health = self.health_routes();
        let app = move || App::new().configure(health.clone());
        self.serve(app).bind(addresses)?.run().await
    }

    /// Configures an `HttpServer` for long-lived connections.
    ///
    /// Small packets are sent at once (`TCP_NODELAY`); an aborted poll is detected at once; if a
    /// client has stopped reading, the kernel closes its connection after the ping interval and the
    /// ping timeout (on Linux); and a WebSocket's connection ends with its close frame. Without it,
    /// a packet may be 40 ms late, an aborted poll is detected by the next ping, the connection
    /// keeps its memory, and a client that closes waits for a second.
    ///
    /// An idle connection stays open for 75 seconds (`keep_alive`), longer than in usual load
    /// balancers: if the server closes it first, the load balancer answers a request in transit
    /// with 502. Another time may be set afterwards.
    ///
    /// It uses the server's `on_connect`, and switches `client_disconnect_timeout` off, which may
    /// be set again afterwards, to a second or more. The kernel's deadline is for plain TCP: if
    /// actix-web does the TLS itself, none is set.
    pub fn tune<H: Tunable>(&self, server: H) -> H {
        server.tuned(self.engine.config.engine.silence_limit())
    }
}

impl fmt::Debug for SocketIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketIo")
            .field("path", &self.engine.config.http.path)
            .field("clients", &self.clients_count())
            .finish_non_exhaustive()
    }
}
