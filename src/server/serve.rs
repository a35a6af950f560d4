//! A server of the program's App that holds the WebSockets by itself.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::num::NonZero;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use actix_http::body::BoxBody;
use actix_http::h1::ExpectHandler;
use actix_http::{Extensions, HttpService, KeepAlive, Response};
use actix_rt::net::TcpStream;
use actix_server::ServerBuilder;
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt, boxed, map_config};
#[cfg(feature = "rustls-0_23")]
use actix_tls::accept::rustls_0_23::{TlsStream, reexports::ServerConfig};
use actix_web::App;
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, ServiceRequest, ServiceResponse};
use socket2::{Domain, Protocol, Socket, Type};

use crate::server::closing::Closing;
use crate::server::dealing::{Connections, Dealt, ahead};
use crate::server::serving::{AppServerHandle, RunningAppServer};
use crate::session::Engine;
use crate::transport::{AppService, Hooks, Io, SharedApp, Upgrades, mount_once, set_user_timeout};

/// An HTTP server of the program's own [`App`], in which the WebSockets of Socket.IO are taken over
/// from HTTP: [`SocketIo::serve`](crate::SocketIo::serve) and
/// [`EngineIo::serve`](crate::EngineIo::serve) make it.
///
/// A request that asks for a WebSocket goes through the App like any other, with its middleware and
/// guards. Where the App lets it through, the connection leaves actix-http and belongs to the
/// session: it takes about a quarter of the memory that it takes in an `HttpServer`, and mostly
/// less time. Everything else is as in an `HttpServer`, WebSockets of other routes too; but an
/// answer that refuses an upgrade closes its connection, and WebSockets do not count for
/// [`max_connections`](Self::max_connections).
///
/// # Examples
///
/// ```no_run
/// use actix_socketio::SocketIo;
/// use actix_web::{App, web};
///
/// #[actix_web::main]
/// async fn main() -> std::io::Result<()> {
///     let io = SocketIo::builder().start()?;
///     let app = || App::new().route("/", web::get().to(|| async { "hello" }));
///     io.serve(app).bind(("127.0.0.1", 3000))?.run().await
/// }
/// ```
#[must_use = "nothing is served before `run`"]
pub struct AppServer<F> {
    engine: Arc<Engine>,
    hooks: Arc<Hooks>,
    closing: Closing,
    app: F,
    builder: ServerBuilder,
    connections: Connections,
    settings: Settings,
    backlog: u32,
    addresses: Vec<SocketAddr>,
    handles_signals: bool,
    drain: Duration,
    /// What the program registered in vain.
    fault: Option<String>,
}

/// What each listener's services are made with.
#[derive(Clone)]
struct Settings {
    keep_alive: KeepAlive,
    client_request_timeout: Duration,
    hostname: Option<String>,
}

