//! The options of the Admin UI, and the errors of invalid ones.

use std::error::Error;
use std::fmt;

/// The options of [`SocketIo::instrument`](crate::SocketIo::instrument).
///
/// # Examples
///
/// ```
/// use actix_socketio::{AdminMode, AdminOptions};
///
/// // The hash of a password, for example by `htpasswd -nBC 10 admin`.
/// let hash = "$2b$10$heqvAkYMez.Va6Et2uXInOnkCT6/uQj1brkrbyG3LpopDklcq7ZOS";
/// let options = AdminOptions::basic_auth("admin", hash)
///     .mode(AdminMode::Development)
///     .read_only(true);
/// ```
#[derive(Clone)]
#[must_use = "the options do nothing before `SocketIo::instrument`"]
pub struct AdminOptions {
    pub(super) credentials: Option<Credentials>,
    pub(super) namespace: String,
    pub(super) mode: AdminMode,
    pub(super) read_only: bool,
    pub(super) login_attempts: u32,
    pub(super) server_id: Option<String>,
    #[cfg(feature = "redis")]
    pub(super) session_store: Option<String>,
}

/// The login of the administrators.
#[derive(Clone)]
pub(super) struct Credentials {
    pub(super) username: String,
    /// A bcrypt hash.
    pub(super) password: String,
}

impl AdminOptions {
    /// Admits everybody who knows a username and a password. `hash` is the bcrypt hash of the
    /// password: its check costs about 2 to the power of its cost, so choose 10 to 12.
    ///
    /// A page that has logged in keeps a session id, with which it connects for a day without the
    /// password. Ten failed logins in a row are checked for an address, then one each six seconds;
    /// see [`login_attempts`](Self::login_attempts).
    pub fn basic_auth(username: impl Into<String>, hash: impl Into<String>) -> Self {
        Self::with(Some(Credentials {
            username: username.into(),
            password: hash.into(),
        }))
    }

    /// Admits everybody who can reach the server. Use it only if the program checks its clients
    /// before, for example by [`allow_request`](crate::Builder::allow_request).
    pub fn without_auth() -> Self {
        Self::with(None)
    }

    /// Sets the namespace of the page; `/admin` by default.
    pub fn namespace(mut self, name: impl Into<String>) -> Self {
        self.namespace = name.into();
        self
    }

    /// Sets the amount of information; [`AdminMode::Production`] by default.
    pub fn mode(mut self, mode: AdminMode) -> Self {
        self.mode = mode;
        self
    }

    /// If `true`, the page can change nothing; `false` by default. The server then refuses the
    /// commands, whatever a client sends.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Sets the number of failed logins in a row that are checked for an address, or for an IPv6
    /// network of 64 bits; 10 by default. Afterwards one is checked each six seconds.
    /// [`Builder::on_limit`](crate::Builder::on_limit) sees each refused login as
    /// [`Limit::LoginAttempts`](crate::Limit::LoginAttempts).
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::AdminOptions;
    ///
    /// let hash = "$2b$10$heqvAkYMez.Va6Et2uXInOnkCT6/uQj1brkrbyG3LpopDklcq7ZOS";
    /// let options = AdminOptions::basic_auth("admin", hash).login_attempts(3);
    /// ```
    pub fn login_attempts(mut self, attempts: u32) -> Self {
        self.login_attempts = attempts;
        self
    }

    /// Sets the name of this server in the page. It must differ between the servers of a cluster. By
    /// default it is the host's name and the number of the process, `host#1234`.
    pub fn server_id(mut self, id: impl Into<String>) -> Self {
        self.server_id = Some(id.into());
        self
    }

    /// Keeps the session ids of pages in Redis, as the `RedisStore` of the Node.js package does, so
    /// that a page stays logged in on every server of a cluster and after a restart. By default a
    /// server keeps them in its memory.
    #[cfg(feature = "redis")]
    #[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
    pub fn redis_store(mut self, url: impl Into<String>) -> Self {
        self.session_store = Some(url.into());
        self
    }

    fn with(credentials: Option<Credentials>) -> Self {
        Self {
            credentials,
            namespace: "/admin".to_owned(),
            mode: AdminMode::default(),
            read_only: false,
            login_attempts: LOGIN_ATTEMPTS,
            server_id: None,
            #[cfg(feature = "redis")]
            session_store: None,
        }
    }
}

impl fmt::Debug for AdminOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminOptions")
            .field("namespace", &self.namespace)
            .field("mode", &self.mode)
            .field("read_only", &self.read_only)
            .finish_non_exhaustive()
    }
}

/// The default number of failed logins of an address.
const LOGIN_ATTEMPTS: u32 = 10;

/// The amount of information for the Admin UI.
///
/// | mode | contents | cost |
/// | --- | --- | --- |
/// | `Production` | servers, numbers of clients and sockets, packets and bytes in time | one message each two seconds |
/// | `Development` | also each socket, its rooms and its data, and each event with its arguments | one message for each change, event and recipient |
///
/// # Examples
///
/// ```
/// use actix_socketio::AdminMode;
///
/// assert_eq!(AdminMode::default(), AdminMode::Production);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AdminMode {
    /// Statistics only.
    #[default]
    Production,
    /// Everything. It shows the handshakes, the data and the events of clients, so it is for tests.
    Development,
}

/// The reason why [`SocketIo::instrument`](crate::SocketIo::instrument) has failed.
///
/// # Examples
///
/// ```
/// use actix_socketio::{AdminError, AdminOptions, SocketIo};
///
/// let io = SocketIo::builder().start()?;
/// let error = io.instrument(AdminOptions::basic_auth("admin", "secret")).unwrap_err();
/// assert_eq!(error, AdminError::InvalidHash);
/// # Ok::<(), actix_socketio::StartError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AdminError {
    /// The password is not a bcrypt hash.
    InvalidHash,
    /// The URL of the session store is invalid; the text says why.
    InvalidStore(String),
    /// The server has an Admin UI already.
    Instrumented,
}

impl fmt::Display for AdminError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidHash => f.write_str(
                "the password of the Admin UI is not a bcrypt hash: hash it first, for example by \
                 `htpasswd -nB`",
            ),
            Self::InvalidStore(cause) => {
                write!(f, "the Redis URL of the Admin UI is invalid: {cause}")
            }
            Self::Instrumented => f.write_str("the server has an Admin UI already"),
        }
    }
}

impl Error for AdminError {}
