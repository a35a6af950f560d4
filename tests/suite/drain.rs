//! docs/operations.md, Drain: clients that are closed one after another, and signals that begin it.

use std::time::Duration;

use actix_socketio::{DrainOptions, EngineMessage, EngineSession, NotReady};

use crate::support::held::{Gate, held_up};
use crate::support::socketio::{BOTH, Client, Via, leavers, start, until};
use crate::support::{Polling, Request, Server, WebSocket, channel, within};

/// A drain does not wait for its limit if no client is left.
#[on_both_servers]
async fn a_drain_ends_with_its_last_client() {
    let server = start();
    let client = Client::connected(&server, Via::WebSocket).await;
    let other = Client::connected(&server, Via::Polling).await;
    let options = DrainOptions::new().delay(Duration::ZERO);
    let options = options.limit(Duration::from_secs(600));
    let io = server.io.clone();
    let drain = tokio::spawn(async move { io.drain(options).await });
    client.close().await;
    other.close().await;
    assert!(within("the drain", drain).await.unwrap().is_complete());
}

/// In the delay new clients are served; after it they are refused.
#[on_both_servers]
async fn readiness_is_bad_before_clients_are_refused() {
    let server = start();
    let mut left = leavers(&server.io.of("/"));
    let io = server.io.clone();
    let options = DrainOptions::new()
        .delay(Duration::from_millis(400))
        .limit(Duration::from_millis(400));
    let draining = tokio::spawn(async move { io.drain(options).await });
    until("the drain to begin", || !server.io.readiness().is_ready()).await;
    assert_eq!(server.io.readiness().reasons(), [NotReady::Draining]);
    let mut clients = Vec::new();
    for via in BOTH {
        clients.push(Client::connected(&server, via).await);
    }
    for client in &mut clients {
        client.expect_close().await;
        assert_eq!(left.next().await, "server shutting down");
    }
    let report = within("the drain", draining).await.unwrap();
    assert_eq!((report.clients(), report.is_complete()), (2, true));
    let target = server.target("EIO=4&transport=polling");
    let refused = Request::get(server.address, &target).send().await;
    assert_eq!(refused.status, 503);
}

#[on_both_servers]
async fn clients_close_in_batches_and_are_told_before() {
    let server = start();
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(Client::connected(&server, Via::WebSocket).await);
    }
    let io = server.io.clone();
    let options = DrainOptions::new()
        .delay(Duration::ZERO)
        .limit(Duration::from_secs(60))
        .batch(1)
        .interval(Duration::from_millis(200))
        .event("leaving");
    let draining = tokio::spawn(async move { io.drain(options).await });
    // Each batch is one client, and the others stay.
    for rest in (0..3).rev() {
        until("the next batch", || server.io.clients_count() == rest).await;
        assert!(rest == 0 || !draining.is_finished());
    }
    for client in &mut clients {
        client.expect(r#"42["leaving"]"#).await;
        client.expect_close().await;
    }
    let report = within("the drain", draining).await.unwrap();
    assert!(report.is_complete());
}

