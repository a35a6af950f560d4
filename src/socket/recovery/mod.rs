//! Connection state recovery: the missed events of a client, and its previous state.
//!
//! A namespace with recovery numbers its events and keeps the latest. It also keeps the sockets
//! that were disconnected without a request. All numbered events are sent under one lock, so that
//! all clients receive them in order. An event carries its number as its last argument, and the
//! official client sends the last number as its offset when it reconnects. A volatile event is not
//! kept and carries the number of the previous event, so that its own last argument is never taken
//! for an offset. Nothing here sends.
//!
//! If the adapter stores records, a client may be recovered on another node. Then the offset also
//! contains the client's position in the events of the whole cluster, a [`ClusterOffset`].

mod already_received;
mod log;
mod offset;

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

use crate::data::{Session, SocketExtensions};
use crate::id::{Id, SocketId};
use crate::link::Outgoing;
use crate::socket::membership::Audience;
use crate::socket::recovery::log::{DeferredDrops, Detached, LoggedEvent};
use crate::socket::state::SocketState;

pub(crate) use log::{Log, Superseded};
use offset::number_on;
pub(crate) use offset::{EventOffset, EventSource, PersistedSocket, cluster_offset_of};

/// The limits of recovery.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecoveryOptions {
    /// The time for which a client may be disconnected.
    pub(crate) window: Duration,
    /// The time before that for which a broken connection may be undetected.
    pub(crate) silence: Duration,
    /// The number of bytes of events that a namespace keeps.
    pub(crate) limit: usize,
    /// The number of bytes of missed events that can be sent to a client at once.
    pub(crate) burst: usize,
    pub(crate) skips_middleware: bool,
}

/// The recovery state of a namespace.
#[derive(Debug)]
pub(crate) struct Recovery {
    options: RecoveryOptions,
    log: Mutex<Log>,
    /// Notified if there are entries that will expire.
    filled: Notify,
}

/// The rooms of a socket, and the event after which it joined each.
pub(crate) type Rooms = IndexMap<Arc<str>, EventOffset>;

/// The state of a recovered socket.
#[derive(Debug)]
pub(crate) struct SocketSnapshot {
    pub(crate) id: SocketId,
    pub(crate) pid: Id,
    pub(crate) rooms: Rooms,
    pub(crate) extensions: SocketExtensions,
    pub(crate) session: Session,
    /// The event up to which it misses nothing, whatever its offset: the one after which it started
    /// or, if it has been connected for long, a later one.
    pub(crate) entitled_from: EventOffset,
    /// The event after which it was listed; it receives all later events of its rooms.
    pub(crate) entered: EventOffset,
    /// The number of its moves to another node.
    pub(crate) moves: u64,
}

/// The recovery state of a socket, and the state with which it was recovered.
#[derive(Debug)]
pub(crate) struct RecoveryState {
    pub(crate) pid: Id,
    entitled_from: Mutex<EntitledFrom>,
    entered: Mutex<EventOffset>,
    moves: u64,
    /// Its rooms. A recovered socket has its previous rooms, before it joins them.
    pub(crate) joined: Mutex<Rooms>,
    pub(crate) resumed: Option<Resumed>,
    stage: Mutex<ResumeStage>,
}

/// The event from which a socket may miss events.
#[derive(Debug)]
struct EntitledFrom {
    point: EventOffset,
    /// A later event, and the time when it was the latest.
    next: Option<(Instant, EventOffset)>,
}

/// The stages of a socket with recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ResumeStage {
    Connecting,
    Attached,
    /// Its state is kept, dropped or taken by another socket.
    Detached,
}

/// A recovered socket: its previous state, and the number from which it missed events.
#[derive(Debug)]
pub(crate) struct Resumed {
    pub(crate) offset: u64,
    /// The time until which it may try again, if it disconnects before it is accepted.
    pub(crate) until: Instant,
    /// The events that it missed on other nodes, before those of this one.
    pub(crate) earlier: Vec<Outgoing>,
    pub(crate) state: SocketSnapshot,
    pub(crate) skips_middleware: bool,
}

impl RecoveryState {
    fn new(pid: Id, entitled_from: EventOffset, mut resumed: Option<Resumed>) -> Self {
        let rooms = resumed
            .as_mut()
            .map(|resumed| std::mem::take(&mut resumed.state.rooms));
        let entered = resumed
            .as_ref()
            .map(|resumed| resumed.state.entered.clone());
        Self {
            pid,
            entitled_from: Mutex::new(EntitledFrom {
                point: entitled_from,
                next: None,
            }),
            entered: Mutex::new(entered.unwrap_or_default()),
            moves: resumed.as_ref().map_or(0, |resumed| resumed.state.moves),
            joined: Mutex::new(rooms.unwrap_or_default()),
            resumed,
            stage: Mutex::new(ResumeStage::Connecting),
        }
    }

