//! Socket.IO in a session: the client's sockets, and the dispatch of packets to them.
//!
//! Text and attachments enter from the session; handlers are called in place, in the order of
//! arrival. The namespace decides about connects and has the members of rooms; it is notified by
//! message. Packets for a socket whose connect handler is still running wait here.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::client::message::Message;
use crate::client::passing::{admit, disconnected, failed_by_session, not_recovered};
use crate::client::rates::{Verdict, ack_within_rates, within_rates};
use crate::client::state::{Client, Slot};
use crate::clock::now;
use crate::config::ParserId;
use crate::handler::Received;
use crate::handshake::Revision;
use crate::limits::Limit;
use crate::link::Protocol;
use crate::logging::{Quoted, TARGET_SESSION, plain};
use crate::members::{Phase, RecoveryState, SocketState, StartFrom};
use crate::namespace::NamespaceLease;
use crate::reason::{CloseReason, DisconnectReason};
use crate::socket::Socket;
use crate::socketio::{ArgsRef, Body, DecodeError, Limits, query_to_json};

impl Client {
    /// Handles a whole packet.
    pub(super) fn packet(&mut self, message: Message<'_>) -> Result<(), CloseReason> {
        let limits = self.limits();
        let packet = message.packet(&limits);
        let packet = packet.map_err(|error| self.refused(&error))?;
        let namespace = packet.namespace;
        let attachments = message.attachments();
        // A server that stops reads nothing new.
        if self.link.in_flight.is_draining() && is_new(&packet.body, attachments) {
            return Ok(());
        }
        if let Body::Connect { auth, query } = packet.body {
            // Clients of v3 have a query in its place.
            let auth = match (self.is_v3(), query) {
                (true, query) => query.map(query_to_json).map(Cow::Owned),
                (false, _) => auth,
            };
            return self.connect(&message, namespace, auth.as_deref());
        }
        if let Body::Event {
            attachments: n @ 1..,
            ..
        }
        | Body::Ack {
            attachments: n @ 1..,
            ..
        } = packet.body
            && let Message::Json(text, attachments) = &message
            && attachments.is_empty()
        {
            return self.head(namespace, text, n);
        }
        let Some(at) = self.position(namespace) else {
            if matches!(packet.body, Body::Disconnect) && self.cancel_reconnect(namespace) {
                return Ok(());
            }
            // The message moves, and the name of its namespace with it.
            return self.early(&String::from(namespace), message);
        };
        let slot = &mut self.slots[at];
        // It may have been accepted since the last wake: waiting packets have arrived before.
        slot.dispatch_waiting(&limits)?;
        if matches!(packet.body, Body::Disconnect) {
            self.leave(at, DisconnectReason::ClientNamespaceDisconnect);
            return Ok(());
        }
        match slot.socket.state().phase() {
            Phase::Connected if slot.waiting.is_empty() => {
                if slot.dispatch(packet.body, attachments)? == Verdict::Delay {
                    slot.wait(message);
                }
            }
            // Accepted between the two checks: the next wake finds all of them.
            Phase::Connected | Phase::Connecting | Phase::Accepted => {
                slot.wait(message);
            }
            // Ended by the program; the wake about it will follow.
            Phase::Ended | Phase::Abandoned => {}
        }
        Ok(())
    }

