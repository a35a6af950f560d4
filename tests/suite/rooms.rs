//! docs/semantics.md, Rooms: the members of a room get its events once and in order, from every
//! thread.

use std::time::Duration;

use actix::{Actor, Addr, Context, Handler, ResponseFuture};
use actix_socketio::{
    Args, Call, CallError, Data, Disconnect, DisconnectReason, Emit, EmitError, ListMembers, Room,
    RoomError, Socket, SocketId,
};
use actix_web::rt::System;

use crate::support::socketio::{BOTH, Client, Peer, Via, find, start, until, until_ended};
use crate::support::{Server, channel};

fn ids(sockets: &[&Socket]) -> Vec<SocketId> {
    let mut ids: Vec<_> = sockets.iter().map(|socket| socket.id()).collect();
    ids.sort();
    ids
}

async fn members(room: &Addr<Room>) -> Vec<SocketId> {
    let mut members = room.send(ListMembers).await.unwrap();
    members.sort();
    members
}

/// Runs a future where there is no actix system: on a thread of its own.
fn elsewhere<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    let work = move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(future)
    };
    std::thread::spawn(work).join().unwrap()
}

/// `Socket::join`: done when it returns, so that the next emit to the room reaches the socket.
#[on_both_servers]
async fn a_join_is_seen_by_the_next_emit() {
    let server = start();
    server.io.of("/").on(
        "join",
        |socket: Socket, Data(room): Data<String>| async move {
            socket.join(&room).await.map_err(|e| e.to_string())?;
            let joined = socket.everyone().to(&room).emit("joined", &room).await;
            joined.map_err(|e| e.to_string())
        },
    );
    for via in BOTH {
        for round in 0..20 {
            let mut client = Client::connected(&server, via).await;
            client.send(&format!(r#"421["join","hall {round}"]"#)).await;
            client
                .expect(&format!(r#"42["joined","hall {round}"]"#))
                .await;
            client.expect("431[]").await;
        }
    }
}

/// `Socket::to`, `broadcast`, `everyone`, `except`: the sender is left out unless it says everyone.
#[on_both_servers]
async fn the_sender_is_left_out_unless_it_says_everyone() {
    let server = start();
    for via in BOTH {
        let mut ann = Peer::enter(&server, via, &["hall"]).await;
        let mut bob = Peer::enter(&server, via, &["hall"]).await;
        let mut cid = Peer::enter(&server, via, &["attic"]).await;
        let socket = ann.socket.clone();
        socket.to("hall").emit("to", 1).await.unwrap();
        socket.broadcast().emit("broadcast", 1).await.unwrap();
        socket.except("attic").emit("except", 1).await.unwrap();
        socket.everyone().emit("everyone", 1).await.unwrap();
        socket.everyone().to("hall").emit("hall", 1).await.unwrap();
        socket
            .everyone()
            .except("hall")
            .emit("others", 1)
            .await
            .unwrap();
        for packet in [r#"42["everyone",1]"#, r#"42["hall",1]"#] {
            ann.expect(packet).await;
        }
        for packet in [
            r#"42["to",1]"#,
            r#"42["broadcast",1]"#,
            r#"42["except",1]"#,
            r#"42["everyone",1]"#,
            r#"42["hall",1]"#,
        ] {
            bob.expect(packet).await;
        }
        for packet in [
            r#"42["broadcast",1]"#,
            r#"42["everyone",1]"#,
            r#"42["others",1]"#,
        ] {
            cid.expect(packet).await;
        }
        for peer in [&mut ann, &mut bob, &mut cid] {
            peer.expect_nothing_more().await;
            peer.client.send("41").await;
        }
        until("everybody to leave", || server.io.of("/").count() == 0).await;
    }
}

/// Rooms are a union: a socket in several of them gets the event once.
#[on_both_servers]
async fn a_socket_in_several_rooms_gets_an_event_once() {
    let server = start();
    let mut both = Peer::enter(&server, Via::WebSocket, &["a", "b"]).await;
    let mut one = Peer::enter(&server, Via::Polling, &["b"]).await;
    let mut muted = Peer::enter(&server, Via::WebSocket, &["a", "muted"]).await;
    let own = both.socket.id();
    let io = &server.io;
    let to_all = io.to("a").to("b").to("b").to(own).to("nobody here");
    to_all.except("muted").emit("once", 1).await.unwrap();
    both.expect(r#"42["once",1]"#).await;
    one.expect(r#"42["once",1]"#).await;
    for peer in [&mut both, &mut one, &mut muted] {
        peer.expect_nothing_more().await;
    }
}

/// A socket's id is the name of a room that holds this socket alone.
#[on_both_servers]
async fn a_sockets_id_is_a_room_of_its_own() {
    let server = start();
    let mut ann = Peer::enter(&server, Via::WebSocket, &[]).await;
    let mut bob = Peer::enter(&server, Via::Polling, &["hall"]).await;
    let io = &server.io;
    io.to(ann.socket.id()).emit("to", 1).await.unwrap();
    io.except(ann.socket.id()).emit("except", 2).await.unwrap();
    bob.socket
        .to(ann.socket.id())
        .emit("from bob", 3)
        .await
        .unwrap();
    bob.socket
        .to(bob.socket.id())
        .emit("to myself", 4)
        .await
        .unwrap();
    let hall = io.to("hall").except(bob.socket.id());
    hall.emit("hall", 5).await.unwrap();
    ann.expect(r#"42["to",1]"#).await;
    ann.expect(r#"42["from bob",3]"#).await;
    bob.expect(r#"42["except",2]"#).await;
    ann.expect_nothing_more().await;
    bob.expect_nothing_more().await;
    assert_eq!(ann.socket.rooms(), [""; 0]);
    let own = io.of("/").room(ann.socket.id().to_string()).await;
    assert_eq!(own.unwrap_err(), RoomError::NoSuchRoom);
}

/// `Socket::leave` and `Socket::rooms`.
#[on_both_servers]
async fn a_socket_that_left_a_room_gets_no_events_of_it() {
    let server = start();
    let mut ann = Peer::enter(&server, Via::WebSocket, &["a", "b", "a"]).await;
    let mut rooms = ann.socket.rooms();
    rooms.sort();
    assert_eq!(rooms, ["a", "b"]);
    ann.socket.leave("a").await.unwrap();
    ann.socket.leave("never joined").await.unwrap();
    assert_eq!(ann.socket.rooms(), ["b"]);
    server.io.to("a").emit("a", ()).await.unwrap();
    server.io.to("b").emit("b", ()).await.unwrap();
    ann.expect(r#"42["b"]"#).await;
    ann.expect_nothing_more().await;
}

/// A room starts with the first join and ends with the last leave, or with the last one's session.
#[on_both_servers]
async fn a_room_ends_with_its_last_member() {
    let server = start();
    let namespace = server.io.of("/");
    let (left, mut leavers) = channel();
    namespace.on_disconnect(move |socket: Socket| {
        let _ = left.send(socket.id());
        async {}
    });
    let missing = namespace.room("hall").await;
    assert_eq!(missing.unwrap_err(), RoomError::NoSuchRoom);
    let ann = Peer::enter(&server, Via::WebSocket, &["hall"]).await;
    let bob = Peer::enter(&server, Via::Polling, &["hall"]).await;
    let room = namespace.room("hall").await.unwrap();
    assert_eq!(members(&room).await, ids(&[&ann.socket, &bob.socket]));
    ann.socket.leave("hall").await.unwrap();
    assert_eq!(members(&room).await, ids(&[&bob.socket]));
    let bob_id = bob.socket.id();
    bob.client.close().await;
    assert_eq!(leavers.next().await, bob_id);
    until_ended(&namespace, "hall").await;
    assert!(room.send(ListMembers).await.is_err());
    ann.socket.join("hall").await.unwrap();
    let again = namespace.room("hall").await.unwrap();
    assert_eq!(members(&again).await, ids(&[&ann.socket]));
}

/// `RoomError::Disconnected`: who has gone joins nothing, and is left in no room.
#[on_both_servers]
async fn a_disconnected_socket_joins_no_room() {
    let server = start();
    let ann = Peer::enter(&server, Via::WebSocket, &["hall"]).await;
    ann.socket.disconnect(false);
    let joined = ann.socket.join("attic").await;
    assert_eq!(joined, Err(RoomError::Disconnected));
    assert_eq!(ann.socket.rooms(), [""; 0]);
    for room in ["hall", "attic"] {
        let gone = server.io.of("/").room(room).await;
        assert_eq!(gone.unwrap_err(), RoomError::NoSuchRoom, "{room}");
    }
    let error = ann.socket.emit("a", ()).await.unwrap_err();
    assert!(matches!(error, EmitError::Disconnected), "{error}");
}

/// `Addr<Room>`: takes `Emit` from any thread, and keeps to its members.
#[on_both_servers]
async fn a_rooms_address_emits_to_its_members() {
    let server = start();
    let mut ann = Peer::enter(&server, Via::WebSocket, &["hall"]).await;
    let mut bob = Peer::enter(&server, Via::Polling, &["hall"]).await;
    let mut cid = Peer::enter(&server, Via::Polling, &["attic"]).await;
    let room = server.io.of("/").room("hall").await.unwrap();
    let bob_id = bob.socket.id();
    elsewhere(async move {
        let all = Emit::event("all", (1, "a"));
        room.send(all).await.unwrap().unwrap();
        // A room ignores the other rooms and the namespace of the message.
        let some = Emit::event("some", ()).to("attic").of("/other");
        room.send(some.except(bob_id)).await.unwrap().unwrap();
        let reserved = room.send(Emit::event("connect", ())).await.unwrap();
        assert!(matches!(reserved, Err(EmitError::ReservedEvent(name)) if name == "connect"));
    });
    ann.expect(r#"42["all",1,"a"]"#).await;
    ann.expect(r#"42["some"]"#).await;
    bob.expect(r#"42["all",1,"a"]"#).await;
    for peer in [&mut ann, &mut bob, &mut cid] {
        peer.expect_nothing_more().await;
    }
}

/// `Addr<Server>`: takes `Emit`, `Call` and `Disconnect` from a thread without actix.
#[on_both_servers]
async fn the_servers_address_is_good_on_any_thread() {
    let server = start();
    server.io.of("/chat");
    let mut ann = Peer::enter(&server, Via::WebSocket, &["hall"]).await;
    let mut bob = Peer::enter(&server, Via::Polling, &["hall"]).await;
    let chat = ann.client.connect("/chat").await;
    let address = server.io.server();
    let (ann_id, bob_id) = (ann.socket.id(), bob.socket.id());
    let talk = std::thread::spawn(move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(async {
            let emit = |emit| address.send(emit);
            emit(Emit::event("all", ())).await.unwrap().unwrap();
            emit(Emit::event("hall", 1).to("hall").except(&ann_id))
                .await
                .unwrap()
                .unwrap();
            emit(Emit::event("chat", 2).of("/chat"))
                .await
                .unwrap()
                .unwrap();
            emit(Emit::event("chat", 3).of("chat").to(&chat))
                .await
                .unwrap()
                .unwrap();
            emit(Emit::event("nobody", 4).of("/nowhere"))
                .await
                .unwrap()
                .unwrap();
            let call = Call::to(ann_id)
                .event("ask", "age")
                .timeout(Duration::from_secs(5));
            let answer = address.send(call).await.unwrap().unwrap();
            assert_eq!(answer.read::<(u8, String)>().unwrap(), (36, "Ada".into()));
            assert!(address.send(Disconnect(bob_id.clone())).await.unwrap());
            let nobody: SocketId = "AAAAAAAAAAAAAAAAAAAA".parse().unwrap();
            assert!(!address.send(Disconnect(nobody)).await.unwrap());
            let gone = address.send(Call::to(bob_id)).await.unwrap();
            assert!(matches!(gone, Err(CallError::Disconnected)), "{gone:?}");
        });
    });
    ann.expect(r#"42["all"]"#).await;
    ann.expect(r#"42/chat,["chat",2]"#).await;
    ann.expect(r#"42/chat,["chat",3]"#).await;
    let ask = ann.client.text().await;
    let id = ask
        .strip_prefix("42")
        .and_then(|ask| ask.strip_suffix(r#"["ask","age"]"#));
    ann.client
        .send(&format!(r#"43{}[36,"Ada"]"#, id.unwrap()))
        .await;
    bob.expect(r#"42["all"]"#).await;
    bob.expect(r#"42["hall",1]"#).await;
    bob.expect("41").await;
    talk.join().unwrap();
    ann.expect_nothing_more().await;
}

/// An actor of the program: it asks a socket, and tells a room.
struct Referee {
    server: Addr<actix_socketio::Server>,
}

impl Actor for Referee {
    type Context = Context<Self>;
}

#[derive(actix::Message)]
#[rtype(result = "Result<u32, CallError>")]
struct Ask(SocketId);

impl Handler<Ask> for Referee {
    type Result = ResponseFuture<Result<u32, CallError>>;

    fn handle(&mut self, Ask(id): Ask, _: &mut Self::Context) -> Self::Result {
        let server = self.server.clone();
        Box::pin(async move {
            let answer: Args = server.send(Call::to(id).event("ask", ())).await.unwrap()?;
            let goals = answer.read().map_err(CallError::Answer)?;
            server.do_send(Emit::event("goals", goals).to("stadium"));
            Ok(goals)
        })
    }
}

/// `Addr<Server>`: actors use it like any other address.
#[on_both_servers]
async fn the_servers_address_is_good_in_an_actor() {
    let server = start();
    let mut ann = Peer::enter(&server, Via::WebSocket, &["stadium"]).await;
    let (address, id) = (server.io.server(), ann.socket.id());
    let asking = std::thread::spawn(move || {
        System::new().block_on(async move {
            let referee = Referee { server: address }.start();
            referee.send(Ask(id)).await.unwrap().unwrap()
        })
    });
    let ask = ann.client.text().await;
    let ack = ask
        .strip_prefix("42")
        .and_then(|ask| ask.strip_suffix(r#"["ask"]"#));
    ann.client.send(&format!("43{}[3]", ack.unwrap())).await;
    ann.expect(r#"42["goals",3]"#).await;
    assert_eq!(asking.join().unwrap(), 3);
}

/// Namespaces have nothing in common: neither rooms, nor broadcasts, nor ids.
#[on_both_servers]
async fn namespaces_share_no_rooms_broadcasts_or_ids() {
    let server = start();
    let (main, chat) = (server.io.of("/"), server.io.of("/chat"));
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        let main_id = client.connect("/").await;
        let chat_id = client.connect("/chat").await;
        find(&main, &main_id).join("hall").await.unwrap();
        find(&chat, &chat_id).join("hall").await.unwrap();
        assert!(main.socket(chat_id.parse().unwrap()).is_none());
        server.io.emit("main", 1).await.unwrap();
        chat.emit("chat", 2).await.unwrap();
        main.to("hall").emit("main hall", 3).await.unwrap();
        chat.to("hall").emit("chat hall", 4).await.unwrap();
        main.to(&chat_id).emit("nobody", 5).await.unwrap();
        chat.except("hall").emit("nobody", 6).await.unwrap();
        for packet in [
            r#"42["main",1]"#,
            r#"42/chat,["chat",2]"#,
            r#"42["main hall",3]"#,
            r#"42/chat,["chat hall",4]"#,
        ] {
            client.expect(packet).await;
        }
        client.expect_nothing_more("/chat").await;
        client.send("41/chat,").await;
        client.expect_nothing_more("/").await;
        client.close().await;
        until("everybody to leave", || main.count() + chat.count() == 0).await;
    }
}

/// `SocketIo::of`: the slash in front may be left out.
#[on_both_servers]
async fn a_namespaces_slash_may_be_left_out() {
    let server = start();
    assert_eq!(server.io.of("chat").name(), "/chat");
    assert_eq!(server.io.of("").name(), "/");
    let mut client = Client::open(&server, Via::WebSocket).await;
    client.connect("/chat").await;
    server.io.of("chat").emit("a", 1).await.unwrap();
    client.expect(r#"42/chat,["a",1]"#).await;
}

/// docs/semantics.md, Workers: the sessions of a room may live on several workers.
#[on_both_servers]
async fn a_room_spans_all_workers() {
    let server = Server::socketio_on(4, |io| io, |_| ());
    let (left, mut leavers) = channel();
    server
        .io
        .of("/")
        .on_disconnect(move |_: Socket, reason: DisconnectReason| {
            let _ = left.send(reason.as_str());
            async {}
        });
    let mut peers = Vec::new();
    for n in 0..16 {
        peers.push(Peer::enter(&server, BOTH[n % 2], &["hall"]).await);
    }
    let room = server.io.of("/").room("hall").await.unwrap();
    let all: Vec<&Socket> = peers.iter().map(|peer| &peer.socket).collect();
    assert_eq!(members(&room).await, ids(&all));
    for (n, sender) in peers.iter().take(10).enumerate() {
        let hall = sender.socket.everyone().to("hall");
        hall.emit("n", n).await.unwrap();
    }
    for peer in &mut peers {
        for n in 0..10 {
            peer.expect(&format!(r#"42["n",{n}]"#)).await;
        }
    }
    for peer in peers {
        peer.client.close().await;
        assert_eq!(leavers.next().await, "transport close");
    }
    until_ended(&server.io.of("/"), "hall").await;
}

/// Sockets join and leave on every thread at once, and nobody is lost or left behind.
#[on_both_servers]
async fn concurrent_joins_and_leaves_are_consistent() {
    let server = Server::socketio_on(4, |io| io, |_| ());
    let mut peers = Vec::new();
    for n in 0..8 {
        peers.push(Peer::enter(&server, BOTH[n % 2], &[]).await);
    }
    let moves = peers.iter().map(|peer| {
        let socket = peer.socket.clone();
        tokio::spawn(async move {
            for n in 0..20 {
                socket.join("hall").await.unwrap();
                socket.join(format!("room {n}")).await.unwrap();
                socket.leave("hall").await.unwrap();
            }
            socket.join("hall").await.unwrap();
        })
    });
    for moved in moves.collect::<Vec<_>>() {
        moved.await.unwrap();
    }
    let all: Vec<&Socket> = peers.iter().map(|peer| &peer.socket).collect();
    for room in ["hall", "room 0", "room 19"] {
        let room = server.io.of("/").room(room).await.unwrap();
        assert_eq!(members(&room).await, ids(&all));
    }
    assert_eq!(peers[0].socket.rooms().len(), 21);
}
