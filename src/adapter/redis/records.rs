//! Records, as keys with a time to live. They are written by the publisher.

use crate::adapter::broker::{BrokerFuture, RecordStore};
use crate::adapter::redis::state::Redis;

impl RecordStore for Redis {
    fn get(&self, key: String) -> BrokerFuture<'_, Option<String>> {
        Box::pin(async move {
            let mut command = redis::cmd("GET");
            command.arg(key);
            Ok(command.query_async(&mut self.commands()?).await?)
        })
    }

    fn take(&self, key: String) -> BrokerFuture<'_, Option<String>> {
        Box::pin(async move {
            // Redis 6.2 has GETDEL; older ones need two commands.
            let mut pipeline = redis::pipe();
            pipeline.atomic();
            pipeline.cmd("GET").arg(&key).cmd("DEL").arg(&key).ignore();
            let (value,): (Option<String>,) = pipeline.query_async(&mut self.commands()?).await?;
            Ok(value)
        })
    }
}
