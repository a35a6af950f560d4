//! Waiting for room in an outbox, with a deadline.
//!
//! The outbox decides when there is room (`link/outbox/pressure.rs`); the clock is here. A packet
//! to one socket waits in line. A broadcast does not wait to be added; its turns are in `crowd.rs`.

use std::future::poll_fn;

use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::error::EmitError;
use crate::link::{Link, Outgoing, PushError, Turn, Unsent};

/// Queues a packet when there is room for it. If there is none before the deadline, the server's
/// policy decides about the client.
pub(crate) async fn send(link: &Link, packet: Outgoing) -> Result<(), EmitError> {
    match link.outbox.push(packet) {
        Ok(()) => Ok(()),
        Err(Unsent::Closed) => Err(EmitError::Disconnected),
        // Boxed, so that the future of an emit without a wait stays small.
        Err(Unsent::Full(packet)) => {
            Box::pin(in_time(link, link.outbox.line_up().push(packet))).await
        }
    }
}

/// Waits until a packet of this cost fits, and holds the first position in the line.
pub(crate) async fn turn(link: &Link, cost: usize) -> Result<Turn, EmitError> {
    let mut turn = link.outbox.line_up();
    in_time(link, turn.room(cost)).await?;
    Ok(turn)
}

/// Waits until the outbox is within its limit, up to the deadline of an emit.
pub(crate) async fn within(link: &Link) {
    if link.outbox.is_over() && has_clock() {
        let within = poll_fn(|cx| link.outbox.poll_within(cx));
        // Later packets are then queued by the rule for packets that cannot wait.
        let _ = timeout(link.config.sockets.emit_timeout, within).await;
    }
}

async fn in_time(
    link: &Link,
    room: impl Future<Output = Result<(), PushError>>,
) -> Result<(), EmitError> {
    if !has_clock() {
        return Err(EmitError::OutboxFull);
    }
    let in_time = timeout(link.config.sockets.emit_timeout, room).await;
    let outcome = in_time.unwrap_or(Err(PushError::Full));
    if outcome == Err(PushError::Full) {
        link.overflowed();
    }
    Ok(outcome?)
}

/// Returns `true` if there is a runtime with timers. A program may poll an emit on a thread without
/// one: it then acts like `emit_sync`.
pub(super) fn has_clock() -> bool {
    Handle::try_current().is_ok()
}
