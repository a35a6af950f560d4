//! Messages in flight whose ids are never used twice. In: when each was sent. Out: the same, by the id
//! an ACK brings.

use std::collections::VecDeque;

/// One client's messages that wait for an ACK.
#[derive(Default)]
pub(crate) struct Acks {
    /// The id of the first in `sent`.
    oldest: u64,
    sent: VecDeque<Option<u64>>,
}

impl Acks {
    /// Adds a message, and returns its id.
    pub(crate) fn issue(&mut self, sent_at: u64) -> u64 {
        let id = self.issued();
        self.sent.push_back(Some(sent_at));
        id
    }

    /// Returns how many ids have been given out.
    pub(crate) fn issued(&self) -> u64 {
        self.oldest + self.sent.len() as u64
    }

    /// Returns when the message was sent, once for each id.
    pub(crate) fn settle(&mut self, id: u64) -> Option<u64> {
        let place = usize::try_from(id.checked_sub(self.oldest)?).ok()?;
        let sent_at = self.sent.get_mut(place)?.take();
        // ACKs may come in any order, as handlers may run at the same time.
        while self.sent.front() == Some(&None) {
            self.sent.pop_front();
            self.oldest += 1;
        }
        sent_at
    }

    pub(crate) fn pending(&self) -> usize {
        self.sent.iter().flatten().count()
    }
}

#[cfg(test)]
mod tests {
    use super::Acks;

    #[test]
    fn acks_settle_in_any_order_and_once() {
        let mut acks = Acks::default();
        assert_eq!([10, 20, 30].map(|at| acks.issue(at)), [0, 1, 2]);
        assert_eq!(acks.settle(1), Some(20));
        assert_eq!(acks.settle(1), None);
        assert_eq!(acks.settle(3), None);
        assert_eq!(acks.pending(), 2);
        assert_eq!(acks.settle(0), Some(10));
        assert_eq!(acks.settle(0), None);
        assert_eq!(acks.issue(40), 3);
        assert_eq!(acks.settle(2), Some(30));
        assert_eq!(acks.settle(3), Some(40));
        assert_eq!((acks.pending(), acks.issued()), (0, 4));
    }
}
