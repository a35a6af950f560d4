//! docs/operations.md, Readiness: whether new clients are wanted, and its routes, in every way that a
//! program mounts them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix_socketio::{NotReady, Readiness, SocketIo};
use actix_web::App;
use serde_json::{Value, json};

use crate::support::socketio::{Client, Via, until};
use crate::support::{Connection, Request, Response, Server, Site, WebSocket};

async fn get(site: &Site, path: &str) -> Response {
    Request::get(site.address, path).send().await
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

/// Compares the status and the body of a response that no cache may store.
fn expect(response: &Response, status: u16, body: &Value) {
    assert_eq!(response.status, status);
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let answer: Value = serde_json::from_str(response.text()).unwrap();
    assert_eq!(answer, *body);
}

/// Expects the answers of a server that wants new clients.
async fn expect_ready(site: &Site) {
    expect(&get(site, "/live").await, 200, &json!({ "live": true }));
    let ready = json!({ "ready": true, "reasons": [] });
    expect(&get(site, "/ready").await, 200, &ready);
    for path in ["/live", "/ready"] {
        assert_eq!(head(site, path).await, "HTTP/1.1 200 OK");
    }
}

/// Expects the answers of a server that wants no new clients for this reason.
async fn expect_not_ready(site: &Site, readiness: &Readiness, reason: NotReady) {
    let not_ready = json!({ "ready": false, "reasons": [reason.as_str()] });
    expect(&get(site, "/ready").await, 503, &not_ready);
    let refused = "HTTP/1.1 503 Service Unavailable";
    assert_eq!(head(site, "/ready").await, refused);
    assert_eq!(readiness.reasons(), [reason]);
    expect(&get(site, "/live").await, 200, &json!({ "live": true }));
}

/// `SocketIo::health_routes`, in an App of `serve` and in one of an `HttpServer`.
#[on_both_servers]
async fn ready_names_the_reasons_and_live_does_not_change() {
    let handle: Arc<OnceLock<SocketIo>> = Arc::default();
    let mounted = Arc::clone(&handle);
    let server = Server::socketio_in(
        move || App::new().configure(mounted.get().unwrap().health_routes()),
        1,
        |io| io.max_sessions(1),
        move |io| handle.set(io.clone()).unwrap(),
    );
    expect_ready(&server).await;
    let client = Client::connected(&server, Via::WebSocket).await;
    expect_not_ready(&server, &server.io.readiness(), NotReady::MaxSessions).await;
    client.close().await;
    until("the session to end", || server.io.readiness().is_ready()).await;
    assert!(server.io.close(Duration::from_secs(1)).await);
    expect_not_ready(&server, &server.io.readiness(), NotReady::Closing).await;
}

/// `EngineIo::health_routes`: the same on a raw server.
#[on_both_servers]
async fn a_raw_server_has_the_same_readiness() {
    let server = Server::engineio(|engine| engine.max_sessions(1));
    expect_ready(&server).await;
    let client = WebSocket::open(&server).await;
    expect_not_ready(&server, &server.io.readiness(), NotReady::MaxSessions).await;
    drop(client);
    until("the session to end", || server.io.readiness().is_ready()).await;
    assert!(server.io.close(Duration::from_secs(1)).await);
    expect_not_ready(&server, &server.io.readiness(), NotReady::Closing).await;
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

/// `SocketIo::run` and `EngineIo::run` have the routes by themselves, and end by a signal.
#[cfg(unix)]
#[tokio::test]
async fn run_serves_the_routes() {
    use crate::support::process::Process;

    if Process::is_child() {
        return std::thread::spawn(run_both).join().unwrap().unwrap();
    }
    let mut process = Process::start("readiness::run_serves_the_routes");
    for path in ["/socket.io/", "/engine.io/"] {
        let address = process.line("chosen ").await.parse().unwrap();
        let site = Site { address, path };
        let listens = async { while tokio::net::TcpStream::connect(address).await.is_err() {} };
        crate::support::within("the server to listen", listens).await;
        expect_ready(&site).await;
    }
    process.terminate();
    assert!(process.ended().await.success());
}

/// The other process: it runs one server of each kind, at ports that were free.
#[cfg(unix)]
fn run_both() -> std::io::Result<()> {
    let free = || std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr();
    let (first, second) = (free()?, free()?);
    actix_web::rt::System::new().block_on(async {
        let io = SocketIo::builder().start()?;
        let engine = actix_socketio::EngineIo::builder().start()?;
        for address in [first, second] {
            crate::support::process::Process::tell("chosen ", address);
        }
        tokio::try_join!(io.run(first), engine.run(second)).map(drop)
    })
}
