//! A client of WebTransport: the crate `wtransport`, with the framing of Engine.IO written here.
//!
//! [`served`] starts a server with WebTransport. [`Stream`] is a session that is open for HTTP/3;
//! packets are text as on the wire.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use actix_socketio::{AppServer, Builder, SocketIo};
use actix_web::App;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use wtransport::endpoint::ConnectOptions;
use wtransport::error::{ConnectingError, ConnectionError};
use wtransport::{Connection, Endpoint, RecvStream, SendStream};

use super::{Open, Server, within};

/// A server with WebTransport on a port of its own.
pub(crate) struct Site {
    pub(crate) server: Server<SocketIo>,
    /// The address of UDP.
    pub(crate) address: SocketAddr,
}

/// Starts a Socket.IO server with two workers. `build` sets its options, `handlers` registers its
/// handlers.
pub(crate) fn served(
    build: impl FnOnce(Builder) -> Builder + Send + 'static,
    handlers: impl FnOnce(&SocketIo) + Send + 'static,
) -> Site {
    served_as(build, move |io| {
        handlers(io);
        io.serve(App::new)
    })
}

/// The same; `serve` makes the server of an App of its own.
pub(crate) fn served_as<F: actix_socketio::AppFactory>(
    build: impl FnOnce(Builder) -> Builder + Send + 'static,
    serve: impl FnOnce(&SocketIo) -> AppServer<F> + Send + 'static,
) -> Site {
    let (told, address) = std::sync::mpsc::sync_channel(1);
    let server = Server::serving("/socket.io/", move || {
        let io = build(SocketIo::builder().error_details(true)).start()?;
        let serve = serve(&io).workers(2);
        let serve = serve.webtransport(("127.0.0.1", 0), server_config())?;
        let address = serve.webtransport_addrs()[0];
        told.send(address).map_err(io::Error::other)?;
        Ok((io, serve))
    });
    let address = address.recv().unwrap();
    Site { server, address }
}

impl Site {
    /// Requests a session of WebTransport.
    pub(crate) async fn request(&self) -> Result<Connection, ConnectingError> {
        self.request_at("/socket.io/", &[]).await
    }

    /// The same at another path, with these headers.
    pub(crate) async fn request_at(
        &self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Connection, ConnectingError> {
        let url = format!("https://{}{path}", self.address);
        let options = ConnectOptions::builder(url);
        let add = |options: wtransport::endpoint::ConnectRequestBuilder,
                   (name, value): &(&str, &str)| {
            options.add_header(name, value)
        };
        let options = headers.iter().fold(options, add).build();
        let endpoint = client();
        within("a session of WebTransport", endpoint.connect(options)).await
    }

    /// Requests a session, and opens its stream.
    pub(crate) async fn stream(&self) -> Stream {
        Stream::on(self.request().await.unwrap()).await
    }

    /// Opens a session of Engine.IO.
    pub(crate) async fn open(&self) -> (Stream, Open) {
        let mut stream = self.stream().await;
        stream.send("0").await;
        let open = Open::read(&stream.text().await);
        (stream, open)
    }

    /// Opens a session, and joins `/`. Returns the id of the socket.
    pub(crate) async fn connected(&self) -> (Stream, String) {
        let (mut stream, _) = self.open().await;
        let id = stream.connect().await;
        (stream, id)
    }
}

/// Returns an endpoint for clients.
pub(crate) fn client() -> Endpoint<wtransport::endpoint::endpoint_side::Client> {
    let config = wtransport::ClientConfig::builder()
        .with_bind_address(([127, 0, 0, 1], 0).into())
        .with_custom_tls(client_config())
        .build();
    Endpoint::client(config).unwrap()
}

/// The stream of a session.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) connection: Connection,
    pub(crate) send: SendStream,
    pub(crate) recv: RecvStream,
}

/// A message of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Text(String),
    Binary(Vec<u8>),
}

impl Stream {
    pub(crate) async fn on(connection: Connection) -> Self {
        let opening = async { connection.open_bi().await.unwrap().await.unwrap() };
        let (send, recv) = within("a stream", opening).await;
        Self {
            connection,
            send,
            recv,
        }
    }

    /// Sends a packet.
    pub(crate) async fn send(&mut self, text: &str) {
        self.write(&framed(false, text.as_bytes())).await;
    }

