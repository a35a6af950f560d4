//! docs/operations.md, Reasons: a client is told why it is disconnected, and the program why a
//! session has ended.

use std::time::Duration;

use actix_socketio::{
    Builder, DisconnectNotice, DisconnectReason, DisconnectSockets, EmitError, Socket, SocketIo,
};
use serde_json::json;

#[cfg(feature = "redis")]
use crate::support::redis::{Format, Redis};
use crate::support::socketio::{BOTH, Client, Peer, Via, find, leavers, start, until};
use crate::support::{Heard, Server, channel};

/// Hears the reason of each disconnect from `/`, and the reason that the server gave for it.
fn reasons(io: &SocketIo) -> Heard<(&'static str, Option<String>)> {
    let (told, heard) = channel();
    io.of("/")
        .on_disconnect(move |socket: Socket, reason: DisconnectReason| {
            let notice = socket.disconnect_notice();
            let notice = notice.map(|notice| notice.reason().to_owned());
            let _ = told.send((reason.as_str(), notice));
            async {}
        });
    heard
}

fn given(reason: &'static str, notice: &str) -> (&'static str, Option<String>) {
    (reason, Some(notice.to_owned()))
}

/// The event, then DISCONNECT; the other sockets of the client stay.
#[on_both_servers]
async fn the_reason_arrives_before_the_disconnect() {
    let server = start();
    server.io.of("/chat");
    let mut left = reasons(&server.io);
    for via in BOTH {
        let Peer { mut client, socket } = Peer::enter(&server, via, &[]).await;
        client.connect("/chat").await;
        socket.emit("before", ()).await.unwrap();
        let notice = DisconnectNotice::new("kicked").with_data(json!({ "by": "Ada" }));
        socket.disconnect_with(notice.clone()).unwrap();
        assert_eq!(socket.disconnect_notice(), Some(notice));
        let again = socket.disconnect_with("again").unwrap_err();
        assert!(matches!(again, EmitError::Disconnected), "{again}");
        client.expect(r#"42["before"]"#).await;
        let told = r#"42["disconnect_reason",{"reason":"kicked","data":{"by":"Ada"}}]"#;
        client.expect(told).await;
        client.expect("41").await;
        let gone = given("server namespace disconnect", "kicked");
        assert_eq!(left.next().await, gone);
        client.expect_nothing_more("/chat").await;
        // The next socket of the client has no notice.
        let id = client.connect("/").await;
        assert_eq!(find(&server.io.of("/"), &id).disconnect_notice(), None);
        client.close().await;
        assert_eq!(left.next().await, ("transport close", None));
    }
}

/// `close`: DISCONNECT in every namespace, then the end of the session.
#[on_both_servers]
async fn close_ends_all_sockets_of_the_client() {
    let server = Server::socketio(|io| io.disconnect_event("bye"), |_| ());
    server.io.of("/chat");
    let mut left = reasons(&server.io);
    for via in BOTH {
        let Peer { mut client, socket } = Peer::enter(&server, via, &[]).await;
        client.connect("/chat").await;
        socket
            .disconnect_with(DisconnectNotice::new("banned").close())
            .unwrap();
        client.expect(r#"42["bye",{"reason":"banned"}]"#).await;
        client.expect("41").await;
        client.expect("41/chat,").await;
        client.expect_close().await;
        let gone = given("server namespace disconnect", "banned");
        assert_eq!(left.next().await, gone);
    }
}

/// `reconnect`: the transport closes without DISCONNECT, which official clients take for an outage.
#[on_both_servers]
async fn reconnect_closes_the_transport_without_disconnect() {
    let server = start();
    let mut left = reasons(&server.io);
    let mut chat = leavers(&server.io.of("/chat"));
    for via in BOTH {
        let Peer { mut client, socket } = Peer::enter(&server, via, &[]).await;
        client.connect("/chat").await;
        let notice = DisconnectNotice::new("new version").reconnect();
        assert!(notice.reconnects());
        socket.disconnect_with(notice).unwrap();
        let told = r#"42["disconnect_reason",{"reason":"new version"}]"#;
        client.expect(told).await;
        client.expect_close().await;
        let gone = given("reconnect requested", "new version");
        assert_eq!(left.next().await, gone);
        assert_eq!(chat.next().await, "reconnect requested");
    }
}

/// The event is vital: it needs no room below `outbox_limit`.
#[on_both_servers]
async fn the_reason_fits_into_an_outbox_that_is_full() {
    for reconnects in [false, true] {
        let build = |io: Builder| {
            let io = io.outbox_limit(1000).packet_limit(400);
            io.emit_timeout(Duration::from_millis(50))
        };
        let server = Server::socketio(build, |_| ());
        let Peer { mut client, socket } = Peer::enter(&server, Via::Polling, &[]).await;
        let mut sent = 0;
        while socket.emit_sync("x", "x".repeat(100)).is_ok() {
            sent += 1;
        }
        assert!(sent > 3, "{sent}");
        let notice = DisconnectNotice::new("too slow");
        socket
            .disconnect_with(if reconnects {
                notice.reconnect()
            } else {
                notice
            })
            .unwrap();
        for _ in 0..sent {
            client.text().await;
        }
        client
            .expect(r#"42["disconnect_reason",{"reason":"too slow"}]"#)
            .await;
        match reconnects {
            true => client.expect_close().await,
            false => client.expect("41").await,
        }
    }
}

/// A reason that is larger than a packet may be is not sent; the client is disconnected.
#[on_both_servers]
async fn a_reason_that_cannot_be_sent_disconnects_all_the_same() {
    for (event, length) in [("disconnect_reason", 1000), ("connect_error", 1)] {
        let server = Server::socketio(
            move |io| io.packet_limit(1000).disconnect_event(event),
            |_| (),
        );
        let Peer { mut client, socket } = Peer::enter(&server, Via::WebSocket, &[]).await;
        let error = socket.disconnect_with("x".repeat(length)).unwrap_err();
        assert!(!matches!(error, EmitError::Disconnected), "{error}");
        client.expect("41").await;
    }
}

/// A client whose connect handler still runs is refused with the reason.
#[on_both_servers]
async fn a_connecting_client_gets_the_reason_in_its_connect_error() {
    let server = start();
    server.io.of("/").on_connect(|socket: Socket| async move {
        let notice = DisconnectNotice::new("full").with_data(7);
        socket.disconnect_with(notice)
    });
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        let refused = client.connect_with("/", "").await;
        assert_eq!(refused.unwrap_err(), r#"{"message":"full","data":7}"#);
    }
}

/// The observers of outgoing events see the event as any other.
#[on_both_servers]
async fn observers_of_outgoing_events_see_the_reason() {
    let server = start();
    let (seen, mut events) = channel();
    server.io.of("/").on_any_outgoing(move |event| {
        let _ = seen.send((event.name().to_owned(), event.args().as_json().to_owned()));
    });
    let peer = Peer::enter(&server, Via::WebSocket, &[]).await;
    peer.socket.disconnect_with("kicked").unwrap();
    let event = events.next().await;
    let told = r#"{"reason":"kicked"}"#.to_owned();
    assert_eq!(event, ("disconnect_reason".to_owned(), told));
}

/// A broadcast and an actor's message disconnect many.
#[on_both_servers]
async fn many_are_told_by_a_broadcast_and_by_a_message() {
    let server = start();
    let mut left = reasons(&server.io);
    for by_message in [false, true] {
        let mut banned = Peer::enter(&server, Via::WebSocket, &["banned"]).await;
        let mut other = Peer::enter(&server, Via::Polling, &[]).await;
        let gone = if by_message {
            let message = DisconnectSockets::default().to("banned").with("rules");
            let server = server.io.server();
            server.send(message).await.unwrap().unwrap()
        } else {
            let banned = server.io.to("banned");
            banned.disconnect_sockets_with("rules").await.unwrap()
        };
        assert_eq!(gone, 1);
        let told = r#"42["disconnect_reason",{"reason":"rules"}]"#;
        banned.expect(told).await;
        banned.expect("41").await;
        let reason = given("server namespace disconnect", "rules");
        assert_eq!(left.next().await, reason);
        other.client.expect_nothing_more("/").await;
        let message = DisconnectSockets::default()
            .with(DisconnectNotice::new("over"))
            .close();
        server.io.server().send(message).await.unwrap().unwrap();
        let told = r#"42["disconnect_reason",{"reason":"over"}]"#;
        other.expect(told).await;
        other.expect("41").await;
        other.client.expect_close().await;
        left.next().await;
    }
}

/// With recovery a client that is to reconnect keeps its state; one that is sent away does not.
#[on_both_servers]
async fn only_a_client_that_is_to_reconnect_is_recovered() {
    let window = Duration::from_secs(60);
    let server = Server::socketio(move |io| io.connection_state_recovery(window), |_| ());
    for (notice, recovered) in [
        (DisconnectNotice::new("x").reconnect(), true),
        (DisconnectNotice::new("x"), false),
        (DisconnectNotice::new("x").close(), false),
    ] {
        let mut client = Client::open(&server, Via::WebSocket).await;
        client.send("40").await;
        let connected = client.text().await;
        let connected: serde_json::Value = serde_json::from_str(&connected[2..]).unwrap();
        let (sid, pid) = (connected["sid"].as_str().unwrap(), &connected["pid"]);
        let socket = find(&server.io.of("/"), sid);
        socket.join("a").await.unwrap();
        socket.disconnect_with(notice).unwrap();
        until("the socket to end", || server.io.of("/").count() == 0).await;
        server.io.to("a").emit("missed", ()).await.unwrap();
        let mut client = Client::open(&server, Via::WebSocket).await;
        client.send(&format!(r#"40{{"pid":{pid}}}"#)).await;
        let first = client.text().await;
        assert_eq!(first.starts_with(r#"42["missed""#), recovered, "{first}");
        drop(client);
        until("the socket to end", || server.io.of("/").count() == 0).await;
    }
}

/// Each limit that closes a session has a reason of its own.
#[on_both_servers]
async fn a_limit_that_closes_a_session_has_its_reason() {
    let server = Server::socketio(|io| io.max_attachments(2), |_| ());
    let mut left = leavers(&server.io.of("/"));
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client.send(r#"452-["a"]"#).await;
        client.attach(b"1").await;
        client.attach(b"2").await;
        client.expect_nothing_more("/").await;
        client.send(r#"453-["a"]"#).await;
        client.expect_close().await;
        assert_eq!(left.next().await, "too many attachments");
    }
    let limit = Duration::from_millis(100);
    let server = Server::socketio(move |io| io.attachments_timeout(limit), |_| ());
    let mut left = leavers(&server.io.of("/"));
    let mut client = Client::connected(&server, Via::WebSocket).await;
    client.send(r#"451-["a"]"#).await;
    client.expect_close().await;
    assert_eq!(left.next().await, "attachments timeout");
}

/// On every node, in one message: the other node's clients are told in order, and its program too.
#[cfg(feature = "redis")]
#[on_both_servers]
async fn the_clients_of_other_nodes_are_told() {
    let redis = Redis::start();
    for format in Format::node_anywhere() {
        let node = || format.node(&redis, |io| io);
        let [here, there] = [node().await, node().await];
        let mut left = reasons(&there.io);
        let mut kept = Peer::enter(&there, Via::WebSocket, &["a", "safe"]).await;
        // The other node's subscription to the room is made in the background.
        let mut reached = 0;
        while reached == 0 {
            here.io.to("a").emit("reached", ()).await.unwrap();
            here.io.emit("fence", ()).await.unwrap();
            while kept.client.text().await != r#"42["fence"]"# {
                reached += 1;
            }
        }
        for (notice, reason) in [
            (DisconnectNotice::new("x"), "server namespace disconnect"),
            (
                DisconnectNotice::new("x").close(),
                "server namespace disconnect",
            ),
            (
                DisconnectNotice::new("x").reconnect(),
                "reconnect requested",
            ),
        ] {
            let mut near = Peer::enter(&here, Via::WebSocket, &["a"]).await;
            let mut far = Peer::enter(&there, Via::WebSocket, &["a"]).await;
            let operator = here.io.to("a").except("safe");
            let notice = notice.with_data(json!([1]));
            let gone = operator.disconnect_sockets_with(notice.clone()).await;
            assert_eq!(gone, Ok(1), "{format:?}");
            for peer in [&mut near, &mut far] {
                let told = r#"42["disconnect_reason",{"reason":"x","data":[1]}]"#;
                peer.expect(told).await;
                if !notice.reconnects() {
                    peer.expect("41").await;
                }
            }
            assert_eq!(left.next().await, given(reason, "x"), "{format:?}");
            // A client is told before its socket is removed.
            until("the near socket to end", || here.io.of("/").count() == 0).await;
            until("the far socket to end", || there.io.of("/").count() == 1).await;
        }
        kept.client.expect_nothing_more("/").await;
        // One socket of the other node.
        let found = here.io.fetch_sockets().await;
        found[0].disconnect_with("one").await.unwrap();
        kept.expect(r#"42["disconnect_reason",{"reason":"one"}]"#)
            .await;
        kept.expect("41").await;
        let reason = given("server namespace disconnect", "one");
        assert_eq!(left.next().await, reason);
    }
}

/// The format of Flask-SocketIO has no place for a notice: one socket gets event and disconnect.
#[cfg(feature = "redis")]
#[on_both_servers]
async fn a_socket_of_another_flask_node_is_told() {
    let redis = Redis::start();
    let node = || Format::Flask.node(&redis, |io| io);
    let [here, there] = [node().await, node().await];
    let mut peer = Peer::enter(&there, Via::WebSocket, &[]).await;
    let operator = here.io.to(peer.socket.id());
    let notice = DisconnectNotice::new("x");
    let failed = operator
        .clone()
        .disconnect_sockets_with(notice.clone().reconnect());
    assert!(failed.await.is_err());
    operator.disconnect_sockets_with(notice).await.unwrap();
    peer.expect(r#"42["disconnect_reason",{"reason":"x"}]"#)
        .await;
    peer.expect("41").await;
}
