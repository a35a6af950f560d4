//! A program's handle for a namespace.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::sync::{Arc, Weak};
use std::time::Duration;

use actix::{Addr, Recipient};
use serde::Serialize;
use tokio::time::timeout;

use crate::cluster::{
    ClusterError, EventPayload, Message, Question, Reply, is_reserved_between_servers,
};
use crate::error::{EmitError, RoomError};
use crate::handler::{EventOutcome, Handlers};
use crate::id::SocketId;
#[cfg(feature = "admin")]
use crate::members::DeliveryObserver;
use crate::members::{OutgoingEvent, ServerSideEvent};
use crate::message::{PanicSource, Panicked, RoomEvent};
use crate::namespace::{FindRoom, NamespaceState, Registry, Room};
use crate::pattern::{Pattern, PatternError};
use crate::rooms::{self, IntoRoom, RoomActor, RoomActors, RoomContext};
use crate::socket::{Broadcast, ClusterResult, Socket};
use crate::socketio::Args;
use crate::user::UserPolicy;

/// A namespace: its rooms, its sockets, and its [`Handlers`], to which it derefs. As an argument a
/// handler gets its own.
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
    state: Arc<NamespaceState>,
    /// Weak, since programs keep namespaces in the handlers that the registry holds.
    registry: Weak<Registry>,
}

impl Namespace {
    pub(crate) fn new(state: Arc<NamespaceState>, registry: Weak<Registry>) -> Self {
        Self { state, registry }
    }

