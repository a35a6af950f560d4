//! The rate of events, bytes or handshakes that the program allows.

/// A rate with a burst: a token bucket that holds `burst` tokens and gets `per_second` new ones each
/// second. An event, a byte or a handshake takes one.
///
/// # Examples
///
/// ```
/// use actix_socketio::{RateLimit, RatePolicy, SocketIo};
///
/// let builder = SocketIo::builder()
///     .events_per_second(RateLimit::new(50).burst(200))
///     .bytes_per_second(RateLimit::new(100_000).policy(RatePolicy::Disconnect))
///     .handshakes_per_second(1000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    pub(crate) per_second: u64,
    pub(crate) burst: u64,
    pub(crate) policy: RatePolicy,
}

impl RateLimit {
    /// Allows this number in a second, and as many at once; none if it is 0.
    #[must_use]
    pub fn new(per_second: u64) -> Self {
        Self {
            per_second,
            burst: per_second,
            policy: RatePolicy::default(),
        }
    }

    /// Sets the number that is allowed at once after a pause; by default the number of a second.
    #[must_use]
    pub fn burst(self, burst: u64) -> Self {
        Self { burst, ..self }
    }

    /// Sets the effect on a client above the rate. A handshake above its rate is always refused.
    #[must_use]
    pub fn policy(self, policy: RatePolicy) -> Self {
        Self { policy, ..self }
    }
}

/// The rates of each socket of a server; `None` is no limit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EventRates {
    pub(crate) events: Option<RateLimit>,
    pub(crate) bytes: Option<RateLimit>,
}

impl EventRates {
    pub(crate) fn has_any(self) -> bool {
        self.events.is_some() || self.bytes.is_some()
    }
}

impl From<u64> for RateLimit {
    fn from(per_second: u64) -> Self {
        Self::new(per_second)
    }
}

/// The effect on a client that sends more than a [`RateLimit`] allows.
///
/// | policy | an event above the rate | the client |
/// | --- | --- | --- |
/// | `Drop` | has no handler, and is acknowledged with `{"error": …}` | stays connected |
/// | `Delay` | waits, with all later packets of the client | is read more slowly |
/// | `Disconnect` | has no handler | is disconnected with [`CloseReason::RateExceeded`](crate::CloseReason) |
///
/// With `Drop` a connect is refused, and an acknowledgement or a message of raw Engine.IO is dropped
/// without an answer.
///
/// # Examples
///
/// ```
/// use actix_socketio::{RateLimit, RatePolicy};
///
/// let slowed = RateLimit::new(20).policy(RatePolicy::Delay);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RatePolicy {
    /// The event is dropped, and the error hook receives
    /// [`FailureCause::RateExceeded`](crate::FailureCause).
    #[default]
    Drop,
    /// The server reads no more from the client until the rate allows the next event. Its pongs
    /// wait too, so the rate must allow a message of the largest size within
    /// [`Builder::ping_timeout`](crate::Builder::ping_timeout).
    Delay,
    /// The session is closed.
    Disconnect,
}
