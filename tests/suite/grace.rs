//! Handlers and tasks after the end of their socket: handlers get a grace, tasks of the socket end
//! with it, and disconnect handlers run to their end.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use actix::{Actor, Context, Handler};
use actix_socketio::{
    Ack, ConnectError, EngineMessage, EngineSession, FailureCause, Namespace, PanicSource,
    Panicked, Socket, SocketIo,
};
use tokio::sync::mpsc::UnboundedSender;

use crate::support::held::Gate;
use crate::support::socketio::{BOTH, Client, Via, find, start, until};
use crate::support::{Heard, Polling, Server, WebSocket, channel, within};

/// A server whose handlers may go on for this long.
fn graceful(grace: Option<Duration>) -> Server<SocketIo> {
    Server::socketio(move |io| io.handler_grace(grace), |_| ())
}

/// Registers an event `event` whose handler tells when it begins, when it passes the gate, and when
/// what it holds is dropped.
fn wait_on(namespace: &Namespace, event: &str, gate: &Gate) -> Heard<&'static str> {
    let (told, hears) = channel();
    let gate = gate.clone();
    namespace.on(event, move || waiting(&told, &gate));
    hears
}

fn waiting(told: &UnboundedSender<&'static str>, gate: &Gate) -> impl Future<Output = ()> + use<> {
    let (held, gate) = (Held(told.clone()), gate.clone());
    async move {
        let _ = held.0.send("begun");
        gate.pass().await;
        let _ = held.0.send("passed");
    }
}

/// Tells of its end.
struct Held(UnboundedSender<&'static str>);

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.send("dropped");
    }
}

/// Registers what tells of handlers that were dropped.
fn dropped(namespace: &Namespace) -> Heard<String> {
    let (told, hears) = channel();
    namespace.on_error(move |failure| {
        if matches!(failure.cause(), FailureCause::Dropped) {
            let _ = told.send(failure.event().to_owned());
        }
        None
    });
    hears
}

