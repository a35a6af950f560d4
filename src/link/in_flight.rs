//! The program's work in flight for one client: waiting handlers, acknowledgements that they have
//! kept, and disconnect handlers.
//!
//! A guard exists from a handler's first wait to its end. The session checks here whether it may
//! read, and a server that stops checks whether it may close. Nothing here depends on handlers.

use std::cell::Cell;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use crate::link::Link;

/// The waiting handlers of a client. At the limit its transport is not read.
#[derive(Debug)]
pub(crate) struct InFlight {
    limit: u32,
    /// The number of handlers that count for the limit.
    count: AtomicU32,
    /// The number of bytes at which reading pauses.
    bytes_limit: usize,
    /// The number of bytes of the events of these handlers.
    bytes: AtomicUsize,
    /// The number of these that wait for the end of their own socket.
    idle: AtomicU32,
    /// The number of acknowledgements that clients expect and the program has not sent yet.
    owed: AtomicU32,
    /// The number of disconnect handlers. They do not count for the limit.
    leaving: AtomicU32,
    /// Written once, by the server that stops: waiting tasks are notified of each end from then on.
    draining: AtomicBool,
    /// Written by the server that drains: the session does not close yet.
    held: AtomicBool,
    /// Written once, by the server after its time limit: work in flight is to be dropped.
    cut: AtomicBool,
    /// Written once, by the session that ends.
    ended: AtomicBool,
    waiters: Mutex<Waiters>,
}

#[derive(Debug, Default)]
struct Waiters {
    /// The session.
    reader: Option<Waker>,
    /// Handlers, which are woken at a socket's end, and servers that stop. An idle client has none,
    /// and only the pointer.
    others: Option<Box<OtherWakers>>,
}

#[derive(Debug, Default)]
struct OtherWakers(Vec<Option<Waker>>);

impl InFlight {
    pub(crate) fn new(limit: usize, bytes_limit: usize) -> Self {
        Self {
            limit: u32::try_from(limit).unwrap_or(u32::MAX).max(1),
            count: AtomicU32::new(0),
            bytes_limit: bytes_limit.max(1),
            bytes: AtomicUsize::new(0),
            idle: AtomicU32::new(0),
            owed: AtomicU32::new(0),
            leaving: AtomicU32::new(0),
            draining: AtomicBool::new(false),
            held: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            waiters: Mutex::default(),
        }
    }

    /// Returns `true` if there is room for one more; otherwise wakes `cx` when there is.
    pub(crate) fn poll_room(&self, cx: &Context<'_>) -> bool {
        if self.has_room() {
            return true;
        }
        self.waiters.lock().reader = Some(cx.waker().clone());
        // A handler may have ended between the check and the registration.
        self.has_room()
    }

    /// Returns `true` if there is room for one more.
    pub(crate) fn has_room(&self) -> bool {
        self.count.load(Ordering::Acquire) < self.limit
            && self.bytes.load(Ordering::Acquire) < self.bytes_limit
    }

    /// Counts a handler for an event of `bytes` bytes, until the guard is dropped.
    pub(crate) fn enter(link: &Arc<Link>, bytes: usize) -> InFlightGuard {
        link.in_flight.count.fetch_add(1, Ordering::SeqCst);
        link.in_flight.bytes.fetch_add(bytes, Ordering::AcqRel);
        InFlightGuard::new(link, Kind::Handler { bytes })
    }

    /// Counts a disconnect handler, until the guard is dropped. It does not count for the limit,
    /// and only the end of its worker drops it.
    pub(crate) fn enter_leaving(link: &Arc<Link>) -> InFlightGuard {
        link.in_flight.leaving.fetch_add(1, Ordering::SeqCst);
        InFlightGuard::new(link, Kind::Leaving)
    }

    /// Counts an acknowledgement that the program has not sent yet.
    pub(crate) fn owe(&self) {
        self.owed.fetch_add(1, Ordering::SeqCst);
    }

    /// The acknowledgement was sent, or never will be.
    pub(crate) fn settle(&self) {
        self.owed.fetch_sub(1, Ordering::SeqCst);
        self.tell_drained();
    }

    /// The server stops: no new events are handled, and waiting tasks are notified of each end.
    pub(crate) fn drain(&self) {
        self.held.store(false, Ordering::SeqCst);
        self.draining.store(true, Ordering::SeqCst);
    }

    /// The same, but the session does not close before [`drain`](Self::drain).
    pub(crate) fn hold(&self) {
        self.held.store(true, Ordering::SeqCst);
        self.draining.store(true, Ordering::SeqCst);
    }

    /// Returns `true` if the session must not close yet.
    pub(crate) fn is_held(&self) -> bool {
        self.held.load(Ordering::Relaxed)
    }

