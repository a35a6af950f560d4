//! HTTP sessions of `actix-session` on the socket: copied at the handshake, or shared by a store.
//!
//! The request of a handshake enters, the client's [`Session`] leaves. Cookies are only read here;
//! the program's `SessionMiddleware` writes them.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_session::SessionExt;
use actix_session::config::CookieContentSecurity;
use actix_session::storage::{LoadError, SessionKey, SessionStore};
use actix_web::HttpRequest;
use actix_web::cookie::{Key, time};
use log::Level;
use serde_json::Value;
use tokio::time::timeout;

use crate::data::{self, Changes, Done, Entries, Session};
use crate::error::SessionError;
use crate::handshake::Extensions;
use crate::logging::{LogKind, LogLimits, Quoted};
use crate::server::logout::{LogoutStore, OpenedWith, Watchers};
use crate::server::session_cookie::{Cookie, Fit, has_session};

/// The use of a client's HTTP session on its sockets, for
/// [`Builder::http_session`](crate::Builder::http_session). Needs the feature `session`.
///
/// In both cases the App is wrapped in the `SessionMiddleware` of `actix-session`.
///
/// A page of any origin may open a WebSocket, and the browser sends the cookie if its `SameSite`
/// allows it: `Lax`, the middleware's default, and `Strict` exclude pages of other sites. If other
/// pages of the same site are not trusted, or the cookie has `SameSite=None`, check the `Origin` in
/// [`allow_request`](crate::Builder::allow_request).
///
/// # Examples
///
/// ```
/// use actix_session::SessionMiddleware;
/// use actix_session::storage::CookieSessionStore;
/// use actix_socketio::{HttpSession, Session, SessionError, SocketIo};
/// use actix_web::App;
/// use actix_web::cookie::Key;
///
/// # #[actix_web::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let io = SocketIo::builder().http_session(HttpSession::copy()).start()?;
/// io.of("/").on("whoami", |session: Session| async move {
///     session.get::<String>("user")
/// });
/// let key = Key::generate();
/// let app = move || App::new().wrap(SessionMiddleware::new(CookieSessionStore::default(), key.clone()));
/// let serve = io.serve(app);
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[cfg_attr(docsrs, doc(cfg(feature = "session")))]
pub struct HttpSession {
    kind: Kind,
    /// `true` if the check against the program's middleware is done: it matches, or the log says
    /// that it does not.
    is_settled: Arc<AtomicBool>,
}

#[derive(Clone)]
enum Kind {
    Copy,
    Shared(Arc<Shared>),
}

impl HttpSession {
    /// Copies the client's HTTP session into its [`Session`] at the handshake. Later changes on one
    /// side are not visible on the other, and a client that logs out by HTTP must be disconnected,
    /// or reconnect.
    ///
    /// The log has one warning if the App is not wrapped in a `SessionMiddleware`: sessions are
    /// then empty at the start.
    #[must_use]
    pub fn copy() -> Self {
        Self::new(Kind::Copy)
    }

    fn new(kind: Kind) -> Self {
        Self {
            kind,
            is_settled: Arc::default(),
        }
    }

    /// Makes the client's [`Session`] the HTTP session itself. It is loaded from the store before
    /// each handler, and the changes are saved after it, key by key. So HTTP handlers and socket
    /// handlers see each other's changes, and the next event after a logout by HTTP has no session.
    ///
    /// `store` and `key` are those of the program's `SessionMiddleware`; the key of the session is
    /// read from the cookie of the handshake. If the middleware was built with other options than
    /// its defaults, set them here too: [`cookie_name`](Self::cookie_name),
    /// [`cookie_content_security`](Self::cookie_content_security), [`state_ttl`](Self::state_ttl).
    ///
    /// * Handlers of a client start in the order of its events, each after its load. They share the
    ///   session: a waiting handler sees the values that a later one has loaded or changed.
    /// * An acknowledgement is sent after the changes are saved. An acknowledgement by
    ///   [`Ack`](crate::Ack) does not wait, nor does an actor to which an event is forwarded: its
    ///   changes are saved after the next handler.
    /// * If the store fails, panics or takes longer than 5 s, the handler is not called, and a
    ///   connecting client is refused. A disconnect handler is called all the same.
    /// * A client may have had no session at the handshake, or its session was purged or renewed
    ///   since. Then each event starts with an empty session, and inserted values are dropped,
    ///   because only a response can set the necessary cookie. The client has to reconnect.
    ///   [`disconnect_at_logout`](Self::disconnect_at_logout) disconnects it instead.
    /// * The log has one warning if the middleware can read a client's session but this server
    ///   cannot, because the name, the key or the security of the cookie differ.
    /// * With `CookieSessionStore` the values are in the cookie itself: each event sees those of
    ///   the handshake, and changes are dropped.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use actix_session::SessionMiddleware;
    /// use actix_session::storage::RedisSessionStore;
    /// use actix_socketio::{HttpSession, SocketIo};
    /// use actix_web::App;
    /// use actix_web::cookie::Key;
    ///
    /// # #[actix_web::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = RedisSessionStore::new("redis://127.0.0.1:6379").await?;
    /// let key = Key::generate();
    /// let io = SocketIo::builder()
    ///     .http_session(HttpSession::shared(store.clone(), key.clone()))
    ///     .start()?;
    /// let app = move || App::new().wrap(SessionMiddleware::new(store.clone(), key.clone()));
    /// io.serve(app).bind(("127.0.0.1", 3000))?.run().await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn shared<S>(store: S, key: Key) -> Self
    where
        S: SessionStore + Send + Sync + 'static,
    {
        Self::new(Kind::Shared(Arc::new(Shared {
            store: Arc::new(store),
            cookie: Cookie {
                name: "id".to_owned(),
                security: CookieContentSecurity::Private,
                key,
            },
            state_ttl: time::Duration::days(1),
            watchers: None,
        })))
    }

