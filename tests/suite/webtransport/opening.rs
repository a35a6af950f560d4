//! Engine.IO v4, WebTransport: the opening of a session, and what the program sees of it.

use std::time::Duration;

use actix_socketio::{
    Bytes, ConnectionError, Cors, Data, Handshake, ServerSentEvents, Socket, Transport,
};
use actix_web::dev::Service;
use actix_web::error::{ErrorForbidden, ErrorUnauthorized};
use actix_web::http::header::HeaderValue;
use actix_web::{App, HttpRequest, web};
use wtransport::error::ConnectingError;

use crate::support::webtransport::{Site, Stream, closed, served, served_as};
use crate::support::{Open, Polling, Request, channel, serve};

/// Engine.IO v4, Handshake: the OPEN packet is the first on the stream. There is nothing to upgrade
/// to.
#[tokio::test]
async fn first_packet_opens_a_session() {
    let site = served(|io| io, |_| ());
    let (mut stream, open) = site.open().await;
    assert_eq!(open.sid.len(), 20);
    assert!(open.upgrades.is_empty());
    stream.connect().await;
    assert_eq!(site.server.io.clients_count(), 1);
}

/// Engine.IO v4, Handshake: polling names the transport, if it is on.
#[tokio::test]
async fn polling_names_the_transport_if_it_is_on() {
    let site = served(|io| io, |_| ());
    let upgrades = Polling::open(&site.server).await.open.upgrades;
    assert_eq!(upgrades, ["websocket", "webtransport"]);

    let without_websocket = served(|io| io.transports([Transport::Polling]), |_| ());
    let open = Polling::open(&without_websocket.server).await.open;
    assert_eq!(open.upgrades, ["webtransport"]);

    let without_upgrades = served(|io| io.allow_upgrades(false), |_| ());
    let open = Polling::open(&without_upgrades.server).await.open;
    assert!(open.upgrades.is_empty());

    let off = serve(|io| io.serve(App::new));
    assert_eq!(Polling::open(&off).await.open.upgrades, ["websocket"]);
}

