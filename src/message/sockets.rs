//! Messages about sockets: list them, change their rooms, disconnect them.

use std::sync::Arc;

use actix::Message;

use crate::cluster::ClusterError;
use crate::id::SocketId;
use crate::message::address::{Address, RoomNames, addressed};
use crate::notice::DisconnectNotice;

/// Disconnects a socket from its namespace. The result says whether the socket existed.
///
/// # Examples
///
/// ```
/// # use actix_socketio::{Disconnect, Server, SocketId};
/// # async fn run(server: actix::Addr<Server>, id: SocketId) -> Result<(), actix::MailboxError> {
/// let was_there = server.send(Disconnect(id)).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Message)]
#[rtype(result = "bool")]
pub struct Disconnect(pub SocketId);

/// Asks a [`Room`](crate::Room) for the ids of the sockets in it.
///
/// # Examples
///
/// ```
/// # use actix_socketio::{ListMembers, Room};
/// # async fn run(room: actix::Addr<Room>) -> Result<(), actix::MailboxError> {
/// let members = room.send(ListMembers).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Message)]
#[rtype(result = "Vec<SocketId>")]
pub struct ListMembers;

/// Asks the [`Server`](crate::Server) for the ids of the sockets of a namespace, or of some of its
/// rooms.
///
/// # Examples
///
/// ```
/// # use actix_socketio::{FetchSockets, Server};
/// # async fn run(server: actix::Addr<Server>) -> Result<(), actix::MailboxError> {
/// let in_the_lobby = server.send(FetchSockets::default().of("/chat").to("lobby")).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, Message)]
#[rtype(result = "Vec<SocketId>")]
pub struct FetchSockets {
    pub(crate) address: Address,
}

impl FetchSockets {
    addressed!();
}

/// Makes sockets join rooms on every node. The result is the number of sockets of this node that
/// joined. A socket that has reached its limit of rooms does not join.
///
/// # Examples
///
/// ```
/// # use actix_socketio::{JoinRooms, LeaveRooms, Server};
/// # async fn run(server: actix::Addr<Server>) -> Result<(), Box<dyn std::error::Error>> {
/// server.send(JoinRooms::named(["hall", "attic"]).to("lobby")).await??;
/// server.send(LeaveRooms::named("lobby").to("hall")).await??;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<usize, ClusterError>")]
pub struct JoinRooms {
    pub(crate) rooms: Vec<String>,
    pub(crate) address: Address,
}

/// Makes sockets leave rooms on every node. The result is the number of addressed sockets of this
/// node.
///
/// # Examples
///
/// ```
/// # use actix_socketio::{LeaveRooms, Server};
/// # async fn run(server: actix::Addr<Server>) -> Result<(), Box<dyn std::error::Error>> {
/// let sockets = server.send(LeaveRooms::named("lobby").to("banned")).await??;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<usize, ClusterError>")]
pub struct LeaveRooms {
    pub(crate) rooms: Vec<String>,
    pub(crate) address: Address,
}

macro_rules! named {
    ($($message:ident)*) => {$(
        impl $message {
            /// Names the rooms.
            #[must_use]
            pub fn named(rooms: impl RoomNames) -> Self {
                let mut names = Vec::new();
                rooms.add_to(&mut names);
                Self {
                    rooms: names,
                    address: Address::default(),
                }
            }

            addressed!();
        }
    )*};
}

named!(JoinRooms LeaveRooms);

/// Disconnects sockets from their namespace on every node. The result is the number of addressed
/// sockets of this node.
///
/// # Examples
///
/// ```
/// # use actix_socketio::{DisconnectSockets, Server};
/// # async fn run(server: actix::Addr<Server>) -> Result<(), Box<dyn std::error::Error>> {
/// let sockets = server.send(DisconnectSockets::default().to("banned").close()).await??;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, Message)]
#[rtype(result = "Result<usize, ClusterError>")]
pub struct DisconnectSockets {
    pub(crate) address: Address,
    pub(crate) close: bool,
    pub(crate) notice: Option<DisconnectNotice>,
}

impl DisconnectSockets {
    /// Closes the clients' whole sessions too, including their sockets in other namespaces.
    #[must_use]
    pub fn close(mut self) -> Self {
        self.close = true;
        self
    }

    /// Gives the clients the reason, as
    /// [`Broadcast::disconnect_sockets_with`](crate::Broadcast::disconnect_sockets_with) does.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{DisconnectNotice, DisconnectSockets};
    ///
    /// let notice = DisconnectNotice::new("new version").reconnect();
    /// let message = DisconnectSockets::default().to("lobby").with(notice);
    /// ```
    #[must_use]
    pub fn with(mut self, notice: impl Into<DisconnectNotice>) -> Self {
        self.notice = Some(notice.into());
        self
    }

    addressed!();
}

/// Removes all members from a room of the namespace, on every node. The result is the number of
/// members on this node.
///
/// # Examples
///
/// ```
/// # use actix_socketio::{CloseRoom, Server};
/// # async fn run(server: actix::Addr<Server>) -> Result<(), Box<dyn std::error::Error>> {
/// let members = server.send(CloseRoom::named("lobby").of("/chat")).await??;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<usize, ClusterError>")]
pub struct CloseRoom {
    pub(crate) room: String,
    pub(crate) namespace: String,
}

impl CloseRoom {
    /// Names the room, in the namespace `/`.
    #[must_use]
    pub fn named(room: impl Into<String>) -> Self {
        Self {
            room: room.into(),
            namespace: "/".to_owned(),
        }
    }

    /// Names the namespace. The leading slash is optional.
    #[must_use]
    pub fn of(mut self, namespace: impl AsRef<str>) -> Self {
        self.namespace = crate::message::namespace_name(namespace.as_ref());
        self
    }
}

/// A change of a room. An actor receives it after
/// [`Namespace::watch_rooms`](crate::Namespace::watch_rooms).
///
/// No event is sent for the room of a socket's own id, which begins and ends with the socket.
///
/// # Examples
///
/// ```
/// use actix_socketio::{RoomEvent, RoomEventKind};
///
/// fn line(event: &RoomEvent) -> String {
///     match &event.change {
///         RoomEventKind::Joined(socket) => format!("{socket} is in {}", event.room),
///         RoomEventKind::Left(socket) => format!("{socket} has left {}", event.room),
///         change => format!("{}: {change:?}", event.room),
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Message)]
#[rtype(result = "()")]
#[non_exhaustive]
pub struct RoomEvent {
    /// The namespace's name.
    pub namespace: Arc<str>,
    /// The room's name.
    pub room: Arc<str>,
    /// The change.
    pub change: RoomEventKind,
}

/// A change of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RoomEventKind {
    /// The room was created, before its first socket joins.
    Created,
    /// The room was deleted, after its last socket has left.
    Deleted,
    /// This socket joined.
    Joined(SocketId),
    /// This socket left.
    Left(SocketId),
}
