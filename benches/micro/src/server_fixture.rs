//! A namespace full of sockets, whose transports take everything at once.

use std::hint::black_box;
use std::io::IoSlice;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Instant, SystemTime};

use crate::config::Config;
use crate::handshake::{Extensions, Handshake, HandshakeMeta, Peer, Revision};
use crate::id::Id;
use crate::link::{Link, Outbox};
use crate::members::{Audience, Membership, SocketState};

pub(crate) struct ServerFixture {
    pub(crate) membership: Arc<Membership>,
    pub(crate) sockets: Vec<Arc<SocketState>>,
}

impl ServerFixture {
    pub(crate) fn new(sockets: usize) -> Self {
        let membership = Membership::new("/", Vec::new());
        let config = Arc::new(Config::new("/"));
        let enter = |_| {
            let link = Link::new(Id::random(), &config, handshake(), Instant::now());
            let socket = Arc::new(SocketState::new(membership.shared_name(), &link, None));
            let entered = socket.accept().is_ok() && membership.enter(&socket).is_ok();
            assert!(entered, "a socket that nobody has ended");
            // A WebSocket would pause behind the CONNECT packet.
            link.outbox.attach_websocket();
            drain(&link.outbox);
            socket
        };
        let sockets = (0..sockets).map(enter).collect();
        Self {
            membership,
            sockets,
        }
    }

    /// Lets a socket into a room.
    pub(crate) fn join(&self, socket: usize, room: &str) {
        let joined = self.membership.join(&self.sockets[socket], room);
        assert!(joined.is_ok(), "a socket that nobody has ended");
    }

    /// Sends an event to everybody, and lets each transport take it.
    pub(crate) fn broadcast(&self) {
        self.send(&Audience::default());
        for socket in &self.sockets {
            drain(&socket.link.outbox);
        }
    }

    /// Sends an event to some; what of it lies in their outboxes stays there.
    pub(crate) fn send(&self, audience: &Audience) {
        let Ok(packet) = self
            .membership
            .event(None, "news", black_box("hello"), None)
        else {
            panic!("a text that can be sent")
        };
        let full = self.membership.broadcast(audience, &packet, false);
        assert!(full.is_empty(), "outboxes with room");
    }
}

/// Takes what is queued, as a socket does that takes everything.
pub(crate) fn drain(outbox: &Outbox) {
    let mut cx = Context::from_waker(Waker::noop());
    let polled = outbox.poll_write(&mut cx, &mut |_, frames: &[IoSlice<'_>]| {
        let bytes = frames.iter().map(|frame| black_box(&frame[..]).len()).sum();
        Poll::Ready(Ok(bytes))
    });
    assert!(polled.is_pending(), "an outbox that is open");
}

/// Returns what a client says that says nothing.
pub(crate) fn handshake() -> Handshake {
    let facts = HandshakeMeta {
        peer: Peer {
            address: None,
            is_secure: false,
            hops: 0,
        },
        time: SystemTime::UNIX_EPOCH,
        revision: Revision::V4,
        extensions: Extensions::default(),
    };
    Handshake::new("/", 1, [], facts)
}
