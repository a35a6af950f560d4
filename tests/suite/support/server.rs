//! A server in a thread of its own, on a free port.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::pin::{Pin, pin};
use std::sync::mpsc;
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use actix_socketio::{
    AppFactory, AppServer, Builder, CloseReason, EngineIo, EngineIoBuilder, EngineMessage,
    EngineSession, RunningAppServer, SocketIo,
};
use actix_web::dev;
use actix_web::rt::System;
use actix_web::{App, HttpServer};
#[cfg(feature = "rustls-0_23")]
use tokio_rustls::rustls::ServerConfig;

use super::{Heard, PATIENCE, ServerPath, TestRun, channel};

/// A running server, which stops when it is dropped; nobody waits for it.
///
/// It has an actix system of its own, so that tests run beside each other on whatever runtime they
/// like. Its address for clients is its [`Site`], to which it dereferences.
pub(crate) struct Server<I> {
    /// The built server: a [`SocketIo`] or an [`EngineIo`].
    pub(crate) io: I,
    site: Site,
    stop: Stop,
}

/// The address of a server for clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    /// Begins and ends with a slash.
    pub(crate) path: &'static str,
}

impl Site {
    /// Returns another place on the same server.
    pub(crate) fn at(&self, path: &'static str) -> Self {
        let address = self.address;
        Self { address, path }
    }

    /// Returns the request target with this query.
    pub(crate) fn target(&self, query: &str) -> String {
        format!("{}?{query}", self.path)
    }
}

impl Server<SocketIo> {
    /// Starts a Socket.IO server at `/socket.io/`, on two workers, so that the requests of a client
    /// land on either. `build` sets its options, `handlers` registers its handlers.
    pub(crate) fn socketio(
        build: impl FnOnce(Builder) -> Builder + Send + 'static,
        handlers: impl FnOnce(&SocketIo) + Send + 'static,
    ) -> Self {
        Self::socketio_on(2, build, handlers)
    }

    /// The same on this many workers.
    pub(crate) fn socketio_on(
        workers: usize,
        build: impl FnOnce(Builder) -> Builder + Send + 'static,
        handlers: impl FnOnce(&SocketIo) + Send + 'static,
    ) -> Self {
        Self::socketio_in(App::new, workers, build, handlers)
    }

    /// The same in an App of the test's, which the server is mounted in.
    pub(crate) fn socketio_in(
        app: impl AppFactory,
        workers: usize,
        build: impl FnOnce(Builder) -> Builder + Send + 'static,
        handlers: impl FnOnce(&SocketIo) + Send + 'static,
    ) -> Self {
        let run = TestRun::with_path();
        // Workers log for the test of their server.
        let app = move || {
            run.enter();
            app.app()
        };
        Self::launch("/socket.io/", move || {
            // Not left to the profile that the tests are built with.
            let io = build(SocketIo::builder().error_details(true)).start()?;
            handlers(&io);
            if run.path == ServerPath::Direct {
                let serve = io.serve(app).workers(workers).disable_signals();
                let serve = serve.worker_max_blocking_threads(1);
                let serve = serve.bind(("127.0.0.1", 0))?;
                let address = serve.addrs()[0];
                return Ok((io, address, Running::direct(serve.run())));
            }
            let mounted = io.clone();
            let server = HttpServer::new(move || app().configure(mounted.routes()));
            let server = io.tune(server).workers(workers).disable_signals();
            let server = server.worker_max_blocking_threads(1);
            let server = server.bind(("127.0.0.1", 0))?;
            let address = server.addrs()[0];
            Ok((io, address, Running::http(server.run())))
        })
    }

