//! The rooms of a namespace: joins and leaves.
//!
//! Every change is made under one lock, on the thread of its cause, and takes constant time. The
//! namespace's actor, the adapter and the watchers are notified under that lock, in the order of
//! the changes.

use std::sync::Arc;

use actix::Recipient;
use indexmap::IndexSet;
use tokio::sync::oneshot;

use crate::clock::wall;
use crate::error::{ConnectError, RoomError, UserError};
use crate::limits::Limit;
use crate::logging::{Quoted, TARGET_SOCKET};
use crate::members::hosting::{Departure, Entry};
use crate::members::lists::{Lists, RoomChange};
use crate::members::membership::Membership;
use crate::members::recovery::{EventOffset, Recovery};
use crate::members::socket::{Phase, SocketState};
use crate::message::{RoomEvent, RoomEventKind};
use crate::reason::DisconnectReason;
use crate::user::{user_of, user_room};

impl Membership {
    /// Adds a socket to a room, within the server's limits, after the room's actor has let it in, if
    /// the room has one. If that actor ends without a decision, the room is unavailable.
    pub(crate) async fn join_admitted(
        self: &Arc<Self>,
        socket: &Arc<SocketState>,
        room: &str,
    ) -> Result<(), RoomError> {
        if !self.asks_actor(socket, room) {
            return self.join(socket, room);
        }
        let (sender, joined) = oneshot::channel();
        // A caller that has stopped to wait is no error: the socket has joined.
        self.join_when_admitted(socket, room, |outcome| drop(sender.send(outcome)));
        joined.await.unwrap_or(Err(RoomError::Unavailable))
    }

    /// The same, for a caller that cannot wait: `done` gets the outcome, at once or on the thread of
    /// the room's actor. It is dropped if that actor ends without a decision.
    pub(crate) fn join_when_admitted(
        self: &Arc<Self>,
        socket: &Arc<SocketState>,
        room: &str,
        done: impl FnOnce(Result<(), RoomError>) + Send + 'static,
    ) {
        if !self.asks_actor(socket, room) {
            return done(self.join(socket, room));
        }
        let asked = (Arc::clone(self), Arc::clone(socket), room.to_owned());
        let answer = Box::new(move |decided: Result<Entry, ConnectError>| {
            let (membership, socket, room) = asked;
            done(match decided {
                // The entry is dropped after the join, so that the actor does not end before it.
                Ok(_entry) => membership.join(&socket, &room),
                Err(error) => Self::not_joined(&socket, refused(error)),
            });
        });
        // A room without an actor lets everybody in.
        if let Some(answer) = self.ask_room(socket, room, answer) {
            answer(Ok(Box::new(())));
        }
    }

    /// Returns `true` if an actor may have to let the socket into the room.
    fn asks_actor(&self, socket: &SocketState, room: &str) -> bool {
        self.hosts_rooms() && !socket.rooms.lock().contains(room)
    }

