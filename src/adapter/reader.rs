//! What other nodes say by a stream.
//!
//! Each node reads everything from where it was, also after it was cut off. Entries that this node
//! has appended itself, and those that it has read before, are skipped.

use std::sync::Arc;
use std::time::Duration;

use log::Level;
use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Value};

use crate::adapter::connection::{Backoff, RESPONSE_LIMIT, connect};
use crate::adapter::delivery;
use crate::adapter::format::{check_length, from_fields};
use crate::adapter::node::{Node, OWN, Part};
use crate::adapter::queue::SEQUENCE;
use crate::cluster::EntryId;
use crate::logging::{LogKind, cut};
use crate::panics::catch_panic;
use crate::socket::Origin;

/// How far this node has read a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// Where it began to read.
    began: EntryId,
    /// The last entry that was read.
    pub(crate) at: EntryId,
    /// How many entries the stream had got up to there; before Redis 7 nobody counts them.
    count: Option<u64>,
}

/// Reads for as long as it is polled; ends at once where there is nothing to read.
pub(crate) async fn run(node: Arc<Node>) {
    if node.streams.is_empty() {
        return;
    }
    let mut backoff = Backoff::new();
    loop {
        match connect(&node.config.client, Some(READ_LIMIT), |_| {}).await {
            Ok(mut connection) => {
                let error = tokio::select! {
                    error = read(&node, &mut connection.commands, &mut backoff) => error,
                    () = connection.broken.notified() => "the connection was closed".to_owned(),
                };
                node.broken(Part::Reader, &error);
            }
            Err(error) => node.broken(Part::Reader, &error.to_string()),
        }
        tokio::time::sleep(backoff.next()).await;
    }
}

async fn read(
    node: &Arc<Node>,
    connection: &mut MultiplexedConnection,
    backoff: &mut Backoff,
) -> String {
    if let Err(error) = begin(node, connection).await {
        return error.to_string();
    }
    let mut is_first = true;
    loop {
        let mut command = redis::cmd("XREAD");
        command.arg("COUNT").arg(READ_COUNT);
        // The first one does not wait: it shows whether this node may read.
        if !is_first {
            command.arg("BLOCK").arg(BLOCK_MILLISECONDS);
        }
        command.arg("STREAMS").arg(&node.streams);
        {
            let positions = node.positions.lock();
            for stream in &node.streams {
                let position = positions.get(stream).copied().unwrap_or_default();
                command.arg(position.at.to_string());
            }
        }
        match command.query_async::<Value>(connection).await {
            Ok(read) => {
                for (stream, entries) in streams_of(read) {
                    for entry in entries {
                        take(node, &stream, &entry);
                        if let Some(position) = node.positions.lock().get_mut(&stream) {
                            position.pass(&entry);
                        }
                    }
                }
            }
            Err(error) => return error.to_string(),
        }
        if std::mem::take(&mut is_first) {
            backoff.reset();
            node.connected(Part::Reader);
        }
    }
}

/// Finds out where to begin, or, after a pause, whether something has gone meanwhile.
async fn begin(node: &Arc<Node>, connection: &mut MultiplexedConnection) -> RedisResult<()> {
    for stream in &node.streams {
        let extent = extent_of(stream, connection).await?;
        let known = node.positions.lock().get(stream).copied();
        let position = match known {
            None => extent.end(extent.last),
            Some(known) if extent.last < known.at => {
                read_again(node, stream, known, &extent, connection).await?;
                extent.end(known.began.min(extent.last))
            }
            Some(mut known) => {
                let lost = extent.cut_off(known);
                node.lost(lost, "in the part of a stream that was cut off");
                known.count = extent.count_of(known, lost);
                known
            }
        };
        node.positions.lock().insert(stream.clone(), position);
    }
    Ok(())
}

/// Redis has less than was read: it has begun anew, or another server has taken its place. What
/// nodes of this crate have appended since then is known by its numbers; of the others nobody can
/// tell what is new, so that what they have appended up to now is not read.
async fn read_again(
    node: &Arc<Node>,
    stream: &str,
    known: Position,
    extent: &Extent,
    connection: &mut MultiplexedConnection,
) -> RedisResult<()> {
    let (from, to) = (known.at, extent.last);
    log::warn!("stream {stream:?} has gone back from entry {from} to {to}");
    node.lost(1, "in the part of a stream that Redis has no more");
    let mut after = known.began;
    while after < extent.last {
        let mut command = redis::cmd("XRANGE");
        command.arg(stream).arg(format!("({after}"));
        command.arg(extent.last.to_string());
        command.arg("COUNT").arg(READ_COUNT);
        let entries = entries_of(command.query_async(connection).await?);
        let numbered = entries.iter().filter(|entry| entry.sequence.is_some());
        numbered.for_each(|entry| take(node, stream, entry));
        match entries.last().and_then(|last| last.id.parse().ok()) {
            Some(last) => after = last,
            None => break,
        }
    }
    Ok(())
}

