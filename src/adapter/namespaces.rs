//! The namespaces that a node serves, by name.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::members::Membership;

/// The namespaces of one node.
#[derive(Debug, Default)]
pub(crate) struct Namespaces {
    memberships: RwLock<HashMap<Arc<str>, Arc<Membership>>>,
}

impl Namespaces {
    pub(crate) fn get(&self, namespace: &str) -> Option<Arc<Membership>> {
        self.memberships.read().get(namespace).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Membership>> {
        self.memberships.read().values().cloned().collect()
    }

    pub(crate) fn add(&self, membership: &Arc<Membership>) {
        let name = Arc::clone(membership.shared_name());
        self.memberships
            .write()
            .insert(name, Arc::clone(membership));
    }

    pub(crate) fn remove(&self, namespace: &str) {
        self.memberships.write().remove(namespace);
    }
}