impl<F, T, B> AppServer<F>
where
    F: Fn() -> App<T> + Send + Clone + 'static,
    T: ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<B>,
            Error = actix_web::Error,
            InitError = (),
        > + 'static,
    B: MessageBody + 'static,
{
    pub(crate) fn new(
        engine: &Arc<Engine>,
        hooks: &Arc<Hooks>,
        closing: Closing,
        app: F,
        fault: Option<String>,
    ) -> Self {
        Self {
            engine: Arc::clone(engine),
            hooks: Arc::clone(hooks),
            closing,
            app,
            builder: ServerBuilder::new()
                .disable_signals()
                .max_concurrent_connections(ahead(default_workers()))
                .shutdown_timeout(SHUTDOWN.as_secs()),
            connections: Connections::new(MAX_CONNECTIONS),
            settings: Settings {
                keep_alive: KeepAlive::Timeout(KEEP_ALIVE),
                client_request_timeout: Duration::from_secs(5),
                hostname: None,
            },
            backlog: 2048,
            addresses: Vec::new(),
            handles_signals: true,
            drain: SHUTDOWN,
            fault,
        }
    }

    /// Sets how many workers, each a thread, serve; as many as there are physical cores by default.
    ///
    /// # Panics
    ///
    /// Panics where it is 0.
    pub fn workers(mut self, workers: usize) -> Self {
        let builder = self.builder.workers(workers);
        self.builder = builder.max_concurrent_connections(ahead(workers));
        self
    }

    /// Sets how many threads each worker may have for blocking work; 512 shared by all workers by
    /// default.
    pub fn worker_max_blocking_threads(mut self, threads: usize) -> Self {
        self.builder = self.builder.worker_max_blocking_threads(threads);
        self
    }

    /// Sets how many connections may wait to be accepted; 2048 by default. For listeners bound
    /// later.
    pub fn backlog(mut self, connections: u32) -> Self {
        self.backlog = connections;
        self
    }

    /// Sets how many HTTP connections each worker may have; 25,600 by default.
    pub fn max_connections(self, connections: usize) -> Self {
        self.connections.limit(connections);
        self
    }

    /// Sets how long an HTTP connection may wait for its next request; 75 seconds by default. For
    /// listeners bound later.
    ///
    /// A load balancer keeps its connections for 60 seconds or so. If the server closes one first,
    /// a request may be on its way already, and its client gets 502.
    pub fn keep_alive(mut self, limit: impl Into<KeepAlive>) -> Self {
        self.settings.keep_alive = limit.into();
        self
    }

    /// Sets how long a client may take to send a request's head; 5 seconds by default, no limit
    /// where it is zero. For listeners bound later.
    pub fn client_request_timeout(mut self, limit: Duration) -> Self {
        self.settings.client_request_timeout = limit;
        self
    }

    /// Sets the host name that the App builds its URLs with; the listener's address by default. For
    /// listeners bound later.
    pub fn server_hostname(mut self, name: impl Into<String>) -> Self {
        self.settings.hostname = Some(name.into());
        self
    }

    /// Sets how long a stop waits: first for the handlers in flight and for the clients of the
    /// server to take their last packets, and as long again for HTTP requests to be answered. 5
    /// seconds by default.
    pub fn shutdown_timeout(mut self, limit: Duration) -> Self {
        self.drain = limit;
        // The server below counts in whole seconds.
        self.builder = self
            .builder
            .shutdown_timeout(limit.as_secs_f64().ceil() as u64);
        self
    }

    /// Leaves the process's signals to the program. By default SIGINT (Ctrl-C) and SIGTERM stop the
    /// server as [`AppServerHandle::stop`] does.
    pub fn disable_signals(mut self) -> Self {
        self.handles_signals = false;
        self
    }

    /// Listens on each of these addresses.
    ///
    /// # Errors
    ///
    /// The last one's error, where none can be listened on; or that a name cannot be resolved; or
    /// that an event with a reserved name was given a handler before `serve`; or that the server
    /// was stopped or closed already.
    pub fn bind(mut self, addresses: impl ToSocketAddrs) -> io::Result<Self> {
        for listener in listeners(addresses, self.backlog)? {
            self = self.listen(listener)?;
        }
        Ok(self)
    }

    /// Listens on a socket that is bound already.
    ///
    /// # Errors
    ///
    /// The system's, where it cannot be used; or that an event with a reserved name was given a
    /// handler.
    pub fn listen(mut self, listener: TcpListener) -> io::Result<Self> {
        self.has_no_fault()?;
        let address = listener.local_addr()?;
        let site = self.site(address, false);
        let limit = self.engine.config.silence_limit();
        self.builder = self
            .builder
            .listen(address.to_string(), listener, move || {
                let watch = move |stream: &TcpStream, _: &mut _| set_user_timeout(stream, limit);
                site.dealt(site.service(watch).tcp())
            })?;
        self.addresses.push(address);
        Ok(self)
    }

    /// Listens on each of these addresses, by TLS.
    ///
    /// # Errors
    ///
    /// As of [`bind`](Self::bind).
    #[cfg(feature = "rustls-0_23")]
    #[cfg_attr(docsrs, doc(cfg(feature = "rustls-0_23")))]
    #[allow(
        clippy::needless_pass_by_value,
        reason = "as `HttpServer` takes it; most programs have one listener"
    )]
    pub fn bind_rustls_0_23(
        mut self,
        addresses: impl ToSocketAddrs,
        config: ServerConfig,
    ) -> io::Result<Self> {
        for listener in listeners(addresses, self.backlog)? {
            self = self.listen_rustls_0_23(listener, config.clone())?;
        }
        Ok(self)
    }

    /// Listens on a socket that is bound already, by TLS. HTTP/1.1 is added to the protocols that
    /// the configuration offers, and HTTP/2 in front of it where actix-web has it switched on.
    ///
    /// # Errors
    ///
    /// As of [`listen`](Self::listen).
    #[cfg(feature = "rustls-0_23")]
    #[cfg_attr(docsrs, doc(cfg(feature = "rustls-0_23")))]
    pub fn listen_rustls_0_23(
        mut self,
        listener: TcpListener,
        config: ServerConfig,
    ) -> io::Result<Self> {
        self.has_no_fault()?;
        let address = listener.local_addr()?;
        let site = self.site(address, true);
        let limit = self.engine.config.silence_limit();
        self.builder = self
            .builder
            .listen(address.to_string(), listener, move || {
                let watch = move |stream: &TlsStream<TcpStream>, _: &mut _| {
                    set_user_timeout(stream.get_ref().0, limit);
                };
                site.dealt(site.service(watch).rustls_0_23(config.clone()))
            })?;
        self.addresses.push(address);
        Ok(self)
    }

    /// Returns the addresses that are listened on.
    #[must_use]
    pub fn addrs(&self) -> Vec<SocketAddr> {
        self.addresses.clone()
    }

    /// Starts the workers. The server runs until it is stopped; the future has to be awaited or
    /// spawned. It is an error if no address is bound, or if the server was stopped or closed.
    pub fn run(self) -> RunningAppServer {
        let is_bound = !self.addresses.is_empty();
        let server = self.has_no_fault().and_then(|()| {
            let unbound = || io::Error::other("no address is bound: call `bind` before `run`");
            is_bound.then(|| self.builder.run()).ok_or_else(unbound)
        });
        let (closing, connections) = (self.closing, self.connections);
        let handle = |server| AppServerHandle::new(server, closing, connections, self.drain);
        RunningAppServer::new(server, handle, self.handles_signals)
    }

    /// A program whose handlers are not what it takes them for does not start.
    fn has_no_fault(&self) -> io::Result<()> {
        if self.engine.is_closing() {
            let closed = "the server was closed, start another one by its builder";
            return Err(io::Error::other(closed));
        }
        match &self.fault {
            Some(fault) => Err(io::Error::new(io::ErrorKind::InvalidInput, fault.as_str())),
            None => Ok(()),
        }
    }

    fn site(&self, address: SocketAddr, is_secure: bool) -> Site<F> {
        Site {
            engine: Arc::clone(&self.engine),
            hooks: Arc::clone(&self.hooks),
            app: self.app.clone(),
            settings: self.settings.clone(),
            connections: self.connections.clone(),
            address,
            is_secure,
        }
    }
}

