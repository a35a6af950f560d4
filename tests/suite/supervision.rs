//! docs/semantics.md, Supervisors of the program: its actors under the server, with real clients.

use std::time::Duration;

use actix::{Actor, Context, Handler};
use actix_socketio::{ChildEnd, Event, PanicSource, Restart, Strategy, SupervisorError};

use crate::support::panics::panics_of;
use crate::support::socketio::{BOTH, Client, Via, start, until};
use crate::support::within;

/// Counts events in each of its lives, and panics at `panic`.
#[derive(Default)]
struct Counter(usize);

impl Actor for Counter {
    type Context = Context<Self>;
}

impl Handler<Event> for Counter {
    type Result = ();

    fn handle(&mut self, mut event: Event, _: &mut Self::Context) {
        assert!(!event.args().as_json().contains("panic"), "as it was told");
        self.0 += 1;
        if let Some(ack) = event.take_ack() {
            ack.send(self.0);
        }
    }
}

/// A panic costs the event in which it happens. The events behind it wait for the next life.
#[on_both_servers]
async fn events_behind_a_panic_reach_the_next_life() {
    let server = start();
    let mut crashes = panics_of(&server.io);
    let supervisor = server.io.supervisor("orders").start().unwrap();
    let child = supervisor
        .child("counter", |_| Counter::default())
        .start()
        .unwrap();
    server.io.of("/").forward("count", child.addr().recipient());
    for (restarts, via) in (1..).zip(BOTH) {
        let mut client = Client::connected(&server, via).await;
        let events = [
            r#"421["count","panic"]"#,
            r#"422["count",2]"#,
            r#"423["count",3]"#,
        ];
        client.send_all(&events).await;
        let mut answers = [
            client.text().await,
            client.text().await,
            client.text().await,
        ];
        answers.sort();
        let lost = r#"431[{"error":"the handler dropped the acknowledgement"}]"#;
        assert_eq!(answers, [lost, "432[1]", "433[2]"]);
        let crashed = crashes.next().await;
        assert_eq!(
            crashed.source,
            PanicSource::Child("orders/counter".to_owned())
        );
        assert_eq!(crashed.panic, "as it was told");
        assert_eq!(child.restarts(), restarts);
    }
}

/// Above the intensity the supervisor ends, and the program receives one more panic.
#[on_both_servers]
async fn an_escalation_is_reported_and_leaves_the_clients_alone() {
    let server = start();
    let mut crashes = panics_of(&server.io);
    let supervisor = server
        .io
        .supervisor("orders")
        .intensity(1, Duration::from_secs(60));
    let supervisor = supervisor.start().unwrap();
    let child = supervisor
        .child("counter", |_| Counter::default())
        .start()
        .unwrap();
    server.io.of("/").forward("count", child.addr().recipient());
    server.io.of("/").on("echo", || async { "here" });
    let mut client = Client::connected(&server, Via::WebSocket).await;
    for id in 1..=2 {
        client.send(&format!(r#"42{id}["count","panic"]"#)).await;
        let lost = r#"[{"error":"the handler dropped the acknowledgement"}]"#;
        client.expect(&format!("43{id}{lost}")).await;
        let child = PanicSource::Child("orders/counter".to_owned());
        assert_eq!(crashes.next().await.source, child);
    }
    let escalated = crashes.next().await;
    assert_eq!(
        escalated.source,
        PanicSource::Supervisor("orders".to_owned())
    );
    let text = "too many restarts, the last after panic: as it was told";
    assert_eq!(escalated.panic, text);
    assert_eq!(within("the end", child.ended()).await.to_string(), text);
    client.send(r#"423["count",1]"#).await;
    client
        .expect(r#"433[{"error":"the handler dropped the acknowledgement"}]"#)
        .await;
    client.send(r#"424["echo"]"#).await;
    client.expect(r#"434["here"]"#).await;
}

/// `supervision_tree`: the server, its namespaces and rooms with their clients, and the program's
/// supervisors.
#[on_both_servers]
async fn the_tree_has_all_actors_with_their_clients() {
    let server = start();
    server
        .io
        .of("/chat")
        .on_connect(|socket: actix_socketio::Socket| async move { socket.join("lobby").await });
    let supervisor = server
        .io
        .supervisor("orders")
        .strategy(Strategy::RestForOne);
    let supervisor = supervisor.start().unwrap();
    let child = supervisor.child("counter", |_| Counter::default());
    let child = child.restart(Restart::Transient).start().unwrap();
    let mut clients = Vec::new();
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client.connect("/chat").await;
        clients.push(client);
    }
    let expected = "\
server clients=2 restarts=0 mailbox=0
├─ / (namespace) clients=2 restarts=0 mailbox=0
├─ /chat (namespace) clients=2 restarts=0 mailbox=0
│  └─ lobby (room) clients=2 restarts=0 mailbox=0
└─ orders (supervisor, rest for one) restarts=0 mailbox=0
   └─ counter (transient) restarts=0 mailbox=0
";
    let io = server.io.clone();
    until("the tree", move || {
        io.supervision_tree().to_string() == expected
    })
    .await;
    child.stop();
    assert_eq!(within("the end", child.ended()).await, ChildEnd::Shutdown);
    let tree = server.io.supervision_tree();
    assert!(tree.children[2].children.is_empty(), "{tree}");
}

/// The children are stopped after the clients, and no supervisor starts on a closed server.
#[on_both_servers]
async fn a_close_stops_the_children() {
    let server = start();
    let supervisor = server.io.supervisor("orders").start().unwrap();
    let child = supervisor
        .child("counter", |_| Counter::default())
        .start()
        .unwrap();
    assert!(server.io.close(Duration::from_secs(5)).await);
    assert_eq!(child.end(), Some(ChildEnd::Shutdown));
    let late = server.io.supervisor("late").start().unwrap_err();
    assert_eq!(late, SupervisorError::Ended("late".to_owned()));
}
