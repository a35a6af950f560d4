//! The end of a server: the order in which its parts close, and their shares of the time limit.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

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

    /// Closes the sessions, waits for the server-side events that the program is answering and for
    /// the requests for clients' stored state, and then closes the adapter. The adapter is last
    /// because the sessions' last messages to other nodes pass through it. Returns whether all of
    /// it ended within `limit`.
    pub(crate) async fn close(&self, limit: Duration) -> bool {
        let cluster = self.registry.as_ref();
        let cluster = cluster.and_then(|registry| Some((registry, registry.cluster.as_ref()?)));
        let Some((registry, adapter)) = cluster else {
            return self.engine.close(limit).await;
        };
        let begun = Instant::now();
        // One slow client must not use up the time of the messages to other nodes.
        let share = limit / ADAPTER_SHARE;
        let session_limit = limit.saturating_sub(share);
        let settled = timeout(session_limit, async {
            tokio::join!(Arc::clone(adapter).settle(), registry.supervisor.settled());
        });
        let (gone, settled) = tokio::join!(self.engine.close(session_limit), settled);
        let rest = limit.saturating_sub(begun.elapsed());
        Arc::clone(adapter).close(rest).await && gone && settled.is_ok()
    }

    /// Ends the sessions with the reason of a shutdown, without waiting.
    pub(crate) fn abort(&self) {
        self.engine.abort();
    }
}

/// The adapter's share of the time limit, reserved for it after the sessions: a tenth.
const ADAPTER_SHARE: u32 = 10;
