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
mod log;
mod point;

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use parking_lot::{Mutex, MutexGuard};
use serde::Deserialize;
use tokio::time::Instant;

use crate::cluster::Mark;
use crate::id::{Id, SocketId};
use crate::link::{Outgoing, Session};
use crate::socket::core::Core;
use crate::socket::locals::Locals;
use crate::socket::membership::Audience;
use crate::socket::recovery::log::{Gone, Logged};

pub(crate) use log::Log;
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
    /// The rooms that it is in; one that comes back has those that it had, before it is let into them.
    pub(crate) joined: Mutex<Rooms>,
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

    pub(crate) fn new(pid: Id, begun: Point, mut back: Option<Back>) -> Self {
        let rooms = back
            .as_mut()
            .map(|back| std::mem::take(&mut back.state.rooms));
        Self {
            pid,
            begun: Mutex::new(begun),
            moves: back.as_ref().map_or(0, |back| back.state.moves),
            joined: Mutex::new(rooms.unwrap_or_default()),
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
        let missed = log.missed(&back, &back.state.rooms);
        let bytes: usize = missed.iter().map(Outgoing::len).sum();
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
        begun: resume.begun.lock().text.as_ref().to_owned(),
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
        begun: resume.begun.lock().clone(),
        moves: resume.moves,
    }
}
