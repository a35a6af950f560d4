//! The handshake: what a client's first request said, and who is believed about its address.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use actix_socketio::{
    EngineIo, EngineIoBuilder, EngineSession, Handshake, IpNet, Rejection, Socket, SocketIo,
};

use crate::support::socketio::{BOTH, Client, Via, start};
use crate::support::{
    Connection, Heard, Open, Polling, Request, Response, Server, Site, WebSocket, channel, packets,
};

/// Reference server, `socket.handshake`: headers, url, query, cookies, address, secure, xdomain,
/// time.
#[on_both_servers]
async fn handshake_has_the_data_of_the_first_request() {
    let (server, mut opened) = listening(|builder| builder);
    for via in BOTH {
        let before = SystemTime::now();
        let headers = [
            ("X-Token", "a:b"),
            ("cookie", "id=7; theme=dark%20blue"),
            ("origin", "https://app.example"),
        ];
        let _held = open(&server, via, "&lang=en%20gb&n=5", &headers).await;
        let handshake = opened.next().await;
        assert_eq!(handshake.header("x-token"), Some("a:b"));
        assert_eq!(handshake.header("HOST"), Some(&*server.address.to_string()));
        assert_eq!(handshake.header("x-other"), None);
        let query = format!("EIO=4&transport={}&lang=en%20gb&n=5", name(via));
        assert_eq!(handshake.query(), query);
        assert_eq!(handshake.url(), format!("/engine.io/?{query}"));
        assert_eq!(handshake.query_value("lang").as_deref(), Some("en gb"));
        assert_eq!(handshake.query_value("missing"), None);
        assert_eq!(handshake.cookie("id").as_deref(), Some("7"));
        assert_eq!(handshake.cookie("theme").as_deref(), Some("dark blue"));
        assert_eq!(handshake.cookies().count(), 2);
        assert_eq!(handshake.address(), Some(LOCALHOST));
        assert!(!handshake.is_secure());
        assert!(handshake.has_origin());
        assert!(handshake.time() >= before - Duration::from_millis(1));
        assert!(handshake.time() <= SystemTime::now());
    }
}

/// Fetch, 3.2: a request that a page sends to its own server has no `Origin`.
#[on_both_servers]
async fn handshake_without_an_origin_is_not_cross_origin() {
    let (server, mut opened) = listening(|builder| builder);
    for via in BOTH {
        let _held = open(&server, via, "", &[]).await;
        assert!(!opened.next().await.has_origin());
    }
}

/// The query is read into a type, and what does not fit is named.
#[on_both_servers]
async fn query_is_read_into_a_type() {
    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Page {
        page: u32,
        lang: Option<String>,
    }
    let (server, mut opened) = listening(|builder| builder);
    for via in BOTH {
        let _held = open(&server, via, "&page=3&lang=de", &[]).await;
        let lang = Some("de".to_owned());
        let read = opened.next().await.read_query();
        assert_eq!(read, Ok(Page { page: 3, lang }));
        let _held = open(&server, via, "&page=x", &[]).await;
        let error = opened.next().await.read_query::<Page>().unwrap_err();
        let text = "invalid query: invalid digit found in string";
        assert_eq!(error.to_string(), text);
    }
}

