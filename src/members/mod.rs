//! A namespace as data: its sockets and rooms, the events to them, and their recovery.
//!
//! An event enters with its audience and leaves in the outboxes of the links; a join, a leave or the
//! end of a socket takes effect at once, on the thread of its cause. The program's handles for all
//! this are in `socket/`. No handler, no session and no broker is known here, and of the actors only
//! the addresses that are notified of changes.

mod adapter;
mod audience;
mod calls;
mod crowd;
mod delivering;
mod details;
mod encode;
mod farewell;
mod hosting;
mod lists;
mod log_lines;
mod login;
mod membership;
mod outgoing;
mod recovery;
mod relay;
mod returning;
mod rooms;
mod server_side;
mod socket;
mod waiting;

pub(crate) use adapter::{Adapter, NodesFuture};
pub(crate) use audience::{Audience, Sender};
pub(crate) use crowd::{Crowd, give_short_turn, give_turn};
pub(crate) use details::{LoginAge, describe};
pub(crate) use encode::{Answer, Encoder};
pub(crate) use hosting::{Departure, Entry, EntryAnswer, RoomHost, RoomKind, RoomKinds, RoomPlace};
pub(crate) use lists::{RoomChange, SharedMembers};
pub(crate) use log_lines::{Recipients, log_emit};
pub(crate) use login::{LoginStep, LoginTimes, to_millis};
pub(crate) use membership::{Membership, TaskKeeper};
#[cfg(feature = "admin")]
pub(crate) use outgoing::DeliveryObserver;
pub use outgoing::OutgoingEvent;
pub(crate) use recovery::{
    EventOffset, EventSource, PersistedSocket, Recovery, RecoveryOptions, RecoveryState,
    ResumeRequest, Resumed, SocketSnapshot, StartFrom, cluster_offset_of,
};
pub(crate) use relay::Relayed;
pub use server_side::ServerSideEvent;
pub(crate) use socket::{Phase, SocketState};
pub(crate) use waiting::{turn, within};
