//! The state of sockets, stored periodically for other nodes.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::adapter::namespaces::Namespaces;
use crate::adapter::sending::Queue;

/// Stores the state of all sockets at intervals: after a crash of this node another one finds the
/// last stored state.
pub(crate) async fn keep_writing(namespaces: Arc<Namespaces>, queue: Arc<Queue>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        for membership in namespaces.all() {
            let Some(recovery) = &membership.recovery else {
                continue;
            };
            // No socket is kept alive while the broker is unreachable.
            for some in recovery.attached().chunks(BATCH) {
                for socket in some.iter().filter_map(Weak::upgrade) {
                    membership.remember(&socket);
                }
                queue.recorded().await;
            }
        }
    }
}

/// The interval at which the state of all sockets is stored.
const INTERVAL: Duration = Duration::from_secs(10);

/// The number of sockets whose state is stored at once.
const BATCH: usize = 256;
