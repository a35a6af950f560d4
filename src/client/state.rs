//! The sockets of a client in its session, and the packets that wait for them, as values.
//!
//! The files beside this one handle packets for it, each for one part of a client's life.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use crate::client::message::Message;
use crate::client::rates::{Limiting, SocketRates};
use crate::handler::{EventLine, TableView};
use crate::link::Link;
use crate::members::{Membership, Resumed};
use crate::namespace::{NamespaceLease, Registry};
use crate::socket::Socket;
use crate::socketio::{Assembler, Limits, PacketDecoder};

/// The sockets of a client in its session.
pub(crate) struct Client {
    pub(super) link: Arc<Link>,
    pub(super) registry: Arc<Registry>,
    pub(super) slots: Vec<Slot>,
    /// Names of namespaces that have refused or disconnected the client: packets that it sent
    /// before it knew are dropped.
    pub(super) left: Vec<Arc<str>>,
    /// `None` unless the server has rates.
    pub(super) limiting: Option<Box<Limiting>>,
    /// Namespaces for which a request to the cluster is pending.
    pub(super) arriving: Vec<Arriving>,
    /// Made with the first request to the cluster.
    pub(super) asked: Option<Arc<Mutex<Asked>>>,
    pub(super) assembler: Assembler,
    /// The decoder of a program's parser, if the client uses one.
    pub(super) decoder: Option<Box<Box<dyn PacketDecoder>>>,
    /// The time by which the client must have connected to a namespace.
    pub(super) connect_by: Option<Instant>,
    /// The time by which the attachments of the waiting packet must have arrived.
    pub(super) attachments_by: Option<Instant>,
    /// The time of the next step of a login.
    // Boxed, for most logins have no end.
    pub(super) login_step_by: Option<Box<Instant>>,
}

/// One socket, and the packets that wait for it.
pub(super) struct Slot {
    pub(super) socket: Socket,
    pub(super) namespace: NamespaceLease,
    pub(super) table: TableView,
    /// The packets that have arrived before their socket was connected.
    pub(super) waiting: VecDeque<Message<'static>>,
    pub(super) waiting_bytes: usize,
    /// `None` if no rate applies.
    pub(super) rates: Option<Box<SocketRates>>,
    /// Made with the first event that an asynchronous check delays.
    pub(super) line: Option<Arc<EventLine>>,
}

/// A client that may have been on another node, in one namespace.
pub(super) struct Arriving {
    /// The number of this request among those of the client.
    pub(super) number: u64,
    pub(super) namespace: NamespaceLease,
    pub(super) auth: Option<Box<str>>,
    pub(super) waiting: Vec<Message<'static>>,
}

/// The requests of a client to the cluster.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) count: u64,
    /// The results that were not read yet; `None` if the client has disconnected.
    pub(super) found: Option<Vec<Found>>,
}

pub(super) struct Found {
    pub(super) number: u64,
    pub(super) membership: Arc<Membership>,
    pub(super) resumed: Option<Resumed>,
}

impl Client {
    pub(crate) fn new(registry: &Arc<Registry>, link: &Arc<Link>, now: Instant) -> Self {
        Self {
            link: Arc::clone(link),
            registry: Arc::clone(registry),
            // Most clients connect to one namespace.
            slots: Vec::with_capacity(1),
            left: Vec::new(),
            limiting: None,
            arriving: Vec::new(),
            asked: None,
            assembler: Assembler::default(),
            decoder: None,
            connect_by: Some(now + link.config.sockets.connect_timeout),
            attachments_by: None,
            login_step_by: None,
        }
    }

    /// Returns the limits of a packet.
    pub(super) fn limits(&self) -> Limits {
        Limits {
            attachments: self.link.config.limits.max_attachments,
            ..Limits::default()
        }
    }
}
