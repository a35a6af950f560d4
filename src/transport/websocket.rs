//! A WebSocket on actix-web's `HttpServer`: the request's body is read, the response's body written.
//!
//! Frames leave as the outbox has them. The session's actor reads; the HTTP connection writes: it
//! asks the response's body for more whenever the socket takes it.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use actix_web::body::{BodySize, MessageBody};
use actix_web::error::PayloadError;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use actix_web_actors::ws;
use bytes::{Buf, Bytes};
use futures_core::Stream;

use crate::actor::{Engine, Inbound, Lost};
use crate::link::Link;
use crate::transport::refusal::Refusal;
use crate::websocket::{Decoder, Message};

/// Opens a session whose first transport is a WebSocket.
pub(crate) fn open(
    engine: &Arc<Engine>,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Refusal> {
    let mut response = handshake(request)?;
    let inbound = FrameReader::new(payload, engine.config.max_payload);
    let link = engine.open_websocket(Box::new(inbound));
    Ok(response.body(FrameBody { link }))
}

/// RFC 6455, 4.2: answers the opening handshake, before anything is upgraded.
pub(crate) fn handshake(request: &HttpRequest) -> Result<HttpResponseBuilder, Refusal> {
    ws::handshake(request).map_err(|error| {
        log::debug!("no WebSocket handshake: {error}");
        Refusal::BadRequest
    })
}

/// The response's body: what the session sends.
pub(crate) struct FrameBody {
    link: Arc<Link>,
}

impl FrameBody {
    pub(crate) fn new(link: &Arc<Link>) -> Self {
        let link = Arc::clone(link);
        Self { link }
    }
}

impl MessageBody for FrameBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        self.link.outbox.poll_chunk(cx).map(|chunk| chunk.map(Ok))
    }
}

impl Drop for FrameBody {
    /// The connection has gone, or has said all there was to say.
    fn drop(&mut self) {
        self.link.gone();
    }
}

/// The request's body: what the client sends.
pub(crate) struct FrameReader {
    payload: web::Payload,
    chunk: Bytes,
    decoder: Decoder,
}

impl FrameReader {
    pub(crate) fn new(payload: web::Payload, max_message: usize) -> Self {
        Self {
            payload,
            chunk: Bytes::new(),
            decoder: Decoder::new(max_message),
        }
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Lost>> {
        Poll::Ready(match ready!(Pin::new(&mut self.payload).poll_next(cx)) {
            Some(Ok(chunk)) => Ok(chunk),
            None | Some(Err(PayloadError::Incomplete(_))) => Err(Lost::Closed),
            Some(Err(_)) => Err(Lost::Broken),
        })
    }
}

impl Inbound for FrameReader {
    fn poll_message<'s>(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &'s mut Vec<u8>,
    ) -> Poll<Result<Message<'s>, Lost>> {
        loop {
            let mut input = &self.chunk[..];
            let before = input.len();
            let decoded = self.decoder.decode(&mut input, scratch);
            let taken = before - input.len();
            self.chunk.advance(taken);
            if self.chunk.is_empty() {
                // Gives the HTTP connection's buffer back.
                self.chunk = Bytes::new();
            }
            match decoded {
                Ok(Some(kind)) => {
                    return Poll::Ready(kind.message(scratch).map_err(Lost::Refused));
                }
                Ok(None) => match ready!(self.poll_chunk(cx)) {
                    Ok(chunk) => self.chunk = chunk,
                    Err(lost) => return Poll::Ready(Err(lost)),
                },
                Err(error) => return Poll::Ready(Err(Lost::Refused(error))),
            }
        }
    }
}
