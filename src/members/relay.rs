//! The sending of an event to its audience: each recipient receives it once, from any thread.

use std::collections::HashSet;
use std::sync::Arc;

use crate::cluster::EmitFlags;
use crate::id::SocketId;
use crate::link::{Outgoing, Pushed};
use crate::members::audience::Audience;
use crate::members::crowd::Crowd;
use crate::members::encode;
use crate::members::lists::Members;
use crate::members::membership::Membership;
use crate::members::recovery::EventSource;
use crate::members::socket::SocketState;
use crate::socketio::Args;

/// The result of an event that was sent to many.
#[must_use = "`crowd` needs a call of `give_turn`"]
pub(crate) struct Relayed<T> {
    pub(crate) crowd: Crowd,
    /// The result of the message to other nodes.
    pub(crate) sent: T,
}

impl Membership {
    /// Sends an event whose list of name and arguments is encoded already to the audience. `tell`
    /// sends it to other nodes, under its number among this node's own events, and is called in the
    /// order of the numbers.
    pub(crate) fn relay<T>(
        &self,
        audience: &Audience,
        flags: EmitFlags,
        list: &Args,
        origin: EventSource<'_>,
        tell: impl FnOnce(u64) -> T,
    ) -> Relayed<T> {
        let encoded = |list: &Args| {
            let packet = encode::relayed(self.name(), None, list);
            if flags.uncompressed {
                packet.without_compression()
            } else {
                packet
            }
        };
        let Some(recovery) = &self.recovery else {
            let crowd = self.broadcast(audience, &encoded(list), flags.volatile);
            return Relayed {
                crowd,
                sent: tell(0),
            };
        };
        let mut log = recovery.lock();
        let audience = &*log.without_receivers(audience, origin);
        let (mut number, mut crowd) = (0, Crowd::new());
        if flags.volatile {
            let packet = encoded(&list.followed_by(&log.latest(self.position()).text));
            self.broadcast(audience, &packet, true);
        } else {
            if let (EventSource::ThisNode, Some(adapter)) = (origin, &self.adapter) {
                number = adapter.reserve();
            }
            log.advance(origin, number);
            let packet = encoded(&list.followed_by(&log.latest(self.position()).text));
            recovery.record(&mut log, audience, &packet);
            self.each(audience, |socket| {
                if socket.deliver_kept(packet.clone()) == Some(Pushed::Over) {
                    crowd.push(Arc::clone(socket));
                }
            });
        }
        Relayed {
            crowd,
            sent: tell(number),
        }
    }

    /// Pushes a packet to each socket of the audience once; if it is volatile, only to those whose
    /// outbox is empty. Returns the sockets that it has put above their limit.
    pub(crate) fn broadcast(
        &self,
        audience: &Audience,
        packet: &Outgoing,
        volatile: bool,
    ) -> Crowd {
        let mut crowd = Crowd::new();
        if volatile {
            self.each(audience, |socket| {
                socket.deliver_volatile(packet.clone());
            });
        } else {
            self.each(audience, |socket| {
                // A client that is disconnected or slow is not the sender's error.
                if matches!(socket.deliver(packet.clone()), Ok(Pushed::Over)) {
                    crowd.push(Arc::clone(socket));
                }
            });
        }
        crowd
    }

    /// Returns the sockets of the audience without duplicates.
    pub(crate) fn select(&self, audience: &Audience) -> Vec<Arc<SocketState>> {
        let mut selected = Vec::new();
        self.each(audience, |socket| selected.push(Arc::clone(socket)));
        selected
    }

    /// Returns the size of the audience: in constant time for the whole namespace and for one room.
    pub(crate) fn size(&self, audience: &Audience) -> usize {
        let Audience {
            alone: None,
            rooms,
            except,
            sender: None,
        } = audience
        else {
            return self.counted(audience);
        };
        match rooms.as_deref() {
            _ if !except.is_empty() => self.counted(audience),
            None => self.count(),
            Some([room]) if self.virtual_room(room).is_none() => {
                self.room(room).map_or(0, |members| members.read().len())
            }
            Some(_) => self.counted(audience),
        }
    }

    fn counted(&self, audience: &Audience) -> usize {
        let mut count = 0;
        self.each(audience, |_| count += 1);
        count
    }

    /// Calls `visit` for each socket of the audience once, under the lock of the members.
    fn each(&self, audience: &Audience, mut visit: impl FnMut(&Arc<SocketState>)) {
        let mut skipped = self.keys_of(&audience.except);
        if let Some(sender) = audience.sender {
            skipped.insert(sender.key);
            skipped.extend(self.successor(sender.id).map(|socket| socket.key));
        }
        if let Some(socket) = &audience.alone {
            // Its client may have reconnected since.
            let successor = self.successor(socket.id);
            let socket = successor.as_ref().unwrap_or(socket);
            if !skipped.contains(&socket.key) {
                visit(socket);
            }
            return;
        }
        let Some(rooms) = &audience.rooms else {
            return show(&self.lists.read().sockets, &mut skipped, false, visit);
        };
        let once = rooms.len() > 1;
        for room in rooms {
            if let Some(socket) = self.virtual_room(room) {
                if skipped.insert(socket.key) {
                    visit(&socket);
                }
            } else if let Some(members) = self.room(room) {
                show(&members.read(), &mut skipped, once, &mut visit);
            }
        }
    }

    /// Returns the socket that has this id now, if clients are recovered under their previous ids.
    /// A socket that is not accepted yet is not returned.
    pub(crate) fn successor(&self, id: SocketId) -> Option<Arc<SocketState>> {
        self.recovery.as_ref().and_then(|_| self.socket(id))
    }

    /// The room named by a socket's id is that socket alone. It is checked before all others, so
    /// that a client cannot receive another's events by joining a room of that name.
    pub(crate) fn virtual_room(&self, room: &str) -> Option<Arc<SocketState>> {
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

fn show(
    members: &Members,
    skipped: &mut HashSet<u64>,
    once: bool,
    mut visit: impl FnMut(&Arc<SocketState>),
) {
    for (key, socket) in members {
        let skip = if once {
            !skipped.insert(*key)
        } else {
            !skipped.is_empty() && skipped.contains(key)
        };
        if !skip {
            visit(socket);
        }
    }
}