/// What a stream has.
#[derive(Debug, Default, PartialEq, Eq)]
struct Extent {
    length: u64,
    first: Option<EntryId>,
    /// The last entry there ever was.
    last: EntryId,
    /// How many entries there ever were; Redis says it since version 7.
    added: Option<u64>,
}

impl Extent {
    /// Reads what XINFO says.
    fn of(info: Value) -> Self {
        let mut extent = Self::default();
        let Value::Map(fields) = info else {
            return extent;
        };
        let id = |value| text(value).and_then(|id| id.parse().ok());
        for (name, value) in fields {
            match (text(name).as_deref(), value) {
                (Some("length"), Value::Int(length)) => extent.length = length.unsigned_abs(),
                (Some("entries-added"), Value::Int(added)) => {
                    extent.added = Some(added.unsigned_abs());
                }
                (Some("last-generated-id"), last) => extent.last = id(last).unwrap_or_default(),
                (Some("first-entry"), Value::Array(first)) => {
                    extent.first = first.into_iter().next().and_then(id);
                }
                _ => {}
            }
        }
        extent
    }

    /// Returns the position of who has read all of it.
    fn end(&self, began: EntryId) -> Position {
        Position {
            began,
            at: self.last,
            count: self.added,
        }
    }

    /// Returns how many entries are there no more that a reader at this position had still to read.
    fn cut_off(&self, position: Position) -> usize {
        let Some((added, read)) = self.added.zip(position.count) else {
            // How many, nobody knows.
            let was_read = position.at != EntryId::default();
            return usize::from(was_read && self.first > Some(position.at));
        };
        let gone = added.saturating_sub(self.length);
        usize::try_from(gone.saturating_sub(read)).unwrap_or(usize::MAX)
    }

    /// Returns how many entries there were up to a position, behind which so many were cut off.
    fn count_of(&self, position: Position, lost: usize) -> Option<u64> {
        let count = position.count?.saturating_add(lost as u64);
        // Somebody has deleted the stream, and it has begun to count anew.
        (Some(count) <= self.added).then_some(count)
    }
}

impl Position {
    fn pass(&mut self, entry: &Entry) {
        if let Ok(id) = entry.id.parse() {
            self.at = id;
            self.count = self.count.map(|count| count + 1);
        }
    }
}

async fn extent_of(stream: &str, connection: &mut MultiplexedConnection) -> RedisResult<Extent> {
    let mut command = redis::cmd("XINFO");
    command.arg("STREAM").arg(stream);
    match command.query_async(connection).await {
        Ok(info) => Ok(Extent::of(info)),
        Err(error) if error.detail() == Some(NO_STREAM) => Ok(Extent {
            added: Some(0),
            ..Extent::default()
        }),
        Err(error) => Err(error),
    }
}

/// An entry of a stream.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) uid: String,
    pub(crate) namespace: String,
    pub(crate) kind: String,
    pub(crate) data: Vec<u8>,
    pub(crate) sequence: Option<u64>,
    /// The number among its node's own events.
    pub(crate) own: Option<u64>,
}

impl Entry {
    /// Says where an event that it holds comes from.
    fn origin(&self) -> Origin<'_> {
        match self.id.parse() {
            Ok(id) => Origin::Entry(id, &self.uid, self.own.unwrap_or(0)),
            Err(()) => Origin::Alone,
        }
    }
}

fn take(node: &Arc<Node>, stream: &str, entry: &Entry) {
    let own = entry.uid == node.format.uid();
    let again = |number| !node.is_new(stream, &entry.uid, number);
    if own || entry.namespace.is_empty() || entry.sequence.is_some_and(again) {
        return;
    }
    let taken = catch_panic(|| {
        let heard = check_length(entry.data.len())
            .and_then(|()| from_fields(&entry.uid, &entry.namespace, &entry.kind, &entry.data));
        match heard {
            Ok(Some(heard)) => delivery::receive(node, heard, entry.origin()),
            Ok(None) => {}
            Err(error) => {
                let line = format_args!("entry {} of a stream is skipped: {error}", entry.id);
                node.line_limits.write(LogKind::Foreign, Level::Warn, line);
            }
        }
    });
    if let Err(panic) = taken {
        let panic = cut(panic);
        let line = format_args!("entry {} of a stream made a panic: {panic}", entry.id);
        node.line_limits
            .write(LogKind::Panicked, Level::Error, line);
    }
}

