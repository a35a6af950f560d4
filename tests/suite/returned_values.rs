//! docs/semantics.md, Panics: the destructor of a value that the program returns may panic. The
//! panic is reported, and has no other effect.

use actix::{Actor, Context, Handler};
use actix_socketio::{ConnectError, ConnectOutcome, PanicSource, Panicked, Socket, SocketIo};
use serde::Serialize;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::yield_now;

use crate::support::held::Gate;
use crate::support::socketio::{BOTH, Client, Via, until};
use crate::support::{Heard, Server, channel};

/// Panics when it is dropped.
#[derive(Serialize)]
struct Bomb(u32);

impl Drop for Bomb {
    fn drop(&mut self) {
        // Without the panic hook, which would print a line.
        std::panic::resume_unwind(Box::new("the destructor"));
    }
}

impl std::fmt::Display for Bomb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a bomb")
    }
}

/// Accepts the client.
impl ConnectOutcome for Bomb {
    fn outcome(self) -> Result<(), ConnectError> {
        // The destructor runs at the end of this call.
        Ok(())
    }
}

struct Watching(UnboundedSender<Panicked>);

impl Actor for Watching {
    type Context = Context<Self>;
}

impl Handler<Panicked> for Watching {
    type Result = ();

    fn handle(&mut self, panicked: Panicked, _: &mut Self::Context) {
        let _ = self.0.send(panicked);
    }
}

/// Starts a server, and returns the reports of its panics.
fn watched() -> (Server<SocketIo>, Heard<Panicked>) {
    let (sender, panics) = channel();
    let server = Server::socketio(
        |builder| builder,
        move |io| io.supervise(Watching(sender).start().recipient()),
    );
    (server, panics)
}

async fn expect_report(panics: &mut Heard<Panicked>, event: &str) {
    let panicked = panics.next().await;
    assert_eq!(panicked.source, PanicSource::Handler(event.to_owned()));
    assert_eq!(panicked.panic, "the destructor", "{event}");
}

/// The value of an event's handler is the acknowledgement, whatever its destructor does.
#[on_both_servers]
async fn a_client_gets_the_value_whose_destructor_panics() {
    async fn wait<T>(value: T) -> T {
        yield_now().await;
        value
    }
    let (server, mut panics) = watched();
    server
        .io
        .of("/")
        .on("value", || async { Bomb(1) })
        .on("late value", || wait(Bomb(1)))
        .on("error", || async { Err::<(), _>(Bomb(1)) })
        .on("late error", || wait(Err::<(), _>(Bomb(1))));
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        for (event, answer) in [
            ("value", "1"),
            ("late value", "1"),
            ("error", r#"{"error":1}"#),
            ("late error", r#"{"error":1}"#),
        ] {
            client.send(&format!(r#"427["{event}"]"#)).await;
            client.expect(&format!("437[{answer}]")).await;
            expect_report(&mut panics, event).await;
            client.send(&format!(r#"42["{event}"]"#)).await;
            expect_report(&mut panics, event).await;
        }
        client.expect_nothing_more("/").await;
        client.close().await;
    }
    until("everybody to leave", || server.io.of("/").count() == 0).await;
    assert_eq!(panics.so_far(), []);
}

/// The hook for errors hears of it too, as a failure that nobody waits for.
#[on_both_servers]
async fn the_error_hook_is_called_without_a_client_that_waits() {
    let (server, mut panics) = watched();
    let (sender, mut failures) = channel();
    server
        .io
        .of("/")
        .on("value", || async { Bomb(1) })
        .on_error(move |failure: &actix_socketio::Failure<'_>| {
            let _ = sender.send((failure.to_string(), failure.wants_ack()));
            Some("unused".into())
        });
    let mut client = Client::connected(&server, Via::WebSocket).await;
    client.send(r#"421["value"]"#).await;
    client.expect("431[1]").await;
    expect_report(&mut panics, "value").await;
    let (text, wants_ack) = failures.next().await;
    assert!(text.ends_with("handler panicked: the destructor"), "{text}");
    assert!(!wants_ack);
    client.expect_nothing_more("/").await;
}

/// A connect handler has not decided if its value panics; a disconnect handler has nothing to decide.
#[on_both_servers]
async fn panicking_drop_of_a_return_value_is_contained() {
    let (server, mut panics) = watched();
    server.io.of("/now").on_connect(|| async { Bomb(1) });
    server.io.of("/late").on_connect(|| async {
        yield_now().await;
        Bomb(1)
    });
    let program = server.io.of("/");
    program
        .on_disconnecting(|| async { Ok::<_, String>(Bomb(1)) })
        .on_disconnect(|| async {
            yield_now().await;
            Err::<(), _>(Bomb(1))
        });
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        for namespace in ["/now", "/late"] {
            let error = client.connect_with(namespace, "").await.unwrap_err();
            assert_eq!(error, r#"{"message":"internal server error"}"#);
            expect_report(&mut panics, "connect").await;
        }
        client.connect("/").await;
        client.send("41").await;
        expect_report(&mut panics, "disconnecting").await;
        expect_report(&mut panics, "disconnect").await;
        client.connect("/").await;
        client.expect_nothing_more("/").await;
        client.close().await;
        expect_report(&mut panics, "disconnecting").await;
        expect_report(&mut panics, "disconnect").await;
    }
    until("everybody to leave", || program.count() == 0).await;
}

/// Nobody reads the value of a handler whose client has gone.
#[on_both_servers]
async fn panicking_drop_for_a_disconnected_client_is_reported() {
    let (server, mut panics) = watched();
    let (begun, mut begins) = channel();
    let gate = Gate::default();
    let waiting = gate.clone();
    server.io.of("/").on("wait", move |_: Socket| {
        let _ = begun.send(());
        let waiting = waiting.clone();
        async move {
            waiting.pass().await;
            Bomb(1)
        }
    });
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client.send(r#"421["wait"]"#).await;
        begins.next().await;
        client.close().await;
    }
    until("everybody to leave", || server.io.of("/").count() == 0).await;
    gate.open();
    for _ in BOTH {
        expect_report(&mut panics, "wait").await;
    }
}

/// `SocketIo::spawn`, `Socket::spawn`: a value that no handle takes.
#[on_both_servers]
async fn the_value_of_a_background_task_is_dropped_and_reported() {
    let (server, mut panics) = watched();
    let gate = Gate::default();
    let waiting = gate.clone();
    server.io.of("/").on("spawn", move |socket: Socket| {
        let waiting = waiting.clone();
        // The handle is dropped.
        drop(socket.spawn(async move {
            waiting.pass().await;
            Bomb(1)
        }));
        async {}
    });
    let mut client = Client::connected(&server, Via::WebSocket).await;
    client.send(r#"421["spawn"]"#).await;
    client.expect("431[]").await;
    let waiting = gate.clone();
    drop(server.io.spawn(async move {
        waiting.pass().await;
        Bomb(1)
    }));
    gate.open();
    for _ in 0..2 {
        let panicked = panics.next().await;
        assert_eq!(panicked.source, PanicSource::BackgroundTask);
        assert_eq!(panicked.panic, "the destructor");
    }
    client.expect_nothing_more("/").await;
}
