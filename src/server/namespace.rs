//! A program's handle on a namespace.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use serde::Serialize;
use tokio::time::timeout;

use crate::actor::{FindRoom, NamespaceCore, Room};
use crate::error::{EmitError, RoomError};
use crate::handler::{Environment, SharedTable};
use crate::id::SocketId;
use crate::server::registration::registration;
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

    registration!();

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

    /// Where handlers are registered.
    fn handlers(&self) -> (&SharedTable, &Environment) {
        (&self.core.table, &self.core.environment)
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
