//! The movable part of a session: all of it except the actor and its WebSocket.
//!
//! Packets enter, as text or as a WebSocket's messages; their content leaves to the protocol above.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use log::Level;

use crate::clock::now;
use crate::config::Transport;
use crate::engineio::v3::{self, Part};
use crate::engineio::{self, DecodeError, Packet};
use crate::handshake::Revision;
use crate::limits::Limit;
use crate::link::{Frame, InboundError, InboundMessage, Link, Protocol, PushError};
use crate::logging::{LogKind, TARGET_SESSION};
use crate::reason::CloseReason;
use crate::session::actor::Session;
use crate::session::host::SessionHost;
use crate::session::machine::{Action, Machine};
use crate::session::post::Post;

/// A session's state.
pub(crate) struct State {
    pub(crate) host: Arc<dyn SessionHost<Session>>,
    pub(crate) link: Arc<Link>,
    pub(crate) machine: Machine,
    pub(crate) protocol: Box<dyn Protocol>,
    /// The POST whose packets are being handled.
    pub(crate) post: Option<Post>,
    /// The number of the last ping in the outbox.
    pub(crate) ping: u64,
    /// The time at which it was added.
    pub(crate) pinged_at: Instant,
    /// The time until which a closed session waits for its client to fetch the last packets.
    pub(crate) leaving: Option<Instant>,
    /// The server closed the session, and waits until its client has received the last packets.
    pub(crate) is_awaited: bool,
    /// The client closed or broke its WebSocket: frames that are not written by `leaving` are
    /// dropped.
    pub(crate) is_farewell: bool,
}

impl State {
    /// Handles one packet's text.
    pub(crate) fn packet(&mut self, text: &str) -> Result<(), CloseReason> {
        self.machine.polled();
        self.link.counters.received(text.len());
        let packet = match Packet::decode(text) {
            Ok(packet) => packet,
            Err(error) => return Err(self.malformed(&error)),
        };
        if let Packet::Pong(_) = packet {
            return self.pong();
        }
        self.heard();
        match packet {
            Packet::Message(text) => self.protocol.text(text),
            Packet::Base64(text) => {
                let decoded = match self.link.handshake.revision() {
                    Revision::V4 => engineio::decode_base64(text),
                    Revision::V3 => v3::decode_base64(text),
                };
                let data = decoded.map_err(|error| self.malformed(&error))?;
                self.protocol.binary(data)
            }
            Packet::Close => Err(CloseReason::TransportClose),
            Packet::Ping(_) => self.pinged(),
            // Unexpected but harmless: the Node.js server ignores them too.
            Packet::Open(_) | Packet::Upgrade | Packet::Noop | Packet::Pong(_) => Ok(()),
        }
    }

    /// Handles one packet of a POST. In v3 a packet may be empty, as the reference writes an empty
    /// payload.
    fn posted(&mut self, packet: Result<Part<'_>, DecodeError>) -> Result<(), CloseReason> {
        match packet {
            Ok(Part::Text("")) if self.link.handshake.revision() == Revision::V3 => Ok(()),
            Ok(Part::Text(text)) => self.packet(text),
            Ok(Part::Binary(data)) => {
                self.machine.polled();
                self.binary(Bytes::copy_from_slice(data))
            }
            Err(error) => Err(self.malformed(&error)),
        }
    }

    /// Handles one binary packet: the message alone, or in v3 its type before it.
    fn binary(&mut self, mut data: Bytes) -> Result<(), CloseReason> {
        self.link.counters.received(data.len());
        self.heard();
        if self.link.handshake.revision() == Revision::V3 {
            v3::check_type(&data).map_err(|error| self.malformed(&error))?;
            data.advance(1);
        }
        self.protocol.binary(data)
    }

    /// Logs the reason for refusing a packet, which closes the session.
    fn malformed(&self, error: &DecodeError) -> CloseReason {
        log::debug!(target: TARGET_SESSION, "{}: invalid Engine.IO packet: {error}", self.link);
        CloseReason::ParseError
    }

