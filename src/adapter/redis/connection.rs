//! Connections to Redis, and envelopes as its commands.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, Pipeline, PushInfo, PushKind, RedisResult};
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::adapter::format::{Channel, Envelope};
use crate::adapter::redis::scripts;
use crate::adapter::sending::{Batch, SEQUENCE};

/// A connection, and the notice that it has broken.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) commands: MultiplexedConnection,
    pub(crate) broken: Arc<Notify>,
    /// Redis has pushed a message since the last check.
    heard: Arc<AtomicBool>,
}

impl Connection {
    /// Returns after the connection has failed, with the reason.
    ///
    /// The other end may have vanished silently: its power was cut, or a router has dropped the
    /// flow. That looks like an idle connection, so Redis is pinged periodically.
    pub(crate) async fn fails(&self) -> String {
        let asking = async {
            loop {
                sleep(ASKED).await;
                self.heard.store(false, Ordering::Relaxed);
                let mut commands = self.commands.clone();
                let asked = redis::cmd("PING").query_async::<()>(&mut commands).await;
                // An error response is a response. A push is one too: the response follows it, and
                // there may be many pushes.
                if let Err(error) = asked
                    && error.code().is_none()
                    && !(error.is_timeout() && self.heard.load(Ordering::Relaxed))
                {
                    return error.to_string();
                }
            }
        };
        tokio::select! {
            () = self.broken.notified() => "the connection was closed".to_owned(),
            error = asking => error,
        }
    }

    /// Returns `true` if it is known to have broken.
    pub(crate) async fn is_broken(&self) -> bool {
        tokio::select! {
            biased;
            () = self.broken.notified() => true,
            () = std::future::ready(()) => false,
        }
    }
}

/// Redis' own name of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionId {
    pub(crate) id: String,
    pub(crate) address: String,
}

impl ConnectionId {
    /// Asks Redis; `None` if it does not respond with one.
    pub(crate) async fn of(connection: &mut MultiplexedConnection) -> RedisResult<Option<Self>> {
        let mut command = redis::cmd("CLIENT");
        command.arg("INFO");
        match command.query_async::<String>(connection).await {
            Ok(info) => Ok(Self::parse(&info)),
            Err(error) if error.code().is_some() => {
                log::debug!(
                    "Redis refused CLIENT INFO, the id of this connection is unknown: {error}"
                );
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn parse(info: &str) -> Option<Self> {
        let field = |name: &str| {
            let mut fields = info.split_whitespace();
            fields.find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
        };
        Some(Self {
            id: field("id")?.to_owned(),
            address: field("addr")?.to_owned(),
        })
    }
}

/// Connects. Pushes of Redis go to `pushed`, on the thread of the caller.
///
/// # Errors
///
/// If Redis is unreachable, or too old, with the reason.
pub(crate) async fn connect(
    client: &Client,
    response_limit: Option<Duration>,
    pushed: impl Fn(PushInfo) + Send + Sync + 'static,
) -> RedisResult<Connection> {
    let broken = Arc::new(Notify::new());
    let heard = Arc::new(AtomicBool::new(false));
    let (breaking, hearing) = (Arc::clone(&broken), Arc::clone(&heard));
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_LIMIT))
        .set_response_timeout(response_limit)
        .set_push_sender(move |info: PushInfo| {
            if info.kind == PushKind::Disconnection {
                breaking.notify_one();
            } else {
                hearing.store(true, Ordering::Relaxed);
                pushed(info);
            }
            Ok::<(), ()>(())
        });
    let commands = client
        .get_multiplexed_async_connection_with_config(&config)
        .await?;
    Ok(Connection {
        commands,
        broken,
        heard,
    })
}

/// Writes envelopes as commands, in order.
pub(crate) fn pipeline(
    envelopes: &mut dyn Iterator<Item = &Envelope>,
    max_length: usize,
) -> Pipeline {
    let mut pipeline = Pipeline::new();
    for envelope in envelopes {
        let command = command(envelope, None, max_length);
        pipeline.add_command(command).ignore();
    }
    pipeline
}

/// Writes a batch as commands, in order.
pub(crate) fn batch(batch: &Batch<'_>, max_length: usize) -> Pipeline {
    let mut pipeline = Pipeline::new();
    for (envelope, number) in batch.envelopes() {
        let command = command(envelope, number, max_length);
        pipeline.add_command(command).ignore();
    }
    for (key, record) in batch.records {
        let command = scripts::write(key, record, batch.now);
        pipeline.add_command(command).ignore();
    }
    pipeline
}

fn command(envelope: &Envelope, number: Option<u64>, max_length: usize) -> Cmd {
    match envelope {
        Envelope::Publish { channel, payload } => publish(channel, payload),
        Envelope::Append { stream, fields } => {
            let mut command = redis::cmd("XADD");
            command.arg(stream).arg("MAXLEN").arg("~").arg(max_length);
            command.arg("*");
            for (name, value) in fields {
                command.arg(name).arg(value.as_ref());
            }
            if let Some(number) = number {
                command.arg(SEQUENCE).arg(number);
            }
            command
        }
    }
}

/// Writes the command that publishes to a channel.
pub(crate) fn publish(channel: &Channel, payload: &Bytes) -> Cmd {
    let mut command = redis::cmd(match channel {
        Channel::Shard(_) => "SPUBLISH",
        // No message is published to a pattern.
        Channel::Plain(_) | Channel::Pattern(_) => "PUBLISH",
    });
    command.arg(channel.name()).arg(payload.as_ref());
    command
}

/// Returns `true` if Redis would refuse a command with this code again.
pub(crate) fn is_final(code: &str) -> bool {
    !FOR_NOW.contains(&code)
}

/// The codes of temporary refusals: Redis loads its data, its memory or disk is full, a script
/// blocks it, or its cluster is electing another server.
const FOR_NOW: [&str; 10] = [
    "BUSY",
    "CLUSTERDOWN",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "NOAUTH",
    "NOREPLICAS",
    "OOM",
    "READONLY",
    "TRYAGAIN",
];

/// The time limit for Redis to accept a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// The time limit for Redis to respond to a command.
pub(crate) const RESPONSE_LIMIT: Duration = Duration::from_secs(5);

/// The interval of the pings.
const ASKED: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_known_by_id_and_address() {
        let info = "id=7 addr=127.0.0.1:52998 laddr=127.0.0.1:6379 fd=9 name= resp=3\n";
        let client = ConnectionId {
            id: "7".to_owned(),
            address: "127.0.0.1:52998".to_owned(),
        };
        assert_eq!(ConnectionId::parse(info), Some(client));
        assert_eq!(ConnectionId::parse("id=7"), None);
    }
}
