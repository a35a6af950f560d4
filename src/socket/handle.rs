//! The handle of one client in one namespace.
//!
//! It is cheap to clone, and works on any thread. Its emits go directly into the session's outbox;
//! a change of rooms takes effect at once.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock::now;
use crate::config::Transport;
use crate::error::{CallError, ConnectError, EmitError, Rejection, RoomError};
use crate::handshake::Handshake;
use crate::id::SocketId;
use crate::link::SessionStats;
use crate::members::{Membership, SocketState};
use crate::message::{RoomNames, room_names};
use crate::notice::DisconnectNotice;
use crate::socket::broadcast::{Broadcast, MESSAGE};
use crate::socket::call::call;
use crate::socketio::{Shortened, from_json};
use crate::user::user_of;

/// One client in one namespace.
///
/// Handlers get it as an argument; it can be cloned, kept and sent to any thread. After the client
/// has disconnected its methods fail with an error that says so.
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
    state: Arc<SocketState>,
    membership: Arc<Membership>,
}

impl Socket {
    pub(crate) fn new(membership: &Arc<Membership>, state: Arc<SocketState>) -> Self {
        Self {
            state,
            membership: Arc::clone(membership),
        }
    }

    pub(crate) fn membership(&self) -> &Arc<Membership> {
        &self.membership
    }

    /// Returns the socket with this id, if it is in the namespace.
    pub(crate) fn find(membership: &Arc<Membership>, id: &SocketId) -> Option<Self> {
        let state = membership.socket(id)?;
        Some(Self::new(membership, state))
    }

    pub(crate) fn state(&self) -> &Arc<SocketState> {
        &self.state
    }

    /// Refuses the client, unless it has disconnected already.
    pub(crate) fn refuse(&self, error: &ConnectError) {
        self.membership.refuse(&self.state, error);
    }

    /// Returns the socket's public id, the client's `socket.id`.
    #[must_use]
    pub fn id(&self) -> SocketId {
        self.state.id.clone()
    }

