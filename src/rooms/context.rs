//! The room as its actor sees it: its name, its members, and what is sent to them.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use crate::error::{CallError, EmitError, Rejection};
use crate::handler::read_parameters;
use crate::id::SocketId;
use crate::members::{Audience, Crowd, Departure, Membership, Phase, SocketState};
use crate::message::RoomNames;
use crate::notice::DisconnectNotice;
use crate::pattern::Parameters;
use crate::rooms::keeper::Keeper;
use crate::rooms::store::StoreError;
use crate::socket::{AckStream, Broadcast, Socket};
use crate::socketio::Args;

/// The room of a [`RoomActor`](crate::RoomActor): a room, or a whole namespace. The factory of the
/// actor gets it, and the actor keeps it. It can be cloned and sent to any thread.
///
/// # Examples
///
/// ```
/// use actix_socketio::{EmitError, RoomContext, Socket};
///
/// fn move_piece(room: &RoomContext, player: &Socket, to: &str) -> Result<(), EmitError> {
///     room.except(player).emit_sync("moved", to)?;
///     room.to(player).emit_sync("your turn ends", ())
/// }
/// ```
#[derive(Clone)]
pub struct RoomContext {
    shared: Arc<Shared>,
}

struct Shared {
    membership: Arc<Membership>,
    /// Without one it is the whole namespace.
    room: Option<Arc<str>>,
    parameters: Arc<Parameters>,
    /// The snapshots, if the rooms are saved.
    saved: Option<Box<SavedContext>>,
    /// The sockets that broadcasts of the actor have put above their limits, until the actor has
    /// waited for them.
    crowd: Mutex<Crowd>,
}

