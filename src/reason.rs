//! The reasons for the end of a session, and for a socket's disconnect from its namespace.
//!
//! The texts are those of the Node.js server, because programs compare them. Reasons that it does
//! not have use texts of this crate.
//!
//! `session/state.rs` closes a session with its reason, and writes the line of the log. The reasons
//! are decided in these files:
//!
//! | reason | file |
//! | --- | --- |
//! | transport close, transport error, parse error | `session/state.rs`; for polls `session/handle.rs` and `transport/polling.rs` |
//! | ping timeout, first poll timeout | `session/machine.rs` |
//! | message too large | `session/state.rs`; for attachments `client/refusing.rs` |
//! | too many attachments | `client/refusing.rs` |
//! | attachments timeout | `client/assembling.rs` |
//! | connect timeout | `client/sockets.rs` |
//! | recovery limit, superseded | `members/returning.rs`; of the socket `members/recovery/log.rs` |
//! | reconnect requested | `members/farewell.rs` |
//! | forced close | `client/refusing.rs`, `client/sockets.rs`, `client/assembling.rs` |
//! | rate limit exceeded | `client/rates.rs` |
//! | outbox full | `link/session_link.rs` |
//! | server shutting down | `session/engine.rs` |
//! | session panicked | `session/actor.rs` |
//! | login expired | `client/expiring.rs` |
//! | superseded by a newer login | `socket/users.rs` |
//! | client and server namespace disconnect | `client/sockets.rs`; `members/socket.rs` |

use std::fmt;

use serde::{Serialize, Serializer};

/// The reason why a session ended: the Engine.IO side of a client, with all its sockets.
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
    /// The client closed its transport, or requested the end of the session.
    TransportClose,
    /// The transport broke, or violated the protocol of Engine.IO.
    TransportError,
    /// The client did not answer a ping in time, or stopped reading.
    PingTimeout,
    /// The client did not poll within
    /// [`Builder::first_poll_timeout`](crate::Builder::first_poll_timeout) after its handshake.
    FirstPollTimeout,
    /// The client sent more than a [`RateLimit`](crate::RateLimit) with the policy
    /// [`RatePolicy::Disconnect`](crate::RatePolicy::Disconnect) allows.
    RateExceeded,
    /// The client sent a message larger than [`Builder::max_payload`](crate::Builder::max_payload),
    /// or a packet with larger attachments.
    MessageTooLarge,
    /// The client sent a packet with more attachments than
    /// [`Builder::max_attachments`](crate::Builder::max_attachments).
    TooManyAttachments,
    /// The attachments of a packet did not arrive within
    /// [`Builder::attachments_timeout`](crate::Builder::attachments_timeout).
    AttachmentsTimeout,
    /// The client did not connect to a namespace within
    /// [`Builder::connect_timeout`](crate::Builder::connect_timeout).
    ConnectTimeout,
    /// Events that the client had missed were dropped because of
    /// [`Builder::recovery_limit`](crate::Builder::recovery_limit) while it was being recovered.
    RecoveryLimit,
    /// The client has reconnected by another connection, before the server detected the end of
    /// this one.
    Superseded,
    /// The program disconnected the client with
    /// [`DisconnectNotice::reconnect`](crate::DisconnectNotice::reconnect).
    ReconnectRequested,
    /// The client sent data that is not an Engine.IO packet.
    ParseError,
    /// The client sent a packet that violates the Socket.IO protocol.
    ForcedClose,
    /// The program closed the session.
    ForcedServerClose,
    /// The server is closing.
    ServerShuttingDown,
    /// The outbox was full: the client was slower than the server.
    OutboxFull,
    /// The session's actor panicked.
    Panicked,
}

impl CloseReason {
    /// Returns the reason's text, for example `transport close`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TransportClose => "transport close",
            Self::TransportError => "transport error",
            Self::PingTimeout => "ping timeout",
            Self::FirstPollTimeout => "first poll timeout",
            Self::RateExceeded => "rate limit exceeded",
            Self::MessageTooLarge => "message too large",
            Self::TooManyAttachments => "too many attachments",
            Self::AttachmentsTimeout => "attachments timeout",
            Self::ConnectTimeout => "connect timeout",
            Self::RecoveryLimit => "recovery limit",
            Self::Superseded => "superseded",
            Self::ReconnectRequested => "reconnect requested",
            Self::ParseError => "parse error",
            Self::ForcedClose => "forced close",
            Self::ForcedServerClose => "forced server close",
            Self::ServerShuttingDown => "server shutting down",
            Self::OutboxFull => "outbox full",
            Self::Panicked => "session panicked",
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The reason why a socket left its namespace; an extractor of `on_disconnect` handlers.
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
    /// The client disconnected from this namespace.
    ClientNamespaceDisconnect,
    /// The program disconnected the socket. [`Socket::disconnect_notice`](crate::Socket::disconnect_notice) returns
    /// the reason that it gave.
    ServerNamespaceDisconnect,
    /// The client's login has expired; see [`Socket::expires_at`](crate::Socket::expires_at).
    LoginExpired,
    /// A newer login of the same user has taken the socket's place; see
    /// [`UserPolicy`](crate::UserPolicy).
    NewerLogin,
    /// The whole session ended.
    Session(CloseReason),
}

impl DisconnectReason {
    /// Returns the reason's text, for example `client namespace disconnect`.
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
            Self::LoginExpired => "login expired",
            Self::NewerLogin => "superseded by a newer login",
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
