//! The input of a session: the messages on its stream.
//!
//! The session's actor reads. The task of the connection is told when the session has released the
//! stream, and tells the reader when the client has closed the session.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, BytesMut};
use quinn::{ConnectionError, ReadError, RecvStream};
use tokio::sync::Notify;

use crate::engineio::{StreamDecoder, StreamError, StreamMessage};
use crate::link::{Inbound, InboundError, InboundMessage, Violation};

/// Reads the messages of one client.
pub(super) struct StreamReader {
    stream: RecvStream,
    decoder: StreamDecoder,
    /// Bytes that were read but not handled yet.
    kept: BytesMut,
    shared: Rc<Shared>,
}

/// The state that the reader shares with the task of its connection.
#[derive(Default)]
pub(super) struct Shared {
    /// The client has closed the session: nothing follows what has arrived.
    end: RefCell<Option<InboundError>>,
    reader: RefCell<Option<Waker>>,
    is_released: Cell<bool>,
    released: Notify,
}

impl StreamReader {
    /// Reads messages of up to `limit` bytes.
    pub(super) fn new(stream: RecvStream, limit: usize) -> Self {
        Self {
            stream,
            decoder: StreamDecoder::new(limit),
            kept: BytesMut::new(),
            shared: Rc::default(),
        }
    }

    /// Returns the state for the task of the connection.
    pub(super) fn shared(&self) -> Rc<Shared> {
        Rc::clone(&self.shared)
    }

    /// Reads one text message; `None` if anything else arrives.
    pub(super) async fn text(&mut self) -> Option<String> {
        poll_fn(|cx| {
            let mut found = None;
            self.read(cx, &mut |message| {
                found = Some(match message {
                    Ok(InboundMessage::Text(text)) => Some(text.to_owned()),
                    _ => None,
                });
                ControlFlow::Break(())
            });
            found.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Takes bytes from the front of `input` and passes the messages in them to `take`, until it
    /// breaks or all input is used up.
    fn decode(
        &mut self,
        input: &mut &[u8],
        take: &mut dyn FnMut(Result<InboundMessage<'_>, InboundError>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        loop {
            let flow = match self.decoder.decode(input) {
                Ok(None) => return ControlFlow::Continue(()),
                Ok(Some(StreamMessage::Text(text))) => take(Ok(InboundMessage::Text(text))),
                Ok(Some(StreamMessage::Binary(data))) => take(Ok(InboundMessage::Binary(data))),
                Err(error) => {
                    let _ = take(Err(refused(error)));
                    ControlFlow::Break(())
                }
            };
            if flow.is_break() {
                return flow;
            }
        }
    }
}

impl Inbound for StreamReader {
    fn read(
        &mut self,
        cx: &mut Context<'_>,
        take: &mut dyn FnMut(Result<InboundMessage<'_>, InboundError>) -> ControlFlow<()>,
    ) {
        let mut kept = std::mem::take(&mut self.kept);
        if !kept.is_empty() {
            let mut input = &kept[..];
            let flow = self.decode(&mut input, take);
            let taken = kept.len() - input.len();
            if flow.is_break() {
                kept.advance(taken);
                self.kept = kept;
                return;
            }
        }
        loop {
            // Taken out during its use, because handlers of the program run within `take`.
            let mut space = READ.with(RefCell::take);
            space.resize(READ_SIZE, 0);
            let read = self.stream.poll_read(cx, &mut space);
            let flow = match read {
                Poll::Ready(Ok(0)) => {
                    let _ = take(Err(InboundError::Closed));
                    ControlFlow::Break(())
                }
                Poll::Ready(Ok(length)) => {
                    let mut input = space.get(..length).unwrap_or_default();
                    let flow = self.decode(&mut input, take);
                    self.kept.extend_from_slice(input);
                    flow
                }
                Poll::Ready(Err(error)) => {
                    let _ = take(Err(lost(&error)));
                    ControlFlow::Break(())
                }
                Poll::Pending => {
                    if let Some(end) = self.shared.poll_end(cx) {
                        let _ = take(Err(end));
                    }
                    ControlFlow::Break(())
                }
            };
            READ.with(|kept| kept.replace(space));
            if flow.is_break() {
                return;
            }
        }
    }
}

impl Drop for StreamReader {
    fn drop(&mut self) {
        self.shared.is_released.set(true);
        self.shared.released.notify_waiters();
    }
}

impl Shared {
    /// The client has closed the session, or its connection broke.
    pub(super) fn end(&self, end: InboundError) {
        self.end.replace(Some(end));
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// Waits until the session has released the stream.
    pub(super) async fn released(&self) {
        while !self.is_released.get() {
            self.released.notified().await;
        }
    }

    fn poll_end(&self, cx: &mut Context<'_>) -> Option<InboundError> {
        let end = self.end.borrow().clone();
        if end.is_none() {
            let mut reader = self.reader.borrow_mut();
            if !reader.as_ref().is_some_and(|it| it.will_wake(cx.waker())) {
                *reader = Some(cx.waker().clone());
            }
        }
        end
    }
}

/// Says the end of a connection in the words of all transports.
pub(super) fn ended(error: &ConnectionError) -> InboundError {
    match error {
        ConnectionError::ApplicationClosed(_) | ConnectionError::ConnectionClosed(_) => {
            InboundError::Closed
        }
        _ => InboundError::Broken,
    }
}

fn lost(error: &ReadError) -> InboundError {
    match error {
        ReadError::ConnectionLost(error) => ended(error),
        // A browser resets the streams of a session that it closes.
        ReadError::Reset(_) => InboundError::Closed,
        _ => InboundError::Broken,
    }
}

/// The client's data violates the protocol.
#[cold]
fn refused(error: StreamError) -> InboundError {
    InboundError::Refused(Violation {
        cause: error.to_string(),
        is_too_large: matches!(error, StreamError::TooLarge { .. }),
        // A WebSocket would close with it; a session of WebTransport has no code.
        close_code: PROTOCOL_ERROR,
    })
}

thread_local! {
    static READ: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Bytes that are read at once.
const READ_SIZE: usize = 64 * 1024;

/// RFC 6455, 7.4.1.
const PROTOCOL_ERROR: u16 = 1002;
