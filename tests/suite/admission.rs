//! docs/operations.md, Limits: the admission of new clients. Each limit is tested at its last client
//! and the first one above it, on both transports.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_socketio::{
    Builder, CloseReason, EngineSession, IpNet, Limit, LimitHit, RateLimit, SocketIo,
};
use actix_web::HttpRequest;
use actix_web::error::ErrorForbidden;
use tokio::task::JoinSet;

use crate::support::socketio::{BOTH, Client, Via, leavers};
use crate::support::{Heard, Polling, Request, Response, Server, Site, WebSocket, channel, within};

/// Starts a server with these limits, and hears the limits that are reached.
fn limited(
    build: impl FnOnce(Builder) -> Builder + Send + 'static,
) -> (Server<SocketIo>, Heard<(Limit, u64)>) {
    let (told, hits) = channel();
    let server = Server::socketio(
        move |io| {
            let io = io.trusted_proxies(["127.0.0.0/8".parse::<IpNet>().unwrap()]);
            build(io).on_limit(move |hit: &LimitHit<'_>| {
                assert!(hit.address().is_some());
                let _ = told.send((hit.limit(), hit.value()));
            })
        },
        |_| (),
    );
    (server, hits)
}

/// Sends a handshake of this address, and returns its answer.
async fn handshake(site: &Site, via: Via, address: &str) -> Response {
    let forwarded = [("x-forwarded-for", address)];
    match via {
        Via::Polling => {
            let target = site.target("EIO=4&transport=polling");
            let request = Request::get(site.address, &target);
            request.header(forwarded[0].0, address).send().await
        }
        Via::WebSocket => WebSocket::connect(site, "EIO=4&transport=websocket", &forwarded)
            .await
            .unwrap_err(),
    }
}

