//! What other nodes say by publish and subscribe.

use std::sync::Arc;

use bytes::Bytes;
use log::Level;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, PushInfo, PushKind, RedisError, Value};

use crate::adapter::channels::Change;
use crate::adapter::connection::{Backoff, RESPONSE_LIMIT, connect, is_final};
use crate::adapter::format::{Channel, check_length};
use crate::adapter::node::{Node, Part};
use crate::adapter::{delivery, forward};
use crate::logging::{LogKind, Quoted, cut};
use crate::panics::catch_panic;
use crate::socket::Origin;

/// Listens for as long as it is polled.
pub(crate) async fn run(node: Arc<Node>) {
    let mut backoff = Backoff::new();
    loop {
        let hearing = Arc::clone(&node);
        let pushed = move |info: PushInfo| hear(&hearing, info);
        match connect(&node.config.client, Some(RESPONSE_LIMIT), pushed).await {
            Ok(connection) => {
                let mut commands = connection.commands.clone();
                let error = tokio::select! {
                    error = listen(&node, &mut commands, &mut backoff) => error,
                    error = connection.fails() => error,
                };
                node.channels.not_followed();
                node.broken(Part::Listener, &error);
            }
            Err(error) => node.broken(Part::Listener, &error.to_string()),
        }
        tokio::time::sleep(backoff.next()).await;
    }
}

/// Subscribes by one connection to what is wanted, until it fails, and says why it did.
async fn listen(
    node: &Node,
    connection: &mut MultiplexedConnection,
    backoff: &mut Backoff,
) -> String {
    let mut changes = node.channels.all();
    let mut is_new = true;
    loop {
        for some in changes.chunks(CHANGES) {
            let mut pipeline = Pipeline::new();
            for change in some {
                pipeline.add_command(command(change)).ignore();
            }
            if let Err(error) = pipeline.query_async::<()>(connection).await
                && let Err(error) = do_without(node, some, error)
            {
                return error;
            }
        }
        if std::mem::take(&mut is_new) {
            backoff.reset();
            node.connected(Part::Listener);
        }
        changes = node.channels.changes().await;
    }
}

/// Redis lets this node not listen everywhere, by the rights of its user: it does without those
/// channels until it connects again.
///
/// # Errors
///
/// Says what else is wrong.
fn do_without(node: &Node, changes: &[Change], error: RedisError) -> Result<(), String> {
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
            node.is_denied(&format!("channel {name:?}{more}: {error}"));
            Ok(())
        }
        _ => Err(text),
    }
}

/// One channel for each command: then each has one answer.
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

/// Takes what Redis has pushed: a channel's name and a payload, with a pattern before them or not.
fn hear(node: &Arc<Node>, info: PushInfo) {
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
    let heard_by = pattern.as_deref().unwrap_or(&channel);
    let payload = Bytes::from(payload);
    // A panic must not cost the connection.
    let heard = catch_panic(|| {
        let done = if node.forwards.is_heard_on(&channel) {
            forward::hear(node, &payload)
        } else {
            let heard = check_length(payload.len())
                .and_then(|()| node.format.hear(heard_by, &channel, &payload));
            heard.map(|heard| {
                if let Some(heard) = heard {
                    delivery::receive(node, heard, Origin::Alone);
                }
            })
        };
        if let Err(error) = done {
            let channel = Quoted(&channel);
            let line = format_args!("message on channel {channel} is skipped: {error}");
            node.line_limits.write(LogKind::Foreign, Level::Warn, line);
        }
    });
    if let Err(panic) = heard {
        let (channel, panic) = (Quoted(&channel), cut(panic));
        let line = format_args!("message on channel {channel} made a panic: {panic}");
        node.line_limits
            .write(LogKind::Panicked, Level::Error, line);
    }
}

/// Changes that are sent at once.
const CHANGES: usize = 512;
