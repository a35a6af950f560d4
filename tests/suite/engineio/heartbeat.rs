//! Engine.IO v4, Heartbeat: the server pings, and a client that does not answer is found.

use std::time::{Duration, Instant};

use actix_socketio::{
    Builder, Bytes, CloseReason, DisconnectReason, EngineIoBuilder, SlowClientPolicy, Socket,
    SocketIo,
};
use tokio::task::yield_now;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::support::{
    Connection, Frame, Heard, Polling, Server, WebSocket, channel, opcode, packets, recording,
    within,
};

/// Engine.IO v4, Heartbeat: the server sends the ping, an interval after the handshake.
#[on_both_servers]
async fn ping_comes_after_the_interval() {
    let (server, _closed) = recording(patient);
    let opened = Instant::now();
    let mut socket = WebSocket::open(&server).await;
    socket.expect_text("2").await;
    assert!(opened.elapsed() >= INTERVAL);

    let opened = Instant::now();
    let session = Polling::open(&server).await;
    session.expect(&["2"]).await;
    assert!(opened.elapsed() >= INTERVAL);
}

/// Engine.IO v4, Heartbeat: a client that answers lives on, and is pinged an interval after its
/// pong.
#[on_both_servers]
async fn pong_keeps_a_websocket_alive() {
    let (server, mut closed) = recording(patient);
    let mut socket = WebSocket::open(&server).await;
    socket.expect_text("2").await;
    for _ in 0..ROUNDS {
        let answered = Instant::now();
        socket.send_text("3").await;
        socket.expect_text("2").await;
        assert!(answered.elapsed() >= INTERVAL);
    }
    assert_eq!(closed.so_far(), []);
}

/// The same for a client that polls.
#[on_both_servers]
async fn pong_keeps_polling_alive() {
    let (server, mut closed) = recording(patient);
    let session = Polling::open(&server).await;
    session.expect(&["2"]).await;
    for _ in 0..ROUNDS {
        let answered = Instant::now();
        session.post(&["3"]).await;
        session.expect(&["2"]).await;
        assert!(answered.elapsed() >= INTERVAL);
    }
    assert_eq!(closed.so_far(), []);
}

/// Engine.IO v4, Heartbeat: a WebSocket that does not answer is closed after the timeout.
#[on_both_servers]
async fn missing_pong_closes_a_websocket() {
    let (server, mut closed) = recording(silent);
    let opened = Instant::now();
    let mut socket = WebSocket::open(&server).await;
    socket.expect_text("2").await;
    socket.expect_closed(None).await;
    was_found_in_time(opened);
    assert_eq!(closed.next().await, CloseReason::PingTimeout);
    assert_eq!(server.io.clients_count(), 0);
}

/// The same for a client that polls, and polls on.
#[on_both_servers]
async fn missing_pong_closes_polling() {
    let (server, mut closed) = recording(silent);
    let opened = Instant::now();
    let session = Polling::open(&server).await;
    session.expect(&["2"]).await;
    session.expect(&["1"]).await;
    was_found_in_time(opened);
    assert_eq!(closed.next().await, CloseReason::PingTimeout);
    session.expect_gone().await;
}

/// docs/semantics.md, Silence and heartbeat: a client that does not poll for its ping is
/// disconnected after the same time.
#[on_both_servers]
async fn missing_poll_closes_the_session() {
    let (server, mut closed) = recording(silent);
    let opened = Instant::now();
    let session = Polling::open(&server).await;
    assert_eq!(closed.next().await, CloseReason::PingTimeout);
    was_found_in_time(opened);
    session.expect_gone().await;
}

