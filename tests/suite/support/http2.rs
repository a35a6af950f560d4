//! HTTP/2: requests as streams of one connection.

use std::future::poll_fn;

use actix_socketio::Bytes;
use h2::client::{self, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use tokio::net::TcpStream;

use super::http::Stream;
use super::{Response, Site, within};

/// A connection of HTTP/2.
#[derive(Clone)]
pub(crate) struct Http2 {
    requests: SendRequest<Bytes>,
    origin: String,
    path: &'static str,
}

impl Http2 {
    /// Opens a connection without TLS, by prior knowledge (RFC 9113, 3.3).
    pub(crate) async fn open(site: &Site) -> Self {
        let stream = within("a connection", TcpStream::connect(site.address)).await;
        let stream = stream.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream, site, &format!("http://{}", site.address)).await
    }

    /// Begins HTTP/2 on a stream; `origin` is the one of the server.
    pub(crate) async fn over(stream: impl Stream + 'static, site: &Site, origin: &str) -> Self {
        let opened = within("HTTP/2", client::handshake(stream)).await;
        let (requests, connection) = opened.unwrap();
        tokio::spawn(async move {
            // The server may end it.
            let _ = connection.await;
        });
        Self {
            requests,
            origin: origin.to_owned(),
            path: site.path,
        }
    }

    /// Returns the origin of the server.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// Sends a request that the server answers at once: it has received what was sent before.
    pub(crate) async fn round_trip(&self) {
        let answer = self.request_at("GET", "/nowhere").send().await;
        assert_eq!(answer.status, 404);
    }

    /// Makes a request for the server's path with this query.
    pub(crate) fn request(&self, method: &str, query: &str) -> Http2Request {
        self.request_at(method, &format!("{}?{query}", self.path))
    }

    /// Makes a request for any target.
    pub(crate) fn request_at(&self, method: &str, target: &str) -> Http2Request {
        let uri = format!("{}{target}", self.origin);
        Http2Request {
            requests: self.requests.clone(),
            head: http::Request::builder().method(method).uri(uri),
            body: None,
        }
    }
}

/// A request, to be sent as a stream of its connection.
#[must_use = "it is sent by `send` or `start`"]
pub(crate) struct Http2Request {
    requests: SendRequest<Bytes>,
    head: http::request::Builder,
    body: Option<Bytes>,
}

impl Http2Request {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.head = self.head.header(name, value);
        self
    }

    pub(crate) fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = Some(Bytes::copy_from_slice(body.as_ref()));
        self
    }

    /// Sends it, and waits for the whole response.
    pub(crate) async fn send(self) -> Response {
        self.start().await.response().await
    }

    /// Sends it; the response is awaited later, or given up.
    pub(crate) async fn start(self) -> Http2Pending {
        let body = self.body.clone();
        let mut pending = self.start_without_body(body.is_none()).await;
        if let Some(body) = body {
            pending.write(&body, true).await;
        }
        pending
    }

    /// Sends its head; [`Http2Pending::write`] sends the body, unless the request `has_ended`.
    pub(crate) async fn start_without_body(self, has_ended: bool) -> Http2Pending {
        let head = self.head.body(()).unwrap();
        let ready = within("a free stream", self.requests.ready()).await;
        let (response, sending) = ready.unwrap().send_request(head, has_ended).unwrap();
        Http2Pending { response, sending }
    }
}

/// A request whose response has not come yet. Dropping it resets its stream.
#[must_use = "dropping it resets its stream"]
pub(crate) struct Http2Pending {
    response: ResponseFuture,
    sending: SendStream<Bytes>,
}

impl Http2Pending {
    /// Sends more of the body.
    pub(crate) async fn write(&mut self, mut bytes: &[u8], is_end: bool) {
        while !bytes.is_empty() {
            self.sending.reserve_capacity(bytes.len());
            let capacity = poll_fn(|cx| self.sending.poll_capacity(cx));
            // The server may have refused the rest.
            let Some(Ok(capacity)) = within("the server to read", capacity).await else {
                return;
            };
            let (chunk, rest) = bytes.split_at(capacity.min(bytes.len()));
            let chunk = Bytes::copy_from_slice(chunk);
            let _ = self.sending.send_data(chunk, is_end && rest.is_empty());
            bytes = rest;
        }
    }

    /// Resets the stream, as a client that gives the request up.
    pub(crate) fn reset(mut self) {
        self.sending.send_reset(Reason::CANCEL);
    }

    pub(crate) async fn response(self) -> Response {
        let (mut response, mut body) = self.head().await;
        while let Some(chunk) = body.chunk().await {
            response.body.extend_from_slice(&chunk);
        }
        response
    }

    /// Waits for the head of the response; the body is read chunk by chunk.
    pub(crate) async fn head(self) -> (Response, Http2Body) {
        let response = within("a response", self.response).await.unwrap();
        let headers = response.headers().iter();
        let headers = headers.map(|(name, value)| {
            let value = value.to_str().unwrap().to_owned();
            (name.as_str().to_owned(), value)
        });
        let head = Response {
            status: response.status().as_u16(),
            headers: headers.collect(),
            body: Vec::new(),
        };
        let body = Http2Body {
            receiving: response.into_body(),
            sending: self.sending,
        };
        (head, body)
    }
}

/// The body of a response. Dropping it resets its stream.
pub(crate) struct Http2Body {
    receiving: RecvStream,
    sending: SendStream<Bytes>,
}

impl Http2Body {
    /// Returns the next bytes; `None` at the end.
    pub(crate) async fn chunk(&mut self) -> Option<Bytes> {
        let chunk = within("a part of a body", self.receiving.data()).await?;
        let chunk = chunk.unwrap();
        let taken = self.receiving.flow_control().release_capacity(chunk.len());
        taken.unwrap();
        Some(chunk)
    }

    /// Resets the stream, as a client that closes a stream of events.
    pub(crate) fn reset(mut self) {
        self.sending.send_reset(Reason::CANCEL);
    }
}
