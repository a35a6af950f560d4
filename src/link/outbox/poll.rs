//! A poll that waits for an outbox, and the body of its response.
//!
//! It does not depend on HTTP: the transport compresses the body.

use std::sync::Arc;
use std::task::{Context, Poll};

use crate::engineio;
use crate::link::outbox::queue::{Outbox, PollRefused, Reader};

/// A poll that waits for frames.
#[derive(Debug)]
pub(crate) struct PendingPoll {
    outbox: Arc<Outbox>,
    wants_compression: bool,
}

impl Outbox {
    /// Makes the caller the reader until the response is drained or dropped.
    pub(crate) fn begin_poll(self: &Arc<Self>) -> Result<PendingPoll, PollRefused> {
        let mut inner = self.inner.lock();
        match inner.reader {
            Reader::Poll => return Err(PollRefused::Busy),
            Reader::WebSocket => return Err(PollRefused::Upgraded),
            Reader::None => inner.reader = Reader::Poll,
        }
        inner.was_polled = true;
        Ok(PendingPoll {
            outbox: Arc::clone(self),
            wants_compression: false,
        })
    }
}

impl PendingPoll {
    /// Takes the queued frames, up to [`POLL_PACKETS`], as the body of one response. `None` means
    /// that the session has ended, or that a WebSocket is the reader.
    pub(crate) fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<u8>>> {
        let mut inner = self.outbox.inner.lock();
        if inner.reader != Reader::Poll {
            // Queued frames belong to the WebSocket now.
            return Poll::Ready(None);
        }
        if inner.queue.is_empty() && !inner.noop {
            if inner.closed {
                return Poll::Ready(None);
            }
            inner.wait(cx);
            return Poll::Pending;
        }
        let mut body = Vec::with_capacity(inner.bytes() + 1);
        if inner.queue.is_empty() {
            body.extend_from_slice(engineio::NOOP.as_bytes());
        }
        for _ in 0..POLL_PACKETS {
            let Some(frame) = inner.queue.front() else {
                break;
            };
            if !body.is_empty() {
                body.push(engineio::SEPARATOR);
            }
            frame.push_polling(&mut body);
            self.wants_compression |= frame.wants_compression();
            inner.pop();
        }
        self.outbox.unlock_relieved(inner);
        Poll::Ready(Some(body))
    }

    /// Returns `true` if any packet of the body is worth compressing.
    pub(crate) fn wants_compression(&self) -> bool {
        self.wants_compression
    }
}

impl Drop for PendingPoll {
    fn drop(&mut self) {
        let mut inner = self.outbox.inner.lock();
        inner.noop = false;
        if inner.reader == Reader::Poll {
            inner.reader = Reader::None;
            inner.waker = None;
        }
    }
}

/// The number of packets in the response to one poll: the official Python client closes a session
/// that sends more.
const POLL_PACKETS: usize = 16;
