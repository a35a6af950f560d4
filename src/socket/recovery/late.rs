//! What clients have brought along from their old node and this node is still to read.
//!
//! A node's own events go to its clients first. A client that comes to another node may have got
//! some that are still on their way there, or wait until their node reaches Redis again; they are
//! not for it when they come.

use std::collections::HashMap;

use crate::id::SocketId;

/// Which sockets have got what already: of each node everything up to a number of its own.
#[derive(Debug, Default)]
pub(crate) struct Late(HashMap<SocketId, Vec<(String, u64)>>);

impl Late {
    pub(crate) fn expect(&mut self, id: SocketId, got: Vec<(String, u64)>) {
        if !got.is_empty() {
            self.0.insert(id, got);
        }
    }

    pub(crate) fn of(&self, id: SocketId) -> Vec<(String, u64)> {
        self.0.get(&id).cloned().unwrap_or_default()
    }

    pub(crate) fn forget(&mut self, id: SocketId) {
        self.0.remove(&id);
    }

    /// Returns the sockets that have this event of a node already.
    pub(crate) fn have(&mut self, node: &str, own: u64) -> Vec<SocketId> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let have =
            |got: &[(String, u64)]| got.iter().any(|(name, last)| name == node && own <= *last);
        let sockets = self.0.iter().filter(|(_, got)| have(got));
        let sockets = sockets.map(|(id, _)| *id).collect();
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
    fn an_event_is_had_up_to_the_last_that_its_node_gave() {
        let (ann, bob) = (SocketId::random(), SocketId::random());
        let mut late = Late::default();
        late.expect(ann, vec![("a".to_owned(), 5), ("b".to_owned(), 2)]);
        late.expect(bob, Vec::new());
        assert_eq!(late.have("a", 4), [ann]);
        assert_eq!(late.have("c", 1), []);
        assert_eq!(late.have("a", 5), [ann]);
        assert_eq!(late.have("a", 6), []);
        assert_eq!(late.of(ann), [("b".to_owned(), 2)]);
        // One that has gone over it has it behind it too.
        assert_eq!(late.have("b", 3), []);
        assert!(late.of(ann).is_empty());
    }
}
