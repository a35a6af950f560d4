//! A connection that the server owns: its session reads it, its worker's flusher writes it.
//!
//! ```text
//!            the feed has ended       written, FIN sent         the client's end, or LINGER
//!   Sending ────────────────────▶ Ending ──────────────▶ Ended ──────────────────────────▶ gone
//!      └──────────────── a write fails ────────────────────┘
//! ```
//! It ends only after its session has released it. The client's data are read and dropped until
//! then, because closing a connection with unread bytes would discard the last packets.

use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::thread::LocalKey;

use bytes::{Buf, BytesMut};
use tokio::io::ReadBuf;

use crate::config::Config;
use crate::link::{Inbound, InboundError, InboundMessage};
use crate::panics::TaskOwner;
use crate::transport::direct::counted::CountedWebSocket;
use crate::transport::direct::flusher::{ConnectionSlot, Flushed, Flusher, Here};
use crate::transport::direct::takeover::{Io, UpgradedIo};
use crate::transport::feed::OutboundStream;
use crate::transport::frames::Frames;

/// Owns a WebSocket with its connection: this worker's flusher writes `feed` from now on.
pub(crate) fn hold(wire: UpgradedIo, mut feed: OutboundStream, frames: Frames) -> Box<dyn Inbound> {
    feed.begin(Some(wire.answer));
    let mut kept = wire.read;
    if kept.is_empty() {
        // Releases the HTTP connection's buffer.
        kept = BytesMut::new();
    }
    let connection = Rc::new(Connection {
        io: RefCell::new(wire.io),
        config: feed.config(),
        writing: RefCell::new(Writing::Sending(feed)),
        is_released: Cell::new(false),
        has_ended: Cell::new(false),
        _counted: CountedWebSocket::begin(),
    });
    Box::new(Reader {
        slot: Flusher::here().register(&connection),
        connection,
        frames,
        kept,
    })
}

/// The state that reading and writing share.
pub(crate) struct Connection {
    io: RefCell<Box<dyn Io>>,
    writing: RefCell<Writing>,
    /// The session reads no more.
    is_released: Cell<bool>,
    /// The client will send no more.
    has_ended: Cell<bool>,
    config: Arc<Config>,
    _counted: CountedWebSocket,
}

enum Writing {
    Sending(OutboundStream),
    Ending,
    Ended,
}

impl Flushed for Connection {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.poll_send(cx));
        if !self.is_released.get() {
            // Its session is notified by the end of the stream, and releases it.
            return Poll::Pending;
        }
        self.poll_drain(cx)
    }

    fn panicked(&self, panic: &str) {
        self.has_ended.set(true);
        // The end of its stream notifies the session.
        drop(self.writing.replace(Writing::Ended));
        let reports = &self.config.panic_reports;
        reports.report(TaskOwner::Session, format!("write to a WebSocket: {panic}"));
    }

    fn here() -> &'static LocalKey<Here<Self>> {
        &FLUSHER
    }
}

impl Connection {
    fn poll_send(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut writing = self.writing.borrow_mut();
        let io = &mut **self.io.borrow_mut();
        loop {
            let step = match &mut *writing {
                Writing::Sending(feed) => {
                    let sent = feed.poll_write(cx, &mut |cx, frames| {
                        // The kernel has a faster path for a single slice.
                        match frames {
                            [frame] => Pin::new(&mut *io).poll_write(cx, frame),
                            frames => Pin::new(&mut *io).poll_write_vectored(cx, frames),
                        }
                    });
                    if sent.is_pending() {
                        // Bytes that TLS has encrypted may still wait in its own buffer.
                        match Pin::new(&mut *io).poll_flush(cx) {
                            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
                        }
                    } else {
                        sent
                    }
                }
                Writing::Ending => Pin::new(&mut *io).poll_shutdown(cx),
                Writing::Ended => return Poll::Ready(()),
            };
            *writing = match (ready!(step), &*writing) {
                (Ok(()), Writing::Sending(_)) => Writing::Ending,
                (Ok(()), _) => Writing::Ended,
                (Err(error), _) => {
                    log::debug!("WebSocket write failed: {error}");
                    self.has_ended.set(true);
                    Writing::Ended
                }
            };
        }
    }

    /// Reads and drops data until the client closes the connection too.
    fn poll_drain(&self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..DRAINED {
            if self.has_ended.get() || ready!(self.poll_read(cx, |_| ())).is_err() {
                return Poll::Ready(());
            }
        }
        // The client keeps sending; other connections run first.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads once, into the buffer of the worker.
    fn poll_read<R>(
        &self,
        cx: &mut Context<'_>,
        look: impl FnOnce(&[u8]) -> R,
    ) -> Poll<Result<R, InboundError>> {
        // Taken out during its use, because handlers of the program run within `look`.
        let mut space = READ.with(RefCell::take);
        space.resize(READ_SIZE, 0);
        let mut buffer = ReadBuf::new(&mut space);
        let polled = Pin::new(&mut **self.io.borrow_mut()).poll_read(cx, &mut buffer);
        let read = match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                self.has_ended.set(true);
                Poll::Ready(Err(InboundError::Closed))
            }
            Poll::Ready(Ok(())) => Poll::Ready(Ok(look(buffer.filled()))),
            Poll::Ready(Err(error)) => {
                log::debug!("WebSocket read failed: {error}");
                self.has_ended.set(true);
                Poll::Ready(Err(InboundError::Broken))
            }
        };
        READ.with(|kept| kept.replace(space));
        read
    }
}

/// The reading side of a session.
struct Reader {
    connection: Rc<Connection>,
    slot: ConnectionSlot<Connection>,
    frames: Frames,
    /// Bytes that were read but not handled yet.
    kept: BytesMut,
}

impl Inbound for Reader {
    fn read(
        &mut self,
        cx: &mut Context<'_>,
        take: &mut dyn FnMut(Result<InboundMessage<'_>, InboundError>) -> ControlFlow<()>,
    ) {
        if !self.kept.is_empty() {
            let mut input = &self.kept[..];
            let flow = self.frames.decode(&mut input, take);
            let taken = self.kept.len() - input.len();
            self.kept.advance(taken);
            if self.kept.is_empty() {
                self.kept = BytesMut::new();
            }
            if flow.is_break() {
                return;
            }
        }
        let Self {
            connection,
            frames,
            kept,
            ..
        } = self;
        loop {
            let read = connection.poll_read(cx, |mut input| {
                let flow = frames.decode(&mut input, take);
                kept.extend_from_slice(input);
                flow
            });
            match read {
                Poll::Ready(Ok(ControlFlow::Continue(()))) => {}
                Poll::Ready(Ok(ControlFlow::Break(()))) | Poll::Pending => return,
                Poll::Ready(Err(lost)) => {
                    let _ = take(Err(lost));
                    return;
                }
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if self.frames.has_closed() {
            // RFC 6455, 7.1.1: after both close frames it is the server that ends the connection.
            self.connection.has_ended.set(true);
        }
        self.connection.is_released.set(true);
        self.slot.leave(&self.connection);
    }
}

thread_local! {
    static FLUSHER: Here<Connection> = const { RefCell::new(None) };
    static READ: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Bytes that are read at once.
const READ_SIZE: usize = 64 * 1024;

/// The number of reads per turn from a client whose session has ended.
const DRAINED: usize = 8;
