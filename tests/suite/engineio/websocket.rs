//! Engine.IO v4, WebSocket, and RFC 6455 below it: messages, frames and how they may be broken.

use actix_socketio::{CloseReason, EngineMessage, EngineSession};

use crate::support::{
    Frame, Open, Received, Request, Server, WebSocket, echo, opcode, recording, within,
};

/// Engine.IO v4, Packet encoding, WebSocket: a text frame is a packet.
#[on_both_servers]
async fn text_goes_both_ways() {
    let server = Server::engineio(echo);
    let mut socket = WebSocket::open(&server).await;
    for text in ["4hello", "4", "4é\u{1e}\0\u{10FFFF}"] {
        socket.send_text(text).await;
        socket.expect_text(text).await;
    }
}

/// Engine.IO v4, Packet encoding, WebSocket: a binary message is a binary frame, as it is.
#[on_both_servers]
async fn binary_goes_both_ways() {
    let server = Server::engineio(echo);
    let mut socket = WebSocket::open(&server).await;
    for data in [&[1, 2, 3, 4][..], &[], &[0xFF; 300], &[b'4'; 70_000]] {
        socket.send_binary(data).await;
        socket.expect_binary(data).await;
    }
}

/// Reference server, WebSocket: base64 in a text frame is a binary message too.
#[on_both_servers]
async fn base64_in_a_text_frame_is_binary() {
    let server = Server::engineio(echo);
    let mut socket = WebSocket::open(&server).await;
    socket.send_text("bAQIDBA==").await;
    socket.expect_binary(&[1, 2, 3, 4]).await;
}

/// RFC 6455, 5.4: a message may come in fragments, cut within a character and with control frames
/// between them.
#[on_both_servers]
async fn fragments_are_one_message() {
    let server = Server::engineio(echo);
    let mut socket = WebSocket::open(&server).await;
    let (one, two) = "4é".as_bytes().split_at(2);
    socket
        .send(Frame::new(opcode::TEXT, one).unfinished())
        .await;
    socket.send_ping("between").await;
    socket
        .send(Frame::new(opcode::CONTINUATION, two).unfinished())
        .await;
    socket.send(Frame::new(opcode::CONTINUATION, "")).await;
    assert_eq!(socket.recv().await, Received::Pong(b"between".to_vec()));
    socket.expect_text("4é").await;

    socket
        .send(Frame::new(opcode::BINARY, [1]).unfinished())
        .await;
    socket.send(Frame::new(opcode::CONTINUATION, [2])).await;
    socket.expect_binary(&[1, 2]).await;
}

/// RFC 6455, 5.5.2: a ping is answered with its payload, of up to 125 bytes.
#[on_both_servers]
async fn ping_frame_is_answered_with_its_payload() {
    let server = Server::engineio(echo);
    let mut socket = WebSocket::open(&server).await;
    for payload in ["", "hello", &"x".repeat(125)] {
        socket.send_ping(payload).await;
        assert_eq!(socket.recv().await, Received::Pong(payload.into()));
    }
}

/// RFC 6455, 5.5.3: a pong that nobody asked for means nothing.
#[on_both_servers]
async fn pong_frame_is_passed_over() {
    let server = Server::engineio(echo);
    let mut socket = WebSocket::open(&server).await;
    socket.send(Frame::new(opcode::PONG, "unasked")).await;
    socket.send_text("4next").await;
    socket.expect_text("4next").await;
}

