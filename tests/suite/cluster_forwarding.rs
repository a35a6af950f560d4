//! Requests of polling that reach the wrong node of a cluster: done by the right one, as if it had got
//! them itself.

use std::time::Duration;

use actix_socketio::{Data, DisconnectReason, SocketIo};

use crate::support::redis::{Format, Redis, cluster};
use crate::support::{Heard, Pending, Polling, Server, channel, packets, within};

/// A client that is a socket of the first node, seen from the other one.
struct Astray {
    /// Its requests reach its own node.
    home: Polling,
    /// They reach the other one.
    away: Polling,
    /// Why it left.
    left: Heard<&'static str>,
}

async fn astray(here: &Server<SocketIo>, there: &Server<SocketIo>) -> Astray {
    let (told, left) = channel();
    let namespace = here.io.of("/");
    namespace.on_disconnect(move |reason: DisconnectReason| {
        let _ = told.send(reason.as_str());
        async {}
    });
    let home = Polling::open(here).await;
    let away = Polling {
        site: **there,
        open: home.open.clone(),
    };
    away.post(&["40"]).await;
    let connected = away.poll().await;
    assert!(connected[0].starts_with("40{"), "{connected:?}");
    Astray { home, away, left }
}

/// Starts a poll, and returns when it is on its way to its node.
async fn forwarded(redis: &Redis, away: &Polling) -> Pending {
    let published = redis.published();
    let poll = away.start_poll().await;
    let on_its_way = async {
        while redis.published() == published {
            tokio::task::yield_now().await;
        }
    };
    within("the poll to be forwarded", on_its_way).await;
    poll
}

/// Every request may reach another node than the last, and each gets what it would get at home.
#[tokio::test]
async fn requests_are_done_by_the_node_that_has_the_session() {
    let redis = Redis::start();
    for format in Format::ALL {
        let [here, there] = cluster(&redis, format).await;
        let namespace = here.io.of("/");
        namespace.on("echo", |Data(text): Data<String>| async move { text });
        let Astray { home, away, .. } = astray(&here, &there).await;
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
        // What a client says last.
        away.post(&["1"]).await;
        away.expect_gone().await;
        home.expect_gone().await;
    }
}

/// A session that no node has is unknown, whatever its id begins with.
#[tokio::test]
async fn a_session_that_nobody_has_is_unknown() {
    let redis = Redis::start();
    let [here, there] = cluster(&redis, Format::Classic).await;
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

/// What ends a session at home ends it from another node, for the same reason.
#[tokio::test]
async fn what_breaks_a_rule_elsewhere_ends_the_session() {
    let redis = Redis::start();
    let [here, there] = cluster(&redis, Format::Classic).await;
    // A poll that its client gives up.
    let mut client = astray(&here, &there).await;
    client.away.waiting_poll().await.abort();
    assert_eq!(client.left.next().await, "transport error");
    client.away.expect_gone().await;
    // A second poll beside the first, in whatever order they come.
    let mut client = astray(&here, &there).await;
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
    let mut client = astray(&here, &there).await;
    let binary = client.away.request("POST").body("4");
    let binary = binary.header("content-type", "application/octet-stream");
    binary.send().await.expect(400, "");
    assert_eq!(client.left.next().await, "transport error");
    let mut client = astray(&here, &there).await;
    client.away.post_body([0xff]).await.expect(400, "");
    assert_eq!(client.left.next().await, "parse error");
    let mut client = astray(&here, &there).await;
    let post = client.away.request("POST").header("content-length", "9");
    let mut post = post.start_heard().await;
    post.write(b"4half").await;
    post.abort();
    assert_eq!(client.left.next().await, "transport error");
    // A packet that is none.
    let mut client = astray(&here, &there).await;
    client
        .away
        .post_body("x")
        .await
        .expect(400, "{\"code\":3,\"message\":\"Bad request\"}");
    assert_eq!(client.left.next().await, "parse error");
}

/// A body that is too large costs its session nothing, there as here.
#[tokio::test]
async fn a_body_that_is_too_large_is_refused_and_the_session_goes_on() {
    let redis = Redis::start();
    let [here, there] = cluster(&redis, Format::Classic).await;
    let client = astray(&here, &there).await;
    let large = "4".repeat(1_000_001);
    assert_eq!(client.away.post_body(large).await.status, 413);
    here.io.emit("still", ()).await.unwrap();
    client.away.expect(&[r#"42["still"]"#]).await;
}

/// What a poll brings is compressed by the node that answers it.
#[tokio::test]
async fn a_forwarded_poll_is_compressed() {
    let redis = Redis::start();
    let [here, there] = cluster(&redis, Format::Classic).await;
    let client = astray(&here, &there).await;
    here.io.emit("long", "x".repeat(5000)).await.unwrap();
    let poll = client.away.request("GET").header("accept-encoding", "gzip");
    let response = poll.send().await;
    assert_eq!(response.header("content-encoding"), Some("gzip"));
    assert!(response.body.len() < 200);
}

/// A server that is closed gives its clients their last packets, wherever they wait.
#[tokio::test]
async fn a_poll_elsewhere_gets_the_last_packets_of_a_server() {
    let redis = Redis::start();
    let [here, there] = cluster(&redis, Format::Classic).await;
    let mut client = astray(&here, &there).await;
    let poll = client.away.waiting_poll().await;
    let closed = here.io.close(Duration::from_secs(5));
    assert!(within("the server to close", closed).await);
    assert_eq!(client.left.next().await, "server shutting down");
    assert_eq!(packets(&poll.response().await), ["1"]);
}

/// A node that ends lets go of the polls that it has forwarded, and their clients poll another one.
#[tokio::test]
async fn a_node_that_ends_sends_the_clients_of_others_home() {
    let redis = Redis::start();
    let [here, there] = cluster(&redis, Format::Classic).await;
    let client = astray(&here, &there).await;
    let poll = forwarded(&redis, &client.away).await;
    let closed = there.io.close(Duration::from_secs(5));
    assert!(within("the server to close", closed).await);
    assert_eq!(packets(&poll.response().await), ["6"]);
    here.io.emit("still", ()).await.unwrap();
    client.home.expect(&[r#"42["still"]"#]).await;
}

/// Without Redis a session elsewhere cannot be reached, and its client hears so at once.
#[tokio::test]
async fn a_request_fails_at_once_when_redis_is_away() {
    let mut redis = Redis::start();
    let [here, there] = cluster(&redis, Format::Classic).await;
    let mut client = astray(&here, &there).await;
    let poll = forwarded(&redis, &client.away).await;
    redis.kill();
    let refused = poll.response().await;
    refused.expect_error(1, "Session ID unknown");
    let posted = client.away.post_body("3").await;
    posted.expect_error(1, "Session ID unknown");
    // What nobody has taken was lost, so that the session ends.
    here.io.emit("lost", ()).await.unwrap();
    assert_eq!(client.left.next().await, "transport error");
}