/// A busy client does not hold up the others, and gets its acknowledgement.
#[on_both_servers]
async fn handler_in_flight_ends_before_its_client_closes() {
    let server = start();
    let (gate, held, mut hears) = held_up();
    server.io.of("/").on("save", move || {
        let held = held.clone();
        async move {
            held.wait().await;
            "saved"
        }
    });
    let mut busy = Client::connected(&server, Via::WebSocket).await;
    busy.send(r#"421["save"]"#).await;
    assert_eq!(hears.next().await, "begun");
    let mut idle = Client::connected(&server, Via::WebSocket).await;
    let io = server.io.clone();
    let options = DrainOptions::new()
        .delay(Duration::ZERO)
        .limit(Duration::from_millis(300));
    let draining = tokio::spawn(async move { io.drain(options).await });
    idle.expect_close().await;
    gate.open();
    busy.expect(r#"431["saved"]"#).await;
    busy.expect_close().await;
    assert!(within("the drain", draining).await.unwrap().is_complete());
}

/// A drain that is dropped leaves no client held: the close ends them.
#[on_both_servers]
async fn close_after_a_dropped_drain_closes_all() {
    let server = start();
    let mut client = Client::connected(&server, Via::WebSocket).await;
    let io = server.io.clone();
    let options = DrainOptions::new().delay(Duration::from_secs(600));
    let draining = tokio::spawn(async move { io.drain(options).await });
    until("the drain to begin", || !server.io.readiness().is_ready()).await;
    draining.abort();
    assert!(server.io.close(Duration::from_secs(5)).await);
    client.expect_close().await;
}

/// A raw server: the present clients are closed after their handlers in flight, new ones are
/// refused.
#[on_both_servers]
async fn a_raw_server_drains_its_sessions() {
    let gate = Gate::default();
    let (told, mut hears) = channel();
    let passing = gate.clone();
    let server = Server::engineio(move |engine| {
        let end = told.clone();
        let engine = engine.on_close(move |_, reason| {
            end.send(reason.to_string()).unwrap();
            async {}
        });
        engine.on_message(move |session: EngineSession, _: EngineMessage| {
            let gate = passing.clone();
            told.send("begun".to_owned()).unwrap();
            async move {
                gate.pass().await;
                session.send(&EngineMessage::Text("saved".into())).unwrap();
            }
        })
    });
    let mut idle = WebSocket::open(&server).await;
    let polling = Polling::open(&server).await;
    let mut busy = WebSocket::open(&server).await;
    busy.send_text("4save").await;
    assert_eq!(hears.next().await, "begun");
    let engine = server.io.clone();
    let options = DrainOptions::new().delay(Duration::ZERO).batch(10);
    let draining = tokio::spawn(async move { engine.drain(options).await });
    idle.expect_closed(None).await;
    polling.expect_all(&["1"]).await;
    for _ in 0..2 {
        assert_eq!(hears.next().await, "server shutting down");
    }
    assert_eq!(server.io.readiness().reasons(), [NotReady::Draining]);
    let target = server.target("EIO=4&transport=polling");
    let refused = Request::get(server.address, &target).send().await;
    assert_eq!(refused.status, 503);
    gate.open();
    busy.expect_text("4saved").await;
    busy.expect_closed(None).await;
    assert_eq!(hears.next().await, "server shutting down");
    let report = within("the drain", draining).await.unwrap();
    assert_eq!((report.clients(), report.is_complete()), (3, true));
}

#[cfg(unix)]
mod signals {
    //! A server in a process of its own, which gets SIGTERM.

    use std::io;
    use std::net::TcpListener;
    use std::thread;
    use std::time::Duration;

    use actix_socketio::{DisconnectReason, DrainOptions, Socket, SocketIo};
    use actix_web::rt::System;
    use actix_web::rt::signal::unix::{SignalKind, signal};
    use actix_web::{App, HttpServer};

    use crate::support::process::Process;
    use crate::support::socketio::{Client, Via};
    use crate::support::{Request, ServerPath, Site, TestRun, within};

    /// The readiness is bad first. Then each client is told and closed, a handler in flight ends,
    /// and the process ends without an error.
    #[on_both_servers]
    async fn a_signal_drains_the_server() {
        if Process::is_child() {
            let path = TestRun::with_path().path;
            let options = DrainOptions::new()
                .delay(Duration::from_millis(1500))
                .batch(10)
                .event("leaving");
            return serve_until_signalled(path, options);
        }
        let mut process = Process::start("drain::signals::a_signal_drains_the_server");
        let site = site(&mut process).await;
        let mut idle = Client::connected(&site, Via::WebSocket).await;
        let mut polling = Client::connected(&site, Via::Polling).await;
        let mut busy = busy(&site).await;
        assert_eq!(ready(&site).await, 200);
        process.terminate();
        readiness_to_be_bad(&site).await;
        // The present clients are still served, and new ones too.
        let mut late = Client::connected(&site, Via::Polling).await;
        idle.send(r#"425["reasons"]"#).await;
        idle.expect(r#"435["draining"]"#).await;
        for client in [&mut idle, &mut polling, &mut late] {
            client.expect(r#"42["leaving"]"#).await;
            client.expect_close().await;
            assert_eq!(process.line("left ").await, "server shutting down");
        }
        busy.send("430[]").await;
        busy.expect(r#"431["saved"]"#).await;
        busy.expect(r#"42["leaving"]"#).await;
        busy.expect_close().await;
        assert_eq!(process.line("left ").await, "server shutting down");
        assert!(process.ended().await.success());
    }

    /// `Builder::drain_on_signal`: `run` drains with these options.
    #[tokio::test]
    async fn run_drains_by_the_options_of_the_builder() {
        if Process::is_child() {
            return thread::spawn(run).join().unwrap().unwrap();
        }
        let name = "drain::signals::run_drains_by_the_options_of_the_builder";
        let mut process = Process::start(name);
        let site = site(&mut process).await;
        let listens =
            async { while tokio::net::TcpStream::connect(site.address).await.is_err() {} };
        within("the server to listen", listens).await;
        let mut client = Client::connected(&site, Via::WebSocket).await;
        process.terminate();
        readiness_to_be_bad(&site).await;
        client.expect(r#"42["leaving"]"#).await;
        client.expect_close().await;
        assert!(process.ended().await.success());
    }

    /// The other process: it runs a server at a port that was free.
    fn run() -> io::Result<()> {
        let free = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        System::new().block_on(async {
            let options = DrainOptions::new()
                .delay(Duration::from_millis(500))
                .batch(10)
                .event("leaving");
            let io = SocketIo::builder().drain_on_signal(options).start()?;
            Process::tell("listening ", free);
            io.run(free).await
        })
    }

    /// `AppServer::drain_on_signal`: a second signal ends the drain by a graceful stop, and a third
    /// one does not wait for handlers.
    #[tokio::test]
    async fn more_signals_do_not_wait_for_the_drain() {
        if Process::is_child() {
            let options = DrainOptions::new().delay(LONG);
            return serve_until_signalled(ServerPath::Direct, options);
        }
        let name = "drain::signals::more_signals_do_not_wait_for_the_drain";
        let mut process = Process::start(name);
        let site = site(&mut process).await;
        let mut idle = Client::connected(&site, Via::WebSocket).await;
        let _busy = busy(&site).await;
        process.terminate();
        readiness_to_be_bad(&site).await;
        process.terminate();
        idle.expect_close().await;
        process.terminate();
        assert!(process.ended().await.success());
    }

    async fn site(process: &mut Process) -> Site {
        let address = process.line("listening ").await.parse().unwrap();
        let path = "/socket.io/";
        Site { address, path }
    }

    /// Connects a client whose handler waits for it.
    async fn busy(site: &Site) -> Client {
        let mut client = Client::connected(site, Via::WebSocket).await;
        client.send(r#"421["save"]"#).await;
        client.expect(r#"420["ready"]"#).await;
        client
    }

    async fn ready(site: &Site) -> u16 {
        Request::get(site.address, "/ready").send().await.status
    }

    async fn readiness_to_be_bad(site: &Site) {
        let bad = async { while ready(site).await != 503 {} };
        within("the readiness to be bad", bad).await;
    }

    /// The other process: on either path it drains at SIGTERM, and ends.
    fn serve_until_signalled(path: ServerPath, options: DrainOptions) {
        let served = thread::spawn(move || System::new().block_on(serve(path, options)));
        served.join().unwrap().unwrap();
    }

    async fn serve(path: ServerPath, options: DrainOptions) -> io::Result<()> {
        let io = SocketIo::builder().start()?;
        register(&io);
        let health = io.health_routes();
        let app = move || App::new().configure(health.clone());
        if path == ServerPath::Direct {
            let serve = io.serve(app).workers(1).drain_on_signal(options);
            let serve = serve.shutdown_timeout(LONG).bind(("127.0.0.1", 0))?;
            Process::tell("listening ", serve.addrs()[0]);
            return serve.run().await;
        }
        let mut terminated = signal(SignalKind::terminate())?;
        let mounted = io.clone();
        let server = HttpServer::new(move || app().configure(mounted.routes()));
        let server = io.tune(server).workers(1).disable_signals();
        let server = server.bind(("127.0.0.1", 0))?;
        Process::tell("listening ", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        let served = actix_web::rt::spawn(server);
        terminated.recv().await;
        io.drain(options).await;
        handle.stop(true).await;
        served.await?
    }

    fn register(io: &SocketIo) {
        let namespace = io.of("/");
        namespace.on("save", |socket: Socket| async move {
            let answer = socket.call::<()>("ready", ()).await;
            answer.map(|()| "saved")
        });
        let server = io.clone();
        namespace.on("reasons", move || {
            let readiness = server.readiness();
            async move { readiness.reasons()[0].as_str() }
        });
        namespace.on_disconnect(|reason: DisconnectReason| async move {
            Process::tell("left ", reason);
        });
    }

    /// Longer than any test waits.
    const LONG: Duration = Duration::from_secs(60);
}