    /// Socket.IO v5, Connection to a namespace: the program and the namespace accept the client, or
    /// it receives a CONNECT_ERROR.
    fn connect(
        &mut self,
        message: &Message<'_>,
        name: &str,
        auth: Option<&str>,
    ) -> Result<(), CloseReason> {
        if let Some(at) = self.position(name) {
            // By its lock: another thread may have sent the DISCONNECT to which the client responds,
            // and be about to set the phase.
            let ended = self.slots[at].socket.state().end_reason().is_some();
            if !ended {
                return Err(self.connected_twice(name));
            }
            self.leave(at, DisconnectReason::ServerNamespaceDisconnect);
        }
        if self.is_arriving(name) {
            return Err(self.connected_twice(name));
        }
        if !self.admits_connect(name, message)? {
            return Ok(());
        }
        self.left.retain(|left| left.as_ref() != name);
        let limit = self.link.config.limits.namespaces_per_session;
        if self.slots.len() + self.arriving.len() >= limit {
            let message = format!("more than {limit} namespaces");
            self.limited(name, None, (Limit::NamespacesPerSession, limit), message);
            return Ok(());
        }
        let limit = self.link.config.limits.auth_limit;
        if auth.is_some_and(|auth| auth.len() > limit) {
            let message = format!("the auth payload has more than {limit} bytes");
            self.limited(name, None, (Limit::AuthLimit, limit), message);
            return Ok(());
        }
        let shown = self.registry.shown(auth);
        // The fields that the client library adds were removed.
        let is_reconnect = matches!(shown, Some(Cow::Owned(_)));
        let shown = shown.as_deref();
        let namespace = match self.registry.lease(name, shown) {
            Ok(namespace) => namespace,
            Err(error) => {
                self.no_lease(name, shown, error);
                return Ok(());
            }
        };
        match self.start_from(&namespace, auth) {
            Some(StartFrom::Cluster(request)) => self.ask_cluster(namespace, shown, request),
            Some(StartFrom::Memory(resume)) => {
                if resume.resumed.is_none() && is_reconnect {
                    not_recovered(&namespace);
                }
                self.enter(namespace, shown, Some(resume));
            }
            None => drop(self.enter(namespace, shown, None)),
        }
        Ok(())
    }

    /// Returns the state to recover. A client of v3 gets no `pid` by which it could reconnect.
    fn start_from(&self, namespace: &NamespaceLease, auth: Option<&str>) -> Option<StartFrom> {
        let membership = &namespace.membership;
        if self.is_v3() {
            return membership.start_new_session().map(StartFrom::Memory);
        }
        membership.start_from(auth)
    }

    /// Makes a socket, and calls the program's connect handlers.
    pub(super) fn enter(
        &mut self,
        namespace: NamespaceLease,
        auth: Option<&str>,
        resume: Option<Box<RecoveryState>>,
    ) -> usize {
        let membership = &namespace.membership;
        let name = membership.shared_name();
        let state = Arc::new(SocketState::beginning(name, &self.link, auth, resume));
        state.restore_session();
        membership.resuming(&state);
        let rates = self.take_rates(membership.name());
        let mut slot = Slot {
            socket: Socket::new(membership, state),
            table: namespace.handlers.table.view(),
            namespace,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            line: None,
            rates,
        };
        slot.admit();
        self.slots.push(slot);
        self.slots.len() - 1
    }

    /// A packet for a namespace to which the client is not connected: an error, unless the client
    /// cannot know that yet.
    pub(super) fn stray(&mut self, name: &str, bytes: usize) -> Result<(), CloseReason> {
        if self.left.iter().any(|left| left.as_ref() == name) {
            return self.count_stray(name, bytes);
        }
        let name = Quoted(name);
        log::debug!(target: TARGET_SESSION, "{}: packet for namespace {name}, which is not connected", self.link);
        Err(CloseReason::ForcedClose)
    }

    /// Removes a socket, for this reason unless it has ended for another reason already.
    pub(super) fn leave(&mut self, at: usize, reason: DisconnectReason) {
        let mut slot = self.slots.remove(at);
        let mut rates = slot.rates.take();
        if let Some(rates) = &mut rates {
            // Its packet that waited is dropped with it.
            rates.paused_until = None;
        }
        self.keep_rates(slot.socket.namespace(), rates);
        slot.end(reason);
    }

    /// Returns `true` if the client speaks Engine.IO v3, and so Socket.IO v4.
    fn is_v3(&self) -> bool {
        self.link.handshake.revision() == Revision::V3
    }

    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.slots
            .iter()
            .position(|slot| slot.socket.namespace() == name)
    }
}

