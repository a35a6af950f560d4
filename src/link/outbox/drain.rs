//! The output of an outbox for a WebSocket: chunks for an HTTP response's body, or frames for a
//! direct write to the connection.
//!
//! A partly written frame stays the first in the queue until its last byte is written. If a method
//! returns the end, [`Outbox::stop`] says whether it is the end or a pause.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};

use crate::link::deflater::Deflater;
use crate::link::frame::Frame;
use crate::link::outbox::queue::{Inner, Outbox};

/// Writes some of these bytes to a client, and returns their number.
pub(crate) type WriteFrames<'w> =
    dyn FnMut(&mut Context<'_>, &[IoSlice<'_>]) -> Poll<io::Result<usize>> + 'w;

impl Outbox {
    /// Takes the next chunk for a WebSocket: one frame unchanged, or small ones joined. `None` is
    /// the end.
    pub(crate) fn poll_chunk(&self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut inner = self.inner.lock();
        let Some(first) = inner.queue.front() else {
            if inner.stops {
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

    /// Takes the next frame, for a transport that writes the packets in a form of its own. `None` is
    /// the end.
    pub(crate) fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Option<Frame>> {
        let mut inner = self.inner.lock();
        let frame = inner.poll_pop(cx);
        self.unlock_relieved(inner);
        frame
    }

    /// Takes the next chunk for a WebSocket that compresses: as many frames as are worth one write,
    /// each in the form that `deflater` makes of it. `None` is the end. The frames leave the queue
    /// before they are compressed, so that no sender waits for it.
    pub(crate) fn poll_deflated(
        &self,
        cx: &mut Context<'_>,
        deflater: &mut Deflater,
    ) -> Poll<Option<Bytes>> {
        let mut inner = self.inner.lock();
        let Some(first) = ready!(inner.poll_pop(cx)) else {
            return Poll::Ready(None);
        };
        let (mut length, mut rest) = (first.len(), Vec::new());
        while let Some(frame) = inner.queue.front() {
            length += frame.len();
            if length > CHUNK {
                break;
            }
            rest.push(frame.clone());
            inner.pop();
        }
        self.unlock_relieved(inner);
        let first = deflater.bytes(&first);
        if rest.is_empty() {
            return Poll::Ready(Some(first));
        }
        let mut chunk = BytesMut::from(first);
        for frame in &rest {
            chunk.extend_from_slice(&deflater.bytes(frame));
        }
        Poll::Ready(Some(chunk.freeze()))
    }

    /// Writes what is queued for a WebSocket, as many frames at once as `write` takes; a frame
    /// leaves the queue when its last byte has been written. `Ok` is the end.
    ///
    /// # Errors
    ///
    /// The error of `write`, or `WriteZero` if it writes nothing.
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
    /// Takes the first frame; `None` is the end.
    fn poll_pop(&mut self, cx: &mut Context<'_>) -> Poll<Option<Frame>> {
        match self.queue.front().cloned() {
            Some(frame) => {
                self.pop();
                Poll::Ready(Some(frame))
            }
            None if self.stops => Poll::Ready(None),
            None => {
                self.wait(cx);
                Poll::Pending
            }
        }
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        write: &mut WriteFrames<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.queue.is_empty() {
            // Under the lock, so that unwritten bytes count as waiting.
            match ready!(self.slices(|slices| write(cx, slices)))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.written(written),
            }
        }
        if self.stops {
            return Poll::Ready(Ok(()));
        }
        self.wait(cx);
        Poll::Pending
    }

    /// Passes the front of the queue to `show`: small frames joined, because each further slice
    /// costs the kernel more than the copy, and others unchanged.
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

/// The size of joined chunks; the HTTP layer writes about as much at once.
const CHUNK: usize = 32 * 1024;

/// The maximal number of bytes of several frames that are copied into one slice.
pub(super) const JOINED: usize = 4 * 1024;

/// The number of frames written at once.
const WRITE_FRAMES: usize = 64;

thread_local! {
    /// The buffer of joined frames.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn frames_are_taken_one_after_another_up_to_the_end() {
        let outbox = Outbox::new(1000, 0);
        outbox.attach_websocket();
        let mut cx = Context::from_waker(Waker::noop());
        let mut next = || {
            let taken = outbox.poll_frame(&mut cx);
            taken.map(|frame| frame.map(|frame| frame.websocket().clone()))
        };
        assert!(next().is_pending());
        let frames = [Frame::packet("2"), Frame::binary(&[1]), Frame::packet("")];
        for frame in &frames {
            assert!(outbox.push(frame.clone().into()).is_ok());
        }
        outbox.close(None);
        for frame in &frames {
            assert_eq!(next(), Poll::Ready(Some(frame.websocket().clone())));
        }
        assert_eq!(next(), Poll::Ready(None));
        assert_eq!(outbox.stats().queued_packets, 0);
    }
}