    /// Handles one message of the transport.
    pub(crate) fn message(&mut self, message: Result<InboundMessage<'_>, InboundError>) {
        let outcome = match message {
            Ok(InboundMessage::Text(text)) => self.packet(text),
            Ok(InboundMessage::Binary(data)) => self.binary(Bytes::from(std::mem::take(data))),
            Ok(InboundMessage::Ping(payload)) => {
                self.heard();
                // RFC 6455, 5.5.2: a ping is answered.
                self.link.outbox.push_pong(Frame::pong(payload));
                Ok(())
            }
            Ok(InboundMessage::Pong | InboundMessage::Fragment) => Ok(()),
            // RFC 6455, 5.5.1: the close is answered with its own code.
            Ok(InboundMessage::Close(code)) => {
                return self.close_with(CloseReason::TransportClose, code, Queued::Sent);
            }
            Err(InboundError::Closed) => return self.close(CloseReason::TransportClose),
            Err(InboundError::Broken) => return self.close(CloseReason::TransportError),
            Err(InboundError::Refused(violation)) => {
                log::debug!(target: TARGET_SESSION, "{}: message refused: {violation}", self.link);
                let reason = if violation.is_too_large {
                    CloseReason::MessageTooLarge
                } else {
                    CloseReason::TransportError
                };
                let code = Some(violation.close_code);
                return self.close_with(reason, code, Queued::Sent);
            }
        };
        if let Err(reason) = outcome {
            self.close_with(reason, None, Queued::Sent);
        }
    }

    /// Handles the POST's packets while there is room for the handlers that they start, and while
    /// this turn has budget left.
    pub(crate) fn take_post(&mut self, mut may_take: impl FnMut(&Self) -> bool) {
        let Some(mut post) = self.post.take() else {
            return;
        };
        while self.leaving.is_none() {
            if post.is_taken() {
                return post.finish();
            }
            if !may_take(self) {
                self.post = Some(post);
                return;
            }
            let Some(packet) = post.next_packet() else {
                return post.finish();
            };
            match self.posted(packet) {
                Ok(()) => {}
                Err(reason @ CloseReason::TransportClose) => {
                    self.close_with(reason, None, Queued::Sent);
                    return post.finish();
                }
                Err(reason) => self.close(reason),
            }
        }
        if self.leaving.is_some_and(|until| until > now()) {
            // The poll that the session waits for notifies the client, and may arrive after this
            // response.
            return post.finish();
        }
        // Kept until the session is dropped, so that the client gets its error response after the
        // session id is removed.
        self.post = Some(post);
    }

    /// Returns the time at which [`tick`](Self::tick) is due.
    pub(crate) fn deadline(&self) -> Instant {
        if let Some(until) = self.leaving {
            return until;
        }
        let own = self.machine.deadline();
        let above = self.protocol.deadline();
        above.map_or(own, |above| own.min(above))
    }

    /// Executes the actions that are due.
    pub(crate) fn tick(&mut self, now: Instant) {
        if self.machine.awaits_first_poll() && self.link.outbox.was_polled() {
            self.machine.polled();
        }
        while self.leaving.is_none() && self.machine.deadline() <= now {
            match self.machine.tick(now) {
                Some(Action::SendPing) => self.send_ping(now),
                Some(Action::ReleasePoll) => self.link.outbox.release_poll(),
                Some(Action::Close(reason)) => self.close(reason),
                // The upgrade timeout may be over.
                None => {}
            }
        }
        if self.leaving.is_none()
            && self.protocol.deadline().is_some_and(|due| due <= now)
            && let Err(reason) = self.protocol.lapsed()
        {
            self.close(reason);
        }
    }

    /// The transport can send no more; a session that was waiting for it ends at once.
    pub(crate) fn transport_gone(&mut self) {
        self.close(CloseReason::TransportClose);
        self.leaving = Some(now());
    }

    pub(crate) fn close(&mut self, reason: CloseReason) {
        self.close_with(reason, None, Queued::Dropped);
    }

    fn close_with(&mut self, reason: CloseReason, code: Option<u16>, queued: Queued) {
        if self.leaving.is_some() {
            return;
        }
        self.log_close(reason);
        self.count_close(reason);
        if reason == CloseReason::ForcedServerClose {
            self.protocol.closing();
        }
        let now = now();
        self.host.closed(self.link.id, reason);
        self.link.vacate();
        self.leaving = Some(now + self.close_outbox(reason, code, queued));
        self.protocol.closed(reason);
        self.link.in_flight.end();
    }

