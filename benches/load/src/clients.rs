//! The parts of the clients that a run needs, for every transport.

use std::io::ErrorKind;
use std::mem;
use std::time::Duration;

use mio::{Events, Poll};

use crate::Failure;
use crate::clock::{Clock, nanos};
use crate::rate::{Due, Rate, SENT_AT_ONCE_MAX};
use crate::tally::Tally;

pub(crate) trait Clients {
    /// Sends the first messages, or opens the clients of a workload that consists of that.
    fn start(&mut self) -> Result<(), Failure>;

    /// Begins to open a client.
    fn open(&mut self, index: usize) -> Result<(), Failure>;

    /// Sends a message that is due.
    fn send(&mut self, due: Due);

    /// Serves the streams that are ready, waits until `deadline` for some, and returns how many there
    /// were.
    fn poll_once(&mut self, deadline: u64) -> Result<usize, Failure>;

    /// Returns how many clients the run has.
    fn len(&self) -> usize;

    /// Returns how many are ready.
    fn ready(&self) -> usize;

    /// Returns how many messages are not answered.
    fn pending(&self) -> usize;

    fn clock(&self) -> Clock;

    fn tally(&mut self) -> &mut Tally;

    /// Returns the schedule of a run that has a rate.
    fn rate(&mut self) -> Option<&mut Rate>;

    /// Opens all clients and waits until each is ready.
    ///
    /// # Errors
    ///
    /// One was lost, or they are not all ready in time.
    fn open_all(&mut self) -> Result<(), Failure> {
        let deadline = self.clock().now() + nanos(OPEN_MAX);
        let mut next = 0;
        while self.ready() < self.len() {
            while next < self.len() && next - self.ready() < OPENING_MAX {
                self.open(next)?;
                next += 1;
            }
            self.step(deadline)?;
            if let Some(error) = &self.tally().first_error {
                return Err(format!("while opening {next} clients: {error}").into());
            }
            if self.clock().now() >= deadline {
                let ready = self.ready();
                return Err(format!("{ready} clients are ready after {OPEN_MAX:?}").into());
            }
        }
        Ok(())
    }

    fn run_for(&mut self, span: Duration) -> Result<(), Failure> {
        self.drive(span, |_| false)?;
        Ok(())
    }

    /// Waits until all messages are answered, at most for `span`, and returns how many are not.
    fn settle(&mut self, span: Duration) -> Result<usize, Failure> {
        self.drive(span, |clients| clients.pending() == 0)?;
        Ok(self.pending())
    }

    /// Runs until the time is up or `done` holds, and returns whether it did.
    fn drive(&mut self, span: Duration, done: impl Fn(&Self) -> bool) -> Result<bool, Failure> {
        let deadline = self.clock().now() + nanos(span);
        while !done(self) {
            if self.clock().now() >= deadline {
                return Ok(false);
            }
            self.step(deadline)?;
        }
        Ok(true)
    }

    /// Does what there is to do, and waits for it unless a message will soon be due.
    fn step(&mut self, deadline: u64) -> Result<(), Failure> {
        if !self.rate().is_some_and(|rate| rate.is_running()) {
            self.poll_once(deadline)?;
            return Ok(());
        }
        self.send_due();
        let events = self.poll_once(0)?;
        let clock = self.clock();
        if events == 0
            && let Some(rate) = self.rate()
        {
            rate.spin(clock);
        }
        Ok(())
    }

    fn send_due(&mut self) {
        for _ in 0..SENT_AT_ONCE_MAX {
            let now = self.clock().now();
            let Some(due) = self.rate().and_then(|rate| rate.take(now)) else {
                return;
            };
            self.send(due);
        }
    }
}

/// Waits for events, and lends them out: the clients change while these are gone through.
pub(crate) fn wait(
    poll: &mut Poll,
    events: &mut Events,
    timeout: Duration,
) -> Result<Events, Failure> {
    let mut lent = mem::replace(events, Events::with_capacity(0));
    match poll.poll(&mut lent, Some(timeout)) {
        Err(error) if error.kind() != ErrorKind::Interrupted => Err(error.into()),
        _ => Ok(lent),
    }
}

/// How many clients may be opening at once: no more than any server's backlog takes.
const OPENING_MAX: usize = 64;
const OPEN_MAX: Duration = Duration::from_secs(60);

/// How many events one wait takes.
pub(crate) const EVENTS_MAX: usize = 1024;
/// How much one read takes.
pub(crate) const READ_MAX: usize = 256 * 1024;
