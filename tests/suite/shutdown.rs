//! `SocketIo::close`, on every path: handlers in flight end, their acknowledgements leave, then the
//! close; and nobody waits for what will never come.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix::{Actor, Context, Handler};
use actix_socketio::{
    Ack, CloseReason, Data, EngineMessage, EngineSession, Event, FailureCause, Socket, SocketIo,
};
use tokio::task::JoinHandle;

use crate::support::held::{Gate, held_up};
use crate::support::socketio::{BOTH, Came, Client, Via, leavers, start, until};
use crate::support::{Heard, Polling, Server, WebSocket, channel, within};

/// Closes the server; returns when no new events are taken any more.
async fn closing(server: &Server<SocketIo>, limit: Duration) -> JoinHandle<bool> {
    // A client for whom nothing runs gets its close at once, and the others were told before.
    let mut idle = Client::connected(server, Via::WebSocket).await;
    let io = server.io.clone();
    let closing = tokio::spawn(async move { io.close(limit).await });
    idle.expect_close().await;
    closing
}

/// Registers `save`, which answers when the gate is open.
fn save_on(server: &Server<SocketIo>) -> (Gate, Heard<&'static str>) {
    let (gate, held, hears) = held_up();
    server.io.of("/").on("save", move || {
        let held = held.clone();
        async move {
            held.wait().await;
            "saved"
        }
    });
    (gate, hears)
}

/// Registers `endless`, which never ends; its word is `begun`, and `dropped` at its end.
fn endless_on(server: &Server<SocketIo>) -> Heard<&'static str> {
    let (told, hears) = channel();
    server.io.of("/").on("endless", move || {
        let held = OnDrop(told.clone());
        async move {
            let _ = held.0.send("begun");
            std::future::pending::<()>().await;
            drop(held);
        }
    });
    hears
}

/// Sends events, and waits until the handler of the first has begun.
async fn begin(client: &mut Client, events: &[&str], hears: &mut Heard<&'static str>) {
    client.send_all(events).await;
    assert_eq!(hears.next().await, "begun");
}

/// Waits for the end of the close, and for whether all that it waited for has ended.
async fn is_complete(closing: JoinHandle<bool>) -> bool {
    within("the close", closing).await.unwrap()
}

