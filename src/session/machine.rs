//! The state of a session's transport and heartbeat, as pure code: the time is an argument.
//!
//! Events of the transport and the clock enter, [`Action`]s leave; the actor executes them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::{Config, Transport};
use crate::handshake::Revision;
use crate::reason::CloseReason;

/// The transport of a session, and the state of its heartbeat.
///
/// ```text
///              begin_upgrade                 complete_upgrade
///   Polling ───────────────────▶ Upgrading ───────────────────▶ Streaming
///      ▲                             │
///      └──── abandon_upgrade, timeout ┘
///
///              ping_interval               ping_timeout
///   Resting ───────────────────▶ Asking ───────────────────▶ closed
///      ▲                          │  ▲ any other packet: once more ping_timeout
///      └────────── pong ──────────┘
/// ```
///
/// A client of Engine.IO v3 pings itself. Its heartbeat stays in `Listening`, and each ping moves
/// the time of its close.
#[derive(Debug)]
pub(crate) struct Machine {
    /// Shared, because a copy of its times would be a fifth of a session's state.
    config: Arc<Config>,
    transport: TransportState,
    heartbeat: Heartbeat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TransportState {
    Polling {
        /// The time by which the client must have polled, sent a packet or probed; `None` if it
        /// has, or if there is no limit.
        first_poll_by: Option<Instant>,
    },
    Upgrading {
        until: Instant,
        noop_at: Instant,
    },
    /// Any transport but polling. It stays until the end of the session.
    Streaming(Transport),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heartbeat {
    Resting {
        ping_at: Instant,
    },
    Asking {
        until: Instant,
        extended: bool,
    },
    /// The client pings: the time by which its next ping must arrive.
    Listening {
        until: Instant,
    },
}

/// An action that is due by the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    SendPing,
    /// End a waiting poll, so that the client can proceed with its upgrade.
    ReleasePoll,
    Close(CloseReason),
}

/// The reason why a transport may not take over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UpgradeRefused;

impl Machine {
    pub(crate) fn new(
        config: &Arc<Config>,
        revision: Revision,
        transport: Transport,
        now: Instant,
    ) -> Self {
        let engine = &config.engine;
        Self {
            transport: match transport {
                Transport::Polling => TransportState::Polling {
                    first_poll_by: engine.first_poll_timeout.map(|limit| now + limit),
                },
                other => TransportState::Streaming(other),
            },
            heartbeat: match revision {
                // Engine.IO v4, Heartbeat: the server sends the ping.
                Revision::V4 => Heartbeat::Resting {
                    ping_at: now + engine.ping_interval,
                },
                // Engine.IO v3, Ping: the client sends the ping.
                Revision::V3 => Heartbeat::Listening {
                    until: now + engine.silence_limit(),
                },
            },
            config: Arc::clone(config),
        }
    }

    pub(crate) fn transport(&self) -> Transport {
        match self.transport {
            TransportState::Streaming(transport) => transport,
            TransportState::Polling { .. } | TransportState::Upgrading { .. } => Transport::Polling,
        }
    }

    /// Returns `true` if another transport has sent its probe, and the upgrade is not complete.
    pub(crate) fn is_upgrading(&self) -> bool {
        matches!(self.transport, TransportState::Upgrading { .. })
    }

    /// Another transport has sent its probe.
    pub(crate) fn begin_upgrade(&mut self, now: Instant) -> Result<(), UpgradeRefused> {
        if !matches!(self.transport, TransportState::Polling { .. }) {
            return Err(UpgradeRefused);
        }
        self.transport = TransportState::Upgrading {
            until: now + self.config.engine.upgrade_timeout,
            noop_at: now + FIRST_NOOP,
        };
        Ok(())
    }

    /// The transport of the probe has requested the session.
    pub(crate) fn complete_upgrade(&mut self, transport: Transport) -> Result<(), UpgradeRefused> {
        if !self.is_upgrading() {
            return Err(UpgradeRefused);
        }
        // The heartbeat is unchanged: a ping that waits for its pong keeps its deadline.
        self.transport = TransportState::Streaming(transport);
        Ok(())
    }

