//! Sending to the clients of a cluster from a process that is no node of it.

use std::sync::Arc;

use serde::Serialize;

use crate::adapter::RedisAdapter;
use crate::adapter::broker::DirectPublisher;
use crate::adapter::format::Format;
use crate::cluster::{
    ClusterError, EmitFlags, EventPayload, Message, Scope, is_reserved_between_servers,
};
use crate::error::EmitError;
use crate::message::{RoomNames, namespace_name};
use crate::socketio::{Args, PacketLimits, is_reserved};

/// Sends events to the clients of a cluster from anywhere: a job, a command line, another service.
/// It has no clients and answers nothing.
///
/// It is a cheap handle. It connects when it first sends, and again when Redis was away; calls in the
/// meantime fail, so that the job knows. Redis may take five seconds to accept a connection, and five
/// to answer. A call that fails may have been done all the same, if the connection broke before the
/// answer.
///
/// # Examples
///
/// ```no_run
/// use actix_socketio::{EmitError, Emitter, RedisAdapter};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let emitter = Emitter::new(RedisAdapter::classic("redis://127.0.0.1:6379")?);
/// emitter.to("job-7").emit("progress", 50).await?;
/// emitter.of("/admin").emit("done", "job-7").await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Emitter {
    shared: Arc<Shared>,
    namespace: String,
    packets: PacketLimits,
}

#[derive(Debug)]
struct Shared {
    format: Arc<dyn Format>,
    publisher: Box<dyn DirectPublisher>,
}

impl Emitter {
    /// Speaks to the cluster whose nodes have this adapter.
    #[must_use]
    pub fn new(adapter: RedisAdapter) -> Self {
        let (format, publisher) = adapter.emitter(EMITTER);
        Self {
            shared: Arc::new(Shared { format, publisher }),
            namespace: "/".to_owned(),
            packets: PacketLimits::DEFAULT,
        }
    }

    /// Speaks of another namespace; without it of `/`. A slash in front may be left out.
    #[must_use]
    pub fn of(&self, namespace: &str) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            namespace: namespace_name(namespace),
            ..*self
        }
    }

    /// Sets how many attachments an event may have; 10 by default, as of
    /// [`Builder::max_attachments`](crate::Builder::max_attachments) of the servers, which drop
    /// events with more than they allow.
    #[must_use]
    pub fn max_attachments(mut self, attachments: usize) -> Self {
        self.packets.attachments = attachments;
        self
    }

    /// Sets how many bytes an event may have, its attachments too; 16 MiB by default, as of
    /// [`Builder::packet_limit`](crate::Builder::packet_limit) of the servers, which drop events
    /// that are larger than they allow.
    #[must_use]
    pub fn packet_limit(mut self, bytes: usize) -> Self {
        self.packets.bytes = bytes;
        self
    }

    /// Addresses rooms, or sockets by their ids.
    pub fn to(&self, rooms: impl RoomNames) -> EmitterBroadcast {
        self.everyone().to(rooms)
    }

    /// The same as [`to`](Self::to).
    pub fn in_room(&self, rooms: impl RoomNames) -> EmitterBroadcast {
        self.to(rooms)
    }

    /// Addresses everyone in the namespace but the sockets of these rooms, or with these ids.
    pub fn except(&self, rooms: impl RoomNames) -> EmitterBroadcast {
        self.everyone().except(rooms)
    }

    /// Addresses everyone in the namespace.
    pub fn everyone(&self) -> EmitterBroadcast {
        EmitterBroadcast {
            emitter: self.clone(),
            scope: Scope::default(),
            is_nobody: false,
            flags: EmitFlags::default(),
        }
    }

    /// Sends an event to everyone in the namespace.
    ///
    /// # Errors
    ///
    /// As of [`EmitterBroadcast::emit`].
    pub async fn emit<T: Serialize>(&self, event: &str, data: T) -> Result<(), EmitError> {
        self.everyone().emit(event, data).await
    }

    /// Sends an event to the servers' programs, which hear it by
    /// [`Namespace::on_server_side`](crate::Namespace::on_server_side).
    ///
    /// # Errors
    ///
    /// As of [`EmitterBroadcast::emit`]; the names that are reserved are others, as of
    /// [`Namespace::server_side_emit`](crate::Namespace::server_side_emit).
    pub async fn server_side_emit<T: Serialize>(
        &self,
        event: &str,
        data: T,
    ) -> Result<(), EmitError> {
        if is_reserved_between_servers(event) {
            return Err(EmitError::ReservedEvent(event.to_owned()));
        }
        let args = Args::from_value(&data)?;
        let message = Message::ServerSide(EventPayload::new(event, &args));
        Ok(self.tell(&message).await?)
    }

    /// Makes everyone leave a room of the namespace.
    ///
    /// # Errors
    ///
    /// As of [`EmitterBroadcast::sockets_join`].
    pub async fn close_room(&self, room: impl Into<String>) -> Result<(), ClusterError> {
        self.tell(&Message::CloseRoom { room: room.into() }).await
    }

    /// Waits until Redis has what it is told.
    async fn tell(&self, message: &Message) -> Result<(), ClusterError> {
        let shared = &self.shared;
        let envelopes = shared.format.encode(&self.namespace, message)?;
        // To join no rooms: each takes an envelope.
        if envelopes.is_empty() {
            return Ok(());
        }
        Ok(shared.publisher.publish(envelopes).await?)
    }
}

