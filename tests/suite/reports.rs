//! Failures reach the error hook with their kind, and the log once.

use std::fmt;
use std::sync::{Arc, Mutex};

use actix::{Actor, Context, Handler};
use actix_socketio::{
    Ack, CallError, ConnectError, Data, EmitError, Event, Failure, FailureCause, HandlerError,
    PanicSource, Rejection, RoomError, Socket, SocketIo, State,
};
use serde::{Serialize, Serializer};

use crate::support::log::{Lines, listen};
use crate::support::panics::panics_of;
use crate::support::socketio::{BOTH, Client, Via, start};
use crate::support::{Heard, Polling, Server, TestRun, WebSocket, channel};

/// An actor that ends with the first event.
struct Ends;

impl Actor for Ends {
    type Context = Context<Self>;
}

impl Handler<Event> for Ends {
    type Result = ();

    fn handle(&mut self, _: Event, ctx: &mut Self::Context) {
        actix::ActorContext::stop(ctx);
    }
}

/// A value that cannot be written as JSON.
struct Unwritable;

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no words for it"))
    }
}

/// Panics without a word of the panic hook.
fn panics() {
    std::panic::resume_unwind(Box::new("so"));
}

/// Registers a handler for each way to fail, in the namespace `name` and in others that begin so.
fn fail_in_every_way(io: &SocketIo, name: &str) {
    io.of(name)
        .on("returned", || async { Err::<(), _>("no") })
        .on("text", || async { Err::<(), _>(HandlerError::new("no")) })
        .on("rejected", |Data(_): Data<u8>| async {})
        .on("unsendable", || async { Unwritable })
        .on("panicked", || async {
            panics();
        })
        .on("unanswered", |_: Ack| async {})
        .on("checked", || async {})
        .event_middleware(|event| match event.name() {
            "checked" => Err(Rejection::from("not now")),
            _ => Ok(()),
        })
        .forward("forwarded", Ends.start().recipient())
        .on_disconnecting(|| async { Err::<(), _>("going") })
        .on_disconnect(|| async { Err::<(), _>(std::io::Error::other("gone")) })
        .on_disconnect(|_: State<u8>| async {});
    io.of(&format!("{name}-refused"))
        .on_connect(|| async { Err::<(), _>(ConnectError::new("no")) });
    io.of(&format!("{name}-middleware"))
        .middleware(|| async { Err::<(), _>(ConnectError::new("no")) });
    io.of(&format!("{name}-rejected"))
        .on_connect(|_: State<u8>| async {});
}

/// The name of a cause.
fn kind(cause: &FailureCause) -> &'static str {
    match cause {
        FailureCause::Returned(_) => "returned",
        FailureCause::Rejected(_) => "rejected",
        FailureCause::Refused(_) => "refused",
        FailureCause::Panicked(_) => "panicked",
        FailureCause::SerializeFailed(_) => "unsendable",
        FailureCause::AckDropped => "unanswered",
        FailureCause::NotTaken => "not taken",
        FailureCause::InvalidNamespace => "invalid namespace",
        _ => "other",
    }
}

/// Tells what the default hook sees: the event, the namespace and the kind.
fn watch(io: &SocketIo) -> Heard<String> {
    let (told, heard) = channel();
    io.on_error_default(move |failure: &Failure<'_>| {
        let (event, namespace) = (failure.event(), failure.socket().namespace());
        let _ = told.send(format!("{event} {namespace} {}", kind(failure.cause())));
        None
    });
    heard
}

