//! Who is in a namespace, and in which rooms.
//!
//! The namespace's actor is the only writer; everybody reads, so that a broadcast goes from any
//! thread straight into the outboxes. A room's members are shared with the room's actor, which
//! finds them again when it is restarted. Joining, leaving and counting take constant time.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix::{Message, Recipient};
use indexmap::IndexMap;
use parking_lot::RwLock;

use crate::id::SocketId;
use crate::link::Outgoing;
use crate::socket::core::Core;

/// The sockets of a room, in dense slots.
pub(crate) type Members = IndexMap<u64, Arc<Core>>;

/// The members of a room, shared by all who send to it.
pub(crate) type SharedMembers = Arc<RwLock<Members>>;

/// A namespace's sockets and rooms.
#[derive(Debug)]
pub(crate) struct Membership {
    name: Arc<str>,
    inner: RwLock<Inner>,
    next_ack: AtomicU64,
    namespace: RwLock<Option<Recipient<Move>>>,
}

#[derive(Debug, Default)]
struct Inner {
    sockets: Members,
    keys: HashMap<SocketId, u64>,
    rooms: HashMap<Arc<str>, SharedMembers>,
}

/// A change of membership, asked of the namespace's actor.
#[derive(Debug, Message)]
#[rtype(result = "Moved")]
pub(crate) struct Move {
    pub(crate) socket: Arc<Core>,
    pub(crate) step: Step,
}

/// What a socket does in its namespace.
#[derive(Debug)]
pub(crate) enum Step {
    /// It was let in: it gets its CONNECT packet.
    Enter,
    Join(Arc<str>),
    Leave(Arc<str>),
    /// It is gone, from all its rooms too.
    Exit,
}

/// Whether a change took place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, actix::MessageResponse)]
pub(crate) enum Moved {
    Done,
    /// The socket had ended already.
    TooLate,
}

/// Who gets a broadcast.
#[derive(Clone, Debug, Default)]
pub(crate) struct Audience {
    /// The union of these rooms; everybody where there is none.
    pub(crate) rooms: Option<Vec<String>>,
    pub(crate) except: Vec<String>,
    /// The socket that speaks.
    pub(crate) sender: Option<u64>,
}

impl Membership {
    pub(crate) fn new(name: &str) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            inner: RwLock::default(),
            next_ack: AtomicU64::new(0),
            namespace: RwLock::new(None),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns an acknowledgement id; they are unique in the namespace, so that a call to many can
    /// share one.
    pub(crate) fn next_ack(&self) -> u64 {
        self.next_ack.fetch_add(1, Ordering::Relaxed)
    }

    /// Names the actor that writes.
    pub(crate) fn written_by(&self, namespace: Recipient<Move>) {
        *self.namespace.write() = Some(namespace);
    }

    pub(crate) fn writer(&self) -> Option<Recipient<Move>> {
        self.namespace.read().clone()
    }

    /// Sends a change whose outcome nobody waits for.
    pub(crate) fn tell(&self, socket: &Arc<Core>, step: Step) {
        if let Some(namespace) = &*self.namespace.read() {
            let socket = Arc::clone(socket);
            // Life-cycle messages, one or two for each socket.
            namespace.do_send(Move { socket, step });
        }
    }

    pub(crate) fn socket(&self, id: SocketId) -> Option<Arc<Core>> {
        let inner = self.inner.read();
        let key = inner.keys.get(&id)?;
        inner.sockets.get(key).cloned()
    }

