//! The crate's own actors: each is restarted at once, and given up after too many panics.
//!
//! The parent of such an actor is notified of each panic, and replaces an actor that is given up.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use actix::dev::channel;
use actix::{Actor, Addr, ArbiterHandle, Context};

use crate::clock::now;
use crate::supervision::ChildEnd;
use crate::supervision::child::{FIRST_LIFE, Parent, run_on};
use crate::supervision::intensity::{RestartIntensity, RestartWindow};
use crate::supervision::life::Life;
use crate::supervision::mailbox::{Command, Letter, Mailbox};
use crate::supervision::vitals::Vitals;

/// The notice of a child's panic to its parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChildPanic {
    /// The text of the panic.
    pub(crate) panic: String,
    /// The child panicked too often, and is not restarted.
    pub(crate) given_up: bool,
}

/// Starts an actor on an arbiter, from any thread. After a panic `make` makes it again, in its own
/// mailbox, under its own address.
pub(crate) fn start_on<A>(
    arbiter: &ArbiterHandle,
    vitals: &Arc<Vitals>,
    intensity: RestartIntensity,
    fallen: impl Fn(ChildPanic) + Send + 'static,
    make: impl FnMut(&mut Context<A>) -> A + Send + 'static,
) -> Addr<A>
where
    A: Actor<Context = Context<A>>,
{
    let mailbox = Mailbox::new(vitals);
    mailbox.give(start(FIRST_LIFE));
    let parent = Lone {
        window: RestartWindow::new(intensity),
        fallen,
    };
    run_on(arbiter, &mailbox, true, make, parent)
}

/// Starts an actor on this thread that is unreliable after a panic: then it ends, and its `stopped`
/// runs.
pub(crate) fn start_mortal<A>(fallen: impl Fn(ChildPanic) + Unpin + 'static, actor: A) -> Addr<A>
where
    A: Actor<Context = Context<A>>,
{
    let (sender, receiver) = channel::channel(UNBOUNDED);
    actix_rt::spawn(Mortal {
        life: Life::new(Context::with_receiver(receiver), actor),
        fallen,
    });
    Addr::new(sender)
}

/// The parent of an actor of the crate.
struct Lone<F> {
    window: RestartWindow,
    fallen: F,
}

impl<A: Actor, F: Fn(ChildPanic)> Parent<A> for Lone<F> {
    fn started(&mut self, _: u64) {}

    fn ended(&mut self, life: u64, end: ChildEnd, mailbox: &Mailbox<A>) {
        let ChildEnd::Panic(panic) = end else {
            return mailbox.give(Command::End(end));
        };
        let given_up = self.window.too_many(now());
        mailbox.give(if given_up {
            Command::End(ChildEnd::Panic(panic.clone()))
        } else {
            start(life + 1)
        });
        (self.fallen)(ChildPanic { panic, given_up });
    }

    fn closed(&mut self, _: &ChildEnd, _: VecDeque<Box<dyn Letter<A>>>) {}
}

/// An actor whose first panic is its end.
struct Mortal<A, F>
where
    A: Actor<Context = Context<A>>,
{
    life: Life<A>,
    fallen: F,
}

impl<A, F> Future for Mortal<A, F>
where
    A: Actor<Context = Context<A>>,
    F: Fn(ChildPanic) + Unpin,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let end = ready!(self.life.poll(cx));
        if let ChildEnd::Panic(panic) = end {
            let given_up = true;
            (self.fallen)(ChildPanic { panic, given_up });
        }
        self.life.close();
        Poll::Ready(())
    }
}

fn start(life: u64) -> Command {
    let after = Duration::ZERO;
    Command::Start { life, after }
}

