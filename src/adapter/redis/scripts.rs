//! The commands that write and take the record of a client: scripts, which Redis runs as a whole.
//!
//! A second key has the number of the client's moves, if there were any. The name and the value of
//! the first one are those of the Node.js adapter, whose servers know no moves. One script compares
//! and writes both keys, because a node that was cut off may write after another.

use std::time::{Duration, Instant};

use redis::Cmd;

use crate::adapter::sending::Record;

/// Returns the command that stores or deletes a record.
pub(super) fn write(key: &str, record: &Record, now: Instant) -> Cmd {
    let mut command = script(WRITE, key);
    command.arg(record.moves);
    command.arg(millis(record.until.saturating_duration_since(now)));
    if let Some(value) = &record.value {
        command.arg(value.as_ref());
    }
    command
}

/// Returns the command that takes a record.
pub(super) fn take(key: &str, limit: Duration) -> Cmd {
    let mut command = script(TAKE, key);
    command.arg(millis(limit));
    command
}

fn script(text: &str, key: &str) -> Cmd {
    let mut command = redis::cmd("EVAL");
    command
        .arg(text)
        .arg(2)
        .arg(key)
        .arg(format!("{key}:moves"));
    command
}

/// Redis refuses a lifetime of zero.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// Arguments: the number of moves, the lifetime of the record, and its value, if it has one.
const WRITE: &str = "\
local moves = redis.call('GET', KEYS[2])
if moves and tonumber(moves) > tonumber(ARGV[1]) then return 0 end
if ARGV[3] then redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[2]) else redis.call('DEL', KEYS[1]) end
if ARGV[1] ~= '0' then redis.call('SET', KEYS[2], ARGV[1], 'PX', 2 * ARGV[2]) end
return 1";

/// Argument: the lifetime of the number of moves.
const TAKE: &str = "\
local value = redis.call('GET', KEYS[1])
if not value then return false end
redis.call('DEL', KEYS[1])
local moves = redis.call('INCR', KEYS[2])
redis.call('PEXPIRE', KEYS[2], ARGV[1])
return {value, moves}";
