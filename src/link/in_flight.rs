//! What the program has running for one client: handlers that wait for something, acknowledgements
//! that they have kept for later, and what runs when a socket has left.
//!
//! Guards come in when a handler begins to wait and go with it. The session asks here whether it
//! may read on, and a server that stops asks whether it may close. Nothing here knows what a
//! handler is.

use std::cell::Cell;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use crate::link::Link;

/// The handlers of a client that wait for something; at the limit its transport is not read.
#[derive(Debug)]
pub(crate) struct InFlight {
    limit: u32,
    /// Handlers that hold a place.
    count: AtomicU32,
    /// From how many bytes on nothing more is read.
    bytes_limit: usize,
    /// Bytes of the events that these handlers were called for.
    bytes: AtomicUsize,
    /// How many of these wait for the end of their own socket.
    idle: AtomicU32,
    /// Acknowledgements that clients wait for and the program has yet to send.
    owed: AtomicU32,
    /// What runs for sockets that have left. It holds no place.
    leaving: AtomicU32,
    /// Written once, by the server that stops: who waits is told of each end from then on.
    draining: AtomicBool,
    /// Written once, by the server whose time is over: whatever is in flight is to be dropped.
    cut: AtomicBool,
    /// Written once, by the session that ends.
    ended: AtomicBool,
    waiters: Mutex<Waiters>,
}

#[derive(Debug, Default)]
struct Waiters {
    /// The session.
    reader: Option<Waker>,
    /// Handlers, which are told that a socket has ended, and servers that stop. An idle client has
    /// none, and only the pointer.
    others: Option<Box<Others>>,
}

#[derive(Debug, Default)]
struct Others(Vec<Option<Waker>>);

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
            cut: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            waiters: Mutex::default(),
        }
    }

    /// Tells whether there is room for one more; where not, wakes `cx` when there is.
    pub(crate) fn poll_room(&self, cx: &Context<'_>) -> bool {
        if self.has_room() {
            return true;
        }
        self.waiters.lock().reader = Some(cx.waker().clone());
        // A handler may have ended between the look and the registration.
        self.has_room()
    }

    /// Tells whether there is room for one more.
    pub(crate) fn has_room(&self) -> bool {
        self.count.load(Ordering::Acquire) < self.limit
            && self.bytes.load(Ordering::Acquire) < self.bytes_limit
    }

    /// Counts a handler that was called for an event of so many bytes, until the guard is dropped.
    pub(crate) fn enter(link: &Arc<Link>, bytes: usize) -> InFlightGuard {
        link.in_flight.count.fetch_add(1, Ordering::SeqCst);
        link.in_flight.bytes.fetch_add(bytes, Ordering::AcqRel);
        InFlightGuard::new(link, Kind::Handler { bytes })
    }

    /// Counts what runs for a socket that has left, until the guard is dropped. It holds no place,
    /// and nothing but the end of its worker drops it.
    pub(crate) fn enter_leaving(link: &Arc<Link>) -> InFlightGuard {
        link.in_flight.leaving.fetch_add(1, Ordering::SeqCst);
        InFlightGuard::new(link, Kind::Leaving)
    }

    /// Counts an acknowledgement that the program has yet to send.
    pub(crate) fn owe(&self) {
        self.owed.fetch_add(1, Ordering::SeqCst);
    }

    /// The acknowledgement has been sent, or never will be.
    pub(crate) fn settle(&self) {
        self.owed.fetch_sub(1, Ordering::SeqCst);
        self.tell_drained();
    }

    /// The server stops: nothing new is taken, and whoever waits is told when a handler ends.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// Tells whether the server stops.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Tells whether the session may be closed without taking anything from a handler; where not,
    /// wakes `cx` when it may. To be called by the session, behind [`drain`](Self::drain).
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

    /// Tells whether anything still runs that the end of the process would cut off.
    pub(crate) fn is_busy(&self) -> bool {
        self.waiting() > 0 || self.leaving.load(Ordering::SeqCst) > 0
    }

    /// Returns how many handlers wait for anything but the end of their own socket.
    pub(crate) fn waiting(&self) -> usize {
        let idle = self.idle.load(Ordering::SeqCst);
        self.count.load(Ordering::SeqCst).saturating_sub(idle) as usize
    }

    /// Waits until nothing runs any more, behind [`drain`](Self::drain).
    pub(crate) async fn finished(&self) {
        let mut watch = Watch {
            in_flight: self,
            slot: None,
        };
        poll_fn(|cx| {
            watch
                .slot
                .get_or_insert_with(|| self.watch(cx.waker().clone()));
            if self.is_busy() {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
    }

    /// Has whatever is in flight dropped, now and from now on.
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

    /// A socket has ended: handlers look whether it was theirs.
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

    /// Something has ended: who waits for all of it looks again.
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

/// Something that runs for a client.
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

    /// Notes whether the handler waits for the end of its own socket.
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

/// Notes that what is polled on this thread waits for the end of a socket.
pub(crate) fn waits_for_end(waits: bool) {
    WAITS_FOR_END.set(waits);
}

/// Tells whether what was polled last on this thread waits for the end of a socket.
pub(crate) fn has_waited_for_end() -> bool {
    WAITS_FOR_END.get()
}

thread_local! {
    static WAITS_FOR_END: Cell<bool> = const { Cell::new(false) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::handshake::Handshake;
    use crate::id::Id;

    fn link(handlers: usize, bytes: usize) -> Arc<Link> {
        let mut config = Config::new("/");
        config.max_concurrent_handlers = handlers;
        config.handlers_bytes = bytes;
        Link::new(Id::random(), &Arc::new(config), Handshake::empty())
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
    fn what_runs_for_a_socket_that_has_left_takes_no_place() {
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
        // It ends by the close.
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
    fn a_client_without_handlers_keeps_no_room_for_their_wakers() {
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
