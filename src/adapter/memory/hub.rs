//! The part of a broker in memory that its nodes share: subscriptions, streams, records.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::adapter::broker::TakenRecord;
use crate::adapter::format::{Channel, Envelope};
use crate::adapter::log_entry::LogEntry;
use crate::adapter::sending::{Record, SEQUENCE};
use crate::adapter::setup::STREAM_LENGTH;
use crate::adapter::subscriptions::Change;
use crate::cluster::EntryId;

/// The number of a node, in the order of their adapters.
pub(super) type NodeNumber = u64;

/// The shared part of a broker.
#[derive(Debug)]
pub(super) struct Hub {
    content: Mutex<Content>,
    /// A message was delivered, or an entry was appended.
    changed: Notify,
}

#[derive(Debug)]
struct Content {
    nodes: BTreeMap<NodeNumber, Member>,
    registered: NodeNumber,
    streams: HashMap<String, Stream>,
    /// Those without a value have the number of moves of a client.
    records: HashMap<String, Record>,
    /// The number of records at which expired ones are removed.
    purge_at: usize,
    random: u64,
}

/// A node as the others see it.
#[derive(Debug, Default)]
struct Member {
    subscriptions: HashSet<Channel>,
    /// Its envelopes that were not delivered yet.
    outgoing: VecDeque<Outgoing>,
    incoming: VecDeque<Message>,
}

/// An envelope, and the number of its entry.
pub(super) type Outgoing = (Envelope, Option<u64>);

/// A message in transit to one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// The channel or the pattern to which the node subscribes.
    pub(super) subscription: String,
    pub(super) channel: String,
    pub(super) payload: Bytes,
}

#[derive(Debug, Default)]
struct Stream {
    entries: VecDeque<(EntryId, LogEntry)>,
    last: EntryId,
}

/// The extent of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct StreamInfo {
    pub(super) first: Option<EntryId>,
    pub(super) last: EntryId,
    pub(super) is_uncut: bool,
}

