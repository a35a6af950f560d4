//! The operator that says who gets an event before saying which.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{CallError, EmitError};
use crate::link::Outgoing;
use crate::message::RoomNames;
use crate::socket::answers::{Answers, ask};
use crate::socket::core::Core;
use crate::socket::membership::{Audience, Membership};
use crate::socket::{Socket, call};
use crate::socketio::Args;

/// Sends events to sockets of a namespace, and asks things of them.
///
/// Made by [`Socket::to`](crate::Socket::to), [`SocketIo::to`](crate::SocketIo::to) and their kin; each
/// step gives a new operator, which may be cloned and kept. Several rooms are a union: a socket in two
/// of them gets the event once. An empty list of rooms is nobody. A socket's id is the name of a room
/// that holds this socket alone.
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
    membership: Arc<Membership>,
    audience: Audience,
    volatile: bool,
    compressed: bool,
    timeout: Option<Duration>,
}

impl Broadcast {
    pub(crate) fn new(membership: &Arc<Membership>, sender: Option<u64>) -> Self {
        Self::of(
            membership,
            Audience {
                sender,
                ..Audience::default()
            },
        )
    }

    /// Addresses one socket alone.
    pub(crate) fn alone(socket: &Arc<Core>) -> Self {
        Self::of(
            &socket.membership,
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
            volatile: false,
            compressed: true,
            timeout: None,
        }
    }

    /// Adds rooms to those who get the event.
    #[doc(alias = "in")]
    pub fn to(mut self, rooms: impl RoomNames) -> Self {
        rooms.add_to(self.audience.rooms.get_or_insert_default());
        self
    }

    /// The same as [`to`](Self::to).
    pub fn in_room(self, rooms: impl RoomNames) -> Self {
        self.to(rooms)
    }

    /// Leaves out the sockets of these rooms, or those with these ids.
    pub fn except(mut self, rooms: impl RoomNames) -> Self {
        rooms.add_to(&mut self.audience.except);
        self
    }

    /// Keeps to the sockets of this process. Without an adapter to other nodes these are all there are.
    pub fn local(self) -> Self {
        self
    }

    /// Drops the event for clients that have something waiting to be sent to them already, or are
    /// not connected yet: for what is of no use later, as a position. What is not dropped keeps its
    /// place among the other events.
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

    /// Sets whether the event is worth compressing; true by default. The answer to a poll is compressed
    /// where it is as long as [`Builder::http_compression`](crate::Builder::http_compression) says and
    /// at least one event in it is worth it. A WebSocket's frames never are.
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

