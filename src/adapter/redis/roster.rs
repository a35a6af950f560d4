//! The nodes that subscribe, by `PUBSUB`.

use std::collections::HashMap;

use crate::adapter::broker::{BrokerFuture, ListenerCount};
use crate::adapter::format::Channel;
use crate::adapter::redis::state::Redis;

impl ListenerCount for Redis {
    fn count(&self, channels: Vec<Channel>) -> BrokerFuture<'_, Vec<usize>> {
        Box::pin(async move {
            let Some(first) = channels.first() else {
                return Ok(Vec::new());
            };
            let mut command = redis::cmd("PUBSUB");
            command.arg(commands(first).1);
            let names: Vec<_> = channels.into_iter().map(Channel::into_name).collect();
            names.iter().for_each(|name| {
                command.arg(name);
            });
            let counts: HashMap<String, usize> = command.query_async(&mut self.commands()?).await?;
            let count = |name| counts.get(name).copied().unwrap_or_default();
            Ok(names.iter().map(count).collect())
        })
    }

    fn find(&self, pattern: String, everyone: Channel) -> BrokerFuture<'_, (Vec<String>, usize)> {
        Box::pin(async move {
            let (channels, count) = commands(&everyone);
            let mut looks = redis::pipe();
            looks.cmd("PUBSUB").arg(channels).arg(pattern);
            looks.cmd("PUBSUB").arg(count).arg(everyone.into_name());
            let (channels, listeners): (Vec<String>, HashMap<String, usize>) =
                looks.query_async(&mut self.commands()?).await?;
            Ok((channels, listeners.values().sum()))
        })
    }
}

/// Returns the subcommand that finds channels, and the one that counts subscribers.
fn commands(channel: &Channel) -> (&'static str, &'static str) {
    match channel {
        Channel::Shard(_) => ("SHARDCHANNELS", "SHARDNUMSUB"),
        Channel::Plain(_) | Channel::Pattern(_) => ("CHANNELS", "NUMSUB"),
    }
}
