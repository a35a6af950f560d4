//! The operator: who gets an event, how, and what many answer; sockets and rooms from outside.

use std::time::Duration;

use actix::{Actor, Context, Handler, System};
use actix_socketio::{
    CallError, CallMany, CloseRoom, ClusterResult, DisconnectSockets, Emit, EmitError,
    FetchSockets, JoinRooms, LeaveRooms, RemoteSocket, RoomEvent, RoomEventKind, Socket, SocketId,
    SocketIo,
};
use serde::{Serialize, Serializer};
use tokio::sync::mpsc::UnboundedSender;

use crate::support::socketio::{BOTH, Client, Peer, Via, find, leavers, start};
use crate::support::{Server, channel, within};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);

/// A value that cannot be written as JSON.
struct Unwritable;

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no words for it"))
    }
}

/// Reads a call of the event `ask` without arguments, and returns its id.
async fn asked(client: &mut Client) -> u64 {
    let packet = client.text().await;
    let id = packet
        .strip_prefix("42")
        .and_then(|rest| rest.strip_suffix(r#"["ask"]"#));
    id.unwrap_or_else(|| panic!("{packet}")).parse().unwrap()
}

async fn answer(client: &mut Client, value: &str) -> u64 {
    let id = asked(client).await;
    client.send(&format!("43{id}[{value}]")).await;
    id
}

/// Many rooms are a union: a socket in two of them gets an event once. An empty list is nobody.
#[on_both_servers]
async fn rooms_are_a_union_and_an_empty_list_addresses_no_socket() {
    let server = start();
    let io = &server.io;
    for via in BOTH {
        let mut ann = Peer::enter(&server, via, &["a", "b"]).await;
        let mut bob = Peer::enter(&server, via, &["b"]).await;
        let mut cid = Peer::enter(&server, via, &[]).await;
        io.to(["a", "b"]).emit("both", ()).await.unwrap();
        io.in_room(vec!["a".to_owned()])
            .to("b")
            .emit("both", ())
            .await
            .unwrap();
        io.to(["a", "b"].as_slice())
            .except(["b"])
            .emit("nobody", ())
            .await
            .unwrap();
        io.to([""; 0]).emit("nobody", ()).await.unwrap();
        io.to(Vec::<SocketId>::new())
            .emit("nobody", ())
            .await
            .unwrap();
        io.except([""; 0]).emit("all", ()).await.unwrap();
        io.to([ann.socket.id(), cid.socket.id()])
            .emit("ids", ())
            .await
            .unwrap();
        io.to(["a", "b"])
            .except(bob.socket.id())
            .emit("ann", ())
            .await
            .unwrap();
        for _ in 0..2 {
            ann.expect(r#"42["both"]"#).await;
            bob.expect(r#"42["both"]"#).await;
        }
        for peer in [&mut ann, &mut bob, &mut cid] {
            peer.expect(r#"42["all"]"#).await;
        }
        ann.expect(r#"42["ids"]"#).await;
        cid.expect(r#"42["ids"]"#).await;
        ann.expect(r#"42["ann"]"#).await;
        for peer in [&mut ann, &mut bob, &mut cid] {
            peer.expect_nothing_more().await;
        }
        let none: [&str; 0] = [];
        assert!(io.to(none).fetch_sockets().await.is_empty());
        assert_eq!(io.to(none).sockets_join("a").await.unwrap(), 0);
        assert_eq!(io.to(none).sockets_leave("a").await.unwrap(), 0);
        assert_eq!(io.to(none).disconnect_sockets(true).await.unwrap(), 0);
        assert_eq!(io.to(none).count(), 0);
        for peer in [ann, bob, cid] {
            peer.client.close().await;
        }
        crate::support::socketio::until("all to leave", || io.of("/").count() == 0).await;
    }
}

/// The same operator is made by the server, a namespace and a socket, and may be kept.
#[on_both_servers]
async fn server_namespace_and_socket_make_the_same_operator() {
    let server = start();
    let mut ann = Peer::enter(&server, Via::WebSocket, &["hall"]).await;
    let mut bob = Peer::enter(&server, Via::WebSocket, &["hall"]).await;
    let io = server.io.clone();
    let hall = io.to("hall");
    hall.clone().emit("server", 1).await.unwrap();
    hall.send("message of the server").await.unwrap();
    io.of("/").local().emit("namespace", 2).await.unwrap();
    io.of("/").send(("two", 2)).await.unwrap();
    io.send(()).await.unwrap();
    ann.socket
        .in_room("hall")
        .local()
        .emit("socket", 3)
        .await
        .unwrap();
    ann.socket.send(4).await.unwrap();
    ann.socket.local().send(5).await.unwrap();
    for peer in [&mut ann, &mut bob] {
        peer.expect(r#"42["server",1]"#).await;
        peer.expect(r#"42["message","message of the server"]"#)
            .await;
        peer.expect(r#"42["namespace",2]"#).await;
        peer.expect(r#"42["message","two",2]"#).await;
        peer.expect(r#"42["message"]"#).await;
    }
    bob.expect(r#"42["socket",3]"#).await;
    bob.expect(r#"42["message",5]"#).await;
    ann.expect(r#"42["message",4]"#).await;
    ann.expect_nothing_more().await;
    bob.expect_nothing_more().await;
}

/// `emit_sync`: from a thread that knows no runtime, in order.
#[on_both_servers]
async fn a_thread_without_a_runtime_emits() {
    let server = start();
    let mut ann = Peer::enter(&server, Via::WebSocket, &["hall"]).await;
    let (io, socket) = (server.io.clone(), ann.socket.clone());
    let thread = std::thread::spawn(move || {
        io.emit_sync("all", 1).unwrap();
        io.to("hall").emit_sync("hall", 2).unwrap();
        io.of("/").emit_sync("namespace", 3).unwrap();
        socket.emit_sync("socket", 4).unwrap();
        io.emit_sync("connect", 5).unwrap_err()
    });
    let error = thread.join().unwrap();
    assert_eq!(error.to_string(), r#"event name "connect" is reserved"#);
    for packet in ["all\",1", "hall\",2", "namespace\",3", "socket\",4"] {
        ann.expect(&format!(r#"42["{packet}]"#)).await;
    }
}

/// `volatile`: dropped where something waits, kept where nothing does, and the order stays.
#[on_both_servers]
async fn a_volatile_event_is_dropped_where_others_wait() {
    let server = start();
    // Nobody polls: what is emitted waits.
    let mut slow = Peer::enter(&server, Via::Polling, &["hall"]).await;
    let io = &server.io;
    io.volatile().emit("kept", 1).await.unwrap();
    io.to("hall").volatile().emit("dropped", 2).await.unwrap();
    slow.socket.volatile().emit("dropped", 3).await.unwrap();
    io.emit("order", 4).await.unwrap();
    io.server()
        .send(Emit::event("dropped", 5).volatile())
        .await
        .unwrap()
        .unwrap();
    let asked = io
        .volatile()
        .timeout(LONG)
        .emit_with_ack::<()>("dropped", 6)
        .await;
    let asked = within("the end", asked.unwrap().collect()).await;
    assert_eq!(asked.missing, [slow.socket.id()]);
    for packet in [r#"42["kept",1]"#, r#"42["order",4]"#] {
        slow.expect(packet).await;
    }
    slow.socket.volatile().emit("kept", 7).await.unwrap();
    slow.expect(r#"42["kept",7]"#).await;
    slow.expect_nothing_more().await;
}

/// `volatile`: who is not connected yet does not get it.
#[on_both_servers]
async fn a_volatile_event_does_not_wait_for_the_connect_packet() {
    let server = start();
    server.io.of("/").on_connect(|socket: Socket| async move {
        socket.volatile().emit("dropped", ()).await.unwrap();
        socket.emit("kept", ()).await.unwrap();
    });
    let mut client = Client::connected(&server, Via::WebSocket).await;
    client.expect(r#"42["kept"]"#).await;
    client.expect_nothing_more("/").await;
}

/// `call`: exactly one recipient, by a room of one or by an id; anything else is an error.
#[on_both_servers]
async fn a_call_goes_to_exactly_one_socket() {
    let server = start();
    let io = server.io.clone();
    let mut ann = Peer::enter(&server, Via::WebSocket, &["ann", "hall"]).await;
    let _bob = Peer::enter(&server, Via::WebSocket, &["hall"]).await;
    for (room, sockets) in [("hall", 2), ("nowhere", 0)] {
        let error = io.to(room).call::<u8>("ask", ()).await.unwrap_err();
        assert!(
            matches!(error, CallError::NotOneRecipient(n) if n == sockets),
            "{error}"
        );
        let text = format!("a call needs exactly 1 socket, but {sockets} are addressed");
        assert_eq!(error.to_string(), text);
    }
    let by_room = io.to("ann");
    let by_id = io.to(ann.socket.id());
    let alone = ann.socket.timeout(LONG);
    for operator in [by_room, by_id, alone] {
        let call = tokio::spawn(operator.call::<u8>("ask", ()));
        answer(&mut ann.client, "7").await;
        assert_eq!(within("the answer", call).await.unwrap().unwrap(), 7);
    }
    let limited = ann.socket.timeout(SHORT).call::<u8>("ask", ()).await;
    assert!(matches!(limited, Err(CallError::Timeout)));
    ann.expect_nothing_asked().await;
}

impl Peer {
    /// Reads a call that nobody waits for any more.
    async fn expect_nothing_asked(&mut self) {
        asked(&mut self.client).await;
        self.expect_nothing_more().await;
    }
}

/// `emit_with_ack` to many: one id for all, a stream of who answered what, and the end when all
/// have.
#[on_both_servers]
async fn many_answer_one_event_as_a_stream() {
    let server = start();
    for via in BOTH {
        let mut peers = Vec::new();
        for _ in 0..3 {
            peers.push(Peer::enter(&server, via, &["hall"]).await);
        }
        let operator = server.io.to("hall").timeout(LONG);
        let mut answers = operator.emit_with_ack::<u32>("ask", ()).await.unwrap();
        assert_eq!(answers.expected(), 3);
        assert_eq!(answers.missing().len(), 3);
        let mut ids = Vec::new();
        for (n, value) in [(2, "2"), (0, r#""no number""#), (1, "1")] {
            ids.push(answer(&mut peers[n].client, value).await);
            let (socket, value) = within("an answer", answers.next()).await.unwrap();
            assert_eq!(socket, Some(peers[n].socket.id()));
            match n {
                0 => assert!(value.is_err()),
                n => assert_eq!(value.unwrap(), n as u32),
            }
        }
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        assert!(within("the end", answers.next()).await.is_none());
        assert!(answers.missing().is_empty() && !answers.has_timed_out());
        for peer in peers {
            peer.client.close().await;
        }
        let io = server.io.of("/");
        crate::support::socketio::until("all to leave", || io.count() == 0).await;
    }
}

/// `emit_with_ack` to many ends early for those who leave.
#[on_both_servers]
async fn emit_with_ack_does_not_wait_for_disconnected_clients() {
    let server = start();
    let mut ann = Peer::enter(&server, Via::WebSocket, &["hall"]).await;
    let mut bob = Peer::enter(&server, Via::WebSocket, &["hall"]).await;
    let operator = server.io.to("hall").timeout(LONG);
    let answers = operator.emit_with_ack::<u32>("ask", ()).await.unwrap();
    let gathering = tokio::spawn(answers.collect());
    answer(&mut ann.client, "1").await;
    asked(&mut bob.client).await;
    bob.client.close().await;
    let gathered = within("the end", gathering).await.unwrap();
    assert_eq!(gathered.answers, [(Some(ann.socket.id()), 1)]);
    assert_eq!(gathered.missing, [bob.socket.id()]);
    assert!(!gathered.timed_out && gathered.unreadable.is_empty());
}

/// `emit_with_ack` to many is partial at the timeout, and says who was silent; a late answer means
/// nothing.
#[on_both_servers]
async fn at_the_timeout_the_answers_are_partial() {
    let server = Server::socketio(|builder| builder.ack_timeout(SHORT), |_| ());
    let mut ann = Peer::enter(&server, Via::WebSocket, &[]).await;
    let mut bob = Peer::enter(&server, Via::WebSocket, &[]).await;
    let answers = server.io.emit_with_ack::<String>("ask", ()).await.unwrap();
    let gathering = tokio::spawn(answers.collect());
    answer(&mut ann.client, r#""soon""#).await;
    let id = asked(&mut bob.client).await;
    let gathered = within("the end", gathering).await.unwrap();
    assert!(gathered.timed_out);
    // It may have been too slow itself.
    if !gathered.answers.is_empty() {
        assert_eq!(
            gathered.answers,
            [(Some(ann.socket.id()), "soon".to_owned())]
        );
    }
    assert!(gathered.missing.contains(&bob.socket.id()));
    bob.client.send(&format!("43{id}[1]")).await;
    bob.expect_nothing_more().await;
}

/// `emit_with_ack` to nobody ends at once; one that is dropped leaves no call behind.
#[on_both_servers]
async fn ack_stream_to_nobody_ends_at_once() {
    let server = Server::socketio(|builder| builder.pending_calls(1), |_| ());
    let none = server
        .io
        .to("nowhere")
        .emit_with_ack::<u8>("ask", ())
        .await
        .unwrap();
    let none = within("the end", none.collect()).await;
    assert!(none.answers.is_empty() && none.missing.is_empty() && !none.timed_out);

    let mut ann = Peer::enter(&server, Via::WebSocket, &[]).await;
    let first = server.io.emit_with_ack::<u8>("ask", ()).await.unwrap();
    asked(&mut ann.client).await;
    // As many calls wait as may: the second is not sent, and not waited for.
    let second = server.io.emit_with_ack::<u8>("ask", ()).await.unwrap();
    let second = within("the end", second.collect()).await;
    assert_eq!(second.missing, [ann.socket.id()]);
    assert!(!second.timed_out);
    ann.expect_nothing_more().await;
    drop(first);
    let third = server.io.emit_with_ack::<u8>("ask", ()).await.unwrap();
    answer(&mut ann.client, "3").await;
    let third = within("the end", third.collect()).await;
    assert_eq!(third.answers, [(Some(ann.socket.id()), 3)]);
}

/// A value that cannot be written is an error at the call, and nothing is sent; so is a reserved
/// name.
#[on_both_servers]
async fn failed_emit_is_an_error_and_sends_nothing() {
    let server = start();
    let mut ann = Peer::enter(&server, Via::WebSocket, &["hall"]).await;
    let io = &server.io;
    let text = "data cannot be sent: the arguments cannot be written: no words for it";
    let errors = [
        io.emit("e", Unwritable).await.unwrap_err(),
        io.to("hall").send(Unwritable).await.unwrap_err(),
        io.to("hall").emit_sync("e", Unwritable).unwrap_err(),
        io.emit_with_ack::<()>("e", Unwritable).await.unwrap_err(),
        ann.socket.send(Unwritable).await.unwrap_err(),
        ann.socket
            .volatile()
            .emit("e", Unwritable)
            .await
            .unwrap_err(),
        io.server()
            .send(Emit::event("e", Unwritable))
            .await
            .unwrap()
            .unwrap_err(),
        io.server()
            .send(CallMany::event("e", Unwritable))
            .await
            .unwrap()
            .unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.to_string(), text);
    }
    let error = io.to("hall").call::<()>("e", Unwritable).await.unwrap_err();
    assert_eq!(error.to_string(), text);
    let error = io.emit_with_ack::<()>("disconnect", ()).await.unwrap_err();
    assert!(matches!(error, EmitError::ReservedEvent(name) if name == "disconnect"));
    ann.expect_nothing_more().await;
}

/// Sockets from outside: found, counted, put into rooms and out of them, and disconnected.
#[on_both_servers]
async fn sockets_are_moved_from_outside() {
    let server = start();
    let io = server.io.clone();
    let ann = Peer::enter(&server, Via::WebSocket, &["a"]).await;
    let mut bob = Peer::enter(&server, Via::WebSocket, &["b"]).await;
    let sorted = |sockets: ClusterResult<Vec<RemoteSocket>>| {
        assert!(sockets.coverage().is_complete());
        let mut ids: Vec<_> = sockets.iter().map(RemoteSocket::id).collect();
        ids.sort();
        ids
    };
    let mut both = [ann.socket.id(), bob.socket.id()];
    both.sort();
    assert_eq!(sorted(io.fetch_sockets().await), both);
    assert_eq!(sorted(io.to("a").fetch_sockets().await), [ann.socket.id()]);
    assert_eq!(
        sorted(io.except("a").fetch_sockets().await),
        [bob.socket.id()]
    );
    let others = ann.socket.broadcast().fetch_sockets().await;
    assert_eq!(sorted(others), [bob.socket.id()]);

    assert_eq!(io.sockets_join(["x", "y"]).await.unwrap(), 2);
    assert_eq!(io.to("a").sockets_join("only").await.unwrap(), 1);
    assert_eq!(sorted(io.to("x").fetch_sockets().await), both);
    assert_eq!(ann.socket.rooms(), ["a", "x", "y", "only"]);
    assert_eq!((io.of("/").room_count("x"), io.to("only").count()), (2, 1));
    assert_eq!((io.to(["a", "b"]).count(), io.except("a").count()), (2, 1));
    let mut rooms = io.rooms();
    rooms.sort();
    assert_eq!(rooms, ["a", "b", "only", "x", "y"]);

    assert_eq!(io.to("only").sockets_leave(["x", "only"]).await.unwrap(), 1);
    assert_eq!(
        (io.of("/").room_count("x"), io.of("/").room_count("only")),
        (1, 0)
    );
    ann.socket.join(["p", "q"]).await.unwrap();
    ann.socket.leave(["a", "y", "p"]).await.unwrap();
    assert_eq!(ann.socket.rooms(), ["q"]);

    assert_eq!(io.close_room("y").await.unwrap(), 1);
    assert_eq!(
        (
            io.close_room("y").await.unwrap(),
            io.of("/").room_count("y")
        ),
        (0, 0)
    );
    assert_eq!(bob.socket.rooms(), ["b", "x"]);
    // A client whose room was closed is still connected.
    io.to("x").emit("still", ()).await.unwrap();
    bob.expect(r#"42["still"]"#).await;

    let mut left = leavers(&io.of("/"));
    assert_eq!(io.to("x").disconnect_sockets(false).await.unwrap(), 1);
    bob.expect("41").await;
    assert_eq!(left.next().await, "server namespace disconnect");
    assert_eq!(io.clients_count(), 2);
    bob.client.connect("/").await;
}

/// `disconnect(true)`: the client leaves all its namespaces, is told so of each, and its session
/// ends.
#[on_both_servers]
async fn a_disconnect_that_closes_ends_the_whole_session() {
    let server = start();
    let (main, chat) = (server.io.of("/"), server.io.of("/chat"));
    let (mut left_main, mut left_chat) = (leavers(&main), leavers(&chat));
    for via in BOTH {
        for from_outside in [false, true] {
            let mut client = Client::open(&server, via).await;
            let id = client.connect("/").await;
            client.connect("/chat").await;
            if from_outside {
                assert_eq!(main.disconnect_sockets(true).await.unwrap(), 1);
            } else {
                find(&main, &id).disconnect(true);
            }
            client.expect("41").await;
            client.expect("41/chat,").await;
            client.expect_close().await;
            assert_eq!(left_main.next().await, "server namespace disconnect");
            assert_eq!(left_chat.next().await, "server namespace disconnect");
            crate::support::socketio::until("the session to end", || {
                server.io.clients_count() == 0
            })
            .await;
        }
    }
}

struct Watch(UnboundedSender<(String, RoomEventKind)>);

impl Actor for Watch {
    type Context = Context<Self>;
}

impl Handler<RoomEvent> for Watch {
    type Result = ();

    fn handle(&mut self, event: RoomEvent, _: &mut Self::Context) {
        assert_eq!(&*event.namespace, "/");
        let _ = self.0.send((event.room.to_string(), event.change));
    }
}

/// `watch_rooms`: created, joined, left and deleted, in the order of the changes; the room of an id
/// is none of them, and a join that changes nothing is none.
#[on_both_servers]
async fn room_events_come_in_the_order_of_the_changes() {
    let server = start();
    let (told, mut events) = channel();
    // An actor lives in a system: on a thread of its own.
    let (sender, started) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        System::new().block_on(async move {
            sender.send(Watch(told).start().recipient()).unwrap();
            std::future::pending::<()>().await;
        });
    });
    server.io.of("/").watch_rooms(started.recv().unwrap());
    let ann = Peer::enter(&server, Via::WebSocket, &["a", "a"]).await;
    let bob = Peer::enter(&server, Via::WebSocket, &["a", "b"]).await;
    bob.socket.leave(["b", "nowhere"]).await.unwrap();
    ann.client.close().await;
    let (ann, bob) = (ann.socket.id(), bob.socket.id());
    for (room, change) in [
        ("a", RoomEventKind::Created),
        ("a", RoomEventKind::Joined(ann.clone())),
        ("a", RoomEventKind::Joined(bob.clone())),
        ("b", RoomEventKind::Created),
        ("b", RoomEventKind::Joined(bob.clone())),
        ("b", RoomEventKind::Left(bob.clone())),
        ("b", RoomEventKind::Deleted),
        ("a", RoomEventKind::Left(ann)),
    ] {
        assert_eq!(events.next().await, (room.to_owned(), change));
    }
    server.io.close_room("a").await.unwrap();
    assert_eq!(
        events.next().await,
        ("a".to_owned(), RoomEventKind::Left(bob))
    );
    assert_eq!(
        events.next().await,
        ("a".to_owned(), RoomEventKind::Deleted)
    );
}

/// Actors' messages have the operator's words, and mean the same.
#[on_both_servers]
async fn messages_to_the_server_do_what_the_operator_does() {
    let server: Server<SocketIo> = start();
    let actor = server.io.server();
    let mut ann = Peer::enter(&server, Via::WebSocket, &["a"]).await;
    let bob = Peer::enter(&server, Via::WebSocket, &["b"]).await;
    let emit = Emit::event("e", 1)
        .in_room(["a", "b"])
        .except(bob.socket.id());
    actor.send(emit).await.unwrap().unwrap();
    ann.expect(r#"42["e",1]"#).await;
    let fetch = FetchSockets::default().to("a");
    assert_eq!(actor.send(fetch).await.unwrap(), [ann.socket.id()]);
    let nowhere = FetchSockets::default().of("/nowhere");
    assert_eq!(actor.send(nowhere).await.unwrap(), []);
    assert_eq!(
        actor
            .send(FetchSockets::default().to([""; 0]))
            .await
            .unwrap(),
        []
    );
    assert_eq!(
        actor
            .send(JoinRooms::named(["x", "y"]).except("b"))
            .await
            .unwrap(),
        Ok(1)
    );
    assert_eq!(ann.socket.rooms(), ["a", "x", "y"]);
    let leave = LeaveRooms::named("x").to("y");
    assert_eq!(actor.send(leave).await.unwrap(), Ok(1));
    assert_eq!(actor.send(CloseRoom::named("y")).await.unwrap(), Ok(1));
    assert_eq!(
        actor
            .send(CloseRoom::named("y").of("nowhere"))
            .await
            .unwrap(),
        Ok(0)
    );
    assert_eq!(ann.socket.rooms(), ["a"]);
}

/// `CallMany`, `DisconnectSockets`: the same for what many answer, and for their end.
#[on_both_servers]
async fn messages_to_the_server_call_and_disconnect_many_sockets() {
    let server: Server<SocketIo> = start();
    let actor = server.io.server();
    let mut ann = Peer::enter(&server, Via::WebSocket, &["a"]).await;
    let mut bob = Peer::enter(&server, Via::WebSocket, &["b"]).await;
    let call = CallMany::event("ask", ()).to(["a", "b"]).timeout(LONG);
    let gathering = tokio::spawn(actor.send(call));
    answer(&mut ann.client, "1").await;
    answer(&mut bob.client, r#""two",2"#).await;
    let gathered = within("the answers", gathering)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let mut answers: Vec<_> = gathered
        .answers
        .iter()
        .map(|(id, args)| (id.clone(), args.as_json().to_owned()))
        .collect();
    answers.sort_by_key(|(_, json)| json.clone());
    let expected = [(bob.socket.id(), r#""two",2"#), (ann.socket.id(), "1")];
    assert_eq!(
        answers,
        expected.map(|(id, json)| (Some(id), json.to_owned()))
    );

    let disconnect = DisconnectSockets::default().to("b");
    assert_eq!(actor.send(disconnect).await.unwrap(), Ok(1));
    bob.expect("41").await;
    crate::support::socketio::until("bob to have left", || server.io.of("/").count() == 1).await;
    assert_eq!(
        actor
            .send(DisconnectSockets::default().close())
            .await
            .unwrap(),
        Ok(1)
    );
    ann.expect("41").await;
    ann.client.expect_close().await;
}
