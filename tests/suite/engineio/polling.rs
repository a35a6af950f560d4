//! Engine.IO v4, HTTP long-polling: payloads, and one request of each kind at a time.

use actix_socketio::{
    CloseReason, EngineIo, EngineIoBuilder, EngineMessage, EngineSession, SocketIo,
};

use crate::support::{
    Connection, Heard, Open, Polling, Request, Server, channel, echo, packets, recording,
};

/// Engine.IO v4, Packet encoding, HTTP long-polling: packets are taken, and sent, in order.
#[on_both_servers]
async fn packets_of_one_body_are_taken_in_order() {
    let server = Server::engineio(echo);
    let session = Polling::open(&server).await;
    session.post(&["4a", "4", "4c\n\"é\""]).await;
    session.expect(&["4a", "4", "4c\n\"é\""]).await;
}

/// The same, for more than a session takes before it lets others have their turn.
#[on_both_servers]
async fn a_thousand_packets_of_one_body_are_taken_in_order() {
    let server = Server::engineio(echo);
    let session = Polling::open(&server).await;
    let sent: Vec<_> = (0..1000).map(|number| format!("4{number}")).collect();
    let sent: Vec<_> = sent.iter().map(String::as_str).collect();
    session.post(&sent).await;
    session.expect_all(&sent).await;
}

/// The official Python client takes no more packets than sixteen in one body.
#[on_both_servers]
async fn poll_takes_sixteen_packets_and_the_next_one_the_rest() {
    let server = Server::engineio(echo);
    let session = Polling::open(&server).await;
    let sent: Vec<_> = (0..17).map(|number| format!("4{number}")).collect();
    let sent: Vec<_> = sent.iter().map(String::as_str).collect();
    session.post(&sent).await;
    session.expect(&sent[..16]).await;
    session.expect(&sent[16..]).await;
}

/// Engine.IO v4, Packet encoding, HTTP long-polling: binary is `b` and base64, beside text.
#[on_both_servers]
async fn binary_is_base64_both_ways() {
    let (told, mut heard) = channel();
    let server = Server::engineio(move |builder| {
        builder.on_message(move |session: EngineSession, message: EngineMessage| {
            session.send(&message).unwrap();
            let _ = told.send(message);
            async {}
        })
    });
    let session = Polling::open(&server).await;
    session.post(&["4text", "bAQIDBA==", "b"]).await;
    session.expect(&["4text", "bAQIDBA==", "b"]).await;
    let text = EngineMessage::Text("text".to_owned());
    assert_eq!(heard.next().await, text);
    let binary = EngineMessage::Binary(vec![1, 2, 3, 4].into());
    assert_eq!(heard.next().await, binary);
    assert_eq!(heard.next().await, EngineMessage::Binary(vec![].into()));
}

/// Engine.IO v4, HTTP long-polling: the GET waits until there is something to send.
#[on_both_servers]
async fn waiting_poll_gets_what_is_sent_next() {
    let server = Server::engineio(echo);
    let session = Polling::open(&server).await;
    let poll = session.waiting_poll().await;
    session.post(&["4hello"]).await;
    assert_eq!(packets(&poll.response().await), ["4hello"]);
}

/// Reference server, polling: headers of the responses to GET and POST.
#[on_both_servers]
async fn answers_say_what_they_are() {
    let server = Server::engineio(echo);
    let session = Polling::open(&server).await;
    let post = session.post_body("4a").await;
    post.expect(200, "ok");
    assert_eq!(post.header("content-type"), Some("text/html"));
    let poll = session.start_poll().await.response().await;
    poll.expect(200, "4a");
    for (name, value) in [
        ("content-type", "text/plain; charset=UTF-8"),
        ("cache-control", "no-store"),
        ("content-length", "2"),
    ] {
        assert_eq!(poll.header(name), Some(value), "{name}");
    }
}

/// RFC 9112, 9.3: requests of one session may follow each other on one connection.
#[on_both_servers]
async fn connection_serves_one_request_after_another() {
    let server = Server::engineio(echo);
    let mut connection = Connection::open(server.address).await;
    let handshake = Request::get(server.address, &server.target("EIO=4&transport=polling"));
    connection.write(&handshake.bytes()).await;
    let open = Open::read(connection.response().await.text());
    let target = server.target(&format!("EIO=4&transport=polling&sid={}", open.sid));
    for _ in 0..3 {
        let post = Request::post(server.address, &target, "4a");
        connection.write(&post.bytes()).await;
        connection.response().await.expect(200, "ok");
        let poll = Request::get(server.address, &target);
        connection.write(&poll.bytes()).await;
        connection.response().await.expect(200, "4a");
    }
}

