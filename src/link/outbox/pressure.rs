//! A full outbox: which packets may exceed the limit, and which wait for room.
//!
//! | packet or reader | if the packet does not fit |
//! | --- | --- |
//! | an emit or a call to one socket | waits in line, by a [`Turn`], until it fits |
//! | an acknowledgement, a broadcast: it cannot wait | it is added, up to the reserve, while the client reads |
//! | a broadcast that was added so | waits briefly for the clients that read, as [`Outbox::turn_limit`] says |
//! | the session's reader | pauses while the limit is exceeded |
//!
//! A client reads if its transport has taken bytes in the last half second. Nothing here depends on
//! the content of packets.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use parking_lot::MutexGuard;

use crate::link::Outgoing;
use crate::link::outbox::queue::{Inner, Outbox, PushError};

/// The progress of a full outbox, and the tasks that wait for it.
#[derive(Debug)]
pub(super) struct Pressure {
    /// The number of frames, and of bytes of the next one, that the transport had taken at the last
    /// check.
    taken: (u64, usize),
    /// The time at which progress was last found.
    progressed: Instant,
    /// The time since which the limit has been exceeded.
    over_since: Option<Instant>,
    /// Tasks that wait until the limit is no longer exceeded.
    waiting: Vec<Waker>,
    /// Tasks that wait for room for a packet, in order.
    line: VecDeque<Waiter>,
    next_ticket: u64,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    waker: Option<Waker>,
}

impl Pressure {
    fn new(taken: (u64, usize), now: Instant) -> Self {
        Self {
            taken,
            progressed: now,
            over_since: None,
            waiting: Vec::new(),
            line: VecDeque::new(),
            next_ticket: 0,
        }
    }

    /// Returns the time for which the transport has taken nothing.
    fn idle(&mut self, taken: (u64, usize), now: Instant) -> Duration {
        if self.taken != taken {
            self.taken = taken;
            self.progressed = now;
        }
        now.saturating_duration_since(self.progressed)
    }

    /// Returns the time for which a broadcast waits for this client; `None` if it is slow, or has
    /// room.
    fn turn_limit(&mut self, taken: (u64, usize), now: Instant) -> Option<Duration> {
        let over = now.saturating_duration_since(self.over_since?);
        let idle = self.idle(taken, now);
        let left = TURN.checked_sub(over)?.min(TURN_IDLE.checked_sub(idle)?);
        (!left.is_zero()).then_some(left)
    }
}

impl Inner {
    /// Returns `true` if a packet of this cost fits, or is the only one.
    pub(super) fn admits(&self, limit: usize, cost: usize) -> bool {
        !self.sealed && (self.cost == 0 || self.cost.saturating_add(cost) <= limit)
    }

    /// Returns `true` if a packet that does not fit is added all the same: up to `limit`, if the
    /// client reads.
    pub(super) fn allows_over(&mut self, limit: usize, cost: usize) -> bool {
        if self.sealed || self.cost.saturating_add(cost) > limit {
            return false;
        }
        let (taken, now) = (self.taken(), Instant::now());
        let pressure = self.pressure(now);
        pressure.over_since.get_or_insert(now);
        pressure.idle(taken, now) < STALL
    }

    /// Returns `true` if tasks wait for room.
    pub(super) fn has_line(&self) -> bool {
        let pressure = self.pressure.as_ref();
        pressure.is_some_and(|pressure| !pressure.line.is_empty())
    }

    /// Takes all waiting tasks, to wake them.
    pub(super) fn all_woken(&mut self) -> Woken {
        let Some(pressure) = &mut self.pressure else {
            return Woken::default();
        };
        let mut woken = std::mem::take(&mut pressure.waiting);
        let line = pressure.line.iter_mut();
        woken.extend(line.filter_map(|waiter| waiter.waker.take()));
        Woken(woken)
    }

    /// Takes the tasks that may proceed now, to wake them.
    fn relieved(&mut self, is_over: bool) -> Woken {
        let Some(pressure) = &mut self.pressure else {
            return Woken::default();
        };
        let mut woken = Vec::new();
        if !is_over {
            pressure.over_since = None;
            woken = std::mem::take(&mut pressure.waiting);
        }
        let first = pressure.line.front_mut();
        woken.extend(first.and_then(|waiter| waiter.waker.take()));
        if !is_over && pressure.line.is_empty() {
            self.pressure = None;
        }
        Woken(woken)
    }

    fn pressure(&mut self, now: Instant) -> &mut Pressure {
        let taken = self.taken();
        let new = || Box::new(Pressure::new(taken, now));
        self.pressure.get_or_insert_with(new)
    }

    /// Returns the number of frames, and of bytes of the next one, that the transport has taken.
    fn taken(&self) -> (u64, usize) {
        (self.drained, self.begun)
    }
}

impl Outbox {
    /// Records the progress of the transport, and wakes the tasks that wait for it.
    pub(super) fn unlock_relieved(&self, mut inner: MutexGuard<'_, Inner>) {
        if inner.pressure.is_none() && !self.is_over() {
            return;
        }
        let is_over = inner.cost > self.limit;
        self.is_over.store(is_over, Ordering::Relaxed);
        let woken = inner.relieved(is_over);
        drop(inner);
        woken.wake();
    }

