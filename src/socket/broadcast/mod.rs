//! The operator that selects the recipients of an event.

mod emit;
mod sockets;

use std::sync::Arc;
use std::time::Duration;

use log::Level;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::cluster::{Answer, EventPayload, Message, Question, Scope};
use crate::error::{CallError, EmitError};
use crate::link::Outgoing;
use crate::logging::TARGET_EVENT;
use crate::members::{
    Adapter, Audience, Membership, Recipients, Sender, SocketState, give_turn, log_emit,
};
use crate::message::RoomNames;
use crate::socket::ack_stream::{AckStream, Asked, ask};
use crate::socket::call::call;
use crate::socketio::Args;

/// Sends events to sockets of a namespace, and changes those sockets.
///
/// Made by [`Socket::to`](crate::Socket::to), [`SocketIo::to`](crate::SocketIo::to) and similar
/// methods; each step returns a new operator, which may be cloned and kept. Several rooms are a
/// union: a socket in two of them receives the event once. An empty list of rooms selects no
/// sockets. A socket's id is the name of a room with this socket alone.
///
/// # Examples
///
/// ```
/// # async fn run(socket: actix_socketio::Socket) -> Result<(), actix_socketio::EmitError> {
/// socket.to(["lobby", "hall"]).except("muted").emit("news", "hello").await
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before `emit`"]
pub struct Broadcast {
    membership: Arc<Membership>,
    audience: Audience,
    local: bool,
    volatile: bool,
    compressed: bool,
    timeout: Option<Duration>,
}

impl Broadcast {
    pub(crate) fn new(membership: &Arc<Membership>, sender: Option<&SocketState>) -> Self {
        Self::of(
            membership,
            Audience {
                sender: sender.map(Sender::of),
                ..Audience::default()
            },
        )
    }

    /// Addresses one socket alone.
    pub(crate) fn alone(membership: &Arc<Membership>, socket: &Arc<SocketState>) -> Self {
        Self::of(
            membership,
            Audience {
                alone: Some(Arc::clone(socket)),
                ..Audience::default()
            },
        )
    }

    pub(crate) fn of(membership: &Arc<Membership>, audience: Audience) -> Self {
        Self {
            membership: Arc::clone(membership),
            audience,
            local: false,
            volatile: false,
            compressed: true,
            timeout: None,
        }
    }

    /// Adds rooms to the recipients.
    ///
    /// The order of modifiers never changes the recipients: an operator that was started from a
    /// socket by [`volatile`](crate::Socket::volatile), [`compress`](crate::Socket::compress) or
    /// [`timeout`](crate::Socket::timeout) then addresses the rooms without that socket.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn run(socket: actix_socketio::Socket) -> Result<(), actix_socketio::EmitError> {
    /// socket.volatile().to("players").emit("position", (3, 4)).await?;
    /// socket.to("players").volatile().emit("position", (3, 4)).await // the same audience
    /// # }
    /// ```
    #[doc(alias = "in")]
    pub fn to(self, rooms: impl RoomNames) -> Self {
        let mut widened = self.broadcast();
        rooms.add_to(widened.audience.rooms.get_or_insert_default());
        widened
    }

    /// The same as [`to`](Self::to).
    pub fn in_room(self, rooms: impl RoomNames) -> Self {
        self.to(rooms)
    }

    /// Excludes the sockets of these rooms, or those with these ids.
    pub fn except(self, rooms: impl RoomNames) -> Self {
        let mut widened = self.broadcast();
        rooms.add_to(&mut widened.audience.except);
        widened
    }

    /// Restricts the recipients to the sockets of this process. Without an adapter these are all
    /// sockets.
    pub fn local(self) -> Self {
        let mut widened = self.broadcast();
        widened.local = true;
        widened
    }

