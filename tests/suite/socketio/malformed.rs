//! Socket.IO v5, Packet encoding: what no client may send ends its session, and nobody else's.

use std::time::{Duration, Instant};

use actix_socketio::{Data, Event, SocketIo};

use crate::support::socketio::{BOTH, Came, Client, Via, leavers, start};
use crate::support::{Heard, Server, channel};

/// Starts a server that tells why clients of `/` have left.
fn watched() -> (Server<SocketIo>, Heard<&'static str>) {
    let server = start();
    let leavers = leavers(&server.io.of("/"));
    server
        .io
        .of("/")
        .on("args", |event: Event| async move { event.args().clone() });
    (server, leavers)
}

/// Sends each packet as a client of its own, who is closed; others are not.
async fn expect_refused<P: AsRef<str>>(packets: &[P]) {
    let (server, mut leavers) = watched();
    for via in BOTH {
        let mut bystander = Client::connected(&server, via).await;
        for packet in packets {
            let packet = packet.as_ref();
            let mut client = Client::connected(&server, via).await;
            client.send(packet).await;
            assert_eq!(client.next().await, Came::Close, "after {packet:.60}");
            // More than `max_attachments` has a reason of its own.
            let expected = match packet.starts_with("4511-") || packet.starts_with("45100") {
                true => "too many attachments",
                false => "forced close",
            };
            let reason = leavers.next().await;
            assert_eq!(reason, expected, "after {packet:.60}");
        }
        bystander.expect_nothing_more("/").await;
        bystander.send("41").await;
        assert_eq!(leavers.next().await, "client namespace disconnect");
    }
    assert_eq!(leavers.so_far(), [] as [&str; 0]);
}

/// Socket.IO v5, Packet encoding: a digit from 0 to 6 says what a packet is.
#[on_both_servers]
async fn a_packet_of_no_type_is_refused() {
    expect_refused(&[
        "4",
        "47",
        "48[]",
        "4x",
        "4-1",
        r#"4"2""#,
        "4[]",
        "4é",
        "4 2[\"a\"]",
    ])
    .await;
}