    /// Queues the last packet, and ends the outbox. Returns the time for which the session waits
    /// for its client.
    fn close_outbox(&mut self, reason: CloseReason, code: Option<u16>, queued: Queued) -> Duration {
        let polling = self.machine.transport() == Transport::Polling;
        let last = Some(match reason {
            // If a client closes its session in a POST, its poll ends with a noop.
            _ if polling && is_gone(reason) => Frame::packet(engineio::NOOP),
            _ => Frame::close(code),
        });
        match reason {
            // The limit of attachments; the TCP connection is intact.
            CloseReason::MessageTooLarge if code.is_none() => {
                self.link.outbox.close(last);
                LAST_PACKETS
            }
            CloseReason::ForcedClose
            | CloseReason::RateExceeded
            | CloseReason::TooManyAttachments
            | CloseReason::AttachmentsTimeout
            | CloseReason::ConnectTimeout
            | CloseReason::ForcedServerClose
            | CloseReason::ReconnectRequested
            | CloseReason::ServerShuttingDown => {
                self.link.outbox.close(last);
                if self.link.in_flight.is_cut() {
                    self.link.outbox.hasten();
                }
                // Until the WebSocket has sent the last packets, or the client's next poll has
                // taken them.
                self.is_awaited = true;
                self.last_packets()
            }
            _ if polling && is_gone(reason) => {
                self.end_outbox(last, queued);
                // A poll that the client sent earlier may arrive later, on another worker.
                LATE_POLL
            }
            CloseReason::TransportClose
            | CloseReason::Superseded
            | CloseReason::RecoveryLimit
            | CloseReason::TransportError
            | CloseReason::MessageTooLarge
            | CloseReason::ParseError => {
                let has_owed = self.end_outbox(last, queued);
                // RFC 6455, 5.5.2 and 7.1.7: queued frames are sent before the close. If only the
                // close is queued, the session does not wait for it.
                self.is_farewell = has_owed && queued == Queued::Sent && !polling;
                if self.is_farewell {
                    FAREWELL
                } else {
                    Duration::ZERO
                }
            }
            CloseReason::PingTimeout
            | CloseReason::FirstPollTimeout
            | CloseReason::OutboxFull
            | CloseReason::Panicked => {
                self.link.outbox.discard(last);
                Duration::ZERO
            }
        }
    }

    /// The server stops: a session that has closed already waits no longer for its client than one
    /// that closes now.
    pub(crate) fn hurry(&mut self, now: Instant) {
        if let Some(until) = self.leaving
            && self.is_awaited
            && until > now + BETWEEN_POLLS
        {
            let closed = until.checked_sub(LAST_PACKETS).unwrap_or(now);
            self.leaving = Some(until.min(closed + self.last_packets()));
        }
    }

    /// A poll may have taken a part of the last packets: its client polls again for the others.
    pub(crate) fn polled(&mut self, now: Instant) {
        if self.is_awaited && self.host.is_closing() {
            self.leaving = Some(now + self.last_packets());
        }
    }

    /// Returns the time for which the last packets wait for the client. If the server stops, it
    /// waits for a client without an open request only for the usual time between two polls.
    fn last_packets(&self) -> Duration {
        let is_away = self.machine.transport() == Transport::Polling
            && !self.link.outbox.has_poll()
            && self.host.is_closing();
        if is_away { BETWEEN_POLLS } else { LAST_PACKETS }
    }

    fn count_close(&self, reason: CloseReason) {
        let telemetry = &self.link.config.telemetry;
        let open = self.link.counters.age(now());
        let transport = self.machine.transport().as_str();
        telemetry.metrics.closed(reason.as_str(), transport, open);
        if reason == CloseReason::OutboxFull {
            telemetry.metrics.slow_client_closed();
        }
    }

