//! The options that every server has, whatever its protocol.

/// Writes the setters of a builder that has a `config` of type `Config`.
macro_rules! engine_options {
    () => {
        /// Sets where the server is mounted: `/socket.io/` by default, `/engine.io/` for a raw
        /// server. A slash at either end may be left out. Everything below it is the server's.
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

        /// Sets how many bytes may wait for a client that reads slowly; 1 MiB by default. A packet
        /// that is larger than that can never be sent.
        pub fn outbox_limit(mut self, bytes: usize) -> Self {
            self.config.outbox_limit = bytes;
            self
        }

        /// Sets what becomes of a client whose outbox is full; it is disconnected by default.
        pub fn overflow(mut self, overflow: Overflow) -> Self {
            self.config.overflow = overflow;
            self
        }

        /// Sets how many handlers of one client may wait for something at the same time; 128 by
        /// default. At the limit nothing more is read from the client until one of them ends, no
        /// pongs and no acknowledgements either: handlers that all wait for their own client's
        /// answer wait until their calls time out.
        pub fn handlers_in_flight(mut self, handlers: usize) -> Self {
            self.config.handlers_in_flight = handlers;
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
    };
}

pub(crate) use engine_options;
