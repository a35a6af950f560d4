//! Supervision: an actor that panics is restarted in its own mailbox, under its own address.
//!
//! actix itself restarts an actor only after a regular stop; a panic ends it permanently. Here each
//! poll of the actor runs inside `catch_unwind`. After a panic the message that caused it is lost
//! and its sender gets `MailboxError::Closed`. The restarted actor handles the messages after it.
//! An actor that panics too often is given up, and its parent is notified.

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use actix::dev::{AsyncContextParts, ContextFut, channel};
use actix::{Actor, ActorContext, Addr, Arbiter, ArbiterHandle, Context, Supervised};

use crate::panics::catch_panic;

/// The notice of a child's panic to its parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChildPanic {
    /// The text of the panic.
    pub(crate) panic: String,
    /// The child panicked too often, and is not restarted.
    pub(crate) given_up: bool,
}

/// The number of restarts within a time that is too many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RestartIntensity {
    pub(crate) restarts: usize,
    pub(crate) within: Duration,
}

impl RestartIntensity {
    /// For an actor whose state is unreliable after a panic: it ends, and its `stopped` runs.
    pub(crate) const NEVER: Self = Self {
        restarts: 0,
        within: Duration::ZERO,
    };

    /// For an actor that can rebuild its state.
    pub(crate) const LASTING: Self = Self {
        restarts: 5,
        within: Duration::from_secs(10),
    };
}

/// Starts an actor on an arbiter, from any thread.
pub(crate) fn start_on<A>(
    arbiter: &ArbiterHandle,
    intensity: RestartIntensity,
    fallen: impl Fn(ChildPanic) + Send + Unpin + 'static,
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
    intensity: RestartIntensity,
    fallen: impl Fn(ChildPanic) + Unpin + 'static,
    actor: A,
) -> Addr<A>
where
    A: Supervised<Context = Context<A>>,
{
    let (sender, receiver) = channel::channel(MAILBOX);
    run(Context::with_receiver(receiver), actor, intensity, fallen);
    Addr::new(sender)
}

/// Returns an arbiter for actors that outlive every worker: that of this thread if it has one,
/// otherwise one of a system of its own, for programs without actix.
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
    intensity: RestartIntensity,
    fallen: impl Fn(ChildPanic) + Unpin + 'static,
) where
    A: Supervised<Context = Context<A>>,
{
    actix_rt::spawn(SupervisedActor {
        actor: context.into_future(actor),
        falls: PanicWindow::new(intensity),
        fallen,
    });
}

/// An actor whose panics are caught.
struct SupervisedActor<A, F>
where
    A: Actor<Context = Context<A>>,
    Context<A>: AsyncContextParts<A>,
{
    actor: ContextFut<A, Context<A>>,
    falls: PanicWindow,
    fallen: F,
}

impl<A, F> Future for SupervisedActor<A, F>
where
    A: Supervised<Context = Context<A>>,
    F: Fn(ChildPanic) + Unpin + 'static,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<()> {
        loop {
            let this = &mut *self;
            let panic = match catch_panic(|| Pin::new(&mut this.actor).poll(cx)) {
                Ok(polled) => return polled,
                Err(panic) => panic,
            };
            let given_up = this.falls.too_many(Instant::now());
            if given_up {
                this.actor.ctx().stop();
            }
            (this.fallen)(ChildPanic { panic, given_up });
            if !given_up && !this.actor.restart() {
                return Poll::Ready(());
            }
        }
    }
}

impl<A, F> Drop for SupervisedActor<A, F>
where
    A: Actor<Context = Context<A>>,
    Context<A>: AsyncContextParts<A>,
{
    /// If the actor has not ended, its thread is ending. Then the actor's `stopped` runs, and
    /// [`is_abandoned`] is true in it.
    fn drop(&mut self) {
        if !self.actor.alive() {
            return;
        }
        self.actor.ctx().stop();
        ABANDONED.set(true);
        let mut cx = std::task::Context::from_waker(Waker::noop());
        let _ = catch_panic(|| Pin::new(&mut self.actor).poll(&mut cx));
        ABANDONED.set(false);
    }
}

