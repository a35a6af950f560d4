//! The limits and switches of a server, set once by its builder and shared by all its parts.
//!
//! Each limit names its subject, each time is a `Duration`. The defaults are those of the Node.js
//! server if it has the option. The module holds values only.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::handshake::{Origin, OriginError, OriginPattern, TrustedProxies};
use crate::logging::LogLimits;
use crate::socketio::PacketLimits;

/// The options of a server.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The path of the server; begins and ends with a slash.
    pub(crate) path: String,
    pub(crate) ping_interval: Duration,
    pub(crate) ping_timeout: Duration,
    pub(crate) upgrade_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    /// The default timeout of a call's acknowledgement.
    pub(crate) ack_timeout: Duration,
    /// Bytes in a polling body or a WebSocket message from the client.
    pub(crate) max_payload: usize,
    /// Bytes that may wait in a session's outbox.
    pub(crate) outbox_limit: usize,
    /// The size limit of a packet to a client, in bytes.
    pub(crate) packet_limit: usize,
    /// The time limit of an emit to one socket for room in its outbox.
    pub(crate) emit_timeout: Duration,
    pub(crate) slow_client_policy: SlowClientPolicy,
    /// The number of waiting handlers of one client.
    pub(crate) max_concurrent_handlers: usize,
    /// The number of bytes of events of these handlers from which reading pauses.
    pub(crate) handlers_bytes: usize,
    /// Bytes of the head of a client's first request.
    pub(crate) handshake_limit: usize,
    /// Bytes of a CONNECT payload.
    pub(crate) auth_limit: usize,
    /// The time limit of a handler after its socket has ended.
    pub(crate) handler_grace: Option<Duration>,
    /// The number of calls to one socket that wait for an acknowledgement.
    pub(crate) pending_calls: usize,
    /// Attachments of one binary packet.
    pub(crate) attachments: usize,
    /// The time limit for the arrival of the attachments of one binary packet.
    pub(crate) attachments_timeout: Duration,
    /// The number of namespaces that one client may connect to.
    pub(crate) namespaces_per_session: usize,
    /// Bytes of the name of a namespace that a pattern makes for a client.
    pub(crate) namespace_name_limit: usize,
    /// The number of namespaces of patterns that remain after their last client has left.
    pub(crate) kept_namespaces: usize,
    /// The number of rooms of one socket.
    pub(crate) rooms_per_socket: usize,
    /// Bytes of the name of a room that a socket may join.
    pub(crate) room_name_limit: usize,
    pub(crate) transports: Vec<Transport>,
    pub(crate) allow_upgrades: bool,
    pub(crate) session_scope: SessionScope,
    /// `true` if clients may have sessions in a store.
    pub(crate) stored_sessions: bool,
    /// The time window of connection state recovery.
    pub(crate) recovery: Option<Duration>,
    pub(crate) recovery_skips_middleware: bool,
    /// The number of bytes of events that a namespace keeps for recovery.
    pub(crate) recovery_limit: usize,
    pub(crate) cors: Option<Cors>,
    pub(crate) trusted_proxies: TrustedProxies,
    /// The size from which the response to a poll is compressed, in bytes.
    pub(crate) http_compression: Option<usize>,
    pub(crate) client_files: Option<PathBuf>,
    /// The rate limits of log lines that clients cause.
    pub(crate) line_limits: Arc<LogLimits>,
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
            packet_limit: PacketLimits::DEFAULT.bytes,
            emit_timeout: Duration::from_secs(10),
            slow_client_policy: SlowClientPolicy::Disconnect,
            max_concurrent_handlers: 128,
            handlers_bytes: 4 << 20,
            handshake_limit: 16 << 10,
            auth_limit: 64 << 10,
            handler_grace: Some(HANDLER_GRACE),
            pending_calls: 1024,
            attachments: PacketLimits::DEFAULT.attachments,
            attachments_timeout: Duration::from_secs(60),
            namespaces_per_session: 32,
            namespace_name_limit: 1024,
            kept_namespaces: 10_000,
            rooms_per_socket: 1000,
            room_name_limit: 1024,
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
            line_limits: LogLimits::new(),
        }
    }

    /// Returns the size limits of a packet to a client.
    pub(crate) fn packets(&self) -> PacketLimits {
        PacketLimits {
            attachments: self.attachments,
            bytes: self.packet_limit,
        }
    }

    /// Returns an error that names an invalid option and the reason.
    pub(crate) fn check(&self) -> Result<(), String> {
        let path = &self.path;
        // These characters have a meaning in a router's patterns, or do not appear in a URL's path.
        let is_wrong = |character: char| "{}*?#%\\".contains(character) || character.is_control();
        if let Some(wrong) = path.chars().find(|character| is_wrong(*character)) {
            return Err(format!(
                "path {path:?} cannot be served: it contains {wrong:?}"
            ));
        }
        let inner = path
            .strip_prefix('/')
            .and_then(|path| path.strip_suffix('/'));
        let mut segments = inner.unwrap_or_default().split('/');
        if path != "/" && segments.any(|segment| matches!(segment, "" | "." | "..")) {
            return Err(format!(
                "path {path:?} cannot be served: no client sends a segment that is empty, `.` or `..`"
            ));
        }
        match self.cors.as_ref().and_then(|cors| cors.fault.as_ref()) {
            Some(fault) => Err(format!("Cors::origins: {fault}")),
            None => Ok(()),
        }
    }

    pub(crate) fn allows(&self, transport: Transport) -> bool {
        self.transports.contains(&transport)
    }

    /// Returns the time limit of a silent client.
    pub(crate) fn silence_limit(&self) -> Duration {
        self.ping_interval + self.ping_timeout
    }
}

