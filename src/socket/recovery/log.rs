//! What a namespace has sent of late, and who has gone and may come back.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};

use tokio::time::Instant;

use crate::cluster::{EntryId, Mark};
use crate::id::{Id, SocketId};
use crate::link::Outgoing;
use crate::socket::core::Core;
use crate::socket::membership::Audience;
use crate::socket::recovery::late::Late;
use crate::socket::recovery::{
    Back, Origin, Point, RecoveryOptions, Resume, Rooms, State, state_of,
};

/// What was sent, and who has gone.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// The latest event.
    pub(super) point: Point,
    /// The latest entry of the cluster's stream that was sent here, and this node's own latest number.
    pub(super) entry: EntryId,
    pub(super) own: u64,
    /// The latest number of each other node's own events.
    pub(super) heard: HashMap<String, u64>,
    pub(super) late: Late,
    /// The latest ones, without gaps.
    pub(super) events: VecDeque<Logged>,
    pub(super) bytes: usize,
    /// The latest that was let go before its time, for its bytes: its number, and when it was sent.
    pub(super) early: Option<(u64, Instant)>,
    /// Sockets that have ended and may come back, by their secret.
    pub(super) gone: HashMap<Id, Gone>,
    /// When they may not any more, in that order.
    pub(super) leaving: VecDeque<(Instant, Id)>,
    /// Sockets that are here, and may come back before anybody has noticed that they went.
    pub(super) here: HashMap<Id, Weak<Core>>,
}

#[derive(Debug)]
pub(super) struct Logged {
    pub(super) at: Instant,
    pub(super) rooms: Option<Vec<String>>,
    pub(super) except: Vec<String>,
    pub(super) packet: Outgoing,
}

#[derive(Debug)]
pub(super) struct Gone {
    pub(super) until: Instant,
    pub(super) state: State,
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

    /// Returns what a socket has missed that is in these rooms.
    pub(crate) fn missed(&self, back: &Back, rooms: &Rooms) -> Vec<Outgoing> {
        let first = self.point.number + 1 - self.events.len() as u64;
        let numbered = self.events.iter().zip(first..);
        let after = numbered.filter(|(_, number)| *number > back.offset);
        let meant = after.filter(|(event, number)| event.is_for(back.state.id, rooms, *number));
        let here = meant.map(|(event, _)| event.packet.clone());
        back.earlier.iter().cloned().chain(here).collect()
    }

    /// Tells whether everything is there that a client may have missed after this number. What was let
    /// go in its time it did not miss: its answers to pings said so while it was here.
    pub(super) fn reaches_back_to(&self, offset: u64, options: RecoveryOptions) -> bool {
        let in_time = |at: Instant| at.elapsed() > options.window + options.silence;
        let early = self.early.filter(|(_, at)| !in_time(*at));
        offset <= self.point.number && early.is_none_or(|(number, _)| offset >= number)
    }

    /// Ends a socket whose client is back before its connection was known to be dead.
    pub(super) fn supersede(&mut self, pid: Id) -> Option<State> {
        let core = self.here.remove(&pid)?.upgrade()?;
        let resume = core.resume.as_ref()?;
        *resume.superseded.lock() = true;
        let state = state_of(&core, resume);
        core.supersede();
        Some(state)
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
    fn is_for(&self, id: SocketId, rooms: &Rooms, number: u64) -> bool {
        let is_in = |room: &String| {
            let since = rooms.get(room.as_str());
            room == id.as_str() || since.is_some_and(|since| since.number < number)
        };
        let meant = self
            .rooms
            .as_ref()
            .is_none_or(|rooms| rooms.iter().any(is_in));
        meant && !self.except.iter().any(is_in)
    }
}
