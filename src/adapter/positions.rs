//! The read position of this node in each stream.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::cluster::EntryId;

/// The positions, by the streams' names. The broker's reader writes them.
#[derive(Debug, Default)]
pub(crate) struct Positions {
    streams: Mutex<HashMap<String, Position>>,
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

impl Positions {
    pub(crate) fn get(&self, stream: &str) -> Option<Position> {
        self.streams.lock().get(stream).copied()
    }

    pub(crate) fn set(&self, stream: &str, position: Position) {
        self.streams.lock().insert(stream.to_owned(), position);
    }

    /// Records that the next entry was read; does nothing before the first position.
    pub(crate) fn pass(&self, stream: &str, entry: EntryId) {
        if let Some(position) = self.streams.lock().get_mut(stream) {
            position.at = entry;
            position.count = position.count.map(|count| count + 1);
        }
    }
}
