//! The life of a room's actor: its start, its messages, and its next life after a panic.
//!
//! The host enters. In each life of the actor a task in the actor's context takes the messages of
//! the host one after another; the parent decides about the end of a life by the rules of the
//! crate's own actors.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use actix::fut::{ActorFuture, ActorFutureExt};
use actix::{ActorContext, Addr, AsyncContext, Context};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::clock::now;
use crate::error::{ConnectError, INTERNAL};
use crate::members::give_short_turn;
use crate::rooms::actor::RoomActor;
use crate::rooms::context::RoomContext;
use crate::rooms::decision::Decided;
use crate::rooms::host::{Host, Next};
use crate::rooms::inbox::{Question, RoomMessage};
use crate::rooms::keeper::{SaveRequest, answer_all};
use crate::rooms::messages::{Dropped, Enter, Joined, Left, Returned};
use crate::rooms::seats::SeatChange;
use crate::rooms::store::StoreError;
use crate::socket::Socket;
use crate::supervision::{
    ChildEnd, Command, FIRST_LIFE, Letter, Mailbox, Parent, RestartIntensity, RestartWindow,
    Vitals, run_on,
};

/// Runs the actor of a room. The actor is made on its thread.
pub(super) fn run<A: RoomActor>(host: &Arc<Host<A>>) -> Addr<A> {
    let mailbox = Mailbox::new(&Vitals::new());
    mailbox.give(life(FIRST_LIFE));
    let parent = RoomParent {
        host: Arc::clone(host),
        window: RestartWindow::new(RestartIntensity::LASTING),
    };
    let host = Arc::clone(host);
    let arbiter = host.kind.tasks.arbiter().clone();
    run_on(
        &arbiter,
        &mailbox,
        false,
        move |ctx| make(&host, ctx),
        parent,
    )
}

/// Makes the actor of one life. If there is none, it unwinds, and the parent finds the cause in the
/// host.
fn make<A: RoomActor>(host: &Arc<Host<A>>, ctx: &mut Context<A>) -> A {
    match made(host) {
        Ok((actor, room)) => {
            ctx.spawn(RoomTask::new(host, room));
            actor
        }
        Err(error) => {
            let text = error.message().to_owned();
            host.refuse_all(&error);
            resume_unwind(Box::new(text))
        }
    }
}

/// Calls the factory, and gives the actor the snapshot of the previous one.
fn made<A: RoomActor>(host: &Arc<Host<A>>) -> Result<(A, RoomContext), ConnectError> {
    let room = host.context().ok_or(INTERNAL)?;
    let mut actor = (host.kind.factory)(room.clone())?;
    let snapshot = host.keeper().and_then(|keeper| keeper.latest());
    if let (Some(saver), Some(snapshot)) = (host.kind.saver.get(), snapshot) {
        (saver.read)(&mut actor, &snapshot).map_err(|error| {
            let (name, namespace) = (room.name(), room.namespace());
            log::error!(
                "room {name:?} of namespace {namespace:?}: the snapshot cannot be read: {error}"
            );
            ConnectError::from(INTERNAL)
        })?;
    }
    Ok((actor, room))
}

/// Decides about the next life of a room's actor.
struct RoomParent<A: RoomActor> {
    host: Arc<Host<A>>,
    window: RestartWindow,
}

impl<A: RoomActor> Parent<A> for RoomParent<A> {
    fn started(&mut self, _: u64) {}

    fn ended(&mut self, number: u64, end: ChildEnd, mailbox: &Mailbox<A>) {
        let ChildEnd::Panic(panic) = end else {
            return mailbox.give(Command::End(end));
        };
        if self.host.is_refusing() {
            return mailbox.give(Command::End(ChildEnd::Normal));
        }
        self.host.report(panic.clone());
        mailbox.give(if self.window.too_many(now()) {
            Command::End(ChildEnd::Panic(panic))
        } else {
            life(number + 1)
        });
    }

