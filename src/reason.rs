//! Why a session ended, and why a socket left its namespace.
//!
//! The texts are those of the Node.js server, which programs compare with; reasons that it has no
//! word for have one of their own.

use std::fmt;

use serde::{Serialize, Serializer};

/// Why a session ended: the Engine.IO side of a client, with all its sockets.
///
/// # Examples
///
/// ```
/// use actix_socketio::CloseReason;
///
/// assert_eq!(CloseReason::ServerShuttingDown.as_str(), "server shutting down");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The client closed its transport, or asked for the session to be closed.
    TransportClose,
    /// The transport broke, or broke the rules of Engine.IO.
    TransportError,
    /// The client did not answer a ping in time, or has stopped reading.
    PingTimeout,
    /// The client sent a message with more bytes than
    /// [`Builder::max_payload`](crate::Builder::max_payload) allows, or a packet whose attachments
    /// have more.
    MessageTooLarge,
    /// The client sent something that is no Engine.IO packet.
    ParseError,
    /// The client sent something that Socket.IO does not allow.
    ForcedClose,
    /// The program closed the session.
    ForcedServerClose,
    /// The server is being closed.
    ServerShuttingDown,
    /// The client read more slowly than the server sent.
    OutboxFull,
    /// The session's actor panicked.
    Crashed,
}

impl CloseReason {
    /// Returns the reason's text, as `transport close`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TransportClose => "transport close",
            Self::TransportError => "transport error",
            Self::PingTimeout => "ping timeout",
            Self::MessageTooLarge => "message too large",
            Self::ParseError => "parse error",
            Self::ForcedClose => "forced close",
            Self::ForcedServerClose => "forced server close",
            Self::ServerShuttingDown => "server shutting down",
            Self::OutboxFull => "outbox full",
            Self::Crashed => "session crashed",
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a socket left its namespace; the extractor of an `on_disconnect` handler.
///
/// # Examples
///
/// ```
/// use actix_socketio::{CloseReason, DisconnectReason, Socket};
///
/// async fn left(socket: Socket, reason: DisconnectReason) {
///     if reason == DisconnectReason::Session(CloseReason::PingTimeout) {
///         log::info!("{} was silent for too long", socket.id());
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The client left this namespace.
    ClientNamespaceDisconnect,
    /// The program made the socket leave.
    ServerNamespaceDisconnect,
    /// The whole session ended.
    Session(CloseReason),
}

impl DisconnectReason {
    /// Returns the reason's text, as `client namespace disconnect`.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{CloseReason, DisconnectReason};
    ///
    /// let reason = DisconnectReason::Session(CloseReason::PingTimeout);
    /// assert_eq!(reason.as_str(), "ping timeout");
    /// ```
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientNamespaceDisconnect => "client namespace disconnect",
            Self::ServerNamespaceDisconnect => "server namespace disconnect",
            Self::Session(reason) => reason.as_str(),
        }
    }
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for DisconnectReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