    /// Sends a binary message.
    pub(crate) async fn send_binary(&mut self, data: &[u8]) {
        self.write(&framed(true, data)).await;
    }

    /// Sends these bytes.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        within("a write", self.send.write_all(bytes)).await.unwrap();
    }

    /// Joins `/`; returns the id of the socket.
    pub(crate) async fn connect(&mut self) -> String {
        self.connect_by("40").await
    }

    /// Joins a namespace; returns the id of the socket.
    #[cfg(feature = "tracing")]
    pub(crate) async fn connect_to(&mut self, namespace: &str) -> String {
        self.connect_by(&format!("40{namespace},")).await
    }

    async fn connect_by(&mut self, packet: &str) -> String {
        self.send(packet).await;
        let text = self.text().await;
        let json = text.strip_prefix(packet);
        let json = json.unwrap_or_else(|| panic!("{text}"));
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        json["sid"].as_str().unwrap().to_owned()
    }

    /// Returns the next message; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        within("a message", self.read()).await
    }

    async fn read(&mut self) -> Option<Message> {
        let mut first = [0];
        self.recv.read_exact(&mut first).await.ok()?;
        let length = match first[0] & 0x7F {
            126 => self.length::<2>().await,
            127 => self.length::<8>().await,
            length => usize::from(length),
        };
        let mut payload = vec![0; length];
        self.recv.read_exact(&mut payload).await.unwrap();
        Some(match first[0] & 0x80 {
            0 => Message::Text(String::from_utf8(payload).unwrap()),
            _ => Message::Binary(payload),
        })
    }

    async fn length<const N: usize>(&mut self) -> usize {
        let mut bytes = [0; N];
        self.recv.read_exact(&mut bytes).await.unwrap();
        let add = |length, byte: &u8| length << 8 | usize::from(*byte);
        bytes.iter().fold(0, add)
    }

    /// Returns the next message, which is text.
    pub(crate) async fn text(&mut self) -> String {
        match self.next().await {
            Some(Message::Text(text)) => text,
            other => panic!("no text: {other:?}"),
        }
    }

    /// Expects exactly this packet.
    pub(crate) async fn expect(&mut self, packet: &str) {
        assert_eq!(self.text().await, packet);
    }

    /// Expects exactly this binary message.
    pub(crate) async fn expect_binary(&mut self, data: &[u8]) {
        let message = self.next().await;
        assert_eq!(message, Some(Message::Binary(data.to_vec())));
    }

    /// Expects that the server closes the session. Returns its code and its reason.
    pub(crate) async fn closed(&self) -> (u64, String) {
        closed(&self.connection).await
    }
}

/// Waits until the server closes the session. Returns its code and its reason.
pub(crate) async fn closed(connection: &Connection) -> (u64, String) {
    // The client learns of it where it waits for a stream.
    match within("the close of a session", connection.accept_uni()).await {
        Err(ConnectionError::ApplicationClosed(close)) => {
            let reason = String::from_utf8(close.reason().to_vec()).unwrap();
            (close.code().into_inner(), reason)
        }
        Err(other) => panic!("the session was not closed: {other}"),
        Ok(_) => panic!("a stream of the server"),
    }
}

/// Returns a message with its header.
pub(crate) fn framed(is_binary: bool, payload: &[u8]) -> Vec<u8> {
    let flag = if is_binary { 0x80 } else { 0 };
    let mut out = match payload.len() {
        length @ 0..126 => vec![flag | length as u8],
        length @ 126..65_536 => [&[flag | 126][..], &(length as u16).to_be_bytes()].concat(),
        length => [&[flag | 127][..], &(length as u64).to_be_bytes()].concat(),
    };
    out.extend_from_slice(payload);
    out
}

/// One certificate for all tests.
fn identity() -> &'static (CertificateDer<'static>, Vec<u8>) {
    static IDENTITY: OnceLock<(CertificateDer<'static>, Vec<u8>)> = OnceLock::new();
    IDENTITY.get_or_init(|| {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
        (cert.der().clone(), signing_key.serialize_der())
    })
}

pub(crate) fn server_config() -> ServerConfig {
    let (certificate, key) = identity();
    ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.clone()],
            PrivatePkcs8KeyDer::from(key.clone()).into(),
        )
        .unwrap()
}

pub(crate) fn client_config() -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(identity().0.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h3".to_vec()];
    config
}
