//! The contract with rooms that have an actor of the program.
//!
//! A [`RoomKind`] makes the host of each room of a pattern, or of each namespace. A [`RoomHost`] has
//! the actor, and hears who enters and leaves. No call waits, and none may call the membership back:
//! some are made under its locks. The hosts themselves are in `rooms/`.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::RwLock;

use crate::error::ConnectError;
use crate::members::membership::Membership;
use crate::members::socket::SocketState;
use crate::pattern::{Parameters, Pattern};
use crate::reason::DisconnectReason;

/// Makes the hosts of the rooms that a registration of the program is for.
pub(crate) trait RoomKind: Send + Sync {
    fn host(&self, place: RoomPlace) -> Arc<dyn RoomHost>;
}

/// The room of a host.
#[derive(Clone)]
pub(crate) struct RoomPlace {
    pub(crate) membership: Weak<Membership>,
    /// The room's name; without one it is the whole namespace.
    pub(crate) room: Option<Arc<str>>,
    /// The parameters of the pattern that matches its name.
    pub(crate) parameters: Arc<Parameters>,
}

/// The room of an actor of the program.
pub(crate) trait RoomHost: Any + Send + Sync {
    /// Asks whether a socket may enter. `answer` is called once, on any thread, or dropped.
    fn ask(self: Arc<Self>, socket: &Arc<SocketState>, answer: EntryAnswer);

    /// A socket is in the room from now on.
    fn entered(self: Arc<Self>, socket: &Arc<SocketState>);

    /// A socket is not in the room any more. Does nothing if it was not.
    fn left(self: Arc<Self>, socket: &SocketState, departure: Departure);

    /// Returns `true` if the room has no actor and needs none.
    fn is_idle(&self) -> bool;
}

/// Receives the decision of a room about a socket.
pub(crate) type EntryAnswer = Box<dyn FnOnce(Result<Entry, ConnectError>) + Send>;

/// Held from the decision to let a socket in until it is in, or is not: the room's actor does not
/// end before.
pub(crate) type Entry = Box<dyn Any + Send>;

/// The way in which a socket leaves a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Departure {
    /// It left the room, and stays in the namespace.
    Left,
    /// The room's actor removed it.
    Kicked,
    /// Its connection broke; its client may return within the recovery window.
    Dropped(DisconnectReason),
    /// It has disconnected from the namespace.
    Disconnected(DisconnectReason),
}

/// The kinds of rooms of a namespace, or of the namespaces of a pattern.
#[derive(Default)]
pub(crate) struct RoomKinds {
    whole: RwLock<Option<Arc<dyn RoomKind>>>,
    /// The first pattern that matches a room's name decides.
    rooms: RwLock<Vec<(Pattern, Arc<dyn RoomKind>)>>,
    /// Most namespaces have no such rooms: their joins and leaves read this alone.
    has_rooms: AtomicBool,
}

impl RoomKinds {
    /// Sets the kind of the namespaces themselves. Returns `false` if there is one.
    pub(crate) fn set_whole(&self, kind: Arc<dyn RoomKind>) -> bool {
        let mut whole = self.whole.write();
        let is_new = whole.is_none();
        whole.get_or_insert(kind);
        is_new
    }

    /// Adds the rooms whose names match a pattern.
    pub(crate) fn add(&self, pattern: Pattern, kind: Arc<dyn RoomKind>) {
        self.rooms.write().push((pattern, kind));
        self.has_rooms.store(true, Ordering::Release);
    }

    fn has_rooms(&self) -> bool {
        self.has_rooms.load(Ordering::Acquire)
    }

    fn of_room(&self, room: &str) -> Option<(Arc<dyn RoomKind>, Parameters)> {
        let rooms = self.rooms.read();
        rooms.iter().find_map(|(pattern, kind)| {
            let parameters = pattern.fit(room)?;
            Some((Arc::clone(kind), parameters))
        })
    }
}

impl fmt::Debug for RoomKinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoomKinds")
            .field("rooms", &self.rooms.read().len())
            .finish_non_exhaustive()
    }
}

/// The hosts of a namespace.
#[derive(Default)]
pub(crate) struct Hosts {
    /// Set once, by the maker of the namespace, with the namespace itself.
    kinds: OnceLock<(Arc<RoomKinds>, Weak<Membership>)>,
    whole: OnceLock<Arc<dyn RoomHost>>,
    /// A host is removed under this lock, after it has become idle. So no call that is made under it
    /// reaches a removed one.
    rooms: RwLock<HashMap<Arc<str>, Arc<dyn RoomHost>>>,
}

impl Hosts {
    /// Returns the kinds of rooms, if there are any.
    fn room_kinds(&self) -> Option<&(Arc<RoomKinds>, Weak<Membership>)> {
        self.kinds.get().filter(|(kinds, _)| kinds.has_rooms())
    }
}

impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hosts")
            .field("rooms", &self.rooms.read().len())
            .finish_non_exhaustive()
    }
}

