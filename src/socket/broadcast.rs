//! The operator that says who gets an event before saying which.

use std::sync::Arc;

use serde::Serialize;

use crate::error::EmitError;
use crate::socket::encode;
use crate::socket::membership::{Audience, Membership};

/// Sends one event to many sockets of a namespace.
///
/// Made by [`Socket::to`](crate::Socket::to), [`SocketIo::to`](crate::SocketIo::to) and their kin; each
/// step gives a new operator. Several rooms are a union: a socket in two of them gets the event once.
/// A socket's id is the name of a room that holds this socket alone.
///
/// # Examples
///
/// ```
/// # async fn run(socket: actix_socketio::Socket) -> Result<(), actix_socketio::EmitError> {
/// socket.to("lobby").to("hall").except("muted").emit("news", "hello").await
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before `emit`"]
pub struct Broadcast {
    membership: Arc<Membership>,
    audience: Audience,
}

impl Broadcast {
    pub(crate) fn new(membership: &Arc<Membership>, sender: Option<u64>) -> Self {
        Self {
            membership: Arc::clone(membership),
            audience: Audience {
                sender,
                ..Audience::default()
            },
        }
    }

    /// Adds a room to those who get the event.
    pub fn to(mut self, room: impl AsRef<str>) -> Self {
        let rooms = self.audience.rooms.get_or_insert_default();
        rooms.push(room.as_ref().to_owned());
        self
    }

    /// Leaves out the sockets of a room, or the socket with this id.
    pub fn except(mut self, room: impl AsRef<str>) -> Self {
        self.audience.except.push(room.as_ref().to_owned());
        self
    }

    /// Sends an event. A tuple is sent as that many arguments, `()` as none, anything else as one.
    ///
    /// It is encoded once and lies in every outbox when this returns. A receiver that has gone or
    /// reads too slowly is no error of the sender's.
    ///
    /// # Errors
    ///
    /// [`EmitError::ReservedEvent`] and [`EmitError::Encode`]; nothing was sent to anybody then.
    pub async fn emit<T>(self, event: &str, data: T) -> Result<(), EmitError>
    where
        T: Serialize,
    {
        let packet = encode::event(self.membership.name(), None, event, &data)?;
        self.membership.broadcast(&self.audience, &packet);
        Ok(())
    }
}
