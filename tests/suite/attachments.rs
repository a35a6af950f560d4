//! Attachments to clients: no packet has more than official clients take.

use std::time::Duration;

use actix_socketio::{Ack, ArgsError, Builder, Bytes, CallError, Data, Emit, EmitError};

use crate::support::Server;
use crate::support::socketio::{BOTH, Client, Peer, Via, start};

/// A value with this many attachments.
fn binary(attachments: usize) -> Vec<Bytes> {
    vec![Bytes::from_static(&[7]); attachments]
}

fn too_many(error: &EmitError, limit: usize) -> bool {
    let text = error.to_string();
    matches!(
        error,
        EmitError::Encode(ArgsError::TooManyAttachments { .. })
    ) && text.contains(&format!("{} attachments", limit + 1))
        && text.contains(&format!("the limit is {limit}"))
}

/// Official clients close the connection over a packet with more than ten attachments: as many as
/// `max_attachments` are sent, and one more is an error of whoever sends it, and of nobody else.
#[on_both_servers]
async fn one_attachment_more_than_the_limit_is_not_sent() {
    for (server, limit) in [
        (start(), 10),
        (Server::socketio(|io| io.max_attachments(2), |_| ()), 2),
    ] {
        let io = &server.io;
        for via in BOTH {
            let mut peer = Peer::enter(&server, via, &["r"]).await;
            let socket = peer.socket.clone();
            let room = io.of("/").room("r").await.unwrap();
            let (few, many) = (binary(limit), binary(limit + 1));
            let long = Duration::from_secs(60);
            let errors = [
                socket.emit("e", &many).await.unwrap_err(),
                socket.volatile().emit("e", &many).await.unwrap_err(),
                io.to("r").emit("e", &many).await.unwrap_err(),
                io.to("r")
                    .emit_with_ack::<()>("e", &many)
                    .await
                    .unwrap_err(),
                io.server()
                    .send(Emit::event("e", &many))
                    .await
                    .unwrap()
                    .unwrap_err(),
                room.send(Emit::event("e", &many))
                    .await
                    .unwrap()
                    .unwrap_err(),
                match socket.timeout(long).call::<()>("e", &many).await {
                    Err(CallError::Emit(error)) => error,
                    other => panic!("{other:?}"),
                },
            ];
            for error in errors {
                assert!(too_many(&error, limit), "{error}");
            }
            socket.emit("e", &few).await.unwrap();
            io.to("r").emit("e", &few).await.unwrap();
            for _ in 0..2 {
                let packet = peer.client.text().await;
                assert!(
                    packet.starts_with(&format!(r#"45{limit}-["e",["#)),
                    "{packet}"
                );
                for _ in 0..limit {
                    peer.client.next().await;
                }
            }
            peer.client.close().await;
            crate::support::socketio::until("it to leave", || io.of("/").count() == 0).await;
        }
    }
}

/// The same where events are kept for clients that come back.
#[on_both_servers]
async fn one_attachment_more_than_the_limit_is_not_kept_either() {
    let recovering = |io: Builder| io.connection_state_recovery(Duration::from_secs(60));
    let server = Server::socketio(recovering, |_| ());
    let mut client = Client::connected(&server, Via::WebSocket).await;
    let error = server.io.emit("e", binary(11)).await.unwrap_err();
    assert!(too_many(&error, 10), "{error}");
    server.io.emit("e", binary(10)).await.unwrap();
    let packet = client.text().await;
    assert!(packet.starts_with(r#"4510-["e",["#), "{packet}");
}

/// The same of an acknowledgement: a failure of its handler, and the client stays.
#[on_both_servers]
async fn one_attachment_more_than_the_limit_is_no_acknowledgement() {
    let server = start();
    let limit = 10;
    let namespace = server.io.of("/");
    namespace
        .on(
            "answer",
            |Data(count): Data<usize>| async move { binary(count) },
        )
        .on("ack", |Data(count): Data<usize>, ack: Ack| async move {
            ack.send(binary(count));
        });
    for via in BOTH {
        let mut peer = Peer::enter(&server, via, &[]).await;
        for event in ["answer", "ack"] {
            peer.client
                .send(&format!(r#"421["{event}",{}]"#, limit + 1))
                .await;
            peer.expect(r#"431[{"error":"the acknowledgement cannot be encoded"}]"#)
                .await;
        }
        // The last value that passes; nobody was disconnected.
        for event in ["answer", "ack"] {
            peer.client
                .send(&format!(r#"421["{event}",{limit}]"#))
                .await;
            let packet = peer.client.text().await;
            assert!(packet.starts_with(&format!("46{limit}-1[[")), "{packet}");
            for _ in 0..limit {
                peer.client.next().await;
            }
        }
    }
}
