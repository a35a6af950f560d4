//! docs/operations.md, Logins: a login that ends is warned of, may be renewed, and otherwise
//! disconnects its client.

use std::time::{Duration, SystemTime};

#[cfg(feature = "redis")]
use actix_socketio::Auth;
#[cfg(feature = "testing")]
use actix_socketio::ConnectError;
use actix_socketio::{Builder, Data, Socket, SocketIo};
use serde_json::Value;

#[cfg(feature = "redis")]
use crate::support::redis::{Format, Redis};
use crate::support::socketio::{BOTH, Client, Peer, Via, find, leavers, until};
use crate::support::{Heard, Server, channel};

const SHORT: Duration = Duration::from_millis(400);
const LONG: Duration = Duration::from_secs(3600);

fn after(time: Duration) -> SystemTime {
    SystemTime::now() + time
}

/// Returns the time as it is kept for recovery.
fn in_millis(time: SystemTime) -> SystemTime {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let millis = u64::try_from(since.as_millis()).unwrap();
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

/// Starts a server that warns a client this long before the end of its login.
fn start(lead: Duration) -> Server<SocketIo> {
    let build = move |io: Builder| io.expiry_warning(lead);
    Server::socketio(build, |_| ())
}

/// Reads the next packet, which must be the warning; returns the end, and the time until then.
async fn warning(client: &mut Client, event: &str) -> (u64, u64) {
    let packet = client.text().await;
    let (name, at): (String, Value) = serde_json::from_str(&packet[2..]).unwrap();
    assert_eq!(name, event, "{packet}");
    let millis = |key: &str| at[key].as_u64().unwrap_or_else(|| panic!("{packet}"));
    (millis("expiresAt"), millis("expiresIn"))
}

async fn expect_expired(client: &mut Client, left: &mut Heard<&'static str>) {
    let told = r#"42["disconnect_reason",{"reason":"login expired"}]"#;
    client.expect(told).await;
    client.expect("41").await;
    assert_eq!(left.next().await, "login expired");
}

/// The warning, the reason, and the disconnect; other sockets of the client stay.
#[on_both_servers]
async fn a_login_is_warned_of_and_ends() {
    let server = start(SHORT / 2);
    server.io.of("/chat");
    let mut left = leavers(&server.io.of("/"));
    for via in BOTH {
        let Peer { mut client, socket } = Peer::enter(&server, via, &[]).await;
        client.connect("/chat").await;
        assert_eq!(socket.expiry(), None);
        let end = after(SHORT);
        socket.expires_at(end);
        assert_eq!(socket.expiry(), Some(end));
        let (at, left_over) = warning(&mut client, "login_expiring").await;
        let since = end.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(u128::from(at), since.as_millis());
        assert!(
            u128::from(left_over) <= (SHORT / 2).as_millis(),
            "{left_over}"
        );
        expect_expired(&mut client, &mut left).await;
        assert!(SystemTime::now() >= end);
        client.expect_nothing_more("/chat").await;
    }
}

/// A connect handler may set a time that is near: the client is warned after its CONNECT packet.
#[on_both_servers]
async fn a_login_that_is_short_is_warned_of_at_once() {
    let build = |io: Builder| io.expiry_event("renew please").expiry_warning(LONG);
    let server = Server::socketio(build, |_| ());
    let mut left = leavers(&server.io.of("/"));
    server.io.of("/").on_connect(|socket: Socket| async move {
        socket.expires_at(after(SHORT));
    });
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        warning(&mut client, "renew please").await;
        expect_expired(&mut client, &mut left).await;
    }
}

