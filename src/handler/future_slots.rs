//! The slots in which the futures of handlers run.
//!
//! A future is polled once in place, under `catch_unwind`. Most have then ended and needed no
//! allocation, because a slot is used again by the handler's next future. A future that is still
//! pending is spawned on this worker. Each of its polls is under `catch_unwind` too, until it ends
//! or its guard says that it must be dropped. The purpose of the futures is not known here.

use std::any::Any;
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use crate::handler::pending::{Unfinished, WhilePending};
use crate::panics::catch_panic;
use crate::telemetry::{InSpan, SpanScope};

/// One handler's slots: one on each thread that calls it.
#[derive(Debug)]
pub(crate) struct FutureSlots(usize);

impl FutureSlots {
    pub(crate) fn new() -> Self {
        let mut free = FREE.lock();
        Self(free.numbers.pop().unwrap_or_else(|| {
            free.next += 1;
            free.next - 1
        }))
    }

    /// Runs `start`'s future and gives `finish` its value, or the reason why there is none.
    ///
    /// `start` is called at once. `while_pending` makes the guard of the spawned future, which may
    /// delay `finish`.
    pub(crate) fn run<F, G>(
        &self,
        start: impl FnOnce() -> F,
        finish: impl FnOnce(Result<F::Output, Unfinished>) + 'static,
        while_pending: impl FnOnce() -> G,
    ) where
        F: Future + 'static,
        G: WhilePending,
    {
        let mut slot = self.take::<InSpan<F>>();
        let polled = catch_panic(|| {
            slot.0.set(Some(SpanScope::current().follow(start())));
            // No waker is needed yet: a pending future is polled again by its own task.
            slot.poll(&mut Context::from_waker(Waker::noop()))
        });
        match polled {
            Ok(Poll::Ready(value)) => {
                self.put_back(slot);
                finish(Ok(value));
            }
            Ok(Poll::Pending) => {
                let mut held = while_pending();
                actix_rt::spawn(async move {
                    let ended = poll_fn(|cx| slot.poll_held(cx, &mut held)).await;
                    slot.discard();
                    held.settled(&ended).await;
                    finish(ended);
                    drop(held);
                });
            }
            Err(panic) => {
                slot.discard();
                finish(Err(Unfinished::Panicked(panic)));
            }
        }
    }

    /// Takes this thread's slot; a new one if it is in use or does not exist.
    fn take<F: Future + 'static>(&self) -> Slot<F> {
        let idle = SLOTS.with_borrow_mut(|slots| {
            let slot = slots.get_mut(self.0)?.as_mut()?;
            slot.downcast_mut::<Idle<F>>()?.take()
        });
        Slot(idle.unwrap_or_else(|| Box::pin(None)))
    }

    /// Drops the slot's future and keeps its memory.
    fn put_back<F: Future + 'static>(&self, mut slot: Slot<F>) {
        if slot.clear().is_err() {
            return;
        }
        SLOTS.with_borrow_mut(|slots| {
            if slots.len() <= self.0 {
                slots.resize_with(self.0 + 1, || None);
            }
            let idle = &mut slots[self.0];
            match idle
                .as_mut()
                .and_then(|idle| idle.downcast_mut::<Idle<F>>())
            {
                Some(idle) => *idle = Some(slot.0),
                // The first, or the first after a handler that had this number before.
                None => *idle = Some(Box::new(Some(slot.0) as Idle<F>)),
            }
        });
    }
}

impl Drop for FutureSlots {
    fn drop(&mut self) {
        FREE.lock().numbers.push(self.0);
    }
}

/// A slot that is free, or was taken.
type Idle<F> = Option<Pin<Box<Option<F>>>>;

/// The memory of one future of type `F`.
struct Slot<F>(Pin<Box<Option<F>>>);

impl<F: Future + 'static> Slot<F> {
    /// Drops a future that has panicked; a second panic, in its destructor, is ignored.
    fn discard(mut self) {
        let _ = self.clear();
    }

    fn clear(&mut self) -> Result<(), String> {
        catch_panic(|| self.0.set(None))
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<F::Output> {
        match self.0.as_mut().as_pin_mut() {
            Some(future) => future.poll(cx),
            // Only `run` polls, and never after the future's end.
            None => Poll::Pending,
        }
    }

    /// Polls the future and, if it is pending, its guard.
    fn poll_held(
        &mut self,
        cx: &mut Context<'_>,
        held: &mut impl WhilePending,
    ) -> Poll<Result<F::Output, Unfinished>> {
        held.resumes();
        match catch_panic(|| self.poll(cx)) {
            Ok(Poll::Pending) => held.poll_cut(cx).map(|()| Err(Unfinished::Dropped)),
            Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
            Err(panic) => Poll::Ready(Err(Unfinished::Panicked(panic))),
        }
    }
}

