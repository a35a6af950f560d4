//! Sessions of a raw Engine.IO server, as the program sees them.

use std::sync::Arc;
use std::time::Duration;

use actix_socketio::{CloseReason, EngineIo, EngineMessage, EngineSession, ReadyState, Transport};

use crate::support::socketio::until;
use crate::support::{
    Heard, Polling, Received, Request, Server, WebSocket, channel, echo, recording, within,
};

/// Starts a server that sends every message back, and hears of its sessions.
fn opened() -> (Server<EngineIo>, Heard<EngineSession>) {
    let (told, sessions) = channel();
    let server = Server::engineio(move |engine| {
        echo(engine).on_open(move |session| {
            let _ = told.send(session);
            async {}
        })
    });
    (server, sessions)
}

/// `EngineIo::session`, `EngineIo::sessions`: those that are open, by their id.
#[on_both_servers]
async fn sessions_are_found_by_their_id() {
    let (server, mut sessions) = opened();
    let polling = Polling::open(&server).await;
    let first = sessions.next().await;
    assert_eq!(first.sid(), polling.sid());
    let mut socket = WebSocket::open(&server).await;
    let second = sessions.next().await;
    for session in [&first, &second] {
        assert_eq!(server.io.session(session.sid()).as_ref(), Some(session));
    }
    assert_ne!(first, second);
    assert_eq!(server.io.sessions().len(), 2);
    assert_eq!(server.io.session("nobody"), None);
    assert_eq!(server.io.session(&"A".repeat(20)), None);
    let hello = EngineMessage::Text("hello".into());
    server
        .io
        .session(second.sid())
        .unwrap()
        .send(&hello)
        .unwrap();
    socket.expect_text("4hello").await;
    drop(socket);
    until("the session to end", || {
        server.io.sessions() == [first.clone()]
    })
    .await;
    assert_eq!(server.io.session(second.sid()), None);
    assert_eq!(server.io.clients_count(), 1);
}

/// `EngineIoBuilder::on_open`: what is sent there is the first that the client gets.
#[on_both_servers]
async fn message_sent_by_on_open_is_delivered_first() {
    let server = Server::engineio(|engine| {
        echo(engine).on_open(|session: EngineSession| async move {
            let hello = EngineMessage::Text("hello".into());
            session.send(&hello).unwrap();
        })
    });
    let mut socket = WebSocket::open(&server).await;
    socket.send_text("4echo").await;
    socket.expect_text("4hello").await;
    socket.expect_text("4echo").await;
    let polling = Polling::open(&server).await;
    polling.expect(&["4hello"]).await;
}

/// `EngineSession::transport`, which changes with the upgrade.
#[on_both_servers]
async fn transport_of_a_session_changes_with_the_upgrade() {
    let (server, mut sessions) = opened();
    let _socket = WebSocket::open(&server).await;
    assert_eq!(sessions.next().await.transport(), Transport::WebSocket);
    let polling = Polling::open(&server).await;
    let session = sessions.next().await;
    assert_eq!(session.transport(), Transport::Polling);
    let mut socket = WebSocket::beside(&server, polling.sid()).await;
    socket.send_text("2probe").await;
    socket.expect_text("3probe").await;
    assert_eq!(session.transport(), Transport::Polling);
    socket.send_text("5").await;
    socket.send_text("4echo").await;
    socket.expect_text("4echo").await;
    assert_eq!(session.transport(), Transport::WebSocket);
}

/// `EngineSession::ready_state`: open, closing until the client has its last packets, closed.
#[on_both_servers]
async fn ready_state_follows_the_close_of_a_session() {
    let (server, mut sessions) = opened();
    let polling = Polling::open(&server).await;
    let session = sessions.next().await;
    assert_eq!(session.ready_state(), ReadyState::Open);
    session.send(&EngineMessage::Text("last".into())).unwrap();
    session.close();
    assert_eq!(session.ready_state(), ReadyState::Closing);
    until("it to be closing for all", || {
        server.io.clients_count() == 0
    })
    .await;
    assert_eq!(session.ready_state(), ReadyState::Closing);
    assert_eq!(server.io.session(session.sid()), None);
    polling.expect(&["4last", "1"]).await;
    let is_closed = || session.ready_state() == ReadyState::Closed;
    until("it to be closed", is_closed).await;
    assert!(session.send(&EngineMessage::Text("late".into())).is_err());

    let socket = WebSocket::open(&server).await;
    let session = sessions.next().await;
    assert_eq!(session.ready_state(), ReadyState::Open);
    drop(socket);
    let is_closed = || session.ready_state() == ReadyState::Closed;
    until("it to be closed", is_closed).await;
}

/// `EngineSession::insert_extension`: one value of each type, seen by all handles on the session, gone with
/// the last one.
#[on_both_servers]
async fn a_session_keeps_what_is_attached_to_it() {
    struct Name(&'static str);

    let (server, mut sessions) = opened();
    let polling = Polling::open(&server).await;
    let session = sessions.next().await;
    let again = server.io.session(polling.sid()).unwrap();
    assert!(again.extension::<Name>().is_none() && again.remove_extension::<Name>().is_none());
    assert!(session.insert_extension(Name("Ada")).is_none());
    assert_eq!(again.extension::<Name>().unwrap().0, "Ada");
    assert_eq!(again.insert_extension(Name("Grace")).unwrap().0, "Ada");
    assert!(again.extension::<u8>().is_none());
    assert_eq!(session.remove_extension::<Name>().unwrap().0, "Grace");
    let held = Arc::new(());
    session.insert_extension(Arc::clone(&held));
    polling.post(&["1"]).await;
    drop((session, again));
    until("the value to go", || Arc::strong_count(&held) == 1).await;
}

/// `EngineIo::close`: sessions get what was sent to them and the close, and new clients are refused.
#[on_both_servers]
async fn close_ends_all_sessions() {
    let (server, mut reasons) = recording(|engine| engine);
    let polling = Polling::open(&server).await;
    let mut socket = WebSocket::open(&server).await;
    for session in server.io.sessions() {
        session.send(&EngineMessage::Text("last".into())).unwrap();
    }
    let engine = server.io.clone();
    let limit = Duration::from_secs(60);
    let closing = tokio::spawn(async move { engine.close(limit).await });
    socket.expect_text("4last").await;
    socket.expect_closed(None).await;
    polling.expect(&["4last", "1"]).await;
    assert!(within("the close", closing).await.unwrap());
    for _ in 0..2 {
        assert_eq!(reasons.next().await, CloseReason::ServerShuttingDown);
    }
    assert_eq!(
        (server.io.clients_count(), server.io.sessions()),
        (0, vec![])
    );
    let refused = Request::get(server.address, &server.target("EIO=4&transport=polling"));
    refused
        .send()
        .await
        .expect(503, r#"{"message":"server shutting down"}"#);
}

/// `EngineIo::close` at its limit: a client that reads nothing does not hold it up for longer.
#[on_both_servers]
async fn close_has_an_end() {
    let gate = crate::support::held::Gate::default();
    let (told, mut begun) = channel();
    let server = Server::engineio(move |engine| {
        engine.on_message(move |_: EngineSession, _: EngineMessage| {
            let (told, gate) = (told.clone(), gate.clone());
            async move {
                let _ = told.send(());
                gate.pass().await;
            }
        })
    });
    let mut socket = WebSocket::open(&server).await;
    socket.send_text("4wait").await;
    begun.next().await;
    assert!(!within("the close", server.io.close(Duration::from_millis(200))).await);
    assert_eq!(socket.recv().await, Received::Close(None));
}
