//! The snapshots of rooms: when an actor is saved, and how it is written and read.
//!
//! The program's options enter; the task in the actor asks for the time of the next snapshot. The
//! bytes of a snapshot are JSON. The store is the program's choice, and is not known here.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::rooms::actor::RoomActor;
use crate::rooms::store::RoomStore;

/// A room's actor whose state survives: its snapshot is kept in a store, and the next actor of the
/// room starts with it, after a panic, after the last leave, and after a restart of the program.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use actix::{Actor, Context};
/// use actix_socketio::{Data, MemoryRoomStore, RoomActor, SaveOptions, SavedRoom, SocketIo};
///
/// #[derive(Default)]
/// struct Counter { count: u64 }
///
/// impl Counter {
///     fn add(&mut self, Data(number): Data<u64>, _: &mut Context<Self>) -> u64 {
///         self.count += number;
///         self.count
///     }
/// }
///
/// impl Actor for Counter {
///     type Context = Context<Self>;
/// }
///
/// impl RoomActor for Counter {}
///
/// impl SavedRoom for Counter {
///     type Snapshot = u64;
///
///     fn save(&self) -> u64 {
///         self.count
///     }
///
///     fn restore(&mut self, count: u64) {
///         self.count = count;
///     }
/// }
///
/// fn register(io: &SocketIo) -> Result<(), actix_socketio::PatternError> {
///     let options = SaveOptions::new(MemoryRoomStore::new()).on_change(Duration::from_secs(1));
///     io.of("/")
///         .room_actor("counter:{id}", |_| Counter::default())?
///         .saved(options)
///         .on("add", Counter::add);
///     Ok(())
/// }
/// ```
pub trait SavedRoom: RoomActor {
    /// The state of the room, as JSON can write and read it.
    type Snapshot: Serialize + DeserializeOwned;

    /// Returns the state.
    fn save(&self) -> Self::Snapshot;

    /// Takes over the state of the previous actor. Called behind the factory, and before
    /// [`started`](actix::Actor::started).
    fn restore(&mut self, snapshot: Self::Snapshot);
}

/// The times at which the actor of a room is saved, and the store.
///
/// An actor is always saved after its last member has left and before it ends. Without more it is
/// saved on demand by [`RoomContext::save`](crate::RoomContext::save). A snapshot that equals the
/// previous one is not written.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use actix_socketio::{DirectoryRoomStore, SaveOptions};
///
/// let store = DirectoryRoomStore::new("/var/lib/games").sync(true);
/// let options = SaveOptions::new(store).every(Duration::from_secs(10));
/// ```
#[derive(Clone)]
pub struct SaveOptions {
    pub(super) store: Arc<dyn RoomStore>,
    pub(super) schedule: SaveSchedule,
}

impl SaveOptions {
    /// Saves to this store.
    pub fn new(store: impl RoomStore) -> Self {
        Self {
            store: Arc::new(store),
            schedule: SaveSchedule::default(),
        }
    }

    /// Saves after the actor has handled something, at most once in this time.
    #[must_use]
    pub fn on_change(mut self, gap: Duration) -> Self {
        self.schedule.gap = Some(gap);
        self
    }

    /// Saves at this interval, of at least 10 ms.
    #[must_use]
    pub fn every(mut self, interval: Duration) -> Self {
        self.schedule.interval = Some(interval.max(SHORTEST));
        self
    }
}

impl fmt::Debug for SaveOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaveOptions")
            .field("schedule", &self.schedule)
            .finish_non_exhaustive()
    }
}

/// When an actor is saved.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SaveSchedule {
    gap: Option<Duration>,
    interval: Option<Duration>,
}

impl SaveSchedule {
    /// Returns the time of the next snapshot, behind that of the previous one.
    pub(super) fn next(&self, previous: Instant, is_changed: bool) -> Option<Instant> {
        let by_change = self.gap.filter(|_| is_changed).map(|gap| previous + gap);
        let by_interval = self.interval.map(|interval| previous + interval);
        by_change.into_iter().chain(by_interval).min()
    }
}

/// Writes and reads the snapshots of one kind of actors.
pub(super) struct Saver<A> {
    pub(super) options: SaveOptions,
    pub(super) write: fn(&A) -> Result<Vec<u8>, String>,
    pub(super) read: fn(&mut A, &[u8]) -> Result<(), String>,
}

impl<A: SavedRoom> Saver<A> {
    pub(super) fn new(options: SaveOptions) -> Self {
        Self {
            options,
            write: |actor| serde_json::to_vec(&actor.save()).map_err(|error| error.to_string()),
            read: |actor, bytes| {
                let snapshot = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
                actor.restore(snapshot);
                Ok(())
            },
        }
    }
}

/// The shortest interval of snapshots.
const SHORTEST: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rooms::store::MemoryRoomStore;

    #[actix_rt::test]
    async fn snapshots_are_due_behind_changes_and_at_intervals() {
        let start = Instant::now();
        let seconds = Duration::from_secs;
        let options = || SaveOptions::new(MemoryRoomStore::new());
        let table = [
            (options(), None, None),
            (options().on_change(seconds(2)), None, Some(2)),
            (options().every(seconds(5)), Some(5), Some(5)),
            (
                options().every(seconds(5)).on_change(seconds(2)),
                Some(5),
                Some(2),
            ),
            (
                options().every(seconds(1)).on_change(seconds(2)),
                Some(1),
                Some(1),
            ),
        ];
        for (options, unchanged, changed) in table {
            let next = |is_changed| options.schedule.next(start, is_changed);
            let at = |second: Option<u64>| second.map(|second| start + seconds(second));
            assert_eq!((next(false), next(true)), (at(unchanged), at(changed)));
        }
    }
}
