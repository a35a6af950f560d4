//! Engine.IO v3: the clients of the 2.x line of Socket.IO, if the server lets them in.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix_socketio::{EngineIo, EngineMessage, EngineSession};

use crate::support::eio3::{OldPolling, engineio, old_packets, old_websocket};
use crate::support::{
    Frame, Open, Polling, Request, Server, WebSocket, channel, echo, opcode, packets,
};

/// Reference server, `allowEIO3`: without it every revision but the fourth is refused by code 5.
#[on_both_servers]
async fn older_clients_are_refused_by_default() {
    let server = Server::engineio(echo);
    for query in ["EIO=3&transport=polling", "transport=polling"] {
        let response = Request::get(server.address, &server.target(query))
            .send()
            .await;
        response.expect_error(5, "Unsupported protocol version");
        let query = query.replace("polling", "websocket");
        let refused = WebSocket::connect(&server, &query, &[]).await.unwrap_err();
        refused.expect_error(5, "Unsupported protocol version");
    }
    let session = Polling::open(&server).await;
    let target = session.target().replace("EIO=4", "EIO=3");
    let response = Request::get(server.address, &target).send().await;
    response.expect_error(3, "Bad request");
}

/// Reference server, `allowEIO3`: a missing or unknown revision is the third.
#[on_both_servers]
async fn a_client_without_a_known_revision_is_an_older_one() {
    let server = engineio(|builder| builder);
    for query in ["", "&EIO=", "&EIO=3", "&EIO=2", "&EIO=abc"] {
        let target = server.target(&format!("transport=polling{query}"));
        let response = Request::get(server.address, &target).send().await;
        let [open] = &old_packets(&response)[..] else {
            panic!("{response:?}");
        };
        assert_eq!(Open::read(open).upgrades, ["websocket"], "{query}");
    }
    // Clients of v4 are served as ever.
    let session = Polling::open(&server).await;
    session.post(&["4a", "bAQID"]).await;
    session.expect(&["4a", "bAQID"]).await;
}

/// Reference server: the revision of a request is that of its session.
#[on_both_servers]
async fn a_request_of_another_revision_than_its_session_is_code_3() {
    let server = engineio(|builder| builder);
    let (old, new) = (
        OldPolling::open(&server).await,
        Polling::open(&server).await,
    );
    for (sid, revision) in [(old.sid(), 4), (new.sid(), 3)] {
        let query = format!("EIO={revision}&transport=polling&sid={sid}");
        for method in ["GET", "POST"] {
            let request = Request::new(method, server.address, &server.target(&query));
            request.send().await.expect_error(3, "Bad request");
        }
        let query = query.replace("polling", "websocket");
        let refused = WebSocket::connect(&server, &query, &[]).await.unwrap_err();
        refused.expect_error(3, "Bad request");
    }
    old.post("2:4a").await;
    old.expect("2:4a").await;
}

/// Engine.IO v3, Encoding, Payload: lengths are in UTF-16 code units.
#[on_both_servers]
async fn lengths_of_text_count_utf16_units() {
    let server = engineio(|builder| builder);
    let session = OldPolling::open(&server).await;
    let body = "6:4hello2:4€3:4😀1:47:4\u{1e}1:2😀";
    session.post(body).await;
    session.expect(body).await;
    // Every plane, in one packet.
    let planes: String = (0..=16)
        .filter_map(|plane| char::from_u32(plane * 0x1_0000 + 0x41))
        .collect();
    let body = format!("{}:4{planes}", 1 + 1 + 16 * 2);
    session.post(&body).await;
    session.expect(&body).await;
}

/// Engine.IO v3, Encoding: base64 for clients that read only text, whatever they send.
#[on_both_servers]
async fn binary_is_base64_for_a_client_that_reads_text() {
    let (told, mut heard) = channel();
    let server = Server::engineio(move |builder| {
        let builder = builder.allow_eio3(true);
        builder.on_message(move |session: EngineSession, message: EngineMessage| {
            session.send(&message).unwrap();
            let _ = told.send(message);
            async {}
        })
    });
    let session = OldPolling::open_with(&server, "&b64=1").await;
    let expected = EngineMessage::Binary(vec![1, 2, 3, 4].into());
    session.post("6:4hello10:b4AQIDBA==2:b4").await;
    assert_eq!(heard.next().await, EngineMessage::Text("hello".to_owned()));
    assert_eq!(heard.next().await, expected);
    session.expect("6:4hello10:b4AQIDBA==2:b4").await;
    let posted = session
        .post_binary(b"\x01\x05\xff\x04\x01\x02\x03\x04")
        .await;
    posted.expect(200, "ok");
    session.expect("10:b4AQIDBA==").await;
}

