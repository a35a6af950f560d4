//! Work of the program's that ends with the server.

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::actor::Registry;
use crate::handler::caught;
use crate::message::CrashPlace;

/// A task that [`SocketIo::spawn`](crate::SocketIo::spawn) has started. Awaited, it gives the task's
/// value, or `None` where it was stopped, panicked, or ended with the server. Dropped, it lets the task
/// run on.
///
/// # Examples
///
/// ```
/// # async fn run(io: actix_socketio::SocketIo) {
/// let task = io.spawn(async { 6 * 7 });
/// assert_eq!(task.await, Some(42));
/// # }
/// ```
pub struct BackgroundTask<T> {
    value: oneshot::Receiver<T>,
    stop: CancellationToken,
}

impl<T> BackgroundTask<T> {
    /// Stops the task where it next waits for something.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}

impl<T> Future for BackgroundTask<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        Pin::new(&mut self.value).poll(cx).map(Result::ok)
    }
}

impl<T> fmt::Debug for BackgroundTask<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackgroundTask").finish_non_exhaustive()
    }
}

/// Runs `work` beside the server's actors, until it ends or `ended` is cancelled.
pub(crate) fn spawn<F>(
    registry: &Arc<Registry>,
    ended: &CancellationToken,
    work: F,
) -> BackgroundTask<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (sender, value) = oneshot::channel();
    let stop = ended.child_token();
    let stopped = stop.clone();
    let reporting = Arc::clone(registry);
    let task = async move {
        let mut work = pin!(work);
        let guarded = std::future::poll_fn(|cx| match caught(|| work.as_mut().poll(cx)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
            Err(panic) => Poll::Ready(Err(panic)),
        });
        match stopped.run_until_cancelled(guarded).await {
            // Nobody may be waiting for it.
            Some(Ok(value)) => drop(sender.send(value)),
            Some(Err(panic)) => reporting.report(CrashPlace::BackgroundTask, None, panic),
            None => {}
        }
    };
    registry.arbiter().spawn(task);
    BackgroundTask { value, stop }
}
