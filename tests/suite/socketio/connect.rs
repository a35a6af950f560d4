//! Socket.IO v5, Connection to a namespace: who is let in, who is refused, and what comes first.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_socketio::{Auth, ConnectError, Data, DisconnectReason, Socket, SocketIo};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::held::{Gate, held_up};
use crate::support::socketio::{BOTH, Client, Via, leavers, start, until};
use crate::support::{Server, channel};

/// Starts a server with the namespaces `/` and `/chat`, whose connect handlers accept everybody.
fn with_chat() -> Server<SocketIo> {
    let server = start();
    server.io.of("/chat");
    server
}

/// Socket.IO v5, Connection to a namespace: `40` is answered with the socket's id.
#[on_both_servers]
async fn a_connect_without_auth_is_answered_with_a_sid() {
    let server = start();
    let io = &server.io;
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        client.send("40").await;
        let sid = client.expect_connect("/").await;
        assert_eq!(sid.len(), 20);
        let socket = io.of("/").socket(sid.parse().unwrap()).unwrap();
        assert!(socket.is_connected());
    }
}

/// Engine.IO v4 and Socket.IO v5 have an id each; the session's is a secret.
#[on_both_servers]
async fn a_socket_has_another_id_than_its_session() {
    let server = with_chat();
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        let main = client.connect("/").await;
        let chat = client.connect("/chat").await;
        assert_ne!(main, chat);
        assert!(![&main, &chat].contains(&&client.session_id().to_owned()));
    }
}