impl<F> fmt::Debug for AppServer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppServer")
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

/// Returns how many workers a server has by default.
fn default_workers() -> usize {
    thread::available_parallelism().map_or(2, NonZero::get)
}

/// A listener's services are made of this, on each worker.
#[derive(Clone)]
struct Site<F> {
    engine: Arc<Engine>,
    hooks: Arc<Hooks>,
    app: F,
    settings: Settings,
    connections: Connections,
    address: SocketAddr,
    is_secure: bool,
}

impl<F, T, B> Site<F>
where
    F: Fn() -> App<T> + Clone + 'static,
    T: ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<B>,
            Error = actix_web::Error,
            InitError = (),
        > + 'static,
    B: MessageBody + 'static,
{
    fn service<I: Io + 'static>(
        &self,
        on_connect: impl Fn(&I, &mut Extensions) + 'static,
    ) -> HttpService<I, SharedApp, BoxBody, ExpectHandler, Upgrades> {
        let app = SharedApp::new(self.app());
        let draining = self.connections.draining();
        HttpService::<I, SharedApp, BoxBody>::build()
            .keep_alive(self.settings.keep_alive)
            .client_request_timeout(self.settings.client_request_timeout)
            // As `SocketIo::tune` sets them, for the same reasons.
            .client_disconnect_timeout(Duration::ZERO)
            .h1_allow_half_closed(false)
            .tcp_nodelay(true)
            .graceful_shutdown_signal(move || draining.clone().cancelled_owned())
            .on_connect_ext(on_connect)
            .upgrade(Upgrades(app.clone()))
            .finish(app)
    }

    /// Makes a listener's service of the service of its connections.
    fn dealt<S>(&self, connection: S) -> Dealt<S> {
        self.connections.clone().dealt(connection)
    }

    /// The program's App, with the server's routes in it.
    fn app(&self) -> AppService {
        let app = mount_once(&self.engine, &self.hooks, self.app.clone());
        let hostname = self.settings.hostname.clone();
        let hostname = hostname.unwrap_or_else(|| self.address.to_string());
        // actix-web has no other constructor that takes what its own server gives an App; the
        // crates of its family use this one.
        let config = AppConfig::__priv_test_new(self.is_secure, hostname, self.address);
        let app = app
            .into_factory()
            .map(|response| Response::from(response).map_into_boxed_body())
            .map_err(Response::from);
        boxed::factory(map_config(app, move |()| config.clone()))
    }
}