    /// Starts a server on an `HttpServer` that speaks HTTP/1.1 and, by prior knowledge, HTTP/2.
    pub(crate) fn socketio_h2c(
        build: impl FnOnce(Builder) -> Builder + Send + 'static,
        handlers: impl FnOnce(&SocketIo) + Send + 'static,
    ) -> Self {
        Self::launch("/socket.io/", move || {
            let io = build(SocketIo::builder().error_details(true)).start()?;
            handlers(&io);
            let mounted = io.clone();
            let server = HttpServer::new(move || App::new().configure(mounted.routes()));
            let server = io.tune(server).workers(2).disable_signals();
            let server = server.worker_max_blocking_threads(1);
            let server = server.bind_auto_h2c(("127.0.0.1", 0))?;
            let address = server.addrs()[0];
            Ok((io, address, Running::http(server.run())))
        })
    }

    /// Starts a server by TLS, on either path.
    #[cfg(feature = "rustls-0_23")]
    pub(crate) fn socketio_tls(
        tls: ServerConfig,
        build: impl FnOnce(Builder) -> Builder + Send + 'static,
        handlers: impl FnOnce(&SocketIo) + Send + 'static,
    ) -> Self {
        let run = TestRun::with_path();
        Self::launch("/socket.io/", move || {
            let io = build(SocketIo::builder().error_details(true)).start()?;
            handlers(&io);
            if run.path == ServerPath::Direct {
                let serve = io.serve(App::new).workers(2).disable_signals();
                let serve = serve.worker_max_blocking_threads(1);
                let serve = serve.bind_rustls_0_23(("127.0.0.1", 0), tls)?;
                let address = serve.addrs()[0];
                return Ok((io, address, Running::direct(serve.run())));
            }
            let mounted = io.clone();
            let server = HttpServer::new(move || App::new().configure(mounted.routes()));
            let server = io.tune(server).workers(2).disable_signals();
            let server = server.worker_max_blocking_threads(1);
            let server = server.bind_rustls_0_23(("127.0.0.1", 0), tls)?;
            let address = server.addrs()[0];
            Ok((io, address, Running::http(server.run())))
        })
    }
}

impl Server<EngineIo> {
    /// Starts a raw Engine.IO server at `/engine.io/`, on two workers, with its health routes.
    /// `build` sets its options and its handlers.
    pub(crate) fn engineio(
        build: impl FnOnce(EngineIoBuilder) -> EngineIoBuilder + Send + 'static,
    ) -> Self {
        Self::engineio_on(2, build)
    }

    /// The same on this many workers.
    pub(crate) fn engineio_on(
        workers: usize,
        build: impl FnOnce(EngineIoBuilder) -> EngineIoBuilder + Send + 'static,
    ) -> Self {
        let run = TestRun::with_path();
        Self::launch("/engine.io/", move || {
            let io = build(EngineIo::builder()).start()?;
            let health = io.health_routes();
            let app = move || {
                run.enter();
                App::new().configure(health.clone())
            };
            if run.path == ServerPath::Direct {
                let serve = io.serve(app).workers(workers).disable_signals();
                let serve = serve.worker_max_blocking_threads(1);
                let serve = serve.bind(("127.0.0.1", 0))?;
                let address = serve.addrs()[0];
                return Ok((io, address, Running::direct(serve.run())));
            }
            let mounted = io.clone();
            let server = HttpServer::new(move || app().configure(mounted.routes()))
                // The settings of `SocketIo::tune`.
                .tcp_nodelay(true)
                .h1_allow_half_closed(false)
                .client_disconnect_timeout(Duration::ZERO)
                .workers(workers)
                .disable_signals()
                .worker_max_blocking_threads(1)
                .bind(("127.0.0.1", 0))?;
            let address = server.addrs()[0];
            Ok((io, address, Running::http(server.run())))
        })
    }
}

/// Lets a raw server send every message back.
pub(crate) fn echo(builder: EngineIoBuilder) -> EngineIoBuilder {
    builder.on_message(
        |session: EngineSession, message: EngineMessage| async move {
            session.send(&message).unwrap();
        },
    )
}

