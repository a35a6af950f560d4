//! The broker: the tasks of the three connections, and the questions to Redis.

use std::sync::Arc;

use bytes::Bytes;

use crate::adapter::broker::{
    Broker, BrokerFuture, BrokerTask, EventLog, ListenerCount, Receipt, RecordStore, Wires,
};
use crate::adapter::format::Channel;
use crate::adapter::redis::connection::publish;
use crate::adapter::redis::state::Redis;
use crate::adapter::redis::{publisher, reader, subscriber};

impl Broker for Redis {
    fn tasks(self: Arc<Self>, wires: &Wires) -> Vec<BrokerTask> {
        let mut tasks: Vec<BrokerTask> = vec![
            Box::pin(publisher::run(Arc::clone(&self), wires.clone())),
            Box::pin(subscriber::run(Arc::clone(&self), wires.clone())),
        ];
        if !self.streams().is_empty() {
            tasks.push(Box::pin(reader::run(self, wires.clone())));
        }
        tasks
    }

    fn is_connected(&self) -> bool {
        Self::is_connected(self)
    }

    fn ended(&self) {
        self.set_commands(None);
    }

    fn send(&self, channel: Channel, payload: Bytes) -> BrokerFuture<'_, Receipt> {
        Box::pin(async move {
            let command = publish(&channel, &payload);
            let heard: usize = command.query_async(&mut self.commands()?).await?;
            Ok(match heard {
                0 => Receipt::Nobody,
                _ => Receipt::Somebody,
            })
        })
    }

    fn listeners(&self) -> Option<&dyn ListenerCount> {
        Some(self)
    }

    fn log(&self) -> Option<&dyn EventLog> {
        (!self.streams().is_empty()).then_some(self)
    }

    fn records(&self) -> Option<&dyn RecordStore> {
        Some(self)
    }
}
