//! The deliveries of each broadcast. In: deliveries, counted per client. Out: when the broadcast
//! was sent, and how many may be sent next. It reads no packet.

use std::collections::VecDeque;

/// Clients that get the same broadcasts, one of whom sends them.
///
/// A server keeps the order of what it sends to a socket, so a client's n-th delivery is the group's
/// n-th broadcast, and no payload has to be read.
pub(crate) struct Group {
    pub(crate) sender: usize,
    members: usize,
    /// The number of the oldest broadcast in flight.
    oldest: u64,
    pending: VecDeque<Pending>,
}

impl Group {
    pub(crate) fn new(sender: usize, members: usize) -> Self {
        Self {
            sender,
            members,
            oldest: 0,
            pending: VecDeque::new(),
        }
    }

    /// Counts one delivery, and returns when its broadcast was sent.
    pub(crate) fn deliver(&mut self, number: u64) -> Option<u64> {
        let place = usize::try_from(number.checked_sub(self.oldest)?).ok()?;
        let pending = self.pending.get_mut(place)?;
        pending.missing = pending.missing.checked_sub(1)?;
        Some(pending.sent_at)
    }

    /// Drops the broadcasts that have reached everybody, and returns how many may be sent now.
    pub(crate) fn refill(&mut self, in_flight: usize, now: u64) -> usize {
        while self
            .pending
            .front()
            .is_some_and(|pending| pending.missing == 0)
        {
            self.pending.pop_front();
            self.oldest += 1;
        }
        let count = in_flight - self.pending.len();
        let fresh = Pending {
            sent_at: now,
            missing: self.members,
        };
        self.pending.extend(std::iter::repeat_n(fresh, count));
        count
    }
}

#[derive(Clone, Copy)]
struct Pending {
    sent_at: u64,
    /// How many members have not got it yet.
    missing: usize,
}

#[cfg(test)]
mod tests {
    use super::Group;

    #[test]
    fn a_broadcast_is_over_when_all_have_it() {
        let mut group = Group::new(0, 2);
        assert_eq!(group.refill(2, 10), 2);
        assert_eq!(group.deliver(0), Some(10));
        assert_eq!(group.deliver(1), Some(10));
        assert_eq!(group.refill(2, 20), 0);
        assert_eq!(group.deliver(0), Some(10));
        assert_eq!(group.refill(2, 30), 1);
        assert_eq!(group.deliver(2), Some(30));
    }

    #[test]
    fn deliveries_beyond_those_sent_are_refused() {
        let mut group = Group::new(0, 1);
        assert_eq!(group.deliver(0), None);
        group.refill(1, 0);
        assert_eq!(group.deliver(1), None);
        assert_eq!(group.deliver(0), Some(0));
        assert_eq!(group.deliver(0), None);
    }
}
