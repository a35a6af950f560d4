//! Metrics: each server reports to its recorder, with labels that no client can choose.

use std::sync::Arc;
use std::time::Duration;

use actix_socketio::{Builder, Data, RateLimit, SlowClientPolicy, SocketIo};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::sync::Semaphore;

use crate::support::socketio::{BOTH, Client, Peer, Via, leavers, until};
use crate::support::{Polling, Request, Server, WebSocket};

/// Starts a server with recovery and a recorder of its own, and returns the page of that recorder.
fn start(
    handlers: impl FnOnce(&SocketIo) + Send + 'static,
) -> (Server<SocketIo>, PrometheusHandle) {
    let recovers = |io: Builder| io.connection_state_recovery(Duration::from_secs(60));
    start_with(recovers, handlers)
}

/// The same with these options, and recovery only if they have it.
pub(crate) fn start_with(
    build: impl FnOnce(Builder) -> Builder + Send + 'static,
    handlers: impl FnOnce(&SocketIo) + Send + 'static,
) -> (Server<SocketIo>, PrometheusHandle) {
    let recorder = PrometheusBuilder::new().build_recorder();
    let page = recorder.handle();
    let build = move |io: Builder| build(io.metrics_recorder(recorder));
    (Server::socketio(build, handlers), page)
}

/// Returns the value of a metric, by its name and labels as the page shows them.
pub(crate) fn value(page: &PrometheusHandle, series: &str) -> Option<f64> {
    let page = page.render();
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    Some(line.parse().unwrap())
}

/// Waits until a metric has this value.
pub(crate) async fn expect(page: &PrometheusHandle, series: &str, expected: f64) {
    until(series, || value(page, series) == Some(expected)).await;
}

