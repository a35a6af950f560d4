//! The messages between programs and actors.
//!
//! Messages that [`Server`](crate::Server) and [`Room`](crate::Room) handle, and messages that the
//! program's own actors receive. They hold plain values and may be sent from any thread.

mod address;
mod call;
mod emit;
mod panicked;
mod sockets;

pub use address::RoomNames;
pub(crate) use address::{Address, namespace_name, room_names};
pub use call::{AckResults, Call, CallMany};
pub use emit::Emit;
pub use panicked::{PanicSource, Panicked};
pub use sockets::{
    CloseRoom, Disconnect, DisconnectSockets, FetchSockets, JoinRooms, LeaveRooms, ListMembers,
    RoomEvent, RoomEventKind,
};
