//! The position of an event: in this namespace, and in the events of the cluster.

use std::sync::Arc;

use crate::cluster::{ClusterOffset, EntryId};

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

/// Reads the number in an event's text if this node has given it; `None` if another node has. A
/// node gives no cluster offset before it knows its read position.
pub(super) fn number_on(text: &str, node: Option<&str>) -> Option<u64> {
    let Some((number, offset)) = text.split_once('.') else {
        return text.parse().ok();
    };
    let offset: ClusterOffset = offset.parse().ok()?;
    let is_here = node == Some(offset.node.as_str());
    number.parse().ok().filter(|_| is_here)
}

/// Reads `number.offset`, or a cluster offset alone.
pub(crate) fn cluster_offset_of(text: &str) -> Option<ClusterOffset> {
    let offset = match text.split_once('.') {
        Some((_, offset)) => offset,
        None => text,
    };
    offset.parse().ok()
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
    fn a_number_is_valid_on_the_node_that_assigned_it() {
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