    fn closed(&mut self, end: &ChildEnd, _: VecDeque<Box<dyn Letter<A>>>) {
        match end {
            ChildEnd::Panic(_) => self.host.close(),
            _ if self.host.is_refusing() => self.host.close(),
            _ => self.host.ended(),
        }
    }
}

fn life(number: u64) -> Command {
    Command::Start {
        life: number,
        after: Duration::ZERO,
    }
}

/// Gives the actor the messages of its host, one after another, and takes its snapshots.
struct RoomTask<A: RoomActor> {
    host: Arc<Host<A>>,
    room: RoomContext,
    /// The wait for the members whose outboxes a message has filled.
    turn: Option<Pin<Box<dyn Future<Output = ()>>>>,
    timer: Timer,
    /// If the rooms are saved. An idle room that is not has only the pointer.
    snapshots: Option<Box<Snapshots>>,
}

impl<A: RoomActor> ActorFuture<A> for RoomTask<A> {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        actor: &mut A,
        ctx: &mut Context<A>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<()> {
        let this = self.get_mut();
        let is_over = this.is_over(actor, ctx, cx);
        if let Some(snapshots) = &mut this.snapshots {
            if is_over {
                snapshots.take(&this.host, actor, Vec::new());
            } else {
                snapshots.keep_up(&this.host, actor, cx);
            }
        }
        if is_over {
            ctx.stop();
        }
        Poll::Pending
    }
}

impl<A: RoomActor> RoomTask<A> {
    fn new(host: &Arc<Host<A>>, room: RoomContext) -> Self {
        Self {
            host: Arc::clone(host),
            room,
            turn: None,
            timer: Timer::default(),
            snapshots: host.keeper().map(|_| Box::new(Snapshots::new())),
        }
    }

    /// Handles messages while there are any. Returns `true` if the actor must end.
    fn is_over(&mut self, actor: &mut A, ctx: &mut Context<A>, cx: &mut TaskContext<'_>) -> bool {
        for _ in 0..BATCH {
            if let Some(turn) = &mut self.turn {
                if turn.as_mut().poll(cx).is_pending() {
                    return false;
                }
                self.turn = None;
            }
            match self.host.next(cx.waker(), Instant::now()) {
                Next::Handle(message) => self.handle(message, actor, ctx),
                Next::Wait(until) if self.timer.is_due(until, cx) => {}
                Next::Wait(_) => return false,
                Next::End => return true,
            }
            // It waits for a future of its own, or stops. It polls this task again behind that.
            if ctx.waiting() {
                return false;
            }
            let crowd = self.room.take_crowd();
            if !crowd.is_empty() {
                self.turn = Some(Box::pin(give_short_turn(crowd)));
            }
        }
        // The mailbox and the timers of the actor have their turn.
        cx.waker().wake_by_ref();
        false
    }

    fn handle(&mut self, message: RoomMessage<A>, actor: &mut A, ctx: &mut Context<A>) {
        // Before the actor handles it: a client that has its acknowledgement may stop the server.
        if let Some(snapshots) = &mut self.snapshots {
            snapshots.guard.get_or_insert_with(|| self.host.hold_end());
        }
        match message {
            RoomMessage::Ask(question) => self.ask(question, actor, ctx),
            RoomMessage::Seat(change) => self.seat(change, actor, ctx),
            RoomMessage::Event(event) => (event.run)(actor, ctx),
        }
    }

    /// Asks the actor about a client. If it panics, the answer is dropped, which refuses the client.
    fn ask(&self, question: Question, actor: &mut A, ctx: &mut Context<A>) {
        let Question {
            socket,
            answer,
            entry,
        } = question;
        if socket.has_ended() {
            return;
        }
        let Some(membership) = self.host.membership() else {
            return;
        };
        let socket = Socket::new(&membership, socket);
        let answer = move |decided| match decided {
            Ok(()) => answer(Ok(entry)),
            Err(error) => answer(Err(error)),
        };
        match actor.enter(Enter { socket }, ctx).0 {
            Decided::Now(decided) => answer(decided),
            Decided::Later(decision) => {
                ctx.spawn(decision.map(move |decided, _, _| answer(decided)));
            }
        }
    }

