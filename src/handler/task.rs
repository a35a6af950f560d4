//! The program's background tasks, and their end: by themselves, by their handle, by a panic, or
//! with their owner.
//!
//! A future enters; its value leaves to the holder of the handle, its panic to the supervisors. The
//! caller spawns it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix::{Arbiter, ArbiterHandle};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::handler::context::NamespaceContext;
use crate::handler::failure::task_panicked;
use crate::members::{Membership, SocketState, TaskKeeper};
use crate::panics::{Caught, catch_drop};
use crate::socket::Socket;

/// A task started by [`SocketIo::spawn`](crate::SocketIo::spawn) or [`Socket::spawn`]. As a future
/// it returns the task's value, or `None` if the task was stopped, panicked, or ended with the
/// server or its socket. The task continues if the handle is dropped.
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
    /// Makes a task that runs until its work ends or `stop` is cancelled, and its handle. The
    /// caller must spawn the task.
    pub(crate) fn of<F>(
        work: F,
        stop: CancellationToken,
        panicked: impl FnOnce(String),
    ) -> (Self, impl Future<Output = ()>)
    where
        F: Future<Output = T>,
    {
        let (sender, value) = oneshot::channel();
        let stopped = stop.clone();
        let task = async move {
            match stopped.run_until_cancelled(Caught::new(work)).await {
                // The handle may have been dropped, and the value's destructor may panic too.
                Some(Ok(value)) => {
                    if let Err(panic) = catch_drop(sender.send(value)) {
                        panicked(panic);
                    }
                }
                Some(Err(panic)) => panicked(panic),
                None => {}
            }
        };
        (Self { value, stop }, task)
    }

    /// Stops the task at its next wait.
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

impl Socket {
    /// Runs a task that ends with this socket: it is dropped at its next wait after the client has
    /// disconnected. If that has happened already, it does not start.
    ///
    /// Unlike a handler it does not count for
    /// [`max_concurrent_handlers`](crate::Builder::max_concurrent_handlers), and a server that
    /// stops does not wait for it. It runs on the worker of the handler that starts it; if it is
    /// not started on a worker, it runs on the thread of
    /// [`SocketIo::spawn`](crate::SocketIo::spawn). Its panic is sent to
    /// [`on_error`](crate::Handlers::on_error) as an event `spawn`, to the log, and to the actors
    /// of [`supervise`](crate::SocketIo::supervise).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use actix_socketio::Socket;
    /// use actix_web::rt::time::interval;
    ///
    /// /// Sends the time of day until the client leaves, and acknowledges at once.
    /// async fn watch(socket: Socket) {
    ///     let client = socket.clone();
    ///     socket.spawn(async move {
    ///         let mut every_second = interval(Duration::from_secs(1));
    ///         while client.emit("tick", ()).await.is_ok() {
    ///             every_second.tick().await;
    ///         }
    ///     });
    /// }
    /// ```
    pub fn spawn<F>(&self, task: F) -> BackgroundTask<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (state, owner) = (Arc::clone(self.state()), self.clone());
        let panicked = move |panic| {
            if let Some(keeper) = owner.membership().task_keeper() {
                keeper.panicked(owner.membership(), owner.state(), panic);
            }
        };
        let (handle, work) = BackgroundTask::of(task, CancellationToken::new(), panicked);
        let work = async move {
            tokio::select! {
                biased;
                () = state.ended() => {}
                () = work => {}
            }
        };
        let keeper = self.membership().task_keeper();
        let kept = || keeper.map(|keeper| keeper.arbiter().clone());
        if let Some(arbiter) = Arbiter::try_current().or_else(kept) {
            arbiter.spawn(work);
        }
        handle
    }
}

/// The owner of the tasks of a namespace's sockets.
pub(crate) struct Tasks {
    context: Arc<NamespaceContext>,
    arbiter: ArbiterHandle,
}

impl Tasks {
    pub(crate) fn of(context: &Arc<NamespaceContext>, arbiter: &ArbiterHandle) -> Box<Self> {
        Box::new(Self {
            context: Arc::clone(context),
            arbiter: arbiter.clone(),
        })
    }
}

impl TaskKeeper for Tasks {
    fn arbiter(&self) -> &ArbiterHandle {
        &self.arbiter
    }

    fn panicked(&self, namespace: &Arc<Membership>, socket: &Arc<SocketState>, panic: String) {
        let socket = Socket::new(namespace, Arc::clone(socket));
        task_panicked(&self.context, &socket, panic);
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").finish_non_exhaustive()
    }
}
