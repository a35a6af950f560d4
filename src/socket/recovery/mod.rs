//! What a client missed while it was away, and what it had before.
//!
//! A namespace that can give a client its state back numbers its events, keeps the latest, and keeps
//! the sockets that have ended without wanting to. Everything that has a number is sent under one lock,
//! so that all clients get it in the order of the numbers. An event carries its number as its last
//! argument, from which the official client takes the offset that it comes back with; a volatile event
//! is not kept and carries the number of the one before it, so that what it ends with is never taken
//! for an offset. Nothing here sends.
//!
//! Where the adapter remembers, a client may come back to another node: then the offset says too how far
//! the client has got in what the whole cluster sends, by a [`Mark`].

mod late;
mod point;

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use indexmap::IndexMap;
use parking_lot::{Mutex, MutexGuard};
use serde::Deserialize;
use tokio::time::Instant;

use crate::cluster::{EntryId, Mark};
use crate::id::{Id, SocketId};
use crate::link::{Outgoing, Session};
use crate::socket::core::Core;
use crate::socket::locals::Locals;
use crate::socket::membership::Audience;
use crate::socket::recovery::late::Late;

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
}

/// What was sent, and who has gone.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// The latest event.
    point: Point,
    /// The latest entry of the cluster's stream that was sent here, and this node's own latest number.
    entry: EntryId,
    own: u64,
    /// The latest number of each other node's own events.
    heard: HashMap<String, u64>,
    late: Late,
    /// The latest ones, without gaps.
    events: VecDeque<Logged>,
    bytes: usize,
    /// The latest that was let go before its time, for its bytes: its number, and when it was sent.
    early: Option<(u64, Instant)>,
    /// Sockets that have ended and may come back, by their secret.
    gone: HashMap<Id, Gone>,
    /// When they may not any more, in that order.
    leaving: VecDeque<(Instant, Id)>,
    /// Sockets that are here, and may come back before anybody has noticed that they went.
    here: HashMap<Id, Weak<Core>>,
}

#[derive(Debug)]
struct Logged {
    at: Instant,
    rooms: Option<Vec<String>>,
    except: Vec<String>,
    packet: Outgoing,
}

#[derive(Debug)]
struct Gone {
    until: Instant,
    state: State,
}

/// What a socket has that comes back.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) id: SocketId,
    pub(crate) pid: Id,
    /// The rooms, and after which event each was joined.
    pub(crate) rooms: Vec<(Arc<str>, Point)>,
    pub(crate) locals: Locals,
    pub(crate) session: Session,
    /// The event after which it entered.
    pub(crate) begun: Point,
    /// How often it has come to another node.
    pub(crate) moves: u64,
}

/// What a socket needs to come back one day; and what it came back with.
#[derive(Debug)]
pub(crate) struct Resume {
    pub(crate) pid: Id,
    begun: Mutex<Point>,
    moves: u64,
    pub(crate) joined: Mutex<IndexMap<Arc<str>, Point>>,
    pub(crate) back: Option<Back>,
    /// It has come back as another.
    superseded: Mutex<bool>,
}

/// A socket that has come back: from which number on it missed events, and where it was.
#[derive(Debug)]
pub(crate) struct Back {
    pub(crate) offset: u64,
    /// What it missed on other nodes, before that.
    pub(crate) earlier: Vec<Outgoing>,
    pub(crate) state: State,
    pub(crate) skips_middleware: bool,
}

impl Resume {
    pub(crate) fn is_superseded(&self) -> bool {
        *self.superseded.lock()
    }

    pub(crate) fn new(pid: Id, begun: Point, back: Option<Back>) -> Self {
        Self {
            pid,
            begun: Mutex::new(begun),
            moves: back.as_ref().map_or(0, |back| back.state.moves),
            joined: Mutex::default(),
            back,
            superseded: Mutex::new(false),
        }
    }
}