    /// Adds a socket to a room, within the server's limits.
    pub(crate) fn join(&self, socket: &Arc<SocketState>, room: &str) -> Result<(), RoomError> {
        let config = &socket.link.config;
        let (names, rooms) = (
            config.limits.room_name_limit,
            config.limits.rooms_per_socket,
        );
        if user_of(room).is_some() {
            // A client that chooses names of rooms must not receive a user's events.
            return Self::not_joined(socket, RoomError::ReservedName);
        }
        if room.len() > names {
            socket.hit(Limit::RoomNameLimit, names);
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
                socket.hit(Limit::RoomsPerSocket, rooms);
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
        log::debug!(target: TARGET_SOCKET, "{socket} did not join a room: {error}");
        Err(error)
    }

    /// Adds a socket to a room; returns `false` if it is in `limit` rooms already.
    pub(super) fn join_since(
        &self,
        socket: &Arc<SocketState>,
        room: &str,
        since: Option<EventOffset>,
        limit: usize,
    ) -> bool {
        let mut lists = self.lists.write();
        // The room of its user does not count.
        let is_full = |rooms: &IndexSet<Arc<str>>| {
            let counted = || rooms.iter().filter(|room| user_of(room).is_none()).count();
            rooms.len() >= limit && !rooms.contains(room) && counted() >= limit
        };
        if is_full(&socket.rooms.lock()) {
            return false;
        }
        let (name, members, began) = lists.room(room);
        if began {
            self.tell(RoomChange::Began(Arc::clone(&name), Arc::clone(&members)));
            self.tell_watchers(&lists, &name, &RoomEventKind::Created);
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
            self.tell_watchers(&lists, &name, &RoomEventKind::Joined(socket.id.clone()));
            self.tell_room_entered(socket, &name);
        }
        true
    }

    /// Removes a socket from a room.
    pub(crate) fn leave(&self, socket: &SocketState, room: &str) {
        self.leave_as(socket, room, Departure::Left);
    }

    /// The same, for another cause.
    pub(crate) fn leave_as(&self, socket: &SocketState, room: &str, departure: Departure) {
        // A socket that is being recovered may just be joining its previous rooms.
        let log = self.recovery.as_ref().map(Recovery::lock);
        let mut lists = self.lists.write();
        let was_there = socket.rooms.lock().swap_remove(room);
        if let Some(resume) = &socket.resume {
            resume.joined.lock().swap_remove(room);
        }
        self.leave_room(&mut lists, socket, room, departure);
        drop(lists);
        self.write_down(log, socket);
        if was_there {
            log::debug!(target: TARGET_SOCKET, "{socket} left room {}", Quoted(room));
        }
    }

    /// Removes a socket from the namespace and all rooms. It is in no room when this returns, even
    /// if another thread was doing the same.
    pub(crate) fn exit(&self, socket: &SocketState) {
        let reason = socket.end_reason();
        let reason = reason.unwrap_or(DisconnectReason::ServerNamespaceDisconnect);
        self.exit_as(socket, Departure::Disconnected(reason));
    }

    /// The same, for another cause.
    pub(super) fn exit_as(&self, socket: &SocketState, departure: Departure) {
        let mut lists = self.lists.write();
        let rooms = std::mem::take(&mut *socket.rooms.lock());
        if lists.sockets.swap_remove(&socket.key).is_some() {
            self.tell_namespace_left(socket, departure);
        }
        // A recovered socket has the id of its predecessor.
        if lists.keys.get(&socket.id) == Some(&socket.key) {
            lists.keys.remove(&socket.id);
        }
        for room in rooms {
            self.leave_room(&mut lists, socket, &room, departure);
        }
    }

    /// Makes a socket the user's: it is in the room of the user, and of no other user. Returns
    /// `false` if it was the user's already.
    pub(crate) fn identify(
        &self,
        socket: &Arc<SocketState>,
        user: &str,
    ) -> Result<bool, UserError> {
        let limit = socket.link.config.limits.room_name_limit;
        if user.len() > limit {
            socket.hit(Limit::RoomNameLimit, limit);
            return Err(UserError::IdTooLong(limit));
        }
        let (room, before) = (user_room(user), socket.user_room());
        let is_new = before.as_deref() != Some(room.as_str());
        if is_new {
            if let Some(before) = before {
                self.leave(socket, &before);
            }
            let mut log = self.recovery.as_ref().map(Recovery::lock);
            if socket.is_detached() {
                return Err(UserError::Disconnected);
            }
            let since = log.as_mut().map(|log| log.latest(self.position()).clone());
            socket.login_or_new().begins(wall());
            self.join_since(socket, &room, since, usize::MAX);
            self.write_down(log, socket);
        }
        // Checked after the change: a socket that ends later leaves by itself.
        if socket.has_ended() {
            self.exit(socket);
            return Err(UserError::Disconnected);
        }
        Ok(is_new)
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
        let watchers = &mut self.lists.write().watchers;
        watchers.retain(Recipient::connected);
        watchers.push(watcher);
    }

    fn leave_room(
        &self,
        lists: &mut Lists,
        socket: &SocketState,
        room: &str,
        departure: Departure,
    ) {
        let Some(left) = lists.leave(socket.key, room) else {
            return;
        };
        self.tell_room_left(socket, &left.room, departure);
        self.tell_watchers(lists, &left.room, &RoomEventKind::Left(socket.id.clone()));
        if left.was_last {
            self.tell_watchers(lists, &left.room, &RoomEventKind::Deleted);
            self.tell(RoomChange::Ended(left.room));
        }
    }

    /// Called under the lock of the change too. The rooms of users are not the program's.
    fn tell_watchers(&self, lists: &Lists, room: &Arc<str>, change: &RoomEventKind) {
        if user_of(room).is_some() {
            return;
        }
        for watcher in &lists.watchers {
            // Life-cycle messages. An actor that has ended is notified in vain, until `watch` is
            // called again.
            watcher.do_send(RoomEvent {
                namespace: Arc::clone(self.shared_name()),
                room: Arc::clone(room),
                change: change.clone(),
            });
        }
    }

    /// Called under the lock of the change, so that the supervisor receives changes in order. The
    /// room of a user has no actor.
    fn tell(&self, change: RoomChange) {
        let (RoomChange::Began(room, _) | RoomChange::Ended(room)) = &change;
        if let Some(adapter) = &self.adapter {
            let began = matches!(change, RoomChange::Began(..));
            adapter.room_changed(self.shared_name(), room, began);
        }
        if user_of(room).is_some() {
            return;
        }
        if let Some(supervisor) = &*self.supervisor.read() {
            // Life-cycle messages, two for each room.
            supervisor.do_send(change);
        }
    }
}

/// Returns the refusal of a room's actor for the program, without the text of an internal error.
fn refused(error: ConnectError) -> RoomError {
    let shown = error.shown(false);
    RoomError::Refused {
        message: shown.message().to_owned(),
        data: shown.data().cloned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;
    use std::time::Instant;

    use super::*;
    use crate::config::Config;
    use crate::handshake::Handshake;
    use crate::id::Id;
    use crate::link::Link;

    #[test]
    fn concurrent_exits_leave_no_room() {
        let membership = Membership::new("/", Vec::new());
        let config = Arc::new(Config::new("/"));
        for _ in 0..5000 {
            let link = Link::new(Id::random(), &config, Handshake::empty(), Instant::now());
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