/// A handler in flight ends, its acknowledgement leaves, then the client gets the close. Events
/// that it sends meanwhile are not taken.
#[on_both_servers]
async fn handlers_in_flight_acknowledge_before_the_close() {
    for via in BOTH {
        let server = start();
        let (gate, mut hears) = save_on(&server);
        let mut left = leavers(&server.io.of("/"));
        let (seen, mut late) = channel();
        server.io.of("/").on("late", move || {
            let _ = seen.send(());
            async {}
        });
        let mut client = Client::connected(&server, via).await;
        begin(&mut client, &[r#"421["save"]"#], &mut hears).await;
        let closing = closing(&server, LONG).await;
        assert_eq!(left.next().await, "server shutting down");
        client.send(r#"422["late"]"#).await;
        let binary = r#"451-3["late",{"_placeholder":true,"num":0}]"#;
        client.send_binary(binary, &[&[1]]).await;
        client.send("40/chat,").await;
        client.settle().await;
        assert!(!closing.is_finished());
        gate.open();
        client.expect(r#"431["saved"]"#).await;
        client.expect_close().await;
        assert!(is_complete(closing).await);
        assert_eq!(late.so_far(), []);
        assert_eq!(left.next().await, "server shutting down");
        assert_eq!(left.so_far(), [] as [&str; 0]);
    }
}

/// A handler that waits for its client's acknowledgement gets it.
#[on_both_servers]
async fn acknowledgements_of_clients_are_still_taken() {
    for via in BOTH {
        let server = start();
        let (gate, held, mut hears) = held_up();
        server.io.of("/").on("ask", move |socket: Socket| {
            let held = held.clone();
            async move {
                held.wait().await;
                socket.call::<u32>("age", ()).await
            }
        });
        let mut client = Client::connected(&server, via).await;
        begin(&mut client, &[r#"421["ask"]"#], &mut hears).await;
        let closing = closing(&server, LONG).await;
        gate.open();
        client.expect(r#"420["age"]"#).await;
        client.send("430[36]").await;
        client.expect("431[36]").await;
        client.expect_close().await;
        assert!(is_complete(closing).await);
    }
}

/// At the limit handlers are dropped, with all that they hold, and their clients still get the
/// close.
#[on_both_servers]
async fn handlers_that_do_not_end_are_dropped_at_the_limit() {
    for via in BOTH {
        let server = start();
        let (failed, mut failures) = channel();
        server.io.of("/").on_error(move |failure| {
            if matches!(failure.cause(), FailureCause::Dropped) {
                let _ = failed.send(failure.event().to_owned());
            }
            None
        });
        let mut hears = endless_on(&server);
        let mut client = Client::connected(&server, via).await;
        begin(&mut client, &[r#"421["endless"]"#], &mut hears).await;
        let closing = closing(&server, Duration::from_millis(400)).await;
        assert_eq!(hears.next().await, "dropped");
        assert_eq!(failures.next().await, "endless");
        client.expect_close().await;
        assert!(!is_complete(closing).await);
    }
}

/// An acknowledgement that a handler has kept for later is waited for as a handler is, also if an
/// actor has it.
#[on_both_servers]
async fn acknowledgements_that_are_kept_are_waited_for() {
    struct Keeper(tokio::sync::mpsc::UnboundedSender<Ack>);

    impl Actor for Keeper {
        type Context = Context<Self>;
    }

    impl Handler<Event> for Keeper {
        type Result = ();

        fn handle(&mut self, mut event: Event, _: &mut Self::Context) {
            let _ = self.0.send(event.take_ack().unwrap());
        }
    }

    for via in BOTH {
        for event in ["keep", "forward", "leave"] {
            let (kept, mut acks) = channel();
            let forwarded = kept.clone();
            let server = Server::socketio(
                |io| io,
                move |io| {
                    let keeper = Keeper(forwarded).start();
                    io.of("/").forward("forward", keeper.recipient());
                },
            );
            let keep = move |ack: Ack| {
                let _ = kept.send(ack);
                async {}
            };
            server.io.of("/").on("keep", keep.clone()).on("leave", keep);
            let mut client = Client::connected(&server, via).await;
            client.send(&format!(r#"421["{event}"]"#)).await;
            let ack = acks.next().await;
            let closing = closing(&server, LONG).await;
            client.settle().await;
            assert!(!closing.is_finished());
            if event == "leave" {
                ack.leave();
            } else {
                ack.send(7);
                client.expect("431[7]").await;
            }
            client.expect_close().await;
            assert!(is_complete(closing).await);
        }
    }
}

/// A connect handler in flight ends, and so do the events that wait for it.
#[on_both_servers]
async fn connect_handlers_in_flight_end() {
    for via in BOTH {
        let server = start();
        let (gate, held, mut hears) = held_up();
        server
            .io
            .of("/chat")
            .on_connect(move || held.clone().wait());
        server
            .io
            .of("/chat")
            .on("add", |Data((a, b)): Data<(i64, i64)>| async move {
                tokio::task::yield_now().await;
                a + b
            });
        let (read, mut reads) = channel();
        server.io.of("/").on("mark", move || {
            let _ = read.send(());
            async {}
        });
        let mut client = Client::connected(&server, via).await;
        let packets = ["40/chat,", r#"42/chat,1["add",1,2]"#, r#"42["mark"]"#];
        begin(&mut client, &packets, &mut hears).await;
        // Then the packets before it have been read too.
        reads.next().await;
        client.settle().await;
        let closing = closing(&server, LONG).await;
        gate.open();
        client.expect_connect("/chat").await;
        client.expect("43/chat,1[3]").await;
        client.expect_close().await;
        assert!(is_complete(closing).await);
    }
}

/// Disconnect handlers are waited for: those of the close, and those of clients that have left
/// before.
#[on_both_servers]
async fn disconnect_handlers_are_waited_for() {
    for via in BOTH {
        for leaves_before in [false, true] {
            let server = start();
            let (gate, held, mut hears) = held_up();
            let chat = server.io.of("/chat");
            chat.on_disconnect(move || held.clone().wait());
            let mut client = Client::open(&server, via).await;
            client.connect("/chat").await;
            let closing = if leaves_before {
                client.close().await;
                assert_eq!(hears.next().await, "begun");
                closing(&server, LONG).await
            } else {
                let closing = closing(&server, LONG).await;
                assert_eq!(hears.next().await, "begun");
                client.expect_close().await;
                closing
            };
            until("the last client to go", || server.io.clients_count() == 0).await;
            assert!(!closing.is_finished());
            gate.open();
            assert_eq!(hears.next().await, "ended");
            assert!(is_complete(closing).await);
        }
    }
}

/// A handler whose client has left while it runs is waited for too.
#[on_both_servers]
async fn handlers_of_clients_that_have_left_are_waited_for() {
    for via in BOTH {
        let server = start();
        let (gate, mut hears) = save_on(&server);
        let mut client = Client::connected(&server, via).await;
        begin(&mut client, &[r#"42["save"]"#], &mut hears).await;
        client.close().await;
        until("the client to go", || server.io.clients_count() == 0).await;
        let closing = closing(&server, LONG).await;
        assert!(!closing.is_finished());
        gate.open();
        assert_eq!(hears.next().await, "ended");
        assert!(is_complete(closing).await);
    }
}

/// A handler that waits for the end of its socket ends by the close, and does not hold it up.
#[on_both_servers]
async fn handlers_awaiting_closed_do_not_delay_the_shutdown() {
    for via in BOTH {
        let server = start();
        let (told, mut hears) = channel();
        server.io.of("/").on("watch", move |socket: Socket| {
            let told = told.clone();
            async move {
                let _ = told.send("begun");
                loop {
                    tokio::select! {
                        () = socket.closed() => break,
                        () = tokio::time::sleep(LONG) => {}
                    }
                }
                let _ = told.send("ended");
            }
        });
        let mut client = Client::connected(&server, via).await;
        for _ in 0..3 {
            client.send(r#"42["watch"]"#).await;
            assert_eq!(hears.next().await, "begun");
        }
        let closing = closing(&server, LONG).await;
        client.expect_close().await;
        for _ in 0..3 {
            assert_eq!(hears.next().await, "ended");
        }
        assert!(is_complete(closing).await);
    }
}

/// The same on a raw server: a message's handler ends, what it sends leaves, then the close; and
/// the handler of the end is waited for.
#[on_both_servers]
async fn handlers_of_raw_sessions_end_before_the_close() {
    let gate = Gate::default();
    let (told, mut hears) = channel();
    let passing = gate.clone();
    let server = Server::engineio(move |engine| {
        let (last, end) = (passing.clone(), told.clone());
        let engine = engine.on_close(move |_, reason| {
            let (gate, told) = (last.clone(), end.clone());
            async move {
                gate.pass().await;
                let _ = told.send(reason.to_string());
            }
        });
        engine.on_message(move |session: EngineSession, message| {
            let (gate, told) = (passing.clone(), told.clone());
            async move {
                let _ = told.send(format!("{message:?}"));
                gate.pass().await;
                session.send(&EngineMessage::Text("saved".into())).unwrap();
            }
        })
    });
    let mut socket = WebSocket::open(&server).await;
    let polling = Polling::open(&server).await;
    socket.send_text("4save").await;
    polling.post(&["4save"]).await;
    for _ in 0..2 {
        assert_eq!(hears.next().await, r#"Text("save")"#);
    }
    let mut idle = WebSocket::open(&server).await;
    let engine = server.io.clone();
    let closing = tokio::spawn(async move { engine.close(LONG).await });
    idle.expect_closed(None).await;
    socket.send_text("4late").await;
    polling.post(&["4late"]).await;
    gate.open();
    socket.expect_text("4saved").await;
    socket.expect_closed(None).await;
    polling.expect_all(&["4saved", "1"]).await;
    assert!(is_complete(closing).await);
    for _ in 0..3 {
        assert_eq!(hears.next().await, CloseReason::ServerShuttingDown.as_str());
    }
    assert_eq!(hears.so_far(), [] as [String; 0]);
}

/// A client that polls and has left its last packets where they are is not counted, and is found
/// only by itself.
#[on_both_servers]
async fn a_poller_that_was_disconnected_is_not_counted() {
    let server = start();
    let mut left = leavers(&server.io.of("/"));
    let counted = server.io.clone();
    let (told, mut counts) = channel();
    server.io.of("/").on_disconnect(move || {
        let _ = told.send(counted.clients_count());
        async {}
    });
    let mut client = Client::open(&server, Via::Polling).await;
    let id = client.connect("/").await;
    let socket = server.io.of("/").socket(id.parse().unwrap()).unwrap();
    socket.emit("last", ()).await.unwrap();
    assert_eq!(server.io.clients_count(), 1);
    socket.disconnect(true);
    assert_eq!(left.next().await, "server namespace disconnect");
    counts.next().await;
    until("it not to be counted", || server.io.clients_count() == 0).await;
    client.expect(r#"42["last"]"#).await;
    client.expect("41").await;
    client.expect_close().await;
}

/// A client that polls and does not come again is not waited for up to the limit, whether the
/// server or the close has disconnected it.
#[on_both_servers]
async fn a_client_that_stops_polling_does_not_delay_the_close() {
    let server = start();
    let mut before = Client::open(&server, Via::Polling).await;
    let id = before.connect("/").await;
    let _stays = Client::connected(&server, Via::Polling).await;
    let socket = server.io.of("/").socket(id.parse().unwrap()).unwrap();
    socket.disconnect(true);
    until("it to be disconnected", || server.io.clients_count() == 1).await;
    let closing = closing(&server, LONG).await;
    assert!(is_complete(closing).await);
}

/// A poller that has much to fetch gets all of it, and then the close.
#[on_both_servers]
async fn a_poller_gets_all_that_was_sent_before_the_close() {
    let server = start();
    let mut client = Client::connected(&server, Via::Polling).await;
    for n in 0..100 {
        server.io.emit("tick", n).await.unwrap();
    }
    let closing = closing(&server, LONG).await;
    for n in 0..100 {
        client.expect(&format!(r#"42["tick",{n}]"#)).await;
    }
    client.expect_close().await;
    assert!(is_complete(closing).await);
}

/// When the time is nearly over, a client that has more to fetch than its polls can take gets the
/// close without it. Of a WebSocket's outbox the same becomes, as the tests beside it say.
#[on_both_servers]
async fn a_slow_poller_gets_the_close_at_the_limit() {
    let server = start();
    let mut hears = endless_on(&server);
    let mut polling = Client::connected(&server, Via::Polling).await;
    let mut clock = Client::connected(&server, Via::WebSocket).await;
    begin(&mut clock, &[r#"42["endless"]"#], &mut hears).await;
    let data = "x".repeat(2000);
    for n in 0..300 {
        server.io.emit("tick", (n, &data)).await.unwrap();
    }
    let closing = closing(&server, Duration::from_millis(1000)).await;
    polling.expect(&format!(r#"42["tick",0,"{data}"]"#)).await;
    assert_eq!(hears.next().await, "dropped");
    let mut rest = 0;
    while polling.next().await != Came::Close {
        rest += 1;
    }
    assert_eq!(rest, 15, "what the first poll brought, and no more");
    assert!(!is_complete(closing).await);
}

/// A close under load, with many clients that are behind what is sent to them: everybody gets the
/// close.
#[on_both_servers]
async fn everybody_gets_the_close_under_load() {
    let server = start();
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let mut client = Client::connected(&server, Via::WebSocket).await;
        clients.spawn(async move { while client.next().await != Came::Close {} });
    }
    for _ in 0..20 {
        let polling = Polling::open(&server).await;
        polling.post(&["40"]).await;
        // A poll that is answered with an error fails the test.
        let polls = async move { while polling.poll().await.last().unwrap() != "1" {} };
        clients.spawn(polls);
    }
    let io = server.io.clone();
    let ticks = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&ticks);
    server.io.spawn(async move {
        loop {
            let n = count.fetch_add(1, Ordering::Relaxed);
            io.emit("tick", n).await.unwrap();
            tokio::task::yield_now().await;
        }
    });
    // A poll brings 16.
    until("the clients to be behind", || {
        ticks.load(Ordering::Relaxed) > 5000
    })
    .await;
    assert!(server.io.close(Duration::from_secs(5)).await);
    within("everybody to get the close", clients.join_all()).await;
}

/// Tells of its end.
struct OnDrop(tokio::sync::mpsc::UnboundedSender<&'static str>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        let _ = self.0.send("dropped");
    }
}

/// Longer than any test waits.
const LONG: Duration = Duration::from_secs(60);