/// RFC 6455, 5: frames that break its rules close the WebSocket with 1002.
#[on_both_servers]
async fn broken_frame_is_code_1002() {
    let started = Frame::new(opcode::TEXT, "4a").unfinished();
    for frames in [
        // 5.1: a client masks.
        vec![Frame::new(opcode::TEXT, "4a").unmasked()],
        vec![Frame::new(opcode::PING, "").unmasked()],
        // 5.2: no extension was negotiated, so its bits are clear and its opcodes unknown.
        vec![Frame::new(opcode::TEXT, "4a").reserved(0x40)],
        vec![Frame::new(opcode::TEXT, "4a").reserved(0x20)],
        vec![Frame::new(opcode::TEXT, "4a").reserved(0x10)],
        vec![Frame::new(0x3, "4a")],
        vec![Frame::new(0xB, "")],
        // 5.4: fragments of one message are not interleaved with those of another.
        vec![Frame::new(opcode::CONTINUATION, "4a")],
        vec![started.clone(), Frame::new(opcode::TEXT, "4b")],
        vec![started.clone(), Frame::new(opcode::BINARY, "4b")],
        // 5.5: control frames are whole, and short.
        vec![Frame::new(opcode::PING, "").unfinished()],
        vec![Frame::new(opcode::PING, "x".repeat(126))],
        vec![Frame::new(opcode::CLOSE, "x".repeat(126))],
        // 5.5.1: a close frame has a code that may be sent, or nothing.
        vec![Frame::new(opcode::CLOSE, [3])],
        vec![Frame::new(opcode::CLOSE, 1005_u16.to_be_bytes())],
        vec![Frame::new(opcode::CLOSE, 999_u16.to_be_bytes())],
    ] {
        closes_with(Some(1002), &frames, CloseReason::TransportError).await;
    }
}

/// RFC 6455, 8.1: text is UTF-8.
#[on_both_servers]
async fn text_that_is_not_utf8_is_code_1007() {
    for frames in [
        vec![Frame::new(opcode::TEXT, b"4\xFF")],
        vec![Frame::new(opcode::TEXT, b"4\xED\xA0\x80")],
        vec![
            Frame::new(opcode::TEXT, b"4\xC3").unfinished(),
            Frame::new(opcode::CONTINUATION, b"x"),
        ],
        vec![Frame::new(opcode::CLOSE, b"\x03\xE8\xFF")],
        // Before the frame is whole, and before the message is.
        vec![Frame::new(opcode::TEXT, b"4\xFF").declaring(100)],
        vec![Frame::new(opcode::TEXT, b"4\xED\xA0").unfinished()],
        vec![
            Frame::new(opcode::TEXT, b"4\xF0\x9F").unfinished(),
            Frame::new(opcode::CONTINUATION, b"x").declaring(100),
        ],
    ] {
        closes_with(Some(1007), &frames, CloseReason::TransportError).await;
    }
}

/// Engine.IO v4, Handshake, `maxPayload`: the largest message passes.
#[on_both_servers]
async fn message_of_max_payload_passes() {
    let server = Server::engineio(|builder| echo(builder).max_payload(MAX_PAYLOAD));
    let mut socket = WebSocket::open(&server).await;
    let text = format!("4{}", "x".repeat(MAX_PAYLOAD - 1));
    socket.send_text(&text).await;
    socket.expect_text(&text).await;
    socket.send_binary(&[7; MAX_PAYLOAD]).await;
    socket.expect_binary(&[7; MAX_PAYLOAD]).await;

    let (one, two) = text.split_at(MAX_PAYLOAD / 2);
    socket
        .send(Frame::new(opcode::TEXT, one).unfinished())
        .await;
    socket.send(Frame::new(opcode::CONTINUATION, two)).await;
    socket.expect_text(&text).await;
}

/// Engine.IO v4, Handshake, `maxPayload`, and RFC 6455, 7.4.1: one byte more is code 1009, at its
/// header, before any of the message has come.
#[on_both_servers]
async fn message_of_more_than_max_payload_is_code_1009_at_its_header() {
    let over = MAX_PAYLOAD as u64 + 1;
    for frames in [
        vec![Frame::new(opcode::TEXT, "").declaring(over)],
        vec![Frame::new(opcode::BINARY, "").declaring(over)],
        vec![Frame::new(opcode::BINARY, "").declaring(over).unfinished()],
        vec![Frame::new(opcode::BINARY, "").declaring(2_000_000_000)],
        vec![Frame::new(opcode::BINARY, "").declaring(i64::MAX as u64)],
    ] {
        closes_with(Some(1009), &frames, CloseReason::MessageTooLarge).await;
    }
}

