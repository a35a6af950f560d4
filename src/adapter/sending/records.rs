//! The records of clients that may reconnect, until the broker has them.
//!
//! Keeps one record per client: a newer record replaces one that is not written yet. The number of
//! records is bounded by the number of clients. Records that expire while the broker is unreachable
//! are dropped. A record has the number of its client's moves, because the client may have moved to
//! another node in the meantime: the broker refuses a record with fewer moves than it has seen.
//! Nothing here does I/O or reads a clock.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

/// The latest record of each client, until the broker has it.
#[derive(Debug, Default)]
pub(crate) struct Records {
    waiting: HashMap<String, Record>,
    /// Their keys, in the order of arrival.
    keys: VecDeque<String>,
    /// The records that were sent to the broker, which has not responded yet.
    begun: Vec<(String, Record)>,
    bytes: usize,
    /// The number of the latest record.
    kept: u64,
    /// The longest lifetime of a record.
    longest: Duration,
    /// Number of waiting records at which expired ones are purged.
    purge_at: usize,
}

/// The value of a key; without one the key is deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) value: Option<Bytes>,
    /// The number of the client's moves to another node.
    pub(crate) moves: u64,
    /// The time at which it expires.
    pub(crate) until: Instant,
    /// Its number among all records. A newer record of a key that waits keeps the earlier number.
    place: u64,
}

/// The key of a client's record, and the number of the client's moves to another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordKey {
    pub(crate) name: String,
    pub(crate) moves: u64,
}

impl Records {
    pub(crate) fn keep(&mut self, key: RecordKey, value: Bytes, limit: Duration, now: Instant) {
        let limit = limit.min(LONGEST);
        self.longest = self.longest.max(limit);
        let until = now + limit;
        self.put(key, Some(value), until, now);
    }

    pub(crate) fn forget(&mut self, key: RecordKey, now: Instant) {
        // By then the earlier record has expired.
        let until = now + self.longest;
        self.put(key, None, until, now);
    }

    /// Returns the first ones to send. They stay until they are [`answered`](Self::answered) or
    /// have [`failed`](Self::failed).
    pub(crate) fn begin(&mut self, now: Instant) -> &[(String, Record)] {
        let mut bytes = 0;
        while self.begun.len() < SLICE
            && bytes < SLICE_BYTES
            && let Some(key) = self.keys.pop_front()
        {
            let Some(record) = self.waiting.remove(&key) else {
                continue;
            };
            if record.until > now {
                bytes += record.len(&key);
                self.begun.push((key, record));
            } else {
                self.bytes -= record.len(&key);
            }
        }
        &self.begun
    }

    /// The broker has responded; temporarily refused records wait again.
    pub(crate) fn answered(&mut self, stays: impl Fn(usize) -> bool) {
        let begun = std::mem::take(&mut self.begun);
        for (at, (key, record)) in begun.into_iter().enumerate().rev() {
            match self.waiting.entry(key) {
                Entry::Vacant(vacant) if stays(at) => {
                    self.keys.push_front(vacant.key().clone());
                    vacant.insert(record);
                }
                // It was stored, or there is a newer one.
                entry => self.bytes -= record.len(entry.key()),
            }
        }
    }

    /// The arrival is unknown: writing a record again does no harm.
    pub(crate) fn failed(&mut self) {
        self.answered(|_| true);
    }

    /// Returns `true` if there is a record of this key that the broker does not have yet.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.waiting.contains_key(key) || self.begun.iter().any(|(begun, _)| begun == key)
    }

    /// Returns the number of the latest record.
    pub(crate) fn latest(&self) -> u64 {
        self.kept
    }

    /// Returns `true` if the broker has all records up to this number.
    pub(crate) fn are_written(&self, place: u64) -> bool {
        let begun = self.begun.first().map(|(_, record)| record);
        let mut waiting = self.keys.iter().filter_map(|key| self.waiting.get(key));
        let first = begun.or_else(|| waiting.next());
        first.is_none_or(|record| record.place > place)
    }

    /// Returns `true` if there is a record that has not expired.
    pub(crate) fn are_due(&self, now: Instant) -> bool {
        let mut waiting = self.waiting.values();
        !self.begun.is_empty() || waiting.any(|record| record.until > now)
    }

    /// Returns their approximate size, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn put(&mut self, key: RecordKey, value: Option<Bytes>, until: Instant, now: Instant) {
        let RecordKey { name: key, moves } = key;
        self.kept += 1;
        let mut record = Record {
            value,
            moves,
            until,
            place: self.kept,
        };
        self.bytes += record.len(&key);
        match self.waiting.entry(key) {
            Entry::Occupied(mut waiting) => {
                record.place = waiting.get().place;
                let older = waiting.insert(record);
                self.bytes -= older.len(waiting.key());
            }
            Entry::Vacant(vacant) => {
                self.keys.push_back(vacant.key().clone());
                vacant.insert(record);
            }
        }
        if self.waiting.len() > self.purge_at {
            self.purge(now);
            self.purge_at = (self.waiting.len() * 2).max(PURGE_THRESHOLD);
        }
    }

    fn purge(&mut self, now: Instant) {
        let bytes = &mut self.bytes;
        self.waiting.retain(|key, record| {
            let lasts = record.until > now;
            if !lasts {
                *bytes -= record.len(key);
            }
            lasts
        });
        self.keys.retain(|key| self.waiting.contains_key(key));
    }
}