/// Socket.IO v5, Connection to a namespace: the payload is the client's auth.
#[on_both_servers]
async fn the_auth_payload_reaches_the_connect_handler() {
    let server = start();
    let io = &server.io;
    io.of("/chat")
        .on_connect(|socket: Socket, Auth(auth): Auth<Value>| async move {
            socket.emit("auth", auth).await.map_err(|e| e.to_string())
        });
    let table = [
        (
            r#"40/chat,{"token":"é\n"}"#,
            r#"42/chat,["auth",{"token":"é\n"}]"#,
        ),
        ("40/chat,{}", r#"42/chat,["auth",{}]"#),
        ("40/chat,", r#"42/chat,["auth",{}]"#),
    ];
    for via in BOTH {
        for (connect, answer) in table {
            let mut client = Client::open(&server, via).await;
            client.send(connect).await;
            client.expect_connect("/chat").await;
            client.expect(answer).await;
        }
    }
}

/// Socket.IO v5, Packet encoding: the comma behind a namespace is optional where nothing follows.
#[on_both_servers]
async fn a_namespace_without_a_comma_is_joined() {
    let server = with_chat();
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        client.send("40/chat").await;
        client.expect_connect("/chat").await;
    }
}

/// Socket.IO v4 clients put a query behind the namespace; it is no part of the name.
#[on_both_servers]
async fn a_query_behind_a_namespace_is_cut_off() {
    let server = with_chat();
    for via in BOTH {
        for (connect, namespace) in [
            ("40/chat?token=1,", "/chat"),
            ("40/chat?token=1", "/chat"),
            (r#"40/chat?a=1&b=2,{"c":3}"#, "/chat"),
            ("40/?a=1,", "/"),
        ] {
            let mut client = Client::open(&server, via).await;
            client.send(connect).await;
            client.expect_connect(namespace).await;
        }
    }
}

/// Socket.IO v5, Connection to a namespace: one that does not exist is refused, the session goes on.
#[on_both_servers]
async fn an_unknown_namespace_is_refused_and_the_session_goes_on() {
    let server = start();
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        client.send(r#"40/nowhere,{"a":1}"#).await;
        client
            .expect(r#"44/nowhere,{"message":"Invalid namespace"}"#)
            .await;
        client.connect("/").await;
    }
}

/// Socket.IO v5, Connection to a namespace: CONNECT_ERROR carries what the handler refused with.
#[on_both_servers]
async fn a_refusal_carries_message_and_data_exactly() {
    let server = start();
    let io = &server.io;
    io.of("/plain")
        .on_connect(|| async { Err::<(), _>("not \"authorized\"") });
    io.of("/data").on_connect(|| async {
        let data = json!({ "code": 401, "why": ["a", null] });
        Err::<(), _>(ConnectError::new("no").with_data(data))
    });
    io.of("/null")
        .on_connect(|| async { Err::<(), _>(ConnectError::new("no").with_data(Value::Null)) });
    io.of("/late").on_connect(|| async {
        tokio::task::yield_now().await;
        Err::<(), _>(format!("after {} wait", 1))
    });
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        for (connect, refusal) in [
            ("40/plain,", r#"44/plain,{"message":"not \"authorized\""}"#),
            (
                "40/data,",
                r#"44/data,{"message":"no","data":{"code":401,"why":["a",null]}}"#,
            ),
            ("40/null,", r#"44/null,{"message":"no","data":null}"#),
            ("40/late,", r#"44/late,{"message":"after 1 wait"}"#),
        ] {
            client.send(connect).await;
            client.expect(refusal).await;
        }
        client.connect("/").await;
    }
    assert_eq!(io.of("/data").count(), 0);
}

/// `Auth<T>`: a payload of another type is a rejection that names what is wrong.
#[on_both_servers]
async fn an_auth_payload_of_another_type_refuses() {
    #[derive(Deserialize)]
    struct Login {
        token: u32,
    }
    let server = start();
    let io = &server.io;
    io.of("/")
        .on_connect(|Auth(login): Auth<Login>| async move { assert!(login.token > 0) });
    for via in BOTH {
        for (connect, cause) in [
            ("40", "missing field `token`"),
            (r#"40{"token":"one"}"#, "invalid type: string \"one\""),
        ] {
            let mut client = Client::open(&server, via).await;
            let error = client.connect_with("/", &connect[2..]).await.unwrap_err();
            let error: Value = serde_json::from_str(&error).unwrap();
            let message = error["message"].as_str().unwrap();
            assert!(message.starts_with("invalid auth payload: "), "{message}");
            assert!(message.contains(cause), "{message}");
        }
    }
    assert_eq!(io.of("/").count(), 0);
}

/// docs/semantics.md, Panics: a panic in a connect handler refuses the client.
#[on_both_servers]
async fn a_panic_in_a_connect_handler_refuses() {
    async fn now() {
        panic!("now");
    }

    async fn later() {
        tokio::task::yield_now().await;
        panic!("later");
    }

    let server = start();
    let io = &server.io;
    io.of("/now").on_connect(now);
    io.of("/later").on_connect(later);
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        for namespace in ["/now", "/later"] {
            let error = client.connect_with(namespace, "").await.unwrap_err();
            assert_eq!(error, r#"{"message":"internal server error"}"#);
            assert_eq!(io.of(namespace).count(), 0);
        }
        client.connect("/").await;
    }
}

/// docs/semantics.md, Panics: an error of a connect handler that panics refuses the client too.
#[on_both_servers]
async fn a_panic_in_a_refusal_refuses() {
    struct Bad;

    impl From<Bad> for ConnectError {
        fn from(_: Bad) -> Self {
            panic!("no text")
        }
    }

    let server = start();
    let io = &server.io;
    io.of("/now").on_connect(|| async { Err::<(), _>(Bad) });
    io.of("/later").on_connect(|| async {
        tokio::task::yield_now().await;
        Err::<(), _>(Bad)
    });
    let mut client = Client::open(&server, Via::WebSocket).await;
    for namespace in ["/now", "/later"] {
        let error = client.connect_with(namespace, "").await.unwrap_err();
        assert_eq!(error, r#"{"message":"internal server error"}"#);
    }
}

/// A second CONNECT for a namespace breaks the protocol.
#[on_both_servers]
async fn a_second_connect_closes_the_session() {
    let server = start();
    let io = &server.io;
    let mut leavers = leavers(&io.of("/"));
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        client.connect("/").await;
        client.send("40").await;
        client.expect_close().await;
        assert_eq!(leavers.next().await, "forced close");
    }
}

/// The reference makes two sockets of two CONNECTs in one burst; here there is never a second.
#[on_both_servers]
async fn a_second_connect_while_the_first_waits_makes_no_second_socket() {
    let server = start();
    let io = &server.io;
    let (gate, held, mut asks) = held_up();
    io.of("/").on_connect(move || held.clone().wait());
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        client.send_all(&["40", "40"]).await;
        client.expect_close().await;
        asks.next().await;
        assert!(asks.so_far().is_empty(), "the handler ran twice");
    }
    gate.open();
    assert_eq!(io.of("/").count(), 0);
}

/// The reference kills a session whose events come in one burst with the CONNECT; here they wait.
#[on_both_servers]
async fn events_wait_for_an_async_connect_handler_and_keep_their_order() {
    let server = start();
    let io = &server.io;
    let (asked, mut asks) = channel();
    let (seen, mut events) = channel();
    let gate = Arc::new(Notify::new());
    io.of("/")
        .on_connect({
            let gate = Arc::clone(&gate);
            move || {
                let _ = asked.send(());
                let gate = Arc::clone(&gate);
                async move { gate.notified().await }
            }
        })
        .on("n", move |Data(n): Data<u32>| {
            let _ = seen.send(n);
            async {}
        });
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        let events_sent: Vec<String> = (0..300).map(|n| format!(r#"42["n",{n}]"#)).collect();
        let mut burst = vec!["40"];
        burst.extend(events_sent.iter().map(String::as_str));
        client.send_all(&burst).await;
        asks.next().await;
        assert!(
            events.so_far().is_empty(),
            "an event overtook the connect handler"
        );
        gate.notify_one();
        client.expect_connect("/").await;
        for n in 0..300 {
            assert_eq!(events.next().await, n);
        }
    }
}

/// docs/semantics.md, Events of a client: handlers of one socket start in the order of arrival,
/// also for events that arrive while the client is being accepted.
#[on_both_servers]
async fn events_keep_their_order_during_the_connect() {
    let server = start();
    let io = &server.io;
    let (seen, mut events) = channel();
    io.of("/").on("n", move |Data(n): Data<u32>| {
        let _ = seen.send(n);
        async {}
    });
    for round in 0..30 {
        let via = BOTH[round % 2];
        let mut client = Client::open(&server, via).await;
        let events_sent: Vec<String> = (0..120).map(|n| format!(r#"42["n",{n}]"#)).collect();
        let mut burst = vec!["40"];
        burst.extend(events_sent.iter().map(String::as_str));
        client.send_all(&burst).await;
        for n in 0..120 {
            assert_eq!(events.next().await, n, "in round {round}");
        }
    }
}

/// The reference kills a session that leaves and comes back in one burst; here it is a new socket.
#[on_both_servers]
async fn a_disconnect_and_a_connect_in_one_burst_reconnect() {
    let server = start();
    let io = &server.io;
    let (left, mut leavers) = channel();
    io.of("/chat")
        .on_disconnect(move |socket: Socket, reason: DisconnectReason| {
            let _ = left.send((socket.id().to_string(), reason.as_str()));
            async {}
        });
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        let first = client.connect("/chat").await;
        client.send_all(&["41/chat,", "40/chat,"]).await;
        let second = client.expect_connect("/chat").await;
        assert_ne!(first, second);
        let reason = "client namespace disconnect";
        assert_eq!(leavers.next().await, (first, reason));
        client.expect_nothing_more("/chat").await;
        assert!(leavers.so_far().is_empty(), "only the first socket left");
    }
}

/// A client may change its mind while it is not let in yet.
#[on_both_servers]
async fn a_client_may_reconnect_after_a_disconnect_during_its_connect() {
    let server = start();
    let io = &server.io;
    let (asked, mut asks) = channel();
    let gate = Gate::default();
    io.of("/").on_connect({
        let gate = gate.clone();
        move |socket: Socket| {
            let _ = asked.send(socket.id().to_string());
            let gate = gate.clone();
            async move { gate.pass().await }
        }
    });
    let mut client = Client::open(&server, Via::WebSocket).await;
    client.send_all(&["40", "41", "40"]).await;
    let _first = asks.next().await;
    let second = asks.next().await;
    gate.open();
    assert_eq!(client.expect_connect("/").await, second);
    client.expect_nothing_more("/").await;
}

/// `connect_timeout`: a client that joins nothing is closed, one that has joined is not.
#[on_both_servers]
async fn a_client_that_joins_nothing_in_time_is_closed() {
    let limit = Duration::from_secs(1);
    let server = Server::socketio(move |io| io.connect_timeout(limit), |_| ());
    let io = &server.io;
    io.of("/").on_connect(|Auth(auth): Auth<Value>| async move {
        match auth["then"].as_str() {
            Some("wait") => std::future::pending().await,
            Some("refuse") => Err("no"),
            _ => Ok(()),
        }
    });
    for via in BOTH {
        let mut joined = Client::open(&server, via).await;
        joined.connect("/").await;
        let mut silent = Client::open(&server, via).await;
        let mut waiting = Client::open(&server, via).await;
        waiting.send(r#"40{"then":"wait"}"#).await;
        let mut refused = Client::open(&server, via).await;
        refused.send(r#"40{"then":"refuse"}"#).await;
        refused.expect(r#"44{"message":"no"}"#).await;
        silent.expect_close().await;
        waiting.expect_close().await;
        refused.expect_close().await;
        joined.expect_nothing_more("/").await;
    }
}

/// Any packet but CONNECT for a namespace that the client is not in closes the session.
#[on_both_servers]
async fn a_packet_for_a_namespace_never_joined_closes_the_session() {
    let server = with_chat();
    for via in BOTH {
        for packet in [
            r#"42/chat,["a"]"#,
            r#"42/chat,1["a"]"#,
            "43/chat,1[]",
            "41/chat,",
            r#"42/nowhere,["a"]"#,
        ] {
            let mut client = Client::open(&server, via).await;
            client.connect("/").await;
            client.send(packet).await;
            client.expect_close().await;
        }
    }
}

/// docs/semantics.md, Packets to a client: the CONNECT packet is sent first.
#[on_both_servers]
async fn events_of_a_connect_handler_follow_the_connect_packet() {
    let server = start();
    let io = &server.io;
    let (asked, mut asks) = channel();
    let gate = Arc::new(Notify::new());
    io.of("/").on_connect({
        let gate = Arc::clone(&gate);
        move |socket: Socket| {
            let (asked, gate) = (asked.clone(), Arc::clone(&gate));
            async move {
                socket.emit("own", 1).await.unwrap();
                socket.join("hall").await.unwrap();
                let _ = asked.send(());
                gate.notified().await;
                socket.everyone().to("hall").emit("own", 2).await.unwrap();
            }
        }
    });
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        client.send("40").await;
        asks.next().await;
        // Others speak to it while its handler still runs.
        io.to("hall").emit("other", 1).await.unwrap();
        gate.notify_one();
        client.expect_connect("/").await;
        client.expect(r#"42["own",1]"#).await;
        client.expect(r#"42["other",1]"#).await;
        client.expect(r#"42["own",2]"#).await;
    }
}

/// docs/semantics.md, Packets to a client: the CONNECT packet is sent before concurrent broadcasts.
#[on_both_servers]
async fn the_connect_packet_goes_first_in_a_storm_of_broadcasts() {
    let server = start();
    let io = &server.io;
    io.of("/").on_connect(|socket: Socket| async move {
        socket.join("hall").await.unwrap();
    });
    let stop = Gate::default();
    let storm = {
        let (io, stop) = (io.clone(), stop.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            runtime.block_on(async {
                while !stop.is_open() {
                    io.to("hall").emit("all", ()).await.unwrap();
                    io.emit("all", ()).await.unwrap();
                    tokio::task::yield_now().await;
                    std::thread::yield_now();
                }
            });
        })
    };
    for round in 0..20 {
        let mut client = Client::open(&server, BOTH[round % 2]).await;
        client.send("40").await;
        client.expect_connect("/").await;
        client.expect(r#"42["all"]"#).await;
    }
    stop.open();
    storm.join().unwrap();
}

/// `on_disconnect` runs for whoever `on_connect` has let in, also where the client had gone by then.
#[on_both_servers]
async fn on_disconnect_runs_only_for_accepted_clients() {
    let server = start();
    let io = &server.io;
    let (asked, mut asks) = channel();
    let (left, mut leavers) = channel();
    let (gone, mut goings) = channel();
    io.of("/slow")
        .on_connect(move |socket: Socket| {
            let (answer, answered) = tokio::sync::oneshot::channel::<Result<(), &str>>();
            let _ = asked.send((socket, answer));
            async move { answered.await.unwrap() }
        })
        .on_disconnect(move |socket: Socket, reason: DisconnectReason| {
            let _ = left.send((socket.id(), reason.as_str()));
            async {}
        });
    // The session's end is heard by way of its other socket.
    io.of("/").on_disconnect(move || {
        let _ = gone.send(());
        async {}
    });
    for outcome in [Err("no"), Ok(()), Err("no"), Ok(())] {
        let mut client = Client::open(&server, Via::WebSocket).await;
        client.connect("/").await;
        client.send("40/slow,").await;
        let (socket, answer) = asks.next().await;
        client.close().await;
        goings.next().await;
        assert!(!socket.is_connected());
        assert!(
            leavers.so_far().is_empty(),
            "the program has not decided yet"
        );
        answer.send(outcome).unwrap();
        if outcome.is_ok() {
            let left = leavers.next().await;
            assert_eq!(left, (socket.id(), "transport close"));
        }
    }
    // The refusals may be on other workers.
    until("nobody is left", || io.of("/slow").count() == 0).await;
    assert!(leavers.so_far().is_empty(), "nobody else was let in");
}

/// `namespaces_per_session`: the last that fits, and the first that does not.
#[on_both_servers]
async fn one_namespace_more_than_the_limit_is_refused() {
    let server = Server::socketio(|io| io.namespaces_per_session(2), |_| ());
    let io = &server.io;
    for name in ["/a", "/b", "/c"] {
        io.of(name);
    }
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        client.connect("/a").await;
        client.connect("/b").await;
        client.send("40/c,").await;
        client
            .expect(r#"44/c,{"message":"more than 2 namespaces"}"#)
            .await;
        client.expect_nothing_more("/b").await;
        client.send("41/a,").await;
        client.connect("/c").await;
    }
}

/// Refused clients do not count as long as they stay away.
#[on_both_servers]
async fn a_refused_namespace_does_not_count() {
    let server = Server::socketio(|io| io.namespaces_per_session(1), |_| ());
    let io = &server.io;
    let asked = Arc::new(AtomicUsize::new(0));
    io.of("/a").on_connect({
        let asked = Arc::clone(&asked);
        move || {
            let first = asked.fetch_add(1, Ordering::Relaxed) == 0;
            async move { if first { Err("not yet") } else { Ok(()) } }
        }
    });
    let mut client = Client::open(&server, Via::WebSocket).await;
    client.send("40/a,").await;
    client.expect(r#"44/a,{"message":"not yet"}"#).await;
    client.connect("/a").await;
}

/// A program that sends a client away while it is connecting does not leave it in silence.
#[on_both_servers]
async fn a_socket_disconnected_by_its_connect_handler_is_refused() {
    let server = start();
    let io = &server.io;
    io.of("/")
        .on_connect(|socket: Socket| async move { socket.disconnect(false) });
    io.of("/late").on_connect(|socket: Socket| async move {
        tokio::task::yield_now().await;
        socket.disconnect(false);
    });
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        for namespace in ["/", "/late"] {
            let error = client.connect_with(namespace, "").await.unwrap_err();
            assert_eq!(error, r#"{"message":"disconnected by the server"}"#);
        }
    }
    assert_eq!(io.of("/").count(), 0);
}

/// In its connect handler the socket is in its namespace: whatever is sent to all, to its id or to
/// a room of it arrives, behind its CONNECT packet and in its order.
#[on_both_servers]
async fn a_connect_handler_finds_its_socket_and_reaches_it() {
    let server = start();
    let io = server.io.clone();
    for namespace in ["/", "/shop-{id}"] {
        let io = io.clone();
        let handler = move |socket: Socket| {
            let namespace = io.of(socket.namespace());
            async move {
                namespace.emit("all", 1).await.unwrap();
                socket.everyone().emit("everyone", 2).await.unwrap();
                namespace.to(socket.id()).emit("id", 3).await.unwrap();
                socket.join("room").await.unwrap();
                namespace.to("room").emit("room", 4).await.unwrap();
                socket.broadcast().emit("others", 5).await.unwrap();
                namespace.volatile().emit("volatile", 6).await.unwrap();
                assert!(namespace.socket(socket.id()).is_some());
                assert_eq!(namespace.sockets().len(), 1);
                assert_eq!(namespace.count(), 1);
                assert_eq!(namespace.fetch_sockets().await.len(), 1);
            }
        };
        if namespace == "/" {
            server.io.of("/").on_connect(handler);
        } else {
            server.io.of_pattern(namespace).unwrap().on_connect(handler);
        }
    }
    for via in BOTH {
        for (name, prefix) in [("/", ""), ("/shop-1", "/shop-1,")] {
            let mut client = Client::open(&server, via).await;
            client.connect(name).await;
            for event in [r#""all",1"#, r#""everyone",2"#, r#""id",3"#, r#""room",4"#] {
                client.expect(&format!("42{prefix}[{event}]")).await;
            }
            client.expect_nothing_more(name).await;
            client.close().await;
            let namespace = server.io.of(name);
            until("the socket to end", || namespace.count() == 0).await;
        }
    }
}

/// Events of others arrive meanwhile too; a refused client gets none of them, and is not found any
/// more when it gets the refusal. While middleware decides, nobody finds it.
#[on_both_servers]
async fn a_client_is_found_from_its_connect_handler_on() {
    let server = start();
    let io = &server.io;
    let gates = [Arc::new(Notify::new()), Arc::new(Notify::new())];
    let (asked, mut asks) = channel();
    let wait = |place: &'static str, gate: &Arc<Notify>| {
        let (asked, gate) = (asked.clone(), Arc::clone(gate));
        move |Auth(login): Auth<Value>| {
            let _ = asked.send(place);
            let gate = Arc::clone(&gate);
            async move {
                gate.notified().await;
                if place == "handler" && login["refused"] == true {
                    return Err(ConnectError::new("no"));
                }
                Ok(())
            }
        }
    };
    io.of("/").middleware(wait("middleware", &gates[0]));
    io.of("/").on_connect(wait("handler", &gates[1]));
    for via in BOTH {
        for refused in [false, true] {
            let mut client = Client::open(&server, via).await;
            client.send(&format!(r#"40{{"refused":{refused}}}"#)).await;
            assert_eq!(asks.next().await, "middleware");
            assert_eq!(io.of("/").count(), 0);
            io.emit("early", ()).await.unwrap();
            gates[0].notify_one();
            assert_eq!(asks.next().await, "handler");
            assert_eq!(io.of("/").count(), 1);
            io.emit("late", ()).await.unwrap();
            gates[1].notify_one();
            if refused {
                client.expect(r#"44{"message":"no"}"#).await;
                assert_eq!(io.of("/").count(), 0);
                continue;
            }
            client.expect_connect("/").await;
            client.expect(r#"42["late"]"#).await;
            client.expect_nothing_more("/").await;
            client.close().await;
            until("the socket to end", || io.of("/").count() == 0).await;
        }
    }
}
