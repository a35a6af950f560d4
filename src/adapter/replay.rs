//! What a client missed while it was on its way from another node, read from the stream.
//!
//! What is given is how far it has got, and how far this node was when it came; what comes out are
//! its packets, or that they are not all there any more. What this node had not done when the
//! client came it has in its own memory.

use std::collections::HashMap;

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Value};

use crate::adapter::format::{Heard, Word, from_fields};
use crate::adapter::reader::{Entry, entries_of};
use crate::cluster::{EntryId, Manner, Mark, Message};
use crate::link::Outgoing;
use crate::socket::{Kept, Membership, mark_of};

/// What is replayed, and for whom.
pub(crate) struct Replay<'a> {
    pub(crate) membership: &'a Membership,
    pub(crate) kept: &'a Kept,
    /// This node's name.
    pub(crate) own: &'a str,
    /// How far the client has got, with what is replayed.
    pub(crate) mark: Mark,
    /// From where on it has a right to events.
    pub(crate) begun: &'a Mark,
    /// How far this node was when it came.
    pub(crate) now: &'a Mark,
    /// How many bytes it may be sent.
    pub(crate) limit: usize,
    /// The number of each node's last entry: an entry whose answer was lost may lie there twice.
    pub(crate) seen: HashMap<String, u64>,
}

/// A stream, and how long nodes of this configuration let it become.
#[derive(Clone, Copy)]
pub(crate) struct Stream<'a> {
    pub(crate) name: &'a str,
    pub(crate) max_length: usize,
}

impl Replay<'_> {
    /// Reads what the client has missed; `None` where it is not all there, or too much.
    pub(crate) async fn read(
        mut self,
        connection: &mut MultiplexedConnection,
        stream: Stream<'_>,
    ) -> RedisResult<Option<Vec<Outgoing>>> {
        let start = self.mark.entry.max(self.begun.entry);
        if !stream.reaches_back(connection, start).await? {
            return Ok(None);
        }
        // What comes behind it this node had not done when the client came.
        let end = stream.last(connection).await?;
        let (mut packets, mut bytes, mut last) = (Vec::new(), 0, start);
        while last < end {
            let mut command = redis::cmd("XRANGE");
            command.arg(stream.name).arg(format!("({last}"));
            command.arg(end.to_string()).arg("COUNT").arg(READ_COUNT);
            let entries = entries_of(command.query_async(connection).await?);
            let count = entries.len();
            for entry in entries {
                let Ok(id) = entry.id.parse() else { continue };
                last = id;
                let Some(packet) = self.packet(&entry, id) else {
                    continue;
                };
                bytes += packet.len();
                if bytes > self.limit {
                    return Ok(None);
                }
                packets.push(packet);
            }
            if count < READ_COUNT {
                break;
            }
        }
        // It may have been cut off while it was read.
        let is_whole = stream.reaches_back(connection, start).await?;
        Ok(is_whole.then_some(packets))
    }

    fn packet(&mut self, entry: &Entry, id: EntryId) -> Option<Outgoing> {
        let node = entry.uid.as_str();
        if self.is_again(entry) || self.is_elsewhere(entry, id) {
            return None;
        }
        // What is not for the client it has as well, in a way.
        if id > self.now.entry {
            // This node's own, behind everything of others that is replayed.
            self.mark = Mark {
                own: entry.own.unwrap_or(0),
                ..self.now.clone()
            };
        } else {
            self.mark.entry = id;
            if let Some(own) = entry.own.filter(|_| node == self.mark.node) {
                self.mark.own = own;
            }
        }
        let heard = from_fields(node, &entry.namespace, &entry.kind, &entry.data).ok()??;
        let Heard {
            word:
                Word::Told(Message::Emit {
                    content,
                    scope,
                    manner:
                        Manner {
                            volatile: false, ..
                        },
                }),
            ..
        } = heard
        else {
            return None;
        };
        let is_behind = |place: &str| {
            let place = mark_of(place).unwrap_or_default();
            !place.covers(node, entry.own, id)
        };
        let is_in = |room: &String| {
            let was_in = |(name, since): &(String, String)| name == room && is_behind(since);
            *room == self.kept.sid || self.kept.rooms.iter().any(was_in)
        };
        let meant = if scope.rooms.is_empty() {
            is_behind(&self.kept.entered)
        } else {
            scope.rooms.iter().any(is_in)
        };
        if !meant || scope.except.iter().any(is_in) {
            return None;
        }
        // No client of this node was sent it.
        if content.0.check(self.membership.packets).is_err() {
            return None;
        }
        let list = content.0.followed_by(&format!("{REPLAYED}.{}", self.mark));
        Some(self.membership.relayed(None, &list))
    }

    fn is_again(&mut self, entry: &Entry) -> bool {
        let Some(number) = entry.sequence else {
            return false;
        };
        let last = self.seen.entry(entry.uid.clone()).or_default();
        let is_again = number <= *last;
        *last = number.max(*last);
        is_again
    }

    /// Tells whether an entry is no event of this namespace, or the client has it, or gets it
    /// otherwise.
    fn is_elsewhere(&self, entry: &Entry, id: EntryId) -> bool {
        let node = entry.uid.as_str();
        let is_here = match entry.own {
            Some(own) if node == self.own => own > self.now.own,
            _ => node != self.own && id > self.now.entry,
        };
        let is_other = entry.namespace != self.membership.name() || entry.kind != EVENT;
        let brought = |(name, last): &(String, u64)| {
            name == node && entry.own.is_some_and(|own| own <= *last)
        };
        let has_it = |mark: &Mark| mark.covers(node, entry.own, id);
        let is_got = has_it(&self.mark) || has_it(self.begun) || self.kept.late.iter().any(brought);
        is_here || is_other || is_got
    }
}

