//! The messages between programs and actors.
//!
//! Messages that [`Server`](crate::Server) and [`Room`](crate::Room) handle, and messages that the
//! program's own actors receive. They hold plain values and may be sent from any thread.

mod address;
mod call;
mod emit;
mod panicked;
mod sockets;

use actix::Message;

use crate::id::SocketId;

pub(crate) use address::Address;
pub use address::RoomNames;
pub use call::{AckResults, Call, CallMany};
pub use emit::Emit;
pub use panicked::{PanicSource, Panicked};
pub use sockets::{
    CloseRoom, DisconnectSockets, FetchSockets, JoinRooms, LeaveRooms, RoomEvent, RoomEventKind,
};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Message)]
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

/// Returns the full name of a namespace; the leading slash of `name` is optional.
pub(crate) fn namespace_name(name: &str) -> String {
    format!("/{}", name.trim_start_matches('/'))
}
