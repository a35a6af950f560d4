//! Calls: events with an acknowledgement, to one socket or to many, and their timeout.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::cluster::{Answer, EventPayload, Question};
use crate::error::{CallError, EmitError};
use crate::members::{SocketState, give_turn};
use crate::message::AckResults;
use crate::socket::ack_stream::{AckStream, Asked, ask};
use crate::socket::broadcast::operator::Broadcast;
use crate::socket::call::call;
use crate::socketio::Args;
use crate::telemetry::SpanScope;

impl Broadcast {
    /// Sends an event to the only addressed socket, and waits for its acknowledgement. The answer
    /// is read as by [`Data`](crate::Data).
    ///
    /// # Errors
    ///
    /// Every variant of [`CallError`]. If several sockets of this node are addressed, or none and
    /// there is no other node, it is [`CallError::NotOneRecipient`] and nothing was sent. Other
    /// nodes send the event to all addressed sockets, and [`CallError::NotOneRecipient`] has the
    /// number of answers. [`EmitError::Cluster`] in [`CallError::Emit`] says that they could not be
    /// asked. [`CallError::Disconnected`] may also mean that a node has ended which may have had
    /// the socket.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn run(io: actix_socketio::SocketIo, id: actix_socketio::SocketId) -> Result<(), actix_socketio::CallError> {
    /// let age: u32 = io.to(id).call("ask", "age").await?;
    /// # Ok(()) }
    /// ```
    pub async fn call<R>(self, event: &str, data: impl Serialize) -> Result<R, CallError>
    where
        R: DeserializeOwned,
    {
        let selected = self.membership.select(&self.audience);
        match (selected.as_slice(), self.elsewhere()) {
            ([socket], _) => {
                let limit = self.limit(&selected);
                let args = call(&self.membership, socket, event, &data, limit).await?;
                args.read().map_err(CallError::Answer)
            }
            // A socket of another node: one or none.
            ([], Some(_)) => {
                let scope = SpanScope::call(self.membership.name(), event, &"of another node");
                let asked = async {
                    let answers: AckStream<()> = self.emit_with_ack(event, data).await?;
                    Ok::<_, EmitError>(answers.gather().await)
                };
                let gathered = scope.follow(asked).await?;
                if let Some(error) = gathered.coverage.error() {
                    return Err(EmitError::from(error.clone()).into());
                }
                let has_gone = gathered.missing_elsewhere > 0 || !gathered.coverage.is_complete();
                match gathered.answers.as_slice() {
                    [(_, args)] => args.read().map_err(CallError::Answer),
                    [] if gathered.timed_out => Err(CallError::Timeout),
                    [] if has_gone => Err(CallError::Disconnected),
                    answers => Err(CallError::NotOneRecipient(answers.len())),
                }
            }
            (selected, _) => Err(CallError::NotOneRecipient(selected.len())),
        }
    }

    /// Sends an event to all addressed sockets, and returns their acknowledgements as they arrive.
    /// The event is encoded once. A socket does not receive it if it has too many pending calls, or
    /// if the event is volatile; such a socket counts as missing and is not awaited.
    ///
    /// # Errors
    ///
    /// [`EmitError::ReservedEvent`] and [`EmitError::Encode`]: the event was sent to no client. If
    /// the sockets of this node were asked and other nodes could not be, [`AckStream::coverage`]
    /// has the reason.
    pub async fn emit_with_ack<R>(
        self,
        event: &str,
        data: impl Serialize,
    ) -> Result<AckStream<R>, EmitError> {
        let id = self.membership.next_ack();
        let args = Args::from_value(&data)?;
        let packet = self.packet(Some(id), event, &args)?;
        let turn = match self.receiver() {
            Some(socket) => socket.turn(packet.cost()).await?,
            None => None,
        };
        let asked = self.membership.select(&self.audience);
        let limit = self.limit(&asked);
        let span = SpanScope::broadcast(self.membership.name(), event);
        let Asked {
            answers: here,
            crowd,
        } = span.within(|| ask(asked, id, &packet, self.volatile, limit));
        drop(turn);
        let Some(scope) = self.scope_elsewhere() else {
            give_turn(crowd).await;
            return Ok(here);
        };
        let question = |limit| Question::Emit {
            content: EventPayload::new(event, &args),
            scope,
            flags: self.flags(),
            limit,
        };
        let answers = here.and_elsewhere(self.question(question, limit));
        give_turn(crowd).await;
        Ok(answers)
    }

    /// Asks all addressed sockets, and returns the raw answers.
    pub(crate) async fn gather(
        self,
        event: &str,
        data: &Args,
    ) -> Result<AckResults<Args>, EmitError> {
        let answers: AckStream<()> = self.emit_with_ack(event, data).await?;
        Ok(answers.gather().await)
    }

    /// Asks the other nodes; a server without an adapter gets no answers.
    pub(super) fn question(
        &self,
        question: impl FnOnce(Duration) -> Question,
        limit: Duration,
    ) -> UnboundedReceiver<Answer> {
        let limit = limit.min(LONGEST_QUESTION);
        match &self.membership.adapter {
            Some(adapter) => {
                Arc::clone(adapter).ask(self.membership.shared_name(), question(limit), limit)
            }
            None => unbounded_channel().1,
        }
    }

    fn limit(&self, asked: &[Arc<SocketState>]) -> Duration {
        let here = asked
            .first()
            .map(|socket| socket.link.config.sockets.ack_timeout);
        let elsewhere = || self.membership.adapter.as_ref().map(|it| it.ack_timeout());
        // Without recipients any limit is correct.
        self.timeout.or(here).or_else(elsewhere).unwrap_or_default()
    }
}

/// The maximal timeout for other nodes, whatever the program sets, because timers of Node.js
/// servers have about this limit.
const LONGEST_QUESTION: Duration = Duration::from_secs(24 * 24 * 60 * 60);
