//! The state of a node's connections to the broker, and the counters of what went wrong.
//!
//! The broker's tasks report each change; a program reads them as [`AdapterHealth`]. The log gets
//! one line for a change, not for each try. Nothing here knows a broker.

use std::collections::HashMap;
use std::sync::Arc;

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
    /// Whether each connection is there that there ever was.
    connections: HashMap<ConnectionRole, bool>,
    lost: u64,
    unreadable: u64,
    reconnects: u64,
    error: Option<String>,
    /// A channel that the broker does not let this node hear, while it is connected.
    denied: Option<String>,
}

/// The purpose of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ConnectionRole {
    Publisher,
    Listener,
    Reader,
}

impl Health {
    pub(crate) fn new(line_limits: &Arc<LogLimits>) -> Arc<Self> {
        Arc::new(Self {
            reported: Mutex::default(),
            line_limits: Arc::clone(line_limits),
        })
    }

    /// Notes that a connection was made.
    pub(crate) fn connected(&self, role: ConnectionRole) {
        let mut reported = self.reported.lock();
        let again = reported.connections.insert(role, true).is_some();
        if reported.is_whole() {
            reported.error = None;
        }
        if again {
            reported.reconnects += 1;
            log::info!("the cluster's {role:?} is connected to the broker again");
        } else {
            log::debug!("the cluster's {role:?} is connected to the broker");
        }
    }

    /// Notes that a connection has broken, or could not be made.
    pub(crate) fn broken(&self, role: ConnectionRole, error: &str) {
        let mut reported = self.reported.lock();
        let was = reported.connections.get(&role).copied();
        if was == Some(true) {
            reported.connections.insert(role, false);
        }
        // Once for each time that it goes away, not for each try.
        if was == Some(true) || reported.error.is_none() {
            log::warn!("the cluster's {role:?} has no connection to the broker: {error}");
        }
        if role == ConnectionRole::Listener {
            reported.denied = None;
        }
        reported.error = Some(error.to_owned());
    }

    /// Notes that the broker does not let this node listen to a channel.
    pub(crate) fn denied(&self, what: &str) {
        log::error!("the broker does not let this node listen to {what}");
        self.reported.lock().denied = Some(format!("not allowed to listen to {what}"));
    }

    /// Notes that there will be no connections any more.
    pub(crate) fn ended(&self) {
        self.reported.lock().connections.clear();
    }

    /// Counts messages that may not have arrived.
    pub(crate) fn lost(&self, count: usize, where_to: &str) {
        if count > 0 {
            let line = format_args!("{count} messages {where_to} may have been lost");
            self.line_limits.write(LogKind::Foreign, Level::Warn, line);
            self.reported.lock().lost += count as u64;
        }
    }

    /// Counts a message of another node that cannot be read.
    pub(crate) fn unreadable(&self) {
        self.reported.lock().unreadable += 1;
    }

    /// Returns why nothing can be asked of the broker.
    pub(crate) fn unavailable(&self) -> ClusterError {
        let cause = self.reported.lock().error.clone();
        ClusterError::Unavailable(cause.unwrap_or_else(|| "not connected yet".to_owned()))
    }

    /// Returns what a program is told of the connections; the rest is the queue's.
    pub(crate) fn report(&self) -> AdapterHealth {
        let reported = self.reported.lock();
        AdapterHealth {
            connected: reported.is_whole(),
            lost: reported.lost,
            unreadable: reported.unreadable,
            reconnects: reported.reconnects,
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
    fn connections_are_whole_when_each_there_ever_was_is_there() {
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