/// The same where the client sends all of it before it listens.
#[on_both_servers]
async fn message_of_more_than_max_payload_is_code_1009_while_being_sent() {
    let (server, mut closed) = recording(|builder| builder.max_payload(MAX_PAYLOAD));
    let mut socket = WebSocket::open(&server).await;
    let frame = Frame::new(opcode::BINARY, vec![7; 1_000_000]);
    // It may break off where the server has closed the connection meanwhile.
    let _ = socket.try_send_bytes(&frame.bytes()).await;
    assert_eq!(socket.expect_close().await, Some(1009));
    assert_eq!(closed.next().await, CloseReason::MessageTooLarge);
}

/// The same for all fragments of a message together.
#[on_both_servers]
async fn fragments_of_more_than_max_payload_are_code_1009() {
    let half = "x".repeat(MAX_PAYLOAD / 2);
    let frames = [
        Frame::new(opcode::BINARY, &half).unfinished(),
        Frame::new(opcode::CONTINUATION, &half).unfinished(),
        Frame::new(opcode::CONTINUATION, "").declaring(1),
    ];
    closes_with(Some(1009), &frames, CloseReason::MessageTooLarge).await;
}

/// RFC 6455, 5.5.1: a close is answered with its own code, and the server ends the
/// connection.
#[on_both_servers]
async fn close_frame_is_answered_and_ends_the_session() {
    for code in [None, Some(1000), Some(1001), Some(3000), Some(4999)] {
        let payload = code.map(|code: u16| code.to_be_bytes().to_vec());
        let close = Frame::new(opcode::CLOSE, payload.unwrap_or_default());
        closes_with(code, &[close], CloseReason::TransportClose).await;
    }
}

/// RFC 6455, 7.1.1: the server ends the connection first, at once, and whoever asked for the close.
/// The server is one that `SocketIo::tune` has set up.
#[on_both_servers]
async fn connection_ends_with_the_close_frame() {
    let server = Server::socketio(|builder| builder, |_| {});
    // Several, as they have to end whatever the time of the server's clock.
    for _ in 0..10 {
        let mut socket = WebSocket::open(&server).await;
        socket.send_close(Some(1000)).await;
        socket.expect_closed(Some(1000)).await;
        let mut socket = WebSocket::open(&server).await;
        socket.send_text("1").await;
        socket.expect_closed(None).await;
    }
}

/// RFC 6455, 5.5.2 and 7.1.7: pongs and messages that are owed go out before the close, by
/// whatever the client ends the WebSocket in the same write.
#[on_both_servers]
async fn owed_pongs_and_messages_precede_the_close() {
    let close = Frame::new(opcode::CLOSE, 1000_u16.to_be_bytes());
    for (last, code) in [
        (close, Some(1000)),
        (Frame::new(opcode::CLOSE, ""), None),
        (Frame::new(opcode::CLOSE, [3]), Some(1002)),
        (Frame::new(0x3, "reserved"), Some(1002)),
        (Frame::new(opcode::TEXT, "4a").unmasked(), Some(1002)),
        (Frame::new(opcode::TEXT, b"4\xFF"), Some(1007)),
        (
            Frame::new(opcode::TEXT, "").declaring(2_000_000),
            Some(1009),
        ),
        (Frame::new(opcode::TEXT, "1"), None),
        (Frame::new(opcode::TEXT, "7"), None),
        (Frame::new(opcode::TEXT, "2"), None),
    ] {
        let server = Server::engineio(echo);
        let mut socket = WebSocket::open(&server).await;
        let pings = (0..200).flat_map(|ping| Frame::new(opcode::PING, format!("{ping}")).bytes());
        let mut bytes: Vec<u8> = pings.collect();
        bytes.extend(Frame::new(opcode::TEXT, "4hello").bytes());
        bytes.extend(last.bytes());
        socket.send_bytes(&bytes).await;
        // RFC 6455, 5.5.3: the latest of several pings may be answered alone.
        let mut pong = Vec::new();
        loop {
            match socket.recv().await {
                Received::Pong(payload) => pong = payload,
                other => break assert_eq!(other, Received::Text("4hello".to_owned()), "{last:?}"),
            }
        }
        assert_eq!(pong, b"199", "{last:?}");
        assert_eq!(socket.expect_close().await, code, "{last:?}");
        socket.expect_end().await;
    }
}

