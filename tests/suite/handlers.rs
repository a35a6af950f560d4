//! Registering handlers: several for one event, for all events, for those without one, and objects.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix_socketio::{
    Ack, ConnectError, Data, Event, Namespace, NamespaceHandlers, Registrar, Socket, SocketIo,
};
use actix_web::App;

use crate::support::channel;
use crate::support::socketio::{BOTH, Client, Via, start};

/// Several handlers of one event start in the order in which they were registered; the first
/// answers.
#[on_both_servers]
async fn several_handlers_start_in_order_and_the_first_answers() {
    let server = start();
    let (called, mut calls) = channel();
    for n in 1..=3 {
        let called = called.clone();
        server.io.of("/").on("a", move |Data(text): Data<String>| {
            let _ = called.send((n, text));
            async move { n }
        });
    }
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client.send(r#"421["a","x"]"#).await;
        client.expect("431[1]").await;
        client.expect_nothing_more("/").await;
        let expected = [1, 2, 3].map(|n| (n, "x".to_owned()));
        assert_eq!(calls.so_far(), expected);
    }
}

/// One of several handlers that panics or does not fit costs the others nothing.
#[on_both_servers]
async fn a_handler_that_fails_leaves_the_others_to_run() {
    let server = start();
    let (called, mut calls) = channel();
    server
        .io
        .of("/")
        .on("a", |Data(_): Data<u8>| async { "first" })
        .on("a", || -> std::future::Ready<()> { panic!("second") })
        .on("a", move |ack: Ack| {
            let _ = called.send(ack.is_wanted());
            async {}
        });
    let mut client = Client::connected(&server, Via::WebSocket).await;
    client.send(r#"421["a","no number"]"#).await;
    let answer = client.text().await;
    assert!(
        answer.starts_with(r#"431[{"error":"invalid event data"#),
        "{answer}"
    );
    client.send(r#"422["a",1]"#).await;
    client.expect(r#"432["first"]"#).await;
    client.expect_nothing_more("/").await;
    assert_eq!(calls.so_far(), [false, false]);
}

/// `on_any`: sees every event before its handlers, those without one too, and answers none.
#[on_both_servers]
async fn on_any_gets_every_event_before_its_handlers() {
    let server = start();
    let (called, mut calls) = channel();
    let any = called.clone();
    server
        .io
        .of("/")
        .on("a", move |Data(n): Data<u8>| {
            let _ = called.send(format!("a {n}"));
            async move { n }
        })
        .on_any(move |event: Event| {
            let _ = any.send(format!("any {} {}", event.name(), event.args().as_json()));
            async { "nobody gets this" }
        });
    let mut client = Client::connected(&server, Via::WebSocket).await;
    client.send(r#"421["a",7]"#).await;
    client.expect("431[7]").await;
    client.send(r#"422["b",8]"#).await;
    client
        .expect(r#"432[{"error":"no handler for event \"b\""}]"#)
        .await;
    assert_eq!(calls.so_far(), ["any a 7", "a 7", "any b 8"]);
}

/// `fallback`: answers what has no handler of its own, and nothing else.
#[on_both_servers]
async fn the_fallback_answers_events_without_a_handler() {
    let server = start();
    server
        .io
        .of("/")
        .on("a", || async { "a" })
        .fallback(|event: Event| async move { format!("what is {}?", event.name()) });
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client.send(r#"421["a"]"#).await;
        client.expect(r#"431["a"]"#).await;
        client.send(r#"422["b"]"#).await;
        client.expect(r#"432["what is b?"]"#).await;
    }
}

/// Socket.IO v5, Sending and receiving data: a reserved name has no handler, and the error says
/// what to use instead; the server does not start with it.
#[tokio::test]
async fn a_reserved_event_name_is_refused_with_an_error_that_says_so() {
    for (name, told) in [
        (
            "connect",
            r#"event name "connect" is reserved: use on_connect"#,
        ),
        (
            "disconnect",
            r#"event name "disconnect" is reserved: use on_disconnect"#,
        ),
        (
            "disconnecting",
            r#"event name "disconnecting" is reserved: use on_disconnecting"#,
        ),
        ("connect_error", r#"event name "connect_error" is reserved"#),
        ("newListener", r#"event name "newListener" is reserved"#),
        (
            "removeListener",
            r#"event name "removeListener" is reserved"#,
        ),
    ] {
        let io = SocketIo::builder().start().unwrap();
        io.of("/chat").on(name, || async {});
        assert!(!io.of("/chat").off(name));
        let bound = io.serve(App::new).bind(("127.0.0.1", 0));
        let error = bound.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), told);
    }
}

/// `NamespaceHandlers`: methods are handlers, and share the object.
#[on_both_servers]
async fn methods_of_an_object_are_handlers_and_share_it() {
    #[derive(Default)]
    struct Counter {
        total: AtomicU64,
        left: AtomicU64,
    }

    impl Counter {
        async fn enter(self: Arc<Self>, socket: Socket) -> Result<(), ConnectError> {
            socket
                .emit("total", self.total.load(Ordering::Relaxed))
                .await?;
            Ok(())
        }

        async fn add(self: Arc<Self>, Data(n): Data<u64>) -> u64 {
            self.total.fetch_add(n, Ordering::Relaxed) + n
        }

        async fn other(self: Arc<Self>, event: Event) -> String {
            format!("{} of {}", event.name(), self.total.load(Ordering::Relaxed))
        }

        async fn leaving(self: Arc<Self>) {
            self.left.fetch_add(1, Ordering::Relaxed);
        }

        async fn left(self: Arc<Self>) {
            self.left.fetch_add(10, Ordering::Relaxed);
        }
    }

    impl NamespaceHandlers for Counter {
        fn register(methods: &Registrar<'_, Self>) {
            methods
                .on_connect(Self::enter)
                .on("add", Self::add)
                .fallback(Self::other)
                .on_disconnecting(Self::leaving)
                .on_disconnect(Self::left);
        }
    }

    let server = start();
    let counter = server.io.of("/counter").register(Counter::default());
    for (via, total) in [(Via::WebSocket, 0), (Via::Polling, 3)] {
        let mut client = Client::open(&server, via).await;
        client.connect("/counter").await;
        client
            .expect(&format!(r#"42/counter,["total",{total}]"#))
            .await;
        client.send(r#"42/counter,1["add",3]"#).await;
        client.expect(&format!("43/counter,1[{}]", total + 3)).await;
        client.send(r#"42/counter,2["what"]"#).await;
        client
            .expect(&format!(r#"43/counter,2["what of {}"]"#, total + 3))
            .await;
        client.send("41/counter,").await;
        client.close().await;
    }
    crate::support::socketio::until("two to have left", || {
        counter.left.load(Ordering::Relaxed) == 22
    })
    .await;
}

/// Handlers of several connects run one after another, each when the one before has agreed.
#[on_both_servers]
async fn connect_handlers_are_asked_one_after_another() {
    let server = start();
    let (called, mut calls) = channel();
    let handle = |namespace: &Namespace, name: &'static str, agrees: bool| {
        let called = called.clone();
        namespace.on_connect(move || {
            let called = called.clone();
            async move {
                tokio::task::yield_now().await;
                let _ = called.send(name);
                if agrees {
                    Ok(())
                } else {
                    Err(ConnectError::new(name))
                }
            }
        });
    };
    let io = server.io.of("/");
    handle(&io, "first", true);
    handle(&io, "second", false);
    handle(&io, "third", true);
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        let refused = client.connect_with("/", "").await;
        assert_eq!(refused.unwrap_err(), r#"{"message":"second"}"#);
        assert_eq!(calls.so_far(), ["first", "second"]);
    }
    assert_eq!(io.count(), 0);
}
