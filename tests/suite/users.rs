//! docs/operations.md, Logins: the sockets of a user are found on all nodes, and their number may
//! have a limit.

use std::time::Duration;

use actix_socketio::{
    Auth, Builder, ConnectError, Emit, RoomError, Socket, SocketIo, UserError, UserPolicy,
};
use serde_json::Value;

#[cfg(feature = "redis")]
use crate::support::redis::{Format, Redis, cluster};
use crate::support::socketio::{Client, Peer, Via, find, leavers, start, until};
use crate::support::{Server, channel};

const SUPERSEDED: &str = "superseded by a newer login";

/// A client in `/` whose socket is the user's.
async fn log_in(server: &Server<SocketIo>, user: &str) -> Peer {
    let peer = Peer::enter(server, Via::WebSocket, &[]).await;
    peer.socket.identify(user).await.unwrap();
    peer
}

async fn expect_superseded(peer: &mut Peer) {
    let told = format!(r#"42["disconnect_reason",{{"reason":"{SUPERSEDED}"}}]"#);
    peer.expect(&told).await;
    peer.expect("41").await;
}

/// All sockets of the user, and no others; another user replaces the first.
#[on_both_servers]
async fn the_sockets_of_a_user_are_addressed_by_it() {
    let server = start();
    let io = &server.io;
    let mut phone = log_in(&server, "7").await;
    let mut laptop = log_in(&server, "7").await;
    let mut other = log_in(&server, "8").await;
    io.user("7").emit("mail", 1).await.unwrap();
    let message = Emit::event("mail", 2).to_user("7");
    io.server().send(message).await.unwrap().unwrap();
    let others = phone.socket.broadcast().to_user("7");
    others.emit("read", ()).await.unwrap();
    phone.expect(r#"42["mail",1]"#).await;
    phone.expect(r#"42["mail",2]"#).await;
    phone.expect_nothing_more().await;
    laptop.expect(r#"42["mail",1]"#).await;
    laptop.expect(r#"42["mail",2]"#).await;
    laptop.expect(r#"42["read"]"#).await;
    other.expect_nothing_more().await;
    assert_eq!((io.user("7").count(), io.user("9").count()), (2, 0));
    assert_eq!(io.of("/").user("7").fetch_sockets().await.len(), 2);
    assert_eq!(phone.socket.user().as_deref(), Some("7"));
    // The same again, another one, and none.
    phone.socket.identify("7").await.unwrap();
    other.socket.identify("7").await.unwrap();
    assert_eq!((io.user("7").count(), io.user("8").count()), (3, 0));
    other.socket.forget_user();
    other.socket.forget_user();
    assert_eq!(other.socket.user(), None);
    assert_eq!(io.user("7").count(), 2);
    io.user("7").disconnect_sockets(true).await.unwrap();
    phone.expect("41").await;
    laptop.expect("41").await;
    other.expect_nothing_more().await;
    until("the user to end", || io.user("7").count() == 0).await;
}

/// The room of a user is not among the rooms of the program, and no client can join it by its name.
#[on_both_servers]
async fn the_room_of_a_user_is_hidden_and_reserved() {
    let server = Server::socketio(|io| io.rooms_per_socket(2).room_name_limit(10), |_| ());
    let io = &server.io;
    let ann = log_in(&server, "ann").await;
    let socket = &ann.socket;
    socket.join(["a", "b"]).await.unwrap();
    let error = socket.join("c").await.unwrap_err();
    assert_eq!(error, RoomError::TooManyRooms(2));
    socket.identify("bob").await.unwrap();
    let mut own = socket.rooms();
    own.sort();
    assert_eq!(own, ["a", "b"]);
    let mut rooms = io.of("/").rooms();
    rooms.sort();
    assert_eq!(rooms, ["a", "b"]);
    let described = &io.user("bob").fetch_sockets().await[0];
    assert_eq!(described.user().as_deref(), Some("bob"));
    assert_eq!(described.rooms(), socket.rooms());
    assert_eq!(described.handshake().get("login"), None);
    let room = io.of("/").room("@user:bob").await;
    assert_eq!(room.unwrap_err(), RoomError::NoSuchRoom);
    let spy = Peer::enter(&server, Via::WebSocket, &[]).await;
    let error = spy.socket.join("@user:bob").await.unwrap_err();
    assert_eq!(error, RoomError::ReservedName);
    let moved = io.to(spy.socket.id()).sockets_join("@user:bob").await;
    assert_eq!(moved, Ok(0));
    assert_eq!(io.user("bob").count(), 1);
    let error = spy.socket.identify("x".repeat(11)).await.unwrap_err();
    assert_eq!(error, UserError::IdTooLong(10));
    spy.socket.identify("x".repeat(10)).await.unwrap();
}

/// `UserPolicy::OneSession`: the older socket is told, and stays away.
#[on_both_servers]
async fn a_newer_login_supersedes_the_older_one() {
    let server = Server::socketio(|io| io.user_policy(UserPolicy::OneSession), |_| ());
    let mut left = leavers(&server.io.of("/"));
    let mut other = log_in(&server, "8").await;
    let mut first = log_in(&server, "7").await;
    for _ in 0..3 {
        let next = log_in(&server, "7").await;
        expect_superseded(&mut first).await;
        assert_eq!(left.next().await, SUPERSEDED);
        first = next;
    }
    // The same login again is no newer one.
    first.socket.identify("7").await.unwrap();
    first.expect_nothing_more().await;
    other.expect_nothing_more().await;
    // This namespace has its own rule.
    server.io.of("/").user_policy(UserPolicy::Unlimited);
    log_in(&server, "7").await;
    first.expect_nothing_more().await;
}

/// `UserPolicy::EndOldest`: the oldest is superseded.
#[on_both_servers]
async fn the_oldest_of_too_many_logins_ends() {
    let server = start();
    server.io.of("/").user_policy(UserPolicy::EndOldest(2));
    let mut oldest = log_in(&server, "7").await;
    let mut middle = log_in(&server, "7").await;
    oldest.expect_nothing_more().await;
    let mut newest = log_in(&server, "7").await;
    expect_superseded(&mut oldest).await;
    middle.expect_nothing_more().await;
    newest.expect_nothing_more().await;
}

/// `NamespacePattern::user_policy`: each namespace of the pattern, also one that exists already.
#[on_both_servers]
async fn the_namespaces_of_a_pattern_have_their_rule() {
    let (entered, mut sockets) = channel();
    let server = start();
    let shops = server.io.of_pattern("/shop-{id}").unwrap();
    shops.on_connect(move |socket: Socket| {
        entered.send(socket).unwrap();
        async {}
    });
    let mut clients = Vec::new();
    let mut enter = async |name| {
        let mut client = Client::open(&server, Via::WebSocket).await;
        client.connect(name).await;
        clients.push(client);
        sockets.next().await.identify("7").await
    };
    enter("/shop-1").await.unwrap();
    shops.user_policy(UserPolicy::RefuseNewest(1));
    enter("/shop-1").await.unwrap_err();
    enter("/shop-2").await.unwrap();
    enter("/shop-2").await.unwrap_err();
    // Other namespaces have the rule of the server.
    for _ in 0..2 {
        log_in(&server, "7").await;
    }
}

/// `UserPolicy::RefuseNewest`: the last that fits, and the first that does not.
#[on_both_servers]
async fn the_newest_of_too_many_logins_is_refused() {
    let server = Server::socketio(|io| io.user_policy(UserPolicy::RefuseNewest(2)), |_| ());
    let io = &server.io;
    io.of("/")
        .on_connect(|socket: Socket, Auth(auth): Auth<Value>| async move {
            socket
                .identify(auth["user"].as_str().unwrap_or("none"))
                .await?;
            Ok::<_, ConnectError>(())
        });
    let auth = r#"{"user":"7"}"#;
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = Client::open(&server, Via::WebSocket).await;
        client.connect_with("/", auth).await.unwrap();
        clients.push(client);
    }
    let mut third = Client::open(&server, Via::WebSocket).await;
    let refused = third.connect_with("/", auth).await.unwrap_err();
    let text = "the user has too many logins, the limit is 2";
    assert_eq!(refused, format!(r#"{{"message":"{text}"}}"#));
    assert_eq!(io.user("7").count(), 2);
    let other = Peer::enter(&server, Via::WebSocket, &[]).await;
    let error = other.socket.identify("7").await.unwrap_err();
    assert_eq!(error, UserError::TooManyLogins(2));
    assert!(other.socket.is_connected() && other.socket.user().is_none());
    clients.pop().unwrap().close().await;
    until("a login to end", || io.user("7").count() == 1).await;
    third.connect_with("/", auth).await.unwrap();
}

/// A disconnect handler cannot make its socket a user's.
#[on_both_servers]
async fn a_socket_that_has_ended_is_no_users() {
    let server = start();
    let (ended, mut ends) = channel();
    server.io.of("/").on_disconnect(move |socket: Socket| {
        let ended = ended.clone();
        async move {
            let _ = ended.send(socket.identify("7").await);
        }
    });
    let peer = log_in(&server, "7").await;
    peer.client.close().await;
    assert_eq!(ends.next().await, Err(UserError::Disconnected));
    assert_eq!(server.io.user("7").count(), 0);
}

/// A recovered client is the user's; if its user has logged in again meanwhile, it is superseded.
#[on_both_servers]
async fn a_recovered_client_is_the_users_unless_a_newer_login_exists() {
    let build = |io: Builder| {
        let io = io.connection_state_recovery(Duration::from_secs(60));
        io.user_policy(UserPolicy::OneSession)
    };
    let server = Server::socketio(build, |_| ());
    let io = &server.io;
    for is_superseded in [false, true] {
        let mut client = Client::open(&server, Via::WebSocket).await;
        client.send("40").await;
        let connected = client.text().await;
        let connected: Value = serde_json::from_str(&connected[2..]).unwrap();
        let (sid, pid) = (connected["sid"].as_str().unwrap(), &connected["pid"]);
        find(&io.of("/"), sid).identify("7").await.unwrap();
        drop(client);
        until("the socket to end", || io.of("/").count() == 0).await;
        let mut newer = Client::open(&server, Via::WebSocket).await;
        newer.send("40").await;
        let connected = newer.text().await;
        let connected: Value = serde_json::from_str(&connected[2..]).unwrap();
        let newer_socket = find(&io.of("/"), connected["sid"].as_str().unwrap());
        if is_superseded {
            newer_socket.identify("7").await.unwrap();
        }
        let mut client = Client::open(&server, Via::WebSocket).await;
        client.send(&format!(r#"40{{"pid":{pid}}}"#)).await;
        let again: Value = serde_json::from_str(&client.text().await[2..]).unwrap();
        assert_eq!(again["sid"], sid);
        if is_superseded {
            let packet = client.text().await;
            assert!(packet.contains(SUPERSEDED), "{packet}");
            client.expect("41").await;
            assert!(newer_socket.is_connected());
        } else {
            assert_eq!(find(&io.of("/"), sid).user().as_deref(), Some("7"));
            io.user("7").emit("mail", ()).await.unwrap();
            client.expect(r#"42["mail","1"]"#).await;
        }
        drop((client, newer));
        until("the sockets to end", || io.of("/").count() == 0).await;
    }
}

/// In every format: events, calls, counts, descriptions and disconnects reach the other nodes.
#[cfg(feature = "redis")]
#[on_both_servers]
async fn a_user_is_found_on_all_nodes() {
    let redis = Redis::start();
    for format in Format::node_anywhere() {
        let [here, there] = cluster(&redis, format).await;
        let mut near = log_in(&here, "7").await;
        let mut far = log_in(&there, "7").await;
        far.socket.join("a").await.unwrap();
        let io = &here.io;
        // The other node's subscription to the room is made in the background.
        let mut reached = 0;
        while reached == 0 {
            io.user("7").emit("mail", 1).await.unwrap();
            io.emit("fence", ()).await.unwrap();
            while far.client.text().await != r#"42["fence"]"# {
                reached += 1;
            }
        }
        near.client.rest("/").await;
        assert_eq!(*io.user("7").count_everywhere().await, 2, "{format:?}");
        let found = io.user("7").fetch_sockets().await;
        let found = found.iter().find(|it| it.id() == far.socket.id()).unwrap();
        assert_eq!(found.user().as_deref(), Some("7"));
        assert_eq!(found.rooms(), ["a"]);
        assert_eq!(found.handshake().get("login"), None);
        let rooms = io.of("/").rooms_everywhere().await;
        assert_eq!(*rooms, ["a"], "{format:?}");
        io.user("7")
            .disconnect_sockets_with("password changed")
            .await
            .unwrap();
        for peer in [&mut near, &mut far] {
            let told = r#"42["disconnect_reason",{"reason":"password changed"}]"#;
            peer.expect(told).await;
            peer.expect("41").await;
        }
    }
}

/// `UserPolicy::OneSession` holds for the cluster; two logins at once end with one.
#[cfg(feature = "redis")]
#[on_both_servers]
async fn one_session_of_a_user_is_left_in_the_cluster() {
    let redis = Redis::start();
    for format in Format::node_anywhere() {
        let node = || format.node(&redis, |io| io.user_policy(UserPolicy::OneSession));
        let [here, there] = [node().await, node().await];
        let mut first = log_in(&here, "7").await;
        let second = log_in(&there, "7").await;
        expect_superseded(&mut first).await;
        let mut second = second;
        let third = log_in(&here, "7").await;
        expect_superseded(&mut second).await;
        drop(third);
        let mut peers = Vec::new();
        for round in 0..10 {
            let user = round.to_string();
            let near = Peer::enter(&here, Via::WebSocket, &[]).await;
            let far = Peer::enter(&there, Via::WebSocket, &[]).await;
            let (near_in, far_in) =
                tokio::join!(near.socket.identify(&user), far.socket.identify(&user));
            assert!(near_in.is_ok() || far_in.is_ok(), "{format:?}");
            until("one login to be left", || {
                here.io.user(&user).count() + there.io.user(&user).count() == 1
            })
            .await;
            peers.extend([near, far]);
        }
        // No later message has ended the other.
        for round in 0..10 {
            let user = round.to_string();
            assert_eq!(
                *here.io.user(&user).count_everywhere().await,
                1,
                "{format:?}"
            );
        }
    }
}

/// `UserPolicy::RefuseNewest` counts the logins of all nodes.
#[cfg(feature = "redis")]
#[on_both_servers]
async fn a_login_too_many_is_refused_on_every_node() {
    let redis = Redis::start();
    for format in Format::node_anywhere() {
        let node = || format.node(&redis, |io| io.user_policy(UserPolicy::RefuseNewest(1)));
        let [here, there] = [node().await, node().await];
        let mut first = log_in(&here, "7").await;
        let second = Peer::enter(&there, Via::WebSocket, &[]).await;
        let refused = second.socket.identify("7").await;
        assert_eq!(refused, Err(UserError::TooManyLogins(1)), "{format:?}");
        first.expect_nothing_more().await;
    }
}