impl Membership {
    /// Gives the namespace the kinds of its rooms.
    pub(crate) fn host_rooms(self: &Arc<Self>, kinds: &Arc<RoomKinds>) {
        let made = (Arc::clone(kinds), Arc::downgrade(self));
        if self.hosts.kinds.set(made).is_ok() {
            self.host_whole();
        }
    }

    /// Gives the namespace its host, if its kinds have one.
    pub(crate) fn host_whole(&self) {
        let Some((kinds, membership)) = self.hosts.kinds.get() else {
            return;
        };
        let Some(kind) = kinds.whole.read().clone() else {
            return;
        };
        let host = self.hosts.whole.get_or_init(|| {
            kind.host(RoomPlace {
                membership: Weak::clone(membership),
                room: None,
                parameters: Arc::new(self.parameters().clone()),
            })
        });
        // The program may register the actor after its first clients. A socket enters once.
        let sockets: Vec<_> = self.lists.read().sockets.values().cloned().collect();
        for socket in sockets.iter().filter(|socket| socket.is_connected()) {
            Arc::clone(host).entered(socket);
        }
    }

    /// Returns `true` if there may be rooms with an actor of the program.
    pub(super) fn hosts_rooms(&self) -> bool {
        self.hosts.room_kinds().is_some()
    }

    /// Returns the host of the namespace.
    pub(crate) fn whole_host(&self) -> Option<&Arc<dyn RoomHost>> {
        self.hosts.whole.get()
    }

    /// Calls `visit` with the host of a room, if it has one.
    pub(crate) fn with_host<R>(
        &self,
        room: &str,
        visit: impl FnOnce(&Arc<dyn RoomHost>) -> R,
    ) -> Option<R> {
        self.hosts.room_kinds()?;
        self.hosts.rooms.read().get(room).map(visit)
    }

    /// The same; the host is made if the room is of a kind that has one.
    fn with_made_host(&self, room: &str, visit: impl FnOnce(&Arc<dyn RoomHost>)) -> Option<()> {
        let (kinds, membership) = self.hosts.room_kinds()?;
        {
            let rooms = self.hosts.rooms.read();
            if let Some(host) = rooms.get(room) {
                visit(host);
                return Some(());
            }
        }
        let (kind, parameters) = kinds.of_room(room)?;
        let mut rooms = self.hosts.rooms.write();
        let host = match rooms.get(room) {
            Some(host) => Arc::clone(host),
            None => {
                let name: Arc<str> = room.into();
                let host = kind.host(RoomPlace {
                    membership: Weak::clone(membership),
                    room: Some(Arc::clone(&name)),
                    parameters: Arc::new(parameters),
                });
                rooms.insert(name, Arc::clone(&host));
                host
            }
        };
        visit(&host);
        Some(())
    }

    /// Removes the host of a room whose actor has ended, unless it is needed again.
    pub(crate) fn remove_idle_host(&self, room: &str) {
        let mut rooms = self.hosts.rooms.write();
        if rooms.get(room).is_some_and(|host| host.is_idle()) {
            rooms.remove(room);
        }
    }

    /// Returns the time within which a client that was dropped may return.
    pub(crate) fn recovery_window(&self) -> Option<Duration> {
        let recovery = self.recovery.as_ref()?;
        Some(recovery.options().window)
    }

    /// Asks the actor of the namespace whether a socket may enter; without one it may.
    pub(crate) fn ask_namespace(&self, socket: &Arc<SocketState>, answer: EntryAnswer) {
        match self.whole_host() {
            Some(host) => Arc::clone(host).ask(socket, answer),
            None => answer(Ok(Box::new(()))),
        }
    }

    /// Asks the actor of a room whether a socket may enter. Returns the answer's receiver if there is
    /// no such actor.
    pub(super) fn ask_room(
        &self,
        socket: &Arc<SocketState>,
        room: &str,
        answer: EntryAnswer,
    ) -> Option<EntryAnswer> {
        let mut answer = Some(answer);
        self.with_made_host(room, |host| {
            if let Some(answer) = answer.take() {
                Arc::clone(host).ask(socket, answer);
            }
        });
        answer
    }

    /// A socket has entered the namespace. Called before its client can send an event.
    pub(super) fn tell_namespace_entered(&self, socket: &Arc<SocketState>) {
        if let Some(host) = self.whole_host() {
            Arc::clone(host).entered(socket);
        }
    }

    /// A socket has entered a room. Called under the lock of the change.
    pub(super) fn tell_room_entered(&self, socket: &Arc<SocketState>, room: &str) {
        self.with_made_host(room, |host| Arc::clone(host).entered(socket));
    }

    /// A socket has left the namespace.
    pub(super) fn tell_namespace_left(&self, socket: &SocketState, departure: Departure) {
        if let Some(host) = self.whole_host() {
            Arc::clone(host).left(socket, departure);
        }
    }

    /// A socket has left a room. Called under the lock of the change.
    pub(super) fn tell_room_left(&self, socket: &SocketState, room: &str, departure: Departure) {
        self.with_host(room, |host| Arc::clone(host).left(socket, departure));
    }
}
