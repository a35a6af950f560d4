//! `AppServer`: several workers, each with connections and a flusher of its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use actix_socketio::{EngineIo, EngineMessage, EngineSession, Namespace};
use actix_web::App;
use tokio::runtime;
use tokio::task::{JoinSet, yield_now};
use tokio::time::interval;

use crate::support::socketio::{Client, Via};
use crate::support::{
    Connection, Polling, Request, Server, Site, WebSocket, channel, serve, within,
};

/// docs/semantics.md, Order: an upgrade changes who reads the outbox, and nothing else; whichever
/// workers the requests land on.
#[tokio::test]
async fn nothing_is_lost_while_many_clients_upgrade_at_once() {
    let server = counting();
    let mut upgrades = JoinSet::new();
    for _ in 0..UPGRADES {
        upgrades.spawn(upgrade(*server));
    }
    while let Some(upgraded) = upgrades.join_next().await {
        upgraded.unwrap();
    }
}

/// docs/semantics.md, Order: a broadcast reaches everyone once, and those of one task in their
/// order; emitted by a handler, on a worker, and by a thread of the program's, at the same time.
#[tokio::test]
async fn broadcasts_reach_everyone_once_and_in_order() {
    let server = serve(|io| {
        let everyone = io.of("/");
        io.of("/").on("go", move || {
            let everyone = everyone.clone();
            async move { emit_all(&everyone, "handler").await }
        });
        io.serve(App::new).workers(2)
    });
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(Client::connected(&server, Via::WebSocket).await);
    }
    clients[0].send(r#"42["go"]"#).await;
    let everyone = server.io.of("/");
    let emitting = thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(emit_all(&everyone, "thread"));
    });
    let mut reading = JoinSet::new();
    for mut client in clients {
        reading.spawn(async move {
            let mut came = Vec::new();
            for _ in 0..2 * EMITS {
                came.push(client.text().await);
            }
            client.expect_nothing_more("/").await;
            came
        });
    }
    while let Some(came) = reading.join_next().await {
        let came = came.unwrap();
        for source in ["handler", "thread"] {
            let head = format!(r#"42["{source}","#);
            let of_source: Vec<_> = came.iter().filter(|it| it.starts_with(&head)).collect();
            let expected: Vec<_> = (0..EMITS).map(|n| format!("{head}{n}]")).collect();
            assert_eq!(of_source, expected.iter().collect::<Vec<_>>());
        }
    }
    emitting.join().unwrap();
}

async fn emit_all(everyone: &Namespace, event: &str) {
    for n in 0..EMITS {
        everyone.emit(event, n).await.unwrap();
        // Both sources have their turns.
        yield_now().await;
    }
}

