//! The envelopes that wait to be published, limited in bytes.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::adapter::format::{Envelope, check_length};
use crate::adapter::sending::records::{Record, RecordKey, Records};
use crate::cluster::ClusterError;

/// A queue that any thread fills and the publisher empties.
#[derive(Debug)]
pub(crate) struct Queue {
    limit: usize,
    inner: Mutex<Inner>,
    filled: Notify,
    /// Notified after envelopes were removed.
    shorter: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: VecDeque<Waiting>,
    /// Sent after each batch, without a limit.
    records: Records,
    bytes: usize,
    /// The total number of envelopes.
    pushed: u64,
    /// The number of the latest entry for a stream.
    sequence: u64,
    refused: u64,
    /// The node has closed: nothing that is added now would be sent.
    is_closed: bool,
    /// The number of the first ones that were sent to the broker, and may have arrived.
    begun: usize,
    /// The number of the first ones that were sent to a broker that did not respond.
    doubtful: usize,
}

/// A waiting envelope.
#[derive(Debug)]
struct Waiting {
    envelope: Envelope,
    /// Its number among all envelopes.
    place: u64,
    /// The number of the entry, if it may have arrived: then it must not be changed.
    number: Option<u64>,
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

    /// Adds envelopes that belong together: all or none.
    pub(crate) fn push(&self, envelopes: Vec<Envelope>) -> Result<(), ClusterError> {
        let bytes: usize = envelopes.iter().map(Envelope::len).sum();
        // The other nodes would not read it.
        for envelope in &envelopes {
            check_length(envelope.len()).map_err(ClusterError::Encode)?;
        }
        {
            let mut inner = self.inner.lock();
            if inner.is_closed {
                return Err(ClusterError::Closed);
            }
            if inner.bytes + bytes > self.limit {
                inner.refused += 1;
                return Err(ClusterError::QueueFull { bytes: inner.bytes });
            }
            inner.bytes += bytes;
            for envelope in envelopes {
                inner.pushed += 1;
                let place = inner.pushed;
                inner.waiting.push_back(Waiting {
                    envelope,
                    place,
                    number: None,
                });
            }
        }
        self.filled.notify_one();
        Ok(())
    }

    /// Stores a value under a key, for this time.
    pub(crate) fn keep(&self, key: RecordKey, value: Bytes, limit: Duration, now: Instant) {
        self.inner.lock().records.keep(key, value, limit, now);
        self.filled.notify_one();
    }

    /// Deletes the value under a key.
    pub(crate) fn forget(&self, key: RecordKey, now: Instant) {
        self.inner.lock().records.forget(key, now);
        self.filled.notify_one();
    }

