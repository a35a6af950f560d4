//! Entries of streams that other nodes have appended.
//!
//! Each node reads all entries from its position on, also after a disconnect.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Value};

use crate::adapter::broker::Wires;
use crate::adapter::health::ConnectionRole;
use crate::adapter::log_entry::LogEntry;
use crate::adapter::positions::Position;
use crate::adapter::redis::connection::{RESPONSE_LIMIT, connect};
use crate::adapter::redis::state::Redis;
use crate::adapter::redis::stream::{StreamInfo, entries_of, info_of, streams_of};
use crate::adapter::retry::Backoff;
use crate::cluster::EntryId;

/// Reads while it is polled.
pub(crate) async fn run(redis: Arc<Redis>, wires: Wires) {
    let mut backoff = Backoff::new();
    loop {
        match connect(redis.client(), Some(READ_LIMIT), |_| {}).await {
            Ok(mut connection) => {
                let error = tokio::select! {
                    error = read(&redis, &wires, &mut connection.commands, &mut backoff) => error,
                    () = connection.broken.notified() => "the connection was closed".to_owned(),
                };
                wires.broken(ConnectionRole::Reader, &error);
            }
            Err(error) => wires.broken(ConnectionRole::Reader, &error.to_string()),
        }
        tokio::time::sleep(backoff.next()).await;
    }
}

async fn read(
    redis: &Redis,
    wires: &Wires,
    connection: &mut MultiplexedConnection,
    backoff: &mut Backoff,
) -> String {
    if let Err(error) = begin(redis, wires, connection).await {
        return error.to_string();
    }
    let mut is_first = true;
    loop {
        let mut command = redis::cmd("XREAD");
        command.arg("COUNT").arg(READ_COUNT);
        // The first one does not wait: it shows whether this node has the right to read.
        if !is_first {
            command.arg("BLOCK").arg(BLOCK_MILLISECONDS);
        }
        command.arg("STREAMS").arg(redis.streams());
        for stream in redis.streams() {
            let position = wires.positions.get(stream).unwrap_or_default();
            command.arg(position.at.to_string());
        }
        match command.query_async::<Value>(connection).await {
            Ok(read) => {
                for (stream, entries) in streams_of(read) {
                    let lag = entries.last().and_then(lag);
                    for entry in entries {
                        wires.inbound.entry(&stream, &entry);
                        if let Ok(id) = entry.id.parse() {
                            wires.positions.pass(&stream, id, entry);
                        }
                    }
                    if let Some(lag) = lag {
                        wires.health.lags(lag);
                    }
                }
            }
            Err(error) => return error.to_string(),
        }
        if std::mem::take(&mut is_first) {
            backoff.reset();
            wires.connected(ConnectionRole::Reader);
        }
    }
}

/// Returns the time since Redis received an entry, whose id begins with its time.
fn lag(entry: &LogEntry) -> Option<Duration> {
    let id: EntryId = entry.id.parse().ok()?;
    let received = UNIX_EPOCH + Duration::from_millis(id.time);
    // A clock of Redis that is ahead counts as no lag.
    Some(received.elapsed().unwrap_or_default())
}

/// Finds the position to start from or, after a disconnect, whether entries were trimmed in the
/// meantime.
async fn begin(
    redis: &Redis,
    wires: &Wires,
    connection: &mut MultiplexedConnection,
) -> RedisResult<()> {
    for stream in redis.streams() {
        let info = info_of(stream, connection).await?;
        let mut lost = 0;
        let position = match wires.positions.get(stream) {
            None => info.end(info.last),
            Some(known) if info.last < known.at => {
                read_again(wires, stream, known, &info, connection).await?;
                info.end(known.began.min(info.last))
            }
            Some(mut known) => {
                lost = info.cut_off(known);
                wires
                    .health
                    .lost(lost, "trimmed from a stream before this node read them");
                known.count = info.count_of(known, lost);
                known
            }
        };
        wires.positions.set(stream, position, lost > 0);
    }
    Ok(())
}

/// The stream has fewer entries than were read: Redis has lost a part of it, or another server has
/// replaced it. Entries that nodes of this crate have appended since then are recognized by their
/// numbers. Of other entries the new ones cannot be recognized, so those up to now are not read.
async fn read_again(
    wires: &Wires,
    stream: &str,
    known: Position,
    info: &StreamInfo,
    connection: &mut MultiplexedConnection,
) -> RedisResult<()> {
    let (from, to) = (known.at, info.last);
    log::warn!(
        "stream {stream:?} has lost entries: this node read up to {from}, the last one is {to}"
    );
    wires.health.lost(1, "Redis has lost the end of a stream");
    let mut after = known.began;
    while after < info.last {
        let mut command = redis::cmd("XRANGE");
        command.arg(stream).arg(format!("({after}"));
        command.arg(info.last.to_string());
        command.arg("COUNT").arg(READ_COUNT);
        let entries = entries_of(command.query_async(connection).await?);
        let numbered = entries.iter().filter(|entry| entry.sequence.is_some());
        numbered.for_each(|entry| wires.inbound.entry(stream, entry));
        match entries.last().and_then(|last| last.id.parse().ok()) {
            Some(last) => after = last,
            None => break,
        }
    }
    Ok(())
}

/// The number of entries read at once.
const READ_COUNT: usize = 1000;

/// The time limit of one waiting command: short enough to detect in time that Redis is unreachable.
const BLOCK_MILLISECONDS: u64 = 2000;

/// The time limit for Redis to respond to a waiting command.
const READ_LIMIT: Duration =
    RESPONSE_LIMIT.saturating_add(Duration::from_millis(BLOCK_MILLISECONDS));
