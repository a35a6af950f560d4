//! A server of the program's App that owns the WebSockets itself.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::num::NonZero;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use actix_http::KeepAlive;
use actix_rt::net::TcpStream;
use actix_server::ServerBuilder;
#[cfg(feature = "rustls-0_23")]
use actix_tls::accept::rustls_0_23::{TlsStream, reexports::ServerConfig};
use socket2::{Domain, Protocol, Socket, Type};

use crate::config::DrainOptions;
use crate::server::closing::Closing;
use crate::server::dealing::{Connections, ahead};
use crate::server::running::{AppServerHandle, RunningAppServer};
use crate::server::site::{Settings, Site};
use crate::server::webtransport::WebTransports;
use crate::session::Engine;
use crate::transport::{AppFactory, Hooks, set_user_timeout};

/// An HTTP server of the program's own [`App`](actix_web::App) that takes the WebSockets of Socket.IO over from
/// HTTP: [`SocketIo::serve`](crate::SocketIo::serve) and
/// [`EngineIo::serve`](crate::EngineIo::serve) return it.
///
/// A request for a WebSocket passes through the App like any other, with its middleware and guards.
/// If the App accepts it, the connection leaves actix-http and belongs to the session. It needs
/// about a quarter of the memory that it needs in an `HttpServer`, and usually less time. All other
/// functions are those of an `HttpServer`, including WebSockets of other routes, with one
/// exception: a response that refuses an upgrade closes its connection.
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
    pub(super) engine: Arc<Engine>,
    hooks: Arc<Hooks>,
    closing: Closing,
    app: F,
    builder: ServerBuilder,
    connections: Connections,
    settings: Settings,
    backlog: u32,
    addresses: Vec<SocketAddr>,
    pub(super) webtransports: WebTransports<F>,
    handles_signals: bool,
    drain_on_signal: Option<DrainOptions>,
    drain: Duration,
    /// An invalid registration of the program.
    fault: Option<String>,
}