/// Expects that a client of this address is refused on both transports.
async fn expect_refused(site: &Site, address: &str, status: u16, message: &str) -> Response {
    let mut refused = None;
    for via in BOTH {
        let response = handshake(site, via, address).await;
        let body = format!(r#"{{"code":6,"message":"{message}"}}"#);
        assert_eq!((response.status, response.text()), (status, body.as_str()));
        assert_eq!(response.header("cache-control"), Some("no-store"));
        refused = Some(response);
    }
    refused.unwrap()
}

/// `max_sessions`: a client above it is refused, until a session closes.
#[on_both_servers]
async fn sessions_in_all_are_limited() {
    let (server, mut hits) = limited(|io| io.max_sessions(2));
    let mut left = leavers(&server.io.of("/"));
    for via in BOTH {
        let first = Client::connected(&server, Via::Polling).await;
        let second = Client::connected(&server, Via::WebSocket).await;
        let refused = expect_refused(&server, "10.0.0.1", 503, "Too many sessions").await;
        assert_eq!(refused.header("retry-after"), Some("5"));
        for _ in BOTH {
            assert_eq!(hits.next().await, (Limit::MaxSessions, 2));
        }
        first.close().await;
        left.next().await;
        // A place, and no more than one.
        let third = Client::connected(&server, via).await;
        expect_refused(&server, "10.0.0.1", 503, "Too many sessions").await;
        for client in [second, third] {
            client.close().await;
            left.next().await;
        }
        hits.so_far();
    }
    let mut counts = server.io.limit_counts();
    let hits = counts.find(|(limit, _)| *limit == Limit::MaxSessions);
    assert_eq!(hits, Some((Limit::MaxSessions, 8)));
}

/// An upgrade is no new session, and its end frees one place.
#[on_both_servers]
async fn an_upgraded_session_counts_once() {
    let (server, _hits) = limited(|io| io.max_sessions(1));
    let mut left = leavers(&server.io.of("/"));
    let session = Polling::open(&server).await;
    session.post(&["40"]).await;
    let mut socket = WebSocket::beside(&server, session.sid()).await;
    socket.send_text("2probe").await;
    socket.expect_text("3probe").await;
    socket.send_text("5").await;
    // The CONNECT packet comes after the upgrade.
    assert!(socket.recv_text().await.starts_with("40"));
    expect_refused(&server, "10.0.0.1", 503, "Too many sessions").await;
    socket.send_close(None).await;
    assert_eq!(left.next().await, "transport close");
    let _next = Client::connected(&server, Via::Polling).await;
    expect_refused(&server, "10.0.0.1", 503, "Too many sessions").await;
}

/// Any number of clients at once keeps within the limit.
#[on_both_servers]
async fn clients_at_once_do_not_exceed_the_limit() {
    let (server, _hits) = limited(|io| io.max_sessions(5));
    let site = *server;
    let mut opening = JoinSet::new();
    for _ in 0..24 {
        opening.spawn(async move { handshake(&site, Via::Polling, "10.0.0.1").await.status });
    }
    let statuses = opening.join_all().await;
    let opened = statuses.iter().filter(|status| **status == 200).count();
    assert_eq!(opened, 5, "{statuses:?}");
    assert_eq!(server.io.clients_count(), 5);
}

/// A client that `allow_request` refuses takes no place.
#[on_both_servers]
async fn a_client_that_the_program_refuses_takes_no_place() {
    let (server, _hits) = limited(|io| {
        io.max_sessions(1).allow_request(|request: HttpRequest| {
            let is_known = request.headers().contains_key("x-known");
            std::future::ready(is_known.then_some(()).ok_or(ErrorForbidden("no")))
        })
    });
    for via in BOTH {
        for _ in 0..3 {
            assert_eq!(handshake(&server, via, "10.0.0.1").await.status, 403);
        }
    }
    Polling::open_with(&server, &[("x-known", "1")]).await;
    expect_refused(&server, "10.0.0.1", 503, "Too many sessions").await;
}

/// `sessions_per_address`: behind trusted proxies, and by networks of IPv6.
#[on_both_servers]
async fn sessions_of_an_address_are_limited() {
    let (server, mut hits) = limited(|io| io.sessions_per_address(1));
    for (address, same, other) in [
        ("10.0.0.1", "10.0.0.1", "10.0.0.2"),
        ("2001:db8::1", "2001:db8::2:3", "2001:db8:0:1::1"),
    ] {
        let forwarded = [("x-forwarded-for", address)];
        let client = Client::open_with(&server, Via::WebSocket, &forwarded).await;
        let message = "Too many sessions of this address";
        expect_refused(&server, same, 429, message).await;
        assert_eq!(hits.next().await, (Limit::SessionsPerAddress, 1));
        let forwarded = [("x-forwarded-for", other)];
        Client::open_with(&server, Via::WebSocket, &forwarded).await;
        client.close().await;
        let opens = async { while handshake(&server, Via::Polling, same).await.status != 200 {} };
        within("the place of the closed session", opens).await;
        expect_refused(&server, same, 429, message).await;
    }
}

/// `handshakes_per_second` and `handshakes_per_second_per_address`.
#[on_both_servers]
async fn handshakes_have_a_rate() {
    // Without new tokens, so that the time of the test has no effect.
    let once = RateLimit::new(0).burst(2);
    let (server, mut hits) = limited(move |io| {
        let io = io.handshakes_per_second(RateLimit::new(0).burst(3));
        io.handshakes_per_second_per_address(once)
    });
    for _ in 0..2 {
        let opened = handshake(&server, Via::Polling, "10.0.0.1").await;
        assert_eq!(opened.status, 200);
    }
    let message = "Too many handshakes of this address";
    let refused = expect_refused(&server, "10.0.0.1", 429, message).await;
    assert_eq!(refused.header("retry-after"), Some("3600"));
    assert_eq!(hits.next().await, (Limit::HandshakesPerSecondPerAddress, 0));
    hits.next().await;
    let opened = handshake(&server, Via::Polling, "10.0.0.2").await;
    assert_eq!(opened.status, 200);
    expect_refused(&server, "10.0.0.3", 503, "Too many handshakes").await;
    assert_eq!(hits.next().await, (Limit::HandshakesPerSecond, 0));
}

/// A rate gives new places with the time.
#[on_both_servers]
async fn a_refused_client_opens_a_session_later() {
    let (server, _hits) = limited(|io| io.handshakes_per_second(2));
    let opened = handshake(&server, Via::Polling, "10.0.0.1");
    assert_eq!(opened.await.status, 200);
    handshake(&server, Via::Polling, "10.0.0.1").await;
    let opens = async { while handshake(&server, Via::Polling, "10.0.0.1").await.status != 200 {} };
    within("the next token", opens).await;
}

/// `memory_limit`: new clients are refused above it, the others stay.
#[on_both_servers]
async fn new_clients_are_refused_above_the_memory_limit() {
    let bytes = Arc::new(AtomicU64::new(100));
    let measured = Arc::clone(&bytes);
    let (server, mut hits) = limited(move |io| {
        let gauge = move || Some(measured.load(Ordering::Relaxed));
        io.memory_limit(100).memory_gauge(gauge)
    });
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        bytes.store(101, Ordering::Relaxed);
        let refused =
            async { while handshake(&server, Via::Polling, "10.0.0.1").await.status != 503 {} };
        within("the next measurement", refused).await;
        expect_refused(&server, "10.0.0.1", 503, "Server out of memory").await;
        assert_eq!(hits.next().await, (Limit::MemoryLimit, 100));
        client.expect_nothing_more("/").await;
        bytes.store(100, Ordering::Relaxed);
        let opens =
            async { while handshake(&server, Via::Polling, "10.0.0.1").await.status != 200 {} };
        within("the next measurement", opens).await;
    }
}

