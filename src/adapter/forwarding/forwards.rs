//! Polling requests at the wrong node: forwarded to the right one, and answered.
//!
//! Each node subscribes to a channel of its own. The broker tells whether a message had a
//! subscriber. So a request to a node that has ended ends at once, and packets that no node took
//! close their session. No request is forwarded while this node does not receive answers, or is
//! about to end.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, SemaphorePermit, oneshot, watch};
use tokio::time::{sleep, timeout};

use crate::adapter::broker::{Broker, BrokerError, Receipt};
use crate::adapter::context::NodeContext;
use crate::adapter::format::{Channel, Format};
use crate::adapter::forwarding::wire::Forwarded;
use crate::adapter::roster::RecentNodes;
use crate::id::{Id, Tag};
use crate::reason::CloseReason;
use crate::session::{
    CloseOnDrop, Engine, Forwarding, Handle, PollError, PollRequest, PollResponse, PolledFuture,
    ReleasedFuture, ThereFuture,
};
use crate::tasks::TaskGroup;

/// The requests that this node has forwarded, and those that it answers.
#[derive(Debug)]
pub(crate) struct PollForwarder {
    tag: Tag,
    /// The channel of this node.
    channel: String,
    format: Arc<dyn Format>,
    broker: Arc<dyn Broker>,
    tasks: TaskGroup<&'static str>,
    next: AtomicU64,
    standing: watch::Sender<LinkState>,
    waiting: Mutex<HashMap<u64, Waiting>>,
    emptied: Notify,
    /// The number of bytes of bodies that may be in transit: a broker may disconnect a node that
    /// reads them too slowly.
    room: Semaphore,
    known: Mutex<RecentNodes>,
    /// The engine, which finds sessions.
    engine: OnceLock<Weak<Engine>>,
    /// Requests of other nodes in progress.
    answering: TaskGroup<&'static str>,
}

/// Whether this node may forward requests.
#[derive(Clone, Copy, Debug, Default)]
struct LinkState {
    /// It is subscribed to its channel, and so receives answers.
    hears: bool,
    /// It is about to end, and no polls may wait here.
    ends: bool,
}

/// A request that waits for its answer.
#[derive(Debug)]
struct Waiting {
    session: Id,
    takes: bool,
    answer: oneshot::Sender<Result<PollResponse, PollError>>,
}

