//! What a client missed while it was away, and what it had before.
//!
//! A namespace that can give a client its state back numbers its events, keeps the latest, and
//! keeps the sockets that have ended without wanting to. Everything that has a number is sent under
//! one lock, so that all clients get it in the order of the numbers. An event carries its number as
//! its last argument, from which the official client takes the offset that it comes back with; a
//! volatile event is not kept and carries the number of the one before it, so that what it ends
//! with is never taken for an offset. Nothing here sends.
//!
//! Where the adapter remembers, a client may come back to another node: then the offset says too
//! how far the client has got in what the whole cluster sends, by a [`Mark`].

mod late;
mod log;
mod point;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use parking_lot::{Mutex, MutexGuard};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::id::{Id, SocketId};
use crate::link::{Outgoing, Session};
use crate::socket::core::Core;
use crate::socket::locals::Locals;
use crate::socket::membership::Audience;
use crate::socket::recovery::log::{Gone, Logged, Spent};

pub(crate) use log::Log;
use point::number_on;
pub(crate) use point::{Kept, Origin, Point, mark_of};

/// How long and how much is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecoveryOptions {
    /// How long a client may be away.
    pub(crate) window: Duration,
    /// How long before that its connection may have been dead already, unnoticed.
    pub(crate) silence: Duration,
    /// Bytes of events that a namespace keeps.
    pub(crate) limit: usize,
    /// Bytes of missed events that a client can be sent at once.
    pub(crate) burst: usize,
    pub(crate) skips_middleware: bool,
}

/// The memory of a namespace.
#[derive(Debug)]
pub(crate) struct Recovery {
    options: RecoveryOptions,
    log: Mutex<Log>,
    /// There is something to be let go some day.
    filled: Notify,
}

/// The rooms of a socket, and after which event it joined each.
pub(crate) type Rooms = IndexMap<Arc<str>, Point>;

/// What a socket has that comes back.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) id: SocketId,
    pub(crate) pid: Id,
    pub(crate) rooms: Rooms,
    pub(crate) locals: Locals,
    pub(crate) session: Session,
    /// The event up to which it misses nothing, whatever it says: the one after which it began or,
    /// for one that is here for long, a later one.
    pub(crate) begun: Point,
    /// The event after which it was listed, from where on it gets what everybody gets.
    pub(crate) entered: Point,
    /// How often it has come to another node.
    pub(crate) moves: u64,
}

/// What a socket needs to come back one day; and what it came back with.
#[derive(Debug)]
pub(crate) struct Resume {
    pub(crate) pid: Id,
    begun: Mutex<Begun>,
    entered: Mutex<Point>,
    moves: u64,
    /// The rooms that it is in; one that comes back has those that it had, before it is let into
    /// them.
    pub(crate) joined: Mutex<Rooms>,
    pub(crate) back: Option<Back>,
    stage: Mutex<Stage>,
}

/// From where on a socket may miss events.
#[derive(Debug)]
struct Begun {
    point: Point,
    /// A later event, and when it was the latest.
    next: Option<(Instant, Point)>,
}

/// How far a socket has come that may come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// On its way in.
    Coming,
    Here,
    /// What it had is kept, forgotten or another's.
    Gone,
}

/// A socket that has come back: from which number on it missed events, and where it was.
#[derive(Debug)]
pub(crate) struct Back {
    pub(crate) offset: u64,
    /// Until when it may come back, should it break off before it is let in.
    pub(crate) until: Instant,
    /// What it missed on other nodes, before that.
    pub(crate) earlier: Vec<Outgoing>,
    pub(crate) state: State,
    pub(crate) skips_middleware: bool,
}

impl Resume {
    fn new(pid: Id, begun: Point, mut back: Option<Back>) -> Self {
        let rooms = back
            .as_mut()
            .map(|back| std::mem::take(&mut back.state.rooms));
        let entered = back.as_ref().map(|back| back.state.entered.clone());
        Self {
            pid,
            begun: Mutex::new(Begun {
                point: begun,
                next: None,
            }),
            entered: Mutex::new(entered.unwrap_or_default()),
            moves: back.as_ref().map_or(0, |back| back.state.moves),
            joined: Mutex::new(rooms.unwrap_or_default()),
            back,
            stage: Mutex::new(Stage::Coming),
        }
    }

    /// Notes the event after which the socket was listed, unless it has come back: then it gets
    /// what it missed from where it was.
    pub(crate) fn appears(&self, latest: &Point) {
        if self.back.is_none() {
            *self.entered.lock() = latest.clone();
        }
    }

    fn begun(&self) -> Point {
        self.begun.lock().point.clone()
    }

