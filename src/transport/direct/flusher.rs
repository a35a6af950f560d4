//! Writes for all connections of a worker.
//!
//! Filling an outbox wakes its reader, and the reader of a connection's outbox is a [`Berth`]: being
//! woken it only puts its number on the worker's list. One task goes through the list, once for
//! whatever was queued by everything that ran before it; so a broadcast wakes one task for each
//! worker, and what several handlers send to one client goes out by one write.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::transport::direct::connection::Connection;

/// The connections of this thread, and which of them have something to write.
pub(crate) struct Flusher {
    abroad: Arc<Abroad>,
    inner: RefCell<Inner>,
}

#[derive(Default)]
struct Inner {
    places: Vec<Option<Place>>,
    free: Vec<u32>,
    due: VecDeque<u32>,
    /// The flusher's task, while it sleeps.
    asleep: Option<Waker>,
    /// Connections that their sessions have left, oldest first.
    leaving: VecDeque<Leaving>,
}

struct Place {
    connection: Rc<Connection>,
    bell: Arc<Bell>,
    /// The bell, for whoever is to ring it.
    waker: Waker,
}

struct Leaving {
    until: Instant,
    connection: Weak<Connection>,
    place: u32,
}

/// What other threads found due.
#[derive(Default)]
struct Abroad {
    due: Mutex<Vec<u32>>,
    task: Mutex<Option<Waker>>,
}

/// A connection's place on its worker.
pub(crate) struct Berth {
    flusher: Weak<Flusher>,
    place: u32,
}

impl Flusher {
    /// Returns the flusher of this thread; it is started where there is none.
    pub(crate) fn here() -> Rc<Self> {
        if let Some(flusher) = HERE.with_borrow(Clone::clone) {
            return flusher;
        }
        let flusher = Rc::new(Self {
            abroad: Arc::default(),
            inner: RefCell::default(),
        });
        HERE.set(Some(Rc::clone(&flusher)));
        // It has a budget of its own: that of the runtime would be used up by the first connections,
        // and each of the others be asked in vain.
        actix_rt::spawn(unconstrained(Task {
            flusher: Rc::clone(&flusher),
            patience: None,
        }));
        flusher
    }

    /// Takes a connection in; it is written to from now on.
    pub(crate) fn admit(self: &Rc<Self>, connection: &Rc<Connection>) -> Berth {
        let mut inner = self.inner.borrow_mut();
        let place = inner.free.pop().unwrap_or_else(|| {
            inner.places.push(None);
            // A worker has fewer connections than file descriptors.
            (inner.places.len() - 1) as u32
        });
        let bell = Arc::new(Bell {
            home: Arc::clone(&self.abroad),
            place,
            rung: AtomicBool::new(false),
        });
        inner.places[place as usize] = Some(Place {
            connection: Rc::clone(connection),
            waker: Waker::from(Arc::clone(&bell)),
            bell: Arc::clone(&bell),
        });
        drop(inner);
        bell.wake();
        Berth {
            flusher: Rc::downgrade(self),
            place,
        }
    }

    fn ring(&self, place: u32) {
        let asleep = {
            let mut inner = self.inner.borrow_mut();
            inner.due.push_back(place);
            inner.asleep.take()
        };
        if let Some(task) = asleep {
            task.wake();
        }
    }

    /// Writes for a connection; forgets it at its end.
    fn serve(&self, place: u32) {
        let found = match self.inner.borrow().places.get(place as usize) {
            Some(Some(found)) => (Rc::clone(&found.connection), found.waker.clone(), {
                found.bell.rung.store(false, Ordering::Release);
            }),
            // It has gone; the ring was for one before it.
            Some(None) | None => return,
        };
        let (connection, waker, ()) = found;
        if connection.poll(&mut Context::from_waker(&waker)).is_ready() {
            self.forget(place);
        }
    }

