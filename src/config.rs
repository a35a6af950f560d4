//! The numbers and switches of a server, set once by its builder and shared by all that runs in it.
//!
//! Every limit says what it limits, every time is a `Duration`. The defaults are those of the
//! Node.js server where it has the option. Nothing here does anything.

use std::path::PathBuf;
use std::time::Duration;

use crate::handshake::TrustedProxies;

/// What a server was built with.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Where the server is mounted; begins and ends with a slash.
    pub(crate) path: String,
    pub(crate) ping_interval: Duration,
    pub(crate) ping_timeout: Duration,
    pub(crate) upgrade_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    /// How long a call waits for its acknowledgement unless it says otherwise.
    pub(crate) ack_timeout: Duration,
    /// Bytes in a polling body or a WebSocket message from the client.
    pub(crate) max_payload: usize,
    /// Bytes that may wait in a session's outbox.
    pub(crate) outbox_limit: usize,
    pub(crate) overflow: Overflow,
    /// Handlers of one client that may be waiting for something at the same time.
    pub(crate) handlers_in_flight: usize,
    /// Calls to one socket that may wait for their acknowledgement at the same time.
    pub(crate) pending_calls: usize,
    /// Attachments of one binary packet.
    pub(crate) attachments: usize,
    /// How long the attachments of one binary packet may take to arrive.
    pub(crate) attachments_timeout: Duration,
    /// Namespaces that one client may join.
    pub(crate) namespaces_per_session: usize,
    pub(crate) transports: Vec<Transport>,
    pub(crate) allow_upgrades: bool,
    pub(crate) session_scope: SessionScope,
    /// Clients may have sessions that lie in a store.
    pub(crate) stored_sessions: bool,
    /// How long a client may be away that comes back.
    pub(crate) recovery: Option<Duration>,
    pub(crate) recovery_skips_middleware: bool,
    /// Bytes of events that a namespace keeps for them.
    pub(crate) recovery_limit: usize,
    pub(crate) cors: Option<Cors>,
    pub(crate) trusted_proxies: TrustedProxies,
    /// Bytes from which on what a poll brings is compressed.
    pub(crate) http_compression: Option<usize>,
    pub(crate) client_files: Option<PathBuf>,
}

impl Config {
    pub(crate) fn new(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            upgrade_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(45),
            ack_timeout: Duration::from_secs(60),
            max_payload: 1_000_000,
            outbox_limit: 1 << 20,
            overflow: Overflow::Disconnect,
            handlers_in_flight: 128,
            pending_calls: 1024,
            attachments: 10,
            attachments_timeout: Duration::from_secs(60),
            namespaces_per_session: 32,
            transports: vec![Transport::Polling, Transport::WebSocket],
            allow_upgrades: true,
            session_scope: SessionScope::Client,
            stored_sessions: false,
            recovery: None,
            recovery_skips_middleware: true,
            recovery_limit: 16 << 20,
            cors: None,
            trusted_proxies: TrustedProxies::default(),
            http_compression: Some(1024),
            client_files: None,
        }
    }

    pub(crate) fn allows(&self, transport: Transport) -> bool {
        self.transports.contains(&transport)
    }

    /// Returns how long a silent client may live.
    pub(crate) fn silence_limit(&self) -> Duration {
        self.ping_interval + self.ping_timeout
    }
}

/// How the bytes of a session travel.
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
    /// HTTP long-polling: a GET waits for what the server sends, a POST carries what the client
    /// sends.
    Polling,
    /// One WebSocket for both directions.
    WebSocket,
}

impl Transport {
    /// Returns the transport's name in the protocol: `polling` or `websocket`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::WebSocket => "websocket",
        }
    }
}

/// What happens to a client that reads more slowly than the server sends, once its outbox is full.
///
/// # Examples
///
/// ```
/// use actix_socketio::{Overflow, SocketIo};
///
/// let builder = SocketIo::builder().outbox_limit(64 * 1024).overflow(Overflow::Drop);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// The client is disconnected with [`DisconnectReason::OutboxFull`](crate::DisconnectReason).
    #[default]
    Disconnect,
    /// The packet that no longer fits is dropped, be it an event or an acknowledgement, and the
    /// client stays. Where not even a CONNECT, its refusal or a DISCONNECT fits, the client is
    /// disconnected all the same: it would not know where it stands.
    Drop,
}

/// Who shares a [`Session`](crate::Session).
///
/// # Examples
///
/// ```
/// use actix_socketio::{SessionScope, SocketIo};
///
/// let builder = SocketIo::builder().session_scope(SessionScope::Namespace);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionScope {
    /// A client has one session in all its namespaces.
    #[default]
    Client,
    /// A client has a session of its own in each of its namespaces, from one CONNECT to the next.
    Namespace,
}

/// Which pages of other origins a browser lets talk to the server.
///
/// Without it no CORS header is sent, and browsers keep pages of other origins from polling. No
/// browser applies any of this to a WebSocket, which a page of any origin may open: who a client is
/// has to be shown by its CONNECT payload ([`Auth`](crate::Auth)), not by a cookie.
///
/// # Examples
///
/// ```
/// use actix_socketio::Cors;
///
/// let anyone = Cors::any();
/// let ours = Cors::origins(["https://app.example"]).credentials(true);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// `None` stands for every origin.
    pub(crate) origins: Option<Vec<String>>,
    pub(crate) credentials: bool,
}

impl Cors {
    /// Allows every origin, without credentials.
    #[must_use]
    pub fn any() -> Self {
        Self {
            origins: None,
            credentials: false,
        }
    }

    /// Allows these origins (`scheme://host[:port]`) and no others; an empty list allows none.
    #[must_use]
    pub fn origins<I, O>(origins: I) -> Self
    where
        I: IntoIterator<Item = O>,
        O: Into<String>,
    {
        Self {
            origins: Some(origins.into_iter().map(Into::into).collect()),
            credentials: false,
        }
    }

    /// Lets cookies and HTTP authentication through (`Access-Control-Allow-Credentials`).
    #[must_use]
    pub fn credentials(mut self, allowed: bool) -> Self {
        self.credentials = allowed;
        self
    }
}
