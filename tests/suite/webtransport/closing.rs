//! docs/semantics.md, The end of a session: on WebTransport, by either side.

use std::net::UdpSocket;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use actix_socketio::{AppServerHandle, Data, Socket, SocketIo};
use actix_web::App;
use actix_web::rt::System;
use tokio::runtime;
use wtransport::VarInt;

use crate::support::socketio::leavers;
use crate::support::webtransport::{Stream, client, served, server_config};
use crate::support::{PATIENCE, channel, within};

/// `Socket::disconnect`: the last packets arrive, then the session is closed without an error.
#[tokio::test]
async fn server_sends_the_last_packets_and_closes() {
    let site = served(
        |io| io,
        |io| {
            io.of("/").on("leave", |socket: Socket| async move {
                socket.emit("bye", "x".repeat(100_000)).await.unwrap();
                socket.disconnect(true);
            });
        },
    );
    let mut left = leavers(&site.server.io.of("/"));
    let (mut stream, _) = site.connected().await;
    stream.send(r#"42["leave"]"#).await;
    let bye = format!(r#"42["bye","{}"]"#, "x".repeat(100_000));
    stream.expect(&bye).await;
    stream.expect("41").await;
    assert_eq!(stream.next().await, None, "the end of the stream");
    assert_eq!(stream.closed().await, (0, String::new()));
    assert_eq!(left.next().await, "server namespace disconnect");
    assert_eq!(site.server.io.clients_count(), 0);
}

/// Engine.IO v4: the client closes its connection, and its last packets are handled.
#[tokio::test]
async fn client_closes_after_its_last_packets() {
    let (told, mut heard) = channel();
    let site = served(
        |io| io,
        move |io| {
            io.of("/").on("last", move |Data(n): Data<u32>| {
                told.send(n).unwrap();
                async {}
            });
        },
    );
    let mut left = leavers(&site.server.io.of("/"));
    let (mut stream, _) = site.connected().await;
    for n in 0..100 {
        stream.send(&format!(r#"42["last",{n}]"#)).await;
    }
    stream.send.finish().await.unwrap();
    for n in 0..100 {
        assert_eq!(heard.next().await, n);
    }
    assert_eq!(left.next().await, "transport close");
    stream.closed().await;

    let (stream, _) = site.connected().await;
    stream.connection.close(VarInt::from_u32(0), b"");
    assert_eq!(left.next().await, "transport close");

    let (stream, _) = site.connected().await;
    drop(stream);
    assert_eq!(left.next().await, "transport close");
}

/// Engine.IO v4, Packet `1`: the client closes the session.
#[tokio::test]
async fn close_packet_ends_the_session() {
    let site = served(|io| io, |_| ());
    let mut left = leavers(&site.server.io.of("/"));
    let (mut stream, _) = site.connected().await;
    stream.send("1").await;
    assert_eq!(left.next().await, "transport close");
    stream.closed().await;
}

/// Engine.IO v4, Heartbeat: the server pings, and closes a session without a pong.
#[tokio::test]
async fn session_without_a_pong_is_closed() {
    let ping = Duration::from_millis(200);
    let site = served(move |io| io.ping_interval(ping).ping_timeout(ping), |_| ());
    let mut left = leavers(&site.server.io.of("/"));
    let (mut stream, _) = site.connected().await;
    for _ in 0..3 {
        stream.expect("2").await;
        stream.send("3").await;
    }
    stream.expect("2").await;
    assert_eq!(left.next().await, "ping timeout");
    stream.closed().await;
}

/// Engine.IO v4, Heartbeat: a client whose network is lost says nothing, and is missed by the ping.
#[tokio::test]
async fn lost_connection_is_noticed_by_the_heartbeat() {
    let ping = Duration::from_millis(200);
    let site = served(move |io| io.ping_interval(ping).ping_timeout(ping), |_| ());
    let mut left = leavers(&site.server.io.of("/"));
    // A runtime that stops sends nothing more.
    let address = site.address;
    let other = thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let stream = runtime.block_on(async {
            let url = format!("https://{address}/socket.io/");
            let endpoint = client();
            let connection = endpoint.connect(url).await.unwrap();
            let mut stream = Stream::on(connection).await;
            stream.send("0").await;
            stream.text().await;
            stream.connect().await;
            (stream, endpoint)
        });
        (runtime, stream)
    });
    let (runtime, stream) = other.join().unwrap();
    assert_eq!(left.next().await, "ping timeout");
    // Both would say goodbye.
    std::mem::forget(stream);
    runtime.shutdown_background();
}

/// A packet that is none closes the session.
#[tokio::test]
async fn invalid_packet_closes_the_session() {
    let site = served(|io| io, |_| ());
    let mut left = leavers(&site.server.io.of("/"));
    let cases: [(&[u8], &str); 4] = [
        (&[1, b'x'], "parse error"),
        // Without a byte.
        (&[0], "transport error"),
        (&[0x80], "transport error"),
        // No UTF-8.
        (&[2, b'4', 0xFF], "transport error"),
    ];
    for (bytes, reason) in cases {
        let (mut stream, _) = site.connected().await;
        stream.write(bytes).await;
        assert_eq!(left.next().await, reason, "{bytes:?}");
        assert_eq!(stream.closed().await, (0, String::new()));
    }
}

/// `SocketIo::close`: clients get their last packets and the close, and new ones are refused.
#[tokio::test]
async fn server_that_stops_closes_the_sessions() {
    let site = served(|io| io, |_| ());
    let mut left = leavers(&site.server.io.of("/"));
    let (mut stream, _) = site.connected().await;
    let unopened = site.stream().await;
    let io = site.server.io.clone();
    io.emit("last", 1).await.unwrap();
    let closing = tokio::spawn(async move { io.close(PATIENCE).await });
    assert_eq!(left.next().await, "server shutting down");
    stream.expect(r#"42["last",1]"#).await;
    assert_eq!(stream.next().await, None);
    assert_eq!(stream.closed().await, (0, String::new()));
    assert!(within("the server to close", closing).await.unwrap());

    assert!(site.request().await.is_err());
    let mut unopened = unopened;
    unopened.send("0").await;
    assert_eq!(
        unopened.closed().await,
        (0, "server shutting down".to_owned())
    );
}

/// `AppServerHandle::stop`: it waits for the clients of WebTransport, and the port is free again.
#[tokio::test]
async fn graceful_stop_waits_for_the_clients() {
    let (told, handle) = sync_channel(1);
    let (address, running) = {
        let (sent, received) = sync_channel(1);
        let thread = thread::spawn(move || {
            System::new().block_on(async move {
                let io = SocketIo::builder().start().unwrap();
                let serve = io
                    .serve(App::new)
                    .workers(2)
                    .disable_signals()
                    .bind(("127.0.0.1", 0))
                    .unwrap()
                    .webtransport(("127.0.0.1", 0), server_config())
                    .unwrap();
                sent.send(serve.webtransport_addrs()[0]).unwrap();
                let serving = serve.run();
                told.send(serving.handle()).unwrap();
                serving.await.unwrap();
            });
        });
        (received.recv().unwrap(), thread)
    };
    let handle: AppServerHandle = handle.recv().unwrap();
    let endpoint = client();
    let url = format!("https://{address}/socket.io/");
    let connection = endpoint.connect(&url).await.unwrap();
    let mut stream = Stream::on(connection).await;
    stream.send("0").await;
    stream.text().await;
    let idle = endpoint.connect(&url).await.unwrap();
    let stopping = tokio::spawn(async move { handle.stop(true).await });
    assert_eq!(stream.next().await, None);
    assert_eq!(stream.closed().await, (0, String::new()));
    within("the end of a connection without a session", idle.closed()).await;
    within("the stop", stopping).await.unwrap();
    within(
        "the server",
        tokio::task::spawn_blocking(move || running.join().unwrap()),
    )
    .await
    .unwrap();
    let bound = UdpSocket::bind(address);
    assert!(bound.is_ok(), "{bound:?}");
}

/// `EngineSession::close` and `SocketIo::disconnect`: a close without a packet closes the session.
#[tokio::test]
async fn forced_close_closes_the_session() {
    let site = served(|io| io, |_| ());
    let mut left = leavers(&site.server.io.of("/"));
    let (mut stream, _) = site.connected().await;
    site.server
        .io
        .of("/")
        .disconnect_sockets(true)
        .await
        .unwrap();
    stream.expect("41").await;
    assert_eq!(stream.closed().await, (0, String::new()));
    assert_eq!(left.next().await, "server namespace disconnect");
}
