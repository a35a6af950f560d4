//! A kind of rooms: the program's factory of their actors, and their options.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::RwLock;

use crate::error::ConnectError;
use crate::handler::NamespaceContext;
use crate::message::PanicSource;
use crate::rooms::actor::RoomActor;
use crate::rooms::context::RoomContext;
use crate::rooms::inbox::InboxLimits;
use crate::rooms::saving::Saver;
use crate::tasks::TaskGroup;

/// The return type of the factory of a room's actor: the actor, or a `Result` whose error refuses
/// the client that wants in.
///
/// # Examples
///
/// ```
/// use actix::{Actor, Context};
/// use actix_socketio::{ConnectError, RoomActor, RoomContext};
///
/// struct Document { room: RoomContext, id: u64 }
///
/// fn open(room: RoomContext) -> Result<Document, ConnectError> {
///     let id = room.parameter("id").unwrap_or_default().parse()?;
///     Ok(Document { room, id })
/// }
/// # impl Actor for Document { type Context = Context<Self>; }
/// # impl RoomActor for Document {}
/// # fn register(io: &actix_socketio::SocketIo) -> Result<(), actix_socketio::PatternError> {
/// io.of("/").room_actor("doc:{id}", open)?;
/// # Ok(()) }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a return type of the factory of a room's actor",
    label = "expected a `RoomActor`, or a `Result` of one whose error becomes a `ConnectError`"
)]
pub trait IntoRoom<A> {
    /// Returns the actor.
    ///
    /// # Errors
    ///
    /// The refusal of the client.
    fn into_room(self) -> Result<A, ConnectError>;
}

impl<A: RoomActor> IntoRoom<A> for A {
    fn into_room(self) -> Result<A, ConnectError> {
        Ok(self)
    }
}

impl<A: RoomActor, E: Into<ConnectError>> IntoRoom<A> for Result<A, E> {
    fn into_room(self) -> Result<A, ConnectError> {
        self.map_err(Into::into)
    }
}

/// One registration of the program.
pub(super) struct Kind<A: RoomActor> {
    pub(super) factory: Box<Factory<A>>,
    pub(super) options: RwLock<RoomOptions>,
    /// Reports panics.
    pub(super) context: Arc<NamespaceContext>,
    /// The writer of their snapshots, if they are saved. Set once.
    pub(super) saver: OnceLock<Saver<A>>,
    /// The tasks that a server awaits at its end, on the thread of the actors.
    pub(super) tasks: RoomTasks,
}

/// The tasks of rooms, with the name of the namespace or room for a report.
pub(crate) type RoomTasks = TaskGroup<(PanicSource, Arc<str>)>;

pub(super) type Factory<A> = dyn Fn(RoomContext) -> Result<A, ConnectError> + Send + Sync;

#[derive(Clone, Copy, Debug)]
pub(super) struct RoomOptions {
    /// The time from the last leave to the end of the actor.
    pub(super) grace: Duration,
    pub(super) inbox: InboxLimits,
}

impl Default for RoomOptions {
    fn default() -> Self {
        Self {
            grace: Duration::ZERO,
            inbox: InboxLimits {
                events: 1024,
                bytes: 1 << 20,
            },
        }
    }
}
