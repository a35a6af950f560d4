//! The publishing of this node's queue to Redis.
//!
//! All waiting messages are sent at once, as one batch, and the next batch after the response of
//! Redis. If the connection breaks, the arrival of a batch in transit is unknown. Entries of
//! streams are looked for there, and sent again if they are missing. Published messages are not
//! sent again, because their arrival cannot be checked.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use redis::aio::MultiplexedConnection;
use redis::{Pipeline, RedisResult};

use crate::adapter::broker::Wires;
use crate::adapter::health::ConnectionRole;
use crate::adapter::redis::connection::{
    Connection, ConnectionId, RESPONSE_LIMIT, batch, connect, is_final,
};
use crate::adapter::redis::state::Redis;
use crate::adapter::redis::stream::entries_of;
use crate::adapter::retry::Backoff;
use crate::adapter::sending::Batch;

/// Publishes while it is polled.
pub(crate) async fn run(redis: Arc<Redis>, wires: Wires) {
    let mut backoff = Backoff::new();
    loop {
        match begin(&redis).await {
            Ok(connection) => {
                redis.set_commands(Some(connection.commands.clone()));
                let error = publish(&redis, &wires, connection, &mut backoff).await;
                redis.set_commands(None);
                wires.broken(ConnectionRole::Publisher, &error);
            }
            Err(error) => wires.broken(ConnectionRole::Publisher, &error.to_string()),
        }
        tokio::time::sleep(backoff.next()).await;
    }
}

/// Connects, and waits for a first response: a Redis that has just started refuses commands for a
/// while.
async fn begin(redis: &Redis) -> RedisResult<Connection> {
    let mut connection = connect(redis.client(), Some(RESPONSE_LIMIT), |_| {}).await?;
    let ping = redis::cmd("PING");
    ping.query_async::<()>(&mut connection.commands).await?;
    Ok(connection)
}

/// Publishes by one connection until it breaks. Returns the reason.
async fn publish(
    redis: &Redis,
    wires: &Wires,
    mut connection: Connection,
    backoff: &mut Backoff,
) -> String {
    if let Err(error) = settle(redis, wires, &mut connection.commands).await {
        return error.to_string();
    }
    // A Redis that refuses the waiting messages counts as unreachable.
    let mut is_proven = wires.queue.is_empty(Instant::now());
    if is_proven {
        wires.connected(ConnectionRole::Publisher);
    }
    loop {
        let write = |shown: Batch<'_>| batch(&shown, redis.max_length());
        let commands = tokio::select! {
            biased;
            error = connection.fails() => return error,
            commands = wires.queue.batch(write) => commands,
        };
        if let Err(error) = send(wires, &commands, &mut connection.commands).await {
            return error;
        }
        backoff.reset();
        if !std::mem::replace(&mut is_proven, true) {
            wires.connected(ConnectionRole::Publisher);
        }
    }
}

/// Finds out which entries have arrived of those in transit when a connection broke.
async fn settle(
    redis: &Redis,
    wires: &Wires,
    connection: &mut MultiplexedConnection,
) -> RedisResult<()> {
    // If a panic has ended the connection.
    wires.health.lost(wires.queue.failed(), UNCONFIRMED);
    if redis.streams().is_empty() {
        return Ok(());
    }
    let earlier = redis.publisher();
    let doubtful = wires.queue.doubtful();
    if let Some(earlier) = earlier
        && !doubtful.is_empty()
    {
        end(&earlier, connection).await?;
    }
    redis.publishes_by(ConnectionId::of(connection).await?);
    let mut arrived = HashMap::new();
    for stream in doubtful {
        if let Some(last) = last_own(redis.uid(), &stream, connection).await? {
            arrived.insert(stream, last);
        }
    }
    wires.queue.settle(&arrived);
    Ok(())
}

/// Ends an earlier connection of this node. Redis may not know yet that it has broken, and could
/// still receive commands in transit after the check of the arrived entries.
async fn end(earlier: &ConnectionId, connection: &mut MultiplexedConnection) -> RedisResult<()> {
    let mut command = redis::cmd("CLIENT");
    command.arg("KILL").arg("ID").arg(&earlier.id);
    // Another server may have replaced the one that gave this id.
    command.arg("ADDR").arg(&earlier.address);
    match command.query_async::<()>(connection).await {
        Err(error) if error.code().is_some() => {
            log::debug!(
                "Redis refused CLIENT KILL for an earlier connection of this node: {error}"
            );
            Ok(())
        }
        ended => ended,
    }
}

/// Returns the number of this node's last entry in a stream.
async fn last_own(
    uid: &str,
    stream: &str,
    connection: &mut MultiplexedConnection,
) -> RedisResult<Option<u64>> {
    let mut end = "+".to_owned();
    loop {
        let mut command = redis::cmd("XREVRANGE");
        command.arg(stream).arg(&end).arg("-");
        command.arg("COUNT").arg(LOOKED_AT);
        let entries = entries_of(command.query_async(connection).await?);
        let mut own = entries.iter().filter(|entry| entry.uid == uid);
        if let Some(number) = own.find_map(|entry| entry.sequence) {
            return Ok(Some(number));
        }
        match entries.last() {
            Some(earliest) if entries.len() == LOOKED_AT => end = format!("({}", earliest.id),
            _ => return Ok(None),
        }
    }
}

/// Sends a batch. Returns the reason if the connection has failed.
async fn send(
    wires: &Wires,
    commands: &Pipeline,
    connection: &mut MultiplexedConnection,
) -> Result<(), String> {
    let Err(error) = commands.query_async::<()>(connection).await else {
        wires.queue.sent();
        return Ok(());
    };
    let text = error.to_string();
    let Some(refusals) = error.into_server_errors() else {
        wires.health.lost(wires.queue.failed(), UNCONFIRMED);
        return Err(text);
    };
    let (for_good, for_now): (Vec<_>, Vec<_>) = refusals
        .iter()
        .partition(|(_, error)| is_final(error.code()));
    let again: HashSet<usize> = for_now.iter().map(|(place, _)| *place).collect();
    let messages = wires.queue.answered(&again);
    if let Some((_, error)) = for_good.first() {
        // Sending it again would not help.
        log::error!("Redis refused messages to other nodes, which are dropped: {error}");
        let lost = for_good.iter().filter(|(place, _)| *place < messages);
        wires
            .health
            .lost(lost.count(), "Redis refused to publish them");
    }
    match for_now.first() {
        Some((_, error)) => Err(error.to_string()),
        None => Ok(()),
    }
}

/// The cause of lost messages if a connection breaks before Redis has responded.
const UNCONFIRMED: &str = "the connection broke while they were published";

/// The number of stream entries checked at once.
const LOOKED_AT: usize = 1000;
