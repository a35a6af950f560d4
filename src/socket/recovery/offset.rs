//! The position of an event: in this namespace, and in the events of the cluster.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::cluster::{ClusterOffset, EntryId};
use crate::socket::recovery::SocketSnapshot;

/// The position of an event: its number here, and its text in the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EventOffset {
    pub(crate) number: u64,
    pub(crate) text: Arc<str>,
}

impl Default for EventOffset {
    fn default() -> Self {
        Self {
            number: 0,
            text: "0".into(),
        }
    }
}

impl EventOffset {
    /// Returns its position in the events of the cluster, if it has one.
    pub(crate) fn cluster_offset(&self) -> Option<ClusterOffset> {
        cluster_offset_of(&self.text)
    }
}

impl SocketSnapshot {
    pub(crate) fn into_persisted(
        self,
        namespace: &str,
        received: Vec<(String, u64)>,
    ) -> PersistedSocket {
        let rooms = self.rooms.iter();
        PersistedSocket {
            sid: self.id.as_str().to_owned(),
            pid: self.pid.as_str().to_owned(),
            namespace: namespace.to_owned(),
            rooms: rooms
                .map(|(room, since)| (room.as_ref().to_owned(), since.text.as_ref().to_owned()))
                .collect(),
            data: self.session.entries(),
            entitled_from: self.entitled_from.text.as_ref().to_owned(),
            entered: self.entered.text.as_ref().to_owned(),
            received,
            moves: self.moves,
        }
    }
}

/// Reads the number in an event's text if this node has given it; `None` if another node has. A
/// node gives no mark before it knows its read position.
pub(super) fn number_on(text: &str, node: Option<&str>) -> Option<u64> {
    let Some((number, mark)) = text.split_once('.') else {
        return text.parse().ok();
    };
    let mark: ClusterOffset = mark.parse().ok()?;
    let is_here = node == Some(mark.node.as_str());
    number.parse().ok().filter(|_| is_here)
}

/// Reads `number.mark`, or a mark alone.
pub(crate) fn cluster_offset_of(text: &str) -> Option<ClusterOffset> {
    let mark = match text.split_once('.') {
        Some((_, mark)) => mark,
        None => text,
    };
    mark.parse().ok()
}

/// The state of a client for its recovery on another node.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PersistedSocket {
    pub(crate) sid: String,
    pub(crate) pid: String,
    /// Its namespace; empty if another kind of server has stored it, which does not name it.
    pub(crate) namespace: String,
    /// The rooms, and the event after which each was joined.
    pub(crate) rooms: Vec<(String, String)>,
    pub(crate) data: BTreeMap<String, Value>,
    pub(crate) entitled_from: String,
    /// The event after which it was accepted.
    pub(crate) entered: String,
    /// The events of other nodes that it had received before it connected.
    pub(crate) received: Vec<(String, u64)>,
    /// The number of its moves to another node.
    pub(crate) moves: u64,
}

/// The origin of an event.
#[derive(Clone, Copy, Debug)]
pub(crate) enum EventSource<'a> {
    /// Any origin, if no recipient can be recovered on another node.
    SingleNode,
    /// This node, which gives it a number among its own events.
    ThisNode,
    /// Another node, by an entry of the stream; the node's name, and the number among that node's
    /// own events.
    Entry(EntryId, &'a str, u64),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_where_this_node_gave_it() {
        let (own, other) = ("5.aaaaaaaaaaaaaaaa.2.3-4", "5.bbbbbbbbbbbbbbbb.2.3-4");
        let node = Some("aaaaaaaaaaaaaaaa");
        for (text, node, number) in [
            ("5", None, Some(5)),
            ("5", node, Some(5)),
            (own, node, Some(5)),
            (other, node, None),
            (own, None, None),
            // Replayed events, and events of another kind of server.
            ("r.aaaaaaaaaaaaaaaa.2.3-4", node, None),
            ("3-4", node, None),
            ("", node, None),
        ] {
            assert_eq!(number_on(text, node), number, "{text}");
        }
    }
}