impl Hub {
    pub(super) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            content: Mutex::new(Content {
                nodes: BTreeMap::new(),
                registered: 0,
                streams: HashMap::new(),
                records: HashMap::new(),
                purge_at: PURGE_THRESHOLD,
                // xorshift needs a state other than zero.
                random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            }),
            changed: Notify::new(),
        })
    }

    /// Returns the number of a new node, which exists after it subscribes.
    pub(super) fn register(&self) -> NodeNumber {
        let mut content = self.content.lock();
        content.registered += 1;
        content.registered
    }

    /// Restarts a node with exactly these subscriptions.
    pub(super) fn enter(&self, number: NodeNumber, changes: Vec<Change>) {
        let mut content = self.content.lock();
        let member = content.nodes.entry(number).or_default();
        member.subscriptions.clear();
        member.change(changes);
    }

    pub(super) fn change(&self, number: NodeNumber, changes: Vec<Change>) {
        if let Some(member) = self.content.lock().nodes.get_mut(&number) {
            member.change(changes);
        }
    }

    pub(super) fn leave(&self, number: NodeNumber) {
        self.content.lock().nodes.remove(&number);
    }

    /// Takes the envelopes that a node publishes; [`step`](Self::step) delivers them.
    pub(super) fn offer(&self, number: NodeNumber, outgoing: Vec<Outgoing>) {
        let mut content = self.content.lock();
        let member = content.nodes.entry(number).or_default();
        member.outgoing.extend(outgoing);
    }

    /// Delivers the next envelope of a node that the seed selects. Returns whether this node has
    /// more.
    pub(super) fn step(&self, number: NodeNumber) -> bool {
        let mut content = self.content.lock();
        if let Some((envelope, sequence)) = content.next() {
            match envelope {
                Envelope::Publish { channel, payload } => {
                    content.deliver(&channel, &payload);
                }
                Envelope::Append { stream, fields } => content.append(stream, &fields, sequence),
            }
        }
        let member = content.nodes.get(&number);
        let has_more = member.is_some_and(|member| !member.outgoing.is_empty());
        drop(content);
        self.changed.notify_waiters();
        has_more
    }

    /// Delivers a message at once, and returns the number of subscribers.
    pub(super) fn deliver(&self, channel: &Channel, payload: &Bytes) -> usize {
        let listeners = self.content.lock().deliver(channel, payload);
        self.changed.notify_waiters();
        listeners
    }

    /// Waits for the next message of a node.
    pub(super) async fn next(&self, number: NodeNumber) -> Message {
        loop {
            let changed = self.changed.notified();
            let message = {
                let mut content = self.content.lock();
                let member = content.nodes.get_mut(&number);
                member.and_then(|member| member.incoming.pop_front())
            };
            match message {
                Some(message) => return message,
                None => changed.await,
            }
        }
    }

    /// Waits for entries after one.
    pub(super) async fn entries(&self, stream: &str, after: EntryId) -> Vec<(EntryId, LogEntry)> {
        loop {
            let changed = self.changed.notified();
            let entries = self.range(stream, after, LAST, READ_COUNT);
            if !entries.is_empty() {
                return entries;
            }
            changed.await;
        }
    }

    /// Returns the first `count` entries after one entry and up to another.
    pub(super) fn range(
        &self,
        stream: &str,
        after: EntryId,
        upto: EntryId,
        count: usize,
    ) -> Vec<(EntryId, LogEntry)> {
        let content = self.content.lock();
        let Some(stream) = content.streams.get(stream) else {
            return Vec::new();
        };
        let start = stream.entries.partition_point(|(id, _)| *id <= after);
        let entries = stream.entries.range(start..);
        let entries = entries.take_while(|(id, _)| *id <= upto).take(count);
        entries.cloned().collect()
    }

    pub(super) fn extent(&self, stream: &str) -> StreamInfo {
        let content = self.content.lock();
        let extent = |stream: &Stream| StreamInfo {
            first: stream.entries.front().map(|(id, _)| *id),
            last: stream.last,
            is_uncut: stream.entries.len() as u64 == stream.last.time,
        };
        content.streams.get(stream).map(extent).unwrap_or_default()
    }

    /// Returns the number of nodes that subscribe to a channel by its name.
    pub(super) fn listeners(&self, channel: &Channel) -> usize {
        let content = self.content.lock();
        let members = content.nodes.values();
        let listening = members.filter(|member| member.subscriptions.contains(channel));
        listening.count()
    }

    /// Returns the names of the channels that match a glob pattern.
    pub(super) fn matching(&self, pattern: &str) -> Vec<String> {
        let content = self.content.lock();
        let channels = content
            .nodes
            .values()
            .flat_map(|member| &member.subscriptions);
        let names = channels.map(Channel::name);
        let found: HashSet<&str> = names.filter(|name| matches(pattern, name)).collect();
        found.into_iter().map(str::to_owned).collect()
    }

    pub(super) fn write_records(&self, records: Vec<(String, Record)>) {
        let mut content = self.content.lock();
        for (key, record) in records {
            content.write_record(key, record);
        }
    }

    pub(super) fn record(&self, key: &str) -> Option<String> {
        text_of(self.content.lock().records.get(key)?)
    }

    pub(super) fn take_record(&self, key: &str, limit: Duration) -> Option<TakenRecord> {
        let mut content = self.content.lock();
        let record = content.records.get_mut(key)?;
        let value = text_of(record)?;
        record.value = None;
        record.moves += 1;
        record.until = Instant::now() + limit;
        let moves = record.moves;
        Some(TakenRecord { value, moves })
    }
}

impl Content {
    /// Takes the next envelope of a node that the seed selects.
    fn next(&mut self) -> Option<Outgoing> {
        let waiting = self.nodes.values_mut();
        let mut waiting: Vec<_> = waiting
            .map(|member| &mut member.outgoing)
            .filter(|outgoing| !outgoing.is_empty())
            .collect();
        let count = waiting.len() as u64;
        // xorshift64
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let picked = self.random.checked_rem(count)?;
        waiting.get_mut(picked as usize)?.pop_front()
    }

