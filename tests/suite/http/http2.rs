//! HTTP/2: polling, JSONP and server-sent events as streams of one connection.
//!
//! RFC 9113. An `HttpServer` speaks it without TLS by `bind_auto_h2c`; by TLS both servers do, if
//! actix-web has the feature `http2` and the client offers `h2` by ALPN.

use std::time::Duration;

use actix_socketio::{Builder, Cors, Event, Handshake, ServerSentEvents, SocketIo};
use actix_web::HttpRequest;
use actix_web::cookie::Cookie;
use actix_web::error::ErrorForbidden;
use actix_web::http::header::{HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::http2::{Http2, Http2Body, Http2Pending, Http2Request};
use crate::support::socketio::{Client, Via, leavers, until};
use crate::support::{Open, PATIENCE, Response, Server, WebSocket, packets, within};

/// Engine.IO v4, HTTP long-polling: a session opens, polls and posts, all on one connection, and
/// text and bytes travel both ways.
#[tokio::test]
async fn a_client_polls_and_posts_on_one_connection() {
    let server = start(|builder| builder);
    let client = Polls::connected(&Http2::open(&server).await).await;
    client.post(&[r#"420["echo","é😀",1.5,null]"#]).await;
    client.expect(&[r#"430["é😀",1.5,null]"#]).await;
    let bytes = "b".to_owned() + &STANDARD.encode([0, 1, 254, 255]);
    let head = r#"451-1["echo",{"_placeholder":true,"num":0}]"#;
    client.post(&[head, &bytes]).await;
    let answer = r#"461-1[{"_placeholder":true,"num":0}]"#;
    client.expect(&[answer, &bytes]).await;
    // Longer than the window of a stream, which is 65,535 bytes.
    let long = "x".repeat(300_000);
    client.post(&[&format!(r#"422["echo","{long}"]"#)]).await;
    client.expect(&[&format!(r#"432["{long}"]"#)]).await;
}

/// RFC 9113, 5: a poll waits while other streams of its connection are answered; each session has
/// its own.
#[tokio::test]
async fn a_poll_waits_beside_other_streams() {
    let server = start(|builder| builder);
    let connection = Http2::open(&server).await;
    let mut waiting = Vec::new();
    for _ in 0..20 {
        let client = Polls::connected(&connection).await;
        let poll = client.start_poll().await;
        waiting.push((client, poll));
    }
    for (number, (client, _)) in waiting.iter().enumerate() {
        client.post(&[&format!(r#"42{number}["echo"]"#)]).await;
    }
    for (number, (_, poll)) in waiting.into_iter().enumerate() {
        let came = packets(&poll.response().await);
        assert_eq!(came, [format!("43{number}[]")]);
    }
}

/// Engine.IO v4, HTTP long-polling: a second poll closes the session, as over HTTP/1.1.
#[tokio::test]
async fn a_second_poll_closes_the_session() {
    let server = start(|builder| builder);
    let mut left = leavers(&server.io.of("/"));
    let client = Polls::connected(&Http2::open(&server).await).await;
    let first = client.start_poll().await;
    // Either of them may be the second one.
    let second = client.start_poll().await;
    let (first, second) = (first.response().await, second.response().await);
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400], "{first:?} {second:?}");
    assert_eq!(left.next().await, "transport error");
    client.expect_gone().await;
}

/// The rule of `docs/semantics.md` about a poll that is given up: actix-http does not report the
/// reset of a stream, so the ping timeout finds it.
#[tokio::test]
async fn a_poll_that_is_reset_ends_its_session_by_ping_timeout() {
    let server = start(|builder| {
        let builder = builder.ping_interval(Duration::from_millis(300));
        builder.ping_timeout(Duration::from_millis(200))
    });
    let mut left = leavers(&server.io.of("/"));
    let connection = Http2::open(&server).await;
    let client = Polls::connected(&connection).await;
    let poll = client.start_poll().await;
    connection.round_trip().await;
    poll.reset();
    assert_eq!(left.next().await, "ping timeout");
    client.expect_gone().await;
    let client = Polls::connected(&connection).await;
    let poll = client.start_poll().await;
    connection.round_trip().await;
    // The whole connection.
    drop((client, poll, connection));
    assert_eq!(left.next().await, "ping timeout");
}

/// A POST whose stream is reset ends its session at once: its packets would be missing.
#[tokio::test]
async fn a_post_that_is_reset_ends_its_session() {
    let server = start(|builder| builder);
    let mut left = leavers(&server.io.of("/"));
    let connection = Http2::open(&server).await;
    let client = Polls::connected(&connection).await;
    let post = client.request("POST");
    let mut post = post.start_without_body(false).await;
    post.write(b"42[\"ec", false).await;
    connection.round_trip().await;
    post.reset();
    assert_eq!(left.next().await, "transport error");
    client.expect_gone().await;
}

/// The refusals of a first request, with the status and the body that they have over HTTP/1.1.
#[tokio::test]
async fn refusals_have_their_status_and_body() {
    let server = start(|builder| builder.cors(Cors::origins(["https://app.example"])));
    let connection = Http2::open(&server).await;
    for (method, query, code, message) in [
        ("GET", "EIO=4", 0, "Transport unknown"),
        ("GET", "EIO=4&transport=other", 0, "Transport unknown"),
        (
            "GET",
            "EIO=4&transport=polling&sid=abc",
            1,
            "Session ID unknown",
        ),
        ("POST", "EIO=4&transport=polling", 2, "Bad handshake method"),
        ("PUT", "EIO=4&transport=polling", 2, "Bad handshake method"),
        // RFC 9113, 8.6: a stream cannot be upgraded.
        ("GET", "EIO=4&transport=websocket", 3, "Bad request"),
        (
            "GET",
            "EIO=3&transport=polling",
            5,
            "Unsupported protocol version",
        ),
        ("GET", "EIO=4&transport=polling&j=x", 3, "Bad request"),
    ] {
        let response = connection.request(method, query).send().await;
        response.expect_error(code, message);
        assert_eq!(response.header("cache-control"), Some("no-store"));
    }
    let handshake = connection.request("GET", "EIO=4&transport=polling");
    let refused = handshake.header("origin", "https://evil.example").send();
    let refused = refused.await;
    refused.expect(403, r#"{"code":4,"message":"Forbidden"}"#);
    assert_eq!(server.io.clients_count(), 0);
}

/// The refusals of a request of a session.
#[tokio::test]
async fn requests_that_a_session_refuses_have_their_status() {
    let server = start(|builder| builder.max_payload(1000));
    let connection = Http2::open(&server).await;
    let client = Polls::connected(&connection).await;
    let packet = format!(r#"420["echo","{}"]"#, "x".repeat(1000 - 14));
    assert_eq!(packet.len(), 1000);
    client.post(&[&packet]).await;
    assert_eq!(client.poll().await.len(), 1);
    let large = client.request("POST").body(packet + " ").send().await;
    large.expect(413, "");
    client
        .request("PUT")
        .send()
        .await
        .expect_error(2, "Bad handshake method");
    let other = format!("EIO=3&transport=polling&sid={}", client.sid);
    let other = connection.request("GET", &other).send().await;
    other.expect_error(3, "Bad request");
    let binary = client.request("POST").body("x");
    let binary = binary.header("content-type", "application/octet-stream");
    binary.send().await.expect(400, "");
    client.expect_gone().await;
}

/// `Builder::allow_request` refuses with its own response, and sees the version of the request.
#[tokio::test]
async fn the_program_refuses_by_its_own_response() {
    let server = start(|builder| {
        builder.allow_request(|request: HttpRequest| async move {
            match request.headers().contains_key("x-key") {
                true => Ok(()),
                false => Err(ErrorForbidden(format!("no key by {:?}", request.version()))),
            }
        })
    });
    let connection = Http2::open(&server).await;
    let refused = connection.request("GET", "EIO=4&transport=polling").send();
    refused.await.expect(403, "no key by HTTP/2.0");
    let opened = connection.request("GET", "EIO=4&transport=polling");
    let opened = opened.header("x-key", "1").send().await;
    assert_eq!(opened.status, 200);
}

/// `Builder::initial_headers`, `response_headers` and `cookie`, and headers of CORS.
#[tokio::test]
async fn responses_have_the_headers_of_the_program() {
    let server = start(|builder| {
        let name = |name| HeaderName::from_static(name);
        builder
            .cookie(Cookie::new("io", ""))
            .cors(Cors::any())
            .initial_headers(move |_, headers| {
                headers.insert(name("x-first"), HeaderValue::from_static("1"));
            })
            .response_headers(move |_, headers| {
                headers.insert(name("x-all"), HeaderValue::from_static("2"));
            })
    });
    let connection = Http2::open(&server).await;
    let request = connection.request("GET", "EIO=4&transport=polling");
    let opened = request.header("origin", "https://app.example").send().await;
    let sid = Open::read(opened.text()).sid;
    let cookie = format!("io={sid}; HttpOnly; SameSite=Lax; Path=/");
    for (name, value) in [
        ("x-first", "1"),
        ("x-all", "2"),
        ("set-cookie", &*cookie),
        ("access-control-allow-origin", "*"),
        ("content-type", "text/plain; charset=UTF-8"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(opened.header(name), Some(value));
    }
    let client = Polls { connection, sid };
    let post = client.request("POST").body("40").send().await;
    assert_eq!(
        (post.header("x-first"), post.header("x-all")),
        (None, Some("2"))
    );
}

/// A long payload is compressed by the `Accept-Encoding` of the poll.
#[tokio::test]
async fn a_long_payload_is_compressed() {
    let server = start(|builder| builder);
    let client = Polls::connected(&Http2::open(&server).await).await;
    let long = "x".repeat(5000);
    client.post(&[&format!(r#"420["echo","{long}"]"#)]).await;
    let poll = client.request("GET").header("accept-encoding", "gzip");
    let response = poll.send().await;
    assert_eq!(response.header("content-encoding"), Some("gzip"));
    assert!(response.body.len() < 500);
}

/// RFC 9113, 8.3.1 and 8.2.3: the server's own name is in `:authority`, and each cookie may have a
/// line of its own. The program reads `Host` and `Cookie`, as over HTTP/1.1.
#[tokio::test]
async fn a_handshake_has_the_host_and_one_line_of_cookies() {
    let server = start(|builder| builder);
    server
        .io
        .of("/")
        .on("who", |handshake: Handshake| async move {
            json!({
                "host": handshake.header("host"),
                "cookie": handshake.header("cookie"),
                "b": handshake.cookie("b"),
                "own": handshake.is_same_origin(),
                "address": handshake.address(),
                "url": handshake.url().split('?').next(),
                "secure": handshake.is_secure(),
            })
        });
    let connection = Http2::open(&server).await;
    for host in [None, Some("named.example")] {
        let request = connection.request("GET", "EIO=4&transport=polling");
        let request = request.header("origin", connection.origin());
        let request = request.header("cookie", "a=1").header("cookie", "b=2; c=3");
        let request = match host {
            Some(host) => request.header("host", host),
            None => request,
        };
        let client = Polls::join(&connection, &request.send().await).await;
        client.post(&[r#"420["who"]"#]).await;
        let came = client.poll().await;
        let [who]: [Value; 1] = serde_json::from_str(came[0].strip_prefix("430").unwrap()).unwrap();
        let authority = server.address.to_string();
        let expected = json!({
            "host": host.unwrap_or(&authority),
            "cookie": "a=1; b=2; c=3",
            "b": "2",
            "own": host.is_none(),
            "address": "127.0.0.1",
            "url": "/socket.io/",
            "secure": false,
        });
        assert_eq!(who, expected);
    }
}

/// `Cors::origins`: a page of the server's own origin is let in although it is not listed.
#[tokio::test]
async fn a_page_of_the_own_origin_is_let_in() {
    let server = start(|builder| builder.cors(Cors::origins(["https://app.example"])));
    let connection = Http2::open(&server).await;
    let origin = connection.origin().to_owned();
    for (origin, status) in [(&*origin, 200), ("http://127.0.0.1:1", 403)] {
        let request = connection.request("GET", "EIO=4&transport=polling");
        let response = request.header("origin", origin).send().await;
        assert_eq!(response.status, status, "{origin}");
    }
}

/// JSONP, in both revisions: scripts and forms.
#[tokio::test]
async fn scripts_and_forms_travel_too() {
    let server = start(|builder| builder.allow_eio3(true));
    let connection = Http2::open(&server).await;
    for (revision, form, joined, answer) in [
        (
            4,
            "d=40%1E420%5B%22echo%22%2C%22%E2%80%A8%22%5D",
            "40{",
            "430[\"\u{2028}\"]",
        ),
        (
            3,
            "d=15%3A420%5B%22echo%22%2C%22%E2%80%A8%22%5D",
            ":40",
            "8:430[\"\u{2028}\"]",
        ),
    ] {
        let query = format!("EIO={revision}&transport=polling&j=0");
        let opened = script(&connection.request("GET", &query).send().await);
        let json = &opened[opened.find('{').unwrap()..=opened.rfind('}').unwrap()];
        let open: Value = serde_json::from_str(json).unwrap();
        let query = format!("{query}&sid={}", open["sid"].as_str().unwrap());
        let post = connection.request("POST", &query).body(form);
        let kind = "application/x-www-form-urlencoded";
        let posted = post.header("content-type", kind).send().await;
        posted.expect(200, "ok");
        let mut came = opened[opened.rfind('}').unwrap() + 1..].to_owned();
        while !came.contains(answer) {
            came += &script(&connection.request("GET", &query).send().await);
        }
        assert!(came.contains(joined), "{came}");
    }
}

/// Clients of the 2.x line, whose payloads may be binary.
#[tokio::test]
async fn clients_of_the_third_revision_poll_and_post() {
    let server = start(|builder| builder.allow_eio3(true));
    let connection = Http2::open(&server).await;
    let opened = connection.request("GET", "EIO=3&transport=polling");
    let opened = opened.send().await;
    let text = String::from_utf8_lossy(&opened.body).into_owned();
    let sid = text.split("\"sid\":\"").nth(1).unwrap().split('"').next();
    let query = format!("EIO=3&transport=polling&sid={}", sid.unwrap());
    // A packet of text, and one of bytes: its kind, the digits of its length, 255, type 4.
    let head = r#"451-0["echo",{"_placeholder":true,"num":0}]"#;
    let length = [
        u8::try_from(head.len() / 10).unwrap(),
        u8::try_from(head.len() % 10).unwrap(),
    ];
    let body = [
        &[0][..],
        &length,
        &[255],
        head.as_bytes(),
        &[1, 4, 255, 4, 7, 8, 9],
    ]
    .concat();
    let post = connection.request("POST", &query).body(body);
    let post = post.header("content-type", "application/octet-stream");
    post.send().await.expect(200, "ok");
    let mut came = opened.body;
    while !came.ends_with(&[1, 4, 255, 4, 7, 8, 9]) {
        came = connection.request("GET", &query).send().await.body;
    }
    let answer = r#"461-0[{"_placeholder":true,"num":0}]"#;
    assert!(String::from_utf8_lossy(&came).contains(answer));
}

/// HTML, Server-sent events: a stream of HTTP/2 is a stream of events; several share a connection.
#[tokio::test]
async fn events_arrive_on_streams_of_one_connection() {
    let server = start(streaming);
    let connection = Http2::open(&server).await;
    let mut streams = Vec::new();
    for room in ["a", "b"] {
        let mut stream = Events::open(&connection, &format!("room={room}")).await;
        assert!(stream.next().await.starts_with("event: connect\n"));
        streams.push((room, stream));
    }
    for (room, stream) in &mut streams {
        server
            .io
            .to(*room)
            .emit("news", room.to_owned())
            .await
            .unwrap();
        let event = format!("event: news\ndata: [\"{room}\"]");
        assert_eq!(stream.next().await, event);
    }
    let refused = connection.request_at("GET", "/socket.io/events?namespace=/none");
    let refused = refused.send().await;
    refused.expect(403, r#"{"message":"Invalid namespace"}"#);
    let refused = connection.request_at("POST", "/socket.io/events");
    refused.send().await.expect_error(2, "Bad handshake method");
}

/// A stream of events that is reset ends its session with the next comment, and leaves the others
/// alone; one whose session has ended ends too.
#[tokio::test]
async fn a_stream_of_events_ends_with_its_session() {
    let server = start(|builder| streaming(builder).ping_interval(Duration::from_millis(50)));
    let mut left = leavers(&server.io.of("/"));
    let connection = Http2::open(&server).await;
    let mut kept = Events::open(&connection, "").await;
    kept.next().await;
    let mut reset = Events::open(&connection, "").await;
    reset.next().await;
    reset.body.reset();
    assert_eq!(left.next().await, "transport close");
    until("one client to stay", || server.io.clients_count() == 1).await;
    server.io.disconnect_sockets(true).await.unwrap();
    while kept.body.chunk().await.is_some() {}
    assert_eq!(left.next().await, "server namespace disconnect");
}

/// A browser polls over HTTP/2, and opens its WebSocket by a connection of HTTP/1.1.
#[tokio::test]
async fn a_session_moves_to_a_websocket_of_another_connection() {
    let server = start(|builder| builder);
    let client = Polls::connected(&Http2::open(&server).await).await;
    let mut socket = WebSocket::beside(&server, &client.sid).await;
    let poll = client.start_poll().await;
    socket.send_text("2probe").await;
    socket.expect_text("3probe").await;
    assert_eq!(packets(&poll.response().await), ["6"]);
    socket.send_text("5").await;
    socket.send_text(r#"420["echo",1]"#).await;
    socket.expect_text("430[1]").await;
    client.expect_refused().await;
    assert_eq!(server.io.clients_count(), 1);
}

/// HTTP/1.1 is served at the same address.
#[tokio::test]
async fn clients_of_both_versions_share_rooms() {
    let server = start(|builder| builder);
    let new = Polls::connected(&Http2::open(&server).await).await;
    let mut old = Client::connected(&server, Via::WebSocket).await;
    server.io.emit("all", 1).await.unwrap();
    old.expect(r#"42["all",1]"#).await;
    new.expect(&[r#"42["all",1]"#]).await;
}

/// A server that closes answers the polls of its clients.
#[tokio::test]
async fn a_close_answers_the_polls() {
    let server = start(|builder| builder);
    let client = Polls::connected(&Http2::open(&server).await).await;
    let poll = client.start_poll().await;
    client.post(&[r#"420["echo"]"#]).await;
    assert_eq!(packets(&poll.response().await), ["430[]"]);
    let poll = client.start_poll().await;
    // The server has taken the POST, so the poll before it too.
    client.post(&["3"]).await;
    let io = server.io.clone();
    let closing = tokio::spawn(async move { io.close(PATIENCE).await });
    let last = packets(&poll.response().await);
    assert!(last.contains(&"1".to_owned()), "{last:?}");
    assert!(within("the server to close", closing).await.unwrap());
}

/// RFC 9113, 3.2: by TLS the client chooses HTTP/2 by ALPN, on both servers.
#[cfg(feature = "rustls-0_23")]
#[on_both_servers]
async fn alpn_chooses_http2() {
    use crate::support::{Connection, tls};

    let (config, trust) = tls::configs();
    let server = Server::socketio_tls(config, streaming, handlers);
    let secure =
        |handshake: Handshake| async move { (handshake.is_secure(), handshake.is_same_origin()) };
    server.io.of("/").on("secure", secure);
    let stream = tls::connect(&trust, &["h2", "http/1.1"], &server).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let origin = format!("https://{}:{}", tls::NAME, server.address.port());
    let connection = Http2::over(stream, &server, &origin).await;
    let opened = connection.request("GET", "EIO=4&transport=polling");
    let opened = opened.header("origin", &origin).send().await;
    let client = Polls::join(&connection, &opened).await;
    client
        .post(&[r#"420["secure"]"#, r#"421["echo","x"]"#])
        .await;
    client.expect(&["430[true,true]", r#"431["x"]"#]).await;
    let mut events = Events::open(&connection, "").await;
    assert!(events.next().await.starts_with("event: connect\n"));
    // The WebSocket of the upgrade offers HTTP/1.1 alone, as browsers do.
    let stream = tls::connect(&trust, &["http/1.1"], &server).await;
    let query = format!("EIO=4&transport=websocket&sid={}", client.sid);
    let socket = WebSocket::handshake(Connection::over(stream), &server, &query, &[]);
    let mut socket = socket.await.unwrap();
    socket.send_text("2probe").await;
    socket.expect_text("3probe").await;
    socket.send_text("5").await;
    socket.send_text(r#"422["echo","y"]"#).await;
    socket.expect_text(r#"432["y"]"#).await;
}

/// Starts a server without TLS, whose `echo` acknowledges with its arguments.
fn start(build: impl FnOnce(Builder) -> Builder + Send + 'static) -> Server<SocketIo> {
    Server::socketio_h2c(build, handlers)
}

fn handlers(io: &SocketIo) {
    let echo = |event: Event| async move { event.args().clone() };
    io.of("/").on("echo", echo);
}

fn streaming(builder: Builder) -> Builder {
    builder.server_sent_events(ServerSentEvents::new().rooms(|_, _, _| true))
}

/// A session that is polled.
struct Polls {
    connection: Http2,
    sid: String,
}

impl Polls {
    /// Opens a session, and joins `/`.
    async fn connected(connection: &Http2) -> Self {
        let opened = connection.request("GET", "EIO=4&transport=polling");
        Self::join(connection, &opened.send().await).await
    }

    /// Joins `/` in the session of a handshake.
    async fn join(connection: &Http2, opened: &Response) -> Self {
        assert_eq!(opened.status, 200, "{opened:?}");
        let client = Self {
            connection: connection.clone(),
            sid: Open::read(opened.text()).sid,
        };
        client.post(&["40"]).await;
        let came = client.poll().await;
        assert!(came[0].starts_with(r#"40{"sid":"#), "{came:?}");
        client
    }

    fn request(&self, method: &str) -> Http2Request {
        let query = format!("EIO=4&transport=polling&sid={}", self.sid);
        self.connection.request(method, &query)
    }

    async fn start_poll(&self) -> Http2Pending {
        self.request("GET").start().await
    }

    async fn poll(&self) -> Vec<String> {
        packets(&self.start_poll().await.response().await)
    }

    async fn expect(&self, expected: &[&str]) {
        let mut came = Vec::new();
        while came.len() < expected.len() {
            came.extend(self.poll().await);
        }
        assert_eq!(came, expected);
    }

    async fn post(&self, packets: &[&str]) {
        let posted = self.request("POST").body(packets.join("\u{1e}"));
        posted.send().await.expect(200, "ok");
    }

    /// Expects the session to be on another transport.
    async fn expect_refused(&self) {
        let response = self.request("GET").send().await;
        response.expect_error(3, "Bad request");
    }

    /// Expects the session to have ended; its last packet may still be there.
    async fn expect_gone(&self) {
        let mut response = self.request("GET").send().await;
        if response.status == 200 {
            response = self.request("GET").send().await;
        }
        response.expect_error(1, "Session ID unknown");
    }
}

/// A stream of events.
struct Events {
    body: Http2Body,
    text: String,
}

impl Events {
    async fn open(connection: &Http2, query: &str) -> Self {
        let target = format!("/socket.io/events?{query}");
        let request = connection.request_at("GET", &target);
        let (head, body) = request.start().await.head().await;
        assert_eq!(head.status, 200);
        assert_eq!(head.header("content-type"), Some("text/event-stream"));
        Self {
            body,
            text: String::new(),
        }
    }

    /// Returns the next event, without comments.
    async fn next(&mut self) -> String {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                if !event.starts_with(':') {
                    return event;
                }
                continue;
            }
            let chunk = self.body.chunk().await.unwrap();
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

/// Returns the payload in a script.
fn script(response: &Response) -> String {
    assert_eq!(response.status, 200, "{response:?}");
    let script = response.text().strip_prefix("___eio[0](");
    serde_json::from_str(script.and_then(|script| script.strip_suffix(");")).unwrap()).unwrap()
}
