//! What a namespace has sent of late, and who has gone and may come back.

use std::any::Any;
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;

use crate::cluster::{EntryId, Mark};
use crate::id::{Id, IdMap, SocketId};
use crate::link::Outgoing;
use crate::socket::core::Core;
use crate::socket::membership::Audience;
use crate::socket::recovery::late::Late;
use crate::socket::recovery::{
    Back, Origin, Point, RecoveryOptions, Resume, Rooms, Stage, State, number_on, state_of,
};

/// What was sent, and who has gone.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// The latest event.
    pub(super) point: Point,
    /// The latest entry of the cluster's stream that was sent here, and this node's own latest
    /// number.
    pub(super) entry: EntryId,
    pub(super) own: u64,
    /// The latest number of each other node's own events.
    pub(super) heard: HashMap<String, u64>,
    pub(super) late: Late,
    /// The latest ones, without gaps.
    pub(super) events: VecDeque<Logged>,
    /// Bytes of memory that they take.
    pub(super) bytes: usize,
    /// The latest that was let go before its time, for its bytes: its number, and when it was sent.
    pub(super) early: Option<(u64, Instant)>,
    /// Sockets that have ended and may come back, by their secret.
    pub(super) gone: IdMap<Id, Gone>,
    /// Bytes of memory that they take.
    pub(super) gone_bytes: usize,
    /// When they may not any more.
    pub(super) leaving: BTreeSet<(Instant, Id)>,
    /// Sockets that are here, and may come back before anybody has noticed that they went.
    pub(super) here: IdMap<Id, Weak<Core>>,
    /// What is to be dropped when the lock is free.
    pub(super) spent: Vec<Spent>,
}

/// What may run code of the program when it goes.
pub(super) type Spent = Box<dyn Any + Send>;

#[derive(Debug)]
pub(super) struct Logged {
    pub(super) at: Instant,
    pub(super) rooms: Option<Vec<String>>,
    pub(super) except: Vec<String>,
    pub(super) packet: Outgoing,
    /// Bytes of memory that it takes, with the names.
    pub(super) size: usize,
}

#[derive(Debug)]
pub(super) struct Gone {
    pub(super) until: Instant,
    pub(super) state: State,
    /// Bytes of memory that it takes.
    pub(super) size: usize,
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