/// Engine.IO v3, Encoding, Payload: with a binary packet the whole payload is binary.
#[on_both_servers]
async fn a_payload_with_a_binary_packet_is_binary() {
    let server = engineio(|builder| builder);
    let session = OldPolling::open(&server).await;
    session.post("3:4é€10:b4AQIDBA==3:4😀").await;
    let mut expected = b"\x00\x06\xff4\xc3\xa9\xe2\x82\xac".to_vec();
    expected.extend_from_slice(b"\x01\x05\xff\x04\x01\x02\x03\x04\x00\x05\xff4\xf0\x9f\x98\x80");
    session.expect_binary(&expected).await;
    session.post_binary(&expected).await.expect(200, "ok");
    session.expect_binary(&expected).await;
    session.post("2:4a").await;
    session.expect("2:4a").await;
}

/// Engine.IO v3, Encoding, Payload: the digits of a length are bytes, as many as it needs.
#[on_both_servers]
async fn a_large_binary_message_has_a_long_length() {
    let server = engineio(|builder| builder);
    let session = OldPolling::open(&server).await;
    let mut body = b"\x01\x01\x00\x00\x00\x00\x00\xff\x04".to_vec();
    body.resize(body.len() + 99_999, 7);
    session.post_binary(&body).await.expect(200, "ok");
    session.expect_binary(&body).await;
}

/// A malformed payload closes its session, and the packets before the fault are taken.
#[on_both_servers]
async fn a_malformed_payload_closes_the_session() {
    let server = engineio(|builder| builder);
    for body in [
        "",
        "abc",
        ":4a",
        "4a",
        "-1:4",
        "1",
        "2:4",
        "99999999999999999999:4",
        "2:4😀",
        "1.0:4",
        "2:4a9:4b",
        "1:7",
        "2:bA",
        "3:b2A",
        "3:b4!",
        "3:4a",
        "1e1:4a",
    ] {
        let session = OldPolling::open(&server).await;
        let response = session.post_body(body).await;
        assert_eq!(response.status, 400, "{body:?}");
        session.expect_gone().await;
    }
    for body in [
        &b"\x00"[..],
        b"\x00\x01",
        b"\x00\xff",
        b"\x02\x01\xff4",
        b"\x00\x09\xff4a",
        b"\x001\xff4",
        b"\x01\x00\xff",
        b"\x01\x01\xff4",
        b"\x00\x03\xff4\xff\xfe",
        // Half of a surrogate pair.
        b"\x00\x04\xff4\xed\xa0\xbd",
    ] {
        let session = OldPolling::open(&server).await;
        let response = session.post_binary(body).await;
        assert_eq!(response.status, 400, "{body:?}");
        session.expect_gone().await;
    }
    // A text that is not UTF-8.
    let session = OldPolling::open(&server).await;
    let response = session.post_body(b"4:4\xed\xa0\xbd").await;
    assert_eq!(response.status, 400);
    session.expect_gone().await;
}

/// The reference writes an empty payload as `0:`.
#[on_both_servers]
async fn an_empty_packet_is_skipped() {
    let server = engineio(|builder| builder);
    let session = OldPolling::open(&server).await;
    session.post("0:").await;
    session.post("0:2:4a0:").await;
    session.expect("2:4a").await;
    session.post_binary(b"").await.expect(200, "ok");
    session.post("2:4b").await;
    session.expect("2:4b").await;
}

