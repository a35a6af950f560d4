//! The queue of an outbox: what is added, in which order, and up to which limit.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Waker};

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};

use crate::link::frame::{BinaryForm, Frame};
use crate::link::outbox::pause::Pause;
use crate::link::outbox::pressure::Pressure;
use crate::link::outgoing::Outgoing;
use crate::link::stats::{Flow, OutboxStats};

/// A bounded queue of frames with one reader at a time.
///
/// ```text
///            begin_poll          attach_websocket
///   idle ───────────────▶ poll ───────────────────▶ websocket
///    ▲                     │                            ▲
///    └── drained, aborted ─┘          idle ─────────────┘
/// ```
/// After `close` the reader takes the remaining frames and then ends; `discard` ends it at once.
#[derive(Debug)]
pub(crate) struct Outbox {
    pub(super) limit: usize,
    /// The number of bytes above the limit that may wait for a client that reads: for packets that
    /// cannot wait for room, such as an acknowledgement or a broadcast.
    pub(super) reserve: usize,
    pub(super) inner: Mutex<Inner>,
    /// The limit is exceeded. Written under the lock, read without it by the session's reader.
    pub(super) is_over: AtomicBool,
    /// The [`BinaryForm`] of the client: the session sets it at its start, and an upgrade that of the
    /// WebSocket.
    pub(super) form: AtomicU8,
}

#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) queue: VecDeque<Frame>,
    /// The number of bytes of the first frame that were written already.
    pub(super) begun: usize,
    /// The cost of the waiting frames.
    pub(super) cost: usize,
    pub(super) reader: Reader,
    pub(super) waker: Option<Waker>,
    /// A poll that has waited long enough ends with a noop.
    pub(super) noop: bool,
    pub(super) closed: bool,
    /// The reader stops behind the last frame of the queue: it was closed, or a pause is there.
    pub(super) stops: bool,
    /// The frames behind a pause.
    pub(super) pause: Option<Box<Pause>>,
    /// A poll has begun at some time.
    pub(super) was_polled: bool,
    /// It was too full once: no more packets are added.
    pub(super) sealed: bool,
    /// The total numbers of frames added and removed.
    pub(super) pushed: u64,
    pub(super) drained: u64,
    /// The cost of the removed frames; less than nothing while the bytes before the first frame
    /// wait.
    sent: i64,
    /// Bytes that are no packet were added before the first frame.
    has_preface: bool,
    /// The highest cost of the waiting frames so far.
    peak: usize,
    /// The lower one of it and the limit, or nothing before a pause: one comparison serves all.
    pub(super) mark: usize,
    /// The number of volatile events that were dropped.
    dropped: u64,
    /// The number of the last pong that was added.
    pub(super) pong: Option<u64>,
    /// Made if the limit is exceeded or tasks wait for room, and dropped afterwards.
    pub(super) pressure: Option<Box<Pressure>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Reader {
    #[default]
    None,
    Poll,
    WebSocket,
}

/// The reason why a packet was not added to an outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PushError {
    /// There is no room for it.
    Full,
    /// The session has ended.
    Closed,
}

/// A packet that was not added to an outbox.
#[derive(Debug)]
pub(crate) enum Unsent {
    /// There is no room for it, or others are waiting for room already.
    Full(Outgoing),
    /// The session has ended.
    Closed,
}

/// The position of an added packet relative to the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// Within the limit.
    Within,
    /// Above the limit, because the client reads.
    Over,
}

/// The reason why a poll may not wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PollRefused {
    /// Another one is waiting: Engine.IO allows one.
    Busy,
    /// The session's transport is a WebSocket.
    Upgraded,
}

impl Outbox {
    /// Makes an outbox of `limit` bytes, and of `reserve` more for a client that reads.
    pub(crate) fn new(limit: usize, reserve: usize) -> Self {
        Self {
            limit,
            reserve,
            // Most frames are taken before the next one is added.
            inner: Mutex::new(Inner {
                queue: VecDeque::with_capacity(1),
                ..Inner::default()
            }),
            is_over: AtomicBool::new(false),
            form: AtomicU8::new(BinaryForm::V4 as u8),
        }
    }