/// Engine.IO v4, HTTP long-polling: one GET at a time. The second is refused, the first is told
/// that the session is closed.
#[on_both_servers]
async fn second_poll_closes_the_session() {
    let (session, end) = recorded().await;
    let first = session.waiting_poll().await;
    let second = session.start_poll().await.response().await;
    second.expect(400, "");
    first.response().await.expect(200, "1");
    end.is(&session, CloseReason::TransportError).await;
}

/// Engine.IO v4, HTTP long-polling: one POST at a time.
#[on_both_servers]
async fn second_post_closes_the_session() {
    let (server, mut closed) = recording(|builder| builder);
    let session = Polling::open(&server).await;
    let poll = session.waiting_poll().await;
    let first = session.request("POST").header("content-length", "2");
    let mut first = first.start_heard().await;
    session.post_body("4second").await.expect(400, "");
    poll.response().await.expect(200, "1");
    assert_eq!(closed.next().await, CloseReason::TransportError);
    first.write(b"4a").await;
    assert_eq!(first.response().await.status, 400);
    session.expect_gone().await;
}

/// A poll and a POST at the same time are how the transport works.
#[on_both_servers]
async fn post_beside_a_waiting_poll_is_in_order() {
    let server = Server::engineio(echo);
    let session = Polling::open(&server).await;
    for text in ["4one", "4two", "4three"] {
        let poll = session.waiting_poll().await;
        session.post(&[text]).await;
        assert_eq!(packets(&poll.response().await), [text]);
    }
}

/// Reference server, polling: a GET that the client aborts closes the session, because packets of
/// its response may be lost.
#[on_both_servers]
async fn aborted_poll_closes_the_session() {
    let (session, end) = recorded().await;
    session.waiting_poll().await.abort();
    end.is(&session, CloseReason::TransportError).await;
}

/// The same with Socket.IO on a server that `SocketIo::tune` has set up.
#[on_both_servers]
async fn aborted_poll_disconnects_the_socket() {
    let (told, mut heard) = channel();
    let server = Server::socketio(
        |builder| builder,
        move |io: &SocketIo| {
            io.of("/")
                .on_disconnect(move |reason: actix_socketio::DisconnectReason| {
                    let _ = told.send(reason.as_str());
                    async {}
                });
        },
    );
    let session = Polling::open(&server).await;
    session.post(&["40"]).await;
    assert!(session.poll().await[0].starts_with("40{"));
    session.waiting_poll().await.abort();
    assert_eq!(heard.next().await, "transport error");
    session.expect_gone().await;
}

/// Reference server, polling: a POST with an incomplete body closes the session.
#[on_both_servers]
async fn aborted_post_closes_the_session() {
    let (session, end) = recorded().await;
    let post = session.request("POST").header("content-length", "100");
    let mut post = post.start_heard().await;
    post.write(b"4half").await;
    post.abort();
    end.is(&session, CloseReason::TransportError).await;
}

/// Reference server, polling: a binary body is part of revision 3 only.
#[on_both_servers]
async fn octet_stream_closes_the_session() {
    let (session, end) = recorded().await;
    let poll = session.waiting_poll().await;
    let post = session.request("POST").body("4a");
    let post = post.header("content-type", "application/octet-stream");
    post.send().await.expect(400, "");
    poll.response().await.expect(200, "1");
    end.is(&session, CloseReason::TransportError).await;
}

/// Engine.IO v4, Handshake, `maxPayload`: the largest body passes; one byte more is answered with
/// 413, is not delivered, and the session goes on.
#[on_both_servers]
async fn body_of_more_than_max_payload_is_too_large() {
    let server = Server::engineio(|builder| echo(builder).max_payload(MAX_PAYLOAD));
    let session = Polling::open(&server).await;
    session
        .post_body(body(MAX_PAYLOAD + 1))
        .await
        .expect(413, "");
    session.post_body(body(MAX_PAYLOAD)).await.expect(200, "ok");
    session.expect(&[&body(MAX_PAYLOAD)]).await;
}

/// The same where the client sends all of it before it listens.
#[on_both_servers]
async fn body_of_much_more_than_max_payload_is_too_large() {
    let server = Server::engineio(|builder| echo(builder).max_payload(MAX_PAYLOAD));
    let session = Polling::open(&server).await;
    let post = session.request("POST").body(body(1_000_000));
    let mut connection = Connection::open(server.address).await;
    // It may break off where the server has closed the connection meanwhile.
    let _ = connection.try_write(&post.bytes()).await;
    connection.response().await.expect(413, "");
    session.post(&["4still here"]).await;
    session.expect(&["4still here"]).await;
}