    /// Returns the place of the latest event. `node` and the entry up to which everything of other
    /// nodes has been done are given where the adapter remembers.
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
        // Those without a number are volatile, or of other servers.
        let Origin::Entry(_, node, own @ 1..) = origin else {
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

    /// Returns how long the latest event is.
    #[cfg(test)]
    pub(crate) fn latest_length(&self) -> usize {
        self.events.back().map_or(0, |event| event.packet.len())
    }

    /// Returns how many bytes of memory the latest event counts for, and all sockets that have gone.
    #[cfg(test)]
    pub(crate) fn sizes(&self) -> (usize, usize) {
        let event = self.events.back().map_or(0, |event| event.size);
        (event, self.gone_bytes)
    }

    /// Returns who is here.
    pub(crate) fn here(&self) -> Vec<Arc<Core>> {
        self.here.values().filter_map(Weak::upgrade).collect()
    }

    /// Returns the socket of a secret that is here.
    fn core(&mut self, pid: Id) -> Option<Arc<Core>> {
        let core = self.here.get(&pid)?.upgrade()?;
        // Whoever else holds it may let it go just now.
        self.spent.push(Box::new(Arc::clone(&core)));
        Some(core)
    }

    /// A client does not come back to what it had.
    pub(super) fn let_go(&mut self, state: State) {
        self.late.forget(state.id);
        self.spent.push(Box::new(state));
    }

    /// Ends a socket, or forgets one that has gone, since it has come back by so many moves: news
    /// of an earlier one may come when it has moved on, and even here again. Returns what it had
    /// here.
    pub(crate) fn moved_away(
        &mut self,
        id: SocketId,
        moves: u64,
        options: RecoveryOptions,
    ) -> Option<State> {
        let has_moved = |gone: &Gone| gone.state.id == id && gone.state.moves < moves;
        let gone = self.gone.iter().find(|(_, gone)| has_moved(gone));
        let pid = match gone {
            Some((pid, _)) => *pid,
            None => {
                let here = self.here();
                let is_it = |core: &&Arc<Core>| core.id == id;
                let found = here
                    .iter()
                    .find(is_it)
                    .and_then(|core| core.resume.as_ref());
                let pid = found
                    .filter(|resume| resume.moves < moves)
                    .map(|resume| resume.pid);
                self.spent.push(Box::new(here));
                pid?
            }
        };
        self.late.forget(id);
        self.take(pid, options).map(|gone| gone.state)
    }

    /// Notes that a socket is on its way back, whose client may come again before it is here.
    pub(crate) fn returns(&mut self, core: &Arc<Core>, resume: &Resume) {
        self.here.insert(resume.pid, Arc::downgrade(core));
    }

    /// Notes that a socket is here.
    pub(crate) fn entered(&mut self, core: &Arc<Core>, resume: &Resume) {
        *resume.stage.lock() = Stage::Here;
        self.here.insert(resume.pid, Arc::downgrade(core));
    }

    /// Takes out a socket that was here or on its way, and says until when it may come back.
    pub(super) fn leave(&mut self, resume: &Resume, options: RecoveryOptions) -> Option<Instant> {
        let stage = std::mem::replace(&mut *resume.stage.lock(), Stage::Gone);
        let until = match (stage, &resume.back) {
            (Stage::Gone, _) => return None,
            // It has not begun again, and has as long as it had.
            (Stage::Coming, Some(back)) => back.until,
            (Stage::Coming, None) | (Stage::Here, _) => Instant::now() + options.window,
        };
        self.here.remove(&resume.pid);
        Some(until)
    }

    /// Returns what a socket has missed that is in these rooms.
    pub(crate) fn missed(&self, back: &Back, rooms: &Rooms) -> Vec<Outgoing> {
        let first = self.point.number + 1 - self.events.len() as u64;
        let numbered = self.events.iter().zip(first..);
        let after = numbered.filter(|(_, number)| *number > back.offset);
        let meant = after.filter(|(event, number)| event.is_for(&back.state, rooms, *number));
        let here = meant.map(|(event, _)| event.packet.clone());
        back.earlier.iter().cloned().chain(here).collect()
    }

    /// Tells whether everything is there that a client may have missed after this number. What was
    /// let go in its time it did not miss: its answers to pings said so while it was here.
    pub(super) fn reaches_back_to(&self, offset: u64, options: RecoveryOptions) -> bool {
        let in_time = |at: Instant| at.elapsed() > options.window + options.silence;
        let early = self.early.filter(|(_, at)| !in_time(*at));
        offset <= self.point.number && early.is_none_or(|(number, _)| offset >= number)
    }

    /// Returns the number of the event up to which the client of this secret has everything, where
    /// that is a number of this node's: of the event that it names or, where it has got none yet,
    /// of the one after which it began. What was sent before that was not for it, whatever it says.
    pub(super) fn offset(
        &mut self,
        pid: Id,
        named: Option<&str>,
        node: Option<&str>,
    ) -> Option<u64> {
        let begun = match self.gone.get(&pid) {
            Some(gone) => gone.state.begun.clone(),
            None => self.core(pid)?.resume.as_ref()?.begun(),
        };
        let number = number_on(named.unwrap_or(&begun.text), node)?;
        Some(number.max(begun.number))
    }

    /// Tells whether it is here, or was here last, what a client of this secret comes back to.
    pub(crate) fn holds(&self, pid: &str) -> bool {
        Id::parse(pid)
            .is_some_and(|pid| self.gone.contains_key(&pid) || self.here.contains_key(&pid))
    }

    /// Tells whether the program has made the socket of this secret leave, which has not parted
    /// yet.
    pub(super) fn was_sent_away(&mut self, pid: Id) -> bool {
        self.core(pid).is_some_and(|core| core.has_left())
    }

    /// Takes what a client comes back to, whether it has gone or is still thought to be here.
    pub(super) fn take(&mut self, pid: Id, options: RecoveryOptions) -> Option<Gone> {
        match self.no_longer_gone(pid) {
            Some(gone) => Some(gone),
            None => self.supersede(pid, options),
        }
    }

    /// Keeps what a socket comes back to that has ended; those that went first make room for it.
    pub(super) fn keep(&mut self, gone: Gone, options: RecoveryOptions) {
        let pid = gone.state.pid;
        self.leaving.insert((gone.until, pid));
        self.gone_bytes += gone.size;
        if let Some(before) = self.gone.insert(pid, gone) {
            self.gone_bytes -= before.size;
            self.let_go(before.state);
        }
        while self.gone_bytes > options.limit
            && let Some((_, pid)) = self.leaving.pop_first()
        {
            if let Some(gone) = self.no_longer_gone(pid) {
                self.let_go(gone.state);
            }
        }
    }

    fn no_longer_gone(&mut self, pid: Id) -> Option<Gone> {
        let gone = self.gone.remove(&pid)?;
        self.gone_bytes -= gone.size;
        self.leaving.remove(&(gone.until, pid));
        Some(gone)
    }

    /// Ends a socket whose client is back before its connection was known to be dead.
    fn supersede(&mut self, pid: Id, options: RecoveryOptions) -> Option<Gone> {
        let core = self.core(pid)?;
        if core.has_left() {
            return None;
        }
        let resume = core.resume.as_ref()?;
        let until = self.leave(resume, options)?;
        let state = state_of(&core, resume);
        core.supersede();
        Some(Gone::new(until, state))
    }

    /// Returns when the next is to be let go.
    pub(super) fn due(&self, options: RecoveryOptions) -> Option<Instant> {
        let event = self.events.front();
        let event = event.map(|event| event.at + options.window + options.silence + TICK);
        let socket = self.leaving.first().map(|(until, _)| *until);
        event.into_iter().chain(socket).min()
    }

    pub(super) fn forget(&mut self, now: Instant, options: RecoveryOptions) {
        let kept = options.window + options.silence;
        while let Some(oldest) = self.events.front()
            && (self.bytes > options.limit || now.duration_since(oldest.at) > kept)
        {
            if now.duration_since(oldest.at) <= kept {
                let number = self.point.number + 1 - self.events.len() as u64;
                self.early = Some((number, oldest.at));
            }
            self.bytes -= oldest.size;
            self.events.pop_front();
        }
        if self.events.len() < self.events.capacity() / 4 && self.events.capacity() > FEW {
            // After a burst: the room for its events would not be counted any more.
            self.events.shrink_to(self.events.len() * 2);
        }
        while let Some((until, pid)) = self.leaving.first().copied()
            && until <= now
        {
            self.leaving.pop_first();
            if let Some(gone) = self.no_longer_gone(pid) {
                self.let_go(gone.state);
            }
        }
    }
}

/// The list of events keeps room for so many.
const FEW: usize = 64;

/// Events of one moment are let go together.
const TICK: Duration = Duration::from_millis(100);

impl Logged {
    pub(super) fn new(
        at: Instant,
        rooms: Option<Vec<String>>,
        except: Vec<String>,
        packet: Outgoing,
    ) -> Self {
        let lists = rooms.iter().chain([&except]);
        let names = lists.map(|names| names.iter().map(footprint_of).sum::<usize>());
        // The list of events grows by doubling.
        let size = 2 * size_of::<Self>() + names.sum::<usize>() + packet.footprint();
        Self {
            at,
            rooms,
            except,
            packet,
            size,
        }
    }

