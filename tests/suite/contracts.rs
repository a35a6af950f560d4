//! Typed events: what the compiler has checked goes over the wire as every other event does.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use actix_socketio::{Binary, Bytes, CallError, Socket, Typed, event};
use serde::{Deserialize, Serialize};

use crate::support::channel;
use crate::support::socketio::{BOTH, Client, Via, start};

#[derive(Debug, Deserialize, Serialize)]
struct Chat {
    text: String,
}

#[derive(Debug, Deserialize, Serialize)]
struct Receipt {
    number: u32,
}

event! {
    Say("say", Chat => Receipt);
    Add("add", (i64, i64) => (i64, String));
    Now("now", () => u32);
    Upload("upload", Binary => Binary);
    News("news", (String, u32));
    Ask("ask", String => Receipt);
}

const LIMIT: Duration = Duration::from_secs(5);

/// A handler takes the contract's data among other extractors, and what it returns is the answer.
#[on_both_servers]
async fn a_typed_handler_answers() {
    let server = start();
    let count = AtomicU32::new(0);
    let namespace = server.io.of("/");
    namespace
        .on_event(Say, move |_: Socket, Typed(chat): Typed<Say>| {
            let number = count.fetch_add(1, Ordering::Relaxed) + chat.text.len() as u32;
            async move { Receipt { number } }
        })
        .on_event(Add, |Typed((a, b)): Typed<Add>| async move {
            a.checked_add(b)
                .map(|sum| (sum, "sum".to_owned()))
                .ok_or("too much")
        })
        .on_event(Now, |_: Typed<Now>, _: Socket| async { 7 })
        .on_event(Upload, |Typed(data): Typed<Upload>| async { data });
    for (via, number) in BOTH.into_iter().zip([2, 3]) {
        let mut client = Client::connected(&server, via).await;
        client.send(r#"421["say",{"text":"hi"}]"#).await;
        client
            .expect(&format!(r#"431[{{"number":{number}}}]"#))
            .await;
        client.send(r#"422["add",1,2]"#).await;
        client.expect(r#"432[3,"sum"]"#).await;
        client.send(&format!(r#"423["add",{},1]"#, i64::MAX)).await;
        client.expect(r#"433[{"error":"too much"}]"#).await;
        client.send(r#"424["now"]"#).await;
        client.expect("434[7]").await;
        let packet = r#"451-5["upload",{"_placeholder":true,"num":0}]"#;
        client.send_binary(packet, &[&[1, 2]]).await;
        let answer = r#"461-5[{"_placeholder":true,"num":0}]"#;
        client.expect_binary(answer, &[&[1, 2]]).await;
    }
}

/// Data that is not the contract's is refused as [`Data`](actix_socketio::Data) refuses it.
#[on_both_servers]
async fn data_that_breaks_the_contract_is_refused() {
    let server = start();
    let handler = |Typed(chat): Typed<Say>| async move {
        let number = u32::try_from(chat.text.len()).unwrap_or(u32::MAX);
        Receipt { number }
    };
    server.io.of("/").on_event(Say, handler);
    let mut client = Client::connected(&server, Via::WebSocket).await;
    client.send(r#"421["say",{"text":1}]"#).await;
    let answer = client.text().await;
    let expected = r#"431[{"error":"invalid event data: argument 1 cannot be read"#;
    assert!(answer.starts_with(expected), "{answer}");
    client.send(r#"422["say",{"text":"abc"}]"#).await;
    client.expect(r#"432[{"number":3}]"#).await;
}

/// Each way of sending writes the contract's name and data.
#[on_both_servers]
async fn every_sender_has_a_typed_twin() {
    let server = start();
    let io = server.io.clone();
    server.io.of("/").on("tell", move |socket: Socket| {
        let io = io.clone();
        async move {
            socket.emit_event(News, ("socket".to_owned(), 1)).await?;
            socket
                .everyone()
                .emit_event(News, ("all".to_owned(), 2))
                .await?;
            io.emit_event(News, ("server".to_owned(), 3)).await?;
            io.of("/")
                .emit_event(News, ("namespace".to_owned(), 4))
                .await?;
            socket.emit_event(Now, ()).await?;
            socket
                .emit_event(Upload, Bytes::from_static(&[9]).into())
                .await
        }
    });
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client.send(r#"42["tell"]"#).await;
        for (n, from) in ["socket", "all", "server", "namespace"].iter().enumerate() {
            client
                .expect(&format!(r#"42["news","{from}",{}]"#, n + 1))
                .await;
        }
        client.expect(r#"42["now"]"#).await;
        let packet = r#"451-["upload",{"_placeholder":true,"num":0}]"#;
        client.expect_binary(packet, &[&[9]]).await;
        client.expect_nothing_more("/").await;
        client.close().await;
    }
}

/// A call's answer is the contract's type; another one from the client is an error.
#[on_both_servers]
async fn a_typed_call_reads_its_answer() {
    let server = start();
    let (told, mut answers) = channel();
    server.io.of("/").on("go", move |socket: Socket| {
        let told = told.clone();
        async move {
            let answer = socket
                .timeout(LIMIT)
                .call_event(Ask, "age".to_owned())
                .await;
            let _ = told.send(answer.map(|receipt| receipt.number));
        }
    });
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client.send(r#"42["go"]"#).await;
        let call = client.text().await;
        let id = call
            .strip_prefix("42")
            .and_then(|rest| rest.strip_suffix(r#"["ask","age"]"#));
        let id = id.unwrap_or_else(|| panic!("{call}")).to_owned();
        client.send(&format!(r#"43{id}[{{"number":36}}]"#)).await;
        assert!(matches!(answers.next().await, Ok(36)));
        client.send(r#"42["go"]"#).await;
        let call = client.text().await;
        let id = call
            .trim_start_matches("42")
            .trim_end_matches(r#"["ask","age"]"#);
        client.send(&format!(r#"43{id}["thirty-six"]"#)).await;
        assert!(matches!(answers.next().await, Err(CallError::Answer(_))));
    }
}

/// A pattern of namespaces takes typed handlers too, and sends to all that it has made.
#[on_both_servers]
async fn patterns_of_namespaces_are_typed_too() {
    let server = start();
    let pattern = server.io.of_pattern("/shop-{id}").unwrap();
    pattern.on_event(Now, |_: Typed<Now>| async { Ok::<u32, String>(8) });
    let mut client = Client::open(&server, Via::WebSocket).await;
    client.connect_with("/shop-1", "").await.unwrap();
    client.send(r#"42/shop-1,1["now"]"#).await;
    client.expect("43/shop-1,1[8]").await;
    pattern
        .emit_event(News, ("sale".to_owned(), 1))
        .await
        .unwrap();
    client.expect(r#"42/shop-1,["news","sale",1]"#).await;
}
