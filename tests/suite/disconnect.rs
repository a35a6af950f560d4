//! Why a socket has left: each reason with its text, told once to each socket, and nothing left
//! behind.

use std::time::Duration;

use actix_socketio::{CloseReason, DisconnectReason, Socket, SocketIo};

use crate::support::socketio::{BOTH, Client, Via, find, start, until};
use crate::support::{Heard, Polling, Server, WebSocket, channel, recording};

type Left = (String, DisconnectReason, &'static str);

/// Tells who has left the namespaces `/` and `/chat`, and why.
fn watch(io: &SocketIo) -> Heard<Left> {
    let (left, leavers) = channel();
    for name in ["/", "/chat"] {
        let left = left.clone();
        io.of(name)
            .on_disconnect(move |socket: Socket, reason: DisconnectReason| {
                let _ = left.send((socket.id().to_string(), reason, reason.as_str()));
                async {}
            });
    }
    leavers
}

fn session(id: &str, reason: CloseReason, text: &'static str) -> Left {
    (id.to_owned(), DisconnectReason::Session(reason), text)
}

/// Expects the server to know nobody any more.
async fn expect_empty(server: &Server<SocketIo>) {
    until("the last client to go", || {
        let io = &server.io;
        io.clients_count() + io.of("/").count() + io.of("/chat").count() == 0
    })
    .await;
}

/// Socket.IO v5, Disconnection from a namespace: by the client; its session goes on.
#[on_both_servers]
async fn client_namespace_disconnect() {
    let server = start();
    let mut leavers = watch(&server.io);
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        let main = client.connect("/").await;
        let chat = client.connect("/chat").await;
        client.send("41/chat,").await;
        let reason = DisconnectReason::ClientNamespaceDisconnect;
        let text = "client namespace disconnect";
        assert_eq!(leavers.next().await, (chat, reason, text));
        client.expect_nothing_more("/").await;
        client.send("41").await;
        assert_eq!(leavers.next().await, (main, reason, text));
        // The session is there still, with nobody in it.
        let again = client.connect("/chat").await;
        client.close().await;
        let closed = session(&again, CloseReason::TransportClose, "transport close");
        assert_eq!(leavers.next().await, closed);
        expect_empty(&server).await;
    }
}

/// Socket.IO v5, Disconnection from a namespace: by the server; the client is told, its session
/// goes on.
#[on_both_servers]
async fn server_namespace_disconnect() {
    let server = start();
    let mut leavers = watch(&server.io);
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        client.connect("/").await;
        let chat = client.connect("/chat").await;
        let socket = server.io.of("/chat").socket(chat.parse().unwrap()).unwrap();
        socket.emit("before", ()).await.unwrap();
        socket.disconnect(false);
        socket.disconnect(false);
        assert!(socket.emit("after", ()).await.is_err());
        client.expect(r#"42/chat,["before"]"#).await;
        client.expect("41/chat,").await;
        let reason = DisconnectReason::ServerNamespaceDisconnect;
        let told = (chat, reason, "server namespace disconnect");
        assert_eq!(leavers.next().await, told);
        client.expect_nothing_more("/").await;
        assert_eq!(leavers.so_far(), []);
        client.connect("/chat").await;
        client.close().await;
        leavers.next().await;
        leavers.next().await;
        expect_empty(&server).await;
    }
}

/// A handler may send its own client away.
#[on_both_servers]
async fn a_handler_may_disconnect_its_socket() {
    let server = start();
    let mut leavers = watch(&server.io);
    server.io.of("/").on(
        "bye",
        |socket: Socket| async move { socket.disconnect(false) },
    );
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        let id = client.connect("/").await;
        client.send(r#"421["bye"]"#).await;
        client.expect("41").await;
        let reason = DisconnectReason::ServerNamespaceDisconnect;
        let told = (id, reason, "server namespace disconnect");
        assert_eq!(leavers.next().await, told);
    }
}

