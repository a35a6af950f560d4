//! The test client: what a program's tests can see and do with it.

use std::rc::Rc;
use std::time::Duration;

use actix_socketio::testing::{ConnectFailed, TestClient, TestError, advance, pause_time};
use actix_socketio::{
    Ack, Auth, Bytes, CallError, ConnectError, Data, DisconnectReason, Rejection, Socket, SocketIo,
    Transport,
};
use actix_web::cookie::Cookie;
use actix_web::error::InternalError;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{App, HttpRequest, HttpResponse, test, web};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::channel;
use crate::support::socketio::until;

const SOON: Duration = Duration::from_secs(2);

fn start() -> SocketIo {
    let builder = SocketIo::builder().error_details(true);
    builder.start().unwrap()
}

/// Connecting: auth, headers, query, cookies and the address reach the server.
#[actix_web::test]
async fn auth_headers_query_and_cookies_reach_the_server() {
    #[derive(Deserialize)]
    struct Login {
        token: String,
    }

    let io = start();
    let (told, mut tells) = channel();
    io.of("/chat")
        .on_connect(move |socket: Socket, Auth(login): Auth<Login>| {
            let handshake = socket.handshake();
            let _ = told.send((
                login.token,
                handshake.header("x-test").map(str::to_owned),
                handshake.query_value("a b").map(|value| value.into_owned()),
                handshake.cookie("id"),
                handshake.address().map(|address| address.to_string()),
            ));
            async {}
        });
    let client = TestClient::builder(&io)
        .namespace("chat")
        .auth(json!({ "token": "t" }))
        .header("X-Test", "yes")
        .query("a b", "c&d")
        .cookie(&Cookie::new("id", "7"))
        .peer("10.0.0.1:9".parse().unwrap())
        .connect()
        .await
        .unwrap();
    let some = |text: &str| Some(text.to_owned());
    let said = (
        "t".to_owned(),
        some("yes"),
        some("c&d"),
        some("7"),
        some("10.0.0.1"),
    );
    assert_eq!(tells.so_far(), [said]);
    assert_eq!(client.namespace(), "/chat");
    let socket = io.of("/chat").socket(client.id().unwrap()).unwrap();
    assert!(socket.is_connected() && client.is_connected());
}

