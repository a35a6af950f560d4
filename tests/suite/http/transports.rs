//! Rules of HTTP that hold on every transport: polling, JSONP, WebSockets and server-sent events,
//! in both revisions of Engine.IO.

use std::future::ready;
use std::time::Duration;

use actix_socketio::{
    Builder, CloseReason, Cors, DisconnectReason, EngineIo, ServerSentEvents, SocketIo,
};
use actix_web::App;
use actix_web::error::ErrorForbidden;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::NormalizePath;

use crate::support::ways::{POLLING_WAYS, WAYS, Way};
use crate::support::{
    Frame, Heard, PATIENCE, Request, Response, Server, channel, opcode, recording,
};

/// `Builder::initial_headers` is for the first response of a session, `response_headers` for all.
#[on_both_servers]
async fn header_hooks_change_the_responses_of_every_transport() {
    let server = start(|builder| {
        builder
            .initial_headers(|request, headers| set(headers, "x-first", request.path()))
            .response_headers(|request, headers| set(headers, "x-all", request.method().as_str()))
    });
    for way in WAYS {
        let opened = way.open(&server, &[]).await;
        assert_eq!(opened.response.status, way.opened_status(), "{way:?}");
        assert!(has(&opened.response, true, "GET"), "{opened:?}");
        if !POLLING_WAYS.contains(&way) {
            continue;
        }
        // A client of v3 has joined `/` already.
        let packet = if way.revision() == 3 {
            r#"42["x"]"#
        } else {
            "40"
        };
        let post = opened.request("POST").body(opened.body(packet));
        let post = post.send().await;
        post.expect(200, "ok");
        assert!(has(&post, false, "POST"), "{way:?}: {post:?}");
        let poll = opened.request("GET").send().await;
        assert_eq!(poll.status, 200);
        assert!(has(&poll, false, "GET"), "{way:?}: {poll:?}");
        let upgrade = opened.websocket(&[]).await.handshake;
        assert!(has(&upgrade, false, "GET"), "{way:?}: {upgrade:?}");
    }
    for target in [
        "/socket.io/events?namespace=x",
        "/socket.io/?EIO=4&transport=other",
        "/socket.io/?EIO=3&transport=polling&sid=unknown",
        "/socket.io/?EIO=4&transport=polling&j=x",
    ] {
        let refused = Request::get(server.address, target).send().await;
        assert_eq!(refused.status, 400);
        assert!(has(&refused, false, "GET"), "{target}: {refused:?}");
    }
}

/// A panic of a hook for headers drops its own headers only.
#[on_both_servers]
async fn panic_of_a_header_hook_refuses_nobody() {
    let server = start(|builder| {
        builder
            .initial_headers(|_, _| panic!("no headers today"))
            .initial_headers(|_, headers| set(headers, "x-first", "1"))
            .response_headers(|_, _| panic!("none at all"))
            .response_headers(|_, headers| set(headers, "x-all", "GET"))
    });
    for way in WAYS {
        let opened = way.open(&server, &[]).await;
        assert_eq!(opened.response.status, way.opened_status(), "{way:?}");
        assert!(has(&opened.response, true, "GET"), "{opened:?}");
    }
}

/// `Builder::allow_request`: the response of the program, whatever the transport, and no session.
#[on_both_servers]
async fn the_program_refuses_a_client_of_any_transport() {
    let server = start(|builder| builder.allow_request(|_| ready(Err(ErrorForbidden("closed")))));
    for way in WAYS {
        let refused = way.open(&server, &[]).await.response;
        refused.expect(403, "closed");
        assert_eq!(server.io.clients_count(), 0, "{way:?}");
    }
}

/// `Cors::origins`: other origins are refused, listed ones and the own one are served; and the
/// headers of CORS are on each response.
#[on_both_servers]
async fn other_origins_are_refused_on_every_transport() {
    let server = start(|builder| builder.cors(Cors::origins(["https://app.example"])));
    let own = format!("http://{}", server.address);
    for way in WAYS {
        for (origin, is_allowed) in [
            ("https://app.example", true),
            (&own, true),
            ("https://evil.example", false),
            ("null", false),
        ] {
            let response = way.open(&server, &[("origin", origin)]).await.response;
            let status = if is_allowed { way.opened_status() } else { 403 };
            assert_eq!(response.status, status, "{way:?} {origin}");
            let allowed = response.header("access-control-allow-origin");
            let listed = (origin == "https://app.example").then_some(origin);
            assert_eq!(allowed, listed, "{way:?}");
        }
        assert_eq!(
            way.open(&server, &[]).await.response.status,
            way.opened_status()
        );
    }
}