    /// Logs one line, with the sockets that end too.
    fn log_close(&self, reason: CloseReason) {
        let (link, config) = (&self.link, &self.link.config);
        let sockets = Sockets(self.protocol.as_ref());
        match reason {
            CloseReason::MessageTooLarge => {
                let limit = config.limits.max_payload;
                link.hit(Limit::MaxPayload, limit);
                let line = format_args!(
                    "{link} closed: {reason}, `max_payload` is {limit} bytes{sockets}"
                );
                config
                    .line_limits
                    .write(LogKind::TooLarge, Level::Warn, line);
            }
            CloseReason::OutboxFull => {
                let limit = config.limits.outbox_limit;
                let line = format_args!(
                    "{link} closed: {reason}, `outbox_limit` is {limit} bytes{sockets}"
                );
                config.line_limits.write(LogKind::Slow, Level::Info, line);
            }
            CloseReason::RateExceeded => {
                let line = format_args!("{link} closed: {reason}{sockets}");
                config.line_limits.write(LogKind::Slow, Level::Info, line);
            }
            CloseReason::FirstPollTimeout => {
                let limit = config.engine.first_poll_timeout.unwrap_or_default();
                link.hit(Limit::FirstPollTimeout, limit.as_millis());
                let line = format_args!("{link} closed: {reason} of {limit:?}");
                config.line_limits.write(LogKind::Slow, Level::Info, line);
            }
            _ => log::debug!(target: TARGET_SESSION, "{link} closed: {reason}{sockets}"),
        }
    }

    /// Ends the outbox. Returns `true` if it has frames to send before `last`.
    fn end_outbox(&self, last: Option<Frame>, queued: Queued) -> bool {
        match queued {
            Queued::Sent => self.link.outbox.close(last),
            Queued::Dropped => {
                self.link.outbox.discard(last);
                false
            }
        }
    }

    fn send_ping(&mut self, now: Instant) {
        let ping = Frame::packet(engineio::PING);
        // If the outbox is closed the session is ending.
        let _ = self.link.outbox.push_always(ping.into());
        self.ping = self.link.outbox.pushed();
        self.pinged_at = now;
    }

    /// The client has sent a ping.
    fn pinged(&mut self) -> Result<(), CloseReason> {
        self.machine.pinged(now())?;
        let pong = Frame::packet(engineio::PONG);
        // If the outbox is closed the session is ending. A client that pings without reading fills
        // its outbox.
        if self.link.outbox.push_vital(pong.into()) == Err(PushError::Full) {
            return Err(CloseReason::OutboxFull);
        }
        Ok(())
    }

    /// A pong for a ping that is still in the outbox is a guess: its sender does not read.
    fn pong(&mut self) -> Result<(), CloseReason> {
        if self.link.handshake.revision() == Revision::V3 {
            // Engine.IO v3, Pong: only the server answers.
            return Err(CloseReason::TransportError);
        }
        if self.machine.is_asking() && self.link.outbox.has_drained(self.ping) {
            let now = now();
            self.machine.pong(now);
            self.link.counters.answered(self.pinged_at, now);
        }
        Ok(())
    }

    fn heard(&mut self) {
        if self.machine.is_asking() {
            self.machine.heard(now());
        }
    }
}

/// Returns `true` if the client has left this transport: its poll, if it sends one, ends the
/// session on its side.
fn is_gone(reason: CloseReason) -> bool {
    matches!(
        reason,
        CloseReason::TransportClose | CloseReason::Superseded | CloseReason::RecoveryLimit
    )
}

/// The sockets that are closed with a session, for the log.
struct Sockets<'a>(&'a dyn Protocol);

impl fmt::Display for Sockets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.name_sockets(f)
    }
}

/// The treatment of queued frames when a session closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Queued {
    /// They are sent before the close: the client is connected, and has closed, or violated a rule.
    Sent,
    /// They are dropped.
    Dropped,
}

/// The time for which a poll may be late after the POST that closes the session.
const LATE_POLL: Duration = Duration::from_millis(500);

/// The time in which a WebSocket that its client closed or broke may take the queued frames. The
/// outbox's limit bounds the bytes.
const FAREWELL: Duration = Duration::from_secs(2);

/// The time for which a server that stops waits for a client between two polls: it polls again
/// within one round trip, unless its tab sleeps or is closed.
const BETWEEN_POLLS: Duration = Duration::from_secs(3);

/// The time for which the last packets of a closed session wait for its client.
const LAST_PACKETS: Duration = Duration::from_secs(30);
