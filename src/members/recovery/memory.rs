//! The recovery of a namespace: the log under its lock, and the decisions about clients.
//!
//! The request of a client enters, and its state leaves. Nothing here sends, and nothing here ends
//! a socket.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::Weak;

use parking_lot::{Mutex, MutexGuard};
use serde_json::value::RawValue;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::clock::wall;
use crate::id::Id;
use crate::link::Outgoing;
use crate::members::audience::Audience;
use crate::members::recovery::log::{DeferredDrops, Detached, Log, LoggedEvent, Superseded};
use crate::members::recovery::offset::EventOffset;
use crate::members::recovery::record::snapshot;
use crate::members::recovery::state::{
    RecoveryOptions, RecoveryState, ResumeRequest, Resumed, Rooms, StartFrom,
};
use crate::members::socket::SocketState;

/// The recovery state of a namespace.
#[derive(Debug)]
pub(crate) struct Recovery {
    options: RecoveryOptions,
    log: Mutex<Log>,
    /// Notified if there are entries that will expire.
    filled: Notify,
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
    pub(crate) fn without_request(auth: &str) -> Cow<'_, str> {
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
            deferred: DeferredDrops::default(),
        }
    }

    /// Returns the connected sockets, without keeping them.
    pub(crate) fn attached(&self) -> Vec<Weak<SocketState>> {
        self.log.lock().attached.values().cloned().collect()
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

    /// Returns a client's state with its missed events, or drops it if they are not all kept or if
    /// its login has ended.
    fn resumed(&self, log: &mut Log, detached: Detached, offset: Option<u64>) -> Option<Resumed> {
        let Detached { until, state, .. } = detached;
        let Some(offset) = offset.filter(|_| !state.login.has_expired(wall())) else {
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
            log.received.forget(&socket.id);
            return None;
        }
        if !may {
            log.received.forget(&socket.id);
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
        let sender = audience
            .sender
            .as_ref()
            .map(|sender| sender.id.as_str().to_owned());
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
    deferred: DeferredDrops,
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
