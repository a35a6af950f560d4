//! Supervision that is real: an actor that panics is restarted, in its own mailbox, under its own
//! address.
//!
//! actix itself restarts an actor only when it has stopped; a panic ends it for good. Here each poll
//! of the actor runs inside `catch_unwind`. After a panic the message that caused it is gone, its
//! sender gets `MailboxError::Closed`, the messages behind it are handled by the restarted actor. An
//! actor that panics too often is given up, and its parent is told.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use actix::dev::{AsyncContextParts, ContextFut, channel};
use actix::{Actor, ActorContext, Addr, Arbiter, ArbiterHandle, Context, Supervised};

use crate::handler::panic_text;

/// What the parent hears of a child's panic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fall {
    /// What the panic said.
    pub(crate) panic: String,
    /// The child panicked too often, and is not restarted.
    pub(crate) given_up: bool,
}

/// How many restarts within which time are too many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Intensity {
    pub(crate) restarts: usize,
    pub(crate) within: Duration,
}

impl Intensity {
    /// For an actor whose state cannot be trusted after a panic: it ends, and its `stopped` runs.
    pub(crate) const NEVER: Self = Self {
        restarts: 0,
        within: Duration::ZERO,
    };

    /// For an actor that finds its state again.
    pub(crate) const LASTING: Self = Self {
        restarts: 5,
        within: Duration::from_secs(10),
    };
}

/// Starts an actor on an arbiter, from any thread.
pub(crate) fn start_on<A>(
    arbiter: &ArbiterHandle,
    intensity: Intensity,
    fallen: impl Fn(Fall) + Send + Unpin + 'static,
    make: impl FnOnce(&mut Context<A>) -> A + Send + 'static,
) -> Addr<A>
where
    A: Supervised<Context = Context<A>>,
{
    let (sender, receiver) = channel::channel(MAILBOX);
    arbiter.spawn_fn(move || {
        let mut context = Context::with_receiver(receiver);
        let actor = make(&mut context);
        run(context, actor, intensity, fallen);
    });
    Addr::new(sender)
}

/// Starts an actor on this thread.
pub(crate) fn start_here<A>(
    intensity: Intensity,
    fallen: impl Fn(Fall) + Unpin + 'static,
    actor: A,
) -> Addr<A>
where
    A: Supervised<Context = Context<A>>,
{
    let (sender, receiver) = channel::channel(MAILBOX);
    run(Context::with_receiver(receiver), actor, intensity, fallen);
    Addr::new(sender)
}

/// Returns an arbiter for actors that outlive every worker: this thread's where it has one, and
/// one of a system of its own where the program runs without actix.
pub(crate) fn lasting_arbiter() -> std::io::Result<ArbiterHandle> {
    if let Some(arbiter) = Arbiter::try_current() {
        return Ok(arbiter);
    }
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    std::thread::Builder::new()
        .name("socketio-system".to_owned())
        .spawn(move || {
            let system = actix_rt::System::new();
            let handle = system.block_on(async { Arbiter::try_current() });
            if sender.send(handle).is_ok() {
                // Ends with the process.
                let _ = system.run();
            }
        })?;
    let handle = receiver.recv().ok().flatten();
    handle.ok_or_else(|| std::io::Error::other("the actors' system did not start"))
}

fn run<A>(
    context: Context<A>,
    actor: A,
    intensity: Intensity,
    fallen: impl Fn(Fall) + Unpin + 'static,
) where
    A: Supervised<Context = Context<A>>,
{
    actix_rt::spawn(Watched {
        actor: context.into_future(actor),
        falls: Falls::new(intensity),
        fallen,
    });
}

/// An actor whose panics are caught.
struct Watched<A, F>
where
    A: Actor<Context = Context<A>>,
    Context<A>: AsyncContextParts<A>,
{
    actor: ContextFut<A, Context<A>>,
    falls: Falls,
    fallen: F,
}

impl<A, F> Future for Watched<A, F>
where
    A: Supervised<Context = Context<A>>,
    F: Fn(Fall) + Unpin + 'static,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<()> {
        loop {
            let this = &mut *self;
            let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut this.actor).poll(cx)));
            let panic = match polled {
                Ok(polled) => return polled,
                Err(panic) => panic_text(panic.as_ref()),
            };
            let given_up = this.falls.too_many(Instant::now());
            if given_up {
                this.actor.ctx().stop();
            }
            (this.fallen)(Fall { panic, given_up });
            if !given_up && !this.actor.restart() {
                return Poll::Ready(());
            }
        }
    }
}

/// When an actor has panicked lately.
#[derive(Debug)]
struct Falls {
    intensity: Intensity,
    recent: VecDeque<Instant>,
}

impl Falls {
    fn new(intensity: Intensity) -> Self {
        Self {
            intensity,
            recent: VecDeque::new(),
        }
    }

    /// Counts a panic; tells whether it is one too many.
    fn too_many(&mut self, now: Instant) -> bool {
        let within = self.intensity.within;
        self.recent
            .retain(|fall| now.saturating_duration_since(*fall) < within);
        self.recent.push_back(now);
        self.recent.len() > self.intensity.restarts
    }
}

/// The capacity of mailboxes: none, since it would bound nothing (`do_send` ignores it) and could
/// make `send` wait without a waker.
const MAILBOX: usize = 0;
