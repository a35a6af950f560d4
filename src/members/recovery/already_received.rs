//! Events that clients have received on their previous node and that this node has not read yet.
//!
//! A node delivers its own events to its clients first. A client that moves to another node may
//! have received events that are still in transit there, or that wait until their node reaches
//! Redis again. When they arrive they must not be delivered to it.

use std::collections::HashMap;

use crate::id::SocketId;

/// The events that sockets have received already: up to a number of each node's own events.
#[derive(Debug, Default)]
pub(crate) struct AlreadyReceived(HashMap<SocketId, Vec<(String, u64)>>);

impl AlreadyReceived {
    pub(crate) fn expect(&mut self, id: SocketId, got: Vec<(String, u64)>) {
        if !got.is_empty() {
            self.0.insert(id, got);
        }
    }

    pub(crate) fn of(&self, id: &SocketId) -> Vec<(String, u64)> {
        self.0.get(id).cloned().unwrap_or_default()
    }

    pub(crate) fn forget(&mut self, id: &SocketId) {
        self.0.remove(id);
    }

    /// Returns the sockets that have received this event of a node already.
    pub(crate) fn have(&mut self, node: &str, own: u64) -> Vec<SocketId> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let have =
            |got: &[(String, u64)]| got.iter().any(|(name, last)| name == node && own <= *last);
        let sockets = self.0.iter().filter(|(_, got)| have(got));
        let sockets = sockets.map(|(id, _)| id.clone()).collect();
        self.0.retain(|_, got| {
            got.retain(|(name, last)| name != node || own < *last);
            !got.is_empty()
        });
        sockets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_up_to_the_last_number_count_as_received() {
        let (ann, bob) = (SocketId::random(), SocketId::random());
        let mut received = AlreadyReceived::default();
        received.expect(ann.clone(), vec![("a".to_owned(), 5), ("b".to_owned(), 2)]);
        received.expect(bob, Vec::new());
        assert_eq!(received.have("a", 4), std::slice::from_ref(&ann));
        assert_eq!(received.have("c", 1), []);
        assert_eq!(received.have("a", 5), std::slice::from_ref(&ann));
        assert_eq!(received.have("a", 6), []);
        assert_eq!(received.of(&ann), [("b".to_owned(), 2)]);
        // A socket that has received a later one has received this one too.
        assert_eq!(received.have("b", 3), []);
        assert!(received.of(&ann).is_empty());
    }
}
