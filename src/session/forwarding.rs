//! Forwarding to the sessions of other nodes: if a proxy sends a polling request to the wrong node,
//! the right one handles it.
//!
//! A session's id begins with its node's tag, so its node is known without a question.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::config::EngineConfig;
use crate::handshake::Revision;
use crate::id::{Id, Tag};
use crate::reason::CloseReason;
use crate::session::poll::{PollError, PollRequest, PollResponse};

/// Forwards polling requests between nodes.
pub(crate) trait Forwarding: fmt::Debug + Send + Sync {
    /// Returns the tag at the beginning of this node's session ids.
    fn tag(&self) -> Tag;

    /// Returns whether a node exists that may have this session.
    fn is_there(self: Arc<Self>, session: Id) -> ThereFuture;

    /// Sends a request of a client of this revision to another node, and returns its response within
    /// `limit`. If a request is dropped while its packets are in transit, the session is closed.
    fn forward(
        self: Arc<Self>,
        session: Id,
        revision: Revision,
        poll: PollRequest,
        limit: Duration,
    ) -> PolledFuture;

    /// Makes another node close a session.
    fn end(self: Arc<Self>, session: Id, reason: CloseReason);

    /// Ends the polls of clients that wait at other nodes, including later ones, and waits until no
    /// request is in flight.
    fn release(self: Arc<Self>) -> ReleasedFuture;
}

/// The result of [`Forwarding::is_there`].
pub(crate) type ThereFuture = Pin<Box<dyn Future<Output = bool> + Send>>;

/// Ends with the last request in flight.
pub(crate) type ReleasedFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The response to a request.
pub(crate) type PolledFuture =
    Pin<Box<dyn Future<Output = Result<PollResponse, PollError>> + Send>>;

/// A session that another node may have.
#[derive(Debug)]
pub(crate) struct RemoteSession {
    forwarding: Arc<dyn Forwarding>,
    session: Id,
    limit: Duration,
}

impl RemoteSession {
    pub(crate) fn new(
        forwarding: &Arc<dyn Forwarding>,
        session: Id,
        config: &EngineConfig,
    ) -> Self {
        Self {
            forwarding: Arc::clone(forwarding),
            session,
            limit: config.silence_limit() + TRAVEL,
        }
    }

    pub(crate) async fn is_there(&self) -> bool {
        Arc::clone(&self.forwarding).is_there(self.session).await
    }

    pub(crate) async fn poll(
        &self,
        revision: Revision,
        poll: PollRequest,
    ) -> Result<PollResponse, PollError> {
        let forwarding = Arc::clone(&self.forwarding);
        let forwarded = forwarding.forward(self.session, revision, poll, self.limit);
        forwarded.await
    }

    pub(crate) fn end(&self, reason: CloseReason) {
        Arc::clone(&self.forwarding).end(self.session, reason);
    }
}

/// The time for which a request may take longer here than at the other node.
const TRAVEL: Duration = Duration::from_secs(5);
