//! A poll that waits for an outbox, and the body of its response.
//!
//! It does not depend on HTTP: the transport compresses the body.

use std::sync::Arc;
use std::task::{Context, Poll};

use crate::engineio::{self, v3};
use crate::link::frame::{BinaryForm, Frame, FramePart};
use crate::link::outbox::queue::{Inner, Outbox, PollRefused, Reader};

/// A poll that waits for frames.
#[derive(Debug)]
pub(crate) struct PendingPoll {
    outbox: Arc<Outbox>,
    wants_compression: bool,
    is_binary: bool,
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
            is_binary: false,
        })
    }

    /// Ends a waiting poll with a noop, so that the client can proceed with its upgrade.
    pub(crate) fn release_poll(&self) {
        let mut inner = self.inner.lock();
        if inner.reader == Reader::Poll {
            inner.noop = true;
            Self::unlock_and_wake(inner);
        }
    }

    /// Returns `true` if a poll is waiting.
    pub(crate) fn has_poll(&self) -> bool {
        self.inner.lock().reader == Reader::Poll
    }

    /// Returns `true` if a client has polled it at some time.
    pub(crate) fn was_polled(&self) -> bool {
        self.inner.lock().was_polled
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
        let front = inner.queue.iter().take(POLL_PACKETS);
        self.wants_compression = front.clone().any(Frame::wants_compression);
        let body = match self.outbox.form() {
            BinaryForm::V4 => inner.payload(),
            BinaryForm::V3 | BinaryForm::V3Base64 => {
                let is_binary = |frame: &Frame| matches!(frame.part(), FramePart::Binary(_));
                self.is_binary = front.clone().any(is_binary);
                inner.payload_v3(self.is_binary)
            }
        };
        self.outbox.unlock_relieved(inner);
        Poll::Ready(Some(body))
    }

    /// Returns `true` if the body is a binary payload of v3, and not text.
    pub(crate) fn is_binary(&self) -> bool {
        self.is_binary
    }

    /// Returns `true` if any packet of the body is worth compressing.
    pub(crate) fn wants_compression(&self) -> bool {
        self.wants_compression
    }
}

impl Inner {
    /// Takes the first frames as a payload of v4, or a noop if there are none.
    fn payload(&mut self) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.bytes() + 1);
        if self.queue.is_empty() {
            body.extend_from_slice(engineio::NOOP.as_bytes());
        }
        for _ in 0..POLL_PACKETS {
            let Some(frame) = self.queue.front() else {
                break;
            };
            if !body.is_empty() {
                body.push(engineio::SEPARATOR);
            }
            frame.push_polling(&mut body);
            self.pop();
        }
        body
    }

    /// Takes the first frames as a payload of v3, or a noop if there are none.
    fn payload_v3(&mut self, is_binary: bool) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.bytes() + V3_HEAD);
        if self.queue.is_empty() {
            v3::push_packet(&mut body, engineio::NOOP.as_bytes());
        }
        for _ in 0..POLL_PACKETS {
            let Some(frame) = self.queue.front() else {
                break;
            };
            match frame.part() {
                FramePart::Text(text) if is_binary => v3::push_text_part(&mut body, text),
                FramePart::Text(text) => v3::push_packet(&mut body, text),
                FramePart::Binary(data) => v3::push_binary_part(&mut body, data),
            }
            self.pop();
        }
        body
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

/// The number of bytes of a few lengths in a payload of v3, beyond the heads of frames.
const V3_HEAD: usize = 16;

/// The number of packets in the response to one poll: the official Python client closes a session
/// that sends more.
const POLL_PACKETS: usize = 16;
