//! The end of a handler's call: the acknowledgement, or an error in its place.
//!
//! A client that expects an acknowledgement always receives one: the returned value, or the answer
//! of the program's error hook, or `{"error": …}`. The last is sent if the handler returned `Err`,
//! got arguments of the wrong type, panicked, or dropped its [`Ack`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use log::Level;
use serde::Serialize;

use crate::error::{HandlerError, Rejection};
use crate::handler::context::NamespaceContext;
use crate::handler::failure::{ErrorAnswer, Failure, FailureCause, panicked, report};
use crate::handler::pending::Unfinished;
use crate::limits::Limit;
use crate::link::Outgoing;
use crate::logging::{Quoted, TARGET_EVENT};
use crate::members::{Answer, Encoder};
use crate::panics::{catch_drop, catch_panic};
use crate::socket::Socket;
use crate::socketio::{ArgsError, Cut, FailureMark, failure_of, is_failure};

/// The destination of the answer to one event.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) socket: Socket,
    pub(crate) event: Arc<str>,
    /// The acknowledgement's id, if the client expects one.
    pub(crate) id: Option<u64>,
    pub(crate) context: Arc<NamespaceContext>,
}

impl Reply {
    /// Ends the call with the handler's return value, or with its panic. If the handler has changed
    /// a session in a store, the session is saved first.
    pub(crate) fn finish<T: Serialize + 'static>(self, ended: Result<T, Unfinished>) {
        match self.socket.state().link.stored_session() {
            Some(session) if session.is_changed() => self.clone().end_saved(session, ended),
            _ => self.end(ended),
        }
    }

    /// Ends the call at once.
    pub(crate) fn end<T: Serialize>(self, ended: Result<T, Unfinished>) {
        match ended {
            Ok(value) => {
                self.answer(&value);
                self.discard(value);
            }
            Err(Unfinished::Panicked(panic)) => self.panicked(panic),
            Err(Unfinished::Dropped) => {
                self.fail_as(FailureCause::Dropped, FailureMark::AckDropped);
            }
        }
    }

    /// Drops the value that a handler has returned. The call has ended, so a panic of the destructor
    /// is reported without an answer.
    pub(crate) fn discard<T>(&self, value: T) {
        if let Err(panic) = catch_drop(value) {
            panicked(&self.context, &self.socket, &self.event, panic);
        }
    }

    /// Sends the value as the acknowledgement; an `Err` is a failure.
    pub(crate) fn answer<T: Serialize>(&self, value: &T) {
        // Without an id the value is not written, unless it is an `Err`, for the log.
        if self.id.is_none()
            && (size_of::<T>() == 0 || catch_panic(|| is_failure(value)) == Ok(false))
        {
            return;
        }
        let id = self.id.unwrap_or_default();
        let limits = self.socket.membership().packets;
        let encoder = Encoder::of(&self.socket.state().link);
        let write = || encoder.ack(self.socket.namespace(), id, value, limits);
        // A `Serialize` is code of the program.
        match catch_panic(write) {
            Ok(Ok(Answer::Value(packet))) => self.deliver(packet),
            Ok(Ok(Answer::Error(json))) => {
                let mark = catch_panic(|| failure_of(value)).unwrap_or(FailureMark::Plain);
                self.fail_as(FailureCause::Returned(json), mark);
            }
            Ok(Err(error)) => {
                if let ArgsError::TooLarge { limit, .. } = error {
                    self.socket.state().hit(Limit::PacketLimit, limit);
                }
                self.fail(FailureCause::SerializeFailed(error));
            }
            Err(panic) => self.panicked(panic),
        }
    }

    /// Ends a call that was not made, because an argument has the wrong type.
    pub(crate) fn reject(&self, rejection: Rejection) {
        self.fail(FailureCause::Rejected(rejection));
    }

    /// Ends a call without a handler.
    pub(crate) fn unhandled(&self) {
        let (event, socket) = (Quoted(&self.event), self.socket.state());
        log::debug!(target: TARGET_EVENT, "event {event} from {socket} has no handler");
        if !self.context.server_context.answers_unhandled {
            return;
        }
        // JSON alone escapes it, and its length is limited whatever the client has sent.
        let text = format!("no handler for event \"{}\"", Cut(&self.event));
        self.send_error(&serde_json::Value::from(text).to_string(), None);
    }

    /// Ends a call that a check has refused, or has not decided.
    pub(super) fn end_refused(&self, cause: FailureCause) {
        match cause {
            FailureCause::Panicked(panic) => self.panicked(panic),
            cause => self.fail(cause),
        }
    }

    /// Ends a call whose handler panicked; the client receives no details.
    pub(crate) fn panicked(&self, panic: String) {
        report(&self.context, &self.socket, &self.event, &panic);
        self.fail(FailureCause::Panicked(panic));
    }

    /// The same for a panic that another part of the crate reports.
    pub(crate) fn fail_by_panic(&self, panic: String) {
        self.fail(FailureCause::Panicked(panic));
    }

    /// Ends a failed call: the program's hook may answer, otherwise the default rule applies.
    pub(super) fn fail(&self, cause: FailureCause) {
        self.fail_as(cause, FailureMark::Plain);
    }

    /// Ends a call that failed with an error of this kind.
    fn fail_as(&self, cause: FailureCause, mark: FailureMark) {
        let failure = Failure {
            socket: &self.socket,
            event: &self.event,
            wants_ack: self.id.is_some(),
            cause,
            says_gone: mark == FailureMark::Gone,
        };
        let answer = failure.shown_to_hook(&self.context);
        let Some(id) = self.id else { return };
        match answer {
            ErrorAnswer::Nothing => return,
            // A `Value` always has a text: its keys are strings.
            ErrorAnswer::Value(value) => {
                let limits = self.socket.membership().packets;
                let encoder = Encoder::of(&self.socket.state().link);
                let namespace = self.socket.namespace();
                if let Ok(Answer::Value(packet)) = encoder.ack(namespace, id, &value, limits) {
                    return self.deliver(packet);
                }
            }
            ErrorAnswer::Default => {}
        }
        if mark != FailureMark::AckDropped {
            let data = failure.told_data(&self.context);
            self.send_error(&failure.client_error(&self.context), data.as_deref());
        }
    }

    /// Separate, so that a program without such lines pays only for a check of the level.
    #[cold]
    fn log(&self, id: u64, size: usize) {
        let (event, socket) = (Quoted(&self.event), self.socket.state());
        log::debug!(target: TARGET_EVENT, "event {event}: acknowledgement {id} of {size} bytes to {socket}");
    }

    fn send_error(&self, json: &str, data: Option<&str>) {
        if let Some(id) = self.id {
            let namespace = self.socket.namespace();
            let encoder = Encoder::of(&self.socket.state().link);
            self.deliver(encoder.ack_error(namespace, id, json, data));
        }
    }

    fn deliver(&self, packet: Outgoing) {
        if let Some(id) = self.id {
            if log::log_enabled!(target: TARGET_EVENT, Level::Debug) {
                self.log(id, packet.len());
            }
            // A client that has disconnected, or is being disconnected because it is slow, gets no
            // answer.
            let _ = self.socket.state().deliver(packet);
        }
    }
}

