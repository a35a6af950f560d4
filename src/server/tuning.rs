//! The settings of an actix-web `HttpServer` for sessions, independent of the protocol.

use std::fmt;
use std::time::Duration;

use actix_http::Request;
use actix_service::{IntoServiceFactory, ServiceFactory};
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, Response, Service};
use actix_web::{Error, HttpServer};

use crate::server::app_server::KEEP_ALIVE;
use crate::transport::set_user_timeout;

/// An [`HttpServer`] of actix-web, which [`SocketIo::tune`](crate::SocketIo::tune) configures.
///
/// It is implemented for every `HttpServer`; no other implementation is needed.
pub trait Tunable: Sized {
    /// Configures the server, whose clients are silent for up to this time.
    #[doc(hidden)]
    fn tuned(self, silence: Duration) -> Self;
}

impl<F, I, S, B> Tunable for HttpServer<F, I, S, B>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<Error> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as Service<Request>>::Future: 'static,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    fn tuned(self, silence: Duration) -> Self {
        self.tcp_nodelay(true)
            .keep_alive(KEEP_ALIVE)
            .h1_allow_half_closed(false)
            // A short time is wrong: actix-http reads a clock that is up to 500 ms late, and a
            // deadline in the past never fires. The connection would stay open forever.
            .client_disconnect_timeout(Duration::ZERO)
            .on_connect(move |connection, _| set_user_timeout(connection, silence))
    }
}