    /// Returns the namespace's name, for example `/` or `/chat`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.state.membership.name()
    }

    /// Gives this namespace an actor of the program: the namespace is its room. The first client
    /// starts it, by `factory`, and is let in by it; see [`RoomActor`]. A namespace has one such
    /// actor: a second call is an error in the log, and changes nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix::{Actor, Context};
    /// use actix_socketio::{RoomActor, RoomContext, SocketIo};
    ///
    /// struct Lobby { room: RoomContext }
    ///
    /// impl Actor for Lobby {
    ///     type Context = Context<Self>;
    /// }
    ///
    /// impl RoomActor for Lobby {}
    ///
    /// fn register(io: &SocketIo) {
    ///     io.of("/lobby").actor(|room| Lobby { room });
    /// }
    /// ```
    pub fn actor<A, F, R>(&self, factory: F) -> RoomActors<A>
    where
        A: RoomActor,
        F: Fn(RoomContext) -> R + Send + Sync + 'static,
        R: IntoRoom<A>,
    {
        let membership = Arc::downgrade(&self.state.membership);
        let find = move |name: &str| {
            let membership = membership.upgrade()?;
            membership
                .whole_host()
                .filter(|_| membership.name() == name)
                .cloned()
        };
        let tasks = self.state.tasks.clone();
        let rooms = rooms::of_namespaces(&self.state.handlers, tasks, Arc::new(find), factory);
        self.state.membership.host_whole();
        rooms
    }

    /// Gives each room whose name matches `pattern` an actor of the program. The first socket that
    /// joins starts it, by `factory`, which gets the parameters of the name; the actor lets each
    /// socket in, so [`Socket::join`] waits for it. A parameter takes at least one character, and
    /// never a slash; the first matching pattern decides.
    ///
    /// See [`RoomActor`], and [`RoomActors::on`] for the events of such rooms. Register it before
    /// clients join such rooms: the actor does not know members that have joined before.
    ///
    /// # Errors
    ///
    /// [`PatternError`] if the text is not a pattern.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix::{Actor, Context};
    /// use actix_socketio::{Data, PatternError, RoomActor, RoomContext, RoomError, Socket, SocketIo};
    ///
    /// struct Document { room: RoomContext }
    ///
    /// impl Actor for Document {
    ///     type Context = Context<Self>;
    /// }
    ///
    /// impl RoomActor for Document {}
    ///
    /// async fn open(socket: Socket, Data(id): Data<u32>) -> Result<(), RoomError> {
    ///     socket.join(format!("doc:{id}")).await
    /// }
    ///
    /// fn register(io: &SocketIo) -> Result<(), PatternError> {
    ///     io.of("/").on("open", open);
    ///     io.of("/").room_actor("doc:{id}", |room| Document { room })?;
    ///     Ok(())
    /// }
    /// ```
    pub fn room_actor<A, F, R>(
        &self,
        pattern: &str,
        factory: F,
    ) -> Result<RoomActors<A>, PatternError>
    where
        A: RoomActor,
        F: Fn(RoomContext) -> R + Send + Sync + 'static,
        R: IntoRoom<A>,
    {
        let pattern = Pattern::parse_room(pattern)?;
        let membership = Arc::downgrade(&self.state.membership);
        let find = move |room: &str| membership.upgrade()?.with_host(room, Arc::clone);
        let (handlers, tasks) = (&self.state.handlers, self.state.tasks.clone());
        Ok(rooms::of_rooms(
            handlers,
            tasks,
            Arc::new(find),
            pattern,
            factory,
        ))
    }

    /// Calls `observer` for every outgoing event of this namespace, before it is sent: once for
    /// each emit, to one socket or to many. Acknowledgements are not included. Several observers
    /// may be registered.
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
        self.state.membership.observers.add(Arc::new(observer));
        self
    }

    /// Registers the listener of an event that another server's program sends to all servers by
    /// [`server_side_emit`](Self::server_side_emit); one for each event. Its return value is the
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
        let (context, namespace) = (
            Arc::clone(&self.state.handlers.context),
            self.name().to_owned(),
        );
        let source = PanicSource::Handler(event.to_owned());
        let panicked = move |panic| {
            context.report(&Panicked {
                source: source.clone(),
                namespace: Some(namespace.clone()),
                socket: None,
                panic,
            });
        };
        let server_side = &self.state.membership.server_side;
        server_side.add(event, listener, panicked);
        self
    }

    /// Sends an event to the programs of all other servers. Clients and this server do not receive
    /// it.
    ///
    /// # Errors
    ///
    /// [`EmitError::Encode`]; [`EmitError::ReservedEvent`] for `connect`, `connection` and
    /// `new_namespace`, which a Node.js server emits to its own program; and [`EmitError::Cluster`]
    /// if no server will receive it.
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
        if let Some(adapter) = &self.state.membership.adapter {
            adapter.tell(self.state.membership.shared_name(), &message)?;
        }
        Ok(())
    }

    /// Sends an event to the programs of all other servers, and returns their answers within
    /// `limit`. [`ClusterResult::coverage`] names the servers that did not answer, or says why they
    /// could not be asked.
    ///
    /// # Errors
    ///
    /// [`EmitError::Encode`] and [`EmitError::ReservedEvent`], the same as of
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
    ) -> Result<ClusterResult<Vec<Args>>, EmitError> {
        let question = Question::ServerSide(between_servers(event, &data)?);
        let (replies, coverage) = self.everyone().ask_nodes(question, limit).await;
        let answer = |reply| match reply {
            Reply::ServerSide(args) => Some(args),
            _ => None,
        };
        let answers = replies.into_iter().filter_map(answer).collect();
        Ok(ClusterResult::new(answers, coverage))
    }

    /// Returns the names of the rooms with members on any node, in any order; see
    /// [`rooms`](Self::rooms) for those of this node. [`ClusterResult::coverage`] names the nodes
    /// that did not answer, or says why they could not be asked.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn run(io: actix_socketio::SocketIo) {
    /// println!("{:?}", *io.of("/chat").rooms_everywhere().await);
    /// # }
    /// ```
    pub async fn rooms_everywhere(&self) -> ClusterResult<Vec<String>> {
        let (rooms, coverage) = self.everyone().all_rooms().await;
        ClusterResult::new(rooms, coverage)
    }

    /// Returns the socket with this id.
    #[must_use]
    #[allow(
        clippy::needless_pass_by_value,
        reason = "most callers have just parsed or received the id"
    )]
    pub fn socket(&self, id: SocketId) -> Option<Socket> {
        Socket::find(&self.state.membership, &id)
    }

    /// Returns the connected sockets.
    #[must_use]
    pub fn sockets(&self) -> Vec<Socket> {
        let membership = &self.state.membership;
        let socket = |socket| Socket::new(membership, socket);
        membership.all().into_iter().map(socket).collect()
    }

    /// Returns the number of connected sockets.
    #[must_use]
    pub fn count(&self) -> usize {
        self.state.membership.count()
    }

    /// Sets the rule for several sockets of one user in this namespace, instead of that of
    /// [`Builder::user_policy`](crate::Builder::user_policy). It is for logins from now on.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(io: actix_socketio::SocketIo) {
    /// use actix_socketio::UserPolicy;
    ///
    /// io.of("/").user_policy(UserPolicy::OneSession);
    /// # }
    /// ```
    pub fn user_policy(&self, policy: UserPolicy) -> &Self {
        self.state.membership.set_user_policy(policy);
        self
    }

    /// Returns the names of the rooms with members, in any order. The rooms of sockets' own ids are
    /// not listed.
    #[must_use]
    pub fn rooms(&self) -> Vec<String> {
        let rooms = self.state.membership.rooms();
        rooms
            .iter()
            .map(|(name, _)| name.as_ref().to_owned())
            .collect()
    }

    /// Returns the number of sockets in a room. The sockets are not counted one by one.
    #[must_use]
    pub fn room_count(&self, room: &str) -> usize {
        self.to(room).count()
    }

    /// Removes all members from a room, on every node. Returns the number of members on this node.
    ///
    /// # Errors
    ///
    /// [`ClusterError`], if other nodes will not receive it.
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

    /// Sends an actor a message for each change of rooms from now on: a room is created or deleted,
    /// a socket joins or leaves, in the order of the changes. Several actors may be registered.
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
        self.state.membership.watch(watcher);
    }

    /// Returns the address of a room's actor, which takes [`Emit`](crate::Emit) and
    /// [`ListMembers`](crate::ListMembers).
    ///
    /// A room starts with the first join and ends with the last leave. Its address is valid during
    /// that time, also after a restart; a room that has panicked too often gets another one.
    ///
    /// # Errors
    ///
    /// [`RoomError::NoSuchRoom`] if the room has no members, and [`RoomError::Unavailable`].
    pub async fn room(&self, name: impl Into<String>) -> Result<Addr<Room>, RoomError> {
        let registry = self.registry.upgrade();
        let actor = registry.and_then(|registry| registry.actor(&self.state));
        let actor = actor.ok_or(RoomError::Unavailable)?;
        // `send` with a new address, under a deadline of its own.
        match timeout(FIND_DEADLINE, actor.send(FindRoom(name.into()))).await {
            Ok(Ok(room)) => room.ok_or(RoomError::NoSuchRoom),
            Ok(Err(_)) | Err(_) => Err(RoomError::Unavailable),
        }
    }

    /// Calls `observer` for every event that this node sends to sockets of the namespace.
    #[cfg(feature = "admin")]
    pub(crate) fn observe_deliveries(&self, observer: DeliveryObserver) {
        let observers = &self.state.membership.observers;
        observers.add_of_deliveries(observer);
    }

    pub(crate) fn everyone(&self) -> Broadcast {
        Broadcast::new(&self.state.membership, None)
    }
}

impl Deref for Namespace {
    type Target = Handlers;

    fn deref(&self) -> &Handlers {
        &self.state.handlers
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

/// Encodes an event between servers.
fn between_servers(event: &str, data: &impl Serialize) -> Result<EventPayload, EmitError> {
    if is_reserved_between_servers(event) {
        return Err(EmitError::ReservedEvent(event.to_owned()));
    }
    Ok(EventPayload::new(event, &Args::from_value(data)?))
}

/// The time limit of a namespace for finding a room.
const FIND_DEADLINE: Duration = Duration::from_secs(5);
