//! Panics of the program's code, caught.
//!
//! Code or a future enters; its value leaves, or the text of its panic. The callers decide the
//! effect of a panic and its receivers; [`PanicReports`] is a receiver that the builder of a server
//! makes. This module does not log or spawn, and does not depend on the purpose of the code.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::mem::needs_drop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

/// Runs code that may panic; returns its value, or the text of its panic.
///
/// Unwind safety is the caller's duty: after a panic, the state that the code was changing must not
/// be read, or must be valid in any case.
pub(crate) fn catch_panic<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| panic_text(panic.as_ref()))
}

/// Drops a value whose destructor may panic; then the error is the text of the panic.
pub(crate) fn catch_drop<T>(value: T) -> Result<(), String> {
    if needs_drop::<T>() {
        catch_panic(|| drop(value))
    } else {
        Ok(())
    }
}

pin_project! {
    /// A future whose polls, and destructor, run under [`catch_panic`].
    #[must_use = "a future does nothing unless it is polled"]
    pub(crate) struct Caught<F> {
        // `None` after its end.
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for Caught<F> {
        fn drop(this: Pin<&mut Self>) {
            // Dropped before its end: the text of this panic has no receiver.
            let _ = catch_panic(|| this.project().future.set(None));
        }
    }
}

impl<F> Caught<F> {
    pub(crate) fn new(future: F) -> Self {
        Self {
            future: Some(future),
        }
    }
}

impl<F: Future> Future for Caught<F> {
    type Output = Result<F::Output, String>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut future = self.project().future;
        let polled = catch_panic(|| match future.as_mut().as_pin_mut() {
            Some(future) => future.poll(cx),
            // The future has ended, and its value was taken.
            None => Poll::Pending,
        });
        let ended = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(value)) => Ok(value),
            Err(panic) => Err(panic),
        };
        let dropped = catch_panic(|| future.set(None));
        Poll::Ready(match (ended, dropped) {
            (Ok(value), Err(panic)) => {
                // The panic that is known is reported, not a second one.
                let _ = catch_drop(value);
                Err(panic)
            }
            (ended, _) => ended,
        })
    }
}

/// Reports the panics of a server's own tasks to its log and to its supervisors.
#[derive(Clone)]
pub(crate) struct PanicReports(Arc<dyn Fn(TaskOwner, String) + Send + Sync>);

/// The owner of a task that has panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TaskOwner {
    Session,
    HttpConnection,
}

impl PanicReports {
    pub(crate) fn new(report: impl Fn(TaskOwner, String) + Send + Sync + 'static) -> Self {
        Self(Arc::new(report))
    }

    pub(crate) fn report(&self, owner: TaskOwner, panic: String) {
        (self.0)(owner, panic);
    }
}

impl Default for PanicReports {
    /// Of a server that has not started: it has no tasks.
    fn default() -> Self {
        Self::new(|_, _| ())
    }
}

impl fmt::Debug for PanicReports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PanicReports").finish_non_exhaustive()
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a text")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    /// Panics when it is dropped.
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in the destructor");
        }
    }

    #[test]
    fn a_panic_is_its_text() {
        assert_eq!(catch_panic(|| 7), Ok(7));
        let table: [(fn(), &str); 3] = [
            (|| panic!("as it is"), "as it is"),
            (|| panic!("with {}", 1), "with 1"),
            (|| std::panic::panic_any(1), "a panic without a text"),
        ];
        for (run, text) in table {
            assert_eq!(catch_panic(run), Err(text.to_owned()));
        }
    }

    #[test]
    fn a_destructor_that_panics_is_an_error() {
        assert_eq!(catch_drop(7), Ok(()));
        assert_eq!(catch_drop("text".to_owned()), Ok(()));
        assert_eq!(catch_drop(Bomb), Err("in the destructor".to_owned()));
    }

    #[actix_rt::test]
    async fn a_future_gives_its_value_or_the_text_of_its_panic() {
        assert_eq!(Caught::new(ready(7)).await, Ok(7));
        let panics = async {
            tokio::task::yield_now().await;
            panic!("in the {}", "future");
        };
        assert_eq!(
            Caught::new(panics).await,
            Err::<(), _>("in the future".to_owned())
        );
    }

    #[actix_rt::test]
    async fn a_panic_of_the_destructor_is_caught_too() {
        let bomb = Bomb;
        let ends = std::future::poll_fn(move |_| {
            let _held = &bomb;
            Poll::Ready(Bomb)
        });
        // The destructor of the value panics too.
        let ended = Caught::new(ends).await.map(std::mem::forget);
        assert_eq!(ended, Err("in the destructor".to_owned()));
        let bomb = Bomb;
        drop(Caught::new(async move {
            let _held = bomb;
            pending::<()>().await;
        }));
    }
}
