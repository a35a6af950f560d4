//! A child: an actor that is made again after its end, in its own mailbox, under its own address.
//!
//! A factory enters, and the commands of the parent. The ends of its lives leave to the [`Parent`],
//! which decides whether there is another. Messages behind the one that ended a life wait for the
//! next. The rules of the decision are not known here.
//!
//! ```text
//!            Start            pause over, factory called
//!   held ───────────▶ paused ───────────────────────▶ alive
//!    ▲ ▲               │ Stop                          │ panic, error, normal end, Stop
//!    │ └───────────────┘                               │
//!    └─────────────────────────────────────────────────┘
//!    │ End
//!    ▼
//!   ended: the mailbox is closed
//! ```

use std::collections::VecDeque;
use std::future::Future;
use std::iter::from_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};

use actix::dev::channel::{self, AddressReceiver};
use actix::dev::{AsyncContextParts, ContextParts};
use actix::{Actor, Addr, ArbiterHandle, AsyncContext, Context};
use futures_core::Stream;
use tokio::time::{Sleep, sleep};

use crate::panics::catch_panic;
use crate::supervision::ChildEnd;
use crate::supervision::life::Life;
use crate::supervision::mailbox::{Command, Letter, Mailbox, Pump};

/// The decisions about a child. If the child's thread ends, its parent is dropped.
pub(crate) trait Parent<A: Actor> {
    /// This life has begun: the actor's `started` has returned.
    fn started(&mut self, life: u64);

    /// This life has ended. A command decides what follows; until then the child is held.
    fn ended(&mut self, life: u64, end: ChildEnd, mailbox: &Mailbox<A>);

    /// The child has ended for good, and nobody takes these messages.
    fn closed(&mut self, end: &ChildEnd, letters: VecDeque<Box<dyn Letter<A>>>);
}

/// Runs a child on an arbiter, from any thread. It is held until its first command.
///
/// If it `ends_unaddressed`, it ends after its last address is dropped, as any actor of actix does.
pub(crate) fn run_on<A, F, P>(
    arbiter: &ArbiterHandle,
    mailbox: &Arc<Mailbox<A>>,
    ends_unaddressed: bool,
    make: F,
    parent: P,
) -> Addr<A>
where
    A: Actor<Context = Context<A>>,
    F: FnMut(&mut Context<A>) -> A + Send + 'static,
    P: Parent<A> + Send + 'static,
{
    let (sender, receiver) = channel::channel(UNBOUNDED);
    let shared = Arc::clone(mailbox);
    let is_running = arbiter.spawn_fn(move || {
        actix_rt::spawn(ChildTask {
            receiver,
            mailbox: shared,
            ends_unaddressed,
            make,
            parent,
            life: 0,
            phase: Phase::Held,
        });
    });
    if !is_running {
        mailbox.close(ChildEnd::Shutdown);
    }
    Addr::new(sender)
}

/// The task of a child.
struct ChildTask<A, F, P>
where
    A: Actor<Context = Context<A>>,
{
    /// The messages that are sent by addresses of actix.
    receiver: AddressReceiver<A>,
    mailbox: Arc<Mailbox<A>>,
    ends_unaddressed: bool,
    make: F,
    parent: P,
    /// The number of the present life, or of the last one.
    life: u64,
    phase: Phase<A>,
}

enum Phase<A>
where
    A: Actor<Context = Context<A>>,
{
    Held,
    Paused(Pin<Box<Sleep>>),
    /// The flag is set after the actor's `started` has returned.
    Alive(Box<Life<A>>, bool),
    Ended,
}

impl<A, F, P> ChildTask<A, F, P>
where
    A: Actor<Context = Context<A>>,
    F: FnMut(&mut Context<A>) -> A,
    P: Parent<A>,
{
    /// Takes the messages of addresses. Their next one wakes the task.
    fn receive(&mut self, cx: &mut TaskContext<'_>) {
        let receiver = &mut self.receiver;
        let received = from_fn(|| match Pin::new(&mut *receiver).poll_next(cx) {
            Poll::Ready(envelope) => envelope,
            Poll::Pending => None,
        });
        self.mailbox.receive(received);
        if self.ends_unaddressed && !self.receiver.connected() {
            self.mailbox.desert();
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Start { life, after } => {
                self.life = life;
                self.phase = if after.is_zero() {
                    self.begin()
                } else {
                    Phase::Paused(Box::pin(sleep(after)))
                };
            }
            Command::Stop { life } => {
                self.life = life;
                self.finish(ChildEnd::Shutdown);
            }
            Command::End(end) => {
                self.phase = Phase::Ended;
                let letters = self.mailbox.close(end.clone());
                self.parent.closed(&end, letters);
            }
        }
    }

    /// Starts a life.
    fn begin(&mut self) -> Phase<A> {
        if self.life > FIRST_LIFE {
            self.mailbox.vitals.restarted();
        }
        // The addresses of the actor are those of the child, not of one life.
        let mut context = Context::new();
        *context.parts() = ContextParts::new(self.receiver.sender_producer());
        context.spawn(Pump(Arc::clone(&self.mailbox)));
        match catch_panic(|| (self.make)(&mut context)) {
            Ok(actor) => {
                self.mailbox.set_taken(true);
                Phase::Alive(Box::new(Life::new(context, actor)), false)
            }
            Err(panic) => {
                self.finish(ChildEnd::Panic(panic));
                Phase::Held
            }
        }
    }

    /// Ends the present life, if there is one.
    fn finish(&mut self, end: ChildEnd) {
        self.mailbox.set_taken(false);
        if let Phase::Alive(mut life, _) = std::mem::replace(&mut self.phase, Phase::Held) {
            life.close();
        }
        self.parent.ended(self.life, end, &self.mailbox);
    }
}

impl<A, F, P> Future for ChildTask<A, F, P>
where
    A: Actor<Context = Context<A>>,
    F: FnMut(&mut Context<A>) -> A,
    P: Parent<A>,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let this = &mut *self;
        this.receive(cx);
        loop {
            if let Some(command) = this.mailbox.command(cx.waker()) {
                this.obey(command);
                continue;
            }
            match &mut this.phase {
                Phase::Held => return Poll::Pending,
                Phase::Ended => return Poll::Ready(()),
                Phase::Paused(pause) => {
                    ready!(pause.as_mut().poll(cx));
                    this.phase = this.begin();
                }
                Phase::Alive(life, is_started) => match life.poll(cx) {
                    Poll::Pending => {
                        if !std::mem::replace(is_started, true) {
                            this.parent.started(this.life);
                        }
                        return Poll::Pending;
                    }
                    Poll::Ready(end) => this.finish(end),
                },
            }
        }
    }
}

/// No field is pinned by the pin of the task.
impl<A: Actor<Context = Context<A>>, F, P> Unpin for ChildTask<A, F, P> {}

impl<A, F, P> Drop for ChildTask<A, F, P>
where
    A: Actor<Context = Context<A>>,
{
    /// If the child has not ended, its thread is ending.
    fn drop(&mut self) {
        self.mailbox.set_taken(false);
        self.phase = Phase::Ended;
        self.mailbox.close(ChildEnd::Shutdown);
    }
}

/// The number of the life that is no restart.
pub(crate) const FIRST_LIFE: u64 = 1;

/// The capacity of mailboxes: none. A capacity would not limit them, because `do_send` ignores it,
/// and it could make `send` wait without a waker.
const UNBOUNDED: usize = 0;
