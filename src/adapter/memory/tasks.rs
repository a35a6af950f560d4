//! The tasks of one node on a broker in memory.

use std::sync::Arc;

use tokio::task::yield_now;

use crate::adapter::broker::Wires;
use crate::adapter::health::ConnectionRole;
use crate::adapter::memory::hub::{Hub, NodeNumber};
use crate::adapter::positions::Position;
use crate::adapter::sending::Batch;

/// Publishes the content of the queue.
pub(super) async fn publish(hub: Arc<Hub>, number: NodeNumber, wires: Wires) {
    wires.connected(ConnectionRole::Publisher);
    let copy = |batch: Batch<'_>| {
        let envelopes = batch.envelopes();
        let envelopes = envelopes.map(|(envelope, sequence)| (envelope.clone(), sequence));
        (envelopes.collect::<Vec<_>>(), batch.records.to_vec())
    };
    loop {
        let (envelopes, records) = wires.queue.batch(copy).await;
        hub.offer(number, envelopes);
        // Other tasks run between two messages.
        while hub.step(number) {
            yield_now().await;
        }
        hub.write_records(records);
        wires.queue.sent();
    }
}

/// Follows the subscriptions, and receives their messages.
pub(super) async fn listen(hub: Arc<Hub>, number: NodeNumber, wires: Wires) {
    hub.enter(number, wires.subscriptions.all());
    wires.connected(ConnectionRole::Listener);
    loop {
        tokio::select! {
            biased;
            changes = wires.subscriptions.changes() => hub.change(number, changes),
            message = hub.next(number) => {
                let (subscription, channel) = (&message.subscription, &message.channel);
                wires.inbound.received(subscription, channel, &message.payload);
                yield_now().await;
            }
        }
    }
}

/// Reads a stream, from its end or from the position of an earlier reader.
pub(super) async fn read(hub: Arc<Hub>, stream: &'static str, wires: Wires) {
    let position = wires.positions.get(stream).unwrap_or_else(|| {
        let last = hub.extent(stream).last;
        Position {
            began: last,
            at: last,
            count: None,
        }
    });
    wires.positions.set(stream, position, false);
    wires.connected(ConnectionRole::Reader);
    let mut at = position.at;
    loop {
        for (id, entry) in hub.entries(stream, at).await {
            wires.inbound.entry(stream, &entry);
            wires.positions.pass(stream, id, entry);
            at = id;
        }
        yield_now().await;
    }
}
