//! Records, as keys with a time to live. They are written by the publisher.

use std::time::Duration;

use crate::adapter::broker::{BrokerFuture, RecordStore, TakenRecord};
use crate::adapter::redis::scripts;
use crate::adapter::redis::state::Redis;

impl RecordStore for Redis {
    fn get(&self, key: String) -> BrokerFuture<'_, Option<String>> {
        Box::pin(async move {
            let mut command = redis::cmd("GET");
            command.arg(key);
            Ok(command.query_async(&mut self.commands()?).await?)
        })
    }

    fn take(&self, key: String, limit: Duration) -> BrokerFuture<'_, Option<TakenRecord>> {
        Box::pin(async move {
            let command = scripts::take(&key, limit);
            let taken: Option<(String, u64)> = command.query_async(&mut self.commands()?).await?;
            Ok(taken.map(|(value, moves)| TakenRecord { value, moves }))
        })
    }
}
