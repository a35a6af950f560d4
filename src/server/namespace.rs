//! A program's handle on a namespace.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix::{Addr, Recipient};
use serde::Serialize;
use tokio::time::timeout;

use crate::actor::{FindRoom, NamespaceCore, Room};
use crate::error::{EmitError, RoomError};
use crate::handler::{ConnectOutcome, Connecting, Event, Extract, Handler, Incoming, Leaving};
use crate::id::SocketId;
use crate::socket::{Broadcast, Socket};

/// A namespace: its handlers, its rooms, and everyone in it.
#[derive(Clone)]
pub struct Namespace {
    core: Arc<NamespaceCore>,
}

impl Namespace {
    pub(crate) fn new(core: Arc<NamespaceCore>) -> Self {
        Self { core }
    }

    /// Calls `handler` for an event. What it returns is the acknowledgement, where the client asked
    /// for one: a tuple is sent as that many arguments, anything else as one. An `Err` is sent as
    /// `{"error": …}`, and so is a panic, which costs nothing but this call.
    ///
    /// Handlers of one socket start in the order in which its events came. Arguments are extractors:
    /// [`Socket`], [`Data<T>`](crate::Data), [`Auth<T>`](crate::Auth), [`Event`],
    /// [`Ack`](crate::Ack), [`State<T>`](crate::State). A second handler for the same event takes the
    /// place of the first. Handlers may be added while clients are connected.
    pub fn on<H, A>(&self, event: &str, handler: H) -> &Self
    where
        H: Handler<A>,
        H::Output: Serialize,
        A: for<'a> Extract<Incoming<'a>> + 'static,
    {
        self.core.table.change(|table| table.on(event, handler));
        self
    }

    /// Calls `handler` when a client connects; `Err` refuses it, with the error's message and data.
    ///
    /// The client gets its CONNECT packet when the handler has let it in; what is emitted to it before
    /// follows that packet, and events that it sends before wait. Arguments are extractors: [`Socket`],
    /// [`Auth<T>`](crate::Auth), [`State<T>`](crate::State).
    pub fn on_connect<H, A>(&self, handler: H) -> &Self
    where
        H: Handler<A>,
        H::Output: ConnectOutcome,
        A: for<'a> Extract<Connecting<'a>> + 'static,
    {
        self.core.table.change(|table| table.on_connect(handler));
        self
    }

    /// Calls `handler` when a client that was let in has left. Arguments are extractors: [`Socket`],
    /// [`DisconnectReason`](crate::DisconnectReason), [`Auth<T>`](crate::Auth),
    /// [`State<T>`](crate::State).
    pub fn on_disconnect<H, A>(&self, handler: H) -> &Self
    where
        H: Handler<A>,
        A: for<'a> Extract<Leaving<'a>> + 'static,
    {
        self.core.table.change(|table| table.on_disconnect(handler));
        self
    }

    /// Makes an actor the handler of an event: it gets each as an [`Event`], with the right to answer.
    ///
    /// Events that the actor has not handled yet count as handlers in flight, so that a client cannot
    /// fill its mailbox without limit. Where the actor has ended, the client gets
    /// `{"error": …}`.
    pub fn forward(&self, event: &str, actor: Recipient<Event>) -> &Self {
        self.core.table.change(|table| table.forward(event, actor));
        self
    }

    /// Returns the namespace's name, as `/` or `/chat`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.core.membership.name()
    }

    /// Sends an event to everyone in the namespace; see [`Broadcast::emit`].
    ///
    /// # Errors
    ///
    /// [`EmitError::ReservedEvent`] and [`EmitError::Encode`]; nothing was sent to anybody then.
    pub async fn emit<T: Serialize>(&self, event: &str, data: T) -> Result<(), EmitError> {
        self.everyone().emit(event, data).await
    }

    /// Addresses a room, or the socket with this id.
    pub fn to(&self, room: impl AsRef<str>) -> Broadcast {
        self.everyone().to(room)
    }

    /// Addresses everyone but the sockets of a room, or the socket with this id.
    pub fn except(&self, room: impl AsRef<str>) -> Broadcast {
        self.everyone().except(room)
    }

    /// Returns the socket with this id.
    #[must_use]
    pub fn socket(&self, id: SocketId) -> Option<Socket> {
        self.core.membership.socket(id).map(Socket::new)
    }

    /// Returns the sockets that are connected.
    #[must_use]
    pub fn sockets(&self) -> Vec<Socket> {
        let all = self.core.membership.all();
        all.into_iter().map(Socket::new).collect()
    }

    /// Returns how many sockets are connected.
    #[must_use]
    pub fn count(&self) -> usize {
        self.core.membership.count()
    }

    /// Returns the address of a room's actor, which takes [`Emit`](crate::Emit) and
    /// [`ListMembers`](crate::ListMembers).
    ///
    /// A room starts with the first join and ends with the last leave; its address is good for as long.
    ///
    /// # Errors
    ///
    /// [`RoomError::NoSuchRoom`] where nobody is in it, and [`RoomError::Unavailable`].
    pub async fn room(&self, name: impl Into<String>) -> Result<Addr<Room>, RoomError> {
        let actor = self.core.actor().ok_or(RoomError::Unavailable)?;
        // `send` by a fresh address, under a deadline of its own.
        match timeout(FIND_DEADLINE, actor.send(FindRoom(name.into()))).await {
            Ok(Ok(room)) => room.ok_or(RoomError::NoSuchRoom),
            Ok(Err(_)) | Err(_) => Err(RoomError::Unavailable),
        }
    }

    fn everyone(&self) -> Broadcast {
        Broadcast::new(&self.core.membership, None)
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Namespace")
            .field("name", &self.name())
            .field("sockets", &self.count())
            .finish_non_exhaustive()
    }
}

/// How long a namespace may take to look a room up.
const FIND_DEADLINE: Duration = Duration::from_secs(5);