/// `handler_grace`: a handler that waits when its client has left is dropped behind the grace, with
/// what it holds, and the error hook hears of it.
#[on_both_servers]
async fn a_handler_is_dropped_a_grace_behind_its_clients_end() {
    for grace in [Duration::ZERO, Duration::from_millis(50)] {
        let server = graceful(Some(grace));
        let root = server.io.of("/");
        let mut hears = wait_on(&root, "wait", &Gate::default());
        let mut failures = dropped(&root);
        for via in BOTH {
            let mut client = Client::connected(&server, via).await;
            client.send(r#"421["wait"]"#).await;
            assert_eq!(hears.next().await, "begun");
            client.expect_nothing_more("/").await;
            assert_eq!(hears.so_far(), [] as [&str; 0]);
            client.close().await;
            assert_eq!(hears.next().await, "dropped");
            assert_eq!(failures.next().await, "wait");
        }
    }
}

/// `handler_grace`: within the grace a handler goes on, and with `None` for good; so it does by
/// default.
#[on_both_servers]
async fn a_handler_continues_within_the_grace() {
    for server in [graceful(Some(LONG)), graceful(None), start()] {
        let gate = Gate::default();
        let mut hears = wait_on(&server.io.of("/"), "wait", &gate);
        let mut client = Client::connected(&server, Via::WebSocket).await;
        client.send(r#"42["wait"]"#).await;
        assert_eq!(hears.next().await, "begun");
        client.close().await;
        until("the client to go", || server.io.clients_count() == 0).await;
        gate.open();
        assert_eq!(hears.next().await, "passed");
        assert_eq!(hears.next().await, "dropped");
    }
}

/// `handler_grace`: it is the socket that counts: a client that leaves one namespace keeps the
/// handlers that it has in another, and gets the places of the others back.
#[on_both_servers]
async fn a_namespace_that_is_left_takes_its_handlers_only() {
    let build = |io: actix_socketio::Builder| {
        let io = io.handler_grace(Some(Duration::ZERO));
        io.max_concurrent_handlers(2)
    };
    let server = Server::socketio(build, |_| ());
    let gate = Gate::default();
    let mut stays = wait_on(&server.io.of("/"), "wait", &gate);
    let mut goes = wait_on(&server.io.of("/chat"), "wait", &gate);
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        let id = client.connect("/chat").await;
        client.send(r#"42["wait"]"#).await;
        assert_eq!(stays.next().await, "begun");
        client.send(r#"42/chat,["wait"]"#).await;
        assert_eq!(goes.next().await, "begun");
        // No place is left, so that nothing is read until the server makes it leave.
        find(&server.io.of("/chat"), &id).disconnect(false);
        assert_eq!(goes.next().await, "dropped");
        client.expect("41/chat,").await;
        client.expect_nothing_more("/").await;
        assert_eq!(stays.so_far(), [] as [&str; 0]);
        client.close().await;
        assert_eq!(stays.next().await, "dropped");
    }
}

/// `handler_grace`: connect handlers and middleware are dropped too, and nobody is let in.
#[on_both_servers]
async fn connect_handlers_are_dropped_a_grace_behind_their_clients_end() {
    let server = graceful(Some(Duration::ZERO));
    for name in ["/middleware", "/connect"] {
        let namespace = server.io.of(name);
        let (told, mut hears) = channel();
        let gate = Gate::default();
        let handler = move || {
            let waiting = waiting(&told, &gate);
            async move {
                waiting.await;
                Ok::<(), ConnectError>(())
            }
        };
        match name {
            "/middleware" => namespace.middleware(handler),
            _ => namespace.on_connect(handler),
        };
        let mut failures = dropped(&namespace);
        for via in BOTH {
            let mut client = Client::open(&server, via).await;
            client.send(&format!("40{name},")).await;
            assert_eq!(hears.next().await, "begun");
            client.close().await;
            assert_eq!(hears.next().await, "dropped");
            assert_eq!(failures.next().await, "connect");
        }
    }
}

/// `handler_grace`: what runs because a socket leaves is not cut off by that.
#[on_both_servers]
async fn disconnect_handlers_are_not_dropped() {
    let server = graceful(Some(Duration::ZERO));
    let root = server.io.of("/");
    let gate = Gate::default();
    let mut marks = wait_on(&root, "wait", &Gate::default());
    let (told, mut hears) = channel();
    for way in ["disconnecting", "disconnect"] {
        let (told, gate) = (told.clone(), gate.clone());
        let handler = move || waiting(&told, &gate);
        match way {
            "disconnect" => root.on_disconnect(handler),
            _ => root.on_disconnecting(handler),
        };
    }
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client.send(r#"42["wait"]"#).await;
        assert_eq!(marks.next().await, "begun");
        client.close().await;
        assert_eq!([hears.next().await, hears.next().await], ["begun"; 2]);
        // A handler of the same client is dropped meanwhile.
        assert_eq!(marks.next().await, "dropped");
        assert_eq!(hears.so_far(), [] as [&str; 0]);
    }
    gate.open();
    for _ in 0..8 {
        assert_ne!(hears.next().await, "begun");
    }
}

/// `handler_grace`: an `Ack` that a dropped handler held is no failure of its own.
#[on_both_servers]
async fn ack_of_a_dropped_handler_is_not_reported() {
    let server = graceful(Some(Duration::ZERO));
    let (told, mut hears) = channel();
    server.io.of("/").on("wait", move |ack: Ack| {
        let held = Held(told.clone());
        async move {
            let _ = held.0.send("begun");
            std::future::pending::<()>().await;
            ack.send(1);
        }
    });
    let mut client = Client::connected(&server, Via::WebSocket).await;
    client.send(r#"421["wait"]"#).await;
    assert_eq!(hears.next().await, "begun");
    client.send("41").await;
    assert_eq!(hears.next().await, "dropped");
    client.connect("/").await;
    client.expect_nothing_more("/").await;
}

/// `handler_grace` of a raw server.
#[on_both_servers]
async fn handlers_of_raw_sessions_are_dropped_too() {
    let (told, mut hears) = channel();
    let (closed, mut reasons) = channel();
    let server = Server::engineio(move |engine| {
        let engine = engine.handler_grace(Some(Duration::ZERO));
        let engine = engine.on_close(move |_, _| {
            let closed = closed.clone();
            async move {
                tokio::task::yield_now().await;
                let _ = closed.send(());
            }
        });
        engine
            .on_message(move |_: EngineSession, _: EngineMessage| waiting(&told, &Gate::default()))
    });
    let mut socket = WebSocket::open(&server).await;
    socket.send_text("4wait").await;
    assert_eq!(hears.next().await, "begun");
    drop(socket);
    assert_eq!(hears.next().await, "dropped");
    reasons.next().await;
    let polling = Polling::open(&server).await;
    polling.post(&["4wait"]).await;
    assert_eq!(hears.next().await, "begun");
    polling.post(&["1"]).await;
    assert_eq!(hears.next().await, "dropped");
    reasons.next().await;
}

/// `Socket::spawn`: the task runs beside the handlers without a place among them, and ends with its
/// socket.
#[on_both_servers]
async fn a_task_of_a_socket_ends_with_it_and_is_not_in_flight() {
    let server = Server::socketio(|io| io.max_concurrent_handlers(1), |_| ());
    let (told, mut hears) = channel();
    server.io.of("/").on("watch", move |socket: Socket| {
        let (held, client) = (Held(told.clone()), socket.clone());
        socket.spawn(async move {
            let _ = held.0.send("begun");
            client.emit("tick", ()).await.unwrap();
            std::future::pending::<()>().await;
        });
        async { "watching" }
    });
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        for _ in 0..3 {
            client.send(r#"421["watch"]"#).await;
            client.expect(r#"431["watching"]"#).await;
            assert_eq!(hears.next().await, "begun");
            client.expect(r#"42["tick"]"#).await;
        }
        client.expect_nothing_more("/").await;
        client.send("41").await;
        assert_eq!([(); 3].map(|()| "dropped"), {
            [hears.next().await, hears.next().await, hears.next().await]
        });
    }
}

/// `Socket::spawn`: from any thread; the handle gives the value, stops the task, or lets it run on.
/// A socket that has ended starts nothing.
#[on_both_servers]
async fn a_task_of_a_socket_gives_its_value_or_is_stopped() {
    let server = start();
    let root = server.io.of("/");
    let mut client = Client::open(&server, Via::WebSocket).await;
    let socket = find(&root, &client.connect("/").await);
    let task = socket.spawn(async { 6 * 7 });
    assert_eq!(within("the task", task).await, Some(42));
    let elsewhere = socket.clone();
    let task = thread::spawn(move || elsewhere.spawn(async { "no runtime" }));
    let task = task.join().unwrap();
    assert_eq!(within("the task", task).await, Some("no runtime"));
    let held = Arc::new(());
    let kept = Arc::clone(&held);
    let stopped = socket.spawn(async move {
        std::future::pending::<()>().await;
        drop(kept);
    });
    stopped.stop();
    assert_eq!(within("the stop", stopped).await, None);
    assert_eq!(Arc::strong_count(&held), 1);
    let ends = socket.spawn(std::future::pending::<()>());
    client.close().await;
    assert_eq!(within("the end", ends).await, None);
    let late = socket.spawn(async { 1 });
    assert_eq!(within("the end", late).await, None);
}

/// `Socket::spawn` in a connect handler: a client that is refused takes its tasks with it.
#[on_both_servers]
async fn a_task_of_a_client_that_is_refused_ends() {
    let server = start();
    let (told, mut hears) = channel();
    server.io.of("/chat").on_connect(move |socket: Socket| {
        let (held, gate) = (Held(told.clone()), Gate::default());
        let begun = gate.clone();
        socket.spawn(async move {
            let _ = held.0.send("begun");
            begun.open();
            std::future::pending::<()>().await;
        });
        async move {
            gate.pass().await;
            Err::<(), _>("no")
        }
    });
    let mut client = Client::open(&server, Via::WebSocket).await;
    client.connect_with("/chat", "").await.unwrap_err();
    assert_eq!(hears.next().await, "begun");
    assert_eq!(hears.next().await, "dropped");
}

/// `Socket::spawn`: a panic costs the task, and goes to the namespace's hook and to who supervises.
#[on_both_servers]
async fn a_panic_of_a_task_is_reported() {
    struct Watch(UnboundedSender<Panicked>);

    impl Actor for Watch {
        type Context = Context<Self>;
    }

    impl Handler<Panicked> for Watch {
        type Result = ();

        fn handle(&mut self, crashed: Panicked, _: &mut Self::Context) {
            let _ = self.0.send(crashed);
        }
    }

    let (crashed, mut crashes) = channel();
    let server = Server::socketio(
        |io| io,
        move |io| io.supervise(Watch(crashed).start().recipient()),
    );
    let root = server.io.of("/");
    let (told, mut failures) = channel();
    root.on_error(move |failure| {
        let _ = told.send((failure.event().to_owned(), failure.cause().to_string()));
        None
    });
    let mut client = Client::open(&server, Via::WebSocket).await;
    let socket = find(&root, &client.connect("/").await);
    let task = socket.spawn(async { assert_eq!(1, 2, "as it was told") });
    assert_eq!(within("the panic", task).await, None);
    let (event, cause) = failures.next().await;
    assert_eq!(event, "spawn");
    assert!(cause.contains("as it was told"), "{cause}");
    let crashed = crashes.next().await;
    assert_eq!(crashed.source, PanicSource::BackgroundTask);
    assert_eq!(crashed.namespace.as_deref(), Some("/"));
    assert_eq!(crashed.socket, Some(socket.id()));
    client.expect_nothing_more("/").await;
}

/// Longer than any test waits.
const LONG: Duration = Duration::from_secs(60);
