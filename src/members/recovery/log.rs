//! The latest events of a namespace, and the disconnected sockets that may be recovered.

use std::any::Any;
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use log::Level;
use tokio::time::Instant;

use crate::cluster::{ClusterOffset, EntryId};
use crate::id::{Id, IdMap, SocketId};
use crate::link::Outgoing;
use crate::logging::{LogKind, LogLimits, cut};
use crate::members::audience::Audience;
use crate::members::recovery::already_received::AlreadyReceived;
use crate::members::recovery::offset::{EventOffset, EventSource, number_on};
use crate::members::recovery::record::snapshot;
use crate::members::recovery::state::{
    RecoveryOptions, RecoveryState, ResumeStage, Resumed, Rooms, SocketSnapshot,
};
use crate::members::socket::SocketState;
use crate::panics::catch_drop;
use crate::reason::{CloseReason, DisconnectReason};

/// The latest events, and the disconnected sockets.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// The latest event.
    pub(super) latest: EventOffset,
    /// The latest entry of the cluster's stream that was delivered here, and this node's own latest
    /// number.
    pub(super) entry: EntryId,
    pub(super) own: u64,
    /// The latest number of each other node's own events.
    pub(super) heard: HashMap<String, u64>,
    pub(super) received: AlreadyReceived,
    /// The latest ones, without gaps.
    pub(super) events: VecDeque<LoggedEvent>,
    /// Their memory in bytes.
    pub(super) bytes: usize,
    /// The latest event that was dropped before its time, because of its size: its number, and the
    /// time when it was sent.
    pub(super) early: Option<(u64, Instant)>,
    /// Sockets that have ended and may be recovered, by their private session id.
    pub(super) detached: IdMap<Id, Detached>,
    /// Their memory in bytes.
    pub(super) detached_bytes: usize,
    /// The times at which they expire.
    pub(super) deadlines: BTreeSet<(Instant, Id)>,
    /// Connected sockets, which may reconnect before their disconnect is detected.
    pub(super) attached: IdMap<Id, Weak<SocketState>>,
    /// Values to drop after the lock is released.
    pub(super) deferred: DeferredDrops,
}

/// Values whose `Drop` may run code of the program: such code may use the namespace, and panic.
#[derive(Debug, Default)]
pub(super) struct DeferredDrops(Vec<Box<dyn Any + Send>>);

impl DeferredDrops {
    fn push(&mut self, value: impl Any + Send) {
        self.0.push(Box::new(value));
    }
}