    /// The transport of the probe has closed again; polling continues.
    pub(crate) fn abandon_upgrade(&mut self) {
        if self.is_upgrading() {
            self.transport = TransportState::POLLED;
        }
    }

    /// Returns `true` if the client has sent nothing after its handshake, and has a time limit for
    /// that.
    pub(crate) fn awaits_first_poll(&self) -> bool {
        let TransportState::Polling { first_poll_by } = self.transport else {
            return false;
        };
        first_poll_by.is_some()
    }

    /// The client has polled, or has sent a packet.
    pub(crate) fn polled(&mut self) {
        if let TransportState::Polling { first_poll_by } = &mut self.transport {
            *first_poll_by = None;
        }
    }

    /// Returns `true` if a pong is awaited.
    pub(crate) fn is_asking(&self) -> bool {
        matches!(self.heartbeat, Heartbeat::Asking { .. })
    }

    /// The client has answered the ping. A pong without a ping is ignored.
    pub(crate) fn pong(&mut self, now: Instant) {
        if self.is_asking() {
            self.heartbeat = Heartbeat::Resting {
                ping_at: now + self.config.engine.ping_interval,
            };
        }
    }

    /// The client has sent a ping.
    ///
    /// # Errors
    ///
    /// The reason to close the session, if the server is the one that pings, or if the ping is late.
    pub(crate) fn pinged(&mut self, now: Instant) -> Result<(), CloseReason> {
        let Heartbeat::Listening { until } = &mut self.heartbeat else {
            // Engine.IO v4, Heartbeat: only the server pings.
            return Err(CloseReason::TransportError);
        };
        // If the worker was blocked for longer, the ping may have arrived in time.
        if *until <= now && now - *until <= TIMER_DELAY {
            return Err(CloseReason::PingTimeout);
        }
        *until = now + self.config.engine.ping_interval + self.config.engine.ping_timeout;
        Ok(())
    }

    /// Another packet has arrived while the pong is awaited: the client is alive, but slow. It gets
    /// one more timeout for each ping, as on the Node.js server.
    pub(crate) fn heard(&mut self, now: Instant) {
        if let Heartbeat::Asking { until, extended } = &mut self.heartbeat
            && !*extended
        {
            *until = now + self.config.engine.ping_timeout;
            *extended = true;
        }
    }

    /// Returns the time at which [`tick`](Self::tick) is due.
    pub(crate) fn deadline(&self) -> Instant {
        let beat = match self.heartbeat {
            Heartbeat::Resting { ping_at } => ping_at,
            Heartbeat::Asking { until, .. } | Heartbeat::Listening { until } => until,
        };
        match self.transport {
            TransportState::Upgrading { until, noop_at } => beat.min(until).min(noop_at),
            TransportState::Polling {
                first_poll_by: Some(due),
            } => beat.min(due),
            TransportState::Polling {
                first_poll_by: None,
            }
            | TransportState::Streaming(_) => beat,
        }
    }

