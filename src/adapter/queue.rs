//! What waits to be published, bounded in bytes.

use std::collections::{HashMap, HashSet, VecDeque};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::adapter::format::Parcel;
use crate::cluster::ClusterError;

/// A queue that any thread fills and the publisher empties.
#[derive(Debug)]
pub(crate) struct Queue {
    limit: usize,
    inner: Mutex<Inner>,
    filled: Notify,
    /// Something has gone.
    shorter: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    parcels: VecDeque<Parcel>,
    bytes: usize,
    /// How many parcels there were ever, but for those that were taken out of their turn.
    pushed: u64,
    /// The number of the latest entry for a stream.
    sequence: u64,
    refused: u64,
    /// How many of the first ones have been handed to Redis, and may have arrived.
    begun: usize,
    /// How many of the first ones were handed to a Redis that did not say whether they have arrived.
    doubtful: usize,
}

impl Queue {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            inner: Mutex::default(),
            filled: Notify::new(),
            shorter: Notify::new(),
        }
    }

    /// Adds parcels that belong together, all or none.
    /// Entries of streams are numbered in the order of the queue, so that nobody takes one twice.
    pub(crate) fn push(&self, mut parcels: Vec<Parcel>) -> Result<(), ClusterError> {
        let bytes: usize = parcels.iter().map(Parcel::len).sum();
        {
            let mut inner = self.inner.lock();
            if inner.bytes + bytes > self.limit {
                inner.refused += 1;
                return Err(ClusterError::QueueFull { bytes: inner.bytes });
            }
            for parcel in &mut parcels {
                if let Parcel::Append { fields, .. } = parcel {
                    inner.sequence += 1;
                    fields.push((SEQUENCE, inner.sequence.to_string().into()));
                }
            }
            inner.bytes += parcels.iter().map(Parcel::len).sum::<usize>();
            inner.pushed += parcels.len() as u64;
            inner.parcels.extend(parcels);
        }
        self.filled.notify_one();
        Ok(())
    }

    /// Waits for parcels, and shows the first of them to `write`, which says how many it has taken; they
    /// stay until they are [`sent`](Self::sent).
    pub(crate) async fn batch<T>(
        &self,
        write: impl Fn(&mut dyn Iterator<Item = &Parcel>) -> T,
    ) -> T {
        loop {
            {
                let mut inner = self.inner.lock();
                let count = inner.first_batch();
                if count > 0 {
                    inner.begun = count;
                    return write(&mut inner.parcels.iter().take(count));
                }
            }
            self.filled.notified().await;
        }
    }

    /// Takes away what [`batch`](Self::batch) has shown.
    pub(crate) fn sent(&self) -> usize {
        let mut inner = self.inner.lock();
        let count = std::mem::take(&mut inner.begun);
        let sent: usize = inner
            .parcels
            .drain(..count)
            .map(|parcel| parcel.len())
            .sum();
        inner.bytes -= sent;
        drop(inner);
        self.shorter.notify_waiters();
        count
    }

    /// Nobody knows whether what [`batch`](Self::batch) has shown has arrived. Returns how many are given
    /// up for that: what is published cannot be looked for, and must not come twice.
    pub(crate) fn failed(&self) -> usize {
        let mut inner = self.inner.lock();
        let begun = std::mem::take(&mut inner.begun);
        if begun == 0 {
            return 0;
        }
        let stays = |parcel: &Parcel| {
            !matches!(parcel, Parcel::Publish { .. } | Parcel::ShardPublish { .. })
        };
        inner.doubtful = inner.take_out(begun, stays);
        let given_up = begun - inner.doubtful;
        drop(inner);
        self.shorter.notify_waiters();
        given_up
    }

    /// Returns the streams to which entries were written that may have arrived.
    pub(crate) fn doubtful(&self) -> HashSet<String> {
        let inner = self.inner.lock();
        let doubtful = inner.parcels.iter().take(inner.doubtful);
        let streams = doubtful.filter_map(|parcel| match parcel {
            Parcel::Append { stream, .. } => Some(stream.clone()),
            _ => None,
        });
        streams.collect()
    }

    /// Takes away those of them that have arrived: the last number of this node in each stream.
    pub(crate) fn settle(&self, arrived: &HashMap<String, u64>) {
        let mut inner = self.inner.lock();
        let doubtful = std::mem::take(&mut inner.doubtful);
        inner.take_out(doubtful, |parcel| match parcel {
            Parcel::Append { stream, .. } => parcel.sequence() > arrived.get(stream).copied(),
            _ => true,
        });
        drop(inner);
        self.shorter.notify_waiters();
    }

    /// Waits until everything has been sent that is in the queue.
    pub(crate) async fn drained(&self) {
        loop {
            let shorter = self.shorter.notified();
            if self.inner.lock().parcels.is_empty() {
                return;
            }
            shorter.await;
        }
    }

    /// Waits until everything has been sent that is in the queue now, whatever comes behind it.
    pub(crate) async fn flushed(&self) {
        let last = self.inner.lock().pushed;
        loop {
            let shorter = self.shorter.notified();
            if self.inner.lock().is_past(last) {
                return;
            }
            shorter.await;
        }
    }

    /// Returns the bytes that wait, and how often there was no room.
    pub(crate) fn state(&self) -> (usize, u64) {
        let inner = self.inner.lock();
        (inner.bytes, inner.refused)
    }
}

