//! docs/semantics.md, Failure: a panic fails its own call only, and is reported.

use std::sync::Arc;

use actix::{Actor, Arbiter, Context, Handler, Recipient, System};
use actix_socketio::{
    Ack, Data, DisconnectReason, Event, HandlerError, PanicSource, Panicked, Socket, SocketIo,
};
use serde::{Deserialize, Deserializer};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

use crate::support::socketio::{BOTH, Client, Via, start, until, until_ended};
use crate::support::{Heard, Server, channel};

/// Passes on what it is told, and panics or waits when it is asked to.
struct Listener {
    crashes: UnboundedSender<Panicked>,
    events: UnboundedSender<String>,
}

impl Actor for Listener {
    type Context = Context<Self>;
}

impl Handler<Panicked> for Listener {
    type Result = ();

    fn handle(&mut self, crashed: Panicked, _: &mut Self::Context) {
        let _ = self.crashes.send(crashed);
    }
}

impl Handler<Event> for Listener {
    type Result = ();

    fn handle(&mut self, mut event: Event, _: &mut Self::Context) {
        let _ = self.events.send(event.args().as_json().to_owned());
        match event.read::<String>().as_deref() {
            Ok("panic") => panic!("in the actor"),
            Ok("silence") => {}
            Ok(text) => {
                if let Some(ack) = event.take_ack() {
                    ack.send(format!("{text} from {}", event.name()));
                }
            }
            Err(error) => {
                if let Some(ack) = event.take_ack() {
                    ack.send(Err::<(), _>(error.to_string()));
                }
            }
        }
    }
}

struct Listening {
    crashed: Recipient<Panicked>,
    event: Recipient<Event>,
    crashes: Heard<Panicked>,
    events: Heard<String>,
    /// The actor's thread.
    arbiter: Arbiter,
}

/// Starts a listener on a thread of its own.
fn listen() -> Listening {
    let (crashes_sender, crashes) = channel();
    let (events_sender, events) = channel();
    let (sender, started) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let system = System::new();
        system.block_on(async move {
            let arbiter = Arbiter::new();
            let address = Listener::start_in_arbiter(&arbiter.handle(), |_| Listener {
                crashes: crashes_sender,
                events: events_sender,
            });
            sender.send((address, arbiter)).unwrap();
            std::future::pending::<()>().await;
        });
    });
    let (address, arbiter) = started.recv().unwrap();
    Listening {
        crashed: address.clone().recipient(),
        event: address.recipient(),
        crashes,
        events,
        arbiter,
    }
}

fn handler(event: &str) -> PanicSource {
    PanicSource::Handler(event.to_owned())
}

async fn join_hall(socket: Socket) -> Result<(), HandlerError> {
    Ok(socket.join("hall").await?)
}

async fn now() {
    panic!("at once");
}

async fn later() {
    tokio::task::yield_now().await;
    panic!("after {}", "an await");
}