/// A client cannot know at once that the server made it leave: what it sends till then is dropped.
#[on_both_servers]
async fn events_after_the_servers_disconnect_are_dropped_without_closing() {
    let server = start();
    let mut leavers = watch(&server.io);
    let (seen, mut events) = channel();
    server.io.of("/chat").on("late", move || {
        let _ = seen.send(());
        async {}
    });
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        client.connect("/").await;
        let chat = client.connect("/chat").await;
        let socket = server.io.of("/chat").socket(chat.parse().unwrap()).unwrap();
        socket.disconnect(false);
        leavers.next().await;
        client
            .send_all(&[
                r#"42/chat,["late"]"#,
                r#"42/chat,1["late"]"#,
                "43/chat,1[]",
                "41/chat,",
            ])
            .await;
        client
            .send_binary(
                r#"451-/chat,["late",{"_placeholder":true,"num":0}]"#,
                &[&[1]],
            )
            .await;
        client.expect("41/chat,").await;
        client.expect_nothing_more("/").await;
        assert_eq!(events.so_far(), []);
        // It may come back, and is heard again.
        client.connect("/chat").await;
        client.send(r#"421["fence"]"#).await;
        client.text().await;
        client.close().await;
        leavers.next().await;
        leavers.next().await;
    }
}

/// A client that was refused cannot know that at once either.
#[on_both_servers]
async fn events_behind_a_refused_connect_are_dropped_without_closing() {
    let server = start();
    server
        .io
        .of("/now")
        .on_connect(|| async { Err::<(), _>("no") });
    server.io.of("/later").on_connect(|| async {
        tokio::task::yield_now().await;
        Err::<(), _>("no")
    });
    for via in BOTH {
        for name in ["/now", "/later"] {
            let mut client = Client::connected(&server, via).await;
            let event = format!(r#"42{name},["a"]"#);
            let mut burst = vec![event.as_str(); 200];
            let connect = format!("40{name},");
            burst.insert(0, &connect);
            client.send_all(&burst).await;
            client
                .expect(&format!(r#"44{name},{{"message":"no"}}"#))
                .await;
            client.expect_nothing_more("/").await;
        }
    }
}

/// Engine.IO v4: the client closes its transport or its session; every socket of it is told.
#[on_both_servers]
async fn transport_close() {
    let server = start();
    let mut leavers = watch(&server.io);
    for via in BOTH {
        for way in ["close", "vanish"] {
            let mut client = Client::open(&server, via).await;
            let main = client.connect("/").await;
            let chat = client.connect("/chat").await;
            let (reason, text) = match (way, via) {
                ("close", _) => (CloseReason::TransportClose, "transport close"),
                (_, Via::WebSocket) => (CloseReason::TransportClose, "transport close"),
                // A poll that breaks off is an error of the transport.
                (_, Via::Polling) => (CloseReason::TransportError, "transport error"),
            };
            match (way, via) {
                ("close", _) => client.close().await,
                (_, Via::WebSocket) => drop(client),
                (_, Via::Polling) => client.abort_poll().await,
            }
            let mut left = [leavers.next().await, leavers.next().await];
            let mut expected = [session(&main, reason, text), session(&chat, reason, text)];
            left.sort_by(|a, b| a.0.cmp(&b.0));
            expected.sort_by(|a, b| a.0.cmp(&b.0));
            assert_eq!(left, expected, "{way} over {via:?}");
            expect_empty(&server).await;
        }
    }
}

/// Engine.IO v4, Heartbeat: a client that answers no ping.
#[on_both_servers]
async fn ping_timeout() {
    let (interval, timeout) = (Duration::from_millis(800), Duration::from_millis(100));
    let server = Server::socketio(
        move |io| io.ping_interval(interval).ping_timeout(timeout),
        |_| (),
    );
    let mut leavers = watch(&server.io);
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        let id = client.connect("/").await;
        client.expect("2").await;
        let told = session(&id, CloseReason::PingTimeout, "ping timeout");
        assert_eq!(leavers.next().await, told);
        client.expect_close().await;
        expect_empty(&server).await;
    }
}

/// Text that is no Engine.IO packet, and a ping from the client.
#[on_both_servers]
async fn parse_error_and_transport_error() {
    let server = start();
    let mut leavers = watch(&server.io);
    for via in BOTH {
        for (packet, reason, text) in [
            ("x", CloseReason::ParseError, "parse error"),
            ("", CloseReason::ParseError, "parse error"),
            ("2", CloseReason::TransportError, "transport error"),
        ] {
            let mut client = Client::open(&server, via).await;
            let id = client.connect("/").await;
            client.send(packet).await;
            assert_eq!(leavers.next().await, session(&id, reason, text));
            client.expect_close().await;
        }
        expect_empty(&server).await;
    }
}

/// Packets that Socket.IO does not allow.
#[on_both_servers]
async fn forced_close() {
    let server = start();
    let mut leavers = watch(&server.io);
    for via in BOTH {
        for packet in ["40", "49", r#"42/nowhere,["a"]"#] {
            let mut client = Client::open(&server, via).await;
            let id = client.connect("/").await;
            client.send(packet).await;
            let told = session(&id, CloseReason::ForcedClose, "forced close");
            assert_eq!(leavers.next().await, told);
            client.expect_close().await;
        }
        expect_empty(&server).await;
    }
}

/// `outbox_limit`: the client read more slowly than the server sent.
#[on_both_servers]
async fn outbox_full() {
    let server = Server::socketio(|io| io.outbox_limit(400).packet_limit(300), |_| ());
    let mut leavers = watch(&server.io);
    let mut client = Client::open(&server, Via::Polling).await;
    let id = client.connect("/").await;
    // The second goes above the limit, and there is no room for the third.
    for _ in 0..3 {
        server.io.emit("big", "x".repeat(200)).await.unwrap();
    }
    let told = session(&id, CloseReason::OutboxFull, "outbox full");
    assert_eq!(leavers.next().await, told);
    client.expect_close().await;
    expect_empty(&server).await;
}

/// Waits until both sockets have left by a shutdown, in any order.
async fn expect_shutdown(leavers: &mut Heard<Left>, ids: [String; 2]) {
    let mut left = [leavers.next().await, leavers.next().await];
    let reason = CloseReason::ServerShuttingDown;
    let mut expected = ids.map(|id| session(&id, reason, "server shutting down"));
    left.sort_by(|a, b| a.0.cmp(&b.0));
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(left, expected);
}

/// `SocketIo::close`: every socket is told, after what was sent to it before.
#[on_both_servers]
async fn server_shutting_down() {
    for via in BOTH {
        let server = start();
        let mut leavers = watch(&server.io);
        let mut client = Client::open(&server, via).await;
        let main = client.connect("/").await;
        let chat = client.connect("/chat").await;
        server.io.emit("last", "words").await.unwrap();
        let closing = tokio::spawn({
            let io = server.io.clone();
            async move { io.close(Duration::from_secs(5)).await }
        });
        expect_shutdown(&mut leavers, [main, chat]).await;
        client.expect(r#"42["last","words"]"#).await;
        client.expect_close().await;
        assert!(closing.await.unwrap(), "everybody has gone in time");
        expect_empty(&server).await;
    }
}

/// `AppServerHandle::stop(false)`, and an `HttpServer` that is stopped before `SocketIo::close`:
/// the sessions end with the server, and have not crashed.
#[on_both_servers]
async fn a_stop_at_once_is_a_shutdown_too() {
    for via in BOTH {
        let server = start();
        let mut leavers = watch(&server.io);
        let mut client = Client::open(&server, via).await;
        let main = client.connect("/").await;
        let chat = client.connect("/chat").await;
        let io = server.io.clone();
        drop(server);
        expect_shutdown(&mut leavers, [main, chat]).await;
        until("the last client to go", || io.clients_count() == 0).await;
    }
}

/// The same on a raw server.
#[on_both_servers]
async fn a_stop_at_once_shuts_a_raw_server_down() {
    let (server, mut reasons) = recording(|engine| engine);
    let _socket = WebSocket::open(&server).await;
    let _polling = Polling::open(&server).await;
    drop(server);
    for _ in 0..2 {
        assert_eq!(reasons.next().await, CloseReason::ServerShuttingDown);
    }
}

/// `on_disconnect` runs for clients that were let in, and for no others.
#[on_both_servers]
async fn on_disconnect_does_not_run_for_refused_clients() {
    let server = start();
    let mut leavers = watch(&server.io);
    server
        .io
        .of("/chat")
        .on_connect(|| async { Err::<(), _>("no") });
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        client.connect_with("/chat", "").await.unwrap_err();
        let id = client.connect("/").await;
        client.close().await;
        assert_eq!(leavers.next().await.0, id);
        expect_empty(&server).await;
    }
    assert_eq!(leavers.so_far(), []);
}

/// In `on_disconnecting` the socket still has its rooms, in `on_disconnect` no more; of both it can
/// be spoken to others.
#[on_both_servers]
async fn a_leaving_socket_still_has_its_rooms_and_one_that_has_left_has_none() {
    let server = start();
    let (left, mut leavers) = channel();
    let io = server.io.of("/");
    let leaving = left.clone();
    io.on_disconnecting(move |socket: Socket, reason: DisconnectReason| {
        let left = leaving.clone();
        async move {
            let told = socket.to("hall").emit("leaving", reason).await.is_ok();
            let _ = left.send((socket.rooms(), socket.is_connected(), told));
        }
    });
    io.on_disconnect(move |socket: Socket| {
        let left = left.clone();
        async move {
            let told = socket.to("hall").emit("left", socket.id()).await.is_ok();
            let _ = left.send((socket.rooms(), socket.is_connected(), told));
        }
    });
    for via in BOTH {
        let mut stays = Client::open(&server, via).await;
        let mut leaves = Client::open(&server, via).await;
        let mut ids = Vec::new();
        for client in [&mut stays, &mut leaves] {
            let id = client.connect("/").await;
            let socket = server.io.of("/").socket(id.parse().unwrap()).unwrap();
            socket.join("hall").await.unwrap();
            ids.push(id);
        }
        leaves.close().await;
        let told = leavers.next().await;
        assert_eq!(told, (vec!["hall".to_owned()], false, true));
        assert_eq!(leavers.next().await, (Vec::new(), false, true));
        stays.expect(r#"42["leaving","transport close"]"#).await;
        stays.expect(&format!(r#"42["left","{}"]"#, ids[1])).await;
        stays.close().await;
        leavers.next().await;
        leavers.next().await;
    }
}

/// Counts go up with each client and namespace, and back to nothing.
#[on_both_servers]
async fn counts_go_back_to_zero() {
    let server = start();
    let mut clients = Vec::new();
    for n in 0..10 {
        let mut client = Client::open(&server, BOTH[n % 2]).await;
        if n % 3 > 0 {
            client.connect("/").await;
        }
        clients.push(client);
    }
    assert_eq!(server.io.clients_count(), 10);
    assert_eq!(server.io.of("/").count(), 6);
    assert_eq!(server.io.of("/").sockets().len(), 6);
    for client in clients {
        client.close().await;
    }
    server.io.of("/chat");
    expect_empty(&server).await;
}

/// A client may connect again as soon as it has the DISCONNECT, also if another thread has sent it.
#[on_both_servers]
async fn a_client_that_was_disconnected_by_another_thread_may_connect_at_once() {
    let server = start();
    let mut client = Client::open(&server, Via::WebSocket).await;
    let mut threads = Vec::new();
    for _ in 0..300 {
        let id = client.connect("/").await;
        let socket = find(&server.io.of("/"), &id);
        threads.push(std::thread::spawn(move || socket.disconnect(false)));
        client.expect("41").await;
    }
    client.connect("/").await;
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}