    fn deliver(&mut self, channel: &Channel, payload: &Bytes) -> usize {
        let mut listeners = 0;
        for member in self.nodes.values_mut() {
            let heard: Vec<_> = member
                .subscriptions
                .iter()
                .filter(|subscription| match subscription {
                    Channel::Pattern(pattern) => matches(pattern, channel.name()),
                    Channel::Plain(_) | Channel::Shard(_) => *subscription == channel,
                })
                .map(|subscription| Message {
                    subscription: subscription.name().to_owned(),
                    channel: channel.name().to_owned(),
                    payload: payload.clone(),
                })
                .collect();
            listeners += heard.len();
            member.incoming.extend(heard);
        }
        listeners
    }

    /// Writes a record, unless the client has moved more often.
    fn write_record(&mut self, key: String, mut record: Record) {
        let kept = self.records.get(&key);
        if kept.is_some_and(|kept| kept.moves > record.moves) {
            return;
        }
        if record.value.is_none() {
            // An earlier node may write later.
            record.until += record.until.saturating_duration_since(Instant::now());
        }
        self.records.insert(key, record);
        if self.records.len() > self.purge_at {
            let now = Instant::now();
            self.records.retain(|_, record| record.until > now);
            self.purge_at = (2 * self.records.len()).max(PURGE_THRESHOLD);
        }
    }

    fn append(&mut self, stream: String, fields: &[(&str, Bytes)], sequence: Option<u64>) {
        let stream = self.streams.entry(stream).or_default();
        // A counter, not a clock, so that the same run gives the same ids.
        stream.last.time += 1;
        let id = stream.last;
        let mut entry = LogEntry::new(id.to_string());
        for (name, value) in fields {
            entry.set(name, value.to_vec());
        }
        if let Some(sequence) = sequence {
            entry.set(SEQUENCE, sequence.to_string().into_bytes());
        }
        stream.entries.push_back((id, entry));
        if stream.entries.len() > STREAM_LENGTH {
            stream.entries.pop_front();
        }
    }
}

impl Member {
    fn change(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Listen(channel) => self.subscriptions.insert(channel),
                Change::Leave(channel) => self.subscriptions.remove(&channel),
            };
        }
    }
}

/// Returns the value of a record that has not expired.
fn text_of(record: &Record) -> Option<String> {
    let value = record
        .value
        .as_ref()
        .filter(|_| record.until > Instant::now())?;
    String::from_utf8(value.to_vec()).ok()
}

/// Returns `true` if a name matches a glob pattern of `*`, `?` and escapes.
fn matches(pattern: &str, name: &str) -> bool {
    let mut rest = pattern.chars();
    let mut names = name.chars();
    match rest.next() {
        None => name.is_empty(),
        Some('*') => {
            let behind = rest.as_str();
            let mut starts = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            starts.any(|at| matches(behind, &name[at..]))
        }
        Some('?') => names.next().is_some() && matches(rest.as_str(), names.as_str()),
        Some('\\') => {
            let escaped = rest.next();
            escaped.is_some() && names.next() == escaped && matches(rest.as_str(), names.as_str())
        }
        literal => names.next() == literal && matches(rest.as_str(), names.as_str()),
    }
}

/// No entry is after it.
const LAST: EntryId = EntryId {
    time: u64::MAX,
    number: u64::MAX,
};

/// The number of records below which none are removed.
const PURGE_THRESHOLD: usize = 1024;

