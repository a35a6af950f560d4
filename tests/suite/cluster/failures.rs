//! Clusters whose Redis hangs, refuses, forgets, or vanishes without a word.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use actix::{Actor, Context, Handler};
use actix_socketio::{
    Builder, ClusterError, DrainOptions, EmitError, NotReady, PanicSource, Panicked, RedisAdapter,
    ServerSideEvent, SocketIo,
};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::timeout;

use crate::support::log::{Lines, listen};
use crate::support::redis::{Format, Redis, Way, cluster, connected};
use crate::support::socketio::{Client, Peer, Via, find, until};
use crate::support::{Server, channel, within};

const SHORT: Duration = Duration::from_millis(300);
const WINDOW: Duration = Duration::from_secs(60);

/// How long a connection may look well that leads nowhere: some seconds longer than the adapter's
/// own limits, which are longer than the patience of other tests.
const NOTICED: Duration = Duration::from_secs(20);

/// A connection that is dead may have no end and no error. Messages in transit arrive later, and
/// must not count twice; messages that others sent meanwhile are not missed.
#[on_both_servers]
async fn a_silently_dead_connection_is_replaced() {
    let redis = Redis::start();
    let way = Way::to(&redis).await;
    let here = Format::Streams.node(&redis, |io| io).await;
    let adapter = RedisAdapter::streams(&way.url()).unwrap();
    let there = Server::socketio(move |io| io.adapter(adapter), |_| ());
    connected(&there.io).await;
    let mut ann = Peer::enter(&here, Via::WebSocket, &[]).await;
    let mut bob = Peer::enter(&there, Via::WebSocket, &[]).await;
    let dead = way.go_dead();
    for n in 0..3 {
        there.io.emit("from there", n).await.unwrap();
        bob.expect(&format!(r#"42["from there",{n}]"#)).await;
    }
    here.io.emit("from here", ()).await.unwrap();
    ann.expect(r#"42["from here"]"#).await;
    let noticed = async {
        while there.io.adapter_health().reconnects() < 3 {
            tokio::task::yield_now().await;
        }
    };
    timeout(NOTICED, noticed).await.unwrap();
    connected(&there.io).await;
    bob.expect(r#"42["from here"]"#).await;
    for n in 0..3 {
        ann.expect(&format!(r#"42["from there",{n}]"#)).await;
    }
    dead.arrive().await;
    assert!(redis.command("XLEN socket.io").starts_with(":4\r\n"));
    // By publish and subscribe, both ways.
    let found = here.io.fetch_sockets().await;
    assert!(
        found.len() == 2 && found.coverage().is_complete(),
        "{found:?}"
    );
    let found = there.io.fetch_sockets().await;
    assert!(
        found.len() == 2 && found.coverage().is_complete(),
        "{found:?}"
    );
}

/// A channel that its user may not hear costs the node that channel, not its connection.
#[on_both_servers]
async fn a_channel_denied_by_redis_affects_no_other_channel() {
    let redis = Redis::start();
    redis.command(concat!(
        "ACL SETUSER default resetchannels &socket.io#/#* ",
        "&socket.io-request#/#* &socket.io-response#/#*"
    ));
    for format in Format::NODE {
        let [here, there] = cluster(&redis, format).await;
        let mut peer = Peer::enter(&there, Via::WebSocket, &[]).await;
        here.io.emit("heard", 1).await.unwrap();
        peer.expect(r#"42["heard",1]"#).await;
        let found = here.io.fetch_sockets().await;
        assert!(found.len() == 1 && found.coverage().is_complete());
        for server in [&here, &there] {
            let health = server.io.adapter_health();
            let error = health.error().unwrap_or_default();
            assert!(error.contains("socket.io-poll#"), "{format:?}: {error:?}");
            assert!(health.is_connected() && health.reconnects() == 0);
        }
    }
}

/// A Redis that has begun anew, on a machine whose clock is behind, gives ids that were read
/// already.
#[on_both_servers]
async fn a_node_reads_entries_with_smaller_ids_after_a_redis_reset() {
    let mut redis = Redis::start();
    let [here, there] = cluster(&redis, Format::Streams).await;
    let mut peer = Peer::enter(&there, Via::WebSocket, &[]).await;
    redis.command("XADD socket.io 99999999999999-0 nsp /none");
    here.io.emit("before", ()).await.unwrap();
    peer.expect(r#"42["before"]"#).await;
    redis.kill();
    for server in [&here, &there] {
        until("it to be noticed", || {
            !server.io.adapter_health().is_connected()
        })
        .await;
        // Nobody should send new clients here.
        let readiness = server.io.readiness();
        let reason = NotReady::as_str(&readiness.reasons()[0]);
        assert_eq!(reason, "adapter_disconnected");
    }
    here.io.emit("meanwhile", ()).await.unwrap();
    redis.start_again();
    peer.expect(r#"42["meanwhile"]"#).await;
    until("both to be ready", || {
        here.io.readiness().is_ready() && there.io.readiness().is_ready()
    })
    .await;
    connected(&there.io).await;
    here.io.emit("after", ()).await.unwrap();
    peer.expect(r#"42["after"]"#).await;
    assert_eq!(there.io.adapter_health().lost(), 1);
}

/// Entries that were trimmed from a stream before a node could read them are counted.
#[on_both_servers]
async fn entries_that_a_node_could_not_read_are_counted() {
    let redis = Redis::start();
    let mut way = Way::to(&redis).await;
    let here = Format::Streams.node(&redis, |io| io).await;
    let adapter = RedisAdapter::streams(&way.url()).unwrap();
    let there = Server::socketio(move |io| io.adapter(adapter), |_| ());
    connected(&there.io).await;
    let mut peer = Peer::enter(&there, Via::WebSocket, &[]).await;
    here.io.emit("n", 0).await.unwrap();
    peer.expect(r#"42["n",0]"#).await;
    way.cut().await;
    until("it to be noticed", || {
        !there.io.adapter_health().is_connected()
    })
    .await;
    for n in 1..=5 {
        here.io.emit("n", n).await.unwrap();
    }
    until("all to be written", || {
        here.io.adapter_health().queued_bytes() == 0
    })
    .await;
    redis.command("XTRIM socket.io MAXLEN 2");
    way.mend().await;
    peer.expect(r#"42["n",4]"#).await;
    peer.expect(r#"42["n",5]"#).await;
    assert_eq!(there.io.adapter_health().lost(), 3);
}

/// The records of sockets are written again and again; they must not take the room of messages to
/// others.
#[on_both_servers]
async fn recovery_records_do_not_count_against_the_queue_limit() {
    let mut redis = Redis::start();
    let adapter = Format::Streams.adapter(&redis).queue_limit(2000);
    let build = move |io: Builder| io.adapter(adapter).connection_state_recovery(WINDOW);
    let server: Server<SocketIo> = Server::socketio(build, |_| ());
    connected(&server.io).await;
    let mut client = Client::open(&server, Via::WebSocket).await;
    client.send("40").await;
    let packet = client.text().await;
    let connected: Value = serde_json::from_str(packet.strip_prefix("40").unwrap()).unwrap();
    let socket = find(&server.io.of("/"), connected["sid"].as_str().unwrap());
    redis.kill();
    until("it to be noticed", || {
        !server.io.adapter_health().is_connected()
    })
    .await;
    for n in 0..100 {
        socket.join(&n.to_string()).await.unwrap();
    }
    server.io.emit("n", 0).await.unwrap();
    assert_eq!(server.io.adapter_health().refused(), 0);
    redis.start_again();
    until("all to be written", || {
        server.io.adapter_health().queued_bytes() == 0
    })
    .await;
    assert!(redis.command("KEYS sio:session:*").starts_with("*1\r\n"));
    // A close waits for it too.
    redis.command("FLUSHALL");
    client.close().await;
    until("the socket to end", || server.io.of("/").count() == 0).await;
    assert!(server.io.close(NOTICED).await);
    assert!(redis.command("KEYS sio:session:*").starts_with("*1\r\n"));
}

/// Nobody waits for a Redis that takes connections and does nothing.
#[on_both_servers]
async fn a_hanging_redis_does_not_delay_local_clients() {
    let redis = Redis::start();
    for format in Format::ALL {
        let [here, there] = cluster(&redis, format).await;
        let mut ann = Peer::enter(&here, Via::WebSocket, &[]).await;
        let mut bob = Peer::enter(&there, Via::WebSocket, &[]).await;
        here.io.emit("before", ()).await.unwrap();
        bob.expect(r#"42["before"]"#).await;
        ann.expect(r#"42["before"]"#).await;
        redis.stop();
        for n in 0..10 {
            here.io.emit("n", n).await.unwrap();
            ann.expect(&format!(r#"42["n",{n}]"#)).await;
        }
        assert!(here.io.adapter_health().queued_bytes() > 0);
        if format != Format::Flask {
            let namespace = here.io.of("/");
            let asking = namespace.server_side_emit_with_ack("ask", (), SHORT);
            let answers = within("time to be up", asking).await.unwrap();
            assert!(answers.is_empty() && !answers.coverage().is_complete());
        }
        redis.go_on();
        for n in 0..10 {
            bob.expect(&format!(r#"42["n",{n}]"#)).await;
        }
        assert_eq!(here.io.adapter_health().lost(), 0);
    }
}

/// Published messages also wait while Redis refuses them temporarily.
#[on_both_servers]
async fn messages_refused_by_a_busy_redis_are_published_later() {
    let redis = Arc::new(Redis::start());
    redis.command("CONFIG SET busy-reply-threshold 1");
    for format in [Format::Classic, Format::Sharded, Format::Flask] {
        let [here, there] = cluster(&redis, format).await;
        let mut peer = Peer::enter(&there, Via::WebSocket, &[]).await;
        here.io.emit("before", ()).await.unwrap();
        peer.expect(r#"42["before"]"#).await;
        let running = {
            let redis = Arc::clone(&redis);
            thread::spawn(move || redis.command(r#"EVAL "while true do end" 0"#))
        };
        until("Redis to be busy", || {
            redis.command("PING").starts_with("-BUSY")
        })
        .await;
        for n in 0..10 {
            here.io.emit("n", n).await.unwrap();
        }
        until("the refusal to be noticed", || {
            let health = here.io.adapter_health();
            health.error().is_some_and(|error| error.contains("BUSY"))
        })
        .await;
        redis.command("SCRIPT KILL");
        running.join().unwrap();
        for n in 0..10 {
            peer.expect(&format!(r#"42["n",{n}]"#)).await;
        }
        assert_eq!(here.io.adapter_health().lost(), 0);
    }
}

/// A drain closes its clients in turn although their records cannot be stored: only the first batch
/// waits for them.
#[on_both_servers]
async fn a_drain_without_redis_keeps_its_pace() {
    let mut redis = Redis::start();
    let server = Format::Streams
        .node(&redis, |io| io.connection_state_recovery(WINDOW))
        .await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(Client::connected(&server, Via::WebSocket).await);
    }
    redis.kill();
    until("it to be noticed", || {
        !server.io.adapter_health().is_connected()
    })
    .await;
    let options = DrainOptions::new()
        .delay(Duration::ZERO)
        .grace(Duration::ZERO);
    let options = options.batch(1).interval(SHORT / 6).limit(NOTICED);
    let begun = Instant::now();
    let report = within("the drain", server.io.drain(options)).await;
    assert_eq!(report.clients(), 10);
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "each batch waited"
    );
    for client in &mut clients {
        client.expect_close().await;
    }
}

/// Each way to tell the other nodes something says when there is no room for it.
#[on_both_servers]
async fn everything_is_refused_with_a_typed_error_where_the_queue_is_full() {
    let redis = Redis::start();
    let adapter = Format::Classic.adapter(&redis).queue_limit(10);
    let server: Server<SocketIo> = Server::socketio(move |io| io.adapter(adapter), |_| ());
    connected(&server.io).await;
    let peer = Peer::enter(&server, Via::WebSocket, &[]).await;
    let io = &server.io;
    let full = |error: &ClusterError| matches!(error, ClusterError::QueueFull { .. });
    let joined = io.sockets_join("a").await;
    assert!(joined.is_err_and(|error| full(&error)));
    assert_eq!(peer.socket.rooms(), ["a"]);
    let left = io.sockets_leave("a").await;
    assert!(left.is_err_and(|error| full(&error)));
    assert!(peer.socket.rooms().is_empty());
    let told = io.of("/").server_side_emit("work", 1).await;
    assert!(matches!(told, Err(EmitError::Cluster(error)) if full(&error)));
    let closed = io.close_room("a").await;
    assert!(closed.is_err_and(|error| full(&error)));
    let ended = io.disconnect_sockets(false).await;
    assert!(ended.is_err_and(|error| full(&error)));
    until("the socket to end", || io.of("/").count() == 0).await;
    assert_eq!(io.adapter_health().refused(), 5);
}

/// A close does not depend on whether the adapter's actor has run before.
#[actix_web::test]
async fn a_server_that_is_closed_at_once_leaves_redis() {
    let redis = Redis::start();
    let start = || {
        let adapter = Format::Classic.adapter(&redis);
        SocketIo::builder().adapter(adapter).start().unwrap()
    };
    let (closed, other) = (start(), start());
    closed.close(Duration::ZERO).await;
    assert!(!closed.adapter_health().is_connected());
    // On the same thread, so that the first has had its turn.
    connected(&other).await;
    let clients = || {
        let list = redis.command("CLIENT LIST");
        list.matches(" laddr=").count()
    };
    // Two connections, and that of who looks.
    until("the other to be alone", || clients() == 3).await;
    assert!(other.nodes().await.is_ok());
    assert!(matches!(
        closed.nodes().await,
        Err(ClusterError::Unavailable(_))
    ));
}

/// A panic of the adapter's actor, here in the program's logger, costs its connections for a
/// moment.
#[on_both_servers]
async fn the_adapter_reconnects_after_a_panic() {
    let redis = Redis::start();
    // A name that nothing else in the suite has.
    let panics = format!("panics-in-the-logger-{}", redis.address().1);
    let (first, name) = (AtomicBool::new(true), panics.clone());
    let _panicking = listen(move |line| {
        let is_first = line.contains(&name) && first.swap(false, Ordering::Relaxed);
        assert!(!is_first, "the logger");
    });
    redis.command("ACL SETUSER default resetchannels &socket.io*");
    let adapter = Format::Streams.adapter(&redis).channel_prefix(&panics);
    let (crashes, mut crashed) = channel();
    let watch = move |io: &SocketIo| {
        io.supervise(Watching(crashes).start().recipient());
    };
    let there = Server::socketio(move |io| io.adapter(adapter), watch);
    assert_eq!(crashed.next().await, PanicSource::Adapter);
    connected(&there.io).await;
    let here = Format::Streams.node(&redis, |io| io).await;
    let mut peer = Peer::enter(&there, Via::WebSocket, &[]).await;
    here.io.emit("after", ()).await.unwrap();
    peer.expect(r#"42["after"]"#).await;
}

/// A listener of a server-side event that panics, or fails, is reported once: to supervisors and
/// the log.
#[on_both_servers]
async fn a_server_side_listener_that_fails_is_reported() {
    let redis = Redis::start();
    let adapter = Format::Classic.adapter(&redis);
    let (crashes, mut crashed) = channel();
    let there = Server::socketio(
        move |io| io.adapter(adapter),
        move |io| {
            io.supervise(Watching(crashes).start().recipient());
            io.of("/")
                .on_server_side("server-side-boom", |_: ServerSideEvent| async {
                    panics();
                })
                .on_server_side("server-side-value", |_: ServerSideEvent| async { Bomb })
                .on_server_side("server-side-fault", |_: ServerSideEvent| async {
                    Err::<(), _>("no")
                });
        },
    );
    connected(&there.io).await;
    let here = Format::Classic.node(&redis, |io| io).await;
    let mut lines = Lines::with("server-side-");
    // The second one is the destructor of the value that the listener returns.
    for event in ["server-side-boom", "server-side-value"] {
        let told = here.io.of("/").server_side_emit(event, 1).await;
        told.unwrap();
        let place = PanicSource::Handler(event.to_owned());
        assert_eq!(crashed.next().await, place);
        let panicked = format!(
            "ERROR actix_socketio::handler handler of {event:?} panicked in namespace /: so"
        );
        assert_eq!(lines.next().await, panicked);
    }
    let told = here
        .io
        .of("/")
        .server_side_emit("server-side-fault", 1)
        .await;
    told.unwrap();
    let line = lines.next().await;
    assert!(
        line.starts_with("WARN") && line.ends_with(r#"failed: "no""#),
        "{line}"
    );
}

/// A value of the program may panic when it is dropped. If this happens while a client is restored,
/// it is reported, and the client gets a new socket instead of no answer.
#[on_both_servers]
async fn a_panic_while_a_client_is_restored_gives_it_a_new_socket() {
    let redis = Redis::start();
    let adapter = Format::Streams.adapter(&redis);
    let (crashes, mut crashed) = channel();
    let build = move |io: Builder| io.adapter(adapter).connection_state_recovery(WINDOW);
    let node = Server::socketio(build, move |io| {
        io.supervise(Watching(crashes).start().recipient());
    });
    connected(&node.io).await;
    let mut first = Client::open(&node, Via::WebSocket).await;
    let (sid, pid) = restored(&mut first, "").await;
    find(&node.io.of("/"), &sid).insert_extension(Bomb);
    node.io.emit("seen", ()).await.unwrap();
    drop(first);
    until("the socket to end", || node.io.of("/").count() == 0).await;
    until("its state to be written", || {
        node.io.adapter_health().queued_bytes() == 0
    })
    .await;
    // It cannot be told any more what the client has missed, so that its state is dropped.
    redis.command("DEL socket.io");
    let mut second = Client::open(&node, Via::WebSocket).await;
    let auth = format!(r#"{{"pid":"{pid}","offset":"0-1"}}"#);
    let (other, _) = restored(&mut second, &auth).await;
    assert_ne!(other, sid);
    assert_eq!(crashed.next().await, PanicSource::Adapter);
}

/// Connects, and returns the public and the private id that the client gets.
async fn restored(client: &mut Client, auth: &str) -> (String, String) {
    client.send(&format!("40{auth}")).await;
    let packet = client.text().await;
    let read: Value = serde_json::from_str(packet.strip_prefix("40").unwrap()).unwrap();
    let text = |key: &str| read[key].as_str().unwrap().to_owned();
    (text("sid"), text("pid"))
}

/// Panics when it is dropped.
#[derive(Serialize)]
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panics();
    }
}

/// Panics without a word of the panic hook.
fn panics() {
    std::panic::resume_unwind(Box::new("so"));
}

struct Watching(UnboundedSender<PanicSource>);

impl Actor for Watching {
    type Context = Context<Self>;
}

impl Handler<Panicked> for Watching {
    type Result = ();

    fn handle(&mut self, crashed: Panicked, _: &mut Self::Context) {
        let _ = self.0.send(crashed.source);
    }
}
