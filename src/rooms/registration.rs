//! A program's registration of rooms: the handlers of their events, their options, their addresses.

use std::any::Any;
use std::fmt;
use std::panic::resume_unwind;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix::{Addr, Context};
use parking_lot::RwLock;

use crate::error::Rejection;
use crate::handler::{Ack, EventContext, EventHandler, EventOutcome, Extract, Handlers};
use crate::link::InFlight;
use crate::members::{RoomHost, RoomKind, RoomPlace};
use crate::panics::catch_panic;
use crate::pattern::Pattern;
use crate::rooms::actor::RoomActor;
use crate::rooms::context::RoomContext;
use crate::rooms::function::RoomHandler;
use crate::rooms::host::Host;
use crate::rooms::inbox::RoomEvent;
use crate::rooms::kind::{IntoRoom, Kind, RoomOptions, RoomTasks};
use crate::rooms::life;
use crate::rooms::saving::{SaveOptions, SavedRoom, Saver};

/// Rooms with an actor of the program: [`Namespace::room_actor`](crate::Namespace::room_actor),
/// [`Namespace::actor`](crate::Namespace::actor) and
/// [`NamespacePattern::actor`](crate::NamespacePattern::actor) return it.
///
/// Options and handlers may be set while rooms exist, and hold for all of them.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use actix::{Actor, Context};
/// use actix_socketio::{Data, RoomActor, RoomContext, SocketIo};
///
/// struct Document { room: RoomContext, text: String }
///
/// impl Document {
///     // socket.emit("append", "doc:7", "some text")
///     fn append(&mut self, Data(text): Data<String>, _: &mut Context<Self>) -> usize {
///         self.text.push_str(&text);
///         self.text.len()
///     }
/// }
///
/// impl Actor for Document {
///     type Context = Context<Self>;
/// }
///
/// impl RoomActor for Document {}
///
/// fn register(io: &SocketIo) -> Result<(), actix_socketio::PatternError> {
///     io.of("/")
///         .room_actor("doc:{id}", |room| Document { room, text: String::new() })?
///         .grace(Duration::from_secs(30))
///         .on("append", Document::append);
///     Ok(())
/// }
/// ```
pub struct RoomActors<A: RoomActor> {
    kind: Arc<Kind<A>>,
    handlers: Handlers,
    /// The names of the rooms; without one they are namespaces.
    pattern: Option<Pattern>,
    find: Arc<FindHost>,
}

/// Finds the host of a namespace or of a room by its name.
pub(crate) type FindHost = dyn Fn(&str) -> Option<Arc<dyn RoomHost>> + Send + Sync;

/// A kind as the namespaces hold it.
struct SharedKind<A: RoomActor>(Arc<Kind<A>>);

impl<A: RoomActor> RoomKind for SharedKind<A> {
    fn host(&self, place: RoomPlace) -> Arc<dyn RoomHost> {
        Arc::new(Host::new(place, Arc::clone(&self.0), life::run))
    }
}

/// Registers the actors of namespaces.
pub(crate) fn of_namespaces<A, F, R>(
    handlers: &Handlers,
    tasks: RoomTasks,
    find: Arc<FindHost>,
    factory: F,
) -> RoomActors<A>
where
    A: RoomActor,
    F: Fn(RoomContext) -> R + Send + Sync + 'static,
    R: IntoRoom<A>,
{
    let rooms = RoomActors::new(handlers, tasks, find, None, factory);
    let kind = Arc::new(SharedKind(Arc::clone(&rooms.kind)));
    if !handlers.rooms.set_whole(kind) {
        let label = &handlers.context.label;
        log::error!("namespace {label} has an actor already: the first one is used");
    }
    rooms
}

/// Registers the actors of rooms whose names match a pattern.
pub(crate) fn of_rooms<A, F, R>(
    handlers: &Handlers,
    tasks: RoomTasks,
    find: Arc<FindHost>,
    pattern: Pattern,
    factory: F,
) -> RoomActors<A>
where
    A: RoomActor,
    F: Fn(RoomContext) -> R + Send + Sync + 'static,
    R: IntoRoom<A>,
{
    let rooms = RoomActors::new(handlers, tasks, find, Some(pattern.clone()), factory);
    let kind = Arc::new(SharedKind(Arc::clone(&rooms.kind)));
    handlers.rooms.add(pattern, kind);
    rooms
}

