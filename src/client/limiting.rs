//! The rates of packets that no socket takes, and the pauses of reading by all rates.
//!
//! A CONNECT enters, and a packet for a namespace that the client has left; the decision leaves. The
//! buckets of a namespace stay with the client after its socket has ended, so that a client that
//! connects again and again gets no new burst. It has as many as it may have namespaces: one more
//! namespace gets the oldest ones.

use std::time::Instant;

use crate::client::message::Message;
use crate::client::rates::{Limiting, SocketRates, Verdict, packet_within_rates};
use crate::client::state::{Client, Slot};
use crate::clock::now;
use crate::handler::FailureCause;
use crate::logging::TARGET_SESSION;
use crate::reason::CloseReason;

impl Client {
    /// Checks a CONNECT to a namespace that the client has left, or that has refused it. Returns
    /// `false` if the client is refused, or waits.
    pub(super) fn admits_connect(
        &mut self,
        name: &str,
        message: &Message<'_>,
    ) -> Result<bool, CloseReason> {
        let server = self.link.config.rates;
        if !server.has_any() {
            return Ok(true);
        }
        let Some(at) = self.left_at(name) else {
            // Kept although no socket may be made, because the namespace may refuse the client.
            self.keep_rates(name, SocketRates::of_server(server, now()));
            return Ok(true);
        };
        let mut rates = self.limiting().left.remove(at).1;
        let verdict = packet_within_rates(&mut rates, &self.link, Some(name), message.bytes());
        self.keep_rates(name, Some(rates));
        match verdict? {
            Verdict::Handle => return Ok(true),
            Verdict::Drop(limit) => {
                self.turn_away(name, None, FailureCause::RateExceeded(limit));
            }
            // The pause begins with it, so at most one waits.
            Verdict::Delay => {
                self.limiting().delayed_connect = Some(Box::new(message.clone().into_owned()));
            }
        }
        Ok(false)
    }

    /// Counts a packet for a namespace that the client has left. It is dropped in any case.
    pub(super) fn count_stray(&mut self, name: &str, bytes: usize) -> Result<(), CloseReason> {
        let Some(limiting) = &mut self.limiting else {
            return Ok(());
        };
        let kept = limiting.left.iter_mut().find(|(left, _)| **left == *name);
        if let Some((_, rates)) = kept {
            packet_within_rates(rates, &self.link, Some(name), bytes)?;
        }
        Ok(())
    }

    /// Returns the buckets for a socket in this namespace: those of its predecessor, or new ones if
    /// the server has a rate.
    pub(super) fn take_rates(&mut self, name: &str) -> Option<Box<SocketRates>> {
        match self.left_at(name) {
            Some(at) => Some(self.limiting().left.remove(at).1),
            None => SocketRates::of_server(self.link.config.rates, now()),
        }
    }

    /// Returns the place of the buckets of a namespace, or of the oldest ones if there may be no
    /// more.
    fn left_at(&self, name: &str) -> Option<usize> {
        let left = self.left();
        let limit = self.link.config.limits.namespaces_per_session;
        let at = left.iter().position(|(left, _)| **left == *name);
        let is_full = left.len() + self.slots.len() >= limit;
        at.or_else(|| (is_full && !left.is_empty()).then_some(0))
    }

    /// Keeps the buckets of a socket that has ended.
    pub(super) fn keep_rates(&mut self, name: &str, rates: Option<Box<SocketRates>>) {
        if let Some(rates) = rates {
            self.limiting().left.push((name.into(), rates));
        }
    }

    fn limiting(&mut self) -> &mut Limiting {
        self.limiting.get_or_insert_default()
    }

    /// Returns the buckets of namespaces without a socket.
    fn left(&self) -> &[(Box<str>, Box<SocketRates>)] {
        let limiting = self.limiting.as_ref();
        limiting.map_or(&[], |limiting| &limiting.left)
    }

    /// Returns the time at which reading continues that a rate has paused.
    pub(super) fn resumes_at(&self) -> Option<Instant> {
        let left = self.left().iter().map(|(_, rates)| rates);
        let open = self.slots.iter().filter_map(|slot| slot.rates.as_ref());
        left.chain(open).filter_map(|it| it.paused_until).max()
    }

    /// Continues to read if the pause of a rate is over.
    pub(super) fn resume(&mut self, now: Instant) -> Result<(), CloseReason> {
        if self.resumes_at().is_none_or(|due| due > now) {
            return Ok(());
        }
        let limiting = self.limiting.iter_mut();
        let left = limiting.flat_map(|limiting| &mut limiting.left);
        let left = left.map(|(_, rates)| rates);
        let open = self.slots.iter_mut().filter_map(|slot| slot.rates.as_mut());
        for rates in left.chain(open) {
            rates.paused_until = None;
        }
        log::debug!(target: TARGET_SESSION, "{}: reading continues, the rate allows it", self.link);
        // The session reads at its next turn.
        self.link.wake();
        let delayed = self.limiting.as_mut();
        match delayed.and_then(|limiting| limiting.delayed_connect.take()) {
            Some(connect) => self.packet(*connect),
            None => Ok(()),
        }
    }
}

impl Slot {
    /// Returns the time until which no packets are read because of a rate.
    pub(super) fn paused_until(&self) -> Option<Instant> {
        self.rates.as_ref()?.paused_until
    }
}
