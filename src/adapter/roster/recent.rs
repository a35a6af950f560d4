//! The nodes that the broker was recently asked about, and its answers.
//!
//! A client can send an invented session id. So the answer is also kept for nodes that do not
//! exist, and the number of answers is limited: a flood of such ids costs no more.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::id::Tag;

/// Nodes, and whether they existed when the broker was asked.
#[derive(Debug, Default)]
pub(crate) struct RecentNodes {
    nodes: HashMap<Tag, (bool, Instant)>,
}

impl RecentNodes {
    /// Returns whether a node exists; `None` if the broker must be asked.
    pub(crate) fn is_there(&self, node: Tag, now: Instant) -> Option<bool> {
        let (is_there, asked) = self.nodes.get(&node)?;
        (now.saturating_duration_since(*asked) < FRESH).then_some(*is_there)
    }

    /// Records the answer of the broker.
    pub(crate) fn note(&mut self, node: Tag, is_there: bool, now: Instant) {
        if self.nodes.len() >= REMEMBERED {
            self.nodes.clear();
        }
        self.nodes.insert(node, (is_there, now));
    }
}

/// The time for which an answer is used.
const FRESH: Duration = Duration::from_secs(1);

/// The number of kept answers; if there are so many, most of the nodes are invented.
const REMEMBERED: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_good_for_a_second() {
        let (now, mut known) = (Instant::now(), RecentNodes::default());
        let (one, other) = (Tag::random(), Tag::random());
        known.note(one, true, now);
        known.note(other, false, now);
        let soon = now + FRESH - Duration::from_nanos(1);
        assert_eq!(known.is_there(one, soon), Some(true));
        assert_eq!(known.is_there(other, soon), Some(false));
        assert_eq!(known.is_there(one, now + FRESH), None);
        assert_eq!(known.is_there(Tag::random(), now), None);
    }

    #[test]
    fn number_of_recent_nodes_is_bounded() {
        let (now, mut known) = (Instant::now(), RecentNodes::default());
        for _ in 0..3 * REMEMBERED {
            known.note(Tag::random(), false, now);
            assert!(known.nodes.len() <= REMEMBERED);
        }
    }
}
