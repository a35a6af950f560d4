//! docs/operations.md, Health and Drain: readiness and its routes, and clients that are closed one
//! after another.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_socketio::{DrainOptions, NotReady, SocketIo};
use actix_web::App;
use serde_json::{Value, json};

use crate::support::held::held_up;
use crate::support::socketio::{BOTH, Client, Via, leavers, start, until};
use crate::support::{Connection, Request, Response, Server, Site, within};

async fn ask(site: &Site, method: &str, path: &str) -> Response {
    Request::new(method, site.address, path).send().await
}

/// Returns the status line of the response to a HEAD request, which has no body.
async fn head(site: &Site, path: &str) -> String {
    let request = Request::new("HEAD", site.address, path);
    let mut connection = Connection::open(site.address).await;
    connection.write(&request.bytes()).await;
    let mut response = String::new();
    while !response.ends_with("\r\n\r\n") {
        response.push(connection.take(1).await.unwrap()[0].into());
    }
    response.lines().next().unwrap().to_owned()
}

fn body(response: &Response) -> Value {
    serde_json::from_str(response.text()).unwrap()
}

/// Serves a Socket.IO server and its health routes; the `io.run` of a program does the same.
fn served() -> Server<SocketIo> {
    Server::serving("/socket.io/", || {
        let io = SocketIo::builder().max_sessions(1).start()?;
        let health = io.health_routes();
        let serve = io.serve(move || App::new().configure(health.clone()));
        Ok((io, serve.workers(1)))
    })
}

#[tokio::test]
async fn ready_names_the_reasons_and_live_does_not_change() {
    let server = served();
    let live = ask(&server, "GET", "/live").await;
    assert_eq!((live.status, body(&live)), (200, json!({ "live": true })));
    assert_eq!(live.header("cache-control"), Some("no-store"));
    let ready = ask(&server, "GET", "/ready").await;
    let expected = json!({ "ready": true, "reasons": [] });
    assert_eq!((ready.status, body(&ready)), (200, expected));
    assert_eq!(ready.header("cache-control"), Some("no-store"));
    assert_eq!(head(&server, "/ready").await, "HTTP/1.1 200 OK");

    let client = Client::connected(&server, Via::WebSocket).await;
    let ready = ask(&server, "GET", "/ready").await;
    let expected = json!({ "ready": false, "reasons": ["max_sessions"] });
    assert_eq!((ready.status, body(&ready)), (503, expected));
    assert_eq!(server.io.readiness().reasons(), [NotReady::MaxSessions]);
    client.close().await;
    until("the session to end", || server.io.readiness().is_ready()).await;

    assert!(server.io.close(Duration::from_secs(1)).await);
    let refused = "HTTP/1.1 503 Service Unavailable";
    assert_eq!(head(&server, "/ready").await, refused);
    assert_eq!(server.io.readiness().reasons(), [NotReady::Closing]);
    assert_eq!(ask(&server, "GET", "/live").await.status, 200);
}

/// The readiness names a memory above its limit, and is good again below it.
#[on_both_servers]
async fn memory_above_its_limit_is_a_reason() {
    let used = Arc::new(AtomicU64::new(100));
    let gauge = Arc::clone(&used);
    let server = Server::socketio(
        move |io| {
            io.memory_limit(100)
                .memory_gauge(move || Some(gauge.load(Ordering::Relaxed)))
        },
        |_| (),
    );
    assert!(server.io.readiness().is_ready());
    used.store(101, Ordering::Relaxed);
    let reasons = || server.io.readiness().reasons().to_vec();
    until("the measurement", || reasons() == [NotReady::MemoryLimit]).await;
    used.store(100, Ordering::Relaxed);
    until("the measurement", || reasons().is_empty()).await;
}