    /// Returns the number of bytes that may be queued for packets that cannot wait for room: the
    /// limit and the reserve.
    pub(crate) fn upper_limit(&self) -> usize {
        self.limit.saturating_add(self.reserve)
    }

    /// Adds a packet: its frame and the frames that must directly follow it. It is added if it fits
    /// or if the queue is empty, and never before packets that wait for room.
    // By value: the bytes of a frame with one recipient are never counted.
    pub(crate) fn push(&self, mut packet: Outgoing) -> Result<(), Unsent> {
        self.form_binary(&mut packet);
        let inner = self.inner.lock();
        if inner.closed {
            return Err(Unsent::Closed);
        }
        let cost = packet.cost();
        if inner.has_line() || !inner.admits(self.limit, cost) {
            return Err(Unsent::Full(packet));
        }
        self.add(inner, packet, cost);
        Ok(())
    }

    /// Returns `true` if a packet of this cost would be added.
    pub(crate) fn has_room(&self, cost: usize) -> bool {
        let inner = self.inner.lock();
        !inner.has_line() && inner.admits(self.limit, cost)
    }

    /// Adds a packet that cannot wait for room: above the limit too, up to the reserve, while the
    /// client reads.
    pub(crate) fn push_now(&self, mut packet: Outgoing) -> Result<Pushed, PushError> {
        self.form_binary(&mut packet);
        let mut inner = self.inner.lock();
        if inner.closed {
            return Err(PushError::Closed);
        }
        let cost = packet.cost();
        let pushed = if inner.admits(self.limit, cost) {
            Pushed::Within
        } else if inner.allows_over(self.upper_limit(), cost) {
            Pushed::Over
        } else {
            return Err(PushError::Full);
        };
        self.add(inner, packet, cost);
        Ok(pushed)
    }

    /// Adds a packet about the state of a socket: up to the reserve, even if the client does not
    /// read.
    pub(crate) fn push_vital(&self, packet: Outgoing) -> Result<(), PushError> {
        self.push_up_to(self.upper_limit(), packet)
    }

    /// Adds nothing more: after a packet that did not fit another one might, and the client would
    /// have a gap.
    pub(crate) fn seal(&self) {
        let mut inner = self.inner.lock();
        inner.sealed = true;
        let woken = inner.all_woken();
        drop(inner);
        woken.wake();
    }

    /// Adds a packet if the queue is empty, and drops it otherwise. Returns whether it was added.
    pub(crate) fn push_if_empty(&self, mut packet: Outgoing) -> bool {
        self.form_binary(&mut packet);
        let mut inner = self.inner.lock();
        if inner.closed || inner.sealed {
            return false;
        }
        if inner.frames() > 0 {
            inner.dropped += 1;
            return false;
        }
        let cost = packet.cost();
        self.add(inner, packet, cost);
        true
    }

    /// Adds a packet whatever is waiting. It is for pings, of which one is outstanding at a time,
    /// because otherwise a slow client would time out later. It is also for events held back for a
    /// socket, which have a limit of their own.
    pub(crate) fn push_always(&self, packet: Outgoing) -> Result<(), PushError> {
        self.push_up_to(usize::MAX, packet)
    }

    /// Adds a pong, or replaces a pong that is still waiting.
    // RFC 6455, 5.5.3: of several pings the latest may be answered alone. So a client that pings
    // without reading does not fill its outbox.
    pub(crate) fn push_pong(&self, pong: Frame) {
        let mut inner = self.inner.lock();
        if inner.closed || inner.sealed {
            return;
        }
        if let Some(waiting) = inner.waiting_pong() {
            let old = std::mem::replace(waiting, pong.clone());
            inner.cost = (inner.cost + pong.len()).saturating_sub(old.len());
            return;
        }
        inner.pong = Some(inner.pushed + 1);
        let pong = Outgoing::from(pong);
        let cost = pong.cost();
        self.add(inner, pong, cost);
    }