    /// Tells whether the event of this number was for a socket that was in these rooms.
    fn is_for(&self, state: &State, rooms: &Rooms, number: u64) -> bool {
        let is_in = |room: &String| {
            let since = rooms.get(room.as_str());
            room == state.id.as_str() || since.is_some_and(|since| since.number < number)
        };
        let meant = self
            .rooms
            .as_ref()
            .map_or(state.entered.number < number, |rooms| {
                rooms.iter().any(is_in)
            });
        meant && !self.except.iter().any(is_in)
    }
}

impl Gone {
    pub(super) fn new(until: Instant, state: State) -> Self {
        let size = state.footprint();
        Self { until, state, size }
    }
}

impl State {
    /// Returns about how many bytes of memory it takes, without the values that the program has
    /// attached to the socket.
    fn footprint(&self) -> usize {
        let points = [&self.begun, &self.entered];
        let points = points.map(|point| point.text.len() + OVERHEAD);
        let rooms = self.rooms.iter();
        let rooms = rooms.map(|(room, since)| room.len() + since.text.len() + ROOM);
        STATE + points.iter().sum::<usize>() + rooms.sum::<usize>() + self.session.footprint()
    }
}

/// Returns how many bytes of memory a name in a list takes.
fn footprint_of(name: &String) -> usize {
    size_of::<String>() + name.capacity() + OVERHEAD
}

/// Bytes that an allocation takes beside its content: what the allocator adds, and counts.
const OVERHEAD: usize = 24;

/// Bytes of a socket that has gone beside what its names and values take: its places in a map and
/// in a set, which are a third empty, and its session.
const STATE: usize = 2 * (size_of::<(Id, Gone)>() + size_of::<(Instant, Id)>()) + 256;

/// Bytes of a room beside its name: its place in a map, and the text of a point.
const ROOM: usize = 2 * size_of::<(usize, Arc<str>, Point, usize)>() + 2 * OVERHEAD;
