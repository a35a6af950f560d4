//! WebTransport beside an HTTP server: its listeners, and their connections on each worker.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use actix_service::ServiceFactory;
use parking_lot::Mutex;

use crate::server::dealing::{has_room, serve};
use crate::server::site::Site;
use crate::transport::{
    AppFactory, ListenerStop, SharedApp, WebTransportListener, serve_webtransport,
};

/// The listeners of a server.
pub(crate) struct WebTransports<F> {
    served: Served<F>,
    /// The limit of connections without a session.
    pub(super) unopened: usize,
}

/// The listeners, which the workers find when they start.
type Served<F> = Arc<Mutex<Vec<Listener<F>>>>;

/// A listener, and the data from which its App is made.
#[derive(Clone)]
struct Listener<F> {
    listener: Arc<WebTransportListener>,
    site: Site<F>,
}

/// Starts the service of connections on a worker. Only one of the server's addresses does.
pub(crate) struct Beside<F>(Option<Served<F>>);

/// Stops the listeners of a server.
#[derive(Clone, Default)]
pub(crate) struct WebTransportStops(Vec<ListenerStop>);

impl<F> WebTransports<F> {
    /// Returns the part of an address, which is the server's first or a further one.
    pub(super) fn beside(&self, is_first: bool) -> Beside<F> {
        Beside(is_first.then(|| Arc::clone(&self.served)))
    }

    pub(super) fn add(&self, listener: WebTransportListener, site: Site<F>) {
        let listener = Arc::new(listener);
        self.served.lock().push(Listener { listener, site });
    }

    /// Starts the listeners.
    ///
    /// # Errors
    ///
    /// The error of the system.
    pub(super) fn start(&self) -> io::Result<()> {
        let served = self.served.lock();
        served.iter().try_for_each(|it| it.listener.start())
    }

    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        let served = self.served.lock();
        served.iter().map(|it| it.listener.address()).collect()
    }

    pub(super) fn stops(&self) -> WebTransportStops {
        let served = self.served.lock();
        WebTransportStops(served.iter().map(|it| it.listener.stop()).collect())
    }
}

impl<F> Default for WebTransports<F> {
    fn default() -> Self {
        Self {
            served: Arc::default(),
            unopened: UNOPENED,
        }
    }
}

impl<F: AppFactory> Beside<F> {
    /// Serves connections on this worker.
    pub(super) fn start_here(&self) {
        let Some(served) = &self.0 else { return };
        for listener in served.lock().iter() {
            actix_rt::spawn(listener.clone().run());
        }
    }
}

impl<F> Clone for Beside<F> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<F: AppFactory> Listener<F> {
    /// Serves the connections that this worker receives, up to the end of the server.
    async fn run(self) {
        let Self { listener, site } = self;
        let mut attempts = listener.worker();
        // The thread of the listener ends with the server, not with this task.
        drop(listener);
        let Ok(app) = SharedApp::new(site.app()).new_service(()).await else {
            log::error!("no WebTransport on this worker: the App was not made");
            return;
        };
        let draining = site.connections.draining();
        loop {
            let attempt = tokio::select! {
                () = draining.cancelled() => return,
                attempt = attempts.recv() => attempt,
            };
            let Some(attempt) = attempt else { return };
            if !has_room(site.connections.limit_here()) {
                attempt.refuse();
                continue;
            }
            let serving = serve_webtransport(attempt, Rc::clone(&app), draining.clone());
            serve(&site.connections, serving);
        }
    }
}

impl WebTransportStops {
    /// Closes the connections, and waits for a short time until the clients know it.
    pub(super) async fn stop(&self) {
        for stop in &self.0 {
            stop.stop().await;
        }
    }
}

/// The default limit of connections without a session.
const UNOPENED: usize = 1024;
