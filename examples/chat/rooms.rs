//! The state of the chat: the nicknames in use, and the messages of each room.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{SystemTime, UNIX_EPOCH};

use actix_socketio::{ConnectError, HandlerError, SocketId};
use parking_lot::Mutex;
use serde::Serialize;

/// The state that all handlers share.
pub(crate) struct Rooms(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    people: HashMap<SocketId, Person>,
    rooms: BTreeMap<String, Room>,
    next_id: u64,
}

struct Person {
    nick: String,
    room: Option<String>,
}

#[derive(Default)]
struct Room {
    members: Vec<SocketId>,
    history: VecDeque<Message>,
}

#[derive(Clone, Serialize)]
pub(crate) struct Message {
    id: u64,
    nick: String,
    text: String,
    /// Milliseconds since 1970.
    at: u64,
}

/// The answer to `join`.
#[derive(Serialize)]
pub(crate) struct Joined {
    room: String,
    members: Vec<String>,
    history: Vec<Message>,
}

/// An entry of the list of rooms.
#[derive(Serialize)]
pub(crate) struct Line {
    name: String,
    members: usize,
}

impl Default for Rooms {
    fn default() -> Self {
        let mut inner = Inner::default();
        inner.rooms.insert(LOBBY.to_owned(), Room::default());
        Self(Mutex::new(inner))
    }
}

impl Rooms {
    pub(crate) fn enter(&self, id: SocketId, nick: &str) -> Result<(), ConnectError> {
        if !(1..=MAX_NICK).contains(&nick.chars().count()) {
            return Err("nickname must be 1 to 24 characters".into());
        }
        let mut inner = self.0.lock();
        if inner.people.values().any(|person| person.nick == nick) {
            return Err("nickname is taken".into());
        }
        let nick = nick.to_owned();
        inner.people.insert(id, Person { nick, room: None });
        Ok(())
    }

    pub(crate) fn exit(&self, id: &SocketId) -> Option<String> {
        let person = self.0.lock().people.remove(id);
        person.map(|person| person.nick)
    }

    pub(crate) fn nick(&self, id: &SocketId) -> Option<String> {
        let inner = self.0.lock();
        inner.people.get(id).map(|person| person.nick.clone())
    }

    pub(crate) fn room_of(&self, id: &SocketId) -> Option<String> {
        self.0.lock().people.get(id)?.room.clone()
    }

    pub(crate) fn list(&self) -> Vec<Line> {
        let inner = self.0.lock();
        let line = |(name, room): (&String, &Room)| Line {
            name: name.clone(),
            members: room.members.len(),
        };
        inner.rooms.iter().map(line).collect()
    }

    /// Moves the socket to a room. Returns the state of this room, and the name of the previous
    /// one.
    pub(crate) fn join(
        &self,
        id: SocketId,
        name: &str,
    ) -> Result<(Joined, Option<String>), HandlerError> {
        if !(1..=MAX_ROOM).contains(&name.chars().count()) {
            return Err(HandlerError::new("a room's name has 1 to 32 characters"));
        }
        let mut inner = self.0.lock();
        if !inner.rooms.contains_key(name) && inner.rooms.len() == MAX_ROOMS {
            return Err(HandlerError::new("there are too many rooms"));
        }
        let before = inner.leave(&id);
        let inner = &mut *inner;
        let person = inner.people.get_mut(&id);
        let person = person.ok_or_else(|| HandlerError::new("you have left"))?;
        person.room = Some(name.to_owned());
        let room = inner.rooms.entry(name.to_owned()).or_default();
        room.members.push(id);
        let nick = |id| inner.people.get(id).map(|person| person.nick.clone());
        let joined = Joined {
            room: name.to_owned(),
            members: room.members.iter().filter_map(nick).collect(),
            history: room.history.iter().cloned().collect(),
        };
        Ok((joined, before.filter(|before| before != name)))
    }

    pub(crate) fn leave(&self, id: &SocketId) -> Option<String> {
        self.0.lock().leave(id)
    }

    pub(crate) fn say(
        &self,
        id: &SocketId,
        text: String,
    ) -> Result<(String, Message), HandlerError> {
        if !(1..=MAX_TEXT).contains(&text.chars().count()) {
            return Err(HandlerError::new("a message has 1 to 2000 characters"));
        }
        let mut inner = self.0.lock();
        let inner = &mut *inner;
        let person = inner.people.get(id);
        let nowhere = || HandlerError::new("join a room first");
        let person = person.ok_or_else(nowhere)?;
        let name = person.room.clone().ok_or_else(nowhere)?;
        let room = inner.rooms.get_mut(&name).ok_or_else(nowhere)?;
        inner.next_id += 1;
        let message = Message {
            id: inner.next_id,
            nick: person.nick.clone(),
            text,
            at: now(),
        };
        room.history.push_back(message.clone());
        if room.history.len() > MAX_HISTORY {
            room.history.pop_front();
        }
        Ok((name, message))
    }
}

impl Inner {
    /// Removes the socket from its room, and the room if it is empty.
    fn leave(&mut self, id: &SocketId) -> Option<String> {
        let name = self.people.get_mut(id)?.room.take()?;
        let room = self.rooms.get_mut(&name)?;
        room.members.retain(|member| member != id);
        if room.members.is_empty() && name != LOBBY {
            self.rooms.remove(&name);
        }
        Some(name)
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

const LOBBY: &str = "lobby";
const MAX_NICK: usize = 24;
const MAX_ROOM: usize = 32;
const MAX_ROOMS: usize = 200;
const MAX_TEXT: usize = 2000;
const MAX_HISTORY: usize = 200;
