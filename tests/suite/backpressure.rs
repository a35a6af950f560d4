//! docs/semantics.md, Backpressure: clients that read slowly and handlers that run long have
//! limits, and delay no other client.

use std::sync::Arc;
use std::time::Duration;

use actix_socketio::{Builder, Data, EmitError, Event, SlowClientPolicy, Socket, SocketIo};
use tokio::sync::Semaphore;

use crate::support::held::{Workshop, workshop};
use crate::support::socketio::{BOTH, Client, Via, leavers, start};
use crate::support::{Connection, Heard, Server, channel};

/// Starts a server with such outboxes, for whose room nobody waits long, and tells why clients have
/// left.
fn bounded(limit: usize, overflow: SlowClientPolicy) -> (Server<SocketIo>, Heard<&'static str>) {
    let build = move |io: Builder| {
        let io = io.outbox_limit(limit).slow_client_policy(overflow);
        io.emit_timeout(Duration::from_millis(50))
    };
    let server = Server::socketio(build, |_| ());
    let leavers = leavers(&server.io.of("/"));
    (server, leavers)
}

/// Connects a client that is not polling now, so that nothing drains its outbox.
async fn enter(server: &Server<SocketIo>) -> (Client, Socket) {
    let mut client = Client::open(server, Via::Polling).await;
    let id = client.connect("/").await;
    let socket = server.io.of("/").socket(id.parse().unwrap()).unwrap();
    (client, socket)
}

