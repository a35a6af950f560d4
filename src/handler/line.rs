//! The line of a socket's events behind asynchronous checks.
//!
//! An event of a namespace with such a check waits here with all its parts, and so do the later
//! events of its socket, so their order is kept. One task for each line calls the checks, and then
//! dispatches the event like any other. Each waiting event counts as a handler in flight, so the
//! session stops reading before the line is long.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use parking_lot::Mutex;

use crate::handler::failure::FailureCause;
use crate::handler::kinds::AsyncEventCheck;
use crate::handler::pending::{Pending, WhilePending};
use crate::handler::received::Received;
use crate::handler::table::Table;
use crate::handler::turn::Waiting;
use crate::panics::{Caught, catch_panic};

/// The events of one socket that wait for a check.
#[derive(Debug, Default)]
pub(crate) struct EventLine(Mutex<Line>);

#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<InLine>,
    /// A task handles the events.
    is_running: bool,
}

#[derive(Debug)]
struct InLine {
    event: Waiting,
    table: Arc<Table>,
    pending: Pending,
}

impl EventLine {
    /// Returns `true` if events wait, so that later ones must wait too.
    pub(crate) fn is_busy(&self) -> bool {
        self.0.lock().is_running
    }

    /// Adds an event, and handles it after the earlier ones.
    pub(crate) fn push(self: &Arc<Self>, table: &Arc<Table>, received: &Received<'_>) {
        let in_line = InLine {
            event: Waiting::of(received),
            table: Arc::clone(table),
            pending: Pending::of_socket(received.socket.state(), received.size()),
        };
        let mut line = self.0.lock();
        line.waiting.push_back(in_line);
        if !std::mem::replace(&mut line.is_running, true) {
            drop(line);
            let line = Arc::clone(self);
            // Its events count as in flight, and each check is dropped after the grace period.
            actix_rt::spawn(async move {
                while let Some(next) = line.next() {
                    next.handle().await;
                }
            });
        }
    }

    fn next(&self) -> Option<InLine> {
        let mut line = self.0.lock();
        let next = line.waiting.pop_front();
        line.is_running = next.is_some();
        next
    }
}

impl InLine {
    async fn handle(mut self) {
        for at in 0..self.table.async_checks().len() {
            if self.event.is_void() {
                return;
            }
            let check = Arc::clone(&self.table.async_checks()[at]);
            if let Err(cause) = self.passes(&check).await {
                return self.event.reply().end_refused(cause);
            }
        }
        let dispatched = catch_panic(|| self.event.dispatch_checked(&self.table));
        if let Err(panic) = dispatched {
            self.event.reply().panicked(panic);
        }
    }

    async fn passes(&mut self, check: &AsyncEventCheck) -> Result<(), FailureCause> {
        // An extractor and the first part of the function are code of the program too.
        let checking = catch_panic(|| self.event.with(|received| check(received)));
        let mut checking = match checking {
            Ok(Ok(checking)) => Box::pin(Caught::new(checking)),
            Ok(Err(rejection)) => return Err(FailureCause::Rejected(rejection)),
            Err(panic) => return Err(FailureCause::Panicked(panic)),
        };
        let pending = &mut self.pending;
        let ended = poll_fn(|cx| {
            pending.resumes();
            match checking.as_mut().poll(cx) {
                Poll::Ready(ended) => Poll::Ready(Some(ended)),
                Poll::Pending => pending.poll_cut(cx).map(|()| None),
            }
        });
        match ended.await {
            Some(Ok(Ok(()))) => Ok(()),
            Some(Ok(Err(rejection))) => Err(FailureCause::Rejected(rejection)),
            Some(Err(panic)) => Err(FailureCause::Panicked(panic)),
            None => Err(FailureCause::Dropped),
        }
    }
}
