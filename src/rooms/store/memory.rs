//! Snapshots in the memory of the process: they survive panics and the ends of rooms.

use std::collections::HashMap;
use std::future::ready;
use std::sync::Arc;

use futures_core::future::BoxFuture;
use parking_lot::Mutex;

use crate::rooms::store::{RoomId, RoomStore, StoreError};

/// Keeps the snapshots in memory. They survive a panic of an actor and the end of a room, and are
/// lost with the process. Clones share the snapshots. Nothing bounds their number: delete those of
/// rooms that have ended for good, by [`RoomContext::forget`](crate::RoomContext::forget).
///
/// # Examples
///
/// ```
/// use actix_socketio::{MemoryRoomStore, SaveOptions};
///
/// let store = MemoryRoomStore::new();
/// let options = SaveOptions::new(store.clone());
/// assert!(store.is_empty());
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryRoomStore {
    snapshots: Arc<Mutex<HashMap<RoomId, Vec<u8>>>>,
}

impl MemoryRoomStore {
    /// Makes an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the rooms that have a snapshot, in any order.
    #[must_use]
    pub fn rooms(&self) -> Vec<RoomId> {
        self.snapshots.lock().keys().cloned().collect()
    }

    /// Returns the number of snapshots.
    #[must_use]
    pub fn len(&self) -> usize {
        self.snapshots.lock().len()
    }

    /// Returns `true` if there are no snapshots.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl RoomStore for MemoryRoomStore {
    fn load<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(ready(Ok(self.snapshots.lock().get(room).cloned())))
    }

    fn save<'a>(
        &'a self,
        room: &'a RoomId,
        snapshot: Vec<u8>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.snapshots.lock().insert(room.clone(), snapshot);
        Box::pin(ready(Ok(())))
    }

    fn delete<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<(), StoreError>> {
        self.snapshots.lock().remove(room);
        Box::pin(ready(Ok(())))
    }
}