    /// Waits for envelopes or records, and passes the first of them to `write`. They stay in the
    /// queue until they are [`sent`](Self::sent).
    ///
    /// Entries of streams get their numbers here, so that no reader handles one twice.
    pub(crate) async fn batch<T>(&self, write: impl Fn(Batch<'_>) -> T) -> T {
        loop {
            {
                let mut inner = self.inner.lock();
                if let Some(batch) = inner.begin(Instant::now()) {
                    return write(batch);
                }
            }
            // Expired records were removed.
            self.shorter.notify_waiters();
            self.filled.notified().await;
        }
    }

    /// Removes the batch.
    pub(crate) fn sent(&self) {
        self.answered(&HashSet::new());
    }

    /// Removes the batch, except the messages at the indexes in `again`, which the broker refused
    /// temporarily. Those are queued again with new numbers, and may be sent after later messages.
    /// Returns the number of messages of the batch; records follow them.
    pub(crate) fn answered(&self, again: &HashSet<usize>) -> usize {
        let mut inner = self.inner.lock();
        let begun = std::mem::take(&mut inner.begun);
        let mut places = 0..;
        inner.take_out(begun, |waiting| {
            waiting.number = None;
            places.next().is_some_and(|place| again.contains(&place))
        });
        inner
            .records
            .answered(|place| again.contains(&(begun + place)));
        drop(inner);
        self.shorter.notify_waiters();
        begun
    }

    /// The arrival of the batch is unknown. Returns the number of messages that are dropped for
    /// that reason: a published message cannot be looked for, and must not be delivered twice.
    pub(crate) fn failed(&self) -> usize {
        let mut inner = self.inner.lock();
        inner.records.failed();
        let begun = std::mem::take(&mut inner.begun);
        if begun == 0 {
            return 0;
        }
        inner.doubtful = inner.take_out(begun, |waiting| waiting.number.is_some());
        let given_up = begun - inner.doubtful;
        drop(inner);
        self.shorter.notify_waiters();
        given_up
    }

    /// Returns the streams with entries whose arrival is unknown.
    pub(crate) fn doubtful(&self) -> HashSet<String> {
        let inner = self.inner.lock();
        let doubtful = inner.waiting.iter().take(inner.doubtful);
        let streams = doubtful.filter_map(|waiting| match &waiting.envelope {
            Envelope::Append { stream, .. } => Some(stream.clone()),
            Envelope::Publish { .. } => None,
        });
        streams.collect()
    }

    /// Removes the entries that have arrived: up to this node's last number in each stream.
    pub(crate) fn settle(&self, arrived: &HashMap<String, u64>) {
        let mut inner = self.inner.lock();
        let doubtful = std::mem::take(&mut inner.doubtful);
        inner.take_out(doubtful, |waiting| match &waiting.envelope {
            Envelope::Append { stream, .. } => waiting.number > arrived.get(stream).copied(),
            Envelope::Publish { .. } => true,
        });
        drop(inner);
        self.shorter.notify_waiters();
    }

    /// Refuses all messages from now on.
    pub(crate) fn close(&self) {
        self.inner.lock().is_closed = true;
    }

    /// Waits until all messages in the queue were sent.
    pub(crate) async fn drained(&self) {
        self.until(|inner| inner.waiting.is_empty()).await;
    }

    /// Waits until the present records were stored, or deleted; later ones may follow.
    pub(crate) async fn recorded(&self) {
        let latest = self.inner.lock().records.latest();
        self.until(|inner| inner.records.are_written(latest)).await;
    }

    /// Waits until the broker has the latest record of this key.
    pub(crate) async fn written(&self, key: &str) {
        self.until(|inner| !inner.records.has(key)).await;
    }

    /// Waits until the present messages in the queue were sent; later ones may follow.
    pub(crate) async fn flushed(&self) {
        let last = self.inner.lock().pushed;
        // A message that was refused temporarily has kept its place.
        let is_past = |first: &Waiting| first.place > last;
        self.until(|inner| inner.waiting.front().is_none_or(is_past))
            .await;
    }

    async fn until(&self, holds: impl Fn(&Inner) -> bool) {
        loop {
            let shorter = self.shorter.notified();
            if holds(&self.inner.lock()) {
                return;
            }
            shorter.await;
        }
    }

    /// Returns `true` if there is nothing to send.
    pub(crate) fn is_empty(&self, now: Instant) -> bool {
        let inner = self.inner.lock();
        inner.waiting.is_empty() && !inner.records.are_due(now)
    }

    /// Returns the number of waiting bytes, and of refused messages.
    pub(crate) fn state(&self) -> (usize, u64) {
        let inner = self.inner.lock();
        (inner.bytes + inner.records.bytes(), inner.refused)
    }
}

/// The messages and records of one batch.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    waiting: &'a VecDeque<Waiting>,
    count: usize,
    /// They follow the envelopes.
    pub(crate) records: &'a [(String, Record)],
    pub(crate) now: Instant,
}

impl Batch<'_> {
    /// Returns the envelopes, and the numbers of entries.
    pub(crate) fn envelopes(&self) -> impl Iterator<Item = (&Envelope, Option<u64>)> {
        let first = self.waiting.iter().take(self.count);
        first.map(|waiting| (&waiting.envelope, waiting.number))
    }
}