/// A time that has passed: the client is refused if it is not connected yet.
#[on_both_servers]
async fn a_login_that_has_ended_is_refused_or_disconnected() {
    let server = start(LONG);
    let mut left = leavers(&server.io.of("/"));
    let Peer { mut client, socket } = Peer::enter(&server, Via::Polling, &[]).await;
    socket.expires_at(after(Duration::ZERO) - LONG);
    expect_expired(&mut client, &mut left).await;
    server.io.of("/").on_connect(|socket: Socket| async move {
        socket.expires_at(after(Duration::ZERO) - LONG);
        std::future::pending::<()>().await;
    });
    let refused = client.connect_with("/", "").await;
    assert_eq!(refused.unwrap_err(), r#"{"message":"login expired"}"#);
}

/// Without a lead there is no warning; `None` is no end.
#[on_both_servers]
async fn a_login_without_an_end_stays() {
    let server = start(Duration::ZERO);
    let mut left = leavers(&server.io.of("/"));
    let mut stays = Peer::enter(&server, Via::WebSocket, &[]).await;
    stays.socket.expires_at(after(SHORT));
    stays.socket.expires_at(None);
    stays.socket.expires_at(None);
    assert_eq!(stays.socket.expiry(), None);
    let Peer { mut client, socket } = Peer::enter(&server, Via::WebSocket, &[]).await;
    socket.expires_at(after(SHORT));
    expect_expired(&mut client, &mut left).await;
    stays.expect_nothing_more().await;
}

/// A call of the client renews: the rooms stay, and the client is warned of the next end.
#[on_both_servers]
async fn a_client_renews_its_login_by_a_call() {
    let server = start(SHORT / 2);
    let mut left = leavers(&server.io.of("/"));
    server
        .io
        .of("/")
        .on("renew", |socket: Socket, Data(ms): Data<u64>| async move {
            socket.expires_at(after(Duration::from_millis(ms)));
        });
    let Peer { mut client, socket } = Peer::enter(&server, Via::WebSocket, &["a"]).await;
    socket.expires_at(after(SHORT));
    let (first, _) = warning(&mut client, "login_expiring").await;
    client.send(r#"421["renew",600]"#).await;
    client.expect("431[]").await;
    let (second, _) = warning(&mut client, "login_expiring").await;
    assert!(second > first);
    server.io.to("a").emit("still here", ()).await.unwrap();
    client.expect(r#"42["still here"]"#).await;
    expect_expired(&mut client, &mut left).await;
}

/// `on_expiring` is called with the warning, and may call the client.
#[on_both_servers]
async fn a_program_renews_the_login_when_it_is_warned() {
    let server = start(SHORT / 2);
    let (failed, mut failures) = channel();
    server.io.of("/").on_error(move |failure| {
        let _ = failed.send(failure.event().to_owned());
        None::<Value>
    });
    server.io.of("/").on_expiring(|socket: Socket| async move {
        if socket
            .call::<bool>("still there?", ())
            .await
            .is_ok_and(|is| is)
        {
            socket.expires_at(after(LONG));
            return Ok(());
        }
        Err("nobody is there")
    });
    let mut left = leavers(&server.io.of("/"));
    for via in BOTH {
        for is_there in [true, false] {
            let Peer { mut client, socket } = Peer::enter(&server, via, &[]).await;
            let end = after(SHORT);
            socket.expires_at(end);
            warning(&mut client, "login_expiring").await;
            let call = client.text().await;
            let (id, _) = call[2..].split_once('[').unwrap();
            client.send(&format!("43{id}[{is_there}]")).await;
            if is_there {
                until("the login to be renewed", || socket.expiry() > Some(end)).await;
                client.expect_nothing_more("/").await;
                client.close().await;
                assert_eq!(left.next().await, "transport close");
            } else {
                assert_eq!(failures.next().await, "expiring");
                expect_expired(&mut client, &mut left).await;
            }
        }
    }
}

/// Reads a CONNECT packet of a namespace with recovery.
fn secret(packet: &str) -> (String, String) {
    let read: Value = serde_json::from_str(packet.strip_prefix("40").unwrap()).unwrap();
    let text = |key: &str| read[key].as_str().unwrap().to_owned();
    (text("sid"), text("pid"))
}

async fn enter(server: &Server<SocketIo>, auth: &str) -> (Client, String, String) {
    let mut client = Client::open(server, Via::WebSocket).await;
    client.send(&format!("40{auth}")).await;
    let packet = client.text().await;
    let (sid, pid) = secret(&packet);
    (client, sid, pid)
}

/// A recovered client keeps the end of its login, and one whose login has ended is not recovered.
#[on_both_servers]
async fn a_login_that_has_ended_is_not_recovered() {
    let build = |io: Builder| io.connection_state_recovery(LONG).expiry_warning(SHORT / 2);
    let server = Server::socketio(build, |_| ());
    let mut left = leavers(&server.io.of("/"));
    for ends in [false, true] {
        let (client, sid, pid) = enter(&server, "").await;
        let end = in_millis(after(SHORT * 2));
        find(&server.io.of("/"), &sid).expires_at(end);
        drop(client);
        assert_eq!(left.next().await, "transport close");
        if ends {
            until("the login to end", || SystemTime::now() >= end).await;
        }
        let (mut client, again, _) = enter(&server, &format!(r#"{{"pid":"{pid}"}}"#)).await;
        assert_eq!(again == sid, !ends);
        let socket = find(&server.io.of("/"), &again);
        assert_eq!(socket.expiry(), (!ends).then_some(end));
        if !ends {
            warning(&mut client, "login_expiring").await;
            expect_expired(&mut client, &mut left).await;
        }
    }
}

/// The record of a client carries the end of its login to other nodes.
#[cfg(feature = "redis")]
#[on_both_servers]
async fn a_login_that_has_ended_is_not_recovered_by_another_node() {
    let redis = Redis::start();
    for format in Format::with_streams() {
        let build = |io: Builder| {
            let io = io.connection_state_recovery(LONG);
            io.expiry_warning(Duration::ZERO)
        };
        let node = || format.node(&redis, build);
        let [here, there] = [node().await, node().await];
        // From the connect on, so that every record of the client has the end.
        let log_in = |socket: Socket, Auth(auth): Auth<Value>| async move {
            let end = auth["end"].as_u64().map(Duration::from_millis);
            socket.expires_at(end.map(|end| SystemTime::UNIX_EPOCH + end));
        };
        here.io.of("/").on_connect(log_in);
        for ends in [false, true] {
            let end = in_millis(after(if ends { SHORT * 2 } else { LONG }));
            let millis = end.duration_since(SystemTime::UNIX_EPOCH).unwrap();
            let auth = format!(r#"{{"end":{}}}"#, millis.as_millis());
            let (mut client, sid, pid) = enter(&here, &auth).await;
            // With an offset of the cluster.
            let offset = loop {
                here.io.emit("offset", ()).await.unwrap();
                let packet = client.text().await;
                let (_, offset): (String, String) = serde_json::from_str(&packet[2..]).unwrap();
                if offset.contains('.') {
                    break offset;
                }
            };
            drop(client);
            until("the socket to end", || here.io.of("/").count() == 0).await;
            if ends {
                until("the login to end", || SystemTime::now() >= end).await;
            }
            let auth = format!(r#"{{"pid":"{pid}","offset":"{offset}"}}"#);
            let (client, again, _) = enter(&there, &auth).await;
            assert_eq!(again == sid, !ends, "{format:?}");
            let socket = find(&there.io.of("/"), &again);
            assert_eq!(socket.expiry(), (!ends).then_some(end), "{format:?}");
            drop(client);
            until("the socket to end", || there.io.of("/").count() == 0).await;
        }
    }
}

/// A test that pauses the time moves the ends of logins too.
#[cfg(feature = "testing")]
#[actix_rt::test]
async fn a_paused_clock_moves_the_ends_of_logins() {
    use actix_socketio::testing::{TestClient, advance, pause_time};
    pause_time();
    let io = SocketIo::builder().start().unwrap();
    io.of("/").on_connect(|socket: Socket| async move {
        socket.expires_at(after(LONG));
        Ok::<_, ConnectError>(())
    });
    let client = TestClient::connect(&io).await.unwrap();
    advance(LONG - Duration::from_secs(40)).await;
    assert!(client.received().await.is_empty());
    advance(Duration::from_secs(20)).await;
    assert_eq!(client.received().await[0].name(), "login_expiring");
    advance(Duration::from_secs(25)).await;
    assert_eq!(client.received().await[0].name(), "disconnect_reason");
}