    /// Returns the name of the socket's namespace, for example `/` or `/chat`.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.state.namespace
    }

    /// Returns `true` if the client is connected to this namespace.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.state.is_connected()
    }

    /// Returns `true` if the socket was recovered: it has its previous id, rooms and data, and
    /// receives the missed events
    /// ([`Builder::connection_state_recovery`](crate::Builder::connection_state_recovery)).
    #[must_use]
    pub fn recovered(&self) -> bool {
        self.state.resumed().is_some()
    }

    /// Returns the present transport of the client: polling becomes a WebSocket by the upgrade.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.state.link.transport()
    }

    /// Returns the counters of the client's session, which all its sockets share.
    #[must_use]
    pub fn stats(&self) -> SessionStats {
        self.state.link.stats(now())
    }

    /// Returns the content of the client's first HTTP request: headers, query, cookies, address.
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
        &self.state.link.handshake
    }

    /// Reads the payload of the CONNECT packet, the client's `auth` option; if there is none it
    /// reads as `{}`. As an argument of a handler it is [`Auth`](crate::Auth).
    ///
    /// # Errors
    ///
    /// [`Rejection::Auth`] with the value that has the wrong type.
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
        let text = self.state.auth.as_deref().unwrap_or("{}");
        from_json(text).map_err(|error| Rejection::Auth(Shortened(error).to_string()))
    }

    /// Sends an event to this client. A tuple is sent as that many arguments, `()` as none, any
    /// other type as one; [`Bytes`](crate::Bytes) at any depth are sent as binary.
    ///
    /// The packet is in the client's outbox when this returns. If there is no room in it, this
    /// waits, up to [`Builder::emit_timeout`](crate::Builder::emit_timeout), so a handler may send
    /// any number of events to a client that reads. Events that are emitted while a connect handler
    /// is running follow the CONNECT packet.
    ///
    /// # Errors
    ///
    /// Every variant of [`EmitError`] except `TooManyCalls`; nothing was sent.
    /// [`EmitError::OutboxFull`] means that there was no room before the deadline;
    /// [`Builder::slow_client_policy`](crate::Builder::slow_client_policy) decides whether the
    /// client is then disconnected. [`EmitError::Cluster`] occurs only if clients may be recovered
    /// on other nodes: this client has the event, and would miss it after a reconnect to another
    /// node.
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
        let membership = &self.membership;
        if membership.recovery.is_some() {
            return self.kept()?.emit(event, data).await;
        }
        let packet = membership.event(None, event, &data, Some(&self.state))?;
        self.state.deliver_in_turn(packet).await
    }

    /// The same as [`emit`](Self::emit), for code that is not async. It never waits, so it may be
    /// called anywhere.
    ///
    /// # Errors
    ///
    /// The same as of [`emit`](Self::emit). [`EmitError::OutboxFull`] is returned at once, and the
    /// client stays connected, whatever
    /// [`Builder::slow_client_policy`](crate::Builder::slow_client_policy) says.
    pub fn emit_sync<T: Serialize>(&self, event: &str, data: T) -> Result<(), EmitError> {
        let membership = &self.membership;
        if membership.recovery.is_some() {
            return self.kept()?.emit_sync(event, data);
        }
        let packet = membership.event(None, event, &data, Some(&self.state))?;
        self.state.try_deliver(packet)
    }

    /// Addresses this socket with events that are kept during its recovery window, also after it
    /// has disconnected.
    fn kept(&self) -> Result<Broadcast, EmitError> {
        if self.state.has_left() {
            return Err(EmitError::Disconnected);
        }
        Ok(self.alone())
    }

    /// Sends the event `message` to this client.
    ///
    /// # Errors
    ///
    /// The same as of [`emit`](Self::emit).
    pub async fn send<T: Serialize>(&self, data: T) -> Result<(), EmitError> {
        self.emit(MESSAGE, data).await
    }

    /// Sends an event and waits for the client's acknowledgement. The timeout is the server's
    /// `ack_timeout` (60 seconds by default), or that of [`timeout`](Self::timeout). The answer is
    /// read as by [`Data`](crate::Data).
    ///
    /// [`Broadcast::emit_with_ack`] calls many clients.
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
        let limit = self.state.link.config.sockets.ack_timeout;
        let args = call(&self.membership, &self.state, event, &data, limit).await?;
        args.read().map_err(CallError::Answer)
    }

    /// Joins a room, or several. The next emit to the room after this reaches this socket.
    ///
    /// # Errors
    ///
    /// [`RoomError::Disconnected`], [`RoomError::NameTooLong`], [`RoomError::TooManyRooms`], and of a
    /// room with an actor ([`Namespace::room_actor`](crate::Namespace::room_actor))
    /// [`RoomError::Refused`]; the rooms before the failed one were joined.
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
        for room in room_names(rooms) {
            self.membership.join_admitted(&self.state, &room).await?;
        }
        Ok(())
    }

    /// Leaves a room, or several. It is not an error if the socket is not in the room.
    ///
    /// # Errors
    ///
    /// None on one machine.
    pub async fn leave(&self, rooms: impl RoomNames) -> Result<(), RoomError> {
        for room in room_names(rooms) {
            self.membership.leave(&self.state, &room);
        }
        Ok(())
    }

    /// Returns the names of this socket's rooms; the room of its own id and that of its
    /// [`user`](Self::user) are not listed.
    #[must_use]
    pub fn rooms(&self) -> Vec<String> {
        let rooms = self.state.rooms.lock();
        let rooms = rooms.iter().filter(|room| user_of(room).is_none());
        rooms.map(|room| room.as_ref().to_owned()).collect()
    }

    /// Disconnects this socket from its namespace: the client receives a DISCONNECT packet, and
    /// `on_disconnect` runs with
    /// [`DisconnectReason::ServerNamespaceDisconnect`](crate::DisconnectReason). With `close` the
    /// client is disconnected from all its namespaces, and its session is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(socket: actix_socketio::Socket) {
    /// socket.disconnect(true);
    /// # }
    /// ```
    pub fn disconnect(&self, close: bool) {
        self.state.disconnect(close);
    }

    /// Disconnects this socket like [`disconnect`](Self::disconnect), and gives the client the
    /// reason: an event `disconnect_reason` with `{reason, data}` arrives before the disconnect. If
    /// the connect handlers still run, the client's `connect_error` has the reason instead.
    ///
    /// With [`DisconnectNotice::reconnect`] the client's session is closed so that an official
    /// client reconnects by itself; the other sockets of the client end too.
    ///
    /// # Errors
    ///
    /// [`EmitError::Disconnected`] if the socket has ended. The other errors of
    /// [`emit`](Self::emit) about an event that cannot be encoded: the client is disconnected
    /// without it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use actix_socketio::{DisconnectNotice, EmitError, Socket};
    /// # fn run(socket: Socket, other: Socket) -> Result<(), EmitError> {
    /// socket.disconnect_with("kicked")?;
    /// other.disconnect_with(DisconnectNotice::new("new version").reconnect())
    /// # }
    /// ```
    pub fn disconnect_with(&self, notice: impl Into<DisconnectNotice>) -> Result<(), EmitError> {
        self.membership
            .disconnect_with(&self.state, &Arc::new(notice.into()))
    }

    /// Returns the notice with which the server has disconnected this socket, for handlers of
    /// [`on_disconnect`](crate::Handlers::on_disconnect).
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{DisconnectReason, Socket};
    ///
    /// async fn left(socket: Socket, reason: DisconnectReason) {
    ///     match socket.disconnect_notice() {
    ///         Some(notice) => log::info!("{} was sent away: {}", socket.id(), notice.reason()),
    ///         None => log::info!("{} left: {reason}", socket.id()),
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn disconnect_notice(&self) -> Option<DisconnectNotice> {
        self.state.notice().map(|notice| (*notice).clone())
    }

    /// Addresses rooms, without this socket.
    pub fn to(&self, rooms: impl RoomNames) -> Broadcast {
        self.broadcast().to(rooms)
    }

    /// The same as [`to`](Self::to).
    pub fn in_room(&self, rooms: impl RoomNames) -> Broadcast {
        self.to(rooms)
    }

    /// Addresses all sockets of the namespace except this one and those of these rooms.
    pub fn except(&self, rooms: impl RoomNames) -> Broadcast {
        self.broadcast().except(rooms)
    }

    /// Addresses all sockets of the namespace except this one.
    pub fn broadcast(&self) -> Broadcast {
        Broadcast::new(&self.membership, Some(&self.state))
    }

    /// Addresses all sockets of the namespace, including this one.
    pub fn everyone(&self) -> Broadcast {
        Broadcast::new(&self.membership, None)
    }

    /// Addresses all sockets of this process in the namespace, except this one.
    pub fn local(&self) -> Broadcast {
        self.broadcast().local()
    }

    fn alone(&self) -> Broadcast {
        Broadcast::alone(&self.membership, &self.state)
    }

    /// Addresses this socket alone, with events that are dropped if its outbox is not empty; see
    /// [`Broadcast::volatile`]. If [`to`](Broadcast::to), [`except`](Broadcast::except),
    /// [`local`](Broadcast::local) or [`broadcast`](Broadcast::broadcast) follows, the operator
    /// addresses the others without this socket, in any order of the calls.
    pub fn volatile(&self) -> Broadcast {
        self.alone().volatile()
    }

    /// Addresses this socket alone; `false` prevents the compression of its events, see
    /// [`Broadcast::compress`]. If [`to`](Broadcast::to) follows, the operator addresses the room
    /// instead, as after [`volatile`](Self::volatile).
    pub fn compress(&self, compressed: bool) -> Broadcast {
        self.alone().compress(compressed)
    }

    /// Addresses this socket alone, with a timeout of its acknowledgements. If
    /// [`to`](Broadcast::to) follows, the operator addresses the room instead, as after
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
        self.alone().timeout(limit)
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("id", &self.state.id)
            .field("namespace", &self.namespace())
            .finish_non_exhaustive()
    }
}

/// The room of the socket's id: this socket alone.
impl RoomNames for &Socket {
    fn add_to(self, names: &mut Vec<String>) {
        self.id().add_to(names);
    }
}

impl PartialEq for Socket {
    fn eq(&self, other: &Self) -> bool {
        self.state.key == other.state.key
    }
}

impl Eq for Socket {}