    fn forget(&self, place: u32) {
        let mut inner = self.inner.borrow_mut();
        let gone = inner.places.get_mut(place as usize).and_then(Option::take);
        if gone.is_some() {
            inner.free.push(place);
        }
        drop(inner);
        drop(gone);
    }

    /// Ends connections whose clients did not end them in time; returns the next one's time.
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
            // Its place is another's where it has gone by itself.
            if leaving.connection.strong_count() > 0 {
                self.forget(leaving.place);
            }
        }
    }

    fn next_due(&self) -> Option<u32> {
        self.inner.borrow_mut().due.pop_front()
    }

    /// Takes over what other threads found due.
    fn take_abroad(&self) {
        let mut abroad = self.abroad.due.lock();
        self.inner.borrow_mut().due.extend(abroad.drain(..));
    }
}

impl Berth {
    /// The session has let go of the connection: what is queued is still written, for a while.
    pub(crate) fn leave(&self, connection: &Rc<Connection>) {
        let Some(flusher) = self.flusher.upgrade() else {
            return;
        };
        flusher.inner.borrow_mut().leaving.push_back(Leaving {
            until: Instant::now() + LINGER,
            connection: Rc::downgrade(connection),
            place: self.place,
        });
        flusher.ring(self.place);
    }
}

/// Rung when a connection has something to write, or may write on.
struct Bell {
    home: Arc<Abroad>,
    place: u32,
    rung: AtomicBool,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.rung.swap(true, Ordering::AcqRel) {
            return;
        }
        let is_home = HERE.try_with(|here| match &*here.borrow() {
            Some(flusher) if Arc::ptr_eq(&flusher.abroad, &self.home) => {
                flusher.ring(self.place);
                true
            }
            Some(_) | None => false,
        });
        if is_home != Ok(true) {
            self.home.ring(self.place);
        }
    }
}

impl Abroad {
    /// Notes whom other threads are to wake.
    fn called_by(&self, task: &Waker) {
        let mut known = self.task.lock();
        if !known.as_ref().is_some_and(|known| known.will_wake(task)) {
            *known = Some(task.clone());
        }
    }

    fn ring(&self, place: u32) {
        let is_first = {
            let mut due = self.due.lock();
            due.push(place);
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
struct Task {
    flusher: Rc<Flusher>,
    patience: Option<Pin<Box<Sleep>>>,
}

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let flusher = Rc::clone(&self.flusher);
        flusher.abroad.called_by(cx.waker());
        flusher.take_abroad();
        for _ in 0..BUDGET {
            let Some(place) = flusher.next_due() else {
                break;
            };
            flusher.serve(place);
        }
        self.poll_patience(flusher.expire(Instant::now()), cx);
        let mut inner = flusher.inner.borrow_mut();
        if inner.due.is_empty() {
            inner.asleep = Some(cx.waker().clone());
        } else {
            // Others on this worker want to be served too.
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl Task {
    /// Wakes the task when the next connection has lingered long enough.
    fn poll_patience(&mut self, until: Option<Instant>, cx: &mut Context<'_>) {
        let Some(until) = until else {
            self.patience = None;
            return;
        };
        let fresh = || Box::pin(sleep_until(until));
        let patience = self.patience.get_or_insert_with(fresh);
        if patience.deadline() != until {
            patience.as_mut().reset(until);
        }
        if patience.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }
}

impl Drop for Task {
    /// The worker has ended, and its connections with it.
    fn drop(&mut self) {
        let gone = HERE.try_with(RefCell::take);
        drop(gone);
        let places = std::mem::take(&mut self.flusher.inner.borrow_mut().places);
        drop(places);
    }
}

thread_local! {
    static HERE: RefCell<Option<Rc<Flusher>>> = const { RefCell::new(None) };
}

/// How long a connection waits for its client to end it too.
const LINGER: Duration = Duration::from_secs(2);

/// Connections that are written to before others on the worker have their turn.
const BUDGET: usize = 256;
