//! The options of sockets: the times of calls and handlers, their data, and recovery.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::user::UserPolicy;

use crate::id::ClientIds;

/// The options that sockets and their handlers read.
#[derive(Clone, Debug)]
pub(crate) struct SocketConfig {
    pub(crate) connect_timeout: Duration,
    /// The event that gives a client the reason for its disconnect.
    pub(crate) disconnect_event: Cow<'static, str>,
    /// The event that warns a client of the end of its login.
    pub(crate) expiry_event: Cow<'static, str>,
    /// The time before the end at which it is sent; zero for never.
    pub(crate) expiry_warning: Duration,
    /// The rule for several sockets of one user, if a namespace has no other.
    pub(crate) user_policy: UserPolicy,
    /// The default timeout of a call's acknowledgement.
    pub(crate) ack_timeout: Duration,
    /// The time limit of an emit to one socket for room in its outbox.
    pub(crate) emit_timeout: Duration,
    /// The time limit for the arrival of the attachments of one binary packet.
    pub(crate) attachments_timeout: Duration,
    /// The time limit of a handler after its socket has ended.
    pub(crate) handler_grace: Option<Duration>,
    pub(crate) session_scope: SessionScope,
    /// `true` if clients may have sessions in a store.
    pub(crate) stored_sessions: bool,
    /// The time window of connection state recovery.
    pub(crate) recovery: Option<Duration>,
    pub(crate) recovery_skips_middleware: bool,
    /// Set by the Admin UI: other nodes then get the id and the transport of each client.
    pub(crate) client_ids: Arc<OnceLock<ClientIds>>,
}

impl Default for SocketConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(45),
            disconnect_event: Cow::Borrowed("disconnect_reason"),
            expiry_event: Cow::Borrowed("login_expiring"),
            expiry_warning: Duration::from_secs(30),
            user_policy: UserPolicy::default(),
            ack_timeout: Duration::from_secs(60),
            emit_timeout: Duration::from_secs(10),
            attachments_timeout: Duration::from_secs(60),
            handler_grace: Some(Duration::from_secs(30)),
            session_scope: SessionScope::Client,
            stored_sessions: false,
            recovery: None,
            recovery_skips_middleware: true,
            client_ids: Arc::default(),
        }
    }
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
