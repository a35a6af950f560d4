//! How an actix-web `HttpServer` is set up for sessions, whatever speaks through them.

/// Writes the method `tune` of a handle that has an `engine`.
macro_rules! tune {
    () => {
        /// Sets an `HttpServer` up for long-lived connections.
        ///
        /// Small packets leave at once (`TCP_NODELAY`); a poll that the client gives up is noticed at
        /// once; a connection whose client has stopped reading is dropped by the kernel after the
        /// ping interval and the ping timeout (on Linux); and a WebSocket's connection ends with its
        /// close frame. Without it, a packet may be 40 ms late, the poll is found by the next ping,
        /// the connection keeps its memory, and a client that closes waits for a second.
        ///
        /// A connection waits for its next request for 75 seconds (`keep_alive`), longer than usual
        /// load balancers keep theirs: if the server closes first, a request that is on its way is
        /// answered with 502 there. Another time may be set afterwards.
        ///
        /// It uses the server's `on_connect`, and switches `client_disconnect_timeout` off: that one
        /// may be set again afterwards, to a second or more. The kernel's deadline is for plain TCP:
        /// where actix-web does the TLS by itself, none is set.
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
            let limit = self.engine.config.silence_limit();
            server
                .tcp_nodelay(true)
                .keep_alive(crate::server::serve::KEEP_ALIVE)
                .h1_allow_half_closed(false)
                // Not a short time: actix-http reads a clock that is up to 500 ms late, and a deadline
                // that has passed when it is set never fires. The connection would stay for good.
                .client_disconnect_timeout(std::time::Duration::ZERO)
                .on_connect(move |connection, _| {
                    crate::transport::set_user_timeout(connection, limit);
                })
        }
    };
}

pub(crate) use tune;