    /// Returns the actions that are due, one at a time.
    pub(crate) fn tick(&mut self, now: Instant) -> Option<Action> {
        if let TransportState::Polling {
            first_poll_by: Some(due),
        } = self.transport
            && due <= now
        {
            return Some(Action::Close(CloseReason::FirstPollTimeout));
        }
        match self.heartbeat {
            Heartbeat::Resting { ping_at } if ping_at <= now => {
                // Counted from the time at which the ping was due, so that timer delays do not add
                // up. If the worker was blocked for longer, the client gets the whole timeout.
                let held_up = now - ping_at > TIMER_DELAY;
                let asked_at = if held_up { now } else { ping_at };
                self.heartbeat = Heartbeat::Asking {
                    until: asked_at + self.config.engine.ping_timeout,
                    extended: false,
                };
                return Some(Action::SendPing);
            }
            Heartbeat::Asking { until, .. } | Heartbeat::Listening { until } if until <= now => {
                return Some(Action::Close(CloseReason::PingTimeout));
            }
            Heartbeat::Resting { .. } | Heartbeat::Asking { .. } | Heartbeat::Listening { .. } => {}
        }
        match &mut self.transport {
            TransportState::Upgrading { until, .. } if *until <= now => {
                self.transport = TransportState::POLLED;
                None
            }
            // Engine.IO v4, Upgrade: a noop ends the poll. If the client polls again in the
            // meantime it receives another one.
            TransportState::Upgrading { noop_at, .. } if *noop_at <= now => {
                *noop_at = now + NOOP_INTERVAL;
                Some(Action::ReleasePoll)
            }
            TransportState::Upgrading { .. }
            | TransportState::Polling { .. }
            | TransportState::Streaming(_) => None,
        }
    }
}

impl TransportState {
    /// Polling, with a client that has polled or probed.
    const POLLED: Self = Self::Polling {
        first_poll_by: None,
    };
}

/// The time that a poll waits for a client that requests its session directly after its probe, and
/// that will not poll again.
const FIRST_NOOP: Duration = Duration::from_millis(10);

/// The interval at which polls are ended while a WebSocket is being probed.
const NOOP_INTERVAL: Duration = Duration::from_millis(100);

/// The maximal delay of a timer on a worker that is not blocked.
const TIMER_DELAY: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn machine(transport: Transport) -> (Machine, Instant) {
        let now = Instant::now();
        let config = Arc::new(Config::new("/"));
        (Machine::new(&config, Revision::V4, transport, now), now)
    }

    #[test]
    fn the_server_pings_after_the_interval_and_closes_after_the_timeout() {
        let (mut machine, start) = machine(Transport::WebSocket);
        assert_eq!(machine.tick(start + 24 * SECOND), None);
        assert_eq!(machine.deadline(), start + 25 * SECOND);
        assert_eq!(machine.tick(start + 25 * SECOND), Some(Action::SendPing));
        assert_eq!(machine.tick(start + 44 * SECOND), None);
        assert_eq!(
            machine.tick(start + 45 * SECOND),
            Some(Action::Close(CloseReason::PingTimeout))
        );
    }

    #[test]
    fn ping_timeout_starts_at_the_late_tick_of_a_blocked_worker() {
        let (mut machine, start) = machine(Transport::WebSocket);
        let due = start + 25 * SECOND;
        assert_eq!(machine.tick(due + TIMER_DELAY), Some(Action::SendPing));
        assert_eq!(machine.deadline(), due + 20 * SECOND);
        machine.pong(due);
        let late = due + 25 * SECOND + 60 * SECOND;
        assert_eq!(machine.tick(late), Some(Action::SendPing));
        assert_eq!(machine.tick(late), None);
        assert_eq!(machine.deadline(), late + 20 * SECOND);
    }

    #[test]
    fn a_pong_restarts_the_interval() {
        let (mut machine, start) = machine(Transport::WebSocket);
        machine.pong(start + SECOND);
        assert_eq!(machine.deadline(), start + 25 * SECOND);
        assert_eq!(machine.tick(start + 25 * SECOND), Some(Action::SendPing));
        machine.pong(start + 26 * SECOND);
        assert_eq!(machine.deadline(), start + 51 * SECOND);
    }

    #[test]
    fn another_packet_extends_the_timeout_once() {
        let (mut machine, start) = machine(Transport::Polling);
        machine.heard(start + SECOND);
        assert_eq!(machine.tick(start + 25 * SECOND), Some(Action::SendPing));
        machine.heard(start + 40 * SECOND);
        assert_eq!(machine.deadline(), start + 60 * SECOND);
        machine.heard(start + 50 * SECOND);
        assert_eq!(machine.deadline(), start + 60 * SECOND);
    }

    #[test]
    fn polls_are_released_repeatedly_during_an_upgrade() {
        let (mut machine, start) = machine(Transport::Polling);
        machine.begin_upgrade(start).unwrap();
        for n in 0..3 {
            let now = start + FIRST_NOOP + n * NOOP_INTERVAL;
            assert_eq!(machine.tick(now), Some(Action::ReleasePoll));
            assert_eq!(machine.tick(now), None);
        }
        machine.complete_upgrade(Transport::WebTransport).unwrap();
        assert_eq!(machine.tick(start + SECOND), None);
        assert_eq!(machine.transport(), Transport::WebTransport);
    }

