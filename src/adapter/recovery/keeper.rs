//! The state of sockets, stored periodically for other nodes.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::sleep;

use crate::adapter::namespaces::Namespaces;
use crate::adapter::sending::Queue;
use crate::members::{Membership, SocketState};

/// Stores the state of all sockets at intervals: after a crash of this node another one finds the
/// last stored state. The batches of a pass are spread over the interval, so that no pass delays
/// the node's events.
pub(crate) async fn keep_writing(namespaces: Arc<Namespaces>, queue: Arc<Queue>) {
    loop {
        let attached: Vec<_> = namespaces.all().iter().filter_map(attached).collect();
        let batches: usize = attached
            .iter()
            .map(|(_, sockets)| sockets.len().div_ceil(BATCH))
            .sum();
        let pause = INTERVAL / u32::try_from(batches).unwrap_or(u32::MAX).max(1);
        if batches == 0 {
            sleep(pause).await;
        }
        for (membership, sockets) in attached {
            for some in sockets.chunks(BATCH) {
                sleep(pause).await;
                if let Some(membership) = membership.upgrade() {
                    for socket in some.iter().filter_map(Weak::upgrade) {
                        membership.remember(&socket);
                    }
                }
                // Nothing is kept alive while the broker is unreachable.
                queue.recorded().await;
            }
        }
    }
}

/// Returns the sockets of a namespace with recovery.
fn attached(membership: &Arc<Membership>) -> Option<Attached> {
    let sockets = membership.recovery.as_ref()?.attached();
    Some((Arc::downgrade(membership), sockets))
}

type Attached = (Weak<Membership>, Vec<Weak<SocketState>>);

/// The interval at which the state of all sockets is stored.
const INTERVAL: Duration = Duration::from_secs(10);

/// The number of sockets whose state is stored at once: about a millisecond of work.
const BATCH: usize = 64;
