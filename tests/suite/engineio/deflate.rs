//! permessage-deflate, RFC 7692, and the option `perMessageDeflate` of the reference server.

use actix_socketio::{
    CloseReason, EngineIo, EngineIoBuilder, EngineMessage, EngineSession, PerMessageDeflate,
    Socket, SocketIo,
};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use crate::support::{Frame, Open, Polling, Server, Site, WebSocket, echo, opcode, recording};

const NONE: &str = "server_no_context_takeover; client_no_context_takeover";

/// RFC 7692, 7.1: the first acceptable offer is answered.
#[on_both_servers]
async fn an_offer_is_answered_with_the_agreed_parameters() {
    let server = compressing(PerMessageDeflate::new());
    for (offer, more) in [
        ("permessage-deflate", Some("")),
        ("permessage-deflate; client_max_window_bits", Some("")),
        (
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits=12",
            Some("; server_max_window_bits=10; client_max_window_bits=12"),
        ),
        ("permessage-deflate; unknown", None),
        ("permessage-deflate; server_max_window_bits=16", None),
        ("permessage-deflate; server_max_window_bits=8", None),
        ("permessage-deflate; unknown, permessage-deflate", Some("")),
        ("x-webkit-deflate-frame", None),
    ] {
        let socket = connect(&server, offer).await;
        let expected = more.map(|more| format!("permessage-deflate; {NONE}{more}"));
        let answer = socket.handshake.header("sec-websocket-extensions");
        assert_eq!(answer, expected.as_deref(), "{offer}");
    }
    let mut socket = WebSocket::open(&server).await;
    assert_eq!(socket.handshake.header("sec-websocket-extensions"), None);
    let long = format!("4{}", "x".repeat(5000));
    socket.send_text(&long).await;
    socket.expect_text(&long).await;
}

/// RFC 6455, 9.1: a header of another form fails the handshake; without the option nobody reads it.
#[on_both_servers]
async fn a_header_that_is_no_list_of_extensions_is_refused() {
    let server = compressing(PerMessageDeflate::new());
    let offer = [("sec-websocket-extensions", "permessage-deflate; =")];
    let refused = WebSocket::connect(&server, QUERY, &offer).await;
    assert_eq!(refused.map(drop).unwrap_err().status, 400);
    let plain = Server::engineio(echo);
    assert!(WebSocket::connect(&plain, QUERY, &offer).await.is_ok());
}

/// Reference server, `threshold`: 1024 bytes by default, with the type of the packet.
#[on_both_servers]
async fn messages_are_compressed_from_the_threshold_on() {
    let by_default = compressing(PerMessageDeflate::new());
    let chosen = compressing(PerMessageDeflate::new().threshold(100));
    for (server, threshold) in [(by_default, 1024), (chosen, 100)] {
        let mut socket = open(&server, OFFER).await;
        for (length, first) in [(threshold - 1, 0x81), (threshold, 0xC1)] {
            let sent = format!("4{}", "x".repeat(length - 1));
            socket.send_text(&sent).await;
            let (head, payload) = socket.recv_frame().await;
            assert_eq!(head, first, "{length}");
            if first == 0xC1 {
                assert!(payload.len() < 50, "{}", payload.len());
                assert_eq!(Peer::new(15).inflate(&payload), sent.as_bytes());
            }
            let bytes = vec![7; length];
            socket.send_binary(&bytes).await;
            let (head, payload) = socket.recv_frame().await;
            assert_eq!(head, first + 1, "{length}");
            if first == 0xC1 {
                assert_eq!(Peer::new(15).inflate(&payload), bytes);
            }
        }
    }
}

/// Bytes that compression would not make smaller are sent as they are.
#[on_both_servers]
async fn a_message_that_does_not_shrink_is_not_compressed() {
    let server = compressing(PerMessageDeflate::new());
    let mut socket = open(&server, OFFER).await;
    let bytes = noise(2000);
    socket.send_binary(&bytes).await;
    socket.expect_binary(&bytes).await;
}

/// RFC 7692, 6.2: a client's compressed message may come in fragments, and plain ones between.
#[on_both_servers]
async fn compressed_messages_of_a_client_are_read() {
    let server = compressing(PerMessageDeflate::new());
    let mut socket = open(&server, OFFER).await;
    let mut peer = Peer::new(15);
    for text in ["4short", "4é\u{10FFFF}", "4"] {
        let data = peer.deflate(text.as_bytes());
        let frame = Frame::new(opcode::TEXT, &data).reserved(0x40);
        socket.send(frame).await;
        socket.expect_text(text).await;
        socket.send_text(text).await;
        socket.expect_text(text).await;

        let (one, two) = data.split_at(1);
        let frame = Frame::new(opcode::TEXT, one).reserved(0x40).unfinished();
        socket.send(frame).await;
        socket.send(Frame::new(opcode::CONTINUATION, two)).await;
        socket.expect_text(text).await;
        peer.forget();
    }
    let data = peer.deflate(&[1, 2, 3]);
    socket
        .send(Frame::new(opcode::BINARY, data).reserved(0x40))
        .await;
    socket.expect_binary(&[1, 2, 3]).await;
}

