//! Metrics: each server reports to its recorder, with labels that no client can choose.

use std::time::Duration;

use actix_socketio::{Builder, Data, SocketIo};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::support::socketio::{Client, Via, leavers, until};
use crate::support::{Request, Server};

/// Starts a server with a recorder of its own, and returns the page of that recorder.
fn start(
    handlers: impl FnOnce(&SocketIo) + Send + 'static,
) -> (Server<SocketIo>, PrometheusHandle) {
    let recorder = PrometheusBuilder::new().build_recorder();
    let page = recorder.handle();
    let build = move |io: Builder| {
        io.metrics_recorder(recorder)
            .connection_state_recovery(Duration::from_secs(60))
    };
    (Server::socketio(build, handlers), page)
}

/// Returns the value of a metric, by its name and labels as the page shows them.
fn value(page: &PrometheusHandle, series: &str) -> Option<f64> {
    let page = page.render();
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    Some(line.parse().unwrap())
}

/// Waits until a metric has this value.
async fn expect(page: &PrometheusHandle, series: &str, expected: f64) {
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
