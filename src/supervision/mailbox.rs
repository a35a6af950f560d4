//! The mailbox of a child: its messages outlive the actor that takes them.
//!
//! Messages enter from any thread, by an actix address or by a
//! [`ChildRef`](crate::ChildRef). They leave to the present life of the child, by [`Pump`], a future
//! in the context of its actor. Between two lives they wait. The causes of the end of a life are
//! not known here; the commands to the child's task are kept beside the messages, because both wake
//! it.

use std::any::Any;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use actix::dev::{Envelope, EnvelopeProxy};
use actix::{Actor, ActorFuture, AsyncContext, Context};
use parking_lot::Mutex;

use crate::supervision::ChildEnd;
use crate::supervision::vitals::Vitals;

/// A message in a mailbox.
pub(crate) trait Letter<A: Actor>: EnvelopeProxy<A> + Send {
    /// Returns the message that nobody takes any more; `None` if its type is not known.
    fn undelivered(self: Box<Self>) -> Option<Undelivered>;
}

/// A message that nobody takes.
pub(crate) struct Undelivered {
    pub(super) message_type: &'static str,
    pub(super) message: Box<dyn Any + Send>,
}

/// A message that was sent by an actix address.
impl<A: Actor> Letter<A> for Envelope<A> {
    fn undelivered(self: Box<Self>) -> Option<Undelivered> {
        None
    }
}

/// A command to the task of a child. Each life has a number, by which late commands and reports are
/// told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Start this life, after a pause.
    Start { life: u64, after: Duration },
    /// End this life, and keep the mailbox.
    Stop { life: u64 },
    /// Close the mailbox: there is no further life.
    End(ChildEnd),
}

/// The messages of a child, and the last command to its task.
pub(crate) struct Mailbox<A: Actor> {
    pub(super) vitals: Arc<Vitals>,
    state: Mutex<State<A>>,
}

struct State<A: Actor> {
    letters: VecDeque<Box<dyn Letter<A>>>,
    /// `true` during a life.
    is_taken: bool,
    /// No address is left, and no message will follow.
    is_deserted: bool,
    /// The cause, after the last life.
    end: Option<ChildEnd>,
    /// The last command that the task has not yet seen; a later one takes its place.
    command: Option<Command>,
    waker: Option<Waker>,
}

impl<A: Actor> Mailbox<A> {
    pub(crate) fn new(vitals: &Arc<Vitals>) -> Arc<Self> {
        Arc::new(Self {
            vitals: Arc::clone(vitals),
            state: Mutex::new(State {
                letters: VecDeque::new(),
                is_taken: false,
                is_deserted: false,
                end: None,
                command: None,
                waker: None,
            }),
        })
    }

    /// Adds a message.
    ///
    /// # Errors
    ///
    /// Returns the message and the cause of the child's end, if it has ended for good.
    pub(super) fn put<L: Letter<A> + 'static>(&self, letter: L) -> Result<(), (L, ChildEnd)> {
        let waker = {
            let mut state = self.state.lock();
            if let Some(end) = &state.end {
                return Err((letter, end.clone()));
            }
            state.letters.push_back(Box::new(letter));
            self.vitals.set_mailbox(state.letters.len());
            state.waker.clone()
        };
        wake(waker);
        Ok(())
    }

    /// Returns the cause of the child's end, if it has ended for good.
    pub(super) fn end(&self) -> Option<ChildEnd> {
        self.state.lock().end.clone()
    }

    pub(crate) fn give(&self, command: Command) {
        let waker = {
            let mut state = self.state.lock();
            state.command = Some(command);
            state.waker.clone()
        };
        wake(waker);
    }

    /// Takes the command, if there is one; a later one wakes the task.
    pub(super) fn command(&self, waker: &Waker) -> Option<Command> {
        let mut state = self.state.lock();
        if !state.waker.as_ref().is_some_and(|old| old.will_wake(waker)) {
            state.waker = Some(waker.clone());
        }
        state.command.take()
    }

    /// Adds the messages that were sent by addresses.
    pub(super) fn receive(&self, envelopes: impl Iterator<Item = Envelope<A>>) {
        let mut envelopes = envelopes.peekable();
        if envelopes.peek().is_some() {
            let mut state = self.state.lock();
            let letters = envelopes.map(|envelope| Box::new(envelope) as Box<dyn Letter<A>>);
            state.letters.extend(letters);
            self.vitals.set_mailbox(state.letters.len());
        }
    }

    /// No address is left.
    pub(super) fn desert(&self) {
        self.state.lock().is_deserted = true;
    }

    /// A life begins, which takes messages, or it ends.
    pub(super) fn set_taken(&self, is_taken: bool) {
        self.state.lock().is_taken = is_taken;
    }

    /// Ends the mailbox for good. Returns the messages that nobody has taken.
    pub(super) fn close(&self, end: ChildEnd) -> VecDeque<Box<dyn Letter<A>>> {
        let mut state = self.state.lock();
        state.end.get_or_insert(end);
        state.waker = None;
        self.vitals.set_mailbox(0);
        std::mem::take(&mut state.letters)
    }

    fn take(&self) -> Taken<A> {
        let mut state = self.state.lock();
        if !state.is_taken {
            return Taken::Nothing;
        }
        match state.letters.pop_front() {
            Some(letter) => {
                self.vitals.set_mailbox(state.letters.len());
                Taken::Letter(letter)
            }
            None if state.is_deserted => Taken::End,
            None => Taken::Nothing,
        }
    }
}

enum Taken<A: Actor> {
    Letter(Box<dyn Letter<A>>),
    /// Nothing at present.
    Nothing,
    /// Nothing will come any more.
    End,
}

/// Hands the messages of a mailbox to an actor, one after the other, as actix's own mailbox does.
pub(super) struct Pump<A: Actor>(pub(super) Arc<Mailbox<A>>);

impl<A> ActorFuture<A> for Pump<A>
where
    A: Actor<Context = Context<A>>,
{
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        actor: &mut A,
        ctx: &mut Context<A>,
        _: &mut TaskContext<'_>,
    ) -> Poll<()> {
        // The task of the child is woken for each message, and polls its actor then.
        while !ctx.waiting() {
            match self.0.take() {
                Taken::Letter(mut letter) => letter.handle(actor, ctx),
                Taken::Nothing => return Poll::Pending,
                Taken::End => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