impl RoomContext {
    pub(super) fn new(
        membership: Arc<Membership>,
        room: Option<Arc<str>>,
        parameters: Arc<Parameters>,
        saved: Option<Box<SavedContext>>,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                membership,
                room,
                parameters,
                saved,
                crowd: Mutex::default(),
            }),
        }
    }

    /// Returns the room's name; of a namespace its name, for example `/game-7`.
    #[must_use]
    pub fn name(&self) -> &str {
        let room = self.shared.room.as_deref();
        room.unwrap_or_else(|| self.namespace())
    }

    /// Returns the name of the namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.shared.membership.name()
    }

    /// Returns the value of a parameter of the pattern: `7` for `id`, if `doc:{id}` has matched
    /// `doc:7`.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let mut parameters = self.shared.parameters.iter();
        let found = parameters.find(|(parameter, _)| parameter == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Reads the parameters of the pattern, as [`Params`](crate::Params) does.
    ///
    /// # Errors
    ///
    /// [`Rejection::Params`] with the parameter that has the wrong type.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{Rejection, RoomContext};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Document { id: u64 }
    ///
    /// fn id(room: &RoomContext) -> Result<u64, Rejection> {
    ///     let document: Document = room.parameters()?;
    ///     Ok(document.id)
    /// }
    /// ```
    pub fn parameters<T: DeserializeOwned>(&self) -> Result<T, Rejection> {
        read_parameters(&self.shared.parameters)
    }

    /// Sends an event to all members, including those of other nodes. It never waits. If it fills
    /// the outbox of a member, the actor handles its next message after the member has taken the
    /// packets, and after 50 ms at most.
    ///
    /// # Errors
    ///
    /// [`EmitError::ReservedEvent`] and [`EmitError::Encode`]: the event was sent to no client.
    /// [`EmitError::Cluster`]: the members of this node have received it, those of other nodes will
    /// not.
    pub fn broadcast<T: Serialize>(&self, event: &str, data: T) -> Result<(), EmitError> {
        let args = Args::from_value(&data);
        let crowd = self.everyone().emit_message(event, args, false)?;
        if !crowd.is_empty() {
            self.shared.crowd.lock().extend(crowd);
        }
        Ok(())
    }

    /// Addresses all members except one, or those of rooms.
    pub fn except(&self, excepted: impl RoomNames) -> Broadcast {
        self.everyone().except(excepted)
    }

    /// Addresses all members: for volatile events and other modifiers.
    pub fn everyone(&self) -> Broadcast {
        Broadcast::of(&self.shared.membership, self.audience())
    }

    /// Addresses one socket alone, whether it is a member or not.
    pub fn to(&self, socket: &Socket) -> Broadcast {
        Broadcast::alone(&self.shared.membership, socket.state())
    }

    /// Sends an event to a socket, and returns the future of its acknowledgement, which is read as by
    /// [`Data`](crate::Data). The event is sent when the future is first polled.
    ///
    /// # Errors
    ///
    /// Every variant of [`CallError`], as of [`Socket::call`].
    pub fn call<R, T>(
        &self,
        socket: &Socket,
        event: &str,
        data: T,
    ) -> impl Future<Output = Result<R, CallError>> + use<R, T>
    where
        R: DeserializeOwned,
        T: Serialize,
    {
        let (socket, event) = (socket.clone(), event.to_owned());
        async move { socket.call(&event, data).await }
    }

    /// Sends an event to all members, and returns the future of the stream of their
    /// acknowledgements, as [`Broadcast::emit_with_ack`] does.
    ///
    /// # Errors
    ///
    /// The same as of [`Broadcast::emit_with_ack`].
    pub fn call_all<R, T>(
        &self,
        event: &str,
        data: T,
    ) -> impl Future<Output = Result<AckStream<R>, EmitError>> + use<R, T>
    where
        T: Serialize,
    {
        let (everyone, event) = (self.everyone(), event.to_owned());
        async move { everyone.emit_with_ack(&event, data).await }
    }

    /// Removes a member; the actor receives [`Left`](crate::Left) with
    /// [`LeaveReason::Kicked`](crate::LeaveReason::Kicked).
    ///
    /// A member of a namespace is disconnected from it with the notice, as by
    /// [`Socket::disconnect_with`]; the reason in [`Left`](crate::Left) is then that of the
    /// disconnect. A member of a room stays connected; it receives an event `kicked` with
    /// `{room, reason, data}`, and nothing of the room after it. A socket that is not a member is
    /// left alone.
    pub fn kick(&self, member: &Socket, notice: impl Into<DisconnectNotice>) {
        let notice: DisconnectNotice = notice.into();
        let (membership, state) = (&self.shared.membership, member.state());
        let Some(room) = &self.shared.room else {
            // A socket that has ended has left in any case.
            let _ = member.disconnect_with(notice);
            return;
        };
        if !self.is_member(&member.id()) {
            return;
        }
        let told = Kicked {
            room,
            reason: notice.reason(),
            data: notice.data(),
        };
        // A member that is disconnecting receives nothing, and leaves in any case.
        let _ = self.to(member).emit_sync("kicked", told);
        membership.leave_as(state, room, Departure::Kicked);
    }

    /// Saves the actor behind its present message. Returns the future of the write; without a call of
    /// `await` the actor is saved all the same.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store has failed; it is tried again. Also if the rooms are not saved
    /// ([`RoomActors::saved`](crate::RoomActors::saved)), or if the actor ends before.
    pub fn save(&self) -> impl Future<Output = Result<(), StoreError>> + use<> {
        let written = self.shared.saved.as_ref();
        written_by(written.map(|saved| saved.keeper.request()))
    }

    /// Deletes the snapshot of the room, for example at the end of a game, and takes no more by the
    /// schedule or at the end of the actor. [`save`](Self::save) begins again. Returns the future of
    /// the deletion, as `save` does.
    ///
    /// # Errors
    ///
    /// The same as of [`save`](Self::save).
    pub fn forget(&self) -> impl Future<Output = Result<(), StoreError>> + use<> {
        written_by(self.shared.saved.as_ref().map(|saved| {
            let (is_first, written) = saved.keeper.forget();
            if is_first {
                (saved.write)(&saved.keeper);
            }
            written
        }))
    }

    /// Returns the members on this node, in any order. A client that is dropped and may return is
    /// not among them, nor is one that wants in.
    #[must_use]
    pub fn members(&self) -> Vec<Socket> {
        let membership = &self.shared.membership;
        let selected = membership.select(&self.audience());
        let members = selected.into_iter().filter(|state| self.has_entered(state));
        members
            .map(|state| Socket::new(membership, state))
            .collect()
    }

    /// Returns the number of members on this node.
    #[must_use]
    pub fn count(&self) -> usize {
        let selected = self.shared.membership.select(&self.audience());
        let members = selected.iter().filter(|state| self.has_entered(state));
        members.count()
    }

    /// Returns `true` if a socket of this node is a member.
    #[must_use]
    pub fn is_member(&self, id: &SocketId) -> bool {
        let socket = self.shared.membership.socket(id);
        socket.is_some_and(|socket| self.has_entered(&socket))
    }

    /// A namespace lists a socket while its connect handlers run, when the room has not let it in
    /// yet; its CONNECT packet follows a moment behind `joined`.
    fn has_entered(&self, socket: &SocketState) -> bool {
        match &self.shared.room {
            Some(room) => socket.rooms.lock().contains(room),
            None => matches!(socket.phase(), Phase::Accepted | Phase::Connected),
        }
    }

    /// Takes the sockets for which the actor waits before its next message.
    pub(super) fn take_crowd(&self) -> Crowd {
        std::mem::take(&mut *self.shared.crowd.lock())
    }

    fn audience(&self) -> Audience {
        Audience {
            rooms: self.shared.room.as_ref().map(|room| vec![room.to_string()]),
            ..Audience::default()
        }
    }
}

/// The snapshots of a room.
pub(super) struct SavedContext {
    pub(super) keeper: Arc<Keeper>,
    /// Starts a write.
    pub(super) write: StartWrite,
}

pub(super) type StartWrite = Box<dyn Fn(&Arc<Keeper>) + Send + Sync>;

async fn written_by(
    written: Option<oneshot::Receiver<Result<(), StoreError>>>,
) -> Result<(), StoreError> {
    let Some(written) = written else {
        return Err(StoreError::new("the rooms of this kind are not saved"));
    };
    let ended = |_| Err(StoreError::new("the actor has ended"));
    written.await.unwrap_or_else(ended)
}

/// The data of the event that a removed member of a room receives.
#[derive(Serialize)]
struct Kicked<'a, D> {
    room: &'a str,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<D>,
}

impl fmt::Debug for RoomContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoomContext")
            .field("namespace", &self.namespace())
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}