    /// Notes that the client is here. Its answers to pings say so, and with them that it has got
    /// what was sent so long ago that its silence would have been noticed.
    pub(crate) fn is_here(&self, now: Instant, silence: Duration, latest: &Point) {
        let mut begun = self.begun.lock();
        match &begun.next {
            Some((at, _)) if now.duration_since(*at) < silence => return,
            Some((_, point)) => begun.point = point.clone(),
            None => {}
        }
        begun.next = Some((now, latest.clone()));
    }

    /// Notes that the client has everything up to this event.
    pub(crate) fn has_all(&self, latest: &Point) {
        *self.begun.lock() = Begun {
            point: latest.clone(),
            next: None,
        };
    }

    /// Tells whether its client knows the secret.
    fn is_known(&self) -> bool {
        self.back.is_some() || *self.stage.lock() == Stage::Here
    }
}

/// What a client says in its CONNECT that wants its state back.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Claim {
    pub(crate) pid: String,
    pub(crate) offset: Option<String>,
}

/// What is found of a client that wants its state back.
enum Claimed {
    Back(Box<Resume>),
    /// Nothing that this node has in its own memory; another one may.
    Elsewhere,
    Nothing,
}

/// What has become of a socket that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parted {
    Kept,
    Forgotten,
}

/// How a socket is to begin.
#[derive(Debug)]
pub(crate) enum Beginning {
    /// With what it needs to come back one day, or has come back with.
    Here(Box<Resume>),
    /// With what is to be asked of the cluster first.
    Away(Claim),
}

impl Recovery {
    /// `own` is the latest number of this node's own events that may have been given away: another
    /// namespace of this name may have been here before.
    pub(crate) fn new(options: RecoveryOptions, own: u64) -> Self {
        let log = Log {
            own,
            ..Log::default()
        };
        Self {
            options,
            log: Mutex::new(log),
            filled: Notify::new(),
        }
    }

