//! The options of a drain, as values.

use std::time::Duration;

/// The options of [`SocketIo::drain`](crate::SocketIo::drain).
///
/// By default the readiness is bad for 5 seconds before anything else happens, and the clients are
/// then closed within 30 seconds, evenly.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use actix_socketio::DrainOptions;
///
/// // A load balancer that checks every 10 seconds, and 200 reconnects in a second at most.
/// let options = DrainOptions::new()
///     .delay(Duration::from_secs(15))
///     .limit(Duration::from_secs(120))
///     .batch(100)
///     .interval(Duration::from_millis(500));
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct DrainOptions {
    pub(crate) delay: Duration,
    pub(crate) grace: Duration,
    pub(crate) event: Option<String>,
    pub(crate) pace: Pace,
}

impl DrainOptions {
    /// Starts with the default options.
    pub fn new() -> Self {
        Self {
            delay: Duration::from_secs(5),
            grace: Duration::from_secs(5),
            event: None,
            pace: Pace {
                limit: Duration::from_secs(30),
                batch: None,
                interval: None,
                jitter: 0.0,
            },
        }
    }

    /// Sets the time for which the readiness is bad before clients are refused and closed; 5
    /// seconds by default. It should be longer than the time after which the load balancer sends
    /// no more clients.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Sets the time over which the clients are closed, 30 seconds by default. It begins after the
    /// [`delay`](Self::delay). Clients that are open at its end are closed together.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.pace.limit = limit;
        self
    }

    /// Sets the time after [`limit`](Self::limit) for the last handlers in flight, the last packets
    /// of clients, and the messages to other nodes; 5 seconds by default. It is the limit of
    /// [`SocketIo::close`](crate::SocketIo::close).
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Sets the number of clients that are closed together. By default it follows from the
    /// interval, so that the clients are spread evenly over the limit.
    pub fn batch(mut self, clients: usize) -> Self {
        self.pace.batch = Some(clients.max(1));
        self
    }

    /// Sets the time between two batches. By default it is 100 milliseconds, or follows from the
    /// [`batch`](Self::batch).
    pub fn interval(mut self, interval: Duration) -> Self {
        self.pace.interval = Some(interval);
        self
    }

    /// Sets the part of the interval, from 0 to 1, by which a batch may be late; 0 by default. The
    /// part of each batch is random, so that several nodes that drain do not close their batches at
    /// the same moments.
    pub fn jitter(mut self, part: f64) -> Self {
        self.pace.jitter = part.clamp(0.0, 1.0);
        self
    }

    /// Sends each socket an event of this name, without arguments, before its client is closed. By
    /// default a client gets only the close of its transport, and official clients reconnect.
    pub fn event(mut self, name: impl Into<String>) -> Self {
        self.event = Some(name.into());
        self
    }
}

impl Default for DrainOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// The options of the schedule; those that are not set follow from the others.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    pub(crate) limit: Duration,
    pub(crate) batch: Option<usize>,
    pub(crate) interval: Option<Duration>,
    /// The part of the interval by which a batch may be late.
    pub(crate) jitter: f64,
}
