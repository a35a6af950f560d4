//! docs/operations.md, Limits: the rates of events and bytes of a socket. Each is tested at its last
//! event and the first one above it, on both transports.

use std::time::Instant;

use actix_socketio::{Bytes, Data, FailureCause, Limit, LimitHit, RateLimit, RatePolicy, SocketIo};

use crate::support::socketio::{BOTH, Client, leavers};
use crate::support::{Heard, Server, channel, within};

/// The limit, the namespace and the event of a hit.
type Hit = (Limit, String, String);

/// Starts a server that answers `move` and `search` with their argument.
fn rated(
    events: Option<RateLimit>,
    bytes: Option<RateLimit>,
    register: impl FnOnce(&SocketIo) + Send + 'static,
) -> (Server<SocketIo>, Heard<Hit>) {
    let (told, hits) = channel();
    let server = Server::socketio(
        move |mut io| {
            if let Some(rate) = events {
                io = io.events_per_second(rate);
            }
            if let Some(rate) = bytes {
                io = io.bytes_per_second(rate);
            }
            io.error_details(false).on_limit(move |hit: &LimitHit<'_>| {
                assert!(hit.address().is_some() && hit.socket_id().is_some());
                let namespace = hit.namespace().unwrap().to_owned();
                let event = hit.event().unwrap().to_owned();
                let _ = told.send((hit.limit(), namespace, event));
            })
        },
        move |io| {
            for event in ["move", "search"] {
                io.of("/").on(event, |Data(n): Data<u32>| async move { n });
            }
            register(io);
        },
    );
    (server, hits)
}

async fn expect_all(client: &mut Client, packets: &[&str]) {
    for packet in packets {
        client.expect(packet).await;
    }
}

/// Without new tokens, so that the time of the test has no effect.
fn only(events: u64) -> RateLimit {
    RateLimit::new(0).burst(events)
}

fn hit(limit: Limit, event: &str) -> Hit {
    (limit, "/".to_owned(), event.to_owned())
}

/// The text that a client gets for an event above a rate, with or without `error_details`.
const DROPPED: &str = r#"[{"error":"rate limit exceeded"}]"#;

