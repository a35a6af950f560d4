//! A pause of the reader: frames that are written apart from those behind them.
//!
//! The Node.js server writes a packet only after the write before it has ended, so the first packets
//! of a client never share a segment with others. Clients depend on it: one that awaits a packet, and
//! only then listens for the next, loses the second of two that it reads at once. So the reader stops
//! behind the opening of a connection, the OPEN packet and each CONNECT packet. The frames behind the
//! pause are kept here and not in the queue, so that all other reads and pushes need no check for it.
//! The reader's owner decides how long a pause is.

use std::collections::VecDeque;

use bytes::Bytes;
use parking_lot::MutexGuard;

use crate::link::frame::Frame;
use crate::link::outbox::queue::{Inner, Outbox, PushError, Reader};
use crate::link::outgoing::Outgoing;

/// The frames behind the queue.
#[derive(Debug)]
pub(super) struct Pause {
    /// Those up to the next pause, then those up to the one after it, and so on. The last list may
    /// be empty, and packets are added to it.
    behind: VecDeque<VecDeque<Frame>>,
}

/// The reason why a reader has got nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The outbox was closed, and all frames are taken.
    End,
    /// Frames are behind a pause, which [`resume`](Outbox::resume) ends.
    Pause,
    /// Nothing was behind the pause, which has ended thereby.
    Passed,
}

impl Outbox {
    /// Adds a packet about the state of a socket, which a WebSocket writes apart from those behind
    /// it. It may use the reserve, even if the client does not read.
    pub(crate) fn push_apart(&self, mut packet: Outgoing) -> Result<(), PushError> {
        let (mut inner, cost) = self.admit(self.upper_limit(), &mut packet)?;
        inner.cost += cost;
        self.rises(&mut inner);
        inner.append(packet);
        inner.pause();
        Self::unlock_and_wake(inner);
        Ok(())
    }

    /// Makes a WebSocket write `preface` first, apart from the frames behind it: the bytes that its
    /// connection sends before its first frame. Without them the reader begins with the pause,
    /// because its owner has written them.
    pub(crate) fn begin_apart(&self, preface: Option<Bytes>) {
        let mut inner = self.inner.lock();
        let queued = std::mem::take(&mut inner.queue);
        match &mut inner.pause {
            Some(pause) => pause.behind.push_front(queued),
            None => inner.pause_before(queued),
        }
        if let Some(preface) = preface {
            inner.preface(preface);
        }
    }

    /// Returns the reason why the reader has got nothing.
    pub(crate) fn stop(&self) -> Stop {
        let mut inner = self.inner.lock();
        match &inner.pause {
            None => Stop::End,
            Some(pause) if pause.len() > 0 => Stop::Pause,
            Some(_) => {
                inner.resume_all();
                if inner.closed {
                    Stop::End
                } else {
                    Stop::Passed
                }
            }
        }
    }

    /// Ends a pause: the reader takes the frames behind it.
    pub(crate) fn resume(&self) {
        let mut inner = self.inner.lock();
        let Some(pause) = &mut inner.pause else {
            return;
        };
        let next = pause.behind.pop_front().unwrap_or_default();
        let is_last = pause.behind.is_empty();
        inner.queue.extend(next);
        if is_last {
            inner.resume_all();
        }
    }

    /// Adds a packet of this cost behind a pause.
    #[cold]
    pub(super) fn add_behind(mut inner: MutexGuard<'_, Inner>, packet: Outgoing) {
        inner.append(packet);
        Self::unlock_and_wake(inner);
    }
}

impl Inner {
    /// Makes a WebSocket pause behind the frames that were added so far.
    fn pause(&mut self) {
        if self.reader != Reader::WebSocket {
            // A poll takes all packets at once.
            return;
        }
        match &mut self.pause {
            Some(pause) => pause.behind.push_back(VecDeque::new()),
            None => self.pause_before(VecDeque::new()),
        }
    }

