//! RFC 9114 and WebTransport over HTTP/3: requests and bytes that no browser sends, on QUIC itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_socketio::Data;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, RecvStream, SendStream, VarInt};

use crate::support::webtransport::{client_config, framed, served};
use crate::support::within;

/// Engine.IO v4, WebTransport: a message in slices of any cut is the same.
#[tokio::test]
async fn messages_arrive_whatever_their_cut() {
    let site = served(
        |io| io,
        |io| {
            let echo = |Data(text): Data<String>| async move { text };
            io.of("/").on("echo", echo);
        },
    );
    let (mut stream, _) = site.connected().await;
    let text = "é".repeat(100);
    let packet = framed(false, format!(r#"421["echo","{text}"]"#).as_bytes());
    let answer = format!(r#"431["{text}"]"#);
    let both = [&packet[..], &packet[..]].concat();
    for cut in 0..=both.len() {
        let (first, second) = both.split_at(cut);
        if !first.is_empty() {
            stream.write(first).await;
        }
        if !second.is_empty() {
            stream.write(second).await;
        }
        stream.expect(&answer).await;
        stream.expect(&answer).await;
    }
}

/// RFC 9114, 4.1: a request that is none of WebTransport has a status, and the connection is closed.
#[tokio::test]
async fn other_requests_of_http3_are_refused() {
    let site = served(|io| io, |_| ());
    let get = [
        ":method",
        "GET",
        ":scheme",
        "https",
        ":authority",
        "a",
        ":path",
        "/",
    ];
    let connect = [
        ":method",
        "CONNECT",
        ":scheme",
        "https",
        ":authority",
        "a",
        ":path",
        "/socket.io/",
    ];
    let websocket = [&connect[..], &[":protocol", "websocket"]].concat();
    let accepted = [&connect[..], &[":protocol", "webtransport"]].concat();
    for (fields, status) in [
        (&get[..], "405"),
        (&connect[..], "501"),
        (&websocket[..], "501"),
        (&accepted[..], "200"),
    ] {
        let raw = Raw::open(site.address).await;
        let (_send, mut recv) = raw.request(&frame(1, &headers(fields))).await;
        let response = within("a response", recv.read_chunk(1000, true)).await;
        let response = response.unwrap().unwrap().bytes;
        assert_eq!(response[0], 1, "HEADERS");
        assert_eq!(status_of(&response), status, "{fields:?}");
    }
}

/// RFC 9114, 8: a violation closes the connection with its code.
#[tokio::test]
async fn violations_of_http3_close_the_connection() {
    let site = served(|io| io, |_| ());
    for (bytes, code) in [
        // DATA before HEADERS.
        (&frame(0, b"x")[..], 0x105),
        // SETTINGS on a request.
        (&frame(4, b""), 0x105),
        // A stream of WebTransport before its session.
        (&[0x40, 0x41, 0], 0x105),
        // Fields of a dynamic table.
        (&frame(1, &[0, 0, 0x80]), 0x200),
        // An integer without an end.
        (
            &frame(1, &[&[0, 0, 0xFF][..], &[0xFF; 30], &[0]].concat()),
            0x200,
        ),
    ] {
        let raw = Raw::open(site.address).await;
        let _streams = raw.request(bytes).await;
        assert_eq!(raw.closed().await, Some(code), "{bytes:?}");
    }
}

/// `upgrade_timeout`: a connection without a whole request is closed.
#[tokio::test]
async fn connection_without_a_request_is_closed() {
    let limit = Duration::from_millis(300);
    let site = served(move |io| io.upgrade_timeout(limit), |_| ());
    let silent = Raw::open(site.address).await;
    let slow = Raw::open(site.address).await;
    let _request = slow
        .request(&frame(1, &headers(&[":method", "CONNECT"]))[..8])
        .await;
    for raw in [silent, slow] {
        assert_eq!(raw.closed().await, Some(0x100));
    }
}

/// WebTransport over HTTP/3, 4: a stream of another session closes the connection.
#[tokio::test]
async fn stream_of_another_session_closes_the_connection() {
    let site = served(|io| io, |_| ());
    let raw = Raw::open(site.address).await;
    let _request = raw.session().await;
    let _stream = raw.request(&[0x40, 0x41, 4]).await;
    assert_eq!(raw.closed().await, Some(0x108));
}

/// A client may have one stream; the next one waits for the end of the first.
#[tokio::test]
async fn second_stream_of_a_session_waits() {
    let site = served(|io| io, |_| ());
    let raw = Raw::open(site.address).await;
    let _request = raw.session().await;
    let (mut send, mut recv) = raw.request(&[0x40, 0x41, 0, 1, b'0']).await;
    let open = within("OPEN", recv.read_chunk(1000, true)).await.unwrap();
    assert_eq!(&open.unwrap().bytes[1..3], b"0{");
    let second = raw.connection.open_bi();
    tokio::select! {
        biased;
        _ = second => panic!("a second stream"),
        // The server answers meanwhile.
        () = async {
            send.write_all(&[2, b'4', b'0']).await.unwrap();
            let answer = within("an answer", recv.read_chunk(1000, true)).await;
            let answer = answer.unwrap().unwrap().bytes;
            assert!(answer[1..].starts_with(b"40{"), "{answer:?}");
        } => {}
    }
}

/// Streams in one direction have no use: they are stopped, and the session goes on.
#[tokio::test]
async fn other_streams_and_datagrams_do_not_disturb_the_session() {
    let site = served(|io| io, |_| ());
    let (mut stream, _) = site.connected().await;
    for _ in 0..40 {
        let mut other = within("a stream", async {
            stream.connection.open_uni().await.unwrap().await.unwrap()
        })
        .await;
        let _ = other.write_all(&[0; 100]).await;
        within("the stop of a stream", other.stopped()).await;
        stream.connection.send_datagram([0; 100]).unwrap();
    }
    stream.send(r#"421["none"]"#).await;
    assert!(stream.text().await.starts_with("431["));
}

/// Random bytes on the stream of a session, and in place of a request: the server goes on.
#[tokio::test]
async fn random_bytes_end_one_session_alone() {
    let site = served(|io| io, |_| ());
    let mut runner = TestRunner::new(Config::with_cases(1));
    let bytes = vec(any::<u8>(), 1..200);
    for round in 0..60 {
        let tree = bytes.new_tree(&mut runner).unwrap();
        let bytes = tree.current();
        let raw = Raw::open(site.address).await;
        if round % 2 == 0 {
            let (mut send, _recv) = raw.request(&bytes).await;
            let _ = send.finish();
        } else {
            let _request = raw.session().await;
            let start = [&[0x40, 0x41, 0, 1, b'0'][..], &bytes].concat();
            let (mut send, _recv) = raw.request(&start).await;
            let _ = send.finish();
        }
    }
    let (mut stream, _) = site.connected().await;
    stream.send(r#"421["none"]"#).await;
    assert!(stream.text().await.starts_with("431["));
}

/// A client on QUIC.
struct Raw {
    connection: Connection,
    _endpoint: Endpoint,
    _control: SendStream,
}

impl Raw {
    /// Connects, and sends the settings.
    async fn open(address: SocketAddr) -> Self {
        let crypto = QuicClientConfig::try_from(client_config()).unwrap();
        let mut endpoint = Endpoint::client(([127, 0, 0, 1], 0).into()).unwrap();
        endpoint.set_default_client_config(ClientConfig::new(Arc::new(crypto)));
        let connecting = endpoint.connect(address, "localhost").unwrap();
        let connection = within("a connection", connecting).await.unwrap();
        let mut control = connection.open_uni().await.unwrap();
        control.write_all(&[0, 4, 0]).await.unwrap();
        Self {
            connection,
            _endpoint: endpoint,
            _control: control,
        }
    }

    /// Opens a stream that begins with these bytes.
    async fn request(&self, bytes: &[u8]) -> (SendStream, RecvStream) {
        let (mut send, recv) = within("a stream", self.connection.open_bi()).await.unwrap();
        // The server may have closed the connection already.
        let _ = send.write_all(bytes).await;
        (send, recv)
    }

    /// Requests a session, and awaits the response.
    async fn session(&self) -> (SendStream, RecvStream) {
        let fields = [
            ":method",
            "CONNECT",
            ":protocol",
            "webtransport",
            ":scheme",
            "https",
            ":authority",
            "a",
            ":path",
            "/socket.io/",
        ];
        let (send, mut recv) = self.request(&frame(1, &headers(&fields))).await;
        let response = within("a response", recv.read_chunk(1000, true))
            .await
            .unwrap();
        assert_eq!(status_of(&response.unwrap().bytes), "200");
        (send, recv)
    }

    /// Waits for the end of the connection; returns the code of the server.
    async fn closed(&self) -> Option<u64> {
        match within("the end of a connection", self.connection.closed()).await {
            ConnectionError::ApplicationClosed(close) => Some(VarInt::into_inner(close.error_code)),
            _ => None,
        }
    }
}

/// RFC 9114, 7.1: a frame of less than 16 kilobytes.
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u16 | 0x4000).to_be_bytes();
    [&[kind][..], &length, payload].concat()
}

/// RFC 9204, 4.5.6: names and values, all literal.
fn headers(fields: &[&str]) -> Vec<u8> {
    let mut out = vec![0, 0];
    for pair in fields.chunks(2) {
        let (name, value) = (pair[0], pair[1]);
        assert!(value.len() < 127);
        // A name of three bits of length, or with one more byte.
        if name.len() < 7 {
            out.push(0x20 | name.len() as u8);
        } else {
            out.extend([0x27, name.len() as u8 - 7]);
        }
        out.extend(name.as_bytes());
        out.push(value.len() as u8);
        out.extend(value.as_bytes());
    }
    out
}

/// Returns the status of a response, whose first field it is.
fn status_of(response: &[u8]) -> String {
    // The name of the static table, RFC 9204, Appendix A: 24 is `:status`.
    let value = response[2..].strip_prefix(&[0, 0, 0x5F, 9]);
    let status = value.and_then(huffman_digits);
    status.unwrap_or_else(|| panic!("no status: {response:?}"))
}

/// RFC 7541, Appendix B: the codes of the digits.
fn huffman_digits(bytes: &[u8]) -> Option<String> {
    let length = usize::from(bytes.first()? & 0x7F);
    let is_huffman = bytes.first()? & 0x80 != 0;
    let text = bytes.get(1..=length)?;
    if !is_huffman {
        return String::from_utf8(text.to_vec()).ok();
    }
    let bits: Vec<u8> = text
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1))
        .collect();
    let (mut at, mut out) = (0, String::new());
    while out.len() < 3 {
        let take = |count: usize| {
            let bits = bits.get(at..at + count)?;
            Some(
                bits.iter()
                    .fold(0, |value, bit| value << 1 | u32::from(*bit)),
            )
        };
        let five = take(5)?;
        if five <= 2 {
            out.push(char::from(b'0' + five as u8));
            at += 5;
        } else {
            // 3 to 9 are the six bits from 0x19 on.
            out.push(char::from_digit(take(6)? - 0x19 + 3, 10)?);
            at += 6;
        }
    }
    Some(out)
}
