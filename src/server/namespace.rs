//! A program's handle on a namespace.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix::{Addr, Recipient};
use tokio::time::timeout;

use crate::actor::{FindRoom, NamespaceCore, Room};
use crate::error::RoomError;
use crate::handler::{Environment, SharedTable};
use crate::id::SocketId;
use crate::message::RoomEvent;
use crate::server::operator::operator;
use crate::server::registration::registration;
use crate::socket::{Broadcast, OutgoingEvent, Socket};

/// A namespace: its handlers, its rooms, and everyone in it.
///
/// # Examples
///
/// ```
/// # async fn run(io: actix_socketio::SocketIo) -> Result<(), actix_socketio::EmitError> {
/// let chat = io.of("/chat");
/// chat.on("add", |actix_socketio::Data((a, b)): actix_socketio::Data<(i64, i64)>| async move { a + b });
/// chat.to("lobby").emit("news", "hello").await?;
/// println!("{} sockets, {} of them in the lobby", chat.count(), chat.room_count("lobby"));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Namespace {
    core: Arc<NamespaceCore>,
}

impl Namespace {
    pub(crate) fn new(core: Arc<NamespaceCore>) -> Self {
        Self { core }
    }

    registration!();

    /// Returns the namespace's name, as `/` or `/chat`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.core.membership.name()
    }

    /// Shows `observer` every event that is sent here, before it is sent: once for each emit, be it to
    /// one socket or to many. Acknowledgements are not shown. Several may look.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{Namespace, OutgoingEvent};
    ///
    /// fn register(namespace: &Namespace) {
    ///     namespace.on_any_outgoing(|event: &OutgoingEvent<'_>| {
    ///         log::debug!("{} {}", event.name(), event.args().as_json());
    ///     });
    /// }
    /// ```
    pub fn on_any_outgoing<F>(&self, observer: F) -> &Self
    where
        F: Fn(&OutgoingEvent<'_>) + Send + Sync + 'static,
    {
        self.core.membership.observers.add(Arc::new(observer));
        self
    }

    operator!();

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

    /// Returns the names of the rooms that somebody is in, in no order. The rooms of sockets' own ids are
    /// not listed.
    #[must_use]
    pub fn rooms(&self) -> Vec<String> {
        let rooms = self.core.membership.rooms();
        rooms
            .iter()
            .map(|(name, _)| name.as_ref().to_owned())
            .collect()
    }

    /// Returns how many sockets are in a room, without counting them.
    #[must_use]
    pub fn room_count(&self, room: &str) -> usize {
        self.to(room).count()
    }

    /// Makes everyone leave a room. Returns how many were in it.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn run(io: actix_socketio::SocketIo) {
    /// let members = io.of("/chat").close_room("lobby").await;
    /// # }
    /// ```
    pub async fn close_room(&self, room: impl AsRef<str>) -> usize {
        self.core.membership.close_room(room.as_ref())
    }

    /// Tells an actor what happens in rooms from now on: which are created and deleted, who joins and
    /// who leaves, in the order of the changes. Several actors may ask.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix::{Actor, Addr, Context, Handler};
    /// use actix_socketio::{Namespace, RoomEvent, RoomEventKind};
    ///
    /// struct Doorkeeper;
    ///
    /// impl Actor for Doorkeeper {
    ///     type Context = Context<Self>;
    /// }
    ///
    /// impl Handler<RoomEvent> for Doorkeeper {
    ///     type Result = ();
    ///
    ///     fn handle(&mut self, event: RoomEvent, _: &mut Self::Context) {
    ///         if let RoomEventKind::Joined(socket) = event.change {
    ///             log::info!("{socket} is in {}", event.room);
    ///         }
    ///     }
    /// }
    ///
    /// fn watch(namespace: &Namespace, doorkeeper: Addr<Doorkeeper>) {
    ///     namespace.watch_rooms(doorkeeper.recipient());
    /// }
    /// ```
    pub fn watch_rooms(&self, watcher: Recipient<RoomEvent>) {
        self.core.membership.watch(watcher);
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

    /// Where handlers are registered.
    fn handlers(&self) -> (&SharedTable, &Environment) {
        (&self.core.table, &self.core.environment)
    }

    pub(crate) fn everyone(&self) -> Broadcast {
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