/// Starts a raw server that sends every message back, and tells why its sessions ended.
pub(crate) fn recording(
    build: impl FnOnce(EngineIoBuilder) -> EngineIoBuilder + Send + 'static,
) -> (Server<EngineIo>, Heard<CloseReason>) {
    let (told, heard) = channel();
    let server = Server::engineio(move |builder| {
        build(echo(builder)).on_close(move |_, reason| {
            // The test may have seen enough.
            let _ = told.send(reason);
            async {}
        })
    });
    (server, heard)
}

impl<I: Send + 'static> Server<I> {
    /// Starts a server on the direct path, whatever path the test runs on. `start` returns a
    /// handle, and what is to be served.
    pub(crate) fn serving<S: Served>(
        path: &'static str,
        start: impl FnOnce() -> io::Result<(I, S)> + Send + 'static,
    ) -> Self {
        Self::launch(path, move || {
            let (io, served) = start()?;
            let (address, serving) = served.run_here()?;
            Ok((io, address, Running::direct(serving)))
        })
    }

    fn launch(
        path: &'static str,
        start: impl FnOnce() -> io::Result<Started<I>> + Send + 'static,
    ) -> Self {
        let (sender, receiver) = mpsc::sync_channel(1);
        let run = TestRun::current();
        thread::spawn(move || {
            if let Some(run) = run {
                run.enter();
            }
            System::new().block_on(async move {
                let (io, address, running) = start().unwrap();
                sender.send((io, address, running.stop)).unwrap();
                running.server.await.unwrap();
            });
        });
        let (io, address, stop) = receiver
            .recv_timeout(PATIENCE)
            .expect("a server that starts");
        Self {
            io,
            site: Site { address, path },
            stop,
        }
    }
}

/// Starts a Socket.IO server on the direct path, with the default options; `set_up` returns what is
/// to be served.
pub(crate) fn serve<S: Served>(
    set_up: impl FnOnce(&SocketIo) -> S + Send + 'static,
) -> Server<SocketIo> {
    Server::serving("/socket.io/", move || {
        let io = SocketIo::builder().error_details(true).start()?;
        let served = set_up(&io);
        Ok((io, served))
    })
}

/// A [`AppServer`] of whatever App.
pub(crate) trait Served {
    /// Runs it as a test does, on a port of its own unless it is bound.
    fn run_here(self) -> io::Result<(SocketAddr, RunningAppServer)>;
}

impl<F: AppFactory> Served for AppServer<F> {
    fn run_here(self) -> io::Result<(SocketAddr, RunningAppServer)> {
        let mut serve = self.disable_signals().worker_max_blocking_threads(1);
        if serve.addrs().is_empty() {
            serve = serve.bind(("127.0.0.1", 0))?;
        }
        Ok((serve.addrs()[0], serve.run()))
    }
}

/// The values that a server's thread has made.
type Started<I> = (I, SocketAddr, Running);

/// A server on either path.
struct Running {
    server: Pin<Box<dyn Future<Output = io::Result<()>>>>,
    stop: Stop,
}

/// Stops a server at once; nobody waits for it.
type Stop = Box<dyn Fn() + Send + Sync>;

impl Running {
    fn http(server: dev::Server) -> Self {
        let handle = server.handle();
        Self {
            server: Box::pin(server),
            // The command is on its way once this returns; the future only waits for its end.
            stop: Box::new(move || drop(handle.stop(false))),
        }
    }

    fn direct(server: RunningAppServer) -> Self {
        let handle = server.handle();
        Self {
            server: Box::pin(server),
            stop: Box::new(move || {
                let mut stopping = pin!(handle.stop(false));
                // The first poll sends the command.
                let _ = stopping
                    .as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()));
            }),
        }
    }
}

impl<I> Deref for Server<I> {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

impl<I> Drop for Server<I> {
    fn drop(&mut self) {
        (self.stop)();
    }
}