/// What a client says in its CONNECT that wants its state back.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Claim {
    pub(crate) pid: String,
    pub(crate) offset: Option<String>,
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
    pub(crate) fn new(options: RecoveryOptions) -> Self {
        Self {
            options,
            log: Mutex::default(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock()
    }

    pub(crate) fn options(&self) -> RecoveryOptions {
        self.options
    }

    /// Says how a socket begins whose client sends this payload. `node` is the name of this node, where
    /// its adapter remembers.
    pub(crate) fn begin(&self, auth: Option<&str>, node: Option<&str>) -> Beginning {
        let claim: Option<Claim> = auth.and_then(|auth| serde_json::from_str(auth).ok());
        let Some(claim) = claim else {
            return Beginning::Here(Self::anew());
        };
        if let Some(node) = node
            && !self.is_own(&claim, node)
        {
            return Beginning::Away(claim);
        }
        Beginning::Here(match self.claim(&claim) {
            Some(back) => Self::again(back),
            None => Self::anew(),
        })
    }

    /// Returns what a client begins with that was not here before.
    pub(crate) fn anew() -> Box<Resume> {
        Box::new(Resume::new(Id::random(), Point::default(), None))
    }

    pub(crate) fn again(back: Back) -> Box<Resume> {
        let (pid, begun) = (back.state.pid, back.state.begun.clone());
        Box::new(Resume::new(pid, begun, Some(back)))
    }

    /// Tells whether the client was on this node when it got its last event.
    fn is_own(&self, claim: &Claim, node: &str) -> bool {
        match &claim.offset {
            // What was replayed from the stream has no number of this node's.
            Some(offset) => offset.split_once('.').is_some_and(|(number, mark)| {
                let is_number = number.parse::<u64>().is_ok();
                is_number && mark.parse().is_ok_and(|mark: Mark| mark.node == node)
            }),
            None => Id::parse(&claim.pid).is_some_and(|pid| {
                let log = self.lock();
                log.gone.contains_key(&pid) || log.here.contains_key(&pid)
            }),
        }
    }

    /// Finds the state that a client wants back, and takes it: nobody else gets it. `None` where it is
    /// not there any more, or not all that the client missed is.
    fn claim(&self, claim: &Claim) -> Option<Back> {
        let pid = Id::parse(&claim.pid)?;
        let mut log = self.lock();
        log.forget(Instant::now(), self.options);
        let state = match log.gone.remove(&pid) {
            Some(gone) => gone.state,
            None => log.supersede(pid)?,
        };
        let offset = match &claim.offset {
            Some(offset) => offset.split('.').next()?.parse().ok()?,
            None => state.begun.number,
        };
        if !log.reaches_back_to(offset, self.options) {
            log.late.forget(state.id);
            return None;
        }
        let back = Back {
            offset,
            earlier: Vec::new(),
            state,
            skips_middleware: self.options.skips_middleware,
        };
        let bytes: usize = log.missed(&back).iter().map(Outgoing::len).sum();
        if bytes > self.options.burst {
            log.late.forget(back.state.id);
            return None;
        }
        Some(back)
    }

    /// Keeps a socket that has ended; it is in no room any more.
    pub(crate) fn keep(&self, log: &mut Log, core: &Core, resume: &Resume) -> bool {
        let now = Instant::now();
        // The secret is another socket's then.
        if *resume.superseded.lock() {
            return false;
        }
        log.here.remove(&resume.pid);
        log.forget(now, self.options);
        let until = now + self.options.window;
        let state = state_of(core, resume);
        log.leaving.push_back((until, resume.pid));
        log.gone.insert(resume.pid, Gone { until, state });
        true
    }

    /// Keeps an event under the next number.
    pub(crate) fn record(&self, log: &mut Log, audience: &Audience, packet: &Outgoing) {
        let now = Instant::now();
        let alone = audience
            .alone
            .as_ref()
            .map(|core| vec![core.id.as_str().to_owned()]);
        let mut except = audience.except.clone();
        except.extend(audience.sender.map(|sender| sender.id.as_str().to_owned()));
        log.bytes += packet.len();
        log.events.push_back(Logged {
            at: now,
            rooms: alone.or_else(|| audience.rooms.clone()),
            except,
            packet: packet.clone(),
        });
        log.forget(now, self.options);
    }
}

impl Log {
    /// Moves on to the next event, which has this number among this node's own.
    pub(crate) fn advance(&mut self, origin: Origin<'_>, own: u64) {
        self.point.number += 1;
        match origin {
            Origin::Alone => {}
            Origin::Own => self.own = own,
            Origin::Entry(entry, node, own) => {
                self.entry = entry;
                match self.heard.get_mut(node) {
                    Some(heard) => *heard = own.max(*heard),
                    None => {
                        self.heard.insert(node.to_owned(), own);
                    }
                }
            }
        }
    }

    /// Returns the place of the latest event. `node` and the entry up to which everything of other nodes
    /// has been done are given where the adapter remembers.
    pub(crate) fn point(&mut self, node: Option<(&str, EntryId)>) -> &Point {
        let number = self.point.number;
        self.point.text = match node {
            None => number.to_string().into(),
            Some((node, entry)) => {
                self.entry = self.entry.max(entry);
                let mark = Mark {
                    node: node.to_owned(),
                    own: self.own,
                    entry: self.entry,
                };
                format!("{number}.{mark}").into()
            }
        };
        &self.point
    }

    /// Notes what a socket has got of other nodes' own events, where it is still to come here.
    pub(crate) fn expect(&mut self, id: SocketId, got: impl IntoIterator<Item = (String, u64)>) {
        let has_come = |node: &str, own| self.heard.get(node).is_some_and(|heard| *heard >= own);
        let late = got.into_iter().filter(|(node, own)| !has_come(node, *own));
        let late = late.collect();
        self.late.expect(id, late);
    }

    /// Returns what a socket has got that is still to come.
    pub(crate) fn late(&self, id: SocketId) -> Vec<(String, u64)> {
        self.late.of(id)
    }

    /// A socket comes back no more.
    pub(crate) fn expect_no_more(&mut self, id: SocketId) {
        self.late.forget(id);
    }

    /// Returns the audience of an event without those who have got it elsewhere.
    pub(crate) fn still_for<'a>(
        &mut self,
        audience: &'a Audience,
        origin: Origin<'_>,
    ) -> Cow<'a, Audience> {
        let Origin::Entry(_, node, own) = origin else {
            return Cow::Borrowed(audience);
        };
        let have = self.late.have(node, own);
        if have.is_empty() {
            return Cow::Borrowed(audience);
        }
        let mut audience = audience.clone();
        let ids = have.iter().map(|id| id.as_str().to_owned());
        audience.except.extend(ids);
        Cow::Owned(audience)
    }

    /// Returns who is here.
    pub(crate) fn here(&self) -> Vec<Arc<Core>> {
        self.here.values().filter_map(Weak::upgrade).collect()
    }

    /// Ends a socket, and forgets one that has gone, since it has come back elsewhere: by so many moves,
    /// of which news may come when it has moved on, and even here again.
    pub(crate) fn moved_away(&mut self, id: SocketId, moves: u64) {
        let has_moved = |gone: &Gone| gone.state.id == id && gone.state.moves < moves;
        let count = self.gone.len();
        self.gone.retain(|_, gone| !has_moved(gone));
        if self.gone.len() < count {
            self.late.forget(id);
        }
        let here = self.here();
        if let Some(core) = here.iter().find(|core| core.id == id)
            && let Some(resume) = &core.resume
            && resume.moves < moves
        {
            self.supersede(resume.pid);
            self.late.forget(id);
        }
    }

    /// Notes that a socket is here.
    pub(crate) fn entered(&mut self, core: &Arc<Core>, resume: &Resume) {
        if resume.back.is_none() {
            *resume.begun.lock() = self.point.clone();
        }
        self.here.insert(resume.pid, Arc::downgrade(core));
    }

    pub(crate) fn forget_socket(&mut self, id: SocketId, resume: &Resume) {
        if !*resume.superseded.lock() {
            self.here.remove(&resume.pid);
            self.late.forget(id);
        }
    }

    /// Returns what a socket has missed.
    pub(crate) fn missed(&self, back: &Back) -> Vec<Outgoing> {
        let first = self.point.number + 1 - self.events.len() as u64;
        let numbered = self.events.iter().zip(first..);
        let after = numbered.filter(|(_, number)| *number > back.offset);
        let meant = after.filter(|(event, number)| event.is_for(&back.state, *number));
        let here = meant.map(|(event, _)| event.packet.clone());
        back.earlier.iter().cloned().chain(here).collect()
    }

    /// Tells whether everything is there that a client may have missed after this number. What was let
    /// go in its time it did not miss: its answers to pings said so while it was here.
    fn reaches_back_to(&self, offset: u64, options: RecoveryOptions) -> bool {
        let in_time = |at: Instant| at.elapsed() > options.window + options.silence;
        let early = self.early.filter(|(_, at)| !in_time(*at));
        offset <= self.point.number && early.is_none_or(|(number, _)| offset >= number)
    }

    /// Ends a socket whose client is back before its connection was known to be dead.
    fn supersede(&mut self, pid: Id) -> Option<State> {
        let core = self.here.remove(&pid)?.upgrade()?;
        let resume = core.resume.as_ref()?;
        *resume.superseded.lock() = true;
        let state = state_of(&core, resume);
        core.supersede();
        Some(state)
    }

    fn forget(&mut self, now: Instant, options: RecoveryOptions) {
        let kept = options.window + options.silence;
        while let Some(oldest) = self.events.front()
            && (self.bytes > options.limit || now.duration_since(oldest.at) > kept)
        {
            if now.duration_since(oldest.at) <= kept {
                let number = self.point.number + 1 - self.events.len() as u64;
                self.early = Some((number, oldest.at));
            }
            self.bytes -= oldest.packet.len();
            self.events.pop_front();
        }
        while let Some((until, pid)) = self.leaving.front()
            && *until <= now
        {
            if self.gone.get(pid).is_some_and(|gone| gone.until <= now)
                && let Some(gone) = self.gone.remove(pid)
            {
                self.late.forget(gone.state.id);
            }
            self.leaving.pop_front();
        }
    }
}