/// The limit counts what comes, not what is declared.
#[on_both_servers]
async fn chunked_body_of_more_than_max_payload_is_too_large() {
    let server = Server::engineio(|builder| echo(builder).max_payload(MAX_PAYLOAD));
    let session = Polling::open(&server).await;
    for (size, status, answer) in [(MAX_PAYLOAD + 1, 413, ""), (MAX_PAYLOAD, 200, "ok")] {
        let post = session.request("POST").body(chunked(&body(size)));
        let post = post.header("transfer-encoding", "chunked");
        post.send().await.expect(status, answer);
    }
    session.expect(&[&body(MAX_PAYLOAD)]).await;
}

/// A body that goes on for ever is refused: what is beyond twice the limit is not even read.
#[on_both_servers]
async fn endless_body_is_refused_before_it_is_whole() {
    let server = Server::engineio(|builder| echo(builder).max_payload(MAX_PAYLOAD));
    let session = Polling::open(&server).await;
    let much = body(2 * MAX_PAYLOAD + 1);
    let chunks = chunked(&much);
    let unfinished = chunks.strip_suffix(b"0\r\n\r\n").unwrap();
    for (name, value, sent) in [
        ("transfer-encoding", "chunked", unfinished),
        ("content-length", "1000000000", much.as_bytes()),
    ] {
        let mut post = session
            .request("POST")
            .header(name, value)
            .start_heard()
            .await;
        post.write(sent).await;
        post.response().await.expect(413, "");
    }
    session.post(&["4still here"]).await;
    session.expect(&["4still here"]).await;
}

/// Engine.IO v4, Packet encoding: what is no packet ends the session. Packets before it count.
#[on_both_servers]
async fn invalid_packet_closes_the_session() {
    for body in [
        "x",
        "7",
        "",
        "\u{1e}",
        "4a\u{1e}",
        "4a\u{1e}\u{1e}4b",
        "bA",
        "b%%%%",
        "\u{1e}4b",
    ] {
        let (server, mut closed) = recording(|builder| builder);
        let session = Polling::open(&server).await;
        let poll = session.waiting_poll().await;
        assert_eq!(session.post_body(body).await.status, 400, "{body:?}");
        let poll = poll.response().await;
        let before = ["1", "4a"].contains(&poll.text());
        assert!(before, "{body:?}: {poll:?}");
        assert_eq!(closed.next().await, CloseReason::ParseError, "{body:?}");
    }
}

/// Engine.IO v4, Packet encoding: reading stops at the first packet that is none.
#[on_both_servers]
async fn packets_behind_an_invalid_one_are_not_taken() {
    let (told, mut heard) = channel();
    let server = Server::engineio(move |builder| {
        builder.on_message(move |_, message: EngineMessage| {
            let _ = told.send(message);
            async {}
        })
    });
    let session = Polling::open(&server).await;
    let answer = session.post_body("4before\u{1e}x\u{1e}4behind").await;
    assert_eq!(answer.status, 400);
    session.expect_gone().await;
    assert_eq!(heard.so_far(), [EngineMessage::Text("before".to_owned())]);
}

/// Engine.IO v4, Packet encoding, HTTP long-polling: the body is UTF-8.
#[on_both_servers]
async fn body_that_is_not_utf8_closes_the_session() {
    let (session, end) = recorded().await;
    let poll = session.waiting_poll().await;
    session.post_body(b"4\xFF\xFE").await.expect(400, "");
    poll.response().await.expect(200, "1");
    end.is(&session, CloseReason::ParseError).await;
}

/// Engine.IO v4, Packets, `close`: the waiting poll is let out with a noop, and the session ends.
#[on_both_servers]
async fn close_packet_releases_the_waiting_poll() {
    let (session, end) = recorded().await;
    let poll = session.waiting_poll().await;
    session.post(&["1"]).await;
    poll.response().await.expect(200, "6");
    end.is(&session, CloseReason::TransportClose).await;
}

/// Engine.IO v4, Packets, `close`: nothing behind it counts.
#[on_both_servers]
async fn packets_behind_a_close_are_not_taken() {
    let (told, mut heard) = channel();
    let server = Server::engineio(move |builder| {
        builder.on_message(move |_, message: EngineMessage| {
            let _ = told.send(message);
            async {}
        })
    });
    let session = Polling::open(&server).await;
    session.post(&["4before", "1", "4behind"]).await;
    session.expect_gone().await;
    assert_eq!(heard.so_far(), [EngineMessage::Text("before".to_owned())]);
}

