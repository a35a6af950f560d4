//! The options that every server has, whatever its protocol.

/// Writes the setters of a builder that has a `config` of type `Config` and `hooks` of type
/// `Hooks`.
macro_rules! engine_options {
    () => {
        /// Sets where the server is mounted: `/socket.io/` by default, `/engine.io/` for a raw
        /// server. A slash at either end may be left out, here and in a request. Everything below
        /// it is the server's. A path that no router can find, as one with `{`, is an error of the
        /// start.
        pub fn path(mut self, path: &str) -> Self {
            let path = path.trim_matches('/');
            self.config.path = if path.is_empty() {
                "/".to_owned()
            } else {
                format!("/{path}/")
            };
            self
        }

        /// Sets how long after the handshake, and after each pong, the server pings; 25 seconds by
        /// default.
        pub fn ping_interval(mut self, interval: Duration) -> Self {
            self.config.ping_interval = interval;
            self
        }

        /// Sets how long the client may take to answer a ping; 20 seconds by default.
        pub fn ping_timeout(mut self, timeout: Duration) -> Self {
            self.config.ping_timeout = timeout;
            self
        }

        /// Sets how long an upgrade may take; 10 seconds by default. Polling goes on after it.
        pub fn upgrade_timeout(mut self, timeout: Duration) -> Self {
            self.config.upgrade_timeout = timeout;
            self
        }

        /// Sets the largest polling body and WebSocket message, in bytes, that a client may send;
        /// 1,000,000 by default. A larger body is answered with 413, a larger message closes the
        /// WebSocket with code 1009.
        pub fn max_payload(mut self, bytes: usize) -> Self {
            self.config.max_payload = bytes;
            self
        }

        /// Sets how many bytes may wait for a client that reads slowly; 1 MiB by default. Each
        /// packet and each attachment counts 128 bytes beside its own, for the memory that it
        /// takes. A packet that is larger is sent if nothing else waits, up to
        /// [`packet_limit`](Self::packet_limit).
        ///
        /// An emit to one socket waits for room, up to [`emit_timeout`](Self::emit_timeout). An
        /// acknowledgement or a broadcast does not wait: it goes above the limit if the client
        /// reads, by as many bytes as `packet_limit` says. Nothing is read from a client above the
        /// limit. [`slow_client_policy`](Self::slow_client_policy) says what becomes of a client
        /// that does not make room.
        pub fn outbox_limit(mut self, bytes: usize) -> Self {
            self.config.outbox_limit = bytes;
            self
        }

        /// Sets how many bytes one packet to a client may have, its attachments too; 16 MiB by
        /// default. A larger one is [`ArgsError::TooLarge`](crate::ArgsError), nobody gets it, and
        /// nobody is disconnected.
        pub fn packet_limit(mut self, bytes: usize) -> Self {
            self.config.packet_limit = bytes;
            self
        }

        /// Sets how long an emit or a call to one socket waits for room in its outbox; 10 seconds
        /// by default.
        pub fn emit_timeout(mut self, timeout: Duration) -> Self {
            self.config.emit_timeout = timeout;
            self
        }

        /// Sets what becomes of a client whose outbox is full; it is disconnected by default.
        pub fn slow_client_policy(mut self, policy: SlowClientPolicy) -> Self {
            self.config.slow_client_policy = policy;
            self
        }

        /// Sets how many handlers of one client may wait for something at the same time; 128 by
        /// default. At the limit nothing more is read from the client until one of them ends, no
        /// pongs and no acknowledgements either: handlers that all wait for their own client's
        /// answer wait until their calls time out.
        pub fn max_concurrent_handlers(mut self, handlers: usize) -> Self {
            self.config.max_concurrent_handlers = handlers;
            self
        }

        /// Sets how long a handler that waits for something may go on when its client has gone, or
        /// has left the namespace; 30 seconds by default. Then it is dropped where it waits, with
        /// all that it holds: a loop that does not look at its client ends so. With
        /// `Duration::ZERO` it is dropped at once, with `None` it is never dropped, and a client
        /// that comes and goes may leave any number of them behind.
        ///
        /// Connect handlers and middleware are dropped in the same way, disconnect handlers are
        /// not. What must be done whatever becomes of the client belongs in a task of its own, as
        /// [`SocketIo::spawn`](crate::SocketIo::spawn) starts one.
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
            self.config.handler_grace = limit;
            self
        }

        /// Sets from how many bytes on the events that the handlers in flight of one client were
        /// called for, with their attachments, keep more from being read from it; 4 MiB by default.
        /// One event may pass the limit. As at the limit of
        /// [`max_concurrent_handlers`](Self::max_concurrent_handlers) reading goes on when a
        /// handler has ended.
        pub fn handlers_bytes(mut self, bytes: usize) -> Self {
            self.config.handlers_bytes = bytes;
            self
        }

        /// Sets how many bytes the first request of a client may have: its path with the query, and
        /// its headers with a `: ` and a line end for each; 16 KiB by default, as on Node.js. A
        /// larger one is answered with 431, because the [`Handshake`](crate::Handshake) is kept for
        /// as long as the client is connected.
        pub fn handshake_limit(mut self, bytes: usize) -> Self {
            self.config.handshake_limit = bytes;
            self
        }

        /// Sets the transports that clients may use; both by default.
        pub fn transports(mut self, transports: impl IntoIterator<Item = Transport>) -> Self {
            self.config.transports = transports.into_iter().collect();
            self
        }

        /// Sets whether a polling client may go over to a WebSocket; it may by default.
        pub fn allow_upgrades(mut self, allowed: bool) -> Self {
            self.config.allow_upgrades = allowed;
            self
        }

        /// Lets pages of other origins talk to the server; [`Cors`] says what that does not cover.
        pub fn cors(mut self, cors: Cors) -> Self {
            self.config.cors = Some(cors);
            self
        }

        /// Sets from how many bytes on what a poll brings is compressed, by gzip or deflate where
        /// the client accepts it; 1024 by default. `None` switches it off. What a WebSocket brings
        /// is never compressed.
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
            self.config.http_compression = threshold;
            self
        }

        /// Believes these proxies, addresses or nets, who a client is; nobody by default.
        ///
        /// Where one of them opens a connection, [`Handshake::address`](crate::Handshake::address)
        /// is the last address of `X-Forwarded-For` that is none of theirs, and
        /// [`is_secure`](crate::Handshake::is_secure) is what `X-Forwarded-Proto` says of that hop.
        /// Where neither was sent, the standard `Forwarded` is read. Such a proxy has to write or
        /// remove these headers: those that it passes on untouched are the client's own words.
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
            N: Into<ipnet::IpNet>,
        {
            self.config.trusted_proxies.set(proxies);
            self
        }

        /// Sets whether a peer that came by a Unix socket, which has no address, is believed as one
        /// of the [`trusted_proxies`](Self::trusted_proxies); it is not by default.
        pub fn trust_unix_peer(mut self, trusted: bool) -> Self {
            self.config.trusted_proxies.unix = trusted;
            self
        }

        /// Asks `handler` about the first HTTP request of each client, before there is anything of
        /// the client: an `Err` is the answer, with the error's own status and body. An error of
        /// the program's own becomes an `actix_web::Error` by `?` or `.into()`, if it is a
        /// `ResponseError`.
        ///
        /// The request's extensions have its [`Handshake`](crate::Handshake), which tells the
        /// client's address as the trusted proxies say it:
        /// `request.extensions().get::<Handshake>()`.
        ///
        /// Further requests of a session are not asked about, its upgrade neither. A panic is
        /// answered with 500. Several handlers are asked in order, until one refuses; a handler
        /// that never ends keeps its client waiting. One that has nothing to wait for returns
        /// [`std::future::ready`].
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
            F: Fn(actix_web::HttpRequest) -> R + Send + Sync + 'static,
            R: Future<Output = Result<(), actix_web::Error>> + 'static,
        {
            self.hooks.add_allow(handler);
            self
        }

        /// Shows `hook` every request that is refused, with the code and the message of
        /// [`ConnectionError`](crate::ConnectionError). It is called before the answer is sent, for
        /// each request, so that it must not wait. A panic is written to the log. Several hooks are
        /// called in order.
        pub fn on_connection_error(
            mut self,
            hook: impl Fn(&crate::transport::ConnectionError<'_>) + Send + Sync + 'static,
        ) -> Self {
            self.hooks.add_connection_error(hook);
            self
        }

        /// Takes values along from the first HTTP request of each client, such as what a middleware
        /// has put into its extensions: [`Handshake::get`](crate::Handshake::get) returns them.
        ///
        /// `hook` runs behind [`allow_request`](Self::allow_request). A panic in it is answered
        /// with 500.
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
            F: Fn(&actix_web::HttpRequest, &mut crate::handshake::Extensions)
                + Send
                + Sync
                + 'static,
        {
            self.hooks.add_extension(hook);
            self
        }

        /// Gives clients the id of their session as a cookie, for load balancers that tell clients
        /// apart by one. The answer to a polling handshake sets it; a WebSocket's does not, since
        /// it is the client's only connection.
        ///
        /// `cookie` is a template, whose value does not matter. What it leaves open is as on the
        /// Node.js server: the name `io` for an empty one, `Path=/`, `HttpOnly`, `SameSite=Lax`.
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
        pub fn cookie(mut self, cookie: actix_web::cookie::Cookie<'static>) -> Self {
            self.hooks.set_cookie(cookie);
            self
        }

        /// Chooses the subprotocol of a WebSocket whose client offers some
        /// (`Sec-WebSocket-Protocol`); by default it is the first that the client offers, as on the
        /// Node.js server.
        ///
        /// `hook` gets the request that opens the WebSocket, which may be an upgrade of a polling
        /// session, and what its client offers, in its order of preference. With `None` the answer
        /// names no subprotocol, and a browser closes the WebSocket. The same becomes of a name
        /// that was not offered, which is written to the log. A panic is answered with 500. The
        /// last hook counts.
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
            F: Fn(&actix_web::HttpRequest, &[&str]) -> Option<String> + Send + Sync + 'static,
        {
            self.hooks.set_subprotocol(hook);
            self
        }

        /// Lets `hook` change the headers of the answer that opens a session.
        ///
        /// Several hooks run in order, before those of
        /// [`response_headers`](Self::response_headers). A panic in one is written to the log, and
        /// the answer goes out all the same.
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
            F: Fn(&actix_web::HttpRequest, &mut actix_web::http::header::HeaderMap)
                + Send
                + Sync
                + 'static,
        {
            self.hooks.add_initial_headers(hook);
            self
        }

        /// Lets `hook` change the headers of every answer of this server: handshakes, polls, posts,
        /// upgrades, errors, and the client's files. Answers to the preflights of
        /// [`cors`](Self::cors) are not among them, and the headers of `cors` are added afterwards.
        ///
        /// Several hooks run in order. A panic in one is written to the log, and the answer goes
        /// out all the same.
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
            F: Fn(&actix_web::HttpRequest, &mut actix_web::http::header::HeaderMap)
                + Send
                + Sync
                + 'static,
        {
            self.hooks.add_response_headers(hook);
            self
        }
    };
}

pub(crate) use engine_options;
