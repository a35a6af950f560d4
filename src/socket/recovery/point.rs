//! The position of an event: in this namespace, and in the events of the cluster.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::cluster::{EntryId, Mark};
use crate::socket::recovery::State;

/// The position of an event: its number here, and its text in the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) number: u64,
    pub(crate) text: Arc<str>,
}

impl Default for Point {
    fn default() -> Self {
        Self {
            number: 0,
            text: "0".into(),
        }
    }
}

impl Point {
    /// Returns its position in the events of the cluster, if it has one.
    pub(crate) fn mark(&self) -> Option<Mark> {
        mark_of(&self.text)
    }
}

impl State {
    pub(crate) fn into_kept(self, namespace: &str, late: Vec<(String, u64)>) -> Kept {
        let rooms = self.rooms.iter();
        Kept {
            sid: self.id.as_str().to_owned(),
            pid: self.pid.as_str().to_owned(),
            namespace: namespace.to_owned(),
            rooms: rooms
                .map(|(room, since)| (room.as_ref().to_owned(), since.text.as_ref().to_owned()))
                .collect(),
            data: self.session.entries(),
            begun: self.begun.text.as_ref().to_owned(),
            entered: self.entered.text.as_ref().to_owned(),
            late,
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
    let mark: Mark = mark.parse().ok()?;
    let is_here = node == Some(mark.node.as_str());
    number.parse().ok().filter(|_| is_here)
}

/// Reads `number.mark`, or a mark alone.
pub(crate) fn mark_of(text: &str) -> Option<Mark> {
    let mark = match text.split_once('.') {
        Some((_, mark)) => mark,
        None => text,
    };
    mark.parse().ok()
}

/// The state of a client for its recovery on another node.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Kept {
    pub(crate) sid: String,
    pub(crate) pid: String,
    /// Its namespace; empty if another kind of server has stored it, which does not name it.
    pub(crate) namespace: String,
    /// The rooms, and the event after which each was joined.
    pub(crate) rooms: Vec<(String, String)>,
    pub(crate) data: BTreeMap<String, Value>,
    pub(crate) begun: String,
    /// The event after which it was accepted.
    pub(crate) entered: String,
    /// The events of other nodes that it had received before it connected.
    pub(crate) late: Vec<(String, u64)>,
    /// The number of its moves to another node.
    pub(crate) moves: u64,
}

/// The origin of an event.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin<'a> {
    /// Any origin, if no recipient can be recovered on another node.
    Alone,
    /// This node, which gives it a number among its own events.
    Own,
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
