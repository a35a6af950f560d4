//! The choice of recipients: each step returns a new operator.

use std::sync::Arc;
use std::time::Duration;

use log::Level;
use serde::Serialize;

use crate::cluster::{EventPayload, Message, Scope};
use crate::error::EmitError;
use crate::link::Outgoing;
use crate::logging::TARGET_EVENT;
use crate::members::{Adapter, Audience, Membership, Recipients, Sender, SocketState, log_emit};
use crate::message::RoomNames;
use crate::user::user_room;

/// Sends events to sockets of a namespace, and changes those sockets.
///
/// Made by [`Socket::to`](crate::Socket::to), [`SocketIo::to`](crate::SocketIo::to) and similar
/// methods; each step returns a new operator, which may be cloned and kept. Several rooms are a
/// union: a socket in two of them receives the event once. An empty list of rooms selects no
/// sockets. A socket's id is the name of a room with this socket alone.
///
/// # Examples
///
/// ```
/// # async fn run(socket: actix_socketio::Socket) -> Result<(), actix_socketio::EmitError> {
/// socket.to(["lobby", "hall"]).except("muted").emit("news", "hello").await
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before `emit`"]
pub struct Broadcast {
    pub(super) membership: Arc<Membership>,
    pub(super) audience: Audience,
    pub(super) local: bool,
    pub(super) volatile: bool,
    pub(super) compressed: bool,
    pub(super) timeout: Option<Duration>,
}

impl Broadcast {
    pub(crate) fn new(membership: &Arc<Membership>, sender: Option<&SocketState>) -> Self {
        Self::of(
            membership,
            Audience {
                sender: sender.map(Sender::of),
                ..Audience::default()
            },
        )
    }

    /// Addresses one socket alone.
    pub(crate) fn alone(membership: &Arc<Membership>, socket: &Arc<SocketState>) -> Self {
        Self::of(
            membership,
            Audience {
                alone: Some(Arc::clone(socket)),
                ..Audience::default()
            },
        )
    }

    pub(crate) fn of(membership: &Arc<Membership>, audience: Audience) -> Self {
        Self {
            membership: Arc::clone(membership),
            audience,
            local: false,
            volatile: false,
            compressed: true,
            timeout: None,
        }
    }

    /// Adds rooms to the recipients.
    ///
    /// The order of modifiers never changes the recipients: an operator that was started from a
    /// socket by [`volatile`](crate::Socket::volatile), [`compress`](crate::Socket::compress) or
    /// [`timeout`](crate::Socket::timeout) then addresses the rooms without that socket.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn run(socket: actix_socketio::Socket) -> Result<(), actix_socketio::EmitError> {
    /// socket.volatile().to("players").emit("position", (3, 4)).await?;
    /// socket.to("players").volatile().emit("position", (3, 4)).await // the same audience
    /// # }
    /// ```
    #[doc(alias = "in")]
    pub fn to(self, rooms: impl RoomNames) -> Self {
        let mut widened = self.broadcast();
        rooms.add_to(widened.audience.rooms.get_or_insert_default());
        widened
    }

    /// The same as [`to`](Self::to).
    pub fn in_room(self, rooms: impl RoomNames) -> Self {
        self.to(rooms)
    }

    /// Adds the sockets of a user to the recipients, as
    /// [`Socket::identify`](crate::Socket::identify) has made them known. They are those of the
    /// room `@user:` and the user's id.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn run(socket: actix_socketio::Socket) -> Result<(), actix_socketio::EmitError> {
    /// // All other sockets of the same user.
    /// match socket.user() {
    ///     Some(user) => socket.broadcast().to_user(&user).emit("read", 7).await,
    ///     None => Ok(()),
    /// }
    /// # }
    /// ```
    pub fn to_user(self, user: impl AsRef<str>) -> Self {
        self.to(user_room(user.as_ref()))
    }

