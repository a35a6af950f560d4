//! A program's handle for the namespaces of a pattern.

use std::fmt;
use std::ops::Deref;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use serde::Serialize;

use crate::error::EmitError;
use crate::handler::Handlers;
use crate::namespace::{PatternState, Registry};
use crate::rooms::{self, IntoRoom, RoomActor, RoomActors, RoomContext};
use crate::server::Namespace;
use crate::user::UserPolicy;

/// Namespaces that are made when the first client requests them:
/// [`SocketIo::of_pattern`](crate::SocketIo::of_pattern) and
/// [`SocketIo::of_predicate`](crate::SocketIo::of_predicate) return it.
///
/// It derefs to its [`Handlers`], which all of them have, including those that are added later. Each
/// namespace has its own rooms, sockets and actor.
///
/// # Examples
///
/// ```
/// # async fn run(io: actix_socketio::SocketIo) -> Result<(), Box<dyn std::error::Error>> {
/// let games = io.of_pattern("/game/{id}")?;
/// games.remove_when_empty().on("now", || async { "now" });
/// games.emit("news", "a game has ended").await?;
/// for game in games.namespaces() {
///     println!("{} has {} players", game.name(), game.count());
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct NamespacePattern {
    state: Arc<PatternState>,
    registry: Arc<Registry>,
}

impl NamespacePattern {
    pub(crate) fn new(state: Arc<PatternState>, registry: &Arc<Registry>) -> Self {
        Self {
            state,
            registry: Arc::clone(registry),
        }
    }

    /// Removes each namespace after its last client has left: its actor ends, and the next client
    /// that requests it gets a new one. Without it the namespaces remain, and a client may make as
    /// many as there are names. It applies to namespaces that are made from now on, and never to
    /// those of [`SocketIo::of`](crate::SocketIo::of).
    pub fn remove_when_empty(&self) -> &Self {
        self.state.frees.store(true, Ordering::Relaxed);
        self
    }

    /// Sets the rule for several sockets of one user in each of these namespaces, instead of that of
    /// [`Builder::user_policy`](crate::Builder::user_policy). Each namespace counts its own sockets.
    /// It is for logins from now on, in the existing namespaces too.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(io: actix_socketio::SocketIo) -> Result<(), Box<dyn std::error::Error>> {
    /// use actix_socketio::UserPolicy;
    ///
    /// io.of_pattern("/game/{id}")?.user_policy(UserPolicy::OneSession);
    /// # Ok(()) }
    /// ```
    pub fn user_policy(&self, policy: UserPolicy) -> &Self {
        // Before the existing ones are listed, so that one that is made now has it in any case.
        *self.state.user_policy.write() = Some(policy);
        for state in self.registry.made_by(&self.state) {
            state.membership.set_user_policy(policy);
        }
        self
    }

    /// Gives each namespace of this pattern an actor of the program: the namespace is its room. The
    /// first client of a namespace starts it, by `factory`, which gets the parameters of the name,
    /// and is let in by it; see [`RoomActor`]. A pattern has one such actor: a second call is an
    /// error in the log, and changes nothing.
    ///
    /// The actor is asked after the connect handlers have accepted the client. Together with
    /// [`remove_when_empty`](Self::remove_when_empty) a namespace and its actor end with the last
    /// client.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix::{Actor, Context};
    /// use actix_socketio::{ConnectError, PatternError, RoomActor, RoomContext, SocketIo};
    ///
    /// struct Game { room: RoomContext, id: u32 }
    ///
    /// impl Actor for Game {
    ///     type Context = Context<Self>;
    /// }
    ///
    /// impl RoomActor for Game {}
    ///
    /// fn open(room: RoomContext) -> Result<Game, ConnectError> {
    ///     let id = room.parameter("id").unwrap_or_default();
    ///     let id = id.parse().map_err(|_| ConnectError::new("there is no such game"))?;
    ///     Ok(Game { room, id })
    /// }
    ///
    /// fn register(io: &SocketIo) -> Result<(), PatternError> {
    ///     let games = io.of_pattern("/game-{id}")?;
    ///     games.remove_when_empty().actor(open);
    ///     Ok(())
    /// }
    /// ```
    pub fn actor<A, F, R>(&self, factory: F) -> RoomActors<A>
    where
        A: RoomActor,
        F: Fn(RoomContext) -> R + Send + Sync + 'static,
        R: IntoRoom<A>,
    {
        let registry = Arc::downgrade(&self.registry);
        let find = move |name: &str| {
            let namespace = registry.upgrade()?.namespace(name)?;
            namespace.membership.whole_host().cloned()
        };
        let tasks = self.registry.supervisor.tasks().clone();
        let rooms = rooms::of_namespaces(&self.state.handlers, tasks, Arc::new(find), factory);
        for state in self.registry.made_by(&self.state) {
            state.membership.host_whole();
        }
        rooms
    }

    /// Returns the existing namespaces, in any order.
    #[must_use]
    pub fn namespaces(&self) -> Vec<Namespace> {
        let made = self.registry.made_by(&self.state);
        let registry = Arc::downgrade(&self.registry);
        let namespace = |state| Namespace::new(state, Weak::clone(&registry));
        made.into_iter().map(namespace).collect()
    }

    /// Sends an event to all sockets of every namespace of this pattern.
    ///
    /// # Errors
    ///
    /// [`EmitError::ReservedEvent`] and [`EmitError::Encode`]: the event was sent to no client.
    pub async fn emit<T: Serialize>(&self, event: &str, data: T) -> Result<(), EmitError> {
        for namespace in self.namespaces() {
            namespace.emit(event, &data).await?;
        }
        Ok(())
    }
}

impl Deref for NamespacePattern {
    type Target = Handlers;

    fn deref(&self) -> &Handlers {
        &self.state.handlers
    }
}

impl fmt::Debug for NamespacePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamespacePattern")
            .field("matcher", &self.state.matcher)
            .finish_non_exhaustive()
    }
}
