//! The closing clients that still have a stream, and the deadline of each. In: close frames, sent
//! and received. Out: the clients to give up on.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::nanos;

/// The clients that are closing. They stay in it when their streams have ended: whose index and
/// serial are nobody's any more is passed over.
#[derive(Default)]
pub(crate) struct Closings {
    /// Those who wait for the server's close frame, oldest first.
    unanswered: VecDeque<Closing>,
    /// Those who have it and wait for the end of the stream, oldest first.
    answered: VecDeque<Closing>,
}

impl Closings {
    /// Adds a client that has sent its close frame.
    pub(crate) fn add(&mut self, now: u64, index: usize, serial: u64) {
        self.unanswered.push_back(Closing {
            deadline: now + nanos(ANSWER_MAX),
            index,
            serial,
        });
    }

    /// Takes in that the server has answered one.
    pub(crate) fn answer(&mut self, now: u64, index: usize, serial: u64) {
        self.answered.push_back(Closing {
            deadline: now + nanos(LINGER_MAX),
            index,
            serial,
        });
    }

    /// Returns when there may be somebody to give up on.
    pub(crate) fn deadline(&self) -> Option<u64> {
        let firsts = [self.answered.front(), self.unanswered.front()];
        firsts
            .into_iter()
            .flatten()
            .map(|first| first.deadline)
            .min()
    }

    /// Returns the next client to give up on. `is_open` says whether one is still there.
    pub(crate) fn late(&mut self, now: u64, is_open: impl Fn(Closing) -> bool) -> Option<Late> {
        let answered = late(&mut self.answered, now, &is_open).map(Late::Lingering);
        answered.or_else(|| late(&mut self.unanswered, now, &is_open).map(Late::Unanswered))
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Closing {
    deadline: u64,
    pub(crate) index: usize,
    pub(crate) serial: u64,
}

/// A client to give up on, by its index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Late {
    /// The server has not answered its close frame.
    Unanswered(usize),
    /// The server has, and has left the stream open.
    Lingering(usize),
}

fn late(
    queue: &mut VecDeque<Closing>,
    now: u64,
    is_open: &impl Fn(Closing) -> bool,
) -> Option<usize> {
    while let Some(first) = queue.front().copied() {
        let open = is_open(first);
        if open && now < first.deadline {
            return None;
        }
        queue.pop_front();
        if open {
            return Some(first.index);
        }
    }
    None
}

const ANSWER_MAX: Duration = Duration::from_secs(2);
/// RFC 6455, 7.1.1: it is the server that ends the stream, but some, like Werkzeug's, leave it open
/// for a further request.
const LINGER_MAX: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::{Closing, Closings, Late};

    #[test]
    fn only_those_still_open_are_late() {
        let mut closings = Closings::default();
        assert_eq!(closings.deadline(), None);
        for serial in [1, 2, 3] {
            closings.add(serial, 0, serial);
        }
        assert_eq!(closings.deadline(), Some(2_000_000_001));
        let is_open = |closing: Closing| closing.serial != 1;
        assert_eq!(closings.late(2_000_000_001, is_open), None);
        assert_eq!(
            closings.late(2_000_000_002, is_open),
            Some(Late::Unanswered(0))
        );
        assert_eq!(closings.late(2_000_000_002, is_open), None);
    }

    #[test]
    fn a_close_that_is_answered_lingers_for_a_while() {
        let mut closings = Closings::default();
        closings.add(0, 7, 1);
        closings.answer(5, 7, 1);
        assert_eq!(closings.deadline(), Some(20_000_005));
        assert_eq!(closings.late(20_000_004, |_| true), None);
        assert_eq!(
            closings.late(20_000_005, |_| true),
            Some(Late::Lingering(7))
        );
        assert_eq!(closings.late(20_000_005, |_| false), None);
        assert_eq!(closings.deadline(), None);
    }
}
