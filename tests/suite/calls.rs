//! docs/semantics.md, Of the server's calls: a call ends with its value, `Timeout` or
//! `Disconnected`.

use std::time::Duration;

use actix_socketio::{CallError, EmitError, Socket, SocketIo};
use serde::Deserialize;
use tokio::task::JoinHandle;

use crate::support::socketio::{BOTH, Client, Via, start};
use crate::support::{Server, within};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);

async fn enter(server: &Server<SocketIo>, via: Via, namespace: &str) -> (Client, Socket) {
    let mut client = Client::open(server, via).await;
    let id = client.connect(namespace).await;
    let socket = server.io.of(namespace).socket(id.parse().unwrap());
    (client, socket.unwrap())
}

/// Calls `ask` with an argument, in a task of its own.
fn ask<R>(socket: &Socket, limit: Duration) -> JoinHandle<Result<R, CallError>>
where
    R: for<'de> Deserialize<'de> + Send + 'static,
{
    let socket = socket.clone();
    tokio::spawn(async move { socket.timeout(limit).call("ask", 1).await })
}

/// Reads the call that `ask` made, and returns its id.
async fn asked(client: &mut Client) -> u64 {
    let packet = client.text().await;
    let id = packet
        .strip_prefix("42")
        .and_then(|rest| rest.strip_suffix(r#"["ask",1]"#));
    id.unwrap_or_else(|| panic!("{packet}")).parse().unwrap()
}

async fn end<R>(call: JoinHandle<Result<R, CallError>>) -> Result<R, CallError> {
    within("a call to end", call).await.unwrap()
}

/// Socket.IO v5, Acknowledgement: the arguments of the ACK are the call's value.
#[on_both_servers]
async fn a_call_ends_with_its_value() {
    #[derive(Debug, Deserialize, PartialEq)]
    struct Answer {
        age: u8,
    }
    let server = start();
    for via in BOTH {
        let (mut client, socket) = enter(&server, via, "/").await;
        let call = ask::<Answer>(&socket, LONG);
        let id = asked(&mut client).await;
        client
            .send(&format!(r#"43{id}[{{"age":36}},"more"]"#))
            .await;
        assert_eq!(end(call).await.unwrap(), Answer { age: 36 });

        let call = ask::<(u8, Option<u8>)>(&socket, LONG);
        let id = asked(&mut client).await;
        client.send(&format!("43{id}[1]")).await;
        assert_eq!(end(call).await.unwrap(), (1, None));

        let call = ask::<()>(&socket, LONG);
        let id = asked(&mut client).await;
        client.send(&format!("43{id}[]")).await;
        end(call).await.unwrap();
    }
}

/// `emit_with_ack` waits as long as the server's `ack_timeout`.
#[on_both_servers]
async fn emit_with_ack_ends_with_its_value_or_the_servers_timeout() {
    let server = Server::socketio(|io| io.ack_timeout(Duration::from_secs(1)), |_| ());
    for via in BOTH {
        let (mut client, socket) = enter(&server, via, "/").await;
        let ask = || {
            let socket = socket.clone();
            tokio::spawn(async move { socket.call::<u8>("ask", 1).await })
        };
        let call = ask();
        let id = asked(&mut client).await;
        client.send(&format!("43{id}[7]")).await;
        assert_eq!(end(call).await.unwrap(), 7);
        let error = end(ask()).await.unwrap_err();
        assert!(matches!(error, CallError::Timeout), "{error}");
        asked(&mut client).await;
    }
}

/// Each call has an id of its own, and answers may come in any order.
#[on_both_servers]
async fn answers_may_come_in_any_order() {
    let server = start();
    for via in BOTH {
        let (mut client, socket) = enter(&server, via, "/").await;
        let first = ask::<u8>(&socket, LONG);
        let first_id = asked(&mut client).await;
        let second = ask::<u8>(&socket, LONG);
        let second_id = asked(&mut client).await;
        assert_ne!(first_id, second_id);
        client
            .send_all(&[&format!("43{second_id}[2]"), &format!("43{first_id}[1]")])
            .await;
        assert_eq!(end(first).await.unwrap(), 1);
        assert_eq!(end(second).await.unwrap(), 2);
    }
}

/// `CallError::Answer`: an answer of another type says which argument does not fit.
#[on_both_servers]
async fn an_answer_of_another_type_is_an_error_that_says_so() {
    let server = start();
    for via in BOTH {
        let (mut client, socket) = enter(&server, via, "/").await;
        for (answer, text) in [
            (
                r#"["x"]"#,
                "the acknowledgement cannot be read: argument 1 cannot be read: ",
            ),
            (
                "[]",
                "the acknowledgement cannot be read: argument 1 is missing",
            ),
        ] {
            let call = ask::<u8>(&socket, LONG);
            let id = asked(&mut client).await;
            client.send(&format!("43{id}{answer}")).await;
            let error = end(call).await.unwrap_err();
            assert!(matches!(error, CallError::Answer(_)), "{error}");
            assert!(error.to_string().starts_with(text), "{error}");
        }
    }
}

/// `CallError::Timeout`: a client that does not answer in time; its late answer means nothing.
#[on_both_servers]
async fn a_late_answer_is_ignored() {
    let server = start();
    for via in BOTH {
        let (mut client, socket) = enter(&server, via, "/").await;
        let error = end(ask::<u8>(&socket, SHORT)).await.unwrap_err();
        assert!(matches!(error, CallError::Timeout), "{error}");
        assert_eq!(error.to_string(), "the client did not acknowledge in time");
        let late = asked(&mut client).await;
        let call = ask::<u8>(&socket, LONG);
        let id = asked(&mut client).await;
        // Late, never asked for, twice.
        client
            .send_all(&[
                &format!("43{late}[1]"),
                "439999[1]",
                &format!("43{id}[2]"),
                &format!("43{id}[3]"),
            ])
            .await;
        assert_eq!(end(call).await.unwrap(), 2);
        client.expect_nothing_more("/").await;
    }
}

/// An answer belongs to the namespace and the socket that asked.
#[on_both_servers]
async fn an_answer_from_another_socket_is_ignored() {
    let server = start();
    server.io.of("/chat");
    for via in BOTH {
        let (mut client, socket) = enter(&server, via, "/").await;
        client.connect("/chat").await;
        let mut stranger = Client::connected(&server, via).await;
        let call = ask::<u8>(&socket, LONG);
        let id = asked(&mut client).await;
        stranger.send(&format!("43{id}[1]")).await;
        stranger.expect_nothing_more("/").await;
        client.send(&format!("43/chat,{id}[2]")).await;
        client.expect_nothing_more("/chat").await;
        client.send(&format!("43{id}[3]")).await;
        assert_eq!(end(call).await.unwrap(), 3);
    }
}

/// `CallError::Disconnected`: at once, not after the timeout, however the client goes.
#[on_both_servers]
async fn a_call_ends_at_once_if_its_client_disconnects() {
    let server = start();
    for via in BOTH {
        for way in ["41", "1", "49", "the server's doing", "abort"] {
            let (mut client, socket) = enter(&server, via, "/").await;
            let call = ask::<u8>(&socket, LONG);
            asked(&mut client).await;
            match way {
                "the server's doing" => socket.disconnect(false),
                "abort" if via == Via::WebSocket => drop(client),
                "abort" => client.abort_poll().await,
                packet => client.send(packet).await,
            }
            let error = end(call).await.unwrap_err();
            assert!(matches!(error, CallError::Disconnected), "{way}: {error}");
        }
    }
}

/// `CallError::Disconnected`: a socket that has gone is not asked at all.
#[on_both_servers]
async fn a_call_to_a_disconnected_socket_fails_at_once() {
    let server = start();
    let (_client, socket) = enter(&server, Via::WebSocket, "/").await;
    socket.disconnect(false);
    let error = end(ask::<u8>(&socket, LONG)).await.unwrap_err();
    assert!(matches!(error, CallError::Disconnected), "{error}");
}

/// `pending_calls`: the last that may wait, and the first that may not; one that ends makes room,
/// also where its future was dropped.
#[on_both_servers]
async fn one_call_more_than_the_limit_is_refused() {
    let server = Server::socketio(|io| io.pending_calls(2), |_| ());
    for via in BOTH {
        let (mut client, socket) = enter(&server, via, "/").await;
        let (_other_client, other) = enter(&server, via, "/").await;
        let first = ask::<u8>(&socket, LONG);
        let first_id = asked(&mut client).await;
        let second = ask::<u8>(&socket, LONG);
        asked(&mut client).await;
        let refused = end(ask::<u8>(&socket, LONG)).await.unwrap_err();
        assert!(
            matches!(refused, CallError::Emit(EmitError::TooManyCalls(2))),
            "{refused}"
        );
        assert_eq!(
            refused.to_string(),
            "too many calls wait for this socket, the limit is 2"
        );
        // The limit is each socket's own.
        let elsewhere = end(ask::<u8>(&other, SHORT)).await.unwrap_err();
        assert!(matches!(elsewhere, CallError::Timeout), "{elsewhere}");

        client.send(&format!("43{first_id}[1]")).await;
        assert_eq!(end(first).await.unwrap(), 1);
        let third = ask::<u8>(&socket, LONG);
        asked(&mut client).await;
        second.abort();
        assert!(second.await.unwrap_err().is_cancelled());
        let fourth = ask::<u8>(&socket, LONG);
        let id = asked(&mut client).await;
        client.send(&format!("43{id}[4]")).await;
        assert_eq!(end(fourth).await.unwrap(), 4);
        third.abort();
    }
}

/// `EmitError`: what cannot be sent fails before the client hears of it, and leaves no call behind.
#[on_both_servers]
async fn a_call_that_cannot_be_sent_fails_and_waits_for_nothing() {
    let server = Server::socketio(|io| io.pending_calls(1), |_| ());
    let (mut client, socket) = enter(&server, Via::WebSocket, "/").await;
    let reserved = socket.call::<()>("disconnect", ()).await.unwrap_err();
    assert_eq!(
        reserved.to_string(),
        r#"event name "disconnect" is reserved"#
    );
    let unwritable = std::collections::BTreeMap::from([((1, 2), 3)]);
    let unwritten = socket.call::<()>("ask", unwritable).await.unwrap_err();
    assert!(
        matches!(unwritten, CallError::Emit(EmitError::Encode(_))),
        "{unwritten}"
    );
    let call = ask::<u8>(&socket, LONG);
    let id = asked(&mut client).await;
    client.send(&format!("43{id}[1]")).await;
    assert_eq!(end(call).await.unwrap(), 1);
}

/// A handler may ask the client that it serves, and answer with what it learns.
#[on_both_servers]
async fn a_handler_may_call_its_own_client() {
    let server = start();
    server.io.of("/").on("sum", |socket: Socket| async move {
        let first: u32 = socket.call("ask", 1).await?;
        let second: u32 = socket.call("ask", 1).await?;
        Ok::<_, CallError>(first + second)
    });
    for via in BOTH {
        let (mut client, _) = enter(&server, via, "/").await;
        client.send(r#"425["sum"]"#).await;
        for number in [20, 22] {
            let id = asked(&mut client).await;
            client.send(&format!("43{id}[{number}]")).await;
        }
        client.expect("435[42]").await;
    }
}
