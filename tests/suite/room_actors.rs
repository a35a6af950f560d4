//! Rooms with code: an actor of the program for each namespace of a pattern, and for each room of one.

use std::time::Duration;

use actix::fut::wrap_future;
use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, Running,
};
use actix_socketio::{
    Ack, ConnectError, Data, Decision, DisconnectNotice, Dropped, Enter, Joined, Left, PanicSource,
    Returned, RoomActor, RoomActors, RoomContext, RoomError, Socket, SocketIo,
};
use serde_json::json;
use tokio::sync::mpsc::UnboundedSender;

use crate::support::held::Gate;
use crate::support::panics::panics_of;
use crate::support::socketio::{BOTH, Client, Via, find, start, until};
use crate::support::{Heard, Server, channel};

/// A room that tells everything that it hears, and counts.
struct Table {
    room: RoomContext,
    told: UnboundedSender<String>,
    count: u32,
    /// `stopping` continues that often.
    stays: u32,
    gate: Gate,
}

impl Table {
    fn tell(&self, what: impl Into<String>) {
        // The test may have heard enough.
        let _ = self.told.send(what.into());
    }

    fn add(&mut self, Data(number): Data<u32>, _: &mut Context<Self>) -> u32 {
        self.count += number;
        self.tell(format!("add {number}"));
        self.count
    }

    fn later(&mut self, socket: Socket, ack: Ack, ctx: &mut Context<Self>) {
        let pass = self.gate.clone();
        let told = self.told.clone();
        let passed = wrap_future(async move { pass.pass().await });
        ctx.spawn(passed.map(move |(), table: &mut Self, _| {
            told.send(format!("later {}", socket.id() == socket.id()))
                .unwrap();
            ack.send(table.count);
        }));
    }

    fn wait(&mut self, ctx: &mut Context<Self>) {
        self.tell("wait");
        let pass = self.gate.clone();
        ctx.wait(wrap_future(async move { pass.pass().await }));
    }
}

fn break_down(_: &mut Table, _: &mut Context<Table>) {
    panic!("the table breaks");
}

impl Actor for Table {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        self.tell(format!("started {}", self.room.name()));
    }

    fn stopping(&mut self, _: &mut Self::Context) -> Running {
        self.tell("stopping");
        if self.stays > 0 {
            self.stays -= 1;
            return Running::Continue;
        }
        Running::Stop
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.tell("stopped");
    }
}

impl RoomActor for Table {
    fn enter(&mut self, client: Enter, _: &mut Self::Context) -> Decision<Self> {
        let auth: serde_json::Value = client.socket.auth().unwrap();
        self.tell("enter");
        match auth["as"].as_str() {
            Some("nobody") => {
                let error = ConnectError::new("no seat").with_data(json!({ "seats": 0 }));
                Decision::refuse(error)
            }
            Some("broken") => panic!("nobody may enter"),
            Some("later") => {
                let pass = self.gate.clone();
                Decision::later(wrap_future(async move {
                    pass.pass().await;
                    Ok(())
                }))
            }
            Some("never") => {
                let pass = self.gate.clone();
                Decision::later(wrap_future(async move {
                    pass.pass().await;
                    Err(ConnectError::new("too late"))
                }))
            }
            _ => Decision::accept(),
        }
    }

    fn joined(&mut self, client: Joined, _: &mut Self::Context) {
        assert!(self.room.is_member(&client.socket.id()));
        self.tell(format!("joined of {}", self.room.count()));
    }

    fn dropped(&mut self, client: Dropped, _: &mut Self::Context) {
        assert!(!client.socket.is_connected());
        self.tell(format!("dropped: {}", client.reason));
    }

    fn returned(&mut self, client: Returned, _: &mut Self::Context) {
        assert!(client.socket.recovered());
        self.tell(format!("returned of {}", self.room.count()));
    }

    fn left(&mut self, client: Left, _: &mut Self::Context) {
        let rest = self.room.count();
        self.tell(format!("left: {}, {rest} stay", client.reason));
    }
}

type Ctx = Context<Table>;

#[derive(Message)]
#[rtype(result = "u32")]
struct Count;

impl Handler<Count> for Table {
    type Result = u32;

    fn handle(&mut self, _: Count, _: &mut Self::Context) -> u32 {
        self.count
    }
}

/// The tables of a server, and what they hear.
struct Tables {
    rooms: RoomActors<Table>,
    heard: Heard<String>,
    gate: Gate,
}

impl Tables {
    async fn hear(&mut self, expected: &[&str]) {
        for expected in expected {
            assert_eq!(self.heard.next().await, *expected);
        }
    }
}

fn factory(told: UnboundedSender<String>, gate: Gate) -> impl Fn(RoomContext) -> Table {
    move |room| Table {
        room,
        told: told.clone(),
        count: 0,
        stays: 0,
        gate: gate.clone(),
    }
}

fn events(rooms: &RoomActors<Table>) {
    rooms
        .on("add", Table::add)
        .on("later", Table::later)
        .on("fail", |_: &mut Table, _: &mut Context<Table>| {
            Err::<(), _>("not today")
        })
        .on("boom", break_down)
        .on("wait", Table::wait);
}

