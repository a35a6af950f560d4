//! The guard of a pending future of the program, and the time at which the future is dropped.
//!
//! A handler that still waits after its socket has ended gets a grace period. After it, or at the
//! end of a stop, its future is dropped with all its values.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::time::{Sleep, sleep};

use crate::link::{InFlight, InFlightGuard, Link, has_waited_for_end, waits_for_end};
use crate::members::{self, SocketState};

/// Held while a future is pending.
pub(crate) trait WhilePending: 'static {
    /// Checks a future that was just polled and is pending. Ready means that it must be dropped.
    fn poll_cut(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// The future is about to be polled.
    fn resumes(&mut self) {}

    /// Waits, after the future has ended, until its result may be published.
    fn settled<T>(&self, _ended: &Result<T, Unfinished>) -> impl Future<Output = ()> {
        std::future::ready(())
    }
}

/// The reason why a future of the program has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unfinished {
    /// It panicked with this text.
    Panicked(String),
    /// It was dropped: its socket has ended, or the server has.
    Dropped,
}

/// A handler in flight.
pub(crate) struct Pending {
    guard: InFlightGuard,
    /// The socket of the call; without one it runs for the whole session.
    state: Option<Arc<SocketState>>,
    /// Its acknowledgement waits until the client has room, and it counts as in flight in the
    /// meantime: no packets are read from a client that does not read its responses.
    answers: bool,
    /// Made after the socket has ended.
    grace: Option<Pin<Box<Sleep>>>,
}

impl Pending {
    /// Makes the guard of an event's handler, which answers.
    pub(crate) fn of_event(state: &Arc<SocketState>, bytes: usize) -> Self {
        Self {
            answers: true,
            ..Self::of_socket(state, bytes)
        }
    }

    /// Makes the guard of a socket's handler, for an event of `bytes` bytes.
    pub(crate) fn of_socket(state: &Arc<SocketState>, bytes: usize) -> Self {
        Self {
            guard: InFlight::enter(&state.link, bytes),
            state: Some(Arc::clone(state)),
            answers: false,
            grace: None,
        }
    }

    pub(crate) fn of_session(link: &Arc<Link>, bytes: usize) -> Self {
        Self {
            guard: InFlight::enter(link, bytes),
            state: None,
            answers: false,
            grace: None,
        }
    }

    fn has_ended(&self) -> bool {
        match &self.state {
            Some(state) => state.has_ended(),
            None => self.guard.link().in_flight.has_ended(),
        }
    }
}

impl WhilePending for Pending {
    fn poll_cut(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.guard.set_idle(has_waited_for_end());
        // Before the check: an end after it wakes this task.
        self.guard.watch(cx);
        if self.guard.link().in_flight.is_cut() {
            return Poll::Ready(());
        }
        let Some(grace) = self.guard.link().config.sockets.handler_grace else {
            return Poll::Pending;
        };
        if !self.has_ended() {
            return Poll::Pending;
        }
        let sleep = self.grace.get_or_insert_with(|| Box::pin(sleep(grace)));
        sleep.as_mut().poll(cx)
    }

    fn resumes(&mut self) {
        waits_for_end(false);
        self.guard.set_idle(false);
    }

    async fn settled<T>(&self, ended: &Result<T, Unfinished>) {
        if self.answers && !matches!(ended, Err(Unfinished::Dropped)) {
            members::within(self.guard.link()).await;
        }
    }
}

/// A disconnect handler is not dropped.
impl WhilePending for InFlightGuard {
    fn poll_cut(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").finish_non_exhaustive()
    }
}
