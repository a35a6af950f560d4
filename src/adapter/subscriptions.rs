//! The channels to which this node subscribes, and their changes since the broker last read them.

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::adapter::format::Channel;

/// The channels, each with the number of its users.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    wanted: HashMap<Channel, usize>,
    changes: Vec<Change>,
    /// `true` if a listener reads changes; one that reconnects requests all channels.
    is_followed: bool,
}

/// A subscription that begins or ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Listen(Channel),
    Leave(Channel),
}

impl Subscriptions {
    pub(crate) fn listen(&self, channel: Channel) {
        let mut inner = self.inner.lock();
        let wants = inner.wanted.entry(channel.clone()).or_default();
        *wants += 1;
        if *wants == 1 {
            inner.note(Change::Listen(channel));
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
            inner.note(Change::Leave(channel.clone()));
            self.changed.notify_one();
        }
    }

    /// Returns all channels for a new connection. From then on changes are recorded, until they are
    /// [not followed](Self::not_followed) any more.
    pub(crate) fn all(&self) -> Vec<Change> {
        let mut inner = self.inner.lock();
        inner.changes.clear();
        inner.is_followed = true;
        inner.wanted.keys().cloned().map(Change::Listen).collect()
    }

    /// The connection has broken: no task reads the changes.
    pub(crate) fn not_followed(&self) {
        let mut inner = self.inner.lock();
        inner.is_followed = false;
        inner.changes = Vec::new();
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

impl Change {
    /// Returns the channel's name.
    pub(crate) fn name(&self) -> &str {
        let (Self::Listen(channel) | Self::Leave(channel)) = self;
        let (Channel::Plain(name) | Channel::Pattern(name) | Channel::Shard(name)) = channel;
        name
    }
}

impl Inner {
    fn note(&mut self, change: Change) {
        if self.is_followed {
            self.changes.push(change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn a_channel_is_unsubscribed_with_its_last_user() {
        let channels = Subscriptions::default();
        let one = Channel::Plain("one".to_owned());
        assert_eq!(channels.all(), []);
        channels.listen(one.clone());
        channels.listen(one.clone());
        channels.leave(&one);
        assert_eq!(channels.changes().await, [Change::Listen(one.clone())]);
        assert_eq!(channels.all(), [Change::Listen(one.clone())]);
        channels.leave(&one);
        assert_eq!(channels.changes().await, [Change::Leave(one.clone())]);
        assert_eq!(channels.all(), []);
    }

    #[actix_rt::test]
    async fn changes_are_not_recorded_without_a_follower() {
        let channels = Subscriptions::default();
        let channel = |name: &str| Channel::Plain(name.to_owned());
        channels.listen(channel("one"));
        assert_eq!(channels.all(), [Change::Listen(channel("one"))]);
        channels.listen(channel("two"));
        channels.not_followed();
        for _ in 0..10 {
            channels.leave(&channel("one"));
            channels.listen(channel("one"));
        }
        channels.leave(&channel("two"));
        assert_eq!(channels.inner.lock().changes, []);
        assert_eq!(channels.all(), [Change::Listen(channel("one"))]);
        channels.listen(channel("three"));
        let three = Change::Listen(channel("three"));
        assert_eq!(channels.changes().await, [three]);
    }
}
