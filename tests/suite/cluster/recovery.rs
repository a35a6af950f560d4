//! Connection state recovery across nodes: a client comes back to another one, through a Redis
//! stream.

use std::time::Duration;

use actix::{Actor, Context, Handler};
use actix_socketio::{
    ConnectError, DrainOptions, NotReady, PanicSource, Panicked, RedisAdapter, Socket, SocketIo,
};
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::support::redis::{Format, Redis, Way, connected};
use crate::support::socketio::{Came, Client, Via, find, until};
use crate::support::{Server, within};

const WINDOW: Duration = Duration::from_secs(60);

async fn node(format: Format, redis: &Redis) -> Server<SocketIo> {
    format
        .node(redis, |io| io.connection_state_recovery(WINDOW))
        .await
}

/// A client's CONNECT that came, and what came before it.
struct Entered {
    client: Client,
    before: Vec<String>,
    sid: String,
    pid: String,
}

async fn enter(server: &Server<SocketIo>, auth: &str) -> Entered {
    enter_in(server, "", auth).await
}

/// Enters a namespace, which is named as in front of a packet's payload: by nothing, or by
/// `/chat,`.
async fn enter_in(server: &Server<SocketIo>, namespace: &str, auth: &str) -> Entered {
    let entered = try_enter(server, namespace, auth).await;
    entered.expect("a client that the server does not close")
}

/// `None` if the server closes the client before it is in the namespace.
async fn try_enter(server: &Server<SocketIo>, namespace: &str, auth: &str) -> Option<Entered> {
    let mut client = Client::open(server, Via::WebSocket).await;
    client.send(&format!("40{namespace}{auth}")).await;
    let mut before = Vec::new();
    loop {
        let packet = match client.next().await {
            Came::Text(packet) => packet,
            Came::Close => return None,
            other @ Came::Binary(_) => panic!("{other:?} before the CONNECT"),
        };
        let Some(json) = packet.strip_prefix(&format!("40{namespace}")) else {
            before.push(packet);
            continue;
        };
        let read: Value = serde_json::from_str(json).unwrap();
        let text = |key: &str| read[key].as_str().unwrap().to_owned();
        let (sid, pid) = (text("sid"), text("pid"));
        return Some(Entered {
            client,
            before,
            sid,
            pid,
        });
    }
}

/// Returns an event without its last argument, and that argument: the offset.
fn split(packet: &str) -> (String, String) {
    let at = packet.find('[').unwrap();
    let list: Vec<Value> = serde_json::from_str(&packet[at..]).unwrap();
    let (offset, event) = list.split_last().unwrap();
    let event: Vec<_> = event.iter().map(Value::to_string).collect();
    (event.join(","), offset.as_str().unwrap().to_owned())
}

