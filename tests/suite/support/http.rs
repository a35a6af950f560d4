//! HTTP/1.1 as bytes: one connection for each request, unless the test keeps it.

use std::fmt::{Debug, Write as _};
use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::within;

/// A request, to be sent over a connection of its own or one that is kept.
///
/// `Host` is set, and `Content-Length` where there is a body and no header that says its length.
#[derive(Clone, Debug)]
#[must_use = "it is sent by `send` or `start`"]
pub(crate) struct Request {
    address: SocketAddr,
    head: String,
    has_length: bool,
    body: Option<Vec<u8>>,
}

impl Request {
    pub(crate) fn new(method: &str, address: SocketAddr, target: &str) -> Self {
        Self {
            address,
            head: format!("{method} {target} HTTP/1.1\r\nhost: {address}\r\n"),
            has_length: false,
            body: None,
        }
    }

    pub(crate) fn get(address: SocketAddr, target: &str) -> Self {
        Self::new("GET", address, target)
    }

    pub(crate) fn post(address: SocketAddr, target: &str, body: impl AsRef<[u8]>) -> Self {
        Self::new("POST", address, target).body(body)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.has_length |= name.eq_ignore_ascii_case("transfer-encoding")
            || name.eq_ignore_ascii_case("content-length");
        write!(self.head, "{name}: {value}\r\n").unwrap();
        self
    }

    pub(crate) fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = Some(body.as_ref().to_owned());
        self
    }

    /// Sends it over a connection of its own, and waits for the answer.
    pub(crate) async fn send(self) -> Response {
        self.start().await.response().await
    }

    /// Sends it over a connection of its own; the answer is awaited later, or given up.
    pub(crate) async fn start(self) -> Pending {
        let mut connection = Connection::open(self.address).await;
        connection.write(&self.bytes()).await;
        Pending { connection }
    }

    /// The same, and returns only when the server has begun to handle it, so that what the test
    /// does next comes second. The body is not sent before that either; it may be sent in pieces,
    /// by [`Pending::write`].
    pub(crate) async fn start_heard(self) -> Pending {
        // The server says `100 Continue` and calls the handler in one go.
        let expecting = self.header("expect", "100-continue");
        let bytes = expecting.bytes();
        let body = expecting.body.as_deref().unwrap_or_default();
        let (head, body) = bytes.split_at(bytes.len() - body.len());
        let mut connection = Connection::open(expecting.address).await;
        connection.write(head).await;
        let heard = connection.take_through(b"\r\n\r\n").await;
        assert_eq!(heard, b"HTTP/1.1 100 Continue\r\n\r\n");
        connection.write(body).await;
        Pending { connection }
    }

    /// Returns what goes over the wire.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut head = self.head.clone();
        if let Some(body) = &self.body
            && !self.has_length
        {
            write!(head, "content-length: {}\r\n", body.len()).unwrap();
        }
        head.push_str("\r\n");
        [head.as_bytes(), self.body.as_deref().unwrap_or_default()].concat()
    }
}

/// A request whose answer has not come yet. Dropping it closes its connection.
#[derive(Debug)]
#[must_use = "dropping it aborts the request"]
pub(crate) struct Pending {
    connection: Connection,
}

impl Pending {
    pub(crate) async fn response(mut self) -> Response {
        self.connection.response().await
    }

    /// Sends more of the body.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.connection.write(bytes).await;
    }

    /// Gives the request up: closes its connection.
    pub(crate) fn abort(self) {
        drop(self);
    }
}

/// An answer, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Names are in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// Returns the value of the header that has this name, in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Asserts the status and the body's text.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16, body: &str) {
        assert_eq!((self.status, self.text()), (status, body));
    }

    /// Asserts an Engine.IO error: 400, and a JSON body of exactly this code and message.
    #[track_caller]
    pub(crate) fn expect_error(&self, code: u8, message: &str) {
        let body = format!(r#"{{"code":{code},"message":"{message}"}}"#);
        self.expect(400, &body);
        assert_eq!(self.header("content-type"), Some("application/json"));
    }
}