    /// Disconnects a client when its HTTP session ends: if an HTTP handler purges or renews it, or
    /// the store deletes it for another reason. `store` is the store of [`shared`](Self::shared)
    /// and of the program's `SessionMiddleware`. A copy has no store and is not affected.
    ///
    /// A client of this process is disconnected at once from all its namespaces, and its connection
    /// is closed; an official client does not reconnect by itself. In a cluster a client of another
    /// process is disconnected at its next event, which is refused. Instead of this option, or in
    /// addition, a program may put each client into a room of its user and call
    /// [`disconnect_sockets`](crate::Broadcast::disconnect_sockets) at the logout.
    #[must_use]
    pub fn disconnect_at_logout<S: SessionStore>(self, store: &LogoutStore<S>) -> Self {
        self.with(|shared| shared.watchers = Some(store.watchers().clone()))
    }

    /// Sets the name of the cookie; `id` by default, as in the middleware. A copy does not use it.
    #[must_use]
    pub fn cookie_name(self, name: impl Into<String>) -> Self {
        self.with(|shared| shared.cookie.name = name.into())
    }

    /// Sets whether the cookie is encrypted, the default, or signed. A copy does not use it.
    #[must_use]
    pub fn cookie_content_security(self, security: CookieContentSecurity) -> Self {
        self.with(|shared| shared.cookie.security = security)
    }

    /// Sets the lifetime of a session in the store after a change on a socket; a day by default.
    /// Events without changes do not prolong it. A copy does not use it.
    #[must_use]
    pub fn state_ttl(self, ttl: Duration) -> Self {
        let ttl = time::Duration::try_from(ttl).unwrap_or(time::Duration::MAX);
        self.with(|shared| shared.state_ttl = ttl)
    }

    /// Returns `true` if sessions are in a store.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self.kind, Kind::Shared(_))
    }

    /// Returns the watchers of sessions that end.
    pub(super) fn watchers(&self) -> Option<&Watchers> {
        match &self.kind {
            Kind::Shared(shared) => shared.watchers.as_ref(),
            Kind::Copy => None,
        }
    }

    /// Starts the session of a client with this handshake.
    pub(crate) fn begin(&self, request: &HttpRequest, extensions: &mut Extensions) {
        if !self.is_settled.load(Ordering::Relaxed) {
            self.settle(request);
        }
        let session = match &self.kind {
            Kind::Copy => Session::of(values(&request.get_session().entries())),
            Kind::Shared(shared) => {
                let key = shared.cookie.session_key(request);
                if let (Some(key), Some(_)) = (&key, &shared.watchers) {
                    extensions.insert(OpenedWith(key.clone()));
                }
                Session::lying_in(Box::new(StoredSession {
                    key,
                    shared: Arc::clone(shared),
                    was_there: Arc::default(),
                }))
            }
        };
        extensions.insert(session);
    }

    /// Checks whether the options match the program's middleware, and logs once if they do not.
    fn settle(&self, request: &HttpRequest) {
        let fit = match &self.kind {
            Kind::Copy if has_session(request) => Fit::Right,
            Kind::Copy => Fit::Wrong(
                "HttpSession::copy: a request did not pass the SessionMiddleware of actix-session, so \
                 its session is empty: wrap the App in the middleware"
                    .to_owned(),
            ),
            Kind::Shared(shared) => shared.cookie.fit(request),
        };
        let fault = match fit {
            Fit::Right => None,
            Fit::Unknown => return,
            Fit::Wrong(fault) => Some(fault),
        };
        let was_settled = self.is_settled.swap(true, Ordering::Relaxed);
        if let (Some(fault), false) = (fault, was_settled) {
            log::warn!("{fault}");
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Shared)) -> Self {
        if let Kind::Shared(shared) = &mut self.kind {
            change(Arc::make_mut(shared));
        }
        self
    }
}

