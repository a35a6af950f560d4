//! The access of the Admin UI to a server.

use actix::ArbiterHandle;

use crate::message::namespace_name;
use crate::server::SocketIo;
use crate::socket::Broadcast;

impl SocketIo {
    /// Returns `true` if this server is a node of a cluster.
    pub(crate) fn is_node(&self) -> bool {
        self.registry.cluster.is_some()
    }

    /// Returns the operator for all sockets of a namespace, which may exist on other nodes only.
    /// Returns `None` if it does not exist here, and the server is no node of a cluster.
    pub(crate) fn everyone_of(&self, namespace: &str) -> Option<Broadcast> {
        if let Some(namespace) = self.namespace(namespace) {
            return Some(namespace.everyone());
        }
        let membership = self.registry.elsewhere(&namespace_name(namespace))?;
        Some(Broadcast::new(&membership, None))
    }

    /// Returns the arbiter of the server's actors.
    pub(crate) fn arbiter(&self) -> &ArbiterHandle {
        self.registry.supervisor.arbiter()
    }
}
