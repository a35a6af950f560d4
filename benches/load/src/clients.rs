//! What a run needs of the clients, whichever transport they use.

use std::time::Duration;

use crate::Failure;
use crate::clock::Clock;
use crate::rate::Rate;
use crate::tally::Tally;

pub(crate) trait Clients {
    /// Opens all clients and waits until each is ready.
    ///
    /// # Errors
    ///
    /// One was lost, or they are not all ready in time.
    fn open_all(&mut self) -> Result<(), Failure>;

    /// Sends the first messages, or opens the clients of a workload that consists of that.
    fn start(&mut self) -> Result<(), Failure>;

    fn run_for(&mut self, span: Duration) -> Result<(), Failure>;

    /// Waits until all messages are answered, at most for `span`, and returns how many are not.
    fn settle(&mut self, span: Duration) -> Result<usize, Failure>;

    fn clock(&self) -> Clock;

    fn tally(&mut self) -> &mut Tally;

    /// Returns the schedule of a run that has a rate.
    fn rate(&mut self) -> Option<&mut Rate>;
}

/// How many clients may be opening at once: no more than any server's backlog takes.
pub(crate) const OPENING_MAX: usize = 64;
pub(crate) const OPEN_MAX: Duration = Duration::from_secs(60);
