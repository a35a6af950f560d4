//! The content that the formats of a cluster carry, and the reading of messages of other nodes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use actix_socketio::{Args, Bytes, ClusterError, EmitError, Emitter, ServerSideEvent, SocketIo};
use serde_json::{Value, json};

use crate::support::redis::{Format, Redis, cluster, connected};
use crate::support::socketio::{Client, Peer, Via, until};
use crate::support::{PATIENCE, Server, channel, within};

const LONG: Duration = Duration::from_secs(20);

/// A client of Redis that listens on one channel.
struct Ear(BufReader<TcpStream>);

impl Ear {
    fn on(redis: &Redis, channel: &str) -> Self {
        let url = redis.url();
        let stream = TcpStream::connect(url.trim_start_matches("redis://")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut ear = Self(BufReader::new(stream));
        write!(ear.0.get_mut(), "SUBSCRIBE {channel}\r\n").unwrap();
        // Its confirmation ends with the number of channels.
        while ear.line() != ":1" {}
        ear
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Returns what is published next.
    fn next(&mut self) -> Vec<u8> {
        // Three parts: that it is a message, the channel, and the payload, each behind its length.
        for _ in 0..5 {
            self.line();
        }
        let length: usize = self.line().trim_start_matches('$').parse().unwrap();
        let mut payload = vec![0; length + 2];
        self.0.read_exact(&mut payload).unwrap();
        payload.truncate(length);
        payload
    }

    fn json(&mut self) -> Value {
        serde_json::from_slice(&self.next()).unwrap()
    }
}

fn publish(redis: &Redis, channel: &str, json: &str) {
    let said = redis.command(&format!("PUBLISH {channel} '{json}'"));
    assert!(said.starts_with(':'), "{said}");
}

/// Reads a call, and returns its id.
async fn asked(client: &mut Client) -> u64 {
    let packet = client.text().await;
    let end = packet.find('[').unwrap_or_else(|| panic!("{packet}"));
    packet[2..end].parse().unwrap()
}

/// `null` is an answer like others, and arguments behind it are not lost.
#[on_both_servers]
async fn null_is_acknowledged_across_nodes() {
    let redis = Redis::start();
    for format in Format::NODE {
        let [here, there] = cluster(&redis, format).await;
        let mut peer = Peer::enter(&there, Via::WebSocket, &[]).await;
        for (answer, read) in [
            ("[null]", (None, None)),
            ("[null,5]", (None, Some(5))),
            ("[3,null]", (Some(3), None)),
            ("[]", (None, None)),
        ] {
            let call = here.io.to(peer.socket.id()).timeout(LONG);
            let call = tokio::spawn(call.call::<(Option<u32>, Option<u32>)>("ask", ()));
            let id = asked(&mut peer.client).await;
            peer.client.send(&format!("43{id}{answer}")).await;
            let came = within("the answer", call).await.unwrap().unwrap();
            assert_eq!(came, read, "{format:?} {answer}");
        }
        let program = there.io.of("/");
        program.on_server_side("null", |_: ServerSideEvent| async { None::<u32> });
        program.on_server_side("nothing", |_: ServerSideEvent| async {});
        for (event, answer) in [("null", "null"), ("nothing", "")] {
            let namespace = here.io.of("/");
            let answers = namespace.server_side_emit_with_ack(event, (), LONG);
            let answers = within("the answer", answers).await.unwrap();
            let answers: Vec<_> = answers.iter().map(Args::as_json).collect();
            assert_eq!(answers, [answer], "{format:?}");
        }
    }
}

/// A room whose name is as long as a node's, and looks like one, is none: nobody waits for it.
#[on_both_servers]
async fn a_room_with_a_name_like_a_node_is_no_node() {
    let redis = Redis::start();
    for (format, room) in [
        (Format::Classic, "room42"),
        (Format::Sharded, "conversation-123"),
        (Format::Sharded, "0123456789abcdef"),
        (Format::Streams, "0123456789abcdef"),
    ] {
        let [here, there] = cluster(&redis, format).await;
        let _ann = Peer::enter(&here, Via::WebSocket, &[room]).await;
        let mut bob = Peer::enter(&there, Via::WebSocket, &[room]).await;
        // Until it is heard of: on sharded a room is listened to in the background.
        loop {
            here.io.to(room).emit("reach", ()).await.unwrap();
            here.io.to(bob.socket.id()).emit("fence", ()).await.unwrap();
            if bob.client.text().await == r#"42["reach"]"# {
                break;
            }
        }
        let found = here.io.to(room).timeout(LONG).fetch_sockets();
        let found = within("the sockets", found).await;
        assert_eq!((found.len(), found.coverage().nodes()), (2, 1));
        let nodes = within("the nodes", here.io.nodes()).await.unwrap();
        assert_eq!(nodes.len(), 2, "{nodes:?}");
        assert!(nodes.iter().all(|node| node.as_str() != room));
        assert!(found.coverage().is_complete(), "{:?}", found.coverage());
        let asking = here.io.to(bob.socket.id()).timeout(LONG);
        let asking = asking.emit_with_ack::<u32>("ask", ()).await.unwrap();
        bob.expect(r#"42["fence"]"#).await;
        let id = asked(&mut bob.client).await;
        bob.client.send(&format!("43{id}[1]")).await;
        let gathered = within("the answers", asking.collect()).await;
        assert!(gathered.coverage.is_complete() && !gathered.timed_out);
    }
}

/// The description of a socket's handshake equals that of Node.js: its time as text too, and
/// repeated headers joined.
#[on_both_servers]
async fn a_handshake_is_described_as_by_node_js() {
    let redis = Redis::start();
    let [here, there] = cluster(&redis, Format::Sharded).await;
    let headers = [("x-tag", "1"), ("x-tag", "2")];
    let mut client = Client::open_with(&there, Via::WebSocket, &headers).await;
    client.connect("/").await;
    let found = within("the socket", here.io.fetch_sockets()).await;
    let handshake = found[0].handshake();
    assert_eq!(handshake["headers"]["x-tag"], "1, 2");
    let time = handshake["time"].as_str().unwrap();
    assert!(
        time.ends_with(" GMT+0000 (Coordinated Universal Time)"),
        "{time}"
    );
    assert!(handshake["issued"].is_u64());
}

/// Names that a Node.js server gives its own program are refused, others are not: they are no
/// clients'.
#[on_both_servers]
async fn events_between_servers_have_reserved_names_of_their_own() {
    let redis = Redis::start();
    for format in Format::NODE {
        let [here, there] = cluster(&redis, format).await;
        let emitter = Emitter::new(format.adapter(&redis));
        let namespace = here.io.of("/");
        for name in ["connect", "connection", "new_namespace"] {
            let results = [
                namespace.server_side_emit(name, ()).await,
                emitter.server_side_emit(name, ()).await,
                namespace
                    .server_side_emit_with_ack(name, (), LONG)
                    .await
                    .map(|_| ()),
            ];
            for result in results {
                let reserved =
                    matches!(&result, Err(EmitError::ReservedEvent(event)) if event == name);
                assert!(reserved, "{name}: {result:?}");
            }
        }
        let (told, mut heard) = channel();
        for name in ["disconnect", "newListener"] {
            let told = told.clone();
            let note = move |event: ServerSideEvent| {
                told.send(event.name().to_owned()).unwrap();
                async {}
            };
            there.io.of("/").on_server_side(name, note);
            namespace.server_side_emit(name, ()).await.unwrap();
            assert_eq!(heard.next().await, name);
            emitter.server_side_emit(name, ()).await.unwrap();
            assert_eq!(heard.next().await, name);
        }
    }
}

/// `volatile` holds for an event that clients acknowledge, on every node.
#[on_both_servers]
async fn a_volatile_event_to_acknowledge_is_dropped_where_others_wait() {
    let redis = Redis::start();
    for format in Format::NODE {
        let [here, there] = cluster(&redis, format).await;
        // Nobody polls: what is emitted waits.
        let mut slow = Peer::enter(&there, Via::Polling, &[]).await;
        slow.socket.emit("waits", 1).await.unwrap();
        let asking = here.io.volatile().timeout(LONG);
        let asking = asking.emit_with_ack::<()>("dropped", 2).await.unwrap();
        let gathered = within("the end", asking.collect()).await;
        assert_eq!((gathered.missing_elsewhere, gathered.timed_out), (1, false));
        slow.expect(r#"42["waits",1]"#).await;
        slow.expect_nothing_more().await;
    }
}

/// The classic format: a Node.js node is told of all rooms, those of single sockets too.
#[on_both_servers]
async fn rooms_request_of_node_js_is_answered_with_the_sids_too() {
    let redis = Redis::start();
    let [here, there] = cluster(&redis, Format::Classic).await;
    let peer = Peer::enter(&here, Via::WebSocket, &["a"]).await;
    let mut ear = Ear::on(&redis, "socket.io-response#/#node01#");
    let request = r#"{"uid":"node01","requestId":"r1","type":1}"#;
    publish(&redis, "socket.io-request#/#", request);
    let answers = [ear.json(), ear.json()];
    let full = json!(["a", peer.socket.id()]);
    assert!(
        answers.iter().any(|answer| answer["rooms"] == full),
        "{answers:?}"
    );
    assert!(
        answers.iter().any(|answer| answer["rooms"] == json!([])),
        "{answers:?}"
    );
    let namespace = there.io.of("/");
    let rooms = within("the rooms", namespace.rooms_everywhere()).await;
    assert_eq!(*rooms, ["a"]);
}

/// The classic format: what an older adapter asks of one socket is done to it, not to a room of
/// that name, and answered where all listen.
#[on_both_servers]
async fn single_socket_requests_of_old_adapters_are_answered() {
    let redis = Redis::start();
    let node = Format::Classic.node(&redis, |io| io).await;
    let mut ann = Peer::enter(&node, Via::WebSocket, &["lobby"]).await;
    let mut bob = Peer::enter(&node, Via::WebSocket, &[]).await;
    let mut ear = Ear::on(&redis, "socket.io-response#/#");
    let ask = |kind: u32, sid: &str, rest: &str| {
        let request = format!(r#"{{"requestId":"r{kind}","type":{kind},"sid":"{sid}",{rest}}}"#);
        publish(&redis, "socket.io-request#/#", &request);
    };
    let id = bob.socket.id();
    // Nobody is meant by this, who is in the room.
    ask(4, "lobby", r#""close":false"#);
    ask(2, id.as_str(), r#""room":"b""#);
    assert_eq!(ear.json()["requestId"], "r2");
    assert_eq!(bob.socket.rooms(), ["b"]);
    ask(3, id.as_str(), r#""room":"b""#);
    assert_eq!(ear.json()["requestId"], "r3");
    assert!(bob.socket.rooms().is_empty());
    ask(4, id.as_str(), r#""close":false"#);
    assert_eq!(ear.json()["requestId"], "r4");
    bob.expect("41").await;
    ann.expect_nothing_more().await;
}

/// A message without its options is for nobody; the node goes on.
#[on_both_servers]
async fn a_message_without_options_is_not_for_everybody() {
    let redis = Redis::start();
    let whole = |kind: u32| format!(r#"{{"type":{kind},"data":{{}},"uid":"x","nsp":"/"}}"#);
    for (format, command) in [
        (
            Format::Classic,
            r#"PUBLISH socket.io-request#/# '{"type":4,"close":true}'"#.to_owned(),
        ),
        (
            Format::Sharded,
            format!("SPUBLISH socket.io#/# '{}'", whole(6)),
        ),
        (
            Format::Streams,
            "XADD socket.io * uid x nsp / type 6".to_owned(),
        ),
    ] {
        let [here, there] = cluster(&redis, format).await;
        let mut peer = Peer::enter(&there, Via::WebSocket, &[]).await;
        redis.command(&command);
        here.io.emit("after", ()).await.unwrap();
        peer.expect(r#"42["after"]"#).await;
    }
}

/// A message whose keys are maps would become four gigabytes of JSON: it is skipped, wherever it
/// comes, and the node goes on.
#[on_both_servers]
async fn a_message_that_would_become_huge_is_skipped() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    let redis = Redis::start();
    let nested = [&b"\x93\xa5other"[..], &[0x81; 60], &[0xc0; 62]].concat();
    let escaped: String = nested.iter().map(|byte| format!("\\x{byte:02x}")).collect();
    let entry = STANDARD.encode(&nested);
    for (format, commands) in [
        (
            Format::Classic,
            vec![
                format!(r#"PUBLISH socket.io#/# "{escaped}""#),
                format!(r#"PUBLISH socket.io#/#room# "{escaped}""#),
                format!(r#"PUBLISH socket.io-request#/# "{escaped}""#),
                format!(r#"PUBLISH socket.io-response#/# "{escaped}""#),
            ],
        ),
        (
            Format::Sharded,
            vec![format!(r#"SPUBLISH socket.io#/# "{escaped}""#)],
        ),
        (
            Format::Streams,
            vec![
                format!("XADD socket.io * uid x nsp / type 3 data {entry}"),
                format!(r#"PUBLISH socket.io#/# "{escaped}""#),
            ],
        ),
    ] {
        let [here, there] = cluster(&redis, format).await;
        let mut peer = Peer::enter(&there, Via::WebSocket, &[]).await;
        for command in &commands {
            let said = redis.command(command);
            assert!(!said.starts_with('-'), "{said}");
        }
        here.io.emit("after", ()).await.unwrap();
        peer.expect(r#"42["after"]"#).await;
        until("each to be counted", || {
            there.io.adapter_health().unreadable() == commands.len() as u64
        })
        .await;
    }
}

/// A number is the same on every node, in each format: in an event, and in its acknowledgement.
#[on_both_servers]
async fn numbers_are_exact_in_every_format() {
    let numbers = random_doubles(1000);
    let whole = json!([
        0,
        -0.0,
        9_007_199_254_740_993_u64,
        u64::MAX,
        i64::MIN,
        i64::MAX,
        f64::MAX,
        f64::MIN_POSITIVE,
        5e-324,
        0.1_f32,
        0.000_041_954_219_341_278_076
    ]);
    let redis = Redis::start();
    for format in Format::ALL {
        let [here, there] = cluster(&redis, format).await;
        let mut peer = Peer::enter(&there, Via::WebSocket, &[]).await;
        // With binary it is written in another way.
        let binary = Bytes::from_static(b"x");
        here.io.emit("plain", (&numbers, &whole)).await.unwrap();
        here.io.emit("mixed", (&numbers, &binary)).await.unwrap();
        let plain: (String, Vec<f64>, Value) = packet(&peer.client.text().await, "42");
        assert!(exact(&plain.1, &numbers), "{format:?}");
        assert_eq!(plain.2, whole, "{format:?}");
        let mixed: (String, Vec<f64>, Value) = packet(&peer.client.text().await, "451-");
        assert!(exact(&mixed.1, &numbers), "{format:?}");
        peer.client.next().await;
        let call = here.io.to(peer.socket.id()).timeout(LONG);
        let call = tokio::spawn(call.call::<Vec<f64>>("ask", ()));
        let id = asked(&mut peer.client).await;
        let answer = serde_json::to_string(&numbers).unwrap();
        peer.client.send(&format!("43{id}[{answer}]")).await;
        let answer = within("the answer", call).await.unwrap().unwrap();
        assert!(exact(&answer, &numbers), "{format:?}");
    }
}

fn packet<T: serde::de::DeserializeOwned>(text: &str, head: &str) -> T {
    let rest = text.strip_prefix(head);
    serde_json::from_str(rest.unwrap_or_else(|| panic!("{text}"))).unwrap()
}

fn exact(came: &[f64], sent: &[f64]) -> bool {
    let bits = |numbers: &[f64]| numbers.iter().map(|it| it.to_bits()).collect::<Vec<_>>();
    bits(came) == bits(sent)
}

/// Returns finite doubles of all sizes, the same ones each time.
fn random_doubles(count: usize) -> Vec<f64> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let bits = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    });
    // Every other one is in the range in which people count.
    let number = |(at, bits): (usize, u64)| match at % 2 {
        0 => f64::from_bits(bits),
        _ => (bits >> 11) as f64 / (1_u64 << 53) as f64,
    };
    let numbers = bits.enumerate().map(number);
    numbers
        .filter(|number| number.is_finite())
        .take(count)
        .collect()
}

/// The format of Flask-SocketIO: pickle of an older python-socketio is dropped, and what a newer
/// one publishes behind it arrives.
#[on_both_servers]
async fn pickle_of_an_older_python_is_dropped() {
    let redis = Redis::start();
    let node = Format::Flask.node(&redis, |io| io).await;
    let mut peer = Peer::enter(&node, Via::WebSocket, &["r"]).await;
    let pickle = r#"PUBLISH flask-socketio "\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00}\x94.""#;
    for _ in 0..2 {
        assert!(redis.command(pickle).starts_with(":1"));
    }
    let json = r#"{"method": "emit", "event": "e", "data": {"a": 1}, "namespace": "/", "room": "r", "skip_sid": null, "callback": null, "host_id": "py"}"#;
    publish(&redis, "flask-socketio", json);
    peer.expect(r#"42["e",{"a": 1}]"#).await;
}

/// The format of Flask-SocketIO: what Python programs would not do to clients, is not done to them.
#[on_both_servers]
async fn messages_of_python_reach_their_audience_and_break_no_client() {
    let redis = Redis::start();
    let node = Format::Flask.node(&redis, |io| io).await;
    let mut ann = Peer::enter(&node, Via::WebSocket, &["lobby"]).await;
    let mut bob = Peer::enter(&node, Via::WebSocket, &[]).await;
    let say = |json: &str| publish(&redis, "flask-socketio", json);
    let host = r#""namespace":"/","host_id":"python""#;
    say(&format!(
        r#"{{"method":"disconnect","sid":"lobby",{host}}}"#
    ));
    say(&format!(
        r#"{{"method":"enter_room","sid":"lobby","room":"b",{host}}}"#
    ));
    let emit = |event: &str, data: &str, room: &str| {
        say(&format!(
            r#"{{"method":"emit","event":"{event}","data":{data},"binary":true,"room":{room},"skip_sid":null,"callback":null,{host}}}"#
        ));
    };
    let good = r#"[[{"_placeholder":true,"num":0}],"AQI="]"#;
    emit("nobody", good, "[]");
    emit("disconnect", good, "null");
    emit(
        "absent",
        r#"[[{"_placeholder":true,"num":1}],"AQI="]"#,
        "null",
    );
    emit("good", good, "null");
    let text = r#"451-["good",{"_placeholder":true,"num":0}]"#;
    for peer in [&mut ann, &mut bob] {
        peer.client.expect_binary(text, &[&[1, 2]]).await;
        peer.expect_nothing_more().await;
    }
    assert_eq!(ann.socket.rooms(), ["lobby"]);
    let id = ann.socket.id();
    say(&format!(r#"{{"method":"disconnect","sid":"{id}",{host}}}"#));
    ann.expect("41").await;
}

/// The format of Flask-SocketIO: whole sessions are closed on other nodes of this crate, and each
/// thing that it cannot say is an error with a type, or an answer that says so.
#[on_both_servers]
async fn the_bus_closes_sessions_and_says_what_it_cannot() {
    let redis = Redis::start();
    let [here, there] = cluster(&redis, Format::Flask).await;
    let mut peer = Peer::enter(&there, Via::WebSocket, &["a"]).await;
    let (io, namespace) = (&here.io, here.io.of("/"));
    let unsupported = |result: Result<(), ClusterError>| {
        assert!(
            matches!(result, Err(ClusterError::Unsupported(_))),
            "{result:?}"
        );
    };
    let emitted = |result: Result<(), EmitError>| match result {
        Err(EmitError::Cluster(error)) => unsupported(Err(error)),
        other => panic!("{other:?}"),
    };
    unsupported(io.sockets_join("b").await.map(|_| ()));
    unsupported(io.to("a").sockets_leave("b").await.map(|_| ()));
    unsupported(io.to("a").disconnect_sockets(true).await.map(|_| ()));
    unsupported(io.nodes().await.map(|_| ()));
    emitted(io.except("a").emit("e", ()).await);
    emitted(namespace.server_side_emit("e", ()).await);
    let answers = namespace.server_side_emit_with_ack("e", (), LONG).await;
    assert!(answers.unwrap().coverage().is_cut_off());
    assert!(namespace.rooms_everywhere().await.coverage().is_cut_off());
    assert!(io.to("a").count_everywhere().await.coverage().is_cut_off());
    let many = io.timeout(LONG).emit_with_ack::<()>("e", ()).await.unwrap();
    let many = within("the end", many.collect()).await;
    assert!(many.coverage.is_cut_off());
    // An optional flag is not transmitted, and the event is.
    io.volatile().compress(false).emit("wish", 1).await.unwrap();
    peer.expect(r#"42["wish",1]"#).await;
    let id = peer.socket.id();
    assert_eq!(io.to(&id).sockets_join([""; 0]).await, Ok(0));
    assert_eq!(io.to(id).disconnect_sockets(true).await, Ok(0));
    peer.expect("41").await;
    peer.client.expect_close().await;
}

/// An emitter: namespaces, what is only a wish, and the order in which it is told.
#[on_both_servers]
async fn an_emitter_reaches_each_namespace_in_order() {
    let redis = Redis::start();
    for format in Format::ALL {
        let node = format.node(&redis, |io| io).await;
        node.io.of("/chat");
        let mut peer = Peer::enter(&node, Via::WebSocket, &["a"]).await;
        let id = peer.client.connect("/chat").await;
        let emitter = Emitter::new(format.adapter(&redis));
        let chat = emitter.of("chat");
        // Listening to a namespace and to a room begins in the background.
        loop {
            chat.emit("reach", ()).await.unwrap();
            emitter.to("a").emit("reach", ()).await.unwrap();
            emitter.emit("fence", ()).await.unwrap();
            let mut came = Vec::new();
            loop {
                came.push(peer.client.text().await);
                if came.last().unwrap() == r#"42["fence"]"# {
                    break;
                }
            }
            let has = |packet: &str| came.iter().any(|text| text == packet);
            if has(r#"42["reach"]"#) && has(r#"42/chat,["reach"]"#) {
                break;
            }
        }
        for n in (0..200).step_by(4) {
            emitter.emit("n", n).await.unwrap();
            emitter.to("a").emit("n", n + 1).await.unwrap();
            emitter.to(["a", "b"]).emit("n", n + 2).await.unwrap();
            let told = emitter.except("b").emit("n", n + 3).await;
            // This format leaves out no rooms.
            assert_eq!(told.is_ok(), format != Format::Flask);
        }
        for n in 0..200 {
            if format != Format::Flask || n % 4 != 3 {
                peer.expect(&format!(r#"42["n",{n}]"#)).await;
            }
        }
        let wish = emitter.everyone().volatile().compress(false);
        wish.emit("wish", ()).await.unwrap();
        peer.expect(r#"42["wish"]"#).await;
        chat.to(id.as_str())
            .emit("one", Bytes::from_static(&[7]))
            .await
            .unwrap();
        let text = r#"451-/chat,["one",{"_placeholder":true,"num":0}]"#;
        peer.client.expect_binary(text, &[&[7]]).await;
        let joined = emitter.to(peer.socket.id()).sockets_join([""; 0]).await;
        assert_eq!(joined, Ok(()));
        peer.expect_nothing_more().await;
    }
}

/// An emitter: an event with more attachments than official clients take is not sent; an event of a
/// process that allows more is dropped by a node that does not, with nobody disconnected.
#[on_both_servers]
async fn event_with_too_many_attachments_reaches_no_client() {
    let redis = Redis::start();
    let (few, many) = (
        vec![Bytes::from_static(&[7]); 10],
        vec![Bytes::from_static(&[7]); 11],
    );
    for format in Format::ALL {
        let node = format.node(&redis, |io| io).await;
        let mut peer = Peer::enter(&node, Via::WebSocket, &[]).await;
        let emitter = Emitter::new(format.adapter(&redis));
        let refused = emitter.emit("many", &many).await.unwrap_err();
        assert!(matches!(refused, EmitError::Encode(_)), "{refused}");
        let lavish = emitter.clone().max_attachments(11);
        lavish.emit("many", &many).await.unwrap();
        lavish.emit("few", &few).await.unwrap();
        let packet = peer.client.text().await;
        assert!(packet.starts_with(r#"4510-["few",["#), "{packet}");
    }
}

/// An emitter: what is volatile is dropped for a client for which others wait.
#[on_both_servers]
async fn an_emitter_sends_volatile_events() {
    let redis = Redis::start();
    for format in Format::NODE {
        let node = format.node(&redis, |io| io).await;
        // Nobody polls: what is emitted waits.
        let mut slow = Peer::enter(&node, Via::Polling, &[]).await;
        let mut fast = Peer::enter(&node, Via::WebSocket, &[]).await;
        slow.socket.emit("waits", 1).await.unwrap();
        let emitter = Emitter::new(format.adapter(&redis));
        let volatile = emitter.everyone().volatile();
        volatile.emit("dropped", 2).await.unwrap();
        emitter.emit("kept", 3).await.unwrap();
        // The node has read both before the slow client polls.
        fast.expect(r#"42["dropped",2]"#).await;
        fast.expect(r#"42["kept",3]"#).await;
        slow.expect(r#"42["waits",1]"#).await;
        slow.expect(r#"42["kept",3]"#).await;
    }
}

/// An emitter: while Redis is away it says so, and is well again with the first call after.
#[on_both_servers]
async fn an_emitter_reports_a_redis_outage_and_reconnects() {
    let mut redis = Redis::start();
    for format in Format::ALL {
        let node: Server<SocketIo> = format.node(&redis, |io| io).await;
        let mut peer = Peer::enter(&node, Via::WebSocket, &[]).await;
        let emitter = Emitter::new(format.adapter(&redis));
        emitter.emit("before", ()).await.unwrap();
        peer.expect(r#"42["before"]"#).await;
        redis.kill();
        let away = || node.io.adapter_health().error().is_some();
        until("it to be noticed", away).await;
        redis.start_again();
        connected(&node.io).await;
        // The connection from before has broken in the meantime.
        emitter.emit("after", 1).await.unwrap();
        peer.expect(r#"42["after",1]"#).await;
        redis.kill();
        let told = emitter.emit("lost", ()).await;
        let cause = matches!(told, Err(EmitError::Cluster(ClusterError::Unavailable(_))));
        assert!(cause, "{told:?}");
        redis.start_again();
        connected(&node.io).await;
        emitter.emit("after", 2).await.unwrap();
        peer.expect(r#"42["after",2]"#).await;
    }
}
