//! The turns that an awaited broadcast gives to the clients that it has put above their limits.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::members::socket::SocketState;
use crate::members::waiting::has_clock;

/// The sockets that a broadcast has put above the limits of their outboxes.
pub(crate) type Crowd = Vec<Arc<SocketState>>;

/// Waits until clients have taken the packets that a broadcast has put above their limits, while
/// they read, and for two seconds at most.
pub(crate) async fn give_turn(crowd: Crowd) {
    if !has_clock() {
        return;
    }
    for socket in crowd {
        let outbox = &socket.link.outbox;
        while let Some(limit) = outbox.turn_limit(Instant::now().into_std()) {
            // After the wait the client's progress is checked again.
            let _ = timeout(limit, poll_fn(|cx| outbox.poll_within(cx))).await;
        }
    }
}

/// The same for an actor whose other messages wait in the meantime.
pub(crate) async fn give_short_turn(crowd: Crowd) {
    let _ = timeout(SHORT_TURN, give_turn(crowd)).await;
}

/// The time for which an actor waits for the clients that one message has put above their limits.
const SHORT_TURN: Duration = Duration::from_millis(50);