impl Inner {
    fn begin(&mut self, now: Instant) -> Option<Batch<'_>> {
        let count = self.first_batch();
        self.begun = count;
        for waiting in self.waiting.iter_mut().take(count) {
            if matches!(waiting.envelope, Envelope::Append { .. }) && waiting.number.is_none() {
                self.sequence += 1;
                waiting.number = Some(self.sequence);
            }
        }
        let records = self.records.begin(now);
        (count > 0 || !records.is_empty()).then_some(Batch {
            waiting: &self.waiting,
            count,
            records,
            now,
        })
    }

    /// Removes those of the first ones that do not stay, and returns the number of the others.
    fn take_out(&mut self, count: usize, mut stays: impl FnMut(&mut Waiting) -> bool) -> usize {
        let count = count.min(self.waiting.len());
        let mut left: Vec<Waiting> = self.waiting.drain(..count).collect();
        left.retain_mut(|waiting| {
            let stays = stays(waiting);
            if !stays {
                self.bytes -= waiting.envelope.len();
            }
            stays
        });
        let count = left.len();
        for waiting in left.into_iter().rev() {
            self.waiting.push_front(waiting);
        }
        count
    }

    fn first_batch(&self) -> usize {
        let mut bytes = 0;
        let mut few = self.waiting.iter().take(BATCH);
        few.position(|waiting| {
            bytes += waiting.envelope.len();
            bytes > BATCH_BYTES
        })
        .map_or(self.waiting.len().min(BATCH), |at| at + 1)
    }
}

/// The field of a stream's entry with its number; other readers ignore it.
pub(crate) const SEQUENCE: &str = "seq";