/// `Builder::path`: with and without its last slash, also behind middleware that takes it away, and
/// a path of the program's own.
#[on_both_servers]
async fn the_last_slash_may_be_left_out_on_every_transport() {
    for path in ["/socket.io/", "/a/b"] {
        let build = move |builder: Builder| serving(builder).path(path);
        let plain = Server::socketio(build, |_| ());
        let app = || App::new().wrap(NormalizePath::trim());
        let trimmed = Server::socketio_in(app, 2, build, |_| ());
        for server in [plain, trimmed] {
            let paths = match path {
                "/a/b" => ["/a/b", "/a/b/"],
                _ => ["/socket.io", "/socket.io/"],
            };
            for way in WAYS {
                for path in paths {
                    let response = way.open(&server.at(path), &[]).await.response;
                    assert_eq!(response.status, way.opened_status(), "{way:?} {path}");
                }
                let longer = way.open(&server.at("/socket.iox"), &[]).await.response;
                assert_eq!(longer.status, 404, "{way:?}");
            }
        }
    }
}

/// Reference server: empty and repeated parameters begin a session, as their first value does.
#[on_both_servers]
async fn empty_and_repeated_parameters_have_no_effect() {
    let server = start(|builder| builder);
    for way in WAYS {
        let again = way.query();
        for more in [
            "&sid=",
            "&sid=&sid=&b64=",
            &format!("&{again}&t=1&t=2&room=&auth="),
        ] {
            let request = way.request(&server, more, &[]);
            let opened = way.open_with(&server, request).await.response;
            assert_eq!(opened.status, way.opened_status(), "{way:?} {more}");
        }
    }
}

/// RFC 9110, 7.8: an upgrade that is not asked for, or to something else, is ignored.
#[on_both_servers]
async fn a_request_that_names_another_protocol_is_served() {
    let server = start(|builder| builder);
    for way in WAYS.into_iter().filter(|way| !way.is_websocket()) {
        for headers in [
            &[("upgrade", "h2c")][..],
            &[
                ("connection", "Upgrade, HTTP2-Settings"),
                ("upgrade", "h2c"),
            ],
            &[("upgrade", "websocket")],
            &[("connection", "keep-alive"), ("upgrade", "websocket")],
        ] {
            let opened = way.open(&server, headers).await.response;
            assert_eq!(opened.status, 200, "{way:?} {headers:?}");
        }
    }
    for way in POLLING_WAYS {
        let headers = [("connection", "Upgrade"), ("upgrade", "websocket")];
        let refused = way.open(&server, &headers).await.response;
        refused.expect_error(3, "Bad request");
    }
}

/// Reference server: responses have `Cache-Control: no-store`, those of refusals too.
#[on_both_servers]
async fn no_response_is_cached() {
    let server = start(|builder| builder.max_payload(100));
    for way in WAYS {
        let opened = way.open(&server, &[]).await;
        let mut responses = Vec::new();
        if way.is_websocket() {
            let unknown = way.request(&server, "&sid=unknown", &[]);
            responses.push(unknown.send().await);
        } else {
            responses.push(opened.response.clone());
        }
        if POLLING_WAYS.contains(&way) {
            let large = opened.body(&"4".repeat(101));
            responses.push(opened.request("POST").body(large).send().await);
            responses.push(opened.request("PUT").send().await);
            responses.push(opened.request("POST").body([0xFF]).send().await);
        }
        for response in responses {
            let value = response.header("cache-control");
            assert_eq!(value, Some("no-store"), "{way:?}: {response:?}");
        }
    }
}

/// The refusals of first requests have the same codes and bodies on every transport.
#[on_both_servers]
async fn first_requests_that_are_out_of_order_have_their_codes() {
    let server = start(|builder| builder);
    for way in WAYS {
        if way != Way::Events {
            let unknown = way.request(&server, "&sid=AAAAAAAAAAAAAAAAAAAA", &[]);
            let unknown = unknown.send().await;
            unknown.expect_error(1, "Session ID unknown");
        }
        if way.is_websocket() {
            continue;
        }
        for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
            let target = match way {
                Way::Events => "/socket.io/events".to_owned(),
                _ => server.target(&way.query()),
            };
            let request = Request::new(method, server.address, &target);
            request.send().await.expect_error(2, "Bad handshake method");
        }
    }
    assert_eq!(server.io.clients_count(), 0);
}

