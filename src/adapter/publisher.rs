//! What this node says, on its way to Redis.
//!
//! Whatever waits goes out at once, in one piece, and the next piece when Redis has answered. What was
//! on its way when a connection broke may have arrived or not: what is appended to a stream is looked for
//! there and sent again if it is missing; what is published is not, since nobody could tell.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{Pipeline, RedisResult};

use crate::adapter::connection::{Backoff, Connection, RESPONSE_LIMIT, batch, connect, is_final};
use crate::adapter::node::{Node, Part};
use crate::adapter::queue::Batch;
use crate::adapter::reader::entries_of;

/// Publishes for as long as it is polled.
pub(crate) async fn run(node: Arc<Node>) {
    let mut backoff = Backoff::new();
    loop {
        match begin(&node).await {
            Ok(connection) => {
                *node.commands.write() = Some(connection.commands.clone());
                node.connected(Part::Publisher);
                let error = publish(&node, connection, &mut backoff).await;
                *node.commands.write() = None;
                node.broken(Part::Publisher, &error);
            }
            Err(error) => node.broken(Part::Publisher, &error.to_string()),
        }
        tokio::time::sleep(backoff.next()).await;
    }
}

/// Connects to a Redis that does what it is told: one that has just been started refuses for a while.
async fn begin(node: &Node) -> RedisResult<Connection> {
    let mut connection = connect(&node.config.client, Some(RESPONSE_LIMIT), |_| {}).await?;
    let ping = redis::cmd("PING");
    ping.query_async::<()>(&mut connection.commands).await?;
    Ok(connection)
}

/// Publishes by one connection until it breaks, and says why it did.
async fn publish(node: &Node, mut connection: Connection, backoff: &mut Backoff) -> String {
    if let Err(error) = settle(node, &mut connection.commands).await {
        return error.to_string();
    }
    loop {
        let write = |shown: Batch<'_>| batch(&shown, node.config.max_length);
        let commands = tokio::select! {
            biased;
            () = connection.broken.notified() => return "the connection was closed".to_owned(),
            commands = node.queue.batch(write) => commands,
        };
        if let Err(error) = send(node, &commands, &mut connection.commands).await {
            return error;
        }
        backoff.reset();
    }
}

/// Finds out which entries have arrived of those that were on their way when a connection broke.
async fn settle(node: &Node, connection: &mut MultiplexedConnection) -> RedisResult<()> {
    // Where a panic has cost the connection.
    node.lost(node.queue.failed(), "to other nodes");
    let mut arrived = HashMap::new();
    for stream in node.queue.doubtful() {
        if let Some(last) = last_own(node, &stream, connection).await? {
            arrived.insert(stream, last);
        }
    }
    node.queue.settle(&arrived);
    Ok(())
}

/// Returns the number of this node's last entry in a stream.
async fn last_own(
    node: &Node,
    stream: &str,
    connection: &mut MultiplexedConnection,
) -> RedisResult<Option<u64>> {
    let mut end = "+".to_owned();
    loop {
        let mut command = redis::cmd("XREVRANGE");
        command.arg(stream).arg(&end).arg("-");
        command.arg("COUNT").arg(LOOKED_AT);
        let entries = entries_of(command.query_async(connection).await?);
        let mut own = entries
            .iter()
            .filter(|entry| entry.uid == node.format.uid());
        if let Some(number) = own.find_map(|entry| entry.sequence) {
            return Ok(Some(number));
        }
        match entries.last() {
            Some(earliest) if entries.len() == LOOKED_AT => end = format!("({}", earliest.id),
            _ => return Ok(None),
        }
    }
}

/// Sends a batch, and says why the connection is of no use any more.
async fn send(
    node: &Node,
    commands: &Pipeline,
    connection: &mut MultiplexedConnection,
) -> Result<(), String> {
    let Err(error) = commands.query_async::<()>(connection).await else {
        node.queue.sent();
        return Ok(());
    };
    let text = error.to_string();
    let Some(refusals) = error.into_server_errors() else {
        node.lost(node.queue.failed(), "to other nodes");
        return Err(text);
    };
    let (for_good, for_now): (Vec<_>, Vec<_>) = refusals
        .iter()
        .partition(|(_, error)| is_final(error.code()));
    let again: HashSet<usize> = for_now.iter().map(|(place, _)| *place).collect();
    node.queue.answered(&again);
    if let Some((_, error)) = for_good.first() {
        // To send it again would change nothing.
        log::error!("Redis refuses what other nodes are told: {error}");
        node.lost(for_good.len(), "to other nodes");
    }
    match for_now.first() {
        Some((_, error)) => Err(error.to_string()),
        None => Ok(()),
    }
}

/// Entries of a stream that are looked at at once.
const LOOKED_AT: usize = 1000;