/// Each namespace `/table-{id}` is a table.
fn namespaces(io: &SocketIo) -> Tables {
    let (told, heard) = channel();
    let gate = Gate::default();
    let pattern = io.of_pattern("/table-{id}").unwrap();
    let rooms = pattern.actor(factory(told, gate.clone()));
    events(&rooms);
    Tables { rooms, heard, gate }
}

/// Each room `table:{id}` of `/` is a table; clients join by `join`, and leave by `leave`.
fn rooms(io: &SocketIo) -> Tables {
    let (told, heard) = channel();
    let gate = Gate::default();
    let main = io.of("/");
    let rooms = main
        .room_actor("table:{id}", factory(told, gate.clone()))
        .unwrap();
    events(&rooms);
    main.on(
        "join",
        |socket: Socket, Data(room): Data<String>| async move { socket.join(room).await },
    );
    main.on(
        "leave",
        |socket: Socket, Data(room): Data<String>| async move { socket.leave(room).await },
    );
    Tables { rooms, heard, gate }
}

/// A client that is a member of `/table-7`.
async fn sit(
    server: &Server<SocketIo>,
    via: Via,
    tables: &mut Tables,
    of: usize,
) -> (Client, Socket) {
    let mut client = Client::open(server, via).await;
    let id = client.connect("/table-7").await;
    tables.hear(&["enter", &format!("joined of {of}")]).await;
    let socket = find(&server.io.of("/table-7"), &id);
    (client, socket)
}