/// The default time limit of a handler after its socket has ended.
const HANDLER_GRACE: Duration = Duration::from_secs(30);

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

/// The scope of a [`Session`](crate::Session).
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
    /// A client has one session for all its namespaces.
    #[default]
    Client,
    /// A client has one session in each of its namespaces, from one CONNECT to the next.
    Namespace,
}

/// The pages of other origins that may use the server.
///
/// Without it no CORS header is sent. Browsers then prevent pages of other origins from polling,
/// but not from opening a WebSocket: a client must authenticate by its CONNECT payload
/// ([`Auth`](crate::Auth)), not by a cookie. With a list of origins the server itself refuses
/// requests of other origins with 403, on both transports ([`refuse_others`](Self::refuse_others)).
///
/// # Examples
///
/// ```
/// use actix_socketio::Cors;
///
/// let anyone = Cors::any();
/// let ours = Cors::origins(["https://app.example"]).credentials(true);
/// ```
#[derive(Clone)]
pub struct Cors {
    /// Every origin is allowed.
    pub(crate) any: bool,
    patterns: Vec<OriginPattern>,
    pub(crate) predicates: Vec<Arc<OriginPredicate>>,
    /// An entry that is not an origin; the server does not start with it.
    fault: Option<OriginError>,
    pub(crate) credentials: bool,
    refuses: Option<bool>,
}

type OriginPredicate = dyn Fn(&str) -> bool + Send + Sync;

impl Cors {
    /// Allows every origin, without credentials.
    #[must_use]
    pub fn any() -> Self {
        Self {
            any: true,
            ..Self::none()
        }
    }

    /// Allows these origins and no others; an empty list allows none.
    ///
    /// | entry | allows |
    /// | --- | --- |
    /// | `https://app.example`, `http://localhost:3000` | this origin; case, a slash at the end and the scheme's own port do not matter |
    /// | `https://*.example.com` | all hosts below `example.com`, not `example.com` itself |
    /// | `null` | pages without an origin, such as sandboxed frames |
    /// | `file://` | pages of web views that send it |
    /// | `*` | every origin, as [`any`](Self::any) |
    ///
    /// Any other entry is an error at the server's start, which names the entry.
    #[must_use]
    pub fn origins<I, O>(origins: I) -> Self
    where
        I: IntoIterator<Item = O>,
        O: Into<String>,
    {
        let mut cors = Self::none();
        for origin in origins {
            let origin = origin.into();
            if origin.trim() == "*" {
                cors.any = true;
                continue;
            }
            match OriginPattern::parse(&origin) {
                Ok(pattern) => cors.patterns.push(pattern),
                Err(error) => cors.fault = cors.fault.or(Some(error)),
            }
        }
        cors
    }

    /// Also allows the origins for which `predicate` returns true. Its argument is the value of the
    /// `Origin` header as received. If it panics the origin is not allowed.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::Cors;
    ///
    /// let cors = Cors::origins(["https://app.example"])
    ///     .allow_if(|origin| origin.starts_with("http://localhost:"));
    /// ```
    #[must_use]
    pub fn allow_if(mut self, predicate: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.predicates.push(Arc::new(predicate));
        self
    }

    /// Sets whether requests of pages of other origins are answered with 403, including WebSockets.
    /// By default they are, unless every origin is allowed. A request without an `Origin` header,
    /// and one from the server's own pages, is accepted.
    ///
    /// The server's own origin is that of the `Host` header, or of `X-Forwarded-Host` from one of
    /// the [`trusted_proxies`](crate::Builder::trusted_proxies).
    #[must_use]
    pub fn refuse_others(mut self, refused: bool) -> Self {
        self.refuses = Some(refused);
        self
    }

    pub(crate) fn refuses(&self) -> bool {
        !self.any && self.refuses.unwrap_or(true)
    }

    /// Returns `true` if an origin is in the list.
    pub(crate) fn lists(&self, origin: &str) -> bool {
        let read = Origin::parse(origin).ok();
        let fits = |pattern: &OriginPattern| pattern.fits(origin, read.as_ref());
        self.any || self.patterns.iter().any(fits)
    }

    fn none() -> Self {
        Self {
            any: false,
            patterns: Vec::new(),
            predicates: Vec::new(),
            fault: None,
            credentials: false,
            refuses: None,
        }
    }

    /// Allows cookies and HTTP authentication (`Access-Control-Allow-Credentials`).
    #[must_use]
    pub fn credentials(mut self, allowed: bool) -> Self {
        self.credentials = allowed;
        self
    }
}

impl fmt::Debug for Cors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cors")
            .field("any", &self.any)
            .field("patterns", &self.patterns)
            .field("predicates", &self.predicates.len())
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}