/// Socket.IO v5, Connection to a namespace: only the server refuses.
#[on_both_servers]
async fn a_connect_error_from_a_client_is_refused() {
    expect_refused(&["44", r#"44{"message":"no"}"#, "44/chat,"]).await;
}

/// Socket.IO v5, Connection to a namespace: the payload is an object.
#[on_both_servers]
async fn a_connect_payload_that_is_no_object_is_refused() {
    expect_refused(&[
        "40/x,[]",
        "40/x,\"a\"",
        "40/x,1",
        "40/x,null",
        "40/x,true",
        "40/x,{",
        "40/x,{}}",
        "40/x,{} ,",
        "40/x,{\"a\"}",
        "40/x,{'a':1}",
    ])
    .await;
}

/// Socket.IO v5, Disconnection from a namespace: there is no payload.
#[on_both_servers]
async fn a_disconnect_with_a_payload_is_refused() {
    expect_refused(&["41{}", "41[]", "41\"bye\"", "411", "41 "]).await;
}

/// Socket.IO v5, Sending and receiving data: the payload is an array with the event's name in front.
#[on_both_servers]
async fn an_event_without_an_array_or_a_name_is_refused() {
    expect_refused(&[
        "42{}",
        "42\"a\"",
        "42null",
        "42true",
        "42[]",
        "42[ ]",
        "42[null]",
        "42[true]",
        "42[{}]",
        "42[[\"a\"]]",
    ])
    .await;
}

/// The payload is JSON, to its end.
#[on_both_servers]
async fn a_payload_that_is_no_json_is_refused() {
    expect_refused(&[
        "42[",
        "42[\"a\"",
        "42[\"a\",]",
        "42[\"a\",1]]",
        "42[\"a\"]x",
        "42[\"a]",
        "42[\"a\" 1]",
        "42[\"a\",01]",
        "42[\"a\",+1]",
        "42[\"a\",.5]",
        "42[\"a\",NaN]",
        "42[\"a\",undefined]",
        "42[\"a\",tru]",
        "42[\"a\",\"\\x\"]",
        "42[\"a\",\"\\u12\"]",
        "42[\"a\",\"\n\"]",
        "42[\"a\",{1:2}]",
        "42[\"a\",{\"b\":}]",
        "42[\"a\",/* */1]",
        "431[",
        "431[1",
        "431]",
    ])
    .await;
}

/// RFC 8259, 8.2: half of a surrogate pair is JSON, and browsers send it; an event's name it is not.
#[on_both_servers]
async fn half_of_a_surrogate_pair_is_passed_on_but_names_no_event() {
    expect_refused(&[r#"42["\ud800"]"#, r#"42["a\ude00"]"#]).await;
    let (server, _leavers) = watched();
    server
        .io
        .of("/")
        .on("string", |Data(text): Data<String>| async move { text });
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client.send(r#"421["args","\ud83d",{"\ude00":1}]"#).await;
        client.expect(r#"431["\ud83d",{"\ude00":1}]"#).await;
        client.send(r#"422["string","\ud83d"]"#).await;
        let answer = client.text().await;
        let error = r#"432[{"error":"invalid event data: argument 1 cannot be read: "#;
        assert!(answer.starts_with(error), "{answer}");
    }
}

/// Socket.IO v5, Acknowledgement: the id is a number without a sign, of up to 64 bits.
#[on_both_servers]
async fn an_id_that_is_no_number_is_refused() {
    expect_refused(&[
        "42-1[\"a\"]",
        "42+1[\"a\"]",
        "421.5[\"a\"]",
        "42abc[\"a\"]",
        "421a[\"a\"]",
        "42 1[\"a\"]",
        "4218446744073709551616[\"a\"]",
        "4299999999999999999999999[\"a\"]",
        "43-1[]",
    ])
    .await;
}

/// Socket.IO v5, Acknowledgement: the payload is an array.
#[on_both_servers]
async fn an_ack_that_is_no_array_is_refused() {
    expect_refused(&["431{}", "431\"a\"", "431null", "4311.5"]).await;
}

/// Socket.IO v5, Packet encoding: a binary packet says how many attachments it has.
#[on_both_servers]
async fn a_binary_packet_with_a_broken_count_is_refused() {
    expect_refused(&[
        "45",
        "45-[\"a\"]",
        "45[\"a\"]",
        "451[\"a\"]",
        "45x-[\"a\"]",
        "45-1-[\"a\"]",
        "451.5-[\"a\"]",
        "451-",
        "450-[\"a\"]",
        "4511-[\"a\"]",
        "45100000000000000000000-[\"a\"]",
        "461-1",
        "46-1[]",
    ])
    .await;
}

/// sio/socket-types.ts: these names are events of the client itself.
#[on_both_servers]
async fn a_reserved_event_name_is_refused() {
    expect_refused(&[
        r#"42["connect"]"#,
        r#"42["connect_error",{}]"#,
        r#"42["disconnect"]"#,
        r#"421["disconnecting"]"#,
        r#"42["newListener"]"#,
        r#"42["removeListener"]"#,
        r#"42["\u0063onnect"]"#,
        r#"451-["disconnect",{"_placeholder":true,"num":0}]"#,
    ])
    .await;
}

/// `error` and names that look like reserved ones are ordinary.
#[on_both_servers]
async fn names_beside_the_reserved_ones_are_ordinary() {
    let (server, _leavers) = watched();
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client
            .send_all(&[
                r#"42["error"]"#,
                r#"42["Connect"]"#,
                r#"42["connection"]"#,
                r#"42[""]"#,
                r#"42["__proto__"]"#,
            ])
            .await;
        client.expect_nothing_more("/").await;
    }
}

/// docs/semantics.md, Bytes from the network: the depth of JSON has a limit. The last depth that
/// passes, and the first that is refused.
#[on_both_servers]
async fn one_bracket_more_than_the_limit_is_refused() {
    let (server, _leavers) = watched();
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        // The event's own array is one.
        let deepest = nested(MAX_DEPTH - 1);
        client.send(&format!(r#"421["args",{deepest}]"#)).await;
        client.expect(&format!("431[{deepest}]")).await;
        let deeper = nested(MAX_DEPTH);
        client.send(&format!(r#"421["args",{deeper}]"#)).await;
        client.expect_close().await;
    }
}

/// docs/semantics.md, Bytes from the network: deep nesting is refused at the limit, and uses no
/// stack.
#[on_both_servers]
async fn forty_kilobytes_of_brackets_are_refused_at_once() {
    let many = "[".repeat(40_000);
    let begun = Instant::now();
    expect_refused(&[
        format!("42{many}"),
        format!(r#"42["args",{many}"#),
        format!("431{many}"),
        format!("42[\"args\",{}", r#"{"a":"#.repeat(8000)),
        format!("40/x,{}", r#"{"a":"#.repeat(8000)),
    ])
    .await;
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
}

/// Packets of a burst that came before the malformed one are taken, those behind it are not.
#[on_both_servers]
async fn packets_before_a_malformed_one_are_handled() {
    let server = start();
    let (seen, mut events) = channel();
    server.io.of("/").on("n", move |event: Event| {
        let _ = seen.send(event.args().as_json().to_owned());
        async {}
    });
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client
            .send_all(&[r#"42["n",1]"#, r#"42["n",2]"#, "49", r#"42["n",3]"#])
            .await;
        client.expect_close().await;
        let mut witness = Client::connected(&server, Via::WebSocket).await;
        witness.send(r#"42["n",4]"#).await;
        for n in ["1", "2", "4"] {
            assert_eq!(events.next().await, n);
        }
    }
}

/// Brackets that may be open at once.
const MAX_DEPTH: usize = 128;
