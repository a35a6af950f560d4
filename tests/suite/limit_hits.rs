//! docs/operations.md, Limits: each limit that a client reaches is counted and reported by its name.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix_socketio::{
    Builder, Data, EngineMessage, EngineSession, Limit, LimitHit, SlowClientPolicy, Socket,
    SocketIo,
};

use crate::support::socketio::{Client, Via, until};
use crate::support::{Heard, Polling, Request, Server, WebSocket, channel};

/// The limit, the value and the namespace of a hit.
type Hit = (Limit, u64, Option<String>);

/// Starts a server, and hears each hit.
fn reported(
    build: impl FnOnce(Builder) -> Builder + Send + 'static,
    handlers: impl FnOnce(&SocketIo) + Send + 'static,
) -> (Server<SocketIo>, Heard<Hit>) {
    let (told, hits) = channel();
    let server = Server::socketio(
        move |io| {
            build(io).on_limit(move |hit: &LimitHit<'_>| {
                assert!(hit.address().is_some(), "{hit:?}");
                let namespace = hit.namespace().map(str::to_owned);
                told.send((hit.limit(), hit.value(), namespace)).unwrap();
            })
        },
        handlers,
    );
    (server, hits)
}

fn at(limit: Limit, value: u64, namespace: &str) -> Hit {
    (limit, value, Some(namespace.to_owned()))
}

