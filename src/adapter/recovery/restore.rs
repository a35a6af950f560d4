//! Clients that reconnect to this node and were connected to another.
//!
//! The previous node stored the socket's state; the stream holds the events. Events up to this
//! node's read position are replayed from the stream, or from the last events that this node has
//! read from it. Later events are in this node's own log by the time the socket connects.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use log::Level;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep, timeout};

use crate::adapter::broker::{Broker, BrokerError, EventLog, RecordStore, TakenRecord};
use crate::adapter::context::NodeContext;
use crate::adapter::format::Format;
use crate::adapter::positions::Positions;
use crate::adapter::recovery::record::from_text;
use crate::adapter::recovery::replay::{Replay, ReplaySource};
use crate::adapter::sending::{Outbound, Queue};
use crate::clock::wall;
use crate::cluster::{ClusterOffset, EntryId, Message, Scope};
use crate::data::{Session, SocketExtensions};
use crate::id::{Id, SocketId};
use crate::link::Outgoing;
use crate::logging::{LogKind, LogLimits};
use crate::members::{
    EventOffset, Membership, PersistedSocket, Recovery, ResumeRequest, Resumed, SocketSnapshot,
    cluster_offset_of,
};

/// Restores sockets from the records of other nodes.
#[derive(Debug)]
pub(crate) struct Restorer {
    format: Arc<dyn Format>,
    broker: Arc<dyn Broker>,
    queue: Arc<Queue>,
    outbound: Arc<Outbound>,
    positions: Arc<Positions>,
    /// Limits the number of clients for which the broker's log is read at the same time.
    turns: Semaphore,
    line_limits: Arc<LogLimits>,
}

impl Restorer {
    pub(crate) fn new(
        context: &NodeContext,
        queue: &Arc<Queue>,
        outbound: &Arc<Outbound>,
        positions: &Arc<Positions>,
    ) -> Arc<Self> {
        Arc::new(Self {
            format: Arc::clone(&context.format),
            broker: Arc::clone(&context.broker),
            queue: Arc::clone(queue),
            outbound: Arc::clone(outbound),
            positions: Arc::clone(positions),
            turns: Semaphore::new(REPLAYS),
            line_limits: Arc::clone(&context.line_limits),
        })
    }

    /// Finds the state and the missed events of a client; `None` if it starts a new session. The
    /// caller limits the time, and stores a state again that is found too late.
    pub(crate) async fn run(
        &self,
        membership: Arc<Membership>,
        request: ResumeRequest,
    ) -> Option<Resumed> {
        let (Some(records), Some(log)) = (self.broker.records(), self.broker.log()) else {
            return None;
        };
        let arrive = self.arrive(records, &membership, &request);
        let Ok(arrived) = timeout(ARRIVAL_LIMIT, arrive).await else {
            self.not_recovered(
                &"the broker is unreachable, or this node has not read up to the offset",
            );
            return None;
        };
        // Before the record is removed: nothing is done for a client that has waited too long.
        let _turn = self.turn(&membership, arrived?).await?;
        let resumed = self.restore(records, log, &membership, &request).await;
        resumed.unwrap_or_else(|error| {
            self.not_recovered(&error);
            None
        })
    }

