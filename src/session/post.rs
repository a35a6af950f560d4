//! The body of a POST, in transit to the session and while its packets are handled.

use actix::Message;
use tokio::sync::oneshot;

use crate::engineio::v3::{self, Part};
use crate::engineio::{self, DecodeError};
use crate::handshake::Revision;
use crate::session::poll::PostBody;

/// The body of a POST. `done` is answered after its packets were handled, and dropped if the
/// session has ended instead.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Deliver {
    pub(crate) body: PostBody,
    pub(crate) done: oneshot::Sender<()>,
}

/// The packets of a POST that are not handled yet.
#[derive(Debug)]
pub(crate) struct Post {
    body: PostBody,
    revision: Revision,
    at: usize,
    done: oneshot::Sender<()>,
}

impl Post {
    pub(crate) fn new(deliver: Deliver, revision: Revision) -> Self {
        Self {
            body: deliver.body,
            revision,
            at: 0,
            done: deliver.done,
        }
    }

    /// Returns `true` if its last packet was handled.
    pub(crate) fn is_taken(&self) -> bool {
        self.at == usize::MAX
    }

    /// Returns the next packet, or the error of a malformed payload.
    pub(crate) fn next_packet(&mut self) -> Option<Result<Part<'_>, DecodeError>> {
        match (&self.body, self.revision) {
            (PostBody::Text(body), Revision::V4) => {
                let (packet, rest) = engineio::split_packet(body.get(self.at..)?);
                self.at = rest.map_or(usize::MAX, |rest| body.len() - rest.len());
                Some(Ok(Part::Text(packet)))
            }
            (PostBody::Text(body), Revision::V3) => {
                let split = v3::split_packet(body.get(self.at..)?);
                Some(split.map(|(packet, rest)| {
                    self.at = behind(body.len(), rest.len());
                    Part::Text(packet)
                }))
            }
            // The reference writes a payload without packets as no bytes.
            (PostBody::Binary(body), _) if body.is_empty() => None,
            (PostBody::Binary(body), _) => {
                let split = v3::split_part(body.get(self.at..)?);
                Some(split.map(|(part, rest)| {
                    self.at = behind(body.len(), rest.len());
                    part
                }))
            }
        }
    }

    pub(crate) fn finish(self) {
        // The client may have disconnected in the meantime.
        let _ = self.done.send(());
    }
}

/// Returns the position of the rest of a body; of an empty rest [`usize::MAX`].
fn behind(body: usize, rest: usize) -> usize {
    match rest {
        0 => usize::MAX,
        _ => body - rest,
    }
}