thread_local! {
    static SLOTS: RefCell<Vec<Option<Box<dyn Any>>>> = const { RefCell::new(Vec::new()) };
}

/// The numbers of slots without a handler.
static FREE: Mutex<Numbers> = Mutex::new(Numbers {
    numbers: Vec::new(),
    next: 0,
});

struct Numbers {
    numbers: Vec<usize>,
    next: usize,
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    /// Holds a value, and drops the future on request.
    #[derive(Default)]
    struct Held {
        _value: Rc<()>,
        is_cut: bool,
    }

    impl WhilePending for Held {
        fn poll_cut(&mut self, _: &mut Context<'_>) -> Poll<()> {
            if self.is_cut {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }
    }

    fn panicked<T>(text: &str) -> Result<T, Unfinished> {
        Err(Unfinished::Panicked(text.to_owned()))
    }

    fn ended<F: Future + 'static>(
        start: impl FnOnce() -> F,
    ) -> Option<Result<F::Output, Unfinished>> {
        let ended = Rc::new(Cell::new(None));
        let slot = Rc::clone(&ended);
        FutureSlots::new().run(start, move |value| slot.set(Some(value)), Held::default);
        ended.take()
    }

    #[test]
    fn a_future_that_does_not_wait_is_done_at_once() {
        for n in 0..3 {
            assert_eq!(ended(|| async move { n + 1 }), Some(Ok(n + 1)));
        }
    }

    #[test]
    fn a_reused_slot_number_accepts_another_future_type() {
        let first = FutureSlots::new();
        first.run(
            || async { "text" },
            |value| assert_eq!(value, Ok("text")),
            Held::default,
        );
        let number = first.0;
        drop(first);
        let heard = Rc::new(Cell::new(0));
        // Other tests may take the number first.
        let next = std::iter::repeat_with(FutureSlots::new)
            .take(8)
            .collect::<Vec<_>>();
        for slots in next.iter().filter(|slots| slots.0 == number) {
            assert!(slots.take::<std::future::Ready<u8>>().0.is_none());
        }
        for slots in &next {
            let slot = Rc::clone(&heard);
            let finish = move |value: Result<u8, _>| slot.set(slot.get() + value.unwrap());
            slots.run(|| std::future::ready(7), finish, Held::default);
        }
        assert_eq!(heard.get(), 56);
    }

    #[test]
    fn a_panic_of_the_call_or_the_first_poll_is_an_error() {
        let in_call = ended(|| -> std::future::Ready<()> { panic!("in the call") });
        assert_eq!(in_call, Some(panicked("in the call")));
        let in_future = ended(|| async { panic!("in the {}", "future") });
        assert_eq!(in_future, Some(panicked::<()>("in the future")));
    }

    #[actix_rt::test]
    async fn a_panic_after_a_wait_is_an_error_too() {
        let (sender, ended) = tokio::sync::oneshot::channel();
        let finish = move |value: Result<(), _>| sender.send(value).unwrap();
        FutureSlots::new().run(
            || async {
                tokio::task::yield_now().await;
                panic!("later")
            },
            finish,
            Held::default,
        );
        assert_eq!(ended.await.unwrap(), panicked("later"));
    }

    #[actix_rt::test]
    async fn the_guard_lives_as_long_as_the_wait() {
        let guard = Rc::new(());
        let held = Rc::clone(&guard);
        let (sender, ended) = tokio::sync::oneshot::channel();
        let count = Rc::clone(&guard);
        FutureSlots::new().run(
            tokio::task::yield_now,
            move |_| sender.send(Rc::strong_count(&count)).unwrap(),
            move || Held {
                _value: held,
                is_cut: false,
            },
        );
        assert_eq!(ended.await.unwrap(), 3);
    }

    #[actix_rt::test]
    async fn cancelled_future_is_dropped_before_its_result() {
        let (sender, ended) = tokio::sync::oneshot::channel();
        let in_future = Rc::new(());
        let kept = Rc::downgrade(&in_future);
        FutureSlots::new().run(
            move || async move {
                std::future::pending::<()>().await;
                drop(in_future);
            },
            move |value| sender.send((value, kept.strong_count())).unwrap(),
            || Held {
                is_cut: true,
                ..Held::default()
            },
        );
        assert_eq!(ended.await.unwrap(), (Err(Unfinished::Dropped), 0));
    }
}
