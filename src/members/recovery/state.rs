//! The recovery state of one socket, and the values with which a socket starts again.
//!
//! The state is shared by the socket and by the log of its namespace, which changes it under its
//! lock. No log and no socket is known here.

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::time::Instant;

use crate::data::{Session, SocketExtensions};
use crate::id::{Id, SocketId};
use crate::link::Outgoing;
use crate::members::login::LoginTimes;
use crate::members::recovery::offset::EventOffset;

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
    /// The times of its login.
    pub(crate) login: LoginTimes,
}

/// The recovery state of a socket, and the state with which it was recovered.
#[derive(Debug)]
pub(crate) struct RecoveryState {
    pub(crate) pid: Id,
    pub(super) entitled_from: Mutex<EntitledFrom>,
    pub(super) entered: Mutex<EventOffset>,
    pub(crate) moves: u64,
    /// Its rooms. A recovered socket has its previous rooms, before it joins them.
    pub(crate) joined: Mutex<Rooms>,
    pub(crate) resumed: Option<Resumed>,
    pub(super) stage: Mutex<ResumeStage>,
}

/// The event from which a socket may miss events.
#[derive(Debug)]
pub(super) struct EntitledFrom {
    offset: EventOffset,
    /// A later event, and the time when it was the latest.
    next: Option<(Instant, EventOffset)>,
}

/// The stages of a socket with recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResumeStage {
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

/// The way in which a socket starts.
#[derive(Debug)]
pub(crate) enum StartFrom {
    /// With its recovery state, new or restored.
    Memory(Box<RecoveryState>),
    /// With a request to the cluster first.
    Cluster(ResumeRequest),
}

/// The request for recovery in a client's CONNECT.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ResumeRequest {
    pub(crate) pid: String,
    pub(crate) offset: Option<String>,
}

impl RecoveryState {
    pub(super) fn new(pid: Id, entitled_from: EventOffset, mut resumed: Option<Resumed>) -> Self {
        let rooms = resumed
            .as_mut()
            .map(|resumed| std::mem::take(&mut resumed.state.rooms));
        let entered = resumed
            .as_ref()
            .map(|resumed| resumed.state.entered.clone());
        Self {
            pid,
            entitled_from: Mutex::new(EntitledFrom {
                offset: entitled_from,
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

    pub(super) fn entitled_from(&self) -> EventOffset {
        self.entitled_from.lock().offset.clone()
    }

    /// Records that the client is connected. Its answers to pings prove that, and that it has
    /// received all events sent before its silence would have been detected.
    pub(crate) fn is_here(&self, now: Instant, silence: Duration, latest: &EventOffset) {
        let mut entitled_from = self.entitled_from.lock();
        match &entitled_from.next {
            Some((at, _)) if now.duration_since(*at) < silence => return,
            Some((_, offset)) => entitled_from.offset = offset.clone(),
            None => {}
        }
        entitled_from.next = Some((now, latest.clone()));
    }

    /// Records that the client has received all events up to this one.
    pub(crate) fn has_all(&self, latest: &EventOffset) {
        *self.entitled_from.lock() = EntitledFrom {
            offset: latest.clone(),
            next: None,
        };
    }

    /// Returns `true` if its state is kept, dropped or taken by another socket.
    pub(crate) fn is_detached(&self) -> bool {
        *self.stage.lock() == ResumeStage::Detached
    }

    /// Returns `true` if its client knows the private session id.
    pub(super) fn is_known(&self) -> bool {
        self.resumed.is_some() || *self.stage.lock() == ResumeStage::Attached
    }
}