/// The number of envelopes in a batch, and their bytes: enough to make a round trip worth while,
/// and few enough to be lost with one connection.
const BATCH: usize = 512;
const BATCH_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::adapter::format::Channel;

    fn envelope(bytes: usize) -> Envelope {
        Envelope::Publish {
            channel: Channel::Plain(String::new()),
            payload: vec![0; bytes].into(),
        }
    }

    #[test]
    fn queue_accepts_up_to_its_limit_and_refuses_the_next() {
        let one = envelope(100).len();
        let queue = Queue::new(2 * one);
        queue.push(vec![envelope(100)]).unwrap();
        queue.push(vec![envelope(100)]).unwrap();
        let full = ClusterError::QueueFull { bytes: 2 * one };
        assert_eq!(queue.push(vec![envelope(0)]), Err(full));
        assert_eq!(queue.state(), (2 * one, 1));
    }

    #[test]
    fn closed_queue_refuses_messages_and_keeps_the_present_ones() {
        let queue = Queue::new(1000);
        queue.push(vec![envelope(1)]).unwrap();
        queue.close();
        assert_eq!(queue.push(vec![envelope(1)]), Err(ClusterError::Closed));
        assert_eq!(queue.state(), (envelope(1).len(), 0));
    }

    /// Records that arrive all the time do not keep those waiting that ask for the present ones.
    #[test]
    fn present_records_are_written_although_later_ones_wait() {
        let (queue, now) = (Queue::new(1000), Instant::now());
        let keep = |key: &str| {
            queue.keep(key.into(), Bytes::new(), Duration::from_secs(60), now);
        };
        keep("a");
        keep("b");
        let mut recorded = pin!(queue.recorded());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(recorded.as_mut().poll(&mut cx).is_pending());
        // A newer record of the same key is written in its place.
        keep("b");
        let mut batch = pin!(queue.batch(|batch| batch.records.len()));
        assert_eq!(batch.as_mut().poll(&mut cx), Poll::Ready(2));
        keep("a");
        keep("c");
        assert!(recorded.as_mut().poll(&mut cx).is_pending());
        queue.sent();
        assert!(recorded.as_mut().poll(&mut cx).is_ready());
        assert!(pin!(queue.recorded()).poll(&mut cx).is_pending());
    }

    fn entry(stream: &str) -> Envelope {
        Envelope::Append {
            stream: stream.to_owned(),
            fields: Vec::new(),
        }
    }

    /// Returns the numbers of the next batch.
    async fn numbers(queue: &Queue) -> Vec<Option<u64>> {
        let numbers = |batch: Batch<'_>| batch.envelopes().map(|(_, number)| number).collect();
        queue.batch(numbers).await
    }

    #[actix_rt::test]
    async fn possibly_published_entries_are_checked() {
        let queue = Queue::new(1 << 20);
        queue
            .push(vec![entry("one"), envelope(1), entry("two")])
            .unwrap();
        queue.push(vec![entry("one"), entry("one")]).unwrap();
        let all = [Some(1), None, Some(2), Some(3), Some(4)];
        assert_eq!(numbers(&queue).await, all);
        queue.push(vec![envelope(2)]).unwrap();
        assert_eq!(queue.failed(), 1);
        assert_eq!(
            queue.doubtful(),
            HashSet::from(["one".to_owned(), "two".to_owned()])
        );
        // Of `one` the first two, with the numbers 1 and 3; of `two` none.
        queue.settle(&HashMap::from([("one".to_owned(), 3)]));
        assert_eq!(numbers(&queue).await, [Some(2), Some(4), None]);
        assert!(queue.doubtful().is_empty());
        queue.sent();
        assert_eq!(queue.state().0, 0);
    }

    #[actix_rt::test]
    async fn temporarily_refused_messages_are_renumbered() {
        let queue = Queue::new(1 << 20);
        queue
            .push(vec![entry("one"), entry("one"), envelope(1), envelope(2)])
            .unwrap();
        assert_eq!(numbers(&queue).await, [Some(1), Some(2), None, None]);
        queue.push(vec![entry("one")]).unwrap();
        assert_eq!(queue.answered(&HashSet::from([0, 2])), 4);
        assert_eq!(numbers(&queue).await, [Some(3), None, Some(4)]);
        queue.sent();
        queue.drained().await;
        assert_eq!(queue.state().0, 0);
    }

    #[actix_rt::test]
    async fn flush_does_not_wait_for_later_messages() {
        let queue = Queue::new(1 << 20);
        queue.flushed().await;
        queue.push(vec![envelope(1), envelope(2)]).unwrap();
        assert_eq!(numbers(&queue).await.len(), 2);
        let mut flushed = pin!(queue.flushed());
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(flushed.as_mut().poll(cx).is_pending());
        queue.push(vec![envelope(3)]).unwrap();
        queue.sent();
        assert!(flushed.as_mut().poll(cx).is_ready());
        assert!(pin!(queue.flushed()).poll(cx).is_pending());
    }

    #[actix_rt::test]
    async fn batch_stays_queued_until_it_is_sent() {
        let queue = Queue::new(1 << 20);
        queue.push(vec![envelope(1), envelope(2)]).unwrap();
        for _ in 0..2 {
            assert_eq!(numbers(&queue).await.len(), 2);
        }
        queue.push(vec![envelope(3)]).unwrap();
        queue.sent();
        assert_eq!(numbers(&queue).await.len(), 1);
        queue.sent();
        queue.drained().await;
        assert_eq!(queue.state().0, 0);
    }

    #[actix_rt::test]
    async fn expired_records_are_not_awaited() {
        let (queue, limit) = (Queue::new(0), Duration::from_millis(1));
        let earlier = Instant::now().checked_sub(limit).unwrap();
        queue.keep("a".into(), vec![0].into(), limit, earlier);
        assert!(!queue.is_empty(earlier) && queue.is_empty(earlier + limit));
        assert!(queue.state().0 > 0);
        let shown = queue.batch(|batch| batch.records.len());
        let none = tokio::time::timeout(Duration::ZERO, shown).await;
        assert!(none.is_err());
        queue.recorded().await;
        assert_eq!(queue.state().0, 0);
    }

    #[actix_rt::test]
    async fn records_follow_messages_and_do_not_count_against_their_limit() {
        let queue = Queue::new(envelope(100).len());
        let (now, minute) = (Instant::now(), Duration::from_secs(60));
        queue.keep("a".into(), vec![0; 1000].into(), minute, now);
        queue.push(vec![envelope(100)]).unwrap();
        assert!(queue.state().0 > 1000);
        let shown = |batch: Batch<'_>| (batch.envelopes().count(), batch.records.len());
        let mut written = pin!(queue.written("a"));
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(written.as_mut().poll(cx).is_pending());
        assert_eq!(queue.batch(shown).await, (1, 1));
        assert!(written.as_mut().poll(cx).is_pending());
        assert_eq!(queue.answered(&HashSet::from([1])), 1);
        queue.drained().await;
        assert_eq!(queue.batch(shown).await, (0, 1));
        queue.failed();
        assert_eq!(queue.batch(shown).await, (0, 1));
        queue.sent();
        written.await;
        queue.recorded().await;
        assert_eq!(queue.state().0, 0);
    }
}