/// RFC 7692, 7.1.2: messages in the smallest window, whose text repeats beyond it.
#[on_both_servers]
async fn a_message_refers_to_no_byte_beyond_the_agreed_window() {
    let server = compressing(PerMessageDeflate::new());
    for bits in 9..=15 {
        let offer = format!("permessage-deflate; server_max_window_bits={bits}");
        let mut socket = open(&server, &offer).await;
        let letters: Vec<u8> = noise(600).iter().map(|byte| b'a' + byte % 26).collect();
        let words: Vec<Vec<u8>> = letters.chunks(60).map(|word| word.repeat(2)).collect();
        let text = format!("4{}", String::from_utf8(words.concat().repeat(40)).unwrap());
        socket.send_text(&text).await;
        let (head, payload) = socket.recv_frame().await;
        assert_eq!(head, 0xC1);
        assert_eq!(Peer::new(bits).inflate(&payload), text.as_bytes());
    }
}

/// RFC 7692, 7.1.1: with context takeover messages refer to those before them, both ways.
#[on_both_servers]
async fn context_is_taken_over_if_both_agree() {
    let server = compressing(
        PerMessageDeflate::new()
            .context_takeover(true)
            .threshold(10),
    );
    let (mut writer, mut reader) = (Peer::new(15), Peer::new(15));
    let mut socket = open_as(&mut reader, &server, OFFER).await;
    let answer = socket.handshake.header("sec-websocket-extensions");
    assert_eq!(answer, Some("permessage-deflate"));
    let text = format!("4{}", String::from_utf8_lossy(&noise(300)));
    let mut sizes = Vec::new();
    for _ in 0..3 {
        let data = writer.deflate(text.as_bytes());
        sizes.push(data.len());
        socket
            .send(Frame::new(opcode::TEXT, data).reserved(0x40))
            .await;
        let (head, payload) = socket.recv_frame().await;
        assert_eq!(head, 0xC1);
        sizes.push(payload.len());
        assert_eq!(reader.inflate(&payload), text.as_bytes());
    }
    // The later ones are references.
    assert!(
        sizes[2..].iter().all(|size| *size < sizes[0] / 4),
        "{sizes:?}"
    );

    // The client may decline it for either direction.
    let offer = "permessage-deflate; server_no_context_takeover";
    let mut socket = open(&server, offer).await;
    let answer = socket.handshake.header("sec-websocket-extensions");
    assert_eq!(answer, Some(offer));
    let long = "4".to_owned() + &"ab".repeat(100);
    for _ in 0..2 {
        socket.send_text(&long).await;
        let (head, payload) = socket.recv_frame().await;
        assert_eq!(head, 0xC1);
        assert_eq!(Peer::new(15).inflate(&payload), long.as_bytes());
    }
}

/// `maxPayload` holds for the decompressed message, and 1009 says so.
#[on_both_servers]
async fn a_compressed_message_is_limited_by_its_decompressed_size() {
    let (server, mut closed) = recording(|builder| {
        let builder = builder.max_payload(MAX_PAYLOAD);
        builder.per_message_deflate(PerMessageDeflate::new())
    });
    let mut socket = open(&server, OFFER).await;
    let bytes = vec![0; MAX_PAYLOAD];
    let data = Peer::new(15).deflate(&bytes);
    socket
        .send(Frame::new(opcode::BINARY, data).reserved(0x40))
        .await;
    let (head, payload) = socket.recv_frame().await;
    assert_eq!((head, Peer::new(15).inflate(&payload)), (0xC2, bytes));
    let data = Peer::new(15).deflate(&vec![0; MAX_PAYLOAD + 1]);
    socket
        .send(Frame::new(opcode::BINARY, data).reserved(0x40))
        .await;
    assert_eq!(socket.expect_close().await, Some(1009));
    socket.expect_end().await;
    assert_eq!(closed.next().await, CloseReason::MessageTooLarge);

    // A bomb is refused although its end never comes.
    let mut socket = open(&server, OFFER).await;
    let bomb = Peer::new(15).deflate(&vec![0; 100 * MAX_PAYLOAD]);
    let frame = Frame::new(opcode::TEXT, &bomb[..bomb.len() / 2]).reserved(0x40);
    socket.send(frame.unfinished()).await;
    assert_eq!(socket.expect_close().await, Some(1009));
    assert_eq!(closed.next().await, CloseReason::MessageTooLarge);
}