/// `RatePolicy::Drop`: the event is acknowledged with an error that the error hook sees.
#[on_both_servers]
async fn events_above_the_rate_are_answered_with_an_error() {
    let (failed, mut failures) = channel();
    let (server, mut hits) = rated(Some(only(2)), None, move |io| {
        io.of("/").on_error(move |failure| {
            let FailureCause::RateExceeded(limit) = failure.cause() else {
                panic!("{failure}");
            };
            failed.send((*limit, failure.event().to_owned())).unwrap();
            None
        });
    });
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client
            .send_all(&[r#"420["move",1]"#, r#"421["move",2]"#, r#"422["move",3]"#])
            .await;
        expect_all(&mut client, &["430[1]", "431[2]", &format!("432{DROPPED}")]).await;
        assert_eq!(hits.next().await, hit(Limit::EventsPerSecond, "move"));
        let seen = (Limit::EventsPerSecond, "move".to_owned());
        assert_eq!(failures.next().await, seen);
        // Without an acknowledgement too, and the socket stays.
        client.send(r#"42["search",4]"#).await;
        assert_eq!(hits.next().await, hit(Limit::EventsPerSecond, "search"));
        failures.next().await;
        client.close().await;
    }
}

/// Another socket has its own tokens.
#[on_both_servers]
async fn each_socket_has_its_own_rate() {
    let (server, _hits) = rated(Some(only(1)), None, |io| {
        io.of("/other")
            .on("move", |Data(n): Data<u32>| async move { n });
    });
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client.connect("/other").await;
        client
            .send_all(&[r#"420["move",1]"#, r#"42/other,0["move",2]"#])
            .await;
        expect_all(&mut client, &["430[1]", "43/other,0[2]"]).await;
        client.send(r#"42/other,1["move",3]"#).await;
        expect_all(&mut client, &[&format!("43/other,1{DROPPED}")]).await;
    }
}

/// `Handlers::event_rate`: before or after `on`, and in place of the rate of all events.
#[on_both_servers]
async fn an_event_may_have_a_rate_of_its_own() {
    for is_first in [true, false] {
        let (server, mut hits) = rated(Some(only(1)), None, move |io| {
            let namespace = io.of("/");
            if is_first {
                namespace.off("search");
                namespace.event_rate("search", only(2));
                namespace.on("search", |Data(n): Data<u32>| async move { n });
            } else {
                namespace.event_rate("search", only(2));
            }
        });
        for via in BOTH {
            let mut client = Client::connected(&server, via).await;
            let searches = [
                r#"420["search",1]"#,
                r#"421["search",2]"#,
                r#"422["search",3]"#,
            ];
            client.send_all(&searches).await;
            expect_all(&mut client, &["430[1]", "431[2]", &format!("432{DROPPED}")]).await;
            assert_eq!(hits.next().await, hit(Limit::EventRate, "search"));
            client
                .send_all(&[r#"423["move",4]"#, r#"424["move",5]"#])
                .await;
            expect_all(&mut client, &["433[4]", &format!("434{DROPPED}")]).await;
            assert_eq!(hits.next().await, hit(Limit::EventsPerSecond, "move"));
        }
    }
}

/// `bytes_per_second`: names, arguments and attachments count.
#[on_both_servers]
async fn bytes_have_a_rate() {
    let (server, mut hits) = rated(None, Some(only(20)), |io| {
        io.of("/")
            .on("data", |Data(data): Data<Bytes>| async move { data.len() });
    });
    for via in BOTH {
        // `move` and `123456` are 10 bytes.
        let mut client = Client::connected(&server, via).await;
        client
            .send_all(&[r#"420["move",123456]"#, r#"421["move",123456]"#])
            .await;
        expect_all(&mut client, &["430[123456]", "431[123456]"]).await;
        client.send(r#"422["move",1]"#).await;
        expect_all(&mut client, &[&format!("432{DROPPED}")]).await;
        assert_eq!(hits.next().await, hit(Limit::BytesPerSecond, "move"));
        // An event that is larger than the burst passes a full bucket.
        let mut client = Client::connected(&server, via).await;
        let placeholder = r#"{"_placeholder":true,"num":0}"#;
        let event = format!(r#"451-3["data",{placeholder}]"#);
        client.send_binary(&event, &[&[7; 100]]).await;
        expect_all(&mut client, &["433[100]"]).await;
        client.send_binary(&event, &[&[7]]).await;
        expect_all(&mut client, &[&format!("433{DROPPED}")]).await;
        hits.next().await;
    }
}

/// `RatePolicy::Delay`: all events arrive, in order and at the rate; other clients do not wait.
#[on_both_servers]
async fn a_delayed_client_loses_nothing() {
    let slow = RateLimit::new(10).burst(2).policy(RatePolicy::Delay);
    let (server, mut hits) = rated(Some(slow), None, |_| ());
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        let mut other = Client::connected(&server, via).await;
        let began = Instant::now();
        let events: Vec<_> = (0..6).map(|n| format!(r#"42{n}["move",{n}]"#)).collect();
        let events: Vec<_> = events.iter().map(String::as_str).collect();
        client.send_all(&events).await;
        other.send(r#"427["move",7]"#).await;
        expect_all(&mut other, &["437[7]"]).await;
        let answers: Vec<_> = (0..6).map(|n| format!("43{n}[{n}]")).collect();
        let answers: Vec<_> = answers.iter().map(String::as_str).collect();
        expect_all(&mut client, &answers).await;
        // Two at once, and four more at ten in a second.
        assert!(began.elapsed().as_millis() >= 390, "{:?}", began.elapsed());
        assert_eq!(hits.next().await, hit(Limit::EventsPerSecond, "move"));
        hits.so_far();
    }
}

/// A delayed client may disconnect, and its events that wait are dropped with it.
#[on_both_servers]
async fn a_delayed_client_may_go() {
    let slow = only(1).policy(RatePolicy::Delay);
    let (server, mut hits) = rated(Some(slow), None, |_| ());
    let mut left = leavers(&server.io.of("/"));
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client
            .send_all(&[r#"420["move",1]"#, r#"421["move",2]"#])
            .await;
        expect_all(&mut client, &["430[1]"]).await;
        assert_eq!(hits.next().await, hit(Limit::EventsPerSecond, "move"));
        let ends = server.io.disconnect_sockets(true);
        within("the end of all sockets", ends).await.unwrap();
        left.next().await;
    }
}

/// `RatePolicy::Disconnect`: the session ends with a reason of its own.
#[on_both_servers]
async fn a_client_above_the_rate_may_be_disconnected() {
    let strict = only(2).policy(RatePolicy::Disconnect);
    let (server, mut hits) = rated(Some(strict), None, |_| ());
    let mut left = leavers(&server.io.of("/"));
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client
            .send_all(&[r#"420["move",1]"#, r#"421["move",2]"#])
            .await;
        expect_all(&mut client, &["430[1]", "431[2]"]).await;
        client.send(r#"422["move",3]"#).await;
        assert_eq!(left.next().await, "rate limit exceeded");
        assert_eq!(hits.next().await, hit(Limit::EventsPerSecond, "move"));
    }
}