    /// Returns `true` if the limit is exceeded.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Waits until the limit is no longer exceeded, or until the transport takes no more frames.
    pub(crate) fn poll_within(&self, cx: &Context<'_>) -> Poll<()> {
        if !self.is_over() {
            return Poll::Ready(());
        }
        let mut inner = self.inner.lock();
        if inner.closed || inner.sealed || inner.cost <= self.limit {
            return Poll::Ready(());
        }
        let pressure = inner.pressure(Instant::now());
        if !pressure.waiting.iter().any(|it| it.will_wake(cx.waker())) {
            pressure.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Returns the time for which a broadcast waits for this client before the next check; `None`
    /// if the client is slow, or has room.
    pub(crate) fn turn_limit(&self, now: Instant) -> Option<Duration> {
        let mut inner = self.inner.lock();
        if inner.closed || inner.sealed || inner.cost <= self.limit {
            return None;
        }
        let taken = inner.taken();
        inner.pressure.as_mut()?.turn_limit(taken, now)
    }

    /// Takes the last position in the line of tasks that wait for room.
    pub(crate) fn line_up(self: &Arc<Self>) -> Turn {
        let mut inner = self.inner.lock();
        let pressure = inner.pressure(Instant::now());
        let ticket = pressure.next_ticket;
        pressure.next_ticket += 1;
        pressure.line.push_back(Waiter {
            ticket,
            waker: None,
        });
        Turn {
            outbox: Arc::clone(self),
            ticket,
        }
    }
}

/// A position in the line of tasks that wait for room; released when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    outbox: Arc<Outbox>,
    ticket: u64,
}

impl Turn {
    /// Waits until a packet of this cost fits. It fits while this is the first in the line, unless
    /// a packet that cannot wait is added.
    ///
    /// # Errors
    ///
    /// [`PushError::Closed`], and [`PushError::Full`] if the client is disconnected because another
    /// packet had no room.
    pub(crate) async fn room(&mut self, cost: usize) -> Result<(), PushError> {
        poll_fn(|cx| {
            let mut inner = self.outbox.inner.lock();
            self.poll_room(&mut inner, cx, cost)
        })
        .await
    }

    /// Waits until the packet fits, and adds it.
    ///
    /// # Errors
    ///
    /// The same as of [`room`](Self::room).
    pub(crate) async fn push(self, mut packet: Outgoing) -> Result<(), PushError> {
        self.outbox.form_binary(&mut packet);
        let cost = packet.cost();
        let mut packet = Some(packet);
        poll_fn(|cx| {
            let mut inner = self.outbox.inner.lock();
            std::task::ready!(self.poll_room(&mut inner, cx, cost))?;
            if let Some(packet) = packet.take() {
                self.outbox.add(inner, packet, cost);
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    fn poll_room(
        &self,
        inner: &mut Inner,
        cx: &Context<'_>,
        cost: usize,
    ) -> Poll<Result<(), PushError>> {
        if inner.closed {
            return Poll::Ready(Err(PushError::Closed));
        }
        if inner.sealed {
            return Poll::Ready(Err(PushError::Full));
        }
        let admits = inner.admits(self.outbox.limit, cost);
        let Some(pressure) = &mut inner.pressure else {
            return Poll::Ready(Ok(()));
        };
        let is_first = pressure.line.front().map(|it| it.ticket) == Some(self.ticket);
        if is_first && admits {
            return Poll::Ready(Ok(()));
        }
        let own = |waiter: &&mut Waiter| waiter.ticket == self.ticket;
        if let Some(waiter) = pressure.line.iter_mut().find(own) {
            waiter.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut inner = self.outbox.inner.lock();
        if let Some(pressure) = &mut inner.pressure {
            pressure.line.retain(|waiter| waiter.ticket != self.ticket);
        }
        // The next one may fit.
        self.outbox.unlock_relieved(inner);
    }
}

/// Tasks that may proceed; woken while no lock is held.
#[derive(Debug, Default)]
#[must_use = "they wait"]
pub(super) struct Woken(Vec<Waker>);

impl Woken {
    pub(super) fn wake(self) {
        self.0.into_iter().for_each(Waker::wake);
    }
}

/// The time without progress after which a client counts as one that does not read.
const STALL: Duration = Duration::from_millis(500);

/// The time for which broadcasts wait for a client that reads, from the moment when its outbox
/// exceeded the limit.
const TURN: Duration = Duration::from_secs(2);

/// The time without progress after which broadcasts no longer wait for a client.
const TURN_IDLE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcast_waits_for_a_reading_client_up_to_its_turn() {
        let start = Instant::now();
        let mut pressure = Pressure::new((0, 0), start);
        assert_eq!(pressure.turn_limit((0, 0), start), None, "it is not over");
        pressure.over_since = Some(start);
        assert_eq!(pressure.turn_limit((0, 0), start), Some(TURN_IDLE));
        assert_eq!(pressure.turn_limit((0, 0), start + TURN_IDLE), None);
        // A part of a frame is progress, too.
        for step in 1..20 {
            let now = start + TURN_IDLE * step;
            assert_eq!(
                pressure.turn_limit((0, step as usize), now),
                Some(TURN_IDLE)
            );
        }
        assert_eq!(pressure.turn_limit((1, 0), start + TURN), None);
    }

    #[test]
    fn a_client_stalls_when_it_takes_nothing() {
        let start = Instant::now();
        let mut pressure = Pressure::new((3, 5), start);
        let almost = STALL - Duration::from_millis(1);
        assert!(pressure.idle((3, 5), start + almost) < STALL);
        assert!(pressure.idle((3, 5), start + STALL) >= STALL);
        assert!(pressure.idle((3, 6), start + STALL) < STALL);
        assert!(pressure.idle((3, 6), start + STALL + almost) < STALL);
        assert!(pressure.idle((3, 6), start + STALL + STALL) >= STALL);
    }
}