impl Protocol for Client {
    /// Socket.IO v4, Connection to a namespace: the server connects the client to the main one.
    fn opened(&mut self) -> Result<(), CloseReason> {
        if self.is_v3() {
            return self.packet(self.connect_to_main());
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), CloseReason> {
        if self.link.parser() != ParserId::JSON {
            return self.other_text(text);
        }
        if self.assembler.is_waiting() {
            return Err(self.refused(&DecodeError::TextAmongAttachments));
        }
        self.packet(Message::Json(Cow::Borrowed(text), Vec::new()))
    }

    fn binary(&mut self, data: Bytes) -> Result<(), CloseReason> {
        if self.link.parser() != ParserId::JSON {
            return self.other_binary(data);
        }
        self.attachment(data)
    }

    /// A socket of this client was accepted, refused or disconnected.
    fn state_changed(&mut self) -> Result<(), CloseReason> {
        self.arrived();
        let limits = self.limits();
        let mut at = 0;
        while let Some(slot) = self.slots.get_mut(at) {
            match slot.socket.state().phase() {
                Phase::Connected => {
                    self.connect_by = None;
                    slot.dispatch_waiting(&limits)?;
                    at += 1;
                }
                Phase::Connecting | Phase::Accepted => at += 1,
                Phase::Ended | Phase::Abandoned => {
                    if self.left.len() < self.link.config.limits.namespaces_per_session {
                        self.left
                            .push(Arc::clone(slot.namespace.membership.shared_name()));
                    }
                    self.leave(at, DisconnectReason::ServerNamespaceDisconnect);
                }
            }
        }
        self.logins(now());
        Ok(())
    }

    fn has_room(&self) -> bool {
        let limit = self.link.config.limits.max_concurrent_handlers;
        let few = self.slots.iter().all(|slot| slot.waiting.len() < limit)
            && self.arriving.iter().all(|it| it.waiting.len() < limit);
        let bytes = self.slots.iter().map(|slot| slot.waiting_bytes);
        let arriving = self.arriving.iter().flat_map(|it| &it.waiting);
        let bytes: usize = bytes.chain(arriving.map(Message::bytes)).sum();
        few && bytes <= self.link.config.limits.max_payload && self.resumes_at().is_none()
    }

    fn deadline(&self) -> Option<Instant> {
        let deadlines = self.connect_by.into_iter().chain(self.attachments_by);
        let deadlines = deadlines.chain(self.login_step_by.as_deref().copied());
        deadlines.chain(self.resumes_at()).min()
    }

    fn lapsed(&mut self) -> Result<(), CloseReason> {
        let now = now();
        self.resume(now)?;
        self.attachments_lapsed(now)?;
        if self.login_step_by.as_deref().is_some_and(|due| *due <= now) {
            self.logins(now);
        }
        if self.connect_by.is_none_or(|due| due > now) {
            return Ok(());
        }
        let limit = self.link.config.sockets.connect_timeout;
        self.link.hit(Limit::ConnectTimeout, limit.as_millis());
        log::debug!(target: TARGET_SESSION, "{}: no namespace connected within {limit:?}", self.link);
        Err(CloseReason::ConnectTimeout)
    }

    fn is_busy(&self) -> bool {
        self.slots.iter().any(Slot::is_busy)
    }

    fn closing(&mut self) {
        for slot in &self.slots {
            slot.socket.state().disconnect(false);
        }
    }

    fn name_sockets(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, slot) in self.slots.iter().enumerate() {
            let (id, namespace) = (slot.socket.id(), plain(slot.socket.namespace()));
            match at {
                0 => write!(f, "; socket {id} in namespace {namespace}")?,
                SHOWN_SOCKETS => return write!(f, " and {} more", self.slots.len() - at),
                _ => write!(f, ", {id} in {namespace}")?,
            }
        }
        Ok(())
    }

    fn closed(&mut self, reason: CloseReason) {
        self.store_again();
        for slot in std::mem::take(&mut self.slots) {
            slot.end(DisconnectReason::Session(reason));
        }
    }
}

impl Slot {
    /// Calls the program, and then the namespace, to accept the client.
    fn admit(&mut self) {
        let table = Arc::clone(self.table.current(&self.namespace.handlers.table));
        let (socket, namespace) = (self.socket.clone(), Arc::clone(&self.namespace));
        match self.socket.state().link.stored_session() {
            None => admit(&table, &socket, namespace),
            Some(session) => session.after_load(Box::new(move |loaded| {
                match (socket.state().phase(), loaded) {
                    (Phase::Connecting, Ok(())) => admit(&table, &socket, namespace),
                    (_, Err(error)) => {
                        failed_by_session(&namespace.handlers.context, &socket, "connect", &error);
                        socket.refuse(&error.into());
                    }
                    // It has disconnected in the meantime, and no handler has been called.
                    _ => {}
                }
            })),
        }
    }