    fn seat(&self, change: SeatChange, actor: &mut A, ctx: &mut Context<A>) {
        let Some(membership) = self.host.membership() else {
            return;
        };
        let socket = |state| Socket::new(&membership, state);
        match change {
            SeatChange::Joined(state) => {
                let socket = socket(state);
                actor.joined(Joined { socket }, ctx);
            }
            SeatChange::Returned(state) => {
                let socket = socket(state);
                actor.returned(Returned { socket }, ctx);
            }
            SeatChange::Dropped(state, reason, until) => {
                let socket = socket(state);
                let client = Dropped {
                    socket,
                    reason,
                    until,
                };
                actor.dropped(client, ctx);
            }
            SeatChange::Left(state, reason) => {
                let socket = socket(state);
                actor.left(Left { socket, reason }, ctx);
            }
        }
    }
}

/// The snapshots of one life.
struct Snapshots {
    previous: Instant,
    /// The time of the next one, by the schedule.
    due: Option<Instant>,
    /// Held from a message on, and dropped after a snapshot behind the last leave: the end of the
    /// server awaits it.
    guard: Option<oneshot::Sender<()>>,
    timer: Timer,
}

impl Snapshots {
    fn new() -> Self {
        Self {
            previous: Instant::now(),
            due: None,
            guard: None,
            timer: Timer::default(),
        }
    }

    /// Takes a snapshot if it is due. Called behind everything that the actor has handled.
    fn keep_up<A: RoomActor>(&mut self, host: &Arc<Host<A>>, actor: &A, cx: &mut TaskContext<'_>) {
        let (Some(keeper), Some(saver)) = (host.keeper(), host.kind.saver.get()) else {
            return;
        };
        let requests = keeper.take_requests(cx.waker());
        let is_left = self.guard.is_some() && !host.has_members();
        let now = Instant::now();
        let schedule = &saver.options.schedule;
        if self.due.is_none_or(|due| due > now) {
            // The task is polled behind everything that the actor handles.
            self.due = schedule.next(self.previous, true);
        }
        if is_left || !requests.is_empty() || self.due.is_some_and(|due| due <= now) {
            self.take(host, actor, requests);
            self.due = schedule.next(self.previous, false);
            if is_left {
                self.guard = None;
            }
        }
        if self.timer.is_due(self.due, cx) {
            cx.waker().wake_by_ref();
        }
    }

    fn take<A: RoomActor>(&mut self, host: &Arc<Host<A>>, actor: &A, requests: Vec<SaveRequest>) {
        let (Some(keeper), Some(saver)) = (host.keeper(), host.kind.saver.get()) else {
            return;
        };
        self.previous = Instant::now();
        match (saver.write)(actor) {
            Ok(snapshot) => {
                if keeper.keep(snapshot, requests) {
                    host.write(keeper);
                }
            }
            Err(error) => {
                log::error!("a room was not saved: {error}");
                answer_all(requests, &Err(StoreError::new(error)));
            }
        }
    }
}

/// A timer that is set again.
#[derive(Default)]
struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    /// Returns `true` if this time has come; otherwise `cx` is woken at it.
    fn is_due(&mut self, until: Option<Instant>, cx: &mut TaskContext<'_>) -> bool {
        let Some(until) = until else {
            self.0 = None;
            return false;
        };
        match &mut self.0 {
            Some(timer) if timer.deadline() == until => {}
            Some(timer) => timer.as_mut().reset(until),
            None => self.0 = Some(Box::pin(sleep_until(until))),
        }
        let timer = self.0.as_mut();
        timer.is_some_and(|timer| timer.as_mut().poll(cx).is_ready())
    }
}

/// The number of messages that an actor handles before its mailbox and timers have their turn.
const BATCH: usize = 64;
