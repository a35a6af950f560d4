//! The stores of snapshots: one snapshot for each room, by the names of the namespace and the room.
//!
//! A store is asked by one task at a time for one room. The content of a snapshot is not known here.

mod directory;
mod memory;

use std::fmt;

use futures_core::future::BoxFuture;

pub use directory::DirectoryRoomStore;
pub use memory::MemoryRoomStore;

/// A store of snapshots, for [`SaveOptions::new`](crate::SaveOptions::new): [`MemoryRoomStore`],
/// [`DirectoryRoomStore`], or one of the program.
///
/// The writes of one room come one after another; if one fails, it is tried again with the latest
/// snapshot, after 1 s at first and 30 s at last.
///
/// # Examples
///
/// ```
/// use actix_socketio::{RoomId, RoomStore, StoreError};
/// use futures_core::future::BoxFuture;
///
/// /// Keeps nothing.
/// struct Nowhere;
///
/// impl RoomStore for Nowhere {
///     fn load<'a>(&'a self, _: &'a RoomId) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>> {
///         Box::pin(async { Ok(None) })
///     }
///
///     fn save<'a>(&'a self, _: &'a RoomId, _: Vec<u8>) -> BoxFuture<'a, Result<(), StoreError>> {
///         Box::pin(async { Ok(()) })
///     }
///
///     fn delete<'a>(&'a self, _: &'a RoomId) -> BoxFuture<'a, Result<(), StoreError>> {
///         Box::pin(async { Ok(()) })
///     }
/// }
/// ```
pub trait RoomStore: Send + Sync + 'static {
    /// Returns the snapshot of a room, if there is one.
    ///
    /// # Errors
    ///
    /// The snapshot could not be read: the clients that want in are refused.
    fn load<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>>;

    /// Replaces the snapshot of a room.
    ///
    /// # Errors
    ///
    /// The snapshot was not written; the previous one is still there.
    fn save<'a>(
        &'a self,
        room: &'a RoomId,
        snapshot: Vec<u8>,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Removes the snapshot of a room. It is no error if there is none.
    ///
    /// # Errors
    ///
    /// The snapshot was not removed.
    fn delete<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<(), StoreError>>;
}

/// The names of a room: its namespace, and in it the room, unless the namespace itself is the room.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RoomId {
    namespace: String,
    room: Option<String>,
}

impl RoomId {
    pub(super) fn new(namespace: &str, room: Option<&str>) -> Self {
        Self {
            namespace: namespace.to_owned(),
            room: room.map(str::to_owned),
        }
    }

    /// Returns the name of the namespace, for example `/` or `/game-7`.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Returns the name of the room; `None` if the namespace is the room.
    #[must_use]
    pub fn room(&self) -> Option<&str> {
        self.room.as_deref()
    }
}

/// `room "doc:7" of namespace "/"`, as in the log.
impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(room) = &self.room {
            write!(f, "room {room:?} of ")?;
        }
        write!(f, "namespace {:?}", self.namespace)
    }
}

/// The reason why a store has failed, or why a room was not saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError(String);

impl StoreError {
    /// Makes an error with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StoreError {}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}
