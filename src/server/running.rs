//! A running server, and its stop: by a handle, or by a signal to the process.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_rt::signal;
use actix_server::{Server, ServerHandle};
use futures_core::future::LocalBoxFuture;

use crate::config::DrainOptions;
use crate::server::closing::Closing;
use crate::server::dealing::Connections;
use crate::server::webtransport::WebTransportStops;

/// A running server; it must be awaited or spawned.
///
/// # Errors
///
/// If a worker could not be started, if no address is bound, or if the server was closed already.
///
/// # Examples
///
/// ```
/// # async fn run(io: actix_socketio::SocketIo) -> std::io::Result<()> {
/// let serving = io.serve(actix_web::App::new).bind(("127.0.0.1", 0))?.run();
/// let handle = serving.handle();
/// actix_web::rt::spawn(serving);
/// handle.stop(true).await;
/// # Ok(()) }
/// ```
#[must_use = "a server runs only while it is polled"]
pub struct RunningAppServer {
    /// `None` if it is not running.
    server: Option<Server>,
    handle: AppServerHandle,
    /// The reason why it is not running.
    fault: Option<io::Error>,
    /// Waits for a signal, and then for the end of the server.
    stopping: Option<LocalBoxFuture<'static, ()>>,
}

impl RunningAppServer {
    /// Runs `server`, of which `handle` makes a handle. `signals` is `None` if the program handles
    /// the signals of the process, and has the options of a drain if a signal begins one.
    pub(crate) fn new(
        server: io::Result<Server>,
        handle: impl FnOnce(Option<ServerHandle>) -> AppServerHandle,
        signals: Option<Option<DrainOptions>>,
    ) -> Self {
        let (server, fault) = match server {
            Ok(server) => (Some(server), None),
            Err(fault) => (None, Some(fault)),
        };
        let handle = handle(server.as_ref().map(Server::handle));
        Self {
            fault,
            stopping: signals.map(|drain| handle.clone().on_signal(drain)),
            server,
            handle,
        }
    }

    /// Returns a handle that stops the server.
    #[must_use]
    pub fn handle(&self) -> AppServerHandle {
        self.handle.clone()
    }
}

impl Future for RunningAppServer {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(fault) = self.fault.take() {
            return Poll::Ready(Err(fault));
        }
        if let Some(stopping) = &mut self.stopping
            && stopping.as_mut().poll(cx).is_ready()
        {
            self.stopping = None;
        }
        match &mut self.server {
            Some(server) => Pin::new(server).poll(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl fmt::Debug for RunningAppServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningAppServer").finish_non_exhaustive()
    }
}

/// Stops a server, from any thread.
///
/// # Examples
///
/// ```
/// # async fn run(handle: actix_socketio::AppServerHandle) {
/// // Clients get their last packets first.
/// handle.stop(true).await;
/// # }
/// ```
#[derive(Clone)]
pub struct AppServerHandle {
    server: Option<ServerHandle>,
    closing: Closing,
    connections: Connections,
    webtransports: WebTransportStops,
    drain: Duration,
}

impl AppServerHandle {
    pub(crate) fn new(
        server: Option<ServerHandle>,
        closing: Closing,
        (connections, webtransports): (Connections, WebTransportStops),
        drain: Duration,
    ) -> Self {
        Self {
            server,
            closing,
            connections,
            webtransports,
            drain,
        }
    }

    /// Stops the server. Returns after it has stopped.
    ///
    /// A graceful stop closes the Socket.IO server first, as
    /// [`SocketIo::close`](crate::SocketIo::close) does. New clients are refused, and handlers in
    /// flight end. Clients receive their queued packets and are disconnected; in a cluster other
    /// nodes receive their queued messages. Then it waits for the HTTP requests in flight.
    /// [`AppServer::shutdown_timeout`](crate::AppServer::shutdown_timeout) limits both. Any other
    /// stop ends all connections at once: the sockets leave with the reason `server shutting down`
    /// too, but packets in the outboxes are lost, and waiting handlers are dropped.
    pub async fn stop(&self, graceful: bool) {
        let Some(server) = &self.server else { return };
        if graceful {
            self.closing.close(self.drain).await;
            self.connections.drain(self.drain).await;
        } else {
            // Before the command to the workers, which drop the sessions: each session has received
            // it by then.
            self.closing.abort();
            tokio::join!(server.stop(false), self.webtransports.stop());
            return;
        }
        // Before the workers, which have the connections.
        self.webtransports.stop().await;
        server.stop(true).await;
    }

    /// Waits for a signal, and drains if the program wants it; the next signal stops gracefully,
    /// and one more stops at once.
    fn on_signal(self, drain: Option<DrainOptions>) -> LocalBoxFuture<'static, ()> {
        Box::pin(async move {
            if let Err(error) = signalled().await {
                log::error!("cannot listen for signals, stop the server by its handle: {error}");
                return;
            }
            if let Some(options) = drain {
                log::info!("signal received, the server drains; a second signal stops it");
                tokio::select! {
                    _ = self.closing.drain(&options) => {}
                    _ = signalled() => {}
                }
            }
            log::info!("signal received, the server stops; one more signal stops it at once");
            tokio::select! {
                () = self.stop(true) => {}
                _ = signalled() => self.stop(false).await,
            }
        })
    }
}

impl fmt::Debug for AppServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppServerHandle").finish_non_exhaustive()
    }
}

/// Waits until the process receives a signal to end.
async fn signalled() -> io::Result<()> {
    #[cfg(unix)]
    {
        let mut terminated = signal::unix::signal(signal::unix::SignalKind::terminate())?;
        tokio::select! {
            interrupted = signal::ctrl_c() => interrupted,
            _ = terminated.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    signal::ctrl_c().await
}
