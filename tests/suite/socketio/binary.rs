//! Socket.IO v5, Packet encoding, binary: attachments follow their packet, in order and untorn.

use actix_socketio::{Bytes, Data, Event, Socket};
use serde::{Deserialize, Serialize};

use crate::support::Server;
use crate::support::socketio::{BOTH, Came, Client, Via, leavers, start};

/// Socket.IO v5, Packet encoding: bytes anywhere in a value are placeholders and attachments.
#[on_both_servers]
async fn bytes_in_nested_structs_travel_both_ways() {
    #[derive(Debug, Deserialize, Serialize)]
    struct Upload {
        name: String,
        parts: Vec<Part>,
    }
    #[derive(Debug, Deserialize, Serialize)]
    struct Part {
        data: Bytes,
        more: Option<Bytes>,
    }
    let server = start();
    server.io.of("/chat").on(
        "upload",
        |socket: Socket, Data((upload, tail)): Data<(Upload, Bytes)>| async move {
            assert_eq!(upload.parts[0].data, [1, 2, 3].as_slice());
            assert_eq!(upload.parts[1].more.as_deref(), Some(&[5][..]));
            assert_eq!(tail, Bytes::new());
            socket.emit("upload", (upload, tail)).await
        },
    );
    let sent = concat!(
        r#"["upload",{"name":"a","parts":[{"data":{"_placeholder":true,"num":0},"more":null},"#,
        r#"{"data":{"_placeholder":true,"num":1},"more":{"num":2,"_placeholder":true}}]},"#,
        r#"{"_placeholder":true,"num":3}]"#
    );
    let back = sent.replace(
        r#""num":2,"_placeholder":true"#,
        r#""_placeholder":true,"num":2"#,
    );
    let attachments: [&[u8]; 4] = [&[1, 2, 3], &[4; 70_000], &[5], &[]];
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        client.connect("/chat").await;
        client
            .send_binary(&format!("454-/chat,{sent}"), &attachments)
            .await;
        client
            .expect_binary(&format!("454-/chat,{back}"), &attachments)
            .await;
    }
}

