//! Engine.IO v4, Upgrade: a stream of WebTransport takes a polling session over, or fails and leaves
//! it alone.

use std::time::Duration;

use actix_socketio::{Data, Limit, LimitHit, Socket, SocketIo};

use crate::support::webtransport::{Site, Stream, served};
use crate::support::{Polling, Request, WebSocket, channel, packets};

/// Engine.IO v4, Upgrade: `2probe` is answered with `3probe`, the waiting poll with a noop, and
/// after `5` the session is the stream's, both ways.
#[tokio::test]
async fn stream_takes_the_session_over() {
    let site = start();
    let session = joined(&site).await;
    let poll = session.waiting_poll().await;
    let mut stream = beside(&site, session.sid()).await;
    stream.send("2probe").await;
    stream.expect("3probe").await;
    assert_eq!(packets(&poll.response().await), ["6"]);
    session.post(&[r#"421["echo","queued"]"#]).await;
    stream.send("5").await;
    stream.expect(r#"431["queued"]"#).await;
    stream.send(r#"422["echo","after"]"#).await;
    stream.expect(r#"432["after"]"#).await;
    stream.send(r#"423["transport"]"#).await;
    stream.expect(r#"433["webtransport"]"#).await;
    assert_eq!(site.server.io.clients_count(), 1);
}

/// Engine.IO v4, Upgrade: anything but the probe ends the stream, and polling continues.
#[tokio::test]
async fn wrong_probe_ends_the_stream_alone() {
    let site = start();
    let session = joined(&site).await;
    for packet in ["2", "4hello", "6"] {
        let mut stream = beside(&site, session.sid()).await;
        stream.send(packet).await;
        assert_eq!(stream.closed().await, (0, String::new()), "{packet}");
    }
    session.post(&[r#"421["echo","on"]"#]).await;
    session.expect(&[r#"431["on"]"#]).await;
}

/// `upgrade_timeout`: so does a stream that does not probe in time.
#[tokio::test]
async fn stream_that_does_not_probe_in_time_ends_alone() {
    let timeout = Duration::from_millis(300);
    let (told, mut hits) = channel();
    let site = served(
        move |io| {
            io.upgrade_timeout(timeout)
                .on_limit(move |hit: &LimitHit<'_>| {
                    told.send((hit.limit(), hit.value())).unwrap();
                })
        },
        handlers,
    );
    let session = joined(&site).await;
    let stream = beside(&site, session.sid()).await;
    assert_eq!(stream.closed().await, (0, String::new()));
    assert_eq!(hits.next().await, (Limit::UpgradeTimeout, 300));
    session.post(&[r#"421["echo","on"]"#]).await;
    session.expect(&[r#"431["on"]"#]).await;
}

/// Reference server: one candidate at a time, of whatever transport.
#[tokio::test]
async fn second_candidate_is_closed() {
    let site = start();
    let session = joined(&site).await;
    let mut socket = WebSocket::beside(&site.server, session.sid()).await;
    socket.send_text("2probe").await;
    socket.expect_text("3probe").await;
    let second = beside(&site, session.sid()).await;
    second.closed().await;
    socket.send_text("5").await;
    socket.send_text(r#"421["echo","on"]"#).await;
    socket.expect_text(r#"431["on"]"#).await;
    let third = beside(&site, session.sid()).await;
    third.closed().await;
}

/// Engine.IO v4: a session that does not exist, or is on its last transport, is not found.
#[tokio::test]
async fn stream_of_an_unknown_session_is_closed() {
    let site = start();
    let stream = beside(&site, "AAAAAAAAAAAAAAAAAAAA").await;
    let unknown = (1, "Session ID unknown".to_owned());
    assert_eq!(stream.closed().await, unknown);
    let stream = beside(&site, "short").await;
    assert_eq!(stream.closed().await, unknown);
}

/// `allow_upgrades(false)`: no stream takes a session over.
#[tokio::test]
async fn upgrade_is_refused_if_upgrades_are_off() {
    let site = served(|io| io.allow_upgrades(false), handlers);
    let session = joined(&site).await;
    let stream = beside(&site, session.sid()).await;
    assert_eq!(stream.closed().await, (3, "Bad request".to_owned()));
    session.post(&[r#"421["echo","on"]"#]).await;
    session.expect(&[r#"431["on"]"#]).await;
}

/// Engine.IO v4, Upgrade: a session of the third revision cannot use the transport.
#[tokio::test]
async fn session_of_the_third_revision_is_not_upgraded() {
    let site = served(|io| io.allow_eio3(true), handlers);
    let target = site.server.target("EIO=3&transport=polling");
    let request = Request::get(site.server.address, &target);
    let text = request.send().await.text().to_owned();
    let json = &text[text.find('{').unwrap()..];
    assert!(json.contains(r#""upgrades":["websocket"]"#), "{json}");
    let sid = json.split('"').nth(3).unwrap();
    let stream = beside(&site, sid).await;
    assert_eq!(stream.closed().await, (3, "Bad request".to_owned()));
}

/// `max_sessions`, `sessions_per_address`: an upgrade is no new client.
#[tokio::test]
async fn limits_of_new_clients_do_not_apply_to_an_upgrade() {
    let site = served(|io| io.max_sessions(1).sessions_per_address(1), handlers);
    let session = joined(&site).await;
    let mut stream = beside(&site, session.sid()).await;
    stream.send("2probe").await;
    stream.expect("3probe").await;
    stream.send("5").await;
    stream.send(r#"421["echo","on"]"#).await;
    stream.expect(r#"431["on"]"#).await;
}

fn start() -> Site {
    served(|io| io, handlers)
}

fn handlers(io: &SocketIo) {
    io.of("/")
        .on("echo", |Data(text): Data<String>| async move { text })
        .on("transport", |socket: Socket| async move {
            socket.transport().as_str()
        });
}

/// Opens a session on polling, and joins `/`.
async fn joined(site: &Site) -> Polling {
    let session = Polling::open(&site.server).await;
    session.post(&["40"]).await;
    let packets = session.poll().await;
    assert!(packets[0].starts_with(r#"40{"sid":"#), "{packets:?}");
    session
}

/// Opens a stream that requests a session.
async fn beside(site: &Site, sid: &str) -> Stream {
    let mut stream = site.stream().await;
    stream.send(&format!(r#"0{{"sid":"{sid}"}}"#)).await;
    stream
}
