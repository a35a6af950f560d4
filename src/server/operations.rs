//! The methods for operators: the state of a running server, and its drain.

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::web;

use crate::clock::now;
use crate::config::DrainOptions;
use crate::link::{Link, SessionStats};
use crate::server::{Buildable, Builder, DrainReport, Readiness, SocketIo};
use crate::socket::Socket;

/// The options of operators.
impl<S: Buildable> Builder<S> {
    /// Drains the server when the process receives SIGINT or SIGTERM, if it runs by `serve` or `run`.
    /// [`AppServer::drain_on_signal`](crate::AppServer::drain_on_signal) describes it, and replaces
    /// these options. Without any the first signal stops the server gracefully.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use actix_socketio::{DrainOptions, SocketIo};
    ///
    /// # #[actix_web::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let io = SocketIo::builder().drain_on_signal(DrainOptions::new()).start()?;
    /// io.run(("0.0.0.0", 3000)).await?;
    /// # Ok(()) }
    /// ```
    pub fn drain_on_signal(mut self, options: DrainOptions) -> Self {
        self.config.drain_on_signal = Some(options);
        self
    }
}

impl SocketIo {
    /// Returns whether a load balancer should send new clients to this server, and the reasons if
    /// not: the server drains or closes, a connection to the other nodes is broken, or a limit of
    /// new clients is reached.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(io: actix_socketio::SocketIo) {
    /// if !io.readiness().is_ready() {
    ///     log::warn!("not ready: {:?}", io.readiness().reasons());
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.closing().readiness()
    }

    /// Returns the routes `/live` and `/ready` for an App. `/live` answers 200 as long as the
    /// process answers. `/ready` answers 200, or 503 with the names of the
    /// [reasons](crate::NotReady). Both have a JSON body that caches do not store.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::SocketIo;
    /// use actix_web::{App, HttpServer};
    ///
    /// # async fn run(io: SocketIo) -> std::io::Result<()> {
    /// let health = io.health_routes();
    /// let app = move || App::new().configure(health.clone());
    /// io.serve(app).bind(("0.0.0.0", 3000))?.run().await
    /// # }
    /// ```
    pub fn health_routes(&self) -> impl FnOnce(&mut web::ServiceConfig) + Clone + Send + use<> {
        self.closing().health_routes()
    }

    /// Closes the server permanently like [`close`](Self::close), with as little notice to the
    /// clients as possible:
    ///
    /// 1. [`readiness`](Self::readiness) is bad for the [`delay`](DrainOptions::delay), in which
    ///    new clients are still served, so that load balancers look away.
    /// 2. New clients receive 503. The present ones are closed one after another, spread over the
    ///    [`limit`](DrainOptions::limit), so that they do not reconnect to the other nodes all at
    ///    once. Each reads no new events, its handlers in flight end, in a cluster with recovery
    ///    its state is stored for the other nodes, its queued packets are sent, and its transport
    ///    is closed with [`CloseReason::ServerShuttingDown`](crate::CloseReason). Official clients
    ///    reconnect then.
    /// 3. The server closes with the [`grace`](DrainOptions::grace) as its limit.
    ///
    /// If the future is dropped, clients that were not closed yet stay until [`close`](Self::close).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use actix_socketio::DrainOptions;
    ///
    /// # async fn run(io: actix_socketio::SocketIo) {
    /// let report = io.drain(DrainOptions::new()).await;
    /// log::info!("{} clients, complete: {}", report.clients(), report.is_complete());
    /// # }
    /// ```
    pub async fn drain(&self, options: DrainOptions) -> DrainReport {
        self.closing().drain(&options).await
    }

    /// Returns the sessions with the most bytes in their outboxes, most first, at most `count`. A
    /// session that has nothing queued is not listed.
    ///
    /// It looks at every session and every socket of this process once, so it is for operators and
    /// not for handlers.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::SocketIo;
    ///
    /// fn report(io: &SocketIo) {
    ///     for slow in io.slowest(10) {
    ///         let ids: Vec<_> = slow.sockets().iter().map(|socket| socket.id()).collect();
    ///         log::info!("{} bytes wait for {ids:?}", slow.stats().queued_bytes());
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn slowest(&self, count: usize) -> Vec<SlowSession> {
        let links = self.engine.slowest(count);
        let mut slow: Vec<SlowSession> = links.iter().map(SlowSession::new).collect();
        // The names of the log, because the ids of sessions are secrets.
        let places: HashMap<u64, usize> = links.iter().map(|link| link.number).zip(0..).collect();
        if places.is_empty() {
            return slow;
        }
        for namespace in self.registry.all() {
            let membership = &namespace.membership;
            for state in membership.all() {
                let place = places.get(&state.link.number);
                if let Some(slow) = place.and_then(|place| slow.get_mut(*place)) {
                    slow.sockets.push(Socket::new(membership, state));
                }
            }
        }
        slow
    }
}

/// A session with packets in its outbox, of [`SocketIo::slowest`].
#[derive(Clone, Debug, PartialEq)]
pub struct SlowSession {
    stats: SessionStats,
    sockets: Vec<Socket>,
}

impl SlowSession {
    fn new(link: &Arc<Link>) -> Self {
        Self {
            stats: link.stats(now()),
            sockets: Vec::new(),
        }
    }

    /// Returns the counters of the session.
    #[must_use]
    pub fn stats(&self) -> &SessionStats {
        &self.stats
    }

    /// Returns the client's sockets, at most one in each namespace.
    #[must_use]
    pub fn sockets(&self) -> &[Socket] {
        &self.sockets
    }
}
