//! `Serve`: several workers, each with connections and a flusher of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use actix_socketio::{EngineIo, EngineMessage, EngineSession, Namespace};
use actix_web::App;
use tokio::runtime;
use tokio::task::{JoinSet, yield_now};
use tokio::time::interval;

use crate::support::socketio::{Client, Via};
use crate::support::{Polling, Server, Site, WebSocket, serve};

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