impl Inner {
    /// Tells whether all has gone that was there when so many had been pushed.
    fn is_past(&self, pushed: u64) -> bool {
        self.parcels.is_empty() || pushed + self.parcels.len() as u64 <= self.pushed
    }

    /// Takes those of the first ones out that do not stay, and returns how many do.
    fn take_out(&mut self, count: usize, stays: impl Fn(&Parcel) -> bool) -> usize {
        let rest = self.parcels.split_off(count.min(self.parcels.len()));
        self.parcels.retain(|parcel| {
            let stays = stays(parcel);
            if !stays {
                self.bytes -= parcel.len();
                // As if it had never come: what it says of those before and behind it would be wrong.
                self.pushed -= 1;
            }
            stays
        });
        let left = self.parcels.len();
        self.parcels.extend(rest);
        left
    }

    fn first_batch(&self) -> usize {
        let mut bytes = 0;
        let mut few = self.parcels.iter().take(BATCH);
        few.position(|parcel| {
            bytes += parcel.len();
            bytes > BATCH_BYTES
        })
        .map_or(self.parcels.len().min(BATCH), |at| at + 1)
    }
}

impl Parcel {
    /// Returns the number of an entry.
    fn sequence(&self) -> Option<u64> {
        let Self::Append { fields, .. } = self else {
            return None;
        };
        let (_, text) = fields.iter().find(|(name, _)| *name == SEQUENCE)?;
        std::str::from_utf8(text).ok()?.parse().ok()
    }
}

/// The field of a stream's entry that numbers it; readers of other kinds skip it.
pub(crate) const SEQUENCE: &str = "seq";

/// Parcels that are handed over at once, and their bytes: enough to make the way back and forth worth
/// while, and few enough to be lost with one connection.
const BATCH: usize = 512;
const BATCH_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn parcel(bytes: usize) -> Parcel {
        Parcel::Publish {
            channel: String::new(),
            payload: vec![0; bytes].into(),
        }
    }

    #[test]
    fn what_fits_is_taken_and_what_does_not_is_refused() {
        let one = parcel(100).len();
        let queue = Queue::new(2 * one);
        queue.push(vec![parcel(100)]).unwrap();
        queue.push(vec![parcel(100)]).unwrap();
        let full = ClusterError::QueueFull { bytes: 2 * one };
        assert_eq!(queue.push(vec![parcel(0)]), Err(full));
        assert_eq!(queue.state(), (2 * one, 1));
    }

    #[actix_rt::test]
    async fn what_may_have_arrived_is_looked_for() {
        let entry = |stream: &str| Parcel::Append {
            stream: stream.to_owned(),
            fields: Vec::new(),
        };
        let queue = Queue::new(1 << 20);
        queue
            .push(vec![entry("one"), parcel(1), entry("two")])
            .unwrap();
        queue.push(vec![entry("one"), entry("one")]).unwrap();
        assert_eq!(queue.batch(|parcels| parcels.count()).await, 5);
        queue.push(vec![parcel(2)]).unwrap();
        assert_eq!(queue.failed(), 1);
        assert_eq!(
            queue.doubtful(),
            HashSet::from(["one".to_owned(), "two".to_owned()])
        );
        // Of `one` the first two, by their numbers 1 and 3; of `two` nothing.
        queue.settle(&HashMap::from([("one".to_owned(), 3)]));
        let left = |parcels: &mut dyn Iterator<Item = &Parcel>| {
            parcels.map(Parcel::sequence).collect::<Vec<_>>()
        };
        assert_eq!(queue.batch(left).await, [Some(2), Some(4), None]);
        assert!(queue.doubtful().is_empty());
        queue.sent();
        assert_eq!(queue.state().0, 0);
    }

    #[actix_rt::test]
    async fn what_comes_later_is_not_waited_for() {
        let queue = Queue::new(1 << 20);
        queue.flushed().await;
        queue.push(vec![parcel(1), parcel(2)]).unwrap();
        assert_eq!(queue.batch(|parcels| parcels.count()).await, 2);
        let mut flushed = pin!(queue.flushed());
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(flushed.as_mut().poll(cx).is_pending());
        queue.push(vec![parcel(3)]).unwrap();
        queue.sent();
        assert!(flushed.as_mut().poll(cx).is_ready());
        assert!(pin!(queue.flushed()).poll(cx).is_pending());
    }

    #[actix_rt::test]
    async fn what_was_shown_stays_until_it_was_sent() {
        let queue = Queue::new(1 << 20);
        queue.push(vec![parcel(1), parcel(2)]).unwrap();
        for _ in 0..2 {
            assert_eq!(queue.batch(|parcels| parcels.count()).await, 2);
        }
        queue.push(vec![parcel(3)]).unwrap();
        assert_eq!(queue.sent(), 2);
        assert_eq!(queue.batch(|parcels| parcels.count()).await, 1);
        assert_eq!(queue.sent(), 1);
        queue.drained().await;
        assert_eq!(queue.state().0, 0);
    }
}