/// The same where what is owed is more than the kernel takes at once, and the client reads it late.
#[on_both_servers]
async fn large_echoes_that_are_owed_come_before_the_close() {
    let server = Server::engineio(|builder| echo(builder).outbox_limit(8 << 20));
    let mut socket = WebSocket::open(&server).await;
    let text = format!("4{}", "x".repeat(500_000));
    let frame = Frame::new(opcode::TEXT, &text).bytes();
    let close = Frame::new(opcode::CLOSE, 1000_u16.to_be_bytes()).bytes();
    let bytes = [frame.repeat(10), close].concat();
    socket.send_bytes(&bytes).await;
    for _ in 0..10 {
        socket.expect_text(&text).await;
    }
    socket.expect_closed(Some(1000)).await;
}

/// A client that closes and does not read is cut off.
#[on_both_servers]
async fn client_that_closes_and_does_not_read_is_forgotten() {
    let (server, mut closed) = recording(|builder| {
        builder
            .outbox_limit(64 << 20)
            .on_message(|session: EngineSession, _| async move {
                for _ in 0..40 {
                    let data = EngineMessage::Text("x".repeat(1_000_000));
                    session.send(&data).unwrap();
                }
            })
    });
    let query = "EIO=4&transport=websocket";
    let mut socket = WebSocket::connect(&server, query, &[]).await.unwrap();
    let open = Open::read(&socket.recv_text().await);
    socket.send_text("4fill").await;
    socket.send_close(Some(1000)).await;
    assert_eq!(closed.next().await, CloseReason::TransportClose);
    let target = server.target(&format!("EIO=4&transport=polling&sid={}", open.sid));
    within("the session's end", async {
        // Code 1 is an unknown session.
        while !Request::get(server.address, &target)
            .send()
            .await
            .text()
            .contains("\"code\":1")
        {}
    })
    .await;
    drop(socket);
}

/// Reference server, WebSocket: the client's CLOSE packet ends the session at once.
#[on_both_servers]
async fn close_packet_ends_the_session_at_once() {
    let close = Frame::new(opcode::TEXT, "1");
    closes_with(None, &[close], CloseReason::TransportClose).await;
}

/// Engine.IO v4, Packet encoding: what is no packet ends the session.
#[on_both_servers]
async fn invalid_packet_closes_the_session() {
    for text in ["", "7", "x", " 4a", "bA", "b%%%%", "\u{1e}4a"] {
        let frame = Frame::new(opcode::TEXT, text);
        closes_with(None, &[frame], CloseReason::ParseError).await;
    }
}

/// Engine.IO v4, Heartbeat: only the server pings.
#[on_both_servers]
async fn ping_packet_of_a_client_closes_the_session() {
    for text in ["2", "2probe"] {
        let frame = Frame::new(opcode::TEXT, text);
        closes_with(None, &[frame], CloseReason::TransportError).await;
    }
}

/// Reference server: packets of an unexpected type are ignored.
#[on_both_servers]
async fn packets_out_of_place_are_passed_over() {
    let server = Server::engineio(echo);
    let mut socket = WebSocket::open(&server).await;
    for packet in ["3", "3probe", "5", "6", "0", "0{}"] {
        socket.send_text(packet).await;
    }
    socket.send_text("4next").await;
    socket.expect_text("4next").await;
}

/// RFC 6455, 5.2: frames are where their headers say, however TCP cuts them.
#[on_both_servers]
async fn frames_may_come_in_one_piece_or_byte_by_byte() {
    let server = Server::engineio(echo);
    let mut socket = WebSocket::open(&server).await;
    let one = Frame::new(opcode::TEXT, "4one").bytes();
    let two = Frame::new(opcode::TEXT, "4two").bytes();
    socket
        .send_bytes(&[&one[..], &two[..], &one[..3]].concat())
        .await;
    socket.expect_text("4one").await;
    socket.expect_text("4two").await;
    for byte in &one[3..] {
        socket.send_bytes(&[*byte]).await;
    }
    socket.expect_text("4one").await;

    let long = format!("4{}", "x".repeat(200));
    for byte in Frame::new(opcode::TEXT, &long).bytes() {
        socket.send_bytes(&[byte]).await;
    }
    socket.expect_text(&long).await;
}

