//! Raw messages in a session, for a program that uses Engine.IO without Socket.IO.
//!
//! Messages enter unchanged and go to the program's functions; their meaning is unknown here.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use log::Level;

use crate::client::rates::{SocketRates, Verdict, packet_within_rates};
use crate::clock::now;
use crate::config::Transport;
use crate::engineio::EngineMessage;
use crate::error::EmitError;
use crate::handler::{FutureSlots, Pending, Unfinished};
use crate::handshake::Handshake;
use crate::id::Id;
use crate::limits::Limit;
use crate::link::{Frame, InFlight, Link, Outgoing, Protocol, SessionStats};
use crate::logging::{LogKind, TARGET_EVENT, cut};
use crate::members::turn;
use crate::reason::CloseReason;

/// A client of a raw Engine.IO server: a handle for any thread.
#[derive(Clone, Debug)]
pub struct EngineSession {
    link: Arc<Link>,
}

impl EngineSession {
    /// Sends a message. It never waits.
    ///
    /// # Errors
    ///
    /// [`EmitError::Disconnected`]; [`EmitError::OutboxFull`] if there is no room for it, and the
    /// client stays connected; [`EmitError::Encode`] if it exceeds
    /// [`EngineIoBuilder::packet_limit`](crate::EngineIoBuilder::packet_limit).
    pub fn send(&self, message: &EngineMessage) -> Result<(), EmitError> {
        self.queue(message, Outgoing::from(self.frame(message)?))
    }

    /// Sends a message that is not worth compressing, such as an image: a poll whose response
    /// contains only such messages is not compressed, and neither is the message on a WebSocket.
    ///
    /// # Errors
    ///
    /// The same as of [`send`](Self::send).
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{Bytes, EmitError, EngineMessage, EngineSession};
    ///
    /// fn show(session: &EngineSession, image: Bytes) -> Result<(), EmitError> {
    ///     session.send_uncompressed(&EngineMessage::Binary(image))
    /// }
    /// ```
    pub fn send_uncompressed(&self, message: &EngineMessage) -> Result<(), EmitError> {
        self.queue(
            message,
            Outgoing::from(self.frame(message)?).without_compression(),
        )
    }

    /// Waits until the client has received everything, so that the next message has room. The time
    /// limit is [`EngineIoBuilder::emit_timeout`](crate::EngineIoBuilder::emit_timeout). It is the
    /// event `drain` of Node.js.
    ///
    /// # Errors
    ///
    /// [`EmitError::Disconnected`]; [`EmitError::OutboxFull`] if the client has not received
    /// everything in time, and then the policy of
    /// [`EngineIoBuilder::slow_client_policy`](crate::EngineIoBuilder::slow_client_policy) applies.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{EmitError, EngineMessage, EngineSession};
    ///
    /// async fn send_all(session: EngineSession, rows: Vec<String>) -> Result<(), EmitError> {
    ///     for row in rows {
    ///         session.drained().await?;
    ///         session.send(&EngineMessage::Text(row))?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub async fn drained(&self) -> Result<(), EmitError> {
        // No message of this size fits beside others.
        turn(&self.link, usize::MAX).await.map(drop)
    }

    fn frame(&self, message: &EngineMessage) -> Result<Frame, EmitError> {
        let limits = &self.link.config.limits;
        if let Err(error) = limits.packets().check(message.size(), &[]) {
            self.link.hit(Limit::PacketLimit, limits.packet_limit);
            return Err(error.into());
        }
        Ok(self.link.outbox.formed(Frame::of(message)))
    }

    fn queue(&self, message: &EngineMessage, packet: Outgoing) -> Result<(), EmitError> {
        let bytes = message.size();
        self.link.try_send(packet)?;
        log::debug!(target: TARGET_EVENT, "message of {bytes} bytes to {}", self.link);
        Ok(())
    }

    /// Closes the session after its queued messages.
    pub fn close(&self) {
        self.link.close(CloseReason::ForcedServerClose);
    }

    /// Returns the session's id, which is a secret between this client and the server.
    #[must_use]
    pub fn sid(&self) -> &str {
        let id: &Id = &self.link.id;
        id.as_str()
    }

    /// Returns the handshake: the content of the client's first HTTP request.
    #[must_use]
    pub fn handshake(&self) -> &Handshake {
        &self.link.handshake
    }

    /// Returns the present transport of the client: polling becomes a WebSocket by the upgrade.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.link.transport()
    }

    /// Returns the counters of the session.
    #[must_use]
    pub fn stats(&self) -> SessionStats {
        self.link.stats(now())
    }

    /// Returns the state of the session.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{EngineSession, ReadyState};
    ///
    /// fn is_there(session: &EngineSession) -> bool {
    ///     session.ready_state() == ReadyState::Open
    /// }
    /// ```
    #[must_use]
    pub fn ready_state(&self) -> ReadyState {
        if !self.link.is_closing() {
            ReadyState::Open
        } else if self.link.has_ended() {
            ReadyState::Closed
        } else {
            ReadyState::Closing
        }
    }

    /// Attaches a value to this session, and returns the previous value of its type. One value for
    /// each type. It is dropped with the last handle of the session, so it must not contain one.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{EngineIo, EngineMessage, EngineSession};
    ///
    /// struct Name(String);
    ///
    /// let builder = EngineIo::builder().on_message(
    ///     |session: EngineSession, message: EngineMessage| async move {
    ///         if let EngineMessage::Text(text) = message {
    ///             session.insert_extension(Name(text));
    ///         }
    ///     },
    /// );
    /// ```
    pub fn insert_extension<T: Send + Sync + 'static>(&self, value: T) -> Option<Arc<T>> {
        self.link.values().insert(value)
    }

    /// Returns the value of this type that was attached to the session.
    #[must_use]
    pub fn extension<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.link.values().find()
    }

    /// Removes the value of this type from the session, and returns it.
    pub fn remove_extension<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.link.values().remove()
    }
}

