//! The end of a server: what is closed, in which order, and how the time for it is shared.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::session::Engine;
use crate::socket::Adapter;

/// A server's sessions, and its way to the other nodes of a cluster.
#[derive(Clone)]
pub(crate) struct Closing {
    engine: Arc<Engine>,
    adapter: Option<Arc<dyn Adapter>>,
}

impl Closing {
    pub(crate) fn new(engine: &Arc<Engine>, adapter: Option<&Arc<dyn Adapter>>) -> Self {
        Self {
            engine: Arc::clone(engine),
            adapter: adapter.cloned(),
        }
    }

    /// Closes the sessions, waits for the server-side events that the program is answering, and then
    /// closes the way to the other nodes, by which their clients and what they said at their end
    /// have still to go. Returns whether all had gone within `limit`.
    pub(crate) async fn close(&self, limit: Duration) -> bool {
        let Some(adapter) = &self.adapter else {
            return self.engine.close(limit).await;
        };
        let begun = Instant::now();
        // One client that takes nothing must not take the time of the others' words.
        let share = limit / ADAPTER_SHARE;
        let patience = limit.saturating_sub(share);
        let settled = timeout(patience, Arc::clone(adapter).settle());
        let (gone, settled) = tokio::join!(self.engine.close(patience), settled);
        let rest = limit.saturating_sub(begun.elapsed());
        Arc::clone(adapter).close(rest).await && gone && settled.is_ok()
    }

    /// Ends the sessions with the reason of a shutdown, and waits for nobody.
    pub(crate) fn abort(&self) {
        self.engine.abort();
    }
}

/// The adapter's part of the time, which it has to itself behind the sessions: a tenth.
const ADAPTER_SHARE: u32 = 10;