/// Engine.IO v4, Packet encoding: text and binary messages, in both directions and of each form of
/// length.
#[tokio::test]
async fn text_and_binary_arrive_in_both_directions() {
    let site = echoing();
    let (mut stream, _) = site.connected().await;
    for length in [0, 1, 100, 126, 70_000, 900_000] {
        let text = "ä".repeat(length / 2);
        stream.send(&format!(r#"421["echo","{text}"]"#)).await;
        stream.expect(&format!(r#"431["{text}"]"#)).await;
    }
    for length in [1, 125, 126, 65_535, 65_536, 900_000] {
        let data = vec![0x85; length];
        let packet = r#"451-2["bytes",{"_placeholder":true,"num":0}]"#;
        stream.send(packet).await;
        stream.send_binary(&data).await;
        stream
            .expect(r#"461-2[{"_placeholder":true,"num":0}]"#)
            .await;
        stream.expect_binary(&data).await;
    }
}

/// Reference client: a binary message of length 0 is a parse error, so an empty one is base64.
#[tokio::test]
async fn empty_binary_message_is_sent_as_text() {
    let site = echoing();
    let (mut stream, _) = site.connected().await;
    stream
        .send(r#"451-2["bytes",{"_placeholder":true,"num":0}]"#)
        .await;
    stream.send("b").await;
    stream
        .expect(r#"461-2[{"_placeholder":true,"num":0}]"#)
        .await;
    stream.expect("b").await;
}

/// `Socket::transport` and `Handshake`: the session is one of WebTransport, with the address, the
/// query and the headers of its request.
#[tokio::test]
async fn program_sees_the_request_and_the_transport() {
    let (told, mut seen) = channel();
    let site = served(
        |io| io,
        move |io| {
            io.of("/")
                .on_connect(move |socket: Socket, handshake: Handshake| {
                    let value = |name| handshake.query_value(name).map(String::from);
                    told.send((
                        socket.transport(),
                        handshake.address().map(|address| address.to_string()),
                        (value("room"), value("transport"), value("EIO")),
                        handshake.header("x-token").map(str::to_owned),
                        handshake.is_secure(),
                    ))
                    .unwrap();
                    async {}
                });
        },
    );
    let headers = [("x-token", "secret")];
    let request = site.request_at("/socket.io/?room=lobby", &headers).await;
    let mut stream = Stream::on(request.unwrap()).await;
    stream.send("0").await;
    Open::read(&stream.text().await);
    stream.connect().await;
    let (transport, address, query, token, is_secure) = seen.next().await;
    assert_eq!(transport, Transport::WebTransport);
    assert_eq!(transport.as_str(), "webtransport");
    assert_eq!(address.as_deref(), Some("127.0.0.1"));
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(query, (text("lobby"), text("webtransport"), text("4")));
    assert_eq!(token, text("secret"));
    assert!(is_secure);
}

/// `allow_request` and `handshake_extensions`: the hooks hold for the first packet of a new session.
#[tokio::test]
async fn hooks_admit_a_new_session() {
    struct Number(u32);

    let (told, mut seen) = channel();
    let site = served(
        |io| {
            io.allow_request(|request: HttpRequest| async move {
                assert!(request.query_string().contains("transport=webtransport"));
                match request.headers().get("x-token") {
                    Some(token) if token == "secret" => Ok(()),
                    _ => Err(ErrorForbidden("no token")),
                }
            })
            .handshake_extensions(|_, extensions| {
                extensions.insert(Number(7));
            })
            .on_connection_error(move |error: &ConnectionError<'_>| {
                told.send((error.code(), error.message().to_owned()))
                    .unwrap();
            })
        },
        |io| {
            io.of("/").on("number", |handshake: Handshake| async move {
                handshake.get::<Number>().map(|number| number.0)
            });
        },
    );
    let mut refused = site.stream().await;
    refused.send("0").await;
    assert_eq!(refused.closed().await, (4, "Forbidden".to_owned()));
    assert_eq!(seen.next().await, (4, "Forbidden".to_owned()));
    assert_eq!(site.server.io.clients_count(), 0);

    let headers = [("x-token", "secret")];
    let request = site.request_at("/socket.io/", &headers).await;
    let mut stream = Stream::on(request.unwrap()).await;
    stream.send("0").await;
    stream.text().await;
    stream.connect().await;
    stream.send(r#"421["number"]"#).await;
    stream.expect("431[7]").await;
}

/// `SocketIo::serve`: the request passes through the App's middleware, whose refusal is the status
/// of the response.
#[tokio::test]
async fn middleware_of_the_app_refuses_the_request() {
    let site = served_as(
        |io| io,
        |io| {
            io.serve(|| {
                App::new().wrap_fn(|request, app| {
                    let is_known = request.headers().contains_key("x-token");
                    let answer = app.call(request);
                    async move {
                        if is_known {
                            answer.await
                        } else {
                            Err(ErrorUnauthorized("no token"))
                        }
                    }
                })
            })
        },
    );
    refused(site.request().await);
    let accepted = site.request_at("/socket.io/", &[("x-token", "a")]).await;
    assert!(accepted.is_ok());
}

/// `SocketIo::serve`: another route of the App is no session, whatever its status.
#[tokio::test]
async fn other_routes_open_no_session() {
    let site = served_as(
        |io| io,
        |io| io.serve(|| App::new().route("/hello", web::get().to(|| async { "hello" }))),
    );
    refused(site.request_at("/hello", &[]).await);
    refused(site.request_at("/nowhere", &[]).await);
    assert!(site.request().await.is_ok());
}

/// `Cors`: a page of another origin is refused by the response.
#[tokio::test]
async fn page_of_another_origin_is_refused() {
    let cors = Cors::origins(["https://chat.example"]).refuse_others(true);
    let site = served(|io| io.cors(cors), |_| ());
    let with = |origin| [("origin", origin)];
    let good = with("https://chat.example");
    assert!(site.request_at("/socket.io/", &good).await.is_ok());
    let own = format!("https://{}", site.address);
    let own = site.request_at("/socket.io/", &[("origin", &own)]).await;
    assert!(own.is_ok());
    let bad = with("https://evil.example");
    refused(site.request_at("/socket.io/", &bad).await);
}

/// Engine.IO v4: the transport of a request is not enough, it must arrive by HTTP/3.
#[tokio::test]
async fn request_of_the_transport_by_tcp_is_refused() {
    let site = served(|io| io, |_| ());
    let target = site.server.target("EIO=4&transport=webtransport");
    let response = Request::get(site.server.address, &target).send().await;
    response.expect(400, r#"{"code":0,"message":"Transport unknown"}"#);
}

/// Reference server, WebTransport: anything but an OPEN packet closes the session.
#[tokio::test]
async fn other_first_packets_close_the_session() {
    let site = served(|io| io, |_| ());
    for packet in ["2probe", "40", "0{}", "0{\"sid\":1}", "1", "x"] {
        let mut stream = site.stream().await;
        stream.send(packet).await;
        let bad = (3, "Bad request".to_owned());
        assert_eq!(stream.closed().await, bad, "{packet}");
    }
    let mut stream = site.stream().await;
    stream.send_binary(&[1]).await;
    assert_eq!(stream.closed().await.0, 3);
    assert_eq!(site.server.io.clients_count(), 0);
}

/// `upgrade_timeout`: a client that requests a session and does not open it is closed.
#[tokio::test]
async fn client_that_sends_no_first_packet_is_closed() {
    let timeout = Duration::from_millis(300);
    let site = served(move |io| io.upgrade_timeout(timeout), |_| ());
    let silent = site.stream().await;
    let without_stream = site.request().await.unwrap();
    assert_eq!(silent.closed().await, (0, String::new()));
    assert_eq!(closed(&without_stream).await, (0, String::new()));
}

/// `Builder::path`, `server_sent_events`: their paths are not those of the transport.
#[tokio::test]
async fn paths_below_that_of_the_server_open_sessions_too() {
    let site = served(|io| io.server_sent_events(ServerSentEvents::new()), |_| ());
    // As on Node.js all requests below the path belong to the server.
    assert!(site.request_at("/socket.io/other", &[]).await.is_ok());
}

/// `response_headers`: the hook sees the response of the request.
#[tokio::test]
async fn response_has_the_headers_of_the_program() {
    let (told, mut seen) = channel();
    let site = served(
        |io| {
            io.response_headers(move |request, headers| {
                headers.insert("x-server".parse().unwrap(), HeaderValue::from_static("one"));
                told.send(request.path().to_owned()).unwrap();
            })
        },
        |_| (),
    );
    site.open().await;
    assert_eq!(seen.next().await, "/socket.io/");
}

/// Returns a server whose handlers send back what they receive.
fn echoing() -> Site {
    served(
        |io| io,
        |io| {
            io.of("/")
                .on("echo", |Data(text): Data<String>| async move { text })
                .on("bytes", |Data(data): Data<Bytes>| async move { data });
        },
    )
}

/// Expects that a request was refused by its response.
fn refused(request: Result<wtransport::Connection, ConnectingError>) {
    let refused = request.map(|_| ()).unwrap_err();
    assert!(
        matches!(refused, ConnectingError::SessionRejected),
        "{refused}"
    );
}
