//! The answers of the whole cluster.

use std::ops::{Deref, DerefMut};

use crate::cluster::Coverage;

/// A result of the whole cluster, and the nodes that did not answer: usually none.
///
/// # Examples
///
/// ```
/// # async fn run(io: actix_socketio::SocketIo) {
/// let sockets = io.in_room("lobby").fetch_sockets().await;
/// println!("{} sockets, on {} other nodes and here", sockets.len(), sockets.coverage().nodes());
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterResult<T> {
    found: T,
    coverage: Coverage,
}

impl<T> ClusterResult<T> {
    pub(crate) fn new(found: T, coverage: Coverage) -> Self {
        Self { found, coverage }
    }

    /// Returns the nodes that did not answer.
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// Returns the result alone.
    pub fn into_inner(self) -> T {
        self.found
    }
}

impl<T> Deref for ClusterResult<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.found
    }
}

impl<T> DerefMut for ClusterResult<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.found
    }
}

impl<T: IntoIterator> IntoIterator for ClusterResult<T> {
    type Item = T::Item;
    type IntoIter = T::IntoIter;

    fn into_iter(self) -> T::IntoIter {
        self.found.into_iter()
    }
}