impl fmt::Debug for HttpSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Copy => f.write_str("Copy"),
            Kind::Shared(shared) => f
                .debug_struct("Shared")
                .field("cookie_name", &shared.cookie.name)
                .finish_non_exhaustive(),
        }
    }
}

/// The store, and the names of its sessions in cookies.
#[derive(Clone)]
struct Shared {
    store: Arc<dyn AnyStore>,
    cookie: Cookie,
    state_ttl: time::Duration,
    /// If set, a client is disconnected at the end of its session.
    watchers: Option<Watchers>,
}

/// One client's session in the store.
struct StoredSession {
    shared: Arc<Shared>,
    key: Option<String>,
    /// `true` if the store has had it.
    was_there: Arc<AtomicBool>,
}

impl data::SessionStore for StoredSession {
    fn load(&self) -> Done<Entries> {
        let Some(key) = self.key.clone() else {
            return Box::pin(async { Ok(Entries::new()) });
        };
        let (shared, was_there) = (Arc::clone(&self.shared), Arc::clone(&self.was_there));
        Box::pin(async move {
            let loading = async { shared.store.load(session_key(key)?).await };
            let loaded = guarded("load", STORE_LIMIT, loading).await;
            let state = loaded.ok_or(SessionError::NotLoaded)?;
            if state.is_some() {
                was_there.store(true, Ordering::Relaxed);
            } else if shared.watchers.is_some() && was_there.load(Ordering::Relaxed) {
                return Err(SessionError::Ended);
            }
            Ok(state.as_ref().map(values).unwrap_or_default())
        })
    }

    fn save(&self, changes: Changes) -> Done<()> {
        let Some(key) = self.key.clone() else {
            log::debug!(
                "HTTP session not saved, changes dropped: the client has no session cookie"
            );
            return Box::pin(async { Ok(()) });
        };
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let saving = shared.save(key, changes);
            let saved = guarded("save", STORE_LIMIT, saving).await;
            saved.ok_or(SessionError::NotSaved)
        })
    }
}

impl Shared {
    async fn save(&self, key: String, changes: Changes) -> Result<(), String> {
        // Loaded again: the state from before the handler may be outdated, and a client that has
        // logged out since must not be logged in again.
        let Some(mut state) = self.store.load(session_key(key.clone())?).await? else {
            log::debug!("HTTP session not saved, changes dropped: the session has ended");
            return Ok(());
        };
        apply(&changes, &mut state);
        let named = session_key(key.clone())?;
        let kept_as = self.store.update(named, state, self.state_ttl).await?;
        if kept_as.as_ref() != key {
            // The store uses a key that the client will never receive: the session has ended in the
            // meantime, or is in the cookie.
            log::debug!("HTTP session not saved, changes dropped: the store has changed its key");
            self.store.delete(kept_as).await?;
        }
        Ok(())
    }
}

/// A store's state: JSON texts by key.
type State = HashMap<String, String>;

/// Any [`SessionStore`], whatever its futures are; errors are texts for the log.
trait AnyStore: Send + Sync {
    fn load(&self, key: SessionKey) -> Answer<'_, Option<State>>;
    fn update(&self, key: SessionKey, state: State, ttl: time::Duration) -> Answer<'_, SessionKey>;
    fn delete(&self, key: SessionKey) -> Answer<'_, ()>;
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, String>> + 'a>>;

impl<S: SessionStore + Send + Sync> AnyStore for S {
    fn load(&self, key: SessionKey) -> Answer<'_, Option<State>> {
        Box::pin(async move {
            match SessionStore::load(self, &key).await {
                Ok(state) => Ok(state),
                // As in the middleware: unreadable data are ignored.
                Err(LoadError::Deserialization(error)) => {
                    let line =
                        format_args!("HTTP session cannot be read, it counts as empty: {error:#}");
                    store_failed(Level::Warn, line);
                    Ok(Some(State::new()))
                }
                Err(LoadError::Other(error)) => Err(format!("{error:#}")),
            }
        })
    }

