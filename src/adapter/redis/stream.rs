//! Streams as a log of events, and the responses of Redis about them.

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Value};

use crate::adapter::broker::{BrokerFuture, EventLog};
use crate::adapter::log_entry::LogEntry;
use crate::adapter::positions::Position;
use crate::adapter::redis::state::Redis;
use crate::cluster::EntryId;

impl EventLog for Redis {
    fn first<'a>(&'a self, stream: &'a str) -> BrokerFuture<'a, Option<EntryId>> {
        Box::pin(async move {
            let mut command = redis::cmd("XRANGE");
            command.arg(stream).arg("-").arg("+").arg("COUNT").arg(1);
            let first = entries_of(command.query_async(&mut self.commands()?).await?);
            Ok(first.first().and_then(|first| first.id.parse().ok()))
        })
    }

    fn last<'a>(&'a self, stream: &'a str) -> BrokerFuture<'a, EntryId> {
        Box::pin(async move {
            let mut command = redis::cmd("XREVRANGE");
            command.arg(stream).arg("+").arg("-").arg("COUNT").arg(1);
            let last = entries_of(command.query_async(&mut self.commands()?).await?);
            let last = last.first().and_then(|last| last.id.parse().ok());
            Ok(last.unwrap_or_default())
        })
    }

    fn is_uncut<'a>(&'a self, stream: &'a str) -> BrokerFuture<'a, bool> {
        Box::pin(async move {
            let info = info_of(stream, &mut self.commands()?).await?;
            Ok(info.is_uncut(self.max_length()))
        })
    }

    fn range<'a>(
        &'a self,
        stream: &'a str,
        after: EntryId,
        upto: EntryId,
        count: usize,
    ) -> BrokerFuture<'a, Vec<LogEntry>> {
        Box::pin(async move {
            let mut command = redis::cmd("XRANGE");
            command.arg(stream).arg(format!("({after}"));
            command.arg(upto.to_string()).arg("COUNT").arg(count);
            Ok(entries_of(
                command.query_async(&mut self.commands()?).await?,
            ))
        })
    }
}

/// The extent of a stream, from XINFO.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct StreamInfo {
    length: u64,
    first: Option<EntryId>,
    /// The last entry that was ever appended.
    pub(crate) last: EntryId,
    /// The number of entries that were ever appended; Redis reports it since version 7.
    added: Option<u64>,
}

impl StreamInfo {
    /// Reads the response of XINFO.
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

    /// Returns the position of a reader that has read all entries.
    pub(crate) fn end(&self, began: EntryId) -> Position {
        Position {
            began,
            at: self.last,
            count: self.added,
        }
    }

    /// Returns the number of trimmed entries that a reader at this position had not read.
    pub(crate) fn cut_off(&self, position: Position) -> usize {
        let Some((added, read)) = self.added.zip(position.count) else {
            // Their number is unknown.
            let was_read = position.at != EntryId::default();
            return usize::from(was_read && self.first > Some(position.at));
        };
        let gone = added.saturating_sub(self.length);
        usize::try_from(gone.saturating_sub(read)).unwrap_or(usize::MAX)
    }

    /// Returns `true` if no entry was ever trimmed; `max_length` is the maximal length of a stream
    /// in this configuration.
    fn is_uncut(&self, max_length: usize) -> bool {
        let length = self.length;
        length > 0
            && match self.added {
                Some(added) => added == length,
                // Redis before 7.0 does not count: a stream shorter than its maximal length was
                // never trimmed.
                None => usize::try_from(length).is_ok_and(|length| length < max_length),
            }
    }

    /// Returns the number of entries up to a position, after which `lost` entries were trimmed.
    pub(crate) fn count_of(&self, position: Position, lost: usize) -> Option<u64> {
        let count = position.count?.saturating_add(lost as u64);
        // The stream was deleted, and its counter starts again.
        (Some(count) <= self.added).then_some(count)
    }
}

/// Returns the extent of a stream, also if it does not exist.
pub(crate) async fn info_of(
    stream: &str,
    connection: &mut MultiplexedConnection,
) -> RedisResult<StreamInfo> {
    let mut command = redis::cmd("XINFO");
    command.arg("STREAM").arg(stream);
    match command.query_async(connection).await {
        Ok(info) => Ok(StreamInfo::of(info)),
        Err(error) if error.detail() == Some(NO_STREAM) => Ok(StreamInfo {
            added: Some(0),
            ..StreamInfo::default()
        }),
        Err(error) => Err(error),
    }
}

/// Returns the result of XREAD: entries by stream, in a map or in a list of pairs.
pub(crate) fn streams_of(read: Value) -> Vec<(String, Vec<LogEntry>)> {
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

/// Returns the entries in a response of XRANGE and similar commands.
pub(crate) fn entries_of(value: Value) -> Vec<LogEntry> {
    let Value::Array(entries) = value else {
        return Vec::new();
    };
    entries.into_iter().filter_map(entry_of).collect()
}

fn entry_of(value: Value) -> Option<LogEntry> {
    let Value::Array(parts) = value else {
        return None;
    };
    let mut parts = parts.into_iter();
    let mut entry = LogEntry::new(text(parts.next()?)?);
    let Some(Value::Array(fields)) = parts.next() else {
        return Some(entry);
    };
    let mut fields = fields.into_iter();
    while let (Some(name), Some(Value::BulkString(value))) = (fields.next(), fields.next()) {
        if let Some(name) = text(name) {
            entry.set(&name, value);
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

/// The response of Redis about a stream without any entry so far.
const NO_STREAM: &str = "no such key";

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
    fn reply_of_xinfo_stream_is_read() {
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
        let extent = StreamInfo {
            length: 2,
            first: Some(id(8)),
            last: id(9),
            added: Some(5),
        };
        assert_eq!(StreamInfo::of(info), extent);
    }

    #[test]
    fn entries_trimmed_before_they_were_read_are_counted() {
        let extent = |added| StreamInfo {
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
        // Seven were appended and five trimmed; so many of those were read.
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