/// RFC 7692, 6 and 7.2.2; RFC 6455, 8.1: the code of each violation.
#[on_both_servers]
async fn invalid_compressed_frames_close_with_their_code() {
    let text = |payload: &[u8]| {
        let data = Peer::new(15).deflate(payload);
        Frame::new(opcode::TEXT, data).reserved(0x40)
    };
    for (code, frames) in [
        (
            1007,
            vec![Frame::new(opcode::TEXT, [0xFF; 8]).reserved(0x40)],
        ),
        (1007, vec![text(b"4\xFF")]),
        (1007, vec![text(b"4\xC3")]),
        (1002, vec![Frame::new(opcode::PING, "").reserved(0x40)]),
        (1002, vec![Frame::new(opcode::CLOSE, "").reserved(0x40)]),
        (
            1002,
            vec![
                text(b"4begun").unfinished(),
                Frame::new(opcode::CONTINUATION, "").reserved(0x40),
            ],
        ),
        (1002, vec![Frame::new(opcode::TEXT, "4").reserved(0x20)]),
        (1002, vec![Frame::new(opcode::TEXT, "4").reserved(0x60)]),
    ] {
        let (server, mut closed) =
            recording(|builder| builder.per_message_deflate(PerMessageDeflate::new()));
        let mut socket = open(&server, OFFER).await;
        for frame in &frames {
            socket.send(frame.clone()).await;
        }
        assert_eq!(socket.expect_close().await, Some(code), "{frames:?}");
        assert_eq!(closed.next().await, CloseReason::TransportError);
    }
    // Nothing was negotiated.
    let (server, mut closed) =
        recording(|builder| builder.per_message_deflate(PerMessageDeflate::new()));
    let mut socket = WebSocket::open(&server).await;
    socket.send(text(b"4text")).await;
    assert_eq!(socket.expect_close().await, Some(1002));
    assert_eq!(closed.next().await, CloseReason::TransportError);
}

/// Engine.IO v4, Upgrade: the WebSocket that takes a session over negotiates for itself.
#[on_both_servers]
async fn an_upgrade_is_compressed_too() {
    let server = compressing(PerMessageDeflate::new());
    let session = Polling::open(&server).await;
    let query = format!("{QUERY}&sid={}", session.sid());
    let offer = [("sec-websocket-extensions", OFFER)];
    let mut socket = WebSocket::connect(&server, &query, &offer).await.unwrap();
    socket.send_text("2probe").await;
    socket.expect_text("3probe").await;
    socket.send_text("5").await;
    let text = format!("4{}", "x".repeat(3000));
    let data = Peer::new(15).deflate(text.as_bytes());
    socket
        .send(Frame::new(opcode::TEXT, data).reserved(0x40))
        .await;
    let (head, payload) = socket.recv_frame().await;
    assert_eq!(head, 0xC1);
    assert_eq!(Peer::new(15).inflate(&payload), text.as_bytes());
}

/// Frames of any number and size come in order, compressed or not.
#[on_both_servers]
async fn compressed_and_plain_frames_keep_their_order() {
    for takeover in [false, true] {
        let server = compressing(PerMessageDeflate::new().context_takeover(takeover));
        let mut socket = open(&server, OFFER).await;
        let mut peer = Peer::new(15);
        let text = |n: usize| format!("4{}", n.to_string().repeat(1 + (n * n) % 2000));
        for n in 0..200 {
            socket.send_text(&text(n)).await;
        }
        for n in 0..200 {
            let (head, mut payload) = socket.recv_frame().await;
            if head == 0xC1 {
                payload = peer.inflate(&payload);
                if !takeover {
                    peer.forget();
                }
            }
            assert_eq!(String::from_utf8(payload).unwrap(), text(n));
        }
    }
}

/// Reference server, `compress`: a message that is not worth it is sent as it is.
#[on_both_servers]
async fn a_message_without_compression_is_not_compressed() {
    let server = Server::engineio(|builder| {
        let builder = builder.per_message_deflate(PerMessageDeflate::new());
        builder.on_message(
            |session: EngineSession, message: EngineMessage| async move {
                session.send_uncompressed(&message).unwrap();
                session.send(&message).unwrap();
            },
        )
    });
    let mut socket = open(&server, OFFER).await;
    let sent = format!("4{}", "x".repeat(5000));
    socket.send_text(&sent).await;
    socket.expect_text(&sent).await;
    assert_eq!(socket.recv_frame().await.0, 0xC1);
}