impl<F: AppFactory> AppServer<F> {
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
            connections: Connections::new(MAX_CONNECTIONS, &engine.config.panic_reports),
            settings: Settings {
                keep_alive: KeepAlive::Timeout(KEEP_ALIVE),
                client_request_timeout: Duration::from_secs(5),
                hostname: None,
            },
            backlog: 2048,
            addresses: Vec::new(),
            webtransports: WebTransports::default(),
            handles_signals: true,
            drain_on_signal: engine.config.drain_on_signal.clone(),
            drain: SHUTDOWN,
            fault,
        }
    }

    /// Sets the number of workers, each a thread; the number of physical cores by default.
    ///
    /// # Panics
    ///
    /// Panics if it is 0.
    pub fn workers(mut self, workers: usize) -> Self {
        let builder = self.builder.workers(workers);
        self.builder = builder.max_concurrent_connections(ahead(workers));
        self
    }

    /// Sets the maximal number of threads of each worker for blocking work; 512 shared by all
    /// workers by default.
    pub fn worker_max_blocking_threads(mut self, threads: usize) -> Self {
        self.builder = self.builder.worker_max_blocking_threads(threads);
        self
    }

    /// Sets the maximal number of connections that wait to be accepted; 2048 by default. Applies to
    /// listeners bound later.
    pub fn backlog(mut self, connections: u32) -> Self {
        self.backlog = connections;
        self
    }

    /// Sets the maximal number of connections of each worker, WebSockets included; 25,600 by
    /// default. Further connections wait in the listener's backlog until one ends; those of
    /// WebTransport count too, and further ones are refused.
    pub fn max_connections(self, connections: usize) -> Self {
        self.connections.limit(connections);
        self
    }

    /// Sets the time for which an idle HTTP connection stays open; 75 seconds by default. Applies
    /// to listeners bound later.
    ///
    /// A load balancer usually keeps its connections for 60 seconds. If the server closes one
    /// first, a request may already be in transit, and its client receives 502.
    pub fn keep_alive(mut self, limit: impl Into<KeepAlive>) -> Self {
        self.settings.keep_alive = limit.into();
        self
    }

    /// Sets the timeout of a client's request head; 5 seconds by default, no limit if it is zero.
    /// Applies to listeners bound later.
    pub fn client_request_timeout(mut self, limit: Duration) -> Self {
        self.settings.client_request_timeout = limit;
        self
    }

    /// Sets the host name with which the App builds its URLs; the listener's address by default.
    /// Applies to listeners bound later.
    pub fn server_hostname(mut self, name: impl Into<String>) -> Self {
        self.settings.hostname = Some(name.into());
        self
    }

    /// Sets the time limit of a stop, 5 seconds by default. It applies twice: first to handlers in
    /// flight and the last packets of the clients, then to the HTTP requests in flight.
    pub fn shutdown_timeout(mut self, limit: Duration) -> Self {
        self.drain = limit;
        // The server below uses whole seconds.
        self.builder = self
            .builder
            .shutdown_timeout(limit.as_secs_f64().ceil() as u64);
        self
    }

    /// Drains the server when the process receives SIGINT or SIGTERM, as
    /// [`SocketIo::drain`](crate::SocketIo::drain) does. A second signal stops it gracefully like
    /// [`AppServerHandle::stop`], a third at once. By default the options are those of
    /// [`Builder::drain_on_signal`](crate::Builder::drain_on_signal). Without any the first signal
    /// stops it gracefully.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use actix_socketio::DrainOptions;
    /// use actix_web::App;
    ///
    /// # async fn run(io: actix_socketio::SocketIo) -> std::io::Result<()> {
    /// let server = io.serve(App::new).drain_on_signal(DrainOptions::new());
    /// server.bind(("0.0.0.0", 3000))?.run().await
    /// # }
    /// ```
    pub fn drain_on_signal(mut self, options: DrainOptions) -> Self {
        self.drain_on_signal = Some(options);
        self
    }

    /// Leaves the process's signals to the program. By default SIGINT (Ctrl-C) and SIGTERM stop the
    /// server like [`AppServerHandle::stop`].
    pub fn disable_signals(mut self) -> Self {
        self.handles_signals = false;
        self
    }

    /// Listens on each of these addresses.
    ///
    /// # Errors
    ///
    /// The last address's error, if none can be used. It also fails if a name cannot be resolved,
    /// if an event with a reserved name was given a handler before `serve`, or if the server was
    /// stopped or closed already.
    pub fn bind(mut self, addresses: impl ToSocketAddrs) -> io::Result<Self> {
        for listener in listeners(addresses, self.backlog)? {
            self = self.listen(listener)?;
        }
        Ok(self)
    }

    /// Listens on a bound socket.
    ///
    /// # Errors
    ///
    /// The system's error, if the socket cannot be used. It also fails if an event with a reserved
    /// name was given a handler.
    pub fn listen(mut self, listener: TcpListener) -> io::Result<Self> {
        self.has_no_fault()?;
        let address = listener.local_addr()?;
        let site = self.site(address, false);
        let beside = self.webtransports.beside(self.addresses.is_empty());
        let limit = self.engine.config.engine.silence_limit();
        self.builder = self
            .builder
            .listen(address.to_string(), listener, move || {
                beside.start_here();
                let watch = move |stream: &TcpStream, _: &mut _| set_user_timeout(stream, limit);
                site.dealt(site.service(watch).tcp())
            })?;
        self.addresses.push(address);
        Ok(self)
    }

    /// Listens on each of these addresses with TLS.
    ///
    /// # Errors
    ///
    /// The same as of [`bind`](Self::bind).
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

    /// Listens on a bound socket with TLS. HTTP/1.1 is added to the protocols of the configuration.
    /// If actix-web supports HTTP/2 it is added as the first.
    ///
    /// # Errors
    ///
    /// The same as of [`listen`](Self::listen).
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
        let beside = self.webtransports.beside(self.addresses.is_empty());
        let limit = self.engine.config.engine.silence_limit();
        self.builder = self
            .builder
            .listen(address.to_string(), listener, move || {
                beside.start_here();
                let watch = move |stream: &TlsStream<TcpStream>, _: &mut _| {
                    set_user_timeout(stream.get_ref().0, limit);
                };
                site.dealt(site.service(watch).rustls_0_23(config.clone()))
            })?;
        self.addresses.push(address);
        Ok(self)
    }

    /// Returns the addresses of the listeners.
    #[must_use]
    pub fn addrs(&self) -> Vec<SocketAddr> {
        self.addresses.clone()
    }

    /// Starts the workers. The server runs until it is stopped; the future must be awaited or
    /// spawned. It is an error if no address is bound, or if the server was stopped or closed.
    pub fn run(self) -> RunningAppServer {
        let is_bound = !self.addresses.is_empty();
        let server = self.has_no_fault().and_then(|()| {
            if !is_bound {
                let unbound = "no address is bound: call `bind` before `run`";
                return Err(io::Error::other(unbound));
            }
            self.webtransports.start()?;
            Ok(self.builder.run())
        });
        let (closing, connections) = (self.closing, self.connections);
        let stops = self.webtransports.stops();
        let handle =
            |server| AppServerHandle::new(server, closing, (connections, stops), self.drain);
        let signals = self.handles_signals.then_some(self.drain_on_signal);
        RunningAppServer::new(server, handle, signals)
    }

    /// Returns an error if the program has made an invalid registration.
    pub(super) fn has_no_fault(&self) -> io::Result<()> {
        if self.engine.is_closing() {
            let closed = "the server is closed: start a new one by its builder";
            return Err(io::Error::other(closed));
        }
        match &self.fault {
            Some(fault) => Err(io::Error::new(io::ErrorKind::InvalidInput, fault.as_str())),
            None => Ok(()),
        }
    }

    pub(super) fn site(&self, address: SocketAddr, is_secure: bool) -> Site<F> {
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

/// Returns the default number of workers.
fn default_workers() -> usize {
    thread::available_parallelism().map_or(2, NonZero::get)
}

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
    // A restarted server can use its port, although connections of its predecessor linger there.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// The default time for which an idle connection stays open: longer than the 60 seconds of usual
/// load balancers.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// The default time limit of a stop.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// The default maximal number of HTTP connections of a worker, as in an `HttpServer`.
const MAX_CONNECTIONS: usize = 25_600;