/// The sent text, the error that the hook gets, and the level of the log's line without a hook.
const EVENTS: [(&str, &str, &str); 10] = [
    (r#"1["returned"]"#, "returned", "WARN"),
    (r#"["text"]"#, "returned", "WARN"),
    (r#"2["rejected"]"#, "rejected", "WARN"),
    (r#"3["unsendable"]"#, "unsendable", "ERROR"),
    (r#"4["panicked"]"#, "panicked", "ERROR"),
    (r#"["panicked"]"#, "panicked", "ERROR"),
    (r#"5["unanswered"]"#, "unanswered", "WARN"),
    (r#"["checked"]"#, "rejected", "WARN"),
    // It ends the actor.
    (r#"6["forwarded"]"#, "unanswered", "WARN"),
    (r#"["forwarded"]"#, "not taken", "WARN"),
];

/// The end of the namespace's name, what the hook sees, and the level.
const CONNECTS: [(&str, &str, &str); 4] = [
    ("-refused", "refused", "DEBUG"),
    ("-middleware", "refused", "DEBUG"),
    ("-rejected", "rejected", "WARN"),
    ("-nowhere", "invalid namespace", "INFO"),
];

/// Tells whether a line tells of a failure.
fn is_failure(line: &str) -> bool {
    line.contains("::handler ") || line.contains("client refused")
}

/// Returns the next line that tells of a failure.
async fn next_failure(lines: &mut Lines) -> String {
    loop {
        let line = lines.next().await;
        if is_failure(&line) {
            return line;
        }
    }
}

async fn each_failure_is_reported_once(name: &'static str, has_hook: bool) {
    let server = Server::socketio(|io| io, move |io| fail_in_every_way(io, name));
    let mut seen = match has_hook {
        true => watch(&server.io),
        false => channel().1,
    };
    let mut lines = Lines::with(name);
    let mut client = Client::open(&server, Via::WebSocket).await;
    for (end, kind, level) in CONNECTS {
        let namespace = format!("{name}{end}");
        assert!(client.connect_with(&namespace, "{}").await.is_err());
        let expected = format!("connect {namespace} {kind}");
        check(&mut lines, &mut seen, has_hook, &expected, level).await;
    }
    client.connect(name).await;
    for (sent, kind, level) in EVENTS {
        client.send(&format!("42{name},{sent}")).await;
        let event = sent.split('"').nth(1).unwrap();
        let expected = format!("{event} {name} {kind}");
        check(&mut lines, &mut seen, has_hook, &expected, level).await;
        client.rest(name).await;
    }
    let more = lines.so_far().into_iter().find(|line| is_failure(line));
    assert_eq!(more, None);
    assert!(!has_hook || seen.so_far().is_empty());
}

/// The failures of disconnect handlers too, on a server of its own: the lines of one kind are
/// limited.
async fn each_failure_of_a_leave_is_reported_once(name: &'static str, has_hook: bool) {
    let server = Server::socketio(|io| io, move |io| fail_in_every_way(io, name));
    let mut seen = match has_hook {
        true => watch(&server.io),
        false => channel().1,
    };
    let mut client = Client::open(&server, Via::WebSocket).await;
    client.connect(name).await;
    let mut lines = Lines::with(name);
    client.send(&format!("41{name},")).await;
    client.connect(name).await;
    let level = if has_hook { "DEBUG" } else { "WARN" };
    for event in ["disconnecting", "disconnect", "disconnect"] {
        let line = next_failure(&mut lines).await;
        let expected = format!(r#"{level} actix_socketio::handler event "{event}""#);
        assert!(line.starts_with(&expected), "{line}");
    }
    if has_hook {
        let expected = [
            format!("disconnecting {name} returned"),
            format!("disconnect {name} returned"),
            format!("disconnect {name} rejected"),
        ];
        assert_eq!(seen.so_far(), expected);
    }
}

async fn check(
    lines: &mut Lines,
    seen: &mut Heard<String>,
    has_hook: bool,
    sight: &str,
    level: &str,
) {
    // A panic is an error in any case; a hook sees the others.
    let level = match has_hook && !sight.contains("panicked") {
        true => "DEBUG",
        false => level,
    };
    let line = next_failure(lines).await;
    let event = sight.split(' ').next().unwrap_or_default();
    assert!(line.contains(&format!("\"{event}\"")), "{sight}: {line}");
    assert!(line.starts_with(level), "{sight}: {line}");
    if has_hook {
        assert_eq!(seen.next().await, sight);
    }
    let more = seen.so_far();
    assert!(more.is_empty(), "{sight}: {more:?}");
}

/// Without a hook, each failure has one line.
#[on_both_servers]
async fn each_failure_is_in_the_log_once() {
    each_failure_is_reported_once("/reports-false", false).await;
    each_failure_of_a_leave_is_reported_once("/leave-reports-false", false).await;
}

/// With a hook, each failure reaches it, and has one line at the level debug, or at error if it is
/// a panic.
#[on_both_servers]
async fn each_failure_reaches_the_hook_once() {
    each_failure_is_reported_once("/reports-true", true).await;
    each_failure_of_a_leave_is_reported_once("/leave-reports-true", true).await;
}

/// A panic in an upgrade, here in the program's logger, is reported, and the session goes on with
/// polling.
#[on_both_servers]
async fn a_panic_in_an_upgrade_is_reported() {
    let server = start();
    let mut reported = panics_of(&server.io);
    let session = Polling::open(&server).await;
    let run = TestRun::current();
    let _panicking = listen(move |line| {
        if line.contains("not upgraded") && TestRun::current() == run {
            panics();
        }
    });
    let mut socket = WebSocket::beside(&server, session.sid()).await;
    socket.send_text("4early").await;
    let panicked = reported.next().await;
    assert_eq!(panicked.source, PanicSource::Session);
    let text = &panicked.panic;
    assert!(
        text.starts_with("upgrade of session ") && text.ends_with(": so"),
        "{text}"
    );
    session.post(&["40"]).await;
    let packets = session.poll().await;
    assert!(packets[0].starts_with("40{"), "{packets:?}");
}

/// A client that gets no socket is a failure that the default hook sees, with who asked for what.
#[on_both_servers]
async fn the_default_hook_gets_the_client_of_an_unknown_namespace() {
    let server = Server::socketio(|io| io.namespaces_per_session(1).auth_limit(100), |_| ());
    let (told, mut heard) = channel();
    server.io.on_error_default(move |failure: &Failure<'_>| {
        let socket = failure.socket();
        let page = socket.handshake().header("x-page").map(str::to_owned);
        // It is in no namespace.
        let is_there = socket.is_connected();
        let sent = at_once(socket.emit("late", 1));
        let gone = matches!(sent, Some(Err(EmitError::Disconnected)));
        let _ = told.send((
            socket.namespace().to_owned(),
            kind(failure.cause()),
            page,
            is_there,
            gone,
        ));
        None
    });
    for via in BOTH {
        let mut client = Client::open_with(&server, via, &[("x-page", "7")]).await;
        let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(100));
        for (namespace, auth, cause, message) in [
            ("/nowhere", "{}", "invalid namespace", "Invalid namespace"),
            (
                "/",
                &*large,
                "refused",
                "the auth payload has more than 100 bytes",
            ),
        ] {
            let error = client.connect_with(namespace, auth).await.unwrap_err();
            assert_eq!(error, format!(r#"{{"message":"{message}"}}"#));
            let page = Some("7".to_owned());
            let expected = (namespace.to_owned(), cause, page, false, true);
            assert_eq!(heard.next().await, expected);
        }
        client.connect("/").await;
        let error = client.connect_with("/other", "").await.unwrap_err();
        assert_eq!(error, r#"{"message":"more than 1 namespaces"}"#);
        assert_eq!(heard.next().await.1, "refused");
        assert_eq!(server.io.of("/").count(), 1);
        client.close().await;
        crate::support::socketio::until("the client to go", || server.io.of("/").count() == 0)
            .await;
    }
}

/// Returns the value of a future that does not wait.
fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut cx) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}

/// An error of a program, made of the library's.
#[derive(Debug, Serialize)]
enum Own {
    Emit(EmitError),
}

impl From<EmitError> for Own {
    fn from(error: EmitError) -> Self {
        Self::Emit(error)
    }
}

/// One whose cause is the library's, and whose text is not.
#[derive(Debug)]
struct Caused(CallError);

impl fmt::Display for Caused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the question failed")
    }
}

impl std::error::Error for Caused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// Registers handlers that fail when their client has gone, and returns where `another` finds a
/// socket that has gone.
fn fail_at_the_end(io: &SocketIo) -> Arc<Mutex<Option<Socket>>> {
    let gone: Arc<Mutex<Option<Socket>>> = Arc::default();
    let other = Arc::clone(&gone);
    io.of("/routine")
        .on("call", |socket: Socket| async move {
            socket.call::<()>("ask", ()).await
        })
        .on("emit", |socket: Socket| async move {
            socket.closed().await;
            socket.emit("late", 1).await
        })
        .on("room", |socket: Socket| async move {
            socket.closed().await;
            socket.join("late").await
        })
        .on("handler-error", |socket: Socket| async move {
            socket.call::<()>("ask", ()).await?;
            Ok::<_, HandlerError>(())
        })
        .on("own", |socket: Socket| async move {
            socket.closed().await;
            Ok::<_, Own>(socket.emit("late", 1).await?)
        })
        .on("caused", |socket: Socket| async move {
            let asked = socket.call::<()>("ask", ()).await;
            Ok::<_, HandlerError>(asked.map_err(Caused)?)
        })
        .on("look-alike", |socket: Socket| async move {
            socket.closed().await;
            Err::<(), _>(EmitError::Disconnected.to_string())
        })
        .on("another", move || {
            let other = other.lock().unwrap().clone().unwrap();
            async move { other.emit("late", 1).await }
        })
        .on_disconnect(|socket: Socket| async move { socket.emit("late", 1).await })
        .on_disconnect(|socket: Socket| async move {
            let joined: Result<(), RoomError> = socket.join("late").await;
            joined.map_err(|error| Box::new(error) as Box<dyn std::error::Error + Send + Sync>)
        })
        .on_disconnecting(|| async { Err::<(), _>(EmitError::Disconnected.to_string()) });
    gone
}

/// A handler that ends because its client has gone is routine, by the kind of its error. One whose
/// text is the same is a failure, and so is one whose own client is there.
#[on_both_servers]
async fn a_handler_that_ends_with_its_client_is_routine() {
    let server = start();
    let gone = fail_at_the_end(&server.io);
    for via in BOTH {
        let mut lines = Lines::with("in namespace /routine");
        let mut client = Client::open(&server, via).await;
        let id = client.connect("/routine").await;
        *gone.lock().unwrap() = server.io.of("/routine").socket(id.parse().unwrap());
        for event in [
            "call",
            "emit",
            "room",
            "handler-error",
            "own",
            "caused",
            "look-alike",
        ] {
            client.send(&format!(r#"42/routine,["{event}"]"#)).await;
        }
        client.rest("/routine").await;
        client.close().await;
        let mut found = Vec::new();
        while found.len() < 10 {
            let line = lines.next().await;
            if line.contains("handler failed") {
                let name = line.split('"').nth(1).unwrap().to_owned();
                found.push((name, line.split(' ').next().unwrap().to_owned()));
            }
        }
        found.sort();
        let expected = [
            ("call", "DEBUG"),
            ("caused", "DEBUG"),
            ("disconnect", "DEBUG"),
            ("disconnect", "DEBUG"),
            ("disconnecting", "WARN"),
            ("emit", "DEBUG"),
            ("handler-error", "DEBUG"),
            ("look-alike", "WARN"),
            ("own", "DEBUG"),
            ("room", "DEBUG"),
        ];
        let found: Vec<_> = found
            .iter()
            .map(|(name, level)| (&**name, &**level))
            .collect();
        assert_eq!(found, expected);
        let mut client = Client::open(&server, via).await;
        client.connect("/routine").await;
        client.send(r#"42/routine,["another"]"#).await;
        client.rest("/routine").await;
        let found = lines.so_far();
        let found = found.iter().filter(|line| line.contains("handler failed"));
        assert!(found.clone().count() == 1 && found.clone().all(|line| line.starts_with("WARN")));
    }
}
