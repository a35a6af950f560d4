//! The rates of one socket, or of one session of raw messages: the buckets, and the decision about
//! each event and each other packet.
//!
//! The name and the size of an event enter, the decision leaves. A socket has buckets only if the
//! server or the table of its namespace has a rate. Reading pauses for the policy `Delay`.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::client::message::Message;
use crate::clock::now;
use crate::handler::{FailureCause, Received, Table, failed};
use crate::limits::{Bucket, EventRates, Limit, LimitHit, RateLimit, RatePolicy};
use crate::link::Link;
use crate::reason::CloseReason;
use crate::socket::Socket;

/// The buckets of one socket, or of one session of raw messages.
#[derive(Debug)]
pub(super) struct SocketRates {
    events: Option<(RateLimit, Bucket)>,
    bytes: Option<(RateLimit, Bucket)>,
    /// Of the events with a rate of their own, from their first event on.
    by_event: HashMap<String, Bucket>,
    /// No packets are read from the client until then.
    pub(super) paused_until: Option<Instant>,
}

/// A rate that an event exceeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Exceeded {
    limit: Limit,
    rate: RateLimit,
    /// The time after which reading goes on, for the policy `Delay`.
    pause: Duration,
}

impl Exceeded {
    /// Returns the report, to which the caller adds the place.
    fn hit<'a>(self) -> LimitHit<'a> {
        LimitHit::new(self.limit, self.rate.per_second)
    }
}

/// The rates of a client beside those of its sockets.
#[derive(Default)]
pub(super) struct Limiting {
    /// The buckets of namespaces without a socket, the oldest first.
    pub(super) left: Vec<(Box<str>, Box<SocketRates>)>,
    /// The text of a CONNECT that waits for a rate.
    pub(super) delayed_connect: Option<Box<Message<'static>>>,
}

impl SocketRates {
    /// Returns the buckets of a new socket, or `None` if the server has no rate.
    pub(super) fn of_server(rates: EventRates, now: Instant) -> Option<Box<Self>> {
        rates.has_any().then(|| Box::new(Self::new(rates, now)))
    }

    fn new(rates: EventRates, now: Instant) -> Self {
        let full = |rate: RateLimit| (rate, Bucket::new(rate, now));
        Self {
            events: rates.events.map(full),
            bytes: rates.bytes.map(full),
            by_event: HashMap::new(),
            paused_until: None,
        }
    }

    /// Takes the tokens of an event. An event with a rate of its own takes none of the rate for all
    /// events. The first rate that it exceeds decides, and the event has then taken nothing.
    fn take(
        &mut self,
        event: &str,
        own: Option<RateLimit>,
        bytes: usize,
        now: Instant,
    ) -> Result<(), Exceeded> {
        let mut first = match (own, &mut self.events) {
            (Some(rate), _) => {
                if !self.by_event.contains_key(event) {
                    let full = Bucket::new(rate, now);
                    self.by_event.insert(event.to_owned(), full);
                }
                let bucket = self.by_event.get_mut(event);
                bucket.map(|bucket| (Limit::EventRate, rate, bucket))
            }
            (None, Some((rate, bucket))) => Some((Limit::EventsPerSecond, *rate, bucket)),
            (None, None) => None,
        };
        if let Some((limit, rate, bucket)) = &mut first {
            let (limit, rate) = (*limit, *rate);
            bucket.replace_rate(rate);
            bucket
                .take(1, now)
                .map_err(|pause| Exceeded { limit, rate, pause })?;
        }
        let taken = take_bytes(&mut self.bytes, bytes, now);
        if let (Err(_), Some((_, _, events))) = (&taken, first) {
            events.give_back(1);
        }
        taken
    }

    /// Takes the tokens of a packet that is no event. It counts as an event without a rate of its
    /// own.
    fn take_packet(&mut self, bytes: usize, now: Instant) -> Result<(), Exceeded> {
        self.take("", None, bytes, now)
    }

    /// Decides about a packet above a rate.
    ///
    /// # Errors
    ///
    /// The reason for which the session closes.
    fn exceeded(&mut self, exceeded: Exceeded, now: Instant) -> Result<Verdict, CloseReason> {
        match exceeded.rate.policy {
            RatePolicy::Delay => {
                self.paused_until = Some(now + exceeded.pause);
                Ok(Verdict::Delay)
            }
            RatePolicy::Drop => Ok(Verdict::Drop(exceeded.limit)),
            RatePolicy::Disconnect => Err(CloseReason::RateExceeded),
        }
    }
}

fn take_bytes(
    bucket: &mut Option<(RateLimit, Bucket)>,
    bytes: usize,
    now: Instant,
) -> Result<(), Exceeded> {
    let Some((rate, bucket)) = bucket else {
        return Ok(());
    };
    // A packet without content costs too.
    let taken = bucket.take(bytes.max(1) as u64, now);
    taken.map_err(|pause| Exceeded {
        limit: Limit::BytesPerSecond,
        rate: *rate,
        pause,
    })
}

/// The decision about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Handle,
    /// It is above this rate.
    Drop(Limit),
    /// It waits, and so do all later packets of the client.
    Delay,
}