    #[test]
    fn only_one_upgrade_at_a_time_and_only_from_polling() {
        let (mut machine, start) = machine(Transport::Polling);
        assert_eq!(
            machine.complete_upgrade(Transport::WebSocket),
            Err(UpgradeRefused)
        );
        machine.begin_upgrade(start).unwrap();
        assert_eq!(machine.begin_upgrade(start), Err(UpgradeRefused));
        machine.abandon_upgrade();
        machine.begin_upgrade(start).unwrap();
        machine.complete_upgrade(Transport::WebSocket).unwrap();
        assert_eq!(machine.begin_upgrade(start), Err(UpgradeRefused));
    }

    #[test]
    fn a_client_that_never_polls_is_closed_at_its_own_timeout() {
        let mut config = Config::new("/");
        config.engine.first_poll_timeout = Some(5 * SECOND);
        let config = Arc::new(config);
        let start = Instant::now();
        let open = |transport| Machine::new(&config, Revision::V4, transport, start);
        let silent = || open(Transport::Polling);
        let due = start + 5 * SECOND;
        let mut machine = silent();
        assert_eq!(machine.deadline(), due);
        assert_eq!(machine.tick(due - SECOND / 1000), None);
        let close = Action::Close(CloseReason::FirstPollTimeout);
        assert_eq!(machine.tick(due), Some(close));
        let mut polls = silent();
        polls.polled();
        let mut probes = silent();
        probes.begin_upgrade(start).unwrap();
        probes.abandon_upgrade();
        let websocket = open(Transport::WebSocket);
        for mut machine in [polls, probes, websocket] {
            assert_eq!(machine.tick(due), None);
            assert_eq!(machine.deadline(), start + 25 * SECOND);
        }
    }

    #[test]
    fn a_client_of_v3_is_closed_if_it_does_not_ping() {
        let start = Instant::now();
        let config = Arc::new(Config::new("/"));
        for transport in [Transport::Polling, Transport::WebSocket] {
            let mut machine = Machine::new(&config, Revision::V3, transport, start);
            assert_eq!(machine.deadline(), start + 45 * SECOND);
            assert_eq!(machine.tick(start + 44 * SECOND), None);
            assert_eq!(machine.pinged(start + 44 * SECOND), Ok(()));
            // Neither a pong nor another packet is a ping.
            machine.pong(start + 50 * SECOND);
            machine.heard(start + 50 * SECOND);
            let due = start + 89 * SECOND;
            assert_eq!(machine.deadline(), due);
            assert_eq!(machine.tick(due - SECOND), None);
            let close = Action::Close(CloseReason::PingTimeout);
            assert_eq!(machine.tick(due), Some(close));
            // It does not count before the timer has fired, unless the worker was blocked.
            let late = Err(CloseReason::PingTimeout);
            assert_eq!(machine.pinged(due + TIMER_DELAY), late);
            assert_eq!(machine.pinged(due + SECOND), Ok(()));
        }
    }

    #[test]
    fn a_ping_of_a_client_of_v4_is_none() {
        let (mut machine, start) = machine(Transport::WebSocket);
        assert_eq!(machine.pinged(start), Err(CloseReason::TransportError));
        assert_eq!(machine.deadline(), start + 25 * SECOND);
    }

    #[test]
    fn upgrade_timeout_keeps_polling() {
        let (mut machine, start) = machine(Transport::Polling);
        machine.begin_upgrade(start).unwrap();
        assert_eq!(machine.tick(start + 10 * SECOND), None);
        assert_eq!(machine.transport(), Transport::Polling);
        assert_eq!(
            machine.complete_upgrade(Transport::WebSocket),
            Err(UpgradeRefused)
        );
        machine.begin_upgrade(start + 10 * SECOND).unwrap();
    }
}