/// The number of entries read at once.
const READ_COUNT: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::sending::{RecordKey, Records};

    const MINUTE: Duration = Duration::from_secs(60);

    fn publish(text: &'static str) -> Outgoing {
        let envelope = Envelope::Publish {
            channel: Channel::Plain("all".to_owned()),
            payload: Bytes::from_static(text.as_bytes()),
        };
        (envelope, None)
    }

    /// Returns the messages that a subscriber receives if two nodes publish at the same time.
    fn order(seed: u64) -> Vec<Bytes> {
        let hub = Hub::new(seed);
        let [one, two, listener] = [hub.register(), hub.register(), hub.register()];
        let all = Channel::Plain("all".to_owned());
        hub.enter(listener, vec![Change::Listen(all)]);
        hub.offer(one, ["1", "2", "3", "4"].map(publish).to_vec());
        hub.offer(two, ["a", "b", "c", "d"].map(publish).to_vec());
        while hub.step(one) || hub.step(two) {}
        let mut content = hub.content.lock();
        let heard = content.nodes.get_mut(&listener).unwrap().incoming.drain(..);
        heard.map(|message| message.payload).collect()
    }

    #[test]
    fn the_seed_decides_between_nodes_and_never_within_one() {
        let orders: Vec<_> = (0..8).map(order).collect();
        for (seed, heard) in orders.iter().enumerate() {
            assert_eq!(*heard, order(seed as u64));
            let of = |digits: bool| {
                let mine = heard
                    .iter()
                    .filter(|text| text[0].is_ascii_digit() == digits);
                mine.map(|text| text[0]).collect::<Vec<u8>>()
            };
            assert_eq!((of(true), of(false)), (b"1234".to_vec(), b"abcd".to_vec()));
        }
        assert!(orders.iter().any(|other| *other != orders[0]));
    }

    #[test]
    fn patterns_match_as_those_of_redis() {
        for (pattern, name, is_match) in [
            ("a*", "abc", true),
            ("a*c", "abc", true),
            ("a*d", "abc", false),
            ("???", "abc", true),
            ("??", "abc", false),
            (r"a\*", "a*", true),
            (r"a\*", "ab", false),
            ("", "", true),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, name), is_match, "{pattern} {name}");
        }
    }

    fn record(value: Option<&'static str>, moves: u64) -> Record {
        let mut records = Records::default();
        let key = RecordKey {
            name: "a".to_owned(),
            moves,
        };
        let now = Instant::now();
        records.keep(key.clone(), Bytes::new(), MINUTE, now);
        match value {
            Some(value) => records.keep(key, value.into(), MINUTE, now),
            None => records.forget(key, now),
        }
        records.begin(now)[0].1.clone()
    }

    /// A node that was cut off writes, or deletes, the record of a client that has moved.
    #[test]
    fn a_record_with_fewer_moves_changes_nothing() {
        let hub = Hub::new(1);
        let write = |value, moves| {
            hub.write_records(vec![("a".to_owned(), record(value, moves))]);
            hub.record("a")
        };
        let taken = |value: &str, moves| {
            let value = value.to_owned();
            Some(TakenRecord { value, moves })
        };
        assert_eq!(write(Some("0"), 0).as_deref(), Some("0"));
        assert_eq!(hub.take_record("a", MINUTE), taken("0", 1));
        assert_eq!(hub.take_record("a", MINUTE), None);
        assert_eq!(write(Some("late"), 0), None);
        assert_eq!(write(Some("1"), 1).as_deref(), Some("1"));
        assert_eq!(write(Some("late"), 0).as_deref(), Some("1"));
        assert_eq!(write(None, 0).as_deref(), Some("1"));
        assert_eq!(write(Some("again"), 1).as_deref(), Some("again"));
        assert_eq!(hub.take_record("a", MINUTE), taken("again", 2));
        assert_eq!(write(Some("2"), 2).as_deref(), Some("2"));
        assert_eq!(write(None, 2), None);
        assert_eq!(write(Some("late"), 1), None);
    }

    #[test]
    fn expired_records_are_removed() {
        let hub = Hub::new(1);
        let write = |number: usize, until| {
            let mut record = record(Some("0"), 0);
            record.until = until;
            hub.write_records(vec![(number.to_string(), record)]);
            hub.content.lock().records.len()
        };
        let now = Instant::now();
        for number in 1..=PURGE_THRESHOLD {
            assert_eq!(write(number, now), number);
        }
        assert_eq!(write(0, now + MINUTE), 1);
    }

    #[test]
    fn a_stream_is_cut_at_its_length() {
        let hub = Hub::new(1);
        let one = hub.register();
        for _ in 0..=STREAM_LENGTH {
            let entry = Envelope::Append {
                stream: "s".to_owned(),
                fields: Vec::new(),
            };
            hub.offer(one, vec![(entry, Some(1))]);
            hub.step(one);
        }
        let extent = hub.extent("s");
        let id = |time| EntryId { time, number: 0 };
        assert_eq!(extent.first, Some(id(2)));
        assert_eq!(extent.last, id(STREAM_LENGTH as u64 + 1));
        assert!(!extent.is_uncut);
        assert_eq!(hub.range("s", id(2), id(5), 2).len(), 2);
    }
}
