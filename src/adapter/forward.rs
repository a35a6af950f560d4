//! Requests of polling that reached the wrong node: to the right one by publish and subscribe, and
//! back.
//!
//! Each node listens on a channel of its own. Redis tells how many have heard a message, so that a
//! request to a node that is gone ends at once, and packets that nobody took close their session.
//! So nothing is asked while this node does not hear the answers, or is about to end.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use redis::RedisResult;
use redis::aio::MultiplexedConnection;
use tokio::sync::{Notify, Semaphore, SemaphorePermit, oneshot, watch};
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

use crate::actor::{
    CloseOnDrop, Engine, Forwarding, Handle, Poll, Polled, PolledFuture, ReleasedFuture,
    ThereFuture, Unpolled,
};
use crate::adapter::format::{Channel, Forwarded};
use crate::adapter::known::Known;
use crate::adapter::node::Node;
use crate::id::{Id, Tag};
use crate::reason::CloseReason;

/// What this node has forwarded, and what it answers to.
#[derive(Debug)]
pub(crate) struct Forwards {
    tag: Tag,
    /// Where this node listens.
    channel: String,
    next: AtomicU64,
    standing: watch::Sender<Standing>,
    waiting: Mutex<HashMap<u64, Waiting>>,
    emptied: Notify,
    /// Bytes of bodies for which there is room on the way: Redis cuts a node off that takes them
    /// slower than they come.
    room: Semaphore,
    known: Mutex<Known>,
    /// Where sessions are found.
    engine: OnceLock<Weak<Engine>>,
    /// Requests of other nodes that are being answered.
    answering: TaskTracker,
}

/// What this node may ask of others.
#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    /// It is subscribed to its channel, and so hears what it is answered.
    hears: bool,
    /// It is about to end, and lets nobody wait here any more.
    ends: bool,
}

/// Who waits for an answer, and about what.
#[derive(Debug)]
struct Waiting {
    session: Id,
    takes: bool,
    answer: oneshot::Sender<Result<Polled, Unpolled>>,
}

impl Forwards {
    pub(crate) fn new(tag: Tag, channel: Channel) -> Self {
        Self {
            tag,
            channel: channel.into_name(),
            next: AtomicU64::new(0),
            standing: watch::Sender::default(),
            waiting: Mutex::default(),
            emptied: Notify::new(),
            room: Semaphore::new(MAX_BYTES),
            known: Mutex::default(),
            engine: OnceLock::new(),
            answering: TaskTracker::new(),
        }
    }

    /// Tells whether what came on a channel is for [`hear`].
    pub(crate) fn is_heard_on(&self, channel: &str) -> bool {
        self.channel == channel
    }

    /// Notes whether answers can come; where they cannot, every request ends.
    pub(crate) fn hears(&self, hears: bool) {
        self.standing.send_modify(|standing| standing.hears = hears);
        if !hears {
            self.waiting.lock().clear();
        }
    }

    /// Waits until no request is under way.
    async fn finished(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.waiting.lock().is_empty() {
                return;
            }
            emptied.await;
        }
    }

    /// Registers a request, as soon as its answer can be heard; `None` for a poll that is not to
    /// wait here any more.
    async fn expect(&self, session: Id, takes: bool) -> Result<Option<Expected>, Unpolled> {
        let mut standing = self.standing.subscribe();
        let hears = hears(&mut standing, takes);
        // Nothing changes while it is looked at: who changes it sees the request, or the request
        // it.
        let now = hears.await.ok_or(Unpolled::Unknown)?;
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

    /// Waits for room for a body on the way.
    async fn room_for(&self, poll: &Poll) -> Option<SemaphorePermit<'_>> {
        let bytes = match poll {
            Poll::Take => 0,
            // One that is larger than all the room has it alone.
            Poll::Bring(packets) => packets.len().min(MAX_BYTES),
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

    /// Returns the nodes whose answers are waited for.
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
}

/// Waits until answers can be heard, or a poll is not to wait here any more; `None` where it takes
/// too long.
async fn hears(
    standing: &mut watch::Receiver<Standing>,
    takes: bool,
) -> Option<watch::Ref<'_, Standing>> {
    let hears = standing.wait_for(|now| now.hears || takes && now.ends);
    timeout(PATIENCE, hears).await.ok()?.ok()
}

/// A request that has been registered.
struct Expected {
    number: u64,
    answered: oneshot::Receiver<Result<Polled, Unpolled>>,
}

/// Does what other nodes ask of this one's sessions from now on.
pub(crate) fn serve(node: &Node, engine: &Arc<Engine>) {
    // Once for each start.
    let _ = node.forwards.engine.set(Arc::downgrade(engine));
}

