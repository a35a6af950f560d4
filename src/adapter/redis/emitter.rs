//! Publishing for an [`Emitter`](crate::Emitter), by one connection that is made on demand.

use tokio::sync::Mutex;

use crate::adapter::RedisAdapter;
use crate::adapter::broker::{BrokerFuture, DirectPublisher};
use crate::adapter::emitter::Emitter;
use crate::adapter::format::Envelope;
use crate::adapter::redis::connection::{Connection, RESPONSE_LIMIT, connect, pipeline};

impl Emitter {
    /// Makes an emitter for the cluster of nodes with this adapter.
    #[must_use]
    pub fn new(adapter: RedisAdapter) -> Self {
        let (format, publisher) = adapter.emitter(EMITTER);
        Self::with(format, publisher)
    }
}

/// The Redis of an emitter.
#[derive(Debug)]
pub(crate) struct RedisEmitter {
    client: redis::Client,
    max_length: usize,
    connection: Mutex<Option<Connection>>,
}

impl RedisEmitter {
    pub(crate) fn new(client: redis::Client, max_length: usize) -> Self {
        Self {
            client,
            max_length,
            connection: Mutex::new(None),
        }
    }
}

impl DirectPublisher for RedisEmitter {
    fn publish(&self, envelopes: Vec<Envelope>) -> BrokerFuture<'_, ()> {
        Box::pin(async move {
            let commands = pipeline(&mut envelopes.iter(), self.max_length);
            // One at a time, so that the messages of one task arrive in order.
            let mut held = self.connection.lock().await;
            let mut connection = match held.take() {
                Some(connection) if !connection.is_broken().await => connection,
                _ => connect(&self.client, Some(RESPONSE_LIMIT), |_| {}).await?,
            };
            // After an error the next call reconnects.
            commands.query_async::<()>(&mut connection.commands).await?;
            *held = Some(connection);
            Ok(())
        })
    }
}

/// The name of all emitters in messages: no node has it.
const EMITTER: &str = "emitter";
