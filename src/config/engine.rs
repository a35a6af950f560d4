//! The options of sessions: heartbeat, transports and upgrades.

use std::time::Duration;

use crate::config::deflate::PerMessageDeflate;

/// The options that the sessions of Engine.IO read.
#[derive(Clone, Debug)]
pub(crate) struct EngineConfig {
    pub(crate) ping_interval: Duration,
    pub(crate) ping_timeout: Duration,
    pub(crate) upgrade_timeout: Duration,
    /// The time limit of a client's first poll after its handshake.
    pub(crate) first_poll_timeout: Option<Duration>,
    pub(crate) transports: Vec<Transport>,
    pub(crate) allow_upgrades: bool,
    /// Clients of the third revision of the protocol may connect.
    pub(crate) allow_eio3: bool,
    pub(crate) slow_client_policy: SlowClientPolicy,
    /// The compression of WebSocket messages, if it is on.
    pub(crate) per_message_deflate: Option<PerMessageDeflate>,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            upgrade_timeout: Duration::from_secs(10),
            first_poll_timeout: None,
            transports: vec![Transport::Polling, Transport::WebSocket],
            allow_upgrades: true,
            allow_eio3: false,
            slow_client_policy: SlowClientPolicy::Disconnect,
            per_message_deflate: None,
        }
    }
}

impl EngineConfig {
    pub(crate) fn allows(&self, transport: Transport) -> bool {
        self.transports.contains(&transport)
    }

    /// Engine.IO v4, Handshake: the transports to which a client may upgrade.
    pub(crate) fn upgrades(
        &self,
        transport: Transport,
        has_webtransport: bool,
    ) -> &'static [&'static str] {
        let can_upgrade = transport == Transport::Polling && self.allow_upgrades;
        match (self.allows(Transport::WebSocket), has_webtransport) {
            _ if !can_upgrade => &[],
            (true, true) => &["websocket", "webtransport"],
            (true, false) => &["websocket"],
            (false, true) => &["webtransport"],
            (false, false) => &[],
        }
    }

    /// Returns the time limit of a silent client.
    pub(crate) fn silence_limit(&self) -> Duration {
        self.ping_interval + self.ping_timeout
    }
}

/// The transport of a session.
///
/// # Examples
///
/// ```
/// use actix_socketio::{SocketIo, Transport};
///
/// let builder = SocketIo::builder().transports([Transport::WebSocket]);
/// assert_eq!(Transport::WebSocket.as_str(), "websocket");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// HTTP long-polling: a GET waits for the server's packets, a POST carries the client's
    /// packets.
    Polling,
    /// One WebSocket for both directions.
    WebSocket,
    /// A response that sends events to a client, which sends nothing: see
    /// [`Builder::server_sent_events`](crate::Builder::server_sent_events).
    ServerSentEvents,
    /// A stream of HTTP/3 for both directions. `AppServer::webtransport` (feature `webtransport`)
    /// switches it on, whatever [`Builder::transports`](crate::Builder::transports) has.
    WebTransport,
}

impl Transport {
    /// Returns the transport's name: `polling`, `websocket` or `webtransport` as in the protocol, or
    /// `sse`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::WebSocket => "websocket",
            Self::ServerSentEvents => "sse",
            Self::WebTransport => "webtransport",
        }
    }
}

/// The policy for a slow client whose outbox is full.
///
/// # Examples
///
/// ```
/// use actix_socketio::{SlowClientPolicy, SocketIo};
///
/// let builder = SocketIo::builder()
///     .outbox_limit(64 * 1024)
///     .slow_client_policy(SlowClientPolicy::Drop);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlowClientPolicy {
    /// The client is disconnected with [`DisconnectReason::OutboxFull`](crate::DisconnectReason).
    #[default]
    Disconnect,
    /// The packet that does not fit is dropped, whether event or acknowledgement, and the client
    /// stays connected. If a CONNECT, CONNECT_ERROR or DISCONNECT does not fit, the client is
    /// disconnected: its view of the socket would be wrong.
    Drop,
}
