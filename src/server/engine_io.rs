//! A server of raw Engine.IO messages, without Socket.IO.

use std::future::Future;
use std::io;
use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{App, web};
use log::Level;

use crate::client::{Callbacks, EngineSession, Raw, Running};
use crate::config::{Config, DrainOptions};
use crate::engineio::EngineMessage;
use crate::id::Id;
use crate::limits::Limit;
use crate::link::Protocol;
use crate::logging::{LogKind, cut};
use crate::panics::{PanicReports, TaskOwner};
use crate::reason::CloseReason;
use crate::server::closing::Closing;
use crate::server::{
    AppServer, Buildable, Builder, DrainReport, Readiness, StartError, Tunable, sampling,
};
use crate::session::Engine;
use crate::supervision::ChildPanic;
use crate::transport::{self, AppFactory, Hooks};

/// A raw Engine.IO server: it sends and receives messages over polling or WebSocket, with heartbeat
/// and upgrade. The program defines their content.
///
/// # Examples
///
/// ```no_run
/// use actix_socketio::{EngineIo, EngineMessage, EngineSession};
/// use actix_web::{App, HttpServer};
///
/// #[actix_web::main]
/// async fn main() -> std::io::Result<()> {
///     let engine = EngineIo::builder()
///         .on_message(|session: EngineSession, message: EngineMessage| async move {
///             let _ = session.send(&message);
///         })
///         .start()?;
///     HttpServer::new(move || App::new().configure(engine.routes()))
///         .bind(("127.0.0.1", 3000))?
///         .run()
///         .await
/// }
/// ```
#[derive(Clone, Debug)]
pub struct EngineIo {
    engine: Arc<Engine>,
    hooks: Arc<Hooks>,
}

impl EngineIo {
    /// Starts with the default options, mounted at `/engine.io/`.
    pub fn builder() -> EngineIoBuilder {
        Builder {
            config: Config::new("/engine.io/"),
            hooks: Hooks::default(),
            own: EngineIoOptions::default(),
        }
    }

    /// Returns the routes of the server for an App: `App::new().configure(engine.routes())`.
    ///
    /// actix-web tries an App's services in the order of their registration: mount the server
    /// before `Files::new("/", ..)`, `web::scope("")` and resources that match every path.
    pub fn routes(&self) -> impl FnOnce(&mut web::ServiceConfig) + Clone + Send + use<> {
        let (engine, hooks) = (Arc::clone(&self.engine), Arc::clone(&self.hooks));
        move |app: &mut web::ServiceConfig| transport::mount(&engine, &hooks, app)
    }

    /// Returns the parts that the server's end closes.
    fn closing(&self) -> Closing {
        Closing::new(&self.engine, None)
    }

    /// Serves an App on a server of this crate, which owns the WebSockets itself, as
    /// [`SocketIo::serve`](crate::SocketIo::serve) does.
    pub fn serve<F: AppFactory>(&self, app: F) -> AppServer<F> {
        AppServer::new(&self.engine, &self.hooks, self.closing(), app, None)
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

    /// Configures an `HttpServer` for long-lived connections, as
    /// [`SocketIo::tune`](crate::SocketIo::tune) does.
    pub fn tune<H: Tunable>(&self, server: H) -> H {
        server.tuned(self.engine.config.engine.silence_limit())
    }

    /// Returns whether a load balancer should send new clients to this server, as
    /// [`SocketIo::readiness`](crate::SocketIo::readiness) does.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.closing().readiness()
    }

    /// Returns the routes `/live` and `/ready` for an App, as
    /// [`SocketIo::health_routes`](crate::SocketIo::health_routes) does.
    pub fn health_routes(&self) -> impl FnOnce(&mut web::ServiceConfig) + Clone + Send + use<> {
        self.closing().health_routes()
    }

    /// Closes the clients one after another and then the server, as
    /// [`SocketIo::drain`](crate::SocketIo::drain) does. The event of the options has no effect.
    pub async fn drain(&self, options: DrainOptions) -> DrainReport {
        self.closing().drain(&options).await
    }

    /// Returns the sessions with the most bytes in their outboxes, most first, at most `count`. A
    /// session that has nothing queued is not listed. It looks at every session once.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::EngineIo;
    ///
    /// fn report(engine: &EngineIo) {
    ///     for session in engine.slowest(10) {
    ///         let address = session.handshake().address();
    ///         log::info!("{} bytes wait for {address:?}", session.stats().queued_bytes());
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn slowest(&self, count: usize) -> Vec<EngineSession> {
        let links = self.engine.slowest(count).into_iter();
        links.map(EngineSession::from).collect()
    }

    /// Returns the number of connected clients.
    #[must_use]
    pub fn clients_count(&self) -> usize {
        self.engine.count()
    }

    /// Returns how often each limit was reached since the start.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::EngineIo;
    ///
    /// fn show(engine: &EngineIo) {
    ///     for (limit, hits) in engine.limit_counts().filter(|(_, hits)| *hits > 0) {
    ///         println!("{limit}: {hits}");
    ///     }
    /// }
    /// ```
    pub fn limit_counts(&self) -> impl Iterator<Item = (Limit, u64)> + use<> {
        self.engine.config.limit_hooks.counts()
    }