/// Engine.IO v4, Heartbeat: only the server pings.
#[on_both_servers]
async fn ping_of_a_client_closes_the_session() {
    let (session, end) = recorded().await;
    let poll = session.waiting_poll().await;
    assert_eq!(session.post_body("2").await.status, 400);
    poll.response().await.expect(200, "1");
    end.is(&session, CloseReason::TransportError).await;
}

/// Reference server: packets of an unexpected type are ignored.
#[on_both_servers]
async fn packets_out_of_place_are_passed_over() {
    let server = Server::engineio(echo);
    let session = Polling::open(&server).await;
    session
        .post(&["3", "3probe", "5", "6", "0", "0{}", "4end"])
        .await;
    session.expect(&["4end"]).await;
}

/// Reference server, polling: if the server closes the session, the waiting poll gets the CLOSE
/// packet after the packets that were sent before.
#[on_both_servers]
async fn close_of_the_server_ends_the_waiting_poll() {
    let (server, mut closed) = recording(close_when_told);
    let session = Polling::open(&server).await;
    let mut received = Vec::new();
    let poll = session.waiting_poll().await;
    session.post(&["4close"]).await;
    received.extend(packets(&poll.response().await));
    if received.len() < 2 {
        received.extend(session.poll().await);
    }
    assert_eq!(received, ["4goodbye", "1"]);
    assert_eq!(closed.next().await, CloseReason::ForcedServerClose);
    session.expect_gone().await;
}

/// Reference server, polling: without a waiting poll, the next poll gets the CLOSE packet.
#[on_both_servers]
async fn close_of_the_server_waits_for_the_next_poll() {
    let (server, mut closed) = recording(close_when_told);
    let session = Polling::open(&server).await;
    session.post(&["4close"]).await;
    assert_eq!(closed.next().await, CloseReason::ForcedServerClose);
    session.expect(&["4goodbye", "1"]).await;
    session.expect_gone().await;
}

/// Reference server, polling: until that poll, POSTs are answered and their packets are ignored.
#[on_both_servers]
async fn post_to_a_session_that_waits_for_its_last_poll_is_answered_at_once() {
    let (server, mut closed) = recording(close_when_told);
    let session = Polling::open(&server).await;
    session.post(&["4close"]).await;
    assert_eq!(closed.next().await, CloseReason::ForcedServerClose);
    session.post(&["4late"]).await;
    session.expect(&["4goodbye", "1"]).await;
    session.expect_gone().await;
}

/// The same where it is Socket.IO that the client broke: the next poll tells it.
#[on_both_servers]
async fn post_that_socketio_refuses_is_answered_at_once() {
    let server = Server::socketio(|builder| builder, |_| {});
    let session = Polling::open(&server).await;
    session.post(&["40"]).await;
    assert!(session.poll().await[0].starts_with("40{"));
    session.post(&["42[\"connect\"]"]).await;
    session.expect(&["1"]).await;
    session.expect_gone().await;
}

/// The end of a session, which the server tells.
struct End {
    _server: Server<EngineIo>,
    closed: Heard<CloseReason>,
}

/// Opens a session of a server that sends every message back.
async fn recorded() -> (Polling, End) {
    let (server, closed) = recording(|builder| builder);
    let session = Polling::open(&server).await;
    (
        session,
        End {
            _server: server,
            closed,
        },
    )
}

impl End {
    /// Waits for the end of the session, which must have this reason.
    async fn is(mut self, session: &Polling, reason: CloseReason) {
        assert_eq!(self.closed.next().await, reason);
        session.expect_gone().await;
    }
}

/// Says goodbye and closes the session that sends anything.
fn close_when_told(builder: EngineIoBuilder) -> EngineIoBuilder {
    builder.on_message(|session: EngineSession, _| async move {
        let goodbye = EngineMessage::Text("goodbye".to_owned());
        session.send(&goodbye).unwrap();
        session.close();
    })
}

/// A body of one packet with this many bytes.
fn body(size: usize) -> String {
    format!("4{}", "x".repeat(size - 1))
}

/// RFC 9112, 7.1: a body in two chunks.
fn chunked(body: &str) -> Vec<u8> {
    let (one, two) = body.split_at(body.len() / 2);
    let (one_size, two_size) = (one.len(), two.len());
    format!("{one_size:x}\r\n{one}\r\n{two_size:x}\r\n{two}\r\n0\r\n\r\n").into()
}

const MAX_PAYLOAD: usize = 100;
