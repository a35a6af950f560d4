//! Sockets: what a handler holds of its client, and how replies leave.
//!
//! A [`Socket`] is a cheap handle that any thread may use. What it emits goes straight into the
//! session's outbox; a change of rooms is made at once. It knows no handler, no session and no
//! transport.

mod ack_stream;
mod adapter;
mod broadcast;
mod cluster_result;
mod core;
mod data;
mod details;
mod encode;
mod ending;
mod locals;
mod membership;
mod observe;
mod recovery;
mod server_side;
mod shown;
mod waiting;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::config::Transport;
use crate::error::{CallError, EmitError, Rejection, RoomError};
use crate::handshake::Handshake;
use crate::id::SocketId;
use crate::message::RoomNames;
use crate::socketio::{Args, Shortened, from_json};

pub use ack_stream::AckStream;
pub(crate) use ack_stream::ask;
pub(crate) use adapter::{Adapter, BackFuture, ClosedFuture, NodesFuture, SettledFuture};
pub use broadcast::Broadcast;
pub use cluster_result::{ClusterResult, RemoteSocket};
pub(crate) use core::{Core, Phase};
pub(crate) use details::describe;
pub(crate) use encode::{Answer, ack, ack_error, connect_error};
pub(crate) use ending::TaskKeeper;
pub(crate) use locals::Locals;
pub(crate) use membership::{Audience, Membership, RoomChange, SharedMembers};
pub use observe::OutgoingEvent;
pub(crate) use recovery::{
    Back, Beginning, Claim, Kept, Origin, Point, Recovery, RecoveryOptions, Resume, State, mark_of,
};
pub use server_side::ServerSideEvent;
pub(crate) use waiting::{give_short_turn, turn, within};

/// One client in one namespace.
///
/// Handlers get it as an argument; it can be cloned, kept and sent to any thread. When the client
/// has gone, what it is asked to do fails with an error that says so.
///
/// # Examples
///
/// ```
/// use actix_socketio::{Data, HandlerError, Socket};
///
/// async fn join(socket: Socket, Data(room): Data<String>) -> Result<(), HandlerError> {
///     socket.join(&room).await?;
///     socket.emit("welcome", &room).await?;
///     socket.to(&room).emit("joined", socket.id()).await?;
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Socket {
    core: Arc<Core>,
}

impl Socket {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Returns the socket's public id, the client's `socket.id`.
    #[must_use]
    pub fn id(&self) -> SocketId {
        self.core.id
    }

