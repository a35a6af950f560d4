//! The counters of a session: what its client has sent, and the last heartbeat.
//!
//! The session writes them, and any thread reads them. The outbox counts the packets that leave,
//! under its lock. [`SessionStats`] is a copy of both for a program. Nothing here depends on the
//! content of packets.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// The counters that the session itself writes.
#[derive(Debug)]
pub(crate) struct Counters {
    /// The time at which the link was made, in microseconds of [`micros`].
    opened: u64,
    // Written by the session alone, which is in one place at a time: a load and a store, because an
    // addition as one operation costs more.
    packets: AtomicU64,
    bytes: AtomicU64,
    /// The time of the last pong, in microseconds of [`micros`]; 0 if there was none.
    pong: AtomicU64,
    /// The time between the last ping and its pong, in microseconds.
    round_trip: AtomicU32,
    /// The number of packets without room that were not reported yet. Senders write it, and the
    /// session takes it.
    overflows: AtomicU32,
}

impl Counters {
    pub(crate) fn new(opened: Instant) -> Self {
        Self {
            opened: micros(opened),
            packets: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            pong: AtomicU64::new(0),
            round_trip: AtomicU32::new(0),
            overflows: AtomicU32::new(0),
        }
    }

    /// Returns the time since the link was made.
    pub(crate) fn age(&self, now: Instant) -> Duration {
        Duration::from_micros(micros(now).saturating_sub(self.opened))
    }

    /// Counts a received packet. Called by the session only.
    pub(crate) fn received(&self, bytes: usize) {
        let packets = self.packets.load(Ordering::Relaxed) + 1;
        self.packets.store(packets, Ordering::Relaxed);
        let bytes = self.bytes.load(Ordering::Relaxed) + bytes as u64;
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    /// Records the answer to the ping of `asked`. Called by the session only.
    pub(crate) fn answered(&self, asked: Instant, now: Instant) {
        let round_trip = now.saturating_duration_since(asked).as_micros();
        let round_trip = u32::try_from(round_trip).unwrap_or(u32::MAX);
        self.round_trip.store(round_trip, Ordering::Relaxed);
        // Last, so that a reader that sees it sees the round trip too.
        self.pong.store(micros(now), Ordering::Release);
    }

    /// Counts a packet without room. Returns `true` if no other one waits to be reported.
    pub(crate) fn overflowed(&self) -> bool {
        self.overflows.fetch_add(1, Ordering::Relaxed) == 0
    }

    /// Returns the number of packets without room since the last call.
    pub(crate) fn take_overflows(&self) -> u32 {
        self.overflows.swap(0, Ordering::Relaxed)
    }

    /// Returns the numbers of received packets, and of their bytes.
    pub(crate) fn inflow(&self) -> Flow {
        Flow {
            packets: self.packets.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }

    /// Returns the time since the last pong, and the round trip of its ping.
    fn heartbeat(&self, now: Instant) -> Option<(Duration, Duration)> {
        let pong = match self.pong.load(Ordering::Acquire) {
            0 => return None,
            pong => micros(now).saturating_sub(pong),
        };
        let round_trip = self.round_trip.load(Ordering::Relaxed).into();
        Some((
            Duration::from_micros(pong),
            Duration::from_micros(round_trip),
        ))
    }
}

/// Returns a time as a number of half the size: the microseconds since the first call in this
/// process, and 1 for each time before. A session has several of them.
fn micros(time: Instant) -> u64 {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let since = time.saturating_duration_since(*FIRST.get_or_init(|| time));
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX).max(1)
}

/// The numbers of packets in one direction, and of their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flow {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

impl Flow {
    pub(crate) fn add(&mut self, other: Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
    }
}

/// The counters of an outbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OutboxStats {
    /// The frames that the transport has taken.
    pub(crate) sent: Flow,
    pub(crate) queued_packets: usize,
    /// The cost of the waiting frames.
    pub(crate) queued_bytes: usize,
    /// The highest cost of waiting frames so far.
    pub(crate) most_queued_bytes: usize,
    pub(crate) dropped_volatile: u64,
}