/// Says who gets an event of an [`Emitter`] before saying which.
///
/// # Examples
///
/// ```no_run
/// # async fn run(emitter: actix_socketio::Emitter) -> Result<(), actix_socketio::EmitError> {
/// emitter.to(["lobby", "hall"]).except("muted").emit("news", "hello").await
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before `emit`"]
pub struct EmitterBroadcast {
    emitter: Emitter,
    scope: Scope,
    /// An empty list of rooms was named.
    is_nobody: bool,
    flags: EmitFlags,
}

impl EmitterBroadcast {
    /// Adds rooms to those who get the event.
    pub fn to(mut self, rooms: impl RoomNames) -> Self {
        rooms.add_to(&mut self.scope.rooms);
        self.is_nobody = self.scope.rooms.is_empty();
        self
    }

    /// Leaves out the sockets of these rooms, or those with these ids.
    pub fn except(mut self, rooms: impl RoomNames) -> Self {
        rooms.add_to(&mut self.scope.except);
        self
    }

    /// Drops the event for clients that have something waiting to be sent to them already.
    pub fn volatile(mut self) -> Self {
        self.flags.volatile = true;
        self
    }

    /// Sets whether the event is worth compressing; true by default.
    pub fn compress(mut self, compressed: bool) -> Self {
        self.flags.uncompressed = !compressed;
        self
    }

    /// Sends an event; returns when Redis has it. A tuple is sent as that many arguments, `()` as
    /// none, anything else as one.
    ///
    /// # Errors
    ///
    /// [`EmitError::ReservedEvent`] and [`EmitError::Encode`], and [`EmitError::Cluster`] if
    /// Redis cannot be reached or the format has no word for it.
    pub async fn emit<T: Serialize>(self, event: &str, data: T) -> Result<(), EmitError> {
        if is_reserved(event) {
            return Err(EmitError::ReservedEvent(event.to_owned()));
        }
        let args = Args::from_value(&data)?;
        args.check(self.emitter.packets)?;
        let (content, flags) = (EventPayload::new(event, &args), self.flags);
        self.tell(|scope| Message::Emit {
            content,
            scope,
            flags,
        })
        .await?;
        Ok(())
    }

    /// Makes the sockets addressed join rooms.
    ///
    /// # Errors
    ///
    /// [`ClusterError`] if Redis cannot be reached or the format has no word for it: that of
    /// Flask-SocketIO has one for single sockets only.
    pub async fn sockets_join(self, rooms: impl RoomNames) -> Result<(), ClusterError> {
        let rooms = names(rooms);
        self.tell(|scope| Message::Join { scope, rooms }).await
    }

    /// Makes the sockets addressed leave rooms.
    ///
    /// # Errors
    ///
    /// As of [`sockets_join`](Self::sockets_join).
    pub async fn sockets_leave(self, rooms: impl RoomNames) -> Result<(), ClusterError> {
        let rooms = names(rooms);
        self.tell(|scope| Message::Leave { scope, rooms }).await
    }

    /// Disconnects the sockets addressed, with `close` their clients' whole sessions.
    ///
    /// # Errors
    ///
    /// As of [`sockets_join`](Self::sockets_join).
    pub async fn disconnect_sockets(self, close: bool) -> Result<(), ClusterError> {
        self.tell(|scope| Message::Disconnect { scope, close })
            .await
    }

    async fn tell(self, message: impl FnOnce(Scope) -> Message) -> Result<(), ClusterError> {
        if self.is_nobody {
            return Ok(());
        }
        self.emitter.tell(&message(self.scope)).await
    }
}

fn names(rooms: impl RoomNames) -> Vec<String> {
    let mut names = Vec::new();
    rooms.add_to(&mut names);
    names
}

/// The name that emitters of all kinds sign with: no node has it.
const EMITTER: &str = "emitter";
