//! `AppServerHandle::stop`: who gets what when the server ends.

use std::io;
use std::thread;
use std::time::Duration;

use actix_socketio::{AppServerHandle, Socket, SocketIo};
use actix_web::rt::System;
use actix_web::{App, web};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::support::held::Gate;
#[cfg(unix)]
use crate::support::process::Process;
use crate::support::socketio::{BOTH, Client, Via};
use crate::support::{Connection, Received, Request, Served, Site, WebSocket, channel, within};

/// `AppServerHandle::stop`: a graceful stop lets clients have what was sent to them, refuses new
/// ones meanwhile, and whoever asks how it is, and ends when the last has gone.
#[tokio::test]
async fn graceful_stop_waits_for_the_last_packets() {
    let server = Stoppable::start(LONG);
    let mut polling = Client::connected(&server.site, Via::Polling).await;
    let mut socket = Client::connected(&server.site, Via::WebSocket).await;
    server.io.emit("last", "words").await.unwrap();
    let stopping = server.stopping(true);
    socket.expect(LAST).await;
    socket.expect_close().await;
    // Nobody has polled yet, so that it still waits.
    for query in [
        "EIO=4&transport=polling",
        OPEN,
        "EIO=4&transport=none",
        "EIO=3",
    ] {
        let request = match query {
            OPEN => WebSocket::request(&server.site, query, &[]),
            _ => Request::get(server.site.address, &server.site.target(query)),
        };
        let refused = request.send().await;
        refused.expect(503, r#"{"message":"server shutting down"}"#);
    }
    polling.expect(LAST).await;
    polling.expect_close().await;
    within("the stop", stopping).await.unwrap();
    server.ended().await;
}

/// `AppServerHandle::stop`: then the HTTP requests that are being answered are, and no others come
/// in.
#[tokio::test]
async fn graceful_stop_waits_for_answers() {
    let server = Stoppable::start(LONG);
    let address = server.site.address;
    let slow = Request::get(address, "/slow").start_heard().await;
    let mut socket = Client::connected(&server.site, Via::WebSocket).await;
    let stopping = server.stopping(true);
    socket.expect_close().await;
    server.gate.open();
    slow.response().await.expect(200, "done");
    within("the stop", stopping).await.unwrap();
    server.ended().await;
    let refused = TcpStream::connect(address).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
}

/// `AppServer::shutdown_timeout`: a client that fetches nothing does not hold the stop up for
/// longer.
#[tokio::test]
async fn graceful_stop_has_an_end() {
    let server = Stoppable::start(Duration::from_millis(200));
    let _polling = Client::connected(&server.site, Via::Polling).await;
    within("the stop", server.stopping(true)).await.unwrap();
    server.ended().await;
}

/// `AppServerHandle::stop`: a stop that is not graceful waits for nobody.
#[tokio::test]
async fn stop_ends_all_connections_at_once() {
    let server = Stoppable::start(LONG);
    let _polling = Client::connected(&server.site, Via::Polling).await;
    let mut socket = WebSocket::open(&server.site).await;
    let mut idle = Connection::open(server.site.address).await;
    idle.write(&Request::get(server.site.address, "/").bytes())
        .await;
    assert_eq!(idle.response().await.status, 404);
    let slow = Request::get(server.site.address, "/slow");
    let _slow = slow.start_heard().await;
    within("the stop", server.stopping(false)).await.unwrap();
    server.ended().await;
    assert_eq!(idle.take(1).await, None);
    let mut received = socket.recv().await;
    if received == Received::Close(None) {
        received = socket.recv().await;
    }
    assert_eq!(received, Received::End);
}

/// `AppServerHandle::stop`: a graceful stop waits for handlers in flight, whose acknowledgements
/// leave, and not for a tab that sleeps.
#[tokio::test]
async fn graceful_stop_waits_for_handlers_and_not_for_silent_clients() {
    for via in BOTH {
        let server = Stoppable::start(LONG);
        let (began, mut begun) = channel();
        let gate = server.gate.clone();
        server.io.of("/").on("save", move || {
            let (gate, began) = (gate.clone(), began.clone());
            async move {
                let _ = began.send(());
                gate.pass().await;
                "saved"
            }
        });
        let mut sleeping = Vec::new();
        if via == Via::Polling {
            sleeping.push(Client::connected(&server.site, via).await);
        }
        let mut idle = Client::connected(&server.site, Via::WebSocket).await;
        let mut client = Client::connected(&server.site, via).await;
        client.send(r#"421["save"]"#).await;
        begun.next().await;
        let stopping = server.stopping(true);
        idle.expect_close().await;
        server.gate.open();
        client.expect(r#"431["saved"]"#).await;
        client.expect_close().await;
        within("the stop", stopping).await.unwrap();
        server.ended().await;
    }
}

/// `AppServer::run`: by SIGTERM a handler in flight is not cut off.
#[cfg(unix)]
#[tokio::test]
async fn a_signal_lets_handlers_end() {
    if Process::is_child() {
        return thread::spawn(serve_until_signalled).join().unwrap();
    }
    let mut process = Process::start("direct::stop::a_signal_lets_handlers_end");
    let address = process.line("listening ").await.parse().unwrap();
    let path = "/socket.io/";
    let site = Site { address, path };
    let mut idle = Client::connected(&site, Via::WebSocket).await;
    let mut client = Client::connected(&site, Via::WebSocket).await;
    client.send(r#"421["save"]"#).await;
    client.expect(r#"420["ready"]"#).await;
    process.terminate();
    idle.expect_close().await;
    client.send("430[]").await;
    client.expect(r#"431["saved"]"#).await;
    client.expect_close().await;
    assert!(process.ended().await.success());
}

/// The other process: it serves until it gets a signal.
#[cfg(unix)]
fn serve_until_signalled() {
    System::new().block_on(async {
        let io = SocketIo::builder().start().unwrap();
        io.of("/").on("save", |socket: Socket| async move {
            socket.call::<()>("ready", ()).await.unwrap();
            "saved"
        });
        let serve = io.serve(App::new).workers(1).shutdown_timeout(LONG);
        let serve = serve.bind(("127.0.0.1", 0)).unwrap();
        Process::tell("listening ", serve.addrs()[0]);
        serve.run().await.unwrap();
    });
}

/// A server on the direct path, and word of its end.
struct Stoppable {
    io: SocketIo,
    site: Site,
    handle: AppServerHandle,
    /// Holds the route `/slow` up.
    gate: Gate,
    ended: oneshot::Receiver<io::Result<()>>,
}

impl Stoppable {
    fn start(shutdown_timeout: Duration) -> Self {
        let (ready, started) = std::sync::mpsc::sync_channel(1);
        let (end, ended) = oneshot::channel();
        let gate = Gate::default();
        let passing = gate.clone();
        thread::spawn(move || {
            let served = System::new().block_on(async move {
                let io = SocketIo::builder().start().unwrap();
                let app = move || {
                    let gate = passing.clone();
                    let slow = move |_: web::Bytes| {
                        let gate = gate.clone();
                        async move {
                            gate.pass().await;
                            "done"
                        }
                    };
                    App::new().route("/slow", web::get().to(slow))
                };
                let serve = io.serve(app).workers(2).shutdown_timeout(shutdown_timeout);
                let (address, serving) = serve.run_here().unwrap();
                ready.send((io, address, serving.handle())).unwrap();
                serving.await
            });
            // The test may have seen enough.
            let _ = end.send(served);
        });
        let (io, address, handle) = started.recv().unwrap();
        let path = "/socket.io/";
        Self {
            io,
            site: Site { address, path },
            handle,
            gate,
            ended,
        }
    }

    fn stopping(&self, graceful: bool) -> tokio::task::JoinHandle<()> {
        let handle = self.handle.clone();
        tokio::spawn(async move { handle.stop(graceful).await })
    }

    /// Waits until the server's future has ended.
    async fn ended(self) {
        let ended = within("the server to end", self.ended).await;
        ended.unwrap().unwrap();
    }
}

const OPEN: &str = "EIO=4&transport=websocket";
const LAST: &str = r#"42["last","words"]"#;
/// Longer than any test waits.
const LONG: Duration = Duration::from_secs(60);
