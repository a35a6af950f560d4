//! What a session has yet to send.
//!
//! Any thread pushes frames; whoever holds the client's transport drains them: a waiting poll, or
//! the body of the WebSocket's response. The queue is bounded in bytes. A transport is woken when
//! the queue goes from empty to filled and at no other time. An upgrade changes who drains and
//! loses nothing. The outbox knows nothing of sessions, rooms or HTTP.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;

use crate::engineio;
use crate::link::frame::Frame;

/// A bounded queue of frames with one reader at a time.
///
/// ```text
///            begin_poll          attach_websocket
///   idle ───────────────▶ poll ───────────────────▶ websocket
///    ▲                     │                            ▲
///    └── drained, aborted ─┘          idle ─────────────┘
/// ```
/// `close` lets the reader take what is left and then ends it; `discard` ends it at once.
#[derive(Debug)]
pub(crate) struct Outbox {
    limit: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    queue: VecDeque<Frame>,
    /// Bytes of the first frame that have been written already.
    begun: usize,
    bytes: usize,
    reader: Reader,
    waker: Option<Waker>,
    /// A poll that has waited long enough is sent home with a noop.
    noop: bool,
    closed: bool,
    /// It was too full once: nothing comes in any more.
    sealed: bool,
    /// Frames that ever came in, and that ever went out.
    pushed: u64,
    drained: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Reader {
    #[default]
    None,
    Poll,
    WebSocket,
}

/// Writes some of these bytes to a client, and tells how many.
pub(crate) type WriteFrames<'w> =
    dyn FnMut(&mut Context<'_>, &[IoSlice<'_>]) -> Poll<io::Result<usize>> + 'w;

/// Why a packet did not get into an outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PushError {
    /// It would exceed the outbox's limit.
    Full,
    /// The session has ended.
    Closed,
}

/// Why a poll may not wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PollRefused {
    /// Another one is waiting: Engine.IO allows one.
    Busy,
    /// The session's transport is a WebSocket.
    Upgraded,
}