    fn push_up_to(&self, limit: usize, mut packet: Outgoing) -> Result<(), PushError> {
        let (inner, cost) = self.admit(limit, &mut packet)?;
        self.add(inner, packet, cost);
        Ok(())
    }

    /// Checks that a packet may be added up to this limit. Returns the locked queue, and the cost of
    /// the packet.
    pub(super) fn admit(
        &self,
        limit: usize,
        packet: &mut Outgoing,
    ) -> Result<(MutexGuard<'_, Inner>, usize), PushError> {
        self.form_binary(packet);
        let inner = self.inner.lock();
        if inner.closed {
            return Err(PushError::Closed);
        }
        let cost = packet.cost();
        if inner.sealed || inner.cost.saturating_add(cost) > limit {
            return Err(PushError::Full);
        }
        Ok((inner, cost))
    }

    /// Adds a packet of this cost, and wakes the reader after releasing the lock.
    pub(super) fn add(&self, mut inner: MutexGuard<'_, Inner>, packet: Outgoing, cost: usize) {
        inner.cost += cost;
        if inner.cost > inner.mark && self.rises(&mut inner) {
            return Self::add_behind(inner, packet);
        }
        let was_empty = inner.queue.is_empty();
        inner.pushed += 1;
        let (frame, attached) = packet.into_messages();
        inner.queue.push_back(frame);
        if let Some(attached) = attached {
            inner.pushed += attached.len() as u64;
            inner.queue.extend(attached.iter().cloned());
        }
        if was_empty && let Some(waker) = inner.waker.take() {
            drop(inner);
            waker.wake();
        }
    }

    /// The cost of the waiting frames is above the limit, or higher than ever before. A client that
    /// keeps up gets here only by its largest packet. Returns `true` if the packet is behind a pause.
    #[cold]
    pub(super) fn rises(&self, inner: &mut Inner) -> bool {
        inner.peak = inner.peak.max(inner.cost);
        if inner.cost > self.limit {
            self.is_over.store(true, Ordering::Relaxed);
        }
        let is_behind = inner.pause.is_some();
        inner.mark = if is_behind {
            0
        } else {
            inner.peak.min(self.limit)
        };
        is_behind
    }

    /// Returns the counters of what waits and of what has left.
    pub(crate) fn stats(&self) -> OutboxStats {
        let inner = self.inner.lock();
        let packets = inner.drained.saturating_sub(inner.has_preface.into());
        let overhead = packets * Frame::OVERHEAD as u64;
        OutboxStats {
            sent: Flow {
                packets,
                bytes: u64::try_from(inner.sent).map_or(0, |sent| sent.saturating_sub(overhead)),
            },
            queued_packets: inner.frames(),
            queued_bytes: inner.cost,
            most_queued_bytes: inner.peak,
            dropped_volatile: inner.dropped,
        }
    }

    /// Returns the number of frames added so far: the number of the last one.
    pub(crate) fn pushed(&self) -> u64 {
        self.inner.lock().pushed
    }

    /// Returns `true` if the transport has taken the frame of that number.
    pub(crate) fn has_drained(&self, number: u64) -> bool {
        self.inner.lock().drained >= number
    }

    /// Adds `last` beyond the limit, then nothing more; the reader ends after it. Returns `true` if
    /// other frames were still queued.
    pub(crate) fn close(&self, last: Option<Frame>) -> bool {
        self.end(last, false)
    }

    /// Drops the queued frames, and ends the reader with `last`.
    pub(crate) fn discard(&self, last: Option<Frame>) {
        self.end(last, true);
    }

    /// Drops the remaining frames of a closed outbox: its reader took too long.
    pub(crate) fn abandon(&self) {
        let mut inner = self.inner.lock();
        inner.discard();
        Self::unlock_and_wake_all(inner);
    }