/// The first client starts the actor, which decides before the client is let in; its events follow,
/// and the actor ends behind the last leave.
#[on_both_servers]
async fn a_namespace_is_an_actor_that_hears_its_clients_in_order() {
    let server = start();
    let mut tables = namespaces(&server.io);
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        client.connect("/table-7").await;
        client.send(r#"42/table-7,1["add",2]"#).await;
        client.expect("43/table-7,1[2]").await;
        client.send(r#"42/table-7,2["add",3]"#).await;
        client.expect("43/table-7,2[5]").await;
        client.send("41/table-7,").await;
        let life = ["started /table-7", "enter", "joined of 1", "add 2", "add 3"];
        tables.hear(&life).await;
        tables
            .hear(&["left: client namespace disconnect, 0 stay"])
            .await;
        tables.hear(&["stopping", "stopped"]).await;
    }
}

/// Each name has its own actor, with its parameters.
#[on_both_servers]
async fn each_name_has_an_actor_of_its_own_with_its_parameters() {
    let server = start();
    let (told, mut heard) = channel();
    let pattern = server.io.of_pattern("/table-{id}").unwrap();
    let rooms = pattern.actor(move |room| {
        let parameters: serde_json::Value = room.parameters().unwrap();
        let line = format!("{:?} {parameters}", room.parameter("id"));
        told.send(line).unwrap();
        factory(told.clone(), Gate::default())(room)
    });
    events(&rooms);
    let mut client = Client::open(&server, Via::WebSocket).await;
    client.connect("/table-7").await;
    assert_eq!(heard.next().await, r#"Some("7") {"id":"7"}"#);
    client.connect("/table-8").await;
    client.send(r#"42/table-7,1["add",2]"#).await;
    client.expect("43/table-7,1[2]").await;
    client.send(r#"42/table-8,1["add",3]"#).await;
    client.expect("43/table-8,1[3]").await;
    let count = rooms.address("/table-8").unwrap().send(Count).await;
    assert_eq!(count, Ok(3));
    assert!(rooms.address("/table-9").is_none());
}

/// A refusal has its data, also if it comes later; other clients are asked in the meantime.
#[on_both_servers]
async fn an_actor_refuses_clients_at_once_or_later() {
    let server = start();
    let mut tables = namespaces(&server.io);
    let mut client = Client::open(&server, Via::WebSocket).await;
    let refused = client.connect_with("/table-7", r#"{"as":"nobody"}"#).await;
    let told = r#"{"message":"no seat","data":{"seats":0}}"#;
    assert_eq!(refused.unwrap_err(), told);
    tables
        .hear(&["started /table-7", "enter", "stopping", "stopped"])
        .await;

    client.send(r#"40/table-7,{"as":"later"}"#).await;
    tables.hear(&["started /table-7", "enter"]).await;
    let mut late = Client::open(&server, Via::Polling).await;
    late.send(r#"40/table-7,{"as":"never"}"#).await;
    tables.hear(&["enter"]).await;
    let (mut other, _) = sit(&server, Via::WebSocket, &mut tables, 1).await;
    // Its events before the decision wait for it.
    client.send(r#"42/table-7,1["add",1]"#).await;
    other.send(r#"42/table-7,1["add",2]"#).await;
    tables.hear(&["add 2"]).await;
    tables.gate.open();
    client.expect_connect("/table-7").await;
    client.expect("43/table-7,1[3]").await;
    late.expect(r#"44/table-7,{"message":"too late"}"#).await;
    tables.hear(&["joined of 2", "add 1"]).await;
}

/// A client that leaves while the actor decides is not in, and the actor ends.
#[on_both_servers]
async fn a_client_that_leaves_before_the_decision_never_joins() {
    let server = start();
    let mut tables = namespaces(&server.io);
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        client.send(r#"40/table-7,{"as":"later"}"#).await;
        tables.hear(&["started /table-7", "enter"]).await;
        client.connect("/").await;
        client.close().await;
        // Its sockets end in the order of their connects.
        let main = server.io.of("/");
        until("the client to be gone", || main.count() == 0).await;
        tables.gate.open();
        tables.hear(&["stopping", "stopped"]).await;
        tables.gate.close();
    }
}

/// The connect handlers decide first; the actor is not asked about clients that they refuse.
#[on_both_servers]
async fn connect_handlers_decide_before_the_actor() {
    let server = start();
    let mut tables = namespaces(&server.io);
    let pattern = server.io.of_pattern("/other-{id}").unwrap();
    pattern.on_connect(|| async { Err::<(), _>(ConnectError::new("closed")) });
    let (told, mut heard) = channel();
    pattern.actor(factory(told, Gate::default()));
    let mut client = Client::open(&server, Via::WebSocket).await;
    let refused = client.connect_with("/other-1", "").await;
    assert_eq!(refused.unwrap_err(), r#"{"message":"closed"}"#);
    client.connect("/table-1").await;
    tables
        .hear(&["started /table-1", "enter", "joined of 1"])
        .await;
    assert!(heard.so_far().is_empty());
}

/// A client that wants in is no member yet, also if the namespace lists it for its connect handlers.
#[on_both_servers]
async fn a_client_that_wants_in_is_not_counted() {
    let server = start();
    let pattern = server.io.of_pattern("/pair-{id}").unwrap();
    pattern.on_connect(|| async {});
    pattern.actor(|room| Pair { room });
    let mut clients = Vec::new();
    for via in [Via::WebSocket, Via::Polling, Via::WebSocket] {
        let mut client = Client::open(&server, via).await;
        clients.push((client.connect_with("/pair-1", "").await, client));
    }
    let outcomes: Vec<_> = clients.iter().map(|(outcome, _)| outcome.is_ok()).collect();
    assert_eq!(outcomes, [true, true, false]);
}

/// A room for two.
struct Pair {
    room: RoomContext,
}

impl Actor for Pair {
    type Context = Context<Self>;
}

impl RoomActor for Pair {
    fn enter(&mut self, client: Enter, _: &mut Self::Context) -> Decision<Self> {
        assert!(!self.room.is_member(&client.socket.id()));
        assert_eq!(self.room.count(), self.room.members().len());
        match self.room.count() {
            2 => Decision::refuse("full"),
            _ => Decision::accept(),
        }
    }
}

/// Answers: later by an `Ack`, an `Err`, a wrong argument, no handler.
#[on_both_servers]
async fn events_are_answered_as_by_other_handlers() {
    let server = start();
    let tables = namespaces(&server.io);
    for via in BOTH {
        tables.gate.close();
        let mut client = Client::open(&server, via).await;
        client.connect("/table-7").await;
        client.send(r#"42/table-7,1["later"]"#).await;
        client.send(r#"42/table-7,2["add",4]"#).await;
        client.expect("43/table-7,2[4]").await;
        tables.gate.open();
        client.expect("43/table-7,1[4]").await;
        client.send(r#"42/table-7,3["fail"]"#).await;
        client
            .expect(r#"43/table-7,3[{"error":"not today"}]"#)
            .await;
        client.send(r#"42/table-7,4["add","x"]"#).await;
        let answer = client.text().await;
        assert!(answer.starts_with(r#"43/table-7,4[{"error":"#), "{answer}");
        client.send(r#"42/table-7,5["what"]"#).await;
        let told = r#"43/table-7,5[{"error":"no handler for event \"what\""}]"#;
        client.expect(told).await;
        // Without an acknowledgement too.
        client.send(r#"42/table-7,["add",1]"#).await;
        client.send(r#"42/table-7,6["add",1]"#).await;
        client.expect("43/table-7,6[6]").await;
        client.close().await;
        until("the actor to end", || {
            tables.rooms.address("/table-7").is_none()
        })
        .await;
    }
}

/// `ctx.wait` holds the events back, and the questions of clients.
#[on_both_servers]
async fn an_actor_that_waits_handles_nothing() {
    let server = start();
    let mut tables = namespaces(&server.io);
    let mut client = Client::open(&server, Via::WebSocket).await;
    client.connect("/table-7").await;
    client
        .send_all(&[r#"42/table-7,1["wait"]"#, r#"42/table-7,2["add",1]"#])
        .await;
    client.expect("43/table-7,1[]").await;
    let mut other = Client::open(&server, Via::WebSocket).await;
    other.send("40/table-7,").await;
    tables
        .hear(&["started /table-7", "enter", "joined of 1", "wait"])
        .await;
    client.settle().await;
    assert!(tables.heard.so_far().is_empty());
    tables.gate.open();
    client.expect("43/table-7,2[1]").await;
    other.expect_connect("/table-7").await;
}

/// Many events of one client keep their order, beside those of another.
#[on_both_servers]
async fn events_are_handled_in_the_order_of_their_client() {
    let server = start();
    let pattern = server.io.of_pattern("/order-{id}").unwrap();
    let (told, _kept) = channel();
    let last = std::sync::Arc::new(parking_lot::Mutex::new([0_u32; 2]));
    let seen = std::sync::Arc::clone(&last);
    let rooms = pattern.actor(factory(told, Gate::default()));
    rooms.on(
        "next",
        move |_: &mut Table, Data((who, number)): Data<(usize, u32)>, _: &mut Context<Table>| {
            let before = std::mem::replace(&mut seen.lock()[who], number);
            number == before + 1
        },
    );
    let mut clients = Vec::new();
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        client.connect("/order-1").await;
        clients.push(client);
    }
    for round in 0..50 {
        for (who, client) in clients.iter_mut().enumerate() {
            let packets: Vec<_> = (1..=10)
                .map(|at| format!(r#"42/order-1,{at}["next",{who},{}]"#, round * 10 + at))
                .collect();
            let packets: Vec<_> = packets.iter().map(String::as_str).collect();
            client.send_all(&packets).await;
        }
        for client in &mut clients {
            for at in 1..=10 {
                client.expect(&format!("43/order-1,{at}[true]")).await;
            }
        }
    }
    assert_eq!(*last.lock(), [500, 500]);
}

/// A panic costs the event that caused it: the members and the other events stay, the program is
/// notified, and the address is the same.
#[on_both_servers]
async fn a_panic_restarts_the_actor_in_place_with_its_members() {
    let server = start();
    let mut panics = panics_of(&server.io);
    let mut tables = namespaces(&server.io);
    let mut client = Client::open(&server, Via::WebSocket).await;
    client.connect("/table-7").await;
    client.send(r#"42/table-7,1["add",5]"#).await;
    client.expect("43/table-7,1[5]").await;
    let address = tables.rooms.address("/table-7").unwrap();
    client
        .send_all(&[r#"42/table-7,2["boom"]"#, r#"42/table-7,3["add",1]"#])
        .await;
    client
        .expect(r#"43/table-7,2[{"error":"internal server error"}]"#)
        .await;
    client.expect("43/table-7,3[1]").await;
    let panicked = panics.next().await;
    assert_eq!(panicked.source, PanicSource::Room("/table-7".to_owned()));
    assert_eq!(panicked.namespace.as_deref(), Some("/table-7"));
    assert_eq!(panicked.panic, "the table breaks");
    assert_eq!(address.send(Count).await, Ok(1));
    client.send("41/table-7,").await;
    tables
        .hear(&["started /table-7", "enter", "joined of 1", "add 5"])
        .await;
    tables
        .hear(&["stopping", "stopped", "started /table-7", "add 1"])
        .await;
    tables
        .hear(&["left: client namespace disconnect, 0 stay"])
        .await;
    assert!(panics.so_far().is_empty());
}

/// A panic in the question refuses the client, and nobody else.
#[on_both_servers]
async fn a_panic_in_the_question_refuses_its_client_alone() {
    let server = start();
    let mut panics = panics_of(&server.io);
    let mut tables = namespaces(&server.io);
    let mut member = Client::open(&server, Via::WebSocket).await;
    member.connect("/table-7").await;
    let mut client = Client::open(&server, Via::Polling).await;
    let refused = client.connect_with("/table-7", r#"{"as":"broken"}"#).await;
    assert_eq!(
        refused.unwrap_err(),
        r#"{"message":"internal server error"}"#
    );
    assert_eq!(panics.next().await.panic, "nobody may enter");
    member.send(r#"42/table-7,1["add",1]"#).await;
    member.expect("43/table-7,1[1]").await;
    tables
        .hear(&["started /table-7", "enter", "joined of 1", "enter"])
        .await;
}

/// More than five panics within ten seconds close the room: its members leave it, and the next client
/// starts another actor.
#[on_both_servers]
async fn a_room_that_panics_too_often_is_closed() {
    let server = start();
    let mut panics = panics_of(&server.io);
    let mut tables = namespaces(&server.io);
    let mut client = Client::open(&server, Via::WebSocket).await;
    client.connect("/table-7").await;
    for at in 1..=6 {
        client.send(&format!(r#"42/table-7,{at}["boom"]"#)).await;
        let told = format!(r#"43/table-7,{at}[{{"error":"internal server error"}}]"#);
        client.expect(&told).await;
        panics.next().await;
    }
    client.expect("41/table-7,").await;
    until("the actor to end", || {
        tables.rooms.address("/table-7").is_none()
    })
    .await;
    tables.heard.so_far();
    client.connect("/table-7").await;
    tables
        .hear(&["started /table-7", "enter", "joined of 1"])
        .await;
}

/// A factory may refuse the client, by an error or by a panic; the next client may succeed.
#[on_both_servers]
async fn a_factory_may_refuse() {
    let server = start();
    let mut panics = panics_of(&server.io);
    let (told, mut heard) = channel();
    let pattern = server.io.of_pattern("/table-{id}").unwrap();
    pattern.actor(move |room| {
        let id = room.parameter("id").unwrap();
        assert_ne!(id, "boom");
        let _: u32 = id.parse().map_err(|_| ConnectError::new("no such table"))?;
        Ok::<_, ConnectError>(factory(told.clone(), Gate::default())(room))
    });
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        let refused = client.connect_with("/table-x", "").await;
        assert_eq!(refused.unwrap_err(), r#"{"message":"no such table"}"#);
        assert!(panics.so_far().is_empty());
        let refused = client.connect_with("/table-boom", "").await;
        assert_eq!(
            refused.unwrap_err(),
            r#"{"message":"internal server error"}"#
        );
        panics.next().await;
        client.connect("/table-7").await;
        assert_eq!(heard.next().await, "started /table-7");
        client.close().await;
        while heard.next().await != "stopped" {}
        panics.so_far();
    }
}

/// The grace keeps the actor for the next client; `stopping` may continue.
#[on_both_servers]
async fn an_actor_ends_after_its_grace() {
    let server = start();
    let mut tables = namespaces(&server.io);
    tables.rooms.grace(Duration::from_secs(60));
    let (mut client, socket) = {
        let mut client = Client::open(&server, Via::WebSocket).await;
        let id = client.connect("/table-7").await;
        (client, find(&server.io.of("/table-7"), &id))
    };
    client.send(r#"42/table-7,1["add",5]"#).await;
    client.expect("43/table-7,1[5]").await;
    socket.disconnect(false);
    client.expect("41/table-7,").await;
    let life = ["started /table-7", "enter", "joined of 1", "add 5"];
    tables.hear(&life).await;
    tables
        .hear(&["left: server namespace disconnect, 0 stay"])
        .await;
    client.connect("/table-7").await;
    client.send(r#"42/table-7,1["add",1]"#).await;
    client.expect("43/table-7,1[6]").await;
    tables.hear(&["enter", "joined of 1", "add 1"]).await;
    tables.rooms.grace(Duration::ZERO);
    client.send("41/table-7,").await;
    tables
        .hear(&["left: client namespace disconnect, 0 stay"])
        .await;
    tables.hear(&["stopping", "stopped"]).await;
}

/// `stopping` that continues keeps the actor, which is asked again.
#[on_both_servers]
async fn stopping_may_keep_the_actor() {
    let server = start();
    let (told, heard) = channel();
    let gate = Gate::default();
    let pattern = server.io.of_pattern("/table-{id}").unwrap();
    let make = factory(told, gate.clone());
    let rooms = pattern.actor(move |room| Table {
        stays: 1,
        ..make(room)
    });
    let mut tables = Tables { rooms, heard, gate };
    let mut client = Client::open(&server, Via::WebSocket).await;
    client.connect("/table-7").await;
    tables
        .hear(&["started /table-7", "enter", "joined of 1"])
        .await;
    client.send("41/table-7,").await;
    tables
        .hear(&["left: client namespace disconnect, 0 stay", "stopping"])
        .await;
    client.connect("/table-7").await;
    tables.hear(&["enter", "joined of 1"]).await;
    client.close().await;
    tables
        .hear(&["left: transport close, 0 stay", "stopping", "stopped"])
        .await;
}

/// Two members of `/table-7`.
async fn two(server: &Server<SocketIo>, tables: &mut Tables) -> (Client, Client) {
    let mut ann = Client::open(server, Via::WebSocket).await;
    ann.connect("/table-7").await;
    let mut bob = Client::open(server, Via::Polling).await;
    bob.connect("/table-7").await;
    tables
        .hear(&[
            "started /table-7",
            "enter",
            "joined of 1",
            "enter",
            "joined of 2",
        ])
        .await;
    (ann, bob)
}

/// The actor sends by its context, to all or to some of its members.
#[on_both_servers]
async fn a_context_sends_to_the_room() {
    let server = start();
    let mut tables = namespaces(&server.io);
    let say = |table: &mut Table, socket: Socket, Data(text): Data<String>, _: &mut Ctx| {
        table.room.broadcast("said", &text).unwrap();
        table.room.except(&socket).emit_sync("others", ()).unwrap();
        table.room.to(&socket).emit_sync("you", ()).unwrap();
        table.room.members().len()
    };
    tables.rooms.on("say", say);
    let (mut ann, mut bob) = two(&server, &mut tables).await;
    ann.send(r#"42/table-7,1["say","hi"]"#).await;
    ann.expect(r#"42/table-7,["said","hi"]"#).await;
    ann.expect(r#"42/table-7,["you"]"#).await;
    ann.expect("43/table-7,1[2]").await;
    bob.expect(r#"42/table-7,["said","hi"]"#).await;
    bob.expect(r#"42/table-7,["others"]"#).await;
}

/// The actor calls one member or all, and answers with what they have acknowledged.
#[on_both_servers]
async fn a_context_calls_the_members() {
    let server = start();
    let mut tables = namespaces(&server.io);
    let ask = |table: &mut Table, socket: Socket, ack: Ack, ctx: &mut Ctx| {
        let one = table.room.call::<u32, _>(&socket, "one", 1);
        let all = table.room.call_all::<u32, _>("all", ());
        ctx.spawn(wrap_future(async move {
            let mut sum = one.await.unwrap();
            let mut all = all.await.unwrap();
            while let Some((_, answer)) = all.next().await {
                sum += answer.unwrap();
            }
            ack.send(sum);
        }));
    };
    tables.rooms.on("ask", ask);
    let (mut ann, mut bob) = two(&server, &mut tables).await;
    ann.send(r#"42/table-7,2["ask"]"#).await;
    ann.expect(r#"42/table-7,0["one",1]"#).await;
    ann.send("43/table-7,0[1]").await;
    ann.expect(r#"42/table-7,1["all"]"#).await;
    bob.expect(r#"42/table-7,1["all"]"#).await;
    ann.send("43/table-7,1[20]").await;
    bob.send("43/table-7,1[300]").await;
    ann.expect("43/table-7,2[321]").await;
}

/// A member that the actor of a namespace removes is disconnected, and told the reason.
#[on_both_servers]
async fn a_member_that_is_removed_from_a_namespace_is_disconnected() {
    let server = start();
    let mut tables = namespaces(&server.io);
    let kick = |table: &mut Table, socket: Socket, _: &mut Ctx| {
        for member in table.room.members() {
            if member != socket {
                table.room.kick(&member, "cheated");
            }
        }
    };
    tables.rooms.on("kick", kick);
    let (mut ann, mut bob) = two(&server, &mut tables).await;
    ann.send(r#"42/table-7,3["kick"]"#).await;
    bob.expect(r#"42/table-7,["disconnect_reason",{"reason":"cheated"}]"#)
        .await;
    bob.expect("41/table-7,").await;
    tables
        .hear(&["left: server namespace disconnect, 1 stay"])
        .await;
}

/// A room of a namespace: a join asks its actor, an event names the room or has only one.
#[on_both_servers]
async fn a_room_is_an_actor_of_its_members() {
    let server = start();
    let mut tables = rooms(&server.io);
    let mut client = Client::connected(&server, Via::WebSocket).await;
    client.send(r#"421["add",1]"#).await;
    client
        .expect(r#"431[{"error":"join a room table:{id} first"}]"#)
        .await;
    client.send(r#"422["join","table:1"]"#).await;
    client.expect("432[]").await;
    client.send(r#"423["add",1]"#).await;
    client.expect("433[1]").await;
    client.send(r#"424["add","table:2",1]"#).await;
    client
        .expect(r#"434[{"error":"join a room table:{id} first"}]"#)
        .await;
    client.send(r#"425["join","table:2"]"#).await;
    client.expect("435[]").await;
    client.send(r#"426["add","table:2",10]"#).await;
    client.expect("436[10]").await;
    client.send(r#"427["add","table:1",1]"#).await;
    client.expect("437[2]").await;
    client.send(r#"428["add",1]"#).await;
    let told = r#"438[{"error":"name one of the rooms table:{id} in the first argument"}]"#;
    client.expect(told).await;
    client.send(r#"429["leave","table:2"]"#).await;
    client.expect("439[]").await;
    let first = ["started table:1", "enter", "joined of 1", "add 1"];
    tables.hear(&first).await;
    let second = ["started table:2", "enter", "joined of 1", "add 10", "add 1"];
    tables.hear(&second).await;
    tables
        .hear(&["left: left the room, 0 stay", "stopping", "stopped"])
        .await;
    client.close().await;
    tables
        .hear(&["left: transport close, 0 stay", "stopping", "stopped"])
        .await;
    assert!(tables.rooms.address("table:1").is_none());
}

/// A room's actor refuses a join, at once or later, also one by the program; who is in is not asked
/// again.
#[on_both_servers]
async fn a_join_is_refused_by_the_actor_of_the_room() {
    let server = start();
    let mut tables = rooms(&server.io);
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        let id = client
            .connect_with("/", r#"{"as":"nobody"}"#)
            .await
            .unwrap();
        client.send(r#"421["join","table:1"]"#).await;
        client.expect(r#"431[{"error":"no seat"}]"#).await;
        let socket = find(&server.io.of("/"), &id);
        let refused = socket.join("table:1").await.unwrap_err();
        let RoomError::Refused { message, data } = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(
            (message.as_str(), data),
            ("no seat", Some(json!({ "seats": 0 })))
        );
        assert_eq!(
            server.io.of("/").to(id).sockets_join("table:1").await,
            Ok(0)
        );
        assert!(socket.rooms().is_empty());
        client.close().await;
        until("the actor to end", || {
            tables.rooms.address("table:1").is_none()
        })
        .await;
    }
    let mut client = Client::open(&server, Via::WebSocket).await;
    let id = client.connect_with("/", r#"{"as":"later"}"#).await.unwrap();
    tables.heard.so_far();
    client.send(r#"421["join","table:2"]"#).await;
    tables.hear(&["started table:2", "enter"]).await;
    tables.gate.open();
    client.expect("431[]").await;
    client.send(r#"422["join","table:2"]"#).await;
    client.expect("432[]").await;
    assert_eq!(
        server.io.of("/").to(id).sockets_join("table:2").await,
        Ok(1)
    );
    tables.hear(&["joined of 1"]).await;
    client.close().await;
    tables.hear(&["left: transport close, 0 stay"]).await;
}

/// A member that is removed from a room stays connected, and is told.
#[on_both_servers]
async fn a_member_that_is_removed_from_a_room_stays_connected() {
    let server = start();
    let mut tables = rooms(&server.io);
    let kick = |table: &mut Table, socket: Socket, _: &mut Context<Table>| {
        let notice = DisconnectNotice::new("cheated").with_data(7);
        table.room.kick(&socket, notice.clone());
        // It is no member any more.
        table.room.kick(&socket, notice);
        table.room.broadcast("nobody hears", ()).unwrap();
    };
    tables.rooms.on("kick", kick);
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client.send(r#"421["join","table:1"]"#).await;
        client.expect("431[]").await;
        client.send(r#"422["kick"]"#).await;
        let told = r#"42["kicked",{"room":"table:1","reason":"cheated","data":7}]"#;
        client.expect(told).await;
        client.expect("432[]").await;
        client.send(r#"423["kick"]"#).await;
        client
            .expect(r#"433[{"error":"join a room table:{id} first"}]"#)
            .await;
        tables
            .hear(&["started table:1", "enter", "joined of 1"])
            .await;
        tables
            .hear(&["left: removed by the room, 0 stay", "stopping", "stopped"])
            .await;
        client.close().await;
    }
}

/// A room whose actor panics too often is closed: its members leave it, and stay connected.
#[on_both_servers]
async fn a_closed_room_keeps_no_members() {
    let server = start();
    let mut panics = panics_of(&server.io);
    let mut tables = rooms(&server.io);
    let mut client = Client::connected(&server, Via::WebSocket).await;
    client.send(r#"420["join","table:1"]"#).await;
    client.expect("430[]").await;
    for at in 1..=6 {
        client.send(&format!(r#"42{at}["boom"]"#)).await;
        let told = format!(r#"43{at}[{{"error":"internal server error"}}]"#);
        client.expect(&told).await;
        assert_eq!(
            panics.next().await.source,
            PanicSource::Room("table:1".to_owned())
        );
    }
    let main = server.io.of("/");
    until("the room to be closed", || main.room_count("table:1") == 0).await;
    tables.heard.so_far();
    client.send(r#"427["join","table:1"]"#).await;
    client.expect("437[]").await;
    tables
        .hear(&["started table:1", "enter", "joined of 1"])
        .await;
}

/// A namespace that ends with its last client ends with its actor, and begins with it again.
#[on_both_servers]
async fn a_namespace_that_is_removed_ends_with_its_actor() {
    let server = start();
    let mut tables = namespaces(&server.io);
    server.io.of_pattern("/table-{id}").unwrap();
    let (told, heard) = channel();
    let pattern = server.io.of_pattern("/free-{id}").unwrap();
    tables.rooms = pattern
        .remove_when_empty()
        .actor(factory(told, Gate::default()));
    tables.heard = heard;
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        client.connect("/free-1").await;
        tables
            .hear(&["started /free-1", "enter", "joined of 1"])
            .await;
        client.close().await;
        tables
            .hear(&["left: transport close, 0 stay", "stopping", "stopped"])
            .await;
        until("the namespace to end", || pattern.namespaces().is_empty()).await;
    }
}

/// An actor that is registered late knows the clients that are there; a second one is refused.
#[on_both_servers]
async fn an_actor_that_is_registered_late_hears_of_its_clients() {
    let server = start();
    let lobby = server.io.of("/lobby");
    let mut client = Client::open(&server, Via::WebSocket).await;
    client.connect("/lobby").await;
    let (told, mut heard) = channel();
    let rooms = lobby.actor(factory(told.clone(), Gate::default()));
    events(&rooms);
    assert_eq!(heard.next().await, "started /lobby");
    assert_eq!(heard.next().await, "joined of 1");
    lobby.actor(factory(told, Gate::default()));
    client.send(r#"42/lobby,1["add",1]"#).await;
    client.expect("43/lobby,1[1]").await;
    assert_eq!(rooms.address("/lobby").unwrap().send(Count).await, Ok(1));
}

/// An actor that stops by itself keeps its members; the next event starts another one.
#[on_both_servers]
async fn an_actor_that_stops_is_started_by_the_next_event() {
    let server = start();
    let mut tables = namespaces(&server.io);
    tables
        .rooms
        .on("stop", |_: &mut Table, ctx: &mut Context<Table>| ctx.stop());
    let mut client = Client::open(&server, Via::WebSocket).await;
    client.connect("/table-7").await;
    client.send(r#"42/table-7,1["stop"]"#).await;
    client.expect("43/table-7,1[]").await;
    tables
        .hear(&[
            "started /table-7",
            "enter",
            "joined of 1",
            "stopping",
            "stopped",
        ])
        .await;
    until("the actor to end", || {
        tables.rooms.address("/table-7").is_none()
    })
    .await;
    client.send(r#"42/table-7,2["add",1]"#).await;
    client.expect("43/table-7,2[1]").await;
    client.close().await;
    tables
        .hear(&["started /table-7", "add 1", "left: transport close, 0 stay"])
        .await;
    tables.hear(&["stopping", "stopped"]).await;
}

/// A client above the bound of an inbox is not read until the actor has handled its event; a client
/// of another room is.
#[on_both_servers]
async fn clients_above_the_bound_of_an_inbox_are_not_read() {
    let server = start();
    let mut tables = namespaces(&server.io);
    for (events, bytes) in [(2, 1 << 20), (1 << 10, 8)] {
        tables.rooms.inbox_limit(events, bytes);
        for via in BOTH {
            tables.gate.close();
            let mut client = Client::open(&server, via).await;
            let id = client.connect("/table-7").await;
            let socket = find(&server.io.of("/table-7"), &id);
            client.send(r#"42/table-7,1["wait"]"#).await;
            client.expect("43/table-7,1[]").await;
            tables
                .hear(&["started /table-7", "enter", "joined of 1", "wait"])
                .await;
            let before = socket.stats().packets_received();
            let received = || socket.stats().packets_received() - before;
            // "add" and "1" are 4 bytes: two events reach either bound, and the third is above it.
            for _ in 0..3 {
                client.send(r#"42/table-7,["add",1]"#).await;
            }
            until("three events to wait", || received() == 3).await;
            client.send(r#"42/table-7,["add",1]"#).await;
            let mut free = Client::open(&server, via).await;
            free.connect("/table-8").await;
            free.send(r#"42/table-8,1["add",1]"#).await;
            free.expect("43/table-8,1[1]").await;
            tables
                .hear(&["started /table-8", "enter", "joined of 1", "add 1"])
                .await;
            assert_eq!(received(), 3, "the fourth was not read");
            tables.gate.open();
            tables.hear(&["add 1", "add 1", "add 1", "add 1"]).await;
            client.close().await;
            tables
                .hear(&["left: transport close, 0 stay", "stopping", "stopped"])
                .await;
            free.close().await;
            tables
                .hear(&["left: transport close, 0 stay", "stopping", "stopped"])
                .await;
        }
    }
}

const WINDOW: Duration = Duration::from_secs(60);

/// Reads the CONNECT packet of a client that may return.
async fn enter(client: &mut Client, namespace: &str, auth: &str) -> (String, String) {
    client.send(&format!("40{namespace}{auth}")).await;
    let packet = client.text().await;
    let json = packet.strip_prefix(&format!("40{namespace}")).unwrap();
    let read: serde_json::Value = serde_json::from_str(json).unwrap();
    let text = |key: &str| read[key].as_str().unwrap().to_owned();
    (text("sid"), text("pid"))
}

/// A client whose connection broke keeps its seat: the actor hears that it was dropped, and that it
/// has returned; its questions are not asked again.
#[on_both_servers]
async fn a_client_that_returns_keeps_its_seat() {
    let server = Server::socketio(|io| io.connection_state_recovery(WINDOW), |_| ());
    let mut tables = namespaces(&server.io);
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        let (sid, pid) = enter(&mut client, "/table-7,", "").await;
        tables
            .hear(&["started /table-7", "enter", "joined of 1"])
            .await;
        client.send(r#"42/table-7,1["add",5]"#).await;
        client.expect("43/table-7,1[5]").await;
        client.close().await;
        tables.hear(&["add 5", "dropped: transport close"]).await;
        let mut client = Client::open(&server, via).await;
        let auth = format!(r#"{{"pid":"{pid}"}}"#);
        let (again, _) = enter(&mut client, "/table-7,", &auth).await;
        assert_eq!(again, sid);
        tables.hear(&["returned of 1"]).await;
        client.send(r#"42/table-7,1["add",1]"#).await;
        client.expect("43/table-7,1[6]").await;
        client.send("41/table-7,").await;
        tables
            .hear(&["add 1", "left: client namespace disconnect, 0 stay"])
            .await;
        tables.hear(&["stopping", "stopped"]).await;
    }
}

/// The same in a room, to which the client returns with the namespace.
#[on_both_servers]
async fn a_client_that_returns_keeps_its_seats_in_rooms() {
    let server = Server::socketio(|io| io.connection_state_recovery(WINDOW), |_| ());
    let mut tables = rooms(&server.io);
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        let (_, pid) = enter(&mut client, "", "").await;
        client.send(r#"421["join","table:1"]"#).await;
        client.expect("431[]").await;
        tables
            .hear(&["started table:1", "enter", "joined of 1"])
            .await;
        client.close().await;
        tables.hear(&["dropped: transport close"]).await;
        let mut client = Client::open(&server, via).await;
        enter(&mut client, "", &format!(r#"{{"pid":"{pid}"}}"#)).await;
        tables.hear(&["returned of 1"]).await;
        client.send("41").await;
        tables
            .hear(&[
                "left: client namespace disconnect, 0 stay",
                "stopping",
                "stopped",
            ])
            .await;
    }
}

/// The second connection of a client supersedes the first, which may not be known to be broken.
#[on_both_servers]
async fn a_superseded_client_is_dropped_and_returns() {
    let server = Server::socketio(|io| io.connection_state_recovery(WINDOW), |_| ());
    let mut tables = namespaces(&server.io);
    let mut client = Client::open(&server, Via::WebSocket).await;
    let (_, pid) = enter(&mut client, "/table-7,", "").await;
    let mut again = Client::open(&server, Via::WebSocket).await;
    enter(&mut again, "/table-7,", &format!(r#"{{"pid":"{pid}"}}"#)).await;
    tables
        .hear(&["started /table-7", "enter", "joined of 1"])
        .await;
    tables.hear(&["dropped: superseded", "returned of 1"]).await;
    drop(client);
    again.send("41/table-7,").await;
    tables
        .hear(&[
            "left: client namespace disconnect, 0 stay",
            "stopping",
            "stopped",
        ])
        .await;
}

/// A client that does not return in time has left.
#[on_both_servers]
async fn a_client_that_does_not_return_in_time_has_left() {
    let window = Duration::from_millis(20);
    let server = Server::socketio(move |io| io.connection_state_recovery(window), |_| ());
    let mut tables = namespaces(&server.io);
    let mut client = Client::open(&server, Via::WebSocket).await;
    enter(&mut client, "/table-7,", "").await;
    client.close().await;
    tables
        .hear(&["started /table-7", "enter", "joined of 1"])
        .await;
    tables.hear(&["dropped: transport close"]).await;
    tables
        .hear(&["left: transport close, 0 stay", "stopping", "stopped"])
        .await;
}
