//! Requests of polling that reach the wrong node of a cluster: done by the right one, as if it had
//! got them itself.

use std::time::Duration;

use actix_socketio::{Data, Event};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::eio3::OldPolling;
use crate::support::redis::{Astray, Format, Redis, cluster};
use crate::support::socketio::{Client, Via, until};
use crate::support::{Polling, Request, channel, packets, within};

/// Every request may reach another node than the last, and each gets what it would get at home.
#[on_both_servers]
async fn requests_are_done_by_the_node_that_has_the_session() {
    let redis = Redis::start();
    for format in Format::anywhere() {
        let [here, there] = cluster(&redis, format).await;
        let namespace = here.io.of("/");
        namespace.on("echo", |Data(text): Data<String>| async move { text });
        let Astray { home, away, .. } = Astray::enter(&here, &there).await;
        let long = "é\n\"".repeat(100_000);
        let json = serde_json::to_string(&long).unwrap();
        for (n, way) in [&away, &home, &away, &away].into_iter().enumerate() {
            // The poll waits at the other node, or here.
            let back = if n % 2 == 0 { &home } else { &away };
            let poll = back.start_poll().await;
            way.post(&[&format!(r#"42{n}["echo",{json}]"#)]).await;
            let expected = format!("43{n}[{json}]");
            assert_eq!(packets(&poll.response().await), [expected], "{format:?}");
        }
        for n in 0..20 {
            here.io.emit("n", n).await.unwrap();
        }
        let expected: Vec<_> = (0..20).map(|n| format!(r#"42["n",{n}]"#)).collect();
        let expected: Vec<_> = expected.iter().map(String::as_str).collect();
        away.expect_all(&expected).await;
        // The last packet of a client.
        away.post(&["1"]).await;
        away.expect_gone().await;
        home.expect_gone().await;
    }
}

/// Engine.IO v3: the same for the payloads of older clients, as text and as bytes.
#[on_both_servers]
async fn requests_of_an_older_client_are_done_by_the_node_that_has_the_session() {
    let redis = Redis::start();
    for format in Format::anywhere() {
        let [here, there] = [
            format.node(&redis, |io| io.allow_eio3(true)).await,
            format.node(&redis, |io| io.allow_eio3(true)).await,
        ];
        let namespace = here.io.of("/");
        namespace.on("echo", |event: Event| async move { event.into_args() });
        let home = OldPolling::open(&here).await;
        let away = home.at(&there);
        away.expect("2:40").await;
        away.post("16:421[\"echo\",\"😀\"]").await;
        away.expect("9:431[\"😀\"]").await;
        let event = r#"451-2["echo",{"_placeholder":true,"num":0}]"#;
        let answer = r#"461-2[{"_placeholder":true,"num":0}]"#;
        let attached = b"\x01\x04\xff\x04\x01\x02\x03";
        let body = [&[0, 4, 3, 255], event.as_bytes(), attached].concat();
        away.post_binary(&body).await.expect(200, "ok");
        let body = [&[0, 3, 6, 255], answer.as_bytes(), attached].concat();
        away.expect_binary(&body).await;
        // The other node knows the revision of its session.
        let sid = home.sid();
        let query = format!("EIO=4&transport=polling&sid={sid}");
        let wrong = Request::get(there.address, &there.target(&query)).send();
        wrong.await.expect_error(3, "Bad request");
        away.post("1:1").await;
        away.expect_gone().await;
    }
}

/// A session that no node has is unknown, whatever its id begins with.
#[on_both_servers]
async fn a_session_of_no_node_is_unknown() {
    let redis = Redis::start();
    for format in Format::anywhere() {
        let [here, there] = cluster(&redis, format).await;
        let session = Polling::open(&here).await;
        let tag = &session.sid()[..6];
        for sid in [format!("{tag}aaaaaaaaaaaaaa"), "a".repeat(20)] {
            for server in [&here, &there] {
                let mut stray = Polling {
                    site: **server,
                    open: session.open.clone(),
                };
                stray.open.sid.clone_from(&sid);
                stray.expect_gone().await;
                let posted = stray.post_body("40").await;
                posted.expect_error(1, "Session ID unknown");
                let deleted = stray.request("DELETE").send().await;
                deleted.expect_error(1, "Session ID unknown");
            }
        }
    }
}

/// Anybody may make an id up: a body for a node that there is not is not waited for, and reaches
/// nobody.
#[on_both_servers]
async fn a_body_for_an_unknown_node_is_refused_unread() {
    let redis = Redis::start();
    for format in Format::ALL {
        let [here, _there] = cluster(&redis, format).await;
        let mut stray = Polling::open(&here).await;
        let (published, looks) = (redis.published(), redis.looks());
        stray.open.sid = "a".repeat(20);
        for _ in 0..5 {
            let post = stray.request("POST").header("content-length", "900000");
            let refused = post.start().await.response().await;
            refused.expect_error(1, "Session ID unknown");
        }
        assert_eq!(redis.published(), published);
        // The answer of Redis is valid for a second, which may end among the five.
        let looks = redis.looks() - looks;
        assert!((1..=2).contains(&looks), "{looks} looks");
    }
}

/// More than may be on its way at once goes one after the other.
#[on_both_servers]
async fn many_large_bodies_pass() {
    let redis = Redis::start();
    let [here, there] = cluster(&redis, Format::Classic).await;
    let (told, mut heard) = channel();
    let namespace = here.io.of("/");
    namespace.on("long", move |Data(text): Data<String>| {
        told.send(text.len()).unwrap();
        async {}
    });
    let mut posts = JoinSet::new();
    for _ in 0..12 {
        let client = Astray::enter(&here, &there).await;
        let body = format!(r#"42["long","{}"]"#, "x".repeat(900_000));
        posts.spawn(async move { client.away.post(&[&body]).await });
    }
    while let Some(posted) = posts.join_next().await {
        posted.unwrap();
    }
    for _ in 0..12 {
        assert_eq!(heard.next().await, 900_000);
    }
}

/// Requests that end a session on its own node end it through another node too, for the same
/// reason.
#[on_both_servers]
async fn violation_on_another_node_closes_the_session() {
    let redis = Redis::start();
    for format in Format::anywhere() {
        let [here, there] = cluster(&redis, format).await;
        // A poll that its client gives up.
        let mut client = Astray::enter(&here, &there).await;
        client.away.waiting_poll().await.abort();
        assert_eq!(client.left.next().await, "transport error");
        client.away.expect_gone().await;
        // A second poll beside the first, in whatever order they come.
        let mut client = Astray::enter(&here, &there).await;
        let polls = (
            client.away.start_poll().await,
            client.home.start_poll().await,
        );
        let answers = (polls.0.response().await, polls.1.response().await);
        let mut answers = [answers.0, answers.1].map(|answer| (answer.status, answer.body));
        answers.sort();
        assert_eq!(answers, [(200, b"1".to_vec()), (400, Vec::new())]);
        assert_eq!(client.left.next().await, "transport error");
        // A binary body, text that is none, and half a body.
        let mut client = Astray::enter(&here, &there).await;
        let binary = client.away.request("POST").body("4");
        let binary = binary.header("content-type", "application/octet-stream");
        binary.send().await.expect(400, "");
        assert_eq!(client.left.next().await, "transport error");
        let mut client = Astray::enter(&here, &there).await;
        client.away.post_body([0xff]).await.expect(400, "");
        assert_eq!(client.left.next().await, "parse error");
        let mut client = Astray::enter(&here, &there).await;
        let post = client.away.request("POST").header("content-length", "9");
        let mut post = post.start_heard().await;
        post.write(b"4half").await;
        post.abort();
        assert_eq!(client.left.next().await, "transport error");
        // A packet that is none.
        let mut client = Astray::enter(&here, &there).await;
        client
            .away
            .post_body("x")
            .await
            .expect(400, "{\"code\":3,\"message\":\"Bad request\"}");
        assert_eq!(client.left.next().await, "parse error");
    }
}

/// A body that is too large costs its session nothing, there as here.
#[on_both_servers]
async fn too_large_forwarded_body_does_not_close_the_session() {
    let redis = Redis::start();
    let [here, there] = cluster(&redis, Format::Classic).await;
    let client = Astray::enter(&here, &there).await;
    let large = "4".repeat(1_000_001);
    assert_eq!(client.away.post_body(large).await.status, 413);
    here.io.emit("still", ()).await.unwrap();
    client.away.expect(&[r#"42["still"]"#]).await;
}

/// The response to a poll is compressed by the node that answers it.
#[on_both_servers]
async fn a_forwarded_poll_is_compressed() {
    let redis = Redis::start();
    let [here, there] = cluster(&redis, Format::Classic).await;
    let client = Astray::enter(&here, &there).await;
    here.io.emit("long", "x".repeat(5000)).await.unwrap();
    let poll = client.away.request("GET").header("accept-encoding", "gzip");
    let response = poll.send().await;
    assert_eq!(response.header("content-encoding"), Some("gzip"));
    assert!(response.body.len() < 200);
}

/// A server that is closed gives its clients their last packets, wherever they wait.
#[on_both_servers]
async fn a_forwarded_poll_gets_the_last_packets_of_a_closing_server() {
    let redis = Redis::start();
    for format in Format::anywhere() {
        let [here, there] = cluster(&redis, format).await;
        let mut client = Astray::enter(&here, &there).await;
        let poll = client.away.waiting_poll().await;
        let closed = here.io.close(Duration::from_secs(5));
        assert!(within("the server to close", closed).await);
        assert_eq!(client.left.next().await, "server shutting down");
        assert_eq!(packets(&poll.response().await), ["1"]);
    }
}

/// A node that ends lets go of the polls that it has forwarded, and their clients poll another one.
#[on_both_servers]
async fn a_closing_node_ends_its_forwarded_polls() {
    let redis = Redis::start();
    for format in Format::ALL {
        let [here, there] = cluster(&redis, format).await;
        let client = Astray::enter(&here, &there).await;
        let poll = client.forwarded(&redis).await;
        let closed = there.io.close(Duration::from_secs(5));
        assert!(within("the server to close", closed).await);
        assert_eq!(packets(&poll.response().await), ["6"]);
        here.io.emit("still", ()).await.unwrap();
        client.home.expect(&[r#"42["still"]"#]).await;
    }
}

/// For as long as a node is being closed, which a client that takes nothing may draw out, polls
/// that come are sent home too, to a connection of their own; what clients say is still brought.
#[on_both_servers]
async fn a_closing_node_answers_forwarded_polls_at_once() {
    let redis = Redis::start();
    for format in Format::ALL {
        let [here, there] = cluster(&redis, format).await;
        let (told, mut heard) = channel();
        let namespace = here.io.of("/");
        namespace.on("say", move |Data(text): Data<String>| {
            told.send(text).unwrap();
            async {}
        });
        let mut idle = Client::connected(&there, Via::Polling).await;
        let client = Astray::enter(&here, &there).await;
        let poll = client.forwarded(&redis).await;
        let io = there.io.clone();
        let closing = tokio::spawn(async move { io.close(Duration::from_secs(60)).await });
        assert_eq!(packets(&poll.response().await), ["6"]);
        let published = redis.published();
        let home = client.away.start_poll().await.response().await;
        assert_eq!(packets(&home), ["6"]);
        assert_eq!(home.header("connection"), Some("close"));
        assert_eq!(redis.published(), published);
        client.away.post(&[r#"42["say","still"]"#]).await;
        assert_eq!(heard.next().await, "still");
        // Then the client that has kept the node takes its last packets.
        assert!(!closing.is_finished());
        idle.expect_close().await;
        assert!(within("the server to close", closing).await.unwrap());
    }
}

/// While the node that a poll has reached would not hear the answer, nothing is asked: its packets
/// would be lost, and the session with them.
#[on_both_servers]
async fn a_poll_is_forwarded_once_its_response_channel_is_subscribed() {
    let redis = Redis::start();
    for format in Format::ALL {
        let here = format.node(&redis, |io| io).await;
        let others = redis.command("CLIENT LIST TYPE pubsub");
        let there = format.node(&redis, |io| io).await;
        let client = Astray::enter(&here, &there).await;
        let listeners = redis.command("CLIENT LIST TYPE pubsub");
        let ids = listeners.lines().filter_map(|line| line.split(' ').next());
        let is_new = |id: &&str| id.starts_with("id=") && !others.contains(&format!("{id} "));
        let ids: Vec<_> = ids.filter(is_new).collect();
        let [listener] = ids[..] else {
            panic!("{ids:?} among {listeners}")
        };
        // By a connection of its own, since Redis takes no other one from here on.
        let mut redis_itself = TcpStream::connect(redis.address()).await.unwrap();
        let cut = format!(
            "CONFIG SET maxclients 1\r\nCLIENT KILL ID {}\r\n",
            listener.trim_start_matches("id=")
        );
        redis_itself.write_all(cut.as_bytes()).await.unwrap();
        until("it to be noticed", || {
            !there.io.adapter_health().is_connected()
        })
        .await;
        let poll = client.away.waiting_poll().await;
        here.io.emit("kept", ()).await.unwrap();
        let mend = b"CONFIG SET maxclients 1000\r\n";
        redis_itself.write_all(mend).await.unwrap();
        assert_eq!(packets(&poll.response().await), [r#"42["kept"]"#]);
    }
}

/// Without Redis a session elsewhere cannot be reached: whoever waits hears so at once, and others
/// when Redis has not come back in three seconds.
#[on_both_servers]
async fn a_request_fails_when_redis_is_away() {
    let mut redis = Redis::start();
    let [here, there] = cluster(&redis, Format::Classic).await;
    let mut client = Astray::enter(&here, &there).await;
    let poll = client.forwarded(&redis).await;
    redis.kill();
    let refused = poll.response().await;
    refused.expect_error(1, "Session ID unknown");
    let posted = client.away.post_body("3").await;
    posted.expect_error(1, "Session ID unknown");
    // The packets that no poll has taken were lost, so that the session ends.
    here.io.emit("lost", ()).await.unwrap();
    assert_eq!(client.left.next().await, "transport error");
}
