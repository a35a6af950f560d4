//! The answers to one question: the nodes that have answered, and those that have not yet.
//!
//! Pure: replies and checks of the roster enter, and the state of the question leaves.

use std::collections::{HashMap, HashSet};

use crate::adapter::format::Peers;
use crate::cluster::{Coverage, NodeId, Reply};

/// The nodes that have answered so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct ResponseTracker {
    /// Names of nodes; there may be more of them than nodes.
    pub(crate) expected: HashSet<String>,
    /// The number of nodes.
    nodes: usize,
    /// The number of nodes at the last check, or fewer.
    left: usize,
    /// Nodes that have ended during the question.
    gone: HashSet<String>,
    /// The number of clients that have not answered yet, of each node that has answered.
    said: HashMap<String, usize>,
    /// The number of answers without a name.
    unidentified_count: usize,
    /// The number of clients of those nodes that have not answered yet.
    waiting: usize,
    /// Each node counts its clients first, and these answer one by one.
    counts_clients: bool,
    /// The only expected answer is that of a client.
    pub(crate) only_one: bool,
    heard_one: bool,
    pub(crate) timed_out: bool,
}

impl ResponseTracker {
    /// Waits for the nodes and, if it counts clients, for the clients that each node counts.
    pub(crate) fn new(counts_clients: bool) -> Self {
        Self {
            counts_clients,
            ..Self::default()
        }
    }

    /// Records a reply, and returns `true` if it was expected. A client answers once, after its
    /// node has counted it, and so does a node. Other replies would fill the requester's channel.
    pub(crate) fn count(&mut self, from: &str, reply: &Reply) -> bool {
        match reply {
            Reply::Acknowledged(..) | Reply::Gone(_) if self.only_one => {
                !std::mem::replace(&mut self.heard_one, true)
            }
            Reply::Acknowledged(..) => self.answered(from, 1),
            Reply::Gone(count) => self.answered(from, *count),
            Reply::Asked(clients) => self.said(from, *clients),
            _ => self.said(from, 0),
        }
    }

    /// Records that `count` clients have answered, or have disconnected.
    fn answered(&mut self, from: &str, count: usize) -> bool {
        let waiting = self.said.get_mut(from).unwrap_or(&mut self.waiting);
        let is_awaited = *waiting >= count;
        *waiting = waiting.saturating_sub(count);
        is_awaited
    }

    /// Records that a node has answered, and that `clients` of its clients have not answered yet.
    fn said(&mut self, from: &str, clients: usize) -> bool {
        if !from.is_empty() {
            let is_first = !self.said.contains_key(from);
            self.said.entry(from.to_owned()).or_insert(clients);
            return is_first;
        }
        self.unidentified_count += 1;
        self.waiting = self.waiting.saturating_add(clients);
        self.unidentified_count <= self.nodes
    }

    /// Records the nodes that are asked.
    pub(crate) fn expect(&mut self, nodes: Peers) {
        self.nodes = nodes.count;
        self.left = nodes.count;
        self.expected = nodes.names;
    }

    /// Records the nodes that still exist.
    pub(crate) fn only(&mut self, nodes: &Peers) {
        self.gone = self.expected.difference(&nodes.names).cloned().collect();
        self.left = self.left.min(nodes.count);
    }

    pub(crate) fn is_done(&self) -> bool {
        if self.only_one {
            return self.heard_one;
        }
        let is_there = |node: &&String| !self.gone.contains(*node);
        let said = self.said.keys().filter(is_there).count();
        let unresponsive_count = self.unresponsive_nodes().filter(is_there).count();
        // If there are more names than nodes, some are not names of nodes, and no answer comes for
        // them.
        let unresponsive_count = unresponsive_count.min(self.left.saturating_sub(said));
        let clients = self.said.iter().filter(|(node, _)| is_there(node));
        let waiting = clients.fold(self.waiting, |sum, (_, waiting)| {
            sum.saturating_add(*waiting)
        });
        unresponsive_count <= self.unidentified_count && (!self.counts_clients || waiting == 0)
    }

    /// Returns the names without an answer.
    fn unresponsive_nodes(&self) -> impl Iterator<Item = &String> {
        let expected = self.expected.iter();
        expected.filter(|node| !self.said.contains_key(*node))
    }

    /// Returns the nodes that have ended and whose clients have not answered.
    fn lost(&self) -> impl Iterator<Item = NodeId> {
        let said = self.said.iter();
        let lost = said.filter(|(node, waiting)| **waiting > 0 && self.gone.contains(*node));
        lost.map(|(node, _)| NodeId::new(node))
    }