impl<A: RoomActor> RoomActors<A> {
    fn new<F, R>(
        handlers: &Handlers,
        tasks: RoomTasks,
        find: Arc<FindHost>,
        pattern: Option<Pattern>,
        factory: F,
    ) -> Self
    where
        F: Fn(RoomContext) -> R + Send + Sync + 'static,
        R: IntoRoom<A>,
    {
        Self {
            kind: Arc::new(Kind {
                factory: Box::new(move |room| factory(room).into_room()),
                options: RwLock::new(RoomOptions::default()),
                context: Arc::clone(&handlers.context),
                saver: OnceLock::new(),
                tasks,
            }),
            handlers: handlers.clone(),
            pattern,
            find,
        }
    }

    /// Calls `handler` in the actor for an event of a member. Its arguments are those of
    /// [`Handlers::on`], extracted before the event waits for the actor; its return value is the
    /// acknowledgement. A second handler of the same event is called behind the first, and does not
    /// answer.
    ///
    /// An event of a namespace is for its actor. An event of a room has the room's name as its first
    /// argument, which the handler does not see: `socket.emit("append", "doc:7", text)`. If the first
    /// argument is not such a name, the event is for the only room of this pattern in which the
    /// socket is. An event for a room in which it is not is acknowledged with an error.
    ///
    /// Up to 1,024 events and 1 MiB wait for an actor; [`inbox_limit`](Self::inbox_limit) changes
    /// it. Each of them counts as a handler in flight of its client.
    pub fn on<H, Args>(&self, event: &str, handler: H) -> &Self
    where
        H: RoomHandler<A, Args>,
        H::Output: EventOutcome,
        Args: for<'a> Extract<EventContext<'a>> + Send + 'static,
    {
        if self.handlers.context.server_context.admits(event) {
            let handler = self.event_handler(handler);
            self.handlers.table.change(|table| table.on(event, handler));
        }
        self
    }

    /// Sets the time from the last leave to the end of an actor; none by default. A client that
    /// enters in this time finds the same actor. A client that was dropped and may return has not
    /// left yet.
    pub fn grace(&self, grace: Duration) -> &Self {
        self.kind.options.write().grace = grace;
        self
    }

    /// Sets the number and the bytes of the events that may wait for one actor; 1,024 and 1 MiB by
    /// default. The clients that send an event above a limit are not read until the actor has
    /// handled it. So at most one event for each member waits above the limits, and clients that are
    /// not members notice nothing.
    pub fn inbox_limit(&self, events: usize, bytes: usize) -> &Self {
        let inbox = &mut self.kind.options.write().inbox;
        (inbox.events, inbox.bytes) = (events.max(1), bytes.max(1));
        self
    }

    /// Saves the actors of these rooms, and starts each with the snapshot of the previous one. Call it
    /// before clients connect; a second call changes nothing.
    ///
    /// A client that wants in waits while the snapshot is read. If that fails, the client is refused
    /// with `internal server error`, and the log has the cause. After a panic the next actor starts
    /// with the last snapshot that was taken, and the handled events behind it are lost; the
    /// supervisors receive [`Panicked`](crate::Panicked). A server that stops
    /// ([`SocketIo::close`](crate::SocketIo::close)) waits for the last snapshots, within its limit.
    pub fn saved(&self, options: SaveOptions) -> &Self
    where
        A: SavedRoom,
    {
        if self.kind.saver.set(Saver::new(options)).is_err() {
            log::error!("these rooms are saved already: the first options are used");
        }
        self
    }

    /// Returns the address of a running actor: of the namespace or of the room with this name. A
    /// message to it is handled beside those of the room, and is not bounded.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix::Message;
    /// use actix_socketio::{RoomActor, RoomActors};
    ///
    /// #[derive(Message)]
    /// #[rtype(result = "()")]
    /// struct Close;
    ///
    /// fn close<A: RoomActor + actix::Handler<Close>>(games: &RoomActors<A>) {
    ///     if let Some(game) = games.address("/game-7") {
    ///         game.do_send(Close);
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn address(&self, name: &str) -> Option<Addr<A>> {
        host_of::<A>((self.find)(name)?)?.address()
    }

    fn event_handler<H, Args>(&self, handler: H) -> EventHandler
    where
        H: RoomHandler<A, Args>,
        H::Output: EventOutcome,
        Args: for<'a> Extract<EventContext<'a>> + Send + 'static,
    {
        let handler = Arc::new(handler);
        let pattern = self.pattern.clone();
        Arc::new(move |incoming| {
            let addressed = match &pattern {
                None => Addressed::namespace(incoming),
                Some(pattern) => Addressed::room(pattern, incoming),
            };
            match addressed {
                Ok(Addressed { host, is_named }) if is_named => {
                    push(&host, &incoming.behind_first(), &handler);
                }
                Ok(Addressed { host, .. }) => push(&host, incoming, &handler),
                Err(rejection) => incoming.take_reply().reject(rejection),
            }
        })
    }
}