    /// Returns how many sockets there are.
    pub(crate) fn count(&self) -> usize {
        self.inner.read().sockets.len()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Core>> {
        self.inner.read().sockets.values().cloned().collect()
    }

    pub(crate) fn room(&self, name: &str) -> Option<SharedMembers> {
        self.inner.read().rooms.get(name).cloned()
    }

    pub(crate) fn rooms(&self) -> Vec<(Arc<str>, SharedMembers)> {
        let rooms = &self.inner.read().rooms;
        let shared =
            |(name, members): (&Arc<str>, &SharedMembers)| (Arc::clone(name), Arc::clone(members));
        rooms.iter().map(shared).collect()
    }

    pub(crate) fn insert(&self, socket: &Arc<Core>) {
        let mut inner = self.inner.write();
        inner.keys.insert(socket.id, socket.key);
        inner.sockets.insert(socket.key, Arc::clone(socket));
    }

    /// Adds a socket to a room; the room's members where the room is new.
    pub(crate) fn join(&self, socket: &Arc<Core>, room: &Arc<str>) -> Option<SharedMembers> {
        let mut inner = self.inner.write();
        let mut created = None;
        let members = inner.rooms.entry(Arc::clone(room)).or_insert_with(|| {
            let members = SharedMembers::default();
            created = Some(Arc::clone(&members));
            members
        });
        members.write().insert(socket.key, Arc::clone(socket));
        socket.rooms.lock().insert(Arc::clone(room));
        created
    }

    /// Takes a socket out of a room; tells whether the room is empty and gone.
    pub(crate) fn leave(&self, socket: &Core, room: &str) -> bool {
        socket.rooms.lock().swap_remove(room);
        self.inner.write().leave(socket.key, room)
    }

    /// Takes a socket out of everything; returns the rooms that are gone with it.
    pub(crate) fn remove(&self, socket: &Core) -> Vec<Arc<str>> {
        let rooms = std::mem::take(&mut *socket.rooms.lock());
        let mut inner = self.inner.write();
        inner.sockets.swap_remove(&socket.key);
        inner.keys.remove(&socket.id);
        rooms
            .into_iter()
            .filter(|room| inner.leave(socket.key, room))
            .collect()
    }

    /// Hands a packet to everyone in the audience, each once.
    pub(crate) fn broadcast(&self, audience: &Audience, packet: &Outgoing) {
        let mut skipped = self.keys_of(&audience.except);
        skipped.extend(audience.sender);
        let Some(rooms) = &audience.rooms else {
            deliver(&self.inner.read().sockets, &mut skipped, packet, false);
            return;
        };
        let once = rooms.len() > 1;
        for room in rooms {
            if let Some(socket) = self.virtual_room(room) {
                if skipped.insert(socket.key) {
                    // One client that has gone or reads too slowly is not the sender's error.
                    let _ = socket.deliver(packet);
                }
            } else if let Some(members) = self.room(room) {
                deliver(&members.read(), &mut skipped, packet, once);
            }
        }
    }

    /// The room that is named by a socket's id is that socket alone. It is looked for before all
    /// others: nobody gets another's events by joining a room of that name.
    fn virtual_room(&self, room: &str) -> Option<Arc<Core>> {
        room.parse().ok().and_then(|id| self.socket(id))
    }

    fn keys_of(&self, rooms: &[String]) -> HashSet<u64> {
        let mut keys = HashSet::new();
        for room in rooms {
            if let Some(socket) = self.virtual_room(room) {
                keys.insert(socket.key);
            } else if let Some(members) = self.room(room) {
                keys.extend(members.read().keys());
            }
        }
        keys
    }
}

impl Inner {
    fn leave(&mut self, key: u64, room: &str) -> bool {
        let Some(members) = self.rooms.get(room) else {
            return false;
        };
        let empty = {
            let mut members = members.write();
            members.swap_remove(&key);
            members.is_empty()
        };
        if empty {
            self.rooms.remove(room);
        }
        empty
    }
}

fn deliver(members: &Members, skipped: &mut HashSet<u64>, packet: &Outgoing, once: bool) {
    for (key, socket) in members {
        let skip = if once {
            !skipped.insert(*key)
        } else {
            !skipped.is_empty() && skipped.contains(key)
        };
        if !skip {
            // One client that has gone or reads too slowly is not the sender's error.
            let _ = socket.deliver(packet);
        }
    }
}
