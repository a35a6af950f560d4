//! Sending to the clients of a cluster from a process that is not a node.

use std::sync::Arc;

use serde::Serialize;

use crate::adapter::broker::DirectPublisher;
use crate::adapter::format::Format;
use crate::cluster::{
    ClusterError, EmitFlags, EventPayload, Message, Scope, is_reserved_between_servers,
};
use crate::error::EmitError;
use crate::message::{RoomNames, namespace_name, room_names};
use crate::socketio::{Args, PacketLimits, is_reserved};

/// Sends events to the clients of a cluster from any program: a job, a command line, another
/// service. It has no clients and answers no questions.
///
/// It is a cheap handle. It connects at its first message, and reconnects after an outage of the broker;
/// calls in the meantime fail, so that the program knows it. The timeout of a connection is five
/// seconds, and that of a response is five seconds. If the connection breaks before the response, a
/// call may fail although it was executed.
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
    /// Makes an emitter that publishes messages of this format. A broker's options call it.
    pub(crate) fn with(format: Arc<dyn Format>, publisher: Box<dyn DirectPublisher>) -> Self {
        Self {
            shared: Arc::new(Shared { format, publisher }),
            namespace: "/".to_owned(),
            packets: PacketLimits::DEFAULT,
        }
    }

    /// Selects another namespace; `/` by default. The leading slash is optional.
    #[must_use]
    pub fn of(&self, namespace: &str) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            namespace: namespace_name(namespace),
            ..*self
        }
    }

    /// Sets the maximal number of attachments of an event; 10 by default. Servers drop events that
    /// exceed their own [`Builder::max_attachments`](crate::Builder::max_attachments).
    #[must_use]
    pub fn max_attachments(mut self, attachments: usize) -> Self {
        self.packets.attachments = attachments;
        self
    }

    /// Sets the maximal size of an event including its attachments, in bytes; 16 MiB by default.
    /// Servers drop events that exceed their own
    /// [`Builder::packet_limit`](crate::Builder::packet_limit).
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

    /// Addresses all sockets of the namespace except those of these rooms, or with these ids.
    pub fn except(&self, rooms: impl RoomNames) -> EmitterBroadcast {
        self.everyone().except(rooms)
    }

    /// Addresses all sockets of the namespace.
    pub fn everyone(&self) -> EmitterBroadcast {
        EmitterBroadcast {
            emitter: self.clone(),
            scope: Scope::default(),
            is_nobody: false,
            flags: EmitFlags::default(),
        }
    }

    /// Sends an event to all sockets of the namespace.
    ///
    /// # Errors
    ///
    /// The same as of [`EmitterBroadcast::emit`].
    pub async fn emit<T: Serialize>(&self, event: &str, data: T) -> Result<(), EmitError> {
        self.everyone().emit(event, data).await
    }

    /// Sends an event to the servers' programs, which receive it by
    /// [`Namespace::on_server_side`](crate::Namespace::on_server_side).
    ///
    /// # Errors
    ///
    /// The same as of [`EmitterBroadcast::emit`]; the reserved names are those of
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

    /// Removes all members from a room of the namespace.
    ///
    /// # Errors
    ///
    /// The same as of [`EmitterBroadcast::sockets_join`].
    pub async fn close_room(&self, room: impl Into<String>) -> Result<(), ClusterError> {
        self.tell(&Message::CloseRoom { room: room.into() }).await
    }

    /// Sends a message, and waits for the response of the broker.
    async fn tell(&self, message: &Message) -> Result<(), ClusterError> {
        let shared = &self.shared;
        let envelopes = shared.format.encode(&self.namespace, message)?;
        // No envelopes, for example if a socket joins no rooms.
        if envelopes.is_empty() {
            return Ok(());
        }
        Ok(shared.publisher.publish(envelopes).await?)
    }
}

/// The recipients of an event of an [`Emitter`].
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
    /// Adds rooms to the recipients.
    pub fn to(mut self, rooms: impl RoomNames) -> Self {
        rooms.add_to(&mut self.scope.rooms);
        self.is_nobody = self.scope.rooms.is_empty();
        self
    }

    /// Excludes the sockets of these rooms, or those with these ids.
    pub fn except(mut self, rooms: impl RoomNames) -> Self {
        rooms.add_to(&mut self.scope.except);
        self
    }

    /// Drops the event for clients whose outbox is not empty.
    pub fn volatile(mut self) -> Self {
        self.flags.volatile = true;
        self
    }

    /// Sets whether the event is worth compressing; true by default.
    pub fn compress(mut self, compressed: bool) -> Self {
        self.flags.uncompressed = !compressed;
        self
    }

    /// Sends an event; returns after the response of the broker. A tuple is sent as that many arguments,
    /// `()` as none, any other type as one.
    ///
    /// # Errors
    ///
    /// [`EmitError::ReservedEvent`] and [`EmitError::Encode`], and [`EmitError::Cluster`] if
    /// the broker is unreachable or the format does not support it.
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
    /// [`ClusterError`] if the broker is unreachable or the format does not support it: that of
    /// Flask-SocketIO supports only single sockets.
    pub async fn sockets_join(self, rooms: impl RoomNames) -> Result<(), ClusterError> {
        let rooms = room_names(rooms);
        self.tell(|scope| Message::Join { scope, rooms }).await
    }

    /// Makes the sockets addressed leave rooms.
    ///
    /// # Errors
    ///
    /// The same as of [`sockets_join`](Self::sockets_join).
    pub async fn sockets_leave(self, rooms: impl RoomNames) -> Result<(), ClusterError> {
        let rooms = room_names(rooms);
        self.tell(|scope| Message::Leave { scope, rooms }).await
    }

    /// Disconnects the sockets addressed; with `close` it closes their clients' whole sessions.
    ///
    /// # Errors
    ///
    /// The same as of [`sockets_join`](Self::sockets_join).
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