    /// Makes the reader pause before these frames.
    fn pause_before(&mut self, frames: VecDeque<Frame>) {
        let behind = VecDeque::from([frames]);
        self.pause = Some(Box::new(Pause { behind }));
        self.stops = true;
        // The next push is above it, and asks for the pause.
        self.mark = 0;
    }

    /// Ends all pauses. The mark is set again by the next push.
    pub(super) fn resume_all(&mut self) {
        if let Some(pause) = self.pause.take() {
            self.queue.extend(pause.behind.into_iter().flatten());
            self.stops = self.closed;
        }
    }

    fn append(&mut self, packet: Outgoing) {
        let (frame, attached) = packet.into_messages();
        self.pushed += 1;
        self.push_frame(frame);
        if let Some(attached) = attached {
            self.pushed += attached.len() as u64;
            attached
                .iter()
                .for_each(|frame| self.push_frame(frame.clone()));
        }
    }

    /// Adds a frame behind all others.
    pub(super) fn push_frame(&mut self, frame: Frame) {
        let last = self
            .pause
            .as_mut()
            .and_then(|pause| pause.behind.back_mut());
        last.unwrap_or(&mut self.queue).push_back(frame);
    }

    /// Returns the waiting frame at this place.
    pub(super) fn frame_at(&mut self, place: usize) -> Option<&mut Frame> {
        let behind = self.pause.iter_mut().flat_map(|pause| &mut pause.behind);
        self.queue.iter_mut().chain(behind.flatten()).nth(place)
    }

    /// Returns the number of waiting frames.
    pub(super) fn frames(&self) -> usize {
        self.queue.len() + self.pause.as_ref().map_or(0, |pause| pause.len())
    }
}