/// A connection and what it has received but nobody has taken.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    received: Vec<u8>,
}

/// The stream below a connection: TCP, encrypted or not.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + Debug {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + Debug> Stream for S {}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = within("a connection", TcpStream::connect(address)).await;
        Self::new(stream)
    }

    /// Opens a connection that takes but a few kilobytes before somebody reads from it.
    pub(crate) async fn open_narrow(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        Self::new(within("a connection", socket.connect(address)).await)
    }

    /// Opens a connection twice, for a client that sends by one while it reads from the other.
    pub(crate) async fn open_twice(address: SocketAddr) -> (Self, Self) {
        let stream = within("a connection", TcpStream::connect(address)).await;
        let stream = stream.unwrap().into_std().unwrap();
        let again = stream.try_clone();
        let twin = |stream| Self::new(TcpStream::from_std(stream));
        (twin(stream), twin(again.unwrap()))
    }

    fn new(stream: io::Result<TcpStream>) -> Self {
        let stream = stream.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }

    /// Wraps a stream that is open already.
    pub(crate) fn over(stream: impl Stream + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            received: Vec::new(),
        }
    }

    /// Sends bytes, at once and all of them.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.try_write(bytes).await.unwrap();
    }

    /// The same, where the server may have gone.
    pub(crate) async fn try_write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        within("the server to read", written).await
    }

    /// Tells the server that nothing more will be sent, and goes on reading.
    pub(crate) async fn shut_down(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// Takes exactly this many bytes; `None` where the connection ends before.
    pub(crate) async fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.received.len() < count {
            if !self.read_more().await {
                return None;
            }
        }
        Some(self.received.drain(..count).collect())
    }

    /// Expects the server to end the connection in order, without another byte: not by a reset, and
    /// over TLS not without a word.
    pub(crate) async fn expect_orderly_end(&mut self) {
        let read = self.stream.read_buf(&mut self.received);
        let read = within("the server to end the connection", read).await;
        let left = String::from_utf8_lossy(&self.received);
        assert!(matches!(read, Ok(0)), "{read:?} with {left:?}");
        assert_eq!(left, "");
    }

    /// Reads the answer to the next request.
    pub(crate) async fn response(&mut self) -> Response {
        let mut response = self.head().await;
        response.body = self.body_of(&response).await;
        response
    }

    /// Reads the head of the answer to the next request; its body may have no end.
    pub(crate) async fn head(&mut self) -> Response {
        let head = self.take_through(b"\r\n\r\n").await;
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status_line = lines.next().unwrap();
        let status = status_line.split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Response {
            status,
            headers,
            body: Vec::new(),
        }
    }

    /// Reads the body that belongs to a head.
    pub(crate) async fn body_of(&mut self, response: &Response) -> Vec<u8> {
        if matches!(response.status, 101 | 204 | 304) {
            Vec::new()
        } else if response.header("transfer-encoding") == Some("chunked") {
            self.chunks().await
        } else if let Some(length) = response.header("content-length") {
            let length = length.parse().unwrap();
            self.take(length).await.expect("a whole body")
        } else {
            // RFC 9112, 6.3: it is as long as the connection lasts.
            assert_eq!(response.header("connection"), Some("close"));
            while self.read_more().await {}
            std::mem::take(&mut self.received)
        }
    }

    async fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let size = String::from_utf8(self.take_through(b"\r\n").await).unwrap();
            let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
            let chunk = self.take(size + 2).await.expect("a whole chunk");
            if size == 0 {
                return body;
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }

    async fn take_through(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            let found = self.received.windows(end.len()).position(|at| at == end);
            if let Some(at) = found {
                return self.received.drain(..at + end.len()).collect();
            }
            assert!(
                self.read_more().await,
                "the connection ended after {:?}",
                String::from_utf8_lossy(&self.received)
            );
        }
    }

    /// Reads once; tells whether something came, or else the connection has ended or was reset.
    async fn read_more(&mut self) -> bool {
        let read = self.stream.read_buf(&mut self.received);
        matches!(within("the server to send", read).await, Ok(1..))
    }
}
