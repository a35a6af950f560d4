//! The read position of this node in each stream, and the last events before it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::adapter::log_entry::LogEntry;
use crate::adapter::tail::Tail;
use crate::cluster::EntryId;

/// The positions, by the streams' names. The broker's reader writes them.
#[derive(Debug, Default)]
pub(crate) struct Positions {
    streams: Mutex<HashMap<String, (Position, Tail)>>,
    /// Set by the first namespace with recovery: without it nothing reads the events again.
    keeps_events: AtomicBool,
}

/// The read position in a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// The entry after which this node started to read.
    pub(crate) began: EntryId,
    /// The last entry that was read.
    pub(crate) at: EntryId,
    /// The number of entries that the stream had received up to there; `None` if the broker does
    /// not count them.
    pub(crate) count: Option<u64>,
}

/// Events that this node has read.
#[derive(Debug)]
pub(crate) struct ReadEvents {
    pub(crate) events: Vec<(EntryId, Arc<LogEntry>)>,
    /// The position up to which there are no others.
    pub(crate) upto: EntryId,
}

impl Positions {
    pub(crate) fn get(&self, stream: &str) -> Option<Position> {
        self.streams
            .lock()
            .get(stream)
            .map(|(position, _)| *position)
    }

    /// Sets the position. The next entry that is read is the next one of the stream, except if
    /// entries after the position are missing: then `has_gap` is true.
    pub(crate) fn set(&self, stream: &str, position: Position, has_gap: bool) {
        let mut streams = self.streams.lock();
        let after = (!has_gap).then_some(position.at);
        match streams.get_mut(stream) {
            Some((known, _)) if !has_gap && known.at == position.at => *known = position,
            _ => {
                let restarted = (position, Tail::after_entry(after));
                streams.insert(stream.to_owned(), restarted);
            }
        }
    }

    /// Records that the next entry was read; does nothing before the first position.
    pub(crate) fn pass(&self, stream: &str, id: EntryId, entry: LogEntry) {
        if let Some((position, tail)) = self.streams.lock().get_mut(stream) {
            position.at = id;
            position.count = position.count.map(|count| count + 1);
            if self.keeps_events.load(Ordering::Relaxed) {
                tail.push(id, entry);
            }
        }
    }

    /// Keeps the events that are read from now on.
    pub(crate) fn keep_events(&self) {
        if !self.keeps_events.swap(true, Ordering::Relaxed) {
            let mut streams = self.streams.lock();
            // Those of a reader that is reading now were not kept.
            for (_, tail) in streams.values_mut() {
                *tail = Tail::default();
            }
        }
    }

    /// Returns `true` if all events after an entry are still here.
    pub(crate) fn has_events_after(&self, stream: &str, entry: EntryId) -> bool {
        let streams = self.streams.lock();
        let tail = streams.get(stream).map(|(_, tail)| tail);
        tail.is_some_and(|tail| tail.covers(entry))
    }

    /// Returns the events after an entry; `None` if some of them are no longer here.
    pub(crate) fn events_after(&self, stream: &str, entry: EntryId) -> Option<ReadEvents> {
        let streams = self.streams.lock();
        let (position, tail) = streams.get(stream)?;
        Some(ReadEvents {
            events: tail.after(entry)?,
            upto: position.at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "stream";

    fn id(number: u64) -> EntryId {
        EntryId { time: 1, number }
    }

    fn at(number: u64) -> Position {
        Position {
            at: id(number),
            ..Position::default()
        }
    }

    fn pass(positions: &Positions, number: u64) {
        let mut entry = LogEntry::new(String::new());
        entry.set("type", b"3".to_vec());
        positions.pass(STREAM, id(number), entry);
    }

    fn numbers(positions: &Positions, after: u64) -> Option<Vec<u64>> {
        let read = positions.events_after(STREAM, id(after))?;
        let at = positions.get(STREAM).map(|position| position.at);
        assert_eq!(Some(read.upto), at);
        Some(read.events.iter().map(|(id, _)| id.number).collect())
    }

    #[test]
    fn events_are_kept_from_the_first_namespace_with_recovery_on() {
        let positions = Positions::default();
        positions.set(STREAM, at(1), false);
        pass(&positions, 2);
        assert_eq!(numbers(&positions, 1), Some(vec![]), "none was kept");
        positions.keep_events();
        assert_eq!(numbers(&positions, 1), None);
        pass(&positions, 3);
        pass(&positions, 4);
        assert_eq!(numbers(&positions, 3), Some(vec![4]));
        positions.keep_events();
        assert_eq!(numbers(&positions, 3), Some(vec![4]));
    }

    #[test]
    fn events_are_complete_only_if_the_reader_continues_at_its_position() {
        let positions = Positions::default();
        positions.keep_events();
        positions.set(STREAM, Position::default(), false);
        pass(&positions, 1);
        // An empty stream has no entry before.
        let read = positions.events_after(STREAM, EntryId::default());
        assert_eq!(read.map(|read| read.events.len()), Some(1));
        pass(&positions, 2);
        // After a disconnect the reader continues.
        positions.set(STREAM, at(2), false);
        pass(&positions, 3);
        assert_eq!(numbers(&positions, 1), Some(vec![2, 3]));
        // Entries were trimmed before it read them.
        positions.set(STREAM, at(3), true);
        pass(&positions, 7);
        assert_eq!(numbers(&positions, 3), None);
        // The broker has lost the end of the stream.
        positions.set(STREAM, at(5), false);
        assert_eq!(numbers(&positions, 4), None);
        pass(&positions, 6);
        assert_eq!(numbers(&positions, 5), Some(vec![6]));
    }
}
