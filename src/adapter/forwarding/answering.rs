//! The messages of other nodes: requests for sessions of this node, answers and notices.

use std::sync::Arc;

use bytes::Bytes;

use crate::adapter::broker::Receipt;
use crate::adapter::forwarding::forwarder::PollForwarder;
use crate::adapter::forwarding::wire::Forwarded;
use crate::handshake::Revision;
use crate::id::{Id, Tag};
use crate::reason::CloseReason;
use crate::session::{PollError, PollRequest, PollResponse};

impl PollForwarder {
    /// Handles a message that another node has published for this one.
    ///
    /// # Errors
    ///
    /// If it cannot be read, with the reason.
    pub(crate) fn received(self: &Arc<Self>, payload: &Bytes) -> Result<(), String> {
        match Forwarded::decode(payload)? {
            Forwarded::Answered {
                number,
                session,
                polled,
            } => {
                match self.forwards.forget(number) {
                    // The request may have ended, and has reported that.
                    Some(waiting) => drop(waiting.answer.send(polled)),
                    // Its poll ended while the connection was broken: these packets have no
                    // recipient.
                    None if matches!(polled, Ok(PollResponse::Packets { .. })) => {
                        self.say_ended(session, CloseReason::TransportError);
                    }
                    None => {}
                }
            }
            Forwarded::Ended { session, reason } => {
                if let Some(handle) = self.find(session) {
                    handle.link.close(reason);
                }
            }
            Forwarded::Released { session } => {
                // After the poll itself, which has a task of its own too.
                let forwarder = Arc::clone(self);
                self.tasks.spawn("release of a forwarded poll", async move {
                    if let Some(handle) = forwarder.find(session) {
                        handle.link.outbox.release_poll();
                    }
                });
            }
            Forwarded::Asked {
                number,
                from,
                session,
                revision,
                poll,
            } => {
                let answering = Arc::clone(self).answer(number, from, session, (revision, poll));
                self.answering.spawn("forwarded poll", answering);
            }
        }
        Ok(())
    }

    /// Executes a request that another node received, and answers it.
    async fn answer(
        self: Arc<Self>,
        number: u64,
        from: Tag,
        session: Id,
        (revision, poll): (Revision, PollRequest),
    ) {
        let polled = match self.find(session) {
            Some(handle) => match handle.check_polling(revision) {
                Err(refused) => Err(refused),
                Ok(()) => match poll {
                    PollRequest::Receive => handle.take().await,
                    PollRequest::Send(packets) => match handle.begin_post() {
                        Ok(_turn) => handle.bring(packets).await,
                        Err(refused) => Err(refused),
                    },
                },
            },
            None => Err(PollError::Unknown),
        };
        let answered = Forwarded::Answered {
            number,
            session,
            polled,
        };
        let taken = self.publish(from, &answered).await;
        if !matches!(taken, Ok(Receipt::Somebody))
            && let Some(handle) = self.find(session)
        {
            log::debug!(
                "session {} closed: the node that received its poll has ended",
                handle.link.number
            );
            handle.link.close(CloseReason::TransportError);
        }
    }
}