/// Bytes that are no text are no error: they are kept as bytes, and are no text.
#[on_both_servers]
async fn invalid_utf8_in_a_request_is_no_error() {
    let (server, mut opened) = listening(|builder| builder.trusted_proxies([LOCALHOST]));
    for transport in ["polling", "websocket"] {
        let target = server.target(&format!("EIO=4&transport={transport}&q=%ff%00"));
        let mut request = format!("GET {target} HTTP/1.1\r\nhost: a\r\n").into_bytes();
        for name in [
            "x-bad",
            "cookie",
            "x-forwarded-for",
            "x-forwarded-proto",
            "origin",
        ] {
            request.extend_from_slice(format!("{name}: ").as_bytes());
            request.extend_from_slice(b"\xff\xfe=\x80,;\r\n");
        }
        if transport == "websocket" {
            request.extend_from_slice(b"connection: Upgrade\r\nupgrade: websocket\r\n");
            request.extend_from_slice(b"sec-websocket-version: 13\r\n");
            request.extend_from_slice(b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
        }
        request.extend_from_slice(b"\r\n");
        let mut connection = Connection::open(server.address).await;
        connection.write(&request).await;
        let handshake = opened.next().await;
        assert_eq!(handshake.header("x-bad"), None);
        let mut headers = handshake.headers();
        let bad = headers.find(|(name, _)| *name == "x-bad");
        assert_eq!(bad, Some(("x-bad", &b"\xff\xfe=\x80,;"[..])));
        assert_eq!(handshake.cookies().count(), 0);
        assert_eq!(handshake.query_value("q").as_deref(), Some("\u{fffd}\0"));
        assert_eq!(handshake.address(), Some(LOCALHOST));
        assert!(handshake.has_origin());
        assert!(!handshake.is_secure());
    }
}

/// Headers of the client about its own address are ignored.
#[on_both_servers]
async fn forwarded_headers_of_an_untrusted_peer_are_ignored() {
    let strangers: [fn(EngineIoBuilder) -> EngineIoBuilder; 2] = [
        |builder| builder,
        |builder| builder.trusted_proxies(["10.0.0.0/8".parse::<IpNet>().unwrap()]),
    ];
    for build in strangers {
        let (server, mut opened) = listening(build);
        for via in BOTH {
            let headers = [
                ("x-forwarded-for", "10.0.0.1"),
                ("x-forwarded-proto", "https"),
                ("forwarded", "for=10.0.0.1;proto=https"),
            ];
            let _held = open(&server, via, "", &headers).await;
            let handshake = opened.next().await;
            assert_eq!(handshake.address(), Some(LOCALHOST));
            assert!(!handshake.is_secure());
        }
    }
}

/// The chain is walked from its end: the client's own words before it do not count.
#[on_both_servers]
async fn forwarded_addresses_are_used_up_to_the_first_untrusted_one() {
    let (server, mut opened) = listening(|builder| {
        let nets = ["127.0.0.0/8", "10.0.0.0/8", "fd00::/8"];
        builder.trusted_proxies(nets.map(|net| net.parse::<IpNet>().unwrap()))
    });
    for (forwarded, client) in [
        ("198.51.100.1", "198.51.100.1"),
        ("1.1.1.1, 198.51.100.1, 10.1.2.3", "198.51.100.1"),
        ("1.1.1.1, 2001:db8::1, fd00::7, 10.1.2.3", "2001:db8::1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("198.51.100.1, unknown", "127.0.0.1"),
    ] {
        for via in BOTH {
            let headers = [
                ("x-forwarded-for", forwarded),
                ("x-forwarded-proto", "https"),
            ];
            let _held = open(&server, via, "", &headers).await;
            let handshake = opened.next().await;
            assert_eq!(handshake.address(), client.parse().ok(), "{forwarded}");
            assert!(handshake.is_secure());
        }
    }
    let _held = open(
        &server,
        Via::Polling,
        "",
        &[("forwarded", "for=\"[2001:db8::9]\"")],
    )
    .await;
    assert_eq!(opened.next().await.address(), "2001:db8::9".parse().ok());
}

/// An upgrade changes the transport and not what the first request said; that of the WebSocket says
/// nothing about the client.
#[on_both_servers]
async fn handshake_survives_the_upgrade() {
    let (told, mut heard) = channel();
    let server = Server::engineio(move |builder| {
        builder.on_message(move |session: EngineSession, _| {
            let _ = told.send(session.handshake().clone());
            async {}
        })
    });
    let target = server.target("EIO=4&transport=polling&mine=1");
    let response = Request::get(server.address, &target)
        .header("x-token", "first")
        .send()
        .await;
    let session = Polling {
        site: *server,
        open: Open::read(response.text()),
    };
    session.post(&["4before"]).await;
    let mut socket = {
        let query = format!("EIO=4&transport=websocket&sid={}&mine=2", session.sid());
        WebSocket::connect(&server, &query, &[("x-token", "second")])
            .await
            .unwrap()
    };
    let poll = session.start_poll().await;
    socket.send_text("2probe").await;
    socket.expect_text("3probe").await;
    assert_eq!(poll.response().await.text(), "6");
    socket.send_text("5").await;
    socket.send_text("4after").await;
    for _ in ["before", "after"] {
        let handshake = heard.next().await;
        assert_eq!(handshake.header("x-token"), Some("first"));
        assert_eq!(handshake.query_value("mine").as_deref(), Some("1"));
        assert_eq!(
            handshake.query_value("transport").as_deref(),
            Some("polling")
        );
    }
}

/// Every handler may ask for it, or ask its socket; so may the program, from outside.
#[on_both_servers]
async fn every_handler_gets_the_handshake() {
    let (told, mut heard) = channel();
    let server = Server::socketio(
        |builder| builder,
        move |io: &SocketIo| {
            let telling = |what: &'static str| {
                let told = told.clone();
                move |handshake: Handshake, socket: Socket| {
                    assert_eq!(handshake.url(), socket.handshake().url());
                    let transport = handshake.query_value("transport").unwrap_or_default();
                    let _ = told.send((what, transport.into_owned()));
                    async {}
                }
            };
            io.of("/")
                .on_connect(telling("connect"))
                .on("event", telling("event"));
            io.of("/").on_disconnect(telling("disconnect"));
        },
    );
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        client.connect("/").await;
        client.send(r#"42["event"]"#).await;
        for what in ["connect", "event"] {
            assert_eq!(heard.next().await, (what, name(via).to_owned()));
        }
        let socket = server.io.of("/").sockets().remove(0);
        let transport = socket.handshake().query_value("transport").unwrap();
        assert_eq!(transport, name(via));
        client.close().await;
        assert_eq!(heard.next().await, ("disconnect", name(via).to_owned()));
    }
}

/// The CONNECT payload is each socket's own, and may be read at any time.
#[on_both_servers]
async fn auth_is_read_from_the_socket() {
    #[derive(Debug, serde::Deserialize)]
    struct Login {
        token: Option<String>,
    }
    let (told, mut heard) = channel();
    let server = Server::socketio(
        |builder| builder,
        move |io| {
            io.of("/").on("who", move |socket: Socket| {
                let login: Result<Login, Rejection> = socket.auth();
                let token = login
                    .map(|login| login.token)
                    .map_err(|error| error.to_string());
                let _ = told.send(token);
                async {}
            });
        },
    );
    for via in BOTH {
        for (auth, token) in [
            ("", Ok(None)),
            (r#"{"token":"a"}"#, Ok(Some("a".to_owned()))),
            (r#"{"token":1}"#, Err(())),
        ] {
            let mut client = Client::open(&server, via).await;
            client.connect_with("/", auth).await.unwrap();
            client.send(r#"42["who"]"#).await;
            let heard = heard.next().await;
            if let Err(error) = &heard {
                assert!(error.starts_with("invalid auth payload: "), "{error}");
            }
            assert_eq!(heard.map_err(drop), token);
        }
    }
}

/// Starts a raw server that tells of the handshake of every session.
fn listening(
    build: impl FnOnce(EngineIoBuilder) -> EngineIoBuilder + Send + 'static,
) -> (Server<EngineIo>, Heard<Handshake>) {
    let (told, heard) = channel();
    let server = Server::engineio(|builder| {
        build(builder).on_open(move |session: EngineSession| {
            let _ = told.send(session.handshake().clone());
            async {}
        })
    });
    (server, heard)
}

/// Opens a session; `query` is added to the protocol's own. Returns what keeps it open.
async fn open(
    site: &Site,
    via: Via,
    query: &str,
    headers: &[(&str, &str)],
) -> Result<WebSocket, Response> {
    let query = format!("EIO=4&transport={}{query}", name(via));
    if via == Via::WebSocket {
        return Ok(WebSocket::connect(site, &query, headers).await.unwrap());
    }
    let request = Request::get(site.address, &site.target(&query));
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(name, value)
    });
    let response = request.send().await;
    assert_eq!(response.status, 200, "{response:?}");
    Err(response)
}

fn name(via: Via) -> &'static str {
    match via {
        Via::Polling => "polling",
        Via::WebSocket => "websocket",
    }
}

const LOCALHOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// Engine.IO v4, Upgrade: the transport is polling before, and a WebSocket after.
#[on_both_servers]
async fn transport_of_a_socket_is_the_current_one() {
    let server = start();
    let transport = |socket: Socket| async move { socket.transport().as_str() };
    server.io.of("/").on("transport", transport);
    let session = Polling::open(&server).await;
    session.post(&["40", r#"421["transport"]"#]).await;
    let packets = packets(&session.start_poll().await.response().await);
    assert_eq!(packets[1], r#"431["polling"]"#);
    let query = format!("EIO=4&transport=websocket&sid={}", session.sid());
    let mut socket = WebSocket::connect(&server, &query, &[]).await.unwrap();
    let poll = session.start_poll().await;
    socket.send_text("2probe").await;
    socket.expect_text("3probe").await;
    assert_eq!(poll.response().await.text(), "6");
    socket.send_text("5").await;
    socket.send_text(r#"422["transport"]"#).await;
    socket.expect_text(r#"432["websocket"]"#).await;
}
