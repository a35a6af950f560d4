//! The arguments of handlers: the server, the namespace, and any value with binary.

use std::sync::Arc;

use actix_socketio::{
    AnyValue, Bytes, Data, Handshake, Namespace, NamespaceHandlers, Registrar, SocketIo,
};
use serde::Deserialize;
use tokio::sync::mpsc::UnboundedSender;

use crate::support::socketio::{BOTH, Client, Via, start, until};
use crate::support::{Server, channel};

/// The server and the namespace that a handler got.
#[derive(Debug, PartialEq)]
struct Found {
    handler: &'static str,
    namespace: String,
    clients: usize,
}

/// Makes a handler of any kind that takes the server and the namespace.
fn finding(
    handler: &'static str,
    told: &UnboundedSender<Found>,
) -> impl Fn(SocketIo, Namespace) -> std::future::Ready<()> + Send + Sync + use<> {
    let told = told.clone();
    move |io: SocketIo, namespace: Namespace| {
        let _ = told.send(Found {
            handler,
            namespace: namespace.name().to_owned(),
            clients: io.clients_count(),
        });
        std::future::ready(())
    }
}

/// An object whose methods take them too.
struct Finder(UnboundedSender<Found>);

impl Finder {
    async fn find(self: Arc<Self>, io: SocketIo, namespace: Namespace) {
        finding("method", &self.0)(io, namespace).await;
    }
}

impl NamespaceHandlers for Finder {
    fn register(methods: &Registrar<'_, Self>) {
        methods.on("method", Self::find);
    }
}

