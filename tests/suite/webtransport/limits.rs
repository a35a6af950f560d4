//! docs/semantics.md, Limits: those of WebTransport, and the limits of all transports on it. Each is
//! tested at its last value and the first one above it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix_socketio::{Builder, EmitError, Limit, LimitHit, RateLimit, RatePolicy};
use actix_web::App;
use wtransport::error::ConnectingError;

use crate::support::held::work;
use crate::support::socketio::leavers;
use crate::support::webtransport::{Site, Stream, framed, served, served_as};
use crate::support::{Heard, Polling, channel, within};

/// `max_payload`: a message of so many bytes is handled, a longer one closes the session with the
/// last byte of its header.
#[tokio::test]
async fn message_above_the_limit_closes_the_session() {
    let (told, mut hits) = channel();
    let site = served(
        |io| {
            io.max_payload(100).on_limit(move |hit: &LimitHit<'_>| {
                told.send((hit.limit(), hit.value())).unwrap();
            })
        },
        |_| (),
    );
    let mut left = leavers(&site.server.io.of("/"));
    let mut open = Vec::new();
    for (bytes, is_binary) in [(100, false), (101, false), (101, true)] {
        let (mut stream, _) = site.connected().await;
        let packet = format!(r#"42["e","{}"]"#, "x".repeat(bytes - 10));
        assert_eq!(packet.len(), bytes);
        let message = framed(is_binary, packet.as_bytes());
        if bytes == 100 {
            stream.write(&message).await;
            stream.send("3").await;
            expect_served(&mut stream).await;
            open.push(stream);
            continue;
        }
        // The header alone.
        stream.write(&message[..message.len() - bytes]).await;
        assert_eq!(stream.closed().await, (0, String::new()));
        assert_eq!(left.next().await, "message too large");
        assert_eq!(hits.next().await, (Limit::MaxPayload, 100));
    }
}

/// `handshake_limit`: a request whose head is larger is refused with its response.
#[tokio::test]
async fn request_above_the_limit_is_refused() {
    let (told, mut hits) = channel();
    let site = served(
        |io| {
            io.handshake_limit(500).on_limit(move |hit: &LimitHit<'_>| {
                told.send((hit.limit(), hit.value())).unwrap();
            })
        },
        |_| (),
    );
    // Path and query, `host`, and the header: 500 bytes.
    let head = "/socket.io/?EIO=4&transport=webtransport".len();
    let host = "host: \r\n".len() + site.address.to_string().len();
    let length = 500 - head - host - "x-long: \r\n".len();
    for (length, is_accepted) in [(length, true), (length + 1, false)] {
        let value = "x".repeat(length);
        let headers = [("x-long", &*value)];
        let request = site.request_at("/socket.io/", &headers).await;
        assert_eq!(request.is_ok(), is_accepted);
    }
    assert_eq!(hits.next().await, (Limit::HandshakeLimit, 500));
    // Also a head that is never read.
    let value = "é".repeat(2000);
    let request = site.request_at("/socket.io/", &[("x-long", &*value)]).await;
    assert!(matches!(
        request.map(|_| ()),
        Err(ConnectingError::SessionRejected)
    ));
}

/// `sessions_per_address`, `max_sessions`, `handshakes_per_second` and that of an address: they hold
/// for the first packet.
#[tokio::test]
async fn limits_of_new_clients_close_the_session() {
    let (site, mut hits) = limited(|io| io.sessions_per_address(1));
    let (first, _) = site.connected().await;
    expect_refused(&site, "Too many sessions of this address").await;
    assert_eq!(hits.next().await, Limit::SessionsPerAddress);
    let mut left = leavers(&site.server.io.of("/"));
    drop(first);
    left.next().await;
    site.connected().await;

    let (site, mut hits) = limited(|io| io.max_sessions(1));
    let _first = site.connected().await;
    expect_refused(&site, "Too many sessions").await;
    assert_eq!(hits.next().await, Limit::MaxSessions);

    let (site, mut hits) = limited(|io| io.handshakes_per_second(RateLimit::new(0).burst(1)));
    site.connected().await;
    expect_refused(&site, "Too many handshakes").await;
    assert_eq!(hits.next().await, Limit::HandshakesPerSecond);

    let rate = RateLimit::new(0).burst(1);
    let (site, mut hits) = limited(move |io| io.handshakes_per_second_per_address(rate));
    site.connected().await;
    expect_refused(&site, "Too many handshakes of this address").await;
    assert_eq!(hits.next().await, Limit::HandshakesPerSecondPerAddress);
}

