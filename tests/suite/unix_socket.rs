//! Behind a proxy that speaks to the server by a Unix socket: such a peer has no address.
//!
//! An `HttpServer` alone listens on Unix sockets, so these tests have one path.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::thread;

use actix_socketio::{EngineIo, EngineIoBuilder, EngineSession, IpNet};
use actix_web::dev::ServerHandle;
use actix_web::rt::System;
use actix_web::{App, HttpServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::support::{Heard, channel, within};

/// The client as the server sees it: its address, and whether it uses TLS.
type Client = (Option<IpAddr>, bool);

/// A server on a Unix socket.
struct Listening {
    path: PathBuf,
    clients: Heard<Client>,
    handle: ServerHandle,
}

impl Listening {
    /// Starts one; `name` is that of the test.
    fn start(name: &str, build: impl FnOnce(EngineIoBuilder) -> EngineIoBuilder) -> Self {
        let folder = std::env::temp_dir();
        let path = folder.join(format!("actix-socketio-{}-{name}", std::process::id()));
        let (told, clients) = channel();
        let io = build(EngineIo::builder()).on_open(move |session: EngineSession| {
            let handshake = session.handshake();
            let _ = told.send((handshake.address(), handshake.is_secure()));
            async {}
        });
        let (started, start) = std::sync::mpsc::channel();
        let bound = path.clone();
        thread::spawn(move || -> io::Result<()> {
            System::new().block_on(async move {
                let io = io.start()?;
                let routes = io.clone();
                let server = HttpServer::new(move || App::new().configure(routes.routes()));
                let server = io.tune(server).workers(1).disable_signals();
                let server = server.bind_uds(bound)?.run();
                let _ = started.send(server.handle());
                server.await
            })
        });
        let handle = start.recv().unwrap();
        Self {
            path,
            clients,
            handle,
        }
    }

    /// Shakes hands by both transports, as a proxy that passes these headers on, and returns who the
    /// server takes the client for.
    async fn clients(&mut self, headers: &str) -> [Client; 2] {
        let polling = format!("GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\n{headers}");
        let websocket = format!(
            "GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\nconnection: upgrade\r\n\
             upgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}"
        );
        let mut clients = [(None, false); 2];
        for (at, (head, status)) in [(polling, "200"), (websocket, "101")].iter().enumerate() {
            let mut stream = UnixStream::connect(&self.path).await.unwrap();
            let request = format!("{head}host: chat.example\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = [0; 12];
            within("an answer", stream.read_exact(&mut answer))
                .await
                .unwrap();
            assert_eq!(answer, format!("HTTP/1.1 {status}").as_bytes());
            clients[at] = self.clients.next().await;
        }
        clients
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
        let _ = std::fs::remove_file(&self.path);
    }
}

/// `trust_unix_peer`: the peer's `X-Forwarded-For`, `X-Forwarded-Proto` and `Forwarded` are believed,
/// and behind it those of trusted proxies.
#[tokio::test]
async fn forwarded_headers_of_a_trusted_unix_peer_are_used() {
    let mut server = Listening::start("trusted", |builder| {
        let proxies = ["10.0.0.0/8".parse::<IpNet>().unwrap()];
        builder.trust_unix_peer(true).trusted_proxies(proxies)
    });
    for (headers, address, is_secure) in [
        (
            "x-forwarded-for: 203.0.113.7\r\nx-forwarded-proto: https\r\n",
            "203.0.113.7",
            true,
        ),
        (
            "x-forwarded-for: 198.51.100.1, 203.0.113.7\r\n",
            "203.0.113.7",
            false,
        ),
        (
            "x-forwarded-for: 203.0.113.7, 10.0.0.1\r\n",
            "203.0.113.7",
            false,
        ),
        (
            "forwarded: for=203.0.113.7;proto=https\r\n",
            "203.0.113.7",
            true,
        ),
    ] {
        let expected = (Some(address.parse().unwrap()), is_secure);
        assert_eq!(server.clients(headers).await, [expected; 2], "{headers}");
    }
    assert_eq!(server.clients("").await, [(None, false); 2]);
}

/// By default a Unix peer is believed nothing, also if proxies with addresses are.
#[tokio::test]
async fn a_unix_peer_is_not_trusted_by_default() {
    let mut server = Listening::start("default", |builder| {
        builder.trusted_proxies(["0.0.0.0/0".parse::<IpNet>().unwrap()])
    });
    let headers = "x-forwarded-for: 203.0.113.7\r\nx-forwarded-proto: https\r\n";
    assert_eq!(server.clients(headers).await, [(None, false); 2]);
}
