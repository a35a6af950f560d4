//! The options of admission: which new clients a server takes.
//!
//! Values of the program enter; `limits/` counts, and `transport/` refuses.

use std::time::Duration;

use crate::limits::{MemoryGauge, RateLimit};
use crate::server::{Buildable, Builder};

/// The limits of new clients, for every server. None is set by default.
///
/// A client above a limit is refused before any of its state is made, and before
/// [`allow_request`](Self::allow_request). The response is 429 if its own address is the cause, and
/// 503 otherwise, with `Retry-After` and `{"code":6,"message":…}`. Each refusal is seen by
/// [`on_limit`](Self::on_limit) and [`on_connection_error`](Self::on_connection_error).
///
/// The address is that of [`Handshake::address`](crate::Handshake::address), seen through the
/// [`trusted_proxies`](Self::trusted_proxies). IPv6 addresses count by their network of 64 bits.
/// Clients without an address, on a Unix socket, have no limit of their address. A session counts
/// from its first request to its close; its upgrade is no new session.
impl<S: Buildable> Builder<S> {
    /// Sets the maximal number of sessions at the same time.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::SocketIo;
    ///
    /// let builder = SocketIo::builder().max_sessions(50_000).sessions_per_address(100);
    /// ```
    pub fn max_sessions(mut self, sessions: usize) -> Self {
        self.config.admission.max_sessions = Some(sessions);
        self
    }

    /// Sets the maximal number of sessions of one address at the same time. Clients of one company
    /// or mobile network may share an address.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::SocketIo;
    ///
    /// let builder = SocketIo::builder().sessions_per_address(100);
    /// ```
    pub fn sessions_per_address(mut self, sessions: usize) -> Self {
        self.config.admission.sessions_per_address = Some(sessions);
        self
    }

    /// Sets the rate of new sessions in all: a number per second, or a [`RateLimit`] with a burst.
    /// Its policy has no effect.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{RateLimit, SocketIo};
    ///
    /// let builder = SocketIo::builder().handshakes_per_second(RateLimit::new(500).burst(2000));
    /// ```
    pub fn handshakes_per_second(mut self, rate: impl Into<RateLimit>) -> Self {
        self.config.admission.handshakes_per_second = Some(rate.into());
        self
    }

    /// Sets the rate of new sessions of one address. The rates of addresses without a session are
    /// forgotten if there are more than 65,536.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{RateLimit, SocketIo};
    ///
    /// let rate = RateLimit::new(5).burst(20);
    /// let builder = SocketIo::builder().handshakes_per_second_per_address(rate);
    /// ```
    pub fn handshakes_per_second_per_address(mut self, rate: impl Into<RateLimit>) -> Self {
        self.config.admission.handshakes_per_second_per_address = Some(rate.into());
        self
    }

    /// Sets the resident memory of the process, in bytes, above which new clients are refused.
    /// Connected clients stay. It is measured at most four times in a second, on Linux by
    /// `/proc/self/status`. On other systems the start fails, unless the program sets a
    /// [`memory_gauge`](Self::memory_gauge).
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::SocketIo;
    ///
    /// // 80 % of a container's 2 GiB.
    /// let builder = SocketIo::builder().memory_limit(1_717_986_918);
    /// ```
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.config.admission.memory_limit = Some(bytes);
        self
    }

    /// Sets the function that measures the memory of the process for
    /// [`memory_limit`](Self::memory_limit), in bytes. It must not block. While it returns `None`,
    /// or panics, its last value is used.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::SocketIo;
    ///
    /// fn allocated() -> Option<u64> {
    ///     // For example the statistics of the program's allocator.
    ///     Some(500_000_000)
    /// }
    ///
    /// let builder = SocketIo::builder().memory_limit(1 << 30).memory_gauge(allocated);
    /// ```
    pub fn memory_gauge(
        mut self,
        measure: impl Fn() -> Option<u64> + Send + Sync + 'static,
    ) -> Self {
        self.config.admission.memory_gauge = MemoryGauge::new(measure);
        self
    }

    /// Sets the time limit of a polling client's first poll, POST or upgrade after its handshake.
    /// Its session is then closed with
    /// [`CloseReason::FirstPollTimeout`](crate::CloseReason::FirstPollTimeout). By default such a
    /// session ends only by its heartbeat, after [`ping_interval`](Self::ping_interval) +
    /// [`ping_timeout`](Self::ping_timeout), as on the Node.js server. Official clients poll at
    /// once.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use actix_socketio::SocketIo;
    ///
    /// let builder = SocketIo::builder().first_poll_timeout(Duration::from_secs(5));
    /// ```
    pub fn first_poll_timeout(mut self, timeout: Duration) -> Self {
        self.config.engine.first_poll_timeout = Some(timeout);
        self
    }
}