/// docs/semantics.md, Panics: a panic is an error for its call. The session, its rooms and other
/// clients continue.
#[on_both_servers]
async fn a_panic_fails_its_own_call_only() {
    let server = start();
    let mut listening = listen();
    server.io.supervise(listening.crashed.clone());
    let chat = server.io.of("/chat");
    chat.on_connect(join_hall)
        .on("now", now)
        .on("later", later)
        .on("fine", || async { "fine" });
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        let id = client.connect("/chat").await;
        let mut other = Client::open(&server, via).await;
        other.connect("/chat").await;
        for (event, text) in [("now", "at once"), ("later", "after an await")] {
            client
                .send_all(&[&format!(r#"42/chat,7["{event}"]"#), r#"42/chat,8["fine"]"#])
                .await;
            let mut answers = [client.text().await, client.text().await];
            answers.sort();
            assert_eq!(
                answers,
                [
                    r#"43/chat,7[{"error":"internal server error"}]"#,
                    r#"43/chat,8["fine"]"#
                ]
            );
            let crashed = listening.crashes.next().await;
            assert_eq!(crashed.source, handler(event));
            assert_eq!(crashed.namespace.as_deref(), Some("/chat"));
            assert_eq!(crashed.socket.clone().unwrap().as_str(), id);
            assert_eq!(crashed.panic, text);
            let line =
                format!("handler of {event:?} panicked in namespace /chat for socket {id}: {text}");
            assert_eq!(crashed.to_string(), line);
            // Without an acknowledgement nobody is answered, and still somebody is told.
            client.send(&format!(r#"42/chat,["{event}"]"#)).await;
            assert_eq!(listening.crashes.next().await.panic, text);
            client.expect_nothing_more("/chat").await;
        }
        chat.to("hall").emit("still", "here").await.unwrap();
        client.expect(r#"42/chat,["still","here"]"#).await;
        other.expect(r#"42/chat,["still","here"]"#).await;
        client.close().await;
        other.close().await;
    }
    assert_eq!(listening.crashes.so_far(), []);
}

/// A panic of a handler that holds the `Ack` is answered too.
#[on_both_servers]
async fn a_panic_with_an_ack_in_hand_is_answered() {
    async fn explode(ack: Ack) {
        assert!(!ack.is_wanted(), "it is wanted");
        ack.send(());
    }

    let server = start();
    let mut listening = listen();
    server.io.supervise(listening.crashed.clone());
    server.io.of("/").on("explode", explode);
    let mut client = Client::connected(&server, Via::WebSocket).await;
    client.send(r#"421["explode"]"#).await;
    client
        .expect(r#"431[{"error":"the handler dropped the acknowledgement"}]"#)
        .await;
    assert_eq!(listening.crashes.next().await.panic, "it is wanted");
}

/// An extractor may run code of the program: a panic in it is one of the handler's.
#[on_both_servers]
async fn a_panic_in_an_extractor_is_contained() {
    struct Bad;

    impl<'de> Deserialize<'de> for Bad {
        fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            panic!("in Deserialize")
        }
    }

    let server = start();
    let mut listening = listen();
    server.io.supervise(listening.crashed.clone());
    server
        .io
        .of("/")
        .on("data", |_: Data<Bad>| async {})
        .on("behind an ack", |_: Ack, _: Data<Bad>| async {});
    server
        .io
        .of("/auth")
        .on_connect(|_: actix_socketio::Auth<Bad>| async {});
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        for (id, event) in ["data", "behind an ack"].into_iter().enumerate() {
            client.send(&format!(r#"42{id}["{event}",1]"#)).await;
            client
                .expect(&format!(r#"43{id}[{{"error":"internal server error"}}]"#))
                .await;
            let crashed = listening.crashes.next().await;
            assert_eq!(crashed.source, handler(event));
            assert_eq!(crashed.panic, "in Deserialize");
        }
        let error = client.connect_with("/auth", "").await.unwrap_err();
        assert_eq!(error, r#"{"message":"internal server error"}"#);
        assert_eq!(listening.crashes.next().await.source, handler("connect"));
        client.expect_nothing_more("/").await;
    }
}

/// A panic in `on_connect` refuses; one in `on_disconnect` changes nothing; both are told of.
#[on_both_servers]
async fn panics_of_connect_and_disconnect_handlers_are_reported() {
    async fn bad_farewell(_: DisconnectReason) {
        panic!("goodbye");
    }

    let server = start();
    let mut listening = listen();
    server.io.supervise(listening.crashed.clone());
    server.io.of("/closed").on_connect(now);
    server
        .io
        .of("/")
        .on_connect(join_hall)
        .on_disconnect(bad_farewell);
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        client.connect_with("/closed", "").await.unwrap_err();
        let crashed = listening.crashes.next().await;
        assert_eq!(crashed.source, handler("connect"));
        assert_eq!(crashed.namespace.as_deref(), Some("/closed"));
        let id = client.connect("/").await;
        client.send("41").await;
        let crashed = listening.crashes.next().await;
        assert_eq!(crashed.source, handler("disconnect"));
        assert_eq!(crashed.socket.unwrap().as_str(), id);
        assert_eq!(crashed.panic, "goodbye");
        until_ended(&server.io.of("/"), "hall").await;
        client.connect("/").await;
        client.close().await;
        assert_eq!(listening.crashes.next().await.panic, "goodbye");
    }
    until("everybody to leave", || server.io.of("/").count() == 0).await;
}

/// `SocketIo::supervise`: everybody who asked is told, and one who has ended is in nobody's way.
#[on_both_servers]
async fn every_live_supervisor_gets_the_report() {
    let server = start();
    let (mut first, second) = (listen(), listen());
    server.io.supervise(second.crashed.clone());
    server.io.supervise(first.crashed.clone());
    server.io.of("/").on("now", now);
    let mut client = Client::connected(&server, Via::WebSocket).await;
    second.arbiter.stop();
    second.arbiter.join().unwrap();
    for _ in 0..3 {
        client.send(r#"421["now"]"#).await;
        client
            .expect(r#"431[{"error":"internal server error"}]"#)
            .await;
        assert_eq!(first.crashes.next().await.source, handler("now"));
    }
}

/// `Namespace::forward`: an actor gets events in order, as values, with the right to answer.
#[on_both_servers]
async fn a_forwarded_event_reaches_the_actor_that_answers() {
    let server = start();
    let mut listening = listen();
    let forwarded = listening.event.clone();
    server.io.of("/chat").forward("ask", forwarded);
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        client.connect("/chat").await;
        client
            .send_all(&[
                r#"42/chat,1["ask","one"]"#,
                r#"42/chat,["ask","two"]"#,
                r#"42/chat,3["ask",3]"#,
                r#"42/chat,4["ask","silence"]"#,
            ])
            .await;
        client.expect(r#"43/chat,1["one from ask"]"#).await;
        let answer = client.text().await;
        assert!(
            answer.starts_with(r#"43/chat,3[{"error":"argument 1 cannot be read: "#),
            "{answer}"
        );
        client
            .expect(r#"43/chat,4[{"error":"the handler dropped the acknowledgement"}]"#)
            .await;
        for args in [r#""one""#, r#""two""#, "3", r#""silence""#] {
            assert_eq!(listening.events.next().await, args);
        }
    }
}

/// `Namespace::forward`: where the actor has gone, or goes over the event, the client is told.
#[on_both_servers]
async fn event_forwarded_to_a_stopped_actor_is_answered_with_an_error() {
    let server = start();
    let listening = listen();
    server.io.of("/").forward("ask", listening.event.clone());
    let mut client = Client::connected(&server, Via::WebSocket).await;
    let error = r#"[{"error":"the handler dropped the acknowledgement"}]"#;
    client.send(r#"421["ask","panic"]"#).await;
    client.expect(&format!("431{error}")).await;
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client
            .send_all(&[r#"422["ask","x"]"#, r#"42["ask","x"]"#])
            .await;
        client.expect(&format!("432{error}")).await;
        client.expect_nothing_more("/").await;
    }
}

/// Clients that leave in the middle of it all leave nothing behind: neither a count nor a room.
#[on_both_servers]
async fn a_handler_of_a_disconnected_client_leaves_no_count_or_room() {
    let server: Server<SocketIo> = start();
    let (begun, mut begins) = channel();
    let (ended, mut ends) = channel();
    let (left, mut leavers) = channel();
    let gate = Arc::new(Notify::new());
    let waiting = Arc::clone(&gate);
    server
        .io
        .of("/")
        .on("wait", move |socket: Socket| {
            let _ = begun.send(());
            let (waiting, ended) = (Arc::clone(&waiting), ended.clone());
            async move {
                waiting.notified().await;
                let emitted = socket.emit("a", ()).await.map_err(|e| e.to_string());
                let joined = socket.join("hall").await.map_err(|e| e.to_string());
                let _ = ended.send((emitted, joined));
            }
        })
        .on_disconnect(move || {
            let _ = left.send(());
            async {}
        });
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client.send(r#"421["wait"]"#).await;
        begins.next().await;
        client.close().await;
        leavers.next().await;
        gate.notify_one();
        let gone = || Err("the socket is disconnected".to_owned());
        assert_eq!(ends.next().await, (gone(), gone()));
        until_ended(&server.io.of("/"), "hall").await;
    }
    until("everybody to leave", || server.io.of("/").count() == 0).await;
}