/// The acknowledgement of an event, sent by the handler itself.
///
/// A handler with this argument answers by [`send`](Self::send), at any time; its return value is
/// not sent. An `Ack` that is dropped unused answers with an error, so that the client does not
/// wait in vain.
///
/// # Examples
///
/// ```
/// use actix_socketio::{Ack, Data};
///
/// async fn add(Data((a, b)): Data<(i64, i64)>, ack: Ack) {
///     ack.send(a + b);
/// }
/// ```
#[derive(Debug)]
pub struct Ack {
    reply: Option<Owed>,
    /// Set when the handler receives it. Until then it sends no answer when it is dropped: another
    /// extractor has failed, and that error is sent instead.
    handed: Option<Arc<AtomicBool>>,
}

impl Ack {
    pub(crate) fn new(reply: Reply) -> Self {
        Self {
            reply: Some(Owed::of(reply)),
            handed: None,
        }
    }

    /// Makes one that is valid after `handed` is set.
    pub(crate) fn lent(reply: Reply, handed: &Arc<AtomicBool>) -> Self {
        Self {
            reply: Some(Owed::of(reply)),
            handed: Some(Arc::clone(handed)),
        }
    }

    fn is_handed(&self) -> bool {
        let handed = self.handed.as_ref();
        handed.is_none_or(|handed| handed.load(Ordering::Relaxed))
    }

    /// Returns `true` if the client expects an acknowledgement.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        let reply = self.reply.as_ref();
        reply.is_some_and(|reply| reply.0.id.is_some())
    }

    /// Sends the acknowledgement. A tuple is sent as that many arguments, `()` as none, any other
    /// type as one, and an `Err` as `{"error": …}`. Does nothing if the client expects none.
    pub fn send<T: Serialize>(mut self, data: T) {
        if let Some(reply) = self.reply.take() {
            reply.0.answer(&data);
        }
    }

    /// Takes the right to answer.
    pub(crate) fn into_reply(mut self) -> Option<Reply> {
        self.reply.take().map(|owed| owed.0.clone())
    }

    /// Sends no acknowledgement. The client's `emitWithAck` waits forever, or fails after its
    /// `timeout`; with the options `retries` and `ackTimeout` it sends the event again.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{Ack, Data};
    ///
    /// # async fn store(_: String) -> std::io::Result<()> { Ok(()) }
    /// async fn save(Data(text): Data<String>, ack: Ack) {
    ///     match store(text).await {
    ///         Ok(()) => ack.send(()),
    ///         // The client sends it again.
    ///         Err(_) => ack.leave(),
    ///     }
    /// }
    /// ```
    pub fn leave(mut self) {
        self.reply = None;
    }
}

/// A reply that a server awaits while it stops, if a client expects it.
#[derive(Debug)]
struct Owed(Reply);

impl Owed {
    fn of(reply: Reply) -> Self {
        if reply.id.is_some() {
            reply.socket.state().link.in_flight.owe();
        }
        Self(reply)
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        if self.0.id.is_some() {
            self.0.socket.state().link.in_flight.settle();
        }
    }
}

impl Drop for Ack {
    fn drop(&mut self) {
        if let Some(reply) = self.reply.take()
            && reply.0.id.is_some()
            && self.is_handed()
        {
            reply.0.fail(FailureCause::AckDropped);
        }
    }
}

impl HandlerError {
    /// Sends no acknowledgement, so that the client sends the event again if it has the options
    /// `retries` and `ackTimeout`. The failure reaches [`on_error`](crate::Handlers::on_error) and
    /// the log like any other.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{Data, HandlerError};
    ///
    /// # async fn store(_: String) -> std::io::Result<()> { Ok(()) }
    /// async fn save(Data(text): Data<String>) -> Result<(), HandlerError> {
    ///     store(text).await.map_err(|error| HandlerError::from(error).unanswered())
    /// }
    /// ```
    #[must_use]
    pub fn unanswered(mut self) -> Self {
        self.is_answered = false;
        self
    }
}