    /// Waits for a turn, if the events after this entry must be read from the broker's log; `None`
    /// if that takes too long.
    async fn turn(&self, membership: &Membership, entry: EntryId) -> Option<Turn<'_>> {
        let stream = self.format.stream(membership.name())?;
        if self.positions.has_events_after(&stream, entry) {
            return Some(Turn { _permit: None });
        }
        let Ok(permit) = timeout(TURN_LIMIT, self.turns.acquire()).await else {
            self.not_recovered(&"too many clients are being recovered at the same time");
            return None;
        };
        Some(Turn {
            _permit: Some(permit.ok()?),
        })
    }

    /// Every client that reconnects may cause this line.
    fn not_recovered(&self, cause: &dyn fmt::Display) {
        let line = format_args!("client not recovered, it starts a new session: {cause}");
        self.line_limits
            .write(LogKind::NotRecovered, Level::Warn, line);
    }

    /// Waits until the broker is reachable and this node's read position has passed the client's
    /// offset; otherwise the client would receive events twice. Returns the offset's entry, or
    /// `None` if nothing is stored for the client. Waits although the broker may be down, because
    /// an outage is when clients change nodes.
    async fn arrive(
        &self,
        records: &dyn RecordStore,
        membership: &Membership,
        request: &ResumeRequest,
    ) -> Option<EntryId> {
        let is_held = |recovery: &Recovery| recovery.lock().holds(&request.pid);
        if membership.recovery.as_ref().is_some_and(is_held) {
            // The client was here last, and its record may still be in this node's queue.
            self.queue.written(&key(&request.pid)).await;
        }
        // From the first answer of the broker on.
        let mut deadline = None;
        loop {
            if self.broker.is_connected() {
                match look(records, membership.name(), &request.pid).await {
                    // A client that reconnects at once is faster than the record of its last node.
                    Ok(None) if !has_passed(&mut deadline, RECORD_LIMIT) => {}
                    Ok(persisted) => {
                        let entry = ReplayStart::of(request, &persisted?)?.entry();
                        self.read_up_to(membership, entry).await;
                        return Some(entry);
                    }
                    Err(error) => {
                        log::debug!("record of a client cannot be read, retrying: {error}");
                    }
                }
            }
            sleep(LOOK).await;
        }
    }

    /// Waits until this node has read an entry.
    async fn read_up_to(&self, membership: &Membership, entry: EntryId) {
        while membership.position().map(|(_, at)| at) < Some(entry) {
            sleep(LOOK).await;
        }
    }

    async fn restore(
        &self,
        records: &dyn RecordStore,
        log: &dyn EventLog,
        membership: &Arc<Membership>,
        request: &ResumeRequest,
    ) -> Result<Option<Resumed>, BrokerError> {
        // The record is removed, so that no other node gets it.
        let Some(recovery) = &membership.recovery else {
            return Ok(None);
        };
        let taken = records.take(key(&request.pid), recovery.options().window);
        let Some(persisted) = taken.await?.as_ref().and_then(persisted_by) else {
            return Ok(None);
        };
        let parsed = (persisted.sid.parse::<SocketId>(), Id::parse(&persisted.pid));
        let (Some(start), (Ok(id), Some(pid))) = (ReplayStart::of(request, &persisted), parsed)
        else {
            return Ok(None);
        };
        // The record may be a later one than that of the arrival.
        let read = self.read_up_to(membership, start.entry());
        if timeout(ARRIVAL_LIMIT, read).await.is_err() {
            self.not_recovered(&"this node has not read up to the offset");
            return Ok(None);
        }
        self.say_moved(membership, &persisted);
        let before = membership.take_moved(&id, persisted.moves + 1);
        if persisted.login.has_expired(wall()) {
            return Ok(None);
        }
        // From here on this node's own log has all events, except those that the client has
        // received elsewhere.
        let expecting = Expecting {
            recovery,
            id: id.clone(),
        };
        let here = {
            let mut log = recovery.lock();
            log.record_received(id.clone(), start.got(self.format.uid(), &persisted));
            log.latest(membership.position()).clone()
        };
        let missed = self.missed(log, membership, &persisted, start, &here).await;
        let Some(earlier) = missed? else {
            return Ok(None);
        };
        expecting.restored();
        let extensions = before.map(|state| state.extensions).unwrap_or_default();
        Ok(Some(Resumed {
            earlier,
            ..back_with(recovery, &persisted, id, pid, extensions, &here)
        }))
    }

    /// Returns the events that the client missed on other nodes; `None` if some no longer exist, or
    /// if there are too many.
    async fn missed(
        &self,
        log: &dyn EventLog,
        membership: &Membership,
        persisted: &PersistedSocket,
        start: ReplayStart,
        here: &EventOffset,
    ) -> Result<Option<Vec<Outgoing>>, BrokerError> {
        let (Some(recovery), Some(stream), Some(now)) = (
            &membership.recovery,
            self.format.stream(membership.name()),
            here.cluster_offset(),
        ) else {
            return Ok(None);
        };
        // Then the stream has this node's own events so far.
        if timeout(FLUSH_LIMIT, self.queue.flushed()).await.is_err() {
            self.not_recovered(&"this node did not publish its own events in time");
            return Ok(None);
        }
        let replay = Replay {
            membership,
            persisted,
            own: self.format.uid(),
            offset: start.offset,
            entitled_from: &start.entitled_from,
            now: &now,
            limit: recovery.options().burst,
            seen: HashMap::new(),
            packets: Vec::new(),
            bytes: 0,
        };
        let source = ReplaySource {
            stream: &stream,
            log,
            positions: &self.positions,
        };
        replay.read(source).await
    }

    /// Notifies the client's previous node, which may not know that it has disconnected.
    fn say_moved(&self, membership: &Membership, persisted: &PersistedSocket) {
        let message = Message::Disconnect {
            scope: Scope {
                rooms: vec![persisted.sid.clone()],
                except: vec![MOVED.to_owned(), (persisted.moves + 1).to_string()],
            },
            close: true,
        };
        if let Err(error) = self.outbound.tell(membership.name(), &message) {
            let line =
                format_args!("client recovered, but its previous node is not notified: {error}");
            self.line_limits
                .write(LogKind::NotRecovered, Level::Warn, line);
        }
    }
}

/// The right to read the events of one client.
struct Turn<'r> {
    /// `None` if the events are still in this node's memory.
    _permit: Option<SemaphorePermit<'r>>,
}

