//! The engine: opens sessions, and finds them by their id from any worker.
//!
//! A handshake enters, a session's link leaves. The function that the engine was built with makes
//! the protocol of each session; the engine does not depend on its kind.

use std::cmp::Reverse;
use std::fmt;
use std::mem;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use actix::Addr;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::clock::now;
use crate::config::{Config, Transport};
use crate::engineio;
use crate::handshake::Revision;
use crate::id::{Id, IdMap};
use crate::limits::Admission;
use crate::link::{Frame, Inbound, Link, Protocol};
use crate::logging::TARGET_SESSION;
use crate::reason::CloseReason;
use crate::session::actor::Session;
use crate::session::forwarding::{Forwarding, RemoteSession};
use crate::session::handle::Handle;
use crate::session::host::{SessionHost, SessionWatcher};
use crate::session::new_client::{NewClient, Opened};
use crate::session::stage::{Stage, StageCell};
use crate::session::totals::Totals;
use crate::supervision::ChildPanic;

/// All sessions of a server.
pub(crate) struct Engine {
    pub(crate) config: Arc<Config>,
    sessions: RwLock<Sessions>,
    lingering: Mutex<Lingering>,
    accept: Accept,
    fallen: Box<dyn Fn(ChildPanic) + Send + Sync>,
    /// Forwards requests to the sessions of other nodes.
    forwarding: Option<Arc<dyn Forwarding>>,
    /// Receives the changes of the sessions, if there is one.
    watcher: OnceLock<Box<dyn SessionWatcher>>,
    /// `None` if no option limits new clients.
    admission: Option<Arc<Admission>>,
    /// Clients may upgrade to WebTransport.
    has_webtransport: AtomicBool,
    pub(crate) stage: StageCell,
    /// Notified after the last session has ended.
    emptied: Notify,
    /// Cancelled after the server was closed.
    pub(crate) ended: CancellationToken,
}

/// The sessions that clients can reach: open ones, and closed ones whose clients have not yet
/// received the last packets.
#[derive(Default)]
struct Sessions {
    by_id: IdMap<Id, Handle>,
    /// The number of open sessions.
    open: usize,
    /// The counters of the sessions that were removed.
    removed: Totals,
}

impl Lingering {
    fn add(&mut self, link: &Arc<Link>) {
        if self.links.len() >= self.bound {
            let is_busy = |link: &Weak<Link>| {
                let link = link.upgrade();
                link.is_some_and(|link| link.in_flight.is_busy())
            };
            self.links.retain(|_, link| is_busy(link));
            self.bound = 2 * self.links.len() + LINGERING;
        }
        self.links.insert(link.id, Arc::downgrade(link));
    }

    fn links(&self) -> impl Iterator<Item = Arc<Link>> {
        self.links.values().filter_map(Weak::upgrade)
    }
}

impl Sessions {
    fn open(&self) -> impl Iterator<Item = &Handle> {
        self.by_id.values().filter(|handle| !handle.has_closed)
    }

    fn insert(&mut self, handle: Handle) {
        self.open += 1;
        self.by_id.insert(handle.link.id, handle);
    }

    fn close(&mut self, id: Id) {
        if let Some(handle) = self.by_id.get_mut(&id)
            && !mem::replace(&mut handle.has_closed, true)
        {
            self.open -= 1;
        }
    }

    fn remove(&mut self, id: Id) -> Option<Handle> {
        let removed = self.by_id.remove(&id)?;
        if !removed.has_closed {
            self.open -= 1;
        }
        self.removed.fold(&removed.link);
        Some(removed)
    }
}

/// Links of ended sessions for which something is still running. The running task holds the link;
/// nothing here keeps the values that the program has attached to it.
#[derive(Default)]
struct Lingering {
    links: IdMap<Id, Weak<Link>>,
    /// The number of links at which finished ones are removed.
    bound: usize,
}

/// Makes the protocol of a new session.
pub(crate) type Accept = Box<dyn Fn(&Arc<Link>, Instant) -> Box<dyn Protocol> + Send + Sync>;

