//! What a WebSocket takes from an outbox: chunks for an HTTP response's body, or frames for a
//! connection that is written to at once.
//!
//! A frame that is written in part stays the first in the queue until its last byte has left.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};

use crate::link::outbox::{Inner, Outbox};

/// Writes some of these bytes to a client, and tells how many.
pub(crate) type WriteFrames<'w> =
    dyn FnMut(&mut Context<'_>, &[IoSlice<'_>]) -> Poll<io::Result<usize>> + 'w;

impl Outbox {
    /// Takes the next chunk for a WebSocket: one frame as it is, or small ones joined.
    /// `None` is the end.
    pub(crate) fn poll_chunk(&self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut inner = self.inner.lock();
        let Some(first) = inner.queue.front() else {
            if inner.closed {
                return Poll::Ready(None);
            }
            inner.wait(cx);
            return Poll::Pending;
        };
        if inner.queue.len() == 1 || first.len() >= CHUNK {
            let chunk = first.websocket().clone();
            inner.pop();
            self.unlock_relieved(inner);
            return Poll::Ready(Some(chunk));
        }
        let mut chunk = BytesMut::with_capacity(inner.bytes().min(CHUNK));
        while let Some(frame) = inner.queue.front() {
            if chunk.len() + frame.len() > CHUNK {
                break;
            }
            chunk.extend_from_slice(frame.websocket());
            inner.pop();
        }
        self.unlock_relieved(inner);
        Poll::Ready(Some(chunk.freeze()))
    }

    /// Writes what is queued for a WebSocket, as many frames at once as `write` takes; a frame
    /// leaves the queue when its last byte has been written. `Ok` is the end.
    ///
    /// # Errors
    ///
    /// What `write` fails with, and `WriteZero` where it takes nothing.
    pub(crate) fn poll_write(
        &self,
        cx: &mut Context<'_>,
        write: &mut WriteFrames<'_>,
    ) -> Poll<io::Result<()>> {
        let mut inner = self.inner.lock();
        let polled = inner.poll_write(cx, write);
        self.unlock_relieved(inner);
        polled
    }
}

impl Inner {
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        write: &mut WriteFrames<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.queue.is_empty() {
            // Under the lock, so that what the client has not taken counts as waiting for it.
            match ready!(self.slices(|slices| write(cx, slices)))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.written(written),
            }
        }
        if self.closed {
            return Poll::Ready(Ok(()));
        }
        self.wait(cx);
        Poll::Pending
    }

    /// Shows the front of the queue as it is to be written: small frames joined, since each further
    /// slice costs the kernel more than the copy, and others as they are.
    fn slices<T>(&self, show: impl FnOnce(&[IoSlice<'_>]) -> T) -> T {
        if self.queue.len() == 1
            && let Some(frame) = self.queue.front()
        {
            return show(&[IoSlice::new(&frame.websocket()[self.begun..])]);
        }
        let mut begun = self.begun;
        let front = self.queue.iter().take(WRITE_FRAMES).map(|frame| {
            let rest = &frame.websocket()[begun..];
            begun = 0;
            rest
        });
        if self.bytes() <= JOINED {
            return SCRATCH.with_borrow_mut(|joined| {
                joined.clear();
                front.for_each(|frame| joined.extend_from_slice(frame));
                show(&[IoSlice::new(joined)])
            });
        }
        let mut slices = [IoSlice::new(&[]); WRITE_FRAMES];
        let mut count = 0;
        for (slice, frame) in slices.iter_mut().zip(front) {
            *slice = IoSlice::new(frame);
            count += 1;
        }
        show(&slices[..count])
    }

    fn written(&mut self, mut bytes: usize) {
        while let Some(frame) = self.queue.front() {
            let missing = frame.len() - self.begun;
            if bytes < missing {
                self.begun += bytes;
                return;
            }
            bytes -= missing;
            self.begun = 0;
            self.pop();
        }
    }
}

/// Bytes that are joined into one chunk; the HTTP layer writes about as much at once.
const CHUNK: usize = 32 * 1024;

/// Bytes of several frames that are copied to be written as one.
pub(super) const JOINED: usize = 4 * 1024;

/// Frames that are written at once.
const WRITE_FRAMES: usize = 64;

thread_local! {
    /// Where small frames are joined.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}
