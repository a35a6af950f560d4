//! The sending of an event to its audience: each recipient receives it once, from any thread.

use std::collections::HashSet;
use std::sync::Arc;

use crate::cluster::EmitFlags;
use crate::id::SocketId;
use crate::link::{Outgoing, Pushed};
use crate::members::audience::Audience;
use crate::members::crowd::Crowd;
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
            let packet = self.relayed(None, list);
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
        if let Some(sender) = &audience.sender {
            skipped.insert(sender.key);
            skipped.extend(self.successor(&sender.id).map(|socket| socket.key));
        }
        if let Some(socket) = &audience.alone {
            // Its client may have reconnected since.
            let successor = self.successor(&socket.id);
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
    pub(crate) fn successor(&self, id: &SocketId) -> Option<Arc<SocketState>> {
        self.recovery.as_ref().and_then(|_| self.socket(id))
    }

    /// The room named by a socket's id is that socket alone. It is checked before all others, so
    /// that a client cannot receive another's events by joining a room of that name.
    pub(crate) fn virtual_room(&self, room: &str) -> Option<Arc<SocketState>> {
        room.parse().ok().and_then(|id| self.socket(&id))
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

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};
    use std::time::Instant;

    use super::*;
    use crate::config::Config;
    use crate::handshake::Handshake;
    use crate::id::Id;
    use crate::link::{Deflater, Link};
    use crate::websocket::{Compression, compressions};

    const THRESHOLD: usize = 1024;

    /// Enters a socket whose transport is a WebSocket, and takes its first packet.
    fn member(namespace: &Membership) -> Arc<SocketState> {
        let config = Arc::new(Config::new("/"));
        let link = Link::new(Id::random(), &config, Handshake::empty(), Instant::now());
        let socket = Arc::new(SocketState::new(namespace.shared_name(), &link, None));
        socket.accept().unwrap();
        namespace.enter(&socket).unwrap();
        socket.link.outbox.attach_websocket();
        sent(&socket, None);
        socket
    }

    /// Takes the bytes that the WebSocket of a socket sends.
    fn sent(socket: &SocketState, deflater: Option<&mut Deflater>) -> Vec<u8> {
        let mut cx = Context::from_waker(Waker::noop());
        let outbox = &socket.link.outbox;
        let chunk = match deflater {
            Some(deflater) => outbox.poll_deflated(&mut cx, deflater),
            None => outbox.poll_chunk(&mut cx),
        };
        match chunk {
            Poll::Ready(Some(chunk)) => chunk.to_vec(),
            Poll::Ready(None) | Poll::Pending => panic!("nothing is sent"),
        }
    }

    fn deflater(window_bits: u8) -> Deflater {
        let level = 1;
        Deflater::new(THRESHOLD, Compression { window_bits, level }, false)
    }

    #[actix_rt::test]
    async fn a_broadcast_is_compressed_once_for_each_window_of_its_clients() {
        let namespace = Membership::new("/", Vec::new());
        namespace.compress_from(THRESHOLD);
        let members: Vec<_> = (0..1000).map(|_| member(&namespace)).collect();
        let text = "news ".repeat(1000);
        for (compress, expected) in [(true, 2), (false, 0)] {
            let mut packet = namespace.event(None, "event", &text, None).unwrap();
            if !compress {
                packet = packet.without_compression();
            }
            assert!(
                namespace
                    .broadcast(&Audience::default(), &packet, false)
                    .is_empty()
            );
            let before = compressions();
            let plain = packet.frame.websocket().to_vec();
            for (index, socket) in members.iter().enumerate() {
                let bytes = match index % 3 {
                    0 => sent(socket, None),
                    1 => sent(socket, Some(&mut deflater(15))),
                    _ => sent(socket, Some(&mut deflater(9))),
                };
                if index % 3 == 0 || !compress {
                    assert_eq!(bytes, plain);
                } else {
                    assert_eq!(bytes[0], 0xC1);
                    assert!(bytes.len() < plain.len() / 5, "{}", bytes.len());
                }
            }
            assert_eq!(compressions() - before, expected);
        }
        let relayed = Args::from_value(&("event", text)).unwrap();
        let tell = |_| ();
        let origin = EventSource::ThisNode;
        let flags = EmitFlags::default();
        let _ = namespace.relay(&Audience::default(), flags, &relayed, origin, tell);
        let before = compressions();
        for socket in &members {
            assert_eq!(sent(socket, Some(&mut deflater(15)))[0], 0xC1);
        }
        assert_eq!(compressions() - before, 1);
    }
}