impl Engine {
    pub(crate) fn new(
        config: Arc<Config>,
        accept: Accept,
        fallen: impl Fn(ChildPanic) + Send + Sync + 'static,
        forwarding: Option<Arc<dyn Forwarding>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            admission: Admission::new(&config.admission, now()),
            config,
            sessions: RwLock::default(),
            lingering: Mutex::default(),
            accept,
            fallen: Box::new(fallen),
            forwarding,
            watcher: OnceLock::new(),
            has_webtransport: AtomicBool::new(false),
            stage: StageCell::default(),
            emptied: Notify::new(),
            ended: CancellationToken::new(),
        })
    }

    /// Returns the limits of new clients.
    pub(crate) fn admission(&self) -> Option<&Arc<Admission>> {
        self.admission.as_ref()
    }

    /// Returns the time of the sessions.
    #[allow(clippy::unused_self, reason = "the layers above read no clock")]
    pub(crate) fn now(&self) -> Instant {
        now()
    }

    /// Opens a session on polling.
    pub(crate) fn open_polling(self: &Arc<Self>, client: NewClient) -> Opened {
        let link = self.link(client);
        let opened = Opened {
            sid: link.id,
            packet: self.open_packet(&link, Transport::Polling),
        };
        self.open(link, Transport::Polling, None);
        opened
    }

    /// Offers WebTransport to the clients that connect from now on.
    #[cfg(feature = "webtransport")]
    pub(crate) fn offer_webtransport(&self) {
        self.has_webtransport.store(true, Ordering::Relaxed);
    }

    /// Makes the link of a session on a stream; the OPEN packet is the first in its outbox.
    pub(crate) fn welcome(&self, client: NewClient) -> Arc<Link> {
        let link = self.link(client);
        let open = Frame::packet(&self.open_packet(&link, Transport::WebSocket));
        link.outbox.attach_websocket();
        // The first frame of an empty outbox.
        let _ = link.outbox.push_apart(open.into());
        link
    }

    /// Opens the session of a [`welcome`](Self::welcome)d client, on the worker of its stream.
    pub(crate) fn open_stream(
        self: &Arc<Self>,
        link: Arc<Link>,
        transport: Transport,
        inbound: Box<dyn Inbound>,
    ) {
        link.set_stream(transport);
        self.open(link, transport, Some(inbound));
    }

    /// Starts an actor on this worker for a session that will arrive and whose transport is here.
    pub(crate) fn await_arrival(self: &Arc<Self>, inbound: Box<dyn Inbound>) -> Addr<Session> {
        Session::await_arrival(self.host(), inbound)
    }

    pub(crate) fn find(&self, id: Id) -> Option<Handle> {
        self.sessions.read().by_id.get(&id).cloned()
    }

    /// Returns the forwarding for a session that is not here; `None` if no other node can have it.
    pub(crate) fn elsewhere(&self, id: Id) -> Option<RemoteSession> {
        let forwarding = self.forwarding.as_ref()?;
        (forwarding.tag() != id.tag())
            .then(|| RemoteSession::new(forwarding, id, &self.config.engine))
    }

    /// Returns the number of clients.
    pub(crate) fn count(&self) -> usize {
        self.sessions.read().open
    }

    /// Returns the number of handlers that have started and wait, except those that wait for the
    /// end of their own socket.
    pub(crate) fn handlers_in_flight(&self) -> usize {
        let links = self.links();
        links.iter().map(|link| link.in_flight.waiting()).sum()
    }

    /// Returns the counters of all sessions since the start.
    pub(crate) fn totals(&self) -> Totals {
        let sessions = self.sessions.read();
        let mut totals = sessions.removed;
        for handle in sessions.by_id.values() {
            totals.add(&handle.link);
            if !handle.has_closed {
                totals.count(handle.transport);
            }
        }
        totals
    }

    /// Returns the links of the open sessions with the most queued bytes, most first.
    pub(crate) fn slowest(&self, count: usize) -> Vec<Arc<Link>> {
        let links = self.open_links().into_iter();
        let queued = links.map(|link| (link.outbox.stats().queued_bytes, link));
        let mut queued: Vec<_> = queued.filter(|(bytes, _)| *bytes > 0).collect();
        queued.sort_unstable_by_key(|(bytes, link)| (Reverse(*bytes), link.number));
        let slowest = queued.into_iter().take(count);
        slowest.map(|(_, link)| link).collect()
    }

    /// Returns the links of the open sessions.
    pub(crate) fn open_links(&self) -> Vec<Arc<Link>> {
        let sessions = self.sessions.read();
        let open = sessions.open();
        open.map(|handle| Arc::clone(&handle.link)).collect()
    }

    /// Returns the link of an open session.
    pub(crate) fn open_link(&self, id: Id) -> Option<Arc<Link>> {
        let sessions = self.sessions.read();
        let handle = sessions.by_id.get(&id)?;
        (!handle.has_closed).then(|| Arc::clone(&handle.link))
    }

    /// Sets the receiver of the changes of the sessions. Returns `false` if there is one already.
    #[cfg(feature = "admin")]
    pub(crate) fn watch(&self, watcher: Box<dyn SessionWatcher>) -> bool {
        self.watcher.set(watcher).is_ok()
    }

    /// Returns `true` if the server has begun to close.
    pub(crate) fn is_closing(&self) -> bool {
        self.stage.has_reached(Stage::Closing)
    }

    /// Refuses new sessions, and lets the open ones read no new events. None of them closes for that
    /// reason before [`close`](Self::close).
    pub(crate) fn hold(&self) {
        self.stage.reach(Stage::Closing);
        self.links().iter().for_each(|link| link.in_flight.hold());
    }

    /// Refuses new sessions, and closes the open ones. Each session reads no new events, waits for
    /// its handlers in flight, and closes. Waits up to `limit` until the clients have received
    /// their last packets, no handler is running, and no client of another node polls here. Returns
    /// `true` if all did. At the start of the last tenth of the limit the running handlers are
    /// dropped, and so are queued packets except the close, so that clients receive it. The
    /// program's background tasks end last.
    pub(crate) async fn close(&self, limit: Duration) -> bool {
        self.stage.reach(Stage::Closing);
        let links = self.links();
        // None of them closes before all of them have stopped reading events.
        links.iter().for_each(|link| link.in_flight.drain());
        links.iter().for_each(|link| link.drain());
        drop(links);
        let released = async {
            if let Some(forwarding) = &self.forwarding {
                Arc::clone(forwarding).release().await;
            }
        };
        let mut done = pin!(async { tokio::join!(self.finished(), released) });
        let last = limit / LAST_SHARE;
        let mut is_done = timeout(limit - last, &mut done).await.is_ok();
        if !is_done {
            let dropped = self.cut(limit - last);
            is_done = timeout(last, done).await.is_ok() && dropped == 0;
        }
        self.ended.cancel();
        is_done
    }

    /// Waits until every session has ended, and its handlers too.
    async fn finished(&self) {
        loop {
            let notified = self.emptied.notified();
            if self.sessions.read().by_id.is_empty() {
                break;
            }
            notified.await;
        }
        while let Some(link) = self.busy() {
            link.in_flight.finished().await;
        }
    }

    /// Returns an ended session for which something is still running.
    fn busy(&self) -> Option<Arc<Link>> {
        let lingering = self.lingering.lock();
        lingering.links().find(|link| link.in_flight.is_busy())
    }

    /// Drops the handlers in flight, and closes every session, whose client receives only the
    /// close. Returns the number of handlers, which had `limit` to end.
    fn cut(&self, limit: Duration) -> usize {
        let mut dropped = 0;
        for link in self.links() {
            dropped += link.in_flight.waiting();
            link.in_flight.cut();
            // The closed ones; an open one does it when it closes.
            link.outbox.hasten();
            link.close(CloseReason::ServerShuttingDown);
        }
        if dropped > 0 {
            log::warn!(
                "server stopped: {dropped} handlers did not end within {limit:?} and are dropped"
            );
        }
        dropped
    }

    /// Returns the links of all sessions, including ended ones for which something is running.
    fn links(&self) -> Vec<Arc<Link>> {
        let sessions = self.sessions.read();
        let handles = sessions.by_id.values();
        let mut links: Vec<_> = handles.map(|handle| Arc::clone(&handle.link)).collect();
        drop(sessions);
        links.extend(self.lingering.lock().links());
        links
    }

    /// Refuses new sessions, and ends the open ones now, without waiting. The program's background
    /// tasks end too.
    pub(crate) fn abort(&self) {
        self.stage.reach(Stage::Closing);
        for link in self.links() {
            link.close(CloseReason::ServerShuttingDown);
        }
        self.ended.cancel();
    }

    fn open(
        self: &Arc<Self>,
        link: Arc<Link>,
        transport: Transport,
        inbound: Option<Box<dyn Inbound>>,
    ) {
        let now = now();
        let protocol = (self.accept)(&link, now);
        let session = Session::open(self.host(), &link, protocol, transport, inbound, now);
        let handle = Handle {
            link,
            session,
            transport,
            has_closed: false,
        };
        let link = Arc::clone(&handle.link);
        log::debug!(target: TARGET_SESSION, "{link} opened over {}", transport.as_str());
        self.config.telemetry.metrics.opened(transport.as_str());
        self.sessions.write().insert(handle);
        if let Some(watcher) = self.watcher.get() {
            watcher.opened();
        }
        if self.is_closing() {
            // The session was opened while the others were notified.
            link.in_flight.drain();
            link.close(CloseReason::ServerShuttingDown);
        }
    }

    fn host(self: &Arc<Self>) -> Arc<dyn SessionHost<Session>> {
        // `Arc::clone` would ask for the trait's pointer already.
        Arc::<Self>::clone(self)
    }

    fn link(&self, client: NewClient) -> Arc<Link> {
        let link = Link::new(self.next_id(), &self.config, client.handshake, now());
        link.occupy(client.place);
        link.outbox.set_form(client.form);
        link
    }

    fn next_id(&self) -> Id {
        match &self.forwarding {
            Some(forwarding) => Id::tagged(forwarding.tag()),
            None => Id::random(),
        }
    }

    fn open_packet(&self, link: &Link, transport: Transport) -> String {
        let config = &self.config;
        // Engine.IO v4, Handshake: the transports to which the client may upgrade.
        // A client of the third revision does not know WebTransport.
        let has_webtransport = self.has_webtransport.load(Ordering::Relaxed)
            && link.handshake.revision() == Revision::V4;
        engineio::Open {
            sid: link.id.as_str(),
            upgrades: config.engine.upgrades(transport, has_webtransport),
            ping_interval: config.engine.ping_interval,
            ping_timeout: config.engine.ping_timeout,
            max_payload: config.limits.max_payload,
        }
        .encode()
    }
}