impl<A: RoomActor> Clone for RoomActors<A> {
    fn clone(&self) -> Self {
        Self {
            kind: Arc::clone(&self.kind),
            handlers: self.handlers.clone(),
            pattern: self.pattern.clone(),
            find: Arc::clone(&self.find),
        }
    }
}

impl<A: RoomActor> fmt::Debug for RoomActors<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoomActors")
            .field("pattern", &self.pattern)
            .finish_non_exhaustive()
    }
}

/// The room for which an event is.
struct Addressed<A: RoomActor> {
    host: Arc<Host<A>>,
    /// The first argument is its name.
    is_named: bool,
}

impl<A: RoomActor> Addressed<A> {
    fn namespace(incoming: &EventContext<'_>) -> Result<Self, Rejection> {
        let host = incoming.socket.membership().whole_host().cloned();
        Self::found(host, false)
    }

    fn room(pattern: &Pattern, incoming: &EventContext<'_>) -> Result<Self, Rejection> {
        let of_pattern = |room: &str| pattern.fit(room).is_some();
        let named = incoming.read::<String>().ok();
        let named = named.filter(|name| of_pattern(name));
        let is_named = named.is_some();
        let room = {
            let rooms = incoming.socket.state().rooms.lock();
            match named {
                Some(name) => rooms.get(name.as_str()).cloned(),
                None => {
                    let mut of_pattern = rooms.iter().filter(|room| of_pattern(room));
                    let first = of_pattern.next().cloned();
                    if of_pattern.next().is_some() {
                        let text = format!("name one of the rooms {pattern} in the first argument");
                        return Err(Rejection::Other(text));
                    }
                    first
                }
            }
        };
        let Some(room) = room else {
            return Err(Rejection::Other(format!("join a room {pattern} first")));
        };
        let membership = incoming.socket.membership();
        Self::found(membership.with_host(&room, Arc::clone), is_named)
    }

    fn found(host: Option<Arc<dyn RoomHost>>, is_named: bool) -> Result<Self, Rejection> {
        let host = host.and_then(host_of).ok_or("the room has no actor")?;
        Ok(Self { host, is_named })
    }
}

fn host_of<A: RoomActor>(host: Arc<dyn RoomHost>) -> Option<Arc<Host<A>>> {
    let host: Arc<dyn Any + Send + Sync> = host;
    host.downcast().ok()
}

/// Extracts the arguments of an event, and queues it for the actor.
fn push<A, H, Args>(host: &Arc<Host<A>>, incoming: &EventContext<'_>, handler: &Arc<H>)
where
    A: RoomActor,
    H: RoomHandler<A, Args>,
    H::Output: EventOutcome,
    Args: for<'a> Extract<EventContext<'a>> + Send + 'static,
{
    let args = match Args::extract(incoming) {
        Ok(args) => args,
        Err(rejection) => return incoming.take_reply().reject(rejection),
    };
    incoming.hand_over();
    // Dropped with an event that the actor never handles.
    let ack = Ack::new(incoming.take_reply());
    let timer = incoming.start_timer();
    let handler = Arc::clone(handler);
    let link = &incoming.socket.state().link;
    let bytes = incoming.size();
    Arc::clone(host).push_event(|is_full| {
        // An event above a limit is as large as all that the client may have in flight, so its
        // transport is not read until the event is handled.
        let all = link.config.limits.handlers_bytes;
        let guard = InFlight::enter(link, if is_full { all.max(bytes) } else { bytes });
        let run = move |actor: &mut A, ctx: &mut Context<A>| {
            let handled = catch_panic(|| handler.call(actor, args, ctx));
            if let Some(timer) = timer {
                timer.stop();
            }
            let Some(reply) = ack.into_reply() else {
                return;
            };
            match handled {
                Ok(value) => reply.finish(Ok(value)),
                Err(panic) => {
                    reply.fail_by_panic(panic.clone());
                    drop(guard);
                    // The actor's own panic, which ends its life.
                    resume_unwind(Box::new(panic));
                }
            }
            drop(guard);
        };
        RoomEvent {
            bytes,
            run: Box::new(run),
        }
    });
}
