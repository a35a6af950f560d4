//! `AppServer`: a connection that was taken over from HTTP, byte by byte: what is cut, late, slow,
//! or sent too soon.

use std::time::{Duration, Instant};

use actix_socketio::{
    Data, EngineIo, EngineIoBuilder, EngineMessage, EngineSession, Socket, SocketIo,
};
use actix_web::App;
use tokio::task::yield_now;
use tokio::time::interval;

use crate::support::socketio::{Client, Via, until};
use crate::support::{
    Connection, Frame, Open, Polling, Received, Server, WebSocket, echo, opcode, serve, within,
};

/// RFC 6455, 4.1: a client may not send frames before the answer, but what it did send is not lost.
#[tokio::test]
async fn frames_right_behind_the_handshake_are_taken() {
    let server = echoing();
    let large = format!(r#"421["echo","{}"]"#, "x".repeat(LARGE));
    let frames = texts(&["40", r#"420["echo","early"]"#, &large]);
    let socket = WebSocket::hurried(&server, OPEN, &frames).await;
    let mut socket = socket.unwrap();
    Open::read(&socket.recv_text().await);
    assert!(socket.recv_text().await.starts_with(r#"40{"sid":"#));
    socket.expect_text(r#"430["early"]"#).await;
    let answer = socket.recv_text().await;
    assert_eq!(answer, large.replace(r#"421["echo","#, "431["));
}

/// The same for a WebSocket that takes a session over: its probe, its upgrade and its first
/// message.
#[tokio::test]
async fn upgrade_right_behind_the_handshake_is_taken() {
    let server = raw(echo);
    let session = Polling::open(&server).await;
    let query = format!("{OPEN}&sid={}", session.sid());
    let frames = texts(&["2probe", "5", "4early"]);
    let socket = WebSocket::hurried(&server, &query, &frames).await;
    let mut socket = socket.unwrap();
    socket.expect_text("3probe").await;
    socket.expect_text("4early").await;
}

/// RFC 6455, 5.1: frames are cut wherever TCP likes.
#[tokio::test]
async fn message_that_is_cut_anywhere_arrives_whole() {
    let server = echoing();
    let mut client = WebSocket::open(&server).await;
    client.send_text("40").await;
    client.recv_text().await;
    // It has the one worker go round, so that each piece is read by itself.
    let mut other = Client::connected(&server, Via::WebSocket).await;
    // Its length takes two more bytes.
    let words = "word ".repeat(30);
    let frame = texts(&[&format!(r#"427["echo","{words}"]"#)]);
    for cut in 1..frame.len() {
        client.send_bytes(&frame[..cut]).await;
        other.expect_nothing_more("/").await;
        client.send_bytes(&frame[cut..]).await;
        client.expect_text(&format!(r#"437["{words}"]"#)).await;
    }
    for byte in &frame {
        client.send_bytes(&[*byte]).await;
        other.expect_nothing_more("/").await;
    }
    client.expect_text(&format!(r#"437["{words}"]"#)).await;
}

/// `max_payload`: a message near the limit is taken, in pieces as it comes.
#[tokio::test]
async fn large_message_arrives_whole() {
    let server = raw(echo);
    let mut socket = WebSocket::open(&server).await;
    let data: Vec<u8> = (0..HUGE).map(|n| (n % 251) as u8).collect();
    for piece in Frame::new(opcode::BINARY, &data).bytes().chunks(10_007) {
        socket.send_bytes(piece).await;
        yield_now().await;
    }
    socket.expect_binary(&data).await;
    let data: Vec<u8> = data.into_iter().rev().collect();
    socket.send_binary(&data).await;
    socket.expect_binary(&data).await;
}

/// docs/semantics.md, Order: what a slow client takes in small pieces is whole and in order.
#[tokio::test]
async fn slow_reader_gets_everything_whole_and_in_order() {
    let server = serve(|io| {
        io.of("/").on("send", |socket: Socket| async move {
            socket.emit("large", "x".repeat(HUGE)).await.unwrap();
            for n in 0..SMALL {
                socket.emit("small", n).await.unwrap();
            }
        });
        io.serve(App::new)
    });
    let narrow = Connection::open_narrow(server.address).await;
    let mut client = Client::open_on(narrow, &server).await;
    client.connect("/").await;
    client.send(r#"42["send"]"#).await;
    // All of it lies in the outbox, less what the kernel has taken.
    Client::connected(&server, Via::WebSocket).await;
    let large = client.text().await;
    assert_eq!(large.len(), HUGE + r#"42["large",""]"#.len());
    assert_eq!(large.matches('x').count(), HUGE);
    for n in 0..SMALL {
        client.expect(&format!(r#"42["small",{n}]"#)).await;
    }
    client.expect_nothing_more("/").await;
}

/// docs/semantics.md, Silence: a client that has stopped reading loses its connection, not only its
/// session, also where it sends more often than the kernel looks at its write deadline.
#[tokio::test]
async fn client_that_sends_and_never_reads_loses_its_connection() {
    let server = Server::serving("/socket.io/", || {
        let io = SocketIo::builder()
            .ping_interval(SILENCE)
            .ping_timeout(SILENCE)
            .outbox_limit(64 << 20)
            .start()?;
        io.of("/").on("flood", |socket: Socket| async move {
            for _ in 0..32 {
                // It may have been cut off by now.
                let _ = socket.emit("flood", "x".repeat(1 << 20)).await;
                yield_now().await;
            }
        });
        Ok((io.clone(), io.serve(App::new)))
    });
    // The kernel's deadline serves the first alone.
    let rare = sends_until_it_is_cut_off(&server, Duration::from_millis(100));
    let often = sends_until_it_is_cut_off(&server, Duration::from_millis(5));
    tokio::join!(rare, often);
    assert_eq!(server.io.clients_count(), 0);
}

/// Reference server, WebSocket: the close frame follows all frames that were sent before. The
/// connection of a client that continues to send meanwhile is not reset.
#[tokio::test]
async fn client_that_sends_on_gets_all_that_came_before_the_close() {
    let server = raw(|builder| {
        builder.outbox_limit(64 << 20).on_message(
            |session: EngineSession, message: EngineMessage| async move {
                if message == EngineMessage::Text("leave".to_owned()) {
                    for n in 0..PARTS {
                        session.send(&EngineMessage::Text(part(n))).unwrap();
                    }
                    session.close();
                }
            },
        )
    });
    let (reads, mut writes) = Connection::open_twice(server.address).await;
    let mut socket = WebSocket::open_on(reads, &server).await;
    socket.send_text("4leave").await;
    let chatter = Frame::new(opcode::BINARY, vec![0; 1000]).bytes();
    let chatting = tokio::spawn(async move {
        let mut sent = 0;
        loop {
            if writes.try_write(&chatter).await.is_err() {
                return sent;
            }
            sent += 1;
            yield_now().await;
        }
    });
    for n in 0..PARTS {
        assert_eq!(socket.recv().await, Received::Text(format!("4{}", part(n))));
    }
    assert_eq!(socket.expect_close().await, None);
    socket.into_connection().expect_orderly_end().await;
    assert!(!chatting.is_finished(), "the connection was cut");
    until("the session to end", || server.io.clients_count() == 0).await;
    // It chatters for ever, and is cut off at last.
    assert!(within("the end of a chatterbox", chatting).await.unwrap() > 0);
}

/// Asks for a flood and never reads, but pongs at this pace until the connection has gone.
async fn sends_until_it_is_cut_off(server: &Server<SocketIo>, pace: Duration) {
    let narrow = Connection::open_narrow(server.address).await;
    let mut socket = WebSocket::open_on(narrow, server).await;
    let began = Instant::now();
    socket.send_bytes(&texts(&["40", r#"42["flood"]"#])).await;
    let pong = texts(&["3"]);
    let sends = async {
        let mut pace = interval(pace);
        while socket.try_send_bytes(&pong).await.is_ok() {
            pace.tick().await;
        }
    };
    within("the server to cut the connection", sends).await;
    // The ping, its answer, and two seconds that a connection is given to end in order.
    assert!(began.elapsed() < 2 * SILENCE + Duration::from_secs(4));
}

fn echoing() -> Server<SocketIo> {
    serve(|io| {
        let echo = |Data(text): Data<String>| async move { text };
        io.of("/").on("echo", echo);
        io.serve(App::new).workers(1)
    })
}

fn raw(
    build: impl FnOnce(EngineIoBuilder) -> EngineIoBuilder + Send + 'static,
) -> Server<EngineIo> {
    Server::serving("/engine.io/", move || {
        let io = build(EngineIo::builder()).start()?;
        Ok((io.clone(), io.serve(App::new).workers(2)))
    })
}

/// Returns the frames of text messages.
fn texts(messages: &[&str]) -> Vec<u8> {
    let frame = |message: &&str| Frame::new(opcode::TEXT, message).bytes();
    messages.iter().flat_map(frame).collect()
}

/// A part of what is sent before a close: larger together than what the kernels keep.
fn part(number: usize) -> String {
    format!("{number} {}", "x".repeat(100_000))
}

const OPEN: &str = "EIO=4&transport=websocket";
const LARGE: usize = 300_000;
const HUGE: usize = 900_000;
const SMALL: usize = 5000;
const PARTS: usize = 100;
const SILENCE: Duration = Duration::from_millis(200);
