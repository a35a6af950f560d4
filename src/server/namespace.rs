//! A program's handle on a namespace.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use actix::{Addr, Recipient};
use serde::Serialize;
use tokio::time::timeout;

use crate::cluster::{
    ClusterError, EventPayload, Message, Question, Reply, is_reserved_between_servers,
};
use crate::error::{EmitError, RoomError};
use crate::handler::{Environment, EventOutcome, SharedTable};
use crate::id::SocketId;
use crate::message::{CrashPlace, Crashed, RoomEvent};
use crate::namespace::{FindRoom, NamespaceCore, Room};
use crate::server::operator::operator;
use crate::server::registration::registration;
use crate::socket::{Broadcast, Everywhere, OutgoingEvent, ServerSideEvent, Socket};
use crate::socketio::Args;

/// A namespace: its handlers, its rooms, and everyone in it. As an argument a handler gets its own.
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

    /// Shows `observer` every event that is sent here, before it is sent: once for each emit, be it
    /// to one socket or to many. Acknowledgements are not shown. Several may look.
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

    /// Registers who answers an event that another server's program sends to all servers by
    /// [`server_side_emit`](Self::server_side_emit); one for each event. What it returns is the
    /// answer.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{Namespace, ServerSideEvent};
    ///
    /// fn listen(namespace: &Namespace) {
    ///     namespace.on_server_side("reload", |event: ServerSideEvent| async move {
    ///         log::info!("told to reload {}", event.args().as_json());
    ///     });
    /// }
    /// ```
    pub fn on_server_side<F, O>(&self, event: &str, listener: F) -> &Self
    where
        F: Fn(ServerSideEvent) -> O + Send + Sync + 'static,
        O: Future<Output: EventOutcome> + Send + 'static,
    {
        let (environment, namespace) = (Arc::clone(&self.core.environment), self.name().to_owned());
        let place = CrashPlace::Handler(event.to_owned());
        let panicked = move |panic| {
            environment.report(&Crashed {
                place: place.clone(),
                namespace: Some(namespace.clone()),
                socket: None,
                panic,
            });
        };
        let server_side = &self.core.membership.server_side;
        server_side.add(event, listener, panicked);
        self
    }

    /// Sends an event to the programs of all other servers; no client gets it, nor does this
    /// server.
    ///
    /// # Errors
    ///
    /// [`EmitError::Encode`]; [`EmitError::ReservedEvent`] for `connect`, `connection` and
    /// `new_namespace`, which a Node.js server emits to its own program; and [`EmitError::Cluster`]
    /// where nobody will hear it.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn run(io: actix_socketio::SocketIo) -> Result<(), actix_socketio::EmitError> {
    /// io.of("/").server_side_emit("reload", "prices").await
    /// # }
    /// ```
    pub async fn server_side_emit(
        &self,
        event: &str,
        data: impl Serialize,
    ) -> Result<(), EmitError> {
        let message = Message::ServerSide(between_servers(event, &data)?);
        if let Some(adapter) = &self.core.membership.adapter {
            adapter.tell(self.core.membership.shared_name(), &message)?;
        }
        Ok(())
    }

    /// Sends an event to the programs of all other servers, and returns what they answer within
    /// `limit`. Which of them did not, and why they could not be asked, says [`Everywhere::reach`].
    ///
    /// # Errors
    ///
    /// [`EmitError::Encode`] and [`EmitError::ReservedEvent`], as of
    /// [`server_side_emit`](Self::server_side_emit).
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # async fn run(io: actix_socketio::SocketIo) -> Result<(), Box<dyn std::error::Error>> {
    /// let loads = io.of("/").server_side_emit_with_ack("load", (), Duration::from_secs(1)).await?;
    /// for load in &*loads {
    ///     println!("{}", load.read::<f64>()?);
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn server_side_emit_with_ack(
        &self,
        event: &str,
        data: impl Serialize,
        limit: Duration,
    ) -> Result<Everywhere<Vec<Args>>, EmitError> {
        let question = Question::ServerSide(between_servers(event, &data)?);
        let (replies, reach) = self.everyone().ask_nodes(question, limit).await;
        let answer = |reply| match reply {
            Reply::ServerSide(args) => Some(args),
            _ => None,
        };
        let answers = replies.into_iter().filter_map(answer).collect();
        Ok(Everywhere::new(answers, reach))
    }

    /// Returns the names of the rooms that somebody is in on any node, in no order; see
    /// [`rooms`](Self::rooms) for those of this node. Which nodes did not answer, and why they
    /// could not be asked, says [`Everywhere::reach`].
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn run(io: actix_socketio::SocketIo) {
    /// println!("{:?}", *io.of("/chat").rooms_everywhere().await);
    /// # }
    /// ```
    pub async fn rooms_everywhere(&self) -> Everywhere<Vec<String>> {
        let (rooms, reach) = self.everyone().all_rooms().await;
        Everywhere::new(rooms, reach)
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

    /// Returns the names of the rooms that somebody is in, in no order. The rooms of sockets' own
    /// ids are not listed.
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

    /// Makes everyone leave a room, on every node. Returns how many of this node were in it.
    ///
    /// # Errors
    ///
    /// [`ClusterError`], where other nodes will not hear of it.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn run(io: actix_socketio::SocketIo) -> Result<(), actix_socketio::ClusterError> {
    /// let members = io.of("/chat").close_room("lobby").await?;
    /// # Ok(()) }
    /// ```
    pub async fn close_room(&self, room: impl AsRef<str>) -> Result<usize, ClusterError> {
        self.everyone().close_room(room.as_ref())
    }

    /// Tells an actor what happens in rooms from now on: which are created and deleted, who joins
    /// and who leaves, in the order of the changes. Several actors may ask.
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

/// Writes an event between servers.
fn between_servers(event: &str, data: &impl Serialize) -> Result<EventPayload, EmitError> {
    if is_reserved_between_servers(event) {
        return Err(EmitError::ReservedEvent(event.to_owned()));
    }
    Ok(EventPayload::new(event, &Args::from_value(data)?))
}

/// How long a namespace may take to look a room up.
const FIND_DEADLINE: Duration = Duration::from_secs(5);
