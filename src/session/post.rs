//! The body of a POST, in transit to the session and while its packets are handled.

use actix::Message;
use tokio::sync::oneshot;

use crate::engineio;

/// The body of a POST. `done` is answered after its packets were handled, and dropped if the
/// session has ended instead.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Deliver {
    pub(crate) body: String,
    pub(crate) done: oneshot::Sender<()>,
}

/// The packets of a POST that are not handled yet.
#[derive(Debug)]
pub(crate) struct Post {
    body: String,
    at: usize,
    done: oneshot::Sender<()>,
}

impl Post {
    pub(crate) fn new(deliver: Deliver) -> Self {
        Self {
            body: deliver.body,
            at: 0,
            done: deliver.done,
        }
    }

    /// Returns `true` if its last packet was handled.
    pub(crate) fn is_taken(&self) -> bool {
        self.at == usize::MAX
    }

    pub(crate) fn next_packet(&mut self) -> Option<&str> {
        let (packet, rest) = engineio::split_packet(self.body.get(self.at..)?);
        self.at = rest.map_or(usize::MAX, |rest| self.body.len() - rest.len());
        Some(packet)
    }

    pub(crate) fn finish(self) {
        // The client may have disconnected in the meantime.
        let _ = self.done.send(());
    }
}