/// Writes the methods `serve` and `run` of a handle that has an `engine` and its `hooks`.
macro_rules! serve {
    () => {
        /// Serves an App on a server of this crate's, which holds the WebSockets by itself: in less
        /// memory and time than an `HttpServer`. The routes are mounted at the App's root, unless
        /// the App has mounted them by itself: inside of the App's middleware and before its
        /// services, so that no `Files::new("/", ..)` or empty scope takes their requests. Only a
        /// server whose path is `/` comes behind the App's services.
        ///
        /// [`AppServer`](crate::server::AppServer) says what such a server does, and how it is set
        /// up.
        pub fn serve<F, T, B>(&self, app: F) -> crate::server::AppServer<F>
        where
            F: Fn() -> actix_web::App<T> + Send + Clone + 'static,
            T: actix_service::ServiceFactory<
                    actix_web::dev::ServiceRequest,
                    Config = (),
                    Response = actix_web::dev::ServiceResponse<B>,
                    Error = actix_web::Error,
                    InitError = (),
                > + 'static,
            B: actix_web::body::MessageBody + 'static,
        {
            let closing = self.closing();
            crate::server::AppServer::new(&self.engine, &self.hooks, closing, app, self.fault())
        }

        /// Serves nothing but this server, at these addresses, until the process is asked to end.
        ///
        /// # Errors
        ///
        /// None of the addresses can be listened on.
        pub async fn run(&self, addresses: impl std::net::ToSocketAddrs) -> std::io::Result<()> {
            self.serve(actix_web::App::new).bind(addresses)?.run().await
        }
    };
}

pub(crate) use serve;

fn listeners(addresses: impl ToSocketAddrs, backlog: u32) -> io::Result<Vec<TcpListener>> {
    let mut failed = io::Error::new(io::ErrorKind::InvalidInput, "no address to listen on");
    let mut listeners = Vec::new();
    for address in addresses.to_socket_addrs()? {
        match listener(address, backlog) {
            Ok(listener) => listeners.push(listener),
            Err(error) => failed = error,
        }
    }
    if listeners.is_empty() {
        Err(failed)
    } else {
        Ok(listeners)
    }
}

fn listener(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // A server that is started again finds its port, where connections of the last one linger.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// How long a connection waits for its next request by default: longer than the load balancers that
/// keep connections for 60 seconds.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// How long a stop waits by default.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// How many HTTP connections a worker may have by default, as in an `HttpServer`.
const MAX_CONNECTIONS: usize = 25_600;
