//! How many arguments a value is: only a tuple is several, and `()` is none.

use std::collections::BTreeMap;

use actix_socketio::{Ack, Auth, Call, Data, Emit, Event, Socket, SocketIo};
use proptest::strategy::{Strategy, ValueTree};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::channel;
use crate::support::socketio::{BOTH, Client, Peer, start};

#[derive(Clone, Deserialize, Serialize)]
struct Wrapped((u8, u8));

#[derive(Clone, Deserialize, Serialize)]
#[serde(transparent)]
struct Transparent((u8, u8));

/// Calls a macro with a value of each shape, and the text of the arguments that it is. The whole
/// table is tested beside the code.
macro_rules! for_each_value {
    ($check:ident) => {
        $check!((), "");
        $check!(Value::Null, "null");
        $check!((1, 2), "1,2");
        $check!([1, 2], "[1,2]");
        $check!(b"ab", "[97,98]");
        $check!(Wrapped((1, 2)), "[1,2]");
    };
}

/// An event with these arguments.
fn event(args: &str) -> String {
    let comma = if args.is_empty() { "" } else { "," };
    format!(r#"42["e"{comma}{args}]"#)
}

/// Every way to send an event has the same arguments.
#[on_both_servers]
async fn every_way_to_emit_has_the_same_arguments() {
    let server = start();
    let io = server.io.clone();
    for via in BOTH {
        let mut peer = Peer::enter(&server, via, &["r"]).await;
        let room = io.of("/").room("r").await.unwrap();
        let socket = peer.socket.clone();
        macro_rules! check {
            ($value:expr, $args:expr) => {
                socket.emit("e", $value).await.unwrap();
                socket.emit_sync("e", $value).unwrap();
                socket.compress(false).emit("e", $value).await.unwrap();
                io.to("r").emit("e", $value).await.unwrap();
                io.of("/").emit("e", $value).await.unwrap();
                let server = io.server();
                server
                    .send(Emit::event("e", $value))
                    .await
                    .unwrap()
                    .unwrap();
                room.send(Emit::event("e", $value)).await.unwrap().unwrap();
                for _ in 0..7 {
                    peer.expect(&event($args)).await;
                }
            };
        }
        for_each_value!(check);
        peer.client.close().await;
    }
}

/// Every way to acknowledge has the same arguments: a handler's value, its `Ok`, an `Ack`, and what
/// an error hook answers.
#[on_both_servers]
async fn every_acknowledgement_has_the_same_arguments() {
    let server = start();
    let io = server.io.clone();
    let mut cases = Vec::new();
    macro_rules! check {
        ($value:expr, $args:expr) => {
            let number = cases.len();
            cases.push($args);
            io.of("/")
                .on(format!("value {number}").as_str(), || async { $value })
                .on(format!("ok {number}").as_str(), || async {
                    Ok::<_, String>($value)
                })
                .on(format!("ack {number}").as_str(), |ack: Ack| async move {
                    ack.send($value);
                });
        };
    }
    for_each_value!(check);
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        for (number, args) in cases.iter().enumerate() {
            for way in ["value", "ok", "ack"] {
                client.send(&format!(r#"427["{way} {number}"]"#)).await;
                client.expect(&format!("437[{args}]")).await;
            }
        }
        client.close().await;
    }
}

/// An error hook's `Value::Null` is one argument, and its array is one.
#[on_both_servers]
async fn reply_of_an_error_hook_is_one_argument() {
    let server = start();
    let answers = [(Value::Null, "null"), (json!([1, 2]), "[1,2]")];
    for (number, (answer, text)) in answers.into_iter().enumerate() {
        let name = format!("/{number}");
        let namespace = server.io.of(&name);
        namespace
            .on_error(move |_| Some(answer.clone()))
            .on("fails", || async { Err::<(), _>("no") });
        for via in BOTH {
            let mut client = Client::open(&server, via).await;
            client.connect(&name).await;
            client.send(&format!(r#"42{name},7["fails"]"#)).await;
            client.expect(&format!("43{name},7[{text}]")).await;
            client.close().await;
        }
    }
}

/// `Data` reads a client's array as one argument, and a tuple takes one for each member.
#[on_both_servers]
async fn data_takes_an_array_as_one_argument() {
    let server = start();
    let told = |io: &SocketIo| {
        io.of("/")
            .on("array", |Data([x, y]): Data<[f64; 2]>| async move { x + y })
            .on(
                "pair",
                |Data((x, y)): Data<(f64, f64)>| async move { x + y },
            )
            .on(
                "nested",
                |Data(([x, y], z)): Data<([u8; 2], u8)>| async move { x + y + z },
            )
            .on(
                "wrapped",
                |Data(Transparent((x, y))): Data<Transparent>| async move { x + y },
            )
            .on("boxed", |Data(pair): Data<Box<(u8, u8)>>| async move {
                pair.0 + pair.1
            });
    };
    told(&server.io);
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        for (event, sum) in [
            (r#"["array",[1,2]]"#, "3.0"),
            (r#"["pair",1,2]"#, "3.0"),
            (r#"["nested",[1,2],3]"#, "6"),
            (r#"["wrapped",[1,2]]"#, "3"),
            (r#"["boxed",1,2]"#, "3"),
        ] {
            client.send(&format!("420{event}")).await;
            client.expect(&format!("430[{sum}]")).await;
        }
        client.send(r#"420["array",1,2]"#).await;
        let refused = client.text().await;
        assert!(refused.contains("argument 1 cannot be read"), "{refused}");
        client.close().await;
    }
}

/// A call's arguments and its answer go by the same rule, from handles and from actors.
#[on_both_servers]
async fn calls_and_their_answers_go_by_the_same_rule() {
    let server = start();
    for via in BOTH {
        let mut peer = Peer::enter(&server, via, &[]).await;
        let socket = peer.socket.clone();
        let asks = tokio::spawn(async move {
            let array: [u8; 2] = socket.call("ask", [3, 4]).await.unwrap();
            let pair: (u8, u8) = socket.call("ask", Value::Null).await.unwrap();
            let null: Value = socket.call("ask", ()).await.unwrap();
            (array, pair, null)
        });
        for (args, answer) in [(",[3,4]", "[1,2]"), (",null", "1,2"), ("", "null")] {
            let packet = peer.client.text().await;
            let rest = packet.strip_suffix(&format!(r#"["ask"{args}]"#));
            let id = rest.and_then(|rest| rest.strip_prefix("42"));
            let id = id.unwrap_or_else(|| panic!("{packet}"));
            peer.client.send(&format!("43{id}[{answer}]")).await;
        }
        assert_eq!(asks.await.unwrap(), ([1, 2], (1, 2), Value::Null));

        let call = Call::to(peer.socket.id()).event("ask", [5, 6]);
        let asked = tokio::spawn(server.io.server().send(call));
        let packet = peer.client.text().await;
        let id = packet.strip_suffix(r#"["ask",[5,6]]"#).unwrap();
        let id = id.strip_prefix("42").unwrap().to_owned();
        peer.client.send(&format!("43{id}[[7,8]]")).await;
        let answer = asked.await.unwrap().unwrap().unwrap();
        assert_eq!(answer.read::<[u8; 2]>().unwrap(), [7, 8]);
        peer.client.close().await;
    }
}

/// An event is passed on unchanged, with any number of arguments.
#[on_both_servers]
async fn received_arguments_are_emitted_unchanged() {
    let server = start();
    let (told, mut heard) = channel();
    server
        .io
        .of("/")
        .on("e", move |socket: Socket, event: Event| {
            let told = told.clone();
            async move {
                told.send(event.args().as_json().to_owned()).unwrap();
                socket.emit("e", event.args()).await
            }
        });
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        for args in ["", "null", "[1,2]", "1,2", "[[1,2]],null"] {
            client.send(&event(args)).await;
            client.expect(&event(args)).await;
            assert_eq!(heard.next().await, args);
        }
        client.close().await;
    }
}

/// A whole number is an integer, however the client's language writes it: in an event, in the
/// `auth` payload and in an answer.
#[on_both_servers]
async fn a_whole_number_is_an_integer_however_it_is_written() {
    let server = start();
    server
        .io
        .of("/auth")
        .on_connect(|Auth(auth): Auth<BTreeMap<String, u8>>| async move {
            if auth == BTreeMap::from([("x".to_owned(), 1), ("y".to_owned(), 2)]) {
                Ok(())
            } else {
                Err("other numbers")
            }
        });
    server.io.of("/").on(
        "move",
        |Data((x, y)): Data<(i32, Option<u64>)>| async move { (x, y) },
    );
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client.send("40/auth,{\"x\":1.0,\"y\":0.2e1}").await;
        client.expect_connect("/auth").await;
        for (args, answer) in [("3.0", "3,null"), ("1e3,2.0", "1000,2"), ("-0.0,-0", "0,0")] {
            client.send(&format!(r#"420["move",{args}]"#)).await;
            client.expect(&format!("430[{answer}]")).await;
        }
        for (args, why) in [
            ("3.5", "floating point `3.5`, expected i32"),
            ("1,-1.0", "integer `-1`, expected u64"),
            (
                "1,9007199254740993.0",
                "is read as an integer up to 9007199254740991",
            ),
            ("1,1e300", "is read as an integer up to 9007199254740991"),
        ] {
            client.send(&format!(r#"420["move",{args}]"#)).await;
            let refused = client.text().await;
            assert!(refused.contains(why), "{refused}");
        }
        client.close().await;
    }
    let mut peer = Peer::enter(&server, BOTH[0], &[]).await;
    let socket = peer.socket.clone();
    let asked = tokio::spawn(async move { socket.call::<u8>("ask", ()).await });
    let packet = peer.client.text().await;
    let id = packet.strip_suffix(r#"["ask"]"#).unwrap();
    let id = id.strip_prefix("42").unwrap().to_owned();
    peer.client.send(&format!("43{id}[7.0]")).await;
    assert_eq!(asked.await.unwrap().unwrap(), 7);
}

/// A number that a handler reads and sends back is the same number.
#[on_both_servers]
async fn numbers_survive_exactly() {
    let server = start();
    server
        .io
        .of("/")
        .on("typed", |Data(value): Data<f64>| async move { value })
        .on("value", |Data(value): Data<Value>| async move { value });
    let mut client = Client::connected(&server, BOTH[0]).await;
    let numbers = proptest::num::f64::NORMAL | proptest::num::f64::ZERO;
    let mut runner = proptest::test_runner::TestRunner::default();
    let mut doubles = vec![0.000_041_954_219_341_278_076];
    for _ in 0..1000 {
        doubles.push(numbers.new_tree(&mut runner).unwrap().current());
    }
    for number in doubles {
        let text = serde_json::to_string(&number).unwrap();
        for event in ["typed", "value"] {
            client.send(&format!(r#"420["{event}",{text}]"#)).await;
            client.expect(&format!("430[{text}]")).await;
        }
    }
}
