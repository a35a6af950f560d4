//! A WebSocket on actix-web's `HttpServer`: the request's body is read, the response's body written.
//!
//! Frames leave as they are in the outbox. The session's actor reads. The HTTP connection writes:
//! it polls the response's body whenever the TCP socket can take more.

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::error::PayloadError;
use actix_web::web;
use bytes::{Buf, Bytes};
use futures_core::Stream;

use crate::link::{Inbound, InboundError, InboundMessage};
use crate::transport::feed::OutboundStream;
use crate::transport::frames::Frames;

/// The response's body: the server's frames.
pub(crate) struct FrameBody {
    feed: OutboundStream,
}

impl FrameBody {
    pub(crate) fn new(feed: OutboundStream) -> Self {
        Self { feed }
    }
}

impl MessageBody for FrameBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        self.feed.poll_chunk(cx).map(|chunk| chunk.map(Ok))
    }
}

/// The request's body: the client's frames.
pub(crate) struct FrameReader {
    payload: web::Payload,
    chunk: Bytes,
    frames: Frames,
}

impl FrameReader {
    pub(crate) fn new(payload: web::Payload, frames: Frames) -> Self {
        Self {
            payload,
            chunk: Bytes::new(),
            frames,
        }
    }
}

impl Inbound for FrameReader {
    fn read(
        &mut self,
        cx: &mut Context<'_>,
        take: &mut dyn FnMut(Result<InboundMessage<'_>, InboundError>) -> ControlFlow<()>,
    ) {
        loop {
            let mut input = &self.chunk[..];
            let before = input.len();
            let flow = self.frames.decode(&mut input, take);
            let taken = before - input.len();
            self.chunk.advance(taken);
            if self.chunk.is_empty() {
                // Releases the HTTP connection's buffer.
                self.chunk = Bytes::new();
            }
            if flow.is_break() {
                return;
            }
            self.chunk = match Pin::new(&mut self.payload).poll_next(cx) {
                Poll::Pending => return,
                Poll::Ready(Some(Ok(chunk))) => chunk,
                Poll::Ready(None | Some(Err(PayloadError::Incomplete(_)))) => {
                    let _ = take(Err(InboundError::Closed));
                    return;
                }
                Poll::Ready(Some(Err(_))) => {
                    let _ = take(Err(InboundError::Broken));
                    return;
                }
            };
        }
    }
}
