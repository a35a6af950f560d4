//! A socket's state: one client in one namespace.
//!
//! Any thread may deliver packets to it. Packets that are sent before the client was accepted are
//! held back, so that the CONNECT packet is first. It has its link, and the name of its namespace;
//! it depends on no other socket, no room and no actor.

use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use indexmap::IndexSet;
use parking_lot::Mutex;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::config::SessionScope;
use crate::data::{Session, SocketExtensions};
use crate::error::{ConnectError, EmitError};
use crate::handshake::Revision;
use crate::id::{Id, SocketId};
use crate::limits::{Limit, LimitHit};
use crate::link::{Link, Outgoing, PushError};
use crate::logging::{TARGET_EVENT, plain};
use crate::members::calls::{Caller, Calls};
use crate::members::encode::Encoder;
use crate::members::login::Login;
use crate::members::recovery::{RecoveryState, Resumed};
use crate::notice::DisconnectNotice;
use crate::reason::{CloseReason, DisconnectReason};
use crate::socketio::Args;
use crate::user::user_of;

/// The state that all handles of one socket share.
///
/// ```text
///                accept            open
///   Connecting ─────────▶ Accepted ────▶ Connected
///        │ end                │ end           │ end
///        ▼                    ▼               │
///    Abandoned              Ended ◀───────────┘
/// ```
/// `Accepted` is between the program's acceptance and the namespace's: packets are still held back,
/// but the program's `on_disconnect` will run.
#[derive(Debug)]
pub(crate) struct SocketState {
    /// The socket's number in this process.
    pub(crate) key: u64,
    pub(crate) id: SocketId,
    pub(crate) namespace: Arc<str>,
    pub(crate) link: Arc<Link>,
    /// The JSON text of the CONNECT payload.
    pub(crate) auth: Option<Box<str>>,
    pub(crate) rooms: Mutex<IndexSet<Arc<str>>>,
    pub(crate) extensions: SocketExtensions,
    /// Its recovery state, if its namespace has recovery.
    pub(crate) resume: Option<Box<RecoveryState>>,
    /// Its login, if the program has set one.
    login: OnceLock<Box<Login>>,
    phase: AtomicU8,
    held: Mutex<Held>,
    calls: Calls,
    /// Cancelled by `end_saying`; made when a task first waits for the end.
    ended: OnceLock<CancellationToken>,
}

/// The state that changes together with the phase, under one lock.
#[derive(Debug, Default)]
struct Held {
    /// Packets that must follow the CONNECT packet.
    packets: Vec<Outgoing>,
    bytes: usize,
    /// The reason of the socket's end.
    reason: Option<DisconnectReason>,
    /// The reason that the program gave for it.
    notice: Option<Arc<DisconnectNotice>>,
}

/// The phases of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    Connecting,
    Accepted,
    Connected,
    /// Ended after the program had accepted it.
    Ended,
    /// Ended before that.
    Abandoned,
}

impl SocketState {
    /// Makes a socket that is new or recovered.
    pub(crate) fn beginning(
        namespace: &Arc<str>,
        link: &Arc<Link>,
        auth: Option<&str>,
        mut resume: Option<Box<RecoveryState>>,
    ) -> Self {
        let resumed = resume.as_mut().and_then(|resume| resume.resumed.as_mut());
        let id = resumed.as_ref().map(|resumed| resumed.state.id.clone());
        let login = resumed
            .as_ref()
            .and_then(|resumed| resumed.state.login.restored());
        let extensions = resumed.map(|resumed| std::mem::take(&mut resumed.state.extensions));
        let joined = resume.as_ref().map(|resume| resume.joined.lock());
        let rooms = joined.map(|joined| joined.keys().cloned().collect());
        Self {
            key: NEXT_KEY.fetch_add(1, Ordering::Relaxed),
            id: id.unwrap_or_else(|| match link.handshake.revision() {
                Revision::V4 => SocketId::random(),
                // Socket.IO v4: the client makes it from the id of its session.
                Revision::V3 => SocketId::of_session(link.id, namespace),
            }),
            namespace: Arc::clone(namespace),
            link: Arc::clone(link),
            auth: auth.map(Into::into),
            rooms: Mutex::new(rooms.unwrap_or_default()),
            extensions: extensions.unwrap_or_default(),
            resume,
            login: login.map_or_else(OnceLock::new, OnceLock::from),
            phase: AtomicU8::new(Phase::Connecting as u8),
            held: Mutex::default(),
            calls: Calls::default(),
            ended: OnceLock::new(),
        }
    }

