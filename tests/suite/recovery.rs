//! Connection state recovery: a client that comes back gets what it had and what it missed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_socketio::{
    Auth, Builder, CloseReason, ConnectError, DisconnectReason, Socket, SocketId, SocketIo,
};
use serde::Deserialize;

use crate::support::held::Gate;
use crate::support::socketio::{Came, Client, Via, find, leavers, until};
use crate::support::{Server, channel, within};

const WINDOW: Duration = Duration::from_secs(60);

fn start(build: impl FnOnce(Builder) -> Builder + Send + 'static) -> Server<SocketIo> {
    Server::socketio(
        move |io| build(io.connection_state_recovery(WINDOW)),
        |_| (),
    )
}

/// A client that can come back.
struct Returning {
    client: Client,
    sid: String,
    pid: String,
}

impl Returning {
    async fn enter(server: &Server<SocketIo>) -> Self {
        let mut client = Client::open(server, Via::WebSocket).await;
        client.send("40").await;
        let (sid, pid) = connected(&client.text().await);
        Self { client, sid, pid }
    }

    fn socket(&self, server: &Server<SocketIo>) -> Socket {
        find(&server.io.of("/"), &self.sid)
    }

    /// Loses the connection, and waits until the server knows.
    async fn lose(self, server: &Server<SocketIo>) -> (String, String) {
        let id: SocketId = self.sid.parse().unwrap();
        drop(self.client);
        let namespace = server.io.of("/");
        until("the socket to end", || {
            namespace.socket(id.clone()).is_none()
        })
        .await;
        (self.sid, self.pid)
    }
}

/// Reads a CONNECT packet that carries a secret.
fn connected(packet: &str) -> (String, String) {
    let json = packet
        .strip_prefix("40")
        .unwrap_or_else(|| panic!("{packet}"));
    let read: serde_json::Value = serde_json::from_str(json).unwrap();
    let text = |key: &str| {
        read[key]
            .as_str()
            .unwrap_or_else(|| panic!("{packet}"))
            .to_owned()
    };
    (text("sid"), text("pid"))
}