    /// Records the event after which the socket was listed. A recovered socket instead receives the
    /// missed events from its offset on.
    pub(crate) fn appears(&self, latest: &EventOffset) {
        if self.resumed.is_none() {
            *self.entered.lock() = latest.clone();
        }
    }

    fn entitled_from(&self) -> EventOffset {
        self.entitled_from.lock().point.clone()
    }

    /// Records that the client is connected. Its answers to pings prove that, and that it has
    /// received all events sent before its silence would have been detected.
    pub(crate) fn is_here(&self, now: Instant, silence: Duration, latest: &EventOffset) {
        let mut entitled_from = self.entitled_from.lock();
        match &entitled_from.next {
            Some((at, _)) if now.duration_since(*at) < silence => return,
            Some((_, point)) => entitled_from.point = point.clone(),
            None => {}
        }
        entitled_from.next = Some((now, latest.clone()));
    }

    /// Records that the client has received all events up to this one.
    pub(crate) fn has_all(&self, latest: &EventOffset) {
        *self.entitled_from.lock() = EntitledFrom {
            point: latest.clone(),
            next: None,
        };
    }

    /// Returns `true` if its state is kept, dropped or taken by another socket.
    pub(crate) fn is_detached(&self) -> bool {
        *self.stage.lock() == ResumeStage::Detached
    }

    /// Returns `true` if its client knows the private session id.
    fn is_known(&self) -> bool {
        self.resumed.is_some() || *self.stage.lock() == ResumeStage::Attached
    }
}

/// The request for recovery in a client's CONNECT.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ResumeRequest {
    pub(crate) pid: String,
    pub(crate) offset: Option<String>,
}

/// The result of the search for a client's state.
#[derive(Debug, Default)]
pub(crate) struct ResumeMatch {
    /// `None` if the client starts a new session.
    pub(crate) start: Option<StartFrom>,
    /// The socket from which the state was taken, if the client's disconnect was not detected.
    pub(crate) superseded: Option<Superseded>,
}

/// The result of a socket's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DetachOutcome {
    Kept,
    Forgotten,
}

/// The way in which a socket starts.
#[derive(Debug)]
pub(crate) enum StartFrom {
    /// With its recovery state, new or restored.
    Memory(Box<RecoveryState>),
    /// With a request to the cluster first.
    Cluster(ResumeRequest),
}

impl Recovery {
    /// `own` is the latest number of this node's own events that may be in use: an earlier
    /// namespace may have had the same name.
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

    /// Returns a CONNECT payload for the program: without `pid` and `offset`, which the official
    /// client adds for recovery. They belong to the protocol.
    pub(crate) fn without_claim(auth: &str) -> Cow<'_, str> {
        if serde_json::from_str::<ResumeRequest>(auth).is_err() {
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

    pub(crate) fn lock(&self) -> LogGuard<'_> {
        LogGuard {
            log: self.log.lock(),
            deferred: Vec::new(),
        }
    }

    pub(crate) fn options(&self) -> RecoveryOptions {
        self.options
    }

    /// Finds the state that a client requests by its payload, and takes it, so that no other client
    /// gets it. It is returned if this node was the client's when it received its last event, and
    /// if all events that it missed since are kept. `node` is the name of this node, if its adapter
    /// stores records.
    pub(crate) fn find(&self, auth: Option<&str>, node: Option<&str>) -> ResumeMatch {
        let request = auth.and_then(|auth| serde_json::from_str::<ResumeRequest>(auth).ok());
        let known = request.and_then(|request| Some((Id::parse(&request.pid)?, request)));
        let Some((pid, request)) = known else {
            return ResumeMatch::default();
        };
        let mut log = self.lock();
        log.forget(Instant::now(), self.options);
        let offset = log.offset(pid, request.offset.as_deref(), node);
        let offset = offset.filter(|offset| log.reaches_back_to(*offset, self.options));
        if offset.is_none() && node.is_some() && !log.was_disconnected(pid) {
            // This node has no state of it in memory; another node may have it.
            return ResumeMatch {
                start: Some(StartFrom::Cluster(request)),
                superseded: None,
            };
        }
        let Some(taken) = log.take(pid, self.options) else {
            return ResumeMatch::default();
        };
        let resumed = self.resumed(&mut log, taken.detached, offset);
        ResumeMatch {
            start: resumed.map(|resumed| StartFrom::Memory(Self::resume(resumed))),
            superseded: taken.superseded,
        }
    }

    /// Returns a client's state with its missed events, or drops it if they are not all kept.
    fn resumed(&self, log: &mut Log, detached: Detached, offset: Option<u64>) -> Option<Resumed> {
        let Detached { until, state, .. } = detached;
        let Some(offset) = offset else {
            log.discard(state);
            return None;
        };
        let resumed = Resumed {
            offset,
            until,
            earlier: Vec::new(),
            state,
            skips_middleware: self.options.skips_middleware,
        };
        if self.missed(log, &resumed, &resumed.state.rooms).is_none() {
            log.discard(resumed.state);
            return None;
        }
        Some(resumed)
    }

