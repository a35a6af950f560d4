//! A program's handle for all namespaces together.

use std::fmt;
use std::sync::{Arc, Weak};

use crate::handler::{NamespaceContext, SharedTable};
use crate::namespace::Registry;
use crate::server::Namespace;
use crate::server::registration::registration;

/// All namespaces together: named ones, those of patterns, and future ones.
/// [`SocketIo::all_namespaces`](crate::SocketIo::all_namespaces) returns it.
///
/// A handler registered here is called in each namespace, in addition to the namespace's own:
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
    context: Arc<NamespaceContext>,
}

impl AllNamespaces {
    pub(crate) fn new(registry: &Arc<Registry>) -> Self {
        Self {
            registry: Arc::clone(registry),
            context: Arc::new(NamespaceContext::common(&registry.server_context)),
        }
    }

    registration!();

    /// Returns the existing namespaces, in any order.
    #[must_use]
    pub fn namespaces(&self) -> Vec<Namespace> {
        let all = self.registry.all();
        let registry = Arc::downgrade(&self.registry);
        let namespace = |core| Namespace::new(core, Weak::clone(&registry));
        all.into_iter().map(namespace).collect()
    }

    /// Returns the table of the handlers.
    fn handlers(&self) -> (&SharedTable, &NamespaceContext) {
        (&self.registry.common, &self.context)
    }
}

impl fmt::Debug for AllNamespaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AllNamespaces").finish_non_exhaustive()
    }
}
