//! Reference server, option `httpCompression`: the response of a poll is compressed from a
//! threshold on, with a coding that the client accepts.

use std::io::Read;

use actix_socketio::{Cors, EngineIo, EngineIoBuilder, EngineMessage, EngineSession};
use flate2::read::{GzDecoder, ZlibDecoder};

use crate::support::socketio::start;
use crate::support::{Polling, Response, Server, WebSocket, echo};

/// `httpCompression`: gzip and deflate, with their features Brotli and Zstandard, as the client asks, and caches are told that it matters.
#[on_both_servers]
async fn poll_is_compressed_as_the_client_asks() {
    let server = Server::engineio(echo);
    let session = Polling::open(&server).await;
    for (accepted, coding) in [
        ("gzip, deflate", Some("gzip")),
        ("deflate", Some("deflate")),
        ("gzip;q=0, deflate;q=0.1", Some("deflate")),
        ("br", cfg!(feature = "brotli").then_some("br")),
        ("zstd", cfg!(feature = "zstd").then_some("zstd")),
        ("br;q=0, zstd;q=0, gzip;q=0.1", Some("gzip")),
        ("compress", None),
        ("gzip;q=0", None),
        ("", None),
    ] {
        let sent = long(2000);
        session.post(&[&sent]).await;
        let response = poll(&session, accepted).await;
        assert_eq!(response.header("content-encoding"), coding, "{accepted}");
        let varies = coding.map(|_| "Accept-Encoding");
        assert_eq!(response.header("vary"), varies, "{accepted}");
        let length = response.body.len().to_string();
        assert_eq!(response.header("content-length"), Some(&*length));
        assert_eq!(
            response.header("content-type"),
            Some("text/plain; charset=UTF-8")
        );
        assert!(
            (response.body.len() < 200) == coding.is_some(),
            "{accepted}: {length}"
        );
        assert_eq!(text(&response), sent, "{accepted}");
    }
}

/// A client that says nothing gets its packets as they are.
#[on_both_servers]
async fn poll_without_accept_encoding_is_not_compressed() {
    let server = Server::engineio(echo);
    let session = Polling::open(&server).await;
    let sent = long(2000);
    session.post(&[&sent]).await;
    session.expect(&[&sent]).await;
}

/// `threshold`: 1024 bytes by default, compared with the whole body.
#[on_both_servers]
async fn body_is_compressed_from_the_threshold_on() {
    let by_default = Server::engineio(echo);
    let chosen = Server::engineio(|builder| echo(builder).http_compression(Some(10)));
    for (server, threshold) in [(by_default, 1024), (chosen, 10)] {
        let session = Polling::open(&server).await;
        for (length, coding) in [(threshold - 1, None), (threshold, Some("gzip"))] {
            let sent = long(length);
            session.post(&[&sent]).await;
            let response = poll(&session, "gzip").await;
            assert_eq!(response.header("content-encoding"), coding, "{length}");
            assert_eq!(text(&response), sent);
        }
    }
}

/// `httpCompression: false`.
#[on_both_servers]
async fn nothing_is_compressed_where_it_is_switched_off() {
    let server = Server::engineio(|builder| echo(builder).http_compression(None));
    let session = Polling::open(&server).await;
    session.post(&[&long(5000)]).await;
    let response = poll(&session, "gzip").await;
    assert_eq!(response.header("content-encoding"), None);
    assert_eq!(response.text(), long(5000));
}

/// eio/transports/polling.ts: a body is compressed where at least one packet in it is worth it.
#[on_both_servers]
async fn one_packet_that_is_worth_it_is_enough() {
    let server = sorting(|builder| builder);
    let session = Polling::open(&server).await;
    let (plain, worth) = (long(2000), "4worth it");
    for (sent, coding) in [
        (vec![&*plain], None),
        (vec![&*plain, &*plain], None),
        (vec![&*plain, worth], Some("gzip")),
        (vec![worth, &*plain], Some("gzip")),
    ] {
        session.post(&sent).await;
        let response = poll(&session, "gzip").await;
        assert_eq!(response.header("content-encoding"), coding, "{sent:?}");
        assert_eq!(text(&response), sent.join("\u{1e}"));
    }
}

/// Binary messages, which polls bring as base64, may be worth it or not too.
#[on_both_servers]
async fn binary_messages_are_compressed_too() {
    for (server, coding) in [
        (Server::engineio(echo), Some("gzip")),
        (sorting(|builder| builder), None),
    ] {
        let session = Polling::open(&server).await;
        let sent = format!("b{}", "AAAA".repeat(500));
        session.post(&[&sent]).await;
        let response = poll(&session, "gzip").await;
        assert_eq!(response.header("content-encoding"), coding);
        assert_eq!(text(&response), sent);
    }
}

