//! Engine.IO v4, Handshake: how a session begins, and what is refused.

use std::time::Duration;

use actix_socketio::Transport;

use crate::support::{Connection, Open, Polling, Request, Response, Server, Site, WebSocket, echo};

/// Engine.IO v4, Handshake: the OPEN packet's JSON.
#[on_both_servers]
async fn open_packet_has_five_keys_in_order() {
    let server = Server::engineio(|builder| builder);
    let response = get(&server, "EIO=4&transport=polling").await;
    let sid = Open::read(response.text()).sid;
    response.expect(200, &open_packet(&sid, r#"["websocket"]"#));

    let mut socket = WebSocket::connect(&server, "EIO=4&transport=websocket", &[])
        .await
        .unwrap();
    let open = socket.recv_text().await;
    assert_eq!(open, open_packet(&Open::read(&open).sid, "[]"));
}

/// Engine.IO v4, Handshake: the numbers are those that the client is to keep to.
#[on_both_servers]
async fn open_packet_has_the_configured_numbers() {
    let server = Server::engineio(|builder| {
        builder
            .ping_interval(Duration::from_millis(1500))
            .ping_timeout(Duration::from_secs(7))
            .max_payload(1234)
    });
    let response = get(&server, "EIO=4&transport=polling").await;
    let numbers = r#""pingInterval":1500,"pingTimeout":7000,"maxPayload":1234}"#;
    assert!(response.text().ends_with(numbers), "{}", response.text());
}

/// Reference server, ids: 20 characters of base64url.
#[on_both_servers]
async fn sids_are_twenty_characters_and_differ() {
    let server = Server::engineio(|builder| builder);
    let first = Polling::open(&server).await.open.sid;
    let second = Polling::open(&server).await.open.sid;
    assert_ne!(first, second);
    for sid in [first, second] {
        assert_eq!(sid.len(), 20);
        let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        assert!(sid.bytes().all(is_base64url), "{sid}");
    }
}

/// Engine.IO v4, Handshake, `upgrades`: a WebSocket is offered only where one may be opened.
#[on_both_servers]
async fn upgrades_are_offered_only_where_they_are_allowed() {
    let forbidden = Server::engineio(|builder| builder.allow_upgrades(false));
    let polling_only = Server::engineio(|builder| builder.transports([Transport::Polling]));
    for server in [forbidden, polling_only] {
        assert!(Polling::open(&server).await.open.upgrades.is_empty());
    }
}

/// Reference server, polling: headers of the response with the OPEN packet.
#[on_both_servers]
async fn open_packet_is_uncached_plain_text() {
    let server = Server::engineio(|builder| builder);
    let response = get(&server, "EIO=4&transport=polling").await;
    let length = response.body.len().to_string();
    for (name, value) in [
        ("content-type", "text/plain; charset=UTF-8"),
        ("cache-control", "no-store"),
        ("content-length", &length),
    ] {
        assert_eq!(response.header(name), Some(value), "{name}");
    }
}

/// RFC 6455, 4.2.2: the key's answer, for the key of its example.
#[on_both_servers]
async fn websocket_handshake_is_answered_with_its_accept_key() {
    let server = Server::engineio(|builder| builder);
    let query = "EIO=4&transport=websocket";
    let socket = WebSocket::connect(&server, query, &[]).await.unwrap();
    let accept = socket.handshake.header("sec-websocket-accept");
    assert_eq!(accept, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
}

/// RFC 6455, 4.2.1: what is no opening handshake is refused before anything is upgraded.
#[on_both_servers]
async fn request_that_is_no_websocket_handshake_is_a_bad_request() {
    let server = Server::engineio(|builder| builder);
    let target = server.target("EIO=4&transport=websocket");
    let plain = Request::get(server.address, &target);
    let keyless = plain
        .clone()
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13");
    let strange = plain
        .clone()
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("sec-websocket-version", "14");
    for request in [plain, keyless, strange] {
        request.send().await.expect_error(3, "Bad request");
    }
    assert_eq!(server.io.clients_count(), 0);
}

/// RFC 6455, 4.2.1: each thing that an opening handshake must have, one by one; with all of them it
/// opens.
#[on_both_servers]
async fn opening_handshake_has_all_that_it_must_have() {
    let server = Server::engineio(|builder| builder);
    let target = server.target("EIO=4&transport=websocket");
    let headers = [
        "Connection: keep-alive, Upgrade",
        "Upgrade: WebSocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    let [connection, upgrade, _, key] = headers;
    // The answer; what stands in the place of a header, or behind all of them.
    let table = [
        (101, "", ""),
        (101, connection, "Connection: upgrade"),
        (101, upgrade, "upgrade: websocket"),
        (101, "", "Content-Length: 0"),
        (400, "", "Content-Length: 2"),
        (400, "", "Transfer-Encoding: chunked"),
        (400, connection, ""),
        (400, upgrade, ""),
        (400, upgrade, "Upgrade: websocketx"),
        (400, upgrade, "Upgrade: WebSocket, x"),
        (400, upgrade, "Upgrade: h2c"),
        (400, key, ""),
        (400, key, "Sec-WebSocket-Key: AAAA"),
        (400, key, "Sec-WebSocket-Key: !!!!"),
        (400, key, "Sec-WebSocket-Key:"),
        (400, "", key),
        (400, key, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ"),
        (400, key, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWU="),
    ];
    let requests = table.into_iter().map(|(status, taken, put)| {
        let kept = headers.into_iter().filter(|header| *header != taken);
        let headers: Vec<&str> = kept.chain((!put.is_empty()).then_some(put)).collect();
        (status, "GET", "HTTP/1.1", headers)
    });
    let others = [
        (400, "GET", "HTTP/1.0", headers.to_vec()),
        (
            400,
            "POST",
            "HTTP/1.1",
            [&headers[..], &["Content-Length: 2"]].concat(),
        ),
    ];
    for (status, method, http, headers) in requests.chain(others) {
        let head = format!(
            "{method} {target} {http}\r\nHost: a\r\n{}\r\n\r\n",
            headers.join("\r\n")
        );
        let mut connection = Connection::open(server.address).await;
        connection.write(head.as_bytes()).await;
        let answer = connection.response().await;
        assert_eq!(answer.status, status, "{head}");
    }
}

/// RFC 6455, 4.4: the answer to another version says which one there is.
#[on_both_servers]
async fn other_version_of_websocket_is_answered_with_the_one_there_is() {
    let server = Server::engineio(|builder| builder);
    let target = server.target("EIO=4&transport=websocket");
    for version in [None, Some("12"), Some("99"), Some("13, 8"), Some("")] {
        let mut request = Request::get(server.address, &target)
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        if let Some(version) = version {
            request = request.header("sec-websocket-version", version);
        }
        let answer = request.send().await;
        answer.expect_error(3, "Bad request");
        let known = answer.header("sec-websocket-version");
        assert_eq!(known, Some("13"), "{version:?}");
    }
}

/// RFC 6455, 4.2.2: the first subprotocol that the client offers, as `ws` on Node.js answers; also
/// on the request of an upgrade.
#[on_both_servers]
async fn first_subprotocol_is_answered() {
    let server = Server::engineio(|builder| builder);
    let session = Polling::open(&server).await;
    let upgrade = format!("EIO=4&transport=websocket&sid={}", session.sid());
    for query in ["EIO=4&transport=websocket", &upgrade] {
        for (headers, expected) in [
            (&[][..], None),
            (&["v1.chat, other"][..], Some("v1.chat")),
            (&["\tv1.chat\t,other"], Some("v1.chat")),
            (&["one", "two, three"], Some("one")),
        ] {
            let headers: Vec<_> = headers.iter().map(|it| (SUBPROTOCOL, *it)).collect();
            let socket = WebSocket::connect(&server, query, &headers).await.unwrap();
            assert_eq!(
                socket.handshake.header(SUBPROTOCOL),
                expected,
                "{headers:?}"
            );
        }
    }
}

/// RFC 6455, 4.1: what is offered is a list of tokens, each of them once.
#[on_both_servers]
async fn malformed_subprotocols_are_a_bad_request() {
    let server = Server::engineio(|builder| builder);
    for value in [
        "", ",", "a,", "a,,b", "a b", "a, a", "a/b", "\"a\"", "a;b", "é",
    ] {
        let headers = [(SUBPROTOCOL, value)];
        let refused = WebSocket::connect(&server, "EIO=4&transport=websocket", &headers).await;
        refused.unwrap_err().expect_error(3, "Bad request");
    }
    assert_eq!(server.io.clients_count(), 0);
}

/// The program chooses one of those that are offered, or none.
#[on_both_servers]
async fn program_chooses_the_subprotocol() {
    let server = Server::engineio(|builder| {
        builder.subprotocol(|request, offered| {
            assert!(request.headers().contains_key(SUBPROTOCOL));
            match offered {
                [.., "panic"] => panic!("as the test wants it"),
                [.., "invent"] => Some("invented".to_owned()),
                [.., "none"] => None,
                [.., last] => Some((*last).to_owned()),
                [] => None,
            }
        })
    });
    let session = Polling::open(&server).await;
    let upgrade = format!("EIO=4&transport=websocket&sid={}", session.sid());
    for query in ["EIO=4&transport=websocket", &upgrade] {
        for (value, expected) in [("a, b", Some("b")), ("a, none", None), ("a, invent", None)] {
            let headers = [(SUBPROTOCOL, value)];
            let socket = WebSocket::connect(&server, query, &headers).await.unwrap();
            assert_eq!(socket.handshake.header(SUBPROTOCOL), expected, "{value}");
        }
        let headers = [(SUBPROTOCOL, "panic")];
        let refused = WebSocket::connect(&server, query, &headers).await;
        assert_eq!(refused.unwrap_err().status, 500);
        // Nobody is asked where nothing is offered.
        let socket = WebSocket::connect(&server, query, &[]).await.unwrap();
        assert_eq!(socket.handshake.header(SUBPROTOCOL), None);
    }
}

/// Engine.IO v4, Handshake, `transport`: mandatory, and one that is known. Code 0.
#[on_both_servers]
async fn unknown_or_missing_transport_is_code_0() {
    let server = Server::engineio(|builder| builder);
    for query in [
        "EIO=4",
        "EIO=4&transport=",
        "EIO=4&transport=abc",
        "EIO=4&transport=Polling",
        "EIO=4&transport=webtransport",
        "transport=constructor",
    ] {
        for response in either_way(&server, query).await {
            response.expect_error(0, "Transport unknown");
        }
    }
}

/// Reference server, option `transports`: a disabled transport is refused as an unknown one.
#[on_both_servers]
async fn transport_that_is_switched_off_is_code_0() {
    let only_polling = Server::engineio(|builder| builder.transports([Transport::Polling]));
    let refused = WebSocket::connect(&only_polling, "EIO=4&transport=websocket", &[]).await;
    refused.unwrap_err().expect_error(0, "Transport unknown");
    Polling::open(&only_polling).await;

    let only_websocket = Server::engineio(|builder| builder.transports([Transport::WebSocket]));
    let refused = get(&only_websocket, "EIO=4&transport=polling").await;
    refused.expect_error(0, "Transport unknown");
    WebSocket::open(&only_websocket).await;
}

/// Engine.IO v4, Handshake, `EIO`: mandatory, and `4`. Code 5; on a WebSocket it is a plain answer,
/// before the upgrade.
#[on_both_servers]
async fn missing_or_other_revision_is_code_5() {
    let server = Server::engineio(|builder| builder);
    for revision in ["", "EIO=&", "EIO=3&", "EIO=5&", "EIO=04&", "EIO=abc&"] {
        let query = format!("{revision}transport=polling");
        let response = get(&server, &query).await;
        response.expect_error(5, "Unsupported protocol version");

        let query = format!("{revision}transport=websocket");
        let refused = WebSocket::connect(&server, &query, &[]).await.unwrap_err();
        refused.expect_error(5, "Unsupported protocol version");
    }
}

/// Reference server, error codes: a revision other than the session's is code 3, and the session
/// stays open.
#[on_both_servers]
async fn other_revision_within_a_session_is_code_3() {
    let server = Server::engineio(echo);
    let session = Polling::open(&server).await;
    for revision in ["", "EIO=3&", "EIO=5&"] {
        let query = format!("{revision}transport=polling&sid={}", session.sid());
        get(&server, &query).await.expect_error(3, "Bad request");
        let query = format!("{revision}transport=websocket&sid={}", session.sid());
        let refused = WebSocket::connect(&server, &query, &[]).await.unwrap_err();
        refused.expect_error(3, "Bad request");
    }
    session.post(&["4still here"]).await;
    session.expect(&["4still here"]).await;
}

/// Engine.IO v4, Handshake, `sid`: what the server did not give out is code 1.
#[on_both_servers]
async fn unknown_sid_is_code_1() {
    let server = Server::engineio(|builder| builder);
    for sid in [
        "unknown",
        "AAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAA/+",
        "AAAAAAAAAAAAAAAAAA%00A",
        "%C3%A9%C3%A9%C3%A9%C3%A9%C3%A9%C3%A9%C3%A9%C3%A9%C3%A9%C3%A9",
    ] {
        let query = format!("EIO=4&transport=polling&sid={sid}");
        let unknown = "Session ID unknown";
        get(&server, &query).await.expect_error(1, unknown);
        let post = Request::post(server.address, &server.target(&query), "4a");
        post.send().await.expect_error(1, unknown);
        let query = format!("EIO=4&transport=websocket&sid={sid}");
        let refused = WebSocket::connect(&server, &query, &[]).await.unwrap_err();
        refused.expect_error(1, unknown);
    }
}

/// Reference server, ids: a sid has 20 characters; a sid with 19 or 21 is unknown.
#[on_both_servers]
async fn sid_with_a_character_less_or_more_is_unknown() {
    let server = Server::engineio(|builder| builder);
    let session = Polling::open(&server).await;
    let sid = session.sid();
    for other in [sid[..19].to_owned(), format!("{sid}A")] {
        let query = format!("EIO=4&transport=polling&sid={other}");
        let response = get(&server, &query).await;
        response.expect_error(1, "Session ID unknown");
    }
}

/// Engine.IO v4, Handshake: a GET opens a session, nothing else does. Code 2.
#[on_both_servers]
async fn handshake_by_another_method_is_code_2() {
    let server = Server::engineio(|builder| builder);
    let target = server.target("EIO=4&transport=polling");
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let request = Request::new(method, server.address, &target).body("");
        let response = request.send().await;
        response.expect_error(2, "Bad handshake method");
    }
    assert_eq!(server.io.clients_count(), 0);
}

/// Reference server, error codes: without CORS a preflight is a handshake with a wrong method.
#[on_both_servers]
async fn preflight_without_cors_is_code_2() {
    let server = Server::engineio(|builder| builder);
    let target = server.target("EIO=4&transport=polling");
    let response = Request::new("OPTIONS", server.address, &target)
        .header("origin", "https://app.example")
        .header("access-control-request-method", "GET")
        .send()
        .await;
    response.expect_error(2, "Bad handshake method");
    assert_eq!(response.header("access-control-allow-origin"), None);
}

/// A session takes GET and POST; other methods are refused and cost it nothing.
#[on_both_servers]
async fn other_method_within_a_session_is_refused() {
    let server = Server::engineio(echo);
    let session = Polling::open(&server).await;
    for method in ["PUT", "DELETE", "OPTIONS"] {
        let response = session.request(method).body("").send().await;
        response.expect_error(2, "Bad handshake method");
    }
    session.post(&["4still here"]).await;
    session.expect(&["4still here"]).await;
}

/// Reference server, error codes: a `transport` that is not the request's own is code 3.
#[on_both_servers]
async fn transport_that_is_not_the_requests_own_is_code_3() {
    let server = Server::engineio(|builder| builder);
    let session = Polling::open(&server).await;
    let query = format!("EIO=4&transport=websocket&sid={}", session.sid());
    get(&server, &query).await.expect_error(3, "Bad request");

    let query = "EIO=4&transport=polling";
    let refused = WebSocket::connect(&server, query, &[]).await.unwrap_err();
    refused.expect_error(3, "Bad request");
}

/// A query with anything else in it, as clients' cache busters are, is a handshake all the same.
#[on_both_servers]
async fn other_parameters_are_passed_over() {
    let server = Server::engineio(|builder| builder);
    for query in [
        "EIO=4&transport=polling&t=abc123",
        "token=a%20b&EIO=4&flag&transport=polling",
        "&&EIO=4&transport=polling&x=1&x=2",
    ] {
        assert_eq!(get(&server, query).await.status, 200, "{query}");
    }
}

/// Reference server, option `path`: a prefix of the request's path, with or without its slash.
#[on_both_servers]
async fn every_path_below_the_prefix_is_served() {
    let server = Server::socketio(|builder| builder, |_| {});
    for (path, status) in [
        ("/socket.io/", 200),
        ("/socket.io/foo", 200),
        ("/socket.io/foo/bar/", 200),
        ("/socket.io", 200),
        ("/socket.iofoo/", 404),
        ("/engine.io/", 404),
        ("/", 404),
    ] {
        let target = format!("{path}?EIO=4&transport=polling");
        let response = Request::get(server.address, &target).send().await;
        assert_eq!(response.status, status, "{path}");
    }
}

/// Reference server, option `path`: slashes at its ends are optional.
#[on_both_servers]
async fn path_is_configured_by_the_builder() {
    for path in ["/live/chat/", "live/chat", "/live/chat"] {
        let server = Server::engineio(move |builder| builder.path(path));
        for (path, status) in [
            ("/live/chat/", 200),
            ("/live/chat", 200),
            ("/live/chatx", 404),
            ("/engine.io/", 404),
        ] {
            let target = format!("{path}?EIO=4&transport=polling");
            let response = Request::get(server.address, &target).send().await;
            assert_eq!(response.status, status, "{path}");
        }
    }
}

/// A GET of this query, as a client on HTTP sends it.
async fn get(site: &Site, query: &str) -> Response {
    Request::get(site.address, &site.target(query)).send().await
}

/// The answers to this query as an HTTP request and as a WebSocket's handshake, which is refused.
async fn either_way(site: &Site, query: &str) -> [Response; 2] {
    let refused = WebSocket::connect(site, query, &[]).await.unwrap_err();
    [get(site, query).await, refused]
}

fn open_packet(sid: &str, upgrades: &str) -> String {
    let numbers = r#""pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000"#;
    format!(r#"0{{"sid":"{sid}","upgrades":{upgrades},{numbers}}}"#)
}

const SUBPROTOCOL: &str = "sec-websocket-protocol";
