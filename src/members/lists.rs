//! The lists of a namespace: its sockets, by key and by id, and the members of its rooms.
//!
//! A change enters and takes constant time; the caller holds the lock, and notifies others.

use std::collections::HashMap;
use std::sync::Arc;

use actix::{Message, Recipient};
use indexmap::IndexMap;
use parking_lot::RwLock;

use crate::id::{IdMap, SocketId};
use crate::members::socket::SocketState;
use crate::message::RoomEvent;

/// The sockets of a namespace, its rooms, and the actors that watch them.
#[derive(Debug, Default)]
pub(super) struct Lists {
    pub(super) sockets: Members,
    pub(super) keys: IdMap<SocketId, u64>,
    pub(super) rooms: HashMap<Arc<str>, SharedMembers>,
    /// The actors that are notified of changes of rooms.
    pub(super) watchers: Vec<Recipient<RoomEvent>>,
}

/// A room has received its first member, or lost its last one.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) enum RoomChange {
    Began(Arc<str>, SharedMembers),
    Ended(Arc<str>),
}

/// The sockets of a room, in dense slots.
pub(crate) type Members = IndexMap<u64, Arc<SocketState>>;

/// The members of a room, shared by all senders.
pub(crate) type SharedMembers = Arc<RwLock<Members>>;

impl Lists {
    /// Returns a room, and whether it is new.
    pub(super) fn room(&mut self, room: &str) -> (Arc<str>, SharedMembers, bool) {
        // Most joins are to existing rooms: only a new one allocates its name.
        if let Some((name, members)) = self.rooms.get_key_value(room) {
            return (Arc::clone(name), Arc::clone(members), false);
        }
        let name: Arc<str> = Arc::from(room);
        let members = SharedMembers::default();
        self.rooms.insert(Arc::clone(&name), Arc::clone(&members));
        (name, members, true)
    }

    /// Removes a socket from a room that it is in.
    pub(super) fn leave(&mut self, key: u64, room: &str) -> Option<Left> {
        let (name, members) = self.rooms.get_key_value(room)?;
        let mut members = members.write();
        members.swap_remove(&key)?;
        let left = Left {
            room: Arc::clone(name),
            was_last: members.is_empty(),
        };
        drop(members);
        if left.was_last {
            self.rooms.remove(room);
        }
        Some(left)
    }
}

/// A socket has left a room.
pub(super) struct Left {
    pub(super) room: Arc<str>,
    pub(super) was_last: bool,
}
