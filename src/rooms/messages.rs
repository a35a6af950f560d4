//! The messages about clients that the actor of a room receives.

use std::fmt;

use actix::Message;
use tokio::time::Instant;

use crate::error::ConnectError;
use crate::reason::DisconnectReason;
use crate::socket::Socket;

/// A client wants to enter a room; [`RoomActor::enter`](crate::RoomActor::enter) decides.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), ConnectError>")]
pub struct Enter {
    /// The socket of the client, which is not in the room yet.
    pub socket: Socket,
}

/// A client is in the room.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Joined {
    /// The socket of the client.
    pub socket: Socket,
}

/// The connection of a client broke. The client may return within the window of
/// [`connection_state_recovery`](crate::Builder::connection_state_recovery).
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Dropped {
    /// The socket of the client, which receives nothing any more.
    pub socket: Socket,
    /// The cause.
    pub reason: DisconnectReason,
    /// The time until which the client may return. If it does not, [`Left`] follows.
    pub until: Instant,
}

/// A client that was dropped has returned. Its socket has the same id.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Returned {
    /// The new socket of the client.
    pub socket: Socket,
}

/// A client has left the room.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Left {
    /// The socket of the client. It may still be connected to the namespace.
    pub socket: Socket,
    /// The cause.
    pub reason: LeaveReason,
}

/// The cause for which a client has left a room.
///
/// | variant | cause |
/// | --- | --- |
/// | `Left` | [`Socket::leave`](crate::Socket::leave) or another call of the program; the client is still connected |
/// | `Kicked` | [`RoomContext::kick`](crate::RoomContext::kick) of a room; the client is still connected |
/// | `Disconnected` | it has disconnected; if it was [`Dropped`], the time to return has passed |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeaveReason {
    /// It left this room.
    Left,
    /// The room's actor removed it.
    Kicked,
    /// It has disconnected from the namespace.
    Disconnected(DisconnectReason),
}

impl fmt::Display for LeaveReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Left => f.write_str("left the room"),
            Self::Kicked => f.write_str("removed by the room"),
            Self::Disconnected(reason) => fmt::Display::fmt(reason, f),
        }
    }
}