/// Waits until this node's own clients have got their last packets through the others.
pub(crate) async fn answered(node: &Node) {
    node.forwards.answering.close();
    node.forwards.answering.wait().await;
}

/// Takes what another node has published for this one.
pub(crate) fn hear(node: &Arc<Node>, payload: &Bytes) -> Result<(), String> {
    match Forwarded::decode(payload)? {
        Forwarded::Answered {
            number,
            session,
            polled,
        } => {
            match node.forwards.forget(number) {
                // Whoever asked may have gone, and has said so.
                Some(waiting) => drop(waiting.answer.send(polled)),
                // Given up while the way was broken: nobody gets these packets.
                None if matches!(polled, Ok(Polled::Packets { .. })) => {
                    Arc::clone(node).end(session, CloseReason::TransportError);
                }
                None => {}
            }
        }
        Forwarded::Ended { session, reason } => {
            if let Some(handle) = node.forwards.find(session) {
                handle.link.close(reason);
            }
        }
        Forwarded::Released { session } => {
            // Behind the poll itself, which has a task of its own too.
            let node = Arc::clone(node);
            node.arbiter.clone().spawn(async move {
                if let Some(handle) = node.forwards.find(session) {
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
            let answering = answer(Arc::clone(node), number, from, session, poll);
            let answering = node.forwards.answering.track_future(answering);
            node.arbiter.spawn(answering);
        }
    }
    Ok(())
}

/// Does what a request wants that another node got, and answers it.
async fn answer(node: Arc<Node>, number: u64, from: Tag, session: Id, poll: Poll) {
    let polled = match node.forwards.find(session) {
        Some(handle) => match handle.check_polling() {
            Err(refused) => Err(refused),
            Ok(()) => match poll {
                Poll::Take => handle.take().await,
                Poll::Bring(packets) => match handle.begin_post() {
                    Ok(_turn) => handle.bring(packets).await,
                    Err(refused) => Err(refused),
                },
            },
        },
        None => Err(Unpolled::Unknown),
    };
    let answered = Forwarded::Answered {
        number,
        session,
        polled,
    };
    let taken = publish(&node, from, &answered).await;
    if !matches!(taken, Ok(1..))
        && let Some(handle) = node.forwards.find(session)
    {
        log::debug!(
            "session {}: the node that its request reached is gone",
            handle.link.number
        );
        handle.link.close(CloseReason::TransportError);
    }
}

/// Publishes for one node, and returns how many have heard it.
async fn publish(node: &Node, to: Tag, message: &Forwarded) -> Result<usize, String> {
    let message = message.encode().map_err(|error| error.to_string())?;
    let channel = node.format.poll_channel(to);
    let is_shard = matches!(channel, Channel::Shard(_));
    let mut command = redis::cmd(if is_shard { "SPUBLISH" } else { "PUBLISH" });
    command.arg(channel.into_name()).arg(message);
    let connection = node.commands.read().clone();
    let mut connection = connection.ok_or("there is no connection to Redis")?;
    let heard = command.query_async(&mut connection).await;
    heard.map_err(|error| error.to_string())
}

/// Ends requests to nodes that are gone, for as long as it is polled.
pub(crate) async fn watch(node: Arc<Node>) {
    loop {
        sleep(LOOK).await;
        let nodes = node.forwards.waited_for();
        let connection = node.commands.read().clone();
        let (Some(connection), false) = (connection, nodes.is_empty()) else {
            continue;
        };
        match gone(&node, nodes, connection).await {
            Ok(gone) => gone.iter().for_each(|tag| node.forwards.give_up_on(*tag)),
            // The connection tells of that itself.
            Err(error) => log::debug!("Redis does not tell which nodes listen: {error}"),
        }
    }
}

/// Returns those nodes that do not listen any more.
async fn gone(
    node: &Node,
    nodes: HashSet<Tag>,
    mut connection: MultiplexedConnection,
) -> RedisResult<Vec<Tag>> {
    let channels = nodes
        .into_iter()
        .map(|tag| (node.format.poll_channel(tag), tag));
    let channels: Vec<_> = channels.collect();
    let sharded = matches!(channels.first(), Some((Channel::Shard(_), _)));
    let mut command = redis::cmd("PUBSUB");
    command.arg(if sharded { "SHARDNUMSUB" } else { "NUMSUB" });
    let mut tags = HashMap::new();
    for (channel, tag) in channels {
        let name = channel.into_name();
        command.arg(&name);
        tags.insert(name, tag);
    }
    let listeners: Vec<(String, usize)> = command.query_async(&mut connection).await?;
    let gone = listeners.into_iter().filter(|(_, count)| *count == 0);
    Ok(gone.filter_map(|(name, _)| tags.remove(&name)).collect())
}

/// Asks another node, and waits for what it answers.
async fn ask(
    node: &Arc<Node>,
    session: Id,
    poll: Poll,
    limit: Duration,
) -> Result<Polled, Unpolled> {
    let takes = poll == Poll::Take;
    let Ok(room) = timeout(limit, node.forwards.room_for(&poll)).await else {
        return Err(Unpolled::Unknown);
    };
    let expected = node.forwards.expect(session, takes).await?;
    let Some(Expected { number, answered }) = expected else {
        // Its next poll may well come here again.
        sleep(HOME_PAUSE).await;
        return Ok(Polled::noop());
    };
    let given_up = CloseOnDrop::new(|| {
        node.forwards.forget(number);
        if takes {
            // What was on the way is lost.
            Arc::clone(node).end(session, CloseReason::TransportError);
        }
    });
    let asked = Forwarded::Asked {
        number,
        from: node.forwards.tag,
        session,
        poll,
    };
    let polled = match publish(node, session.tag(), &asked).await {
        Ok(0) => Err(Unpolled::Unknown),
        Err(error) => {
            log::debug!("a request for a session of another node cannot be forwarded: {error}");
            Err(Unpolled::Unknown)
        }
        Ok(_) => match timeout(limit, answered).await {
            Ok(Ok(polled)) => polled,
            // Its node is gone, or the way to it.
            Ok(Err(_)) => Err(Unpolled::Unknown),
            Err(_) => {
                drop(given_up);
                return Err(Unpolled::Violation);
            }
        },
    };
    drop(room);
    node.forwards.forget(number);
    given_up.finished();
    polled
}

/// Asks Redis whether a node listens, unless it has just said so.
async fn is_there(node: &Node, tag: Tag) -> bool {
    let known = node.forwards.known.lock().is_there(tag, Instant::now());
    if let Some(is_there) = known {
        return is_there;
    }
    let mut standing = node.forwards.standing.subscribe();
    if hears(&mut standing, false).await.is_none() {
        return false;
    }
    let Some(connection) = node.commands.read().clone() else {
        return false;
    };
    match gone(node, HashSet::from([tag]), connection).await {
        Ok(gone) => {
            let mut known = node.forwards.known.lock();
            known.note(tag, gone.is_empty(), Instant::now());
            gone.is_empty()
        }
        Err(error) => {
            log::debug!("Redis does not tell whether a node listens: {error}");
            false
        }
    }
}

impl Forwarding for Node {
    fn tag(&self) -> Tag {
        self.forwards.tag
    }

    fn is_there(self: Arc<Self>, session: Id) -> ThereFuture {
        Box::pin(async move { is_there(&self, session.tag()).await })
    }

    fn forward(self: Arc<Self>, session: Id, poll: Poll, limit: Duration) -> PolledFuture {
        Box::pin(async move { ask(&self, session, poll, limit).await })
    }

    fn end(self: Arc<Self>, session: Id, reason: CloseReason) {
        let arbiter = self.arbiter.clone();
        arbiter.spawn(async move {
            let ended = Forwarded::Ended { session, reason };
            if let Err(error) = publish(&self, session.tag(), &ended).await {
                log::debug!("another node is not told of the end of a session: {error}");
            }
        });
    }

    fn release(self: Arc<Self>) -> ReleasedFuture {
        Box::pin(async move {
            let standing = &self.forwards.standing;
            standing.send_modify(|standing| standing.ends = true);
            loop {
                for session in self.forwards.polled() {
                    let released = Forwarded::Released { session };
                    if let Err(error) = publish(&self, session.tag(), &released).await {
                        log::debug!(
                            "a poll for a session of another node is not released: {error}"
                        );
                    }
                }
                // A poll that was just on its way may have been overtaken.
                if timeout(LOOK, self.forwards.finished()).await.is_ok() {
                    return;
                }
            }
        })
    }
}

/// How often is looked whether the nodes are there that are waited for, and whether this one may
/// end.
const LOOK: Duration = Duration::from_secs(1);

/// How long a request waits for a Redis that is away: clients look for other nodes just then.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long a poll waits before it is sent home: its client must not ask again and again at once.
const HOME_PAUSE: Duration = Duration::from_millis(100);

/// Bytes of bodies that are on their way to other nodes: a quarter of what Redis lets wait for one
/// of them by default.
const MAX_BYTES: usize = 8 << 20;
