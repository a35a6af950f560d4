//! A WebSocket client in frames, which may also be such as no client should send.

use std::io;
use std::time::Duration;

use tokio::time::timeout;

use super::{Connection, Open, Request, Response, Site};

/// RFC 6455, 5.2.
pub(crate) mod opcode {
    pub(crate) const CONTINUATION: u8 = 0x0;
    pub(crate) const TEXT: u8 = 0x1;
    pub(crate) const BINARY: u8 = 0x2;
    pub(crate) const CLOSE: u8 = 0x8;
    pub(crate) const PING: u8 = 0x9;
    pub(crate) const PONG: u8 = 0xA;
}

/// An open WebSocket.
#[derive(Debug)]
pub(crate) struct WebSocket {
    /// The answer that opened it.
    pub(crate) handshake: Response,
    connection: Connection,
}

impl WebSocket {
    /// Opens a WebSocket on a connection of its own.
    ///
    /// # Errors
    ///
    /// The server's answer, where it is not 101.
    pub(crate) async fn connect(
        site: &Site,
        query: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, Response> {
        let connection = Connection::open(site.address).await;
        Self::handshake(connection, site, query, headers).await
    }

    /// The same over a connection of the test's.
    pub(crate) async fn handshake(
        connection: Connection,
        site: &Site,
        query: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, Response> {
        let request = Self::request(site, query, headers);
        Self::begin(connection, &request.bytes()).await
    }

    /// The same, and does not wait for the answer: `behind` is sent by the same write.
    pub(crate) async fn hurried(site: &Site, query: &str, behind: &[u8]) -> Result<Self, Response> {
        let connection = Connection::open(site.address).await;
        let request = Self::request(site, query, &[]).bytes();
        Self::begin(connection, &[&request, behind].concat()).await
    }

    /// Returns the request that opens a WebSocket.
    pub(crate) fn request(site: &Site, query: &str, headers: &[(&str, &str)]) -> Request {
        let request = Request::get(site.address, &site.target(query))
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        headers.iter().fold(request, |request, (name, value)| {
            request.header(name, value)
        })
    }

    async fn begin(mut connection: Connection, request: &[u8]) -> Result<Self, Response> {
        connection.write(request).await;
        let handshake = connection.response().await;
        if handshake.status != 101 {
            return Err(handshake);
        }
        Ok(Self {
            handshake,
            connection,
        })
    }

    /// Opens a session on a WebSocket, and takes the OPEN packet.
    pub(crate) async fn open(site: &Site) -> Self {
        Self::open_on(Connection::open(site.address).await, site).await
    }

    /// The same over a connection of the test's.
    pub(crate) async fn open_on(connection: Connection, site: &Site) -> Self {
        let query = "EIO=4&transport=websocket";
        let mut socket = Self::handshake(connection, site, query, &[]).await.unwrap();
        Open::read(&socket.recv_text().await);
        socket
    }

    /// Opens a WebSocket beside the polling session `sid`, which has yet to probe.
    pub(crate) async fn beside(site: &Site, sid: &str) -> Self {
        let query = format!("EIO=4&transport=websocket&sid={sid}");
        Self::connect(site, &query, &[]).await.unwrap()
    }

    /// Sends a text message: one Engine.IO packet.
    pub(crate) async fn send_text(&mut self, text: &str) {
        self.send(Frame::new(opcode::TEXT, text)).await;
    }

    pub(crate) async fn send_binary(&mut self, data: &[u8]) {
        self.send(Frame::new(opcode::BINARY, data)).await;
    }

    pub(crate) async fn send_ping(&mut self, payload: &str) {
        self.send(Frame::new(opcode::PING, payload)).await;
    }

    /// Sends a close frame, with or without a code.
    pub(crate) async fn send_close(&mut self, code: Option<u16>) {
        let payload = code.map(|code| code.to_be_bytes().to_vec());
        self.send(Frame::new(opcode::CLOSE, payload.unwrap_or_default()))
            .await;
    }

    pub(crate) async fn send(&mut self, frame: Frame) {
        self.send_bytes(&frame.bytes()).await;
    }

    /// Sends bytes as they are, whatever they mean.
    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.connection.write(bytes).await;
    }

    /// The same, where the server may have gone.
    pub(crate) async fn try_send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.connection.try_write(bytes).await
    }

    /// Receives one frame, or the end of the connection.
    pub(crate) async fn recv(&mut self) -> Received {
        match self.frame().await {
            Some((opcode::TEXT, payload)) => Received::Text(String::from_utf8(payload).unwrap()),
            Some((opcode::BINARY, payload)) => Received::Binary(payload),
            Some((opcode::PING, payload)) => Received::Ping(payload),
            Some((opcode::PONG, payload)) => Received::Pong(payload),
            Some((opcode::CLOSE, payload)) => {
                let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                Received::Close(code)
            }
            Some((opcode, _)) => panic!("a frame of opcode {opcode:#x}"),
            None => Received::End,
        }
    }

