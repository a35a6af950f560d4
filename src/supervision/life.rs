//! One life of an actor: its context, polled where a panic is caught.
//!
//! An actor and its context enter; the cause of the end leaves. An actor ends in order in any case:
//! its `stopped` runs once, also after a panic, and its destructor runs where a panic is caught. The
//! next life of the actor, if there is one, is not known here.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, Waker};

use actix::dev::ContextFut;
use actix::{Actor, ActorContext, ActorState, Context};

use crate::panics::{catch_drop, catch_panic};
use crate::supervision::ChildEnd;

/// A running actor.
pub(super) struct Life<A>
where
    A: Actor<Context = Context<A>>,
{
    /// `None` after its end.
    future: Option<ContextFut<A, Context<A>>>,
}

impl<A> Life<A>
where
    A: Actor<Context = Context<A>>,
{
    pub(super) fn new(context: Context<A>, actor: A) -> Self {
        Self {
            future: Some(context.into_future(actor)),
        }
    }

    /// Runs the actor. After a panic [`close`](Self::close) ends it.
    pub(super) fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<ChildEnd> {
        let Some(future) = &mut self.future else {
            return Poll::Ready(ChildEnd::Normal);
        };
        FAILURE.set(None);
        let polled = catch_panic(|| Pin::new(&mut *future).poll(cx));
        let failure = FAILURE.take();
        match polled {
            // `stopping` may have kept an actor that has failed.
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => {
                let own = address_of(future.ctx());
                let failure = failure.filter(|failure| failure.context == own);
                Poll::Ready(
                    failure.map_or(ChildEnd::Normal, |failure| ChildEnd::Error(failure.text)),
                )
            }
            Err(panic) => Poll::Ready(ChildEnd::Panic(panic)),
        }
    }

    /// Ends the actor: its `stopping` and `stopped` run, if they have not yet. If `stopping` wants
    /// to continue, `stopped` does not run. Messages and futures of the actor do not run.
    pub(super) fn close(&mut self) {
        let Some(mut future) = self.future.take() else {
            return;
        };
        if future.ctx().state() != ActorState::Stopped {
            future.ctx().stop();
            let mut cx = TaskContext::from_waker(Waker::noop());
            let _ = catch_panic(|| Pin::new(&mut future).poll(&mut cx));
            // Otherwise its destructor would poll it again.
            future.ctx().terminate();
        }
        let _ = catch_drop(future);
    }
}

impl<A> Drop for Life<A>
where
    A: Actor<Context = Context<A>>,
{
    /// If the actor has not ended, its thread is ending. Then [`is_abandoned`] is true in the
    /// actor's `stopped`.
    fn drop(&mut self) {
        ABANDONED.set(true);
        self.close();
        ABANDONED.set(false);
    }
}

/// Returns `true` in an actor's `stopped` if the actor ends with its thread, as at the end of a
/// worker, and not by itself or by a panic.
pub(crate) fn is_abandoned() -> bool {
    ABANDONED.get()
}

/// Stops an actor, and notes that the cause is an error.
pub(super) fn fail<A>(ctx: &mut Context<A>, text: String)
where
    A: Actor<Context = Context<A>>,
{
    let context = address_of(ctx);
    FAILURE.set(Some(Failure { context, text }));
    ctx.stop();
}

/// The error of the actor that is polled.
struct Failure {
    /// The place of its context, which does not move during a poll.
    context: usize,
    text: String,
}

fn address_of<T>(context: &T) -> usize {
    std::ptr::from_ref(context).addr()
}

thread_local! {
    static ABANDONED: Cell<bool> = const { Cell::new(false) };
    static FAILURE: Cell<Option<Failure>> = const { Cell::new(None) };
}