impl Drop for DeferredDrops {
    fn drop(&mut self) {
        for value in self.0.drain(..) {
            if let Err(panic) = catch_drop(value) {
                let line = format_args!(
                    "a value that was attached to a socket panicked when it was dropped: {}",
                    cut(&panic)
                );
                LogLimits::of_process().write(LogKind::Panicked, Level::Error, line);
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct LoggedEvent {
    pub(super) at: Instant,
    pub(super) rooms: Option<Vec<String>>,
    pub(super) except: Vec<String>,
    pub(super) packet: Outgoing,
    /// Its memory in bytes, with the names.
    pub(super) size: usize,
}

#[derive(Debug)]
pub(crate) struct Detached {
    pub(super) until: Instant,
    pub(crate) state: SocketSnapshot,
    /// Its memory in bytes.
    pub(super) size: usize,
}

/// The state of a client, taken from the log.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) detached: Detached,
    /// The socket that had the state, if its disconnect was not detected.
    pub(crate) superseded: Option<Superseded>,
}

/// A socket whose client has reconnected. The log has ended it; its owner removes it from its lists
/// and closes its connection after the lock is released.
#[derive(Debug)]
#[must_use = "`Membership::remove_superseded` closes its connection"]
pub(crate) struct Superseded(pub(crate) Arc<SocketState>);

impl Log {
    /// Advances to the next event, which has this number among this node's own.
    pub(crate) fn advance(&mut self, origin: EventSource<'_>, own: u64) {
        self.latest.number += 1;
        match origin {
            EventSource::SingleNode => {}
            EventSource::ThisNode => self.own = own,
            EventSource::Entry(entry, node, own) => {
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

    /// Returns the point of the latest event. `node` and the entry up to which all events of other
    /// nodes were delivered are given if the adapter stores records.
    pub(crate) fn latest(&mut self, node: Option<(&str, EntryId)>) -> &EventOffset {
        let number = self.latest.number;
        self.latest.text = match node {
            None => number.to_string().into(),
            Some((node, entry)) => {
                self.entry = self.entry.max(entry);
                let offset = ClusterOffset {
                    node: node.to_owned(),
                    own: self.own,
                    entry: self.entry,
                };
                format!("{number}.{offset}").into()
            }
        };
        &self.latest
    }

    /// Records the events of other nodes that a socket has received and that have not arrived here.
    pub(crate) fn record_received(
        &mut self,
        id: SocketId,
        got: impl IntoIterator<Item = (String, u64)>,
    ) {
        let has_come = |node: &str, own| self.heard.get(node).is_some_and(|heard| *heard >= own);
        let received = got.into_iter().filter(|(node, own)| !has_come(node, *own));
        let received = received.collect();
        self.received.expect(id, received);
    }

    /// Returns the events that a socket has received and that have not arrived here.
    pub(crate) fn received(&self, id: &SocketId) -> Vec<(String, u64)> {
        self.received.of(id)
    }

    /// A socket is no longer expected.
    pub(crate) fn forget_received(&mut self, id: &SocketId) {
        self.received.forget(id);
    }

    /// Returns the audience of an event, without the sockets that have received it elsewhere.
    pub(crate) fn without_receivers<'a>(
        &mut self,
        audience: &'a Audience,
        origin: EventSource<'_>,
    ) -> Cow<'a, Audience> {
        // Events without a number are volatile, or come from other servers.
        let EventSource::Entry(_, node, own @ 1..) = origin else {
            return Cow::Borrowed(audience);
        };
        let have = self.received.have(node, own);
        if have.is_empty() {
            return Cow::Borrowed(audience);
        }
        let mut audience = audience.clone();
        let ids = have.iter().map(|id| id.as_str().to_owned());
        audience.except.extend(ids);
        Cow::Owned(audience)
    }

    /// Returns the length of the latest event.
    #[cfg(test)]
    pub(crate) fn latest_length(&self) -> usize {
        self.events.back().map_or(0, |event| event.packet.len())
    }

    /// Returns the counted memory of the latest event, and of all disconnected sockets, in bytes.
    #[cfg(test)]
    pub(crate) fn sizes(&self) -> (usize, usize) {
        let event = self.events.back().map_or(0, |event| event.size);
        (event, self.detached_bytes)
    }

    /// Returns the connected sockets. The last handle of one may be among them, so they are to be
    /// deferred.
    fn all_attached(&self) -> Vec<Arc<SocketState>> {
        self.attached.values().filter_map(Weak::upgrade).collect()
    }

    /// Returns the connected socket with this private session id.
    fn attached(&mut self, pid: Id) -> Option<Arc<SocketState>> {
        let socket = self.attached.get(&pid)?.upgrade()?;
        // Another holder may just be dropping it.
        self.deferred.push(Arc::clone(&socket));
        Some(socket)
    }

    /// Drops the state of a client that is not recovered.
    pub(super) fn discard(&mut self, state: SocketSnapshot) {
        self.received.forget(&state.id);
        self.deferred.push(state);
    }

    /// Ends a socket, or removes a disconnected one, because its client has reconnected to another
    /// node. The number of moves is compared, because notice of an earlier one may arrive after the
    /// client has moved on, even back to this node. Returns its state on this node.
    pub(crate) fn take_moved(
        &mut self,
        id: &SocketId,
        moves: u64,
        options: RecoveryOptions,
    ) -> Option<Taken> {
        let has_moved = |gone: &Detached| gone.state.id == *id && gone.state.moves < moves;
        let gone = self.detached.iter().find(|(_, gone)| has_moved(gone));
        let pid = match gone {
            Some((pid, _)) => *pid,
            None => {
                let here = self.all_attached();
                let is_it = |socket: &&Arc<SocketState>| socket.id == *id;
                let found = here
                    .iter()
                    .find(is_it)
                    .and_then(|socket| socket.resume.as_ref());
                let pid = found
                    .filter(|resume| resume.moves < moves)
                    .map(|resume| resume.pid);
                self.deferred.push(here);
                pid?
            }
        };
        self.received.forget(id);
        self.take(pid, options)
    }

    /// Records that a socket is being recovered; its client may reconnect before that ends.
    pub(crate) fn resuming(&mut self, socket: &Arc<SocketState>, resume: &RecoveryState) {
        self.attached.insert(resume.pid, Arc::downgrade(socket));
    }

    /// Records that a socket is connected.
    pub(crate) fn entered(&mut self, socket: &Arc<SocketState>, resume: &RecoveryState) {
        *resume.stage.lock() = ResumeStage::Attached;
        self.attached.insert(resume.pid, Arc::downgrade(socket));
    }

    /// Removes a connected or recovering socket. Returns the time until which it may be recovered.
    pub(super) fn leave(
        &mut self,
        resume: &RecoveryState,
        options: RecoveryOptions,
    ) -> Option<Instant> {
        let stage = std::mem::replace(&mut *resume.stage.lock(), ResumeStage::Detached);
        let until = match (stage, &resume.resumed) {
            (ResumeStage::Detached, _) => return None,
            // It has not started again, so its deadline is unchanged.
            (ResumeStage::Connecting, Some(resumed)) => resumed.until,
            (ResumeStage::Connecting, None) | (ResumeStage::Attached, _) => {
                Instant::now() + options.window
            }
        };
        self.attached.remove(&resume.pid);
        Some(until)
    }

    /// Returns the missed events of a socket in these rooms.
    pub(crate) fn missed(&self, resumed: &Resumed, rooms: &Rooms) -> Vec<Outgoing> {
        let first = self.latest.number + 1 - self.events.len() as u64;
        let numbered = self.events.iter().zip(first..);
        let after = numbered.filter(|(_, number)| *number > resumed.offset);
        let meant = after.filter(|(event, number)| event.is_for(&resumed.state, rooms, *number));
        let here = meant.map(|(event, _)| event.packet.clone());
        resumed.earlier.iter().cloned().chain(here).collect()
    }

    /// Returns `true` if all events are kept that a client may have missed after this number.
    /// Events that were dropped in time are not missed: its answers to pings proved that while it
    /// was connected.
    pub(super) fn reaches_back_to(&self, offset: u64, options: RecoveryOptions) -> bool {
        let in_time = |at: Instant| at.elapsed() > options.window + options.silence;
        let early = self.early.filter(|(_, at)| !in_time(*at));
        offset <= self.latest.number && early.is_none_or(|(number, _)| offset >= number)
    }

    /// Returns the number of the event up to which a client has received all events, if it is a
    /// number of this node. It is that of the client's offset or, if the client has no event yet,
    /// that of the event after which it started. Earlier events were not for this client, whatever
    /// its offset.
    pub(super) fn offset(
        &mut self,
        pid: Id,
        named: Option<&str>,
        node: Option<&str>,
    ) -> Option<u64> {
        let entitled_from = match self.detached.get(&pid) {
            Some(gone) => gone.state.entitled_from.clone(),
            None => self.attached(pid)?.resume.as_ref()?.entitled_from(),
        };
        let number = number_on(named.unwrap_or(&entitled_from.text), node)?;
        Some(number.max(entitled_from.number))
    }

    /// Returns `true` if this node has the latest state for this private session id.
    pub(crate) fn holds(&self, pid: &str) -> bool {
        Id::parse(pid)
            .is_some_and(|pid| self.detached.contains_key(&pid) || self.attached.contains_key(&pid))
    }

    /// Returns `true` if the program has disconnected the socket with this private session id and
    /// it has not ended yet.
    pub(super) fn was_disconnected(&mut self, pid: Id) -> bool {
        self.attached(pid).is_some_and(|socket| socket.has_left())
    }

    /// Takes the state of a client, whether its disconnect was detected or not.
    pub(super) fn take(&mut self, pid: Id, options: RecoveryOptions) -> Option<Taken> {
        if let Some(detached) = self.take_detached(pid) {
            return Some(Taken {
                detached,
                superseded: None,
            });
        }
        let socket = self.attached(pid)?;
        if socket.has_left() {
            return None;
        }
        let resume = socket.resume.as_ref()?;
        let until = self.leave(resume, options)?;
        let detached = Detached::new(until, snapshot(&socket, resume));
        // Here, so that it is in one state only: no call, emit or disconnect of the program takes it
        // for connected. This sends nothing; its lists and its connection are left to the owner.
        socket.end(DisconnectReason::Session(CloseReason::Superseded));
        Some(Taken {
            detached,
            superseded: Some(Superseded(socket)),
        })
    }

    /// Keeps the state of a disconnected socket; the oldest ones are dropped to make room.
    pub(super) fn keep(&mut self, gone: Detached, options: RecoveryOptions) {
        let pid = gone.state.pid;
        self.deadlines.insert((gone.until, pid));
        self.detached_bytes += gone.size;
        if let Some(before) = self.detached.insert(pid, gone) {
            self.detached_bytes -= before.size;
            self.discard(before.state);
        }
        while self.detached_bytes > options.limit
            && let Some((_, pid)) = self.deadlines.pop_first()
        {
            if let Some(gone) = self.take_detached(pid) {
                self.discard(gone.state);
            }
        }
    }

    fn take_detached(&mut self, pid: Id) -> Option<Detached> {
        let gone = self.detached.remove(&pid)?;
        self.detached_bytes -= gone.size;
        self.deadlines.remove(&(gone.until, pid));
        Some(gone)
    }

    /// Returns the time at which the next one expires.
    pub(super) fn due(&self, options: RecoveryOptions) -> Option<Instant> {
        let event = self.events.front();
        let event = event.map(|event| event.at + options.window + options.silence + PRUNE_INTERVAL);
        let socket = self.deadlines.first().map(|(until, _)| *until);
        event.into_iter().chain(socket).min()
    }

    pub(super) fn forget(&mut self, now: Instant, options: RecoveryOptions) {
        let kept = options.window + options.silence;
        while let Some(oldest) = self.events.front()
            && (self.bytes > options.limit || now.duration_since(oldest.at) > kept)
        {
            if now.duration_since(oldest.at) <= kept {
                let number = self.latest.number + 1 - self.events.len() as u64;
                self.early = Some((number, oldest.at));
            }
            self.bytes -= oldest.size;
            self.events.pop_front();
        }
        if self.events.len() < self.events.capacity() / 4 && self.events.capacity() > MIN_CAPACITY {
            // After a burst: the capacity for its events would no longer be counted.
            self.events.shrink_to(self.events.len() * 2);
        }
        while let Some((until, pid)) = self.deadlines.first().copied()
            && until <= now
        {
            self.deadlines.pop_first();
            if let Some(gone) = self.take_detached(pid) {
                self.discard(gone.state);
            }
        }
    }
}

/// The minimal capacity of the list of events.
const MIN_CAPACITY: usize = 64;

/// Events of one such interval expire together.
const PRUNE_INTERVAL: Duration = Duration::from_millis(100);

impl LoggedEvent {
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

    /// Returns `true` if the event with this number was for a socket in these rooms.
    fn is_for(&self, state: &SocketSnapshot, rooms: &Rooms, number: u64) -> bool {
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

impl Detached {
    pub(super) fn new(until: Instant, state: SocketSnapshot) -> Self {
        let size = state.footprint();
        Self { until, state, size }
    }
}

impl SocketSnapshot {
    /// Returns its approximate memory in bytes, without the values that the program has attached to
    /// the socket.
    fn footprint(&self) -> usize {
        let points = [&self.entitled_from, &self.entered];
        let points = points.map(|point| point.text.len() + OVERHEAD);
        let rooms = self.rooms.iter();
        let rooms = rooms.map(|(room, since)| room.len() + since.text.len() + ROOM);
        STATE + points.iter().sum::<usize>() + rooms.sum::<usize>() + self.session.footprint()
    }
}

/// Returns the memory of a name in a list, in bytes.
fn footprint_of(name: &String) -> usize {
    size_of::<String>() + name.capacity() + OVERHEAD
}

/// The number of bytes of an allocation beside its content: the allocator's overhead, and counters.
const OVERHEAD: usize = 24;

/// The number of bytes of a disconnected socket beside its names and values: its entries in a map
/// and in a set, which are a third empty, and its session.
const STATE: usize = 2 * (size_of::<(Id, Detached)>() + size_of::<(Instant, Id)>()) + 256;

/// The number of bytes of a room beside its name: its entry in a map, and the text of a point.
const ROOM: usize = 2 * size_of::<(usize, Arc<str>, EventOffset, usize)>() + 2 * OVERHEAD;
