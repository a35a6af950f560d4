//! Rooms with code: an actor of the program for each namespace of a pattern, or for each room whose
//! name matches one.
//!
//! Clients that want in, events and leaves enter from the sessions; the program's actor leaves
//! frames in the outboxes of the room's members. Each room has a host, which outlives its actor: the
//! inbox, the seats of its members, and the start and end of the actor. Nothing here knows a
//! transport or a broker.

mod actor;
mod context;
mod decision;
mod function;
mod host;
mod inbox;
mod keeper;
mod kind;
mod life;
mod messages;
mod registration;
mod saving;
mod seats;
mod store;

pub use actor::RoomActor;
pub use context::RoomContext;
pub use decision::Decision;
pub use function::RoomHandler;
pub use kind::IntoRoom;
pub use messages::{Dropped, Enter, Joined, LeaveReason, Left, Returned};
pub use registration::RoomActors;
pub(crate) use registration::{of_namespaces, of_rooms};
pub use saving::{SaveOptions, SavedRoom};
pub use store::{DirectoryRoomStore, MemoryRoomStore, RoomId, RoomStore, StoreError};

// The code of the guide is compiled with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/rooms.md")]
struct Guide;