    fn update(&self, key: SessionKey, state: State, ttl: time::Duration) -> Answer<'_, SessionKey> {
        Box::pin(async move {
            let updated = SessionStore::update(self, key, state, &ttl).await;
            updated.map_err(|error| format!("{error}: {:?}", std::error::Error::source(&error)))
        })
    }

    fn delete(&self, key: SessionKey) -> Answer<'_, ()> {
        Box::pin(async move {
            let deleted = SessionStore::delete(self, &key).await;
            deleted.map_err(|error| format!("{error:#}"))
        })
    }
}

/// Waits for a store, with a time limit; errors are logged. The caller catches its panics.
async fn guarded<T>(
    what: &str,
    limit: Duration,
    work: impl Future<Output = Result<T, String>>,
) -> Option<T> {
    match timeout(limit, work).await {
        Ok(Ok(value)) => return Some(value),
        Ok(Err(error)) => {
            store_failed(
                Level::Error,
                format_args!("session store: {what} failed: {error}"),
            );
        }
        Err(_) => store_failed(
            Level::Error,
            format_args!("session store: {what} timed out after {limit:?}"),
        ),
    }
    None
}

/// Each event of each client may cause this line while the store fails.
fn store_failed(level: Level, line: fmt::Arguments<'_>) {
    LogLimits::of_process().write(LogKind::Store, level, line);
}

fn session_key(text: String) -> Result<SessionKey, String> {
    SessionKey::try_from(text).map_err(|error| error.to_string())
}

/// Reads a store's state.
fn values(state: &State) -> Entries {
    let value = |(key, text): (&String, &String)| match serde_json::from_str::<Value>(text) {
        Ok(value) => Some((key.clone(), value)),
        Err(error) => {
            let key = Quoted(key);
            let line = format_args!("HTTP session value {key} is omitted, it is not JSON: {error}");
            store_failed(Level::Warn, line);
            None
        }
    };
    state.iter().filter_map(value).collect()
}

/// Makes the changes, and leaves every other text unchanged.
fn apply(changes: &Changes, state: &mut State) {
    if changes.cleared {
        state.clear();
    }
    for (key, value) in &changes.values {
        match value {
            Some(value) => state.insert(key.clone(), value.to_string()),
            None => state.remove(key),
        };
    }
}

/// The time limit of a store.
const STORE_LIMIT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use serde_json::json;

    use super::*;

    #[actix_rt::test]
    async fn failed_store_call_gives_no_value() {
        let short = Duration::from_millis(1);
        assert_eq!(guarded("load", STORE_LIMIT, ready(Ok(1))).await, Some(1));
        let failed: Result<(), String> = Err("out of order".into());
        assert_eq!(guarded("load", STORE_LIMIT, ready(failed)).await, None);
        assert_eq!(guarded::<()>("load", short, pending()).await, None);
    }

    #[test]
    fn unchanged_values_keep_their_text() {
        let entry = |key: &str, text: &str| (key.to_owned(), text.to_owned());
        // Numbers that change if they are read, and a text that is not JSON.
        let untouched = [entry("big", "123456789012345678901"), entry("odd", "{")];
        let mut state: State = untouched.iter().cloned().collect();
        state.extend([entry("n", "1"), entry("gone", "1")]);
        let mut changes = Changes::default();
        changes
            .values
            .insert("n".into(), Some(json!({ "a": [1, "x"] })));
        changes.values.insert("gone".into(), None);
        apply(&changes, &mut state);
        let mut expected: State = untouched.into_iter().collect();
        expected.extend([entry("n", r#"{"a":[1,"x"]}"#)]);
        assert_eq!(state, expected);
        assert!(!values(&state).contains_key("odd"));
        changes.cleared = true;
        apply(&changes, &mut state);
        assert_eq!(state, State::from([entry("n", r#"{"a":[1,"x"]}"#)]));
    }

    #[test]
    fn options_are_for_shared_sessions() {
        let copy = HttpSession::copy().cookie_name("who");
        assert!(!copy.is_shared());
        assert_eq!(format!("{copy:?}"), "Copy");
        let store = actix_session::storage::CookieSessionStore::default();
        let shared = HttpSession::shared(store, Key::generate());
        let shared = shared.cookie_name("who").state_ttl(Duration::MAX);
        assert!(shared.is_shared());
        assert!(format!("{shared:?}").starts_with(r#"Shared { cookie_name: "who""#));
    }
}