    /// Returns the name of the socket's namespace, as `/` or `/chat`.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.core.membership.name()
    }

    /// Tells whether the client is connected to this namespace.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.core.is_connected()
    }

    /// Tells whether the client has come back: it has its id, its rooms, its data and what it
    /// missed, as [`Builder::connection_state_recovery`](crate::Builder::connection_state_recovery)
    /// says.
    #[must_use]
    pub fn recovered(&self) -> bool {
        self.core.back().is_some()
    }

    /// Returns what carries the client's packets at the moment: polling becomes a WebSocket by the
    /// upgrade.
    #[must_use]
    pub fn transport(&self) -> Transport {
        if self.core.link.outbox.has_websocket() {
            Transport::WebSocket
        } else {
            Transport::Polling
        }
    }

    /// Returns what the client's first HTTP request said: headers, query, cookies, address.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_socketio::Socket;
    /// fn language(socket: &Socket) -> String {
    ///     let handshake = socket.handshake();
    ///     let asked = handshake.query_value("lang").map(|lang| lang.into_owned());
    ///     asked.unwrap_or_else(|| "en".to_owned())
    /// }
    /// ```
    #[must_use]
    pub fn handshake(&self) -> &Handshake {
        &self.core.link.handshake
    }

    /// Reads the payload of the CONNECT packet, the client's `auth` option; without one it reads as
    /// `{}`. As an argument of a handler it is [`Auth`](crate::Auth).
    ///
    /// # Errors
    ///
    /// [`Rejection::Auth`], which says what does not fit.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_socketio::{Rejection, Socket};
    /// #[derive(serde::Deserialize)]
    /// struct Login { token: Option<String> }
    ///
    /// fn token(socket: &Socket) -> Result<Option<String>, Rejection> {
    ///     let login: Login = socket.auth()?;
    ///     Ok(login.token)
    /// }
    /// ```
    pub fn auth<T: DeserializeOwned>(&self) -> Result<T, Rejection> {
        let text = self.core.auth.as_deref().unwrap_or("{}");
        from_json(text).map_err(|error| Rejection::Auth(Shortened(error).to_string()))
    }

    /// Sends an event to this client. A tuple is sent as that many arguments, `()` as none,
    /// anything else as one; [`Bytes`](crate::Bytes) anywhere in it travel as binary.
    ///
    /// The packet lies in the client's outbox when this returns. If there is no room in it, this
    /// waits, up to [`Builder::emit_timeout`](crate::Builder::emit_timeout), so a handler may send
    /// any number of events to a client that reads. What is emitted while a connect handler still
    /// runs follows the CONNECT packet.
    ///
    /// # Errors
    ///
    /// Every variant of [`EmitError`] but `TooManyCalls`; nothing was sent then.
    /// [`EmitError::OutboxFull`] says that there was no room before the deadline; the client is
    /// disconnected then, or not, as
    /// [`Builder::slow_client_policy`](crate::Builder::slow_client_policy) says.
    /// [`EmitError::Cluster`] comes only where clients may come back to other nodes: this one has
    /// the event then, and would miss it if it came back elsewhere.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn run(socket: actix_socketio::Socket) -> Result<(), actix_socketio::EmitError> {
    /// socket.emit("welcome", ("Ada", 1815)).await
    /// # }
    /// ```
    pub async fn emit<T>(&self, event: &str, data: T) -> Result<(), EmitError>
    where
        T: Serialize,
    {
        let membership = &self.core.membership;
        if membership.recovery.is_some() {
            return self.kept()?.emit(event, data).await;
        }
        let packet = membership.event(None, event, &data, Some(self.core.id))?;
        self.core.deliver_in_turn(packet).await
    }

    /// Does what [`emit`](Self::emit) does, for code that is not async. It never waits, so it may
    /// be called anywhere.
    ///
    /// # Errors
    ///
    /// As of [`emit`](Self::emit). [`EmitError::OutboxFull`] comes at once, and the client stays
    /// connected, whatever [`Builder::slow_client_policy`](crate::Builder::slow_client_policy)
    /// says.
    pub fn emit_sync<T: Serialize>(&self, event: &str, data: T) -> Result<(), EmitError> {
        let membership = &self.core.membership;
        if membership.recovery.is_some() {
            return self.kept()?.emit_sync(event, data);
        }
        let packet = membership.event(None, event, &data, Some(self.core.id))?;
        self.core.try_deliver(packet)
    }

    /// Addresses this socket by events that are kept for as long as the client may come back, also
    /// when it has gone.
    fn kept(&self) -> Result<Broadcast, EmitError> {
        if self.core.has_left() {
            return Err(EmitError::Disconnected);
        }
        Ok(Broadcast::alone(&self.core))
    }

    /// Sends the event `message` to this client.
    ///
    /// # Errors
    ///
    /// As of [`emit`](Self::emit).
    pub async fn send<T: Serialize>(&self, data: T) -> Result<(), EmitError> {
        self.emit(broadcast::MESSAGE, data).await
    }

    /// Sends an event and waits for the client's acknowledgement, up to the server's `ack_timeout`
    /// (60 seconds by default), or up to the time of [`timeout`](Self::timeout). The answer is read
    /// as [`Data`](crate::Data) reads an event's arguments.
    ///
    /// [`Broadcast::emit_with_ack`] asks many clients.
    ///
    /// # Errors
    ///
    /// Every variant of [`CallError`]; `Disconnected` as soon as the client has disconnected.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # async fn run(socket: actix_socketio::Socket) -> Result<(), actix_socketio::CallError> {
    /// let age: u32 = socket.call("ask", "age").await?;
    /// let size: u32 = socket.timeout(Duration::from_secs(5)).call("ask", "size").await?;
    /// # Ok(()) }
    /// ```
    pub async fn call<R>(&self, event: &str, data: impl Serialize) -> Result<R, CallError>
    where
        R: DeserializeOwned,
    {
        let limit = self.core.link.config.ack_timeout;
        let args = call(&self.core, event, &data, limit).await?;
        args.read().map_err(CallError::Answer)
    }

    /// Joins a room, or several; done when this returns, so the next emit to the room reaches this
    /// socket.
    ///
    /// # Errors
    ///
    /// [`RoomError::Disconnected`], [`RoomError::NameTooLong`] and [`RoomError::TooManyRooms`]; of
    /// several rooms those before the one that failed are joined.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn run(socket: actix_socketio::Socket) -> Result<(), actix_socketio::RoomError> {
    /// socket.join("lobby").await?;
    /// socket.join(["hall", "attic"]).await
    /// # }
    /// ```
    pub async fn join(&self, rooms: impl RoomNames) -> Result<(), RoomError> {
        for room in broadcast::names(rooms) {
            self.core.membership.join(&self.core, &room)?;
        }
        Ok(())
    }

    /// Leaves a room, or several. Leaving one that it isn't in is no error.
    ///
    /// # Errors
    ///
    /// None on one machine.
    pub async fn leave(&self, rooms: impl RoomNames) -> Result<(), RoomError> {
        for room in broadcast::names(rooms) {
            self.core.membership.leave(&self.core, &room);
        }
        Ok(())
    }

    /// Returns the names of the rooms that this socket is in; the room of its own id is not listed.
    #[must_use]
    pub fn rooms(&self) -> Vec<String> {
        let rooms = self.core.rooms.lock();
        rooms.iter().map(|room| room.as_ref().to_owned()).collect()
    }

    /// Makes this socket leave its namespace: the client gets a DISCONNECT packet, and
    /// `on_disconnect` runs with
    /// [`DisconnectReason::ServerNamespaceDisconnect`](crate::DisconnectReason). With `close` the
    /// client leaves all its namespaces so, and its session is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(socket: actix_socketio::Socket) {
    /// socket.disconnect(true);
    /// # }
    /// ```
    pub fn disconnect(&self, close: bool) {
        self.core.disconnect(close);
    }

    /// Addresses rooms, without this socket itself.
    pub fn to(&self, rooms: impl RoomNames) -> Broadcast {
        self.broadcast().to(rooms)
    }

    /// The same as [`to`](Self::to).
    pub fn in_room(&self, rooms: impl RoomNames) -> Broadcast {
        self.to(rooms)
    }

    /// Addresses everybody in the namespace but this socket and the sockets of these rooms.
    pub fn except(&self, rooms: impl RoomNames) -> Broadcast {
        self.broadcast().except(rooms)
    }

    /// Addresses everybody in the namespace but this socket.
    pub fn broadcast(&self) -> Broadcast {
        Broadcast::new(&self.core.membership, Some(&self.core))
    }

    /// Addresses everybody in the namespace, this socket too.
    pub fn everyone(&self) -> Broadcast {
        Broadcast::new(&self.core.membership, None)
    }

    /// Addresses everybody of this process in the namespace but this socket.
    pub fn local(&self) -> Broadcast {
        self.broadcast().local()
    }

    /// Addresses this socket alone, by events that are dropped if others wait to be sent to it;
    /// see [`Broadcast::volatile`]. A [`to`](Broadcast::to), [`except`](Broadcast::except),
    /// [`local`](Broadcast::local) or [`broadcast`](Broadcast::broadcast) behind it addresses
    /// others, without this socket, as if it stood in front.
    pub fn volatile(&self) -> Broadcast {
        Broadcast::alone(&self.core).volatile()
    }

    /// Addresses this socket alone; `false` keeps what is sent from being compressed, see
    /// [`Broadcast::compress`]. A [`to`](Broadcast::to) behind it addresses the room instead, as
    /// behind [`volatile`](Self::volatile).
    pub fn compress(&self, compressed: bool) -> Broadcast {
        Broadcast::alone(&self.core).compress(compressed)
    }

    /// Addresses this socket alone, with a limit for its acknowledgements. A
    /// [`to`](Broadcast::to) behind it addresses the room instead, as behind
    /// [`volatile`](Self::volatile).
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # async fn run(socket: actix_socketio::Socket) -> Result<(), actix_socketio::CallError> {
    /// let age: u32 = socket.timeout(Duration::from_secs(5)).call("ask", "age").await?;
    /// # Ok(()) }
    /// ```
    pub fn timeout(&self, limit: Duration) -> Broadcast {
        Broadcast::alone(&self.core).timeout(limit)
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("id", &self.core.id)
            .field("namespace", &self.namespace())
            .finish_non_exhaustive()
    }
}

impl PartialEq for Socket {
    fn eq(&self, other: &Self) -> bool {
        self.core.key == other.core.key
    }
}

impl Eq for Socket {}

/// Sends an event with an acknowledgement id and waits for what comes back.
pub(crate) async fn call<T>(
    core: &Arc<Core>,
    event: &str,
    data: &T,
    limit: Duration,
) -> Result<Args, CallError>
where
    T: Serialize + ?Sized,
{
    let (id, answer) = core.expect_ack()?;
    let _call = PendingCall { core, id };
    let packet = core
        .membership
        .event(Some(id), event, data, Some(core.id))?;
    // The time counts from here, also while the packet waits for room.
    let answered = timeout(limit, async {
        core.deliver_in_turn(packet).await?;
        answer.await.map_err(|_| CallError::Disconnected)
    });
    answered.await.unwrap_or(Err(CallError::Timeout))
}

/// Takes a call off the books however it ends, also where its future is dropped.
struct PendingCall<'a> {
    core: &'a Core,
    id: u64,
}

impl Drop for PendingCall<'_> {
    fn drop(&mut self) {
        self.core.forget_call(self.id);
    }
}