/// Socket.IO v5, Acknowledgement: a BINARY_EVENT may have an id, and a BINARY_ACK answers it.
#[on_both_servers]
async fn acknowledgements_carry_binary() {
    let server = start();
    server
        .io
        .of("/")
        .on("reverse", |Data(data): Data<Bytes>| async move {
            data.iter().rev().copied().collect::<Bytes>()
        })
        .on("len", |Data(data): Data<Bytes>| async move { data.len() })
        .on("make", || async { (1, Bytes::from_static(&[0xFF])) });
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client
            .send_binary(
                r#"451-7["reverse",{"_placeholder":true,"num":0}]"#,
                &[&[1, 2]],
            )
            .await;
        client
            .expect_binary(r#"461-7[{"_placeholder":true,"num":0}]"#, &[&[2, 1]])
            .await;
        client
            .send_binary(
                r#"451-8["len",{"_placeholder":true,"num":0}]"#,
                &[&[0; 1000]],
            )
            .await;
        client.expect("438[1000]").await;
        client.send(r#"429["make"]"#).await;
        client
            .expect_binary(r#"461-9[1,{"_placeholder":true,"num":0}]"#, &[&[0xFF]])
            .await;
    }
}

/// Socket.IO v5, Acknowledgement: the client's BINARY_ACK answers a call.
#[on_both_servers]
async fn a_call_is_answered_with_binary() {
    let server = start();
    let io = server.io.of("/");
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        let id = client.connect("/").await;
        let socket = io.socket(id.parse().unwrap()).unwrap();
        let call = tokio::spawn(async move {
            let sent = Bytes::from_static(&[9]);
            socket.call::<(u8, Bytes)>("ask", sent).await
        });
        let packet = client.text().await;
        let id = packet
            .strip_prefix("451-")
            .and_then(|rest| rest.strip_suffix(r#"["ask",{"_placeholder":true,"num":0}]"#))
            .unwrap();
        assert_eq!(client.next().await, Came::Binary(vec![9]));
        let answer = format!(r#"461-{id}[5,{{"_placeholder":true,"num":0}}]"#);
        client.send_binary(&answer, &[&[6, 7]]).await;
        let (number, data) = call.await.unwrap().unwrap();
        assert_eq!((number, &data[..]), (5, &[6, 7][..]));
    }
}

/// Arguments that are passed on keep their attachments.
#[on_both_servers]
async fn attachments_that_are_passed_on_stay_as_they_came() {
    let server = start();
    server
        .io
        .of("/")
        .on("echo", |socket: Socket, event: Event| async move {
            socket.emit("echo", event.args()).await
        });
    let packet =
        r#"452-["echo",{"a":{"_placeholder":true,"num":1}},{"_placeholder":true,"num":0}]"#;
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client.send_binary(packet, &[b"zero", b"one"]).await;
        client.expect_binary(packet, &[b"zero", b"one"]).await;
    }
}

/// Builds a BINARY_EVENT with this many attachments of one byte.
fn event_with(attachments: usize) -> (String, Vec<&'static [u8]>) {
    let placeholders: String = (0..attachments)
        .map(|num| format!(r#",{{"_placeholder":true,"num":{num}}}"#))
        .collect();
    let packet = format!(r#"45{attachments}-1["count"{placeholders}]"#);
    (packet, vec![&[7]; attachments])
}

/// Socket.IO v5: as many attachments as `max_attachments`, ten by default, and not one more.
#[on_both_servers]
async fn one_attachment_more_than_the_limit_closes_the_session() {
    for (server, limit) in [
        (start(), 10),
        (Server::socketio(|io| io.max_attachments(2), |_| ()), 2),
    ] {
        server.io.of("/").on("count", |event: Event| async move {
            event.args().attachments().len()
        });
        for via in BOTH {
            let mut client = Client::connected(&server, via).await;
            let (packet, attachments) = event_with(limit);
            client.send_binary(&packet, &attachments).await;
            client.expect(&format!("431[{limit}]")).await;
            let (packet, _) = event_with(limit + 1);
            client.send(&packet).await;
            client.expect_close().await;
        }
    }
}

/// Newer than the repositories: the attachment count must be at least 1.
#[on_both_servers]
async fn a_binary_packet_without_attachments_closes_the_session() {
    let server = start();
    for via in BOTH {
        for packet in [r#"450-["a"]"#, "460-1[]"] {
            let mut client = Client::connected(&server, via).await;
            client.send(packet).await;
            client.expect_close().await;
        }
    }
}

/// Socket.IO v5, Packet encoding: nothing may stand between a packet and its attachments.
#[on_both_servers]
async fn text_among_attachments_closes_the_session() {
    let server = start();
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        let packet = r#"452-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#;
        client.send_binary(packet, &[&[1]]).await;
        client.send(r#"42["b"]"#).await;
        client.expect_close().await;
    }
}

/// Engine.IO packets that carry no message may stand there: they are not of this layer.
#[on_both_servers]
async fn a_pong_among_attachments_is_no_text() {
    let server = start();
    server
        .io
        .of("/")
        .on("len", |Data(data): Data<Bytes>| async move { data.len() });
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client
            .send_all(&[r#"451-1["len",{"_placeholder":true,"num":0}]"#, "3"])
            .await;
        client.attach(&[1, 2]).await;
        client.expect("431[2]").await;
    }
}

/// A binary message that no packet announced breaks the protocol.
#[on_both_servers]
async fn an_unannounced_attachment_closes_the_session() {
    let server = start();
    for via in BOTH {
        let mut before_connect = Client::open(&server, via).await;
        before_connect.attach(&[1]).await;
        before_connect.expect_close().await;
        let mut client = Client::connected(&server, via).await;
        client.attach(&[]).await;
        client.expect_close().await;
        let mut one_more = Client::connected(&server, via).await;
        one_more
            .send_binary(r#"451-["a",{"_placeholder":true,"num":0}]"#, &[&[1], &[2]])
            .await;
        one_more.expect_close().await;
    }
}

/// A placeholder that stands for no attachment breaks the protocol, before any attachment has come.
#[on_both_servers]
async fn a_placeholder_out_of_range_closes_the_session() {
    let server = start();
    for via in BOTH {
        for placeholder in [
            r#"{"_placeholder":true,"num":1}"#,
            r#"{"_placeholder":true,"num":-1}"#,
            r#"{"_placeholder":true,"num":18446744073709551616}"#,
            r#"{"_placeholder":true,"num":"0"}"#,
            r#"{"_placeholder":true}"#,
        ] {
            let mut client = Client::connected(&server, via).await;
            client.send(&format!(r#"451-["a",{placeholder}]"#)).await;
            client.expect_close().await;
        }
    }
}

/// Attachments for a namespace that was never joined are counted before that is noticed.
#[on_both_servers]
async fn a_binary_event_for_a_namespace_never_joined_closes_the_session() {
    let server = start();
    server.io.of("/chat");
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client
            .send_binary(r#"451-/chat,["a",{"_placeholder":true,"num":0}]"#, &[&[1]])
            .await;
        client.expect_close().await;
    }
}

/// Events with attachments wait for the connect handler like any other.
#[on_both_servers]
async fn attachments_wait_with_their_event_for_the_connect_handler() {
    let server = start();
    server
        .io
        .of("/")
        .on_connect(|| async { tokio::task::yield_now().await })
        .on("len", |Data(data): Data<Bytes>| async move { data.len() });
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        client.send("40").await;
        client
            .send_binary(
                r#"451-1["len",{"_placeholder":true,"num":0}]"#,
                &[&[1, 2, 3]],
            )
            .await;
        client.expect_connect("/").await;
        client.expect("431[3]").await;
    }
}

/// Data that holds a placeholder-like object in a text packet is data.
#[on_both_servers]
async fn a_placeholder_in_a_text_packet_is_data() {
    let server = start();
    server
        .io
        .of("/")
        .on("echo", |event: Event| async move { event.args().clone() });
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client
            .send(r#"421["echo",{"_placeholder":true,"num":5}]"#)
            .await;
        client.expect(r#"431[{"_placeholder":true,"num":5}]"#).await;
    }
}

/// docs/semantics.md, Packets to a client: the attachments of a packet follow it directly, also if
/// several threads emit at the same time.
#[on_both_servers]
async fn attachments_follow_their_header_directly() {
    const EACH: u8 = 100;
    let server = Server::socketio_on(4, |io| io, |_| ());
    let io = server.io.clone();
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        let id = client.connect("/").await;
        let socket = io.of("/").socket(id.parse().unwrap()).unwrap();
        socket.join("hall").await.unwrap();
        let threads: Vec<_> = (0..4_u8)
            .map(|thread| {
                let (io, socket) = (io.clone(), socket.clone());
                std::thread::spawn(move || {
                    let mut runtime = tokio::runtime::Builder::new_current_thread();
                    runtime.build().unwrap().block_on(async {
                        for n in 0..EACH {
                            let data = (
                                thread,
                                Bytes::from(vec![thread; 3]),
                                Bytes::from(vec![n; usize::from(n)]),
                            );
                            match n % 3 {
                                0 => io.emit("n", data).await.unwrap(),
                                1 => io.to("hall").emit("n", data).await.unwrap(),
                                _ => socket.emit("n", data).await.unwrap(),
                            }
                            socket.emit("text", ()).await.unwrap();
                        }
                    });
                })
            })
            .collect();
        let mut next = [0; 4];
        while next != [EACH; 4] {
            let head = client.text().await;
            if head == r#"42["text"]"# {
                continue;
            }
            let thread: usize = head
                .strip_prefix(r#"452-["n","#)
                .and_then(|rest| rest.split(',').next())
                .unwrap()
                .parse()
                .unwrap();
            assert_eq!(client.next().await, Came::Binary(vec![thread as u8; 3]));
            let n = next[thread];
            let data = vec![n; usize::from(n)];
            assert_eq!(client.next().await, Came::Binary(data));
            next[thread] += 1;
        }
        for thread in threads {
            thread.join().unwrap();
        }
    }
}

/// Engine.IO v4: what was queued on polling as base64 goes on over the WebSocket as bytes.
#[on_both_servers]
async fn bytes_are_base64_on_polling_and_raw_on_a_websocket() {
    let server = start();
    let polling = crate::support::Polling::open(&server).await;
    polling.post(&["40"]).await;
    polling.poll().await;
    server
        .io
        .emit("bin", Bytes::from_static(&[1, 2, 3]))
        .await
        .unwrap();
    polling
        .expect(&[r#"451-["bin",{"_placeholder":true,"num":0}]"#, "bAQID"])
        .await;
    let mut client = Client::connected(&server, Via::WebSocket).await;
    server
        .io
        .emit("bin", Bytes::from_static(&[1, 2, 3]))
        .await
        .unwrap();
    client
        .expect_binary(
            r#"451-["bin",{"_placeholder":true,"num":0}]"#,
            &[&[1, 2, 3]],
        )
        .await;
}

/// docs/semantics.md: a binary packet for a namespace that the client has not joined closes the
/// session at its head, before an attachment comes.
#[on_both_servers]
async fn head_of_a_binary_packet_for_a_strange_namespace_is_refused() {
    let server = start();
    for via in BOTH {
        for head in [
            r#"4510-/nowhere,["a",{"_placeholder":true,"num":0}]"#,
            r#"451-["a",{"_placeholder":true,"num":0}]"#,
            r#"461-/nowhere,1[{"_placeholder":true,"num":0}]"#,
        ] {
            let mut client = Client::open(&server, via).await;
            client.send(head).await;
            client.expect_close().await;
        }
    }
}

/// docs/semantics.md: the attachments of one packet have `max_payload` bytes together; with one byte
/// more the session is closed, also where they are still to come.
#[on_both_servers]
async fn attachments_of_a_packet_have_max_payload_bytes_together() {
    let server = Server::socketio(|io| io.max_payload(2000), |_| ());
    let mut leavers = leavers(&server.io.of("/"));
    server.io.of("/").on(
        "sizes",
        |Data((one, two)): Data<(Bytes, Bytes)>| async move { one.len() + two.len() },
    );
    let head = r#"452-1["sizes",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#;
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        for _ in 0..3 {
            client.send(head).await;
            client.attach(&[0; 1000]).await;
            client.attach(&[0; 1000]).await;
            client.expect("431[2000]").await;
        }
        let more = head.replace("452-", "453-");
        client.send(&more).await;
        client.attach(&[0; 1000]).await;
        client.attach(&[0; 1001]).await;
        client.expect_close().await;
        assert_eq!(leavers.next().await, "message too large");
    }
}

/// docs/semantics.md, `attachments_timeout`: attachments that do not come close the session; a packet
/// whose attachments have come leaves no deadline behind.
#[on_both_servers]
async fn attachments_have_a_time_to_arrive() {
    let limit = std::time::Duration::from_millis(500);
    let server = Server::socketio(move |io| io.attachments_timeout(limit), |_| ());
    server
        .io
        .of("/")
        .on("len", |Data(data): Data<Bytes>| async move { data.len() });
    let head = r#"451-1["len",{"_placeholder":true,"num":0}]"#;
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client.send_binary(head, &[&[1, 2]]).await;
        client.expect("431[2]").await;
        let mut late = Client::connected(&server, via).await;
        late.send(head).await;
        late.expect_close().await;
        // Its own packet came before the other's, whose time is over.
        client.send_binary(head, &[&[1, 2]]).await;
        client.expect("431[2]").await;
    }
}

/// A client that was made to leave does not know it: its packet is dropped with its attachments.
#[on_both_servers]
async fn binary_packet_for_a_namespace_that_was_just_left_is_dropped() {
    let server = start();
    let io = &server.io;
    io.of("/")
        .on("len", |Data(data): Data<Bytes>| async move { data.len() });
    io.of("/chat").on(
        "leave",
        |socket: Socket| async move { socket.disconnect(false) },
    );
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client.connect("/chat").await;
        client.send(r#"42/chat,["leave"]"#).await;
        client.expect("41/chat,").await;
        let head = r#"452-/chat,["late",{"_placeholder":true,"num":0},1]"#;
        client.send_binary(head, &[&[1], &[2]]).await;
        client
            .send_binary(r#"451-1["len",{"_placeholder":true,"num":0}]"#, &[&[1, 2]])
            .await;
        client.expect("431[2]").await;
    }
}