/// Checks an event against the rates of the socket.
///
/// # Errors
///
/// The reason for which the session closes.
pub(super) fn within_rates(
    buckets: &mut Option<Box<SocketRates>>,
    table: &Table,
    received: &Received<'_>,
) -> Result<Verdict, CloseReason> {
    let own = table.rate_of(received.name);
    if own.is_none() && buckets.is_none() {
        return Ok(Verdict::Handle);
    }
    // Behind the check: an event without a rate reads no clock.
    let (now, bytes) = (now(), received.size());
    let link = &received.socket.state().link;
    let server = link.config.rates;
    let rates = buckets.get_or_insert_with(|| Box::new(SocketRates::new(server, now)));
    let Err(exceeded) = rates.take(received.name, own, bytes, now) else {
        return Ok(Verdict::Handle);
    };
    let hit = exceeded
        .hit()
        .in_namespace(received.socket.namespace())
        .of_event(received.name)
        .of_socket(&received.socket.state().id);
    link.report_hit(hit);
    let cause = || FailureCause::RateExceeded(exceeded.limit);
    let verdict = rates.exceeded(exceeded, now);
    match verdict {
        Ok(Verdict::Drop(_)) => received.refuse(cause()),
        Err(_) => failed(received.context, received.socket, received.name, cause()),
        Ok(Verdict::Handle | Verdict::Delay) => {}
    }
    verdict
}

/// Checks the acknowledgement of a call against the rates of the socket. One that no call waits for
/// counts as an event; of any other only the bytes count, because the server has asked for it.
///
/// # Errors
///
/// The reason for which the session closes.
pub(super) fn ack_within_rates(
    rates: &mut SocketRates,
    socket: &Socket,
    (id, bytes): (u64, usize),
) -> Result<Verdict, CloseReason> {
    let now = now();
    let taken = if socket.state().awaits(id) {
        take_bytes(&mut rates.bytes, bytes, now)
    } else {
        rates.take_packet(bytes, now)
    };
    let Err(exceeded) = taken else {
        return Ok(Verdict::Handle);
    };
    let hit = exceeded.hit();
    let hit = hit
        .in_namespace(socket.namespace())
        .of_socket(&socket.state().id);
    socket.state().link.report_hit(hit);
    rates.exceeded(exceeded, now)
}

/// Checks a packet that belongs to no socket, or a raw message. It counts as an event.
///
/// # Errors
///
/// The reason for which the session closes.
pub(super) fn packet_within_rates(
    rates: &mut SocketRates,
    link: &Link,
    namespace: Option<&str>,
    bytes: usize,
) -> Result<Verdict, CloseReason> {
    let now = now();
    let Err(exceeded) = rates.take_packet(bytes, now) else {
        return Ok(Verdict::Handle);
    };
    let hit = exceeded.hit();
    link.report_hit(match namespace {
        Some(namespace) => hit.in_namespace(namespace),
        None => hit,
    });
    rates.exceeded(exceeded, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn rates(events: Option<RateLimit>, bytes: Option<RateLimit>) -> (SocketRates, Instant) {
        let now = Instant::now();
        (SocketRates::new(EventRates { events, bytes }, now), now)
    }

    fn limit_of(taken: Result<(), Exceeded>) -> Option<Limit> {
        taken.err().map(|exceeded| exceeded.limit)
    }

    #[test]
    fn a_server_without_rates_has_no_buckets() {
        let none = EventRates::default();
        assert!(SocketRates::of_server(none, Instant::now()).is_none());
    }

    #[test]
    fn an_event_with_its_own_rate_takes_nothing_of_the_others() {
        let (mut rates, now) = rates(Some(RateLimit::new(1)), None);
        let own = Some(RateLimit::new(2));
        for _ in 0..2 {
            assert_eq!(limit_of(rates.take("search", own, 9, now)), None);
        }
        let third = rates.take("search", own, 9, now);
        assert_eq!(limit_of(third), Some(Limit::EventRate));
        assert_eq!(limit_of(rates.take("move", None, 9, now)), None);
        let second = rates.take("move", None, 9, now);
        assert_eq!(limit_of(second), Some(Limit::EventsPerSecond));
    }

    #[test]
    fn bytes_are_counted_for_all_events() {
        let (mut rates, now) = rates(None, Some(RateLimit::new(100)));
        let own = Some(RateLimit::new(50));
        assert_eq!(limit_of(rates.take("search", own, 60, now)), None);
        assert_eq!(limit_of(rates.take("move", None, 40, now)), None);
        let next = rates.take("move", None, 1, now);
        assert_eq!(limit_of(next), Some(Limit::BytesPerSecond));
    }

    #[test]
    fn a_packet_without_content_costs_an_event_and_a_byte() {
        let (mut rates, now) = rates(Some(RateLimit::new(3)), Some(RateLimit::new(2)));
        for _ in 0..2 {
            assert_eq!(limit_of(rates.take_packet(0, now)), None);
        }
        let third = rates.take_packet(0, now);
        assert_eq!(limit_of(third), Some(Limit::BytesPerSecond));
        let later = now + SECOND;
        assert_eq!(limit_of(take_bytes(&mut rates.bytes, 2, later)), None);
        let next = take_bytes(&mut rates.bytes, 0, later);
        assert_eq!(limit_of(next), Some(Limit::BytesPerSecond));
    }

    #[test]
    fn an_event_that_waits_for_its_bytes_takes_no_other_token() {
        let slow = RateLimit::new(100).policy(RatePolicy::Delay);
        let (mut rates, now) = rates(Some(RateLimit::new(0).burst(2)), Some(slow));
        assert_eq!(rates.take("move", None, 100, now), Ok(()));
        for _ in 0..5 {
            let waits = rates.take("move", None, 50, now).unwrap_err();
            assert_eq!(waits.pause, SECOND / 2);
        }
        let later = now + SECOND / 2;
        assert_eq!(rates.take("move", None, 50, later), Ok(()));
    }
}
