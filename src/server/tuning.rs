//! The settings of an actix-web `HttpServer` for sessions, independent of the protocol.

/// Writes the method `tune` of a handle that has an `engine`.
macro_rules! tune {
    () => {
        /// Configures an `HttpServer` for long-lived connections.
        ///
        /// Small packets are sent at once (`TCP_NODELAY`); an aborted poll is detected at once; if
        /// a client has stopped reading, the kernel closes its connection after the ping interval
        /// and the ping timeout (on Linux); and a WebSocket's connection ends with its close frame.
        /// Without it, a packet may be 40 ms late, an aborted poll is detected by the next ping,
        /// the connection keeps its memory, and a client that closes waits for a second.
        ///
        /// An idle connection stays open for 75 seconds (`keep_alive`), longer than in usual load
        /// balancers: if the server closes it first, the load balancer answers a request in transit
        /// with 502. Another time may be set afterwards.
        ///
        /// It uses the server's `on_connect`, and switches `client_disconnect_timeout` off, which
        /// may be set again afterwards, to a second or more. The kernel's deadline is for plain
        /// TCP: if actix-web does the TLS itself, none is set.
        pub fn tune<F, I, S, B>(
            &self,
            server: actix_web::HttpServer<F, I, S, B>,
        ) -> actix_web::HttpServer<F, I, S, B>
        where
            F: Fn() -> I + Send + Clone + 'static,
            I: actix_service::IntoServiceFactory<S, actix_http::Request>,
            S: actix_service::ServiceFactory<
                    actix_http::Request,
                    Config = actix_web::dev::AppConfig,
                > + 'static,
            S::Error: Into<actix_web::Error> + 'static,
            S::InitError: std::fmt::Debug,
            S::Response: Into<actix_web::dev::Response<B>> + 'static,
            <S::Service as actix_web::dev::Service<actix_http::Request>>::Future: 'static,
            S::Service: 'static,
            B: actix_web::body::MessageBody + 'static,
        {
            let limit = self.engine.config.engine.silence_limit();
            server
                .tcp_nodelay(true)
                .keep_alive(crate::server::app_server::KEEP_ALIVE)
                .h1_allow_half_closed(false)
                // A short time is wrong: actix-http reads a clock that is up to 500 ms late, and a
                // deadline in the past never fires. The connection would stay open forever.
                .client_disconnect_timeout(std::time::Duration::ZERO)
                .on_connect(move |connection, _| {
                    crate::transport::set_user_timeout(connection, limit);
                })
        }
    };
}

pub(crate) use tune;
