//! docs/semantics.md, Slow clients: events, calls and bursts of other nodes.

use std::time::Duration;

use actix_socketio::{Builder, Data, EmitError, SocketIo};

use crate::support::redis::{Format, Redis, connected};
use crate::support::socketio::{BOTH, Client, Via, leavers};
use crate::support::{Server, within};

/// Starts a node with these options.
async fn node(format: Format, redis: &Redis, build: fn(Builder) -> Builder) -> Server<SocketIo> {
    let adapter = format.adapter(redis);
    let node = Server::socketio(move |io| build(io.adapter(adapter)), |_| ());
    connected(&node.io).await;
    node
}

/// With the default options, an event of more than 1 MiB reaches clients of other nodes that have
/// nothing waiting, and so does a call.
#[on_both_servers]
async fn a_packet_above_the_limit_reaches_idle_clients_of_other_nodes() {
    let redis = Redis::start();
    let data = "x".repeat(1_100_000);
    for format in Format::ALL {
        let (here, there) = (
            node(format, &redis, |io| io).await,
            node(format, &redis, |io| io).await,
        );
        let mut leavers = leavers(&there.io.of("/"));
        for via in BOTH {
            let mut client = Client::open(&there, via).await;
            let id = client.connect("/").await;
            here.io.emit("e", &data).await.unwrap();
            client.expect(&format!(r#"42["e","{data}"]"#)).await;
            here.io.to(&id).emit("e", &data).await.unwrap();
            client.expect(&format!(r#"42["e","{data}"]"#)).await;
            if format != Format::Flask {
                let io = here.io.clone();
                let data = data.clone();
                let call = tokio::spawn(async move {
                    let asked = io.to(id).timeout(Duration::from_secs(5));
                    asked.call::<u8>("ask", data).await
                });
                let packet = client.text().await;
                let ack = packet["42".len()..].split('[').next().unwrap();
                client.send(&format!("43{ack}[1]")).await;
                let answer = within("the answer", call).await.unwrap();
                assert_eq!(answer.unwrap(), 1, "{format:?}");
            }
            assert_eq!(leavers.so_far(), [] as [&str; 0], "{format:?}");
            client.close().await;
            leavers.next().await;
        }
    }
}

/// A burst of events of another node reaches all who read.
#[on_both_servers]
async fn a_burst_of_another_node_reaches_all_reading_clients() {
    const EVENTS: usize = 2000;
    let redis = Redis::start();
    let data = "x".repeat(1000);
    for format in Format::ALL {
        let build = |io: Builder| io.outbox_limit(64 * 1024).packet_limit(512 * 1024);
        let (here, there) = (
            node(format, &redis, build).await,
            node(format, &redis, build).await,
        );
        let mut leavers = leavers(&there.io.of("/"));
        let burst = data.clone();
        here.io.of("/").on(
            "burst",
            move |Data(events): Data<usize>, io: actix_socketio::Socket| {
                let data = burst.clone();
                async move {
                    for number in 0..events {
                        io.broadcast().emit("b", (number, &data)).await?;
                    }
                    Ok::<_, EmitError>(())
                }
            },
        );
        let mut reader = Client::connected(&there, Via::WebSocket).await;
        let mut speaker = Client::connected(&here, Via::WebSocket).await;
        speaker.send(&format!(r#"421["burst",{EVENTS}]"#)).await;
        speaker.expect("431[]").await;
        for number in 0..EVENTS {
            reader
                .expect(&format!(r#"42["b",{number},"{data}"]"#))
                .await;
        }
        assert_eq!(leavers.so_far(), [] as [&str; 0], "{format:?}");
    }
}