/// Reference server, `compress`: a room of clients with each form of a packet.
#[on_both_servers]
async fn a_broadcast_reaches_each_client_in_its_form() {
    let server = Server::socketio(
        |builder| builder.per_message_deflate(PerMessageDeflate::new()),
        |io: &SocketIo| {
            io.of("/").on("shout", |socket: Socket| async move {
                let long = "news ".repeat(1000);
                let all = socket.broadcast();
                all.emit_sync("event", &long).unwrap();
                all.clone()
                    .compress(false)
                    .emit_sync("event", &long)
                    .unwrap();
                all.emit_sync("event", "short").unwrap();
            });
        },
    );
    let mut members = Vec::new();
    for offer in [
        "",
        OFFER,
        OFFER,
        "permessage-deflate; server_max_window_bits=9",
    ] {
        let mut socket = open(&server, offer).await;
        socket.send_text("40").await;
        socket.recv_text().await;
        members.push((offer, socket));
    }
    let (_, mut first) = members.remove(1);
    first.send_text(r#"42["shout"]"#).await;
    let long = format!(r#"42["event","{}"]"#, "news ".repeat(1000));
    for (offer, mut socket) in members {
        if offer.is_empty() {
            socket.expect_text(&long).await;
        } else {
            let (head, payload) = socket.recv_frame().await;
            assert_eq!(head, 0xC1, "{offer}");
            let bits = if offer == OFFER { 15 } else { 9 };
            assert_eq!(Peer::new(bits).inflate(&payload), long.as_bytes());
        }
        socket.expect_text(&long).await;
        socket.expect_text(r#"42["event","short"]"#).await;
    }
}

/// An option outside of its range is an error of the start.
#[tokio::test]
async fn an_invalid_option_is_an_error_of_the_start() {
    let options = PerMessageDeflate::new().level(10);
    let error = EngineIo::builder().per_message_deflate(options).start();
    let error = error.map(drop).unwrap_err().to_string();
    assert!(
        error.contains("PerMessageDeflate::level: expected 1 to 9, got 10"),
        "{error}"
    );
}

/// The other end of the compression.
struct Peer {
    writer: Compress,
    reader: Decompress,
}

impl Peer {
    fn new(bits: u8) -> Self {
        Self {
            writer: Compress::new_with_window_bits(Compression::best(), false, bits),
            reader: Decompress::new_with_window_bits(false, bits),
        }
    }

    fn deflate(&mut self, data: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(data.len() * 2 + 100);
        let flush = FlushCompress::Sync;
        self.writer.compress_vec(data, &mut out, flush).unwrap();
        assert!(out.ends_with(&[0, 0, 0xFF, 0xFF]));
        out.truncate(out.len() - 4);
        out
    }

    fn inflate(&mut self, data: &[u8]) -> Vec<u8> {
        let data = [data, &[0, 0, 0xFF, 0xFF]].concat();
        let mut out = Vec::with_capacity(1_000_000);
        let flush = FlushDecompress::Sync;
        self.reader.decompress_vec(&data, &mut out, flush).unwrap();
        assert!(out.len() < 1_000_000);
        out
    }

    /// Drops the context of earlier messages.
    fn forget(&mut self) {
        self.writer.reset();
        self.reader.reset(false);
    }
}

/// Starts a raw server that compresses and sends every message back.
fn compressing(options: PerMessageDeflate) -> Server<EngineIo> {
    Server::engineio(move |builder: EngineIoBuilder| echo(builder).per_message_deflate(options))
}

async fn connect(site: &Site, offer: &str) -> WebSocket {
    let headers = [("sec-websocket-extensions", offer)];
    let headers = if offer.is_empty() { &[] } else { &headers[..] };
    WebSocket::connect(site, QUERY, headers).await.unwrap()
}

/// Opens a session whose client offers this, and takes the OPEN packet.
async fn open(site: &Site, offer: &str) -> WebSocket {
    open_as(&mut Peer::new(15), site, offer).await
}

/// The same for a client that takes context over.
async fn open_as(peer: &mut Peer, site: &Site, offer: &str) -> WebSocket {
    let mut socket = connect(site, offer).await;
    let (head, mut payload) = socket.recv_frame().await;
    if head == 0xC1 {
        payload = peer.inflate(&payload);
    }
    Open::read(&String::from_utf8(payload).unwrap());
    socket
}

/// Bytes that do not become smaller.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

const QUERY: &str = "EIO=4&transport=websocket";

/// The offer of browsers and of the package `ws`.
const OFFER: &str = "permessage-deflate; client_max_window_bits";

const MAX_PAYLOAD: usize = 5000;
