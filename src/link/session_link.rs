//! The shared part of a session: its data, its outbox, and the address of its actor.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use actix::{Message, Recipient};
use parking_lot::Mutex;

use crate::config::{Config, ParserId, SlowClientPolicy, Transport};
use crate::data::{Session, Values};
use crate::handshake::Handshake;
use crate::id::Id;
use crate::limits::{Limit, LimitHit, Place};
use crate::link::stats::Counters;
use crate::link::{InFlight, Outbox, Outgoing, PushError, Pushed, SessionStats, Unsent};
use crate::panics::TaskOwner;
use crate::reason::CloseReason;

/// The shared part of a session.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) id: Id,
    /// The session's number in this process, for the log, because its id is a secret.
    pub(crate) number: u64,
    pub(crate) config: Arc<Config>,
    pub(crate) handshake: Handshake,
    /// The client's parser. Changed before the session starts, if at all.
    parser: AtomicU8,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) in_flight: InFlight,
    pub(crate) counters: Counters,
    /// The program's session of the client, made at its first use.
    session: OnceLock<Session>,
    /// The values that a program with raw Engine.IO attaches to the session.
    values: OnceLock<Box<Values>>,
    holder: Mutex<Holder>,
    closing: AtomicBool,
    posting: AtomicBool,
    /// Another transport of the client is connected, and has not taken the session over. It writes
    /// this.
    has_candidate: AtomicBool,
    /// The transport of a client that is neither on polling nor on a WebSocket. Written before the
    /// session starts, or by its upgrade.
    stream: AtomicU8,
}

/// The actor of the session, the request that arrived while there was none, and the place of the
/// session among the server's limits.
#[derive(Debug, Default)]
struct Holder {
    session: Option<Recipient<Control>>,
    unheard: Option<Control>,
    /// Given back when the session closes, and at the latest with the link.
    place: Option<Box<Place>>,
}

/// A request to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub(crate) enum Control {
    /// End, for this reason.
    Close(CloseReason),
    /// The transport has closed; queued packets were sent or are lost.
    Gone,
    /// The server stops: end after the handlers in flight have ended.
    Drain,
    /// Report the packets that had no room.
    Overflowed,
    /// Check again: a socket of the session was accepted, refused or disconnected.
    StateChanged,
}

