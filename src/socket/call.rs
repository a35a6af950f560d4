//! A call to one client: an event with an acknowledgement id, and the wait for the answer.

use std::time::Duration;

use serde::Serialize;
use tokio::time::timeout;

use crate::error::CallError;
use crate::members::{Membership, SocketState};
use crate::socketio::Args;
use crate::telemetry::SpanScope;

/// Sends an event with an acknowledgement id and waits for the answer.
pub(crate) async fn call<T>(
    membership: &Membership,
    state: &SocketState,
    event: &str,
    data: &T,
    limit: Duration,
) -> Result<Args, CallError>
where
    T: Serialize + ?Sized,
{
    let scope = SpanScope::call(membership.name(), event, &state.id);
    let asked = ask(membership, state, event, data, limit);
    scope.follow(asked).await
}

async fn ask<T>(
    membership: &Membership,
    state: &SocketState,
    event: &str,
    data: &T,
    limit: Duration,
) -> Result<Args, CallError>
where
    T: Serialize + ?Sized,
{
    let id = membership.next_ack();
    let answer = state.expect_ack(id)?;
    let _call = PendingCall { state, id };
    let packet = membership.event(Some(id), event, data, Some(state))?;
    // The timeout starts here, also while the packet waits for room.
    let answered = timeout(limit, async {
        state.deliver_in_turn(packet).await?;
        answer.await.map_err(|_| CallError::Disconnected)
    });
    answered.await.unwrap_or(Err(CallError::Timeout))
}

/// Removes a call from the pending ones at its end, also if its future is dropped.
struct PendingCall<'a> {
    state: &'a SocketState,
    id: u64,
}

impl Drop for PendingCall<'_> {
    fn drop(&mut self) {
        self.state.forget_call(self.id);
    }
}
