//! The state of sockets, written again and again for other nodes.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::adapter::namespaces::Namespaces;
use crate::adapter::sending::Queue;

/// Writes the state of all sockets at intervals: after a crash of this node another one finds what
/// was written last.
pub(crate) async fn keep_writing(namespaces: Arc<Namespaces>, queue: Arc<Queue>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        for membership in namespaces.all() {
            let Some(recovery) = &membership.recovery else {
                continue;
            };
            // No socket is held on to while the broker is away.
            let here: Vec<_> = recovery.lock().here().iter().map(Arc::downgrade).collect();
            for some in here.chunks(BATCH) {
                for socket in some.iter().filter_map(Weak::upgrade) {
                    membership.remember(&socket);
                }
                queue.recorded().await;
            }
        }
    }
}

/// Interval at which the state of all sockets is written again.
const INTERVAL: Duration = Duration::from_secs(10);

/// Sockets whose state is written at once.
const BATCH: usize = 256;