/// Returns what XREAD has found: entries by stream, in a map or in a list of pairs.
fn streams_of(read: Value) -> Vec<(String, Vec<Entry>)> {
    let pairs: Vec<(Value, Value)> = match read {
        Value::Map(pairs) => pairs,
        Value::Array(streams) => streams
            .into_iter()
            .filter_map(|stream| {
                let Value::Array(pair) = stream else {
                    return None;
                };
                let mut pair = pair.into_iter();
                Some((pair.next()?, pair.next()?))
            })
            .collect(),
        _ => return Vec::new(),
    };
    let named = |(stream, entries)| Some((text(stream)?, entries_of(entries)));
    pairs.into_iter().filter_map(named).collect()
}

/// Returns entries as XRANGE and its kin give them.
pub(crate) fn entries_of(value: Value) -> Vec<Entry> {
    let Value::Array(entries) = value else {
        return Vec::new();
    };
    entries.into_iter().filter_map(entry_of).collect()
}

fn entry_of(value: Value) -> Option<Entry> {
    let Value::Array(parts) = value else {
        return None;
    };
    let mut parts = parts.into_iter();
    let mut entry = Entry {
        id: text(parts.next()?)?,
        ..Entry::default()
    };
    let Some(Value::Array(fields)) = parts.next() else {
        return Some(entry);
    };
    let mut fields = fields.into_iter();
    while let (Some(name), Some(Value::BulkString(value))) = (fields.next(), fields.next()) {
        let as_text = || String::from_utf8(value.clone()).unwrap_or_default();
        match text(name).as_deref() {
            Some("uid") => entry.uid = as_text(),
            Some("nsp") => entry.namespace = as_text(),
            Some("type") => entry.kind = as_text(),
            Some("data") => entry.data = value,
            Some(SEQUENCE) => entry.sequence = as_text().parse().ok(),
            Some(OWN) => entry.own = as_text().parse().ok(),
            _ => {}
        }
    }
    Some(entry)
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

/// What Redis says where nothing was ever appended.
const NO_STREAM: &str = "no such key";

/// Entries that are read at once.
const READ_COUNT: usize = 1000;

/// How long one command waits for entries: short enough to find out in time that Redis is gone.
const BLOCK_MILLISECONDS: u64 = 2000;

/// How long Redis may take to answer one that waits.
const READ_LIMIT: Duration =
    RESPONSE_LIMIT.saturating_add(Duration::from_millis(BLOCK_MILLISECONDS));

#[cfg(test)]
mod tests {
    use super::*;

    fn id(time: u64) -> EntryId {
        EntryId { time, number: 0 }
    }

    fn text_value(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    #[test]
    fn what_redis_says_of_a_stream_is_read() {
        let info = Value::Map(vec![
            (text_value("length"), Value::Int(2)),
            (text_value("last-generated-id"), text_value("9-0")),
            (text_value("entries-added"), Value::Int(5)),
            (
                text_value("first-entry"),
                Value::Array(vec![text_value("8-0"), Value::Array(Vec::new())]),
            ),
            (text_value("last-entry"), Value::Nil),
        ]);
        let extent = Extent {
            length: 2,
            first: Some(id(8)),
            last: id(9),
            added: Some(5),
        };
        assert_eq!(Extent::of(info), extent);
    }

    #[test]
    fn entries_that_were_cut_off_unread_are_counted() {
        let extent = |added| Extent {
            length: 2,
            first: Some(id(8)),
            last: id(9),
            added,
        };
        let at = |time, count| Position {
            began: id(0),
            at: id(time),
            count,
        };
        // Seven came and five have gone; of those so many were read.
        for (count, lost) in [(0, 5), (4, 1), (5, 0), (7, 0)] {
            let position = at(5, Some(count));
            assert_eq!(extent(Some(7)).cut_off(position), lost, "{count}");
            let counted = extent(Some(7)).count_of(position, lost);
            assert_eq!(counted, Some(count.max(5)));
        }
        assert_eq!(extent(Some(2)).count_of(at(5, Some(6)), 0), None);
        // An older Redis does not count.
        for (time, lost) in [(0, 0), (5, 1), (8, 0), (9, 0)] {
            assert_eq!(extent(None).cut_off(at(time, None)), lost, "{time}");
        }
    }
}