/// `Builder::handshake_limit`: one byte more is refused, whatever the transport.
#[on_both_servers]
async fn the_head_of_a_first_request_has_a_limit_on_every_transport() {
    const LIMIT: usize = 500;
    let server = start(|builder| builder.handshake_limit(LIMIT));
    for way in WAYS {
        for (size, status) in [(LIMIT, way.opened_status()), (LIMIT + 1, 431)] {
            let request = way.request(&server, "", &[]);
            let bytes = String::from_utf8(request.bytes()).unwrap();
            let (line, headers) = bytes.split_once("\r\n").unwrap();
            let target = line.split(' ').nth(1).unwrap();
            // The empty line behind the headers has no part in it, the new one has six more.
            let used = target.len() + headers.len() - 2 + "x: \r\n".len();
            let request = request.header("x", &"y".repeat(size - used));
            let response = way.open_with(&server, request).await.response;
            assert_eq!(response.status, status, "{way:?}");
        }
    }
}

/// `SocketIo::close`: a server that stops refuses new clients of every transport.
#[on_both_servers]
async fn a_closed_server_refuses_clients_of_every_transport() {
    let server = start(|builder| builder);
    assert!(server.io.close(PATIENCE).await);
    for way in WAYS {
        let refused = way.open(&server, &[]).await.response;
        refused.expect(503, r#"{"message":"server shutting down"}"#);
        assert_eq!(refused.header("cache-control"), Some("no-store"));
    }
}

/// `Builder::subprotocol`: the first one that a client offers, also of clients of Engine.IO v3, and
/// of the upgrades of every polling transport.
#[on_both_servers]
async fn a_subprotocol_is_selected_in_both_revisions() {
    let server = start(|builder| builder);
    let chosen = start(|builder| {
        builder.subprotocol(|_, offered| offered.last().map(|&last| last.to_owned()))
    });
    let offer = [("sec-websocket-protocol", "v1.chat, other")];
    for (server, expected) in [(server, "v1.chat"), (chosen, "other")] {
        for way in WAYS {
            let handshake = if way.is_websocket() {
                way.open(&server, &offer).await.response
            } else if POLLING_WAYS.contains(&way) {
                let opened = way.open(&server, &[]).await;
                opened.websocket(&offer).await.handshake
            } else {
                continue;
            };
            let selected = handshake.header("sec-websocket-protocol");
            assert_eq!(selected, Some(expected), "{way:?}");
        }
    }
}

/// One poll at a time: a second one closes the session.
#[on_both_servers]
async fn a_second_poll_closes_the_session_of_every_polling_transport() {
    for way in POLLING_WAYS {
        let (server, mut closed) = raw();
        let opened = way.open(&server, &[]).await;
        let first = opened.request("GET").start_heard().await;
        opened.request("GET").send().await.expect(400, "");
        let last = first.response().await;
        assert_eq!(opened.payload(&last), opened.framed("1"), "{way:?}");
        assert_eq!(closed.next().await, CloseReason::TransportError);
        opened.expect_gone().await;
    }
}

/// One POST at a time.
#[on_both_servers]
async fn a_second_post_closes_the_session_of_every_polling_transport() {
    for way in POLLING_WAYS {
        let (server, mut closed) = raw();
        let opened = way.open(&server, &[]).await;
        let poll = opened.request("GET").start_heard().await;
        let first = opened.request("POST").header("content-length", "4");
        let first = first.start_heard().await;
        let second = opened.request("POST").body(opened.body("4a"));
        second.send().await.expect(400, "");
        let last = poll.response().await;
        assert_eq!(opened.payload(&last), opened.framed("1"), "{way:?}");
        assert_eq!(closed.next().await, CloseReason::TransportError);
        drop(first);
        opened.expect_gone().await;
    }
}

/// Reference server: a poll or a POST that the client gives up closes the session.
#[on_both_servers]
async fn a_request_that_is_given_up_closes_the_session_of_every_polling_transport() {
    for way in POLLING_WAYS {
        let (server, mut closed) = raw();
        let opened = way.open(&server, &[]).await;
        opened.request("GET").start_heard().await.abort();
        assert_eq!(closed.next().await, CloseReason::TransportError, "{way:?}");
        opened.expect_gone().await;

        let opened = way.open(&server, &[]).await;
        let post = opened.request("POST").header("content-length", "100");
        let mut post = post.start_heard().await;
        post.write(b"4half").await;
        post.abort();
        assert_eq!(closed.next().await, CloseReason::TransportError, "{way:?}");
        opened.expect_gone().await;
    }
}

/// Reference server: a stream of events that the client closes ends its session, too.
#[on_both_servers]
async fn a_stream_that_is_given_up_closes_the_session() {
    let (told, mut heard) = channel();
    let server = Server::socketio(serving, move |io| {
        io.of("/").on_disconnect(move |reason: DisconnectReason| {
            let _ = told.send(reason.as_str());
            async {}
        });
    });
    drop(Way::Events.open(&server, &[]).await);
    assert_eq!(heard.next().await, "transport close");
}

/// The Node.js server takes `5` without a probe, and answers each probe, whatever the polling
/// transport is, and in both revisions; the poll that waits is answered.
#[on_both_servers]
async fn an_upgrade_needs_no_probe_in_either_revision() {
    for packets in [&["5", "4hello"][..], &["2probe", "2probe", "5", "4hello"]] {
        for way in POLLING_WAYS {
            let (server, _) = raw();
            let opened = way.open(&server, &[]).await;
            let poll = opened.request("GET").start_heard().await;
            let mut socket = opened.websocket(&[]).await;
            let frames = packets.iter().map(|text| Frame::new(opcode::TEXT, text));
            let frames: Vec<u8> = frames.flat_map(|frame| frame.bytes()).collect();
            socket.send_bytes(&frames).await;
            for _ in 2..packets.len() {
                socket.expect_text("3probe").await;
            }
            socket.expect_text("4hello").await;
            let released = poll.response().await;
            assert_eq!(opened.payload(&released), opened.framed("6"), "{way:?}");
            let late = opened.request("GET").send().await;
            late.expect_error(3, "Bad request");
            assert_eq!(server.io.clients_count(), 1);
        }
    }
}

/// A packet that is out of order closes the session, in the form of each transport.
#[on_both_servers]
async fn an_invalid_packet_closes_the_session_of_every_polling_transport() {
    for way in POLLING_WAYS {
        // The ping of the other side, an unknown type, and what is no payload.
        let ping = if way.revision() == 3 { "3" } else { "2" };
        for (wrong, cause) in [
            (ping, CloseReason::TransportError),
            ("7", CloseReason::ParseError),
            ("x", CloseReason::ParseError),
        ] {
            let (server, mut closed) = raw();
            let opened = way.open(&server, &[]).await;
            let post = opened.request("POST").body(opened.body(wrong));
            assert_eq!(post.send().await.status, 400, "{way:?} {wrong}");
            let reason = closed.next().await;
            assert_eq!(reason, cause, "{way:?} {wrong}");
            opened.expect_gone().await;
        }
    }
}

/// A body of the wrong kind closes the session: bytes belong to polling of v3.
#[on_both_servers]
async fn a_binary_body_closes_the_session_of_other_transports() {
    for way in POLLING_WAYS {
        let (server, mut closed) = raw();
        let opened = way.open(&server, &[]).await;
        let kind = "application/octet-stream";
        let post = opened.request("POST").header("content-type", kind);
        // A packet of text of v3: its kind, its length, 255, type 4 and `a`.
        let response = post.body([0, 2, 255, b'4', b'a']).send().await;
        if way == Way::OldPolling {
            response.expect(200, "ok");
            let echoed = opened.request("GET").send().await;
            assert_eq!(opened.payload(&echoed), "2:4a");
            continue;
        }
        response.expect(400, "");
        assert_eq!(closed.next().await, CloseReason::TransportError);
        opened.expect_gone().await;
    }
}

/// Starts a server of Socket.IO on which every transport is open.
fn start(build: impl FnOnce(Builder) -> Builder + Send + 'static) -> Server<SocketIo> {
    Server::socketio(|builder| build(serving(builder)), |_| ())
}

fn serving(builder: Builder) -> Builder {
    builder
        .allow_eio3(true)
        // A stream that is given up is found by the next comment at the latest.
        .ping_interval(Duration::from_secs(2))
        .server_sent_events(ServerSentEvents::new())
}

/// Starts a raw server that sends every message back, and tells why its sessions ended.
fn raw() -> (Server<EngineIo>, Heard<CloseReason>) {
    recording(|builder| builder.allow_eio3(true))
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    let value = HeaderValue::from_str(value).unwrap();
    headers.insert(HeaderName::from_static(name), value);
}

/// Tells whether a response has the headers of the hooks.
fn has(response: &Response, is_first: bool, method: &str) -> bool {
    response.header("x-first").is_some() == is_first && response.header("x-all") == Some(method)
}