/// The limit of a body is the same in both revisions.
#[on_both_servers]
async fn a_body_above_the_limit_is_413_and_the_session_lives_on() {
    let server = engineio(|builder| builder.max_payload(100));
    let session = OldPolling::open(&server).await;
    let largest = format!("97:4{}", "x".repeat(96));
    assert_eq!(largest.len(), 100);
    session.post(&largest).await;
    session.expect(&largest).await;
    let response = session.post_body(format!("98:4{}", "x".repeat(97))).await;
    assert_eq!(response.status, 413);
    let response = session.post_binary([0; 101]).await;
    assert_eq!(response.status, 413);
    session.post("2:4a").await;
    session.expect("2:4a").await;
    let (mut socket, _) = old_websocket(&server, "").await;
    socket.send_binary(&[4; 100]).await;
    socket.expect_binary(&[4; 100]).await;
    socket.send_binary(&[4; 101]).await;
    socket.expect_closed(Some(1009)).await;
}

/// Engine.IO v3, Encoding, Packet: the first byte of a binary frame is the packet's type.
#[on_both_servers]
async fn a_binary_frame_begins_with_the_type() {
    let server = engineio(|builder| builder);
    let (mut socket, _) = old_websocket(&server, "").await;
    socket.send_binary(&[4, 1, 2, 3]).await;
    socket.expect_binary(&[4, 1, 2, 3]).await;
    socket.send_binary(&[4]).await;
    socket.expect_binary(&[4]).await;
    socket.send_text("b4AQID").await;
    socket.expect_binary(&[4, 1, 2, 3]).await;
    socket.send_text("4é😀").await;
    socket.expect_text("4é😀").await;
    let long = [&[4][..], &[7; 70_000]].concat();
    socket.send_binary(&long).await;
    socket.expect_binary(&long).await;
    for wrong in [&[][..], &[0], &[2], &[b'4', 1], &[255, 4]] {
        let (mut socket, _) = old_websocket(&server, "").await;
        socket.send_binary(wrong).await;
        socket.expect_closed(None).await;
    }
}

/// Engine.IO v3, Encoding: `b64` on a WebSocket is for that WebSocket.
#[on_both_servers]
async fn a_websocket_that_reads_text_gets_base64() {
    let server = engineio(|builder| builder);
    let (mut socket, _) = old_websocket(&server, "&b64=1").await;
    socket.send_binary(&[4, 1, 2, 3]).await;
    socket.expect_text("b4AQID").await;
    let session = OldPolling::open_with(&server, "&b64=1").await;
    let mut socket = session.upgraded().await;
    socket.send_binary(&[4, 1, 2, 3]).await;
    socket.expect_binary(&[4, 1, 2, 3]).await;
}

/// Engine.IO v3, Ping: the client pings, and the server answers.
#[on_both_servers]
async fn a_ping_is_answered_and_keeps_the_session() {
    let server = engineio(|builder| builder.ping_interval(SHORT).ping_timeout(SHORT));
    let (mut socket, _) = old_websocket(&server, "").await;
    let session = OldPolling::open(&server).await;
    let opened = Instant::now();
    while opened.elapsed() < 6 * SHORT {
        socket.send_text("2").await;
        socket.expect_text("3").await;
        session.post("1:2").await;
        session.expect("1:3").await;
        let waiting = tokio::time::timeout(SHORT, socket.recv()).await;
        assert!(waiting.is_err(), "the server says nothing by itself");
    }
}

/// Engine.IO v3, Ping: without one the session is closed after the interval and the timeout, and
/// messages are none.
#[on_both_servers]
async fn a_client_that_does_not_ping_is_closed() {
    let server = engineio(|builder| builder.ping_interval(SHORT).ping_timeout(SHORT));
    let opened = Instant::now();
    let (mut socket, _) = old_websocket(&server, "").await;
    socket.send_text("4a").await;
    socket.expect_text("4a").await;
    socket.expect_closed(None).await;
    assert!(opened.elapsed() >= 2 * SHORT);
    let session = OldPolling::open(&server).await;
    session.expect("1:1").await;
    session.expect_gone().await;
}

/// Reference server: a pong of a client of v3 has the wrong direction, as a ping of v4 has.
#[on_both_servers]
async fn a_pong_of_the_client_closes_the_session() {
    let server = engineio(|builder| builder);
    let (mut socket, _) = old_websocket(&server, "").await;
    socket.send_text("3").await;
    socket.expect_closed(None).await;
    let session = OldPolling::open(&server).await;
    assert_eq!(session.post_body("1:3").await.status, 400);
    session.expect_gone().await;
    let mut socket = WebSocket::open(&server).await;
    socket.send_text("2").await;
    socket.expect_closed(None).await;
}