/// A handler's time has the labels of its registration: its event, and its namespace or pattern.
#[on_both_servers]
async fn handlers_are_measured_by_registered_event_and_namespace() {
    let (server, page) = start(|io| {
        io.of("/")
            .on("add", |Data((a, b)): Data<(i64, i64)>| async move { a + b });
        io.of("/")
            .on("wait", || tokio::time::sleep(Duration::from_millis(50)));
        io.of("/").fallback(|| async {});
        let room = io.of_pattern("/room-{id}").unwrap();
        room.on("move", || async {});
    });
    let mut client = Client::connected(&server, Via::WebSocket).await;
    for packet in [r#"421["add",1,2]"#, r#"422["wait"]"#, r#"423["made up"]"#] {
        client.send(packet).await;
        client.text().await;
    }
    for name in ["/room-1", "/room-2"] {
        client.connect(name).await;
        client.send(&format!(r#"42{name},4["move"]"#)).await;
        client.text().await;
    }
    let count = "socketio_handler_duration_seconds_count";
    for (labels, calls) in [
        (r#"{namespace="/",event="add"}"#, 1.0),
        (r#"{namespace="/",event="wait"}"#, 1.0),
        (r#"{namespace="/",event="(fallback)"}"#, 1.0),
        (r#"{namespace="/room-{id}",event="move"}"#, 2.0),
    ] {
        expect(&page, &format!("{count}{labels}"), calls).await;
    }
    let waited = r#"socketio_handler_duration_seconds_sum{namespace="/",event="wait"}"#;
    assert!(value(&page, waited) >= Some(0.05), "{}", page.render());
    let page = page.render();
    assert!(
        !page.contains("made up") && !page.contains("room-1"),
        "{page}"
    );
}

/// Handshakes, connects and ends are counted by transport, namespace and reason.
#[on_both_servers]
async fn a_client_is_counted_from_its_handshake_to_its_end() {
    let (server, page) = start(|io| {
        io.of("/closed")
            .on_connect(|| async { Err::<(), _>("not here") });
    });
    let mut left = leavers(&server.io.of("/"));
    let mut client = Client::connected(&server, Via::WebSocket).await;
    client.connect_with("/closed", "").await.unwrap_err();
    client.connect_with("/nowhere", "").await.unwrap_err();
    let other = Client::connected(&server, Via::Polling).await;
    for (series, count) in [
        (r#"socketio_handshakes_total{transport="websocket"}"#, 1.0),
        (r#"socketio_handshakes_total{transport="polling"}"#, 1.0),
        (
            r#"socketio_connects_total{namespace="/",outcome="accepted"}"#,
            2.0,
        ),
        (
            r#"socketio_connects_total{namespace="/closed",outcome="refused"}"#,
            1.0,
        ),
        (
            r#"socketio_connects_total{namespace="(none)",outcome="refused"}"#,
            1.0,
        ),
        (r#"socketio_sessions{transport="websocket"}"#, 1.0),
        (r#"socketio_sessions{transport="polling"}"#, 1.0),
        (r#"socketio_sockets{namespace="/"}"#, 2.0),
    ] {
        expect(&page, series, count).await;
    }
    client.close().await;
    other.close().await;
    assert_eq!(
        [left.next().await, left.next().await],
        ["transport close"; 2]
    );
    for (series, count) in [
        (
            r#"socketio_disconnects_total{namespace="/",reason="transport close"}"#,
            2.0,
        ),
        (
            r#"socketio_session_duration_seconds_count{reason="transport close",transport="websocket"}"#,
            1.0,
        ),
        (
            r#"socketio_session_duration_seconds_count{reason="transport close",transport="polling"}"#,
            1.0,
        ),
        (r#"socketio_sessions{transport="websocket"}"#, 0.0),
        (r#"socketio_sockets{namespace="/"}"#, 0.0),
    ] {
        expect(&page, series, count).await;
    }
    assert!(!page.render().contains("nowhere"));
}

/// Panics without a word of the panic hook.
fn panics() {
    std::panic::resume_unwind(Box::new("so"));
}

/// A refused request is counted by its cause, and a panic by its source.
#[on_both_servers]
async fn refusals_and_panics_are_counted_by_cause() {
    let (server, page) = start(|io| {
        io.of("/").on("panic", || async { panics() });
    });
    for query in [
        "EIO=3&transport=polling",
        "EIO=4&transport=pigeon",
        "EIO=4&transport=polling&sid=x",
    ] {
        let request = Request::get(server.address, &server.target(query));
        assert_eq!(request.send().await.status, 400);
    }
    let mut client = Client::connected(&server, Via::WebSocket).await;
    client.send(r#"421["panic"]"#).await;
    client.text().await;
    for (series, count) in [
        (
            r#"socketio_refusals_total{cause="unsupported_protocol"}"#,
            1.0,
        ),
        (r#"socketio_refusals_total{cause="unknown_transport"}"#, 1.0),
        (r#"socketio_refusals_total{cause="unknown_session"}"#, 1.0),
        (r#"socketio_panics_total{source="handler"}"#, 1.0),
    ] {
        expect(&page, series, count).await;
    }
}

/// Traffic is counted from the sessions' own counters, and does not go back when they end.
#[on_both_servers]
async fn packets_and_bytes_are_counted_in_both_directions() {
    let (server, page) = start(|io| {
        io.of("/")
            .on("echo", |Data(text): Data<String>| async move { text });
    });
    let mut client = Client::connected(&server, Via::WebSocket).await;
    let text = "x".repeat(1000);
    client.send(&format!(r#"421["echo","{text}"]"#)).await;
    client.expect(&format!(r#"431["{text}"]"#)).await;
    // CONNECT and the event; OPEN, CONNECT and the acknowledgement.
    expect(&page, "socketio_packets_received_total", 2.0).await;
    expect(&page, "socketio_packets_sent_total", 3.0).await;
    assert!(value(&page, "socketio_received_bytes_total") > Some(1000.0));
    assert!(value(&page, "socketio_sent_bytes_total") > Some(1000.0));
    client.close().await;
    expect(&page, r#"socketio_sessions{transport="websocket"}"#, 0.0).await;
    expect(&page, "socketio_packets_received_total", 2.0).await;
    assert!(value(&page, "socketio_sent_bytes_total") > Some(1000.0));
}

/// A reconnect is counted by whether the client was recovered, and whether it had missed events.
#[on_both_servers]
async fn recoveries_are_counted_with_and_without_missed_events() {
    let (server, page) = start(|_| ());
    let mut left = leavers(&server.io.of("/"));
    let mut client = Client::open(&server, Via::WebSocket).await;
    client.send("40").await;
    let mut auth = pid(&client.text().await);
    for (missed, outcome) in [(0, "nothing_missed"), (2, "missed_events_sent")] {
        drop(client);
        left.next().await;
        for number in 0..missed {
            server.io.emit("news", number).await.unwrap();
        }
        client = Client::open(&server, Via::WebSocket).await;
        client.send(&format!("40{auth}")).await;
        for _ in 0..missed {
            client.text().await;
        }
        auth = pid(&client.text().await);
        let series = format!(r#"socketio_recoveries_total{{namespace="/",outcome="{outcome}"}}"#);
        expect(&page, &series, 1.0).await;
    }
    let mut stranger = Client::open(&server, Via::WebSocket).await;
    stranger.send(r#"40{"pid":"AAAAAAAAAAAAAAAAAAAA"}"#).await;
    stranger.text().await;
    let series = r#"socketio_recoveries_total{namespace="/",outcome="not_recovered"}"#;
    expect(&page, series, 1.0).await;
}

/// Returns the payload by which the client of this CONNECT packet requests its state again.
fn pid(connected: &str) -> String {
    let json = connected.strip_prefix("40").unwrap();
    let read: serde_json::Value = serde_json::from_str(json).unwrap();
    serde_json::json!({ "pid": read["pid"] }).to_string()
}

fn upgrades(outcome: &str) -> String {
    format!(r#"socketio_upgrades_total{{outcome="{outcome}"}}"#)
}

/// Opens a WebSocket beside a session, and probes.
async fn probing(server: &Server<SocketIo>, session: &Polling) -> WebSocket {
    let mut socket = WebSocket::beside(server, session.sid()).await;
    socket.send_text("2probe").await;
    socket.expect_text("3probe").await;
    socket
}

/// An upgrade is counted by its outcome.
#[on_both_servers]
async fn upgrades_are_counted_by_outcome() {
    let (server, page) = start(|_| ());
    for outcome in ["completed", "abandoned", "refused", "timed_out"] {
        assert_eq!(value(&page, &upgrades(outcome)), Some(0.0), "{outcome}");
    }
    let session = Polling::open(&server).await;
    let mut wrong = probing(&server, &session).await;
    wrong.send_text("4no upgrade").await;
    wrong.expect_closed(None).await;
    expect(&page, &upgrades("abandoned"), 1.0).await;
    let mut first = probing(&server, &session).await;
    let mut second = WebSocket::beside(&server, session.sid()).await;
    second.send_text("2probe").await;
    second.expect_closed(None).await;
    expect(&page, &upgrades("refused"), 1.0).await;
    first.send_text("5").await;
    expect(&page, &upgrades("completed"), 1.0).await;
    assert_eq!(value(&page, &upgrades("timed_out")), Some(0.0));

    let limit = Duration::from_millis(50);
    let (server, page) = start_with(move |io| io.upgrade_timeout(limit), |_| ());
    let session = Polling::open(&server).await;
    let _silent = WebSocket::beside(&server, session.sid()).await;
    expect(&page, &upgrades("timed_out"), 1.0).await;
    assert_eq!(value(&page, &upgrades("completed")), Some(0.0));
}

/// The bytes of all outboxes are a gauge; the most that waited in one of them stay. Volatile events
/// that were dropped are counted.
#[on_both_servers]
async fn waiting_bytes_and_dropped_events_are_measured() {
    let (server, page) = start_with(|io| io, |_| ());
    // Nobody polls, so everything waits.
    let Peer { mut client, socket } = Peer::enter(&server, Via::Polling, &[]).await;
    let other = Peer::enter(&server, Via::Polling, &[]).await;
    socket.emit("e", "x".repeat(1000)).await.unwrap();
    other.socket.emit("e", "x".repeat(500)).await.unwrap();
    for _ in 0..2 {
        socket.volatile().emit("e", ()).await.unwrap();
    }
    let (most, rest) = (
        socket.stats().queued_bytes(),
        other.socket.stats().queued_bytes(),
    );
    assert!(most > 1000 && (500..1000).contains(&rest));
    let number = |bytes: usize| f64::from(u32::try_from(bytes).unwrap());
    expect(&page, "socketio_outbox_bytes", number(most + rest)).await;
    expect(&page, "socketio_outbox_high_water_bytes", number(most)).await;
    expect(&page, "socketio_volatile_dropped_total", 2.0).await;
    client.text().await;
    expect(&page, "socketio_outbox_bytes", number(rest)).await;
    let high_water = value(&page, "socketio_outbox_high_water_bytes");
    assert_eq!(high_water, Some(number(most)));
}

/// A client whose outbox is full is counted as a slow one, by its reason, and as a hit of the limit.
#[on_both_servers]
async fn a_slow_client_is_counted() {
    let build = |io: Builder| {
        let io = io.outbox_limit(1000).packet_limit(400);
        io.emit_timeout(Duration::from_millis(50))
            .slow_client_policy(SlowClientPolicy::Disconnect)
    };
    let (server, page) = start_with(build, |_| ());
    let slow = "socketio_slow_client_disconnects_total";
    assert_eq!(value(&page, slow), Some(0.0));
    let peer = Peer::enter(&server, Via::Polling, &[]).await;
    while peer.socket.emit("e", "x".repeat(100)).await.is_ok() {}
    for series in [
        slow,
        r#"socketio_session_duration_seconds_count{reason="outbox full",transport="polling"}"#,
        r#"socketio_disconnects_total{namespace="/",reason="outbox full"}"#,
        r#"socketio_limit_hits_total{limit="outbox_limit"}"#,
    ] {
        expect(&page, series, 1.0).await;
    }
}

/// The handlers that wait are a gauge.
#[on_both_servers]
async fn handlers_in_flight_are_measured() {
    let held = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&held);
    let (server, page) = start(move |io| {
        io.of("/").on("wait", move || {
            let gate = Arc::clone(&gate);
            async move { gate.acquire().await.unwrap().forget() }
        });
    });
    let mut client = Client::connected(&server, Via::WebSocket).await;
    client.send_all(&[r#"421["wait"]"#, r#"422["wait"]"#]).await;
    expect(&page, "socketio_handlers_in_flight", 2.0).await;
    held.add_permits(2);
    client.expect("431[]").await;
    client.expect("432[]").await;
    expect(&page, "socketio_handlers_in_flight", 0.0).await;
}

/// Each limit has the number of its hits, also one that nobody has reached.
#[on_both_servers]
async fn hits_of_limits_are_counted_by_name() {
    let build = |io: Builder| {
        let io = io.max_payload(100);
        io.events_per_second(RateLimit::new(0).burst(1))
    };
    let (server, page) = start_with(build, |_| ());
    let session = Polling::open(&server).await;
    assert_eq!(session.post_body("x".repeat(101)).await.status, 413);
    let mut client = Client::connected(&server, Via::WebSocket).await;
    for id in 0..3 {
        client.send(&format!(r#"42{id}["e"]"#)).await;
        client.text().await;
    }
    for (limit, hits) in [
        ("max_payload", 1.0),
        ("events_per_second", 2.0),
        ("auth_limit", 0.0),
    ] {
        let series = format!(r#"socketio_limit_hits_total{{limit="{limit}"}}"#);
        expect(&page, &series, hits).await;
    }
}

/// docs/operations.md, Reasons: sessions that end before they have a socket have reasons, too.
#[on_both_servers]
async fn sessions_without_a_socket_are_counted_by_reason() {
    let ended = |reason: &str, transport: &str| {
        let labels = format!(r#"{{reason="{reason}",transport="{transport}"}}"#);
        format!("socketio_session_duration_seconds_count{labels}")
    };
    let limit = Duration::from_millis(100);
    let (server, page) = start_with(move |io| io.first_poll_timeout(limit), |_| ());
    let silent = Polling::open(&server).await;
    expect(&page, &ended("first poll timeout", "polling"), 1.0).await;
    silent.expect_gone().await;

    let (server, page) = start_with(move |io| io.connect_timeout(limit), |_| ());
    for (via, transport) in BOTH.into_iter().zip(["polling", "websocket"]) {
        let mut silent = Client::open(&server, via).await;
        silent.expect_close().await;
        expect(&page, &ended("connect timeout", transport), 1.0).await;
    }
}