    fn dispatch(&mut self, body: Body<'_>, attachments: &[Bytes]) -> Result<Verdict, CloseReason> {
        match body {
            Body::Event { id, name, args, .. } => {
                let table = self.table.current(&self.namespace.handlers.table);
                let received = Received {
                    socket: &self.socket,
                    name: &name,
                    args: ArgsRef {
                        text: args,
                        attachments,
                    },
                    id,
                    context: &self.namespace.handlers.context,
                };
                if self.rates.is_some() || table.has_rates() {
                    let verdict = within_rates(&mut self.rates, table, &received)?;
                    if verdict != Verdict::Handle {
                        return Ok(verdict);
                    }
                }
                let is_behind = self.line.as_ref().is_some_and(|line| line.is_busy());
                if is_behind || !table.async_checks().is_empty() {
                    let line = self.line.get_or_insert_default();
                    line.push(table, &received);
                    return Ok(Verdict::Handle);
                }
                match self.socket.state().link.stored_session() {
                    None => table.dispatch(&received),
                    Some(session) => received.dispatch_loaded(table, session),
                }
            }
            Body::Ack { id, args, .. } => {
                let args = ArgsRef {
                    text: args,
                    attachments,
                };
                if let Some(rates) = &mut self.rates {
                    let verdict = ack_within_rates(rates, &self.socket, (id, args.size()))?;
                    if verdict != Verdict::Handle {
                        return Ok(verdict);
                    }
                }
                self.socket.state().acknowledge(id, args.to_args());
            }
            Body::Empty | Body::Connect { .. } | Body::Disconnect => {}
        }
        Ok(Verdict::Handle)
    }

    /// Returns `true` if packets wait for a socket that may still be accepted.
    fn is_busy(&self) -> bool {
        let phase = self.socket.state().phase();
        !self.waiting.is_empty() && !matches!(phase, Phase::Ended | Phase::Abandoned)
    }

    /// Keeps a packet until the socket is connected.
    pub(super) fn wait(&mut self, message: Message<'_>) {
        self.waiting_bytes += message.bytes();
        self.waiting.push_back(message.into_owned());
    }

    /// Dispatches the waiting packets, if the socket is connected.
    fn dispatch_waiting(&mut self, limits: &Limits) -> Result<(), CloseReason> {
        // Checked each time, because a handler may disconnect the socket.
        while self.socket.state().phase() == Phase::Connected
            && self.paused_until().is_none()
            && let Some(waiting) = self.waiting.pop_front()
        {
            self.waiting_bytes -= waiting.bytes();
            // It was decoded at its arrival, so it decodes again.
            if let Ok(packet) = waiting.packet(limits) {
                let verdict = self.dispatch(packet.body, waiting.attachments())?;
                if verdict == Verdict::Delay {
                    self.waiting_bytes += waiting.bytes();
                    self.waiting.push_front(waiting);
                }
            }
        }
        Ok(())
    }

    /// Ends the socket. The program is notified if it had accepted it, the namespace in any case.
    fn end(self, reason: DisconnectReason) {
        let state = self.socket.state();
        state.end(reason);
        let reason = state.end_reason().unwrap_or(reason);
        match state.phase() {
            Phase::Abandoned => self.socket.membership().detach(state, reason),
            _ => disconnected(&self.socket, &self.namespace, reason),
        }
    }
}

/// Returns `true` if a packet would start a handler. The head of a binary event does not: its
/// attachments must still be recognized as such.
fn is_new(body: &Body<'_>, attached: &[Bytes]) -> bool {
    match body {
        Body::Connect { .. } => true,
        Body::Event { attachments, .. } => *attachments == attached.len(),
        _ => false,
    }
}

/// The number of sockets in the line of a closed session.
const SHOWN_SOCKETS: usize = 4;
