//! The loop of a session: it reads the transport and checks the clock.
//!
//! It is polled by the actor's own task, so packets are handled in place and frames never pass
//! through the mailbox. One timer serves all deadlines of the session.

use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{self, Poll, ready};
use std::time::Instant;

use actix::fut::ActorFuture;
use actix::{ActorContext, Context};
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep_until};

use crate::clock::now;
use crate::reason::CloseReason;
use crate::session::actor::Session;
use crate::session::state::State;

pin_project! {
    /// The actor's one future.
    #[derive(Default)]
    pub(crate) struct SessionFuture {
        #[pin]
        timer: Option<Sleep>,
        armed: Option<Instant>,
    }
}

impl ActorFuture<Session> for SessionFuture {
    type Output = ();

    fn poll(
        mut self: Pin<&mut Self>,
        session: &mut Session,
        ctx: &mut Context<Session>,
        task: &mut task::Context<'_>,
    ) -> Poll<()> {
        session.read(task);
        loop {
            let Some(state) = &mut session.state else {
                // The session has moved to another worker.
                return Poll::Ready(());
            };
            if state.is_farewell {
                // The session has ended for all others; only its last frames are still in transit.
                state.host.forgotten(&state.link);
            }
            if state.is_drained(task) {
                state.close(CloseReason::ServerShuttingDown);
            }
            if let Some(until) = state.leaving
                && (state.link.outbox.is_spent() || until <= now())
            {
                session.finish();
                ctx.stop();
                return Poll::Ready(());
            }
            ready!(self.as_mut().poll_deadline(state.deadline(), task));
            state.tick(now());
        }
    }
}

impl SessionFuture {
    /// Waits for `deadline`. The timer is reset only for an earlier deadline. If it fires too
    /// early, as after every pong, it is set to the present deadline.
    fn poll_deadline(
        self: Pin<&mut Self>,
        deadline: Instant,
        task: &mut task::Context<'_>,
    ) -> Poll<()> {
        let mut this = self.project();
        if this.armed.is_none_or(|armed| deadline < armed) {
            this.timer.set(Some(sleep_until(deadline.into())));
            *this.armed = Some(deadline);
        }
        if let Some(timer) = this.timer.as_mut().as_pin_mut() {
            ready!(timer.poll(task));
        }
        *this.armed = None;
        Poll::Ready(())
    }
}

impl Session {
    /// Handles received packets while there is room for the handlers that they start.
    fn read(&mut self, task: &mut task::Context<'_>) {
        let Some(state) = &mut self.state else {
            return;
        };
        if state.post.is_some() {
            let mut left = BUDGET;
            state.take_post(|state| {
                if !has_room(state, task) {
                    return false;
                }
                if left == 0 {
                    // Other clients on this worker must be served too.
                    task.waker().wake_by_ref();
                    return false;
                }
                left -= 1;
                true
            });
        }
        let Some(inbound) = &mut self.inbound else {
            return;
        };
        if state.leaving.is_some() || state.post.is_some() || !has_room(state, task) {
            return;
        }
        let waker = task.waker();
        let mut taken = 0;
        inbound.read(task, &mut |message| {
            state.message(message);
            taken += 1;
            if taken == BUDGET {
                // Other clients on this worker must be served too.
                waker.wake_by_ref();
                return ControlFlow::Break(());
            }
            if state.leaving.is_some() || !has_room(state, &task::Context::from_waker(waker)) {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
    }
}

impl State {
    /// Returns `true` if the server stops and no work of this client is left.
    fn is_drained(&self, task: &task::Context<'_>) -> bool {
        self.link.in_flight.is_draining()
            && self.leaving.is_none()
            && !self.link.in_flight.is_held()
            && self.link.in_flight.poll_drained(task)
            && !self.protocol.is_busy()
    }
}

/// Returns `true` if another packet may be handled; otherwise the task is woken at that time.
fn has_room(state: &State, task: &task::Context<'_>) -> bool {
    state.link.in_flight.poll_room(task)
        && state.protocol.has_room()
        && state.link.outbox.poll_within(task).is_ready()
}

/// The number of packets of a POST, or of frames of a WebSocket, that one session may handle before
/// others run.
const BUDGET: usize = 64;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bytes::Bytes;

    use super::*;
    use crate::config::{Config, Transport};
    use crate::handshake::Handshake;
    use crate::id::Id;
    use crate::link::{Control, Inbound, InboundError, InboundMessage, Link, Protocol};
    use crate::session::engine::Engine;

    struct Silent;

    impl Protocol for Silent {
        fn text(&mut self, _: &str) -> Result<(), CloseReason> {
            Ok(())
        }

        fn binary(&mut self, _: Bytes) -> Result<(), CloseReason> {
            Ok(())
        }

        fn closed(&mut self, _: CloseReason) {}
    }

    /// Always has another frame that is not the last of its message.
    struct Endless(Arc<AtomicUsize>);

    impl Inbound for Endless {
        fn read(
            &mut self,
            _: &mut task::Context<'_>,
            take: &mut dyn FnMut(Result<InboundMessage<'_>, InboundError>) -> ControlFlow<()>,
        ) {
            loop {
                self.0.fetch_add(1, Ordering::Relaxed);
                if take(Ok(InboundMessage::Fragment)).is_break() {
                    return;
                }
            }
        }
    }

    #[actix_rt::test]
    async fn frames_without_a_complete_message_count_for_the_turn() {
        let config = Arc::new(Config::new("/"));
        let protocol = |_: &Arc<Link>, _| -> Box<dyn Protocol> { Box::new(Silent) };
        let engine = Engine::new(Arc::clone(&config), Box::new(protocol), |_| (), None);
        let link = Link::new(Id::random(), &config, Handshake::empty(), now());
        let taken = Arc::new(AtomicUsize::new(0));
        let inbound: Box<dyn Inbound> = Box::new(Endless(Arc::clone(&taken)));
        let transport = Transport::WebSocket;
        let session = Session::open(
            engine,
            &link,
            Box::new(Silent),
            transport,
            Some(inbound),
            now(),
        );
        while taken.load(Ordering::Relaxed) < 3 * BUDGET {
            assert_eq!(taken.load(Ordering::Relaxed) % BUDGET, 0);
            // Other tasks run here.
            tokio::task::yield_now().await;
        }
        session.do_send(Control::Gone);
    }
}
