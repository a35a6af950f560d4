//! docs/operations.md, Limits: the rates of events and bytes of a socket. Each is tested at its last
//! event and the first one above it, on both transports.

use std::time::{Duration, Instant};

use actix_socketio::{
    Bytes, Data, FailureCause, Limit, LimitHit, RateLimit, RatePolicy, Socket, SocketIo,
};

use crate::support::socketio::{BOTH, Client, leavers, until};
use crate::support::{Heard, Polling, Server, WebSocket, channel, echo, within};

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

/// `Handlers::event_rate` with `RatePolicy::Delay`: all of its events arrive, in order and at the
/// rate; with `RatePolicy::Disconnect` the first above it ends the session. Other events have no rate.
#[on_both_servers]
async fn the_rate_of_an_event_may_delay_or_disconnect() {
    for via in BOTH {
        let slow = RateLimit::new(10).burst(2).policy(RatePolicy::Delay);
        let (server, mut hits) = rated(None, None, move |io| {
            io.of("/").event_rate("search", slow);
        });
        let mut client = Client::connected(&server, via).await;
        let began = Instant::now();
        let searches = [r#"420["search",0]"#, r#"421["search",1]"#];
        client.send_all(&searches).await;
        expect_all(&mut client, &["430[0]", "431[1]"]).await;
        assert_eq!(hits.so_far(), []);
        let searches = [
            r#"422["search",2]"#,
            r#"423["search",3]"#,
            r#"424["search",4]"#,
            r#"425["search",5]"#,
        ];
        client.send_all(&searches).await;
        expect_all(&mut client, &["432[2]", "433[3]", "434[4]", "435[5]"]).await;
        assert!(began.elapsed().as_millis() >= 390, "{:?}", began.elapsed());
        assert_eq!(hits.next().await, hit(Limit::EventRate, "search"));

        let strict = only(2).policy(RatePolicy::Disconnect);
        let (server, mut hits) = rated(None, None, move |io| {
            io.of("/").event_rate("search", strict);
        });
        let mut left = leavers(&server.io.of("/"));
        let mut client = Client::connected(&server, via).await;
        let allowed = [
            r#"420["search",1]"#,
            r#"421["search",2]"#,
            r#"422["move",3]"#,
            r#"423["move",4]"#,
            r#"424["move",5]"#,
        ];
        client.send_all(&allowed).await;
        let answers = ["430[1]", "431[2]", "432[3]", "433[4]", "434[5]"];
        expect_all(&mut client, &answers).await;
        assert_eq!(hits.so_far(), []);
        client.send(r#"425["search",6]"#).await;
        assert_eq!(left.next().await, "rate limit exceeded");
        assert_eq!(hits.next().await, hit(Limit::EventRate, "search"));
    }
}

/// `bytes_per_second` with `RatePolicy::Delay`: all events arrive, in order and at the rate; with
/// `RatePolicy::Disconnect` the first byte above it ends the session.
#[on_both_servers]
async fn the_rate_of_bytes_may_delay_or_disconnect() {
    // `move` and `123456` are 10 bytes.
    let two = [r#"420["move",123456]"#, r#"421["move",123456]"#];
    let answers = ["430[123456]", "431[123456]"];
    for via in BOTH {
        let slow = RateLimit::new(50).burst(20).policy(RatePolicy::Delay);
        let (server, mut hits) = rated(None, Some(slow), |_| ());
        let mut client = Client::connected(&server, via).await;
        let began = Instant::now();
        client.send_all(&two).await;
        expect_all(&mut client, &answers).await;
        for _ in 0..2 {
            client.send_all(&two).await;
            expect_all(&mut client, &answers).await;
        }
        // 20 bytes at once, and 40 more at 50 in a second.
        assert!(began.elapsed().as_millis() >= 790, "{:?}", began.elapsed());
        assert_eq!(hits.next().await, hit(Limit::BytesPerSecond, "move"));

        let strict = only(20).policy(RatePolicy::Disconnect);
        let (server, mut hits) = rated(None, Some(strict), |_| ());
        let mut left = leavers(&server.io.of("/"));
        let mut client = Client::connected(&server, via).await;
        client.send_all(&two).await;
        expect_all(&mut client, &answers).await;
        assert_eq!(hits.so_far(), []);
        client.send(r#"422["move",1]"#).await;
        assert_eq!(left.next().await, "rate limit exceeded");
        assert_eq!(hits.next().await, hit(Limit::BytesPerSecond, "move"));
    }
}

/// The limit, the namespace, and whether the hit has a socket.
type OtherHit = (Limit, Option<String>, bool);

/// Hears the hits of packets that are no events.
fn other_hits() -> (
    impl Fn(&LimitHit<'_>) + Send + Sync + 'static,
    Heard<OtherHit>,
) {
    let (told, hits) = channel();
    let hook = move |hit: &LimitHit<'_>| {
        assert!(hit.address().is_some() && hit.event().is_none());
        let namespace = hit.namespace().map(str::to_owned);
        let _ = told.send((hit.limit(), namespace, hit.socket_id().is_some()));
    };
    (hook, hits)
}

fn in_root(limit: Limit, has_socket: bool) -> OtherHit {
    (limit, Some("/".to_owned()), has_socket)
}

async fn leave_and_connect(client: &mut Client) {
    client.send_all(&["41", "40"]).await;
}

/// A client that connects to a namespace again gets no new burst, and the connect counts as an
/// event. Other namespaces have their own.
#[on_both_servers]
async fn a_connect_again_counts_as_an_event() {
    let (hook, mut hits) = other_hits();
    let server = Server::socketio(
        move |io| io.events_per_second(only(2)).on_limit(hook),
        |io| {
            io.of("/other");
        },
    );
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        for _ in 0..2 {
            leave_and_connect(&mut client).await;
            client.expect_connect("/").await;
        }
        assert_eq!(hits.so_far(), []);
        leave_and_connect(&mut client).await;
        client
            .expect(r#"44{"message":"rate limit exceeded"}"#)
            .await;
        assert_eq!(hits.next().await, in_root(Limit::EventsPerSecond, false));
        client.connect("/other").await;
    }
}

/// A namespace that does not exist has a rate too, and so have more names than a client may join.
#[on_both_servers]
async fn refused_connects_count_for_the_rate() {
    let (hook, mut hits) = other_hits();
    let server = Server::socketio(
        move |io| {
            let io = io.events_per_second(only(1)).on_limit(hook);
            io.namespaces_per_session(2)
        },
        |_| (),
    );
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        let invalid = |name: &str| format!(r#"44{name},{{"message":"Invalid namespace"}}"#);
        for _ in 0..2 {
            client.send("40/a,").await;
            client.expect(&invalid("/a")).await;
        }
        assert_eq!(hits.so_far(), []);
        // It gets the buckets of the other one, which are empty.
        client.send("40/b,").await;
        let refused = r#"44/b,{"message":"rate limit exceeded"}"#;
        client.expect(refused).await;
        let namespace = Some("/b".to_owned());
        assert_eq!(
            hits.next().await,
            (Limit::EventsPerSecond, namespace, false)
        );
    }
}

/// `RatePolicy::Delay` and `RatePolicy::Disconnect` of a connect.
#[on_both_servers]
async fn a_connect_again_is_delayed_or_ends_the_session() {
    for via in BOTH {
        let slow = RateLimit::new(10).burst(1).policy(RatePolicy::Delay);
        let server = Server::socketio(move |io| io.events_per_second(slow), |_| ());
        let mut client = Client::connected(&server, via).await;
        let began = Instant::now();
        for _ in 0..4 {
            leave_and_connect(&mut client).await;
            client.expect_connect("/").await;
        }
        assert!(began.elapsed().as_millis() >= 290, "{:?}", began.elapsed());

        let strict = only(1).policy(RatePolicy::Disconnect);
        let server = Server::socketio(move |io| io.events_per_second(strict), |_| ());
        let mut client = Client::connected(&server, via).await;
        leave_and_connect(&mut client).await;
        client.expect_connect("/").await;
        leave_and_connect(&mut client).await;
        until("the session to end", || server.io.clients_count() == 0).await;
    }
}

/// An acknowledgement that no call waits for counts as an event.
#[on_both_servers]
async fn acknowledgements_without_a_call_count_as_events() {
    let (hook, mut hits) = other_hits();
    let strict = only(3).policy(RatePolicy::Disconnect);
    let server = Server::socketio(
        move |io| io.events_per_second(strict).on_limit(hook),
        |io| {
            io.of("/").on("move", || async { "moved" });
        },
    );
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client.send_all(&["437[]", "437[]", r#"420["move"]"#]).await;
        client.expect(r#"430["moved"]"#).await;
        assert_eq!(hits.so_far(), []);
        client.send("437[]").await;
        assert_eq!(hits.next().await, in_root(Limit::EventsPerSecond, true));
        until("the session to end", || server.io.clients_count() == 0).await;
    }
}

/// Answers the call of the server.
async fn answer(client: &mut Client, text: &str) {
    let call = client.text().await;
    let (id, _) = call.strip_prefix("42").unwrap().split_once('[').unwrap();
    client.send(&format!(r#"43{id}["{text}"]"#)).await;
}

/// Of an acknowledgement that a call waits for the bytes count, and it is no event.
#[on_both_servers]
async fn bytes_of_acknowledgements_have_a_rate() {
    let (hook, mut hits) = other_hits();
    let server = Server::socketio(
        move |io| {
            let io = io.events_per_second(only(2)).bytes_per_second(only(10));
            io.on_limit(hook)
        },
        |io| {
            io.of("/").on("ask", |socket: Socket| async move {
                let socket = socket.timeout(Duration::from_millis(200));
                socket.call::<String>("name", ()).await.ok()
            });
        },
    );
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        // `ask` and `"Ad"` are 7 bytes, and `ask` is 3 more.
        client.send(r#"420["ask"]"#).await;
        answer(&mut client, "Ad").await;
        client.expect(r#"430["Ad"]"#).await;
        assert_eq!(hits.so_far(), []);
        client.send(r#"421["ask"]"#).await;
        answer(&mut client, "").await;
        client.expect("431[null]").await;
        assert_eq!(hits.next().await, in_root(Limit::BytesPerSecond, true));
    }
}

/// A packet for a namespace that the server has disconnected counts as an event of it.
#[on_both_servers]
async fn packets_for_a_left_namespace_have_a_rate() {
    let (hook, mut hits) = other_hits();
    let server = Server::socketio(
        move |io| {
            let strict = only(2).policy(RatePolicy::Disconnect);
            io.events_per_second(strict).on_limit(hook)
        },
        |io| {
            io.of("/chat");
            io.of("/").on("move", || async { "moved" });
        },
    );
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client.connect("/chat").await;
        let chat = server.io.of("/chat");
        let ends = chat.disconnect_sockets(false);
        within("the end of all sockets", ends).await.unwrap();
        client.expect("41/chat,").await;
        let late = r#"42/chat,["late"]"#;
        client.send_all(&[late, late, r#"420["move"]"#]).await;
        client.expect(r#"430["moved"]"#).await;
        assert_eq!(hits.so_far(), []);
        client.send(late).await;
        let namespace = Some("/chat".to_owned());
        assert_eq!(
            hits.next().await,
            (Limit::EventsPerSecond, namespace, false)
        );
        until("the session to end", || server.io.clients_count() == 0).await;
    }
}

/// `EngineIoBuilder::events_per_second`: a message of a raw session counts as an event.
#[on_both_servers]
async fn raw_messages_have_a_rate() {
    for policy in [RatePolicy::Drop, RatePolicy::Disconnect] {
        let (hook, mut hits) = other_hits();
        let server = Server::engineio(move |engine| {
            let engine = engine.events_per_second(only(2).policy(policy));
            echo(engine.on_limit(hook))
        });
        let mut socket = WebSocket::open(&server).await;
        let polling = Polling::open(&server).await;
        for text in ["41", "42"] {
            socket.send_text(text).await;
            socket.expect_text(text).await;
            polling.post(&[text]).await;
            polling.expect(&[text]).await;
        }
        assert_eq!(hits.so_far(), []);
        socket.send_text("43").await;
        assert_eq!(hits.next().await, (Limit::EventsPerSecond, None, false));
        if policy == RatePolicy::Disconnect {
            let _ = polling.post_body("43").await;
            until("the sessions to end", || server.io.clients_count() == 0).await;
        } else {
            polling.post(&["43"]).await;
            socket.send_ping("still here").await;
            socket.recv().await;
            assert_eq!(server.io.clients_count(), 2);
        }
        assert_eq!(hits.next().await, (Limit::EventsPerSecond, None, false));
    }
}

/// `EngineIoBuilder::bytes_per_second`, at the last byte and the first one above it.
#[on_both_servers]
async fn raw_bytes_have_a_rate() {
    let (hook, mut hits) = other_hits();
    let server = Server::engineio(move |engine| {
        let strict = only(10).policy(RatePolicy::Disconnect);
        echo(engine.bytes_per_second(strict).on_limit(hook))
    });
    let mut socket = WebSocket::open(&server).await;
    for message in ["4123456", "41234"] {
        socket.send_text(message).await;
        socket.expect_text(message).await;
    }
    assert_eq!(hits.so_far(), []);
    // It has no content, and counts as one byte.
    socket.send_text("4").await;
    assert_eq!(hits.next().await, (Limit::BytesPerSecond, None, false));
    until("the session to end", || server.io.clients_count() == 0).await;
}

/// `RatePolicy::Delay` on a raw server: all messages arrive, in order and at the rate.
#[on_both_servers]
async fn a_delayed_raw_session_loses_nothing() {
    let server = Server::engineio(|engine| {
        let slow = RateLimit::new(10).burst(2).policy(RatePolicy::Delay);
        echo(engine.events_per_second(slow))
    });
    let mut socket = WebSocket::open(&server).await;
    let polling = Polling::open(&server).await;
    let began = Instant::now();
    let messages = ["41", "42", "43", "44", "45", "46"];
    for message in messages {
        socket.send_text(message).await;
    }
    polling.post(&messages).await;
    for message in messages {
        socket.expect_text(message).await;
    }
    polling.expect_all(&messages).await;
    // Two at once, and four more at ten in a second.
    assert!(began.elapsed().as_millis() >= 390, "{:?}", began.elapsed());
}
