//! The recipients of an event, from a namespace's handle and from the server's: each method is the
//! first step of a [`Broadcast`].

use std::time::Duration;

use serde::Serialize;

use crate::cluster::ClusterError;
use crate::error::EmitError;
use crate::message::RoomNames;
use crate::notice::DisconnectNotice;
use crate::server::{Namespace, SocketIo};
use crate::socket::{AckStream, Broadcast, ClusterResult, RemoteSocket};

/// The sockets of this namespace.
impl Namespace {
    /// Addresses rooms, or sockets by their ids; see [`Broadcast`].
    #[doc(alias = "in")]
    pub fn to(&self, rooms: impl RoomNames) -> Broadcast {
        self.everyone().to(rooms)
    }

    /// The same as [`to`](Self::to).
    pub fn in_room(&self, rooms: impl RoomNames) -> Broadcast {
        self.to(rooms)
    }

    /// Addresses the sockets of a user on all nodes; see [`Socket::identify`](crate::Socket::identify).
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn run(io: actix_socketio::SocketIo) -> Result<(), Box<dyn std::error::Error>> {
    /// let chat = io.of("/chat");
    /// chat.user("user-7").emit("mail", 1).await?;
    /// let devices = *chat.user("user-7").count_everywhere().await;
    /// chat.user("user-7").disconnect_sockets_with("password changed").await?;
    /// # Ok(()) }
    /// ```
    pub fn user(&self, user: impl AsRef<str>) -> Broadcast {
        self.everyone().to_user(user)
    }

    /// Addresses all sockets except those of these rooms, or those with these ids.
    pub fn except(&self, rooms: impl RoomNames) -> Broadcast {
        self.everyone().except(rooms)
    }

    /// Addresses all sockets of this process; see [`Broadcast::local`].
    pub fn local(&self) -> Broadcast {
        self.everyone().local()
    }

    /// Addresses all sockets, with events that may be dropped; see [`Broadcast::volatile`].
    pub fn volatile(&self) -> Broadcast {
        self.everyone().volatile()
    }

    /// Addresses all sockets, with or without compression; see [`Broadcast::compress`].
    pub fn compress(&self, compressed: bool) -> Broadcast {
        self.everyone().compress(compressed)
    }

    /// Addresses all sockets, with a timeout of their acknowledgements.
    pub fn timeout(&self, limit: Duration) -> Broadcast {
        self.everyone().timeout(limit)
    }

    /// Sends an event to all sockets; see [`Broadcast::emit`].
    ///
    /// # Errors
    ///
    /// [`EmitError::ReservedEvent`] and [`EmitError::Encode`]: the event was sent to no client.
    /// [`EmitError::Cluster`]: this node's sockets have received it and the other nodes will not.
    pub async fn emit<T: Serialize>(&self, event: &str, data: T) -> Result<(), EmitError> {
        self.everyone().emit(event, data).await
    }

    /// Sends the event `message` to all sockets.
    ///
    /// # Errors
    ///
    /// The same as of [`emit`](Self::emit).
    pub async fn send<T: Serialize>(&self, data: T) -> Result<(), EmitError> {
        self.everyone().send(data).await
    }

    /// The same as [`emit`](Self::emit), for code that is not async; it never waits.
    ///
    /// # Errors
    ///
    /// The same as of [`emit`](Self::emit).
    pub fn emit_sync<T: Serialize>(&self, event: &str, data: T) -> Result<(), EmitError> {
        self.everyone().emit_sync(event, data)
    }

    /// Sends an event to all sockets, and returns their acknowledgements as they arrive; see
    /// [`Broadcast::emit_with_ack`].
    ///
    /// # Errors
    ///
    /// [`EmitError::ReservedEvent`] and [`EmitError::Encode`]: the event was sent to no client. If
    /// other nodes could not be asked, [`AckStream::coverage`] has the reason.
    pub async fn emit_with_ack<R>(
        &self,
        event: &str,
        data: impl Serialize,
    ) -> Result<AckStream<R>, EmitError> {
        self.everyone().emit_with_ack(event, data).await
    }

    /// Returns the connected sockets on all nodes; see [`Broadcast::fetch_sockets`].
    pub async fn fetch_sockets(&self) -> ClusterResult<Vec<RemoteSocket>> {
        self.everyone().fetch_sockets().await
    }

    /// Makes all sockets join rooms; see [`Broadcast::sockets_join`].
    ///
    /// # Errors
    ///
    /// [`ClusterError`], if other nodes will not receive it.
    pub async fn sockets_join(&self, rooms: impl RoomNames) -> Result<usize, ClusterError> {
        self.everyone().sockets_join(rooms).await
    }

    /// Makes all sockets leave rooms; see [`Broadcast::sockets_leave`].
    ///
    /// # Errors
    ///
    /// [`ClusterError`], if other nodes will not receive it.
    pub async fn sockets_leave(&self, rooms: impl RoomNames) -> Result<usize, ClusterError> {
        self.everyone().sockets_leave(rooms).await
    }

    /// Disconnects all sockets; see [`Broadcast::disconnect_sockets`].
    ///
    /// # Errors
    ///
    /// [`ClusterError`], if other nodes will not receive it.
    pub async fn disconnect_sockets(&self, close: bool) -> Result<usize, ClusterError> {
        self.everyone().disconnect_sockets(close).await
    }
}

/// The sockets of the namespace `/`.
impl SocketIo {
    /// Addresses rooms of the namespace `/`, or its sockets by their ids; see [`Namespace::to`].
    #[doc(alias = "in")]
    pub fn to(&self, rooms: impl RoomNames) -> Broadcast {
        self.everyone().to(rooms)
    }

