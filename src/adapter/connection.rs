//! Connections to Redis, and parcels as its commands.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, Pipeline, PushInfo, PushKind, RedisResult};
use tokio::sync::Notify;

use crate::adapter::format::Parcel;

/// A connection, and the news that it has broken.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) commands: MultiplexedConnection,
    pub(crate) broken: Arc<Notify>,
}

impl Connection {
    /// Tells whether it is known to have broken.
    pub(crate) async fn is_broken(&self) -> bool {
        tokio::select! {
            biased;
            () = self.broken.notified() => true,
            () = std::future::ready(()) => false,
        }
    }
}

/// Connects; what Redis pushes goes to `pushed`, on the thread of the caller.
///
/// # Errors
///
/// Says why Redis cannot be reached, or is too old.
pub(crate) async fn connect(
    client: &Client,
    response_limit: Option<Duration>,
    pushed: impl Fn(PushInfo) + Send + Sync + 'static,
) -> RedisResult<Connection> {
    let broken = Arc::new(Notify::new());
    let breaking = Arc::clone(&broken);
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_LIMIT))
        .set_response_timeout(response_limit)
        .set_push_sender(move |info: PushInfo| {
            if info.kind == PushKind::Disconnection {
                breaking.notify_one();
            } else {
                pushed(info);
            }
            Ok::<(), ()>(())
        });
    let commands = client
        .get_multiplexed_async_connection_with_config(&config)
        .await?;
    Ok(Connection { commands, broken })
}

/// Writes parcels as commands, in their order.
pub(crate) fn pipeline(parcels: &mut dyn Iterator<Item = &Parcel>, max_length: usize) -> Pipeline {
    let mut pipeline = Pipeline::new();
    for parcel in parcels {
        pipeline.add_command(command(parcel, max_length)).ignore();
    }
    pipeline
}

fn command(parcel: &Parcel, max_length: usize) -> Cmd {
    match parcel {
        Parcel::Publish { channel, payload } => {
            let mut command = redis::cmd("PUBLISH");
            command.arg(channel).arg(payload.as_ref());
            command
        }
        Parcel::ShardPublish { channel, payload } => {
            let mut command = redis::cmd("SPUBLISH");
            command.arg(channel).arg(payload.as_ref());
            command
        }
        Parcel::Append { stream, fields } => {
            let mut command = redis::cmd("XADD");
            command.arg(stream).arg("MAXLEN").arg("~").arg(max_length);
            command.arg("*");
            for (name, value) in fields {
                command.arg(name).arg(value.as_ref());
            }
            command
        }
        Parcel::Keep {
            key,
            value,
            milliseconds,
        } => {
            let mut command = redis::cmd("SET");
            command.arg(key).arg(value.as_ref());
            command.arg("PX").arg(*milliseconds);
            command
        }
        Parcel::Forget { key } => {
            let mut command = redis::cmd("DEL");
            command.arg(key);
            command
        }
    }
}

/// How long to wait before the next try.
#[derive(Debug)]
pub(crate) struct Backoff(Duration);

impl Backoff {
    pub(crate) fn new() -> Self {
        Self(FIRST_PAUSE)
    }

    pub(crate) fn reset(&mut self) {
        self.0 = FIRST_PAUSE;
    }

    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(LONGEST_PAUSE);
        pause
    }
}

/// How long Redis may take to accept.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How long Redis may take to answer a command.
pub(crate) const RESPONSE_LIMIT: Duration = Duration::from_secs(5);

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_begin_again() {
        let mut backoff = Backoff::new();
        let pauses: Vec<_> = (0..8).map(|_| backoff.next().as_millis()).collect();
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1600, 2000, 2000]);
        backoff.reset();
        assert_eq!(backoff.next(), FIRST_PAUSE);
    }
}