    /// Addresses all sockets of the namespace except this one, if the operator addressed one socket
    /// alone, for example after [`Socket::volatile`](crate::Socket::volatile). Otherwise it has no
    /// effect.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn run(socket: actix_socketio::Socket) -> Result<(), actix_socketio::EmitError> {
    /// socket.volatile().broadcast().emit("position", (3, 4)).await
    /// # }
    /// ```
    pub fn broadcast(mut self) -> Self {
        if let Some(socket) = self.audience.alone.take() {
            self.audience.sender = Some(Sender::of(&socket));
        }
        self
    }

    /// Drops the event for clients whose outbox is not empty, or that are not connected yet. It is
    /// for events that are useless later, such as a position. Other events keep their order.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn run(socket: actix_socketio::Socket) -> Result<(), actix_socketio::EmitError> {
    /// socket.to("players").volatile().emit("position", (3, 4)).await
    /// # }
    /// ```
    pub fn volatile(mut self) -> Self {
        self.volatile = true;
        self
    }

    /// Sets whether the event is worth compressing; true by default. The response to a poll is
    /// compressed if it is at least as long as
    /// [`Builder::http_compression`](crate::Builder::http_compression) and contains at least one
    /// such event. WebSocket frames are never compressed.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn run(socket: actix_socketio::Socket, picture: actix_socketio::Bytes) -> Result<(), actix_socketio::EmitError> {
    /// // A picture is compressed already.
    /// socket.to("lobby").compress(false).emit("picture", picture).await
    /// # }
    /// ```
    pub fn compress(mut self, compressed: bool) -> Self {
        self.compressed = compressed;
        self
    }

    /// Sets the timeout of acknowledgements; by default the server's `ack_timeout` (60 seconds by
    /// default). Other nodes are awaited for at most 24 days.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

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
                let answers: AckStream<()> = self.emit_with_ack(event, data).await?;
                let gathered = answers.gather().await;
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
        let Asked {
            answers: here,
            crowd,
        } = ask(asked, id, &packet, self.volatile, limit);
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
    ) -> Result<crate::message::AckResults<Args>, EmitError> {
        let answers: AckStream<()> = self.emit_with_ack(event, data).await?;
        Ok(answers.gather().await)
    }

    /// Returns the adapter and the constructor of its message, if other nodes are addressed.
    fn elsewhere(
        &self,
    ) -> Option<(
        &Arc<dyn Adapter>,
        impl FnOnce(EventPayload) -> Message + use<>,
    )> {
        let adapter = self.membership.adapter.as_ref()?;
        let scope = self.scope_elsewhere()?;
        let flags = self.flags();
        let message = move |content| Message::Emit {
            content,
            scope,
            flags,
        };
        Some((adapter, message))
    }

    /// Returns the recipients on the other nodes, if there are any.
    fn scope_elsewhere(&self) -> Option<Scope> {
        if self.local || self.membership.adapter.is_none() {
            return None;
        }
        // A socket is on one node: the others do not know a socket of this node.
        if let Some([room]) = self.audience.rooms.as_deref()
            && self.membership.virtual_room(room).is_some()
        {
            return None;
        }
        self.audience.elsewhere()
    }

    /// Asks the other nodes; a server without an adapter gets no answers.
    fn question(
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

    fn packet<T: Serialize>(
        &self,
        id: Option<u64>,
        event: &str,
        data: &T,
    ) -> Result<Outgoing, EmitError> {
        let recipient = self.audience.alone.as_ref().map(|socket| socket.id);
        let packet = self.membership.event(id, event, data, recipient)?;
        if recipient.is_none() && log::log_enabled!(target: TARGET_EVENT, Level::Debug) {
            log_emit(
                event,
                packet.len(),
                &Recipients(self.membership.name(), &self.audience),
            );
        }
        Ok(if self.compressed {
            packet
        } else {
            packet.without_compression()
        })
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

pub(crate) fn names(rooms: impl RoomNames) -> Vec<String> {
    let mut names = Vec::new();
    rooms.add_to(&mut names);
    names
}

/// The maximal timeout for other nodes, whatever the program sets, because timers of Node.js
/// servers have about this limit.
const LONGEST_QUESTION: Duration = Duration::from_secs(24 * 24 * 60 * 60);

/// The default event name.
pub(crate) const MESSAGE: &str = "message";