/// `memory_limit`: new sessions are refused above it, the others stay.
#[tokio::test]
async fn new_sessions_are_refused_above_the_memory_limit() {
    let bytes = Arc::new(AtomicU64::new(100));
    let measured = Arc::clone(&bytes);
    let (site, mut hits) = limited(move |io| {
        let gauge = move || Some(measured.load(Ordering::Relaxed));
        io.memory_limit(100).memory_gauge(gauge)
    });
    let (mut stream, _) = site.connected().await;
    bytes.store(101, Ordering::Relaxed);
    let refused = async { while opens(&site).await {} };
    within("the next measurement", refused).await;
    expect_refused(&site, "Server out of memory").await;
    assert_eq!(hits.next().await, Limit::MemoryLimit);
    expect_served(&mut stream).await;
    bytes.store(100, Ordering::Relaxed);
    let opened = async { while !opens(&site).await {} };
    within("the next measurement", opened).await;
}

/// `first_poll_timeout`: it is for polling. A stream that is silent behind its first packet stays.
#[tokio::test]
async fn session_that_never_polls_stays() {
    let limit = Duration::from_millis(100);
    let (site, mut hits) = limited(move |io| io.first_poll_timeout(limit));
    let (mut stream, _) = site.open().await;
    // Its limit ends later.
    let silent = Polling::open(&site.server).await;
    assert_eq!(hits.next().await, Limit::FirstPollTimeout);
    silent.expect_gone().await;
    stream.connect().await;
}

