//! What waits to be published, bounded in bytes.

use std::collections::VecDeque;

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
    emptied: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    parcels: VecDeque<Parcel>,
    bytes: usize,
    /// The number of the latest entry for a stream.
    sequence: u64,
    refused: u64,
    /// How many of the first ones have been handed to Redis, and may have arrived.
    begun: usize,
}

impl Queue {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            inner: Mutex::default(),
            filled: Notify::new(),
            emptied: Notify::new(),
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
        if inner.parcels.is_empty() {
            self.emptied.notify_waiters();
        }
        count
    }

    /// Waits until everything has been sent that is in the queue.
    pub(crate) async fn drained(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.inner.lock().parcels.is_empty() {
                return;
            }
            emptied.await;
        }
    }

    /// Returns the bytes that wait, and how often there was no room.
    pub(crate) fn state(&self) -> (usize, u64) {
        let inner = self.inner.lock();
        (inner.bytes, inner.refused)
    }
}

impl Inner {
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

/// The field of a stream's entry that numbers it; readers of other kinds skip it.
pub(crate) const SEQUENCE: &str = "seq";

/// Parcels that are handed over at once, and their bytes: enough to make the way back and forth worth
/// while, and few enough to be lost with one connection.
const BATCH: usize = 512;
const BATCH_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
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