/// A socket that this node's log expects, until the restoration fails or succeeds.
struct Expecting<'r> {
    recovery: &'r Recovery,
    id: SocketId,
}

impl Expecting<'_> {
    fn restored(self) {
        std::mem::forget(self);
    }
}

impl Drop for Expecting<'_> {
    fn drop(&mut self) {
        self.recovery.lock().forget_received(&self.id);
    }
}

/// The start of the replay for a client.
struct ReplayStart {
    /// The client's offset, or the point from which it may receive events if it sent none.
    offset: ClusterOffset,
    /// The point from which it may receive events.
    entitled_from: ClusterOffset,
}

impl ReplayStart {
    /// `None` if neither the client nor the record has one.
    fn of(request: &ResumeRequest, persisted: &PersistedSocket) -> Option<Self> {
        let entitled_from = cluster_offset_of(&persisted.entitled_from);
        let offset = match &request.offset {
            Some(text) => cluster_offset_of(text)?,
            None => entitled_from.clone()?,
        };
        Some(Self {
            offset,
            entitled_from: entitled_from.unwrap_or_default(),
        })
    }

    /// Returns the entry up to which the client has received all events.
    fn entry(&self) -> EntryId {
        self.offset.entry.max(self.entitled_from.entry)
    }

    /// Returns the last event of each other node that the client has received, on any node.
    fn got(&self, own: &str, persisted: &PersistedSocket) -> Vec<(String, u64)> {
        let mut got = persisted.received.clone();
        for offset in [&self.entitled_from, &self.offset] {
            match got.iter_mut().find(|(name, _)| *name == offset.node) {
                Some((_, last)) => *last = offset.own.max(*last),
                None => got.push((offset.node.clone(), offset.own)),
            }
        }
        got.retain(|(name, last)| *last > 0 && !name.is_empty() && name != own);
        // A client has been on few nodes; one that invents some causes no more cost.
        got.drain(..got.len().saturating_sub(MAX_NODES));
        got
    }
}

/// Returns `true` if a deadline has passed, which begins at the first call.
fn has_passed(deadline: &mut Option<Instant>, limit: Duration) -> bool {
    let now = Instant::now();
    now >= *deadline.get_or_insert(now + limit)
}

/// Returns the record of a client in this namespace. A session stored for another namespace is not
/// accepted: its middleware may be different.
async fn look(
    records: &dyn RecordStore,
    namespace: &str,
    pid: &str,
) -> Result<Option<PersistedSocket>, BrokerError> {
    let text = records.get(key(pid)).await?;
    let persisted = text.and_then(|text| from_text(&text));
    Ok(persisted
        .filter(|persisted| persisted.namespace.is_empty() || persisted.namespace == namespace))
}

/// Returns the content of a record that was taken. Other kinds of servers write no number of moves.
fn persisted_by(taken: &TakenRecord) -> Option<PersistedSocket> {
    let mut persisted = from_text(&taken.value)?;
    persisted.moves = persisted.moves.max(taken.moves.saturating_sub(1));
    Some(persisted)
}

fn back_with(
    recovery: &Recovery,
    persisted: &PersistedSocket,
    id: SocketId,
    pid: Id,
    extensions: SocketExtensions,
    here: &EventOffset,
) -> Resumed {
    let point = |text: &str| EventOffset {
        number: here.number,
        text: text.into(),
    };
    let rooms = persisted.rooms.iter();
    Resumed {
        offset: here.number,
        until: Instant::now() + recovery.options().window,
        earlier: Vec::new(),
        state: SocketSnapshot {
            id,
            pid,
            rooms: rooms
                .map(|(room, since)| (room.as_str().into(), point(since)))
                .collect(),
            extensions,
            session: Session::of(persisted.data.clone()),
            entitled_from: point(&persisted.entitled_from),
            entered: point(&persisted.entered),
            moves: persisted.moves + 1,
            login: persisted.login,
        },
        // Other kinds of servers do not store the namespace whose middleware it has passed.
        skips_middleware: recovery.options().skips_middleware && !persisted.namespace.is_empty(),
    }
}

/// Returns the key of a client's record, as in the reference.
pub(crate) fn key(pid: &str) -> String {
    format!("sio:session:{pid}")
}

/// The first exception of a message that disconnects sockets because their clients have moved.
pub(crate) const MOVED: &str = "actix-socketio:moved";

/// The time limit of a client for the broker and its record, and the interval of the checks.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(20);

/// The number of clients for which a stream is read at the same time, and the time limit for a
/// turn.
const REPLAYS: usize = 8;
const TURN_LIMIT: Duration = Duration::from_secs(10);

/// The time limit for the record of another node.
const RECORD_LIMIT: Duration = Duration::from_millis(200);

/// The time limit for writing this node's queue.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// The number of nodes whose last event at a client is kept.
const MAX_NODES: usize = 16;