impl Link {
    pub(crate) fn new(
        id: Id,
        config: &Arc<Config>,
        handshake: Handshake,
        now: Instant,
    ) -> Arc<Self> {
        let limits = &config.limits;
        Arc::new(Self {
            id,
            number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed),
            config: Arc::clone(config),
            parser: AtomicU8::new(config.parsers.enter(&handshake).0),
            handshake,
            outbox: Arc::new(Outbox::new(limits.outbox_limit, limits.packet_limit)),
            in_flight: InFlight::new(limits.max_concurrent_handlers, limits.handlers_bytes),
            counters: Counters::new(now),
            session: OnceLock::new(),
            values: OnceLock::new(),
            holder: Mutex::default(),
            closing: AtomicBool::new(false),
            posting: AtomicBool::new(false),
            has_candidate: AtomicBool::new(false),
            stream: AtomicU8::new(Transport::Polling as u8),
        })
    }

    /// Returns the program's session of the client.
    pub(crate) fn session(&self) -> &Session {
        self.session.get_or_init(|| {
            let begun = self.handshake.get::<Session>();
            let session = begun
                .map(|session| Session::clone(&session))
                .unwrap_or_default();
            session.report_panics(&self.config.panic_reports);
            session
        })
    }

    /// Returns the values that the program has attached to the session.
    pub(crate) fn values(&self) -> &Values {
        self.values.get_or_init(Box::default)
    }

    /// Returns the session if it is in a store: it must be loaded before a handler is called, and
    /// saved after it.
    pub(crate) fn stored_session(&self) -> Option<&Session> {
        // Only a flag is read for clients without such sessions.
        let stored = self.config.sockets.stored_sessions;
        let session = stored.then(|| self.session())?;
        session.stored().map(|_| session)
    }

    /// Returns the counters of the session.
    pub(crate) fn stats(&self, now: Instant) -> SessionStats {
        SessionStats::new(
            self.handshake.time(),
            &self.counters,
            self.outbox.stats(),
            now,
        )
    }

    /// Sets the actor that has the session now.
    pub(crate) fn held_by(&self, session: Recipient<Control>) {
        let mut holder = self.holder.lock();
        if let Some(control) = holder.unheard.take() {
            session.do_send(control);
        }
        holder.session = Some(session);
    }

    /// Removes the actor; later requests are ignored.
    pub(crate) fn release(&self) {
        self.holder.lock().session = None;
    }

    /// Returns `true` if the close of the session was requested, or if it has closed by itself.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed) || self.in_flight.has_ended()
    }

    /// Returns `true` if the session has ended: its client has received the last packets, or never
    /// will.
    pub(crate) fn has_ended(&self) -> bool {
        self.in_flight.has_ended()
            && (self.outbox.is_spent() || self.holder.lock().session.is_none())
    }

    /// Reports the panic of a task of the session to the log and to the supervisors.
    pub(crate) fn report_panic(&self, task: &str, panic: &str) {
        let panic = format!("{task} of {self}: {panic}");
        let reports = &self.config.panic_reports;
        reports.report(TaskOwner::Session, panic);
    }

    /// Records the client's transport, unless it is polling.
    pub(crate) fn set_stream(&self, transport: Transport) {
        self.stream.store(transport as u8, Ordering::Relaxed);
        if transport == Transport::ServerSentEvents {
            // Its events are made of JSON.
            self.config.parsers.change(self.parser(), ParserId::JSON);
            self.parser.store(ParserId::JSON.0, Ordering::Relaxed);
        }
    }

    /// Returns the client's parser.
    #[inline]
    pub(crate) fn parser(&self) -> ParserId {
        ParserId(self.parser.load(Ordering::Relaxed))
    }

    /// Returns the present transport of the client.
    pub(crate) fn transport(&self) -> Transport {
        let stream = self.stream.load(Ordering::Relaxed);
        let others = [Transport::ServerSentEvents, Transport::WebTransport];
        match others.into_iter().find(|other| *other as u8 == stream) {
            Some(transport) => transport,
            None if self.outbox.has_websocket() => Transport::WebSocket,
            None => Transport::Polling,
        }
    }

    /// Sets the place that the session takes among the server's limits of sessions.
    pub(crate) fn occupy(&self, place: Option<Place>) {
        self.holder.lock().place = place.map(Box::new);
    }

    /// The session has closed: its place is free.
    pub(crate) fn vacate(&self) {
        // Dropped after the lock is released: it takes that of the server's limits.
        let place = self.holder.lock().place.take();
        drop(place);
    }

    /// Reports that the client has reached a limit of its session.
    pub(crate) fn hit(&self, limit: Limit, value: impl TryInto<u64>) {
        self.report_hit(LimitHit::new(limit, value));
    }

    /// Reports a hit of a limit with the client's address.
    pub(crate) fn report_hit(&self, hit: LimitHit<'_>) {
        let hit = hit.of_address(self.handshake.address());
        self.config.limit_hooks.hit(&hit);
    }

    /// Queues a packet without waiting for room. If there is none, the server's policy decides
    /// about the client.
    pub(crate) fn send(&self, packet: Outgoing) -> Result<Pushed, PushError> {
        let pushed = self.outbox.push_now(packet);
        if pushed == Err(PushError::Full) {
            self.overflowed();
        }
        pushed
    }

    /// Queues a packet if there is room. If there is none, the client stays connected.
    pub(crate) fn try_send(&self, packet: Outgoing) -> Result<(), PushError> {
        self.outbox.push(packet).map_err(|unsent| match unsent {
            Unsent::Full(_) => PushError::Full,
            Unsent::Closed => PushError::Closed,
        })
    }

    /// Queues a packet if the queue is empty, and drops it otherwise. Returns whether it was
    /// queued.
    pub(crate) fn send_volatile(&self, packet: Outgoing) -> bool {
        self.outbox.push_if_empty(packet)
    }

    /// Queues a packet about the state of a socket. If it does not fit, the session is closed under
    /// every policy: the client's view of the socket would be wrong.
    pub(crate) fn send_vital(&self, packet: Outgoing) {
        self.fail_if_full(self.outbox.push_vital(packet));
    }

    /// Queues the CONNECT packet of a socket, which a WebSocket writes apart from what follows.
    pub(crate) fn send_connect(&self, packet: Outgoing) {
        self.fail_if_full(self.outbox.push_apart(packet));
    }

    fn fail_if_full(&self, pushed: Result<(), PushError>) {
        if pushed == Err(PushError::Full) {
            self.count_overflow();
            self.close(CloseReason::OutboxFull);
        }
    }

    /// There was no room for a packet: the client is disconnected if the policy says so.
    pub(crate) fn overflowed(&self) {
        self.count_overflow();
        if self.config.engine.slow_client_policy == SlowClientPolicy::Disconnect {
            self.outbox.seal();
            self.close(CloseReason::OutboxFull);
        }
    }

    /// Reports the packets that had no room, in the session.
    pub(crate) fn report_overflows(&self) {
        for _ in 0..self.counters.take_overflows() {
            self.hit(Limit::OutboxLimit, self.config.limits.outbox_limit);
        }
    }

    /// Counts a packet without room. The sender may hold the lock of a namespace or of a socket, so
    /// the session calls the program's hook.
    fn count_overflow(&self) {
        if self.counters.overflowed() {
            self.ask(Control::Overflowed);
        }
    }

    /// Engine.IO v4, HTTP long-polling: one POST at a time. `None` while another is in flight.
    pub(crate) fn begin_post(&self) -> Option<PostTurn<'_>> {
        let taken = self.posting.swap(true, Ordering::AcqRel);
        (!taken).then_some(PostTurn(self))
    }

    /// Reference server, upgrade: one candidate for the transport of a session at a time. `None`
    /// while there is another, and after one has taken the session over.
    pub(crate) fn begin_candidate(self: &Arc<Self>) -> Option<CandidateTurn> {
        let taken = self.has_candidate.swap(true, Ordering::AcqRel);
        let turn = (!taken).then(|| CandidateTurn(Arc::clone(self)))?;
        // The last candidate has ended its turn after it became the reader.
        (!self.outbox.has_websocket()).then_some(turn)
    }

    /// Returns `true` if there is a candidate for the transport of the session.
    pub(crate) fn has_candidate(&self) -> bool {
        self.has_candidate.load(Ordering::Acquire)
    }

    /// Requests the close of the session; the first reason is used.
    pub(crate) fn close(&self, reason: CloseReason) {
        if !self.closing.swap(true, Ordering::Relaxed) {
            self.ask(Control::Close(reason));
        }
    }

    /// Requests the end of a session that reads nothing new, after its handlers in flight have
    /// ended.
    pub(crate) fn drain(&self) {
        self.ask(Control::Drain);
    }

    pub(crate) fn wake(&self) {
        self.ask(Control::StateChanged);
    }

    /// The transport has closed.
    pub(crate) fn gone(&self) {
        self.ask(Control::Gone);
    }

    fn ask(&self, control: Control) {
        let mut holder = self.holder.lock();
        match &holder.session {
            // A life-cycle message, whose number the session's life bounds.
            Some(session) => session.do_send(control),
            // A wake has no effect on a session that has not started.
            None if matches!(control, Control::StateChanged | Control::Overflowed) => {}
            None => holder.unheard = Some(control),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.config.parsers.leave(self.parser());
    }
}

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

/// The session's name in the log, because its id is a secret.
impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session {}", self.number)?;
        match self.handshake.address() {
            Some(address) => write!(f, " of {address}"),
            None => Ok(()),
        }
    }
}

/// The turn of one POST.
#[derive(Debug)]
pub(crate) struct PostTurn<'a>(&'a Link);

impl Drop for PostTurn<'_> {
    fn drop(&mut self) {
        self.0.posting.store(false, Ordering::Release);
    }
}

/// The turn of one candidate.
#[derive(Debug)]
pub(crate) struct CandidateTurn(Arc<Link>);

impl Drop for CandidateTurn {
    fn drop(&mut self) {
        self.0.has_candidate.store(false, Ordering::Release);
    }
}
