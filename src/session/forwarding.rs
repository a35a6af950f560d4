//! The way to sessions of other nodes: a request of polling that a proxy sent to the wrong node is
//! done by the right one.
//!
//! A session's id begins with its node's tag, so that nobody has to be asked where it is.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::id::{Id, Tag};
use crate::reason::CloseReason;
use crate::session::polling::{Poll, Polled, Unpolled};

/// What carries requests of polling between nodes.
pub(crate) trait Forwarding: fmt::Debug + Send + Sync {
    /// Returns what the ids of this node's sessions begin with.
    fn tag(&self) -> Tag;

    /// Tells whether there is a node that may have this session.
    fn is_there(self: Arc<Self>, session: Id) -> ThereFuture;

    /// Has another node do what a request wants, within `limit`. A session whose packets were on
    /// their way to a request that is dropped is closed.
    fn forward(self: Arc<Self>, session: Id, poll: Poll, limit: Duration) -> PolledFuture;

    /// Has another node close a session.
    fn end(self: Arc<Self>, session: Id, reason: CloseReason);

    /// Sends the clients home whose polls wait at other nodes, those that come from now on too, and
    /// waits until no request is under way.
    fn release(self: Arc<Self>) -> ReleasedFuture;
}

/// Whether there is a node, to be waited for.
pub(crate) type ThereFuture = Pin<Box<dyn Future<Output = bool> + Send>>;

/// The end of the last request, to be waited for.
pub(crate) type ReleasedFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a request gets, to be waited for.
pub(crate) type PolledFuture = Pin<Box<dyn Future<Output = Result<Polled, Unpolled>> + Send>>;

/// A session that another node may have.
#[derive(Debug)]
pub(crate) struct Elsewhere {
    forwarding: Arc<dyn Forwarding>,
    session: Id,
    limit: Duration,
}

impl Elsewhere {
    pub(crate) fn new(forwarding: &Arc<dyn Forwarding>, session: Id, config: &Config) -> Self {
        Self {
            forwarding: Arc::clone(forwarding),
            session,
            limit: config.silence_limit() + TRAVEL,
        }
    }

    pub(crate) async fn is_there(&self) -> bool {
        Arc::clone(&self.forwarding).is_there(self.session).await
    }

    pub(crate) async fn poll(&self, poll: Poll) -> Result<Polled, Unpolled> {
        let forwarding = Arc::clone(&self.forwarding);
        forwarding.forward(self.session, poll, self.limit).await
    }

    pub(crate) fn end(&self, reason: CloseReason) {
        Arc::clone(&self.forwarding).end(self.session, reason);
    }
}

/// How much longer than there a request may take here.
const TRAVEL: Duration = Duration::from_secs(5);