impl PollForwarder {
    pub(crate) fn new(context: &NodeContext, tag: Tag, channel: Channel) -> Arc<Self> {
        Arc::new(Self {
            tag,
            channel: channel.into_name(),
            format: Arc::clone(&context.format),
            broker: Arc::clone(&context.broker),
            tasks: context.tasks.clone(),
            next: AtomicU64::new(0),
            standing: watch::Sender::default(),
            waiting: Mutex::default(),
            emptied: Notify::new(),
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
        self.standing
            .send_modify(|standing| standing.hears = listens);
        if !listens {
            self.waiting.lock().clear();
        }
    }

    /// Waits until no request is in progress.
    async fn finished(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.waiting.lock().is_empty() {
                return;
            }
            emptied.await;
        }
    }

    /// Registers a request, as soon as its answer can be received; `None` for a poll that may not
    /// wait here.
    async fn expect(&self, session: Id, takes: bool) -> Result<Option<Expected>, PollError> {
        let mut standing = self.standing.subscribe();
        let hears = hears(&mut standing, takes);
        // No race: either the writer sees this request in the table, or this request sees the
        // written state.
        let now = hears.await.ok_or(PollError::Unknown)?;
        if takes && now.ends {
            return Ok(None);
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting {
            session,
            takes,
            answer,
        };
        self.waiting.lock().insert(number, waiting);
        Ok(Some(Expected { number, answered }))
    }

    /// Waits until a body may be in transit.
    async fn room_for(&self, poll: &PollRequest) -> Option<SemaphorePermit<'_>> {
        let bytes = match poll {
            PollRequest::Receive => 0,
            // A body that is larger than the limit uses all of it alone.
            PollRequest::Send(packets) => packets.len().min(MAX_BYTES),
        };
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.room.acquire_many(bytes).await.ok()
    }

    fn forget(&self, number: u64) -> Option<Waiting> {
        let mut waiting = self.waiting.lock();
        let forgotten = waiting.remove(&number);
        if waiting.is_empty() {
            self.emptied.notify_waiters();
        }
        forgotten
    }

    /// Returns the sessions whose polls wait.
    fn polled(&self) -> Vec<Id> {
        let waiting = self.waiting.lock();
        let polls = waiting.values().filter(|waiting| waiting.takes);
        polls.map(|waiting| waiting.session).collect()
    }

    fn find(&self, session: Id) -> Option<Handle> {
        self.engine.get()?.upgrade()?.find(session)
    }

    /// Returns the nodes whose answers are awaited.
    fn waited_for(&self) -> HashSet<Tag> {
        let waiting = self.waiting.lock();
        waiting
            .values()
            .map(|waiting| waiting.session.tag())
            .collect()
    }

    /// Ends the requests to a node.
    fn give_up_on(&self, node: Tag) {
        self.waiting
            .lock()
            .retain(|_, waiting| waiting.session.tag() != node);
    }

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
                match self.forget(number) {
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
                poll,
            } => {
                let answering = Arc::clone(self).answer(number, from, session, poll);
                self.answering.spawn("forwarded poll", answering);
            }
        }
        Ok(())
    }

    /// Executes a request that another node received, and answers it.
    async fn answer(self: Arc<Self>, number: u64, from: Tag, session: Id, poll: PollRequest) {
        let polled = match self.find(session) {
            Some(handle) => match handle.check_polling() {
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
                "session {}: the node that its request reached is gone",
                handle.link.number
            );
            handle.link.close(CloseReason::TransportError);
        }
    }

    /// Publishes for one node.
    async fn publish(&self, to: Tag, message: &Forwarded) -> Result<Receipt, BrokerError> {
        let message = message.encode();
        let message = message.map_err(|error| BrokerError::new(&error))?;
        let channel = self.format.poll_channel(to);
        self.broker.send(channel, message.into()).await
    }

    /// Makes another node close a session.
    fn say_ended(self: &Arc<Self>, session: Id, reason: CloseReason) {
        let forwarder = Arc::clone(self);
        self.tasks.spawn("end of a forwarded session", async move {
            let ended = Forwarded::Ended { session, reason };
            if let Err(error) = forwarder.publish(session.tag(), &ended).await {
                log::debug!("another node is not told of the end of a session: {error}");
            }
        });
    }

    /// Ends requests to nodes that have ended, while it is polled.
    pub(crate) async fn watch(self: Arc<Self>) {
        loop {
            sleep(LOOK).await;
            let nodes = self.waited_for();
            if nodes.is_empty() || !self.broker.is_connected() {
                continue;
            }
            match self.gone(nodes).await {
                Ok(gone) => gone.into_iter().for_each(|tag| self.give_up_on(tag)),
                // The connection reports the error itself.
                Err(error) => log::debug!("the broker does not tell which nodes listen: {error}"),
            }
        }
    }

    /// Returns those nodes that no longer subscribe.
    async fn gone(&self, nodes: HashSet<Tag>) -> Result<Vec<Tag>, BrokerError> {
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

    /// Asks another node, and waits for its answer.
    async fn ask(
        self: &Arc<Self>,
        session: Id,
        poll: PollRequest,
        limit: Duration,
    ) -> Result<PollResponse, PollError> {
        let takes = poll == PollRequest::Receive;
        let Ok(room) = timeout(limit, self.room_for(&poll)).await else {
            return Err(PollError::Unknown);
        };
        let Some(Expected { number, answered }) = self.expect(session, takes).await? else {
            // Its next poll may well arrive here again.
            sleep(HOME_PAUSE).await;
            return Ok(PollResponse::noop());
        };
        let given_up = CloseOnDrop::new(|| {
            self.forget(number);
            if takes {
                // The packets in transit are lost.
                self.say_ended(session, CloseReason::TransportError);
            }
        });
        let asked = Forwarded::Asked {
            number,
            from: self.tag,
            session,
            poll,
        };
        let polled = match self.publish(session.tag(), &asked).await {
            Ok(Receipt::Nobody) => Err(PollError::Unknown),
            Err(error) => {
                log::debug!("a request for a session of another node cannot be forwarded: {error}");
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
        self.forget(number);
        given_up.finished();
        polled
    }

    /// Asks the broker whether a node subscribes, unless it has just answered that.
    async fn is_there(&self, tag: Tag) -> bool {
        let known = self.known.lock().is_there(tag, Instant::now());
        if let Some(is_there) = known {
            return is_there;
        }
        let mut standing = self.standing.subscribe();
        if hears(&mut standing, false).await.is_none() {
            return false;
        }
        match self.gone(HashSet::from([tag])).await {
            Ok(gone) => {
                let mut known = self.known.lock();
                known.note(tag, gone.is_empty(), Instant::now());
                gone.is_empty()
            }
            Err(error) => {
                log::debug!("the broker does not tell whether a node listens: {error}");
                false
            }
        }
    }
}

impl Forwarding for PollForwarder {
    fn tag(&self) -> Tag {
        self.tag
    }

    fn is_there(self: Arc<Self>, session: Id) -> ThereFuture {
        Box::pin(async move { Self::is_there(&self, session.tag()).await })
    }

    fn forward(self: Arc<Self>, session: Id, poll: PollRequest, limit: Duration) -> PolledFuture {
        Box::pin(async move { self.ask(session, poll, limit).await })
    }

    fn end(self: Arc<Self>, session: Id, reason: CloseReason) {
        self.say_ended(session, reason);
    }

    fn release(self: Arc<Self>) -> ReleasedFuture {
        Box::pin(async move {
            self.standing.send_modify(|standing| standing.ends = true);
            loop {
                for session in self.polled() {
                    let released = Forwarded::Released { session };
                    if let Err(error) = self.publish(session.tag(), &released).await {
                        log::debug!(
                            "a poll for a session of another node is not released: {error}"
                        );
                    }
                }
                // A poll in transit may have been overtaken.
                if timeout(LOOK, self.finished()).await.is_ok() {
                    return;
                }
            }
        })
    }
}

/// Waits until answers can be received, or until a poll may no longer wait here; `None` if it takes
/// too long.
async fn hears(
    standing: &mut watch::Receiver<LinkState>,
    takes: bool,
) -> Option<watch::Ref<'_, LinkState>> {
    let hears = standing.wait_for(|now| now.hears || takes && now.ends);
    timeout(PATIENCE, hears).await.ok()?.ok()
}

/// A request that has been registered.
struct Expected {
    number: u64,
    answered: oneshot::Receiver<Result<PollResponse, PollError>>,
}

/// Interval of the check whether the awaited nodes still exist and this node may shut down.
const LOOK: Duration = Duration::from_secs(1);

/// The time limit of a request while the broker is unreachable: in an outage clients change nodes.
const PATIENCE: Duration = Duration::from_secs(3);

/// The pause before a poll is answered without packets, so that its client does not poll in a tight
/// loop.
const HOME_PAUSE: Duration = Duration::from_millis(100);

/// The number of bytes of bodies in transit to other nodes: a quarter of the default limit of Redis
/// for waiting output to one of them.
const MAX_BYTES: usize = 8 << 20;
