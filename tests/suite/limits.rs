//! docs/semantics.md, Limits: the server's memory for a client is bounded. Each limit is tested at
//! its last value and one above.

use std::sync::Arc;

use actix_socketio::{
    Auth, Bytes, ConnectError, Data, EngineIoBuilder, EngineMessage, EngineSession, Event,
    HandlerError, Handshake, JoinRooms, Params, RoomError, Socket,
};
use actix_web::HttpMessage;
use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::support::held::{Workshop, workshop};
#[cfg(feature = "redis")]
use crate::support::redis::{Format, Redis};
use crate::support::socketio::{BOTH, Client, Peer, Via};
use crate::support::{Frame, Request, Server, WebSocket, channel, opcode};

/// Returns a name with a slash in front that has this many bytes, most of them in letters of two.
fn name_of(bytes: usize) -> String {
    let letters = "ö".repeat((bytes - 1) / 2);
    let name = format!("/{letters}{}", "x".repeat((bytes - 1) % 2));
    assert_eq!(name.len(), bytes);
    name
}

/// `namespace_name_limit`: 1,024 bytes by default, whether a pattern or a predicate takes the name.
#[on_both_servers]
async fn a_pattern_makes_namespaces_whose_names_are_short_enough() {
    for (limit, predicate) in [(1024, false), (1024, true), (20, false)] {
        let build = move |io: actix_socketio::Builder| match limit {
            1024 => io,
            _ => io.namespace_name_limit(limit),
        };
        let server = Server::socketio(build, |_| ());
        if predicate {
            server.io.of_predicate(|_, _| true);
        } else {
            server.io.of_pattern("/{all}").unwrap();
        }
        let named = name_of(limit + 50);
        server.io.of(&named);
        for via in BOTH {
            let mut client = Client::open(&server, via).await;
            client.connect(&name_of(limit)).await;
            let refused = client.connect_with(&name_of(limit + 1), "").await;
            let told = format!("the namespace's name has more than {limit} bytes");
            assert_eq!(refused.unwrap_err(), format!(r#"{{"message":"{told}"}}"#));
            // The program's own names are its own business.
            client.connect(&named).await;
            client.expect_nothing_more(&named).await;
        }
    }
}

/// A name that nobody takes is refused whatever its length, and no predicate sees a long one.
#[on_both_servers]
async fn a_predicate_is_not_asked_about_a_long_name() {
    let server = Server::socketio(|io| io.namespace_name_limit(10), |_| ());
    let (asked, mut asks) = channel();
    server.io.of_predicate(move |name, _| {
        let _ = asked.send(name.to_owned());
        false
    });
    let mut client = Client::open(&server, Via::WebSocket).await;
    let long = format!("/{}", "x".repeat(900_000));
    let refused = client.connect_with(&long, "").await.unwrap_err();
    assert_eq!(
        refused,
        r#"{"message":"the namespace's name has more than 10 bytes"}"#
    );
    let refused = client.connect_with("/nine-----", "").await.unwrap_err();
    assert_eq!(refused, r#"{"message":"Invalid namespace"}"#);
    assert_eq!(asks.so_far(), ["/nine-----"]);
}

/// `kept_namespaces`: those that stay are counted, and can still be joined at the limit; those that
/// go with their last client, and those that the program names, are not counted.
#[on_both_servers]
async fn lasting_namespaces_of_patterns_are_bounded() {
    let server = Server::socketio(|io| io.kept_namespaces(2), |_| ());
    let freed = server.io.of_pattern("/free-{n}").unwrap();
    freed.remove_when_empty();
    server.io.of_pattern("/kept-{n}").unwrap();
    server.io.of_predicate(|name, _| name.starts_with("/own"));
    server.io.of("/kept-program");
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        for name in ["/free-1", "/kept-1", "/own-1", "/kept-program"] {
            client.connect(name).await;
        }
        for name in ["/kept-2", "/own-2"] {
            let refused = client.connect_with(name, "").await.unwrap_err();
            assert_eq!(refused, r#"{"message":"too many namespaces"}"#);
        }
        for name in ["/free-2", "/free-3"] {
            client.connect(name).await;
        }
        client.close().await;
    }
    server.io.of("/kept-2");
    let mut client = Client::open(&server, Via::WebSocket).await;
    client.connect("/kept-2").await;
}

/// `auth_limit`: 64 KiB by default.
#[on_both_servers]
async fn a_connect_payload_has_a_limit() {
    for (server, limit) in [
        (Server::socketio(|io| io, |_| ()), 65_536),
        (Server::socketio(|io| io.auth_limit(20), |_| ()), 20),
    ] {
        for via in BOTH {
            let payload = |bytes: usize| format!(r#"{{"token":"{}"}}"#, "x".repeat(bytes - 12));
            assert_eq!(payload(limit).len(), limit);
            let mut client = Client::open(&server, via).await;
            let refused = client.connect_with("/", &payload(limit + 1)).await;
            let told = format!("the auth payload has more than {limit} bytes");
            assert_eq!(refused.unwrap_err(), format!(r#"{{"message":"{told}"}}"#));
            client.connect_with("/", &payload(limit)).await.unwrap();
        }
    }
}

/// Makes a request's head as long as `bytes` says, as `handshake_limit` counts.
fn padded(request: Request, bytes: usize) -> Request {
    let frame = "GET  HTTP/1.1\r\n\r\n".len();
    let has = request.bytes().len() - frame;
    let pad = bytes - has - "x-pad: \r\n".len();
    let request = request.header("x-pad", &"x".repeat(pad));
    assert_eq!(request.bytes().len() - frame, bytes);
    request
}

/// `handshake_limit`: 16 KiB by default, of the path, the query and the headers of the first
/// request together. Further requests of a session are not bound by it.
#[on_both_servers]
async fn the_first_request_has_a_limit() {
    for (server, limit) in [
        (Server::socketio(|io| io, |_| ()), 16_384),
        (Server::socketio(|io| io.handshake_limit(500), |_| ()), 500),
    ] {
        for query in ["", "&q=0123456789"] {
            let query = format!("EIO=4&transport=polling{query}");
            let request = || Request::get(server.address, &server.target(&query));
            let fits = padded(request(), limit).send().await;
            assert_eq!(fits.status, 200, "{fits:?}");
            let refused = padded(request(), limit + 1).send().await;
            refused.expect(431, "");
            let open: serde_json::Value = serde_json::from_str(&fits.text()[1..]).unwrap();
            let target = format!(
                "{}&sid={}",
                server.target(&query),
                open["sid"].as_str().unwrap()
            );
            let post = Request::post(server.address, &target, "40");
            padded(post, limit + 1000).send().await.expect(200, "ok");
        }
        for (bytes, status) in [(limit, 101), (limit + 1, 431)] {
            let request = WebSocket::request(&server, "EIO=4&transport=websocket", &[]);
            let response = padded(request, bytes).send().await;
            assert_eq!(response.status, status, "{bytes}");
        }
    }
}

/// A request that is too large is refused before the program is asked about it.
#[on_both_servers]
async fn no_hook_is_asked_about_a_request_that_is_too_large() {
    let (asked, mut asks) = channel();
    let build = move |io: actix_socketio::Builder| {
        io.handshake_limit(1000).allow_request(move |request| {
            let seen = request.extensions().contains::<actix_socketio::Handshake>();
            let _ = asked.send(seen);
            std::future::ready(Ok::<(), actix_web::Error>(()))
        })
    };
    let server = Server::socketio(build, |_| ());
    let target = server.target("EIO=4&transport=polling");
    let request = || Request::get(server.address, &target);
    padded(request(), 1001).send().await.expect(431, "");
    assert_eq!(padded(request(), 1000).send().await.status, 200);
    assert_eq!(asks.so_far(), [true]);
}

/// `rooms_per_socket` and `room_name_limit`: an error of the join, which leaves the socket where it
/// was; a room that it is in may be joined again, and one that it leaves makes room.
#[on_both_servers]
async fn a_socket_joins_as_many_rooms_as_the_limits_allow() {
    let server = Server::socketio(|io| io.rooms_per_socket(3).room_name_limit(10), |_| ());
    let Peer { socket, client } = Peer::enter(&server, Via::WebSocket, &[]).await;
    let long = "x".repeat(11);
    let error = socket.join(&long).await.unwrap_err();
    assert_eq!(error, RoomError::NameTooLong(10));
    assert_eq!(error.to_string(), "the room's name has more than 10 bytes");
    socket.join("x".repeat(10)).await.unwrap();
    let error = socket.join(["b", "c", "d", "e"]).await.unwrap_err();
    assert_eq!(error, RoomError::TooManyRooms(3));
    assert_eq!(
        error.to_string(),
        "the socket is in too many rooms, the limit is 3"
    );
    assert_eq!(socket.rooms(), ["xxxxxxxxxx", "b", "c"]);
    socket.join("b").await.unwrap();
    assert_eq!(server.io.in_room("d").count(), 0);
    socket.leave("b").await.unwrap();
    socket.join("d").await.unwrap();
    assert_eq!(server.io.in_room("d").count(), 1);
    drop(client);
}

/// The default limits.
#[on_both_servers]
async fn a_socket_may_be_in_a_thousand_rooms() {
    let server = Server::socketio(|io| io, |_| ());
    let Peer { socket, client } = Peer::enter(&server, Via::WebSocket, &[]).await;
    let error = socket.join("x".repeat(1025)).await.unwrap_err();
    assert_eq!(error, RoomError::NameTooLong(1024));
    socket.join("x".repeat(1024)).await.unwrap();
    for n in 1..1000 {
        socket.join(n.to_string()).await.unwrap();
    }
    let error = socket.join("one more").await.unwrap_err();
    assert_eq!(error, RoomError::TooManyRooms(1000));
    drop(client);
}

/// The limits hold whoever lets a socket join: its connect handler, `sockets_join`, a message, or a
/// handle on any socket. Those that do not join are not counted.
#[on_both_servers]
async fn the_limits_of_rooms_hold_whoever_lets_a_socket_join() {
    let server = Server::socketio(|io| io.rooms_per_socket(1).room_name_limit(10), |_| ());
    let io = &server.io;
    io.of("/in").on_connect(|socket: Socket| async move {
        socket.join(["a", "b"]).await?;
        Ok::<(), ConnectError>(())
    });
    let mut client = Client::open(&server, Via::WebSocket).await;
    let refused = client.connect_with("/in", "").await.unwrap_err();
    assert_eq!(
        refused,
        r#"{"message":"the socket is in too many rooms, the limit is 1"}"#
    );

    let full = Peer::enter(&server, Via::WebSocket, &["a"]).await;
    let free = Peer::enter(&server, Via::Polling, &[]).await;
    let long = "x".repeat(11);
    assert_eq!(io.sockets_join(&long).await.unwrap(), 0);
    assert_eq!(io.sockets_join("b").await.unwrap(), 1);
    let join = |room: &str| JoinRooms::named(room);
    assert_eq!(io.server().send(join("b")).await.unwrap().unwrap(), 1);
    assert_eq!(io.server().send(join("c")).await.unwrap().unwrap(), 0);
    for socket in io.fetch_sockets().await {
        socket.join(["c", &long]).await.unwrap();
    }
    assert_eq!(full.socket.rooms(), ["a"]);
    assert_eq!(free.socket.rooms(), ["b"]);
    assert_eq!(io.in_room(["c", long.as_str()]).count(), 0);
}

/// They hold too if another node lets the socket join.
#[cfg(feature = "redis")]
#[on_both_servers]
async fn the_limits_of_rooms_hold_for_joins_of_other_nodes() {
    let redis = Redis::start();
    let build = |io: actix_socketio::Builder| io.rooms_per_socket(2).room_name_limit(10);
    let here = Format::Streams.node(&redis, build).await;
    let there = Format::Streams.node(&redis, build).await;
    let mut peer = Peer::enter(&there, Via::WebSocket, &["a"]).await;
    let long = "x".repeat(11);
    here.io.sockets_join(&long).await.unwrap();
    here.io.sockets_join(["b", "c"]).await.unwrap();
    here.io.emit("fence", ()).await.unwrap();
    peer.expect(r#"42["fence"]"#).await;
    assert_eq!(peer.socket.rooms(), ["a", "b"]);
}

/// `handlers_bytes`: as long as the handlers in flight hold less, events are read, of which the
/// last may pass the limit; then nothing is read until one has ended. The event's name counts too.
#[on_both_servers]
async fn reading_stops_once_the_handlers_hold_their_limit() {
    for name in ["n", "f"] {
        let Workshop {
            server,
            mut begins,
            ends,
        } = workshop(|io| io.handlers_bytes(100));
        for via in BOTH {
            let mut client = Client::connected(&server, via).await;
            let mut other = Client::connected(&server, via).await;
            // 99 bytes and the name's one; and one byte less.
            for (bytes, more) in [(99, false), (98, true)] {
                let data = "x".repeat(bytes - 2);
                let large = format!(r#"42["{name}","{data}"]"#);
                client
                    .send_all(&[&large, &format!(r#"42["{name}",1]"#)])
                    .await;
                assert_eq!(begins.next().await.len(), bytes, "{name} {via:?}");
                other.expect_nothing_more("/").await;
                if !more {
                    assert_eq!(begins.so_far(), [""; 0], "{name} {via:?}");
                    ends.add_permits(1);
                }
                if name == "f" && more {
                    // The actor takes one event after another.
                    ends.add_permits(1);
                }
                assert_eq!(begins.next().await, "1", "{name} {via:?}");
                ends.add_permits(if more && name == "n" { 2 } else { 1 });
                client.expect_nothing_more("/").await;
            }
        }
    }
}

/// Attachments count, and the limit is over all namespaces of a client.
#[on_both_servers]
async fn attachments_and_other_namespaces_count_for_what_handlers_hold() {
    let Workshop {
        server,
        mut begins,
        ends,
    } = workshop(|io| io.handlers_bytes(100_000));
    server.io.of("/other").on("quick", || async { "quick" });
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client.connect("/other").await;
        let mut other = Client::connected(&server, via).await;
        let head = r#"451-["n",{"_placeholder":true,"num":0}]"#;
        client
            .send_binary(head, &[&Bytes::from(vec![1; 100_000])])
            .await;
        begins.next().await;
        client.settle().await;
        client.send(r#"42/other,1["quick"]"#).await;
        other.expect_nothing_more("/").await;
        ends.add_permits(1);
        client.expect(r#"43/other,1["quick"]"#).await;
    }
}

/// A raw server has the same limits.
#[on_both_servers]
async fn a_raw_server_bounds_what_its_handlers_hold_and_the_first_request() {
    let (begun, mut begins) = channel();
    let ends = Arc::new(Semaphore::new(0));
    let permits = Arc::clone(&ends);
    let server = Server::engineio(move |builder: EngineIoBuilder| {
        let builder = builder.handlers_bytes(10).handshake_limit(400);
        builder.on_message(move |_: EngineSession, message: EngineMessage| {
            let permits = Arc::clone(&permits);
            let _ = begun.send(match message {
                EngineMessage::Text(text) => text.len(),
                EngineMessage::Binary(data) => data.len(),
            });
            async move { permits.acquire().await.unwrap().forget() }
        })
    });
    let target = server.target("EIO=4&transport=polling");
    let request = || Request::get(server.address, &target);
    padded(request(), 401).send().await.expect(431, "");
    assert_eq!(padded(request(), 400).send().await.status, 200);
    let mut socket = WebSocket::open(&server).await;
    for _ in 0..2 {
        let frames = [
            Frame::new(opcode::TEXT, "4123456789").bytes(),
            Frame::new(opcode::BINARY, [7; 1]).bytes(),
            Frame::new(opcode::TEXT, "4last").bytes(),
        ];
        socket.send_bytes(&frames.concat()).await;
        assert_eq!([begins.next().await, begins.next().await], [9, 1]);
        // Its pong shows that another client was served meanwhile, so there was time for a third.
        let mut other = WebSocket::open(&server).await;
        other.send_ping("p").await;
        assert_eq!(
            other.recv().await,
            crate::support::Received::Pong(b"p".to_vec())
        );
        assert_eq!(begins.so_far(), [0; 0]);
        ends.add_permits(1);
        assert_eq!(begins.next().await, 4);
        ends.add_permits(2);
    }
}

/// The argument of the handlers of the tests below.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    #[serde(rename = "kind")]
    _kind: Option<Kind>,
}

#[derive(Debug, Deserialize)]
enum Kind {
    Known,
}

/// The name of an event that nobody handles is cut, and escaped once.
#[on_both_servers]
async fn the_name_of_an_unhandled_event_is_not_repeated_whole() {
    let server = Server::socketio(|io| io, |_| ());
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        for character in ["\u{7f}", "x", "ö", r"\\", r#"\""#, r"\u0000"] {
            let name = |count| character.repeat(count);
            client.send(&format!(r#"421["{}"]"#, name(64))).await;
            let told = format!(r#"no handler for event \"{}\""#, name(64));
            client
                .expect(&format!(r#"431[{{"error":"{told}"}}]"#))
                .await;
            client
                .send(&format!(r#"421["{}"]"#, name(900_000 / character.len())))
                .await;
            let told = format!(r#"no handler for event \"{}…\""#, name(64));
            client
                .expect(&format!(r#"431[{{"error":"{told}"}}]"#))
                .await;
        }
    }
}

/// Errors that repeat what a client sent are as short, whatever repeats it: the arguments of an
/// event, its handler's own reading, or a payload.
#[on_both_servers]
async fn an_error_does_not_repeat_the_whole_of_what_a_client_sent() {
    let server = Server::socketio(|io| io, |_| ());
    let text = |Data(text): Data<String>| async move {
        serde_json::from_str::<Known>(&text)?;
        Ok::<(), HandlerError>(())
    };
    let itself = |event: Event| async move {
        event.read::<(u8,)>()?;
        Ok::<(), HandlerError>(())
    };
    server
        .io
        .of("/")
        .on("number", |_: Data<u32>| async {})
        .on("known", |_: Data<Known>| async {})
        .on("text", text)
        .on("itself", itself);
    let long = "\u{7f}".repeat(300_000);
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        for (event, data, says) in [
            ("number", format!(r#""{long}""#), "expected u32"),
            ("known", format!(r#"{{"{long}":1}}"#), "unknown field"),
            (
                "known",
                format!(r#"{{"kind":"{long}"}}"#),
                "unknown variant",
            ),
            ("text", format!(r#""{{\"{long}\":1}}""#), "expected `kind`"),
            ("itself", format!(r#""{long}""#), "expected u8"),
        ] {
            client.send(&format!(r#"421["{event}",{data}]"#)).await;
            let answer = client.text().await;
            assert!(answer.contains(says), "{event}: {answer:.1000}");
            assert!(answer.len() < 1500, "{event}: {}", answer.len());
        }
    }
}

/// The same of a client that is refused: by its payload, its namespace's parameters or its query.
#[on_both_servers]
async fn a_refusal_does_not_repeat_the_whole_of_what_a_client_sent() {
    let server = Server::socketio(|io| io, |_| ());
    let io = &server.io;
    io.of("/auth").on_connect(|_: Auth<Known>| async {});
    io.of_pattern("/of-{kind}")
        .unwrap()
        .on_connect(|_: Params<Known>| async {});
    io.of("/query")
        .on_connect(|handshake: Handshake| async move {
            let query = handshake.read_query::<Known>();
            query
                .map(|_| ())
                .map_err(|error| ConnectError::from(error.to_string()))
        });
    let long = "x".repeat(900);
    let site = server.at("/socket.io/");
    for (namespace, auth) in [
        ("/auth".to_owned(), format!(r#"{{"kind":"{long}"}}"#)),
        (format!("/of-{long}"), String::new()),
        ("/query".to_owned(), String::new()),
    ] {
        let query = format!("kind={long}&EIO=4&transport=websocket");
        let mut socket = WebSocket::connect(&site, &query, &[]).await.unwrap();
        socket.recv_text().await;
        socket.send_text(&format!("40{namespace},{auth}")).await;
        let answer = socket.recv_text().await;
        let told = answer.strip_prefix(&format!("44{namespace},")).unwrap();
        assert!(told.contains("unknown variant"), "{told}");
        assert!(told.len() < 400, "{told}");
    }
}