    pub(crate) fn coverage(&self) -> Coverage {
        let unresponsive_nodes: Vec<NodeId> = self
            .unresponsive_nodes()
            .map(|node| NodeId::new(node))
            .collect();
        let missing = unresponsive_nodes
            .len()
            .min(self.nodes.saturating_sub(self.said.len()));
        let missing = missing.saturating_sub(self.unidentified_count);
        let (mut unresponsive_nodes, unidentified_nodes) = if missing == unresponsive_nodes.len() {
            (unresponsive_nodes, 0)
        } else {
            // Some of these have answered without a name, or are not nodes; the nodes that have
            // ended are known.
            let gone = unresponsive_nodes
                .into_iter()
                .filter(|node| self.gone.contains(node.as_str()));
            let gone: Vec<_> = gone.take(missing).collect();
            let unidentified_nodes = missing - gone.len();
            (gone, unidentified_nodes)
        };
        unresponsive_nodes.extend(self.lost());
        Coverage {
            nodes: self.nodes,
            unresponsive_nodes,
            unidentified_nodes,
            cut_off: None,
            timed_out: self.timed_out,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracker(names: &[&str], counts_clients: bool) -> ResponseTracker {
        let mut tracker = ResponseTracker {
            counts_clients,
            ..ResponseTracker::default()
        };
        tracker.expect(nodes(names));
        tracker
    }

    fn nodes(names: &[&str]) -> Peers {
        Peers {
            names: names.iter().map(|&name| name.to_owned()).collect(),
            count: names.len(),
        }
    }

    #[test]
    fn it_is_done_when_every_node_has_answered() {
        let mut tracker = tracker(&["a", "b"], false);
        tracker.count("a", &Reply::Rooms(Vec::new()));
        assert!(!tracker.is_done());
        tracker.count("", &Reply::Rooms(Vec::new()));
        assert!(tracker.is_done());
        assert!(tracker.coverage().is_complete());
    }

    #[test]
    fn an_ended_node_is_named_and_not_awaited() {
        let mut tracker = tracker(&["a", "b"], false);
        tracker.count("a", &Reply::Rooms(Vec::new()));
        tracker.only(&nodes(&["a"]));
        assert!(tracker.is_done());
        assert_eq!(tracker.coverage().unresponsive_nodes(), [NodeId::new("b")]);
    }

    #[test]
    fn anonymous_responses_count_for_the_present_nodes() {
        let mut tracker = tracker(&["a", "b"], false);
        tracker.only(&nodes(&["a"]));
        assert!(!tracker.is_done());
        tracker.count("", &Reply::Rooms(Vec::new()));
        assert!(tracker.is_done());
        assert_eq!(tracker.coverage().unresponsive_nodes(), [NodeId::new("b")]);
    }

    #[test]
    fn a_surplus_channel_name_is_not_counted_as_a_node() {
        let mut tracker = tracker(&[], false);
        let others = Peers {
            count: 2,
            ..nodes(&["a", "b", "room"])
        };
        tracker.expect(others.clone());
        tracker.count("a", &Reply::Rooms(Vec::new()));
        tracker.only(&others);
        assert!(!tracker.is_done());
        let coverage = tracker.coverage();
        assert_eq!(
            (
                coverage.nodes(),
                coverage.unresponsive_nodes(),
                coverage.unidentified_nodes()
            ),
            (2, &[][..], 1)
        );
        let mut ended = tracker.clone();
        tracker.count("b", &Reply::Rooms(Vec::new()));
        assert!(tracker.is_done() && tracker.coverage().is_complete());
        ended.only(&Peers {
            count: 1,
            ..nodes(&["a", "room"])
        });
        assert!(ended.is_done());
        assert_eq!(ended.coverage().unresponsive_nodes(), [NodeId::new("b")]);
    }

    #[test]
    fn counts_that_overflow_cause_no_panic() {
        let mut tracker = tracker(&["a", "b"], true);
        for node in ["a", "b", "", ""] {
            tracker.count(node, &Reply::Asked(usize::MAX));
        }
        assert!(!tracker.is_done());
    }

    #[test]
    fn acks_are_awaited_except_those_of_an_ended_node() {
        let mut tracker = tracker(&["a", "b"], true);
        tracker.count("a", &Reply::Asked(2));
        tracker.count("b", &Reply::Asked(1));
        tracker.count("a", &Reply::Acknowledged(None, Default::default()));
        assert!(!tracker.is_done());
        tracker.count("a", &Reply::Gone(1));
        assert!(!tracker.is_done());
        assert!(tracker.coverage().unresponsive_nodes().is_empty());
        tracker.only(&nodes(&["a"]));
        assert!(tracker.is_done());
        assert_eq!(tracker.coverage().unresponsive_nodes(), [NodeId::new("b")]);
    }

    #[test]
    fn unexpected_replies_are_not_passed_on() {
        let acknowledged = || Reply::Acknowledged(None, Default::default());
        let mut clients = tracker(&["a", "b"], true);
        assert!(!clients.count("a", &acknowledged()));
        assert!(clients.count("a", &Reply::Asked(2)));
        assert!(!clients.count("a", &Reply::Asked(2)));
        assert!(clients.count("a", &acknowledged()));
        assert!(clients.count("a", &acknowledged()));
        assert!(!clients.count("a", &acknowledged()));
        assert!(clients.count("", &Reply::Asked(1)));
        assert!(clients.count("", &acknowledged()));
        assert!(!clients.count("", &acknowledged()));
        let mut nodes = tracker(&["a", "b"], false);
        assert!(nodes.count("a", &Reply::Rooms(Vec::new())));
        assert!(!nodes.count("a", &Reply::Rooms(Vec::new())));
        for is_asked_for in [true, true, false] {
            assert_eq!(nodes.count("", &Reply::Rooms(Vec::new())), is_asked_for);
        }
        let mut only_one = ResponseTracker {
            only_one: true,
            ..ResponseTracker::default()
        };
        assert!(only_one.count("", &acknowledged()));
        assert!(!only_one.count("", &acknowledged()));
    }

    #[test]
    fn unidentified_nodes_are_counted() {
        let mut tracker = tracker(&["a", "b", "c"], false);
        tracker.count("", &Reply::Rooms(Vec::new()));
        let coverage = tracker.coverage();
        assert_eq!(
            (coverage.unresponsive_nodes(), coverage.unidentified_nodes()),
            (&[][..], 2)
        );
    }
}