/// An event whose frame has exactly this many bytes, the header of four included.
fn event_of(bytes: usize) -> (String, String) {
    let data = "x".repeat(bytes - 4 - r#"42["e",""]"#.len());
    let packet = format!(r#"42["e","{data}"]"#);
    assert_eq!(packet.len() + 4, bytes);
    (data, packet)
}

/// `SlowClientPolicy::Disconnect`: also where the client has stopped reading its WebSocket.
#[on_both_servers]
async fn a_websocket_that_is_not_read_is_disconnected() {
    let (server, mut leavers) = bounded(100_000, SlowClientPolicy::Disconnect);
    let connection = Connection::open_narrow(server.address).await;
    let mut client = Client::open_on(connection, &server).await;
    let id = client.connect("/").await;
    let socket = server.io.of("/").socket(id.parse().unwrap()).unwrap();
    let data = "x".repeat(50_000);
    // The kernel's buffers take a few megabytes first.
    let error = loop {
        if let Err(error) = socket.emit("flood", &data).await {
            break error;
        }
        tokio::task::yield_now().await;
    };
    assert!(matches!(error, EmitError::OutboxFull), "{error}");
    assert_eq!(leavers.next().await, "outbox full");
    let error = socket.emit("flood", ()).await.unwrap_err();
    assert!(matches!(error, EmitError::Disconnected), "{error}");
}

/// `SlowClientPolicy::Drop`: a client that reads again gets what comes then.
#[on_both_servers]
async fn client_with_dropped_packets_receives_later_ones() {
    let build = |io: Builder| {
        let io = io.outbox_limit(800).packet_limit(300);
        let io = io.emit_timeout(Duration::from_millis(50));
        io.slow_client_policy(SlowClientPolicy::Drop)
    };
    let server = Server::socketio(build, |_| ());
    let mut leavers = leavers(&server.io.of("/"));
    server
        .io
        .of("/")
        .on("echo", |event: Event| async move { event.args().clone() });
    let (mut client, socket) = enter(&server).await;
    let (data, packet) = event_of(200);
    let mut sent = 0;
    for _ in 0..5 {
        sent += usize::from(socket.emit("e", &data).await.is_ok());
        server.io.emit("e", &data).await.unwrap();
    }
    // Two fit, and a broadcast goes above the limit, because the client may be about to read.
    assert_eq!(sent, 1);
    for _ in 0..3 {
        client.expect(&packet).await;
    }
    client.send(r#"421["echo",1]"#).await;
    client.expect("431[1]").await;
    socket.emit("e", &data).await.unwrap();
    client.expect(&packet).await;
    assert_eq!(leavers.so_far(), [] as [&str; 0]);
}

/// `SlowClientPolicy::Drop` keeps the client: a full outbox does not keep the ping from it either.
#[on_both_servers]
async fn a_full_outbox_does_not_delay_the_ping() {
    let build = |io: Builder| {
        io.outbox_limit(800)
            .slow_client_policy(SlowClientPolicy::Drop)
            .ping_interval(Duration::from_secs(1))
            .ping_timeout(Duration::from_secs(20))
    };
    let server = Server::socketio(build, |_| ());
    let (mut client, socket) = enter(&server).await;
    let (data, packet) = event_of(200);
    socket.emit("e", &data).await.unwrap();
    socket.emit("e", &data).await.unwrap();
    let mut witness = Client::connected(&server, Via::WebSocket).await;
    // The witness is pinged later than the client, whose outbox is full.
    witness.expect("2").await;
    client.expect(&packet).await;
    client.expect(&packet).await;
    client.expect("2").await;
}

/// docs/semantics.md, Slow clients: a slow client does not delay the others of its room.
#[on_both_servers]
async fn a_slow_client_does_not_slow_the_others() {
    let (server, mut leavers) = bounded(200_000, SlowClientPolicy::Disconnect);
    let connection = Connection::open_narrow(server.address).await;
    let mut slow = Client::open_on(connection, &server).await;
    slow.connect("/").await;
    let (mut stalled, _) = enter(&server).await;
    let mut fast = [
        Client::connected(&server, Via::WebSocket).await,
        Client::connected(&server, Via::Polling).await,
    ];
    let data = "x".repeat(20_000);
    let mut sent = 0;
    let mut gone = 0;
    while gone < 2 {
        server.io.emit("n", (sent, &data)).await.unwrap();
        for client in &mut fast {
            client.expect(&format!(r#"42["n",{sent},"{data}"]"#)).await;
        }
        sent += 1;
        let left = leavers.so_far();
        assert!(
            left.iter().all(|reason| *reason == "outbox full"),
            "{left:?}"
        );
        gone += left.len();
    }
    stalled.expect_close().await;
    for client in &mut fast {
        client.expect_nothing_more("/").await;
    }
}

/// One client's POST is taken in turns: those who read a WebSocket are served between them, and
/// none of them reaches its limit.
#[on_both_servers]
async fn a_post_of_many_events_disconnects_no_reading_client() {
    const EVENTS: usize = 20_000;
    let (server, mut leavers) = bounded(64 * 1024, SlowClientPolicy::Disconnect);
    server.io.of("/").on("bcast", |socket: Socket| async move {
        let _ = socket.broadcast().emit("b", ()).await;
    });
    let mut readers = Vec::new();
    for _ in 0..5 {
        let mut reader = Client::connected(&server, Via::WebSocket).await;
        readers.push(tokio::spawn(async move {
            for _ in 0..EVENTS {
                reader.expect(r#"42["b"]"#).await;
            }
            reader
        }));
    }
    let mut client = Client::connected(&server, Via::Polling).await;
    client.send_all(&[r#"42["bcast"]"#; EVENTS]).await;
    let mut served = Vec::new();
    for reader in readers {
        served.push(reader.await.unwrap());
    }
    assert_eq!(leavers.so_far(), [] as [&str; 0]);
}

/// `max_concurrent_handlers`: as many wait as the limit says, the next event is not started before
/// one of them ends, and nothing is lost.
#[on_both_servers]
async fn one_event_more_than_the_limit_waits_for_a_handler_to_end() {
    for via in BOTH {
        let Workshop {
            server,
            mut begins,
            ends,
        } = workshop(|io| io.max_concurrent_handlers(2));
        let mut client = Client::connected(&server, via).await;
        let mut other = Client::connected(&server, via).await;
        let events: Vec<String> = (0..20).map(|n| format!(r#"42{n}["n",{n}]"#)).collect();
        let events: Vec<&str> = events.iter().map(String::as_str).collect();
        client.send_all(&events).await;
        assert_eq!([begins.next().await, begins.next().await], ["0", "1"]);
        // Others are served meanwhile, so there was time to start a third.
        other.send(r#"421["quick"]"#).await;
        other.expect(r#"431["quick"]"#).await;
        other.expect_nothing_more("/").await;
        assert_eq!(begins.so_far(), [""; 0]);
        for n in 0..18 {
            ends.add_permits(1);
            assert_eq!(begins.next().await, (n + 2).to_string());
            client.expect(&format!("43{n}[{n}]")).await;
            assert_eq!(begins.so_far(), [""; 0]);
        }
        ends.add_permits(2);
        let mut last = [client.text().await, client.text().await];
        last.sort();
        assert_eq!(last, ["4318[18]", "4319[19]"]);
        client.expect_nothing_more("/").await;
    }
}

/// `max_concurrent_handlers`: below the limit nothing waits.
#[on_both_servers]
async fn events_below_the_limit_are_served_beside_those_that_wait() {
    let Workshop {
        server,
        mut begins,
        ends,
    } = workshop(|io| io.max_concurrent_handlers(3));
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client
            .send_all(&[r#"421["n",1]"#, r#"422["n",2]"#, r#"423["quick"]"#])
            .await;
        client.expect(r#"433["quick"]"#).await;
        client.expect_nothing_more("/").await;
        assert_eq!([begins.next().await, begins.next().await], ["1", "2"]);
        ends.add_permits(2);
        let mut last = [client.text().await, client.text().await];
        last.sort();
        assert_eq!(last, ["431[1]", "432[2]"]);
    }
}

/// Handlers in flight are counted over all namespaces of a client, and a connect handler is one.
#[on_both_servers]
async fn a_connect_handler_counts_as_in_flight() {
    let server = Server::socketio(|io| io.max_concurrent_handlers(1), |_| ());
    let (begun, mut begins) = channel();
    let ends = Arc::new(Semaphore::new(0));
    let permits = Arc::clone(&ends);
    server.io.of("/slow").on_connect(move || {
        let _ = begun.send(());
        let permits = Arc::clone(&permits);
        async move { permits.acquire().await.unwrap().forget() }
    });
    let mut client = Client::open(&server, Via::WebSocket).await;
    client.send_all(&["40/slow,", "40"]).await;
    begins.next().await;
    let mut other = Client::connected(&server, Via::WebSocket).await;
    other.expect_nothing_more("/").await;
    assert_eq!(server.io.of("/").count(), 1, "the other one alone");
    ends.add_permits(1);
    let mut connects = [client.text().await, client.text().await];
    connects.sort();
    assert!(connects[0].starts_with("40/slow,{"), "{connects:?}");
    assert!(connects[1].starts_with(r#"40{"#), "{connects:?}");
}

/// A client that waits for room is not silent: its handlers end, and it is still there.
#[on_both_servers]
async fn a_client_at_the_limit_gets_what_is_sent_to_it() {
    for via in BOTH {
        let Workshop {
            server,
            mut begins,
            ends,
        } = workshop(|io| io.max_concurrent_handlers(1));
        let mut client = Client::connected(&server, via).await;
        client.send_all(&[r#"421["n",1]"#, r#"422["n",2]"#]).await;
        assert_eq!(begins.next().await, "1");
        server.io.emit("news", 1).await.unwrap();
        client.expect(r#"42["news",1]"#).await;
        ends.add_permits(2);
        client.expect("431[1]").await;
        client.expect("432[2]").await;
    }
}

/// `Namespace::forward`: events that the actor has not handled yet are in flight.
#[on_both_servers]
async fn events_forwarded_to_an_actor_count_as_in_flight() {
    let Workshop {
        server,
        mut begins,
        ends,
    } = workshop(|io| io.max_concurrent_handlers(1));
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client
            .send_all(&[r#"42["f",1]"#, r#"42["f",2]"#, r#"42["f",3]"#])
            .await;
        let mut other = Client::connected(&server, via).await;
        for n in ["1", "2", "3"] {
            assert_eq!(begins.next().await, n);
            other.expect_nothing_more("/").await;
            assert_eq!(begins.so_far(), [""; 0]);
            ends.add_permits(1);
        }
        client.expect_nothing_more("/").await;
    }
}

/// The default limits let a burst of ordinary events through without a wait.
#[on_both_servers]
async fn a_burst_of_quick_events_is_served_in_order() {
    let server = start();
    server
        .io
        .of("/")
        .on("n", |Data(n): Data<u32>| async move { n });
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        let events: Vec<String> = (0..1000).map(|n| format!(r#"42{n}["n",{n}]"#)).collect();
        let events: Vec<&str> = events.iter().map(String::as_str).collect();
        client.send_all(&events).await;
        for n in 0..1000 {
            client.expect(&format!("43{n}[{n}]")).await;
        }
    }
}