    /// Returns `true` if the server stops.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Returns `true` if the session may close without an effect on handlers; otherwise wakes `cx`
    /// when it may. The session calls it after [`drain`](Self::drain).
    pub(crate) fn poll_drained(&self, cx: &Context<'_>) -> bool {
        if self.is_drained() {
            return true;
        }
        self.waiters.lock().reader = Some(cx.waker().clone());
        self.is_drained()
    }

    /// A handler that waits for the end of its own socket would never end before it.
    fn is_drained(&self) -> bool {
        self.waiting() == 0 && self.owed.load(Ordering::SeqCst) == 0
    }

    /// Returns `true` if work is running that the end of the process would drop.
    pub(crate) fn is_busy(&self) -> bool {
        self.waiting() > 0 || self.leaving.load(Ordering::SeqCst) > 0
    }

    /// Returns the number of handlers that wait for other things than the end of their own socket.
    pub(crate) fn waiting(&self) -> usize {
        let idle = self.idle.load(Ordering::SeqCst);
        self.count.load(Ordering::SeqCst).saturating_sub(idle) as usize
    }

    /// Waits until no work is running, after [`drain`](Self::drain).
    pub(crate) async fn finished(&self) {
        self.until(|| !self.is_busy()).await;
    }

    /// Waits until the session has ended.
    pub(crate) async fn ended(&self) {
        self.until(|| self.has_ended()).await;
    }