impl From<Arc<Link>> for EngineSession {
    fn from(link: Arc<Link>) -> Self {
        Self { link }
    }
}

impl PartialEq for EngineSession {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.link, &other.link)
    }
}

impl Eq for EngineSession {}

/// The state of a session of a raw Engine.IO server: the `readyState` of engine.io.
///
/// | state | messages | when |
/// | --- | --- | --- |
/// | `Open` | are sent and received | from `on_open` on |
/// | `Closing` | queued ones are still sent | the session is closing, and its client has not yet received the last packets |
/// | `Closed` | none | its client has received them, or will not receive them |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReadyState {
    /// Messages are sent and received.
    Open,
    /// The session is closing.
    Closing,
    /// It has ended.
    Closed,
}

/// The functions of a program for its sessions.
pub(crate) struct Callbacks {
    slots: FutureSlots,
    pub(crate) open: Option<Callback<()>>,
    pub(crate) message: Option<Callback<EngineMessage>>,
    pub(crate) close: Option<Callback<CloseReason>>,
}

impl Default for Callbacks {
    fn default() -> Self {
        Self {
            slots: FutureSlots::new(),
            open: None,
            message: None,
            close: None,
        }
    }
}

/// A program's function, and its future.
pub(crate) type Callback<T> = Box<dyn Fn(EngineSession, T) -> Running + Send + Sync>;
pub(crate) type Running = Pin<Box<dyn Future<Output = ()>>>;

/// The protocol of a raw session: none.
pub(crate) struct Raw {
    session: EngineSession,
    callbacks: Arc<Callbacks>,
    /// `None` if the server has no rate.
    rates: Option<Box<SocketRates>>,
    /// Messages that wait for a rate.
    waiting: VecDeque<EngineMessage>,
}

impl Raw {
    pub(crate) fn open(link: &Arc<Link>, callbacks: &Arc<Callbacks>) -> Self {
        let raw = Self {
            session: Arc::clone(link).into(),
            callbacks: Arc::clone(callbacks),
            rates: SocketRates::of_server(link.config.rates, now()),
            waiting: VecDeque::new(),
        };
        raw.call(raw.callbacks.open.as_ref(), (), 0);
        raw
    }

    fn call<T: 'static>(&self, callback: Option<&Callback<T>>, value: T, bytes: usize) {
        let Some(callback) = callback else { return };
        let session = self.session.clone();
        let pending = || Pending::of_session(&self.session.link, bytes);
        let call = || callback(session, value);
        let ended = ended(&self.session.link);
        self.callbacks.slots.run(call, ended, pending);
    }

    /// Handles a message, or keeps it until a rate allows it.
    fn received(&mut self, message: EngineMessage) -> Result<(), CloseReason> {
        let link = &self.session.link;
        let verdict = match &mut self.rates {
            Some(rates) => packet_within_rates(rates, link, None, message.size())?,
            None => Verdict::Handle,
        };
        match verdict {
            Verdict::Handle => self.message(message),
            Verdict::Drop(limit) => {
                log::debug!(target: TARGET_EVENT, "message from {link} dropped: `{limit}` is exceeded");
            }
            // Reading pauses, so no message is behind it.
            Verdict::Delay => self.waiting.push_front(message),
        }
        Ok(())
    }

    /// Calls the program, unless the server stops.
    fn message(&self, message: EngineMessage) {
        let bytes = message.size();
        let link = &self.session.link;
        log::debug!(target: TARGET_EVENT, "message of {bytes} bytes from {link}");
        if !link.in_flight.is_draining() {
            self.call(self.callbacks.message.as_ref(), message, bytes);
        }
    }
}

/// Makes the callback of a handler's end; its value is `()`.
fn ended(link: &Link) -> impl FnOnce(Result<(), Unfinished>) + use<> {
    let log = Arc::clone(&link.config.line_limits);
    move |ended| match ended {
        Ok(()) => {}
        Err(Unfinished::Panicked(panic)) => {
            let panic = cut(panic);
            let line = format_args!("engine handler panicked: {panic}");
            log.write(LogKind::Panicked, Level::Error, line);
        }
        Err(Unfinished::Dropped) => {
            log::debug!("engine handler dropped: still pending after its session had ended");
        }
    }
}

impl Protocol for Raw {
    fn text(&mut self, text: &str) -> Result<(), CloseReason> {
        self.received(EngineMessage::Text(text.to_owned()))
    }

    fn binary(&mut self, data: Bytes) -> Result<(), CloseReason> {
        self.received(EngineMessage::Binary(data))
    }

    fn has_room(&self) -> bool {
        self.waiting.is_empty()
    }

    fn deadline(&self) -> Option<Instant> {
        self.rates.as_ref()?.paused_until
    }

    /// The rate allows the message that waits.
    fn lapsed(&mut self) -> Result<(), CloseReason> {
        if let Some(rates) = &mut self.rates {
            rates.paused_until = None;
        }
        while let Some(message) = self.waiting.pop_front() {
            self.received(message)?;
            if self.deadline().is_some() {
                return Ok(());
            }
        }
        // The session reads at its next turn.
        self.session.link.wake();
        Ok(())
    }

    fn closed(&mut self, reason: CloseReason) {
        let Some(callback) = &self.callbacks.close else {
            return;
        };
        let session = self.session.clone();
        let leaving = || InFlight::enter_leaving(&self.session.link);
        let call = || callback(session, reason);
        let ended = ended(&self.session.link);
        self.callbacks.slots.run(call, ended, leaving);
    }
}

impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callbacks").finish_non_exhaustive()
    }
}
