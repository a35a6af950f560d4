//! The engine: where sessions are opened, and found by their id from any worker.
//!
//! A handshake comes in, a session's link goes out. What speaks through the sessions is made by the
//! function that the engine was built with; the engine does not know what it is.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix::Addr;
use parking_lot::RwLock;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::actor::clock::now;
use crate::actor::forwarding::{Elsewhere, Forwarding};
use crate::actor::session::{Inbound, Protocol, Session};
use crate::actor::supervision::Fall;
use crate::config::{Config, Transport};
use crate::engineio;
use crate::handshake::Handshake;
use crate::id::Id;
use crate::link::{Frame, Link};
use crate::logging::TARGET_SESSION;
use crate::reason::CloseReason;

/// All sessions of a server.
pub(crate) struct Engine {
    pub(crate) config: Arc<Config>,
    sessions: RwLock<HashMap<Id, Handle>>,
    accept: Accept,
    fallen: Box<dyn Fn(Fall) + Send + Sync>,
    /// The way to the sessions of other nodes.
    forwarding: Option<Arc<dyn Forwarding>>,
    closing: AtomicBool,
    /// Told when the last session has gone.
    emptied: Notify,
    /// Cancelled when the server has been closed.
    pub(crate) ended: CancellationToken,
}

/// Makes what speaks through a new session.
pub(crate) type Accept = Box<dyn Fn(&Arc<Link>, Instant) -> Box<dyn Protocol> + Send + Sync>;

/// A session, from outside.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    pub(crate) link: Arc<Link>,
    pub(crate) session: Addr<Session>,
    pub(crate) transport: Transport,
}

/// A session that was opened on polling.
pub(crate) struct Opened {
    pub(crate) sid: Id,
    /// The OPEN packet, the answer to the handshake.
    pub(crate) packet: String,
}

impl Engine {
    pub(crate) fn new(
        config: Arc<Config>,
        accept: Accept,
        fallen: impl Fn(Fall) + Send + Sync + 'static,
        forwarding: Option<Arc<dyn Forwarding>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            config,
            sessions: RwLock::default(),
            accept,
            fallen: Box::new(fallen),
            forwarding,
            closing: AtomicBool::new(false),
            emptied: Notify::new(),
            ended: CancellationToken::new(),
        })
    }

    /// Opens a session on polling.
    pub(crate) fn open_polling(self: &Arc<Self>, handshake: Handshake) -> Opened {
        let link = Link::new(self.next_id(), &self.config, handshake);
        let opened = Opened {
            sid: link.id,
            packet: self.open_packet(&link, Transport::Polling),
        };
        self.open(link, Transport::Polling, None);
        opened
    }

    /// Makes the link of a session on a WebSocket; the OPEN packet is the first in its outbox.
    pub(crate) fn welcome(&self, handshake: Handshake) -> Arc<Link> {
        let link = Link::new(self.next_id(), &self.config, handshake);
        let open = Frame::packet(&self.open_packet(&link, Transport::WebSocket));
        link.outbox.attach_websocket();
        // The first frame of an empty outbox.
        let _ = link.outbox.push_always(open.into());
        link
    }

    /// Opens the session of a [`welcome`](Self::welcome)d client, on the worker that holds its
    /// WebSocket.
    pub(crate) fn open_websocket(self: &Arc<Self>, link: Arc<Link>, inbound: Box<dyn Inbound>) {
        self.open(link, Transport::WebSocket, Some(inbound));
    }

    pub(crate) fn find(&self, id: Id) -> Option<Handle> {
        self.sessions.read().get(&id).cloned()
    }

    /// Returns the way to a session that is not here; `None` where no other node can have it.
    pub(crate) fn elsewhere(&self, id: Id) -> Option<Elsewhere> {
        let forwarding = self.forwarding.as_ref()?;
        (forwarding.tag() != id.tag()).then(|| Elsewhere::new(forwarding, id, &self.config))
    }

    /// Notes that a session has moved to a WebSocket, held by another actor.
    pub(crate) fn moved(&self, id: Id, session: Addr<Session>) {
        if let Some(handle) = self.sessions.write().get_mut(&id) {
            handle.session = session;
            handle.transport = Transport::WebSocket;
        }
    }

    pub(crate) fn forget(&self, id: Id) {
        let mut sessions = self.sessions.write();
        sessions.remove(&id);
        if sessions.is_empty() {
            self.emptied.notify_waiters();
        }
    }

    /// Returns how many clients there are.
    pub(crate) fn count(&self) -> usize {
        self.sessions.read().len()
    }

    /// Tells whether new clients are to be sent away.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Opens no more sessions, closes those that there are, and waits up to `limit` until each has
    /// sent its last packets, and no client of another node waits here; tells whether it came to
    /// that. The program's background tasks end then.
    pub(crate) async fn close(&self, limit: Duration) -> bool {
        self.closing.store(true, Ordering::Release);
        for handle in self.sessions.read().values() {
            handle.link.close(CloseReason::ServerShuttingDown);
        }
        let emptied = async {
            loop {
                let notified = self.emptied.notified();
                if self.count() == 0 {
                    return;
                }
                notified.await;
            }
        };
        let released = async {
            if let Some(forwarding) = &self.forwarding {
                Arc::clone(forwarding).release().await;
            }
        };
        let done = async { tokio::join!(emptied, released) };
        let are_gone = timeout(limit, done).await.is_ok();
        self.ended.cancel();
        are_gone
    }

    /// Opens no more sessions, and asks those that there are to end now; waits for nobody. The
    /// program's background tasks end too.
    pub(crate) fn abort(&self) {
        self.closing.store(true, Ordering::Release);
        for handle in self.sessions.read().values() {
            handle.link.close(CloseReason::ServerShuttingDown);
        }
        self.ended.cancel();
    }

    /// Tells of a session's panic.
    pub(crate) fn session_fell(&self, fall: Fall) {
        (self.fallen)(fall);
    }

    fn open(
        self: &Arc<Self>,
        link: Arc<Link>,
        transport: Transport,
        inbound: Option<Box<dyn Inbound>>,
    ) {
        let now = now();
        let protocol = (self.accept)(&link, now);
        let session = Session::open(self, &link, protocol, transport, inbound, now);
        let handle = Handle {
            link,
            session,
            transport,
        };
        let link = Arc::clone(&handle.link);
        log::debug!(target: TARGET_SESSION, "{link} opened by {}", transport.as_str());
        self.sessions.write().insert(link.id, handle);
        if self.is_closing() {
            // It came in while the others were told.
            link.close(CloseReason::ServerShuttingDown);
        }
    }

    fn next_id(&self) -> Id {
        match &self.forwarding {
            Some(forwarding) => Id::tagged(forwarding.tag()),
            None => Id::random(),
        }
    }

    fn open_packet(&self, link: &Link, transport: Transport) -> String {
        let config = &self.config;
        // Engine.IO v4, Handshake: what the client may upgrade to.
        let can_upgrade = transport == Transport::Polling
            && config.allow_upgrades
            && config.allows(Transport::WebSocket);
        let upgrades: &[&str] = if can_upgrade { &["websocket"] } else { &[] };
        engineio::Open {
            sid: link.id.as_str(),
            upgrades,
            ping_interval: config.ping_interval,
            ping_timeout: config.ping_timeout,
            max_payload: config.max_payload,
        }
        .encode()
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("sessions", &self.count())
            .finish_non_exhaustive()
    }
}
