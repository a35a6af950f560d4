//! Failures of handlers: who sees them, and what the client is told.

use actix_socketio::{
    Ack, Auth, CallContext, ConnectError, Data, ErrorAnswer, Extract, Failure, FailureCause,
    HandlerError, Rejection, Socket, SocketIo, State,
};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};

use crate::support::socketio::{BOTH, Client, Via, start};
use crate::support::{Heard, Server, channel};

/// A value that cannot be written as JSON.
struct Unwritable;

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no words for it"))
    }
}

/// Registers a handler for each way to fail.
fn fail_in_every_way(io: &SocketIo, namespace: &str) {
    io.of(namespace)
        .on("returned", || async { Err::<(), _>(json!({ "code": 7 })) })
        .on("text", || async { Err::<(), _>("no") })
        .on("panicked", || -> std::future::Ready<()> {
            panic!("secret")
        })
        .on("rejected", |Data(_): Data<u8>| async {})
        .on("unsendable", || async { Unwritable })
        .on("unanswered", |_: Ack| async {});
}

/// The events of [`fail_in_every_way`], and what the client is told of each.
const TOLD: [(&str, &str); 6] = [
    ("returned", r#"{"code":7}"#),
    ("text", r#""no""#),
    ("panicked", r#""internal server error""#),
    ("rejected", r#""invalid event data: argument 1 is missing""#),
    ("unsendable", r#""the acknowledgement cannot be encoded""#),
    ("unanswered", r#""the handler dropped the acknowledgement""#),
];

/// Without a hook the client that asked is told `{"error": …}`, with the error's own text.
#[on_both_servers]
async fn without_a_hook_the_client_gets_the_error() {
    let server = start();
    fail_in_every_way(&server.io, "/");
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        for (event, told) in TOLD {
            client.send(&format!(r#"421["{event}"]"#)).await;
            client.expect(&format!(r#"431[{{"error":{told}}}]"#)).await;
            // A client that asked for no acknowledgement gets no answer.
            client.send(&format!(r#"42["{event}"]"#)).await;
        }
        client.expect_nothing_more("/").await;
    }
}

/// `error_details(false)`: the client learns that the call failed, and no more.
#[on_both_servers]
async fn without_details_every_failure_reads_the_same() {
    let server = Server::socketio(
        |builder| builder.error_details(false),
        |io| fail_in_every_way(io, "/"),
    );
    let mut client = Client::connected(&server, Via::WebSocket).await;
    for (event, _) in TOLD {
        client.send(&format!(r#"421["{event}"]"#)).await;
        client
            .expect(r#"431[{"error":"internal server error"}]"#)
            .await;
    }
}

/// Makes a hook that tells what it saw and answers nothing but what returned.
fn hook(
    name: &'static str,
) -> (
    impl Fn(&Failure<'_>) -> Option<Value> + Send + Sync + 'static,
    Heard<String>,
) {
    let (seen, sights) = channel();
    let hook = move |failure: &Failure<'_>| {
        let wants = if failure.wants_ack() { "?" } else { "" };
        let _ = seen.send(format!(
            "{name}: {}{wants}: {}",
            failure.event(),
            failure.cause()
        ));
        match failure.cause() {
            FailureCause::Returned(_) => Some(json!([name, failure.socket().namespace()])),
            _ => None,
        }
    };
    (hook, sights)
}

/// `on_error` sees every failure, with event and socket, and may answer for it.
#[on_both_servers]
async fn the_hook_sees_every_failure_and_may_answer() {
    let server = start();
    fail_in_every_way(&server.io, "/");
    let (hook, mut sights) = hook("own");
    server.io.of("/").on_error(hook);
    let mut client = Client::connected(&server, Via::WebSocket).await;
    for (event, told) in TOLD {
        client.send(&format!(r#"421["{event}"]"#)).await;
        if matches!(event, "returned" | "text") {
            client.expect(r#"431[["own","/"]]"#).await;
        } else {
            client.expect(&format!(r#"431[{{"error":{told}}}]"#)).await;
        }
    }
    client.send(r#"42["text"]"#).await;
    client.expect_nothing_more("/").await;
    assert_eq!(
        sights.so_far(),
        [
            r#"own: returned?: handler failed: {"code":7}"#,
            r#"own: text?: handler failed: "no""#,
            "own: panicked?: handler panicked: secret",
            "own: rejected?: invalid event data: argument 1 is missing",
            "own: unsendable?: the acknowledgement cannot be encoded: the arguments cannot be written: no words for it",
            "own: unanswered?: the handler dropped the acknowledgement",
            r#"own: text: handler failed: "no""#,
        ]
    );
}

/// The default hook serves the namespaces that have none of their own.
#[on_both_servers]
async fn the_default_hook_serves_namespaces_without_their_own() {
    let server = start();
    let (default, mut by_default) = hook("default");
    server.io.on_error_default(default);
    let (own, mut by_own) = hook("own");
    server.io.of("/own").on_error(own);
    for namespace in ["/own", "/other"] {
        fail_in_every_way(&server.io, namespace);
    }
    let mut client = Client::open(&server, Via::Polling).await;
    for (namespace, name) in [("/own", "own"), ("/other", "default")] {
        client.connect(namespace).await;
        client.send(&format!(r#"42{namespace},1["text"]"#)).await;
        let answer = format!(r#"43{namespace},1[["{name}","{namespace}"]]"#);
        client.expect(&answer).await;
    }
    assert_eq!(by_own.so_far().len(), 1);
    assert_eq!(by_default.so_far().len(), 1);
}

/// A hook that panics leaves the answer to the rule, and the session goes on.
#[on_both_servers]
async fn a_hook_that_panics_leaves_the_rule() {
    let server = start();
    fail_in_every_way(&server.io, "/");
    server
        .io
        .of("/")
        .on_error(|_: &Failure<'_>| -> Option<Value> { panic!("the hook too") });
    let mut client = Client::connected(&server, Via::WebSocket).await;
    for (event, told) in TOLD {
        client.send(&format!(r#"421["{event}"]"#)).await;
        client.expect(&format!(r#"431[{{"error":{told}}}]"#)).await;
    }
}

/// Connect errors fail closed: whatever the hook says, who was not let in stays out. It sees a refusal
/// too, as a cause of its own.
#[on_both_servers]
async fn the_hook_gets_connect_failures_and_cannot_accept_the_client() {
    #[derive(Deserialize)]
    struct Panics {
        panics: bool,
    }

    let server = start();
    let (seen, mut sights) = channel();
    server
        .io
        .of("/")
        .on_error(move |failure: &Failure<'_>| {
            let _ = seen.send(failure.to_string());
            Some(json!("come in"))
        })
        .on_connect(|Auth(Panics { panics }): Auth<Panics>| async move {
            assert!(!panics, "at the door");
            Err::<(), _>(ConnectError::new("no"))
        })
        .on_disconnect(|| async { panic!("never called") });
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        let refused = client.connect_with("/", r#"{"panics":false}"#).await;
        assert_eq!(refused.unwrap_err(), r#"{"message":"no"}"#);
        let seen = r#"event "connect" in namespace /: client refused: "no""#;
        assert_eq!(sights.so_far(), [seen]);
        let refused = client.connect_with("/", r#"{"panics":true}"#).await;
        assert_eq!(
            refused.unwrap_err(),
            r#"{"message":"internal server error"}"#
        );
        let seen = r#"event "connect" in namespace /: handler panicked: at the door"#;
        assert_eq!(sights.so_far(), [seen]);
        assert_eq!(server.io.of("/").count(), 0);
    }
}

/// The hook sees panics of `on_disconnect` too.
#[on_both_servers]
async fn the_hook_sees_panics_of_disconnect_handlers() {
    let server = start();
    let (seen, mut sights) = channel();
    server
        .io
        .of("/")
        .on_error(move |failure: &Failure<'_>| {
            let _ = seen.send(failure.to_string());
            None
        })
        .on_disconnecting(|| async { panic!("going") })
        .on_disconnect(|| async { panic!("gone") });
    Client::connected(&server, Via::WebSocket)
        .await
        .close()
        .await;
    for (event, text) in [("disconnecting", "going"), ("disconnect", "gone")] {
        let expected = format!(r#"event "{event}" in namespace /: handler panicked: {text}"#);
        assert_eq!(sights.next().await, expected);
    }
}

/// The hook sees what disconnect handlers return, and the rejection of an extractor wherever it is.
#[on_both_servers]
async fn the_hook_sees_errors_and_rejections_of_connect_and_disconnect_handlers() {
    let server = start();
    let (seen, mut sights) = channel();
    let hook = move |failure: &Failure<'_>| {
        let cause = match failure.cause() {
            FailureCause::Returned(_) => "returned",
            FailureCause::Rejected(_) => "rejected",
            FailureCause::Refused(_) => "refused",
            _ => "other",
        };
        let _ = seen.send(format!("{} {cause}", failure.event()));
        ErrorAnswer::Default
    };
    server.io.on_error_default(hook);
    server
        .io
        .of("/")
        .on_disconnecting(|| async { Err::<(), _>(HandlerError::new("going")) })
        .on_disconnect(|| async { Err::<(), _>(std::io::Error::other("gone")) })
        .on_disconnect(|_: State<u8>| async {});
    server
        .io
        .of("/refused")
        .middleware(|| async { Err::<(), _>(ConnectError::new("no")) });
    server
        .io
        .of("/rejected")
        .on_connect(|_: State<u8>| async {});
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        assert!(client.connect_with("/refused", "{}").await.is_err());
        assert_eq!(sights.so_far(), ["connect refused"]);
        assert!(client.connect_with("/rejected", "{}").await.is_err());
        assert_eq!(sights.so_far(), ["connect rejected"]);
        client.close().await;
        for seen in [
            "disconnecting returned",
            "disconnect returned",
            "disconnect rejected",
        ] {
            assert_eq!(sights.next().await, seen);
        }
    }
}

/// An event may stay unanswered: by its handler's error, by its `Ack`, by the hook, and by an option
/// if nobody handles it.
#[on_both_servers]
async fn an_event_may_stay_unanswered() {
    let server = Server::socketio(|builder| builder.answer_unhandled(false), |_| ());
    server
        .io
        .of("/")
        .on("error", || async {
            Err::<(), _>(HandlerError::new("the database is down").unanswered())
        })
        .on("ack", |ack: Ack| async move { ack.leave() })
        .on("hook", || async { Err::<(), _>("no") })
        .on("answer", || async { Err::<(), _>("no") })
        .on_error(|failure: &Failure<'_>| match failure.event() {
            "hook" => ErrorAnswer::Nothing,
            "answer" => ErrorAnswer::Value(json!(1)),
            _ => ErrorAnswer::Default,
        });
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        for event in ["error", "ack", "hook", "nobody's"] {
            client.send(&format!(r#"421["{event}"]"#)).await;
        }
        client.send(r#"422["answer"]"#).await;
        // Answers leave in the order of the events: the others got none.
        client.expect("432[1]").await;
    }
}

/// A handler may end with its client.
#[on_both_servers]
async fn closed_completes_when_the_socket_disconnects() {
    let server = start();
    let (ended, mut ends) = channel();
    server.io.of("/").on("watch", move |socket: Socket| {
        let ended = ended.clone();
        async move {
            socket.closed().await;
            // At once, if it has happened already.
            socket.closed().await;
            let _ = ended.send(());
        }
    });
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client.send(r#"42["watch"]"#).await;
        client.expect_nothing_more("/").await;
        assert!(ends.so_far().is_empty());
        client.close().await;
        ends.next().await;
    }
}

/// `Rejection::with_data`: the acknowledgement has the data beside the text, and so has the error of a
/// client that is refused.
#[on_both_servers]
async fn a_rejection_carries_its_data() {
    let server = start();
    let (seen, mut sights) = channel();
    let limited = || Rejection::from("too many").with_data(json!({ "after": 5 }));
    server
        .io
        .of("/")
        .on("limited", || async {})
        .event_middleware(move |event| match event.name() {
            "limited" => Err(limited()),
            _ => Ok(()),
        });
    server
        .io
        .of("/full")
        .on_error(move |failure| {
            if let FailureCause::Rejected(rejection) = failure.cause() {
                let _ = seen.send((rejection.to_string(), rejection.data().cloned()));
            }
            None
        })
        .on_connect(|_: Full| async {});
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client.send(r#"421["limited"]"#).await;
        client
            .expect(r#"431[{"error":"too many","data":{"after":5}}]"#)
            .await;
        let refused = client.connect_with("/full", "").await.unwrap_err();
        assert_eq!(refused, r#"{"message":"full","data":{"room":7}}"#);
        let seen = sights.next().await;
        assert_eq!(seen, ("full".to_owned(), Some(json!({ "room": 7 }))));
    }
}

/// An extractor that refuses, with data.
struct Full;

impl<C: CallContext> Extract<C> for Full {
    fn extract(_: &C) -> Result<Self, Rejection> {
        let rejection = Rejection::from("full").with_data(json!({ "room": 6 }));
        Err(rejection.with_data(json!({ "room": 7 })))
    }
}

/// Registers connect handlers that fail over an error on the way, and one that refuses on purpose.
fn refuse_in_every_way(io: &SocketIo) {
    async fn io_error() -> Result<(), ConnectError> {
        std::fs::read("no/such/file")?;
        Ok(())
    }
    async fn json_error() -> Result<(), ConnectError> {
        serde_json::from_str::<u8>("secret")?;
        Ok(())
    }
    async fn number() -> Result<(), ConnectError> {
        "secret".parse::<u8>()?;
        Ok(())
    }
    async fn any_error() -> Result<(), HandlerError> {
        "secret".parse::<std::net::IpAddr>()?;
        Ok(())
    }
    async fn on_purpose() -> Result<(), ConnectError> {
        Err(ConnectError::new("closed today"))
    }
    io.of("/io").on_connect(io_error);
    io.of("/json").on_connect(json_error);
    io.of("/number").on_connect(number);
    io.of("/any").on_connect(any_error);
    io.of("/boxed").on_connect(|| async {
        Err::<(), Box<dyn std::error::Error + Send + Sync>>("secret".into())
    });
    io.of("/state").on_connect(|_: State<SocketIo>| async {});
    io.of("/auth").on_connect(|_: Auth<u8>| async {});
    io.of("/purpose").on_connect(on_purpose);
    io.of("/extractor").on_connect(|_: Full| async {});
}

/// `?` works in connect handlers. The client gets the error's text with `error_details` only; what the
/// program says on purpose it gets in any case.
#[on_both_servers]
async fn errors_propagated_by_a_connect_handler_are_details() {
    let internal = "internal server error";
    let table = [
        ("/io", "No such file", internal),
        ("/json", "expected value", internal),
        ("/number", "invalid digit", internal),
        ("/any", "invalid IP address", internal),
        ("/boxed", "secret", internal),
        ("/state", "no state of type", internal),
        ("/auth", "invalid auth payload: ", "invalid auth payload\""),
        ("/purpose", "closed today", "closed today"),
        (
            "/extractor",
            r#"full","data":{"room":7}"#,
            r#"full","data":{"room":7}"#,
        ),
    ];
    for with_details in [true, false] {
        let server = Server::socketio(
            move |builder| builder.error_details(with_details),
            refuse_in_every_way,
        );
        let mut client = Client::open(&server, Via::WebSocket).await;
        for (namespace, detailed, plain) in table {
            let refused = client.connect_with(namespace, "").await.unwrap_err();
            let expected = if with_details { detailed } else { plain };
            let told = format!(r#"{{"message":"{expected}"#);
            assert!(refused.starts_with(&told), "{namespace}: {refused}");
        }
    }
}

/// The hook sees an error on the way of a connect handler as one that was returned, with its text.
#[on_both_servers]
async fn the_hook_distinguishes_propagated_errors_from_refusals() {
    let server = Server::socketio(|builder| builder.error_details(false), refuse_in_every_way);
    let (seen, mut sights) = channel();
    server.io.on_error_default(move |failure| {
        let _ = seen.send(failure.cause().to_string());
        None
    });
    let mut client = Client::open(&server, Via::Polling).await;
    for (namespace, cause) in [
        (
            "/number",
            r#"handler failed: "invalid digit found in string""#,
        ),
        ("/purpose", r#"client refused: "closed today""#),
        ("/extractor", "full"),
    ] {
        client.connect_with(namespace, "").await.unwrap_err();
        assert_eq!(sights.next().await, cause);
    }
}

/// Without the option a debug build tells clients the details, and a release build does not.
#[tokio::test]
async fn details_are_sent_by_debug_builds_only() {
    let server = Server::serving("/socket.io/", || {
        let io = SocketIo::builder().start()?;
        fail_in_every_way(&io, "/");
        refuse_in_every_way(&io);
        let served = io.serve(actix_web::App::new);
        Ok((io, served))
    });
    let details = if cfg!(debug_assertions) {
        [r#""no""#, "invalid digit found in string"]
    } else {
        [r#""internal server error""#, "internal server error"]
    };
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client.send(r#"421["text"]"#).await;
        client
            .expect(&format!(r#"431[{{"error":{}}}]"#, details[0]))
            .await;
        let refused = client.connect_with("/number", "").await.unwrap_err();
        assert_eq!(refused, format!(r#"{{"message":"{}"}}"#, details[1]));
    }
}
