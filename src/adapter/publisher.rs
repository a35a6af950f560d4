//! What this node says, on its way to Redis.
//!
//! Whatever waits goes out at once, in one piece, and the next piece when Redis has answered. What was
//! on its way when a connection broke may have arrived or not: what is appended to a stream is sent
//! again, since its number tells a reader that it has it already, and what is published is not, since
//! nobody could tell.

use std::sync::Arc;

use redis::Pipeline;

use crate::adapter::connection::{Backoff, Connection, RESPONSE_LIMIT, connect, pipeline};
use crate::adapter::format::Parcel;
use crate::adapter::node::{Node, Part};

/// Publishes for as long as it is polled.
pub(crate) async fn run(node: Arc<Node>) {
    let mut backoff = Backoff::new();
    loop {
        match connect(&node.config.client, Some(RESPONSE_LIMIT), |_| {}).await {
            Ok(connection) => {
                backoff.reset();
                *node.commands.write() = Some(connection.commands.clone());
                node.connected(Part::Publisher);
                let error = publish(&node, connection).await;
                *node.commands.write() = None;
                node.broken(Part::Publisher, &error);
            }
            Err(error) => node.broken(Part::Publisher, &error.to_string()),
        }
        tokio::time::sleep(backoff.next()).await;
    }
}

/// Publishes by one connection until it breaks, and says why it did.
async fn publish(node: &Node, mut connection: Connection) -> String {
    loop {
        let show = |parcels: &mut dyn Iterator<Item = &Parcel>| {
            let mut repeats = true;
            let mut each = parcels.inspect(|parcel| {
                // Those that do no harm twice.
                repeats &= !matches!(parcel, Parcel::Publish { .. } | Parcel::ShardPublish { .. });
            });
            let commands = pipeline(&mut each, node.config.max_length);
            (commands, repeats)
        };
        let (commands, repeats) = tokio::select! {
            biased;
            () = connection.broken.notified() => return "the connection was closed".to_owned(),
            batch = node.queue.batch(show) => batch,
        };
        if let Err(error) = send(&commands, &mut connection).await {
            if !repeats {
                let count = node.queue.sent();
                node.lost(count, "to other nodes");
            }
            return error;
        }
        node.queue.sent();
    }
}

async fn send(commands: &Pipeline, connection: &mut Connection) -> Result<(), String> {
    let sent = commands.query_async::<()>(&mut connection.commands).await;
    match sent {
        // Redis is there and refuses a command: to send it again would change nothing.
        Err(error) if error.is_unrecoverable_error() || error.is_timeout() => {
            Err(error.to_string())
        }
        Err(error) => {
            log::error!("Redis refuses what other nodes are told: {error}");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}
