//! The nodes about which the broker was asked lately, and its answers.
//!
//! Session ids come from anybody, and anybody may make one up. So the answer is kept for nodes too
//! that are not there, and their number is bounded: a flood of such ids costs no more.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::id::Tag;

/// Nodes, and whether they were there when the broker was asked.
#[derive(Debug, Default)]
pub(crate) struct RecentNodes {
    nodes: HashMap<Tag, (bool, Instant)>,
}

impl RecentNodes {
    /// Tells whether a node is there; `None` if the broker has to be asked.
    pub(crate) fn is_there(&self, node: Tag, now: Instant) -> Option<bool> {
        let (is_there, asked) = self.nodes.get(&node)?;
        (now.saturating_duration_since(*asked) < FRESH).then_some(*is_there)
    }

    /// Notes the answer of the broker.
    pub(crate) fn note(&mut self, node: Tag, is_there: bool, now: Instant) {
        if self.nodes.len() >= REMEMBERED {
            self.nodes.clear();
        }
        self.nodes.insert(node, (is_there, now));
    }
}

/// Time for which an answer is used.
const FRESH: Duration = Duration::from_secs(1);

/// Nodes that are remembered; if there are so many, most of them are made up.
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
    fn a_flood_of_nodes_that_are_made_up_is_not_remembered() {
        let (now, mut known) = (Instant::now(), RecentNodes::default());
        for _ in 0..3 * REMEMBERED {
            known.note(Tag::random(), false, now);
            assert!(known.nodes.len() <= REMEMBERED);
        }
    }
}
