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
    /// place of the first. Handlers may be added while clients are connected. An event without a
    /// handler is acknowledged with an error.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{Data, EmitError, Namespace, Socket};
    ///
    /// async fn message(socket: Socket, Data(text): Data<String>) -> Result<(), EmitError> {
    ///     socket.to("lobby").emit("message", text).await
    /// }
    ///
    /// fn register(namespace: &Namespace) {
    ///     namespace
    ///         .on("message", message)
    ///         .on("add", |Data((a, b)): Data<(i64, i64)>| async move { a + b });
    /// }
    /// ```
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
    /// [`Auth<T>`](crate::Auth), [`State<T>`](crate::State). Arguments that do not fit refuse the
    /// client too, and so does a panic. Without a connect handler everybody is let in.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{Auth, ConnectError, Namespace, Socket};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Login {
    ///     token: String,
    /// }
    ///
    /// async fn enter(socket: Socket, Auth(login): Auth<Login>) -> Result<(), ConnectError> {
    ///     if login.token != "secret" {
    ///         return Err("not authorized".into());
    ///     }
    ///     socket.join("lobby").await.map_err(|error| error.to_string())?;
    ///     Ok(())
    /// }
    ///
    /// fn register(namespace: &Namespace) {
    ///     namespace.on_connect(enter);
    /// }
    /// ```
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
    ///
    /// Nothing can be sent to the socket any more. It leaves its rooms by itself;
    /// [`Socket::rooms`] still names them until the handler first waits for something.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{DisconnectReason, Namespace, Socket};
    ///
    /// async fn left(socket: Socket, reason: DisconnectReason) {
    ///     for room in socket.rooms() {
    ///         println!("{} left {room}: {reason}", socket.id());
    ///     }
    /// }
    ///
    /// fn register(namespace: &Namespace) {
    ///     namespace.on_disconnect(left);
    /// }
    /// ```
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
    /// Events that the actor has not handled yet count as handlers in flight, for up to the
    /// server's `ack_timeout`, so that a client cannot fill its mailbox without limit. Where the
    /// actor has ended, or drops the event without an answer, the client gets `{"error": …}`.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix::{Actor, Addr, Context, Handler};
    /// use actix_socketio::{Event, Namespace};
    ///
    /// struct Counter(u64);
    ///
    /// impl Actor for Counter {
    ///     type Context = Context<Self>;
    /// }
    ///
    /// impl Handler<Event> for Counter {
    ///     type Result = ();
    ///
    ///     fn handle(&mut self, mut event: Event, _: &mut Self::Context) {
    ///         self.0 += 1;
    ///         if let Some(ack) = event.take_ack() {
    ///             ack.send(self.0);
    ///         }
    ///     }
    /// }
    ///
    /// fn register(namespace: &Namespace, counter: Addr<Counter>) {
    ///     namespace.forward("count", counter.recipient());
    /// }
    /// ```
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
    /// A room starts with the first join and ends with the last leave. Its address is good for as
    /// long, also across a restart; a room that has panicked too often gets another one.
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