    /// Receives a text message.
    pub(crate) async fn recv_text(&mut self) -> String {
        match self.recv().await {
            Received::Text(text) => text,
            other => panic!("{other:?} where a text was due"),
        }
    }

    pub(crate) async fn expect_text(&mut self, text: &str) {
        assert_eq!(self.recv().await, Received::Text(text.to_owned()));
    }

    pub(crate) async fn expect_binary(&mut self, data: &[u8]) {
        assert_eq!(self.recv().await, Received::Binary(data.to_owned()));
    }

    /// Expects a close frame, and returns its code.
    pub(crate) async fn expect_close(&mut self) -> Option<u16> {
        match self.recv().await {
            Received::Close(code) => code,
            other => panic!("{other:?} where a close was due"),
        }
    }

    /// Expects the connection to end without another frame.
    pub(crate) async fn expect_end(&mut self) {
        assert_eq!(self.recv().await, Received::End);
    }

    /// Expects a close frame with this code, and the connection's end after it.
    pub(crate) async fn expect_closed(&mut self, code: Option<u16>) {
        assert_eq!(self.expect_close().await, code);
        self.expect_end().await;
    }

    /// Expects nothing to come for this long.
    pub(crate) async fn expect_silence(&mut self, duration: Duration) {
        if let Ok(received) = timeout(duration, self.recv()).await {
            panic!("{received:?} where nothing was due");
        }
    }

    /// Gives the connection back, for what is no WebSocket any more.
    pub(crate) fn into_connection(self) -> Connection {
        self.connection
    }

    /// Receives one frame as it is: its first byte, and its payload.
    pub(crate) async fn recv_frame(&mut self) -> (u8, Vec<u8>) {
        self.any_frame().await.unwrap()
    }

    async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let (first, payload) = self.any_frame().await?;
        assert_eq!(first & 0xF0, 0x80, "a final frame without extensions");
        Some((first & 0x0F, payload))
    }

    /// RFC 6455, 5.1: frames of a server are not masked. This server's are final too.
    async fn any_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let head = self.connection.take(2).await?;
        assert_eq!(head[1] & 0x80, 0, "a frame that is not masked");
        let length = match head[1] {
            126 => self.connection.take(2).await?,
            127 => self.connection.take(8).await?,
            short => vec![short],
        };
        let length = length
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        let payload = self.connection.take(length).await?;
        Some((head[0], payload))
    }
}

/// The messages of a server over a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// Carries the status code, if there is one.
    Close(Option<u16>),
    /// The connection has ended, in order or by a reset.
    End,
}

/// A frame to be sent: final and masked, unless told otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    first: u8,
    is_masked: bool,
    declared: Option<u64>,
    payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn new(opcode: u8, payload: impl AsRef<[u8]>) -> Self {
        Self {
            first: 0x80 | opcode,
            is_masked: true,
            declared: None,
            payload: payload.as_ref().to_owned(),
        }
    }

    /// Announces that the message goes on in another frame.
    pub(crate) fn unfinished(mut self) -> Self {
        self.first &= 0x7F;
        self
    }

    /// Sets reserved bits: `0x40`, `0x20`, `0x10`.
    pub(crate) fn reserved(mut self, bits: u8) -> Self {
        self.first |= bits;
        self
    }

    pub(crate) fn unmasked(mut self) -> Self {
        self.is_masked = false;
        self
    }

    /// Declares a length that is not the payload's.
    pub(crate) fn declaring(mut self, length: u64) -> Self {
        self.declared = Some(length);
        self
    }

    /// Returns what goes over the wire.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let length = self.declared.unwrap_or(self.payload.len() as u64);
        let masked = u8::from(self.is_masked) << 7;
        let mut bytes = vec![self.first];
        if let Ok(length @ ..126) = u8::try_from(length) {
            bytes.push(masked | length);
        } else if let Ok(length) = u16::try_from(length) {
            bytes.push(masked | 126);
            bytes.extend(length.to_be_bytes());
        } else {
            bytes.push(masked | 127);
            bytes.extend(length.to_be_bytes());
        }
        let key = if self.is_masked {
            bytes.extend(MASK);
            MASK
        } else {
            [0; 4]
        };
        let payload = self.payload.iter().zip(key.iter().cycle());
        bytes.extend(payload.map(|(byte, key)| byte ^ key));
        bytes
    }
}

const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];
