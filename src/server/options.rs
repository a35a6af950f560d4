//! The options of every server, independent of its protocol.
//!
//! Values and hooks of the program enter; they are kept in the builder until it starts the server.

use std::future::Future;
use std::time::Duration;

use actix_web::cookie::Cookie;
use actix_web::http::header::HeaderMap;
use actix_web::{Error, HttpRequest};
use ipnet::IpNet;

use crate::config::{Cors, PerMessageDeflate, SlowClientPolicy, Transport};
use crate::handshake::Extensions;
use crate::limits::{LimitHit, RateLimit};
use crate::server::{Buildable, Builder};
use crate::transport::ConnectionError;

/// The options of every server.
impl<S: Buildable> Builder<S> {
    /// Sets the path of the server: `/socket.io/` by default, `/engine.io/` for a raw server. The
    /// slashes at its ends are optional, here and in a request. The server handles all requests
    /// below it. A path that no router can match, for example one with `{`, is an error at the
    /// start.
    pub fn path(mut self, path: &str) -> Self {
        let path = path.trim_matches('/');
        self.config.http.path = if path.is_empty() {
            "/".to_owned()
        } else {
            format!("/{path}/")
        };
        self
    }

    /// Sets the interval between the handshake, or a pong, and the next ping; 25 seconds by
    /// default.
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.config.engine.ping_interval = interval;
        self
    }

    /// Sets the timeout for the client's pong; 20 seconds by default.
    pub fn ping_timeout(mut self, timeout: Duration) -> Self {
        self.config.engine.ping_timeout = timeout;
        self
    }

    /// Sets the timeout of an upgrade; 10 seconds by default. Polling continues after it. A
    /// connection of WebTransport has the same time for each step to its session.
    pub fn upgrade_timeout(mut self, timeout: Duration) -> Self {
        self.config.engine.upgrade_timeout = timeout;
        self
    }

    /// Sets the maximal size of a client's polling body or WebSocket message, in bytes;
    /// 1,000,000 by default. A larger body is answered with 413, a larger message closes the
    /// WebSocket with code 1009.
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.config.limits.max_payload = bytes;
        self
    }

    /// Sets the size limit of a client's outbox, in bytes; 1 MiB by default. Each packet and each
    /// attachment counts 128 bytes more than its own size, for the memory that it occupies. A
    /// larger packet is sent if the outbox is empty, up to [`packet_limit`](Self::packet_limit).
    ///
    /// An emit to one socket waits for room, up to [`emit_timeout`](Self::emit_timeout). An
    /// acknowledgement or a broadcast does not wait: if the client reads, it may exceed the limit
    /// by up to `packet_limit` bytes. No packets are read from a client above the limit.
    /// [`slow_client_policy`](Self::slow_client_policy) decides about a client whose outbox stays
    /// full.
    pub fn outbox_limit(mut self, bytes: usize) -> Self {
        self.config.limits.outbox_limit = bytes;
        self
    }

    /// Sets the maximal size of a packet to a client including its attachments, in bytes; 16 MiB by
    /// default. A larger one is [`ArgsError::TooLarge`](crate::ArgsError). It is sent to no client,
    /// and no client is disconnected.
    pub fn packet_limit(mut self, bytes: usize) -> Self {
        self.config.limits.packet_limit = bytes;
        self
    }

    /// Sets the time limit of an emit or a call to one socket for room in its outbox; 10 seconds by
    /// default.
    pub fn emit_timeout(mut self, timeout: Duration) -> Self {
        self.config.sockets.emit_timeout = timeout;
        self
    }

    /// Sets the policy for a client whose outbox is full; it is disconnected by default.
    pub fn slow_client_policy(mut self, policy: SlowClientPolicy) -> Self {
        self.config.engine.slow_client_policy = policy;
        self
    }

    /// Sets the maximal number of waiting handlers of one client; 128 by default. At the limit no
    /// packets are read from the client until a handler ends, including pongs and acknowledgements.
    /// So if all handlers wait for acknowledgements of their own client, they wait until their
    /// calls time out.
    pub fn max_concurrent_handlers(mut self, handlers: usize) -> Self {
        self.config.limits.max_concurrent_handlers = handlers;
        self
    }

    /// Sets the time limit of a waiting handler after its client has disconnected, or has left the
    /// namespace; 30 seconds by default. The handler is then dropped with all its values, so a loop
    /// that does not check its client ends. With `Duration::ZERO` it is dropped at once. With
    /// `None` it is never dropped, and a client that reconnects often may leave any number of
    /// handlers running.
    ///
    /// Connect handlers and middleware are dropped in the same way, disconnect handlers are not.
    /// Work that must finish even if the client disconnects belongs in a task of its own, started
    /// by [`SocketIo::spawn`](crate::SocketIo::spawn).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use actix_socketio::SocketIo;
    ///
    /// let builder = SocketIo::builder().handler_grace(Some(Duration::from_secs(5)));
    /// ```
    pub fn handler_grace(mut self, limit: Option<Duration>) -> Self {
        self.config.sockets.handler_grace = limit;
        self
    }

    /// Sets the limit of the events for which a client's handlers are in flight, in bytes including
    /// attachments; 4 MiB by default. At the limit no packets are read from the client. One event
    /// may exceed the limit. Reading continues when a handler has ended, as at the limit of
    /// [`max_concurrent_handlers`](Self::max_concurrent_handlers).
    pub fn handlers_bytes(mut self, bytes: usize) -> Self {
        self.config.limits.handlers_bytes = bytes;
        self
    }

    /// Sets the maximal size of a client's first request, in bytes: its path with the query, and
    /// its headers with a `: ` and a line end for each; 16 KiB by default, as on Node.js. A larger
    /// one is answered with 431, because the [`Handshake`](crate::Handshake) is kept while the
    /// client is connected.
    pub fn handshake_limit(mut self, bytes: usize) -> Self {
        self.config.limits.handshake_limit = bytes;
        self
    }

    /// Sets the transports that clients may use: polling and WebSocket by default. WebTransport is
    /// switched on by `AppServer::webtransport`.
    pub fn transports(mut self, transports: impl IntoIterator<Item = Transport>) -> Self {
        self.config.engine.transports = transports.into_iter().collect();
        self
    }

    /// Sets whether a polling client may upgrade to a WebSocket; true by default.
    pub fn allow_upgrades(mut self, allowed: bool) -> Self {
        self.config.engine.allow_upgrades = allowed;
        self
    }

    /// Sets whether clients of the 2.x line of Socket.IO (Engine.IO 3) may connect; false by default.
    /// It is the option `allowEIO3` of Node.js. A request without `EIO` is from such a client too.
    ///
    /// The server connects such a client to `/` by itself. [`Auth`](crate::Auth) reads the query of
    /// a namespace, as in `/admin?token=abc`. The id of its socket contains the id of its session,
    /// which is a secret: do not show it to other clients. `docs/clients.md` has the details.
    pub fn allow_eio3(mut self, allowed: bool) -> Self {
        self.config.engine.allow_eio3 = allowed;
        self
    }

    /// Allows pages of other origins; [`Cors`] describes the requests that it does not cover.
    pub fn cors(mut self, cors: Cors) -> Self {
        self.config.http.cors = Some(cors);
        self
    }

    /// Compresses WebSocket messages for clients that support it; off by default. See
    /// [`PerMessageDeflate`] for the options.
    ///
    /// A broadcast is compressed once for all clients that have agreed to the same parameters. A
    /// message of a client may have up to [`max_payload`](Self::max_payload) bytes when it is
    /// decompressed: a larger one ends its session as soon as that many bytes are decompressed.
    /// [`Broadcast::compress`](crate::Broadcast::compress) excludes single events. Compress no
    /// secret together with text that an attacker can choose: the length of the message would tell
    /// about the secret.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{PerMessageDeflate, SocketIo};
    ///
    /// let builder = SocketIo::builder().per_message_deflate(PerMessageDeflate::new());
    /// ```
    pub fn per_message_deflate(mut self, options: PerMessageDeflate) -> Self {
        self.config.engine.per_message_deflate = Some(options);
        self
    }

    /// Sets the size in bytes from which a poll's response is compressed, by gzip or deflate if the
    /// client accepts it; 1024 by default. `None` switches it off. With the features `brotli` and
    /// `zstd`, a client that names Brotli or Zstandard gets that, if it prefers no other. WebSocket
    /// messages have an option of their own, [`per_message_deflate`](Self::per_message_deflate).
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::SocketIo;
    ///
    /// // A proxy in front of the server compresses already.
    /// let builder = SocketIo::builder().http_compression(None);
    /// ```
    pub fn http_compression(mut self, threshold: Option<usize>) -> Self {
        self.config.http.http_compression = threshold;
        self
    }

    /// Sets the trusted proxies, as addresses or networks; none by default.
    ///
    /// If a trusted proxy opens a connection, [`Handshake::address`](crate::Handshake::address) is
    /// the last address of `X-Forwarded-For` that is not a trusted proxy, and
    /// [`is_secure`](crate::Handshake::is_secure) is the value of `X-Forwarded-Proto` for that hop.
    /// If neither was sent, the standard `Forwarded` is read. Such a proxy must write or remove
    /// these headers: a client may write any value into headers that the proxy forwards unchanged.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::net::Ipv4Addr;
    ///
    /// use actix_socketio::{IpNet, SocketIo};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cluster: IpNet = "10.0.0.0/8".parse()?;
    /// let nearby = IpNet::from(std::net::IpAddr::from(Ipv4Addr::LOCALHOST));
    /// let builder = SocketIo::builder().trusted_proxies([cluster, nearby]);
    /// # Ok(()) }
    /// ```
    pub fn trusted_proxies<N>(mut self, proxies: impl IntoIterator<Item = N>) -> Self
    where
        N: Into<IpNet>,
    {
        self.config.http.trusted_proxies.set(proxies);
        self
    }

    /// Sets whether a peer on a Unix socket, which has no address, is one of the
    /// [`trusted_proxies`](Self::trusted_proxies); false by default.
    pub fn trust_unix_peer(mut self, trusted: bool) -> Self {
        self.config.http.trusted_proxies.unix = trusted;
        self
    }

    /// Calls `handler` for the first HTTP request of each client, before any state of the client
    /// exists. An `Err` is the response, with the error's own status and body. An error of the
    /// program becomes an `actix_web::Error` by `?` or `.into()`, if it is a `ResponseError`.
    ///
    /// The request's extensions contain its [`Handshake`](crate::Handshake), with the client's
    /// address seen through the trusted proxies: `request.extensions().get::<Handshake>()`.
    ///
    /// The handler is not called for further requests of a session, including its upgrade. A panic
    /// is answered with 500. Several handlers are called in order, until one refuses; while a
    /// handler waits its client waits. A handler without an await returns [`std::future::ready`].
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::SocketIo;
    /// use actix_web::HttpRequest;
    /// use actix_web::error::ErrorUnauthorized;
    ///
    /// async fn allow(request: HttpRequest) -> Result<(), actix_web::Error> {
    ///     match request.headers().get("x-api-key") {
    ///         Some(key) if key == "secret" => Ok(()),
    ///         _ => Err(ErrorUnauthorized("no valid key")),
    ///     }
    /// }
    ///
    /// let builder = SocketIo::builder().allow_request(allow);
    /// ```
    pub fn allow_request<F, R>(mut self, handler: F) -> Self
    where
        F: Fn(HttpRequest) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), Error>> + 'static,
    {
        self.hooks.add_allow(handler);
        self
    }

    /// Calls `hook` for every refused request, with the code and the message of
    /// [`ConnectionError`](crate::ConnectionError). It is called before the response is sent and
    /// must not block. A panic is logged. Several hooks are called in order.
    pub fn on_connection_error(
        mut self,
        hook: impl Fn(&ConnectionError<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.hooks.add_connection_error(hook);
        self
    }

    /// Sets the rate of the events of each socket; none by default. A number is the rate per second,
    /// with a burst of the same number; [`RateLimit`] has others. An event above the rate is
    /// dropped, or delayed, or disconnects the client ([`RatePolicy`](crate::RatePolicy)).
    /// [`Handlers::event_rate`](crate::Handlers::event_rate) sets the rate of one event. On an
    /// [`EngineIo`](crate::EngineIo) it is the rate of the messages of each session.
    ///
    /// A client that connects to the namespace again gets no new burst: this counts as an event, and
    /// so does an acknowledgement that no call waits for.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{RateLimit, RatePolicy, SocketIo};
    ///
    /// let rate = RateLimit::new(50).burst(200).policy(RatePolicy::Delay);
    /// let builder = SocketIo::builder().events_per_second(rate);
    /// ```
    pub fn events_per_second(mut self, rate: impl Into<RateLimit>) -> Self {
        self.config.rates.events = Some(rate.into());
        self
    }

    /// Sets the rate of the bytes of each socket's events, including names and attachments; none by
    /// default. Acknowledgements and requests to connect again count too, and on an
    /// [`EngineIo`](crate::EngineIo) the messages of each session. An event larger than the burst is
    /// accepted after a pause, and delays the next ones.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{RateLimit, SocketIo};
    ///
    /// let builder = SocketIo::builder().bytes_per_second(RateLimit::new(50_000).burst(1_000_000));
    /// ```
    pub fn bytes_per_second(mut self, rate: impl Into<RateLimit>) -> Self {
        self.config.rates.bytes = Some(rate.into());
        self
    }

    /// Calls `hook` each time a limit of the server is reached: a client is refused, a message is
    /// dropped, or a session is closed. It is called at that place, so it must not block. A panic
    /// is logged. Several hooks are called in order.
    ///
    /// `docs/operations.md` has all limits in a table.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::SocketIo;
    ///
    /// let builder = SocketIo::builder().on_limit(|hit| {
    ///     println!("{:?} reached {} = {}", hit.address(), hit.limit(), hit.value());
    /// });
    /// ```
    pub fn on_limit(mut self, hook: impl Fn(&LimitHit<'_>) + Send + Sync + 'static) -> Self {
        self.config.limit_hooks.add(hook);
        self
    }

    /// Attaches values from the first HTTP request of each client to its handshake, for example
    /// values that a middleware has put into the request's extensions:
    /// [`Handshake::get`](crate::Handshake::get) returns them.
    ///
    /// `hook` runs after [`allow_request`](Self::allow_request). A panic in it is answered with
    /// 500.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{Handshake, SocketIo};
    /// use actix_web::HttpMessage;
    ///
    /// #[derive(Clone)]
    /// struct User(String);
    ///
    /// let builder = SocketIo::builder().handshake_extensions(|request, extensions| {
    ///     if let Some(user) = request.extensions().get::<User>() {
    ///         extensions.insert(user.clone());
    ///     }
    /// });
    ///
    /// async fn who(handshake: Handshake) -> Option<String> {
    ///     handshake.get::<User>().map(|user| user.0.clone())
    /// }
    /// ```
    pub fn handshake_extensions<F>(mut self, hook: F) -> Self
    where
        F: Fn(&HttpRequest, &mut Extensions) + Send + Sync + 'static,
    {
        self.hooks.add_extension(hook);
        self
    }

    /// Sends clients the id of their session as a cookie, for load balancers with cookie-based
    /// sticky sessions. The response to a polling handshake sets it; a WebSocket's does not,
    /// because it is the client's only connection.
    ///
    /// `cookie` is a template, whose value does not matter. The defaults are those of the Node.js
    /// server: the name `io` if it is empty, `Path=/`, `HttpOnly`, `SameSite=Lax`.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::SocketIo;
    /// use actix_web::cookie::Cookie;
    ///
    /// // Set-Cookie: io=<the session's id>; HttpOnly; SameSite=Lax; Secure; Path=/
    /// let cookie = Cookie::build("io", "").secure(true).finish();
    /// let builder = SocketIo::builder().cookie(cookie);
    /// ```
    pub fn cookie(mut self, cookie: Cookie<'static>) -> Self {
        self.hooks.set_cookie(cookie);
        self
    }

    /// Chooses the subprotocol of a WebSocket if its client offers some (`Sec-WebSocket-Protocol`);
    /// by default the first that the client offers, as on the Node.js server.
    ///
    /// The arguments of `hook` are the request that opens the WebSocket, which may be an upgrade of
    /// a polling session, and the client's subprotocols in its order of preference. With `None` the
    /// response names no subprotocol, and a browser closes the WebSocket. A name that was not
    /// offered has the same effect and is logged. A panic is answered with
    /// 500. The last hook is used.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::SocketIo;
    ///
    /// let builder = SocketIo::builder().subprotocol(|_, offered| {
    ///     let ours = offered.iter().find(|name| name.ends_with(".chat"));
    ///     ours.map(|name| (*name).to_owned())
    /// });
    /// ```
    pub fn subprotocol<F>(mut self, hook: F) -> Self
    where
        F: Fn(&HttpRequest, &[&str]) -> Option<String> + Send + Sync + 'static,
    {
        self.hooks.set_subprotocol(hook);
        self
    }

    /// Lets `hook` change the headers of the response that opens a session.
    ///
    /// Several hooks run in order, before those of [`response_headers`](Self::response_headers). If
    /// one panics, the panic is logged and the response is sent all the same.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::SocketIo;
    /// use actix_web::http::header::{HeaderName, HeaderValue};
    ///
    /// let builder = SocketIo::builder().initial_headers(|_, headers| {
    ///     headers.insert(HeaderName::from_static("x-node"), HeaderValue::from_static("a"));
    /// });
    /// ```
    pub fn initial_headers<F>(mut self, hook: F) -> Self
    where
        F: Fn(&HttpRequest, &mut HeaderMap) + Send + Sync + 'static,
    {
        self.hooks.add_initial_headers(hook);
        self
    }

    /// Lets `hook` change the headers of every response of this server: handshakes, polls, posts,
    /// upgrades, errors, and the client's files. Responses to the preflights of
    /// [`cors`](Self::cors) are not included, and the headers of `cors` are added afterwards.
    ///
    /// Several hooks run in order. If one panics, the panic is logged and the response is sent all
    /// the same.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::SocketIo;
    /// use actix_web::http::header::{self, HeaderValue};
    ///
    /// let builder = SocketIo::builder().response_headers(|_, headers| {
    ///     headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    /// });
    /// ```
    pub fn response_headers<F>(mut self, hook: F) -> Self
    where
        F: Fn(&HttpRequest, &mut HeaderMap) + Send + Sync + 'static,
    {
        self.hooks.add_response_headers(hook);
        self
    }
}