/// The counters of one client's session, at one moment. The sockets of a client in several
/// namespaces share its session.
///
/// # Examples
///
/// ```
/// use actix_socketio::Socket;
///
/// fn report(socket: &Socket) {
///     let stats = socket.stats();
///     log::info!(
///         "{}: {} bytes queued, {} sent, round trip {:?}",
///         socket.id(),
///         stats.queued_bytes(),
///         stats.bytes_sent(),
///         stats.round_trip(),
///     );
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionStats {
    connected_since: SystemTime,
    received: Flow,
    outbox: OutboxStats,
    heartbeat: Option<(Duration, Duration)>,
}

impl SessionStats {
    pub(crate) fn new(
        connected_since: SystemTime,
        counters: &Counters,
        outbox: OutboxStats,
        now: Instant,
    ) -> Self {
        Self {
            connected_since,
            received: counters.inflow(),
            outbox,
            heartbeat: counters.heartbeat(now),
        }
    }

    /// Returns the time of the client's handshake.
    #[must_use]
    pub fn connected_since(&self) -> SystemTime {
        self.connected_since
    }

    /// Returns the number of Engine.IO packets that the session has received. An attachment is a
    /// packet, and so is a pong.
    #[must_use]
    pub fn packets_received(&self) -> u64 {
        self.received.packets
    }

    /// Returns the number of bytes of the received packets, without the headers of frames and the
    /// separators of polls. The base64 of a poll counts as it was received.
    #[must_use]
    pub fn bytes_received(&self) -> u64 {
        self.received.bytes
    }

    /// Returns the number of packets that the client's transport has taken. A packet counts when
    /// its last byte was written to the connection, or when a poll or a WebSocket with compression
    /// took it; the client may not have received it yet. Pings, the closing packet and the pongs of
    /// a WebSocket count too.
    #[must_use]
    pub fn packets_sent(&self) -> u64 {
        self.outbox.sent.packets
    }

    /// Returns the number of bytes of the sent packets as frames of a WebSocket, whatever the
    /// transport is, before compression.
    #[must_use]
    pub fn bytes_sent(&self) -> u64 {
        self.outbox.sent.bytes
    }

    /// Returns the number of packets in the outbox.
    #[must_use]
    pub fn queued_packets(&self) -> usize {
        self.outbox.queued_packets
    }

    /// Returns the number of bytes in the outbox, as they count for
    /// [`Builder::outbox_limit`](crate::Builder::outbox_limit): with the memory of each packet.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.outbox.queued_bytes
    }

    /// Returns the highest number of [`queued_bytes`](Self::queued_bytes) since the handshake.
    #[must_use]
    pub fn most_queued_bytes(&self) -> usize {
        self.outbox.most_queued_bytes
    }

    /// Returns the number of volatile events that were dropped because the outbox was not empty.
    #[must_use]
    pub fn dropped_volatile(&self) -> u64 {
        self.outbox.dropped_volatile
    }

    /// Returns the time since the client's last pong; `None` before the first one. A client answers
    /// one ping in each [`Builder::ping_interval`](crate::Builder::ping_interval).
    #[must_use]
    pub fn since_last_pong(&self) -> Option<Duration> {
        self.heartbeat.map(|(pong, _)| pong)
    }

    /// Returns the time between the last answered ping and its pong; `None` before the first one.
    ///
    /// It begins when the ping enters the outbox. So it contains the time of the packets before the
    /// ping, and on polling the time until the next poll.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.heartbeat.map(|(_, round_trip)| round_trip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[test]
    fn received_packets_add_up() {
        let counters = Counters::new(Instant::now());
        counters.received(3);
        counters.received(0);
        let flow = Flow {
            packets: 2,
            bytes: 3,
        };
        assert_eq!(counters.inflow(), flow);
    }

    #[test]
    fn the_last_pong_and_its_round_trip_are_kept() {
        let opened = Instant::now();
        let counters = Counters::new(opened);
        assert_eq!(counters.heartbeat(opened), None);
        // A pong in the first microsecond is a pong.
        counters.answered(opened, opened);
        assert!(counters.heartbeat(opened).is_some());
        counters.answered(opened + MILLISECOND, opened + 4 * MILLISECOND);
        let kept = counters.heartbeat(opened + 6 * MILLISECOND);
        assert_eq!(kept, Some((2 * MILLISECOND, 3 * MILLISECOND)));
    }
}
