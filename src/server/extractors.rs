//! The server and the namespace as arguments of handlers.
//!
//! A handler has access to its socket and to the states of the builder. So the server is one of
//! these states, by weak references, because it owns the states.

use std::sync::{Arc, OnceLock, Weak};

use crate::error::Rejection;
use crate::handler::{CallContext, Extract};
use crate::namespace::{Registry, ServerAddress};
use crate::server::{Namespace, SocketIo};
use crate::session::Engine;
use crate::transport::Hooks;

/// The server of a handler.
#[derive(Debug, Default)]
pub(super) struct Home(OnceLock<Parts>);

#[derive(Debug)]
struct Parts {
    engine: Weak<Engine>,
    registry: Weak<Registry>,
    server: ServerAddress,
    hooks: Arc<Hooks>,
}

impl Home {
    /// Sets the server, once.
    pub(super) fn set(&self, io: &SocketIo) {
        // A builder starts one server only.
        let _ = self.0.set(Parts {
            engine: Arc::downgrade(&io.engine),
            registry: Arc::downgrade(&io.registry),
            server: io.server.clone(),
            hooks: Arc::clone(&io.hooks),
        });
    }

    fn server(&self) -> Option<SocketIo> {
        let parts = self.0.get()?;
        Some(SocketIo {
            engine: parts.engine.upgrade()?,
            hooks: Arc::clone(&parts.hooks),
            registry: parts.registry.upgrade()?,
            server: parts.server.clone(),
        })
    }
}

/// The handler's server, as an argument of any handler.
impl<C: CallContext> Extract<C> for SocketIo {
    fn extract(context: &C) -> Result<Self, Rejection> {
        let home = context.state::<Home>();
        let server = home.and_then(|home| home.server());
        server.ok_or_else(|| Rejection::from("the server has ended"))
    }
}

/// The socket's namespace, as an argument of any handler.
impl<C: CallContext> Extract<C> for Namespace {
    fn extract(context: &C) -> Result<Self, Rejection> {
        let found = context.state::<Home>().and_then(|home| {
            let registry = home.0.get()?.registry.upgrade()?;
            let membership = context.socket().membership();
            let state = registry.namespace(membership.name())?;
            // A removed namespace may have a successor of the same name.
            let is_it = Arc::ptr_eq(&state.membership, membership);
            is_it.then(|| Self::new(state, Arc::downgrade(&registry)))
        });
        found.ok_or_else(|| Rejection::from("the namespace has ended"))
    }
}