/// Comes back, and returns what came before the CONNECT packet and what it says.
async fn back(
    server: &Server<SocketIo>,
    pid: &str,
    offset: Option<&str>,
) -> (Vec<String>, String, String, Client) {
    let mut client = Client::open(server, Via::WebSocket).await;
    let offset = offset.map(|offset| format!(r#","offset":"{offset}""#));
    let offset = offset.unwrap_or_default();
    client
        .send(&format!(r#"40{{"pid":"{pid}"{offset}}}"#))
        .await;
    let mut missed = Vec::new();
    loop {
        let packet = client.text().await;
        if packet.starts_with("40") {
            let (sid, pid) = connected(&packet);
            return (missed, sid, pid, client);
        }
        missed.push(packet);
    }
}

/// Id, rooms, data and everything that it missed, in order and once, and then the CONNECT packet.
#[on_both_servers]
async fn a_recovered_client_has_its_state_and_the_missed_events() {
    let server = start(|io| io);
    let io = &server.io;
    let mut ann = Returning::enter(&server).await;
    let socket = ann.socket(&server);
    socket.join(["a", "b"]).await.unwrap();
    socket.insert_extension(7_u8);
    socket.session().insert("name", "Ann").unwrap();
    io.emit("first", ()).await.unwrap();
    socket.emit("second", (1, "x")).await.unwrap();
    ann.client.expect(r#"42["first","1"]"#).await;
    ann.client.expect(r#"42["second",1,"x","2"]"#).await;
    let (sid, pid) = ann.lose(&server).await;
    io.to("a").emit("in a", 3).await.unwrap();
    io.to("c").emit("in c", 4).await.unwrap();
    io.except("b").emit("not b", 5).await.unwrap();
    io.to(["a", "b"]).emit("union", 6).await.unwrap();
    socket.emit("its own", 7).await.unwrap();
    socket.to("a").emit("of its own", 8).await.unwrap();
    io.emit("binary", actix_socketio::Bytes::from_static(&[1]))
        .await
        .unwrap();

    let mut client = Client::open(&server, Via::WebSocket).await;
    client
        .send(&format!(r#"40{{"pid":"{pid}","offset":"2"}}"#))
        .await;
    client.expect(r#"42["in a",3,"3"]"#).await;
    client.expect(r#"42["union",6,"6"]"#).await;
    client.expect(r#"42["its own",7,"7"]"#).await;
    let text = r#"451-["binary",{"_placeholder":true,"num":0},"9"]"#;
    client.expect_binary(text, &[&[1]]).await;
    assert_eq!(connected(&client.text().await), (sid.clone(), pid));
    let socket = find(&io.of("/"), &sid);
    assert!(socket.recovered());
    assert_eq!(socket.rooms(), ["a", "b"]);
    assert_eq!(socket.extension::<u8>().as_deref(), Some(&7));
    assert_eq!(socket.session().get("name"), Ok(Some("Ann".to_owned())));
    io.to("b").emit("live", ()).await.unwrap();
    client.expect(r#"42["live","10"]"#).await;
    client.expect_nothing_more("/").await;
}

/// One that has got nothing yet has no offset, and gets everything since it came.
#[on_both_servers]
async fn a_client_without_an_offset_gets_all_events_since_its_connect() {
    let server = start(|io| io);
    server.io.emit("before", ()).await.unwrap();
    let ann = Returning::enter(&server).await;
    let (sid, pid) = ann.lose(&server).await;
    server.io.emit("missed", 1).await.unwrap();
    let (missed, again, ..) = back(&server, &pid, None).await;
    assert_eq!(
        (missed.as_slice(), again),
        (&[r#"42["missed",1,"2"]"#.to_owned()][..], sid)
    );
}

/// A volatile event and a call end with no string that would be taken for an offset.
#[on_both_servers]
async fn volatile_events_and_calls_carry_no_offset() {
    let server = start(|io| io);
    let mut ann = Returning::enter(&server).await;
    let socket = ann.socket(&server);
    server.io.emit("kept", ()).await.unwrap();
    ann.client.expect(r#"42["kept","1"]"#).await;
    // It is dropped as long as the outbox has not noted that what went before has been taken.
    let comes = async {
        loop {
            let volatile = server.io.volatile();
            volatile.emit("volatile", "a string").await.unwrap();
            if let Some(came) = ann.client.rest("/").await.pop() {
                return came;
            }
        }
    };
    let came = within("a volatile event", comes).await;
    let expected = r#"42["volatile","a string","1"]"#;
    assert_eq!(came, Came::Text(expected.to_owned()));
    let asking = tokio::spawn(async move { socket.call::<()>("ask", "a string").await });
    let packet = ann.client.text().await;
    assert!(packet.ends_with(r#"["ask","a string"]"#), "{packet}");
    let (_, pid) = ann.lose(&server).await;
    within("the call to fail", asking)
        .await
        .unwrap()
        .unwrap_err();
    server.io.emit("missed", ()).await.unwrap();
    let (missed, ..) = back(&server, &pid, Some("1")).await;
    assert_eq!(missed, [r#"42["missed","2"]"#]);
}

/// Events for rooms that a client joined later are not among those that it missed.
#[on_both_servers]
async fn events_sent_before_a_join_are_not_replayed() {
    let server = start(|io| io);
    let mut ann = Returning::enter(&server).await;
    let socket = ann.socket(&server);
    server.io.emit("seen", ()).await.unwrap();
    server.io.to("late").emit("too early", ()).await.unwrap();
    socket.join("late").await.unwrap();
    server.io.to("late").emit("seen too", ()).await.unwrap();
    ann.client.expect(r#"42["seen","1"]"#).await;
    ann.client.expect(r#"42["seen too","3"]"#).await;
    let (_, pid) = ann.lose(&server).await;
    // As if the last event had not arrived.
    let (missed, ..) = back(&server, &pid, Some("1")).await;
    assert_eq!(missed, [r#"42["seen too","3"]"#]);
}

/// A client may be back before the server knows that it was gone.
#[on_both_servers]
async fn recovery_before_the_disconnect_is_noticed_replaces_the_socket() {
    let server = start(|io| io);
    let (told, mut ends) = channel();
    server
        .io
        .of("/")
        .on_disconnect(move |socket: Socket, reason: DisconnectReason| {
            told.send((socket.id().to_string(), reason)).unwrap();
            async {}
        });
    let ann = Returning::enter(&server).await;
    ann.socket(&server).join("a").await.unwrap();
    server.io.emit("unread", ()).await.unwrap();
    let (missed, sid, pid, mut client) = back(&server, &ann.pid, None).await;
    assert_eq!((&sid, &pid), (&ann.sid, &ann.pid));
    assert_eq!(missed, [r#"42["unread","1"]"#]);
    let closed = DisconnectReason::Session(CloseReason::Superseded);
    assert_eq!(closed.as_str(), "superseded");
    assert_eq!(ends.next().await, (sid.clone(), closed));
    assert_eq!(server.io.of("/").count(), 1);
    server.io.to("a").emit("live", ()).await.unwrap();
    client.expect(r#"42["live","2"]"#).await;
    server.io.to(sid.as_str()).emit("by id", ()).await.unwrap();
    client.expect(r#"42["by id","3"]"#).await;
    drop(ann.client);
    // It can come back again.
    drop(client);
    until("the socket to end", || server.io.of("/").count() == 0).await;
    let (missed, again, ..) = back(&server, &pid, Some("3")).await;
    assert_eq!((missed, again), (Vec::new(), sid));
}

/// The program may still hold the socket that its client had before: it stands for the client, in
/// what it is sent and in whom its own broadcasts leave out.
#[on_both_servers]
async fn an_old_handle_addresses_the_recovered_socket() {
    let server = start(|io| io);
    let ann = Returning::enter(&server).await;
    let before = ann.socket(&server);
    before.join("a").await.unwrap();
    let (_, pid) = ann.lose(&server).await;
    let (missed, _, pid, mut client) = back(&server, &pid, None).await;
    assert_eq!(missed, [""; 0]);
    before.emit("late answer", 1).await.unwrap();
    client.expect(r#"42["late answer",1,"1"]"#).await;
    before.to("a").emit("to others", 2).await.unwrap();
    before.broadcast().emit("to all others", 3).await.unwrap();
    server.io.to("a").emit("to all", 4).await.unwrap();
    client.expect(r#"42["to all",4,"4"]"#).await;
    client.expect_nothing_more("/").await;
    drop(client);
    until("the socket to end", || server.io.of("/").count() == 0).await;
    let (missed, ..) = back(&server, &pid, Some("0")).await;
    assert_eq!(
        missed,
        [r#"42["late answer",1,"1"]"#, r#"42["to all",4,"4"]"#]
    );
}

/// A client that left or was disconnected, or that has a wrong secret or an unknown offset, starts
/// a new session.
#[on_both_servers]
async fn invalid_recovery_gives_a_new_socket() {
    let server = start(|io| io);
    let namespace = server.io.of("/");
    let mut left = Returning::enter(&server).await;
    left.client.send("41").await;
    until("the socket to end", || namespace.count() == 0).await;
    let sent = Returning::enter(&server).await;
    sent.socket(&server).disconnect(false);
    until("the socket to end", || namespace.count() == 0).await;
    let (_, lost) = Returning::enter(&server).await.lose(&server).await;
    for (pid, offset) in [
        (left.pid.as_str(), None),
        (&sent.pid, None),
        ("AAAAAAAAAAAAAAAAAAAA", None),
        ("short", Some("0")),
        (&lost, Some("17")),
        // The attempt before has used it up.
        (&lost, None),
    ] {
        let (missed, sid, new, client) = back(&server, pid, offset).await;
        assert!(missed.is_empty() && new != pid, "{pid}");
        assert!(!find(&namespace, &sid).recovered());
        drop(client);
    }
}

/// Kept events are bounded in bytes; a client that has missed more starts a new session.
#[on_both_servers]
async fn missing_more_than_recovery_limit_gives_a_new_socket() {
    for (events, comes_back) in [(3, true), (300, false)] {
        let server = start(|io| io.recovery_limit(2000));
        let (sid, pid) = Returning::enter(&server).await.lose(&server).await;
        for n in 0..events {
            server.io.emit("n", n).await.unwrap();
        }
        let (missed, again, ..) = back(&server, &pid, None).await;
        assert_eq!(missed.len(), if comes_back { 3 } else { 0 });
        assert_eq!(again == sid, comes_back);
    }
}

/// Kept events count with the memory that they take: with the names of rooms and exceptions, and
/// with the memory of an event besides its packet.
#[on_both_servers]
async fn an_event_counts_as_the_memory_that_it_takes() {
    let long = "x".repeat(10_000);
    for (events, names, comes_back) in
        [(5, 1, true), (20, 1, false), (5, 0, true), (2000, 0, false)]
    {
        for is_exception in [true, false] {
            let server = start(|io| io.recovery_limit(100_000));
            let (sid, pid) = Returning::enter(&server).await.lose(&server).await;
            for n in 0..events {
                let emitted = match (names, is_exception) {
                    (0, _) => server.io.emit("n", n).await,
                    (_, true) => server.io.except(&long).emit("n", n).await,
                    (_, false) => server.io.to(&long).emit("n", n).await,
                };
                emitted.unwrap();
            }
            let (missed, again, ..) = back(&server, &pid, None).await;
            assert_eq!(again == sid, comes_back, "{events} events, {names} names");
            let is_meant = comes_back && (names == 0 || is_exception);
            assert_eq!(missed.len(), if is_meant { events } else { 0 });
        }
    }
}

/// As many bytes again are kept of disconnected clients: those that disconnected first start new
/// sessions.
#[on_both_servers]
async fn oldest_detached_sockets_are_dropped_at_the_limit() {
    let server = start(|io| io.recovery_limit(20_000));
    let mut gone = Vec::new();
    for n in 0..20 {
        let ann = Returning::enter(&server).await;
        let socket = ann.socket(&server);
        socket.join(["x".repeat(900), n.to_string()]).await.unwrap();
        socket.session().insert("text", "y".repeat(900)).unwrap();
        gone.push(ann.lose(&server).await);
    }
    let (first, last) = (&gone[0], &gone[19]);
    assert_eq!(back(&server, &last.1, None).await.1, last.0);
    assert_ne!(back(&server, &first.1, None).await.1, first.0);
}

/// A client may also miss the events of its connect handler, to itself or to all.
#[on_both_servers]
async fn events_emitted_by_a_connect_handler_are_replayed() {
    let server = start(|io| io);
    server.io.of("/").on_connect(|socket: Socket| async move {
        if !socket.recovered() {
            socket.emit("hello", ()).await.unwrap();
            socket.everyone().emit("all", ()).await.unwrap();
        }
    });
    let mut ann = Returning::enter(&server).await;
    ann.client.expect(r#"42["hello","1"]"#).await;
    ann.client.expect(r#"42["all","2"]"#).await;
    let (_, pid) = ann.lose(&server).await;
    let (missed, _, _, client) = back(&server, &pid, None).await;
    assert_eq!(missed, [r#"42["hello","1"]"#, r#"42["all","2"]"#]);
    drop(client);
    let (missed, ..) = back(&server, &pid, Some("2")).await;
    assert_eq!(missed, [""; 0]);
}

/// A client that breaks off again while its connect handler runs may come once more, whether the
/// server has noticed or not.
#[on_both_servers]
async fn interrupted_recovery_may_be_retried() {
    for is_noticed in [true, false] {
        let server = start(|io| io);
        let (told, mut attempts) = channel();
        let held = Gate::default();
        let gate = held.clone();
        server.io.of("/").on_connect(move |socket: Socket| {
            let gate = gate.clone();
            let _ = told.send(socket.recovered());
            async move {
                if socket.recovered() {
                    gate.pass().await;
                }
            }
        });
        let ann = Returning::enter(&server).await;
        assert!(!attempts.next().await);
        ann.socket(&server).join("a").await.unwrap();
        let (sid, pid) = ann.lose(&server).await;
        server.io.to("a").emit("missed", ()).await.unwrap();
        let mut broken = Client::open(&server, Via::WebSocket).await;
        broken.send(&format!(r#"40{{"pid":"{pid}"}}"#)).await;
        assert!(attempts.next().await);
        if is_noticed {
            drop(broken);
            until("the session to end", || server.io.clients_count() == 0).await;
        }
        held.open();
        let (missed, again, _, _client) = back(&server, &pid, None).await;
        assert_eq!(again, sid, "noticed: {is_noticed}");
        assert_eq!(missed, [r#"42["missed","1"]"#]);
        assert_eq!(find(&server.io.of("/"), &sid).rooms(), ["a"]);
    }
}

/// If some of its missed events are dropped while its connect handler runs, the client does not
/// count as recovered. All sockets of its session end with the reason.
#[on_both_servers]
async fn events_lost_during_the_connect_handler_prevent_recovery() {
    let server = start(|io| io.recovery_limit(2000));
    let (told, mut attempts) = channel();
    let held = Gate::default();
    let gate = held.clone();
    server.io.of("/").on_connect(move |socket: Socket| {
        let gate = gate.clone();
        told.send(socket.recovered()).unwrap();
        async move {
            if socket.recovered() {
                gate.pass().await;
            }
        }
    });
    let (sid, pid) = Returning::enter(&server).await.lose(&server).await;
    assert!(!attempts.next().await);
    let mut left = leavers(&server.io.of("/other"));
    let mut client = Client::open(&server, Via::WebSocket).await;
    client.send("40/other,").await;
    client.text().await;
    client.send(&format!(r#"40{{"pid":"{pid}"}}"#)).await;
    assert!(attempts.next().await);
    for n in 0..300 {
        server.io.emit("n", n).await.unwrap();
    }
    held.open();
    client.expect_close().await;
    assert_eq!(left.next().await, "recovery limit");
    let (missed, again, ..) = back(&server, &pid, None).await;
    assert_eq!(missed, [""; 0]);
    assert_ne!(again, sid);
}

/// Connect handlers run again and may refuse; middleware runs where the program says so.
#[on_both_servers]
async fn connect_handlers_run_again_and_middleware_does_not() {
    for skips in [true, false] {
        let server = start(move |io| io.recovery_skips_middleware(skips));
        let (told, mut calls) = channel();
        let looks = told.clone();
        let namespace = server.io.of("/");
        namespace.middleware(move |socket: Socket| {
            looks.send(("middleware", socket.recovered())).unwrap();
            async {}
        });
        namespace.on_connect(move |socket: Socket| {
            told.send(("connect", socket.recovered())).unwrap();
            async move {
                socket
                    .join("always")
                    .await
                    .map_err(|error| error.to_string())?;
                let greeted = socket.emit("hello", socket.recovered()).await;
                greeted.map_err(|error| ConnectError::from(error.to_string()))
            }
        });
        let mut ann = Returning::enter(&server).await;
        ann.client.expect(r#"42["hello",false,"1"]"#).await;
        let (sid, pid) = ann.lose(&server).await;
        server.io.to("always").emit("missed", ()).await.unwrap();
        let (missed, again, _, mut client) = back(&server, &pid, Some("1")).await;
        assert_eq!(again, sid);
        assert_eq!(missed, [r#"42["missed","2"]"#, r#"42["hello",true,"3"]"#]);
        client.expect_nothing_more("/").await;
        let expected: &[_] = if skips {
            &[("middleware", false), ("connect", false), ("connect", true)]
        } else {
            &[
                ("middleware", false),
                ("connect", false),
                ("middleware", true),
                ("connect", true),
            ]
        };
        assert_eq!(calls.so_far(), expected);
    }
}

/// A connect handler of a client that comes back finds it in its rooms: it may leave one, and to
/// join one again changes nothing. An event for a room that it joins there is not lost.
#[on_both_servers]
async fn a_recovered_socket_is_in_its_rooms_in_the_connect_handler() {
    let server = start(|io| io);
    let (told, mut rooms) = channel();
    let held = Gate::default();
    let gate = held.clone();
    server.io.of("/").on_connect(move |socket: Socket| {
        told.send(socket.rooms()).unwrap();
        let gate = gate.clone();
        async move {
            if socket.recovered() {
                socket.leave("left").await.unwrap();
                socket.join(["kept", "new"]).await.unwrap();
                gate.pass().await;
            }
        }
    });
    let ann = Returning::enter(&server).await;
    assert_eq!(rooms.next().await, [""; 0]);
    let socket = ann.socket(&server);
    socket.join(["kept", "left"]).await.unwrap();
    let (_, pid) = ann.lose(&server).await;
    server.io.to("kept").emit("missed", ()).await.unwrap();
    let mut client = Client::open(&server, Via::WebSocket).await;
    client.send(&format!(r#"40{{"pid":"{pid}"}}"#)).await;
    assert_eq!(rooms.next().await, ["kept", "left"]);
    until("the handler to join", || server.io.to("new").count() == 1).await;
    server.io.to("new").emit("joined", ()).await.unwrap();
    held.open();
    client.expect(r#"42["missed","1"]"#).await;
    client.expect(r#"42["joined","2"]"#).await;
    let (sid, pid) = connected(&client.text().await);
    let socket = find(&server.io.of("/"), &sid);
    assert_eq!(socket.rooms(), ["kept", "new"]);
    server.io.to("left").emit("not for it", ()).await.unwrap();
    // It comes again, as if what it was sent had not arrived.
    let (missed, ..) = back(&server, &pid, Some("0")).await;
    assert_eq!(missed, [r#"42["missed","1"]"#, r#"42["joined","2"]"#]);
}

/// Events that come while a client returns are neither lost nor doubled.
#[on_both_servers]
async fn events_are_delivered_once_during_recovery() {
    let server = start(|io| io);
    let io = server.io.clone();
    let mut ann = Returning::enter(&server).await;
    ann.socket(&server).join("a").await.unwrap();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let taken = Arc::new(AtomicU64::new(0));
    let ahead_of = Arc::clone(&taken);
    let sending = std::thread::spawn(move || {
        let mut sent = 0_u64;
        while stopped.try_recv().is_err() {
            if sent < ahead_of.load(Ordering::Relaxed) + 1000 {
                sent += 1;
                io.to("a").emit_sync("n", sent).unwrap();
            }
            std::thread::yield_now();
        }
        sent
    });
    let (mut seen, mut offset) = (0_u64, None);
    let mut take = |packet: &str| {
        let packet = packet
            .strip_prefix(r#"42["n","#)
            .unwrap_or_else(|| panic!("{packet}"));
        let (n, rest) = packet.split_once(',').unwrap();
        seen += 1;
        assert_eq!(n.parse::<u64>().unwrap(), seen);
        taken.store(seen, Ordering::Relaxed);
        Some(rest.trim_matches(['"', ']']).to_owned())
    };
    for _ in 0..20 {
        for _ in 0..30 {
            offset = take(&ann.client.text().await);
        }
        let Returning { client, sid, pid } = ann;
        drop(client);
        let (missed, again, pid, client) = back(&server, &pid, offset.as_deref()).await;
        assert_eq!(again, sid);
        for packet in missed {
            offset = take(&packet);
        }
        ann = Returning { client, sid, pid };
    }
    stop.send(()).unwrap();
    let sent = sending.join().unwrap();
    while offset
        .as_deref()
        .map(|offset| offset.parse::<u64>().unwrap())
        < Some(sent)
    {
        offset = take(&ann.client.text().await);
    }
}

/// The secret and the offset belong to the protocol: no program sees them, whichever way it looks.
#[on_both_servers]
async fn pid_and_offset_are_hidden_from_the_program() {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Login {
        user: String,
    }

    let server = start(|io| io);
    let (seen, mut auths) = channel();
    let of_all = seen.clone();
    let namespaces = server
        .io
        .of_predicate(move |_, auth| of_all.send(auth.to_string()).is_ok());
    let of_middleware = seen.clone();
    namespaces.middleware(move |socket: Socket| {
        let auth: serde_json::Value = socket.auth().unwrap();
        let _ = of_middleware.send(auth.to_string());
        async {}
    });
    namespaces.on_connect(move |Auth(login): Auth<Login>| {
        let _ = seen.send(login.user);
        async {}
    });
    let claims = [r#""pid":"x","#, r#""pid":"x","offset":"3","#];
    for (at, claim) in claims.into_iter().enumerate() {
        let mut client = Client::open(&server, Via::WebSocket).await;
        client
            .send(&format!(r#"40/n{at},{{{claim}"user":"ann"}}"#))
            .await;
        assert!(client.text().await.starts_with(&format!("40/n{at},{{")));
        let auth = r#"{"user":"ann"}"#;
        assert_eq!(auths.so_far(), [auth, auth, "ann"]);
    }
}