impl Record {
    /// Returns its approximate size, in bytes.
    fn len(&self, key: &str) -> usize {
        2 * key.len() + self.value.as_ref().map_or(0, Bytes::len) + OVERHEAD
    }
}

/// The number of records sent at once, and their bytes: few enough not to delay events for long.
const SLICE: usize = 256;
const SLICE_BYTES: usize = 256 << 10;

/// The maximal lifetime of a record, because an instant has an end.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The number of bytes of a record beside its content.
const OVERHEAD: usize = 96;

/// The number of waiting records below which none are purged.
const PURGE_THRESHOLD: usize = 1024;

/// The key of a client that has not moved.
#[cfg(test)]
impl From<&str> for RecordKey {
    fn from(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            moves: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn values(begun: &[(String, Record)]) -> Vec<(&str, Option<&[u8]>)> {
        begun
            .iter()
            .map(|(key, record)| (key.as_str(), record.value.as_deref()))
            .collect()
    }

    #[test]
    fn a_newer_record_replaces_a_waiting_one() {
        let (mut records, now) = (Records::default(), Instant::now());
        records.keep("a".into(), "1".into(), MINUTE, now);
        records.keep("b".into(), "1".into(), MINUTE, now);
        let bytes = records.bytes();
        records.keep("a".into(), "2".into(), MINUTE, now);
        assert_eq!(records.bytes(), bytes);
        records.forget("b".into(), now);
        let begun = records.begin(now);
        assert_eq!(values(begun), [("a", Some(&b"2"[..])), ("b", None)]);
        records.answered(|_| false);
        assert!(records.are_written(records.latest()));
        assert_eq!(records.bytes(), 0);
    }

    #[test]
    fn failed_records_are_rewritten_unless_replaced() {
        let (mut records, now) = (Records::default(), Instant::now());
        for key in ["a", "b", "c"] {
            records.keep(key.into(), "1".into(), MINUTE, now);
        }
        assert_eq!(records.begin(now).len(), 3);
        records.forget("b".into(), now);
        assert!(!records.are_written(records.latest()));
        records.failed();
        let begun = records.begin(now);
        let expected = [("a", Some(&b"1"[..])), ("c", Some(&b"1"[..])), ("b", None)];
        assert_eq!(values(begun), expected);
        records.answered(|at| at == 1);
        assert_eq!(values(records.begin(now)), [("c", Some(&b"1"[..]))]);
    }

    #[test]
    fn records_are_written_in_slices() {
        let (mut records, now) = (Records::default(), Instant::now());
        for n in 0..SLICE + 1 {
            records.keep(n.to_string().as_str().into(), "1".into(), MINUTE, now);
        }
        assert_eq!(records.begin(now).len(), SLICE);
        records.answered(|_| false);
        assert_eq!(values(records.begin(now)), [("256", Some(&b"1"[..]))]);
    }

    #[test]
    fn expired_records_are_purged() {
        let (mut records, now) = (Records::default(), Instant::now());
        records.keep("early".into(), "1".into(), MINUTE, now);
        records.forget("gone".into(), now);
        let later = now + MINUTE;
        for n in 0..PURGE_THRESHOLD - 1 {
            records.keep(n.to_string().as_str().into(), "1".into(), MINUTE, later);
        }
        assert_eq!(records.waiting.len(), PURGE_THRESHOLD - 1);
        assert_eq!(records.keys.len(), PURGE_THRESHOLD - 1);
        assert_eq!(records.begin(later + MINUTE), []);
        assert!(records.are_written(records.latest()));
        assert_eq!(records.bytes(), 0);
    }
}