/// Returns `true` in an actor's `stopped` if the actor ends with its thread, as at the end of a
/// worker, and not by itself or by a panic.
pub(crate) fn is_abandoned() -> bool {
    ABANDONED.get()
}

thread_local! {
    static ABANDONED: Cell<bool> = const { Cell::new(false) };
}

/// The recent panics of an actor.
#[derive(Debug)]
struct PanicWindow {
    intensity: RestartIntensity,
    recent: VecDeque<Instant>,
}

impl PanicWindow {
    fn new(intensity: RestartIntensity) -> Self {
        Self {
            intensity,
            recent: VecDeque::new(),
        }
    }

    /// Counts a panic. Returns `true` if the limit is exceeded.
    fn too_many(&mut self, now: Instant) -> bool {
        let within = self.intensity.within;
        self.recent
            .retain(|fall| now.saturating_duration_since(*fall) < within);
        self.recent.push_back(now);
        self.recent.len() > self.intensity.restarts
    }
}

/// The capacity of mailboxes: none. A capacity would not limit them, because `do_send` ignores it,
/// and it could make `send` wait without a waker.
const MAILBOX: usize = 0;

#[cfg(test)]
mod tests {
    use actix::{Handler, MailboxError};
    use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

    use super::*;

    /// Adds numbers, and reports its start and its stop.
    struct Sum {
        total: u32,
        life: UnboundedSender<&'static str>,
    }

    impl Actor for Sum {
        type Context = Context<Self>;

        fn started(&mut self, _: &mut Self::Context) {
            self.life.send("started").unwrap();
        }

        fn stopped(&mut self, _: &mut Self::Context) {
            self.life.send("stopped").unwrap();
        }
    }

    impl Supervised for Sum {
        fn restarting(&mut self, _: &mut Self::Context) {
            self.life.send("restarting").unwrap();
        }
    }

    #[derive(actix::Message)]
    #[rtype(result = "u32")]
    struct Add(u32);

    impl Handler<Add> for Sum {
        type Result = u32;

        fn handle(&mut self, Add(number): Add, _: &mut Self::Context) -> u32 {
            self.total += number;
            self.total
        }
    }