    /// Makes a socket of a client without recovery.
    #[allow(dead_code, reason = "tests make such")]
    pub(crate) fn new(namespace: &Arc<str>, link: &Arc<Link>, auth: Option<&str>) -> Self {
        Self::beginning(namespace, link, auth, None)
    }

    /// Returns the session of the socket, which it may share with its client's other sockets.
    pub(crate) fn session(&self) -> &Session {
        let shared = self.link.session();
        match self.link.config.sockets.session_scope {
            SessionScope::Client => shared,
            // A session in a store is shared by all.
            SessionScope::Namespace if shared.stored().is_some() => shared,
            SessionScope::Namespace => self.extensions.session(|| shared.duplicate()),
        }
    }

    /// Returns the room of the socket's user, if it is identified.
    pub(crate) fn user_room(&self) -> Option<Arc<str>> {
        let rooms = self.rooms.lock();
        rooms.iter().find(|room| user_of(room).is_some()).cloned()
    }

    /// Returns the login of the socket, if it has one.
    pub(crate) fn login(&self) -> Option<&Login> {
        self.login.get().map(Box::as_ref)
    }

    /// Returns the login of the socket, which is made here if it has none.
    pub(super) fn login_or_new(&self) -> &Login {
        self.login.get_or_init(Box::default)
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Connecting,
            1 => Phase::Accepted,
            2 => Phase::Connected,
            3 => Phase::Ended,
            _ => Phase::Abandoned,
        }
    }

    /// Returns `true` if the client has received its CONNECT packet and has not disconnected since.
    pub(crate) fn is_connected(&self) -> bool {
        match self.phase() {
            Phase::Connected => true,
            Phase::Accepted => {
                // It may be in transit, under the lock: a client that has received it finds the
                // socket open.
                let _held = self.held.lock();
                self.phase() == Phase::Connected
            }
            Phase::Connecting | Phase::Ended | Phase::Abandoned => false,
        }
    }

    /// Records that the program has accepted the client. Returns the reason if it has disconnected
    /// in the meantime.
    pub(crate) fn accept(&self) -> Result<(), DisconnectReason> {
        let held = self.held.lock();
        match held.reason {
            Some(reason) => Err(reason),
            None => {
                self.enter(Phase::Accepted);
                Ok(())
            }
        }
    }

    /// Sends the missed events, the CONNECT packet and the held packets; returns `false` if the
    /// client has disconnected in the meantime.
    pub(crate) fn open(&self, missed: Vec<Outgoing>) -> bool {
        let mut held = self.held.lock();
        if self.phase() != Phase::Accepted {
            return false;
        }
        // The official client counts as recovered from the CONNECT packet on, and keeps earlier
        // events until then.
        for mut packet in missed {
            if self.make_readable(&mut packet).is_ok() {
                self.link.send_vital(packet);
            }
        }
        let pid = self.resume.as_ref().map(|resume| resume.pid);
        let pid = pid.as_ref().map(Id::as_str);
        let revision = self.link.handshake.revision();
        let (encoder, sid) = (Encoder::of(&self.link), self.id.as_str());
        self.link
            .send_connect(encoder.connect(revision, &self.namespace, sid, pid));
        for packet in std::mem::take(&mut held.packets) {
            // A closed outbox ends the session, which ends this socket.
            let _ = self.link.outbox.push_always(packet);
        }
        self.enter(Phase::Connected);
        true
    }

    /// Ends the socket: no more packets can be sent, and pending calls fail. Returns `false` if it
    /// had ended before.
    pub(crate) fn end(&self, reason: DisconnectReason) -> bool {
        self.end_saying(reason, None, |_, _| {})
    }

    /// Ends the socket with a CONNECT_ERROR, unless it has ended already; the session is woken for
    /// it.
    pub(super) fn refuse(&self, error: &ConnectError) {
        let refuse = |link: &Link, _| {
            let revision = link.handshake.revision();
            link.send_vital(Encoder::of(link).connect_error(revision, &self.namespace, error));
        };
        if self.end_saying(DisconnectReason::ServerNamespaceDisconnect, None, refuse) {
            self.link.wake();
        }
    }

    /// Returns the reason of the socket's end, if it has ended.
    pub(crate) fn end_reason(&self) -> Option<DisconnectReason> {
        self.held.lock().reason
    }

    /// Returns the reason that the program gave for the socket's end.
    pub(crate) fn notice(&self) -> Option<Arc<DisconnectNotice>> {
        self.held.lock().notice.clone()
    }

    /// Notes the reason for the coming end of the session. Calls `say` under the lock, unless the
    /// socket has ended.
    pub(super) fn note(
        &self,
        notice: &Arc<DisconnectNotice>,
        say: impl FnOnce(&Link, Phase),
    ) -> bool {
        let mut held = self.held.lock();
        if held.reason.is_some() || held.notice.is_some() {
            return false;
        }
        held.notice = Some(Arc::clone(notice));
        say(&self.link, self.phase());
        true
    }

    /// Ends the socket and notifies the client: by DISCONNECT, or by CONNECT_ERROR if it is not
    /// accepted yet. The session is woken for it, or is closed and ends the client's other sockets
    /// too.
    pub(crate) fn disconnect(&self, close: bool) {
        let namespace = &*self.namespace;
        let goodbye = |link: &Link, phase| {
            link.send_vital(if phase == Phase::Connected {
                Encoder::of(link).disconnect(namespace)
            } else {
                let revision = link.handshake.revision();
                Encoder::of(link).connect_error(revision, namespace, &DISCONNECTED.into())
            });
        };
        if self.end_saying(DisconnectReason::ServerNamespaceDisconnect, None, goodbye) {
            self.link.wake();
        }
        if close {
            self.link.close(CloseReason::ForcedServerClose);
        }
    }

    /// Returns the state with which it was recovered.
    pub(crate) fn resumed(&self) -> Option<&Resumed> {
        self.resume.as_ref()?.resumed.as_ref()
    }

    /// Returns `true` if its client has reconnected, or if its end is recorded. If its namespace has
    /// recovery, this changes under the lock of the log.
    pub(crate) fn is_detached(&self) -> bool {
        self.resume
            .as_ref()
            .is_some_and(|resume| resume.is_detached())
    }

    /// Restores the values that were kept for the client.
    pub(crate) fn restore_session(&self) {
        if let Some(resumed) = self.resumed()
            && self.link.stored_session().is_none()
        {
            self.session().adopt(&resumed.state.session);
        }
    }

    /// Registers a call with this acknowledgement id, and returns its answer.
    pub(crate) fn expect_ack(&self, id: u64) -> Result<oneshot::Receiver<Args>, EmitError> {
        let (answer, receiver) = oneshot::channel();
        self.expect(id, Caller::One(answer))?;
        Ok(receiver)
    }

    /// Registers a call to many sockets, with this id.
    pub(crate) fn expect_shared_ack(
        &self,
        id: u64,
        answers: &UnboundedSender<(SocketId, Args)>,
    ) -> Result<(), EmitError> {
        self.expect(id, Caller::Many(answers.clone()))
    }

    fn expect(&self, id: u64, caller: Caller) -> Result<(), EmitError> {
        let limit = self.link.config.limits.pending_calls;
        let expected = self.calls.expect(id, caller, limit, || self.has_ended());
        if let Err(EmitError::TooManyCalls(_)) = expected {
            self.hit(Limit::PendingCalls, limit);
        }
        expected
    }

    /// Reports that the socket has reached a limit.
    pub(crate) fn hit(&self, limit: Limit, value: usize) {
        let hit = LimitHit::new(limit, value).in_namespace(&self.namespace);
        self.link.report_hit(hit.of_socket(&self.id));
    }

    /// Gives a call its answer; an unknown id is ignored.
    pub(crate) fn acknowledge(&self, id: u64, args: Args) {
        log::debug!(
            target: TARGET_EVENT,
            "{self} acknowledged call {id}: {} bytes",
            args.as_args_ref().size()
        );
        self.calls.answer(id, &self.id, args);
    }

    /// Returns `true` if a call with this id waits for its answer.
    pub(crate) fn awaits(&self, id: u64) -> bool {
        self.calls.awaits(id)
    }

    pub(crate) fn forget_call(&self, id: u64) {
        self.calls.forget(id);
    }

    /// Returns `true` if it has ended permanently: its client or the program has disconnected it.
    pub(crate) fn has_left(&self) -> bool {
        let reason = self.end_reason();
        reason.is_some_and(|reason| !matches!(reason, DisconnectReason::Session(_)))
    }

    /// Returns `true` if it has ended.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.phase(), Phase::Ended | Phase::Abandoned)
    }

    /// Waits until the socket has ended.
    pub(crate) async fn ended(&self) {
        let ended = self.ended.get_or_init(CancellationToken::new);
        // Checked after the token, under the lock under which the reason is set: a socket that ends
        // later cancels the token.
        if self.end_reason().is_none() {
            ended.cancelled().await;
        }
    }

    /// Ends the socket with the packets that `say` sends for its phase. They are sent under the
    /// lock, so that they precede all packets of a next socket of the same client.
    pub(super) fn end_saying(
        &self,
        reason: DisconnectReason,
        notice: Option<&Arc<DisconnectNotice>>,
        say: impl FnOnce(&Link, Phase),
    ) -> bool {
        let mut held = self.held.lock();
        if held.reason.is_some() {
            return false;
        }
        let phase = self.phase();
        say(&self.link, phase);
        self.enter(match phase {
            Phase::Connecting => Phase::Abandoned,
            _ => Phase::Ended,
        });
        *held = Held {
            reason: Some(reason),
            notice: notice.cloned().or_else(|| held.notice.take()),
            ..Held::default()
        };
        drop(held);
        self.calls.end();
        if let Some(ended) = self.ended.get() {
            ended.cancel();
        }
        self.link.in_flight.wake_others();
        true
    }

    /// Holds a packet back until the CONNECT packet was sent; returns it if that was sent already.
    pub(super) fn hold(&self, packet: Outgoing) -> Result<Option<Outgoing>, EmitError> {
        let mut held = self.held.lock();
        match self.phase() {
            Phase::Connected => Ok(Some(packet)),
            Phase::Ended | Phase::Abandoned => Err(EmitError::Disconnected),
            Phase::Connecting | Phase::Accepted => {
                // As much as the outbox accepts at once when the socket opens.
                let bytes = held.bytes.saturating_add(packet.cost());
                if bytes > self.link.outbox.upper_limit() {
                    return Err(EmitError::OutboxFull);
                }
                held.bytes = bytes;
                held.packets.push(packet);
                Ok(None)
            }
        }
    }

    pub(super) fn full(&self, error: &EmitError) {
        if matches!(error, EmitError::OutboxFull) {
            self.link.overflowed();
        }
    }

    fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }
}

impl fmt::Display for SocketState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "socket {}", self.id)?;
        if let Some(address) = self.link.handshake.address() {
            write!(f, " of {address}")?;
        }
        write!(f, " in namespace {}", plain(&self.namespace))
    }
}

impl From<PushError> for EmitError {
    fn from(error: PushError) -> Self {
        match error {
            PushError::Full => Self::OutboxFull,
            PushError::Closed => Self::Disconnected,
        }
    }
}

static NEXT_KEY: AtomicU64 = AtomicU64::new(0);

/// The error of a client that is disconnected before it was accepted, without a reason.
const DISCONNECTED: &str = "disconnected by the server";