/// The capacity of a mailbox: none, as in `child.rs`.
const UNBOUNDED: usize = 0;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use actix::{
        Arbiter, AsyncContext, Handler, MailboxError, Message, MessageResult, Running,
        StreamHandler,
    };
    use futures_core::Stream;
    use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

    use super::*;

    /// Adds numbers to a total that outlives it, and reports its start and its stop.
    struct Sum {
        total: Arc<AtomicU32>,
        life: UnboundedSender<&'static str>,
        continues: bool,
    }

    impl Actor for Sum {
        type Context = Context<Self>;

        fn started(&mut self, _: &mut Self::Context) {
            self.life.send("started").unwrap();
        }

        fn stopping(&mut self, _: &mut Self::Context) -> Running {
            if self.continues {
                Running::Continue
            } else {
                Running::Stop
            }
        }

        fn stopped(&mut self, _: &mut Self::Context) {
            self.life.send("stopped").unwrap();
        }
    }

    #[derive(Message)]
    #[rtype(result = "u32")]
    struct Add(u32);

    impl Handler<Add> for Sum {
        type Result = u32;

        fn handle(&mut self, Add(number): Add, _: &mut Self::Context) -> u32 {
            self.total.fetch_add(number, Ordering::Relaxed) + number
        }
    }

    /// Panics with this text.
    #[derive(Message)]
    #[rtype(result = "()")]
    struct Boom(&'static str);

    impl Handler<Boom> for Sum {
        type Result = ();

        fn handle(&mut self, Boom(text): Boom, _: &mut Self::Context) {
            panic!("{text}");
        }
    }

    /// Panics at another place than in a handler.
    #[derive(Clone, Copy, Debug, Message)]
    #[rtype(result = "()")]
    enum BoomLater {
        Future,
        Wait,
        Stream,
        Notify,
    }

    impl Handler<BoomLater> for Sum {
        type Result = ();

        fn handle(&mut self, place: BoomLater, ctx: &mut Self::Context) {
            let later = actix::fut::wrap_future(async { panic!("later") });
            match place {
                BoomLater::Future => {
                    ctx.spawn(later);
                }
                BoomLater::Wait => ctx.wait(later),
                BoomLater::Stream => {
                    ctx.add_stream(Endless);
                }
                BoomLater::Notify => ctx.notify(Boom("later")),
            }
        }
    }

    struct Endless;

    impl Stream for Endless {
        type Item = ();

        fn poll_next(self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<Option<()>> {
            Poll::Ready(Some(()))
        }
    }

    impl StreamHandler<()> for Sum {
        fn handle(&mut self, (): (), _: &mut Self::Context) {
            panic!("later");
        }
    }

    /// Asks the actor for the address by which it knows itself.
    #[derive(Message)]
    #[rtype(result = "Addr<Sum>")]
    struct OwnAddress;

    impl Handler<OwnAddress> for Sum {
        type Result = MessageResult<OwnAddress>;

        fn handle(&mut self, _: OwnAddress, ctx: &mut Self::Context) -> Self::Result {
            MessageResult(ctx.address())
        }
    }

    struct Started {
        sum: Addr<Sum>,
        vitals: Arc<Vitals>,
        life: UnboundedReceiver<&'static str>,
        falls: UnboundedReceiver<ChildPanic>,
    }

    impl Started {
        async fn lives(&mut self, expected: impl IntoIterator<Item = &'static str>) {
            for expected in expected {
                assert_eq!(self.life.recv().await, Some(expected));
            }
        }
    }

    fn start(continues: bool) -> Started {
        start_in(&Arbiter::current(), continues)
    }

    fn start_in(arbiter: &ArbiterHandle, continues: bool) -> Started {
        let (life_sender, life) = unbounded_channel();
        let (fall_sender, falls) = unbounded_channel();
        let (vitals, total) = (Vitals::new(), Arc::default());
        let fallen = move |fall| fall_sender.send(fall).unwrap();
        let sum = start_on(
            arbiter,
            &vitals,
            RestartIntensity::LASTING,
            fallen,
            move |_| Sum {
                total: Arc::clone(&total),
                life: life_sender.clone(),
                continues,
            },
        );
        Started {
            sum,
            vitals,
            life,
            falls,
        }
    }

    fn fall(panic: &str, given_up: bool) -> Option<ChildPanic> {
        let panic = panic.to_owned();
        Some(ChildPanic { panic, given_up })
    }

    #[actix_rt::test]
    async fn a_restarted_actor_is_made_again_under_its_address() {
        let mut started = start(false);
        assert_eq!(started.sum.send(Add(1)).await, Ok(1));
        let boom = started.sum.send(Boom("once")).await;
        assert_eq!(boom, Err(MailboxError::Closed));
        assert_eq!(started.sum.send(Add(2)).await, Ok(3));
        assert_eq!(started.falls.recv().await, fall("once", false));
        started.lives(["started", "stopped", "started"]).await;
        assert_eq!(
            (started.vitals.restarts(), started.vitals.mailbox()),
            (1, 0)
        );
    }

    #[actix_rt::test]
    async fn an_actor_knows_itself_by_the_same_address_in_each_life() {
        let started = start(false);
        let first = started.sum.send(OwnAddress).await.unwrap();
        let _ = started.sum.send(Boom("once")).await;
        let second = started.sum.send(OwnAddress).await.unwrap();
        assert!(first == started.sum && second == started.sum);
        assert_eq!(first.send(Add(1)).await, Ok(1));
    }

    #[actix_rt::test]
    async fn messages_behind_the_one_that_panicked_are_handled() {
        let started = start(false);
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
    async fn a_panic_anywhere_in_the_context_restarts_the_actor() {
        for place in [
            BoomLater::Future,
            BoomLater::Wait,
            BoomLater::Stream,
            BoomLater::Notify,
        ] {
            let mut started = start(false);
            started.sum.do_send(place);
            assert_eq!(
                started.falls.recv().await,
                fall("later", false),
                "{place:?}"
            );
            assert_eq!(started.sum.send(Add(1)).await, Ok(1), "{place:?}");
        }
    }

    #[actix_rt::test]
    async fn actor_that_wants_to_continue_after_a_panic_takes_no_message() {
        let mut started = start(true);
        let boom = started.sum.send(Boom("once"));
        let add = started.sum.send(Add(1));
        assert_eq!(boom.await, Err(MailboxError::Closed));
        assert_eq!(add.await, Ok(1));
        started.lives(["started", "started"]).await;
    }

    #[actix_rt::test]
    async fn a_panic_in_the_factory_counts_as_one_of_the_actor() {
        let (fall_sender, mut falls) = unbounded_channel();
        let (life, _kept) = unbounded_channel();
        let fallen = move |fall| fall_sender.send(fall).unwrap();
        let mut tries = 0;
        let make = move |_: &mut Context<Sum>| {
            tries += 1;
            assert!(tries > 2, "try {tries}");
            Sum {
                total: Arc::default(),
                life: life.clone(),
                continues: false,
            }
        };
        let arbiter = Arbiter::current();
        let intensity = RestartIntensity::LASTING;
        let sum = start_on(&arbiter, &Vitals::new(), intensity, fallen, make);
        assert_eq!(sum.send(Add(1)).await, Ok(1));
        assert_eq!(falls.recv().await, fall("try 1", false));
        assert_eq!(falls.recv().await, fall("try 2", false));
    }

    #[actix_rt::test]
    async fn actor_above_its_restart_intensity_is_stopped_and_reported() {
        let mut started = start(false);
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
    async fn an_actor_ends_after_its_last_address() {
        let Started { sum, mut life, .. } = start(false);
        sum.do_send(Add(1));
        drop(sum);
        for expected in [Some("started"), Some("stopped"), None] {
            assert_eq!(life.recv().await, expected);
        }
    }

    #[actix_rt::test]
    async fn an_actor_that_is_never_restarted_ends_orderly() {
        let (life, mut lives) = unbounded_channel();
        let (fall_sender, mut falls) = unbounded_channel();
        let total = Arc::default();
        let actor = Sum {
            total,
            life,
            continues: false,
        };
        let sum = start_mortal(move |fall| fall_sender.send(fall).unwrap(), actor);
        let _ = sum.send(Boom("once")).await;
        assert_eq!(falls.recv().await, fall("once", true));
        // It was dropped with its sender, and stopped only once.
        for expected in [Some("started"), Some("stopped"), None] {
            assert_eq!(lives.recv().await, expected);
        }
    }

    #[actix_rt::test]
    async fn an_actor_on_another_arbiter_is_watched_there() {
        let arbiter = Arbiter::new();
        let mut started = start_in(&arbiter.handle(), false);
        let boom = started.sum.send(Boom("there")).await;
        assert_eq!(boom, Err(MailboxError::Closed));
        assert_eq!(started.falls.recv().await, fall("there", false));
        assert_eq!(started.sum.send(Add(1)).await, Ok(1));
        arbiter.stop();
    }
}
