//! A program's handle for all namespaces together.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Weak};

use crate::handler::Handlers;
use crate::namespace::Registry;
use crate::server::Namespace;

/// All namespaces together: named ones, those of patterns, and future ones.
/// [`SocketIo::all_namespaces`](crate::SocketIo::all_namespaces) returns it.
///
/// It derefs to its [`Handlers`]. A handler registered here is called in each namespace, in addition
/// to the namespace's own:
///
/// | registered for | order |
/// | --- | --- |
/// | middleware, event middleware, connect handlers, `on_any` | for all first, then the namespace's own |
/// | an event | the namespace's own first, and they answer; then those for all |
/// | disconnect handlers | the namespace's own first, then those for all |
///
/// `off` removes handlers that were registered here, not those of a namespace.
/// [`SocketIo::on_error_default`](crate::SocketIo::on_error_default) takes the place of `on_error`.
///
/// # Examples
///
/// ```
/// use actix_socketio::{Auth, ConnectError, Socket, SocketIo};
///
/// #[derive(serde::Deserialize)]
/// struct Login { token: Option<String> }
///
/// async fn known(Auth(login): Auth<Login>) -> Result<(), ConnectError> {
///     login.token.map(|_| ()).ok_or(ConnectError::new("log in first"))
/// }
///
/// fn register(io: &SocketIo) {
///     io.all_namespaces()
///         .middleware(known)
///         .on("where", |socket: Socket| async move { socket.namespace().to_owned() });
///     io.of("/chat").on("message", || async {});
/// }
/// ```
#[derive(Clone)]
pub struct AllNamespaces {
    registry: Arc<Registry>,
}

impl AllNamespaces {
    pub(crate) fn new(registry: &Arc<Registry>) -> Self {
        Self {
            registry: Arc::clone(registry),
        }
    }

    /// Returns the existing namespaces, in any order.
    #[must_use]
    pub fn namespaces(&self) -> Vec<Namespace> {
        let all = self.registry.all();
        let registry = Arc::downgrade(&self.registry);
        let namespace = |state| Namespace::new(state, Weak::clone(&registry));
        all.into_iter().map(namespace).collect()
    }
}

impl Deref for AllNamespaces {
    type Target = Handlers;

    fn deref(&self) -> &Handlers {
        &self.registry.common
    }
}

impl fmt::Debug for AllNamespaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AllNamespaces").finish_non_exhaustive()
    }
}
