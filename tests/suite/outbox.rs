//! docs/semantics.md, Slow clients: who waits for room in an outbox, who goes above its limit, and
//! what becomes of a client that does not read.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use actix::Addr;
use actix_socketio::{
    Ack, ArgsError, Builder, Bytes, CallError, ConnectError, Data, Emit, EmitError, EngineMessage,
    Event, Server as Registry, SlowClientPolicy, Socket, SocketIo,
};
use tokio::join;
use tokio::sync::Semaphore;
use tokio::task::yield_now;

use crate::support::held::Gate;
use crate::support::socketio::{BOTH, Came, Client, Peer, Via, leavers, until};
use crate::support::{Heard, Server, WebSocket, channel, within};

/// More than the default `outbox_limit`.
const LARGE: usize = 1_100_000;

/// The cost of a frame besides its bytes.
const OVERHEAD: usize = 128;

fn server(build: fn(Builder) -> Builder) -> (Server<SocketIo>, Heard<&'static str>) {
    let server = Server::socketio(build, |_| ());
    let leavers = leavers(&server.io.of("/"));
    (server, leavers)
}

/// An event with a text of so many bytes, and its packet.
fn event_of(bytes: usize) -> (String, String) {
    let data = "x".repeat(bytes);
    let packet = format!(r#"42["e","{data}"]"#);
    (data, packet)
}

/// With the default options, a packet of more than 1 MiB reaches clients that have nothing waiting,
/// whoever sends it.
#[on_both_servers]
async fn a_packet_above_the_limit_reaches_idle_clients() {
    let (server, mut leavers) = server(|io| io);
    let (data, packet) = event_of(LARGE);
    let answer = data.clone();
    server.io.of("/").on("value", move || {
        let answer = answer.clone();
        async move { answer }
    });
    let answer = data.clone();
    server.io.of("/").on("ack", move |ack: Ack| {
        let answer = answer.clone();
        async move { ack.send(answer) }
    });
    for via in BOTH {
        let mut peer = Peer::enter(&server, via, &["lobby"]).await;
        let room = server.io.of("/").room("lobby").await.unwrap();
        let registry: Addr<Registry> = server.io.server();
        peer.socket.emit("e", &data).await.unwrap();
        peer.expect(&packet).await;
        peer.socket.emit_sync("e", &data).unwrap();
        peer.expect(&packet).await;
        server.io.to("lobby").emit("e", &data).await.unwrap();
        peer.expect(&packet).await;
        server
            .io
            .to(peer.socket.id())
            .emit("e", &data)
            .await
            .unwrap();
        peer.expect(&packet).await;
        server.io.volatile().emit("e", &data).await.unwrap();
        peer.expect(&packet).await;
        room.send(Emit::event("e", &data)).await.unwrap().unwrap();
        peer.expect(&packet).await;
        let message = Emit::event("e", &data).to("lobby");
        registry.send(message).await.unwrap().unwrap();
        peer.expect(&packet).await;
        for event in ["value", "ack"] {
            peer.client.send(&format!(r#"427["{event}"]"#)).await;
            peer.expect(&format!(r#"437["{data}"]"#)).await;
        }
        let (asked, ()) = join!(
            peer.socket
                .timeout(Duration::from_secs(5))
                .call::<u8>("e", &data),
            answer_one(&mut peer.client),
        );
        assert_eq!(asked.unwrap(), 1);
        peer.client.close().await;
        assert!(leavers.next().await.starts_with("transport close"));
    }
}

/// Acknowledges the event that comes, with 1.
async fn answer_one(client: &mut Client) {
    let packet = client.text().await;
    let id = packet["42".len()..].split('[').next().unwrap().to_owned();
    client.send(&format!("43{id}[1]")).await;
}

/// A handler may emit any number of events to its client, one behind the other: it waits for the
/// client, which keeps them all in order.
#[on_both_servers]
async fn a_handler_that_emits_many_rows_loses_no_client_that_reads() {
    const ROWS: usize = 600;
    let (server, mut leavers) = server(|io| io.outbox_limit(20_000).packet_limit(2_000));
    let row = "x".repeat(1000);
    for (event, way) in [("emit", 0), ("compress", 1), ("send", 2), ("to", 3)] {
        let row = row.clone();
        server.io.of("/").on(event, move |socket: Socket| {
            let row = row.clone();
            async move {
                for number in 0..ROWS {
                    let data = (number, &row);
                    match way {
                        0 => socket.emit("message", data).await,
                        1 => socket.compress(false).emit("message", data).await,
                        2 => socket.send(data).await,
                        _ => {
                            socket
                                .everyone()
                                .to(socket.id())
                                .emit("message", data)
                                .await
                        }
                    }?;
                }
                Ok::<_, EmitError>("done")
            }
        });
    }
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        for event in ["emit", "compress", "send", "to"] {
            client.send(&format!(r#"421["{event}"]"#)).await;
            for number in 0..ROWS {
                client
                    .expect(&format!(r#"42["message",{number},"{row}"]"#))
                    .await;
            }
            client.expect(r#"431["done"]"#).await;
        }
        assert_eq!(leavers.so_far(), [] as [&str; 0]);
        client.close().await;
        leavers.next().await;
    }
}

/// The same if the namespace keeps what its clients may have missed: each event is kept once.
#[on_both_servers]
async fn many_rows_in_a_namespace_with_recovery_lose_no_client_that_reads() {
    const ROWS: usize = 300;
    let (server, mut leavers) = server(|io| {
        let io = io.outbox_limit(20_000).packet_limit(2_000);
        io.connection_state_recovery(Duration::from_secs(60))
    });
    let row = "x".repeat(1000);
    let sent = row.clone();
    server.io.of("/").on("rows", move |socket: Socket| {
        let row = sent.clone();
        async move {
            for number in 0..ROWS {
                socket.emit("row", (number, &row)).await?;
            }
            Ok::<_, EmitError>("done")
        }
    });
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client.send(r#"421["rows"]"#).await;
        for number in 0..ROWS {
            let packet = client.text().await;
            let begins = format!(r#"42["row",{number},"{row}","#);
            assert!(packet.starts_with(&begins), "{number}: {}", &packet[..40]);
        }
        client.expect(r#"431["done"]"#).await;
        assert_eq!(leavers.so_far(), [] as [&str; 0]);
        client.close().await;
        leavers.next().await;
    }
}

/// A burst of broadcasts from one handler reaches all who read, however much it is: the handler
/// gives their transports a turn.
#[on_both_servers]
async fn a_burst_of_broadcasts_reaches_all_reading_clients() {
    const EVENTS: usize = 1000;
    let (server, mut leavers) = server(|io| io.outbox_limit(20_000).packet_limit(20_000));
    let data = "x".repeat(1000);
    let mut readers = Vec::new();
    for via in [Via::WebSocket, Via::WebSocket, Via::Polling] {
        let mut reader = Client::connected(&server, via).await;
        let data = data.clone();
        readers.push(tokio::spawn(async move {
            for number in 0..EVENTS {
                reader
                    .expect(&format!(r#"42["b",{number},"{data}"]"#))
                    .await;
            }
            reader
        }));
    }
    server.io.of("/").on("burst", move |socket: Socket| {
        let data = data.clone();
        async move {
            for number in 0..EVENTS {
                socket.broadcast().emit("b", (number, &data)).await?;
            }
            Ok::<_, EmitError>(EVENTS)
        }
    });
    let mut client = Client::connected(&server, Via::WebSocket).await;
    client.send(r#"421["burst"]"#).await;
    client.expect(&format!("431[{EVENTS}]")).await;
    for reader in readers {
        let reader = within("all events", reader).await;
        drop(reader.unwrap());
    }
    assert!(!leavers.so_far().contains(&"outbox full"));
}

/// So does a burst of messages to the server's actor and to a room's, sent without waiting.
#[on_both_servers]
async fn a_burst_of_messages_reaches_all_reading_clients() {
    const EVENTS: usize = 500;
    let (server, mut leavers) = server(|io| io.outbox_limit(20_000).packet_limit(20_000));
    let data = "x".repeat(1000);
    for via in BOTH {
        let mut peer = Peer::enter(&server, via, &["hall"]).await;
        let room = server.io.of("/").room("hall").await.unwrap();
        let registry: Addr<Registry> = server.io.server();
        for number in 0..EVENTS {
            registry.do_send(Emit::event("b", (number, &data)));
        }
        for number in 0..EVENTS {
            peer.expect(&format!(r#"42["b",{number},"{data}"]"#)).await;
        }
        for number in 0..EVENTS {
            room.do_send(Emit::event("b", (number, &data)));
        }
        for number in 0..EVENTS {
            peer.expect(&format!(r#"42["b",{number},"{data}"]"#)).await;
        }
        assert_eq!(leavers.so_far(), [] as [&str; 0]);
        peer.client.close().await;
        leavers.next().await;
    }
}

/// A client that asks for more than it reads is not read meanwhile, and gets every answer in the
/// end: whether the handler answers at once or later.
#[on_both_servers]
async fn a_client_that_reads_late_gets_all_its_acknowledgements() {
    const EVENTS: usize = 150;
    let (server, mut leavers) = server(|io| io.outbox_limit(50_000).packet_limit(50_000));
    let (data, _) = event_of(20_000);
    for (event, waits) in [("now", false), ("later", true)] {
        let data = data.clone();
        server
            .io
            .of("/")
            .on(event, move |Data(number): Data<usize>| {
                let data = data.clone();
                async move {
                    if waits {
                        yield_now().await;
                    }
                    (number, data)
                }
            });
    }
    for event in ["now", "later"] {
        let mut client = Client::connected(&server, Via::WebSocket).await;
        let packets: Vec<_> = (0..EVENTS)
            .map(|number| format!(r#"42{number}["{event}",{number}]"#))
            .collect();
        let packets: Vec<_> = packets.iter().map(String::as_str).collect();
        client.send_all(&packets).await;
        let mut answered = Vec::new();
        for _ in 0..EVENTS {
            let packet = client.text().await;
            let number = packet["43".len()..].split('[').next().unwrap();
            assert!(packet.ends_with(&format!(r#"[{number},"{data}"]"#)));
            answered.push(number.parse::<usize>().unwrap());
        }
        answered.sort_unstable();
        assert!(answered.into_iter().eq(0..EVENTS), "{event}");
        assert_eq!(leavers.so_far(), [] as [&str; 0]);
        drop(client);
        leavers.next().await;
    }
}

/// `outbox_limit`: the last byte that fits, and the first that does not. `emit_sync` says so and
/// leaves the client alone; `emit` waits until its deadline, and then the policy holds.
#[on_both_servers]
async fn an_outbox_holds_as_many_bytes_as_its_limit() {
    for overflow in [SlowClientPolicy::Disconnect, SlowClientPolicy::Drop] {
        let build = move |io: Builder| {
            let io = io
                .outbox_limit(2 * (200 + OVERHEAD))
                .slow_client_policy(overflow);
            io.emit_timeout(Duration::from_millis(50))
        };
        let server = Server::socketio(build, |_| ());
        let mut leavers = leavers(&server.io.of("/"));
        let mut peer = Peer::enter(&server, Via::Polling, &[]).await;
        // A frame of 200 bytes, with its header of four.
        let (data, packet) = event_of(200 - 4 - r#"42["e",""]"#.len());
        for _ in 0..2 {
            peer.socket.emit("e", &data).await.unwrap();
            peer.socket.emit_sync("e", &data).unwrap();
            let full = peer.socket.emit_sync("e", &data).unwrap_err();
            assert!(matches!(full, EmitError::OutboxFull), "{full}");
            peer.expect(&packet).await;
            peer.expect(&packet).await;
        }
        peer.socket.emit("e", &data).await.unwrap();
        let full = peer.socket.emit("e", format!("{data}x")).await.unwrap_err();
        assert!(matches!(full, EmitError::OutboxFull), "{full}");
        assert_eq!(full.to_string(), "the client's outbox is full");
        match overflow {
            SlowClientPolicy::Drop => {
                peer.expect(&packet).await;
                peer.expect_nothing_more().await;
                assert_eq!(leavers.so_far(), [] as [&str; 0]);
            }
            _ => {
                assert_eq!(leavers.next().await, "outbox full");
                peer.client.expect_close().await;
            }
        }
    }
}

/// A packet and its attachments count together, each with its frame, and are taken together or not
/// at all.
#[on_both_servers]
async fn a_packet_whose_attachments_do_not_fit_is_not_sent_in_part() {
    let (server, _leavers) = server(|io| io.outbox_limit(1300));
    let mut peer = Peer::enter(&server, Via::Polling, &[]).await;
    let fits = Bytes::from(vec![1; 300]);
    peer.socket.emit("bin", (&fits, &fits)).await.unwrap();
    let full = peer.socket.emit_sync("bin", (&fits, &fits));
    assert!(matches!(full, Err(EmitError::OutboxFull)), "{full:?}");
    peer.socket.emit("text", ()).await.unwrap();
    let head = r#"452-["bin",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#;
    peer.client.expect_binary(head, &[&fits, &fits]).await;
    peer.expect(r#"42["text"]"#).await;
    peer.expect_nothing_more().await;
}

/// Without a runtime there is no clock to wait by: an emit that would wait is as `emit_sync`.
#[on_both_servers]
async fn an_emit_without_a_runtime_does_not_wait() {
    let (server, mut leavers) = server(|io| io.outbox_limit(1000).packet_limit(1000));
    let peer = Peer::enter(&server, Via::Polling, &[]).await;
    let (io, socket) = (server.io.clone(), peer.socket);
    let emits = std::thread::spawn(move || {
        let data = "x".repeat(700);
        let mut cx = Context::from_waker(Waker::noop());
        let mut polled = Vec::new();
        polled.push(pin!(socket.emit("e", &data)).poll(&mut cx));
        polled.push(pin!(socket.emit("e", &data)).poll(&mut cx));
        polled.push(pin!(io.emit("e", &data)).poll(&mut cx));
        polled
    });
    let emits = emits.join().unwrap();
    let [
        Poll::Ready(Ok(())),
        Poll::Ready(Err(full)),
        Poll::Ready(Ok(())),
    ] = &emits[..]
    else {
        panic!("{emits:?}")
    };
    assert!(matches!(full, EmitError::OutboxFull), "{full}");
    assert_eq!(leavers.so_far(), [] as [&str; 0]);
}

/// Emits that wait for room keep their order, also before one that would fit.
#[on_both_servers]
async fn emits_that_wait_keep_their_order() {
    let (server, _leavers) = server(|io| io.outbox_limit(1000));
    let mut peer = Peer::enter(&server, Via::Polling, &[]).await;
    peer.socket.emit("first", "x".repeat(800)).await.unwrap();
    let socket = peer.socket.clone();
    let (second, third) = ("y".repeat(800), "z".to_owned());
    let waiting = tokio::spawn(async move {
        let (second, third) = join!(socket.emit("second", second), socket.emit("third", third));
        second.unwrap();
        third.unwrap();
    });
    let came = [
        format!(r#"42["first","{}"]"#, "x".repeat(800)),
        format!(r#"42["second","{}"]"#, "y".repeat(800)),
        r#"42["third","z"]"#.to_owned(),
    ];
    for packet in &came {
        peer.expect(packet).await;
    }
    waiting.await.unwrap();
}

/// A wait for room ends with the client.
#[on_both_servers]
async fn a_wait_for_room_ends_with_the_client() {
    let (server, mut leavers) = server(|io| io.outbox_limit(1000));
    let peer = Peer::enter(&server, Via::Polling, &[]).await;
    let socket = peer.socket.clone();
    socket.emit("first", "x".repeat(800)).await.unwrap();
    let gate = Gate::default();
    let (begun, waiting) = (gate.clone(), socket.clone());
    let emit = tokio::spawn(async move {
        let emit = waiting.emit("second", "y".repeat(800));
        begun.open();
        emit.await
    });
    gate.pass().await;
    peer.client.close().await;
    let error = within("the emit", emit).await.unwrap().unwrap_err();
    assert!(matches!(error, EmitError::Disconnected), "{error}");
    leavers.next().await;
}

/// `packet_limit`: the last packet that is sent, and the first that is an error, of every kind.
/// Nobody gets it, and nobody is disconnected.
#[on_both_servers]
async fn a_packet_above_its_own_limit_is_an_error() {
    let (server, mut leavers) = server(|io| io.packet_limit(1000));
    let text = 1000 - r#"2["e",""]"#.len();
    let (data, packet) = event_of(text);
    let longer = format!("{data}x");
    let mut peer = Peer::enter(&server, Via::WebSocket, &["hall"]).await;
    peer.socket.emit("e", &data).await.unwrap();
    peer.expect(&packet).await;
    let limit = Duration::from_secs(5);
    let registry: Addr<Registry> = server.io.server();
    let errors = [
        peer.socket.emit("e", &longer).await.unwrap_err(),
        peer.socket.emit_sync("e", &longer).unwrap_err(),
        server.io.emit("e", &longer).await.unwrap_err(),
        server.io.to("hall").emit_sync("e", &longer).unwrap_err(),
        registry
            .send(Emit::event("e", &longer))
            .await
            .unwrap()
            .unwrap_err(),
        server
            .io
            .emit_with_ack::<u8>("e", &longer)
            .await
            .unwrap_err(),
        match peer.socket.timeout(limit).call::<u8>("e", &longer).await {
            Err(CallError::Emit(error)) => error,
            other => panic!("{other:?}"),
        },
    ];
    for error in errors {
        let text = error.to_string();
        assert!(
            matches!(
                &error,
                EmitError::Encode(ArgsError::TooLarge { limit: 1000, .. })
            ),
            "{text}"
        );
        assert!(text.ends_with("bytes, the limit is 1000 bytes"), "{text}");
    }
    // With its attachments.
    let halves = (Bytes::from(vec![1; 500]), Bytes::from(vec![1; 500]));
    let error = peer.socket.emit("e", halves).await.unwrap_err();
    assert!(
        matches!(error, EmitError::Encode(ArgsError::TooLarge { .. })),
        "{error}"
    );
    peer.expect_nothing_more().await;
    assert_eq!(leavers.so_far(), [] as [&str; 0]);
}

/// So is an acknowledgement: the client is told that the answer failed.
#[on_both_servers]
async fn an_acknowledgement_above_the_limit_is_an_error() {
    let (server, mut leavers) = server(|io| io.packet_limit(1000));
    server
        .io
        .of("/")
        .on("echo", |event: Event| async move { event.args().clone() });
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        let data = "x".repeat(1000 - r#"31[""]"#.len());
        client.send(&format!(r#"421["echo","{data}"]"#)).await;
        client.expect(&format!(r#"431["{data}"]"#)).await;
        client.send(&format!(r#"421["echo","{data}x"]"#)).await;
        client
            .expect(r#"431[{"error":"the acknowledgement cannot be encoded"}]"#)
            .await;
        assert_eq!(leavers.so_far(), [] as [&str; 0]);
        client.close().await;
        leavers.next().await;
    }
}

/// An `EngineIo` session has the same limits, and its client stays as well.
#[on_both_servers]
async fn a_raw_message_that_does_not_fit_is_an_error() {
    let server = Server::engineio(|builder| {
        builder
            .outbox_limit(2200)
            .packet_limit(1000)
            .on_message(|session, _| async move {
                let text = |bytes: usize| EngineMessage::Text("x".repeat(bytes));
                let too_large = session.send(&text(1001)).unwrap_err();
                assert!(matches!(
                    too_large,
                    EmitError::Encode(ArgsError::TooLarge { .. })
                ));
                session.send(&text(900)).unwrap();
                session.send(&text(800)).unwrap();
                let full = session.send(&text(900)).unwrap_err();
                assert!(matches!(full, EmitError::OutboxFull));
                session
                    .send(&EngineMessage::Text("end".to_owned()))
                    .unwrap();
            })
    });
    let mut socket = WebSocket::open(&server).await;
    for _ in 0..2 {
        socket.send_text("4go").await;
        socket.expect_text(&format!("4{}", "x".repeat(900))).await;
        socket.expect_text(&format!("4{}", "x".repeat(800))).await;
        socket.expect_text("4end").await;
    }
}

/// A raw handler that waits until its client has taken everything loses no client that reads.
#[on_both_servers]
async fn a_raw_handler_sends_many_rows() {
    const ROWS: usize = 300;
    let server = Server::engineio(|builder| {
        let builder = builder.outbox_limit(2000);
        builder.on_message(|session, _| async move {
            for row in 0..ROWS {
                session.drained().await.unwrap();
                let row = EngineMessage::Text(format!("{row:01000}"));
                session.send(&row).unwrap();
            }
        })
    });
    let mut socket = WebSocket::open(&server).await;
    socket.send_text("4go").await;
    for row in 0..ROWS {
        socket.expect_text(&format!("4{row:01000}")).await;
    }
}

/// Pings of a client that does not read are answered by one pong: they fill no outbox.
#[on_both_servers]
async fn pings_do_not_fill_an_outbox() {
    let server = Server::engineio(|builder| builder.outbox_limit(500));
    let mut socket = WebSocket::open(&server).await;
    let pings: Vec<u8> = (0..500)
        .flat_map(|ping| {
            crate::support::Frame::new(crate::support::opcode::PING, format!("{ping}")).bytes()
        })
        .collect();
    socket.send_bytes(&pings).await;
    let mut last = Vec::new();
    while last != b"499" {
        match socket.recv().await {
            crate::support::Received::Pong(payload) => last = payload,
            other => panic!("{other:?}"),
        }
    }
}

/// `SlowClientPolicy::Drop`: what says where a client stands is never dropped; if it does not fit,
/// the client is disconnected.
#[on_both_servers]
async fn client_is_disconnected_if_a_control_packet_does_not_fit() {
    let build = |io: Builder| {
        let io = io.outbox_limit(530).packet_limit(400);
        io.slow_client_policy(SlowClientPolicy::Drop)
    };
    let (server, mut leavers) = server(build);
    let gate = Arc::new(Semaphore::new(0));
    let (asked, mut asks) = channel();
    for (name, lets_in) in [("/open", true), ("/shut", false)] {
        let (gate, asked) = (Arc::clone(&gate), asked.clone());
        server.io.of(name).on_connect(move || {
            let gate = Arc::clone(&gate);
            asked.send(name).unwrap();
            async move {
                gate.acquire().await.unwrap().forget();
                if lets_in {
                    Ok(())
                } else {
                    Err(ConnectError::new("no"))
                }
            }
        });
    }
    for way in ["CONNECT", "CONNECT_ERROR", "DISCONNECT"] {
        let mut peer = Peer::enter(&server, Via::Polling, &[]).await;
        for (packet, name) in [("CONNECT", "/open"), ("CONNECT_ERROR", "/shut")] {
            if way == packet {
                peer.client.send(&format!("40{name},")).await;
                assert_eq!(asks.next().await, name);
            }
        }
        // Frames of 400 and 250 bytes: within the limit, and above it.
        for bytes in [400, 250] {
            let (data, _) = event_of(bytes - 4 - r#"42["e",""]"#.len());
            server.io.emit("e", &data).await.unwrap();
        }
        let reason = if way == "DISCONNECT" {
            peer.socket.disconnect(false);
            "server namespace disconnect"
        } else {
            gate.add_permits(1);
            "outbox full"
        };
        assert_eq!(leavers.next().await, reason, "{way}");
        peer.client.expect_close().await;
    }
}

/// Packets that wait for the CONNECT packet are bounded too: an emit of the connect handler is an
/// error, and for a broadcast the policy holds.
#[on_both_servers]
async fn packets_queued_before_the_connect_packet_are_bounded() {
    for overflow in [SlowClientPolicy::Disconnect, SlowClientPolicy::Drop] {
        let build = move |io: Builder| {
            io.outbox_limit(400)
                .packet_limit(300)
                .slow_client_policy(overflow)
        };
        let server = Server::socketio(build, |_| ());
        let mut leavers = leavers(&server.io.of("/"));
        let (gate, begun) = (Gate::default(), Gate::default());
        let (goes_on, begins) = (gate.clone(), begun.clone());
        server.io.of("/early").on_connect(move |socket: Socket| {
            let (gate, begun) = (goes_on.clone(), begins.clone());
            async move {
                let data = "x".repeat(180);
                let emits = [
                    socket.emit("e", &data).await.is_ok(),
                    socket.emit("e", &data).await.is_ok(),
                    socket.emit("e", &data).await.is_ok(),
                ];
                assert_eq!(emits, [true, true, false]);
                begun.open();
                gate.pass().await;
            }
        });
        let mut client = Client::connected(&server, Via::WebSocket).await;
        client.send("40/early,").await;
        begun.pass().await;
        server
            .io
            .of("/early")
            .emit("late", "x".repeat(180))
            .await
            .unwrap();
        match overflow {
            SlowClientPolicy::Drop => {
                gate.open();
                client.expect_connect("/early").await;
                assert!(matches!(client.next().await, Came::Text(_)));
                assert!(matches!(client.next().await, Came::Text(_)));
                client.expect_nothing_more("/").await;
                assert_eq!(leavers.so_far(), [] as [&str; 0]);
            }
            _ => {
                client.expect_close().await;
                assert_eq!(leavers.next().await, "outbox full");
            }
        }
    }
}

/// A broadcast puts a client above its limit by no more than `packet_limit`, and the policy says
/// what becomes of it then.
#[on_both_servers]
async fn a_broadcast_that_finds_no_room_ends_the_client_by_the_policy() {
    let (server, mut leavers) = server(|io| io.outbox_limit(1000).packet_limit(1000));
    let peer = Peer::enter(&server, Via::Polling, &[]).await;
    let mut reader = Client::connected(&server, Via::WebSocket).await;
    let (data, packet) = event_of(700);
    for _ in 0..3 {
        server.io.emit("e", &data).await.unwrap();
        reader.expect(&packet).await;
    }
    assert_eq!(leavers.next().await, "outbox full");
    let socket = peer.socket.clone();
    until("it to be gone", || !socket.is_connected()).await;
    reader.expect_nothing_more("/").await;
}