    /// Waits until this holds, which is checked whenever the other wakers are woken.
    async fn until(&self, holds: impl Fn() -> bool) {
        let mut watch = Watch {
            in_flight: self,
            slot: None,
        };
        poll_fn(|cx| {
            watch
                .slot
                .get_or_insert_with(|| self.watch(cx.waker().clone()));
            if holds() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// Drops all work in flight, now and from now on.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        self.wake_others();
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::SeqCst)
    }

    /// The session has ended.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        self.wake_others();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// A socket has ended: each handler checks whether it was its own.
    pub(crate) fn wake_others(&self) {
        let wakers: Vec<Waker> = {
            let waiters = self.waiters.lock();
            let others = waiters.others.iter().flat_map(|others| &others.0);
            others.flatten().cloned().collect()
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    fn watch(&self, waker: Waker) -> usize {
        let mut waiters = self.waiters.lock();
        let others = &mut waiters.others.get_or_insert_default().0;
        if let Some(free) = others.iter().position(Option::is_none) {
            others[free] = Some(waker);
            return free;
        }
        others.push(Some(waker));
        others.len() - 1
    }

    fn unwatch(&self, slot: usize) {
        let mut waiters = self.waiters.lock();
        let Some(others) = &mut waiters.others else {
            return;
        };
        let waker = others.0.get_mut(slot).and_then(Option::take);
        while let Some(None) = others.0.last() {
            others.0.pop();
        }
        if others.0.is_empty() {
            waiters.others = None;
        }
        drop(waiters);
        drop(waker);
    }

    /// Some work has ended: the tasks that wait for all of it check again.
    fn tell_drained(&self) {
        if !self.draining.load(Ordering::SeqCst) {
            return;
        }
        let reader = self.waiters.lock().reader.take();
        if let Some(reader) = reader {
            reader.wake();
        }
        if !self.is_busy() {
            self.wake_others();
        }
    }
}

/// A handler or task in flight for a client.
#[derive(Debug)]
pub(crate) struct InFlightGuard {
    link: Arc<Link>,
    kind: Kind,
    is_idle: bool,
    slot: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Handler { bytes: usize },
    Leaving,
}

impl InFlightGuard {
    fn new(link: &Arc<Link>, kind: Kind) -> Self {
        Self {
            link: Arc::clone(link),
            kind,
            is_idle: false,
            slot: None,
        }
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// Wakes the handler's task when a socket of the client has ended.
    pub(crate) fn watch(&mut self, cx: &Context<'_>) {
        let in_flight = &self.link.in_flight;
        self.slot
            .get_or_insert_with(|| in_flight.watch(cx.waker().clone()));
    }

    /// Records whether the handler waits for the end of its own socket.
    pub(crate) fn set_idle(&mut self, is_idle: bool) {
        if self.is_idle == is_idle {
            return;
        }
        self.is_idle = is_idle;
        let in_flight = &self.link.in_flight;
        if is_idle {
            in_flight.idle.fetch_add(1, Ordering::SeqCst);
            in_flight.tell_drained();
        } else {
            in_flight.idle.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        let in_flight = &self.link.in_flight;
        if let Some(slot) = self.slot {
            in_flight.unwatch(slot);
        }
        if self.is_idle {
            in_flight.idle.fetch_sub(1, Ordering::SeqCst);
        }
        match self.kind {
            Kind::Leaving => {
                in_flight.leaving.fetch_sub(1, Ordering::SeqCst);
            }
            Kind::Handler { bytes } => {
                let held = in_flight.bytes.fetch_sub(bytes, Ordering::AcqRel);
                let was = in_flight.count.fetch_sub(1, Ordering::SeqCst);
                if (was >= in_flight.limit || held >= in_flight.bytes_limit)
                    && let Some(waker) = in_flight.waiters.lock().reader.take()
                {
                    waker.wake();
                }
            }
        }
        in_flight.tell_drained();
    }
}

/// A server that waits.
struct Watch<'a> {
    in_flight: &'a InFlight,
    slot: Option<usize>,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            self.in_flight.unwatch(slot);
        }
    }
}

/// Records that the future polled on this thread waits for the end of a socket.
pub(crate) fn waits_for_end(waits: bool) {
    WAITS_FOR_END.set(waits);
}

/// Returns `true` if the future polled last on this thread waits for the end of a socket.
pub(crate) fn has_waited_for_end() -> bool {
    WAITS_FOR_END.get()
}

thread_local! {
    static WAITS_FOR_END: Cell<bool> = const { Cell::new(false) };
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::config::Config;
    use crate::handshake::Handshake;
    use crate::id::Id;

    fn link(handlers: usize, bytes: usize) -> Arc<Link> {
        let mut config = Config::new("/");
        config.limits.max_concurrent_handlers = handlers;
        config.limits.handlers_bytes = bytes;
        Link::new(
            Id::random(),
            &Arc::new(config),
            Handshake::empty(),
            Instant::now(),
        )
    }

    #[test]
    fn reading_pauses_at_the_limit_of_handlers() {
        let link = link(2, 100);
        let cx = Context::from_waker(Waker::noop());
        let first = InFlight::enter(&link, 0);
        assert!(link.in_flight.poll_room(&cx));
        let second = InFlight::enter(&link, 0);
        assert!(!link.in_flight.poll_room(&cx));
        drop(first);
        assert!(link.in_flight.poll_room(&cx));
        drop(second);
    }

    #[test]
    fn reading_pauses_at_the_limit_of_what_handlers_hold() {
        let link = link(10, 100);
        let cx = Context::from_waker(Waker::noop());
        let first = InFlight::enter(&link, 99);
        assert!(link.in_flight.poll_room(&cx));
        let second = InFlight::enter(&link, 1);
        assert!(!link.in_flight.poll_room(&cx));
        drop(second);
        assert!(link.in_flight.poll_room(&cx));
        drop(first);
        assert!(link.in_flight.has_room());
    }

    #[test]
    fn disconnect_handlers_do_not_count_against_the_limit() {
        let link = link(1, 100);
        let leaving = InFlight::enter_leaving(&link);
        assert!(link.in_flight.has_room() && link.in_flight.is_busy());
        let cx = Context::from_waker(Waker::noop());
        assert!(link.in_flight.poll_drained(&cx));
        drop(leaving);
        assert!(!link.in_flight.is_busy());
    }

    #[test]
    fn a_client_is_drained_of_handlers_and_acknowledgements() {
        let link = link(4, 100);
        let in_flight = &link.in_flight;
        let cx = Context::from_waker(Waker::noop());
        in_flight.drain();
        let mut waits = InFlight::enter(&link, 0);
        let works = InFlight::enter(&link, 0);
        in_flight.owe();
        assert!(!in_flight.poll_drained(&cx));
        drop(works);
        assert!(!in_flight.poll_drained(&cx));
        // It ends because of the close.
        waits.set_idle(true);
        assert!(!in_flight.poll_drained(&cx));
        in_flight.settle();
        assert!(in_flight.poll_drained(&cx) && !in_flight.is_busy());
        waits.set_idle(false);
        assert!(!in_flight.poll_drained(&cx));
        waits.set_idle(true);
        drop(waits);
        assert!(in_flight.poll_drained(&cx));
        assert_eq!(in_flight.waiting(), 0);
    }

    #[test]
    fn memory_for_wakers_is_freed_without_handlers() {
        let link = link(4, 100);
        let cx = Context::from_waker(Waker::noop());
        let mut guards: Vec<_> = (0..3).map(|_| InFlight::enter(&link, 0)).collect();
        guards.iter_mut().for_each(|guard| guard.watch(&cx));
        guards.swap_remove(0);
        guards[0].watch(&cx);
        let mut next = InFlight::enter(&link, 0);
        next.watch(&cx);
        let others = |link: &Link| {
            let waiters = link.in_flight.waiters.lock();
            waiters.others.as_ref().map(|others| others.0.len())
        };
        assert_eq!(others(&link), Some(3));
        drop((guards, next));
        assert_eq!(others(&link), None);
    }
}