impl Pause {
    fn len(&self) -> usize {
        self.behind.iter().map(VecDeque::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::link::outbox::queue::Unsent;

    fn websocket(limit: usize) -> Outbox {
        let outbox = Outbox::new(limit, 0);
        outbox.attach_websocket();
        outbox
    }

    fn packet(text: &str) -> Outgoing {
        Frame::packet(text).into()
    }

    /// Takes what a reader takes before it stops.
    fn read(outbox: &Outbox) -> String {
        let mut cx = Context::from_waker(Waker::noop());
        let mut taken = Vec::new();
        while let Poll::Ready(Some(chunk)) = outbox.poll_chunk(&mut cx) {
            taken.extend_from_slice(&chunk);
        }
        taken.retain(u8::is_ascii_alphabetic);
        String::from_utf8(taken).unwrap()
    }

    #[test]
    fn frames_behind_a_pause_are_taken_after_it() {
        let outbox = websocket(10_000);
        outbox.push(packet("4a")).unwrap();
        outbox.push_apart(packet("4b")).unwrap();
        outbox.push(packet("4c")).unwrap();
        outbox.push_now(packet("4d")).unwrap();
        assert!(!outbox.push_if_empty(packet("4e")), "others are waiting");
        assert_eq!(read(&outbox), "ab");
        assert_eq!(
            (outbox.stop(), outbox.stats().queued_packets),
            (Stop::Pause, 2)
        );
        assert_eq!(read(&outbox), "", "it has not ended");
        outbox.push(packet("4f")).unwrap();
        outbox.resume();
        assert_eq!(read(&outbox), "cdf");
        outbox.push(packet("4g")).unwrap();
        assert_eq!(read(&outbox), "g");
        assert_eq!(outbox.stats().queued_bytes, 0);
        assert!(outbox.has_drained(outbox.pushed()));
    }

    #[test]
    fn pauses_follow_each_other() {
        let outbox = websocket(10_000);
        outbox.push_apart(packet("0a")).unwrap();
        outbox.begin_apart(Some(Bytes::from_static(b"HTTP")));
        outbox.push_apart(packet("4b")).unwrap();
        outbox.push(packet("4c")).unwrap();
        for expected in ["HTTP", "a", "b"] {
            assert_eq!(read(&outbox), expected);
            assert_eq!(outbox.stop(), Stop::Pause);
            outbox.resume();
        }
        assert_eq!(read(&outbox), "c");
        assert_eq!(outbox.stats().sent.packets, 3);
    }

    #[test]
    fn a_reader_without_a_preface_begins_with_the_pause() {
        let outbox = websocket(10_000);
        outbox.push(packet("0a")).unwrap();
        outbox.begin_apart(None);
        assert_eq!(read(&outbox), "");
        assert_eq!(outbox.stop(), Stop::Pause);
        outbox.resume();
        assert_eq!(read(&outbox), "a");
    }

    #[test]
    fn a_pause_before_nothing_passes() {
        let outbox = websocket(10_000);
        outbox.push_apart(packet("4a")).unwrap();
        assert_eq!(read(&outbox), "a");
        assert_eq!(outbox.stop(), Stop::Passed);
        outbox.push(packet("4b")).unwrap();
        assert_eq!(read(&outbox), "b");
    }

    #[test]
    fn a_poll_knows_no_pause() {
        let outbox = Outbox::new(10_000, 0);
        outbox.push_apart(packet("4a")).unwrap();
        outbox.push(packet("4b")).unwrap();
        outbox.attach_websocket();
        assert_eq!(read(&outbox), "ab");
    }

    #[test]
    fn the_limit_counts_what_is_behind_a_pause() {
        let cost = packet("4a").cost();
        let outbox = websocket(2 * cost);
        outbox.push_apart(packet("4a")).unwrap();
        outbox.push(packet("4b")).unwrap();
        assert!(matches!(outbox.push(packet("4c")), Err(Unsent::Full(_))));
        assert_eq!(outbox.push_apart(packet("4c")), Err(PushError::Full));
        assert_eq!(read(&outbox), "a");
        outbox.push(packet("4c")).unwrap();
        assert!(matches!(outbox.push(packet("4d")), Err(Unsent::Full(_))));
        outbox.resume();
        assert_eq!(read(&outbox), "bc");
    }

    #[test]
    fn a_close_is_behind_the_pause_too_and_drops_what_it_drops() {
        for (discards, rest) in [(false, "bc"), (true, "c")] {
            let outbox = websocket(10_000);
            outbox.push_apart(packet("4a")).unwrap();
            outbox.push(packet("4b")).unwrap();
            assert_eq!(read(&outbox), "a");
            let last = Some(Frame::packet("4c"));
            if discards {
                outbox.discard(last);
            } else {
                assert!(outbox.close(last), "a frame is behind the pause");
            }
            assert!(!outbox.is_spent());
            assert_eq!(outbox.push_apart(packet("4d")), Err(PushError::Closed));
            outbox.resume();
            assert_eq!(read(&outbox), rest);
            assert_eq!(outbox.stop(), Stop::End);
            assert!(outbox.is_spent());
        }
    }

    #[test]
    fn a_hurried_close_leaves_the_last_frame() {
        let outbox = websocket(10_000);
        outbox.push_apart(packet("4a")).unwrap();
        outbox.push(packet("4b")).unwrap();
        outbox.close(Some(Frame::packet("4c")));
        outbox.hasten();
        assert_eq!(read(&outbox), "c");
        assert_eq!(outbox.stop(), Stop::End);
    }

    #[test]
    fn a_pong_behind_a_pause_is_replaced_there() {
        let outbox = websocket(10_000);
        outbox.push_apart(packet("4a")).unwrap();
        outbox.push(packet("4b")).unwrap();
        for payload in ["c", "d"] {
            outbox.push_pong(Frame::pong(payload.as_bytes()));
        }
        assert_eq!(
            (read(&outbox), outbox.stats().queued_packets),
            ("a".to_owned(), 2)
        );
        outbox.resume();
        assert_eq!(read(&outbox), "bd");
    }
}
