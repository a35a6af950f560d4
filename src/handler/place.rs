//! Where the futures of handlers run.
//!
//! A future is polled once in place, under `catch_unwind`; most are done then and have cost no
//! allocation, since the place where they lay is used again by the next one of their type. A future
//! that is still pending is spawned on this worker, each poll of it under `catch_unwind` too. Nothing
//! here knows what the futures are for.

use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Runs `start`'s future and gives `finish` its value, or the text of its panic.
///
/// `start` is run at once. `while_pending` makes what is held for as long as the future is spawned.
pub(crate) fn run<F, G>(
    start: impl FnOnce() -> F,
    finish: impl FnOnce(Result<F::Output, String>) + 'static,
    while_pending: impl FnOnce() -> G,
) where
    F: Future + 'static,
    G: 'static,
{
    let mut place = Place::<F>::take();
    let polled = caught(|| {
        place.0.set(Some(start()));
        // Nobody needs to be woken yet: a pending future is polled again by its own task.
        place.poll(&mut Context::from_waker(Waker::noop()))
    });
    match polled {
        Ok(Poll::Ready(value)) => {
            place.put_back();
            finish(Ok(value));
        }
        Ok(Poll::Pending) => {
            let guard = while_pending();
            actix_rt::spawn(async move {
                let ended = std::future::poll_fn(|cx| place.poll_caught(cx)).await;
                drop(place);
                finish(ended);
                drop(guard);
            });
        }
        Err(panic) => {
            place.discard();
            finish(Err(panic));
        }
    }
}

/// Runs code that may panic; returns its value, or the text of its panic.
///
/// Unwind safety is the caller's: what the code was changing must not be looked at after a panic, or
/// bear it.
pub(crate) fn caught<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| panic_text(panic.as_ref()))
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a text")
        .to_owned()
}

/// Room for one future of type `F`.
struct Place<F>(Pin<Box<Option<F>>>);

impl<F: Future + 'static> Place<F> {
    /// Takes the thread's place for this type; a new one where it is in use or there is none.
    fn take() -> Self {
        let kept = PLACES.with(|places| {
            let mut places = places.borrow_mut();
            let place = places.get_mut(&TypeId::of::<F>())?;
            place.downcast_mut::<Option<Pin<Box<Option<F>>>>>()?.take()
        });
        Self(kept.unwrap_or_else(|| Box::pin(None)))
    }

    /// Drops the future and keeps its room.
    fn put_back(mut self) {
        if self.clear().is_err() {
            return;
        }
        PLACES.with(|places| {
            let mut places = places.borrow_mut();
            match places.get_mut(&TypeId::of::<F>()) {
                Some(place) => {
                    if let Some(place) = place.downcast_mut() {
                        *place = Some(self.0);
                    }
                }
                None => {
                    places.insert(TypeId::of::<F>(), Box::new(Some(self.0)));
                }
            }
        });
    }

    /// Drops a future that has panicked; a second panic, in its destructor, is swallowed.
    fn discard(mut self) {
        let _ = self.clear();
    }

    fn clear(&mut self) -> Result<(), String> {
        caught(|| self.0.set(None))
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<F::Output> {
        match self.0.as_mut().as_pin_mut() {
            Some(future) => future.poll(cx),
            // Only `run` polls, and never again after the future's end.
            None => Poll::Pending,
        }
    }

    fn poll_caught(&mut self, cx: &mut Context<'_>) -> Poll<Result<F::Output, String>> {
        let ended = match caught(|| self.poll(cx)) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(value)) => Ok(value),
            Err(panic) => Err(panic),
        };
        let _ = self.clear();
        Poll::Ready(ended)
    }
}

thread_local! {
    static PLACES: RefCell<HashMap<TypeId, Box<dyn Any>>> = RefCell::default();
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    fn ended<F: Future + 'static>(start: impl FnOnce() -> F) -> Option<Result<F::Output, String>> {
        let ended = Rc::new(Cell::new(None));
        let slot = Rc::clone(&ended);
        run(start, move |value| slot.set(Some(value)), || ());
        ended.take()
    }

    #[test]
    fn a_future_that_does_not_wait_is_done_at_once() {
        for n in 0..3 {
            assert_eq!(ended(|| async move { n + 1 }), Some(Ok(n + 1)));
        }
    }

    #[test]
    fn a_panic_is_an_error_wherever_it_comes() {
        let in_call = ended(|| -> std::future::Ready<()> { panic!("in the call") });
        assert_eq!(in_call, Some(Err("in the call".into())));
        let in_future = ended(|| async { panic!("in the {}", "future") });
        assert_eq!(in_future, Some(Err::<(), _>("in the future".into())));
    }

    #[actix_rt::test]
    async fn a_panic_after_a_wait_is_an_error_too() {
        let (sender, ended) = tokio::sync::oneshot::channel();
        let finish = move |value: Result<(), String>| sender.send(value).unwrap();
        run(
            || async {
                tokio::task::yield_now().await;
                panic!("later")
            },
            finish,
            || (),
        );
        assert_eq!(ended.await.unwrap(), Err("later".into()));
    }

    #[actix_rt::test]
    async fn the_guard_lives_as_long_as_the_wait() {
        let guard = Rc::new(());
        let held = Rc::clone(&guard);
        let (sender, ended) = tokio::sync::oneshot::channel();
        let count = Rc::clone(&guard);
        run(
            tokio::task::yield_now,
            move |_| sender.send(Rc::strong_count(&count)).unwrap(),
            move || held,
        );
        assert_eq!(ended.await.unwrap(), 3);
    }
}