/// Reference server, heartbeat: the first packet other than the pong extends the timeout once;
/// later packets do not extend it again.
#[on_both_servers]
async fn other_packets_extend_the_timeout_once() {
    let (server, mut closed) = recording(|builder| {
        let builder = builder.ping_interval(INTERVAL);
        builder.ping_timeout(EXTENDED)
    });
    let mut socket = WebSocket::open(&server).await;
    socket.expect_text("2").await;
    socket.expect_silence(EXTENDED / 2).await;
    let first = Instant::now();
    let mut pace = interval(EXTENDED / 20);
    while closed.so_far().is_empty() {
        assert!(first.elapsed() < 10 * EXTENDED, "it is still there");
        pace.tick().await;
        let chatter = Frame::new(opcode::TEXT, "6").bytes();
        if socket.try_send_bytes(&chatter).await.is_err() {
            break;
        }
    }
    assert!(first.elapsed() >= EXTENDED);
    socket.expect_closed(None).await;
}

/// The same for a client that polls.
#[on_both_servers]
async fn other_packets_extend_the_timeout_of_polling_once() {
    let (server, mut closed) = recording(|builder| {
        let builder = builder.ping_interval(INTERVAL);
        builder.ping_timeout(EXTENDED)
    });
    let session = Polling::open(&server).await;
    session.expect(&["2"]).await;
    let poll = session.waiting_poll().await.response();
    tokio::pin!(poll);
    assert!(timeout(EXTENDED / 2, &mut poll).await.is_err());
    let first = Instant::now();
    let chatter = async {
        loop {
            // Refused in the end, when the session has gone.
            let _ = session.post_body("6").await;
        }
    };
    let last = tokio::select! {
        answer = within("the end of a chatterbox", &mut poll) => answer,
        () = chatter => unreachable!("it chatters for ever"),
    };
    assert_eq!(packets(&last), ["1"]);
    assert!(first.elapsed() >= EXTENDED);
    assert_eq!(closed.next().await, CloseReason::PingTimeout);
}

/// docs/semantics.md, Silence and heartbeat: a pong does not count if its ping was never polled.
#[on_both_servers]
async fn pong_without_a_poll_does_not_keep_the_session() {
    let (server, mut closed) = recording(silent);
    let session = Polling::open(&server).await;
    let guesses = async {
        loop {
            let _ = session.post_body("3").await;
        }
    };
    let reason = tokio::select! {
        reason = closed.next() => reason,
        () = guesses => unreachable!("it guesses for ever"),
    };
    assert_eq!(reason, CloseReason::PingTimeout);
}

/// Reference server, event `disconnect`: the handler gets the reason.
#[on_both_servers]
async fn disconnect_handler_gets_the_ping_timeout_reason() {
    let (server, mut left) = flooding(silent_socket);
    let mut socket = WebSocket::open(&server).await;
    socket.send_text("40").await;
    assert_eq!(left.next().await, "ping timeout");
}

/// docs/semantics.md, Slow clients: a client that sends pongs and reads nothing is disconnected
/// once its outbox is full, and its connection is closed.
#[on_both_servers]
async fn client_that_stops_reading_is_disconnected_at_a_full_outbox() {
    let (server, mut left) = flooding(|builder| {
        let builder = silent_socket(builder).outbox_limit(1 << 20);
        builder.emit_timeout(Duration::from_millis(100))
    });
    stops_reading(&server).await;
    assert_eq!(left.next().await, "outbox full");
    assert_eq!(server.io.clients_count(), 0);
}

/// The same where the outbox never fills: none of its pings is drained, so none of its pongs
/// counts.
#[on_both_servers]
async fn client_that_stops_reading_is_disconnected_by_an_undrained_ping() {
    let (server, mut left) = flooding(|builder| silent_socket(builder).outbox_limit(256 << 20));
    stops_reading(&server).await;
    assert_eq!(left.next().await, "ping timeout");
    assert_eq!(server.io.clients_count(), 0);
}

/// The same where packets that do not fit are dropped, pings among them.
#[on_both_servers]
async fn client_that_stops_reading_is_disconnected_despite_the_drop_policy() {
    let (server, mut left) = flooding(|builder| {
        let builder = silent_socket(builder).outbox_limit(1 << 20);
        builder.slow_client_policy(SlowClientPolicy::Drop)
    });
    stops_reading(&server).await;
    assert_eq!(left.next().await, "ping timeout");
    assert_eq!(server.io.clients_count(), 0);
}