    /// Sets how long acknowledgements may take; the server's `ack_timeout` (60 seconds by default)
    /// without it.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
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
        self.blocking_emit(event, data)
    }

    /// Does what [`emit`](Self::emit) does, for code that is not async. It never waits, so it may be
    /// called anywhere.
    ///
    /// # Errors
    ///
    /// As of [`emit`](Self::emit).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(io: actix_socketio::SocketIo) {
    /// std::thread::spawn(move || io.to("lobby").blocking_emit("progress", 100));
    /// # }
    /// ```
    pub fn blocking_emit<T>(&self, event: &str, data: T) -> Result<(), EmitError>
    where
        T: Serialize,
    {
        let packet = self.packet(None, event, &data)?;
        if self.volatile {
            self.membership.broadcast_volatile(&self.audience, &packet);
        } else {
            self.membership.broadcast(&self.audience, &packet);
        }
        Ok(())
    }

    /// Sends the event `message`.
    ///
    /// # Errors
    ///
    /// [`EmitError::Encode`]; nothing was sent to anybody then.
    pub async fn send<T: Serialize>(self, data: T) -> Result<(), EmitError> {
        self.blocking_emit(MESSAGE, data)
    }

    /// Sends an event to the one socket that is addressed, and waits for its acknowledgement. The
    /// answer is read as [`Data`](crate::Data) reads an event's arguments.
    ///
    /// # Errors
    ///
    /// Every variant of [`CallError`]; [`CallError::NotOneRecipient`] where nobody or several are
    /// addressed.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn run(io: actix_socketio::SocketIo, id: actix_socketio::SocketId) -> Result<(), actix_socketio::CallError> {
    /// let age: u32 = io.to(id).call("ask", "age").await?;
    /// # Ok(()) }
    /// ```
    pub async fn call<R>(self, event: &str, data: impl Serialize) -> Result<R, CallError>
    where
        R: DeserializeOwned,
    {
        let selected = self.membership.select(&self.audience);
        let [socket] = selected.as_slice() else {
            return Err(CallError::NotOneRecipient(selected.len()));
        };
        let limit = self.limit(socket);
        let args = call(socket, event, &data, limit).await?;
        args.read().map_err(CallError::Answer)
    }

    /// Sends an event to everyone addressed, and returns their acknowledgements as they come. The
    /// event is encoded once; who does not get it, since too many calls wait for it already or the event
    /// is volatile, counts as silent and is not waited for.
    ///
    /// # Errors
    ///
    /// [`EmitError::ReservedEvent`] and [`EmitError::Encode`]; nothing was sent to anybody then.
    pub async fn emit_with_ack<R>(
        self,
        event: &str,
        data: impl Serialize,
    ) -> Result<Answers<R>, EmitError> {
        let id = self.membership.next_ack();
        let packet = self.packet(Some(id), event, &data)?;
        let asked = self.membership.select(&self.audience);
        // With nobody to wait for any limit will do.
        let limit = asked
            .first()
            .map_or(Duration::ZERO, |socket| self.limit(socket));
        Ok(ask(asked, id, &packet, self.volatile, limit))
    }

    /// Asks everyone addressed, and returns what came, unread.
    pub(crate) async fn gather(
        self,
        event: &str,
        data: &Args,
    ) -> Result<crate::message::Gathered<Args>, EmitError> {
        let answers: Answers<()> = self.emit_with_ack(event, data).await?;
        Ok(answers.gather().await)
    }

    /// Returns the sockets addressed, each once.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn run(io: actix_socketio::SocketIo) {
    /// for socket in io.in_room("lobby").fetch_sockets().await {
    ///     println!("{} is in {:?}", socket.id(), socket.rooms());
    /// }
    /// # }
    /// ```
    pub async fn fetch_sockets(self) -> Vec<Socket> {
        let selected = self.membership.select(&self.audience);
        selected.into_iter().map(Socket::new).collect()
    }

    /// Returns how many sockets are addressed: at once for everybody and for one room, by counting
    /// for anything else.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(io: actix_socketio::SocketIo) {
    /// println!("{} in the lobby", io.to("lobby").count());
    /// # }
    /// ```
    #[must_use]
    pub fn count(&self) -> usize {
        self.membership.size(&self.audience)
    }

    /// Makes the sockets addressed join rooms. Returns how many did; one that was just leaving does not.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn run(io: actix_socketio::SocketIo) {
    /// let moved = io.to("lobby").sockets_join(["hall", "attic"]).await;
    /// # }
    /// ```
    pub async fn sockets_join(self, rooms: impl RoomNames) -> usize {
        let names = names(rooms);
        let selected = self.membership.select(&self.audience);
        let joins = |socket: &&Arc<Core>| {
            let mut joined = names.iter().map(|room| self.membership.join(socket, room));
            joined.all(|joined| joined.is_ok())
        };
        selected.iter().filter(joins).count()
    }

    /// Makes the sockets addressed leave rooms. Returns how many sockets were addressed.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn run(io: actix_socketio::SocketIo) {
    /// let moved = io.to("hall").sockets_leave("lobby").await;
    /// # }
    /// ```
    pub async fn sockets_leave(self, rooms: impl RoomNames) -> usize {
        let names = names(rooms);
        let selected = self.membership.select(&self.audience);
        for socket in &selected {
            for room in &names {
                self.membership.leave(socket, room);
            }
        }
        selected.len()
    }

    /// Disconnects the sockets addressed, as [`Socket::disconnect`] does. Returns how many there were.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn run(io: actix_socketio::SocketIo) {
    /// let gone = io.to("banned").disconnect_sockets(true).await;
    /// # }
    /// ```
    pub async fn disconnect_sockets(self, close: bool) -> usize {
        let selected = self.membership.select(&self.audience);
        for socket in &selected {
            socket.disconnect(close);
        }
        selected.len()
    }

    fn packet<T: Serialize>(
        &self,
        id: Option<u64>,
        event: &str,
        data: &T,
    ) -> Result<Outgoing, EmitError> {
        let recipient = self.audience.alone.as_ref().map(|socket| socket.id);
        let packet = self.membership.event(id, event, data, recipient)?;
        Ok(if self.compressed {
            packet
        } else {
            packet.without_compression()
        })
    }

    fn limit(&self, socket: &Core) -> Duration {
        self.timeout.unwrap_or(socket.link.config.ack_timeout)
    }
}

pub(crate) fn names(rooms: impl RoomNames) -> Vec<String> {
    let mut names = Vec::new();
    rooms.add_to(&mut names);
    names
}

/// The event that has no name in the program.
pub(crate) const MESSAGE: &str = "message";
