//! docs/operations.md, Health: the counters of a session, and the sessions with the most queued
//! bytes.

use std::time::{Duration, SystemTime};

use actix_socketio::{EngineIo, EngineMessage, EngineSession, SessionStats};

use crate::support::socketio::{BOTH, Peer, Via, start, until};
use crate::support::{Polling, Server, WebSocket, channel, echo};

/// The bytes that count for an outbox beside those of a frame.
const OVERHEAD: usize = 128;

fn received(stats: &SessionStats) -> (u64, u64) {
    (stats.packets_received(), stats.bytes_received())
}

fn sent(stats: &SessionStats) -> (u64, u64) {
    (stats.packets_sent(), stats.bytes_sent())
}

/// An attachment of a poll counts as its base64, one of a WebSocket as its bytes.
#[on_both_servers]
async fn packets_and_bytes_of_both_directions_are_counted() {
    let server = start();
    server.io.of("/").on("e", async || ());
    for via in BOTH {
        let mut peer = Peer::enter(&server, via, &[]).await;
        let before = peer.socket.stats();
        let event = r#"451-["e",{"_placeholder":true,"num":0}]"#;
        peer.client.send_binary(event, &[&[7; 3]]).await;
        peer.expect_nothing_more().await;
        let fence = r#"424242["fence"]"#;
        let attachment = if via == Via::Polling {
            "bBwcH".len()
        } else {
            3
        };
        let after = peer.socket.stats();
        let bytes = (event.len() + attachment + fence.len()) as u64;
        assert_eq!(after.packets_received() - before.packets_received(), 3);
        assert_eq!(after.bytes_received() - before.bytes_received(), bytes);

        let before = after;
        peer.socket.emit("hello", 1).await.unwrap();
        let packet = r#"42["hello",1]"#;
        peer.expect(packet).await;
        until("the frame to count", || {
            let after = peer.socket.stats();
            after.packets_sent() > before.packets_sent()
        })
        .await;
        let after = peer.socket.stats();
        // The header of a short frame has two bytes, on whatever transport.
        let bytes = packet.len() as u64 + 2;
        assert_eq!(after.packets_sent() - before.packets_sent(), 1);
        assert_eq!(after.bytes_sent() - before.bytes_sent(), bytes);
        assert_eq!(received(&after), received(&before));
    }
}

/// The answer of HTTP that begins a WebSocket is no packet.
#[on_both_servers]
async fn a_new_session_has_sent_its_open_packet_and_received_nothing() {
    let (opened, mut sessions) = channel::<EngineSession>();
    let server = Server::<EngineIo>::engineio(move |io| {
        echo(io).on_open(move |session| {
            opened.send(session).unwrap();
            async {}
        })
    });
    let begun = SystemTime::now();
    let mut client = WebSocket::open(&server).await;
    let session = sessions.next().await;
    until("the OPEN packet to count", || {
        session.stats().packets_sent() > 0
    })
    .await;
    let stats = session.stats();
    assert_eq!(stats.packets_sent(), 1);
    assert!(
        stats.bytes_sent() > 100 && stats.bytes_sent() < 200,
        "{stats:?}"
    );
    assert_eq!(received(&stats), (0, 0));
    assert_eq!((stats.since_last_pong(), stats.round_trip()), (None, None));
    let since = stats.connected_since();
    assert!(since + Duration::from_secs(1) > begun && since <= SystemTime::now());
    client.send_text("4four").await;
    client.expect_text("4four").await;
    assert_eq!(received(&session.stats()), (1, 5));
    // Frames of the WebSocket's own heartbeat are no packets of the client.
    client.send_ping("").await;
    client.recv().await;
    assert_eq!(received(&session.stats()), (1, 5));
}

