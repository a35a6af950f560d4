//! The last events of a stream that this node has read.
//!
//! The entries enter in their order. The events after a client's offset leave, if all of them are
//! still here. So many clients that reconnect at the same time do not read the stream again, each
//! for itself. The bytes and the number of events are limited; older ones are read from the broker.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::adapter::log_entry::LogEntry;
use crate::cluster::EntryId;

/// The events after one entry, without a gap.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    /// All later events that were read are in `events`; `None` before the first entry after a gap.
    after: Option<EntryId>,
    events: VecDeque<(EntryId, Arc<LogEntry>)>,
    bytes: usize,
}

impl Tail {
    /// Starts after this entry. `None` means that entries may be missing up to the next one.
    pub(crate) fn after_entry(after: Option<EntryId>) -> Self {
        Self {
            after,
            ..Self::default()
        }
    }

    /// Adds the next entry that was read.
    pub(crate) fn push(&mut self, id: EntryId, entry: LogEntry) {
        if self.after.is_none() {
            self.after = Some(id);
        } else if entry.is_event() {
            self.bytes += entry.len();
            self.events.push_back((id, Arc::new(entry)));
        }
        while self.bytes > MAX_BYTES || self.events.len() > MAX_EVENTS {
            let Some((id, entry)) = self.events.pop_front() else {
                break;
            };
            self.bytes -= entry.len();
            self.after = Some(id);
        }
    }

    /// Returns `true` if all events after this entry that were read are here.
    pub(crate) fn covers(&self, entry: EntryId) -> bool {
        self.after.is_some_and(|after| after <= entry)
    }

    /// Returns the events after this entry; `None` if some are no longer here.
    pub(crate) fn after(&self, entry: EntryId) -> Option<Vec<(EntryId, Arc<LogEntry>)>> {
        if !self.covers(entry) {
            return None;
        }
        let from = self.events.partition_point(|(id, _)| *id <= entry);
        Some(self.events.range(from..).cloned().collect())
    }
}

/// The limits of one stream: a few seconds of a busy cluster, and the memory that they may take.
const MAX_BYTES: usize = 4 << 20;
const MAX_EVENTS: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> EntryId {
        EntryId { time: 1, number }
    }

    fn entry(kind: &str, bytes: usize) -> LogEntry {
        let mut entry = LogEntry::new(String::new());
        entry.set("type", kind.into());
        entry.set("data", vec![b' '; bytes]);
        entry
    }

    fn numbers(tail: &Tail, after: u64) -> Option<Vec<u64>> {
        let events = tail.after(id(after))?;
        Some(events.iter().map(|(id, _)| id.number).collect())
    }

    #[test]
    fn events_after_an_entry_are_returned_in_order() {
        let mut tail = Tail::after_entry(Some(id(1)));
        for (number, kind) in [(2, "3"), (3, "5"), (4, "3"), (5, "03")] {
            tail.push(id(number), entry(kind, 1));
        }
        assert_eq!(numbers(&tail, 0), None, "the entry 1 was not read");
        assert_eq!(numbers(&tail, 1), Some(vec![2, 4]));
        assert_eq!(numbers(&tail, 2), Some(vec![4]));
        assert_eq!(numbers(&tail, 3), Some(vec![4]));
        assert_eq!(numbers(&tail, 9), Some(vec![]));
    }

    /// The first entry after a gap may be one of several that were not read.
    #[test]
    fn events_before_a_gap_are_not_returned() {
        assert_eq!(numbers(&Tail::default(), 9), None);
        let mut tail = Tail::after_entry(Some(id(1)));
        tail.push(id(2), entry("3", 1));
        tail = Tail::after_entry(None);
        assert_eq!(numbers(&tail, 9), None);
        tail.push(id(5), entry("3", 1));
        tail.push(id(6), entry("3", 1));
        assert_eq!(numbers(&tail, 4), None);
        assert_eq!(numbers(&tail, 5), Some(vec![6]));
    }

    #[test]
    fn number_of_events_is_limited() {
        let mut tail = Tail::after_entry(Some(id(0)));
        let most = MAX_EVENTS as u64;
        (1..=most).for_each(|number| tail.push(id(number), entry("3", 1)));
        assert!(numbers(&tail, 0).is_some());
        tail.push(id(most + 1), entry("3", 1));
        assert_eq!(numbers(&tail, 0), None);
        assert_eq!(numbers(&tail, 1).map(|all| all.len()), Some(MAX_EVENTS));
    }

    #[test]
    fn bytes_of_the_events_are_limited() {
        let mut tail = Tail::after_entry(Some(id(0)));
        tail.push(id(1), entry("3", 1));
        tail.push(id(2), entry("3", MAX_BYTES - 1));
        assert!(numbers(&tail, 0).is_some());
        tail.push(id(3), entry("3", 1));
        assert_eq!(numbers(&tail, 0), None);
        assert_eq!(numbers(&tail, 1), Some(vec![2, 3]));
        // One that is too large alone is read from the broker.
        tail.push(id(4), entry("3", MAX_BYTES + 1));
        assert_eq!((numbers(&tail, 3), numbers(&tail, 4)), (None, Some(vec![])));
    }
}
