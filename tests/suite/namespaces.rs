//! Namespaces that are made when the first client asks for them.

use std::collections::HashMap;
use std::future::{Ready, ready};

use actix_socketio::{ConnectError, Data, Namespace, Params, Socket};
use serde::Deserialize;
use tokio::sync::mpsc::UnboundedSender;

use crate::support::channel;
use crate::support::socketio::{BOTH, Client, Via, start, until};

#[derive(Debug, Deserialize)]
struct Shop {
    id: u32,
}

/// A name that fits is a namespace of its own, with the pattern's handlers and its parameters.
#[on_both_servers]
async fn a_name_that_fits_is_a_namespace_with_its_parameters() {
    let server = start();
    let shops = server.io.of_pattern("/shop-{id}").unwrap();
    shops.on("which", |Params(shop): Params<Shop>| async move { shop.id });
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        for id in ["7", "8"] {
            let namespace = format!("/shop-{id}");
            client.connect(&namespace).await;
            client.send(&format!(r#"42{namespace},1["which"]"#)).await;
            client.expect(&format!("43{namespace},1[{id}]")).await;
        }
        let refused = client.connect_with("/shop", "").await;
        assert_eq!(refused.unwrap_err(), r#"{"message":"Invalid namespace"}"#);
    }
    assert_eq!(shops.namespaces().len(), 2);
}

/// Parameters that do not fit are a rejection that names them: of the event, or of the client.
#[on_both_servers]
async fn parameters_of_another_type_are_a_named_rejection() {
    let server = start();
    server
        .io
        .of_pattern("/shop-{id}")
        .unwrap()
        .on("which", |Params(shop): Params<Shop>| async move { shop.id })
        .on(
            "all",
            |Params(all): Params<HashMap<String, String>>| async move { all },
        );
    server
        .io
        .of("/")
        .on("none", |Params(shop): Params<Shop>| async move { shop.id });
    let mut client = Client::connected(&server, Via::WebSocket).await;
    client.connect("/shop-x y&z=%20").await;
    client.send(r#"42/shop-x y&z=%20,1["which"]"#).await;
    let answer = client.text().await;
    let told = r#"43/shop-x y&z=%20,1[{"error":"invalid namespace parameters: invalid digit"#;
    assert!(answer.starts_with(told), "{answer}");
    client.send(r#"42/shop-x y&z=%20,2["all"]"#).await;
    client
        .expect(r#"43/shop-x y&z=%20,2[{"id":"x y&z=%20"}]"#)
        .await;
    client.send(r#"421["none"]"#).await;
    let told = r#"431[{"error":"invalid namespace parameters: missing field `id`"}]"#;
    client.expect(told).await;
}

/// A predicate sees the name and the client's payload; one that panics takes nobody.
#[on_both_servers]
async fn a_predicate_sees_the_name_and_the_payload() {
    let server = start();
    server.io.of_predicate(|name, auth| {
        assert_ne!(name, "/panic");
        name.starts_with("/game/") && auth["token"] == "t"
    });
    let mut client = Client::open(&server, Via::WebSocket).await;
    for (name, auth, enters) in [
        ("/game/1", r#"{"token":"t"}"#, true),
        ("/game/2", "", false),
        ("/panic", r#"{"token":"t"}"#, false),
        ("/other", r#"{"token":"t"}"#, false),
        // It is there by now: nobody is asked any more.
        ("/game/1", "", true),
    ] {
        let mut another = Client::open(&server, Via::Polling).await;
        let client = if enters { &mut another } else { &mut client };
        let entered = client.connect_with(name, auth).await;
        assert_eq!(entered.is_ok(), enters, "{name}");
    }
}

/// The first pattern that takes a name makes it; handlers that are added later serve it too.
#[on_both_servers]
async fn patterns_are_tried_in_order_and_may_get_handlers_later() {
    let server = start();
    let first = server.io.of_pattern("/{a}-{b}").unwrap();
    let second = server.io.of_pattern("/{all}").unwrap();
    let mut client = Client::open(&server, Via::WebSocket).await;
    client.connect("/x-y").await;
    client.connect("/z").await;
    for (pattern, name) in [(&first, "first"), (&second, "second")] {
        pattern.on("who", move || async move { name });
    }
    client.send(r#"42/x-y,1["who"]"#).await;
    client.expect(r#"43/x-y,1["first"]"#).await;
    client.send(r#"42/z,2["who"]"#).await;
    client.expect(r#"43/z,2["second"]"#).await;
}

/// Two clients that are first at the same time meet in one namespace.
#[on_both_servers]
async fn two_concurrent_first_clients_share_one_namespace() {
    let server = start();
    let (made, mut making) = channel();
    server.io.on_new_namespace(move |namespace: &Namespace| {
        let _ = made.send(namespace.name().to_owned());
    });
    let rooms = server.io.of_pattern("/room/{n}").unwrap();
    rooms.remove_when_empty().on(
        "all",
        |socket: Socket, Data(text): Data<String>| async move {
            socket.everyone().emit("said", text).await
        },
    );
    for n in 0..50 {
        let name = format!("/room/{n}");
        let mut clients = Vec::new();
        for via in [Via::WebSocket, Via::WebSocket, Via::Polling] {
            clients.push(Client::open(&server, via).await);
        }
        for client in &mut clients {
            client.send(&format!("40{name},")).await;
        }
        for client in &mut clients {
            client.expect_connect(&name).await;
        }
        assert_eq!(making.so_far(), [name.as_str()]);
        clients[0].send(&format!(r#"42{name},["all","x"]"#)).await;
        for client in &mut clients {
            client.expect(&format!(r#"42{name},["said","x"]"#)).await;
        }
        for client in clients {
            client.close().await;
        }
        until("the namespace to go", || rooms.namespaces().is_empty()).await;
    }
}

/// `remove_when_empty`: a namespace goes with its last client, also with one that was refused; the
/// next one gets a new one. One that the program has named stays.
#[on_both_servers]
async fn an_empty_namespace_is_freed_where_asked() {
    let server = start();
    let freed = server.io.of_pattern("/freed-{n}").unwrap();
    freed
        .remove_when_empty()
        .on_connect(|socket: Socket| async move {
            match socket.namespace() {
                "/freed-no" => Err(ConnectError::new("no")),
                _ => Ok(()),
            }
        });
    let kept = server.io.of_pattern("/kept-{n}").unwrap();
    server.io.of("/freed-named");
    let names = |of: &actix_socketio::NamespacePattern| {
        let mut names: Vec<_> = of
            .namespaces()
            .iter()
            .map(|one| one.name().to_owned())
            .collect();
        names.sort();
        names
    };
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        for name in ["/freed-1", "/freed-named", "/kept-1"] {
            client.connect(name).await;
        }
        client.connect_with("/freed-no", "").await.unwrap_err();
        until("the refused one to go", || {
            names(&freed) == ["/freed-1", "/freed-named"]
        })
        .await;
        client.send("41/freed-1,").await;
        until("it to go", || names(&freed) == ["/freed-named"]).await;
        client.connect("/freed-1").await;
        client.close().await;
        until("it to go again", || names(&freed) == ["/freed-named"]).await;
        assert_eq!(names(&kept), ["/kept-1"]);
    }
}

/// A pattern's emit reaches everyone in all its namespaces, and nobody else.
#[on_both_servers]
async fn a_pattern_emits_to_all_its_namespaces() {
    let server = start();
    let shops = server.io.of_pattern("/shop-{id}").unwrap();
    let mut client = Client::connected(&server, Via::WebSocket).await;
    client.connect("/shop-1").await;
    client.connect("/shop-2").await;
    shops.emit("sale", 50).await.unwrap();
    let mut came = [client.text().await, client.text().await];
    came.sort();
    assert_eq!(
        came,
        [r#"42/shop-1,["sale",50]"#, r#"42/shop-2,["sale",50]"#]
    );
    client.expect_nothing_more("/").await;
    let error = shops.emit("connect", ()).await.unwrap_err();
    assert_eq!(error.to_string(), r#"event name "connect" is reserved"#);
}

/// A text that is no pattern is an error with the reason.
#[on_both_servers]
async fn invalid_pattern_is_an_error_with_its_cause() {
    let server = start();
    let error = server.io.of_pattern("/shop-{id").unwrap_err();
    let told = r#"namespace pattern "/shop-{id": a brace is not closed"#;
    assert_eq!(error.to_string(), told);
}

/// `SocketIo::namespace` finds what there is, and makes nothing.
#[on_both_servers]
async fn a_lookup_makes_no_namespace() {
    let server = start();
    let (made, mut heard) = channel();
    server.io.of_pattern("/shop-{id}").unwrap();
    server.io.on_new_namespace(move |namespace| {
        let _ = made.send(namespace.name().to_owned());
    });
    for name in ["/nowhere", "nowhere", "/shop-1"] {
        assert!(server.io.namespace(name).is_none(), "{name}");
    }
    assert_eq!(server.io.namespace("/").unwrap().name(), "/");
    let mut client = Client::open(&server, Via::WebSocket).await;
    client.connect_with("/nowhere", "").await.unwrap_err();
    client.connect("/shop-1").await;
    assert_eq!(server.io.namespace("shop-1").unwrap().count(), 1);
    assert_eq!(heard.so_far(), ["/shop-1"]);
}

/// Makes a handler that tells who it is and where, and answers with the former.
fn answering(
    who: &'static str,
    told: &UnboundedSender<String>,
) -> impl Fn(Socket) -> Ready<&'static str> + Send + Sync + use<> {
    let told = told.clone();
    move |socket: Socket| {
        let _ = told.send(format!("{who} {}", socket.namespace()));
        ready(who)
    }
}

/// Makes one that only tells.
fn telling(
    who: &'static str,
    told: &UnboundedSender<String>,
) -> impl Fn(Socket) -> Ready<()> + Send + Sync + use<> {
    let told = told.clone();
    move |socket: Socket| {
        let _ = told.send(format!("{who} {}", socket.namespace()));
        ready(())
    }
}

/// `SocketIo::all_namespaces`: handlers for those that are named before and after, and for those of
/// patterns; the namespace's own come in the documented order.
#[on_both_servers]
async fn handlers_for_all_namespaces_are_called_in_each() {
    let server = start();
    let (told, mut heard) = channel();
    let own = server.io.of("/named");
    own.middleware(telling("own middleware", &told))
        .on_connect(telling("own connect", &told))
        .on("both", answering("own both", &told))
        .on_disconnect(telling("own disconnect", &told));
    server
        .io
        .all_namespaces()
        .middleware(telling("all middleware", &told))
        .on_connect(telling("all connect", &told))
        .on("both", answering("all both", &told))
        .fallback(answering("all fallback", &told))
        .on_disconnect(telling("all disconnect", &told));
    server
        .io
        .of("/later")
        .fallback(answering("own fallback", &told));
    let shops = server.io.of_pattern("/shop-{id}").unwrap();
    shops.on("both", answering("own both", &told));
    let table = [
        (
            "/named",
            "own both",
            "all fallback",
            "all middleware, own middleware, all connect, own connect, own both, all both, \
             all fallback, own disconnect, all disconnect",
        ),
        (
            "/later",
            "all both",
            "own fallback",
            "all middleware, all connect, all both, own fallback, all disconnect",
        ),
        (
            "/shop-1",
            "own both",
            "all fallback",
            "all middleware, all connect, own both, all both, all fallback, all disconnect",
        ),
    ];
    for via in BOTH {
        for (namespace, both, other, all) in table {
            let mut client = Client::open(&server, via).await;
            client.connect(namespace).await;
            for (event, answer) in [("both", both), ("other", other)] {
                client.send(&format!(r#"42{namespace},1["{event}"]"#)).await;
                client
                    .expect(&format!(r#"43{namespace},1["{answer}"]"#))
                    .await;
            }
            client.send(&format!("41{namespace},")).await;
            for who in all.split(", ") {
                assert_eq!(heard.next().await, format!("{who} {namespace}"));
            }
        }
    }
}

/// Handlers for all namespaces may come and go while clients are connected; what a namespace has of
/// its own stays.
#[on_both_servers]
async fn handlers_for_all_namespaces_may_change_at_any_time() {
    let server = start();
    let all = server.io.all_namespaces();
    server.io.of("/").on("own", || async { "own" });
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client.send(r#"421["late"]"#).await;
        client
            .expect(r#"431[{"error":"no handler for event \"late\""}]"#)
            .await;
        all.on("late", || async { "late" })
            .on("own", || async { "all" });
        client.send(r#"422["late"]"#).await;
        client.expect(r#"432["late"]"#).await;
        client.send(r#"423["own"]"#).await;
        client.expect(r#"433["own"]"#).await;
        assert!(all.off("late") && all.off("own") && !all.off("late"));
        client.send(r#"424["own"]"#).await;
        client.expect(r#"434["own"]"#).await;
    }
    assert!(server.io.of("/").off("own"));
}