impl Logged {
    /// Tells whether the event of this number was for a socket that was in these rooms.
    fn is_for(&self, state: &State, number: u64) -> bool {
        let is_in = |room: &String| {
            let was_in =
                |(name, since): &(Arc<str>, Point)| name.as_ref() == room && since.number < number;
            room == state.id.as_str() || state.rooms.iter().any(was_in)
        };
        let meant = self
            .rooms
            .as_ref()
            .is_none_or(|rooms| rooms.iter().any(is_in));
        meant && !self.except.iter().any(is_in)
    }
}

/// Says what another node needs of a socket.
pub(crate) fn kept(core: &Core, resume: &Resume, log: &Log) -> Kept {
    let joined = resume.joined.lock();
    let rooms = joined.iter();
    Kept {
        sid: core.id.as_str().to_owned(),
        pid: resume.pid.as_str().to_owned(),
        rooms: rooms
            .map(|(room, since)| (room.as_ref().to_owned(), since.text.as_ref().to_owned()))
            .collect(),
        data: core.session().entries(),
        begun: resume.begun.lock().text.as_ref().to_owned(),
        late: log.late(core.id),
        moves: resume.moves,
    }
}

fn state_of(core: &Core, resume: &Resume) -> State {
    let joined = resume.joined.lock();
    State {
        id: core.id,
        pid: resume.pid,
        rooms: joined
            .iter()
            .map(|(room, since)| (Arc::clone(room), since.clone()))
            .collect(),
        locals: core.locals.share(),
        session: core.session().clone(),
        begun: resume.begun.lock().clone(),
        moves: resume.moves,
    }
}
