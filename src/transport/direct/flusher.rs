//! The writer of all connections of a worker.
//!
//! A push to an empty outbox wakes its reader. The reader of a connection's outbox is a
//! [`SlotWaker`], which only appends the number of the connection's slot to the worker's list. One
//! task processes the list, once for all frames that were queued before it ran. So a broadcast
//! wakes one task per worker, and the packets of several handlers to one client are sent by one
//! write. The kind of connection is unknown here: it is a [`Flushed`].

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::LocalKey;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::panics::catch_panic;

/// A kind of connection that a flusher writes to.
pub(crate) trait Flushed: Sized + 'static {
    /// Writes the queued bytes. Ready is the end of the connection.
    fn poll(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// Ends the connection, because its [`poll`](Self::poll) has panicked.
    fn panicked(&self, panic: &str);

    /// Returns the place of each thread's flusher. Each type has its own, so that the calls need no
    /// dynamic dispatch.
    fn here() -> &'static LocalKey<Here<Self>>;
}

/// The flusher of a thread, once it is started.
pub(crate) type Here<C> = RefCell<Option<Rc<Flusher<C>>>>;

/// The connections of this thread, and the list of those with queued bytes.
pub(crate) struct Flusher<C> {
    remote: Arc<RemoteWakes>,
    inner: RefCell<Inner<C>>,
}

struct Inner<C> {
    slots: Vec<Option<Slot<C>>>,
    free: Vec<u32>,
    due: VecDeque<u32>,
    /// The flusher's task, while it sleeps.
    asleep: Option<Waker>,
    /// Connections whose sessions have released them, oldest first.
    leaving: VecDeque<Leaving<C>>,
}

struct Slot<C> {
    connection: Rc<C>,
    wakes: Arc<SlotWaker<C>>,
    /// The same, for the outbox and the runtime.
    waker: Waker,
}

struct Leaving<C> {
    until: Instant,
    connection: Weak<C>,
    slot: u32,
}

/// The slots that other threads have woken.
#[derive(Default)]
struct RemoteWakes {
    due: Mutex<Vec<u32>>,
    task: Mutex<Option<Waker>>,
}

/// A connection's slot on its worker.
pub(crate) struct ConnectionSlot<C> {
    flusher: Weak<Flusher<C>>,
    slot: u32,
}

impl<C: Flushed> Flusher<C> {
    /// Returns the flusher of this thread, and starts it if there is none.
    pub(crate) fn here() -> Rc<Self> {
        if let Some(flusher) = C::here().with_borrow(Clone::clone) {
            return flusher;
        }
        let flusher = Rc::new(Self {
            remote: Arc::default(),
            inner: RefCell::new(Inner {
                slots: Vec::new(),
                free: Vec::new(),
                due: VecDeque::new(),
                asleep: None,
                leaving: VecDeque::new(),
            }),
        });
        C::here().set(Some(Rc::clone(&flusher)));
        // Without the runtime's budget: the first connections would use it up, and polls of the
        // others would be in vain.
        actix_rt::spawn(unconstrained(Task {
            flusher: Rc::clone(&flusher),
            linger: None,
        }));
        flusher
    }

    /// Adds a connection; it is written to from now on.
    pub(crate) fn register(self: &Rc<Self>, connection: &Rc<C>) -> ConnectionSlot<C> {
        let mut inner = self.inner.borrow_mut();
        let slot = inner.free.pop().unwrap_or_else(|| {
            inner.slots.push(None);
            // A worker has fewer connections than file descriptors.
            (inner.slots.len() - 1) as u32
        });
        let wakes = Arc::new(SlotWaker {
            home: Arc::clone(&self.remote),
            slot,
            is_woken: AtomicBool::new(false),
            kind: PhantomData,
        });
        inner.slots[slot as usize] = Some(Slot {
            connection: Rc::clone(connection),
            waker: Waker::from(Arc::clone(&wakes)),
            wakes: Arc::clone(&wakes),
        });
        drop(inner);
        wakes.wake();
        ConnectionSlot {
            flusher: Rc::downgrade(self),
            slot,
        }
    }

    fn wake(&self, slot: u32) {
        let asleep = {
            let mut inner = self.inner.borrow_mut();
            inner.due.push_back(slot);
            inner.asleep.take()
        };
        if let Some(task) = asleep {
            task.wake();
        }
    }

    /// Writes to a connection; removes it at its end.
    fn serve(&self, slot: u32) {
        let found = match self.inner.borrow().slots.get(slot as usize) {
            Some(Some(found)) => (Rc::clone(&found.connection), found.waker.clone(), {
                found.wakes.is_woken.store(false, Ordering::Release);
            }),
            // The connection has ended; the wake was for an earlier one.
            Some(None) | None => return,
        };
        let (connection, waker, ()) = found;
        // Each poll alone: a panic here must not end the other connections of the worker.
        match catch_panic(|| connection.poll(&mut Context::from_waker(&waker))) {
            Ok(Poll::Pending) => {}
            Ok(Poll::Ready(())) => self.forget(slot),
            Err(panic) => {
                connection.panicked(&panic);
                self.forget(slot);
            }
        }
    }

    fn forget(&self, slot: u32) {
        let mut inner = self.inner.borrow_mut();
        let gone = inner.slots.get_mut(slot as usize).and_then(Option::take);
        if gone.is_some() {
            inner.free.push(slot);
        }
        drop(inner);
        drop(gone);
    }

    /// Ends connections whose clients did not close them in time; returns the time of the next one.
    fn expire(&self, now: Instant) -> Option<Instant> {
        loop {
            let leaving = {
                let mut inner = self.inner.borrow_mut();
                let until = inner.leaving.front()?.until;
                if until > now {
                    return Some(until);
                }
                inner.leaving.pop_front()?
            };
            // If it has ended by itself, its slot belongs to another.
            if leaving.connection.strong_count() > 0 {
                self.forget(leaving.slot);
            }
        }
    }