impl Stream<'_> {
    /// Tells whether everything is there that came after an entry.
    async fn reaches_back(
        self,
        connection: &mut MultiplexedConnection,
        entry: EntryId,
    ) -> RedisResult<bool> {
        let mut command = redis::cmd("XRANGE");
        command.arg(self.name).arg("-").arg("+").arg("COUNT").arg(1);
        let first = entries_of(command.query_async(connection).await?);
        let first = first.first().and_then(|first| first.id.parse().ok());
        let Some(first) = first else {
            // Of one that has vanished nobody knows what was in it.
            return Ok(entry == EntryId::default());
        };
        if entry >= first {
            return Ok(true);
        }
        // There is nothing before the first entry where the client was there before it, and nothing
        // was ever cut off.
        Ok(entry == EntryId::default() && self.is_uncut(connection).await?)
    }

    async fn is_uncut(self, connection: &mut MultiplexedConnection) -> RedisResult<bool> {
        let mut command = redis::cmd("XINFO");
        command.arg("STREAM").arg(self.name);
        let info: Value = command.query_async(connection).await?;
        let pairs: Vec<(&Value, &Value)> = match &info {
            Value::Map(pairs) => pairs.iter().map(|(name, value)| (name, value)).collect(),
            Value::Array(list) => list
                .chunks_exact(2)
                .map(|pair| (&pair[0], &pair[1]))
                .collect(),
            _ => Vec::new(),
        };
        let field = |wanted: &str| {
            pairs.iter().find_map(|(name, value)| match (name, value) {
                (Value::BulkString(name), Value::Int(value)) if name == wanted.as_bytes() => {
                    Some(*value)
                }
                (Value::SimpleString(name), Value::Int(value)) if name == wanted => Some(*value),
                _ => None,
            })
        };
        let Some(length) = field("length") else {
            return Ok(false);
        };
        Ok(match field("entries-added") {
            Some(added) => added == length,
            // Redis before 7.0 does not count: one that is shorter than it may become was never
            // cut.
            None => usize::try_from(length).is_ok_and(|length| length < self.max_length),
        })
    }

    /// Returns the id of the last entry.
    async fn last(self, connection: &mut MultiplexedConnection) -> RedisResult<EntryId> {
        let mut command = redis::cmd("XREVRANGE");
        command.arg(self.name).arg("+").arg("-").arg("COUNT").arg(1);
        let last = entries_of(command.query_async(connection).await?);
        let last = last.first().and_then(|last| last.id.parse().ok());
        Ok(last.unwrap_or_default())
    }
}

/// Stands where an event's number would be, which this node has not given it.
const REPLAYED: &str = "r";

/// The type of events that are replayed.
const EVENT: &str = "3";

/// Entries that are read at once.
const READ_COUNT: usize = 1000;
