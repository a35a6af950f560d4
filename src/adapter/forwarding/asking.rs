//! A request of this node for a session of another one, from its start to its answer.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::SemaphorePermit;
use tokio::time::{sleep, timeout};

use crate::adapter::broker::Receipt;
use crate::adapter::forwarding::forwarder::{LOOK, MAX_BYTES, PollForwarder};
use crate::adapter::forwarding::forwards::Expected;
use crate::adapter::forwarding::wire::Forwarded;
use crate::handshake::Revision;
use crate::id::{Id, Tag};
use crate::reason::CloseReason;
use crate::session::{CloseOnDrop, PollError, PollRequest, PollResponse};

impl PollForwarder {
    /// Asks another node, and waits for its answer.
    pub(super) async fn ask(
        self: &Arc<Self>,
        session: Id,
        revision: Revision,
        poll: PollRequest,
        limit: Duration,
    ) -> Result<PollResponse, PollError> {
        let takes = poll == PollRequest::Receive;
        let Ok(room) = timeout(limit, self.room_for(&poll)).await else {
            return Err(PollError::Unknown);
        };
        let Some(Expected { number, answered }) = self.forwards.expect(session, takes).await?
        else {
            // Its next poll may well arrive here again.
            sleep(HOME_PAUSE).await;
            return Ok(PollResponse::noop(revision));
        };
        let given_up = CloseOnDrop::new(|| {
            self.forwards.forget(number);
            if takes {
                // The packets in transit are lost.
                self.say_ended(session, CloseReason::TransportError);
            }
        });
        let asked = Forwarded::Asked {
            number,
            from: self.tag,
            session,
            revision,
            poll,
        };
        let polled = match self.publish(session.tag(), &asked).await {
            Ok(Receipt::Nobody) => Err(PollError::Unknown),
            Err(error) => {
                log::debug!("poll not forwarded to the node of its session: {error}");
                Err(PollError::Unknown)
            }
            Ok(Receipt::Somebody) => match timeout(limit, answered).await {
                Ok(Ok(polled)) => polled,
                // The node has ended, or the connection to it has broken.
                Ok(Err(_)) => Err(PollError::Unknown),
                Err(_) => {
                    drop(given_up);
                    return Err(PollError::Violation);
                }
            },
        };
        drop(room);
        self.forwards.forget(number);
        given_up.finished();
        polled
    }

    /// Asks the broker whether a node subscribes, unless it has just answered that.
    pub(super) async fn is_there(&self, tag: Tag) -> bool {
        let known = self.known.lock().is_there(tag, Instant::now());
        if let Some(is_there) = known {
            return is_there;
        }
        if !self.forwards.can_listen().await {
            return false;
        }
        match self.gone(HashSet::from([tag])).await {
            Ok(gone) => {
                let mut known = self.known.lock();
                known.note(tag, gone.is_empty(), Instant::now());
                gone.is_empty()
            }
            Err(error) => {
                log::debug!("node of a forwarded poll not checked: {error}");
                false
            }
        }
    }

    /// Ends requests to nodes that have ended, while it is polled.
    pub(crate) async fn watch(self: Arc<Self>) {
        loop {
            sleep(LOOK).await;
            let nodes = self.forwards.waited_for();
            if nodes.is_empty() || !self.broker.is_connected() {
                continue;
            }
            match self.gone(nodes).await {
                Ok(gone) => gone
                    .into_iter()
                    .for_each(|tag| self.forwards.give_up_on(tag)),
                // The connection reports the error itself.
                Err(error) => log::debug!("nodes of forwarded polls not checked: {error}"),
            }
        }
    }

    /// Waits until a body may be in transit.
    async fn room_for(&self, poll: &PollRequest) -> Option<SemaphorePermit<'_>> {
        let bytes = match poll {
            PollRequest::Receive => 0,
            // A body that is larger than the limit uses all of it alone.
            PollRequest::Send(packets) => packets.as_bytes().len().min(MAX_BYTES),
        };
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.room.acquire_many(bytes).await.ok()
    }
}

/// The pause before a poll is answered without packets, so that its client does not poll in a tight
/// loop.
const HOME_PAUSE: Duration = Duration::from_millis(100);