    fn next_due(&self) -> Option<u32> {
        self.inner.borrow_mut().due.pop_front()
    }

    /// Takes the slots that other threads have woken.
    fn take_remote(&self) {
        let mut remote = self.remote.due.lock();
        self.inner.borrow_mut().due.extend(remote.drain(..));
    }
}

impl<C: Flushed> ConnectionSlot<C> {
    /// The session has released the connection: queued bytes are still written, for a while.
    pub(crate) fn leave(&self, connection: &Rc<C>) {
        let Some(flusher) = self.flusher.upgrade() else {
            return;
        };
        flusher.inner.borrow_mut().leaving.push_back(Leaving {
            until: Instant::now() + LINGER,
            connection: Rc::downgrade(connection),
            slot: self.slot,
        });
        flusher.wake(self.slot);
    }
}

/// Woken if a connection has bytes to write, or can continue to write.
struct SlotWaker<C> {
    home: Arc<RemoteWakes>,
    slot: u32,
    is_woken: AtomicBool,
    kind: PhantomData<fn() -> C>,
}

impl<C: Flushed> Wake for SlotWaker<C> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.is_woken.swap(true, Ordering::AcqRel) {
            return;
        }
        let is_home = C::here().try_with(|here| match &*here.borrow() {
            Some(flusher) if Arc::ptr_eq(&flusher.remote, &self.home) => {
                flusher.wake(self.slot);
                true
            }
            Some(_) | None => false,
        });
        if is_home != Ok(true) {
            self.home.wake(self.slot);
        }
    }
}

impl RemoteWakes {
    /// Sets the task that other threads wake.
    fn called_by(&self, task: &Waker) {
        let mut known = self.task.lock();
        if !known.as_ref().is_some_and(|known| known.will_wake(task)) {
            *known = Some(task.clone());
        }
    }

    fn wake(&self, slot: u32) {
        let is_first = {
            let mut due = self.due.lock();
            due.push(slot);
            due.len() == 1
        };
        if is_first {
            let task = self.task.lock().clone();
            if let Some(task) = task {
                task.wake();
            }
        }
    }
}

/// The task that writes.
struct Task<C: Flushed> {
    flusher: Rc<Flusher<C>>,
    /// The time at which the first lingering connection must end.
    linger: Option<Pin<Box<Sleep>>>,
}

impl<C: Flushed> Future for Task<C> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let flusher = Rc::clone(&self.flusher);
        flusher.remote.called_by(cx.waker());
        flusher.take_remote();
        for _ in 0..BUDGET {
            let Some(slot) = flusher.next_due() else {
                break;
            };
            flusher.serve(slot);
        }
        self.poll_linger(flusher.expire(Instant::now()), cx);
        let mut inner = flusher.inner.borrow_mut();
        if inner.due.is_empty() {
            inner.asleep = Some(cx.waker().clone());
        } else {
            // Other tasks on this worker must run too.
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl<C: Flushed> Task<C> {
    /// Wakes the task when the next connection has lingered long enough.
    fn poll_linger(&mut self, until: Option<Instant>, cx: &mut Context<'_>) {
        let Some(until) = until else {
            self.linger = None;
            return;
        };
        let fresh = || Box::pin(sleep_until(until));
        let linger = self.linger.get_or_insert_with(fresh);
        if linger.deadline() != until {
            linger.as_mut().reset(until);
        }
        if linger.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }
}

impl<C: Flushed> Drop for Task<C> {
    /// The worker has ended, and its connections too.
    fn drop(&mut self) {
        let gone = C::here().try_with(RefCell::take);
        drop(gone);
        let slots = std::mem::take(&mut self.flusher.inner.borrow_mut().slots);
        drop(slots);
    }
}

/// The time for which a connection waits for its client to close it too.
const LINGER: Duration = Duration::from_secs(2);

/// The number of connections that are written to before other tasks on the worker run.
const BUDGET: usize = 256;

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::task::yield_now;

    use super::*;

    /// A connection whose polls may panic.
    #[derive(Default)]
    struct Fragile {
        panics: bool,
        polls: Cell<usize>,
        reported: RefCell<Option<String>>,
    }

    impl Flushed for Fragile {
        fn poll(&self, _: &mut Context<'_>) -> Poll<()> {
            self.polls.set(self.polls.get() + 1);
            assert!(!self.panics, "in a write");
            Poll::Pending
        }

        fn panicked(&self, panic: &str) {
            *self.reported.borrow_mut() = Some(panic.to_owned());
        }

        fn here() -> &'static LocalKey<Here<Self>> {
            &FRAGILE
        }
    }

    thread_local! {
        static FRAGILE: Here<Fragile> = const { RefCell::new(None) };
    }

    /// Lets the flusher's task run.
    async fn turns() {
        for _ in 0..3 {
            yield_now().await;
        }
    }

    #[actix_rt::test]
    async fn a_connection_that_panics_is_reported_and_ends_alone() {
        let flusher = Flusher::<Fragile>::here();
        let breaks = Rc::new(Fragile {
            panics: true,
            ..Fragile::default()
        });
        let stays = Rc::new(Fragile::default());
        let _broken = flusher.register(&breaks);
        let slot = flusher.register(&stays);
        turns().await;
        assert_eq!(breaks.reported.take().as_deref(), Some("in a write"));
        assert_eq!(Rc::strong_count(&breaks), 1);
        assert_eq!(stays.polls.get(), 1);

        // The task runs on.
        slot.leave(&stays);
        turns().await;
        assert_eq!(stays.polls.get(), 2);
        assert_eq!(stays.reported.take(), None);
    }
}