    /// Returns the open session with this id; see [`EngineSession::sid`].
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{EmitError, EngineIo, EngineMessage};
    ///
    /// fn tell(engine: &EngineIo, sid: &str, text: &str) -> Result<(), EmitError> {
    ///     let session = engine.session(sid).ok_or(EmitError::Disconnected)?;
    ///     session.send(&EngineMessage::Text(text.to_owned()))
    /// }
    /// ```
    #[must_use]
    pub fn session(&self, sid: &str) -> Option<EngineSession> {
        let link = self.engine.open_link(Id::parse(sid)?)?;
        Some(link.into())
    }

    /// Returns the open sessions.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{EngineIo, EngineMessage};
    ///
    /// fn tell_all(engine: &EngineIo, text: &str) {
    ///     for session in engine.sessions() {
    ///         // One that has gone meanwhile misses nothing.
    ///         let _ = session.send(&EngineMessage::Text(text.to_owned()));
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn sessions(&self) -> Vec<EngineSession> {
        let links = self.engine.open_links().into_iter();
        links.map(EngineSession::from).collect()
    }

    /// Closes the server permanently, as [`SocketIo::close`](crate::SocketIo::close) does. New
    /// clients receive 503, no more messages are read, and handlers in flight may finish within the
    /// limit. Each session ends with [`CloseReason::ServerShuttingDown`] after its queued messages
    /// were sent. Returns whether all had ended within `limit`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # async fn run(engine: actix_socketio::EngineIo, server: actix_web::dev::ServerHandle) {
    /// engine.close(Duration::from_secs(5)).await;
    /// server.stop(true).await;
    /// # }
    /// ```
    pub async fn close(&self, limit: Duration) -> bool {
        self.closing().close(limit).await
    }
}

/// Configures an [`EngineIo`] server.
///
/// # Examples
///
/// ```
/// use actix_socketio::{EngineIo, EngineMessage, EngineSession};
///
/// let builder = EngineIo::builder()
///     .path("/engine.io/")
///     .on_message(|session: EngineSession, message: EngineMessage| async move {
///         if let Err(error) = session.send(&message) {
///             log::info!("{error}");
///         }
///     });
/// ```
pub type EngineIoBuilder = Builder<EngineIo>;

/// The options of an Engine.IO server that are not in its `Config`.
#[derive(Default)]
#[allow(
    unreachable_pub,
    unnameable_types,
    missing_debug_implementations,
    reason = "a public trait names it, and no program needs to"
)]
pub struct EngineIoOptions {
    callbacks: Callbacks,
}

impl Buildable for EngineIo {
    type Options = EngineIoOptions;
}

/// The options of Engine.IO.
impl Builder<EngineIo> {
    /// Calls `handler` after a session was opened.
    pub fn on_open<F, R>(mut self, handler: F) -> Self
    where
        F: Fn(EngineSession) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + 'static,
    {
        let handler = move |session, ()| -> Running { Box::pin(handler(session)) };
        self.own.callbacks.open = Some(Box::new(handler));
        self
    }

    /// Calls `handler` for each message, in the order of arrival. A panic in it ends only that
    /// call.
    pub fn on_message<F, R>(mut self, handler: F) -> Self
    where
        F: Fn(EngineSession, EngineMessage) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + 'static,
    {
        let handler = move |session, message| -> Running { Box::pin(handler(session, message)) };
        self.own.callbacks.message = Some(Box::new(handler));
        self
    }

    /// Calls `handler` after a session has ended.
    pub fn on_close<F, R>(mut self, handler: F) -> Self
    where
        F: Fn(EngineSession, CloseReason) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + 'static,
    {
        let handler = move |session, reason| -> Running { Box::pin(handler(session, reason)) };
        self.own.callbacks.close = Some(Box::new(handler));
        self
    }

    /// Starts the server. Sessions run on the workers of the `HttpServer` in which it is mounted.
    ///
    /// # Errors
    ///
    /// [`StartError`], if the path or an origin of [`cors`](Self::cors) is invalid.
    pub fn start(mut self) -> Result<EngineIo, StartError> {
        self.config.check().map_err(StartError::option)?;
        let callbacks = Arc::new(self.own.callbacks);
        let accept = Box::new(move |link: &Arc<_>, _| -> Box<dyn Protocol> {
            Box::new(Raw::open(link, &callbacks))
        });
        let log = Arc::clone(&self.config.line_limits);
        let panic_reports = PanicReports::new(move |owner, panic| {
            let source = match owner {
                TaskOwner::Session => "session",
                TaskOwner::HttpConnection => "HTTP connection",
            };
            let line = format_args!("{source} panicked: {}", cut(panic));
            log.write(LogKind::Panicked, Level::Error, line);
        });
        self.config.panic_reports = panic_reports.clone();
        let fallen = move |fall: ChildPanic| panic_reports.report(TaskOwner::Session, fall.panic);
        self.config.telemetry.metrics.describe();
        let engine = Engine::new(Arc::new(self.config), accept, fallen, None);
        sampling::start(&engine, None).map_err(StartError)?;
        let hooks = Arc::new(self.hooks);
        Ok(EngineIo { engine, hooks })
    }
}
