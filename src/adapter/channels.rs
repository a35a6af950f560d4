//! Where this node listens, and what has changed since the listener last looked.

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::adapter::format::Channel;

/// The channels that are wanted, by how many want each.
#[derive(Debug, Default)]
pub(crate) struct Channels {
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    wanted: HashMap<Channel, usize>,
    changes: Vec<Change>,
}

/// What the listener has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Listen(Channel),
    Leave(Channel),
}

impl Channels {
    pub(crate) fn listen(&self, channel: Channel) {
        let mut inner = self.inner.lock();
        let wants = inner.wanted.entry(channel.clone()).or_default();
        *wants += 1;
        if *wants == 1 {
            inner.changes.push(Change::Listen(channel));
            self.changed.notify_one();
        }
    }

    pub(crate) fn leave(&self, channel: &Channel) {
        let mut inner = self.inner.lock();
        let Some(wants) = inner.wanted.get_mut(channel) else {
            return;
        };
        *wants -= 1;
        if *wants == 0 {
            inner.wanted.remove(channel);
            inner.changes.push(Change::Leave(channel.clone()));
            self.changed.notify_one();
        }
    }

    /// Returns everything that a new connection has to listen to.
    pub(crate) fn all(&self) -> Vec<Change> {
        let mut inner = self.inner.lock();
        inner.changes.clear();
        inner.wanted.keys().cloned().map(Change::Listen).collect()
    }

    /// Waits for changes, and takes them.
    pub(crate) async fn changes(&self) -> Vec<Change> {
        loop {
            let changes = std::mem::take(&mut self.inner.lock().changes);
            if !changes.is_empty() {
                return changes;
            }
            self.changed.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn a_channel_is_left_with_the_last_that_wants_it() {
        let channels = Channels::default();
        let one = Channel::Plain("one".to_owned());
        channels.listen(one.clone());
        channels.listen(one.clone());
        channels.leave(&one);
        assert_eq!(channels.changes().await, [Change::Listen(one.clone())]);
        assert_eq!(channels.all(), [Change::Listen(one.clone())]);
        channels.leave(&one);
        assert_eq!(channels.changes().await, [Change::Leave(one.clone())]);
        assert_eq!(channels.all(), []);
    }
}