/// Connecting: a refusal's message and data are seen, and that of the HTTP request.
#[actix_web::test]
async fn a_refusal_is_seen_with_its_payload() {
    let builder = SocketIo::builder().allow_request(|request: HttpRequest| async move {
        match request.query_string().contains("banned") {
            true => Err(actix_web::error::ErrorForbidden("not you")),
            false => Ok(()),
        }
    });
    let io = builder.start().unwrap();
    io.of("/").on_connect(|| async {
        Err::<(), _>(ConnectError::new("no").with_data(json!({ "code": 1 })))
    });
    let Err(refused) = TestClient::connect(&io).await else {
        panic!("it was let in")
    };
    assert_eq!(refused.to_string(), r#"refused: no, with {"code":1}"#);
    let Err(ConnectFailed::Refused { message, data }) = TestClient::connect(&io).await else {
        panic!("it was let in")
    };
    assert_eq!((message.as_str(), data), ("no", Some(json!({ "code": 1 }))));
    let unknown = TestClient::builder(&io)
        .namespace("/nowhere")
        .connect()
        .await;
    assert_eq!(
        unknown.unwrap_err().to_string(),
        "refused: Invalid namespace"
    );
    let banned = TestClient::builder(&io)
        .query("banned", "1")
        .connect()
        .await;
    let Err(ConnectFailed::Http { status: 403, body }) = banned else {
        panic!("it was let in")
    };
    assert_eq!(body, "not you");
}

/// A call that failed fails the test's step, whatever the test reads, unless it looks at the error.
#[actix_web::test]
async fn a_failed_call_is_an_error_unless_it_is_looked_at() {
    let io = SocketIo::builder().error_details(true).start().unwrap();
    io.of("/")
        .on("ok", || async {})
        .on("returned", || async { Err::<(), _>("no") })
        .on("number", |Data(_): Data<u8>| async {})
        .on("dropped", |_: Ack| async {})
        .on("data", || async {})
        .on("value", || async { json!({ "error": "told", "more": 1 }) })
        .event_middleware(|event| match event.name() {
            "data" => Err(Rejection::from("not now").with_data(json!(5))),
            _ => Ok(()),
        });
    let client = TestClient::connect(&io).await.unwrap();
    client.call::<()>("ok", ()).await.unwrap();
    for (event, text) in [
        ("returned", r#"the call failed: "no""#),
        (
            "number",
            r#"the call failed: "invalid event data: argument 1 is missing""#,
        ),
        (
            "dropped",
            r#"the call failed: "the handler dropped the acknowledgement""#,
        ),
        ("data", r#"the call failed: "not now", with 5"#),
        (
            "unknown",
            r#"the call failed: "no handler for event \"unknown\"""#,
        ),
    ] {
        let error = client.call::<()>(event, ()).await.unwrap_err();
        assert!(matches!(error, TestError::Failed(_)), "{error:?}");
        assert_eq!(error.to_string(), text);
        let error = client.call::<Option<u8>>(event, ()).await.unwrap_err();
        assert_eq!(error.to_string(), text);
        let seen: Value = client.call(event, ()).await.unwrap();
        assert!(seen["error"].is_string());
    }
    client.call::<()>("value", ()).await.unwrap();
}

/// A server that has no polling for clients has test clients all the same.
#[actix_web::test]
async fn a_server_with_websockets_alone_is_tested() {
    let builder = SocketIo::builder().transports([Transport::WebSocket]);
    let io = builder.start().unwrap();
    io.of("/")
        .on("add", |Data((a, b)): Data<(i64, i64)>| async move { a + b });
    let client = TestClient::connect(&io).await.unwrap();
    assert_eq!(client.call::<i64>("add", (1, 2)).await.unwrap(), 3);
    io.emit("news", 7).await.unwrap();
    assert_eq!(client.expect::<u8>("news", SOON).await.unwrap(), 7);
    // Requests that are not the test client's are refused as ever.
    let app = test::init_service(App::new().configure(io.routes())).await;
    let poll = test::TestRequest::with_uri("/socket.io/?EIO=4&transport=polling").to_request();
    assert_eq!(test::call_service(&app, poll).await.status(), 400);
}

/// A reserved event name fails the test: registered by the program, sent or expected by the test.
#[actix_web::test]
async fn a_reserved_event_name_fails_the_test() {
    for name in ["connect", "disconnect", "disconnecting"] {
        let io = start();
        let client = TestClient::connect(&io).await.unwrap();
        let reserved = format!("event name {name:?} is reserved");
        for error in [
            client.emit(name, ()).await.unwrap_err(),
            client.call::<()>(name, ()).await.unwrap_err(),
            client.expect::<()>(name, SOON).await.unwrap_err(),
        ] {
            assert_eq!(error.to_string(), reserved);
        }
        io.of("/chat").on(name, || async {});
        let error = TestClient::connect(&io).await.unwrap_err();
        assert!(matches!(error, ConnectFailed::Program(_)), "{error:?}");
        assert!(error.to_string().starts_with(&reserved), "{error}");
    }
}

/// The headers of the answer to the handshake are seen, also those of a refusal.
#[actix_web::test]
async fn response_headers_are_seen() {
    let io = SocketIo::builder()
        .cookie(Cookie::new("node", ""))
        .initial_headers(|_, headers| {
            let value = HeaderValue::from_static("a");
            headers.insert(HeaderName::from_static("x-node"), value);
        })
        .allow_request(|request| async move {
            match request.query_string().contains("banned") {
                true => {
                    let mut later = HttpResponse::TooManyRequests();
                    let later = later.insert_header(("retry-after", "5")).body("later");
                    Err(InternalError::from_response("later", later).into())
                }
                false => Ok(()),
            }
        })
        .start()
        .unwrap();
    let client = TestClient::connect(&io).await.unwrap();
    let headers = client.response_headers();
    assert_eq!(headers.get("x-node").unwrap(), "a");
    let cookie = headers.get("set-cookie").unwrap().to_str().unwrap();
    assert!(cookie.starts_with("node="), "{cookie}");
    let banned = TestClient::builder(&io)
        .query("banned", "1")
        .handshake()
        .await;
    assert_eq!((banned.status, banned.body.as_str()), (429, "later"));
    assert_eq!(banned.headers.get("retry-after").unwrap(), "5");
    assert_eq!(io.clients_count(), 1);
    let opened = TestClient::builder(&io).handshake().await;
    assert_eq!(opened.status, 200);
    assert!(opened.body.starts_with('0') && opened.headers.contains_key("x-node"));
    until("the session to end", || io.clients_count() == 1).await;
}

/// Events: names, arguments, several of them, none, binary; taken in their order and once.
#[actix_web::test]
async fn events_come_as_they_were_sent() {
    let io = start();
    let client = TestClient::connect(&io).await.unwrap();
    io.emit("none", ()).await.unwrap();
    io.emit("two", (1, "b")).await.unwrap();
    io.send(json!({ "a": [null] })).await.unwrap();
    io.emit(
        "file",
        ("x", Bytes::from_static(&[1, 2]), Bytes::from_static(&[3])),
    )
    .await
    .unwrap();
    let received = client.received().await;
    let names: Vec<&str> = received.iter().map(|event| event.name()).collect();
    assert_eq!(names, ["none", "two", "message", "file"]);
    assert!(received[0].args().is_empty() && !received[0].wants_ack());
    assert_eq!(received[1].args().as_json(), r#"1,"b""#);
    assert_eq!(received[2].read::<Value>().unwrap(), json!({ "a": [null] }));
    assert_eq!(received[2].namespace(), "/");
    let (name, first, second): (String, Bytes, Bytes) = received[3].read().unwrap();
    assert_eq!(
        (name.as_str(), &first[..], &second[..]),
        ("x", &[1, 2][..], &[3][..])
    );
    assert!(client.received().await.is_empty());
}

/// Events to the server, and acknowledgements: values, several, none, errors, binary.
#[actix_web::test]
async fn calls_give_the_servers_acknowledgement() {
    let io = start();
    io.of("/")
        .on("add", |Data((a, b)): Data<(i64, i64)>| async move { a + b })
        .on("message", |Data(text): Data<String>| async move {
            ("got", text)
        })
        .on("nothing", || async {})
        .on("fails", || async { Err::<(), _>("no") })
        .on(
            "flip",
            |Data((a, b)): Data<(Bytes, u8)>| async move { (b, a) },
        );
    let client = TestClient::connect(&io).await.unwrap();
    assert_eq!(client.call::<i64>("add", (1, 2)).await.unwrap(), 3);
    let got: (String, String) = client.call("message", "x").await.unwrap();
    assert_eq!(got, ("got".to_owned(), "x".to_owned()));
    client.call::<()>("nothing", ()).await.unwrap();
    let failed: Value = client.call("fails", ()).await.unwrap();
    assert_eq!(failed, json!({ "error": "no" }));
    let unhandled: Value = client.call("what", ()).await.unwrap();
    assert_eq!(
        unhandled,
        json!({ "error": "no handler for event \"what\"" })
    );
    let flipped: (u8, Bytes) = client
        .call("flip", (Bytes::from_static(&[9]), 7))
        .await
        .unwrap();
    assert_eq!(flipped, (7, Bytes::from_static(&[9])));
    let error = client.call::<String>("add", (1, 2)).await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("received invalid data: argument 1"),
        "{error}"
    );
    let error = client.emit("connect", ()).await.unwrap_err();
    assert_eq!(error.to_string(), r#"event name "connect" is reserved"#);
}

/// The server's calls are answered, or not.
#[actix_web::test]
async fn the_servers_calls_are_answered_or_not() {
    let io = SocketIo::builder()
        .ack_timeout(Duration::from_millis(50))
        .start()
        .unwrap();
    let client = TestClient::connect(&io).await.unwrap();
    let operator = io.to(client.id().unwrap()).timeout(SOON);
    let call = actix_web::rt::spawn(operator.call::<(String, Bytes)>("ask", 1));
    let asked = client.expect_event("ask", SOON).await.unwrap();
    assert_eq!((asked.read::<u8>().unwrap(), asked.wants_ack()), (1, true));
    asked.answer(("x", Bytes::from_static(&[1]))).await.unwrap();
    let answer = call.await.unwrap().unwrap();
    assert_eq!(answer, ("x".to_owned(), Bytes::from_static(&[1])));
    let unanswered = io.to(client.id().unwrap()).call::<u8>("ask", 2).await;
    assert!(matches!(unanswered, Err(CallError::Timeout)));
}

/// `expect`: other events stay, and an error names them.
#[actix_web::test]
async fn expect_leaves_other_events_and_names_them() {
    let io = start();
    let client = TestClient::connect(&io).await.unwrap();
    for (name, n) in [("a", 1), ("b", 2), ("a", 3)] {
        io.emit(name, n).await.unwrap();
    }
    assert_eq!(client.expect::<u8>("b", SOON).await.unwrap(), 2);
    let missing = client
        .expect::<u8>("c", Duration::from_millis(5))
        .await
        .unwrap_err();
    assert_eq!(
        missing.to_string(),
        r#"no event "c" within 5ms; received "a", "a""#
    );
    assert_eq!(client.expect::<u8>("a", SOON).await.unwrap(), 1);
    let unfit = client.expect::<String>("a", SOON).await.unwrap_err();
    assert!(matches!(unfit, TestError::Data(_)), "{unfit}");
    let missing = client
        .expect::<u8>("a", Duration::from_millis(5))
        .await
        .unwrap_err();
    assert_eq!(
        missing.to_string(),
        r#"no event "a" within 5ms; received nothing"#
    );
}

/// Several clients, rooms, and who is left out.
#[actix_web::test]
async fn broadcasts_reach_the_rooms_of_several_clients() {
    let io = start();
    io.of("/")
        .on(
            "join",
            |socket: Socket, Data(room): Data<String>| async move { socket.join(room).await },
        )
        .on(
            "say",
            |socket: Socket, Data((room, text)): Data<(String, String)>| async move {
                socket.to(room).emit("said", text).await
            },
        );
    let mut clients = Vec::new();
    for room in ["a", "a", "b"] {
        let client = TestClient::connect(&io).await.unwrap();
        client.emit("join", room).await.unwrap();
        clients.push(client);
    }
    clients[0].emit("say", ("a", "hello")).await.unwrap();
    let mut counts = Vec::new();
    for client in &clients {
        counts.push(client.received().await.len());
    }
    assert_eq!(counts, [0, 1, 0]);
}

/// Several namespaces by one session, each with its own events and its own end.
#[actix_web::test]
async fn one_session_has_several_namespaces() {
    let io = start();
    io.of("/chat")
        .middleware(|Auth(auth): Auth<Value>| async move {
            match auth["token"].is_null() {
                true => Err("token missing"),
                false => Ok(()),
            }
        });
    let main = TestClient::connect(&io).await.unwrap();
    assert_eq!(
        main.join("/chat").await.unwrap_err().to_string(),
        "refused: token missing"
    );
    let chat = main
        .join_with("/chat", &json!({ "token": 1 }))
        .await
        .unwrap();
    assert_eq!(io.clients_count(), 1);
    io.of("/chat").emit("e", 1).await.unwrap();
    assert_eq!(
        (main.received().await.len(), chat.received().await.len()),
        (0, 1)
    );
    chat.disconnect().await.unwrap();
    assert!(main.is_connected() && !chat.is_connected() && chat.id().is_none());
    for error in [
        chat.emit("e", ()).await.unwrap_err(),
        chat.call::<()>("e", ()).await.unwrap_err(),
        chat.disconnect().await.unwrap_err(),
    ] {
        assert_eq!(error.to_string(), "the client is not connected");
    }
    assert_eq!(io.of("/chat").count(), 0);
    let again = main
        .join_with("/chat", &json!({ "token": 1 }))
        .await
        .unwrap();
    assert!(again.is_connected());
}

/// The server disconnects a socket, or the whole session.
#[actix_web::test]
async fn the_server_disconnects() {
    let io = start();
    let client = TestClient::connect(&io).await.unwrap();
    let chat = {
        io.of("/chat");
        client.join("/chat").await.unwrap()
    };
    let still = client
        .disconnected(Duration::from_millis(5))
        .await
        .unwrap_err();
    assert_eq!(
        still.to_string(),
        "no end of the connection within 5ms; received nothing"
    );
    io.of("/").disconnect_sockets(false).await.unwrap();
    client.disconnected(SOON).await.unwrap();
    assert!(!client.is_connected() && chat.is_connected());
    io.of("/chat").disconnect_sockets(true).await.unwrap();
    chat.disconnected(SOON).await.unwrap();
    assert!(chat.emit("e", ()).await.is_err());
}

/// A client that is closed, or dropped with all its handles, is gone for the server.
#[actix_web::test]
async fn a_dropped_client_is_disconnected() {
    let io = start();
    let (left, mut leavers) = channel();
    io.of("/").on_disconnect(move |reason: DisconnectReason| {
        let _ = left.send(reason.as_str());
        async {}
    });
    TestClient::connect(&io).await.unwrap().close().await;
    assert_eq!(leavers.next().await, "transport close");
    let client = TestClient::connect(&io).await.unwrap();
    io.of("/chat");
    let chat = client.join("/chat").await.unwrap();
    drop(client);
    chat.settle().await;
    assert_eq!(leavers.so_far(), [""; 0]);
    drop(chat);
    assert_eq!(leavers.next().await, "transport close");
}

/// The program's own service takes part: what its pages have set is known at the handshake.
#[actix_web::test]
async fn the_programs_own_service_takes_part() {
    let io = start();
    io.of("/").on("who", |socket: Socket| async move {
        socket.handshake().cookie("user")
    });
    let log_in = || async {
        HttpResponse::Ok()
            .cookie(Cookie::new("user", "Ada"))
            .finish()
    };
    let app = App::new()
        .configure(io.routes())
        .route("/login", web::get().to(log_in));
    let app = Rc::new(test::init_service(app).await);
    let request = test::TestRequest::with_uri("/login").to_request();
    let page = test::call_service(&*app, request).await;
    let cookie = page.response().cookies().next().unwrap().into_owned();
    let known = TestClient::builder(&io)
        .service(Rc::clone(&app))
        .cookie(&cookie);
    let unknown = TestClient::builder(&io).service(app);
    for (client, user) in [(known, Some("Ada")), (unknown, None)] {
        let client = client.connect().await.unwrap();
        let who: Option<String> = client.call("who", ()).await.unwrap();
        assert_eq!(who.as_deref(), user);
    }
}

/// Paused time: a silent client goes after the ping's interval and timeout, and not before; a
/// client that answers stays.
#[actix_web::test]
async fn a_silent_client_times_out_in_paused_time() {
    pause_time();
    let io = start();
    let (left, mut leavers) = channel();
    io.of("/")
        .on_disconnect(move |socket: Socket, reason: DisconnectReason| {
            let _ = left.send((socket.id(), reason.as_str()));
            async {}
        });
    let silent = TestClient::builder(&io)
        .answers_pings(false)
        .connect()
        .await
        .unwrap();
    let lively = TestClient::connect(&io).await.unwrap();
    let id = silent.id().unwrap();
    advance(Duration::from_millis(44_900)).await;
    lively.settle().await;
    assert_eq!(leavers.so_far(), []);
    advance(Duration::from_millis(200)).await;
    silent.disconnected(SOON).await.unwrap();
    assert_eq!(leavers.so_far(), [(id, "ping timeout")]);
    for _ in 0..10 {
        advance(Duration::from_secs(10)).await;
        lively.settle().await;
    }
    assert!(lively.is_connected());
}

/// Paused time: a call times out, and a client that joins nothing is closed.
#[actix_web::test]
async fn calls_time_out_in_paused_time() {
    pause_time();
    let io = start();
    let client = TestClient::connect(&io).await.unwrap();
    let socket = io.of("/").socket(client.id().unwrap()).unwrap();
    let before = tokio::time::Instant::now();
    let answer = socket.call::<u8>("ask", ()).await;
    assert!(matches!(answer, Err(CallError::Timeout)), "{answer:?}");
    assert_eq!(before.elapsed().as_secs(), 60);
}
