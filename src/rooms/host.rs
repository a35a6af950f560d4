//! The host of a room: it outlives the room's actor, which it starts when somebody needs it.
//!
//! Sessions, the membership and the program's events push messages; the task in the actor
//! (`life.rs`) takes them. One lock holds the inbox, the seats and the state of the actor, and
//! nothing of the program runs under it.

use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::Duration;

use actix::Addr;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::error::{ConnectError, INTERNAL};
use crate::members::{Departure, Entry, EntryAnswer, Membership, RoomHost, RoomPlace, SocketState};
use crate::message::{PanicSource, Panicked};
use crate::rooms::actor::RoomActor;
use crate::rooms::context::{RoomContext, SavedContext};
use crate::rooms::inbox::{Inbox, Question, RoomEvent, RoomMessage};
use crate::rooms::keeper::Keeper;
use crate::rooms::kind::Kind;
use crate::rooms::seats::Seats;
use crate::rooms::store::RoomId;

/// The host of the actors of one room.
pub(super) struct Host<A: RoomActor> {
    pub(super) place: RoomPlace,
    pub(super) kind: Arc<Kind<A>>,
    /// Made with the first actor, if the rooms are saved.
    keeper: OnceLock<Arc<Keeper>>,
    run: Run<A>,
    state: Mutex<State<A>>,
}

/// Runs the actor of a host.
pub(super) type Run<A> = fn(&Arc<Host<A>>) -> Addr<A>;

struct State<A: RoomActor> {
    inbox: Inbox<A>,
    seats: Seats,
    /// The number of clients about which the actor decides, or that it has let in and that are not
    /// in yet.
    entering: u32,
    stage: Stage<A>,
    /// The task in the actor.
    waker: Option<Waker>,
    /// The end of the time that the actor has after the last leave.
    grace_until: Option<Instant>,
    /// The actor could not be made.
    is_refusing: bool,
}

/// ```text
///            a message         loaded         nobody is left, grace passed
///  Asleep ─────────────▶ Loading ─────▶ Awake ─────────────────────────────▶ Ending
///    ▲                      │             ▲       `stopping` continues         │
///    │                      │             └────────────────────────────────────┤
///    └──────────────────────┴──────────────────────────────────────────────────┘
///           not loaded                      the actor has ended
/// ```
enum Stage<A: RoomActor> {
    Asleep,
    /// Its snapshot is being read.
    Loading,
    Awake(Addr<A>),
    Ending(Addr<A>),
}

/// The next step of the task in the actor.
pub(super) enum Next<A: RoomActor> {
    Handle(RoomMessage<A>),
    /// Nothing is to be done until a message arrives, or until this time.
    Wait(Option<Instant>),
    /// Nobody is left, and the grace has passed.
    End,
}

impl<A: RoomActor> Host<A> {
    pub(super) fn new(place: RoomPlace, kind: Arc<Kind<A>>, run: Run<A>) -> Self {
        Self {
            place,
            kind,
            keeper: OnceLock::new(),
            run,
            state: Mutex::new(State {
                inbox: Inbox::default(),
                seats: Seats::default(),
                entering: 0,
                stage: Stage::Asleep,
                waker: None,
                grace_until: None,
                is_refusing: false,
            }),
        }
    }

    /// Returns the address of the actor, if it runs.
    pub(super) fn address(&self) -> Option<Addr<A>> {
        match &self.state.lock().stage {
            Stage::Awake(address) => Some(address.clone()),
            Stage::Asleep | Stage::Loading | Stage::Ending(_) => None,
        }
    }

    /// Queues an event. `make` gets whether its client must wait until it is handled.
    pub(super) fn push_event(self: Arc<Self>, make: impl FnOnce(bool) -> RoomEvent<A>) {
        let limits = self.kind.options.read().inbox;
        let mut state = self.state.lock();
        let event = make(state.inbox.is_full(limits));
        state.inbox.push(RoomMessage::Event(event));
        self.rouse(&mut state);
    }

    /// Takes the next step of the actor; `waker` is woken by the next message.
    pub(super) fn next(&self, waker: &Waker, now: Instant) -> Next<A> {
        let mut state = self.state.lock();
        let mut least = Duration::ZERO;
        if let Stage::Ending(address) = &state.stage {
            // `stopping` continues, and is asked again later.
            state.stage = Stage::Awake(address.clone());
            state.grace_until = None;
            least = CONTINUED;
        }
        if let Some(change) = state.seats.expire(now) {
            return Next::Handle(RoomMessage::Seat(change));
        }
        if let Some(message) = state.inbox.pop() {
            state.grace_until = None;
            return Next::Handle(message);
        }
        state.inbox.rest();
        if !state.waker.as_ref().is_some_and(|it| it.will_wake(waker)) {
            state.waker = Some(waker.clone());
        }
        if !state.is_deserted() {
            state.grace_until = None;
            return Next::Wait(state.seats.next_expiry());
        }
        let grace = self.kind.options.read().grace.max(least);
        let until = *state.grace_until.get_or_insert(now + grace);
        if now < until {
            return Next::Wait(Some(until));
        }
        if let Stage::Awake(address) = &state.stage {
            state.stage = Stage::Ending(address.clone());
        }
        Next::End
    }

