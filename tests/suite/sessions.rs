//! The data that a program keeps for a client: extensions of a socket by type, and its session by
//! key.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use actix_socketio::{
    Data, DisconnectReason, Extension, Namespace, Session, SessionError, SessionScope, Socket,
    SocketIo,
};
use serde_json::{Value, json};

use crate::support::socketio::{BOTH, Client, Via, start};
use crate::support::{Server, channel};

struct Nick(&'static str);

/// Socket data: attached once, found by every later handler of the socket, by its type.
#[on_both_servers]
async fn an_extension_is_found_by_later_handlers_and_by_no_other_socket() {
    let server = start();
    for name in ["/", "/chat"] {
        server
            .io
            .of(name)
            .on("name", |socket: Socket| async move {
                let before = socket.insert_extension(Nick("Ada"));
                socket.insert_extension(AtomicU32::new(1));
                before.map(|nick| nick.0)
            })
            .on("whoami", |nick: Extension<Nick>| async move { nick.0 })
            .on("count", |count: Extension<AtomicU32>| async move {
                count.fetch_add(1, Ordering::Relaxed)
            })
            .on("forget", |socket: Socket| async move {
                socket.remove_extension::<Nick>().map(|nick| nick.0)
            });
    }
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client.send(r#"421["name"]"#).await;
        client.expect("431[null]").await;
        client.send(r#"422["name"]"#).await;
        client.expect(r#"432["Ada"]"#).await;
        client.send(r#"423["whoami"]"#).await;
        client.expect(r#"433["Ada"]"#).await;
        for (id, count) in [(4, 1), (5, 2)] {
            client.send(&format!(r#"42{id}["count"]"#)).await;
            client.expect(&format!("43{id}[{count}]")).await;
        }
        client.connect("/chat").await;
        client.send(r#"42/chat,6["forget"]"#).await;
        client.expect("43/chat,6[null]").await;
        client.send(r#"427["forget"]"#).await;
        client.expect(r#"437["Ada"]"#).await;
    }
}

/// Socket data: a handler that asks for what is not there does not run, and says what to do.
#[on_both_servers]
async fn a_missing_extension_is_answered_with_what_to_do() {
    let server = start();
    server
        .io
        .of("/")
        .on("whoami", |nick: Extension<Nick>| async move { nick.0 });
    let mut client = Client::connected(&server, Via::WebSocket).await;
    client.send(r#"421["whoami"]"#).await;
    let answer = client.text().await;
    assert!(
        answer.starts_with(r#"431[{"error":"the socket has no extension of type "#)
            && answer.contains("Nick: insert it by socket.insert_extension(..)"),
        "{answer}"
    );
}

/// Socket data: dropped when the socket and its last handle have gone.
#[on_both_servers]
async fn an_extension_is_freed_with_its_socket() {
    struct Told(tokio::sync::mpsc::UnboundedSender<&'static str>);

    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.send("dropped");
        }
    }

    let server = start();
    let (told, mut heard) = channel();
    let leaving = told.clone();
    server
        .io
        .of("/")
        .on("attach", move |socket: Socket| {
            socket.insert_extension(Told(told.clone()));
            async { "attached" }
        })
        .on_disconnect(move |data: Extension<Told>| {
            let leaving = leaving.clone();
            async move {
                let _ = (leaving.send("left"), data);
            }
        });
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client.send(r#"421["attach"]"#).await;
        client.expect(r#"431["attached"]"#).await;
        assert!(heard.so_far().is_empty());
        client.close().await;
        assert_eq!(heard.next().await, "left");
        assert_eq!(heard.next().await, "dropped");
    }
}

/// Session: a client has one in all its namespaces, as in Flask-SocketIO.
#[on_both_servers]
async fn a_session_is_shared_by_the_namespaces_of_one_client_only() {
    let server = Server::socketio(|builder| builder, both_namespaces);
    for via in BOTH {
        let mut client = two_namespaces(&server, via).await;
        client.send(r#"421["set","name","Ada"]"#).await;
        client.expect("431[null]").await;
        client.send(r#"42/chat,2["all"]"#).await;
        client.expect(r#"43/chat,2[{"name":"Ada"}]"#).await;
        client.send(r#"42/chat,3["clear"]"#).await;
        client.expect("43/chat,3[]").await;
        client.send(r#"424["all"]"#).await;
        client.expect("434[{}]").await;
        client.send(r#"425["set","name","Ada"]"#).await;
        client.expect("435[null]").await;
        let mut other = Client::connected(&server, via).await;
        other.send(r#"421["all"]"#).await;
        other.expect("431[{}]").await;
    }
}

/// Session: with `SessionScope::Namespace` there is one for each socket, which ends with it.
#[on_both_servers]
async fn a_session_of_a_namespace_is_seen_in_no_other_and_ends_with_its_socket() {
    let scoped = |builder: actix_socketio::Builder| builder.session_scope(SessionScope::Namespace);
    let server = Server::socketio(scoped, both_namespaces);
    for via in BOTH {
        let mut client = two_namespaces(&server, via).await;
        client.send(r#"421["set","name","Ada"]"#).await;
        client.expect("431[null]").await;
        client.send(r#"42/chat,2["all"]"#).await;
        client.expect("43/chat,2[{}]").await;
        client.send(r#"423["all"]"#).await;
        client.expect(r#"433[{"name":"Ada"}]"#).await;
        client.send("41").await;
        client.connect("/").await;
        client.send(r#"424["all"]"#).await;
        client.expect("434[{}]").await;
    }
}

/// Session: connect, event and disconnect handlers have the same; so has a handle outside of them.
#[on_both_servers]
async fn every_kind_of_handler_has_the_session() {
    let server = start();
    let (told, mut heard) = channel();
    let root = server.io.of("/");
    root.on_connect(|session: Session| async move { session.insert("connects", 1) })
        .on("see", |session: Session| async move {
            session.get::<u32>("connects")
        })
        .on_disconnect(move |session: Session, _: DisconnectReason| {
            let _ = told.send(session.entries());
            async {}
        });
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        let id = client.connect("/").await;
        client.send(r#"421["see"]"#).await;
        client.expect("431[1]").await;
        let socket = root.socket(id.parse().unwrap()).unwrap();
        socket.session().insert("outside", true).unwrap();
        client.close().await;
        let last = BTreeMap::from(
            [("connects", json!(1)), ("outside", json!(true))]
                .map(|(key, value)| (key.to_owned(), value)),
        );
        assert_eq!(heard.next().await, last);
    }
}

/// Session: a value of another type is the handler's error, and names its key.
#[on_both_servers]
async fn a_session_value_of_another_type_is_an_error_that_names_the_key() {
    let server = Server::socketio(|builder| builder, both_namespaces);
    server
        .io
        .of("/")
        .on("number", |session: Session| async move {
            session.get::<u8>("name")
        });
    let mut client = Client::connected(&server, Via::WebSocket).await;
    client.send(r#"421["set","name","Ada"]"#).await;
    client.expect("431[null]").await;
    client.send(r#"422["number"]"#).await;
    let answer = client.text().await;
    let expected = r#"432[{"error":"session value \"name\" cannot be read: invalid type"#;
    assert!(answer.starts_with(expected), "{answer}");
}

/// Session: it may be used from any thread while handlers use it.
#[on_both_servers]
async fn a_session_takes_writes_of_many_threads() {
    let server = start();
    let client = &mut Client::open(&server, Via::WebSocket).await;
    let id = client.connect("/").await;
    let socket = server.io.of("/").socket(id.parse().unwrap()).unwrap();
    let session = Arc::new(socket.session());
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let session = Arc::clone(&session);
            std::thread::spawn(move || {
                for n in 0..100 {
                    session.insert(format!("{thread}.{n}"), n).unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(socket.session().keys().len(), 800);
}

/// Registers `set`, `all` and `clear` in `/` and in `/chat`.
fn both_namespaces(io: &SocketIo) {
    for name in ["/", "/chat"] {
        values(&io.of(name));
    }
}

fn values(namespace: &Namespace) {
    namespace
        .on("set", set)
        .on("all", |session: Session| async move { session.entries() })
        .on("clear", |session: Session| async move { session.clear() });
}

async fn set(
    session: Session,
    Data((key, value)): Data<(String, Value)>,
) -> Result<Option<Value>, SessionError> {
    let before = session.get(&key)?;
    session.insert(key, value)?;
    Ok(before)
}

async fn two_namespaces(server: &Server<SocketIo>, via: Via) -> Client {
    let mut client = Client::connected(server, via).await;
    client.connect("/chat").await;
    client
}