/// The same for a poll whose answer nobody reads.
#[on_both_servers]
async fn unread_poll_response_is_cut_off() {
    let (server, mut left) = flooding(|builder| silent_socket(builder).outbox_limit(256 << 20));
    let session = Polling::open(&server).await;
    session.post(&["40"]).await;
    session.poll().await;
    // The first of the flood lies in the outbox when this is answered.
    session.post(&["42[\"flood\"]"]).await;
    let mut connection = Connection::open_narrow(server.address).await;
    connection.write(&session.request("GET").bytes()).await;
    // Nothing that the server has to answer before the poll is answered.
    is_cut_off(&mut connection, b"G").await;
    assert_eq!(left.next().await, "ping timeout");
    assert_eq!(server.io.clients_count(), 0);
}

/// Asks for a flood and never reads again, but pongs, until the connection has gone.
async fn stops_reading(server: &Server<SocketIo>) {
    let connection = Connection::open_narrow(server.address).await;
    let mut socket = WebSocket::open_on(connection, server).await;
    socket.send_text("40").await;
    socket.send_text("42[\"flood\"]").await;
    let pong = Frame::new(opcode::TEXT, "3").bytes();
    is_cut_off(&mut socket.into_connection(), &pong).await;
}

/// Sends these bytes again and again, without reading, until the server's end refuses them: only a
/// connection that has really gone does that.
async fn is_cut_off(connection: &mut Connection, bytes: &[u8]) {
    let sends = async {
        // Linux forgets to look at a write deadline where data comes more often than it probes.
        let mut pace = interval(Duration::from_millis(400));
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while connection.try_write(bytes).await.is_ok() {
            pace.tick().await;
        }
    };
    within("the server to cut the connection", sends).await;
}

/// A Socket.IO server that sends more than any kernel buffers on `flood`, and tells why sockets
/// left.
fn flooding(
    build: impl FnOnce(Builder) -> Builder + Send + 'static,
) -> (Server<SocketIo>, Heard<&'static str>) {
    let (told, heard) = channel();
    let server = Server::socketio(build, move |io| {
        io.of("/")
            .on("flood", |socket: Socket| async move {
                let piece = Bytes::from(vec![0; 64 * 1024]);
                for _ in 0..FLOOD {
                    // It is full, or the client has been cut off.
                    let _ = socket.emit("flood", &piece).await;
                    // The session goes on meanwhile.
                    yield_now().await;
                }
            })
            .on_disconnect(move |reason: DisconnectReason| {
                let _ = told.send(reason.as_str());
                async {}
            });
    });
    (server, heard)
}

/// Pings soon, and gives clients time to answer.
fn patient(builder: EngineIoBuilder) -> EngineIoBuilder {
    builder.ping_interval(INTERVAL).ping_timeout(LONG)
}

/// Finds silent clients soon.
fn silent(builder: EngineIoBuilder) -> EngineIoBuilder {
    builder.ping_interval(INTERVAL).ping_timeout(TIMEOUT)
}

/// The same for a server on which a socket has to connect before.
fn silent_socket(builder: Builder) -> Builder {
    builder.ping_interval(LONG / 4).ping_timeout(LONG / 4)
}

/// Asserts that a silent client was found neither early nor, for a busy machine, late.
#[track_caller]
fn was_found_in_time(opened: Instant) {
    let took = opened.elapsed();
    let limit = INTERVAL + TIMEOUT;
    assert!(took >= limit && took < limit + SLACK, "{took:?}");
}

const INTERVAL: Duration = Duration::from_millis(80);
const TIMEOUT: Duration = Duration::from_millis(400);
/// For clients that answer: they do so in time on a busy machine too.
const LONG: Duration = Duration::from_millis(800);
/// Pings within which a client that did not answer would be found.
const ROUNDS: usize = 12;
const EXTENDED: Duration = Duration::from_millis(800);
const SLACK: Duration = Duration::from_secs(2);
/// Pieces of 64 KiB: 16 MiB in all.
const FLOOD: usize = 256;