    /// Returns the recovery state of a new client. Its connect handler may send events to it before
    /// it is accepted.
    pub(crate) fn fresh(entitled_from: &EventOffset) -> Box<RecoveryState> {
        Box::new(RecoveryState::new(
            Id::random(),
            entitled_from.clone(),
            None,
        ))
    }

    pub(crate) fn resume(resumed: Resumed) -> Box<RecoveryState> {
        let (pid, entitled_from) = (resumed.state.pid, resumed.state.entitled_from.clone());
        Box::new(RecoveryState::new(pid, entitled_from, Some(resumed)))
    }

    /// Returns the missed events of a client in these rooms; `None` if some are no longer kept, or
    /// if there are too many.
    pub(crate) fn missed(
        &self,
        log: &Log,
        resumed: &Resumed,
        rooms: &Rooms,
    ) -> Option<Vec<Outgoing>> {
        if !log.reaches_back_to(resumed.offset, self.options) {
            return None;
        }
        let missed = log.missed(resumed, rooms);
        let bytes: usize = missed.iter().map(Outgoing::len).sum();
        (bytes <= self.options.burst).then_some(missed)
    }

    /// Handles the end of a socket: its state is kept if it may be recovered, and dropped
    /// otherwise. Returns `None` if that was done already, or if the private session id belongs to
    /// another socket now.
    pub(crate) fn detach(
        &self,
        log: &mut Log,
        socket: &SocketState,
        resume: &RecoveryState,
        may: bool,
    ) -> Option<DetachOutcome> {
        let is_known = resume.is_known();
        let until = log.leave(resume, self.options)?;
        if !is_known {
            log.received.forget(socket.id);
            return None;
        }
        if !may {
            log.received.forget(socket.id);
            return Some(DetachOutcome::Forgotten);
        }
        log.forget(Instant::now(), self.options);
        log.keep(Detached::new(until, snapshot(socket, resume)), self.options);
        self.filled.notify_one();
        Some(DetachOutcome::Kept)
    }

    /// Drops expired events and states, while it is polled. While nothing is kept it waits without
    /// a timer.
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
            .map(|socket| vec![socket.id.as_str().to_owned()]);
        let sender = audience.sender.map(|sender| sender.id.as_str().to_owned());
        let mut except = Vec::with_capacity(audience.except.len() + usize::from(sender.is_some()));
        except.extend(audience.except.iter().cloned());
        except.extend(sender);
        let rooms = alone.or_else(|| audience.rooms.clone());
        let logged = LoggedEvent::new(now, rooms, except, packet.clone());
        log.bytes += logged.size;
        log.events.push_back(logged);
        log.forget(now, self.options);
        self.filled.notify_one();
    }
}

/// The locked recovery state of a namespace. Values whose `Drop` may run code of the program, such
/// as those attached to a socket, are dropped after the lock is released.
pub(crate) struct LogGuard<'a> {
    log: MutexGuard<'a, Log>,
    /// After the guard, and so dropped after it.
    deferred: Vec<DeferredDrops>,
}

impl Deref for LogGuard<'_> {
    type Target = Log;

    fn deref(&self) -> &Log {
        &self.log
    }
}

impl DerefMut for LogGuard<'_> {
    fn deref_mut(&mut self) -> &mut Log {
        &mut self.log
    }
}

impl Drop for LogGuard<'_> {
    fn drop(&mut self) {
        self.deferred = std::mem::take(&mut self.log.deferred);
    }
}

/// Returns the record of a socket for another node.
pub(crate) fn persisted(
    socket: &SocketState,
    resume: &RecoveryState,
    log: &Log,
) -> PersistedSocket {
    let joined = resume.joined.lock();
    let rooms = joined.iter();
    PersistedSocket {
        sid: socket.id.as_str().to_owned(),
        pid: resume.pid.as_str().to_owned(),
        namespace: socket.namespace.as_ref().to_owned(),
        rooms: rooms
            .map(|(room, since)| (room.as_ref().to_owned(), since.text.as_ref().to_owned()))
            .collect(),
        data: socket.session().entries(),
        entitled_from: resume.entitled_from.lock().point.text.as_ref().to_owned(),
        entered: resume.entered.lock().text.as_ref().to_owned(),
        received: log.received(socket.id),
        moves: resume.moves,
    }
}

fn snapshot(socket: &SocketState, resume: &RecoveryState) -> SocketSnapshot {
    SocketSnapshot {
        id: socket.id,
        pid: resume.pid,
        rooms: resume.joined.lock().clone(),
        extensions: socket.extensions.share(),
        session: socket.session().clone(),
        entitled_from: resume.entitled_from(),
        entered: resume.entered.lock().clone(),
        moves: resume.moves,
    }
}
