//! The state of a running server, for operators: its slowest sessions.

use std::collections::HashMap;
use std::sync::Arc;

use crate::clock::now;
use crate::link::{Link, SessionStats};
use crate::server::SocketIo;
use crate::socket::Socket;

impl SocketIo {
    /// Returns the sessions with the most bytes in their outboxes, most first, at most `count`. A
    /// session that has nothing queued is not listed.
    ///
    /// It looks at every session and every socket of this process once, so it is for operators and
    /// not for handlers.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::SocketIo;
    ///
    /// fn report(io: &SocketIo) {
    ///     for slow in io.slowest(10) {
    ///         let ids: Vec<_> = slow.sockets().iter().map(|socket| socket.id()).collect();
    ///         log::info!("{} bytes wait for {ids:?}", slow.stats().queued_bytes());
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn slowest(&self, count: usize) -> Vec<SlowSession> {
        let links = self.engine.slowest(count);
        let mut slow: Vec<SlowSession> = links.iter().map(SlowSession::new).collect();
        // The names of the log, because the ids of sessions are secrets.
        let places: HashMap<u64, usize> = links.iter().map(|link| link.number).zip(0..).collect();
        if places.is_empty() {
            return slow;
        }
        for namespace in self.registry.all() {
            let membership = &namespace.membership;
            for state in membership.all() {
                let place = places.get(&state.link.number);
                if let Some(slow) = place.and_then(|place| slow.get_mut(*place)) {
                    slow.sockets.push(Socket::new(membership, state));
                }
            }
        }
        slow
    }
}

/// A session with packets in its outbox, of [`SocketIo::slowest`].
#[derive(Clone, Debug, PartialEq)]
pub struct SlowSession {
    stats: SessionStats,
    sockets: Vec<Socket>,
}

impl SlowSession {
    fn new(link: &Arc<Link>) -> Self {
        Self {
            stats: link.stats(now()),
            sockets: Vec::new(),
        }
    }

    /// Returns the counters of the session.
    #[must_use]
    pub fn stats(&self) -> &SessionStats {
        &self.stats
    }

    /// Returns the client's sockets, at most one in each namespace.
    #[must_use]
    pub fn sockets(&self) -> &[Socket] {
        &self.sockets
    }
}