    /// Panics with this text.
    #[derive(actix::Message)]
    #[rtype(result = "()")]
    struct Boom(&'static str);

    impl Handler<Boom> for Sum {
        type Result = ();

        fn handle(&mut self, Boom(text): Boom, _: &mut Self::Context) {
            panic!("{text}");
        }
    }

    /// Panics in a future of its own instead of in a handler.
    #[derive(actix::Message)]
    #[rtype(result = "()")]
    struct BoomLater;

    impl Handler<BoomLater> for Sum {
        type Result = ();

        fn handle(&mut self, _: BoomLater, ctx: &mut Self::Context) {
            let later = actix::fut::wrap_future(async { panic!("later") });
            actix::AsyncContext::spawn(ctx, later);
        }
    }

    struct Started {
        sum: Addr<Sum>,
        life: UnboundedReceiver<&'static str>,
        falls: UnboundedReceiver<ChildPanic>,
    }

    fn start(intensity: RestartIntensity) -> Started {
        let (life_sender, life) = unbounded_channel();
        let (fall_sender, falls) = unbounded_channel();
        let sum = start_here(
            intensity,
            move |fall| fall_sender.send(fall).unwrap(),
            Sum {
                total: 0,
                life: life_sender,
            },
        );
        Started { sum, life, falls }
    }

    fn fall(panic: &str, given_up: bool) -> Option<ChildPanic> {
        let panic = panic.to_owned();
        Some(ChildPanic { panic, given_up })
    }

    #[actix_rt::test]
    async fn a_restarted_actor_keeps_its_state_and_its_address() {
        let mut started = start(RestartIntensity::LASTING);
        assert_eq!(started.sum.send(Add(1)).await, Ok(1));
        assert_eq!(
            started.sum.send(Boom("once")).await,
            Err(MailboxError::Closed)
        );
        assert_eq!(started.sum.send(Add(2)).await, Ok(3));
        assert_eq!(started.falls.recv().await, fall("once", false));
        for expected in ["started", "restarting", "started"] {
            assert_eq!(started.life.recv().await, Some(expected));
        }
    }

    #[actix_rt::test]
    async fn messages_behind_the_one_that_panicked_are_handled() {
        let started = start(RestartIntensity::LASTING);
        // All four are in the mailbox before the actor is polled.
        let first = started.sum.send(Add(1));
        let boom = started.sum.send(Boom("in between"));
        let second = started.sum.send(Add(2));
        let third = started.sum.send(Add(3));
        assert_eq!(first.await, Ok(1));
        assert_eq!(boom.await, Err(MailboxError::Closed));
        assert_eq!(second.await, Ok(3));
        assert_eq!(third.await, Ok(6));
    }

    #[actix_rt::test]
    async fn a_panic_in_a_future_of_the_actor_restarts_it_too() {
        let mut started = start(RestartIntensity::LASTING);
        started.sum.send(BoomLater).await.unwrap();
        assert_eq!(started.falls.recv().await, fall("later", false));
        assert_eq!(started.sum.send(Add(1)).await, Ok(1));
    }

    #[actix_rt::test]
    async fn actor_above_its_restart_intensity_is_stopped_and_reported() {
        let mut started = start(RestartIntensity::LASTING);
        for _ in 0..RestartIntensity::LASTING.restarts {
            let _ = started.sum.send(Boom("again")).await;
            assert_eq!(started.falls.recv().await, fall("again", false));
            assert_eq!(started.sum.send(Add(0)).await, Ok(0));
        }
        let _ = started.sum.send(Boom("again")).await;
        assert_eq!(started.falls.recv().await, fall("again", true));
        assert_eq!(started.sum.send(Add(0)).await, Err(MailboxError::Closed));
        assert!(!started.sum.connected());
    }

    #[actix_rt::test]
    async fn an_actor_that_is_never_restarted_ends_orderly() {
        let mut started = start(RestartIntensity::NEVER);
        let _ = started.sum.send(Boom("once")).await;
        assert_eq!(started.falls.recv().await, fall("once", true));
        for expected in ["started", "stopped"] {
            assert_eq!(started.life.recv().await, Some(expected));
        }
        // It was dropped with its sender, and stopped only once.
        assert_eq!(started.life.recv().await, None);
    }

    #[actix_rt::test]
    async fn an_actor_on_another_arbiter_is_watched_there() {
        let arbiter = Arbiter::new();
        let (fall_sender, mut falls) = unbounded_channel();
        let (life, _kept) = unbounded_channel();
        let fallen = move |fall| fall_sender.send(fall).unwrap();
        let sum = start_on(
            &arbiter.handle(),
            RestartIntensity::LASTING,
            fallen,
            move |_| Sum { total: 0, life },
        );
        assert_eq!(sum.send(Boom("there")).await, Err(MailboxError::Closed));
        assert_eq!(falls.recv().await, fall("there", false));
        assert_eq!(sum.send(Add(1)).await, Ok(1));
        arbiter.stop();
    }

    #[test]
    fn a_program_without_actix_gets_an_arbiter_too() {
        let arbiter = lasting_arbiter().unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        assert!(arbiter.spawn_fn(move || sender.send(()).unwrap()));
        receiver.recv().unwrap();
    }

    #[test]
    fn only_the_panics_within_the_window_count() {
        let mut falls = PanicWindow::new(RestartIntensity {
            restarts: 2,
            within: Duration::from_secs(10),
        });
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let table = [(0, false), (5, false), (10, false), (14, true), (24, false)];
        for (seconds, too_many) in table {
            assert_eq!(falls.too_many(after(seconds)), too_many, "at {seconds}");
        }
    }
}