    /// Excludes the sockets of these rooms, or those with these ids.
    pub fn except(self, rooms: impl RoomNames) -> Self {
        let mut widened = self.broadcast();
        rooms.add_to(&mut widened.audience.except);
        widened
    }

    /// Restricts the recipients to the sockets of this process. Without an adapter these are all
    /// sockets.
    pub fn local(self) -> Self {
        let mut widened = self.broadcast();
        widened.local = true;
        widened
    }

    /// Addresses all sockets of the namespace except this one, if the operator addressed one socket
    /// alone, for example after [`Socket::volatile`](crate::Socket::volatile). Otherwise it has no
    /// effect.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn run(socket: actix_socketio::Socket) -> Result<(), actix_socketio::EmitError> {
    /// socket.volatile().broadcast().emit("position", (3, 4)).await
    /// # }
    /// ```
    pub fn broadcast(mut self) -> Self {
        if let Some(socket) = self.audience.alone.take() {
            self.audience.sender = Some(Sender::of(&socket));
        }
        self
    }

    /// Drops the event for clients whose outbox is not empty, or that are not connected yet. It is
    /// for events that are useless later, such as a position. Other events keep their order.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn run(socket: actix_socketio::Socket) -> Result<(), actix_socketio::EmitError> {
    /// socket.to("players").volatile().emit("position", (3, 4)).await
    /// # }
    /// ```
    pub fn volatile(mut self) -> Self {
        self.volatile = true;
        self
    }

    /// Sets whether the event is worth compressing; true by default. The response to a poll is
    /// compressed if it is at least as long as
    /// [`Builder::http_compression`](crate::Builder::http_compression) and contains at least one
    /// such event. A WebSocket message is compressed by the options of
    /// [`Builder::per_message_deflate`](crate::Builder::per_message_deflate).
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn run(socket: actix_socketio::Socket, picture: actix_socketio::Bytes) -> Result<(), actix_socketio::EmitError> {
    /// // A picture is compressed already.
    /// socket.to("lobby").compress(false).emit("picture", picture).await
    /// # }
    /// ```
    pub fn compress(mut self, compressed: bool) -> Self {
        self.compressed = compressed;
        self
    }

    /// Sets the timeout of acknowledgements; by default the server's `ack_timeout` (60 seconds by
    /// default). Other nodes are awaited for at most 24 days.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Returns the adapter and the constructor of its message, if other nodes are addressed.
    pub(super) fn elsewhere(
        &self,
    ) -> Option<(
        &Arc<dyn Adapter>,
        impl FnOnce(EventPayload) -> Message + use<>,
    )> {
        let adapter = self.membership.adapter.as_ref()?;
        let scope = self.scope_elsewhere()?;
        let flags = self.flags();
        let message = move |content| Message::Emit {
            content,
            scope,
            flags,
        };
        Some((adapter, message))
    }

    /// Returns the recipients on the other nodes, if there are any.
    pub(super) fn scope_elsewhere(&self) -> Option<Scope> {
        if self.local || self.membership.adapter.is_none() {
            return None;
        }
        // A socket is on one node: the others do not know a socket of this node.
        if let Some([room]) = self.audience.rooms.as_deref()
            && self.membership.virtual_room(room).is_some()
        {
            return None;
        }
        self.audience.elsewhere()
    }

    pub(super) fn packet<T: Serialize>(
        &self,
        id: Option<u64>,
        event: &str,
        data: &T,
    ) -> Result<Outgoing, EmitError> {
        let recipient = self.audience.alone.as_deref();
        let packet = self.membership.event(id, event, data, recipient)?;
        if recipient.is_none() {
            self.membership.delivered_to(event, data, &self.audience);
        }
        if recipient.is_none() && log::log_enabled!(target: TARGET_EVENT, Level::Debug) {
            log_emit(
                event,
                packet.len(),
                &Recipients(self.membership.name(), &self.audience),
            );
        }
        Ok(if self.compressed {
            packet
        } else {
            packet.without_compression()
        })
    }
}

/// The default event name.
pub(crate) const MESSAGE: &str = "message";