/// A system whose memory cannot be measured has no such limit.
#[tokio::test]
async fn a_gauge_without_a_value_is_an_error_of_the_start() {
    let io = SocketIo::builder().memory_limit(100).memory_gauge(|| None);
    let error = io.start().unwrap_err().to_string();
    assert!(error.starts_with("memory_limit: "), "{error}");
}

/// `first_poll_timeout`: a session that has never polled ends early, the others do not.
#[on_both_servers]
async fn a_session_that_never_polls_ends_early() {
    let limit = Duration::from_millis(100);
    let (server, mut hits) = limited(move |io| io.first_poll_timeout(limit));
    let polls = Polling::open(&server).await;
    let poll = polls.waiting_poll().await;
    let posts = Polling::open(&server).await;
    posts.post(&["40"]).await;
    let _websocket = WebSocket::open(&server).await;
    let silent = Polling::open(&server).await;
    assert_eq!(hits.next().await, (Limit::FirstPollTimeout, 100));
    silent.expect_gone().await;
    assert_eq!(server.io.clients_count(), 3);
    polls.post(&["40"]).await;
    assert_eq!(poll.response().await.status, 200);
    assert_eq!(hits.so_far(), []);
}

/// A server of raw messages has the same limits.
#[on_both_servers]
async fn raw_servers_limit_their_clients_too() {
    let (closed, mut closes) = channel();
    let (told, mut hits) = channel();
    let server = Server::engineio(move |builder| {
        builder
            .max_sessions(1)
            .first_poll_timeout(Duration::from_millis(100))
            .on_limit(move |hit| told.send(hit.limit()).unwrap())
            .on_close(move |_: EngineSession, reason| {
                closed.send(reason).unwrap();
                async {}
            })
    });
    let _silent = Polling::open(&server).await;
    let refused = handshake(&server, Via::WebSocket, "10.0.0.1").await;
    assert_eq!(refused.status, 503);
    assert_eq!(closes.next().await, CloseReason::FirstPollTimeout);
    assert_eq!(hits.next().await, Limit::MaxSessions);
    assert_eq!(hits.next().await, Limit::FirstPollTimeout);
    let _next = WebSocket::open(&server).await;
}