    /// Drops the remaining frames of a closed outbox except its last one, and except the rest of a
    /// partly written one: the reader has no more time.
    pub(crate) fn hasten(&self) {
        let mut inner = self.inner.lock();
        if inner.closed && inner.frames() > 1 {
            inner.resume_all();
            let last = inner.queue.pop_back();
            inner.discard();
            inner.push_last(last);
        }
    }

    fn end(&self, last: Option<Frame>, discard: bool) -> bool {
        let mut inner = self.inner.lock();
        if inner.closed {
            return false;
        }
        inner.closed = true;
        inner.stops = true;
        if discard {
            inner.discard();
        }
        let has_owed = inner.frames() > 0;
        inner.push_last(last);
        Self::unlock_and_wake_all(inner);
        has_owed
    }

    pub(super) fn unlock_and_wake(mut inner: MutexGuard<'_, Inner>) {
        let waker = inner.waker.take();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Wakes the reader, and all tasks that wait for room, because there will be none.
    pub(super) fn unlock_and_wake_all(mut inner: MutexGuard<'_, Inner>) {
        let (waker, woken) = (inner.waker.take(), inner.all_woken());
        drop(inner);
        woken.wake();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Returns `true` if it was closed, even if the reader has not yet taken the last frames.
    pub(crate) fn is_closed(&self) -> bool {
        self.inner.lock().closed
    }

    /// Returns `true` if it was closed and the reader has taken all frames.
    pub(crate) fn is_spent(&self) -> bool {
        let inner = self.inner.lock();
        inner.closed && inner.frames() == 0
    }

    /// Makes a WebSocket the reader from now on; a poll that is still waiting gets no frames.
    pub(crate) fn attach_websocket(&self) {
        let mut inner = self.inner.lock();
        inner.reader = Reader::WebSocket;
        Self::unlock_and_wake(inner);
    }

    /// Returns `true` if a WebSocket is the reader.
    pub(crate) fn has_websocket(&self) -> bool {
        self.inner.lock().reader == Reader::WebSocket
    }

    /// Inserts bytes before all frames: those that a WebSocket's connection sends before its first
    /// frame.
    pub(crate) fn preface(&self, bytes: Bytes) {
        self.inner.lock().preface(bytes);
    }
}

impl Inner {
    /// Returns the number of bytes of the waiting frames.
    pub(super) fn bytes(&self) -> usize {
        self.cost.saturating_sub(self.queue.len() * Frame::OVERHEAD)
    }

    /// Returns the last pong, if it is waiting and no byte of it was written.
    fn waiting_pong(&mut self) -> Option<&mut Frame> {
        let place = self.pong?.checked_sub(self.drained + 1)?;
        if place == 0 && self.begun > 0 {
            return None;
        }
        self.frame_at(usize::try_from(place).ok()?)
    }

    fn push_last(&mut self, last: Option<Frame>) {
        if let Some(last) = last {
            self.cost += last.cost();
            self.push_frame(last);
        }
    }

    pub(super) fn preface(&mut self, bytes: Bytes) {
        let preface = Frame::raw(bytes);
        self.cost += preface.cost();
        self.sent -= preface.cost() as i64;
        self.has_preface = true;
        self.pushed += 1;
        // Frames are counted from the front.
        self.pong = None;
        self.queue.push_front(preface);
    }

    /// Drops the queued frames except a partly written one: without its end, the client would take
    /// later bytes for it.
    fn discard(&mut self) {
        self.resume_all();
        let kept = usize::from(self.begun > 0);
        self.queue.truncate(kept);
        self.queue.shrink_to_fit();
        self.pong = None;
        self.cost = self.queue.front().map_or(0, Frame::cost);
    }

    pub(super) fn wait(&mut self, cx: &Context<'_>) {
        match &self.waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            _ => self.waker = Some(cx.waker().clone()),
        }
        if self.queue.capacity() > KEPT_FRAMES {
            self.queue = VecDeque::new();
        }
    }

    // Every queued frame has added its cost, so that nothing wraps.
    pub(super) fn pop(&mut self) {
        if let Some(frame) = self.queue.pop_front() {
            let cost = frame.cost();
            self.cost = self.cost.wrapping_sub(cost);
            self.sent = self.sent.wrapping_add(cost as i64);
            self.drained += 1;
        }
    }
}

/// The number of frames for which an empty queue keeps its memory.
const KEPT_FRAMES: usize = 64;

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Poll, Wake};

    use super::*;
    use crate::config::ParserId;
    use crate::link::outbox::drain::JOINED;
    use crate::link::outbox::poll::PendingPoll;

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
        Arc::new(Outbox::new(limit, 0))
    }

    fn body(poll: &mut PendingPoll, cx: &mut Context<'_>) -> Poll<Option<String>> {
        poll.poll_body(cx)
            .map(|body| body.map(|body| String::from_utf8(body).unwrap()))
    }

    #[test]
    fn the_last_byte_that_fits_is_taken_and_the_next_is_not() {
        let ping = || Outgoing::from(Frame::packet("2"));
        assert_eq!(ping().cost(), 3 + Frame::OVERHEAD);
        let outbox = outbox(2 * ping().cost());
        let attached = vec![Frame::packet("2")];
        let attached = Outgoing::new(ParserId::JSON, Frame::packet("2"), attached);
        assert!(outbox.push(ping()).is_ok());
        assert!(!outbox.has_room(attached.cost()));
        assert!(matches!(outbox.push(attached), Err(Unsent::Full(_))));
        assert!(outbox.push(ping()).is_ok());
        assert!(!outbox.has_room(1));
        assert!(matches!(outbox.push(ping()), Err(Unsent::Full(_))));
        assert_eq!(outbox.push_now(ping()), Err(PushError::Full));
    }

    #[test]
    fn the_reader_is_woken_once_for_many_frames() {
        let outbox = outbox(1000);
        let (wakes, waker) = waker();
        let mut cx = Context::from_waker(&waker);
        outbox.attach_websocket();
        assert!(outbox.poll_chunk(&mut cx).is_pending());
        for _ in 0..3 {
            outbox.push(Frame::packet("2").into()).unwrap();
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
        let outbox = outbox(10_000);
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..17 {
            outbox.push(Frame::packet("2").into()).unwrap();
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
        let attached = vec![Frame::binary(&[1])];
        let packet = Outgoing::new(ParserId::JSON, Frame::packet("4a"), attached);
        outbox.push(packet).unwrap();
        assert_eq!(
            body(&mut poll, &mut cx),
            Poll::Ready(Some("4a\u{1e}bAQ==".into()))
        );
    }

    #[test]
    fn upgrade_ends_the_poll_and_loses_no_frame() {
        let outbox = outbox(1000);
        let mut cx = Context::from_waker(Waker::noop());
        let mut poll = outbox.begin_poll().unwrap();
        outbox.release_poll();
        assert_eq!(body(&mut poll, &mut cx), Poll::Ready(Some("6".into())));
        drop(poll);
        outbox.push(Frame::packet("4a").into()).unwrap();
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
        outbox.push(Frame::packet("4a").into()).unwrap();
        assert_eq!(body(&mut poll, &mut cx), Poll::Ready(None));
        drop(poll);
        assert!(matches!(outbox.poll_chunk(&mut cx), Poll::Ready(Some(chunk)) if chunk.len() == 4));
    }

    #[test]
    fn close_keeps_queued_frames_and_discard_drops_them() {
        let mut cx = Context::from_waker(Waker::noop());
        for (discard, expected) in [(false, 5), (true, 2)] {
            let outbox = outbox(1000);
            outbox.attach_websocket();
            outbox.push(Frame::packet("2").into()).unwrap();
            outbox.end(Some(Frame::close(None)), discard);
            let late = outbox.push(Frame::packet("2").into());
            assert!(matches!(late, Err(Unsent::Closed)));
            let Poll::Ready(Some(chunk)) = outbox.poll_chunk(&mut cx) else {
                panic!("the close frame is there")
            };
            assert_eq!(chunk.len(), expected);
            assert_eq!(outbox.poll_chunk(&mut cx), Poll::Ready(None));
        }
    }

    #[test]
    fn has_drained_follows_the_frames_that_the_transport_takes() {
        let outbox = outbox(1000);
        outbox.push(Frame::packet("2").into()).unwrap();
        let number = outbox.pushed();
        assert!(!outbox.has_drained(number));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(outbox.poll_chunk(&mut cx).is_ready());
        assert!(outbox.has_drained(number));
    }

    /// Takes `room` bytes of the output, and returns the number of their slices.
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
        outbox.push(Frame::packet("4a").into()).unwrap();
        outbox.push(Frame::packet("4b").into()).unwrap();
        let (polled, taken, slices) = write(&outbox, 1000);
        assert!(polled.is_pending());
        assert_eq!(taken, b"\x81\x024a\x81\x024b");
        assert_eq!(slices, [1]);
        let large = [Frame::binary(&[7; JOINED]), Frame::packet("4c")];
        for frame in &large {
            outbox.push(frame.clone().into()).unwrap();
        }
        let (_, taken, slices) = write(&outbox, 10_000);
        assert_eq!(taken.len(), large[0].len() + large[1].len());
        assert_eq!(slices, [2]);
    }

    #[test]
    fn a_partial_write_continues_at_the_same_byte() {
        let whole = b"\x81\x024a\x81\x024b".to_vec();
        for cut in 1..whole.len() {
            let outbox = outbox(1000);
            outbox.push(Frame::packet("4a").into()).unwrap();
            outbox.push(Frame::packet("4b").into()).unwrap();
            let (polled, mut taken, _) = write(&outbox, cut);
            assert!(polled.is_pending());
            assert_eq!(outbox.has_drained(1), cut >= 4, "{cut}");
            assert!(!outbox.has_drained(2));
            taken.extend(write(&outbox, 1000).1);
            assert_eq!(taken, whole, "{cut}");
        }
    }

    #[test]
    fn discard_keeps_the_rest_of_a_partial_frame() {
        for (begun, rest) in [(0, &b"\x88\x00"[..]), (3, b"a\x88\x00")] {
            let outbox = outbox(1000);
            outbox.push(Frame::packet("4a").into()).unwrap();
            outbox.push(Frame::packet("4b").into()).unwrap();
            if begun > 0 {
                assert_eq!(write(&outbox, begun).1.len(), begun);
            }
            outbox.discard(Some(Frame::close(None)));
            let (polled, taken, _) = write(&outbox, 1000);
            assert_eq!((polled, taken.as_slice()), (Poll::Ready(true), rest));
        }
    }

    #[test]
    fn hasten_keeps_the_last_and_the_partial_frame() {
        for (begun, rest) in [(0, &b"\x88\x00"[..]), (3, b"a\x88\x00")] {
            let outbox = outbox(1000);
            for text in ["4a", "4b", "4c"] {
                outbox.push(Frame::packet(text).into()).unwrap();
            }
            assert_eq!(write(&outbox, begun).1.len(), begun);
            outbox.hasten();
            outbox.close(Some(Frame::close(None)));
            outbox.hasten();
            outbox.hasten();
            let (polled, taken, _) = write(&outbox, 1000);
            assert_eq!((polled, taken.as_slice()), (Poll::Ready(true), rest));
        }
    }

    #[test]
    fn a_preface_precedes_the_queued_frames() {
        let outbox = outbox(1000);
        outbox.push(Frame::packet("4a").into()).unwrap();
        outbox.preface(Bytes::from_static(b"HTTP"));
        assert_eq!(write(&outbox, 1000).1, b"HTTP\x81\x024a");
    }

    fn sent(packets: u64, bytes: u64) -> Flow {
        Flow { packets, bytes }
    }

    #[test]
    fn a_packet_is_sent_when_its_last_byte_is_written() {
        let outbox = outbox(1000);
        outbox.push(Frame::packet("4a").into()).unwrap();
        outbox.preface(Bytes::from_static(b"HTTP"));
        for (room, expected) in [(2, sent(0, 0)), (5, sent(0, 0)), (1, sent(1, 4))] {
            let _ = write(&outbox, room);
            assert_eq!(outbox.stats().sent, expected);
        }
        outbox.push(Frame::packet("4b").into()).unwrap();
        outbox.discard(Some(Frame::close(None)));
        let _ = write(&outbox, 1000);
        assert_eq!(
            outbox.stats().sent,
            sent(2, 6),
            "the close, not the dropped event"
        );
    }

    #[test]
    fn waiting_and_dropped_packets_are_counted() {
        let outbox = outbox(1000);
        let packet = || Outgoing::from(Frame::packet("4a"));
        assert!(outbox.push_if_empty(packet()));
        assert!(!outbox.push_if_empty(packet()));
        outbox.push(packet()).unwrap();
        let expected = OutboxStats {
            sent: sent(0, 0),
            queued_packets: 2,
            queued_bytes: 2 * packet().cost(),
            most_queued_bytes: 2 * packet().cost(),
            dropped_volatile: 1,
        };
        assert_eq!(outbox.stats(), expected);
        let _ = write(&outbox, 1000);
        let expected = OutboxStats {
            sent: sent(2, 8),
            queued_packets: 0,
            queued_bytes: 0,
            ..expected
        };
        assert_eq!(outbox.stats(), expected);
        outbox.close(None);
        assert!(!outbox.push_if_empty(packet()));
        assert_eq!(outbox.stats(), expected, "an ended session drops no events");
    }

    #[test]
    fn a_write_of_nothing_is_an_error() {
        let outbox = outbox(1000);
        outbox.push(Frame::packet("4a").into()).unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        let polled = outbox.poll_write(&mut cx, &mut |_, _| Poll::Ready(Ok(0)));
        let Poll::Ready(Err(error)) = polled else {
            panic!("it would be tried for ever")
        };
        assert_eq!(error.kind(), io::ErrorKind::WriteZero);
    }

    fn large(bytes: usize) -> Outgoing {
        Frame::binary(&vec![7; bytes]).into()
    }

    /// Takes one frame.
    fn take(outbox: &Outbox) {
        let bytes = outbox.inner.lock().queue.front().map_or(0, Frame::len);
        assert_eq!(write(outbox, bytes).1.len(), bytes);
    }

    #[test]
    fn a_packet_above_the_limit_is_taken_if_it_is_alone() {
        let outbox = outbox(1000);
        outbox.push(large(50_000)).unwrap();
        assert!(outbox.is_over());
        assert!(matches!(outbox.push(large(1)), Err(Unsent::Full(_))));
        take(&outbox);
        assert!(!outbox.is_over());
        outbox.push(large(1)).unwrap();
        assert!(matches!(outbox.push(large(50_000)), Err(Unsent::Full(_))));
        assert!(!outbox.push_if_empty(large(1)));
        take(&outbox);
        assert!(outbox.push_if_empty(large(50_000)));
    }

    #[test]
    fn push_now_uses_the_reserve_up_to_its_last_byte() {
        let cost = large(100).cost();
        let outbox = Outbox::new(2 * cost, cost);
        for pushed in [Pushed::Within, Pushed::Within, Pushed::Over] {
            assert_eq!(outbox.push_now(large(100)), Ok(pushed));
        }
        assert_eq!(
            outbox.push_now(Frame::packet("2").into()),
            Err(PushError::Full)
        );
        take(&outbox);
        assert_eq!(outbox.push_now(large(101)), Err(PushError::Full));
        assert_eq!(outbox.push_now(large(100)), Ok(Pushed::Over));
    }

    #[test]
    fn waiting_pushes_keep_their_order() {
        let outbox = outbox(2000);
        let (wakes, waker) = waker();
        let mut cx = Context::from_waker(&waker);
        outbox.push(large(1700)).unwrap();
        let (mut first, mut second) = (
            Box::pin(outbox.line_up().push(large(1200))),
            Box::pin(outbox.line_up().push(Frame::packet("4b").into())),
        );
        assert!(first.as_mut().poll(&mut cx).is_pending());
        assert!(second.as_mut().poll(&mut cx).is_pending());
        // It would fit, but waiting packets are before it.
        assert!(matches!(
            outbox.push(Frame::packet("4c").into()),
            Err(Unsent::Full(_))
        ));
        take(&outbox);
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        assert!(second.as_mut().poll(&mut cx).is_pending());
        assert_eq!(first.as_mut().poll(&mut cx), Poll::Ready(Ok(())));
        drop(first);
        assert_eq!(second.as_mut().poll(&mut cx), Poll::Ready(Ok(())));
        drop(second);
        outbox.push(Frame::packet("4c").into()).unwrap();
        assert!(outbox.inner.lock().pressure.is_none());
    }

    #[test]
    fn cancelled_push_wakes_the_next_one() {
        let outbox = outbox(1000);
        let (wakes, waker) = waker();
        let mut cx = Context::from_waker(&waker);
        outbox.push(large(500)).unwrap();
        let mut first = Box::pin(outbox.line_up().push(large(800)));
        let mut second = Box::pin(outbox.line_up().push(Frame::packet("4b").into()));
        assert!(first.as_mut().poll(&mut cx).is_pending());
        assert!(second.as_mut().poll(&mut cx).is_pending());
        drop(first);
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        assert_eq!(second.as_mut().poll(&mut cx), Poll::Ready(Ok(())));
    }

    #[test]
    fn the_end_of_an_outbox_ends_the_wait_for_room() {
        for seals in [true, false] {
            let outbox = outbox(100);
            let (wakes, waker) = waker();
            let mut cx = Context::from_waker(&waker);
            outbox.push(large(100)).unwrap();
            let mut waiting = Box::pin(outbox.line_up().push(large(1)));
            assert!(waiting.as_mut().poll(&mut cx).is_pending());
            assert!(outbox.poll_within(&cx).is_pending());
            let error = if seals {
                outbox.seal();
                PushError::Full
            } else {
                outbox.close(None);
                PushError::Closed
            };
            assert_eq!(wakes.0.load(Ordering::Relaxed), 2);
            assert_eq!(waiting.as_mut().poll(&mut cx), Poll::Ready(Err(error)));
            assert!(outbox.poll_within(&cx).is_ready());
        }
    }

    #[test]
    fn a_pong_replaces_a_waiting_one() {
        let pong = |outbox: &Outbox, payload: &[u8]| outbox.push_pong(Frame::pong(payload));
        let outbox = outbox(1000);
        outbox.push(Frame::packet("4a").into()).unwrap();
        for payload in [&b"one"[..], b"", b"three"] {
            pong(&outbox, payload);
        }
        outbox.push(Frame::packet("4b").into()).unwrap();
        assert_eq!(outbox.inner.lock().queue.len(), 3);
        // After its first byte is written a pong cannot be replaced.
        assert_eq!(write(&outbox, 5).1, b"\x81\x024a\x8a");
        pong(&outbox, b"4");
        let rest = write(&outbox, 1000).1;
        assert_eq!(rest, b"\x05three\x81\x024b\x8a\x014");
        assert_eq!(outbox.inner.lock().cost, 0);
        pong(&outbox, b"5");
        assert_eq!(write(&outbox, 1000).1, b"\x8a\x015");
    }
}
