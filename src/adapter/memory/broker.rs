//! The broker of one node: it asks the hub.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;

use crate::adapter::broker::{
    Broker, BrokerError, BrokerFuture, BrokerTask, EventLog, ListenerCount, Receipt, RecordStore,
    TakenRecord, Wires,
};
use crate::adapter::format::Channel;
use crate::adapter::log_entry::LogEntry;
use crate::adapter::memory::hub::{Hub, NodeNumber};
use crate::adapter::memory::{KEY, tasks};
use crate::cluster::EntryId;

/// The broker of one node.
#[derive(Debug)]
pub(super) struct Memory {
    hub: Arc<Hub>,
    number: NodeNumber,
    /// `true` while the tasks run; `tasks` sets it, and `ended` clears it.
    is_connected: AtomicBool,
}

impl Memory {
    /// Makes the broker of a new node.
    pub(super) fn new(hub: &Arc<Hub>) -> Self {
        Self {
            hub: Arc::clone(hub),
            number: hub.register(),
            is_connected: AtomicBool::new(false),
        }
    }

    fn check(&self) -> Result<(), BrokerError> {
        match self.is_connected() {
            true => Ok(()),
            false => Err(BrokerError::not_connected()),
        }
    }
}

impl Broker for Memory {
    fn tasks(self: Arc<Self>, wires: &Wires) -> Vec<BrokerTask> {
        self.is_connected.store(true, Ordering::Release);
        let (hub, number) = (&self.hub, self.number);
        vec![
            Box::pin(tasks::publish(Arc::clone(hub), number, wires.clone())),
            Box::pin(tasks::listen(Arc::clone(hub), number, wires.clone())),
            Box::pin(tasks::read(Arc::clone(hub), KEY, wires.clone())),
        ]
    }

    fn is_connected(&self) -> bool {
        self.is_connected.load(Ordering::Acquire)
    }

    fn ended(&self) {
        self.is_connected.store(false, Ordering::Release);
        self.hub.leave(self.number);
    }

    fn send(&self, channel: Channel, payload: Bytes) -> BrokerFuture<'_, Receipt> {
        Box::pin(async move {
            self.check()?;
            Ok(match self.hub.deliver(&channel, &payload) {
                0 => Receipt::Nobody,
                _ => Receipt::Somebody,
            })
        })
    }

    fn listeners(&self) -> Option<&dyn ListenerCount> {
        Some(self)
    }

    fn log(&self) -> Option<&dyn EventLog> {
        Some(self)
    }

    fn records(&self) -> Option<&dyn RecordStore> {
        Some(self)
    }
}

impl ListenerCount for Memory {
    fn count(&self, channels: Vec<Channel>) -> BrokerFuture<'_, Vec<usize>> {
        Box::pin(async move {
            self.check()?;
            let counts = channels.iter().map(|channel| self.hub.listeners(channel));
            Ok(counts.collect())
        })
    }

    fn find(&self, pattern: String, everyone: Channel) -> BrokerFuture<'_, (Vec<String>, usize)> {
        Box::pin(async move {
            self.check()?;
            Ok((self.hub.matching(&pattern), self.hub.listeners(&everyone)))
        })
    }
}

impl EventLog for Memory {
    fn first<'a>(&'a self, stream: &'a str) -> BrokerFuture<'a, Option<EntryId>> {
        Box::pin(async move {
            self.check()?;
            Ok(self.hub.extent(stream).first)
        })
    }

    fn last<'a>(&'a self, stream: &'a str) -> BrokerFuture<'a, EntryId> {
        Box::pin(async move {
            self.check()?;
            Ok(self.hub.extent(stream).last)
        })
    }

    fn is_uncut<'a>(&'a self, stream: &'a str) -> BrokerFuture<'a, bool> {
        Box::pin(async move {
            self.check()?;
            Ok(self.hub.extent(stream).is_uncut)
        })
    }

    fn range<'a>(
        &'a self,
        stream: &'a str,
        after: EntryId,
        upto: EntryId,
        count: usize,
    ) -> BrokerFuture<'a, Vec<LogEntry>> {
        Box::pin(async move {
            self.check()?;
            let entries = self.hub.range(stream, after, upto, count);
            Ok(entries.into_iter().map(|(_, entry)| entry).collect())
        })
    }
}

impl RecordStore for Memory {
    fn get(&self, key: String) -> BrokerFuture<'_, Option<String>> {
        Box::pin(async move {
            self.check()?;
            Ok(self.hub.record(&key))
        })
    }

    fn take(&self, key: String, limit: Duration) -> BrokerFuture<'_, Option<TakenRecord>> {
        Box::pin(async move {
            self.check()?;
            Ok(self.hub.take_record(&key, limit))
        })
    }
}
