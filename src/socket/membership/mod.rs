//! The sockets of a namespace, and their rooms.
//!
//! Every change is made under one lock, on the thread of its cause, and takes constant time. A
//! broadcast pushes from any thread directly into the outboxes. The namespace's actor is notified
//! of rooms that begin and end, in that order. A room's members are shared with the room's actor,
//! which finds them again after a restart.

mod audience;
mod returning;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use actix::{Message, Recipient};
use indexmap::{IndexMap, IndexSet};
use log::Level;
use parking_lot::RwLock;
use serde::Serialize;

use crate::error::{EmitError, RoomError};
use crate::id::{IdMap, SocketId};
use crate::link::Outgoing;
use crate::logging::{Quoted, TARGET_EVENT, TARGET_SOCKET};
use crate::message::{RoomEvent, RoomEventKind};
use crate::pattern::Parameters;
use crate::socket::adapter::Adapter;
use crate::socket::encode;
use crate::socket::ending::TaskKeeper;
use crate::socket::observe::Observers;
use crate::socket::recovery::{EventOffset, Recovery, RecoveryOptions};
use crate::socket::server_side::ServerSide;
use crate::socket::shown;
use crate::socket::state::{Phase, SocketState};
use crate::socketio::{Args, PacketLimits};

pub(crate) use audience::{Audience, Relayed, Sender};

/// The sockets of a room, in dense slots.
pub(crate) type Members = IndexMap<u64, Arc<SocketState>>;

/// The members of a room, shared by all senders.
pub(crate) type SharedMembers = Arc<RwLock<Members>>;

/// A namespace's sockets and rooms.
#[derive(Debug)]
pub(crate) struct Membership {
    name: Arc<str>,
    /// The parameters of its name, if it was made by a pattern.
    parameters: Parameters,
    /// The size limits of a packet to its clients.
    pub(crate) packets: PacketLimits,
    inner: RwLock<Inner>,
    next_ack: AtomicU64,
    pub(crate) observers: Observers,
    pub(crate) server_side: ServerSide,
    /// The adapter to the other nodes; a server without one is alone.
    pub(crate) adapter: Option<Arc<dyn Adapter>>,
    /// The recovery state of its clients; if it is `None` they always start new sessions.
    pub(crate) recovery: Option<Recovery>,
    /// The actor that supervises the rooms.
    supervisor: RwLock<Option<Recipient<RoomChange>>>,
    /// Set once, by the maker of the namespace.
    pub(crate) task_keeper: OnceLock<Box<dyn TaskKeeper>>,
}

#[derive(Debug, Default)]
struct Inner {
    sockets: Members,
    keys: IdMap<SocketId, u64>,
    rooms: HashMap<Arc<str>, SharedMembers>,
    /// The actors that are notified of changes of rooms.
    watchers: Vec<Recipient<RoomEvent>>,
}

/// A room has received its first member, or lost its last one.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) enum RoomChange {
    Began(Arc<str>, SharedMembers),
    Ended(Arc<str>),
}

/// The socket had ended already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SocketEnded;

impl Membership {
    /// Makes a namespace of a server without an adapter.
    #[allow(dead_code, reason = "tests and the feature `testing` make such")]
    pub(crate) fn new(name: &str, parameters: Parameters) -> Arc<Self> {
        Self::with(name, parameters, PacketLimits::NONE, None, None)
    }