/// docs/semantics.md, Workers: a worker that is held up by a handler that blocks gets one more
/// connection and no other. Those that come next are served by the worker that is free, and the one
/// is served when the handler ends, however long that takes.
#[tokio::test]
async fn a_blocked_worker_gets_one_connection_at_most() {
    let (held, mut holds) = channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Arc::new(std::sync::Mutex::new(released));
    let server = serve(move |io| {
        io.of("/").on("block", move || {
            let _ = held.send(());
            // The test holds the worker's thread.
            let _ = released.lock().unwrap().recv();
            async {}
        });
        let serve = io.serve(App::new).workers(2);
        serve.client_request_timeout(Duration::from_secs(1))
    });
    let mut blocking = Client::connected(&server, Via::WebSocket).await;
    blocking.send(r#"421["block"]"#).await;
    holds.next().await;
    let site = *server;
    let mut polls = JoinSet::new();
    let mut sockets = JoinSet::new();
    for _ in 0..10 {
        polls.spawn(async move { Polling::open(&site).await });
        sockets.spawn(async move { WebSocket::open(&site).await });
    }
    let mut served = 0;
    while served < 19 {
        tokio::select! {
            Some(opened) = polls.join_next() => drop(opened.unwrap()),
            Some(opened) = sockets.join_next() => drop(opened.unwrap()),
        }
        served += 1;
    }
    // Longer than a client may take for its first request.
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(1600) {
        Polling::open(&site).await;
    }
    release.send(()).unwrap();
    blocking.expect("431[]").await;
    while let Some(opened) = polls.join_next().await {
        opened.unwrap();
    }
    while let Some(opened) = sockets.join_next().await {
        opened.unwrap();
    }
}

/// docs/semantics.md, Workers: a worker has as many HTTP connections as it may have again when it
/// was held up, and not one more.
#[tokio::test]
async fn connections_are_counted_for_each_worker() {
    let server = serve(|io| io.serve(App::new).workers(2).max_connections(2));
    let target = server.target("EIO=4&transport=polling");
    let mut kept = Vec::new();
    for _ in 0..4 {
        let mut connection = Connection::open(server.address).await;
        connection
            .write(&Request::get(server.address, &target).bytes())
            .await;
        assert_eq!(connection.response().await.status, 200);
        kept.push(connection);
    }
    let more = tokio::spawn(Request::get(server.address, &target).send());
    for connection in &mut kept {
        // Those that are there are served, and the fifth is not.
        connection
            .write(&Request::get(server.address, &target).bytes())
            .await;
        assert_eq!(connection.response().await.status, 200);
    }
    assert!(!more.is_finished());
    kept.pop();
    assert_eq!(within("the fifth", more).await.unwrap().status, 200);
}

/// docs/semantics.md, Workers: a server's only worker serves no more connections than it may have,
/// however many wait for it, and all of them in the end.
#[tokio::test]
async fn the_only_worker_serves_waiting_connections_when_others_end() {
    let server = serve(|io| io.serve(App::new).workers(1).max_connections(2));
    let target = server.target("EIO=4&transport=polling");
    let mut kept = Vec::new();
    for _ in 0..2 {
        let mut connection = Connection::open(server.address).await;
        let request = Request::get(server.address, &target);
        connection.write(&request.bytes()).await;
        assert_eq!(connection.response().await.status, 200);
        kept.push(connection);
    }
    let mut waiting = JoinSet::new();
    // More than may wait at the worker, so that some are in the backlog.
    for _ in 0..100 {
        waiting.spawn(Request::get(server.address, &target).send());
    }
    for connection in &mut kept {
        let request = Request::get(server.address, &target);
        connection.write(&request.bytes()).await;
        assert_eq!(connection.response().await.status, 200);
    }
    assert!(waiting.try_join_next().is_none());
    kept.pop();
    while let Some(response) = within("those that wait", waiting.join_next()).await {
        assert_eq!(response.unwrap().status, 200);
    }
}

/// Moves a client from polling to a WebSocket while numbers come in, and counts them.
async fn upgrade(site: Site) {
    let session = Polling::open(&site).await;
    session.post(&["4start"]).await;
    let mut socket = WebSocket::beside(&site, session.sid()).await;
    let has_probed = AtomicBool::new(false);
    let polls = async {
        let mut received = Vec::new();
        while !has_probed.load(Ordering::Relaxed) || received.is_empty() {
            received.extend(session.poll().await);
        }
        received
    };
    let probe = async {
        socket.send_text("2probe").await;
        socket.expect_text("3probe").await;
        has_probed.store(true, Ordering::Relaxed);
    };
    let (mut received, ()) = tokio::join!(polls, probe);
    // A client asks for the session when its last poll has been answered.
    socket.send_text("5").await;
    for _ in 0..NUMBERS {
        received.push(socket.recv_text().await);
    }
    socket.send_text("4stop").await;
    loop {
        match socket.recv_text().await {
            end if end == format!("4end of {}", session.sid()) => break,
            number => received.push(number),
        }
    }
    received.retain(|packet| packet != "6");
    let expected: Vec<_> = (0..received.len()).map(|n| format!("4{n}")).collect();
    assert_eq!(received, expected);
}

/// Sends numbers from a client's `start` to its `stop`, and then the session's id.
fn counting() -> Server<EngineIo> {
    Server::serving("/engine.io/", || {
        let stopped = Arc::new(Stopped::default());
        let io = EngineIo::builder()
            .on_message(move |session, message| count(Arc::clone(&stopped), session, message))
            .start()?;
        Ok((io.clone(), io.serve(App::new).workers(2)))
    })
}

/// The ids of sessions that count no more.
type Stopped = std::sync::Mutex<std::collections::HashSet<String>>;

async fn count(stopped: Arc<Stopped>, session: EngineSession, message: EngineMessage) {
    if message == EngineMessage::Text("stop".to_owned()) {
        stopped.lock().unwrap().insert(session.sid().to_owned());
        return;
    }
    assert_eq!(message, EngineMessage::Text("start".to_owned()));
    let send = |text: String| session.send(&EngineMessage::Text(text)).unwrap();
    // As fast as the slowest of many clients takes them.
    let mut pace = interval(Duration::from_millis(1));
    let mut number = 0;
    while !stopped.lock().unwrap().contains(session.sid()) {
        send(number.to_string());
        number += 1;
        pace.tick().await;
    }
    send(format!("end of {}", session.sid()));
}

const UPGRADES: usize = 20;
/// Numbers that come over the WebSocket before the client has enough.
const NUMBERS: usize = 100;
const CLIENTS: usize = 50;
const EMITS: usize = 200;