    /// The actor has ended. It is started again if somebody needs it.
    pub(super) fn ended(self: &Arc<Self>) {
        let is_idle = {
            let mut state = self.state.lock();
            (state.stage, state.waker) = (Stage::Asleep, None);
            state.seats.forget_dropped();
            if !state.inbox.is_empty() || state.entering > 0 {
                self.rouse(&mut state);
            } else if let Some(keeper) = self.keeper.get() {
                keeper.unload();
            }
            state.is_idle()
        };
        if is_idle {
            self.remove();
        }
    }

    /// The snapshot was read, or there is none: the actor starts.
    pub(super) fn loaded(self: &Arc<Self>) {
        let mut state = self.state.lock();
        state.stage = Stage::Awake((self.run)(self));
    }

    /// Returns the keeper of the snapshot, if the rooms are saved.
    pub(super) fn keeper(&self) -> Option<&Arc<Keeper>> {
        let saver = self.kind.saver.get()?;
        Some(self.keeper.get_or_init(|| {
            let membership = self.place.membership.upgrade();
            let namespace = membership
                .as_ref()
                .map_or("", |membership| membership.name());
            let room = RoomId::new(namespace, self.place.room.as_deref());
            Arc::new(Keeper::new(room, Arc::clone(&saver.options.store)))
        }))
    }

    /// Writes the latest snapshot, in a task that the end of the server awaits.
    pub(super) fn write(self: &Arc<Self>, keeper: &Arc<Keeper>) {
        let (host, keeper) = (Arc::clone(self), Arc::clone(keeper));
        self.kind.tasks.spawn(self.label(), async move {
            keeper.write().await;
            let is_idle = {
                let state = host.state.lock();
                if state.is_idle() {
                    keeper.unload();
                }
                state.is_idle()
            };
            if is_idle {
                host.remove();
            }
        });
    }

    /// Lets the end of the server wait until the returned value is dropped.
    pub(super) fn hold_end(&self) -> oneshot::Sender<()> {
        let (held, dropped) = oneshot::channel();
        self.kind.tasks.spawn(self.label(), async move {
            // It is never sent.
            let _ = dropped.await;
        });
        held
    }

    /// Returns `true` if a client is in the room. One that may return is not.
    pub(super) fn has_members(&self) -> bool {
        self.state.lock().seats.has_members()
    }

    /// Returns the names of the room for the report of a panic in one of its tasks.
    pub(super) fn label(&self) -> (PanicSource, Arc<str>) {
        let membership = self.place.membership.upgrade();
        let namespace = membership.map(|membership| Arc::clone(membership.shared_name()));
        let namespace = namespace.unwrap_or_else(|| "".into());
        let room = self.place.room.as_ref().unwrap_or(&namespace);
        (PanicSource::Room(room.as_ref().to_owned()), namespace)
    }

    /// The actor cannot be made: the clients that want in are refused.
    pub(super) fn refuse_all(&self, error: &ConnectError) {
        let waiting = {
            let mut state = self.state.lock();
            state.is_refusing = true;
            state.inbox.close()
        };
        for message in waiting {
            if let RoomMessage::Ask(Question { answer, .. }) = message {
                answer(Err(error.clone()));
            }
        }
    }

    /// Returns `true` between [`refuse_all`](Self::refuse_all) and [`close`](Self::close).
    pub(super) fn is_refusing(&self) -> bool {
        self.state.lock().is_refusing
    }

    /// The actor was given up, or could not be made: its room is closed, and its members leave it.
    pub(super) fn close(self: &Arc<Self>) {
        let (waiting, members) = {
            let mut state = self.state.lock();
            (state.stage, state.waker) = (Stage::Asleep, None);
            // Clients that want in since `refuse_all` are asked about by another actor.
            let is_answered = std::mem::take(&mut state.is_refusing);
            let waiting = (!is_answered).then(|| state.inbox.close());
            (waiting, state.seats.close())
        };
        // Dropped without a call, a question refuses its client, and an event is answered with an
        // error.
        drop(waiting);
        if let Some(membership) = self.membership() {
            for member in &members {
                match &self.place.room {
                    Some(room) => membership.leave_as(member, room, Departure::Kicked),
                    None => member.disconnect(false),
                }
            }
        }
        {
            let mut state = self.state.lock();
            if !state.inbox.is_empty() {
                self.rouse(&mut state);
            }
        }
        self.remove();
    }

    /// Reports a panic of the actor.
    pub(super) fn report(&self, panic: String) {
        let (source, namespace) = self.label();
        self.kind.context.report(&Panicked {
            source,
            namespace: Some(namespace.as_ref().to_owned()),
            socket: None,
            panic,
        });
    }

