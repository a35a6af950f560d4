//! The server and the namespace as arguments of handlers.
//!
//! A handler has access to its socket and to the states of the builder. So the server is one of
//! these states, by weak references, because it owns the states.

use std::sync::{Arc, OnceLock};

use crate::error::Rejection;
use crate::handler::{CallContext, Extract};
use crate::server::{Namespace, SocketIo, WeakSocketIo};

/// The server of a handler.
#[derive(Debug, Default)]
pub(super) struct Home(OnceLock<WeakSocketIo>);

impl Home {
    /// Sets the server, once.
    pub(super) fn set(&self, io: &SocketIo) {
        // A builder starts one server only.
        let _ = self.0.set(io.downgrade());
    }

    fn server(&self) -> Option<SocketIo> {
        self.0.get()?.upgrade()
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
            let registry = home.0.get()?.registry()?;
            let membership = context.socket().membership();
            let state = registry.namespace(membership.name())?;
            // A removed namespace may have a successor of the same name.
            let is_it = Arc::ptr_eq(&state.membership, membership);
            is_it.then(|| Self::new(state, Arc::downgrade(&registry)))
        });
        found.ok_or_else(|| Rejection::from("the namespace has ended"))
    }
}