    /// The same as [`to`](Self::to).
    pub fn in_room(&self, rooms: impl RoomNames) -> Broadcast {
        self.to(rooms)
    }

    /// Addresses the sockets of a user in the namespace `/`; see [`Namespace::user`].
    pub fn user(&self, user: impl AsRef<str>) -> Broadcast {
        self.everyone().to_user(user)
    }

    /// Addresses all sockets of the namespace `/` except those of these rooms, or those with these
    /// ids.
    pub fn except(&self, rooms: impl RoomNames) -> Broadcast {
        self.everyone().except(rooms)
    }

    /// Addresses the sockets of the namespace `/` of this process; see [`Broadcast::local`].
    pub fn local(&self) -> Broadcast {
        self.everyone().local()
    }

    /// Addresses all sockets of the namespace `/`, with events that may be dropped; see
    /// [`Broadcast::volatile`].
    pub fn volatile(&self) -> Broadcast {
        self.everyone().volatile()
    }

    /// Addresses all sockets of the namespace `/`, with or without compression; see
    /// [`Broadcast::compress`].
    pub fn compress(&self, compressed: bool) -> Broadcast {
        self.everyone().compress(compressed)
    }

    /// Addresses all sockets of the namespace `/`, with a timeout of their acknowledgements.
    pub fn timeout(&self, limit: Duration) -> Broadcast {
        self.everyone().timeout(limit)
    }

    /// Sends an event to all sockets of the namespace `/`; see [`Namespace::emit`].
    ///
    /// # Errors
    ///
    /// The same as of [`Namespace::emit`].
    pub async fn emit<T: Serialize>(&self, event: &str, data: T) -> Result<(), EmitError> {
        self.everyone().emit(event, data).await
    }

    /// Sends the event `message` to all sockets of the namespace `/`.
    ///
    /// # Errors
    ///
    /// The same as of [`emit`](Self::emit).
    pub async fn send<T: Serialize>(&self, data: T) -> Result<(), EmitError> {
        self.everyone().send(data).await
    }

    /// The same as [`emit`](Self::emit), for code that is not async; it never waits.
    ///
    /// # Errors
    ///
    /// The same as of [`emit`](Self::emit).
    pub fn emit_sync<T: Serialize>(&self, event: &str, data: T) -> Result<(), EmitError> {
        self.everyone().emit_sync(event, data)
    }

    /// Sends an event to all sockets of the namespace `/`, and returns their acknowledgements as
    /// they arrive; see [`Namespace::emit_with_ack`].
    ///
    /// # Errors
    ///
    /// The same as of [`Namespace::emit_with_ack`].
    pub async fn emit_with_ack<R>(
        &self,
        event: &str,
        data: impl Serialize,
    ) -> Result<AckStream<R>, EmitError> {
        self.everyone().emit_with_ack(event, data).await
    }

    /// Returns the connected sockets of the namespace `/` on all nodes; see
    /// [`Broadcast::fetch_sockets`].
    pub async fn fetch_sockets(&self) -> ClusterResult<Vec<RemoteSocket>> {
        self.everyone().fetch_sockets().await
    }

    /// Makes all sockets of the namespace `/` join rooms; see [`Broadcast::sockets_join`].
    ///
    /// # Errors
    ///
    /// [`ClusterError`], if other nodes will not receive it.
    pub async fn sockets_join(&self, rooms: impl RoomNames) -> Result<usize, ClusterError> {
        self.everyone().sockets_join(rooms).await
    }

    /// Makes all sockets of the namespace `/` leave rooms; see [`Broadcast::sockets_leave`].
    ///
    /// # Errors
    ///
    /// [`ClusterError`], if other nodes will not receive it.
    pub async fn sockets_leave(&self, rooms: impl RoomNames) -> Result<usize, ClusterError> {
        self.everyone().sockets_leave(rooms).await
    }

    /// Disconnects all sockets of the namespace `/` and gives their clients the reason; see
    /// [`Broadcast::disconnect_sockets_with`].
    ///
    /// # Errors
    ///
    /// [`ClusterError`], if other nodes will not receive it.
    pub async fn disconnect_sockets_with(
        &self,
        notice: impl Into<DisconnectNotice>,
    ) -> Result<usize, ClusterError> {
        self.everyone().disconnect_sockets_with(notice).await
    }

    /// Disconnects all sockets of the namespace `/`; see [`Broadcast::disconnect_sockets`].
    ///
    /// # Errors
    ///
    /// [`ClusterError`], if other nodes will not receive it.
    pub async fn disconnect_sockets(&self, close: bool) -> Result<usize, ClusterError> {
        self.everyone().disconnect_sockets(close).await
    }
}
