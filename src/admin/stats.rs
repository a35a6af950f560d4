//! The statistics of a server, sent to the pages of all servers every two seconds.
//!
//! Opened and closed sessions are counted as they occur; the rest is read when a message is due. If
//! no page can receive it, nothing is read.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::admin::counts::{AggregatedEvent, EventCounts};
use crate::admin::reporter::{Reporter, milliseconds};
use crate::reason::CloseReason;
use crate::server::{SocketIo, WeakSocketIo};
use crate::session::{SessionWatcher, Totals};

/// The message `server_stats`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ServerStats<'a> {
    server_id: &'a str,
    hostname: &'a str,
    pid: u32,
    /// In seconds.
    uptime: f64,
    clients_count: usize,
    polling_clients_count: usize,
    aggregated_events: Vec<AggregatedEvent>,
    namespaces: Vec<NamespaceStats>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct NamespaceStats {
    name: String,
    sockets_count: usize,
}

/// Sends the statistics of a server.
pub(super) struct Stats {
    pub(super) io: WeakSocketIo,
    pub(super) reporter: Arc<Reporter>,
    pub(super) counts: Arc<Mutex<EventCounts>>,
    pub(super) server_id: String,
    pub(super) hostname: String,
}

impl Stats {
    /// Runs until the server has ended.
    pub(super) async fn run(self) {
        let begun = Instant::now();
        let mut due = interval(INTERVAL);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut before = None;
        loop {
            due.tick().await;
            let Some(io) = self.io.upgrade() else {
                return;
            };
            if self.reporter.is_watched() {
                let totals = io.engine().totals();
                let traffic = Traffic::of(&totals);
                self.count(before.replace(traffic), traffic);
                self.send(&io, &totals, begun.elapsed());
            } else {
                before = None;
                // No message has the events of a time without a page.
                self.counts.lock().take();
            }
        }
    }

    /// Counts the packets and bytes since the last message.
    fn count(&self, before: Option<Traffic>, after: Traffic) {
        let Some(before) = before else { return };
        let (now, mut counts) = (milliseconds(), self.counts.lock());
        let mut add = |event, before: u64, after: u64| {
            counts.add(now, event, None, after.saturating_sub(before));
        };
        add("packetsIn", before.packets_in, after.packets_in);
        add("packetsOut", before.packets_out, after.packets_out);
        add("bytesIn", before.bytes_in, after.bytes_in);
        add("bytesOut", before.bytes_out, after.bytes_out);
    }

    fn send(&self, io: &SocketIo, totals: &Totals, uptime: Duration) {
        let mut namespaces = io.all_namespaces().namespaces();
        namespaces.sort_by(|one, other| one.name().cmp(other.name()));
        let namespaces = namespaces.iter().take(MAX_NAMESPACES).map(|namespace| {
            let (name, sockets_count) = (namespace.name().to_owned(), namespace.count());
            NamespaceStats {
                name,
                sockets_count,
            }
        });
        let stats = ServerStats {
            server_id: &self.server_id,
            hostname: &self.hostname,
            pid: std::process::id(),
            uptime: uptime.as_secs_f64(),
            clients_count: io.clients_count(),
            polling_clients_count: totals.polling,
            aggregated_events: self.counts.lock().take(),
            namespaces: namespaces.collect(),
        };
        self.reporter.send("server_stats", stats);
    }
}

/// The packets and bytes of all sessions since the start.
#[derive(Clone, Copy, Debug, Default)]
struct Traffic {
    packets_in: u64,
    packets_out: u64,
    bytes_in: u64,
    bytes_out: u64,
}

impl Traffic {
    fn of(totals: &Totals) -> Self {
        Self {
            packets_in: totals.received.packets,
            packets_out: totals.sent.packets,
            bytes_in: totals.received.bytes,
            bytes_out: totals.sent.bytes,
        }
    }
}

/// Counts the sessions that open and close.
pub(super) struct SessionCounter {
    pub(super) counts: Arc<Mutex<EventCounts>>,
    /// Reports upgrades, in development mode.
    pub(super) reporter: Option<Arc<Reporter>>,
}

impl SessionWatcher for SessionCounter {
    fn opened(&self) {
        self.add("rawConnection", None);
    }

    fn upgraded(&self, number: u64, transport: &'static str) {
        if let Some(reporter) = &self.reporter {
            reporter.upgraded(number, transport);
        }
    }

    fn closed(&self, reason: CloseReason) {
        self.add("rawDisconnection", Some(reason.as_str()));
    }
}

impl SessionCounter {
    fn add(&self, event: &'static str, sub_type: Option<&'static str>) {
        self.counts.lock().add(milliseconds(), event, sub_type, 1);
    }
}

/// The interval of the messages, that of the reference.
const INTERVAL: Duration = Duration::from_secs(2);

/// The namespaces in one message; patterns may make many.
const MAX_NAMESPACES: usize = 1000;
