//! The services of one address, made on each worker.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_http::body::BoxBody;
use actix_http::h1::ExpectHandler;
use actix_http::{Extensions, HttpService, KeepAlive, Response};
use actix_service::{IntoServiceFactory, ServiceFactoryExt, boxed, map_config};
use actix_web::dev::AppConfig;

use crate::server::dealing::{Connections, Dealt};
use crate::session::Engine;
use crate::transport::{AppFactory, AppService, Hooks, Io, SharedApp, Upgrades, mount_once};

/// The data from which a listener's services are made on each worker.
#[derive(Clone)]
pub(super) struct Site<F> {
    pub(super) engine: Arc<Engine>,
    pub(super) hooks: Arc<Hooks>,
    pub(super) app: F,
    pub(super) settings: Settings,
    pub(super) connections: Connections,
    pub(super) address: SocketAddr,
    pub(super) is_secure: bool,
}

impl<F: AppFactory> Site<F> {
    pub(super) fn service<I: Io + 'static>(
        &self,
        on_connect: impl Fn(&I, &mut Extensions) + 'static,
    ) -> HttpService<I, SharedApp, BoxBody, ExpectHandler, Upgrades> {
        let app = SharedApp::new(self.app());
        let draining = self.connections.draining();
        HttpService::<I, SharedApp, BoxBody>::build()
            .keep_alive(self.settings.keep_alive)
            .client_request_timeout(self.settings.client_request_timeout)
            // The value of `SocketIo::tune`, for the same reasons.
            .client_disconnect_timeout(Duration::ZERO)
            .h1_allow_half_closed(false)
            .tcp_nodelay(true)
            .graceful_shutdown_signal(move || draining.clone().cancelled_owned())
            .on_connect_ext(on_connect)
            .upgrade(Upgrades(app.clone()))
            .finish(app)
    }

    /// Makes a listener's service from the service of its connections.
    pub(super) fn dealt<S>(&self, connection: S) -> Dealt<S> {
        self.connections.clone().dealt(connection)
    }

    /// The program's App, with the server's routes in it.
    pub(super) fn app(&self) -> AppService {
        let app = mount_once(&self.engine, &self.hooks, &self.app);
        let hostname = self.settings.hostname.clone();
        let hostname = hostname.unwrap_or_else(|| self.address.to_string());
        // actix-web has no other constructor for the values that its own server gives an App; the
        // crates of its family use this one.
        let config = AppConfig::__priv_test_new(self.is_secure, hostname, self.address);
        let app = app
            .into_factory()
            .map(|response| Response::from(response).map_into_boxed_body())
            .map_err(Response::from);
        boxed::factory(map_config(app, move |()| config.clone()))
    }
}

/// The settings of each listener's services.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) keep_alive: KeepAlive,
    pub(super) client_request_timeout: Duration,
    pub(super) hostname: Option<String>,
}