/// A client that pings and does not read fills its outbox: the server reads no further.
#[on_both_servers]
async fn pings_without_reading_wait_for_a_poll() {
    let server = engineio(|builder| builder.outbox_limit(1000).packet_limit(1000));
    let session = OldPolling::open(&server).await;
    let posting = session
        .request("POST")
        .body("1:2".repeat(100))
        .start()
        .await;
    let mut pongs = Vec::new();
    while pongs.len() < 100 {
        pongs.extend(old_packets(&session.poll().await));
    }
    assert_eq!(pongs, ["3"; 100]);
    posting.response().await.expect(200, "ok");
}

/// Engine.IO v3, Upgrade: as in v4, with payloads of v3.
#[on_both_servers]
async fn a_websocket_takes_the_session_over() {
    let server = engineio(|builder| builder);
    let session = OldPolling::open(&server).await;
    let poll = session.request("GET").start_heard().await;
    let mut socket = session.websocket().await;
    socket.send_text("2probe").await;
    socket.expect_text("3probe").await;
    poll.response().await.expect(200, "1:6");
    session.post("2:4a5:b4AQI").await;
    socket.send_text("5").await;
    socket.expect_text("4a").await;
    socket.expect_binary(&[4, 1, 2]).await;
    socket.send_binary(&[4, 1]).await;
    socket.expect_binary(&[4, 1]).await;
    socket.send_text("2").await;
    socket.expect_text("3").await;
    session.poll().await.expect_error(3, "Bad request");
    let mut second = session.websocket().await;
    second.expect_closed(None).await;
}

/// Reference server: a CLOSE in a POST ends the waiting poll with a noop.
#[on_both_servers]
async fn a_close_ends_the_waiting_poll() {
    let server = engineio(|builder| builder);
    let session = OldPolling::open(&server).await;
    let poll = session.request("GET").start_heard().await;
    session.post("1:1").await;
    poll.response().await.expect(200, "1:6");
    session.expect_gone().await;
}

/// The same message is sent in the form of each of its receivers.
#[on_both_servers]
async fn each_client_gets_its_own_form_of_a_message() {
    let server = forwarding();
    let mut sender = WebSocket::open(&server).await;
    let polls = Polling::open(&server).await;
    let (mut old, _) = old_websocket(&server, "").await;
    let old_polls = OldPolling::open(&server).await;
    let old_text = OldPolling::open_with(&server, "&b64=1").await;
    let parts = [
        Frame::new(opcode::TEXT, "4é").bytes(),
        Frame::new(opcode::BINARY, [1, 2, 3]).bytes(),
    ];
    sender.send_bytes(&parts.concat()).await;
    sender.expect_text("4é").await;
    sender.expect_binary(&[1, 2, 3]).await;
    old.expect_text("4é").await;
    old.expect_binary(&[4, 1, 2, 3]).await;
    let mut received = Vec::new();
    while received.len() < 2 {
        received.extend(packets(&polls.request("GET").send().await));
    }
    assert_eq!(received, ["4é", "bAQID"]);
    let mut text = String::new();
    while text != "2:4é6:b4AQID" {
        text.push_str(old_text.poll().await.text());
        assert!("2:4é6:b4AQID".starts_with(&text), "{text}");
    }
    let response = old_polls.poll().await;
    if response.body == "2:4é".as_bytes() {
        old_polls
            .expect_binary(b"\x01\x04\xff\x04\x01\x02\x03")
            .await;
    } else {
        let both = b"\x00\x03\xff4\xc3\xa9\x01\x04\xff\x04\x01\x02\x03";
        assert_eq!(response.body, both);
    }
}

/// A server that sends each message to all of its clients.
fn forwarding() -> Server<EngineIo> {
    let sessions = Arc::new(Mutex::new(Vec::<EngineSession>::new()));
    let all = Arc::clone(&sessions);
    Server::engineio(move |builder| {
        let builder = builder
            .allow_eio3(true)
            .on_open(move |session: EngineSession| {
                sessions.lock().unwrap().push(session);
                async {}
            });
        builder.on_message(move |_: EngineSession, message: EngineMessage| {
            for session in all.lock().unwrap().iter() {
                session.send(&message).unwrap();
            }
            async {}
        })
    })
}

const SHORT: Duration = Duration::from_millis(150);
