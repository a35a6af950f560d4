//! What other nodes say by a stream.
//!
//! Each node reads everything from where it was, also after it was cut off. Entries that this node has
//! appended itself, and those that it has read before, are skipped.

use std::sync::Arc;

use redis::Value;
use redis::aio::MultiplexedConnection;

use crate::adapter::connection::{Backoff, connect};
use crate::adapter::delivery;
use crate::adapter::format::from_fields;
use crate::adapter::node::{Node, OWN, Part};
use crate::adapter::queue::SEQUENCE;
use crate::cluster::EntryId;
use crate::handler::caught;
use crate::socket::Origin;

/// Reads for as long as it is polled; ends at once where there is nothing to read.
pub(crate) async fn run(node: Arc<Node>) {
    if node.streams.is_empty() {
        return;
    }
    let mut backoff = Backoff::new();
    loop {
        // A command that waits for entries takes as long as it takes.
        match connect(&node.config.client, None, |_| {}).await {
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
    backoff.reset();
    node.connected(Part::Reader);
    loop {
        let mut command = redis::cmd("XREAD");
        command.arg("COUNT").arg(READ_COUNT);
        command.arg("BLOCK").arg(BLOCK_MILLISECONDS).arg("STREAMS");
        command.arg(&node.streams);
        {
            let positions = node.positions.lock();
            for stream in &node.streams {
                command.arg(positions.get(stream).map_or(START, String::as_str));
            }
        }
        match command.query_async::<Value>(connection).await {
            Ok(read) => {
                for (stream, entries) in streams_of(read) {
                    for entry in entries {
                        take(node, &stream, &entry);
                        node.positions.lock().insert(stream.clone(), entry.id);
                    }
                }
            }
            Err(error) => return error.to_string(),
        }
    }
}

/// Finds out where to begin, or, after a pause, whether something has gone meanwhile.
async fn begin(node: &Node, connection: &mut MultiplexedConnection) -> redis::RedisResult<()> {
    for stream in &node.streams {
        let known = node.positions.lock().get(stream).cloned();
        let Some(known) = known else {
            let mut command = redis::cmd("XREVRANGE");
            command.arg(stream).arg("+").arg("-").arg("COUNT").arg(1);
            let last = entries_of(command.query_async(connection).await?);
            let last = last.into_iter().next().map(|entry| entry.id);
            let last = last.unwrap_or_else(|| START.to_owned());
            node.positions.lock().insert(stream.clone(), last);
            continue;
        };
        let mut command = redis::cmd("XRANGE");
        command.arg(stream).arg("-").arg("+").arg("COUNT").arg(1);
        let first = entries_of(command.query_async(connection).await?);
        if let Some(first) = first.first()
            && known != START
            && first.id.parse::<EntryId>() > known.parse()
        {
            // How many, nobody knows any more.
            node.lost(1, "in the part of a stream that was cut off");
        }
    }
    Ok(())
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
    let taken =
        caught(
            || match from_fields(&entry.uid, &entry.namespace, &entry.kind, &entry.data) {
                Ok(Some(heard)) => delivery::receive(node, heard, entry.origin()),
                Ok(None) => {}
                Err(error) => log::warn!("entry {} of a stream is skipped: {error}", entry.id),
            },
        );
    if let Err(panic) = taken {
        log::error!("entry {} of a stream made a panic: {panic}", entry.id);
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

/// Before the first entry.
const START: &str = "0-0";

/// Entries that are read at once.
const READ_COUNT: usize = 1000;

/// How long one command waits for entries.
const BLOCK_MILLISECONDS: usize = 5000;
