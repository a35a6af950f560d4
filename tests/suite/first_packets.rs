//! Reference server, writes: a WebSocket gets the response to its handshake, the OPEN packet and each
//! CONNECT packet apart from what follows, so that a client which awaits one of them, and only then
//! listens for the next, loses nothing.

use actix_socketio::{
    Auth, Data, EngineIo, EngineMessage, EngineSession, PerMessageDeflate, Socket, SocketIo,
};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::socketio::{Client, Via};
use crate::support::{Frame, Polling, Server, Site, WebSocket, echo, opcode, within};

/// The same for a raw server, whose first message follows the OPEN packet.
#[on_both_servers]
async fn response_open_packet_and_first_message_are_read_one_by_one() {
    let server = greeting();
    read_apart(async || {
        let mut client = Reads::open(&server, &[]).await?;
        let open = client.read().await;
        let is_alone = open.starts_with("0{") && open.ends_with('}');
        (is_alone && client.read().await == "4first").then_some(())
    })
    .await;
}

/// The CONNECT packet of each namespace, and the event of its connect handler.
#[on_both_servers]
async fn connect_packet_and_first_event_are_read_one_by_one() {
    let server = authenticating(false);
    read_apart(async || {
        let mut client = Reads::open(&server, &[]).await?;
        client.read().await;
        client.connects("").await?;
        client.connects("/custom,").await
    })
    .await;
}

/// The same with compression, whose frames leave the outbox before they are written.
#[on_both_servers]
async fn compressed_packets_are_read_one_by_one() {
    let server = authenticating(true);
    let deflate = [("sec-websocket-extensions", "permessage-deflate")];
    read_apart(async || {
        let mut client = Reads::open(&server, &deflate).await?;
        client.read().await;
        client.connects("").await
    })
    .await;
}

/// The same for a client that has upgraded.
#[on_both_servers]
async fn connect_packet_of_an_upgraded_client_is_read_alone() {
    let server = authenticating(false);
    read_apart(async || {
        let session = Polling::open(&server).await;
        let query = format!("EIO=4&transport=websocket&sid={}", session.sid());
        let mut client = Reads::start(&server, &query, &[]).await?;
        client.send(&["2probe"]).await;
        assert_eq!(client.read().await, "3probe");
        client.send(&["5"]).await;
        client.connects("").await
    })
    .await;
}

/// A poll brings all of them at once: it has no segments that a client could read alone.
#[on_both_servers]
async fn poll_brings_connect_packet_and_first_event_together() {
    let server = authenticating(false);
    let session = Polling::open(&server).await;
    session.post(&["40"]).await;
    let packets = session.poll().await;
    assert_eq!(packets.len(), 2, "{packets:?}");
    assert_eq!(packets[1], AUTH);
}

/// The packets behind a CONNECT packet keep their order, whoever sends them.
#[on_both_servers]
async fn packets_behind_a_connect_packet_keep_their_order() {
    let server = authenticating(false);
    for _ in 0..10 {
        let mut client = Client::open(&server, Via::WebSocket).await;
        let events = [r#"420["echo","a"]"#, r#"421["echo","b"]"#];
        client.send_all(&["40", events[0], events[1]]).await;
        client.expect_connect("/").await;
        client.expect(AUTH).await;
        client.expect(r#"430["a"]"#).await;
        client.expect(r#"431["b"]"#).await;
    }
}

/// RFC 6455, 7.1.1: a close directly behind a CONNECT packet follows it, and what was emitted before.
#[on_both_servers]
async fn close_behind_a_connect_packet_follows_the_first_event() {
    let server = authenticating(false);
    server
        .io
        .of("/")
        .on("leave", async |socket: Socket| socket.disconnect(true));
    let mut client = Client::open(&server, Via::WebSocket).await;
    client.send_all(&["40", r#"42["leave"]"#]).await;
    client.expect_connect("/").await;
    client.expect(AUTH).await;
    client.expect("41").await;
    client.expect_close().await;
}

/// Repeats `attempt` until its reads have brought one packet each: this test may have been stopped
/// for longer than the server waits.
async fn read_apart(attempt: impl AsyncFn() -> Option<()>) {
    for _ in 0..ATTEMPTS {
        if within("a client's first packets", attempt())
            .await
            .is_some()
        {
            return;
        }
    }
    panic!("in {ATTEMPTS} connections, packets came together");
}

/// A client that knows what each of its reads has brought.
struct Reads(TcpStream);

impl Reads {
    /// Opens a session.
    async fn open(site: &Site, headers: &[(&str, &str)]) -> Option<Self> {
        Self::start(site, "EIO=4&transport=websocket", headers).await
    }

    /// Opens a WebSocket; `None` if more than the response was read with it.
    async fn start(site: &Site, query: &str, headers: &[(&str, &str)]) -> Option<Self> {
        let request = WebSocket::request(site, query, headers).bytes();
        let mut stream = TcpStream::connect(site.address).await.unwrap();
        stream.write_all(&request).await.unwrap();
        let mut client = Self(stream);
        let response = client.bytes().await;
        assert!(response.starts_with(b"HTTP/1.1 101 "));
        response.ends_with(b"\r\n\r\n").then_some(client)
    }

    async fn send(&mut self, packets: &[&str]) {
        for packet in packets {
            let frame = Frame::new(opcode::TEXT, packet).bytes();
            self.0.write_all(&frame).await.unwrap();
        }
    }

    /// Connects to a namespace; `None` if the first event was read with the CONNECT packet.
    async fn connects(&mut self, namespace: &str) -> Option<()> {
        self.send(&[&format!("40{namespace}")]).await;
        let connect = self.read().await;
        assert!(
            connect.starts_with(&format!(r#"40{namespace}{{"sid":"#)),
            "{connect}"
        );
        if !connect.ends_with("\"}") {
            return None;
        }
        assert_eq!(
            self.read().await,
            AUTH.replacen("42", &format!("42{namespace}"), 1)
        );
        Some(())
    }

    /// Returns what one read brings behind the head of its first frame.
    async fn read(&mut self) -> String {
        let bytes = self.bytes().await;
        String::from_utf8_lossy(&bytes[2..]).into_owned()
    }

    async fn bytes(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; 4096];
        let read = self.0.read(&mut bytes).await.unwrap();
        assert!(read > 2, "the server has closed");
        bytes.truncate(read);
        bytes
    }
}

/// Starts a raw server that sends a message to each session at its start.
fn greeting() -> Server<EngineIo> {
    Server::engineio(|builder| {
        echo(builder).on_open(async |session: EngineSession| {
            let message = EngineMessage::Text("first".to_owned());
            session.send(&message).unwrap();
        })
    })
}

/// Starts a server that sends the auth payload to each socket, and acknowledges `echo`.
fn authenticating(compresses: bool) -> Server<SocketIo> {
    let build = move |builder: actix_socketio::Builder| match compresses {
        true => builder.per_message_deflate(PerMessageDeflate::new()),
        false => builder,
    };
    Server::socketio(build, |io| {
        for namespace in ["/", "/custom"] {
            io.of(namespace)
                .on_connect(async |socket: Socket, Auth(auth): Auth<Value>| {
                    socket.emit("auth", auth).await.unwrap();
                })
                .on("echo", async |Data(text): Data<String>| text);
        }
    })
}

/// The event of a client without a payload.
const AUTH: &str = r#"42["auth",{}]"#;

const ATTEMPTS: usize = 50;