    /// Returns a CONNECT payload as the program sees it: without `pid` and `offset`, which the
    /// official client adds to come back. They belong to the protocol.
    pub(crate) fn without_claim(auth: &str) -> Cow<'_, str> {
        if serde_json::from_str::<Claim>(auth).is_err() {
            return Cow::Borrowed(auth);
        }
        let without = || {
            let mut members: BTreeMap<String, &RawValue> = serde_json::from_str(auth).ok()?;
            members.remove("pid");
            members.remove("offset");
            serde_json::to_string(&members).ok()
        };
        without().map_or(Cow::Borrowed(auth), Cow::Owned)
    }

    pub(crate) fn lock(&self) -> Locked<'_> {
        Locked {
            log: self.log.lock(),
            spent: Vec::new(),
        }
    }

    pub(crate) fn options(&self) -> RecoveryOptions {
        self.options
    }

    /// Says how a socket begins whose client sends this payload; `None` where that is anew. `node`
    /// is the name of this node, where its adapter remembers.
    pub(crate) fn begin(&self, auth: Option<&str>, node: Option<&str>) -> Option<Beginning> {
        let claim: Claim = serde_json::from_str(auth?).ok()?;
        match self.claim(&claim, node) {
            Claimed::Back(resume) => Some(Beginning::Here(resume)),
            Claimed::Elsewhere => Some(Beginning::Away(claim)),
            Claimed::Nothing => None,
        }
    }

    /// Returns what a client begins with that was not here before. Its connect handler may send it
    /// something before it is let in.
    pub(crate) fn anew(begun: &Point) -> Box<Resume> {
        Box::new(Resume::new(Id::random(), begun.clone(), None))
    }

    pub(crate) fn again(back: Back) -> Box<Resume> {
        let (pid, begun) = (back.state.pid, back.state.begun.clone());
        Box::new(Resume::new(pid, begun, Some(back)))
    }

    /// Finds the state that a client wants back, and takes it: nobody else gets it. It is given
    /// back where the client was here when it got its last event, and all that it missed since is
    /// there.
    fn claim(&self, claim: &Claim, node: Option<&str>) -> Claimed {
        let Some(pid) = Id::parse(&claim.pid) else {
            return Claimed::Nothing;
        };
        let mut log = self.lock();
        log.forget(Instant::now(), self.options);
        let offset = log.offset(pid, claim.offset.as_deref(), node);
        let offset = offset.filter(|offset| log.reaches_back_to(*offset, self.options));
        if offset.is_none() && node.is_some() && !log.was_sent_away(pid) {
            return Claimed::Elsewhere;
        }
        let Some(Gone { until, state, .. }) = log.take(pid, self.options) else {
            return Claimed::Nothing;
        };
        let Some(offset) = offset else {
            log.let_go(state);
            return Claimed::Nothing;
        };
        let back = Back {
            offset,
            until,
            earlier: Vec::new(),
            state,
            skips_middleware: self.options.skips_middleware,
        };
        if self.missed(&log, &back, &back.state.rooms).is_none() {
            log.let_go(back.state);
            return Claimed::Nothing;
        }
        Claimed::Back(Self::again(back))
    }

    /// Returns what a client has missed that is in these rooms; `None` where it is not all there
    /// any more, or too much.
    pub(crate) fn missed(&self, log: &Log, back: &Back, rooms: &Rooms) -> Option<Vec<Outgoing>> {
        if !log.reaches_back_to(back.offset, self.options) {
            return None;
        }
        let missed = log.missed(back, rooms);
        let bytes: usize = missed.iter().map(Outgoing::len).sum();
        (bytes <= self.options.burst).then_some(missed)
    }

    /// Takes the leave of a socket that has ended: it is kept where it may come back, and where not
    /// forgotten. `None` where that has been done already, or where the secret is another socket's
    /// by now.
    pub(crate) fn part(
        &self,
        log: &mut Log,
        core: &Core,
        resume: &Resume,
        may: bool,
    ) -> Option<Parted> {
        let is_known = resume.is_known();
        let until = log.leave(resume, self.options)?;
        if !is_known {
            log.late.forget(core.id);
            return None;
        }
        if !may {
            log.late.forget(core.id);
            return Some(Parted::Forgotten);
        }
        log.forget(Instant::now(), self.options);
        log.keep(Gone::new(until, state_of(core, resume)), self.options);
        self.filled.notify_one();
        Some(Parted::Kept)
    }

    /// Lets go of what nobody can come back for any more, for as long as it is polled. While
    /// nothing is kept it waits without a timer.
    pub(crate) async fn prune(&self) {
        loop {
            let due = self.lock().due(self.options);
            match due {
                Some(due) => sleep_until(due).await,
                None => self.filled.notified().await,
            }
            self.lock().forget(Instant::now(), self.options);
        }
    }

    /// Keeps an event under the next number.
    pub(crate) fn record(&self, log: &mut Log, audience: &Audience, packet: &Outgoing) {
        let now = Instant::now();
        let alone = audience
            .alone
            .as_ref()
            .map(|core| vec![core.id.as_str().to_owned()]);
        let sender = audience.sender.map(|sender| sender.id.as_str().to_owned());
        let mut except = Vec::with_capacity(audience.except.len() + usize::from(sender.is_some()));
        except.extend(audience.except.iter().cloned());
        except.extend(sender);
        let rooms = alone.or_else(|| audience.rooms.clone());
        let logged = Logged::new(now, rooms, except, packet.clone());
        log.bytes += logged.size;
        log.events.push_back(logged);
        log.forget(now, self.options);
        self.filled.notify_one();
    }
}

/// The memory of a namespace, locked. What may run code of the program when it goes, as a `Drop` of
/// what that attached to a socket, goes when it is free again.
pub(crate) struct Locked<'a> {
    log: MutexGuard<'a, Log>,
    /// Behind the guard, and so dropped after it.
    spent: Vec<Spent>,
}

impl Deref for Locked<'_> {
    type Target = Log;

    fn deref(&self) -> &Log {
        &self.log
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Log {
        &mut self.log
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.spent = std::mem::take(&mut self.log.spent);
    }
}

/// Says what another node needs of a socket.
pub(crate) fn kept(core: &Core, resume: &Resume, log: &Log) -> Kept {
    let joined = resume.joined.lock();
    let rooms = joined.iter();
    Kept {
        sid: core.id.as_str().to_owned(),
        pid: resume.pid.as_str().to_owned(),
        namespace: core.membership.name().to_owned(),
        rooms: rooms
            .map(|(room, since)| (room.as_ref().to_owned(), since.text.as_ref().to_owned()))
            .collect(),
        data: core.session().entries(),
        begun: resume.begun.lock().point.text.as_ref().to_owned(),
        entered: resume.entered.lock().text.as_ref().to_owned(),
        late: log.late(core.id),
        moves: resume.moves,
    }
}

fn state_of(core: &Core, resume: &Resume) -> State {
    State {
        id: core.id,
        pid: resume.pid,
        rooms: resume.joined.lock().clone(),
        locals: core.locals.share(),
        session: core.session().clone(),
        begun: resume.begun(),
        entered: resume.entered.lock().clone(),
        moves: resume.moves,
    }
}