/// `max_concurrent_handlers`: the stream is not read until one of them ends, and nothing is lost.
#[tokio::test]
async fn one_event_more_than_the_limit_waits_for_a_handler_to_end() {
    let (work, mut begins, ends) = work();
    let site = served(|io| io.max_concurrent_handlers(2), |io| work.register(io));
    let (mut stream, _) = site.connected().await;
    let (mut other, _) = site.connected().await;
    let event = |n: u8| framed(false, format!(r#"42{n}["n",{n}]"#).as_bytes());
    // Some of them in the same bytes.
    stream
        .write(&(0..10).flat_map(event).collect::<Vec<_>>())
        .await;
    for n in 10..20 {
        stream.write(&event(n)).await;
    }
    assert_eq!([begins.next().await, begins.next().await], ["0", "1"]);
    // Others are served meanwhile, so there was time to start a third.
    expect_served(&mut other).await;
    assert_eq!(begins.so_far(), [""; 0]);
    for n in 0..18 {
        ends.add_permits(1);
        assert_eq!(begins.next().await, (n + 2).to_string());
        stream.expect(&format!("43{n}[{n}]")).await;
        assert_eq!(begins.so_far(), [""; 0]);
    }
    ends.add_permits(2);
    let mut last = [stream.text().await, stream.text().await];
    last.sort();
    assert_eq!(last, ["4318[18]", "4319[19]"]);
}

/// `RatePolicy::Delay`: the stream is read at the rate, and nothing is lost.
#[tokio::test]
async fn delayed_client_loses_nothing() {
    let slow = RateLimit::new(10).burst(2).policy(RatePolicy::Delay);
    let (site, mut hits) = limited(move |io| io.events_per_second(slow));
    let (mut stream, _) = site.connected().await;
    let (mut other, _) = site.connected().await;
    let began = Instant::now();
    for n in 0..6 {
        stream.send(&format!(r#"42{n}["none"]"#)).await;
    }
    expect_served(&mut other).await;
    for n in 0..6 {
        let answer = stream.text().await;
        assert!(answer.starts_with(&format!("43{n}[")), "{answer}");
    }
    // Two at once, and four more at ten in a second.
    assert!(began.elapsed().as_millis() >= 390, "{:?}", began.elapsed());
    assert_eq!(hits.next().await, Limit::EventsPerSecond);
}

/// `AppServer::webtransport_unopened`: connections without a session are bounded. One that opens its
/// session makes room.
#[tokio::test]
async fn connections_without_a_session_are_bounded() {
    let (told, mut hits) = channel();
    let site = served_as(
        |io| {
            io.on_limit(move |hit: &LimitHit<'_>| {
                assert!(hit.address().is_some_and(|address| address.is_loopback()));
                told.send((hit.limit(), hit.value())).unwrap();
            })
        },
        |io| io.serve(App::new).webtransport_unopened(2),
    );
    let mut first = site.stream().await;
    let _second = site.stream().await;
    assert!(site.request().await.is_err());
    assert_eq!(hits.next().await, (Limit::WebTransportUnopened, 2));
    first.send("0").await;
    first.text().await;
    site.open().await;
}

/// `AppServer::max_connections`: connections of WebTransport count too.
#[tokio::test]
async fn connections_count_for_the_limit_of_a_worker() {
    let site = served_as(|io| io, |io| io.serve(App::new).max_connections(1));
    // Two workers.
    let first = site.connected().await;
    let _second = site.connected().await;
    assert!(site.request().await.is_err());
    let mut left = leavers(&site.server.io.of("/"));
    drop(first);
    left.next().await;
    loop {
        // The worker closes the connection a moment after the session.
        if site.request().await.is_ok() {
            break;
        }
    }
}

/// `outbox_limit`: a client that does not read is disconnected, and has cost no more than its outbox
/// and the window of QUIC.
#[tokio::test]
async fn client_that_does_not_read_is_disconnected() {
    let site = served(
        |io| {
            io.outbox_limit(100_000)
                .emit_timeout(Duration::from_millis(50))
        },
        |_| (),
    );
    let mut left = leavers(&site.server.io.of("/"));
    let (_stream, id) = site.connected().await;
    let socket = site.server.io.of("/").socket(id.parse().unwrap()).unwrap();
    let data = "x".repeat(10_000);
    let mut sent = 0;
    let error = loop {
        match socket.emit("flood", &data).await {
            Ok(()) => sent += data.len(),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, EmitError::OutboxFull), "{error}");
    assert_eq!(left.next().await, "outbox full");
    // The outbox, the server's window, and the window of the client's stream.
    let most = 100_000 + 256 * 1024 + 1_250_000 + 50_000;
    assert!(sent <= most, "{sent}");
}

fn limited(build: impl FnOnce(Builder) -> Builder + Send + 'static) -> (Site, Heard<Limit>) {
    let (told, hits) = channel();
    let site = served(
        |io| {
            build(io).on_limit(move |hit: &LimitHit<'_>| {
                told.send(hit.limit()).unwrap();
            })
        },
        |_| (),
    );
    (site, hits)
}

/// Tells whether a new session opens.
async fn opens(site: &Site) -> bool {
    let mut stream = site.stream().await;
    stream.send("0").await;
    stream.next().await.is_some()
}

/// Expects that a socket's events are still handled; no handler is registered for this one.
async fn expect_served(stream: &mut Stream) {
    stream.send(r#"421["none"]"#).await;
    let answer = stream.text().await;
    assert!(answer.starts_with("431["), "{answer}");
}

async fn expect_refused(site: &Site, message: &str) {
    let mut stream = site.stream().await;
    stream.send("0").await;
    assert_eq!(stream.closed().await, (6, message.to_owned()));
}