fn auth(pid: &str, offset: Option<&str>) -> String {
    match offset {
        Some(offset) => format!(r#"{{"pid":"{pid}","offset":"{offset}"}}"#),
        None => format!(r#"{{"pid":"{pid}"}}"#),
    }
}

/// The events of every node arrive in order and once, on every node, with id, rooms and data of the
/// client.
#[on_both_servers]
async fn a_client_is_recovered_on_another_node() {
    let redis = Redis::start();
    for format in Format::with_streams() {
        let (one, two) = (node(format, &redis).await, node(format, &redis).await);
        let mut ann = enter(&one, "").await;
        let socket = find(&one.io.of("/"), &ann.sid);
        socket.join(["a", "b"]).await.unwrap();
        socket.session().insert("name", "Ann").unwrap();
        let mut offset = None;
        for (n, io) in [&one.io, &two.io, &one.io].into_iter().enumerate() {
            io.to("a").emit("seen", n).await.unwrap();
            let (event, at) = split(&ann.client.text().await);
            assert_eq!(event, format!(r#""seen",{n}"#));
            offset = Some(at);
        }
        drop(ann.client);
        until("the socket to end", || one.io.of("/").count() == 0).await;
        for (n, io) in [&one.io, &two.io, &two.io, &one.io].into_iter().enumerate() {
            io.to("a").emit("missed", n).await.unwrap();
            io.to("c").emit("not for it", n).await.unwrap();
            io.except("b").emit("nor this", n).await.unwrap();
        }
        socket.emit("its own", ()).await.unwrap();
        until("all to be written", || {
            one.io.adapter_health().queued_bytes() == 0
                && two.io.adapter_health().queued_bytes() == 0
        })
        .await;

        let mut back = enter(&two, &auth(&ann.pid, offset.as_deref())).await;
        assert_eq!((&back.sid, &back.pid), (&ann.sid, &ann.pid));
        let missed: Vec<_> = back.before.iter().map(|packet| split(packet).0).collect();
        // In the order of each node; that between the two is the stream's.
        let of_one = [r#""missed",0"#, r#""missed",3"#, r#""its own""#];
        let of_two = [r#""missed",1"#, r#""missed",2"#];
        let (first, second): (Vec<_>, Vec<_>) = missed
            .iter()
            .map(String::as_str)
            .partition(|event| of_one.contains(event));
        assert_eq!(
            (first.as_slice(), second.as_slice()),
            (&of_one[..], &of_two[..])
        );
        let socket = find(&two.io.of("/"), &ann.sid);
        assert!(socket.recovered());
        let mut rooms = socket.rooms();
        rooms.sort();
        assert_eq!(rooms, ["a", "b"]);
        assert_eq!(socket.session().get("name"), Ok(Some("Ann".to_owned())));
        one.io.to("b").emit("live", ()).await.unwrap();
        let (event, offset) = split(&back.client.text().await);
        assert_eq!(event, r#""live""#);
        // And from there to the first again.
        drop(back.client);
        until("the socket to end", || two.io.of("/").count() == 0).await;
        two.io.to("a").emit("again", ()).await.unwrap();
        kept_by(&two).await;
        let back = enter(&one, &auth(&ann.pid, Some(&offset))).await;
        assert_eq!(back.sid, ann.sid);
        let missed: Vec<_> = back.before.iter().map(|packet| split(packet).0).collect();
        assert_eq!(missed, [r#""again""#]);
    }
}

/// The connection may be dead, and its node not know it yet; the client may have no offset.
#[on_both_servers]
async fn a_client_is_on_one_node_only() {
    let redis = Redis::start();
    for format in Format::with_streams() {
        let (one, two) = (node(format, &redis).await, node(format, &redis).await);
        let ann = enter(&one, "").await;
        find(&one.io.of("/"), &ann.sid).join("a").await.unwrap();
        one.io.emit("unread", ()).await.unwrap();
        until("all to be written", || {
            one.io.adapter_health().queued_bytes() == 0
        })
        .await;
        let mut back = enter(&two, &auth(&ann.pid, None)).await;
        assert_eq!(back.sid, ann.sid);
        let missed: Vec<_> = back.before.iter().map(|packet| split(packet).0).collect();
        assert_eq!(missed, [r#""unread""#]);
        until("the old socket to end", || one.io.of("/").count() == 0).await;
        one.io.to("a").emit("live", ()).await.unwrap();
        assert_eq!(split(&back.client.text().await).0, r#""live""#);
        // With its end the secret is used up, everywhere.
        find(&two.io.of("/"), &ann.sid).disconnect(false);
        until("the socket to end", || two.io.of("/").count() == 0).await;
        kept_by(&two).await;
        for node in [&one, &two] {
            let other = enter(node, &auth(&ann.pid, None)).await;
            assert!(other.sid != ann.sid && other.before.is_empty());
        }
    }
}

/// A client that breaks off before it has read what it missed gets that again, on the same node
/// too.
#[on_both_servers]
async fn client_without_an_offset_may_recover_repeatedly() {
    let redis = Redis::start();
    for format in Format::with_streams() {
        let (one, two) = (node(format, &redis).await, node(format, &redis).await);
        let ann = enter(&one, "").await;
        find(&one.io.of("/"), &ann.sid).join("a").await.unwrap();
        drop(ann.client);
        until("the socket to end", || one.io.of("/").count() == 0).await;
        one.io.to("a").emit("missed", ()).await.unwrap();
        kept_by(&one).await;
        for node in [&two, &two, &one, &two] {
            let back = enter(node, &auth(&ann.pid, None)).await;
            assert_eq!(back.sid, ann.sid);
            let missed: Vec<_> = back.before.iter().map(|packet| split(packet).0).collect();
            assert_eq!(missed, [r#""missed""#]);
            drop(back.client);
            until("the socket to end", || node.io.of("/").count() == 0).await;
            kept_by(node).await;
        }
    }
}

/// A node that delivered nothing is not named in the client's offset, and had it all the same.
#[on_both_servers]
async fn a_client_is_recovered_on_alternating_nodes_without_events() {
    let redis = Redis::start();
    for format in Format::with_streams() {
        let (one, two) = (node(format, &redis).await, node(format, &redis).await);
        let mut witness = enter(&one, "").await;
        let mut ann = enter(&one, "").await;
        find(&one.io.of("/"), &ann.sid).join("a").await.unwrap();
        one.io.to("a").emit("seen", ()).await.unwrap();
        let (_, offset) = split(&ann.client.text().await);
        kept_by(&one).await;
        for (n, node) in [&two, &one, &two, &two, &one].into_iter().enumerate() {
            let back = enter(node, &auth(&ann.pid, Some(&offset))).await;
            assert_eq!(
                (back.sid.as_str(), back.before.len()),
                (ann.sid.as_str(), 0)
            );
            drop(ann.client);
            ann.client = back.client;
            let socket = find(&node.io.of("/"), &ann.sid);
            assert_eq!(socket.rooms(), ["a"]);
            socket.broadcast().emit("there", n).await.unwrap();
            // The first has heard by then that the client has moved.
            assert_eq!(
                split(&witness.client.text().await).0,
                format!(r#""there",{n}"#)
            );
            kept_by(node).await;
        }
    }
}

/// A namespace of a pattern goes with its last client, and with it what it has in its memory.
#[on_both_servers]
async fn a_client_is_recovered_in_a_recreated_namespace() {
    let redis = Redis::start();
    for format in Format::with_streams() {
        let one = node(format, &redis).await;
        one.io.of_pattern("/shop-{id}").unwrap().remove_when_empty();
        let mut ann = enter_in(&one, "/shop-1,", "").await;
        let socket = find(&one.io.of("/shop-1"), &ann.sid);
        socket.emit("seen", ()).await.unwrap();
        let (_, offset) = split(&ann.client.text().await);
        socket.emit("as if it had not arrived", ()).await.unwrap();
        ann.client.text().await;
        drop(ann.client);
        until("the socket to end", || one.io.clients_count() == 0).await;
        kept_by(&one).await;
        let back = enter_in(&one, "/shop-1,", &auth(&ann.pid, Some(&offset))).await;
        assert_eq!(back.sid, ann.sid);
        let missed: Vec<_> = back.before.iter().map(|packet| split(packet).0).collect();
        assert_eq!(missed, [r#""as if it had not arrived""#]);
    }
}

/// A node that reads late lets a client in when it has read what the client has got.
#[on_both_servers]
async fn a_node_that_reads_late_sends_nothing_twice() {
    let redis = Redis::start();
    let (one, three) = (
        node(Format::Streams, &redis).await,
        node(Format::Streams, &redis).await,
    );
    redis.command("ACL SETUSER late on nopass ~* &* +@all");
    let url = redis.url().replace("redis://", "redis://late:any@");
    let adapter = RedisAdapter::streams(&url).unwrap();
    let two = Server::socketio(
        move |io| io.adapter(adapter).connection_state_recovery(WINDOW),
        |_| (),
    );
    connected(&two.io).await;
    let mut ann = enter(&one, "").await;
    redis.command("ACL SETUSER late -xread");
    let mut offset = String::new();
    for n in 0..5 {
        three.io.emit("n", n).await.unwrap();
        let (event, at) = split(&ann.client.text().await);
        assert_eq!(event, format!(r#""n",{n}"#));
        offset = at;
    }
    until("the reader to fail", || {
        !two.io.adapter_health().is_connected()
    })
    .await;
    let mut client = Client::open(&two, Via::WebSocket).await;
    client
        .send(&format!("40{}", auth(&ann.pid, Some(&offset))))
        .await;
    redis.command("ACL SETUSER late +xread");
    let packet = client.text().await;
    assert!(
        packet.starts_with("40") && packet.contains(&ann.sid),
        "{packet}"
    );
    three.io.emit("n", 5).await.unwrap();
    assert_eq!(split(&client.text().await).0, r#""n",5"#);
}

/// An entry whose answer was lost may lie in the stream twice.
#[on_both_servers]
async fn an_entry_that_lies_there_twice_is_replayed_once() {
    let redis = Redis::start();
    let (one, two) = (
        node(Format::Streams, &redis).await,
        node(Format::Streams, &redis).await,
    );
    let ann = enter(&one, "").await;
    drop(ann.client);
    until("the socket to end", || one.io.of("/").count() == 0).await;
    one.io.emit("missed", 1).await.unwrap();
    kept_by(&one).await;
    let again = "local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1][2] \
                 return redis.call('XADD', KEYS[1], '*', unpack(last))";
    let said = redis.command(&format!("EVAL \"{again}\" 1 socket.io"));
    assert!(said.starts_with('$'), "{said}");
    let back = enter(&two, &auth(&ann.pid, None)).await;
    assert_eq!(back.sid, ann.sid);
    let missed: Vec<_> = back.before.iter().map(|packet| split(packet).0).collect();
    assert_eq!(missed, [r#""missed",1"#]);
}

/// The content of a deleted stream is unknown.
#[on_both_servers]
async fn deleted_stream_prevents_recovery() {
    for more in [false, true] {
        let redis = Redis::start();
        let (one, two) = (
            node(Format::Streams, &redis).await,
            node(Format::Streams, &redis).await,
        );
        let mut ann = enter(&one, "").await;
        two.io.emit("seen", ()).await.unwrap();
        let (_, offset) = split(&ann.client.text().await);
        drop(ann.client);
        until("the socket to end", || one.io.of("/").count() == 0).await;
        one.io.emit("lost", ()).await.unwrap();
        kept_by(&one).await;
        redis.command("DEL socket.io");
        if more {
            one.io.emit("later", ()).await.unwrap();
            kept_by(&one).await;
        }
        let back = enter(&two, &auth(&ann.pid, Some(&offset))).await;
        assert!(back.sid != ann.sid && back.before.is_empty(), "{more}");
    }
}

/// A destructor of the program's panics while the cluster is asked: the data of the socket goes
/// there, since the stream has not all that the client missed.
#[on_both_servers]
async fn a_panic_during_remote_recovery_gives_a_new_socket() {
    let redis = Redis::start();
    let one = node(Format::Streams, &redis).await;
    let (sender, mut crashes) = unbounded_channel();
    one.io.supervise(Watching(sender).start().recipient());
    let ann = enter(&one, "").await;
    find(&one.io.of("/"), &ann.sid).insert_extension(Bomb);
    one.io.emit("lost", ()).await.unwrap();
    drop(ann.client);
    until("the socket to end", || one.io.of("/").count() == 0).await;
    kept_by(&one).await;
    redis.command("DEL socket.io");
    // An offset of another server: this node asks the cluster, which is itself.
    let claim = auth(&ann.pid, Some("1-0"));
    let back = within("the CONNECT to be answered", enter(&one, &claim)).await;
    assert_ne!(back.sid, ann.sid);
    let crashed = within("the panic to be reported", crashes.recv()).await;
    let crashed = crashed.unwrap();
    assert_eq!(crashed.source, PanicSource::Adapter);
    assert!(
        crashed.panic.ends_with("the destructor"),
        "{}",
        crashed.panic
    );
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        // Without the panic hook, which would print a line.
        std::panic::resume_unwind(Box::new("the destructor"));
    }
}

struct Watching(UnboundedSender<Panicked>);

impl Actor for Watching {
    type Context = Context<Self>;
}

impl Handler<Panicked> for Watching {
    type Result = ();

    fn handle(&mut self, crashed: Panicked, _: &mut Self::Context) {
        let _ = self.0.send(crashed);
    }
}

/// A client may change its mind while the cluster is asked.
#[on_both_servers]
async fn disconnect_during_remote_recovery_allows_a_new_connect() {
    let redis = Redis::start();
    for format in Format::with_streams() {
        let one = node(format, &redis).await;
        let ann = enter(&one, "").await;
        drop(ann.client);
        until("the socket to end", || one.io.of("/").count() == 0).await;
        // From a time that this node has not read of: it waits for that.
        let claim = auth(&ann.pid, Some("9999999999999-0"));
        let mut client = Client::open(&one, Via::WebSocket).await;
        client.send_all(&[&format!("40{claim}"), "41", "40"]).await;
        let packet = client.text().await;
        assert!(
            packet.starts_with("40") && !packet.contains(&ann.sid),
            "{packet}"
        );
        client.expect_nothing_more("/").await;
    }
}

/// If the cluster stores no records, each node does so for its own clients.
#[on_both_servers]
async fn pub_sub_formats_recover_clients_on_their_own_node() {
    let redis = Redis::start();
    for format in [Format::Classic, Format::Sharded] {
        let node = || format.node(&redis, |io| io.connection_state_recovery(WINDOW));
        let (one, two) = (node().await, node().await);
        let ann = enter(&one, "").await;
        let mut bob = enter(&one, "").await;
        drop(ann.client);
        until("the socket to end", || one.io.of("/").count() == 1).await;
        two.io.emit("missed", ()).await.unwrap();
        assert_eq!(bob.client.text().await, r#"42["missed","1"]"#);
        let elsewhere = enter(&two, &auth(&ann.pid, None)).await;
        assert_ne!(elsewhere.sid, ann.sid);
        let back = enter(&one, &auth(&ann.pid, None)).await;
        assert_eq!(back.sid, ann.sid);
        assert_eq!(back.before, [r#"42["missed","1"]"#]);
    }
}

/// A secret is good for its own namespace: another one's middleware looks at who comes with it.
#[on_both_servers]
async fn a_pid_of_one_namespace_is_refused_in_another() {
    let redis = Redis::start();
    for format in Format::with_streams() {
        let (one, two) = (node(format, &redis).await, node(format, &redis).await);
        for node in [&one, &two] {
            node.io.of("/chat");
            let admin = node.io.of("/admin");
            admin.middleware(|_: Socket| async { Err::<(), _>(ConnectError::new("not you")) });
        }
        let ann = enter_in(&one, "/chat,", "").await;
        let socket = find(&one.io.of("/chat"), &ann.sid);
        socket.join("a").await.unwrap();
        drop(ann.client);
        until("the socket to end", || one.io.of("/chat").count() == 0).await;
        one.io.of("/chat").to("a").emit("missed", ()).await.unwrap();
        kept_by(&one).await;

        for node in [&one, &two] {
            let mut client = Client::open(node, Via::WebSocket).await;
            let refused = client.connect_with("/admin", &auth(&ann.pid, None)).await;
            assert_eq!(refused.unwrap_err(), r#"{"message":"not you"}"#);
        }
        // And it is still there for where it belongs.
        let back = enter_in(&two, "/chat,", &auth(&ann.pid, None)).await;
        assert_eq!(back.sid, ann.sid);
        assert_eq!(split(&back.before[0]).0, r#""missed""#);
        assert_eq!(find(&two.io.of("/chat"), &back.sid).rooms(), ["a"]);
    }
}

/// A client that changes nodes again and again while both send gets each event once.
#[on_both_servers]
async fn events_are_delivered_once_while_a_client_changes_nodes() {
    let redis = Redis::start();
    for format in Format::with_streams() {
        let nodes = [node(format, &redis).await, node(format, &redis).await];
        let senders = nodes.each_ref().map(|node| node.io.clone());
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let sending = tokio::spawn(async move {
            let mut sent = [0_u64; 2];
            while !*stopped.borrow() {
                for (at, io) in senders.iter().enumerate() {
                    sent[at] += 1;
                    io.to("a").emit("n", (at, sent[at])).await.unwrap();
                }
                // No more than a client can take in the meantime.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            sent
        });
        let mut seen: [Option<u64>; 2] = [None, None];
        let mut take = |packet: &str| {
            let list: (String, usize, u64, String) = serde_json::from_str(&packet[2..]).unwrap();
            let (_, from, n, offset) = list;
            if let Some(last) = seen[from] {
                assert_eq!(n, last + 1, "of node {from}");
            }
            seen[from] = Some(n);
            (offset, seen)
        };
        let first = enter(&nodes[0], "").await;
        let id = first.sid.clone();
        find(&nodes[0].io.of("/"), &id).join("a").await.unwrap();
        let (mut client, mut pid) = (first.client, first.pid);
        let mut so_far = [None, None];
        for round in 0..20 {
            let mut offset = String::new();
            for _ in 0..20 {
                (offset, so_far) = take(&client.text().await);
            }
            drop(client);
            let back = enter(&nodes[(round + 1) % 2], &auth(&pid, Some(&offset))).await;
            assert_eq!(back.sid, id, "round {round}");
            for packet in &back.before {
                so_far = take(packet).1;
            }
            (client, pid) = (back.client, back.pid);
        }
        stop.send(true).unwrap();
        let sent = within("the sender to end", sending).await.unwrap();
        while so_far != sent.map(Some) {
            so_far = take(&client.text().await).1;
        }
    }
}

/// Waits until Redis has what clients of a node need to come back elsewhere.
async fn kept_by(node: &Server<SocketIo>) {
    until("it to be kept", || {
        node.io.adapter_health().queued_bytes() == 0
    })
    .await;
}

/// Events that a client got from a disconnected node are not sent to it again when that node
/// reaches Redis.
#[on_both_servers]
async fn events_received_on_a_cut_off_node_are_not_replayed() {
    let redis = Redis::start();
    let mut way = Way::to(&redis).await;
    let adapter = RedisAdapter::streams(&way.url()).unwrap();
    let one = Server::socketio(
        move |io| io.adapter(adapter).connection_state_recovery(WINDOW),
        |_| (),
    );
    connected(&one.io).await;
    let (two, three) = (
        node(Format::Streams, &redis).await,
        node(Format::Streams, &redis).await,
    );
    let mut ann = enter(&one, "").await;
    find(&one.io.of("/"), &ann.sid).join("a").await.unwrap();
    let mut other = enter(&two, "").await;
    one.io.to("a").emit("n", 0).await.unwrap();
    let (_, mut offset) = split(&ann.client.text().await);
    kept_by(&one).await;
    way.cut().await;
    for n in 1..=3 {
        one.io.emit("n", n).await.unwrap();
        let (event, at) = split(&ann.client.text().await);
        assert_eq!(event, format!(r#""n",{n}"#));
        offset = at;
    }
    drop(ann.client);
    // From there to a third one, whose offsets say nothing of the first.
    let mut ann = enter(&two, &auth(&ann.pid, Some(&offset))).await;
    assert_eq!(ann.before, [""; 0]);
    two.io.emit("between", ()).await.unwrap();
    let (event, offset) = split(&ann.client.text().await);
    assert_eq!(event, r#""between""#);
    assert_eq!(split(&other.client.text().await).0, r#""between""#);
    kept_by(&two).await;
    drop(ann.client);
    let mut ann = enter(&three, &auth(&ann.pid, Some(&offset))).await;
    assert_eq!(ann.before, [""; 0]);
    way.mend().await;
    one.io.emit("n", 4).await.unwrap();
    for n in 1..=4 {
        assert_eq!(split(&other.client.text().await).0, format!(r#""n",{n}"#));
    }
    assert_eq!(split(&ann.client.text().await).0, r#""n",4"#);
    three.io.emit("last", ()).await.unwrap();
    assert_eq!(split(&ann.client.text().await).0, r#""last""#);
}

/// A node that was cut off stores the state of its client late. The client has moved to another node
/// by then, and a third one restores it from there: with its new room, and not with those of before.
#[on_both_servers]
async fn a_cut_off_node_does_not_overwrite_the_state_of_a_moved_client() {
    let redis = Redis::start();
    let mut way = Way::to(&redis).await;
    let adapter = RedisAdapter::streams(&way.url()).unwrap();
    let one = Server::socketio(
        move |io| io.adapter(adapter).connection_state_recovery(WINDOW),
        |_| (),
    );
    connected(&one.io).await;
    let (two, three) = (
        node(Format::Streams, &redis).await,
        node(Format::Streams, &redis).await,
    );
    let ann = enter(&one, "").await;
    kept_by(&one).await;
    way.cut().await;
    until("the cut", || !one.io.adapter_health().is_connected()).await;
    drop(ann.client);
    until("the old socket to end", || one.io.of("/").count() == 0).await;
    let is_queued = || one.io.adapter_health().queued_bytes() > 0;
    until("the record to be queued", is_queued).await;
    let moved = enter(&two, &auth(&ann.pid, None)).await;
    assert_eq!(moved.sid, ann.sid);
    find(&two.io.of("/"), &ann.sid).join("late").await.unwrap();
    kept_by(&two).await;
    way.mend().await;
    connected(&one.io).await;
    kept_by(&one).await;
    // The second connection of the client may be dead: its node does not store the state again.
    let back = enter(&three, &auth(&ann.pid, None)).await;
    assert_eq!(back.sid, ann.sid);
    assert_eq!(find(&three.io.of("/"), &ann.sid).rooms(), ["late"]);
    // The end of the client is final too.
    find(&three.io.of("/"), &ann.sid).disconnect(false);
    until("the socket to end", || three.io.of("/").count() == 0).await;
    kept_by(&three).await;
    let other = enter(&two, &auth(&ann.pid, None)).await;
    assert!(other.sid != ann.sid && other.before.is_empty());
}

/// Two nodes, or two connections to one node, ask for the state of one client at the same time. One
/// of them gets it; nothing is lost or sent twice.
#[on_both_servers]
async fn one_of_two_simultaneous_requests_recovers_a_client() {
    let redis = Redis::start();
    for format in Format::with_streams() {
        let (one, two, three) = (
            node(format, &redis).await,
            node(format, &redis).await,
            node(format, &redis).await,
        );
        for round in 0..20 {
            let ann = enter(&one, "").await;
            find(&one.io.of("/"), &ann.sid).join("a").await.unwrap();
            one.io.to("a").emit("missed", round).await.unwrap();
            kept_by(&one).await;
            drop(ann.client);
            until("the old socket to end", || one.io.of("/").count() == 0).await;
            kept_by(&one).await;
            let auth = auth(&ann.pid, None);
            let other = if round % 2 == 0 { &three } else { &two };
            // The later one may get the state from the earlier one, whose connection then closes.
            let (first, second) =
                tokio::join!(try_enter(&two, "", &auth), try_enter(other, "", &auth));
            let entered: Vec<_> = [first, second].into_iter().flatten().collect();
            let recovered = |it: &&Entered| it.sid == ann.sid;
            assert!(entered.iter().any(|it| recovered(&it)), "round {round}");
            for it in &entered {
                let missed: Vec<_> = it.before.iter().map(|packet| split(packet).0).collect();
                let expected = format!(r#""missed",{round}"#);
                assert_eq!(
                    missed,
                    if recovered(&it) {
                        vec![expected]
                    } else {
                        vec![]
                    }
                );
            }
            until("one socket of the client", || {
                let nodes = [&two, &three].into_iter();
                let found =
                    nodes.map(|node| node.io.of("/").socket(ann.sid.parse().unwrap()).is_some());
                found.filter(|found| *found).count() == 1
            })
            .await;
            drop(entered);
            let ended = || two.io.of("/").count() + three.io.of("/").count() == 0;
            until("the clients to end", ended).await;
        }
    }
}

/// A close stores the state of a client before the client gets it: the store is away for a moment,
/// and a client that reconnects at once has the room that it joined just before.
#[on_both_servers]
async fn a_closed_client_keeps_the_rooms_it_has_just_joined() {
    let redis = Redis::start();
    let format = Format::Streams;
    let way = Way::to(&redis).await;
    let adapter = format.adapter_to(&way.url());
    let one = Server::socketio(
        move |io| io.adapter(adapter).connection_state_recovery(WINDOW),
        |_| (),
    );
    connected(&one.io).await;
    let two = node(format, &redis).await;
    let mut ann = enter(&one, "").await;
    let socket = find(&one.io.of("/"), &ann.sid);
    one.io.emit("seen", 0).await.unwrap();
    let (_, offset) = split(&ann.client.text().await);
    let dead = way.go_dead();
    socket.join("late").await.unwrap();
    let io = one.io.clone();
    let closing = tokio::spawn(async move { io.close(WINDOW).await });
    let closes = || one.io.readiness().reasons().contains(&NotReady::Closing);
    until("the close to begin", closes).await;
    ann.client.expect_pong().await;
    dead.revive();
    ann.client.expect_close().await;
    let back = enter(&two, &auth(&ann.pid, Some(&offset))).await;
    assert_eq!((&back.sid, &back.pid), (&ann.sid, &ann.pid));
    assert_eq!(find(&two.io.of("/"), &back.sid).rooms(), ["late"]);
    assert!(within("the close", closing).await.unwrap());
}

/// A drain stores the state of a client before it closes: a client that reconnects at once has the
/// rooms that it joined just before.
#[on_both_servers]
async fn a_drained_client_keeps_the_rooms_it_has_just_joined() {
    let redis = Redis::start();
    for format in Format::with_streams() {
        let (one, two) = (node(format, &redis).await, node(format, &redis).await);
        let mut ann = enter(&one, "").await;
        let socket = find(&one.io.of("/"), &ann.sid);
        one.io.emit("seen", 0).await.unwrap();
        let (_, offset) = split(&ann.client.text().await);
        socket.join("late").await.unwrap();
        let io = one.io.clone();
        let options = DrainOptions::new()
            .delay(Duration::ZERO)
            .limit(Duration::from_millis(500));
        let draining = tokio::spawn(async move { io.drain(options).await });
        ann.client.expect_close().await;
        let mut back = enter(&two, &auth(&ann.pid, Some(&offset))).await;
        assert_eq!((&back.sid, &back.pid), (&ann.sid, &ann.pid));
        assert_eq!(find(&two.io.of("/"), &back.sid).rooms(), ["late"]);
        two.io.to("late").emit("next", 1).await.unwrap();
        assert_eq!(split(&back.client.text().await).0, r#""next",1"#);
        assert!(within("the drain", draining).await.unwrap().is_complete());
    }
}