impl Outbox {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            // Most frames are taken before the next one comes.
            inner: Mutex::new(Inner {
                queue: VecDeque::with_capacity(1),
                ..Inner::default()
            }),
        }
    }

    /// Adds a packet: its frame and the frames that must follow it without any between.
    pub(crate) fn push(&self, frame: Frame, attached: Vec<Frame>) -> Result<(), PushError> {
        self.push_up_to(self.limit, frame, attached)
    }

    /// Takes nothing more: after a packet that did not fit another may, and the client would have a
    /// gap.
    pub(crate) fn seal(&self) {
        self.inner.lock().sealed = true;
    }

    /// Adds a packet where there is none, and drops it otherwise; tells whether it was added.
    pub(crate) fn push_if_empty(&self, frame: Frame, attached: Vec<Frame>) -> bool {
        // What another thread pushes between the two can only come before it.
        self.inner.lock().queue.is_empty() && self.push(frame, attached).is_ok()
    }

    /// Adds a ping, past the limit: one is outstanding at a time, and a client that is slow now
    /// would else be taken for dead later.
    pub(crate) fn push_ping(&self, ping: Frame) -> Result<(), PushError> {
        self.push_up_to(usize::MAX, ping, Vec::new())
    }

    // By value: the bytes of a frame that has one receiver are never counted.
    fn push_up_to(
        &self,
        limit: usize,
        frame: Frame,
        attached: Vec<Frame>,
    ) -> Result<(), PushError> {
        let bytes = frame.len() + attached.iter().map(Frame::len).sum::<usize>();
        let waker = {
            let mut inner = self.inner.lock();
            if inner.closed {
                return Err(PushError::Closed);
            }
            if inner.sealed || inner.bytes + bytes > limit {
                return Err(PushError::Full);
            }
            let was_empty = inner.queue.is_empty();
            inner.bytes += bytes;
            inner.pushed += 1 + attached.len() as u64;
            inner.queue.push_back(frame);
            inner.queue.extend(attached);
            if was_empty { inner.waker.take() } else { None }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    /// Returns how many frames came in so far: the number of the last one.
    pub(crate) fn pushed(&self) -> u64 {
        self.inner.lock().pushed
    }

    /// Tells whether the frame of that number has been taken by the transport.
    pub(crate) fn has_drained(&self, number: u64) -> bool {
        self.inner.lock().drained >= number
    }

    /// Takes `last` in past the limit, then nothing more; the reader ends after it.
    pub(crate) fn close(&self, last: Option<Frame>) {
        self.end(last, false);
    }

    /// Drops what is queued, and ends the reader with `last`.
    pub(crate) fn discard(&self, last: Option<Frame>) {
        self.end(last, true);
    }

    /// Drops what a closed outbox still has: its reader took too long.
    pub(crate) fn abandon(&self) {
        let waker = {
            let mut inner = self.inner.lock();
            inner.discard();
            inner.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn end(&self, last: Option<Frame>, discard: bool) {
        let waker = {
            let mut inner = self.inner.lock();
            if inner.closed {
                return;
            }
            inner.closed = true;
            if discard {
                inner.discard();
            }
            inner.queue.extend(last);
            inner.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Tells whether it was closed and the reader has taken everything.
    pub(crate) fn is_spent(&self) -> bool {
        let inner = self.inner.lock();
        inner.closed && inner.queue.is_empty()
    }

    /// Makes the caller the reader until the answer is drained or dropped.
    pub(crate) fn begin_poll(self: &Arc<Self>) -> Result<PendingPoll, PollRefused> {
        let mut inner = self.inner.lock();
        match inner.reader {
            Reader::Poll => return Err(PollRefused::Busy),
            Reader::WebSocket => return Err(PollRefused::Upgraded),
            Reader::None => inner.reader = Reader::Poll,
        }
        Ok(PendingPoll {
            outbox: Arc::clone(self),
            wants_compression: false,
        })
    }

    /// Ends a waiting poll with a noop, so that the client can go on with its upgrade.
    pub(crate) fn release_poll(&self) {
        let waker = {
            let mut inner = self.inner.lock();
            if inner.reader != Reader::Poll {
                return;
            }
            inner.noop = true;
            inner.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Makes a WebSocket the reader from now on; a poll that still waits gets nothing.
    pub(crate) fn attach_websocket(&self) {
        let waker = {
            let mut inner = self.inner.lock();
            inner.reader = Reader::WebSocket;
            inner.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Tells whether a WebSocket is the reader.
    pub(crate) fn has_websocket(&self) -> bool {
        self.inner.lock().reader == Reader::WebSocket
    }

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
            return Poll::Ready(Some(chunk));
        }
        let mut chunk = BytesMut::with_capacity(inner.bytes.min(CHUNK));
        while let Some(frame) = inner.queue.front() {
            if chunk.len() + frame.len() > CHUNK {
                break;
            }
            chunk.extend_from_slice(frame.websocket());
            inner.pop();
        }
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
        while !inner.queue.is_empty() {
            // Under the lock, so that what the client has not taken counts as waiting for it.
            match ready!(inner.slices(|slices| write(cx, slices)))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => inner.written(written),
            }
        }
        if inner.closed {
            return Poll::Ready(Ok(()));
        }
        inner.wait(cx);
        Poll::Pending
    }

    /// Puts bytes in front of all frames: what a WebSocket's connection says before its first
    /// frame.
    pub(crate) fn preface(&self, bytes: Bytes) {
        let mut inner = self.inner.lock();
        let preface = Frame::raw(bytes);
        inner.bytes += preface.len();
        inner.pushed += 1;
        inner.queue.push_front(preface);
    }
}

impl Inner {
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
        if self.bytes <= JOINED {
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

    /// Drops what is queued, but a frame that the client has a part of: without its end, the bytes
    /// behind it would be taken for it.
    fn discard(&mut self) {
        let kept = usize::from(self.begun > 0);
        self.queue.truncate(kept);
        self.queue.shrink_to_fit();
        self.bytes = self.queue.front().map_or(0, Frame::len);
    }

    fn wait(&mut self, cx: &Context<'_>) {
        match &self.waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            _ => self.waker = Some(cx.waker().clone()),
        }
        if self.queue.capacity() > KEPT_FRAMES {
            self.queue = VecDeque::new();
        }
    }

    fn pop(&mut self) {
        if let Some(frame) = self.queue.pop_front() {
            self.bytes = self.bytes.saturating_sub(frame.len());
            self.drained += 1;
        }
    }
}

/// A poll that waits for something to send.
#[derive(Debug)]
pub(crate) struct PendingPoll {
    outbox: Arc<Outbox>,
    wants_compression: bool,
}

impl PendingPoll {
    /// Takes what is queued, up to [`POLL_PACKETS`], as the body of one answer; `None` says that
    /// the session is over, or that a WebSocket has it.
    pub(crate) fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<u8>>> {
        let mut inner = self.outbox.inner.lock();
        if inner.reader != Reader::Poll {
            // What is queued belongs to the WebSocket now.
            return Poll::Ready(None);
        }
        if inner.queue.is_empty() && !inner.noop {
            if inner.closed {
                return Poll::Ready(None);
            }
            inner.wait(cx);
            return Poll::Pending;
        }
        let mut body = Vec::with_capacity(inner.bytes + 1);
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
        Poll::Ready(Some(body))
    }

    /// Tells whether any packet of the body is worth compressing.
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

/// Bytes that are joined into one chunk; the HTTP layer writes about as much at once.
const CHUNK: usize = 32 * 1024;

/// Bytes of several frames that are copied to be written as one.
const JOINED: usize = 4 * 1024;

/// Frames that are written at once.
const WRITE_FRAMES: usize = 64;

/// Packets in the answer to one poll: the official Python client drops a session that sends more.
const POLL_PACKETS: usize = 16;

/// Frames whose room an empty queue keeps.
const KEPT_FRAMES: usize = 64;

thread_local! {
    /// Where small frames are joined.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn waker() -> (Arc<Wakes>, Waker) {
        let wakes = Arc::new(Wakes::default());
        (Arc::clone(&wakes), Waker::from(wakes))
    }

    fn outbox(limit: usize) -> Arc<Outbox> {
        Arc::new(Outbox::new(limit))
    }

    fn body(poll: &mut PendingPoll, cx: &mut Context<'_>) -> Poll<Option<String>> {
        poll.poll_body(cx)
            .map(|body| body.map(|body| String::from_utf8(body).unwrap()))
    }

    #[test]
    fn the_last_byte_that_fits_is_taken_and_the_next_is_not() {
        let outbox = outbox(6);
        let ping = Frame::packet("2");
        assert_eq!(ping.len(), 3);
        assert_eq!(outbox.push(ping.clone(), vec![]), Ok(()));
        assert_eq!(
            outbox.push(ping.clone(), vec![ping.clone()]),
            Err(PushError::Full)
        );
        assert_eq!(outbox.push(ping.clone(), vec![]), Ok(()));
        assert_eq!(outbox.push(ping, vec![]), Err(PushError::Full));
    }

    #[test]
    fn the_reader_is_woken_once_for_many_frames() {
        let outbox = outbox(1000);
        let (wakes, waker) = waker();
        let mut cx = Context::from_waker(&waker);
        outbox.attach_websocket();
        assert!(outbox.poll_chunk(&mut cx).is_pending());
        for _ in 0..3 {
            outbox.push(Frame::packet("2"), vec![]).unwrap();
        }
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        let Poll::Ready(Some(chunk)) = outbox.poll_chunk(&mut cx) else {
            panic!("three frames are one chunk")
        };
        assert_eq!(chunk.len(), 9);
        assert!(outbox.poll_chunk(&mut cx).is_pending());
    }

    #[test]
    fn a_second_poll_is_refused_until_the_first_is_done() {
        let outbox = outbox(1000);
        let first = outbox.begin_poll().unwrap();
        assert_eq!(outbox.begin_poll().unwrap_err(), PollRefused::Busy);
        drop(first);
        assert!(outbox.begin_poll().is_ok());
        outbox.attach_websocket();
        assert_eq!(outbox.begin_poll().unwrap_err(), PollRefused::Upgraded);
    }

    #[test]
    fn a_poll_takes_sixteen_packets_and_the_next_one_the_rest() {
        let outbox = outbox(1000);
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..17 {
            outbox.push(Frame::packet("2"), vec![]).unwrap();
        }
        let mut poll = outbox.begin_poll().unwrap();
        let full = ["2"; 16].join("\u{1e}");
        assert_eq!(body(&mut poll, &mut cx), Poll::Ready(Some(full)));
        assert_eq!(body(&mut poll, &mut cx), Poll::Ready(Some("2".into())));
    }

    #[test]
    fn a_poll_takes_all_packets_at_once() {
        let outbox = outbox(1000);
        let mut cx = Context::from_waker(Waker::noop());
        let mut poll = outbox.begin_poll().unwrap();
        assert!(poll.poll_body(&mut cx).is_pending());
        outbox
            .push(Frame::packet("4a"), vec![Frame::binary(&[1])])
            .unwrap();
        assert_eq!(
            body(&mut poll, &mut cx),
            Poll::Ready(Some("4a\u{1e}bAQ==".into()))
        );
    }

    #[test]
    fn an_upgrade_sends_the_poll_home_and_loses_nothing() {
        let outbox = outbox(1000);
        let mut cx = Context::from_waker(Waker::noop());
        let mut poll = outbox.begin_poll().unwrap();
        outbox.release_poll();
        assert_eq!(body(&mut poll, &mut cx), Poll::Ready(Some("6".into())));
        drop(poll);
        outbox.push(Frame::packet("4a"), vec![]).unwrap();
        outbox.attach_websocket();
        assert_eq!(
            outbox.poll_chunk(&mut cx),
            Poll::Ready(Some(Bytes::from_static(b"\x81\x024a")))
        );
    }

    #[test]
    fn a_poll_that_outlives_the_upgrade_takes_nothing() {
        let outbox = outbox(1000);
        let mut cx = Context::from_waker(Waker::noop());
        let mut poll = outbox.begin_poll().unwrap();
        outbox.attach_websocket();
        outbox.push(Frame::packet("4a"), vec![]).unwrap();
        assert_eq!(body(&mut poll, &mut cx), Poll::Ready(None));
        drop(poll);
        assert!(matches!(outbox.poll_chunk(&mut cx), Poll::Ready(Some(chunk)) if chunk.len() == 4));
    }

    #[test]
    fn closing_lets_the_reader_finish_and_discarding_does_not() {
        let mut cx = Context::from_waker(Waker::noop());
        for (discard, expected) in [(false, 5), (true, 2)] {
            let outbox = outbox(1000);
            outbox.attach_websocket();
            outbox.push(Frame::packet("2"), vec![]).unwrap();
            outbox.end(Some(Frame::close(None)), discard);
            assert_eq!(
                outbox.push(Frame::packet("2"), vec![]),
                Err(PushError::Closed)
            );
            let Poll::Ready(Some(chunk)) = outbox.poll_chunk(&mut cx) else {
                panic!("the close frame is there")
            };
            assert_eq!(chunk.len(), expected);
            assert_eq!(outbox.poll_chunk(&mut cx), Poll::Ready(None));
        }
    }

    #[test]
    fn it_knows_which_frames_the_transport_has_taken() {
        let outbox = outbox(1000);
        outbox.push(Frame::packet("2"), vec![]).unwrap();
        let number = outbox.pushed();
        assert!(!outbox.has_drained(number));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(outbox.poll_chunk(&mut cx).is_ready());
        assert!(outbox.has_drained(number));
    }

    /// Takes `room` bytes of what is to be written, and says in how many slices it came.
    fn write(outbox: &Outbox, mut room: usize) -> (Poll<bool>, Vec<u8>, Vec<usize>) {
        let (mut taken, mut slices) = (Vec::new(), Vec::new());
        let mut cx = Context::from_waker(Waker::noop());
        let polled = outbox.poll_write(&mut cx, &mut |_, frames| {
            slices.push(frames.len());
            let all = frames.iter().flat_map(|frame| frame.iter().copied());
            let before = taken.len();
            taken.extend(all.take(room));
            room -= taken.len() - before;
            match taken.len() - before {
                0 => Poll::Pending,
                written => Poll::Ready(Ok(written)),
            }
        });
        (polled.map(|ended| ended.is_ok()), taken, slices)
    }

    #[test]
    fn small_frames_are_written_as_one_and_large_ones_as_they_are() {
        let outbox = outbox(100_000);
        outbox.push(Frame::packet("4a"), vec![]).unwrap();
        outbox.push(Frame::packet("4b"), vec![]).unwrap();
        let (polled, taken, slices) = write(&outbox, 1000);
        assert!(polled.is_pending());
        assert_eq!(taken, b"\x81\x024a\x81\x024b");
        assert_eq!(slices, [1]);
        let large = [Frame::binary(&[7; JOINED]), Frame::packet("4c")];
        for frame in &large {
            outbox.push(frame.clone(), vec![]).unwrap();
        }
        let (_, taken, slices) = write(&outbox, 10_000);
        assert_eq!(taken.len(), large[0].len() + large[1].len());
        assert_eq!(slices, [2]);
    }

    #[test]
    fn a_frame_cut_by_a_full_socket_is_written_on_where_it_was_cut() {
        let whole = b"\x81\x024a\x81\x024b".to_vec();
        for cut in 1..whole.len() {
            let outbox = outbox(1000);
            outbox.push(Frame::packet("4a"), vec![]).unwrap();
            outbox.push(Frame::packet("4b"), vec![]).unwrap();
            let (polled, mut taken, _) = write(&outbox, cut);
            assert!(polled.is_pending());
            assert_eq!(outbox.has_drained(1), cut >= 4, "{cut}");
            assert!(!outbox.has_drained(2));
            taken.extend(write(&outbox, 1000).1);
            assert_eq!(taken, whole, "{cut}");
        }
    }

    #[test]
    fn discarding_spares_the_rest_of_a_frame_that_was_begun() {
        for (begun, rest) in [(0, &b"\x88\x00"[..]), (3, b"a\x88\x00")] {
            let outbox = outbox(1000);
            outbox.push(Frame::packet("4a"), vec![]).unwrap();
            outbox.push(Frame::packet("4b"), vec![]).unwrap();
            if begun > 0 {
                assert_eq!(write(&outbox, begun).1.len(), begun);
            }
            outbox.discard(Some(Frame::close(None)));
            let (polled, taken, _) = write(&outbox, 1000);
            assert_eq!((polled, taken.as_slice()), (Poll::Ready(true), rest));
        }
    }

    #[test]
    fn a_preface_goes_before_what_was_queued() {
        let outbox = outbox(1000);
        outbox.push(Frame::packet("4a"), vec![]).unwrap();
        outbox.preface(Bytes::from_static(b"HTTP"));
        assert_eq!(write(&outbox, 1000).1, b"HTTP\x81\x024a");
    }

    #[test]
    fn a_write_of_nothing_is_an_error() {
        let outbox = outbox(1000);
        outbox.push(Frame::packet("4a"), vec![]).unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        let polled = outbox.poll_write(&mut cx, &mut |_, _| Poll::Ready(Ok(0)));
        let Poll::Ready(Err(error)) = polled else {
            panic!("it would be tried for ever")
        };
        assert_eq!(error.kind(), io::ErrorKind::WriteZero);
    }
}
