//! The log: what is written of clients, how often, and in which form.

use std::time::Instant;

use actix_socketio::{
    Auth, ConnectError, ConnectionError, Cors, Data, HandlerError, IpNet, Socket, SocketIo,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::log::Lines;
use crate::support::socketio::{BOTH, Client, Via, leavers, start};
use crate::support::{Heard, Polling, Request, Server, WebSocket, channel, recording};

/// A client that sends 100,000 events which fail gets some lines into the log, and one line for each
/// second that says how many were left out. So it does by either transport.
#[on_both_servers]
async fn a_client_cannot_fill_the_log() {
    for (via, event, count) in [
        (Via::WebSocket, r#"42/flooded,["join",1]"#, 100_000),
        (Via::Polling, r#"42/flooded,["join",1]"#, 20_000),
        (Via::WebSocket, r#"42/flooded,["panic"]"#, 20_000),
    ] {
        let server = start();
        let hall = server.io.of("/flooded");
        hall.on("join", |Data(_): Data<String>| async {});
        hall.on("panic", || async { panics() });
        let mut lines = Lines::with("");
        let begun = Instant::now();
        let mut client = Client::open(&server, via).await;
        client.connect("/flooded").await;
        let burst = vec![event; 5000];
        for _ in 0..count / burst.len() {
            client.send_all(&burst).await;
            client.expect_nothing_more("/flooded").await;
        }
        let (mut written, mut left_out) = (0, 0);
        while written + left_out < count {
            let line = lines.next().await;
            let number = line.split(" more lines omitted").next();
            let number = number.and_then(|head| head.split(' ').next_back()?.parse().ok());
            if line.contains("/flooded") && !line.starts_with("DEBUG") {
                written += 1;
            } else if line.contains("more lines omitted") {
                left_out += number.unwrap_or(0);
            }
        }
        let seconds = begun.elapsed().as_secs() as usize + 1;
        assert!((1..=10 * (seconds + 1)).contains(&written), "{written}");
    }
}

/// Panics without a word of the panic hook, which writes to stderr.
fn panics() {
    std::panic::resume_unwind(Box::new("again"));
}

/// Events that nobody handles leave no line above the level debug.
#[on_both_servers]
async fn an_event_that_nobody_handles_is_at_debug() {
    let server = start();
    server.io.of("/unheard");
    let mut lines = Lines::with("/unheard");
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        client.connect("/unheard").await;
        client.send_all(&[r#"42/unheard,["what",1]"#; 100]).await;
        client.expect_nothing_more("/unheard").await;
    }
    let lines = lines.so_far();
    let unhandled = lines.iter().filter(|line| line.contains(r#"event "what""#));
    assert!(unhandled.count() >= 200, "{lines:?}");
    let loud: Vec<_> = lines
        .iter()
        .filter(|line| !line.starts_with("DEBUG"))
        .collect();
    assert!(loud.is_empty(), "{loud:?}");
}

/// Text of a client that becomes a part of a line, with a line of its own in it.
const EVIL: &str = "evil\r\n\u{1b}[31mERROR\u{2028}forged";

/// The same as the log shows it.
const TAME: &str = r"evil\r\n\u{1b}[31mERROR\u{2028}forged";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    #[allow(dead_code, reason = "it is only read")]
    known: u8,
}

/// Registers handlers that let a client's text into the log.
fn careless(io: &SocketIo) {
    let everywhere = io.of_predicate(|name, _| match name.contains("predicate") {
        true => panic!("no {name}"),
        false => name.starts_with("/careless"),
    });
    everywhere
        .on("known", |_: Data<Known>| async {})
        .on("panic", |Data(text): Data<String>| async move {
            assert!(text.is_empty(), "not empty: {text}");
        })
        .on("fail", |Data(text): Data<String>| async move {
            Err::<(), _>(text)
        });
    let _ = everywhere;
}

/// No text of a client begins a line of its own, wherever it comes from.
#[on_both_servers]
async fn a_client_cannot_forge_a_line() {
    let server = Server::socketio(
        |io| io.cors(Cors::origins(["https://app.example"])),
        careless,
    );
    let mut lines = Lines::with("forged");
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        let namespace = format!("/careless{EVIL}");
        client.connect(&namespace).await;
        for event in [
            json!([EVIL]),
            json!(["known", { EVIL: 1 }]),
            json!(["panic", EVIL]),
            json!(["fail", EVIL]),
        ] {
            client.send(&format!("42{namespace},{event}")).await;
            client.expect_nothing_more(&namespace).await;
        }
        let found = lines.so_far();
        assert!(found.len() >= 4, "{found:?}");
        tame(&found);
        let strange = format!("/predicate{EVIL}");
        let refused = client.connect_with(&strange, "").await;
        refused.unwrap_err();
        let found = lines.so_far();
        assert!(!found.is_empty(), "{via:?}");
        tame(&found);
    }
}

/// Values of a query and of headers are shown tame too.
#[on_both_servers]
async fn a_request_cannot_forge_a_line() {
    let server = Server::socketio(
        |io| io.cors(Cors::origins(["https://app.example"])),
        careless,
    );
    let mut lines = Lines::with("forged");
    let target = server.target("EIO=4&transport=polling");
    let request = Request::get(server.address, &target);
    let refused = request
        .header("origin", "https://evil\u{85}\u{2028}forged")
        .send();
    assert_eq!(refused.await.status, 403);
    let line = lines.next().await;
    assert!(
        line.contains(r#""https://evil\u{85}\u{2028}forged""#),
        "{line}"
    );
    assert!(line.contains("127.0.0.1"), "{line}");
}

/// Checks that lines have no control characters, and show all of what was sent.
#[track_caller]
fn tame(lines: &[String]) {
    for line in lines {
        let is_clean = !line.chars().any(|c| c.is_control() || c == '\u{2028}');
        assert!(is_clean, "{line:?}");
    }
    assert!(
        lines.iter().any(|line| line.contains(TAME)) || lines.is_empty(),
        "{lines:?}"
    );
}

/// A long text is cut.
#[on_both_servers]
async fn a_long_text_is_cut() {
    let server = Server::socketio(|io| io, careless);
    let mut lines = Lines::with("long-winded");
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        let long = "long-winded".repeat(10_000);
        client.connect("/careless").await;
        for event in [
            json!([long]),
            json!(["known", { long.clone(): 1 }]),
            json!(["panic", long]),
            json!(["fail", long]),
        ] {
            client.send(&format!("42/careless,{event}")).await;
            client.expect_nothing_more("/careless").await;
            let found = lines.so_far();
            assert!(!found.is_empty());
            for line in found {
                assert!(line.len() < 1100, "{} bytes: {line}", line.len());
            }
        }
    }
}

/// Registers handlers that do one of each.
fn steps(io: &SocketIo) {
    let steps = io.of("/steps");
    steps
        .on_connect(|Auth(auth): Auth<Value>| async move {
            match auth["password"].as_str() {
                Some("wrong") => Err(ConnectError::new("not authorized")),
                _ => Ok(()),
            }
        })
        .on("go", |socket: Socket, Data(_): Data<String>| async move {
            socket.join("hall").await?;
            socket.emit("one", "x").await?;
            socket.everyone().to("hall").emit("many", 1).await?;
            socket.leave("hall").await?;
            Ok::<_, HandlerError>("done")
        });
}

/// Connect, event, join, emit, leave, acknowledgement, disconnect and close have a line each, with the
/// socket, its namespace, its client's address and the sizes.
#[on_both_servers]
async fn each_step_of_a_client_has_a_line_at_debug() {
    let server = Server::socketio(|io| io, steps);
    for via in BOTH {
        let mut lines = Lines::with("/steps");
        let mut client = Client::open(&server, via).await;
        let id = client.connect("/steps").await;
        client.send(r#"42/steps,7["go","é"]"#).await;
        client.expect(r#"42/steps,["one","x"]"#).await;
        client.expect(r#"42/steps,["many",1]"#).await;
        client.expect(r#"43/steps,7["done"]"#).await;
        client.send("41/steps,").await;
        client.connect("/").await;
        let socket = format!("socket {id} of 127.0.0.1 in namespace /steps");
        let expected = [
            format!("socket {socket} connected"),
            format!(r#"event event "go": 4 bytes from {socket}, expects an acknowledgement"#),
            format!(r#"socket {socket} joined room "hall""#),
            format!(r#"event event "one": 22 bytes to {socket}"#),
            r#"event event "many": 21 bytes to rooms ["hall"] in namespace /steps"#.to_owned(),
            format!(r#"socket {socket} left room "hall""#),
            format!(r#"event event "go": acknowledgement 7 of 20 bytes to {socket}"#),
            format!("socket {socket} disconnected: client namespace disconnect"),
        ];
        let expected = expected.map(|line| format!("DEBUG actix_socketio::{line}"));
        // Sizes of packets include the head of their frame.
        let found: Vec<String> = lines.so_far();
        assert_eq!(found, expected);
        let refused = client
            .connect_with("/steps", r#"{"password":"wrong"}"#)
            .await;
        assert!(refused.is_err());
        let line = lines.next().await;
        assert!(
            line.starts_with("DEBUG") && line.contains("not authorized"),
            "{line}"
        );
        assert!(line.contains(" of 127.0.0.1"), "{line}");
    }
}

/// A session that opens, upgrades and ends has a line each; the last names its sockets and the cause.
#[on_both_servers]
async fn a_session_that_ends_names_its_sockets() {
    let server = Server::socketio(|io| io, steps);
    for via in BOTH {
        let mut opened = Lines::with("actix_socketio::session session ");
        let mut client = Client::open(&server, via).await;
        let id = client.connect("/steps").await;
        let name = match via {
            Via::Polling => "opened over polling",
            Via::WebSocket => "opened over websocket",
        };
        assert!(opened.so_far().iter().any(|line| line.ends_with(name)));
        let mut lines = Lines::with(&id);
        client.close().await;
        let line = loop {
            let line = lines.next().await;
            if line.contains("::session ") {
                break line;
            }
        };
        let closed = format!("closed: transport close; socket {id} in namespace /steps");
        assert!(
            line.starts_with("DEBUG") && line.ends_with(&closed),
            "{line}"
        );
        assert!(line.contains(" of 127.0.0.1 "), "{line}");
    }
}

/// A message of raw Engine.IO has a line for each way, with its size and its session's number.
#[on_both_servers]
async fn a_message_of_engine_io_has_a_line_at_debug() {
    let (server, _) = recording(|io| io);
    let mut lines = Lines::with("actix_socketio::event message of ");
    let mut socket = WebSocket::open(&server).await;
    socket.send_text("4hello").await;
    socket.expect_text("4hello").await;
    for way in ["from", "to"] {
        let line = lines.next().await;
        let begins = format!("DEBUG actix_socketio::event message of 5 bytes {way} session ");
        assert!(line.starts_with(&begins), "{line}");
        assert!(line.ends_with(" of 127.0.0.1"), "{line}");
    }
}

/// A message that is too large has a close reason of its own, and a line at the level warn with the
/// limit; so has a body, whose session goes on.
#[on_both_servers]
async fn a_message_that_is_too_large_has_a_line() {
    let server = Server::socketio(|io| io.max_payload(3000), steps);
    let mut leavers = leavers(&server.io.of("/steps"));
    let mut client = Client::open(&server, Via::WebSocket).await;
    let id = client.connect("/steps").await;
    let mut lines = Lines::with(&id);
    client.send(&"4".repeat(3001)).await;
    assert_eq!(leavers.next().await, "message too large");
    let line = loop {
        let line = lines.next().await;
        if line.contains("closed") {
            break line;
        }
    };
    let closed = "closed: message too large, `max_payload` is 3000 bytes; socket ";
    assert!(line.starts_with("WARN") && line.contains(closed), "{line}");

    let mut lines = Lines::with("body larger than `max_payload` of 3000 bytes");
    let polling = Polling::open(&server).await;
    let request = polling.request("POST").body("4".repeat(3001));
    assert_eq!(request.send().await.status, 413);
    let line = lines.next().await;
    let size = r#"content-length "3001""#;
    assert!(line.starts_with("WARN") && line.contains(size), "{line}");
    assert_eq!(polling.request("POST").body("40").send().await.status, 200);
}

/// A request that is refused.
struct Refused {
    method: &'static str,
    query: &'static str,
    /// A header that it has too; the name is empty if it has none.
    header: (&'static str, &'static str),
    /// How its line ends, or goes on.
    cause: &'static str,
    code: Option<u8>,
}

const PLAIN: Refused = Refused {
    method: "GET",
    query: "EIO=4&transport=polling",
    header: ("", ""),
    cause: "",
    code: None,
};

const REFUSED: [Refused; 10] = [
    Refused {
        query: "EIO=3&transport=polling",
        cause: r#"unsupported protocol version: EIO "3""#,
        code: Some(5),
        ..PLAIN
    },
    Refused {
        query: "EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAA",
        cause: "unknown session",
        code: Some(1),
        ..PLAIN
    },
    Refused {
        query: "EIO=4&transport=%0Apigeon",
        cause: r#"unknown transport: transport "\npigeon""#,
        code: Some(0),
        ..PLAIN
    },
    Refused {
        query: "EIO=4",
        cause: "unknown transport: no transport",
        code: Some(0),
        ..PLAIN
    },
    Refused {
        method: "PUT",
        cause: r#"bad handshake method: method "PUT""#,
        code: Some(2),
        ..PLAIN
    },
    Refused {
        query: "EIO=4&transport=websocket",
        cause: "bad handshake",
        code: Some(3),
        ..PLAIN
    },
    Refused {
        query: "EIO=4&transport=websocket&sid=BBBBBBBBBBBBBBBBBBBB",
        cause: "unknown session",
        code: Some(1),
        ..PLAIN
    },
    Refused {
        header: ("origin", "https://evil"),
        cause: r#"not allowed by `Builder::cors`: origin "https://evil""#,
        code: Some(4),
        ..PLAIN
    },
    Refused {
        header: ("x-stranger", "1"),
        cause: "not allowed by `Builder::allow_request`",
        code: Some(4),
        ..PLAIN
    },
    Refused {
        header: ("x-large", ""),
        cause: "head larger than `handshake_limit` of 500 bytes: 10",
        ..PLAIN
    },
];

/// Starts a server that refuses a stranger, and tells what its hook for refused requests sees. The hook
/// panics over a bad method.
fn refusing() -> (Server<SocketIo>, Heard<(u8, String)>) {
    let (told, heard) = channel();
    let server = Server::socketio(
        move |io| {
            io.cors(Cors::origins(["https://app.example"]))
                .trusted_proxies(["127.0.0.0/8".parse::<IpNet>().unwrap()])
                .handshake_limit(500)
                .allow_request(|request| async move {
                    match request.headers().contains_key("x-stranger") {
                        true => Err(actix_web::error::ErrorUnauthorized("who?")),
                        false => Ok(()),
                    }
                })
                .on_connection_error(move |error: &ConnectionError<'_>| {
                    assert!(error.request().path().starts_with("/socket.io"));
                    let _ = told.send((error.code(), error.message().to_owned()));
                    if error.code() == 2 {
                        panics();
                    }
                })
        },
        steps,
    );
    (server, heard)
}

/// Every refused request has one line with address and cause, and reaches the hook with the code and
/// the message that the client gets.
#[on_both_servers]
async fn a_refused_request_has_a_line_and_reaches_the_hook() {
    let (server, mut heard) = refusing();
    let large = "x".repeat(1000);
    for (number, refused) in REFUSED.iter().enumerate() {
        let cause = refused.cause;
        let address = format!("10.77.66.{number}");
        let mut lines = Lines::with(&format!("of {address} refused"));
        let target = server.target(refused.query);
        let request = Request::new(refused.method, server.address, &target);
        let request = request.header("x-forwarded-for", &address);
        let response = match refused.header {
            ("", _) => request,
            (name, "") => request.header(name, &large),
            (name, value) => request.header(name, value),
        };
        let response = response.send().await;
        assert!(response.status >= 400, "{cause}: {response:?}");
        let line = lines.next().await;
        let level = if refused.code.is_some() {
            "INFO"
        } else {
            "WARN"
        };
        let expected =
            format!("{level} actix_socketio::request request of {address} refused: {cause}");
        assert!(line.starts_with(&expected), "{line}");
        assert!(lines.so_far().is_empty());
        let Some(code) = refused.code else {
            assert!(heard.so_far().is_empty(), "{cause}");
            continue;
        };
        let (found, message) = heard.next().await;
        assert_eq!(found, code, "{cause}");
        if refused.header.0 != "x-stranger" {
            let body = format!(r#"{{"code":{code},"message":"{message}"}}"#);
            assert_eq!(response.text(), body);
        }
    }
}

/// No line has the private id of a session, or what a CONNECT payload says.
#[on_both_servers]
async fn no_line_has_a_session_id_or_an_auth_payload() {
    let server = Server::socketio(|io| io.max_payload(3000).auth_limit(100), steps);
    server.io.of("/numbers").on_connect(|_: Auth<u64>| async {});
    server.io.of("/known").on_connect(|_: Auth<Known>| async {});
    let mut secrets = Lines::with("hunter2");
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        let mut ids = Lines::with(client.session_id());
        for (namespace, auth) in [
            ("/steps", r#"{"password":"hunter2"}"#),
            ("/numbers", r#"{"password":"hunter2"}"#),
            ("/known", r#"{"hunter2":1}"#),
            ("/nowhere", r#"{"password":"hunter2"}"#),
            (
                "/",
                &format!(r#"{{"password":"hunter2","x":"{}"}}"#, "x".repeat(100)),
            ),
        ] {
            let _ = client.connect_with(namespace, auth).await;
        }
        let socket = client
            .connect_with("/", r#"{"a":"hunter2"}"#)
            .await
            .unwrap();
        let mut control = Lines::with(&socket);
        client.send(r#"42["unheard"]"#).await;
        client.send(r#"40"hunter2""#).await;
        client.expect_close().await;
        assert!(control.next().await.contains("DEBUG"));
        assert_eq!(ids.so_far(), [] as [&str; 0]);
    }
    let polling = Polling::open(&server).await;
    let mut ids = Lines::with(polling.sid());
    assert_eq!(polling.request("PUT").send().await.status, 400);
    assert_eq!(polling.request("POST").body("4x").send().await.status, 200);
    polling.request("GET").send().await;
    polling.request("POST").body("1").send().await;
    let gone = polling.request("POST").body("40").send().await;
    assert_eq!(gone.status, 400);
    assert_eq!(ids.so_far(), [] as [&str; 0]);
    assert_eq!(secrets.so_far(), [] as [&str; 0]);
}
