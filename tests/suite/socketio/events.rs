//! Socket.IO v5, Sending and receiving data, Acknowledgement: what handlers get, and what they answer.

use std::sync::Arc;

use actix_socketio::{
    Ack, Args, Data, DisconnectReason, EmitError, Event, HandlerError, Namespace, Socket, State,
};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::held::Gate;
use crate::support::socketio::{BOTH, Client, Via, start};
use crate::support::{Server, channel};

/// Sends each of the packets to a server with these handlers, and expects each one's answer.
async fn expect_answers(handlers: impl Fn(&Namespace), table: &[(&str, &str)]) {
    let server = start();
    handlers(&server.io.of("/"));
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        for (packet, answer) in table {
            client.send(packet).await;
            client.expect(answer).await;
        }
        client.expect_nothing_more("/").await;
    }
}

/// `Data`: a tuple takes as many arguments as it has members, any other type the first one.
#[on_both_servers]
async fn data_takes_one_argument_or_the_members_of_a_tuple() {
    #[derive(Deserialize, Serialize)]
    struct Point {
        x: i32,
        y: i32,
    }
    expect_answers(
        |namespace| {
            namespace
                .on("one", |Data(text): Data<String>| async move { text })
                .on("struct", |Data(point): Data<Point>| async move { point })
                .on("array", |Data(list): Data<Vec<u8>>| async move { list })
                .on(
                    "two",
                    |Data((a, b)): Data<(String, u8)>| async move { (b, a) },
                )
                .on("none", |Data(()): Data<()>| async { "nothing" });
        },
        &[
            (r#"421["one","é"]"#, r#"431["é"]"#),
            (r#"422["struct",{"y":2,"x":1}]"#, r#"432[{"x":1,"y":2}]"#),
            (r#"423["array",[1,2]]"#, "433[[1,2]]"),
            (r#"424["two","a",1]"#, r#"434[1,"a"]"#),
            (r#"425["none"]"#, r#"435["nothing"]"#),
        ],
    )
    .await;
}

/// `Data`: a missing argument is `None` for an `Option`.
#[on_both_servers]
async fn a_missing_argument_is_none_for_an_option() {
    expect_answers(
        |namespace| {
            namespace
                .on("one", |Data(a): Data<Option<u8>>| async move { a })
                .on("two", |Data((a, b)): Data<(u8, Option<u8>)>| async move {
                    (a, b)
                });
        },
        &[
            (r#"421["one"]"#, "431[null]"),
            (r#"422["one",null]"#, "432[null]"),
            (r#"423["one",7]"#, "433[7]"),
            (r#"424["two",7]"#, "434[7,null]"),
            (r#"425["two",7,8]"#, "435[7,8]"),
        ],
    )
    .await;
}

/// `Data`: what does not fit is answered with an error that names the argument.
#[on_both_servers]
async fn arguments_that_do_not_fit_are_answered_with_an_error_that_names_them() {
    let server = start();
    let io = server.io.of("/");
    io.on("two", |Data((a, b)): Data<(u8, u8)>| async move { (a, b) });
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client.send(r#"421["two",1]"#).await;
        client
            .expect(r#"431[{"error":"invalid event data: argument 2 is missing"}]"#)
            .await;
        client.send(r#"422["two"]"#).await;
        client
            .expect(r#"432[{"error":"invalid event data: argument 1 is missing"}]"#)
            .await;
        client.send(r#"423["two",1,"x"]"#).await;
        let answer = client.text().await;
        assert!(
            answer.starts_with(
                r#"433[{"error":"invalid event data: argument 2 cannot be read: invalid type"#
            ),
            "{answer}"
        );
        // Nobody waits for an answer, and the session goes on.
        client.send(r#"42["two"]"#).await;
        client.expect_nothing_more("/").await;
    }
}

/// A failed extraction says what does not fit, whatever the order of a handler's arguments.
#[on_both_servers]
async fn a_rejection_says_the_same_before_and_behind_an_ack() {
    let error = r#"[{"error":"invalid event data: argument 1 is missing"}]"#;
    expect_answers(
        |namespace| {
            namespace
                .on("behind", |Data(n): Data<u8>, ack: Ack| async move {
                    ack.send(n);
                })
                .on("before", |ack: Ack, Data(n): Data<u8>| async move {
                    ack.send(n);
                });
        },
        &[
            (r#"421["behind"]"#, &format!("431{error}")),
            (r#"422["before"]"#, &format!("432{error}")),
            (r#"423["behind",1]"#, "433[1]"),
            (r#"424["before",1]"#, "434[1]"),
        ],
    )
    .await;
}

/// `Data`: further arguments are ignored, as in JavaScript.
#[on_both_servers]
async fn further_arguments_are_ignored() {
    expect_answers(
        |namespace| {
            namespace
                .on("one", |Data(a): Data<u8>| async move { a })
                .on("two", |Data((a, b)): Data<(u8, u8)>| async move { (a, b) })
                .on("none", || async { 0 });
        },
        &[
            (r#"421["one",1,{"x":[]},null]"#, "431[1]"),
            (r#"422["two",1,2,3]"#, "432[1,2]"),
            (r#"423["none",1]"#, "433[0]"),
        ],
    )
    .await;
}

/// `Event` and `Args`: arguments that are passed on stay as they came, byte for byte.
#[on_both_servers]
async fn arguments_that_are_passed_on_stay_as_they_came() {
    let args = [
        r#"{"b":1,"a":1.0,"c":123456789012345678901234567890}"#,
        r#""\u00e9\ud83d\ude00","é😀","\/""#,
        "null,true,[[[]]],1e400,-0",
        "",
    ];
    let server = start();
    server
        .io
        .of("/")
        .on("echo", |socket: Socket, event: Event| async move {
            socket.emit(event.name(), event.args()).await
        })
        .on("ack", |event: Event| async move { event.args().clone() });
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        for args in args {
            let comma = if args.is_empty() { "" } else { "," };
            let echoed = format!(r#"42["echo"{comma}{args}]"#);
            client.send(&echoed).await;
            client.expect(&echoed).await;
            client.send(&format!(r#"427["ack"{comma}{args}]"#)).await;
            client.expect(&format!("437[{args}]")).await;
        }
    }
}

/// Socket.IO v5, Packet encoding: an event's name may be a number; JavaScript makes a text of it.
#[on_both_servers]
async fn a_number_is_an_event_name() {
    expect_answers(
        |namespace| {
            namespace.on("7", |event: Event| async move { event.name().to_owned() });
        },
        &[
            (r#"421[7,"x"]"#, r#"431["7"]"#),
            (r#"422["7"]"#, r#"432["7"]"#),
        ],
    )
    .await;
}

/// An event that nobody handles is answered, where an answer is asked for, and ignored otherwise.
#[on_both_servers]
async fn an_unknown_event_is_answered_with_an_error() {
    let server = start();
    server.io.of("/chat");
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client.connect("/chat").await;
        client
            .send_all(&[r#"42["no\"pe",1]"#, r#"421["no\"pe",1]"#])
            .await;
        client
            .expect(r#"431[{"error":"no handler for event \"no\"pe\""}]"#)
            .await;
        client.send(r#"42/chat,1["nope"]"#).await;
        client
            .expect(r#"43/chat,1[{"error":"no handler for event \"nope\""}]"#)
            .await;
    }
}

/// EVENT and ACK without any payload mean nothing; the reference takes them too.
#[on_both_servers]
async fn packets_without_a_payload_are_ignored() {
    let server = start();
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client.send_all(&["42", "421", "431"]).await;
        client.expect_nothing_more("/").await;
    }
}

/// Socket.IO v5, Acknowledgement: what a handler returns is the answer.
#[on_both_servers]
async fn return_value_of_a_handler_is_the_acknowledgement() {
    expect_answers(
        |namespace| {
            namespace
                .on("value", || async { json!({ "a": [1] }) })
                .on("tuple", || async { (1, "b", None::<u8>) })
                .on("unit", || async {})
                .on("ok", || async { Ok::<_, String>((1, 2)) })
                .on("ok unit", || async { Ok::<_, String>(()) })
                .on("option", || async { None::<u8> })
                .on("args", || async { Args::from_value(&(1, "x")).unwrap() })
                .on("later", || async {
                    tokio::task::yield_now().await;
                    "later"
                });
        },
        &[
            (r#"421["value"]"#, r#"431[{"a":[1]}]"#),
            (r#"422["tuple"]"#, r#"432[1,"b",null]"#),
            (r#"423["unit"]"#, "433[]"),
            (r#"424["ok"]"#, "434[1,2]"),
            (r#"425["ok unit"]"#, "435[]"),
            (r#"426["option"]"#, "436[null]"),
            (r#"427["later"]"#, r#"437["later"]"#),
            (r#"428["args"]"#, r#"438[1,"x"]"#),
        ],
    )
    .await;
}

/// An `Err` is the answer too, told apart as `{"error": …}`.
#[on_both_servers]
async fn an_err_is_acknowledged_as_an_error() {
    #[derive(Serialize)]
    struct Refused {
        code: u16,
    }
    async fn parse(Data(text): Data<String>) -> Result<i64, HandlerError> {
        Ok(text.parse::<i64>()? * 2)
    }
    async fn own() -> Result<(), HandlerError> {
        Err(HandlerError::new("not today"))
    }
    expect_answers(
        |namespace| {
            namespace
                .on("text", || async { Err::<(), _>("no \"way\"") })
                .on("struct", || async { Err::<u8, _>(Refused { code: 7 }) })
                .on("reserved", |socket: Socket| async move {
                    socket.emit("disconnect", ()).await
                })
                .on("own", own)
                .on("parse", parse);
        },
        &[
            (r#"421["text"]"#, r#"431[{"error":"no \"way\""}]"#),
            (r#"422["struct"]"#, r#"432[{"error":{"code":7}}]"#),
            (
                r#"423["reserved"]"#,
                r#"433[{"error":"event name \"disconnect\" is reserved"}]"#,
            ),
            (r#"424["own"]"#, r#"434[{"error":"not today"}]"#),
            (r#"425["parse","21"]"#, "435[42]"),
            (
                r#"426["parse","x"]"#,
                r#"436[{"error":"invalid digit found in string"}]"#,
            ),
        ],
    )
    .await;
}

/// Without an id nobody is answered, whatever the handler returns.
#[on_both_servers]
async fn an_event_without_an_id_is_not_acknowledged() {
    let server = start();
    server
        .io
        .of("/")
        .on("value", || async { 1 })
        .on("err", || async { Err::<(), _>("no") })
        .on("ack", |ack: Ack| async move {
            assert!(!ack.is_wanted());
            ack.send(1);
        })
        .on("dropped", |ack: Ack| async move { drop(ack) });
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client
            .send_all(&[
                r#"42["value"]"#,
                r#"42["err"]"#,
                r#"42["ack"]"#,
                r#"42["dropped"]"#,
            ])
            .await;
        client.expect_nothing_more("/").await;
    }
}

/// `Ack`: the answer may be sent later, from anywhere; others are answered meanwhile.
#[on_both_servers]
async fn an_ack_may_be_sent_after_its_handler_has_ended() {
    let server = start();
    let (keep, mut kept) = channel();
    server
        .io
        .of("/chat")
        .on("later", move |ack: Ack| {
            let _ = keep.send(ack);
            async { "not this" }
        })
        .on("now", || async { "now" });
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        client.connect("/chat").await;
        client
            .send_all(&[r#"42/chat,1["later"]"#, r#"42/chat,2["now"]"#])
            .await;
        client.expect(r#"43/chat,2["now"]"#).await;
        let ack = kept.next().await;
        assert!(ack.is_wanted());
        std::thread::spawn(move || ack.send((1, "b")))
            .join()
            .unwrap();
        client.expect(r#"43/chat,1[1,"b"]"#).await;
        client.send(r#"42/chat,3["later"]"#).await;
        kept.next().await.send(Err::<(), _>("no"));
        client.expect(r#"43/chat,3[{"error":"no"}]"#).await;
    }
}

/// `Ack`: one that nobody uses answers by itself.
#[on_both_servers]
async fn a_dropped_ack_answers_with_an_error() {
    expect_answers(
        |namespace| {
            namespace.on("drop", |ack: Ack| async move { drop(ack) });
        },
        &[(
            r#"421["drop"]"#,
            r#"431[{"error":"the handler dropped the acknowledgement"}]"#,
        )],
    )
    .await;
}

/// Socket.IO v5, Packet encoding: an id is a number; the least and the greatest are echoed.
#[on_both_servers]
async fn the_least_and_the_greatest_id_are_acknowledged() {
    expect_answers(
        |namespace| {
            namespace.on("a", || async { 1 });
        },
        &[
            (r#"420["a"]"#, "430[1]"),
            (
                r#"4218446744073709551615["a"]"#,
                "4318446744073709551615[1]",
            ),
        ],
    )
    .await;
}

/// docs/semantics.md, Of a client's event: an event with an id always gets an acknowledgement.
#[on_both_servers]
async fn a_value_that_cannot_be_written_is_answered_with_an_error() {
    struct Panics;

    impl Serialize for Panics {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("not this one");
        }
    }

    expect_answers(
        |namespace| {
            namespace
                .on("key", || async {
                    std::collections::BTreeMap::from([((1, 2), "a tuple is no key")])
                })
                .on("panic", || async { Panics })
                .on("panic later", || async {
                    tokio::task::yield_now().await;
                    Panics
                })
                .on("panic in ack", |ack: Ack| async move { ack.send(Panics) });
        },
        &[
            (
                r#"421["key"]"#,
                r#"431[{"error":"the acknowledgement cannot be encoded"}]"#,
            ),
            (
                r#"422["panic"]"#,
                r#"432[{"error":"internal server error"}]"#,
            ),
            (
                r#"423["panic later"]"#,
                r#"433[{"error":"internal server error"}]"#,
            ),
            (
                r#"424["panic in ack"]"#,
                r#"434[{"error":"internal server error"}]"#,
            ),
        ],
    )
    .await;
}

/// `State`: what was given to the builder, one value for each type, in every kind of handler.
#[on_both_servers]
async fn a_state_is_shared_by_all_handlers() {
    let (left, mut leavers) = channel();
    let server = Server::socketio(|io| io.state(7_u32).state("text".to_owned()), |_| ());
    server
        .io
        .of("/")
        .on_connect(|socket: Socket, number: State<u32>| async move {
            socket
                .emit("state", *number)
                .await
                .map_err(|e| e.to_string())
        })
        .on(
            "state",
            |number: State<u32>, text: State<String>| async move { (*number, text.to_string()) },
        )
        .on_disconnect(move |number: State<u32>, _: DisconnectReason| {
            let _ = left.send(*number);
            async {}
        });
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client.expect(r#"42["state",7]"#).await;
        client.send(r#"421["state"]"#).await;
        client.expect(r#"431[7,"text"]"#).await;
        client.send("41").await;
        assert_eq!(leavers.next().await, 7);
    }
}

/// `State`: one that was never given says what to do.
#[on_both_servers]
async fn a_missing_state_is_an_error_with_a_cure() {
    let server = start();
    let refusal = "no state of type i8: register it by SocketIo::builder().state(..)";
    server.io.of("/").on("state", |_: State<i8>| async {});
    server.io.of("/strict").on_connect(|_: State<i8>| async {});
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client.send(r#"421["state"]"#).await;
        client
            .expect(&format!(r#"431[{{"error":"{refusal}"}}]"#))
            .await;
        let error = client.connect_with("/strict", "").await.unwrap_err();
        assert_eq!(error, format!(r#"{{"message":"{refusal}"}}"#));
    }
}

/// Handlers may be added and replaced while clients are connected.
#[on_both_servers]
async fn a_handler_added_later_serves_connected_clients() {
    let server = start();
    let io = server.io.of("/");
    let mut client = Client::connected(&server, Via::WebSocket).await;
    io.on("a", || async { 1 });
    client.send(r#"421["a"]"#).await;
    client.expect("431[1]").await;
    assert!(io.off("a"));
    assert!(!io.off("a"));
    io.on("a", || async { 2 });
    client.send(r#"422["a"]"#).await;
    client.expect("432[2]").await;
}

/// docs/semantics.md, Events of a client: handlers of one socket start in the order of arrival,
/// also while earlier handlers wait.
#[on_both_servers]
async fn handlers_start_in_the_order_of_arrival_while_earlier_ones_wait() {
    let server = start();
    let (begun, mut begins) = channel();
    let gate = Gate::default();
    server.io.of("/").on("n", {
        let gate = gate.clone();
        move |Data(n): Data<u32>| {
            let _ = begun.send(n);
            let gate = gate.clone();
            async move {
                // Some wait, the others do not.
                if n % 2 == 0 {
                    gate.pass().await;
                }
                n
            }
        }
    });
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        let events: Vec<String> = (0..100).map(|n| format!(r#"42{n}["n",{n}]"#)).collect();
        let events: Vec<&str> = events.iter().map(String::as_str).collect();
        client.send_all(&events).await;
        for n in 0..100 {
            assert_eq!(begins.next().await, n);
        }
        if via == BOTH[1] {
            for n in (1..100).step_by(2) {
                client.expect(&format!("43{n}[{n}]")).await;
            }
            gate.open();
        }
    }
}

/// docs/semantics.md, Packets to a client: packets of one task arrive in the order of its emits,
/// broadcasts and direct emits together, from any thread.
#[on_both_servers]
async fn emits_of_one_task_keep_their_order() {
    const EACH: u32 = 100;
    let server = start();
    let io = server.io.clone();
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        let id = client.connect("/").await;
        let socket = io.of("/").socket(id.parse().unwrap()).unwrap();
        socket.join("hall").await.unwrap();
        let tasks: Vec<_> = (0..3)
            .map(|task| {
                let (io, socket) = (io.clone(), socket.clone());
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread();
                    let runtime = { runtime }.build().unwrap();
                    runtime.block_on(emit_all(&io, &socket, task)).unwrap();
                })
            })
            .collect();
        let mut next = [0; 3];
        for _ in 0..3 * EACH {
            let packet = client.text().await;
            let packet: Value = serde_json::from_str(&packet[2..]).unwrap();
            let task = packet[1].as_u64().unwrap() as usize;
            assert_eq!(packet[2], next[task], "of task {task}");
            next[task] += 1;
        }
        for task in tasks {
            task.join().unwrap();
        }
    }

    async fn emit_all(
        io: &actix_socketio::SocketIo,
        socket: &Socket,
        task: u32,
    ) -> Result<(), EmitError> {
        for n in 0..EACH {
            let data = (task, n);
            match n % 5 {
                0 => socket.emit("n", data).await?,
                1 => io.emit("n", data).await?,
                2 => io.to("hall").emit("n", data).await?,
                3 => socket.everyone().to("hall").emit("n", data).await?,
                _ => io.to(socket.id()).emit("n", data).await?,
            }
        }
        Ok(())
    }
}

/// A handler may wait for as long as it likes without holding up another client.
#[on_both_servers]
async fn a_waiting_handler_delays_no_other_client() {
    let server = Server::socketio_on(1, |io| io, |_| ());
    let gate = Arc::new(Notify::new());
    let waiting = Arc::clone(&gate);
    server.io.of("/").on("wait", move || {
        let waiting = Arc::clone(&waiting);
        async move { waiting.notified().await }
    });
    let mut slow = Client::connected(&server, Via::WebSocket).await;
    slow.send(r#"421["wait"]"#).await;
    let mut other = Client::connected(&server, Via::Polling).await;
    other.expect_nothing_more("/").await;
    slow.expect_nothing_more("/").await;
    gate.notify_one();
    slow.expect("431[]").await;
}
