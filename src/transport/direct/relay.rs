//! Responses to upgrade requests of other services: a refusal, or the WebSocket of another route.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_http::body::{BoxBody, MessageBody};
use actix_http::error::PayloadError;
use actix_http::h1::{Codec, Message};
use actix_http::{ConnectionType, Response, StatusCode};
use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_util::codec::Encoder;

use crate::transport::direct::takeover::Io;

/// Sends the response, and then its body until its end.
pub(crate) async fn relay<T: Io>(
    mut io: SharedIo<T>,
    mut codec: Codec,
    mut unsent: BytesMut,
    mut response: Response<BoxBody>,
) -> io::Result<()> {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let head = response.head_mut();
        // The connection has left the dispatcher that would read the next request.
        head.set_connection_type(ConnectionType::Close);
        // After an upgrade request actix-http writes bodies unchanged, whatever the head says.
        head.no_chunking(true);
    }
    let (head, body) = response.into_parts();
    let mut body = pin!(body);
    codec.encode(Message::Item((head, body.size())), &mut unsent)?;
    io.write_all_buf(&mut unsent).await?;
    while let Some(chunk) = poll_fn(|cx| body.as_mut().poll_next(cx)).await {
        let chunk = chunk.map_err(|error| io::Error::other(error.to_string()))?;
        // An empty chunk would mean the last one.
        if !chunk.is_empty() {
            codec.encode(Message::Chunk(Some(chunk)), &mut unsent)?;
            io.write_all_buf(&mut unsent).await?;
            io.flush().await?;
        }
    }
    codec.encode(Message::Chunk(None), &mut unsent)?;
    io.write_all_buf(&mut unsent).await?;
    io.shutdown().await
}

/// A connection that one side reads, as the request's payload, while the other writes.
pub(crate) struct SharedIo<T>(Rc<RefCell<Shared<T>>>);

struct Shared<T> {
    io: Option<T>,
    /// Bytes that were read before.
    read: BytesMut,
    /// The App reads the payload, and so detects itself that the client has disconnected.
    is_read: bool,
}

impl<T> SharedIo<T> {
    pub(crate) fn new(io: T, read: BytesMut) -> Self {
        let io = Some(io);
        Self(Rc::new(RefCell::new(Shared {
            io,
            read,
            is_read: false,
        })))
    }

    /// Returns the connection and the bytes that were read before; its payload ends.
    pub(crate) fn take(&self) -> Option<(T, BytesMut)> {
        let mut shared = self.0.borrow_mut();
        let io = shared.io.take()?;
        Some((io, std::mem::take(&mut shared.read)))
    }
}

impl<T: Io> SharedIo<T> {
    /// Waits for the client to close the connection. Data that it sends in the meantime are kept,
    /// up to a limit, beyond which its end is not detected.
    pub(crate) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        let Shared { io, read, is_read } = &mut *self.0.borrow_mut();
        let Some(io) = io.as_mut().filter(|_| !*is_read) else {
            return Poll::Pending;
        };
        let mut space = [0; PAYLOAD_CHUNK];
        while read.len() < KEPT {
            let mut buffer = ReadBuf::new(&mut space);
            match ready!(Pin::new(&mut *io).poll_read(cx, &mut buffer)) {
                Ok(()) if buffer.filled().is_empty() => return Poll::Ready(()),
                Ok(()) => read.extend_from_slice(buffer.filled()),
                Err(_) => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }

    fn with<R>(&self, act: impl FnOnce(Pin<&mut T>) -> Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        match &mut self.0.borrow_mut().io {
            Some(io) => act(Pin::new(io)),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl<T> Clone for SharedIo<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T: Io> Stream for SharedIo<T> {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut shared = self.0.borrow_mut();
        shared.is_read = true;
        if !shared.read.is_empty() {
            let read = std::mem::take(&mut shared.read).freeze();
            return Poll::Ready(Some(Ok(read)));
        }
        let Some(io) = &mut shared.io else {
            return Poll::Ready(None);
        };
        let mut space = [0; PAYLOAD_CHUNK];
        let mut buffer = ReadBuf::new(&mut space);
        let read = ready!(Pin::new(io).poll_read(cx, &mut buffer));
        Poll::Ready(match read {
            Ok(()) if buffer.filled().is_empty() => None,
            Ok(()) => Some(Ok(Bytes::copy_from_slice(buffer.filled()))),
            Err(error) => Some(Err(PayloadError::Io(error))),
        })
    }
}

impl<T: Io> AsyncRead for SharedIo<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.with(|io| io.poll_read(cx, buffer))
    }
}

impl<T: Io> AsyncWrite for SharedIo<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.with(|io| io.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|io| io.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|io| io.poll_shutdown(cx))
    }
}

/// The number of bytes kept from a client that does not wait for the response.
const KEPT: usize = 64 * 1024;

/// The maximal size of a payload's chunk; WebSockets of other routes are read in such chunks.
const PAYLOAD_CHUNK: usize = 8 * 1024;
