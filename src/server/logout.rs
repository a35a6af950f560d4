//! Logout by HTTP: a session store that notifies servers of the end of a session.
//!
//! The program's `SessionMiddleware` deletes a session through the store. The servers that watch
//! the store disconnect the sockets that were opened with that session. The sockets are found only
//! by the content of their handshake.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use actix_session::storage::{LoadError, SaveError, SessionKey, SessionStore, UpdateError};
use actix_web::cookie::time;

use crate::namespace::Registry;

/// A session store of `actix-session` that notifies servers of the end of a session. The program
/// gives it to its `SessionMiddleware`, to [`HttpSession::shared`](crate::HttpSession::shared) and
/// to [`HttpSession::disconnect_at_logout`](crate::HttpSession::disconnect_at_logout). All other
/// functions are those of the wrapped store. Needs the feature `session`.
///
/// # Examples
///
/// ```
/// use actix_session::SessionMiddleware;
/// use actix_session::storage::CookieSessionStore;
/// use actix_socketio::{HttpSession, LogoutStore, SocketIo};
/// use actix_web::App;
/// use actix_web::cookie::Key;
///
/// # #[actix_web::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // A store of a program would be a `RedisSessionStore`, or one of its own.
/// # #[derive(Clone, Default)] struct Kept;
/// # impl actix_session::storage::SessionStore for Kept {
/// #     async fn load(&self, _: &actix_session::storage::SessionKey)
/// #         -> Result<Option<std::collections::HashMap<String, String>>, actix_session::storage::LoadError>
/// #     { Ok(None) }
/// #     async fn save(&self, _: std::collections::HashMap<String, String>, _: &actix_web::cookie::time::Duration)
/// #         -> Result<actix_session::storage::SessionKey, actix_session::storage::SaveError>
/// #     { Ok(actix_session::storage::generate_session_key()) }
/// #     async fn update(&self, key: actix_session::storage::SessionKey, _: std::collections::HashMap<String, String>, _: &actix_web::cookie::time::Duration)
/// #         -> Result<actix_session::storage::SessionKey, actix_session::storage::UpdateError>
/// #     { Ok(key) }
/// #     async fn update_ttl(&self, _: &actix_session::storage::SessionKey, _: &actix_web::cookie::time::Duration) -> anyhow::Result<()> { Ok(()) }
/// #     async fn delete(&self, _: &actix_session::storage::SessionKey) -> anyhow::Result<()> { Ok(()) }
/// # }
/// let (store, key) = (LogoutStore::new(Kept::default()), Key::generate());
/// let session = HttpSession::shared(store.clone(), key.clone()).disconnect_at_logout(&store);
/// let io = SocketIo::builder().http_session(session).start()?;
/// let app = move || App::new().wrap(SessionMiddleware::new(store.clone(), key.clone()));
/// let serve = io.serve(app);
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[cfg_attr(docsrs, doc(cfg(feature = "session")))]
pub struct LogoutStore<S> {
    store: S,
    watchers: Watchers,
}

impl<S: SessionStore> LogoutStore<S> {
    /// Wraps a store.
    #[must_use]
    pub fn new(store: S) -> Self {
        Self {
            store,
            watchers: Watchers::default(),
        }
    }

    pub(super) fn watchers(&self) -> &Watchers {
        &self.watchers
    }
}

impl<S: SessionStore> SessionStore for LogoutStore<S> {
    async fn load(&self, key: &SessionKey) -> Result<Option<State>, LoadError> {
        self.store.load(key).await
    }

    async fn save(&self, state: State, ttl: &time::Duration) -> Result<SessionKey, SaveError> {
        self.store.save(state, ttl).await
    }

    async fn update(
        &self,
        key: SessionKey,
        state: State,
        ttl: &time::Duration,
    ) -> Result<SessionKey, UpdateError> {
        self.store.update(key, state, ttl).await
    }

    async fn update_ttl(&self, key: &SessionKey, ttl: &time::Duration) -> anyhow::Result<()> {
        self.store.update_ttl(key, ttl).await
    }

    async fn delete(&self, key: &SessionKey) -> anyhow::Result<()> {
        self.store.delete(key).await?;
        self.watchers.ended(key.as_ref());
        Ok(())
    }
}

impl<S> fmt::Debug for LogoutStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogoutStore").finish_non_exhaustive()
    }
}

/// A store's state: JSON texts by key.
type State = HashMap<String, String>;

/// The servers whose sockets are disconnected at the end of a session.
#[derive(Clone, Debug, Default)]
pub(super) struct Watchers(Arc<Mutex<Vec<Weak<Registry>>>>);

impl Watchers {
    pub(super) fn add(&self, server: &Arc<Registry>) {
        self.servers().push(Arc::downgrade(server));
    }

    fn servers(&self) -> MutexGuard<'_, Vec<Weak<Registry>>> {
        // No code panics while it is locked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ended(&self, key: &str) {
        let servers: Vec<_> = {
            let mut servers = self.servers();
            servers.retain(|server| server.strong_count() > 0);
            servers.iter().filter_map(Weak::upgrade).collect()
        };
        let namespaces = servers.iter().flat_map(|server| server.all());
        for socket in namespaces.flat_map(|namespace| namespace.membership.all()) {
            let opened_with = socket.link.handshake.get::<OpenedWith>();
            if opened_with.is_some_and(|opened_with| opened_with.0 == key) {
                socket.disconnect(true);
            }
        }
    }
}

/// The key of the HTTP session of a client's handshake.
pub(super) struct OpenedWith(pub(super) String);
