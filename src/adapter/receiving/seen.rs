//! The numbers of received entries, so that none is delivered twice.

use std::collections::HashMap;

use parking_lot::Mutex;

/// Last event number received, per node and stream. Kept per stream because streams are read
/// independently, so the numbers of one node are ordered only within a stream.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    streams: Mutex<HashMap<String, HashMap<String, u64>>>,
}

impl Seen {
    /// Returns `true` if the entry of a stream with this number of that node is new.
    pub(crate) fn is_new(&self, stream: &str, from: &str, number: u64) -> bool {
        let mut streams = self.streams.lock();
        let seen = streams.entry(stream.to_owned()).or_default();
        if seen.len() >= MAX_NODES && !seen.contains_key(from) {
            seen.clear();
        }
        let last = seen.entry(from.to_owned()).or_default();
        let is_new = number > *last;
        *last = number.max(*last);
        is_new
    }
}

/// The number of nodes whose last number is kept; each start of a node counts as another node.
const MAX_NODES: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_new_once_in_each_stream() {
        let seen = Seen::default();
        assert!(seen.is_new("one", "a", 2));
        assert!(!seen.is_new("one", "a", 2) && !seen.is_new("one", "a", 1));
        assert!(seen.is_new("two", "a", 1) && seen.is_new("one", "b", 1));
        assert!(seen.is_new("one", "a", 3));
    }

    #[test]
    fn number_of_remembered_nodes_is_bounded() {
        let seen = Seen::default();
        for node in 0..=MAX_NODES {
            assert!(seen.is_new("one", &node.to_string(), 1));
        }
        assert_eq!(seen.streams.lock()["one"].len(), 1);
    }
}
