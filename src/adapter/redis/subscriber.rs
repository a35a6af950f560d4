//! Messages that other nodes have published.

use std::sync::Arc;

use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, PushInfo, PushKind, RedisError, Value};

use crate::adapter::broker::{Inbound, Wires};
use crate::adapter::format::Channel;
use crate::adapter::health::ConnectionRole;
use crate::adapter::redis::connection::{RESPONSE_LIMIT, connect, is_final};
use crate::adapter::redis::state::Redis;
use crate::adapter::retry::Backoff;
use crate::adapter::subscriptions::Change;

/// Subscribes while it is polled.
pub(crate) async fn run(redis: Arc<Redis>, wires: Wires) {
    let mut backoff = Backoff::new();
    loop {
        let inbound = Arc::clone(&wires.inbound);
        let pushed = move |info: PushInfo| hear(inbound.as_ref(), info);
        match connect(redis.client(), Some(RESPONSE_LIMIT), pushed).await {
            Ok(connection) => {
                let mut commands = connection.commands.clone();
                let error = tokio::select! {
                    error = listen(&wires, &mut commands, &mut backoff) => error,
                    error = connection.fails() => error,
                };
                wires.subscriptions.not_followed();
                wires.broken(ConnectionRole::Listener, &error);
            }
            Err(error) => wires.broken(ConnectionRole::Listener, &error.to_string()),
        }
        tokio::time::sleep(backoff.next()).await;
    }
}

/// Keeps the subscriptions by one connection until it fails. Returns the reason.
async fn listen(
    wires: &Wires,
    connection: &mut MultiplexedConnection,
    backoff: &mut Backoff,
) -> String {
    let mut changes = wires.subscriptions.all();
    let mut is_new = true;
    loop {
        for some in changes.chunks(CHANGES) {
            let mut pipeline = Pipeline::new();
            for change in some {
                pipeline.add_command(command(change)).ignore();
            }
            if let Err(error) = pipeline.query_async::<()>(connection).await
                && let Err(error) = do_without(wires, some, error)
            {
                return error;
            }
        }
        if std::mem::take(&mut is_new) {
            backoff.reset();
            wires.connected(ConnectionRole::Listener);
        }
        changes = wires.subscriptions.changes().await;
    }
}

/// The Redis user may not subscribe to some channels (ACL). The node runs without them until the
/// next reconnect.
///
/// # Errors
///
/// Any other error.
fn do_without(wires: &Wires, changes: &[Change], error: RedisError) -> Result<(), String> {
    let text = error.to_string();
    match error.into_server_errors().as_deref() {
        Some(refusals @ [(first, error), ..])
            if refusals.iter().all(|(_, error)| is_final(error.code())) =>
        {
            let name = changes.get(*first).map_or("", Change::name);
            let more = match refusals.len() - 1 {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            wires
                .health
                .denied(&format!("channel {name:?}{more}: {error}"));
            Ok(())
        }
        _ => Err(text),
    }
}

/// One channel for each command, so that each has one response.
fn command(change: &Change) -> Cmd {
    let (name, channel) = match change {
        Change::Listen(Channel::Plain(name)) => ("SUBSCRIBE", name),
        Change::Listen(Channel::Pattern(name)) => ("PSUBSCRIBE", name),
        Change::Listen(Channel::Shard(name)) => ("SSUBSCRIBE", name),
        Change::Leave(Channel::Plain(name)) => ("UNSUBSCRIBE", name),
        Change::Leave(Channel::Pattern(name)) => ("PUNSUBSCRIBE", name),
        Change::Leave(Channel::Shard(name)) => ("SUNSUBSCRIBE", name),
    };
    let mut command = redis::cmd(name);
    command.arg(channel);
    command
}

/// Handles a push of Redis: a channel's name and a payload, after a pattern or not.
fn hear(inbound: &dyn Inbound, info: PushInfo) {
    let mut data = info.data.into_iter();
    let mut text = || match data.next() {
        Some(Value::BulkString(text)) => String::from_utf8(text).ok(),
        _ => None,
    };
    let pattern = match info.kind {
        PushKind::Message | PushKind::SMessage => None,
        PushKind::PMessage => text(),
        _ => return,
    };
    let (Some(channel), Some(Value::BulkString(payload))) = (text(), data.next()) else {
        return;
    };
    let subscription = pattern.as_deref().unwrap_or(&channel);
    inbound.received(subscription, &channel, &Bytes::from(payload));
}

/// The number of changes sent at once.
const CHANGES: usize = 512;
