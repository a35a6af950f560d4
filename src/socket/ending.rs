//! The end of a socket, for programs that wait for it.
//!
//! A socket's state enters, which knows its end. Nothing here ends a socket.

use std::future::{Future, poll_fn};
use std::pin::pin;

use actix::ArbiterHandle;

use crate::link::waits_for_end;
use crate::socket::Socket;
use crate::socket::membership::Membership;

impl Socket {
    /// Waits until the socket has ended: its client has disconnected, was disconnected, or was
    /// refused. Returns at once if that has happened already.
    ///
    /// A handler with a loop counts as a handler in flight while it runs, and is dropped only after
    /// its client has been disconnected for [`handler_grace`](crate::Builder::handler_grace). It
    /// ends with its socket if it waits for this too. A server that stops does not wait for such a
    /// handler: it closes, and the handler ends. [`Socket::spawn`] runs a loop that does not count.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use actix_socketio::{EmitError, Socket};
    ///
    /// async fn watch(socket: Socket) -> Result<(), EmitError> {
    ///     loop {
    ///         tokio::select! {
    ///             () = socket.closed() => return Ok(()),
    ///             () = tokio::time::sleep(Duration::from_secs(1)) => {}
    ///         }
    ///         socket.emit("tick", ()).await?;
    ///     }
    /// }
    /// ```
    pub async fn closed(&self) {
        let mut ended = pin!(self.state.ended());
        poll_fn(|cx| {
            let polled = ended.as_mut().poll(cx);
            if polled.is_pending() {
                // A server that stops does not wait for a handler that waits for it.
                waits_for_end(true);
            }
            polled
        })
        .await;
    }
}

/// The services of a namespace for the tasks of its sockets.
pub(crate) trait TaskKeeper: std::fmt::Debug + Send + Sync {
    /// Returns the arbiter of a task that is not spawned on a worker.
    fn arbiter(&self) -> &ArbiterHandle;

    /// A task has panicked.
    fn panicked(&self, socket: &Socket, panic: String);
}

impl Membership {
    /// Sets the keeper of the tasks of the namespace's sockets; the first one is used.
    pub(crate) fn keep_tasks(&self, keeper: Box<dyn TaskKeeper>) {
        let _ = self.task_keeper.set(keeper);
    }

    pub(crate) fn task_keeper(&self) -> Option<&dyn TaskKeeper> {
        self.task_keeper.get().map(AsRef::as_ref)
    }
}