/// A drain does not wait for its limit if no client is left.
#[on_both_servers]
async fn a_drain_ends_with_its_last_client() {
    let server = start();
    let client = Client::connected(&server, Via::WebSocket).await;
    let other = Client::connected(&server, Via::Polling).await;
    let options = DrainOptions::new().delay(Duration::ZERO);
    let options = options.limit(Duration::from_secs(600));
    let io = server.io.clone();
    let drain = tokio::spawn(async move { io.drain(options).await });
    client.close().await;
    other.close().await;
    assert!(within("the drain", drain).await.unwrap().is_complete());
}

/// In the delay new clients are served; after it they are refused.
#[on_both_servers]
async fn readiness_is_bad_before_clients_are_refused() {
    let server = start();
    let mut left = leavers(&server.io.of("/"));
    let io = server.io.clone();
    let options = DrainOptions::new()
        .delay(Duration::from_millis(400))
        .limit(Duration::from_millis(400));
    let draining = tokio::spawn(async move { io.drain(options).await });
    until("the drain to begin", || !server.io.readiness().is_ready()).await;
    assert_eq!(server.io.readiness().reasons(), [NotReady::Draining]);
    let mut clients = Vec::new();
    for via in BOTH {
        clients.push(Client::connected(&server, via).await);
    }
    for client in &mut clients {
        client.expect_close().await;
        assert_eq!(left.next().await, "server shutting down");
    }
    let report = within("the drain", draining).await.unwrap();
    assert_eq!((report.clients(), report.is_complete()), (2, true));
    let refused = ask(&server, "GET", "/socket.io/?EIO=4&transport=polling").await;
    assert_eq!(refused.status, 503);
}

#[on_both_servers]
async fn clients_close_in_batches_and_are_told_before() {
    let server = start();
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(Client::connected(&server, Via::WebSocket).await);
    }
    let io = server.io.clone();
    let options = DrainOptions::new()
        .delay(Duration::ZERO)
        .limit(Duration::from_secs(60))
        .batch(1)
        .interval(Duration::from_millis(200))
        .event("leaving");
    let draining = tokio::spawn(async move { io.drain(options).await });
    // Each batch is one client, and the others stay.
    for rest in (0..3).rev() {
        until("the next batch", || server.io.clients_count() == rest).await;
        assert!(rest == 0 || !draining.is_finished());
    }
    for client in &mut clients {
        client.expect(r#"42["leaving"]"#).await;
        client.expect_close().await;
    }
    let report = within("the drain", draining).await.unwrap();
    assert!(report.is_complete());
}

/// A busy client does not hold up the others, and gets its acknowledgement.
#[on_both_servers]
async fn handler_in_flight_ends_before_its_client_closes() {
    let server = start();
    let (gate, held, mut hears) = held_up();
    server.io.of("/").on("save", move || {
        let held = held.clone();
        async move {
            held.wait().await;
            "saved"
        }
    });
    let mut busy = Client::connected(&server, Via::WebSocket).await;
    busy.send(r#"421["save"]"#).await;
    assert_eq!(hears.next().await, "begun");
    let mut idle = Client::connected(&server, Via::WebSocket).await;
    let io = server.io.clone();
    let options = DrainOptions::new()
        .delay(Duration::ZERO)
        .limit(Duration::from_millis(300));
    let draining = tokio::spawn(async move { io.drain(options).await });
    idle.expect_close().await;
    gate.open();
    busy.expect(r#"431["saved"]"#).await;
    busy.expect_close().await;
    assert!(within("the drain", draining).await.unwrap().is_complete());
}

/// A drain that is dropped leaves no client held: the close ends them.
#[on_both_servers]
async fn close_after_a_dropped_drain_closes_all() {
    let server = start();
    let mut client = Client::connected(&server, Via::WebSocket).await;
    let io = server.io.clone();
    let options = DrainOptions::new().delay(Duration::from_secs(600));
    let draining = tokio::spawn(async move { io.drain(options).await });
    until("the drain to begin", || !server.io.readiness().is_ready()).await;
    draining.abort();
    assert!(server.io.close(Duration::from_secs(5)).await);
    client.expect_close().await;
}