/// `SocketIo` and `Namespace` are arguments of every kind of handler, in a namespace that ends with
/// its last client too.
#[on_both_servers]
async fn every_handler_may_take_the_server_and_the_namespace() {
    let server = start();
    let (told, mut found) = channel();
    let games = server.io.of_pattern("/game/{id}").unwrap();
    games
        .remove_when_empty()
        .middleware(finding("middleware", &told))
        .on_connect(finding("connect", &told))
        .on("event", finding("event", &told))
        .on_any(finding("any", &told))
        .fallback(finding("fallback", &told))
        .on_disconnecting(finding("disconnecting", &told))
        .on_disconnect(finding("disconnect", &told));
    games.register(Finder(told));
    for (via, namespace) in BOTH.into_iter().zip(["/game/1", "/game/2"]) {
        let mut client = Client::open(&server, via).await;
        client.connect(namespace).await;
        for event in ["event", "method", "other"] {
            client.send(&format!(r#"42{namespace},1["{event}"]"#)).await;
            client.expect(&format!("43{namespace},1[]")).await;
        }
        client.send(&format!("41{namespace},")).await;
        for handler in [
            "middleware",
            "connect",
            "any",
            "event",
            "any",
            "method",
            "any",
            "fallback",
            "disconnecting",
            "disconnect",
        ] {
            let expected = Found {
                handler,
                namespace: namespace.to_owned(),
                clients: 1,
            };
            assert_eq!(found.next().await, expected);
        }
        client.close().await;
        until("the session to end", || {
            server.io.clients_count() == 0 && server.io.namespace(namespace).is_none()
        })
        .await;
    }
}

/// The server that a handler takes is the server: what it emits reaches clients of all namespaces.
#[on_both_servers]
async fn the_server_of_a_handler_is_its_server() {
    let server = start();
    server.io.of("/news");
    server
        .io
        .of("/")
        .on("tell", |io: SocketIo, Data(text): Data<String>| async move {
            io.of("/news").emit("told", text).await
        });
    for via in BOTH {
        let mut reader = Client::open(&server, via).await;
        reader.connect("/news").await;
        let mut client = Client::connected(&server, via).await;
        client.send(r#"421["tell","hello"]"#).await;
        client.expect("431[]").await;
        reader.expect(r#"42/news,["told","hello"]"#).await;
    }
}

/// `AnyValue` takes whatever comes, binary at any depth, and goes back as it came.
#[on_both_servers]
async fn any_value_is_echoed_with_its_binary() {
    let server = start();
    server
        .io
        .of("/")
        .on("echo", |Data(any): Data<AnyValue>| async move { any })
        .on(
            "second",
            |Data((_, any)): Data<(u8, AnyValue)>| async move {
                any["data"][1].as_bytes().map(Bytes::len)
            },
        );
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        for json in ["null", "[1,2.5,\"a\",true]", r#"{"a":{"b":[]},"num":0}"#] {
            client.send(&format!(r#"421["echo",{json}]"#)).await;
            client.expect(&format!("431[{json}]")).await;
        }
        let tree = r#"{"a":{"_placeholder":true,"num":0},"b":[{"_placeholder":true,"num":1}]}"#;
        let attachments: [&[u8]; 2] = [&[1, 2], &[0xFF]];
        client
            .send_binary(&format!(r#"452-2["echo",{tree}]"#), &attachments)
            .await;
        client
            .expect_binary(&format!("462-2[{tree}]"), &attachments)
            .await;
        let packet = r#"451-3["second",7,{"data":[0,{"_placeholder":true,"num":0}]}]"#;
        client.send_binary(packet, &[&[0; 300]]).await;
        client.expect("433[300]").await;
    }
}

#[derive(Debug, Deserialize)]
struct Upload {
    data: Bytes,
}

/// `Bytes` are attachments: a text or an array of numbers is refused, wherever it stands, and says
/// what to send.
#[on_both_servers]
async fn bytes_refuse_what_is_no_binary() {
    let server = start();
    server
        .io
        .of("/")
        .on("bytes", |Data(data): Data<Bytes>| async move { data.len() })
        .on("pair", |Data((_, data)): Data<(u8, Bytes)>| async move {
            data.len()
        })
        .on("maybe", |Data(data): Data<Option<Bytes>>| async move {
            data.is_some()
        })
        .on("upload", |Data(upload): Data<Upload>| async move {
            upload.data.len()
        });
    let mut client = Client::connected(&server, Via::WebSocket).await;
    for (event, args, found) in [
        ("bytes", r#""abc""#, "a text"),
        ("bytes", "[1,2]", "an array"),
        ("pair", r#"1,"abc""#, "a text"),
        ("maybe", "[]", "an array"),
        ("upload", r#"{"data":"abc"}"#, "a text"),
        ("upload", r#"{"data":[97]}"#, "an array"),
    ] {
        client.send(&format!(r#"421["{event}",{args}]"#)).await;
        let answer = client.text().await;
        let told = format!("expected binary, got {found}: a client sends binary as an ArrayBuffer");
        assert!(answer.contains(&told), "{event} {args}: {answer}");
    }
    client.send(r#"421["maybe",null]"#).await;
    client.expect("431[false]").await;
    // The answer of a call is read by the same rule.
    server.io.of("/calls");
    let id = client.connect("/calls").await;
    let socket = server.io.of("/calls").socket(id.parse().unwrap()).unwrap();
    let call = tokio::spawn(async move { socket.call::<Bytes>("ask", ()).await });
    let packet = client.text().await;
    let number = packet
        .strip_prefix("42/calls,")
        .and_then(|rest| rest.strip_suffix(r#"["ask"]"#))
        .unwrap();
    client.send(&format!(r#"43/calls,{number}["abc"]"#)).await;
    let error = call.await.unwrap().unwrap_err().to_string();
    assert!(error.contains("expected binary, got a text"), "{error}");
}

/// Binary for a type that takes none says that `Bytes` take it.
#[on_both_servers]
async fn binary_for_a_list_of_numbers_says_to_use_bytes() {
    let server = start();
    server
        .io
        .of("/")
        .on("list", |Data(list): Data<Vec<u8>>| async move { list })
        .on(
            "json",
            |Data(json): Data<serde_json::Value>| async move { json },
        );
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        for (event, told) in [
            ("list", "if it is binary, read it as `Bytes`"),
            ("json", "read it as `AnyValue`"),
        ] {
            let packet = format!(r#"451-1["{event}",{{"_placeholder":true,"num":0}}]"#);
            client.send_binary(&packet, &[&[1, 2]]).await;
            let answer = client.text().await;
            assert!(answer.contains(told), "{answer}");
        }
        client.send(r#"421["list",[1,2]]"#).await;
        client.expect("431[[1,2]]").await;
    }
}

/// A handshake is serialized without what may be secret.
#[on_both_servers]
async fn a_handshake_is_sent_without_secrets() {
    let server = start();
    server
        .io
        .of("/")
        .on("who", |handshake: Handshake| async move { handshake });
    let headers = [
        ("Cookie", "id=secret"),
        ("Authorization", "Bearer secret"),
        ("User-Agent", "Lynx"),
    ];
    let mut client = Client::open_with(&server, Via::Polling, &headers).await;
    client.connect("/").await;
    client.send(r#"421["who"]"#).await;
    let answer = client.text().await;
    assert!(answer.contains(r#""user-agent":"Lynx""#), "{answer}");
    assert!(answer.contains(r#""path":"/socket.io/""#), "{answer}");
    assert!(answer.contains(r#""address":"127.0.0.1""#), "{answer}");
    assert!(!answer.contains("secret"), "{answer}");
}

/// A disconnect handler gets the server while it is being stopped.
#[on_both_servers]
async fn the_server_is_there_for_the_last_handlers() {
    let server: Server<SocketIo> = start();
    let (told, mut heard) = channel();
    server
        .io
        .of("/")
        .on_disconnect(move |io: SocketIo, namespace: Namespace| {
            let _ = told.send((namespace.name().to_owned(), io.namespace("/").is_some()));
            std::future::ready(())
        });
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client.send(r#"42["nothing"]"#).await;
        if via == Via::WebSocket {
            server.io.close(std::time::Duration::from_secs(5)).await;
        } else {
            client.close().await;
        }
        assert_eq!(heard.next().await, ("/".to_owned(), true));
    }
}
