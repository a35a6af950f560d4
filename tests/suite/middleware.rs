//! Middleware: on CONNECT, and on each event before its handlers.

use std::time::Duration;

use actix_socketio::{Auth, Bytes, ConnectError, Data, Event, IncomingEvent, Rejection, Socket};
use serde::Deserialize;
use serde_json::json;

use crate::support::channel;
use crate::support::held::held_up;
use crate::support::socketio::{BOTH, Client, Via, leavers, start};

/// CONNECT: middleware is asked in order and before connect handlers, whenever it was registered.
#[on_both_servers]
async fn middleware_goes_before_connect_handlers_in_its_own_order() {
    let server = start();
    let io = server.io.of("/");
    let (called, mut calls) = channel();
    for (name, is_middleware) in [("handler", false), ("one", true), ("two", true)] {
        let called = called.clone();
        let told = move |socket: Socket| {
            let _ = called.send((name, socket.is_connected()));
            async {}
        };
        if is_middleware {
            io.middleware(told);
        } else {
            io.on_connect(told);
        }
    }
    let _client = Client::connected(&server, Via::WebSocket).await;
    let expected = [("one", false), ("two", false), ("handler", false)];
    assert_eq!(calls.so_far(), expected);
}

/// CONNECT: who refuses says why, with data; nobody behind is asked, and nobody is in.
#[on_both_servers]
async fn middleware_refuses_with_a_message_and_data() {
    #[derive(Deserialize)]
    struct Login {
        token: Option<String>,
    }

    let server = start();
    let io = server.io.of("/chat");
    let (called, mut calls) = channel();
    io.middleware(|Auth(login): Auth<Login>| async move {
        match login.token {
            Some(_) => Ok(()),
            None => Err(ConnectError::new("log in first").with_data(json!({ "code": 401 }))),
        }
    })
    .on_connect(move || {
        let _ = called.send(());
        async {}
    });
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        let refused = client.connect_with("/chat", "").await.unwrap_err();
        assert_eq!(refused, r#"{"message":"log in first","data":{"code":401}}"#);
        assert_eq!(calls.so_far(), []);
        assert_eq!(io.count(), 0);
        client
            .connect_with("/chat", r#"{"token":"t"}"#)
            .await
            .unwrap();
        assert_eq!(calls.so_far(), [()]);
        client.close().await;
        crate::support::socketio::until("it to leave", || io.count() == 0).await;
    }
}

/// CONNECT: middleware that panics refuses, and the next client is asked as ever.
#[on_both_servers]
async fn middleware_that_panics_refuses() {
    #[derive(Deserialize)]
    struct Panics {
        panics: bool,
    }

    let server = start();
    server
        .io
        .of("/")
        .middleware(|Auth(Panics { panics }): Auth<Panics>| async move {
            assert!(!panics, "as it was told");
        });
    let mut client = Client::open(&server, Via::WebSocket).await;
    let refused = client.connect_with("/", r#"{"panics":true}"#).await;
    assert_eq!(
        refused.unwrap_err(),
        r#"{"message":"internal server error"}"#
    );
    client
        .connect_with("/", r#"{"panics":false}"#)
        .await
        .unwrap();
}

/// Events: a check sees name, arguments and whether an answer is wanted; it may refuse.
#[on_both_servers]
async fn a_check_sees_and_refuses_events() {
    let server = start();
    let (seen, mut sights) = channel();
    server
        .io
        .of("/")
        .event_middleware(move |event: &mut IncomingEvent<'_>| {
            let first: Option<String> = event.read()?;
            let _ = seen.send((event.name().to_owned(), first, event.wants_ack()));
            match event.name() {
                "admin" => Err(Rejection::from("not for you")),
                _ => Ok(()),
            }
        })
        .on("admin", || async { "never" })
        .on("echo", |Data(text): Data<String>| async move { text });
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client.send(r#"421["admin","x"]"#).await;
        client.expect(r#"431[{"error":"not for you"}]"#).await;
        client.send(r#"42["admin"]"#).await;
        client.send(r#"422["echo","y"]"#).await;
        client.expect(r#"432["y"]"#).await;
        client.send(r#"423["echo",7]"#).await;
        let answer = client.text().await;
        let told = r#"433[{"error":"invalid event data: argument 1 cannot be read"#;
        assert!(answer.starts_with(told), "{answer}");
        let told = |name: &str, text: Option<&str>, wants| {
            (name.to_owned(), text.map(str::to_owned), wants)
        };
        let expected = [
            told("admin", Some("x"), true),
            told("admin", None, false),
            told("echo", Some("y"), true),
        ];
        assert_eq!(sights.so_far(), expected);
    }
}

/// Events: a check changes the name and the data, attachments too; the next one sees the change.
#[on_both_servers]
async fn checks_change_events_one_after_another() {
    let server = start();
    let (seen, mut sights) = channel();
    server
        .io
        .of("/")
        .event_middleware(|event: &mut IncomingEvent<'_>| {
            if event.name() == "old" {
                let data: Bytes = event.read()?;
                event.rename("new");
                event.set_data((Bytes::from_static(&[9]), data))?;
            }
            Ok(())
        })
        .event_middleware(move |event: &mut IncomingEvent<'_>| {
            let _ = seen.send(event.name().to_owned());
            Ok(())
        })
        .on("old", || async { "never" })
        .on(
            "new",
            |Data((a, b)): Data<(Bytes, Bytes)>| async move { (b, a) },
        );
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        let packet = r#"451-1["old",{"_placeholder":true,"num":0}]"#;
        client.send_binary(packet, &[&[1, 2]]).await;
        let answer = concat!(
            r#"462-1[{"_placeholder":true,"num":0},"#,
            r#"{"_placeholder":true,"num":1}]"#
        );
        client.expect_binary(answer, &[&[1, 2], &[9]]).await;
        assert_eq!(sights.so_far(), ["new"]);
    }
}

/// Events: a check that panics costs that event only.
#[on_both_servers]
async fn a_check_that_panics_fails_its_event_only() {
    let server = start();
    server
        .io
        .of("/")
        .event_middleware(|event: &mut IncomingEvent<'_>| {
            assert_ne!(event.name(), "bad");
            Ok(())
        })
        .on("bad", || async { "never" })
        .on("good", || async { "good" });
    let mut client = Client::connected(&server, Via::WebSocket).await;
    client.send(r#"421["bad"]"#).await;
    client
        .expect(r#"431[{"error":"internal server error"}]"#)
        .await;
    client.send(r#"422["good"]"#).await;
    client.expect(r#"432["good"]"#).await;
}

/// Events of one socket stay in order behind an async check; those of other sockets pass.
#[on_both_servers]
async fn an_async_check_keeps_the_order_of_a_socket() {
    let (gate, held, mut waits) = held_up();
    let server = start();
    let io = server.io.of("/");
    let (handled, mut events) = channel();
    io.event_middleware_async(move |event: Event| {
        let held = (event.name() == "held").then(|| held.clone());
        async move {
            if let Some(held) = held {
                held.wait().await;
            }
            Ok(())
        }
    });
    io.on_any(move |event: Event| {
        handled.send(event.name().to_owned()).unwrap();
        async {}
    });
    for event in ["held", "next"] {
        io.on(event, |Data(n): Data<u32>| async move { n });
    }
    let mut client = Client::connected(&server, Via::Polling).await;
    let mut other = Client::connected(&server, Via::WebSocket).await;
    client
        .send_all(&[r#"420["held",0]"#, r#"421["next",1]"#])
        .await;
    waits.next().await;
    client.send(r#"422["next",2]"#).await;
    other.send(r#"423["next",3]"#).await;
    other.expect("433[3]").await;
    assert_eq!(events.so_far(), ["next"]);
    gate.open();
    for answer in ["430[0]", "431[1]", "432[2]"] {
        client.expect(answer).await;
    }
    assert_eq!(events.so_far(), ["held", "next", "next"]);
}

/// An async check refuses by its `Err`, by an argument of the wrong type, and by a panic.
#[on_both_servers]
async fn an_async_check_refuses_events() {
    let server = start();
    let io = server.io.of("/");
    let (failed, mut failures) = channel();
    io.event_middleware_async(|event: Event, Data(n): Data<u32>| async move {
        tokio::task::yield_now().await;
        match n {
            1 => Err(Rejection::from("not for you")),
            2 => panic!("checked {}", event.name()),
            _ => Ok(()),
        }
    });
    io.on("add", |Data(n): Data<u32>| async move { n + 1 });
    io.on_error(move |failure| {
        failed.send(failure.cause().to_string()).unwrap();
        None
    });
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client
            .send_all(&[r#"420["add",0]"#, r#"421["add",1]"#, r#"422["add",2]"#])
            .await;
        client.expect("430[1]").await;
        client.expect(r#"431[{"error":"not for you"}]"#).await;
        client
            .expect(r#"432[{"error":"internal server error"}]"#)
            .await;
        assert_eq!(failures.next().await, "not for you");
        assert_eq!(failures.next().await, "handler panicked: checked add");
        client.send(r#"423["add","x"]"#).await;
        let rejected = failures.next().await;
        assert!(rejected.contains("expected u32"), "{rejected}");
        client.next().await;
        client.send(r#"424["add",4]"#).await;
        client.expect("434[5]").await;
    }
}

/// The events of a socket that the program has disconnected do not pass their check.
#[on_both_servers]
async fn events_behind_an_async_check_end_with_their_socket() {
    let (gate, held, mut waits) = held_up();
    let server = start();
    let io = server.io.of("/");
    let (handled, mut events) = channel();
    io.event_middleware_async(move || {
        let held = held.clone();
        async move {
            held.wait().await;
            Ok(())
        }
    });
    io.on("next", move || {
        handled.send(()).unwrap();
        async {}
    });
    let mut left = leavers(&io);
    let mut client = Client::connected(&server, Via::WebSocket).await;
    client.send_all(&[r#"42["next"]"#, r#"42["next"]"#]).await;
    waits.next().await;
    server.io.disconnect_sockets(false).await.unwrap();
    left.next().await;
    gate.open();
    // Waits for the work in flight.
    assert!(server.io.close(Duration::from_secs(2)).await);
    assert_eq!(events.so_far(), []);
}
