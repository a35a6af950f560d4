//! Polling requests at the wrong node: forwarded to the right one, and answered.
//!
//! Each node subscribes to a channel of its own. The broker reports whether a message had a
//! subscriber. So a request to a node that has ended ends at once, and packets that no node took
//! close their session. No request is forwarded while this node does not receive answers, or is
//! about to end.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::adapter::broker::{Broker, BrokerError, Receipt};
use crate::adapter::context::NodeContext;
use crate::adapter::format::{Channel, Format};
use crate::adapter::forwarding::forwards::Forwards;
use crate::adapter::forwarding::wire::Forwarded;
use crate::adapter::roster::RecentNodes;
use crate::handshake::Revision;
use crate::id::{Id, Tag};
use crate::reason::CloseReason;
use crate::session::{
    Engine, Forwarding, Handle, PollRequest, PolledFuture, ReleasedFuture, ThereFuture,
};
use crate::tasks::TaskGroup;

/// The requests that this node has forwarded, and those that it answers.
#[derive(Debug)]
pub(crate) struct PollForwarder {
    pub(super) tag: Tag,
    /// The channel of this node.
    channel: String,
    format: Arc<dyn Format>,
    pub(super) broker: Arc<dyn Broker>,
    pub(super) tasks: TaskGroup<&'static str>,
    pub(super) forwards: Forwards,
    /// The number of bytes of bodies that may be in transit: a broker may disconnect a node that
    /// reads them too slowly.
    pub(super) room: Semaphore,
    pub(super) known: Mutex<RecentNodes>,
    /// The engine, which finds sessions.
    engine: OnceLock<Weak<Engine>>,
    /// Requests of other nodes in progress.
    pub(super) answering: TaskGroup<&'static str>,
}

impl PollForwarder {
    pub(crate) fn new(context: &NodeContext, tag: Tag, channel: Channel) -> Arc<Self> {
        Arc::new(Self {
            tag,
            channel: channel.into_name(),
            format: Arc::clone(&context.format),
            broker: Arc::clone(&context.broker),
            tasks: context.tasks.clone(),
            forwards: Forwards::default(),
            room: Semaphore::new(MAX_BYTES),
            known: Mutex::default(),
            engine: OnceLock::new(),
            answering: context.tasks.new_group(),
        })
    }

    /// Answers requests of other nodes for these sessions from now on.
    pub(crate) fn serve(&self, engine: &Arc<Engine>) {
        // Once for each start.
        let _ = self.engine.set(Arc::downgrade(engine));
    }

    /// Waits until this node's own clients have received their last packets through other nodes.
    pub(crate) async fn answered(&self) {
        self.answering.ended().await;
    }

    /// Returns `true` if the messages of a channel are for [`received`](Self::received).
    pub(crate) fn is_heard_on(&self, channel: &str) -> bool {
        self.channel == channel
    }

    /// Records whether answers can arrive; if they cannot, every request ends.
    pub(crate) fn listens(&self, listens: bool) {
        self.forwards.listens(listens);
    }

    pub(super) fn find(&self, session: Id) -> Option<Handle> {
        self.engine.get()?.upgrade()?.find(session)
    }

    /// Publishes for one node.
    pub(super) async fn publish(
        &self,
        to: Tag,
        message: &Forwarded,
    ) -> Result<Receipt, BrokerError> {
        let message = message.encode();
        let message = message.map_err(|error| BrokerError::new(&error))?;
        let channel = self.format.poll_channel(to);
        self.broker.send(channel, message.into()).await
    }

    /// Makes another node close a session.
    pub(super) fn say_ended(self: &Arc<Self>, session: Id, reason: CloseReason) {
        let forwarder = Arc::clone(self);
        self.tasks.spawn("end of a forwarded session", async move {
            let ended = Forwarded::Ended { session, reason };
            if let Err(error) = forwarder.publish(session.tag(), &ended).await {
                log::debug!("close of a session not sent to its node: {error}");
            }
        });
    }

    /// Returns those nodes that no longer subscribe.
    pub(super) async fn gone(&self, nodes: HashSet<Tag>) -> Result<Vec<Tag>, BrokerError> {
        let Some(listeners) = self.broker.listeners() else {
            return Ok(Vec::new());
        };
        let nodes: Vec<_> = nodes.into_iter().collect();
        let channels = nodes.iter().map(|tag| self.format.poll_channel(*tag));
        let counts = listeners.count(channels.collect()).await?;
        let gone = nodes.into_iter().zip(counts);
        let gone = gone.filter(|(_, count)| *count == 0);
        Ok(gone.map(|(tag, _)| tag).collect())
    }
}

impl Forwarding for PollForwarder {
    fn tag(&self) -> Tag {
        self.tag
    }

    fn is_there(self: Arc<Self>, session: Id) -> ThereFuture {
        Box::pin(async move { Self::is_there(&self, session.tag()).await })
    }

    fn forward(
        self: Arc<Self>,
        session: Id,
        revision: Revision,
        poll: PollRequest,
        limit: Duration,
    ) -> PolledFuture {
        Box::pin(async move { self.ask(session, revision, poll, limit).await })
    }

    fn end(self: Arc<Self>, session: Id, reason: CloseReason) {
        self.say_ended(session, reason);
    }

    fn release(self: Arc<Self>) -> ReleasedFuture {
        Box::pin(async move {
            self.forwards.ends();
            loop {
                for session in self.forwards.polled() {
                    let released = Forwarded::Released { session };
                    if let Err(error) = self.publish(session.tag(), &released).await {
                        log::debug!("release of a forwarded poll not sent to its node: {error}");
                    }
                }
                // A poll in transit may have been overtaken.
                if timeout(LOOK, self.forwards.finished()).await.is_ok() {
                    return;
                }
            }
        })
    }
}

/// Interval of the check whether the awaited nodes still exist and this node may shut down.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// The number of bytes of bodies in transit to other nodes: a quarter of the default limit of Redis
/// for waiting output to one of them.
pub(super) const MAX_BYTES: usize = 8 << 20;