/// Only polls are compressed: neither posts, nor errors, nor a WebSocket's frames.
#[on_both_servers]
async fn nothing_but_polls_is_compressed() {
    let server = Server::engineio(|builder| echo(builder).http_compression(Some(0)));
    let session = Polling::open(&server).await;
    let post = session.request("POST").header("accept-encoding", "gzip");
    let response = post.body("4a").send().await;
    assert_eq!(response.header("content-encoding"), None);
    response.expect(200, "ok");
    let put = session.request("PUT").header("accept-encoding", "gzip");
    let response = put.send().await;
    assert_eq!(
        (response.status, response.header("content-encoding")),
        (400, None)
    );
    let query = "EIO=4&transport=websocket";
    let headers = [("accept-encoding", "gzip")];
    let mut socket = WebSocket::connect(&server, query, &headers).await.unwrap();
    assert_eq!(socket.handshake.header("content-encoding"), None);
    socket.recv_text().await;
    socket.send_text(&long(2000)).await;
    socket.expect_text(&long(2000)).await;
}

/// Fetch, 3.2: the origin matters to caches as much as the coding does.
#[on_both_servers]
async fn compressed_answer_varies_by_origin_too() {
    let app = "https://app.example";
    let server = Server::engineio(move |builder| echo(builder).cors(Cors::origins([app])));
    let session = Polling::open(&server).await;
    session.post(&[&long(2000)]).await;
    let request = session.request("GET").header("accept-encoding", "gzip");
    let response = request.header("origin", app).send().await;
    assert_eq!(response.header("access-control-allow-origin"), Some(app));
    let lines = response.headers.iter().filter(|(name, _)| name == "vary");
    let varies: Vec<_> = lines.map(|(_, value)| value.to_lowercase()).collect();
    let varies = varies.join(", ");
    assert!(
        varies.contains("origin") && varies.contains("accept-encoding"),
        "{varies}"
    );
}

/// `compress(false)`: an event by itself is not compressed, and beside another it does no harm.
#[on_both_servers]
async fn an_event_may_be_kept_from_being_compressed() {
    let server = start();
    let io = &server.io;
    let session = Polling::open(&server).await;
    session.post(&["40"]).await;
    session.start_poll().await.response().await;
    let text = "x".repeat(2000);
    io.compress(false).emit("e", &text).await.unwrap();
    let response = poll(&session, "gzip").await;
    assert_eq!(response.header("content-encoding"), None);
    let socket = io.of("/").sockets().remove(0);
    socket.compress(false).emit("e", &text).await.unwrap();
    io.to(socket.id()).emit("e", &text).await.unwrap();
    let response = poll(&session, "gzip").await;
    assert_eq!(response.header("content-encoding"), Some("gzip"));
}

/// Sends messages back, and says that long and binary ones are not worth compressing.
fn sorting(
    build: impl FnOnce(EngineIoBuilder) -> EngineIoBuilder + Send + 'static,
) -> Server<EngineIo> {
    Server::engineio(|builder| {
        build(builder).on_message(|session: EngineSession, message| async move {
            match &message {
                EngineMessage::Text(text) if text.len() < 1000 => session.send(&message),
                EngineMessage::Text(_) | EngineMessage::Binary(_) => {
                    session.send_uncompressed(&message)
                }
            }
            .unwrap();
        })
    })
}

async fn poll(session: &Polling, accepted: &str) -> Response {
    let request = session.request("GET").header("accept-encoding", accepted);
    let response = request.send().await;
    assert_eq!(response.status, 200, "{response:?}");
    response
}

/// Returns the body's text, decoded as the answer says.
fn text(response: &Response) -> String {
    let (mut text, body) = (String::new(), &response.body[..]);
    let read = match response.header("content-encoding") {
        Some("gzip") => GzDecoder::new(body).read_to_string(&mut text),
        Some("deflate") => ZlibDecoder::new(body).read_to_string(&mut text),
        #[cfg(feature = "brotli")]
        Some("br") => {
            let mut decoder = brotli::Decompressor::new(body, 4096);
            decoder.read_to_string(&mut text)
        }
        #[cfg(feature = "zstd")]
        Some("zstd") => {
            let mut decoder = zstd::Decoder::new(body).unwrap();
            decoder.read_to_string(&mut text)
        }
        Some(other) => panic!("{other:?} was not asked for"),
        None => return response.text().to_owned(),
    };
    read.unwrap();
    text
}

/// A message packet of this many bytes.
fn long(bytes: usize) -> String {
    format!("4{}", "x".repeat(bytes - 1))
}
