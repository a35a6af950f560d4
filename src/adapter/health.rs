//! The state of a node's connections to the broker, and its error counters.
//!
//! The broker's tasks report each change; a program reads them as [`AdapterHealth`]. The log has
//! one line for a change, not for each retry. Nothing here depends on a broker.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use log::Level;
use parking_lot::Mutex;

use crate::cluster::{AdapterHealth, ClusterError};
use crate::logging::{LogKind, LogLimits};

/// The connections of one node.
#[derive(Debug)]
pub(crate) struct Health {
    reported: Mutex<Reported>,
    line_limits: Arc<LogLimits>,
}

#[derive(Debug, Default)]
struct Reported {
    /// Whether each connection exists, for every connection that was ever made.
    connections: HashMap<ConnectionRole, bool>,
    lost: u64,
    unreadable: u64,
    reconnects: u64,
    lag: Option<Duration>,
    error: Option<String>,
    /// A channel to which the broker does not let this node subscribe, while it is connected.
    denied: Option<String>,
}

/// The purpose of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ConnectionRole {
    Publisher,
    Listener,
    Reader,
}

impl fmt::Display for ConnectionRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Publisher => "publisher",
            Self::Listener => "subscriber",
            Self::Reader => "stream reader",
        })
    }
}

impl Health {
    pub(crate) fn new(line_limits: &Arc<LogLimits>) -> Arc<Self> {
        Arc::new(Self {
            reported: Mutex::default(),
            line_limits: Arc::clone(line_limits),
        })
    }

    /// Records that a connection was made.
    pub(crate) fn connected(&self, role: ConnectionRole) {
        let mut reported = self.reported.lock();
        let again = reported.connections.insert(role, true).is_some();
        if reported.is_whole() {
            reported.error = None;
        }
        if again {
            reported.reconnects += 1;
            log::info!("broker: {role} reconnected");
        } else {
            log::debug!("broker: {role} connected");
        }
    }

    /// Records that a connection has broken, or could not be made.
    pub(crate) fn broken(&self, role: ConnectionRole, error: &str) {
        let mut reported = self.reported.lock();
        let was = reported.connections.get(&role).copied();
        if was == Some(true) {
            reported.connections.insert(role, false);
        }
        // Once for each outage, not for each retry.
        if was == Some(true) || reported.error.is_none() {
            log::warn!("broker: {role} is not connected, retrying: {error}");
        }
        if role == ConnectionRole::Listener {
            reported.denied = None;
        }
        reported.error = Some(error.to_owned());
    }

    /// Records that the broker does not let this node subscribe to a channel.
    pub(crate) fn denied(&self, what: &str) {
        log::error!("broker: subscription refused, check the rights of the user: {what}");
        self.reported.lock().denied = Some(format!("subscription refused: {what}"));
    }

    /// Records that there will be no more connections.
    pub(crate) fn ended(&self) {
        self.reported.lock().connections.clear();
    }

    /// Counts messages that may not have arrived.
    pub(crate) fn lost(&self, count: usize, cause: &str) {
        if count > 0 {
            let line = format_args!("{count} messages may be lost: {cause}");
            self.line_limits.write(LogKind::Foreign, Level::Warn, line);
            self.reported.lock().lost += count as u64;
        }
    }

    /// Counts a message of another node that cannot be read.
    pub(crate) fn unreadable(&self) {
        self.reported.lock().unreadable += 1;
    }

    /// Records the time from the broker's receipt of a message to its receipt here.
    pub(crate) fn lags(&self, lag: Duration) {
        self.reported.lock().lag = Some(lag);
    }

    /// Returns the reason why the broker cannot be asked.
    pub(crate) fn unavailable(&self) -> ClusterError {
        let cause = self.reported.lock().error.clone();
        ClusterError::Unavailable(cause.unwrap_or_else(|| "not connected yet".to_owned()))
    }

    /// Returns the report for a program about the connections; the queue adds the rest.
    pub(crate) fn report(&self) -> AdapterHealth {
        let reported = self.reported.lock();
        AdapterHealth {
            connected: reported.is_whole(),
            lost: reported.lost,
            unreadable: reported.unreadable,
            reconnects: reported.reconnects,
            lag: reported.lag,
            error: reported.error.clone().or_else(|| reported.denied.clone()),
            ..AdapterHealth::default()
        }
    }
}

impl Reported {
    fn is_whole(&self) -> bool {
        let there = |role| self.connections.get(&role) == Some(&true);
        let reader = self.connections.get(&ConnectionRole::Reader);
        there(ConnectionRole::Publisher)
            && there(ConnectionRole::Listener)
            && reader.is_none_or(|there| *there)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connected_if_every_known_role_is() {
        let health = Health::new(&LogLimits::new());
        health.connected(ConnectionRole::Publisher);
        assert!(!health.report().is_connected());
        health.connected(ConnectionRole::Listener);
        assert!(health.report().is_connected());
        health.connected(ConnectionRole::Reader);
        health.broken(ConnectionRole::Reader, "gone");
        let report = health.report();
        assert!(!report.is_connected());
        assert_eq!((report.error(), report.reconnects()), (Some("gone"), 0));
        health.connected(ConnectionRole::Reader);
        let report = health.report();
        assert!(report.is_connected());
        assert_eq!((report.error(), report.reconnects()), (None, 1));
    }

    #[test]
    fn messages_that_cannot_be_read_are_counted() {
        let health = Health::new(&LogLimits::new());
        health.unreadable();
        health.unreadable();
        assert_eq!(health.report().unreadable(), 2);
        assert_eq!(health.report().lost(), 0);
    }
}