#[on_both_servers]
async fn waiting_packets_and_dropped_volatile_events_are_counted() {
    let server = start();
    // Nobody polls, so everything waits.
    let peer = Peer::enter(&server, Via::Polling, &[]).await;
    let before = peer.socket.stats();
    assert_eq!((before.queued_packets(), before.queued_bytes()), (0, 0));
    peer.socket.emit("e", ()).await.unwrap();
    for _ in 0..2 {
        peer.socket.volatile().emit("e", ()).await.unwrap();
    }
    let stats = peer.socket.stats();
    let frame = r#"42["e"]"#.len() + 2;
    assert_eq!(stats.queued_packets(), 1);
    assert_eq!(stats.queued_bytes(), frame + OVERHEAD);
    assert_eq!(stats.dropped_volatile(), 2);
    assert_eq!(sent(&stats), sent(&before));

    let Peer { mut client, socket } = peer;
    client.expect(r#"42["e"]"#).await;
    let stats = socket.stats();
    assert_eq!((stats.queued_packets(), stats.queued_bytes()), (0, 0));
    // The CONNECT packet alone was larger.
    assert_eq!(stats.most_queued_bytes(), before.most_queued_bytes());
    assert!(stats.most_queued_bytes() >= frame + OVERHEAD);
}

#[on_both_servers]
async fn pong_sets_the_round_trip() {
    let interval = Duration::from_millis(50);
    let server = Server::socketio(move |io| io.ping_interval(interval), |_| ());
    for via in BOTH {
        let mut peer = Peer::enter(&server, via, &[]).await;
        peer.expect("2").await;
        assert_eq!(peer.socket.stats().round_trip(), None);
        peer.client.send("3").await;
        until("the pong", || peer.socket.stats().round_trip().is_some()).await;
        let stats = peer.socket.stats();
        assert!(
            stats.round_trip() < Some(Duration::from_secs(5)),
            "{stats:?}"
        );
        assert!(
            stats.since_last_pong() < Some(Duration::from_secs(5)),
            "{stats:?}"
        );
    }
}

#[on_both_servers]
async fn sessions_with_the_most_queued_bytes_come_first() {
    let server = start();
    server.io.of("/chat");
    assert_eq!(server.io.slowest(10), []);
    let mut peers = Vec::new();
    for bytes in [10, 1000, 100] {
        let mut peer = Peer::enter(&server, Via::Polling, &[]).await;
        peer.client.connect("/chat").await;
        peer.socket.emit("e", "x".repeat(bytes)).await.unwrap();
        peers.push(peer);
    }
    // It has nothing queued.
    let _idle = Peer::enter(&server, Via::Polling, &[]).await;
    let slowest = server.io.slowest(10);
    let place = |peer: &Peer| {
        let has = |slow: &_| actix_socketio::SlowSession::sockets(slow).contains(&peer.socket);
        slowest.iter().position(has)
    };
    let places: Vec<_> = peers.iter().map(place).collect();
    assert_eq!(places, [Some(2), Some(0), Some(1)]);
    assert_eq!(slowest.len(), 3);
    for slow in &slowest {
        let mut names: Vec<_> = slow.sockets().iter().map(|it| it.namespace()).collect();
        names.sort_unstable();
        assert_eq!(names, ["/", "/chat"]);
    }
    assert_eq!(slowest[0].stats(), &peers[1].socket.stats());
    assert_eq!(server.io.slowest(1), slowest[..1]);
}

/// The same on a raw server.
#[on_both_servers]
async fn raw_sessions_with_the_most_queued_bytes_come_first() {
    let server = Server::engineio(|engine| engine);
    assert_eq!(server.io.slowest(10), []);
    let mut clients = Vec::new();
    for bytes in [10, 1000, 0, 100] {
        let client = Polling::open(&server).await;
        let session = server.io.session(client.sid()).unwrap();
        if bytes > 0 {
            let message = EngineMessage::Text("x".repeat(bytes));
            session.send(&message).unwrap();
        }
        clients.push(session);
    }
    let by_size = [1, 3, 0].map(|at: usize| clients[at].clone());
    assert_eq!(server.io.slowest(10), by_size);
    assert_eq!(server.io.slowest(1), by_size[..1]);
}

/// The id of the session is a secret.
#[on_both_servers]
async fn slow_session_does_not_show_its_id() {
    let server = start();
    let peer = Peer::enter(&server, Via::Polling, &[]).await;
    peer.socket.emit("e", ()).await.unwrap();
    let shown = format!("{:?}", server.io.slowest(1));
    assert!(shown.contains(peer.socket.id().as_str()), "{shown}");
    assert!(!shown.contains(peer.client.session_id()), "{shown}");
}