    /// Makes the context of the next actor, unless the namespace has gone.
    pub(super) fn context(self: &Arc<Self>) -> Option<RoomContext> {
        let membership = self.place.membership.upgrade()?;
        let saved = self.keeper().map(|keeper| {
            let (host, keeper) = (Arc::clone(self), Arc::clone(keeper));
            let write = Box::new(move |keeper: &Arc<Keeper>| host.write(keeper));
            Box::new(SavedContext { keeper, write })
        });
        let place = self.place.clone();
        Some(RoomContext::new(
            membership,
            place.room,
            place.parameters,
            saved,
        ))
    }

    pub(super) fn membership(&self) -> Option<Arc<Membership>> {
        self.place.membership.upgrade()
    }

    /// Wakes the actor, or starts it.
    fn rouse(self: &Arc<Self>, state: &mut State<A>) {
        match (&state.stage, state.waker.take()) {
            (Stage::Asleep, _) => state.stage = self.start(),
            (_, Some(waker)) => waker.wake(),
            (_, None) => {}
        }
    }

    /// Starts the actor, or first the read of its snapshot.
    fn start(self: &Arc<Self>) -> Stage<A> {
        let Some(keeper) = self.keeper().filter(|keeper| !keeper.is_loaded()) else {
            return Stage::Awake((self.run)(self));
        };
        let (host, keeper) = (Arc::clone(self), Arc::clone(keeper));
        self.kind.tasks.spawn(self.label(), async move {
            match keeper.load().await {
                Ok(()) => host.loaded(),
                Err(error) => {
                    let (_, namespace) = host.label();
                    log::error!("a room of namespace {namespace:?} was not loaded: {error}");
                    host.refuse_all(&INTERNAL.into());
                    host.close();
                }
            }
        });
        Stage::Loading
    }

    /// Removes the host of a room from its namespace, if nobody needs it.
    fn remove(&self) {
        if let (Some(room), Some(membership)) = (&self.place.room, self.membership()) {
            membership.remove_idle_host(room);
        }
    }

    fn window(&self) -> Duration {
        let membership = self.place.membership.upgrade();
        let window = membership.and_then(|membership| membership.recovery_window());
        window.unwrap_or_default()
    }
}

impl<A: RoomActor> State<A> {
    /// Returns `true` if nobody is in the room, wants in, or may return.
    fn is_deserted(&self) -> bool {
        self.entering == 0 && self.seats.is_empty()
    }

    fn is_idle(&self) -> bool {
        matches!(self.stage, Stage::Asleep) && self.is_deserted() && self.inbox.is_empty()
    }
}

impl<A: RoomActor> RoomHost for Host<A> {
    fn ask(self: Arc<Self>, socket: &Arc<SocketState>, answer: EntryAnswer) {
        let mut state = self.state.lock();
        state.entering += 1;
        let entry: Entry = Box::new(EntryGuard(Arc::clone(&self)));
        if self.place.room.is_none() && state.seats.expects(&socket.id) {
            // It returns to its seat. A room's question is asked under a lock, where no answer may
            // be called; a client that returns is in its rooms without a question.
            drop(state);
            return answer(Ok(entry));
        }
        let socket = Arc::clone(socket);
        state.inbox.push(RoomMessage::Ask(Question {
            socket,
            answer,
            entry,
        }));
        self.rouse(&mut state);
    }

    fn entered(self: Arc<Self>, socket: &Arc<SocketState>) {
        let mut state = self.state.lock();
        if let Some(change) = state.seats.enter(socket) {
            state.inbox.push(RoomMessage::Seat(change));
            self.rouse(&mut state);
        }
    }

    fn left(self: Arc<Self>, socket: &SocketState, departure: Departure) {
        let window = self.window();
        let mut state = self.state.lock();
        let change = state
            .seats
            .leave(socket.key, departure, Instant::now(), window);
        if let Some(change) = change {
            state.inbox.push(RoomMessage::Seat(change));
            self.rouse(&mut state);
        }
    }

    fn is_idle(&self) -> bool {
        // Another host would read the snapshot before it is written.
        let is_settled = self.keeper.get().is_none_or(|keeper| keeper.is_settled());
        is_settled && self.state.lock().is_idle()
    }
}

/// Held while a client wants in, and until it is in.
struct EntryGuard<A: RoomActor>(Arc<Host<A>>);

impl<A: RoomActor> Drop for EntryGuard<A> {
    fn drop(&mut self) {
        let is_idle = {
            let mut state = self.0.state.lock();
            state.entering -= 1;
            if state.is_deserted()
                && let Some(waker) = state.waker.take()
            {
                waker.wake();
            }
            state.is_idle()
        };
        if is_idle {
            self.0.remove();
        }
    }
}

/// The time after which an actor whose `stopping` continues is asked again, if its grace is shorter.
const CONTINUED: Duration = Duration::from_secs(1);