/// Many messages at once are taken in order, also when they are more than a session takes before it
/// lets others have their turn.
#[on_both_servers]
async fn a_thousand_messages_in_one_piece_are_taken_in_order() {
    let server = Server::engineio(echo);
    let mut socket = WebSocket::open(&server).await;
    let texts: Vec<_> = (0..1000).map(|number| format!("4{number}")).collect();
    let frames = texts.iter().map(|text| Frame::new(opcode::TEXT, text));
    let bytes: Vec<_> = frames.flat_map(|frame| frame.bytes()).collect();
    socket.send_bytes(&bytes).await;
    for text in texts {
        socket.expect_text(&text).await;
    }
}

/// RFC 6455, 9.1: an extension that the server does not name is not in use.
#[on_both_servers]
async fn compression_is_not_negotiated() {
    let server = Server::engineio(echo);
    let offer = "permessage-deflate; client_max_window_bits";
    let headers = [("sec-websocket-extensions", offer)];
    let query = "EIO=4&transport=websocket";
    let socket = WebSocket::connect(&server, query, &headers).await;
    let mut socket = socket.unwrap();
    let accepted = socket.handshake.header("sec-websocket-extensions");
    assert_eq!(accepted, None);
    socket.recv_text().await;
    socket.send_text("4plain").await;
    socket.expect_text("4plain").await;
}

/// Reference server, event `disconnect`: a connection that ends without a close frame is a
/// `transport close`.
#[on_both_servers]
async fn lost_connection_ends_the_session() {
    let (server, mut closed) = recording(|builder| builder);
    drop(WebSocket::open(&server).await);
    assert_eq!(closed.next().await, CloseReason::TransportClose);
}

/// The same within a frame, and where the client only says that it will send nothing more.
#[on_both_servers]
async fn connection_that_ends_within_a_frame_ends_the_session() {
    let (server, mut closed) = recording(|builder| builder);
    let mut socket = WebSocket::open(&server).await;
    let frame = Frame::new(opcode::TEXT, "4half").declaring(100);
    socket.send(frame).await;
    socket.into_connection().shut_down().await;
    assert_eq!(closed.next().await, CloseReason::TransportClose);
}

/// Reference server, WebSocket: the server closes with an empty close frame, which follows all
/// frames that were sent before.
#[on_both_servers]
async fn close_of_the_server_comes_behind_what_was_sent() {
    let (server, mut closed) = recording(|builder| {
        builder.on_message(|session: EngineSession, _| async move {
            let goodbye = EngineMessage::Text("goodbye".to_owned());
            session.send(&goodbye).unwrap();
            session.close();
            let late = EngineMessage::Text("late".to_owned());
            let _ = session.send(&late);
        })
    });
    let mut socket = WebSocket::open(&server).await;
    socket.send_text("4close").await;
    socket.expect_text("4goodbye").await;
    let mut received = socket.recv().await;
    if received == Received::Text("4late".to_owned()) {
        received = socket.recv().await;
    }
    assert_eq!(received, Received::Close(None));
    socket.expect_end().await;
    assert_eq!(closed.next().await, CloseReason::ForcedServerClose);
}

/// A session that has ended is forgotten.
#[on_both_servers]
async fn closed_session_is_not_counted() {
    let (server, mut closed) = recording(|builder| builder);
    let mut socket = WebSocket::open(&server).await;
    assert_eq!(server.io.clients_count(), 1);
    socket.send_text("1").await;
    socket.expect_closed(None).await;
    closed.next().await;
    assert_eq!(server.io.clients_count(), 0);
}

/// Sends frames over a new WebSocket, and expects it to be closed with this code, for this reason.
async fn closes_with(code: Option<u16>, frames: &[Frame], reason: CloseReason) {
    let (server, mut closed) = recording(|builder| builder.max_payload(MAX_PAYLOAD));
    let mut socket = WebSocket::open(&server).await;
    for frame in frames {
        socket.send(frame.clone()).await;
    }
    assert_eq!(socket.expect_close().await, code, "{frames:?}");
    socket.expect_end().await;
    assert_eq!(closed.next().await, reason, "{frames:?}");
}

const MAX_PAYLOAD: usize = 1000;