    pub(crate) fn with(
        name: &str,
        parameters: Parameters,
        packets: PacketLimits,
        adapter: Option<Arc<dyn Adapter>>,
        recovery: Option<RecoveryOptions>,
    ) -> Arc<Self> {
        let own = match &adapter {
            Some(adapter) if recovery.is_some() && adapter.stores_records() => adapter.reserve(),
            _ => 0,
        };
        Arc::new(Self {
            name: name.into(),
            parameters,
            packets,
            inner: RwLock::default(),
            next_ack: AtomicU64::new(0),
            observers: Observers::default(),
            server_side: ServerSide::default(),
            adapter,
            recovery: recovery.map(|options| Recovery::new(options, own)),
            supervisor: RwLock::new(None),
            task_keeper: OnceLock::new(),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn shared_name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Returns an acknowledgement id. Ids are unique in the namespace, so that a call to many
    /// sockets can share one.
    pub(crate) fn next_ack(&self) -> u64 {
        self.next_ack.fetch_add(1, Ordering::Relaxed)
    }

    /// Encodes an event for one socket or for many, and passes it to the observers.
    pub(crate) fn event<T>(
        &self,
        id: Option<u64>,
        name: &str,
        data: &T,
        recipient: Option<SocketId>,
    ) -> Result<Outgoing, EmitError>
    where
        T: Serialize + ?Sized,
    {
        let packet = encode::event(&self.name, id, name, data, self.packets)?;
        self.observers.show(&self.name, name, data, recipient);
        if log::log_enabled!(target: TARGET_EVENT, Level::Debug) {
            shown::log_emit_to(self, name, packet.len(), recipient);
        }
        Ok(packet)
    }

    /// Passes an event to the observers.
    pub(crate) fn shown(&self, name: &str, args: &Args, recipient: Option<SocketId>) {
        self.observers.show(&self.name, name, args, recipient);
    }

    /// Encodes an event of another node, whose observers have received it there.
    pub(crate) fn relayed(&self, id: Option<u64>, list: &Args) -> Outgoing {
        encode::relayed(&self.name, id, list)
    }

    /// Sets the actor that supervises the rooms.
    pub(crate) fn supervised_by(&self, namespace: Recipient<RoomChange>) {
        *self.supervisor.write() = Some(namespace);
    }

    pub(crate) fn socket(&self, id: SocketId) -> Option<Arc<SocketState>> {
        let inner = self.inner.read();
        let key = inner.keys.get(&id)?;
        inner.sockets.get(key).cloned()
    }

    /// Returns the number of sockets.
    pub(crate) fn count(&self) -> usize {
        self.inner.read().sockets.len()
    }

    pub(crate) fn all(&self) -> Vec<Arc<SocketState>> {
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

    /// Adds a socket to a room, within the server's limits.
    pub(crate) fn join(&self, socket: &Arc<SocketState>, room: &str) -> Result<(), RoomError> {
        let config = &socket.link.config;
        let (names, rooms) = (config.limits.room_name_limit, config.limits.rooms_per_socket);
        if room.len() > names {
            return Self::not_joined(socket, RoomError::NameTooLong(names));
        }
        {
            let mut log = self.recovery.as_ref().map(Recovery::lock);
            if socket.is_detached() {
                return Err(RoomError::Disconnected);
            }
            let since = log.as_mut().map(|log| log.latest(self.position()).clone());
            if !self.join_since(socket, room, since, rooms) {
                drop(log);
                return Self::not_joined(socket, RoomError::TooManyRooms(rooms));
            }
            self.write_down(log, socket);
        }
        // Checked after the change: a socket that ends later leaves by itself.
        match socket.phase() {
            Phase::Ended | Phase::Abandoned => {
                self.exit(socket);
                Err(RoomError::Disconnected)
            }
            Phase::Connecting | Phase::Accepted | Phase::Connected => {
                log::debug!(target: TARGET_SOCKET, "{socket} joined room {}", Quoted(room));
                Ok(())
            }
        }
    }

    /// Logs that a limit was reached: other nodes, and programs that move many sockets, get no
    /// error.
    fn not_joined(socket: &SocketState, error: RoomError) -> Result<(), RoomError> {
        log::debug!(target: TARGET_SOCKET, "{socket} joined no room: {error}");
        Err(error)
    }

    /// Adds a socket to a room; returns `false` if it is in `limit` rooms already.
    fn join_since(
        &self,
        socket: &Arc<SocketState>,
        room: &str,
        since: Option<EventOffset>,
        limit: usize,
    ) -> bool {
        let mut inner = self.inner.write();
        let is_full = |rooms: &IndexSet<Arc<str>>| rooms.len() >= limit && !rooms.contains(room);
        if is_full(&socket.rooms.lock()) {
            return false;
        }
        let (name, members, began) = inner.room(room);
        if began {
            self.tell(RoomChange::Began(Arc::clone(&name), Arc::clone(&members)));
            self.tell_watchers(&inner, &name, RoomEventKind::Created);
        }
        let is_new = members
            .write()
            .insert(socket.key, Arc::clone(socket))
            .is_none();
        socket.rooms.lock().insert(Arc::clone(&name));
        if let (Some(resume), Some(since)) = (&socket.resume, since) {
            resume
                .joined
                .lock()
                .entry(Arc::clone(&name))
                .or_insert(since);
        }
        if is_new {
            self.tell_watchers(&inner, &name, RoomEventKind::Joined(socket.id));
        }
        true
    }

    /// Removes a socket from a room.
    pub(crate) fn leave(&self, socket: &SocketState, room: &str) {
        // A socket that is being recovered may just be joining its previous rooms.
        let log = self.recovery.as_ref().map(Recovery::lock);
        let mut inner = self.inner.write();
        let was_there = socket.rooms.lock().swap_remove(room);
        if let Some(resume) = &socket.resume {
            resume.joined.lock().swap_remove(room);
        }
        self.leave_room(&mut inner, socket, room);
        drop(inner);
        self.write_down(log, socket);
        if was_there {
            log::debug!(target: TARGET_SOCKET, "{socket} left room {}", Quoted(room));
        }
    }

    /// Removes a socket from the namespace and all rooms. It is in no room when this returns, even
    /// if another thread was doing the same.
    pub(crate) fn exit(&self, socket: &SocketState) {
        let mut inner = self.inner.write();
        let rooms = std::mem::take(&mut *socket.rooms.lock());
        inner.sockets.swap_remove(&socket.key);
        // A recovered socket has the id of its predecessor.
        if inner.keys.get(&socket.id) == Some(&socket.key) {
            inner.keys.remove(&socket.id);
        }
        for room in rooms {
            self.leave_room(&mut inner, socket, &room);
        }
    }

    /// Removes all members from a room. Returns their number.
    pub(crate) fn close_room(&self, room: &str) -> usize {
        let members = self.room(room);
        let members = members.map(|members| members.read().values().cloned().collect());
        let members: Vec<Arc<SocketState>> = members.unwrap_or_default();
        for socket in &members {
            self.leave(socket, room);
        }
        members.len()
    }

    /// Notifies an actor of changes of rooms from now on.
    pub(crate) fn watch(&self, watcher: Recipient<RoomEvent>) {
        let watchers = &mut self.inner.write().watchers;
        watchers.retain(Recipient::connected);
        watchers.push(watcher);
    }

    fn leave_room(&self, inner: &mut Inner, socket: &SocketState, room: &str) {
        let Some(left) = inner.leave(socket.key, room) else {
            return;
        };
        self.tell_watchers(inner, &left.room, RoomEventKind::Left(socket.id));
        if left.was_last {
            self.tell_watchers(inner, &left.room, RoomEventKind::Deleted);
            self.tell(RoomChange::Ended(left.room));
        }
    }

    /// Called under the lock of the change too.
    fn tell_watchers(&self, inner: &Inner, room: &Arc<str>, change: RoomEventKind) {
        for watcher in &inner.watchers {
            // Life-cycle messages. An actor that has ended is notified in vain, until `watch` is
            // called again.
            watcher.do_send(RoomEvent {
                namespace: Arc::clone(&self.name),
                room: Arc::clone(room),
                change,
            });
        }
    }

    /// Called under the lock of the change, so that the supervisor receives changes in order.
    fn tell(&self, change: RoomChange) {
        if let Some(adapter) = &self.adapter {
            let (RoomChange::Began(room, _) | RoomChange::Ended(room)) = &change;
            let began = matches!(change, RoomChange::Began(..));
            adapter.room_changed(&self.name, room, began);
        }
        if let Some(supervisor) = &*self.supervisor.read() {
            // Life-cycle messages, two for each room.
            supervisor.do_send(change);
        }
    }
}

impl Inner {
    /// Returns a room, and whether it is new.
    fn room(&mut self, room: &str) -> (Arc<str>, SharedMembers, bool) {
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
    fn leave(&mut self, key: u64, room: &str) -> Option<Left> {
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
struct Left {
    room: Arc<str>,
    was_last: bool,
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;
    use crate::config::Config;
    use crate::handshake::Handshake;
    use crate::id::Id;
    use crate::link::Link;

    #[test]
    fn who_has_exited_is_in_no_room_whoever_else_was_at_it() {
        let membership = Membership::new("/", Vec::new());
        let config = Arc::new(Config::new("/"));
        for _ in 0..5000 {
            let link = Link::new(Id::random(), &config, Handshake::empty());
            let socket = Arc::new(SocketState::new(membership.shared_name(), &link, None));
            for room in ["hall", "attic"] {
                membership.join(&socket, room).unwrap();
            }
            let start = Barrier::new(2);
            let exit = || {
                start.wait();
                membership.exit(&socket);
                assert!(membership.rooms().is_empty());
            };
            thread::scope(|scope| {
                scope.spawn(exit);
                exit();
            });
        }
    }
}
