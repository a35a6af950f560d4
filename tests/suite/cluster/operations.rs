//! Clusters through Redis: what is said to many reaches the clients of every node, in each format.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_socketio::{
    Builder, Bytes, CallError, CallMany, ClusterError, EmitError, Emitter, FetchSockets, Namespace,
    RemoteSocket, ServerSideEvent, SocketIo,
};
use serde_json::{Value, json};

use crate::support::redis::{Format, Redis, cluster, connected};
use crate::support::socketio::{Client, Peer, Via, until};
use crate::support::{Server, channel, within};

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(300);

/// Shows that everything has come that was sent before: one more event from the same node.
async fn fence(from: &SocketIo, peers: &mut [&mut Peer]) {
    from.emit("fence", ()).await.unwrap();
    for peer in peers {
        peer.expect(r#"42["fence"]"#).await;
    }
}

/// Every shape of an event arrives on the other node as it was sent.
#[on_both_servers]
async fn events_of_every_shape_reach_the_clients_of_other_nodes() {
    let redis = Redis::start();
    for format in Format::anywhere() {
        let [here, there] = cluster(&redis, format).await;
        let mut peer = Peer::enter(&there, Via::WebSocket, &["a"]).await;
        coverage(&here.io, "a", &mut peer).await;
        let io = &here.io;
        io.emit("none", ()).await.unwrap();
        io.emit("many", (1, "two", [3.5, -4.5].as_slice(), Value::Null))
            .await
            .unwrap();
        io.emit("text", "é\u{1f600}\n\"quoted\"").await.unwrap();
        io.emit("empty", ("", [0; 0].as_slice(), json!({})))
            .await
            .unwrap();
        io.emit(
            "nested",
            json!({ "z": { "a": [1, { "b": null }] }, "y": u64::MAX }),
        )
        .await
        .unwrap();
        let binary = Bytes::from_static(&[0, 1, 0xff]);
        io.to("a")
            .emit("binary", (&binary, BTreeMap::from([("b", &binary)])))
            .await
            .unwrap();
        peer.expect(r#"42["none"]"#).await;
        peer.expect(r#"42["many",1,"two",[3.5,-4.5],null]"#).await;
        peer.expect("42[\"text\",\"é\u{1f600}\\n\\\"quoted\\\"\"]")
            .await;
        peer.expect(r#"42["empty","",[],{}]"#).await;
        peer.expect(r#"42["nested",{"y":18446744073709551615,"z":{"a":[1,{"b":null}]}}]"#)
            .await;
        let text = concat!(
            r#"452-["binary",{"_placeholder":true,"num":0},"#,
            r#"{"b":{"_placeholder":true,"num":1}}]"#
        );
        peer.client
            .expect_binary(text, &[&[0, 1, 0xff], &[0, 1, 0xff]])
            .await;
    }
}

/// Rooms are a union on every node, exceptions hold on every node, and `local` stays here.
#[on_both_servers]
async fn rooms_exceptions_and_ids_hold_on_every_node() {
    let redis = Redis::start();
    for format in Format::anywhere() {
        let [here, there] = cluster(&redis, format).await;
        let mut ann = Peer::enter(&here, Via::WebSocket, &["a"]).await;
        let mut bob = Peer::enter(&there, Via::WebSocket, &["a", "b"]).await;
        let mut cid = Peer::enter(&there, Via::WebSocket, &[]).await;
        let io = &here.io;
        // The other node's subscriptions to rooms are made in the background.
        coverage(io, "a", &mut bob).await;
        ann.client.rest("/").await;
        io.to(["a", "b"]).emit("union", 1).await.unwrap();
        io.to(bob.socket.id()).emit("id", 2).await.unwrap();
        io.local().emit("local", 3).await.unwrap();
        io.to([""; 0]).emit("nobody", ()).await.unwrap();
        io.except(cid.socket.id()).emit("except", 4).await.unwrap();
        ann.socket.to("a").emit("others", 5).await.unwrap();
        ann.socket.broadcast().emit("broadcast", 6).await.unwrap();
        if format != Format::Flask {
            io.except("b").emit("not b", 7).await.unwrap();
        }
        fence(io, &mut []).await;
        ann.expect(r#"42["union",1]"#).await;
        ann.expect(r#"42["local",3]"#).await;
        ann.expect(r#"42["except",4]"#).await;
        bob.expect(r#"42["union",1]"#).await;
        bob.expect(r#"42["id",2]"#).await;
        bob.expect(r#"42["except",4]"#).await;
        bob.expect(r#"42["others",5]"#).await;
        bob.expect(r#"42["broadcast",6]"#).await;
        cid.expect(r#"42["broadcast",6]"#).await;
        if format != Format::Flask {
            ann.expect(r#"42["not b",7]"#).await;
            cid.expect(r#"42["not b",7]"#).await;
        }
        for peer in [&mut ann, &mut bob, &mut cid] {
            peer.expect(r#"42["fence"]"#).await;
        }
    }
}

/// Waits until an event for a room arrives on the other node.
async fn coverage(io: &SocketIo, room: &str, peer: &mut Peer) {
    loop {
        io.to(room).emit("reach", ()).await.unwrap();
        io.to(peer.socket.id()).emit("fence", ()).await.unwrap();
        let first = peer.client.text().await;
        if first == r#"42["reach"]"# {
            peer.expect(r#"42["fence"]"#).await;
            return;
        }
    }
}

/// The messages of one task arrive on every node in their order, of every kind and for every
/// recipient.
#[on_both_servers]
async fn the_order_of_a_sender_holds_on_every_node() {
    let redis = Redis::start();
    for format in Format::node_anywhere() {
        let [here, there] = cluster(&redis, format).await;
        let mut peer = Peer::enter(&there, Via::WebSocket, &["a"]).await;
        coverage(&here.io, "a", &mut peer).await;
        let io = here.io.clone();
        let id = peer.socket.id();
        for n in (0..400).step_by(4) {
            io.to("a").emit("n", n).await.unwrap();
            io.emit("n", n + 1).await.unwrap();
            let asked = io
                .timeout(SHORT)
                .emit_with_ack::<()>("n", n + 2)
                .await
                .unwrap();
            io.to(&id).emit("n", n + 3).await.unwrap();
            drop(asked);
        }
        for n in 0..400 {
            let packet = peer.client.text().await;
            let at = packet.find('[').unwrap();
            assert_eq!(&packet[at..], format!(r#"["n",{n}]"#), "{format:?}");
        }
    }
}

/// Acknowledgements come from the clients of every node; who is silent or leaves is counted.
#[on_both_servers]
async fn acknowledgements_come_from_every_node() {
    let redis = Redis::start();
    for format in Format::node_anywhere() {
        let [here, there] = cluster(&redis, format).await;
        let mut ann = Peer::enter(&here, Via::WebSocket, &[]).await;
        let mut bob = Peer::enter(&there, Via::WebSocket, &[]).await;
        let mut cid = Peer::enter(&there, Via::WebSocket, &[]).await;
        let asking = here
            .io
            .timeout(LONG)
            .emit_with_ack::<(u32, u32)>("ask", "x")
            .await
            .unwrap();
        for (n, peer) in [&mut ann, &mut bob].into_iter().enumerate() {
            let id = asked(&mut peer.client, r#"["ask","x"]"#).await;
            peer.client.send(&format!("43{id}[{n},{n}]")).await;
        }
        asked(&mut cid.client, r#"["ask","x"]"#).await;
        let left = cid.socket.id();
        cid.client.close().await;
        let gathered = within("the answers", asking.collect()).await;
        let mut answers = gathered.answers;
        answers.sort_by_key(|(_, answer)| *answer);
        let (ann, bob) = (Some(ann.socket.id()), Some(bob.socket.id()));
        assert_eq!(answers, [(ann, (0, 0)), (bob, (1, 1))]);
        assert_eq!(gathered.missing_elsewhere, 1, "{left} has left");
        assert!(gathered.coverage.is_complete() && !gathered.timed_out);
        // The answers of actors' messages are the same.
        let server = here.io.server();
        let asking = tokio::spawn(server.send(CallMany::event("ask", ()).timeout(SHORT)));
        let gathered = within("time to be up", asking)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        assert!(gathered.answers.is_empty() && gathered.timed_out);
        assert_eq!((gathered.missing.len(), gathered.missing_elsewhere), (1, 1));
    }
}

/// Reads a call with these arguments, and returns its id.
async fn asked(client: &mut Client, list: &str) -> u64 {
    let packet = client.text().await;
    let id = packet
        .strip_prefix("42")
        .and_then(|rest| rest.strip_suffix(list));
    id.unwrap_or_else(|| panic!("{packet}")).parse().unwrap()
}

/// A socket of another node is called like one of this.
#[on_both_servers]
async fn a_socket_of_another_node_is_called() {
    let redis = Redis::start();
    for format in Format::anywhere() {
        let [here, there] = cluster(&redis, format).await;
        let mut peer = Peer::enter(&there, Via::WebSocket, &[]).await;
        let (io, id) = (here.io.clone(), peer.socket.id());
        let call = tokio::spawn(async move { io.to(id).call::<u32>("ask", 1).await });
        let ack = asked(&mut peer.client, r#"["ask",1]"#).await;
        peer.client.send(&format!("43{ack}[7]")).await;
        assert_eq!(within("the answer", call).await.unwrap().unwrap(), 7);
        if format != Format::Flask {
            let nobody = here
                .io
                .to("nobody")
                .timeout(LONG)
                .call::<u32>("ask", 1)
                .await;
            assert!(
                matches!(nobody, Err(CallError::NotOneRecipient(0))),
                "{nobody:?}"
            );
        }
    }
}

/// A client of another node that stays silent is a timeout, also if that node notices it first.
#[on_both_servers]
async fn silent_clients_of_other_nodes_time_out() {
    let redis = Redis::start();
    for format in Format::node_anywhere() {
        let [here, there] = cluster(&redis, format).await;
        let bob = Peer::enter(&there, Via::WebSocket, &[]).await;
        let calls: Vec<_> = (300..380)
            .map(|milliseconds| {
                let to = here.io.to(bob.socket.id());
                let limit = Duration::from_millis(milliseconds);
                tokio::spawn(to.timeout(limit).call::<u8>("ask", ()))
            })
            .collect();
        for call in calls {
            let asked = within("the call", call).await.unwrap();
            assert!(matches!(asked, Err(CallError::Timeout)), "{asked:?}");
        }
    }
}

/// Sockets of all nodes are found, with their rooms, data and handshake.
#[on_both_servers]
async fn sockets_of_all_nodes_are_found_and_moved() {
    let redis = Redis::start();
    for format in Format::node_anywhere() {
        let [here, there] = cluster(&redis, format).await;
        let ann = Peer::enter(&here, Via::WebSocket, &["a"]).await;
        let mut bob = Peer::enter(&there, Via::WebSocket, &["a", "b"]).await;
        bob.socket.session().insert("name", "Bob").unwrap();
        let found = here.io.to("a").fetch_sockets().await;
        assert!(found.coverage().is_complete(), "{:?}", found.coverage());
        assert_eq!(found.coverage().nodes(), 1);
        let mut ids: Vec<_> = found.iter().map(RemoteSocket::id).collect();
        ids.sort();
        let mut both = [ann.socket.id(), bob.socket.id()];
        both.sort();
        assert_eq!(ids, both);
        let remote = found
            .iter()
            .find(|socket| socket.id() == bob.socket.id())
            .unwrap();
        assert_eq!(remote.rooms(), ["a", "b"]);
        // The same by its own handle, and by that of another node.
        for name in [remote.data("name"), bob.socket.data::<String>("name")] {
            assert_eq!(name.as_deref(), Some("Bob"));
        }
        assert_eq!(remote.all_data(), bob.socket.all_data());
        assert_eq!(bob.socket.data::<u8>("name"), None);
        assert_eq!(bob.socket.data::<String>("else"), None);
        let asked = remote.timeout(SHORT).call::<u8>("ask", ()).await;
        assert!(matches!(asked, Err(CallError::Timeout)), "{asked:?}");
        assert!(bob.client.text().await.ends_with(r#"["ask"]"#));
        assert_eq!(remote.handshake()["address"], "127.0.0.1");
        assert!(remote.socket().is_none());
        assert_eq!(*here.io.to("b").count_everywhere().await, 1);
        let mut rooms = here.io.of("/").rooms_everywhere().await.into_inner();
        rooms.sort();
        assert_eq!(rooms, ["a", "b"]);
        let fetch = FetchSockets::default().to("b");
        assert_eq!(
            here.io.server().send(fetch).await.unwrap(),
            [bob.socket.id()]
        );
        assert_eq!(here.io.nodes().await.unwrap().len(), 2);

        remote.emit("direct", 1).await.unwrap();
        bob.expect(r#"42["direct",1]"#).await;
        assert_eq!(here.io.to("b").sockets_join(["c", "d"]).await, Ok(0));
        until("bob to join", || bob.socket.rooms() == ["a", "b", "c", "d"]).await;
        here.io.to("c").sockets_leave(["b", "d"]).await.unwrap();
        until("bob to leave", || bob.socket.rooms() == ["a", "c"]).await;
        here.io.close_room("a").await.unwrap();
        until("the room to close", || bob.socket.rooms() == ["c"]).await;
        assert!(ann.socket.rooms().is_empty());
        assert_eq!(here.io.to("c").disconnect_sockets(false).await, Ok(0));
        bob.expect("41").await;
    }
}

/// Events between servers reach every other server and no client, and are answered by each.
#[on_both_servers]
async fn server_side_events_reach_the_other_servers() {
    let redis = Redis::start();
    for format in Format::node_anywhere() {
        let [here, there] = cluster(&redis, format).await;
        let listen = |namespace: &Namespace, factor: u32| {
            let (told, heard) = channel();
            namespace.on_server_side("work", move |event: ServerSideEvent| {
                told.send(event.args().as_json().to_owned()).unwrap();
                async move { event.read::<u32>().unwrap() * factor }
            });
            heard
        };
        let mut heard_here = listen(&here.io.of("/"), 10);
        let mut heard_there = listen(&there.io.of("/"), 100);
        here.io.of("/").server_side_emit("work", 1).await.unwrap();
        assert_eq!(heard_there.next().await, "1");
        let answers = here
            .io
            .of("/")
            .server_side_emit_with_ack("work", 2, LONG)
            .await
            .unwrap();
        assert!(answers.coverage().is_complete());
        let answers: Vec<u32> = answers
            .iter()
            .map(|answer| answer.read().unwrap())
            .collect();
        assert_eq!((answers, heard_here.so_far()), (vec![200], Vec::new()));
    }
}

/// Each namespace is one of its own in the whole cluster, those made by patterns too.
#[on_both_servers]
async fn namespaces_are_kept_apart() {
    let redis = Redis::start();
    for format in Format::anywhere() {
        let [here, there] = cluster(&redis, format).await;
        for io in [&here.io, &there.io] {
            io.of_pattern("/shop-{id}").unwrap().remove_when_empty();
        }
        let mut peer = Peer::enter(&there, Via::WebSocket, &[]).await;
        peer.client.connect("/shop-1").await;
        let mut other = Client::open(&here, Via::WebSocket).await;
        other.connect("/shop-1").await;
        // Subscriptions of a namespace that has just begun are made in the background.
        let mut heard = false;
        while !heard {
            here.io.of("/shop-1").emit("in", 1).await.unwrap();
            here.io.emit("out", 2).await.unwrap();
            let mut came = peer.client.text().await;
            if came == r#"42/shop-1,["in",1]"# {
                heard = true;
                came = peer.client.text().await;
            }
            assert_eq!(came, r#"42["out",2]"#, "{format:?}");
        }
    }
}

/// Streams are read one after the other, so what a node has sent to several comes in another order
/// than it was sent; nothing of it is taken for a repeat.
#[on_both_servers]
async fn nothing_is_lost_between_several_streams() {
    let redis = Redis::start();
    let start = || {
        let adapter = Format::Streams.adapter(&redis).stream_count(4);
        let build = |io: Builder| io.adapter(adapter);
        Server::socketio(build, |io| {
            SHARDED.iter().for_each(|(name, _)| drop(io.of(name)));
        })
    };
    let (here, there) = (start(), start());
    connected(&here.io).await;
    connected(&there.io).await;
    let mut clients = Vec::new();
    for (namespace, _) in SHARDED {
        let mut client = Client::open(&there, Via::WebSocket).await;
        client.connect(namespace).await;
        clients.push(client);
    }
    for n in 0..200 {
        for (namespace, _) in SHARDED {
            here.io.of(namespace).emit("n", n).await.unwrap();
        }
    }
    for (client, (namespace, _)) in clients.iter_mut().zip(SHARDED) {
        for n in 0..200 {
            client.expect(&format!(r#"42{namespace},["n",{n}]"#)).await;
        }
    }
    for (namespace, stream) in SHARDED {
        let length = redis.command(&format!("XLEN {stream}"));
        assert!(length.starts_with(":200\r\n"), "{namespace}: {length}");
    }
}

/// Namespaces, and to which of four streams the reference's hash of their names leads. That of the
/// last is negative: the reference itself writes to a stream that nobody reads.
const SHARDED: [(&str, &str); 4] = [
    ("/a", "socket.io-2"),
    ("/d", "socket.io-1"),
    ("/c", "socket.io-0"),
    ("/my-namespace", "socket.io-3"),
];

/// An emitter does from outside what a node does.
#[on_both_servers]
async fn an_emitter_reaches_clients_and_servers() {
    let redis = Redis::start();
    for format in Format::ALL {
        let node = format.node(&redis, |io| io).await;
        let mut ann = Peer::enter(&node, Via::WebSocket, &["a"]).await;
        let mut bob = Peer::enter(&node, Via::WebSocket, &[]).await;
        let (told, mut heard) = channel();
        node.io
            .of("/")
            .on_server_side("work", move |event: ServerSideEvent| {
                told.send(event.args().as_json().to_owned()).unwrap();
                async {}
            });
        let emitter = Emitter::new(format.adapter(&redis));
        let id = bob.socket.id();
        emitter
            .to(ann.socket.id())
            .emit("one", Bytes::from_static(&[7]))
            .await
            .unwrap();
        emitter.except(&id).emit("all", (1, 2)).await.unwrap();
        let text = r#"451-["one",{"_placeholder":true,"num":0}]"#;
        ann.client.expect_binary(text, &[&[7]]).await;
        ann.expect(r#"42["all",1,2]"#).await;
        emitter.to(&id).sockets_join("b").await.unwrap();
        until("bob to join", || bob.socket.rooms() == ["b"]).await;
        emitter.to(&id).sockets_leave("b").await.unwrap();
        until("bob to leave", || bob.socket.rooms().is_empty()).await;
        let told = emitter.server_side_emit("work", 5).await;
        if format == Format::Flask {
            assert!(matches!(
                told,
                Err(EmitError::Cluster(ClusterError::Unsupported(_)))
            ));
        } else {
            assert_eq!(heard.next().await, "5");
        }
        emitter.close_room("a").await.unwrap();
        until("the room to close", || ann.socket.rooms().is_empty()).await;
        emitter.to(id).disconnect_sockets(false).await.unwrap();
        bob.expect("41").await;
    }
}

/// While Redis is away this node's clients are served; what waits is bounded, and then refused.
#[on_both_servers]
async fn without_redis_local_clients_are_served_and_the_queue_is_bounded() {
    let mut redis = Redis::start();
    for format in Format::ALL {
        let adapter = format.adapter(&redis).queue_limit(2000);
        let server: Server<SocketIo> = Server::socketio(move |io| io.adapter(adapter), |_| ());
        connected(&server.io).await;
        let mut peer = Peer::enter(&server, Via::WebSocket, &["a"]).await;
        redis.kill();
        until("it to be noticed", || {
            !server.io.adapter_health().is_connected()
        })
        .await;
        let mut refused = None;
        for n in 0..50 {
            match server.io.emit("n", n).await {
                Ok(()) => {}
                Err(EmitError::Cluster(error)) => refused = Some(error),
                Err(error) => panic!("{error}"),
            }
            peer.expect(&format!(r#"42["n",{n}]"#)).await;
        }
        let full = matches!(refused, Some(ClusterError::QueueFull { bytes, .. }) if bytes <= 2000);
        assert!(full, "{refused:?}");
        let health = server.io.adapter_health();
        assert!(health.queued_bytes() <= 2000 && health.refused() > 0 && health.error().is_some());
        if format != Format::Flask {
            let found = server.io.fetch_sockets().await;
            assert!(found.len() == 1 && found.coverage().is_cut_off());
        }
        redis.start_again();
        connected(&server.io).await;
        until("the queue to empty", || {
            server.io.adapter_health().queued_bytes() == 0
        })
        .await;
        server.io.emit("after", ()).await.unwrap();
        peer.expect(r#"42["after"]"#).await;
    }
}

/// Messages that Redis refuses temporarily wait in their order; messages that it never takes are
/// counted.
#[on_both_servers]
async fn messages_refused_by_redis_are_retried_or_counted() {
    let redis = Redis::start();
    let [here, there] = cluster(&redis, Format::Streams).await;
    let mut peer = Peer::enter(&there, Via::WebSocket, &[]).await;
    fence(&here.io, &mut [&mut peer]).await;
    redis.command("CONFIG SET min-replicas-to-write 1");
    for n in 0..10 {
        here.io.emit("n", n).await.unwrap();
    }
    until("the refusal to be noticed", || {
        let health = here.io.adapter_health();
        health
            .error()
            .is_some_and(|error| error.contains("NOREPLICAS"))
    })
    .await;
    // It tries again and again, and is away all the while.
    until("some tries", || refusals(&redis) > 50).await;
    let health = here.io.adapter_health();
    assert!(!health.is_connected() && health.reconnects() == 0);
    redis.command("CONFIG SET min-replicas-to-write 0");
    for n in 0..10 {
        peer.expect(&format!(r#"42["n",{n}]"#)).await;
    }
    connected(&here.io).await;
    let health = here.io.adapter_health();
    assert_eq!((health.lost(), health.reconnects()), (0, 1));
    redis.command("RENAME socket.io aside");
    redis.command("SET socket.io text");
    here.io.emit("lost", ()).await.unwrap();
    until("it to be counted", || here.io.adapter_health().lost() == 1).await;
    redis.command("RENAME aside socket.io");
    fence(&here.io, &mut [&mut peer]).await;
}

/// Returns how often Redis has said that it has too few replicas.
fn refusals(redis: &Redis) -> u64 {
    let stats = redis.command("INFO errorstats");
    let count = stats.split("errorstat_NOREPLICAS:count=").nth(1);
    let count = count.and_then(|count| count.split_whitespace().next());
    count.map_or(0, |count| count.parse().unwrap())
}

/// Subscriptions come back by themselves, and what was queued meanwhile arrives.
#[on_both_servers]
async fn nodes_find_each_other_again_when_redis_is_back() {
    let mut redis = Redis::start();
    for format in Format::ALL {
        let [here, there] = cluster(&redis, format).await;
        let mut peer = Peer::enter(&there, Via::WebSocket, &["a"]).await;
        coverage(&here.io, "a", &mut peer).await;
        redis.kill();
        for server in [&here, &there] {
            until("it to be noticed", || {
                !server.io.adapter_health().is_connected()
            })
            .await;
        }
        here.io.emit("meanwhile", 1).await.unwrap();
        redis.start_again();
        for server in [&here, &there] {
            connected(&server.io).await;
        }
        if format == Format::Streams {
            peer.expect(r#"42["meanwhile",1]"#).await;
        }
        // By publish and subscribe it may have come before the other node listened again.
        loop {
            here.io.to("a").emit("after", ()).await.unwrap();
            here.io
                .to(peer.socket.id())
                .emit("fence", ())
                .await
                .unwrap();
            let mut came = peer.client.text().await;
            if came == r#"42["meanwhile",1]"# {
                came = peer.client.text().await;
            }
            if came == r#"42["after"]"# {
                break;
            }
        }
    }
}

/// A node that ends is noticed: questions to it end early, and say which it was.
#[on_both_servers]
async fn a_node_that_ends_is_named_by_its_open_requests() {
    let redis = Redis::start();
    for format in Format::NODE {
        let [here, there] = cluster(&redis, format).await;
        let nodes = there.io.nodes().await.unwrap();
        let name = nodes[0].clone();
        // It hears the question, and its program never answers.
        let (told, mut heard) = channel();
        there
            .io
            .of("/")
            .on_server_side("hang", move |_: ServerSideEvent| {
                told.send(()).unwrap();
                std::future::pending::<()>()
            });
        let (io, looks) = (here.io.clone(), redis.looks());
        let asking = tokio::spawn(async move {
            io.of("/")
                .server_side_emit_with_ack("hang", (), LONG)
                .await
                .unwrap()
        });
        heard.next().await;
        // Beside the question it is asked, by two commands, who listens: the node has to be there.
        until("the nodes to be counted", || redis.looks() >= looks + 2).await;
        there.io.close(Duration::ZERO).await;
        let answers = within("the question to end", asking).await.unwrap();
        assert!(answers.is_empty());
        assert_eq!(
            answers.coverage().unresponsive_nodes(),
            [name],
            "{format:?}"
        );
        assert!(!there.io.adapter_health().is_connected());
        assert_eq!(here.io.nodes().await.unwrap().len(), 1);
    }
}

/// A program that does not answer in time is named too.
#[on_both_servers]
async fn a_node_that_does_not_answer_in_time_is_named() {
    let redis = Redis::start();
    for format in Format::node_anywhere() {
        let [here, there] = cluster(&redis, format).await;
        let name = there.io.nodes().await.unwrap()[0].clone();
        let namespace = here.io.of("/");
        let answers = namespace
            .server_side_emit_with_ack("nobody", (), SHORT)
            .await
            .unwrap();
        assert_eq!(answers.coverage().unresponsive_nodes(), [name]);
        assert!(!answers.coverage().is_complete());
    }
}

/// In the sharded format a node hears only of the rooms in which it has somebody.
#[on_both_servers]
async fn a_sharded_node_listens_to_the_rooms_that_it_has() {
    let redis = Redis::start();
    let [_here, there] = cluster(&redis, Format::Sharded).await;
    let listeners = || redis.command("PUBSUB SHARDNUMSUB socket.io#/#a#");
    assert!(listeners().contains(":0\r\n"));
    let peer = Peer::enter(&there, Via::WebSocket, &["a"]).await;
    until("the room to be listened to", || {
        listeners().contains(":1\r\n")
    })
    .await;
    let all = redis.command("PUBSUB SHARDCHANNELS *");
    let id = peer.socket.id().to_string();
    assert!(
        all.contains("socket.io#/#a#") && !all.contains(&id),
        "{all}"
    );
    peer.socket.leave("a").await.unwrap();
    until("the room to be left", || listeners().contains(":0\r\n")).await;
}

/// Clusters under other names than the usual ones hear nothing of each other on one Redis.
#[on_both_servers]
async fn clusters_under_other_names_are_kept_apart() {
    let redis = Redis::start();
    for format in Format::ALL {
        let start = |name: &'static str| {
            let adapter = format.adapter(&redis).key(name).channel_prefix(name);
            Server::socketio(move |io| io.adapter(adapter), |_| ())
        };
        let nodes = [start("one"), start("one"), start("two")];
        for node in &nodes {
            connected(&node.io).await;
        }
        let [here, there, other] = &nodes;
        let mut near = Peer::enter(there, Via::WebSocket, &[]).await;
        let mut far = Peer::enter(other, Via::WebSocket, &[]).await;
        here.io.emit("one", ()).await.unwrap();
        near.expect(r#"42["one"]"#).await;
        other.io.emit("two", ()).await.unwrap();
        far.expect(r#"42["two"]"#).await;
        if format != Format::Flask {
            assert_eq!(here.io.nodes().await.unwrap().len(), 2);
            assert_eq!(other.io.nodes().await.unwrap().len(), 1);
        }
        let names = redis.command("PUBSUB CHANNELS *") + &redis.command("PUBSUB SHARDCHANNELS *");
        assert!(
            !names.contains("socket.io") && !names.contains("flask"),
            "{names}"
        );
    }
}

/// The format of Flask-SocketIO says which words it lacks, and does here what it can.
#[on_both_servers]
async fn operation_without_a_form_in_the_format_is_a_typed_error() {
    let redis = Redis::start();
    let [here, there] = cluster(&redis, Format::Flask).await;
    let ann = Peer::enter(&here, Via::WebSocket, &[]).await;
    let bob = Peer::enter(&there, Via::WebSocket, &[]).await;
    let joined = here.io.sockets_join("all").await;
    assert!(matches!(joined, Err(ClusterError::Unsupported(_))));
    assert_eq!(ann.socket.rooms(), ["all"]);
    let joined = here.io.to(bob.socket.id()).sockets_join("one").await;
    assert_eq!(joined, Ok(0));
    until("bob to join", || bob.socket.rooms() == ["one"]).await;
    let found = here.io.fetch_sockets().await;
    assert!(found.len() == 1 && found.coverage().is_cut_off());
}