impl SessionHost<Session> for Engine {
    fn moved(&self, id: Id, session: Addr<Session>, transport: Transport) {
        let number = {
            let mut sessions = self.sessions.write();
            let Some(handle) = sessions.by_id.get_mut(&id) else {
                return;
            };
            handle.session = session;
            handle.transport = transport;
            handle.link.number
        };
        if let Some(watcher) = self.watcher.get() {
            watcher.upgraded(number, transport.as_str());
        }
    }

    fn closed(&self, id: Id, reason: CloseReason) {
        self.sessions.write().close(id);
        if let Some(watcher) = self.watcher.get() {
            watcher.closed(reason);
        }
    }

    /// A server that stops waits for the handlers that still run for the session.
    fn forgotten(&self, link: &Arc<Link>) {
        if link.in_flight.is_busy() {
            self.lingering.lock().add(link);
        }
        let gone = {
            let mut sessions = self.sessions.write();
            let gone = sessions.remove(link.id);
            if gone.is_some() && sessions.by_id.is_empty() {
                self.emptied.notify_waiters();
            }
            gone
        };
        drop(gone);
    }

    fn crashed(&self, fall: ChildPanic) {
        (self.fallen)(fall);
    }

    fn is_closing(&self) -> bool {
        self.stage.has_reached(Stage::Refusing)
    }
}

/// The part of the time limit of a stop that is reserved for the last packets if handlers use all
/// the rest: a tenth.
const LAST_SHARE: u32 = 10;

/// The number of ended sessions at which finished ones are removed.
const LINGERING: usize = 64;

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("sessions", &self.count())
            .finish_non_exhaustive()
    }
}
