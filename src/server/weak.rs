//! A server that is not kept alive by its handle.

use std::sync::{Arc, Weak};

use crate::namespace::{Registry, ServerAddress};
use crate::server::SocketIo;
use crate::session::Engine;
use crate::transport::Hooks;

impl SocketIo {
    pub(crate) fn downgrade(&self) -> WeakSocketIo {
        WeakSocketIo {
            engine: Arc::downgrade(&self.engine),
            registry: Arc::downgrade(&self.registry),
            server: self.server.clone(),
            hooks: Arc::clone(&self.hooks),
        }
    }
}

/// A server that is not kept alive, for values that it owns itself.
#[derive(Debug)]
pub(crate) struct WeakSocketIo {
    engine: Weak<Engine>,
    registry: Weak<Registry>,
    server: ServerAddress,
    hooks: Arc<Hooks>,
}

impl WeakSocketIo {
    pub(crate) fn upgrade(&self) -> Option<SocketIo> {
        Some(SocketIo {
            engine: self.engine.upgrade()?,
            hooks: Arc::clone(&self.hooks),
            registry: self.registry()?,
            server: self.server.clone(),
        })
    }

    pub(super) fn registry(&self) -> Option<Arc<Registry>> {
        self.registry.upgrade()
    }
}
