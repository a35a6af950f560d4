//! The end of a server: the order in which its parts close, and their shares of the time limit.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{Instant, timeout};

use crate::members::{Membership, SocketState};
use crate::namespace::Registry;
use crate::session::Engine;

/// A server's sessions, and its adapter.
#[derive(Clone)]
pub(crate) struct Closing {
    pub(super) engine: Arc<Engine>,
    /// `None` for Engine.IO alone.
    pub(super) registry: Option<Arc<Registry>>,
}

impl Closing {
    pub(crate) fn new(engine: &Arc<Engine>, registry: Option<&Arc<Registry>>) -> Self {
        Self {
            engine: Arc::clone(engine),
            registry: registry.cloned(),
        }
    }

    /// Closes the clients and the adapter, and then stops the program's supervisors, because their
    /// actors may answer the last events. Returns whether all ended within `limit`.
    pub(crate) async fn close(&self, limit: Duration) -> bool {
        let begun = Instant::now();
        let are_closed = self.close_clients(limit).await;
        let Some(registry) = &self.registry else {
            return are_closed;
        };
        let supervisors = &registry.supervisor.programs;
        supervisors.stop();
        let rest = limit.saturating_sub(begun.elapsed());
        timeout(rest, supervisors.ended()).await.is_ok() && are_closed
    }

    /// Stores the state of the clients, closes the sessions, waits for the server-side events that
    /// the program is answering and for the requests for clients' stored state, and then closes the
    /// adapter. The adapter is last
    /// because the sessions' last messages to other nodes pass through it. Returns whether all of
    /// it ended within `limit`.
    async fn close_clients(&self, limit: Duration) -> bool {
        let cluster = self.registry.as_ref();
        let cluster = cluster.and_then(|registry| Some((registry, registry.cluster.as_ref()?)));
        let Some((registry, adapter)) = cluster else {
            return self.close_alone(limit).await;
        };
        let begun = Instant::now();
        // One slow client must not use up the time of the messages to other nodes.
        let share = limit / ADAPTER_SHARE;
        let session_limit = limit.saturating_sub(share);
        self.engine.hold();
        let sockets = self.all_sockets();
        let record_limit = RECORD_LIMIT.min(session_limit / 2);
        self.record(&sockets, record_limit).await;
        drop(sockets);
        let session_limit = session_limit.saturating_sub(begun.elapsed());
        let settled = timeout(session_limit, async {
            tokio::join!(Arc::clone(adapter).settle(), registry.supervisor.settled());
        });
        let (gone, settled) = tokio::join!(self.engine.close(session_limit), settled);
        let rest = limit.saturating_sub(begun.elapsed());
        Arc::clone(adapter).close(rest).await && gone && settled.is_ok()
    }

    /// The same without a cluster: the program's rooms are saved behind their last clients.
    async fn close_alone(&self, limit: Duration) -> bool {
        let Some(registry) = &self.registry else {
            return self.engine.close(limit).await;
        };
        let settled = timeout(limit, registry.supervisor.settled());
        let (gone, settled) = tokio::join!(self.engine.close(limit), settled);
        gone && settled.is_ok()
    }

    /// Stores the state of these sockets for the other nodes, and waits for the broker for a limited
    /// time. So a client that reconnects to another node as soon as it is closed finds its latest
    /// rooms there. Returns `false` if the time was too short.
    pub(super) async fn record(&self, sockets: &[OpenSocket], limit: Duration) -> bool {
        let has_records = |(membership, _): &&OpenSocket| {
            membership.recovery.is_some() && membership.recording_adapter().is_some()
        };
        let count = sockets.iter().filter(has_records).count();
        let cluster = self.registry.as_ref().and_then(|it| it.cluster.as_ref());
        let Some(cluster) = cluster.filter(|_| count > 0) else {
            return true;
        };
        for batch in sockets.chunks(BATCH) {
            for (membership, state) in batch {
                membership.remember(state);
            }
            // Other tasks of this thread do not wait for all of them.
            yield_now().await;
        }
        let is_recorded = timeout(limit, Arc::clone(cluster).recorded()).await.is_ok();
        if !is_recorded && limit > RECORD_LIMIT_AGAIN {
            log::warn!(
                "the records of {count} sockets were not written within {limit:?}, their clients \
                 may start new sessions"
            );
        }
        is_recorded
    }

    /// Returns the sockets of all clients.
    pub(super) fn all_sockets(&self) -> Vec<OpenSocket> {
        let namespaces = self.registry.iter().flat_map(|registry| registry.all());
        let sockets = namespaces.flat_map(|namespace| {
            let all = namespace.membership.all().into_iter();
            all.map(move |state| (Arc::clone(&namespace.membership), state))
        });
        sockets.collect()
    }

    /// Ends the sessions with the reason of a shutdown, without waiting.
    pub(crate) fn abort(&self) {
        self.engine.abort();
        if let Some(registry) = &self.registry {
            registry.supervisor.programs.stop();
        }
    }
}

/// A socket, and its namespace.
pub(super) type OpenSocket = (Arc<Membership>, Arc<SocketState>);

/// The time that clients wait for their records before they are closed: the broker may be
/// unreachable.
pub(super) const RECORD_LIMIT: Duration = Duration::from_secs(1);

/// The same after a time that was too short: a broker that is away does not stop a drain.
pub(super) const RECORD_LIMIT_AGAIN: Duration = Duration::from_millis(20);

/// The number of sockets whose state is stored at once: about a millisecond of work.
const BATCH: usize = 64;

/// The adapter's share of the time limit, reserved for it after the sessions: a tenth.
const ADAPTER_SHARE: u32 = 10;