/// Limits of HTTP requests and of sessions.
#[on_both_servers]
async fn limits_of_a_session_are_reported() {
    let soon = Duration::from_millis(50);
    let (server, mut hits) = reported(
        move |io| {
            io.handshake_limit(300)
                .max_payload(100)
                .max_attachments(1)
                .attachments_timeout(soon)
                .connect_timeout(Duration::from_millis(300))
                .upgrade_timeout(soon)
        },
        |_| (),
    );
    let target = server.target("EIO=4&transport=polling");
    let long = Request::get(server.address, &target).header("x-long", &"x".repeat(300));
    assert_eq!(long.send().await.status, 431);
    assert_eq!(hits.next().await, (Limit::HandshakeLimit, 300, None));

    let session = Polling::open(&server).await;
    session.post(&["40"]).await;
    assert_eq!(session.post_body("x".repeat(101)).await.status, 413);
    assert_eq!(hits.next().await, (Limit::MaxPayload, 100, None));
    let _silent = WebSocket::beside(&server, session.sid()).await;
    assert_eq!(hits.next().await, (Limit::UpgradeTimeout, 50, None));

    let mut client = Client::connected(&server, Via::WebSocket).await;
    client
        .send(&format!(r#"42["long","{}"]"#, "x".repeat(100)))
        .await;
    assert_eq!(hits.next().await, (Limit::MaxPayload, 100, None));
    let mut client = Client::connected(&server, Via::WebSocket).await;
    client.send(r#"452-["a"]"#).await;
    assert_eq!(hits.next().await, (Limit::MaxAttachments, 1, None));
    let mut client = Client::connected(&server, Via::WebSocket).await;
    client
        .send(r#"451-["a",{"_placeholder":true,"num":0}]"#)
        .await;
    assert_eq!(hits.next().await, (Limit::AttachmentsTimeout, 50, None));
    let _silent = Client::open(&server, Via::WebSocket).await;
    assert_eq!(hits.next().await, (Limit::ConnectTimeout, 300, None));

    let counts: HashMap<_, _> = server.io.limit_counts().collect();
    assert_eq!(counts[&Limit::MaxPayload], 2);
    assert_eq!(counts[&Limit::ConnectTimeout], 1);
    assert_eq!(counts[&Limit::AuthLimit], 0);
}

/// Registers handlers that join a room, call their client twice at once, and answer with 50 bytes.
fn handlers_at_their_limits(io: &SocketIo) {
    io.of_pattern("/p-{n}").unwrap();
    let namespace = io.of("/");
    let join =
        |socket: Socket, Data(room): Data<String>| async move { socket.join(room).await.is_ok() };
    namespace.on("join", join);
    namespace.on("call", |socket: Socket| async move {
        let first = actix_rt::spawn({
            let socket = socket.clone();
            async move { socket.call::<()>("a", ()).await.is_ok() }
        });
        tokio::task::yield_now().await;
        let second = socket.call::<()>("b", ()).await;
        first.abort();
        second.is_err()
    });
    namespace.on("large", || async { "x".repeat(50) });
}

/// Limits of namespaces, rooms, calls and answers.
#[on_both_servers]
async fn limits_of_a_socket_are_reported() {
    let (server, mut hits) = reported(
        |io| {
            io.auth_limit(10)
                .namespaces_per_session(2)
                .namespace_name_limit(8)
                .kept_namespaces(1)
                .rooms_per_socket(1)
                .room_name_limit(4)
                .pending_calls(1)
                .packet_limit(50)
        },
        handlers_at_their_limits,
    );
    let mut client = Client::connected(&server, Via::WebSocket).await;
    client
        .connect_with("/p-1", r#"{"token":"x"}"#)
        .await
        .unwrap_err();
    assert_eq!(hits.next().await, at(Limit::AuthLimit, 10, "/p-1"));
    client.connect_with("/p-12345678", "").await.unwrap_err();
    assert_eq!(
        hits.next().await,
        at(Limit::NamespaceNameLimit, 8, "/p-12345678")
    );
    client.connect("/p-1").await;
    client.connect_with("/p-2", "").await.unwrap_err();
    assert_eq!(
        hits.next().await,
        at(Limit::NamespacesPerSession, 2, "/p-2")
    );
    let mut other = Client::open(&server, Via::Polling).await;
    other.connect_with("/p-2", "").await.unwrap_err();
    assert_eq!(hits.next().await, at(Limit::KeptNamespaces, 1, "/p-2"));

    client.send(r#"420["join","abcde"]"#).await;
    client.expect("430[false]").await;
    assert_eq!(hits.next().await, at(Limit::RoomNameLimit, 4, "/"));
    client
        .send_all(&[r#"421["join","abcd"]"#, r#"422["join","abc"]"#])
        .await;
    client.expect("431[true]").await;
    client.expect("432[false]").await;
    assert_eq!(hits.next().await, at(Limit::RoomsPerSocket, 1, "/"));
    client.send(r#"423["large"]"#).await;
    client.next().await;
    assert_eq!(hits.next().await, at(Limit::PacketLimit, 50, "/"));
    client.send(r#"424["call"]"#).await;
    assert_eq!(hits.next().await, at(Limit::PendingCalls, 1, "/"));
    assert_eq!(hits.so_far(), []);
}

/// An event of the program that is too large, to one socket and to many. With recovery the head of
/// the packet does not count.
#[on_both_servers]
async fn an_event_to_clients_that_is_too_large_is_reported() {
    for (is_recovered, fits) in [(false, 88), (true, 98)] {
        let (told, mut hits) = channel();
        let (entered, mut sockets) = channel();
        let server = Server::socketio(
            move |io| {
                let io = io.packet_limit(100).on_limit(move |hit: &LimitHit<'_>| {
                    let (namespace, event) = (hit.namespace().unwrap(), hit.event().unwrap());
                    assert_eq!((namespace, event), ("/", "news"));
                    assert_eq!(hit.address().is_some(), hit.socket_id().is_some());
                    told.send((hit.limit(), hit.value(), hit.socket_id()))
                        .unwrap();
                });
                match is_recovered {
                    true => io.connection_state_recovery(Duration::from_secs(60)),
                    false => io,
                }
            },
            move |io| {
                io.of("/").on_connect(move |socket: Socket| {
                    entered.send(socket).unwrap();
                    async {}
                });
            },
        );
        let mut client = Client::connected(&server, Via::WebSocket).await;
        let socket = sockets.next().await;
        socket.join("room").await.unwrap();
        let (fitting, large) = ("x".repeat(fits), "x".repeat(fits + 1));
        let packet = |text: &str| format!(r#"42["news","{text}""#);
        let everyone = server.io.of("/");

        socket.emit("news", &fitting).await.unwrap();
        everyone.emit("news", &fitting).await.unwrap();
        everyone.to("room").emit("news", &fitting).await.unwrap();
        for _ in 0..3 {
            assert!(client.text().await.starts_with(&packet(&fitting)));
        }
        assert_eq!(hits.so_far(), []);

        let of_socket = (Limit::PacketLimit, 100, Some(socket.id()));
        socket.emit("news", &large).await.unwrap_err();
        assert_eq!(hits.next().await, of_socket);
        let call = socket.call::<()>("news", "x".repeat(100)).await;
        call.unwrap_err();
        assert_eq!(hits.next().await, of_socket);
        let of_many = (Limit::PacketLimit, 100, None);
        everyone.emit("news", &large).await.unwrap_err();
        assert_eq!(hits.next().await, of_many);
        everyone.to("room").emit("news", &large).await.unwrap_err();
        assert_eq!(hits.next().await, of_many);
        let mut counts = server.io.limit_counts();
        assert!(counts.any(|count| count == (Limit::PacketLimit, 4)));
    }
}

/// A message of a raw server that is too large.
#[on_both_servers]
async fn a_raw_message_that_is_too_large_is_reported() {
    let (told, mut hits) = channel();
    let (opened, mut sessions) = channel();
    let server = Server::engineio(move |builder| {
        builder
            .packet_limit(100)
            .on_limit(move |hit| told.send((hit.limit(), hit.value())).unwrap())
            .on_open(move |session: EngineSession| {
                opened.send(session).unwrap();
                async {}
            })
    });
    let _client = Polling::open(&server).await;
    let session = sessions.next().await;
    let message = |bytes| EngineMessage::Text("x".repeat(bytes));
    assert!(session.send(&message(100)).is_ok());
    assert!(session.send(&message(101)).is_err());
    assert_eq!(hits.next().await, (Limit::PacketLimit, 100));
}

/// A full outbox is reported outside of all locks: the hook may send to the same sockets.
#[on_both_servers]
async fn a_hook_may_use_the_sockets_whose_outbox_is_full() {
    for policy in [SlowClientPolicy::Disconnect, SlowClientPolicy::Drop] {
        let (told, mut hits) = channel();
        let handle: Arc<OnceLock<SocketIo>> = Arc::default();
        let in_hook = Arc::clone(&handle);
        let server = Server::socketio(
            move |io| {
                io.outbox_limit(1000)
                    .packet_limit(2000)
                    .slow_client_policy(policy)
                    .connection_state_recovery(Duration::from_secs(60))
                    .on_limit(move |hit: &LimitHit<'_>| {
                        let io = in_hook.get().unwrap();
                        let sent = io.volatile().emit_sync("alarm", ());
                        told.send((hit.limit(), sent.is_ok(), io.of("/").rooms().len()))
                            .unwrap();
                    })
            },
            move |io| drop(handle.set(io.clone())),
        );
        let mut client = Client::open(&server, Via::Polling).await;
        client.send("40").await;
        client.settle().await;
        until("the socket to connect", || server.io.of("/").count() == 1).await;
        // The client does not poll.
        for _ in 0..4 {
            server.io.emit_sync("news", "x".repeat(900)).unwrap();
        }
        assert_eq!(hits.next().await, (Limit::OutboxLimit, true, 0));
        let count = server.io.limit_counts();
        let (_, hits) = count
            .into_iter()
            .find(|(limit, _)| *limit == Limit::OutboxLimit)
            .unwrap();
        assert!(hits > 0, "{policy:?}");
    }
}
