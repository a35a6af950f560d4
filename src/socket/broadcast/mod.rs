//! The operator that says who gets an event before saying which.

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
use crate::message::RoomNames;
use crate::socket::ack_stream::{AckStream, Asked, ask};
use crate::socket::adapter::Adapter;
use crate::socket::call;
use crate::socket::core::Core;
use crate::socket::membership::{Audience, Membership, Speaker};
use crate::socket::shown::{Many, log_emit};
use crate::socket::waiting::give_turn;
use crate::socketio::Args;

/// Sends events to sockets of a namespace, and asks things of them.
///
/// Made by [`Socket::to`](crate::Socket::to), [`SocketIo::to`](crate::SocketIo::to) and their kin;
/// each step gives a new operator, which may be cloned and kept. Several rooms are a union: a
/// socket in two of them gets the event once. An empty list of rooms is nobody. A socket's id is
/// the name of a room that holds this socket alone.
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
    pub(crate) fn new(membership: &Arc<Membership>, sender: Option<&Core>) -> Self {
        Self::of(
            membership,
            Audience {
                sender: sender.map(Speaker::of),
                ..Audience::default()
            },
        )
    }

    /// Addresses one socket alone.
    pub(crate) fn alone(socket: &Arc<Core>) -> Self {
        Self::of(
            &socket.membership,
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

    /// Adds rooms to those who get the event.
    ///
    /// The order of modifiers never changes the audience: an operator that a socket began with
    /// [`volatile`](crate::Socket::volatile), [`compress`](crate::Socket::compress) or
    /// [`timeout`](crate::Socket::timeout) addresses the rooms without that socket from here on.
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

    /// Leaves out the sockets of these rooms, or those with these ids.
    pub fn except(self, rooms: impl RoomNames) -> Self {
        let mut widened = self.broadcast();
        rooms.add_to(&mut widened.audience.except);
        widened
    }

    /// Keeps to the sockets of this process. Without an adapter to other nodes these are all there
    /// are.
    pub fn local(self) -> Self {
        let mut widened = self.broadcast();
        widened.local = true;
        widened
    }

    /// Addresses everybody in the namespace but the socket, if the operator addressed that socket
    /// alone, as after [`Socket::volatile`](crate::Socket::volatile). Changes nothing otherwise.
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
            self.audience.sender = Some(Speaker::of(&socket));
        }
        self
    }

    /// Drops the event for clients that have something waiting to be sent to them already, or are
    /// not connected yet: for what is of no use later, as a position. What is not dropped keeps its
    /// place among the other events.
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

    /// Sets whether the event is worth compressing; true by default. The answer to a poll is
    /// compressed where it is as long as
    /// [`Builder::http_compression`](crate::Builder::http_compression) says and at least one event
    /// in it is worth it. A WebSocket's frames never are.
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

    /// Sets how long acknowledgements may take; the server's `ack_timeout` (60 seconds by default)
    /// without it. Other nodes are waited for no longer than 24 days.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Sends an event to the one socket that is addressed, and waits for its acknowledgement. The
    /// answer is read as [`Data`](crate::Data) reads an event's arguments.
    ///
    /// # Errors
    ///
    /// Every variant of [`CallError`]. Where several sockets of this node are addressed, or nobody
    /// and there is no other node to ask, it is [`CallError::NotOneRecipient`] and nothing was
    /// sent. Other nodes send the event to all whom they find, and [`CallError::NotOneRecipient`]
    /// says how many answered. [`EmitError::Cluster`] in [`CallError::Emit`] says that they could
    /// not be asked, and [`CallError::Disconnected`] also that a node has ended which may have had
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
                let args = call(socket, event, &data, limit).await?;
                args.read().map_err(CallError::Answer)
            }
            // A socket of another node: there is one, or none.
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

    /// Sends an event to everyone addressed, and returns their acknowledgements as they come. The
    /// event is encoded once; who does not get it, since too many calls wait for it already or the
    /// event is volatile, counts as silent and is not waited for.
    ///
    /// # Errors
    ///
    /// [`EmitError::ReservedEvent`] and [`EmitError::Encode`]; nothing was sent to anybody then.
    /// Where the sockets of this node were asked and other nodes could not be,
    /// [`AckStream::coverage`] says why.
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

    /// Asks everyone addressed, and returns what came, unread.
    pub(crate) async fn gather(
        self,
        event: &str,
        data: &Args,
    ) -> Result<crate::message::AckResults<Args>, EmitError> {
        let answers: AckStream<()> = self.emit_with_ack(event, data).await?;
        Ok(answers.gather().await)
    }

    /// Returns the adapter and what makes the message for it, where other nodes are meant.
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

    /// Returns whom the other nodes are to reach, if there are any.
    fn scope_elsewhere(&self) -> Option<Scope> {
        if self.local || self.membership.adapter.is_none() {
            return None;
        }
        // A socket is on one node: of one that is here, the others know nothing.
        if let Some([room]) = self.audience.rooms.as_deref()
            && self.membership.virtual_room(room).is_some()
        {
            return None;
        }
        self.audience.elsewhere()
    }

    /// Asks the other nodes; of a server that is alone nothing comes.
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
            log_emit(event, packet.len(), &Many(&self.membership, &self.audience));
        }
        Ok(if self.compressed {
            packet
        } else {
            packet.without_compression()
        })
    }

    fn limit(&self, asked: &[Arc<Core>]) -> Duration {
        let here = asked.first().map(|socket| socket.link.config.ack_timeout);
        let elsewhere = || self.membership.adapter.as_ref().map(|it| it.ack_timeout());
        // With nobody to wait for any limit will do.
        self.timeout.or(here).or_else(elsewhere).unwrap_or_default()
    }
}

pub(crate) fn names(rooms: impl RoomNames) -> Vec<String> {
    let mut names = Vec::new();
    rooms.add_to(&mut names);
    names
}

/// How long other nodes are waited for at the most, whatever the program says: timers of Node.js
/// servers can be set to little more.
const LONGEST_QUESTION: Duration = Duration::from_secs(24 * 24 * 60 * 60);

/// The event that has no name in the program.
pub(crate) const MESSAGE: &str = "message";
