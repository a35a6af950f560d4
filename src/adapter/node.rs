//! This node: what its threads, its connections and its actor share.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix::{Addr, ArbiterHandle};
use log::Level;
use parking_lot::{Mutex, RwLock};
use redis::RedisError;
use redis::aio::MultiplexedConnection;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::adapter::actor::Connections;
use crate::adapter::channels::Channels;
use crate::adapter::config::{RedisAdapter, Written};
use crate::adapter::format::{Asker, Format, Others, Parcel, to_text};
use crate::adapter::forward::Forwards;
use crate::adapter::load::Load;
use crate::adapter::publisher::Client;
use crate::adapter::queue::Queue;
use crate::adapter::reader::Position;
use crate::adapter::{forward, request, restore};
use crate::cluster::{
    AdapterHealth, Answer, ClusterError, EntryId, Message, NodeId, Question, Reply,
};
use crate::id::Tag;
use crate::logging::{LogKind, LogLimits, plain};
use crate::socket::{Adapter, BackFuture, Claim, Kept, Membership, NodesFuture};

/// A node of a cluster.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) config: RedisAdapter,
    pub(crate) format: Box<dyn Format>,
    /// The streams that are read, and how far each has been.
    pub(crate) streams: Vec<String>,
    pub(crate) positions: Mutex<HashMap<String, Position>>,
    pub(crate) queue: Queue,
    pub(crate) channels: Channels,
    pub(crate) forwards: Forwards,
    pub(crate) arbiter: ArbiterHandle,
    /// Where questions to Redis itself go; `None` while it is away.
    pub(crate) commands: RwLock<Option<MultiplexedConnection>>,
    /// How Redis calls the connection that publishes.
    pub(crate) publisher: Mutex<Option<Client>>,
    /// Whose turn it is to read a stream for clients that come back.
    pub(crate) replays: Semaphore,
    /// Questions of other nodes that wait for clients of this one.
    pub(crate) questions: Arc<Load>,
    /// Server-side events of other nodes that the program works on.
    pub(crate) server_side: Arc<Load>,
    /// Server-side events of other nodes that the program is answering.
    pub(crate) answering: TaskTracker,
    pub(crate) closed: CancellationToken,
    /// The address that keeps the actor running.
    pub(crate) actor: Mutex<Option<Addr<Connections>>>,
    /// Who waits for which request's answers.
    pending: Mutex<HashMap<String, UnboundedSender<(String, Reply)>>>,
    namespaces: RwLock<HashMap<Arc<str>, Arc<Membership>>>,
    /// Numbers this node's own events, by which clients say how far they have got.
    own: AtomicU64,
    /// The last number of each other node, in each stream: they are read one after the other, and
    /// what a node has numbered on its way into several comes in no order.
    seen: Mutex<HashMap<String, HashMap<String, u64>>>,
    health: Mutex<Health>,
    ack_timeout: Duration,
    pub(crate) line_limits: Arc<LogLimits>,
}

/// How the connections are.
#[derive(Debug, Default)]
struct Health {
    parts: HashMap<Part, bool>,
    lost: u64,
    reconnects: u64,
    error: Option<String>,
    /// What Redis does not let this node hear, while it is connected.
    denied: Option<String>,
}

/// A connection, by what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    Publisher,
    Listener,
    Reader,
}

impl Node {
    pub(crate) fn new(
        config: RedisAdapter,
        arbiter: ArbiterHandle,
        ack_timeout: Duration,
    ) -> Arc<Self> {
        let Written { format, read } = config.format(None);
        let tag = Tag::random();
        // From the first connection on, so that whoever is connected hears what it is answered.
        let channels = Channels::default();
        channels.listen(format.poll_channel(tag));
        Arc::new(Self {
            forwards: Forwards::new(tag, format.poll_channel(tag)),
            queue: Queue::new(config.queue_limit),
            format,
            streams: read,
            positions: Mutex::default(),
            channels,
            arbiter,
            commands: RwLock::new(None),
            publisher: Mutex::default(),
            replays: Semaphore::new(REPLAYS),
            questions: Load::new(config.requests_in_flight),
            server_side: Load::new(config.requests_in_flight),
            answering: TaskTracker::new(),
            closed: CancellationToken::new(),
            actor: Mutex::new(None),
            pending: Mutex::default(),
            namespaces: RwLock::default(),
            own: AtomicU64::new(1),
            seen: Mutex::default(),
            health: Mutex::default(),
            ack_timeout,
            line_limits: LogLimits::new(),
            config,
        })
    }

    pub(crate) fn membership(&self, namespace: &str) -> Option<Arc<Membership>> {
        self.namespaces.read().get(namespace).cloned()
    }

    /// Queues an answer; one that cannot be queued is lost, and its asker waits in vain.
    pub(crate) fn answer(&self, namespace: &str, asker: &Asker, reply: &Reply) {
        let written = self.format.answer(namespace, asker, reply);
        let queued = written.and_then(|parcel| match parcel {
            Some(parcel) => self.queue.push(vec![parcel]),
            None => Ok(()),
        });
        if let Err(error) = queued {
            let line = format_args!("node {} is not answered: {error}", plain(&asker.uid));
            self.line_limits.write(LogKind::Foreign, Level::Warn, line);
        }
    }

    /// Returns every namespace that is listened for.
    pub(crate) fn memberships(&self) -> Vec<Arc<Membership>> {
        self.namespaces.read().values().cloned().collect()
    }

    /// Tells whether a stream's entry with this number of that node is new.
    pub(crate) fn is_new(&self, stream: &str, from: &str, number: u64) -> bool {
        let mut streams = self.seen.lock();
        let seen = streams.entry(stream.to_owned()).or_default();
        if seen.len() >= NODES_REMEMBERED && !seen.contains_key(from) {
            seen.clear();
        }
        let last = seen.entry(from.to_owned()).or_default();
        let is_new = number > *last;
        *last = number.max(*last);
        is_new
    }

    /// Registers a request, whose answers come by the channel.
    pub(crate) fn expect(&self, request: &str) -> UnboundedReceiver<(String, Reply)> {
        let (sender, receiver) = unbounded_channel();
        self.pending.lock().insert(request.to_owned(), sender);
        receiver
    }

    pub(crate) fn forget(&self, request: &str) {
        self.pending.lock().remove(request);
    }

    pub(crate) fn answered(&self, from: String, request: &str, reply: Reply) {
        if let Some(waiting) = self.pending.lock().get(request) {
            // Whoever asked may have gone.
            let _ = waiting.send((from, reply));
        }
    }

    /// Returns the connection for questions to Redis itself, or why there is none.
    pub(crate) fn connection(&self) -> Result<MultiplexedConnection, ClusterError> {
        let connection = self.commands.read().clone();
        connection.ok_or_else(|| {
            let cause = self.health.lock().error.clone();
            ClusterError::Unavailable(cause.unwrap_or_else(|| "not connected yet".to_owned()))
        })
    }

    /// Asks Redis which other nodes listen for a namespace; `None` where the format has no way to
    /// know.
    pub(crate) async fn roll(&self, namespace: &str) -> Result<Option<Others>, ClusterError> {
        let Some(roll) = self.format.roll(namespace) else {
            return Ok(None);
        };
        let (channels, count) = roll.commands();
        let mut looks = redis::pipe();
        looks.cmd("PUBSUB").arg(channels).arg(roll.pattern());
        looks.cmd("PUBSUB").arg(count).arg(&roll.everyone);
        let mut connection = self.connection()?;
        let looked = looks.query_async(&mut connection).await;
        let (channels, listeners): (Vec<String>, HashMap<String, usize>) =
            looked.map_err(|error| away(&error))?;
        let listeners = listeners.values().sum();
        Ok(Some(roll.others(self.format.uid(), &channels, listeners)))
    }

    /// Asks Redis which of these nodes listen for a namespace: unlike [`roll`](Self::roll), it
    /// looks at no other channel than theirs.
    pub(crate) async fn still_there(
        &self,
        namespace: &str,
        nodes: &HashSet<String>,
    ) -> Result<Option<Others>, ClusterError> {
        let Some(roll) = self.format.roll(namespace) else {
            return Ok(None);
        };
        let own = roll.channel(self.format.uid());
        let channels = nodes.iter().map(|name| roll.channel(name)).chain([own]);
        let (_, count) = roll.commands();
        let mut look = redis::cmd("PUBSUB");
        look.arg(count).arg(&roll.everyone);
        channels.for_each(|channel| {
            look.arg(channel);
        });
        let mut connection = self.connection()?;
        let looked = look.query_async(&mut connection).await;
        let mut listeners: HashMap<String, usize> = looked.map_err(|error| away(&error))?;
        let everyone = listeners.remove(&roll.everyone).unwrap_or_default();
        listeners.retain(|_, count| *count > 0);
        let channels: Vec<_> = listeners.into_keys().collect();
        Ok(Some(roll.others(self.format.uid(), &channels, everyone)))
    }

    /// Notes that a connection is there.
    pub(crate) fn connected(&self, part: Part) {
        if part == Part::Listener {
            self.forwards.hears(true);
        }
        let mut health = self.health.lock();
        let again = health.parts.insert(part, true).is_some();
        if health.is_whole() {
            health.error = None;
        }
        if again {
            health.reconnects += 1;
            log::info!("the cluster's {part:?} is connected to Redis again");
        } else {
            log::debug!("the cluster's {part:?} is connected to Redis");
        }
    }

    /// Notes that a connection has broken, or was not made.
    pub(crate) fn broken(&self, part: Part, error: &str) {
        let mut health = self.health.lock();
        let was = health.parts.get(&part).copied();
        if was == Some(true) {
            health.parts.insert(part, false);
        }
        // Once for each time that it goes away, not for each try.
        if was == Some(true) || health.error.is_none() {
            log::warn!("the cluster's {part:?} has no connection to Redis: {error}");
        }
        if part == Part::Listener {
            self.forwards.hears(false);
            health.denied = None;
        }
        health.error = Some(error.to_owned());
    }

    /// Notes that Redis does not let this node listen somewhere.
    pub(crate) fn is_denied(&self, what: &str) {
        log::error!("Redis does not let this node listen to {what}");
        self.health.lock().denied = Some(format!("not allowed to listen to {what}"));
    }

    /// Notes that there will be no connections any more.
    pub(crate) fn ended(&self) {
        self.forwards.hears(false);
        *self.commands.write() = None;
        self.health.lock().parts.clear();
    }

    /// Counts messages that may not have arrived.
    pub(crate) fn lost(&self, count: usize, where_to: &str) {
        if count > 0 {
            let line = format_args!("{count} messages {where_to} may have been lost");
            self.line_limits.write(LogKind::Foreign, Level::Warn, line);
            self.health.lock().lost += count as u64;
        }
    }
}

impl Health {
    fn is_whole(&self) -> bool {
        let there = |part| self.parts.get(&part) == Some(&true);
        let reads = self.parts.get(&Part::Reader).is_none_or(|there| *there);
        there(Part::Publisher) && there(Part::Listener) && reads
    }
}

impl Adapter for Node {
    fn tell(&self, namespace: &Arc<str>, message: &Message) -> Result<(), ClusterError> {
        self.queue.push(self.format.tell(namespace, message)?)
    }

    fn ask(
        self: Arc<Self>,
        namespace: &Arc<str>,
        question: Question,
        limit: Duration,
    ) -> UnboundedReceiver<Answer> {
        request::start(&self, namespace, &question, limit)
    }

    fn nodes(self: Arc<Self>, namespace: &Arc<str>) -> NodesFuture {
        let namespace = Arc::clone(namespace);
        Box::pin(async move {
            let others = self.roll(&namespace).await?;
            let others = others.ok_or(ClusterError::Unsupported("which nodes there are"))?;
            let names = if others.names.len() > others.count {
                request::who_answers(&self, &namespace, others.count).await?
            } else {
                others.names
            };
            let own = std::iter::once(self.format.uid());
            let all = own.chain(names.iter().map(String::as_str));
            Ok(all.map(NodeId::new).collect())
        })
    }

    fn remembers(&self) -> bool {
        !self.streams.is_empty()
    }

    fn uid(&self) -> &str {
        self.format.uid()
    }

    fn reserve(&self) -> u64 {
        self.own.fetch_add(1, Ordering::Relaxed)
    }

    fn tell_as(
        &self,
        number: u64,
        namespace: &Arc<str>,
        message: &Message,
    ) -> Result<(), ClusterError> {
        let mut parcels = self.format.tell(namespace, message)?;
        for parcel in &mut parcels {
            if let Parcel::Append { fields, .. } = parcel {
                fields.push((OWN, number.to_string().into()));
            }
        }
        self.queue.push(parcels)
    }

    fn position(&self, namespace: &str) -> Option<EntryId> {
        let stream = self.format.stream(namespace)?;
        let positions = self.positions.lock();
        positions.get(&stream).map(|position| position.at)
    }

    fn keep(&self, kept: Kept, limit: Duration) {
        let Some(value) = to_text(&kept) else {
            return;
        };
        let key = restore::key(&kept.pid);
        self.queue.keep(key, value.into(), limit, Instant::now());
    }

    fn forget(&self, pid: &str) {
        self.queue.forget(restore::key(pid), Instant::now());
    }

    fn restore(self: Arc<Self>, membership: Arc<Membership>, claim: Claim) -> BackFuture {
        Box::pin(restore::run(self, membership, claim))
    }

    fn enter(&self, membership: &Arc<Membership>) {
        let name = membership.shared_name();
        self.namespaces
            .write()
            .insert(Arc::clone(name), Arc::clone(membership));
        for channel in self.format.channels(name) {
            self.channels.listen(channel);
        }
    }

    fn leave(&self, namespace: &Arc<str>) {
        self.namespaces.write().remove(namespace);
        for channel in self.format.channels(namespace) {
            self.channels.leave(&channel);
        }
    }

    fn room_changed(&self, namespace: &Arc<str>, room: &Arc<str>, began: bool) {
        match self.format.room_channel(namespace, room) {
            Some(channel) if began => self.channels.listen(channel),
            Some(channel) => self.channels.leave(&channel),
            None => {}
        }
    }

    fn asks_for_rooms(&self) -> bool {
        self.format.asks_for_rooms()
    }

    fn ack_timeout(&self) -> Duration {
        self.ack_timeout
    }

    fn health(&self) -> AdapterHealth {
        let (queued_bytes, refused) = self.queue.state();
        let health = self.health.lock();
        AdapterHealth {
            connected: health.is_whole() && !self.closed.is_cancelled(),
            queued_bytes,
            refused,
            lost: health.lost,
            reconnects: health.reconnects,
            error: health.error.clone().or_else(|| health.denied.clone()),
        }
    }

    fn settle(self: Arc<Self>) -> crate::socket::SettledFuture {
        Box::pin(async move {
            self.answering.close();
            self.answering.wait().await;
        })
    }

    fn close(self: Arc<Self>, limit: Duration) -> crate::socket::ClosedFuture {
        Box::pin(async move {
            let done = async {
                forward::answered(&self).await;
                self.queue.drained().await;
                self.queue.recorded().await;
            };
            let drained = tokio::time::timeout(limit, done).await;
            self.closed.cancel();
            self.ended();
            drained.is_ok()
        })
    }
}

fn away(error: &RedisError) -> ClusterError {
    ClusterError::Unavailable(error.to_string())
}

/// The field of a stream's entry that has the number of a node's own event; readers of other kinds
/// skip it.
pub(crate) const OWN: &str = "own";

/// Clients that come back for whom a stream is read at the same time.
const REPLAYS: usize = 8;

/// Nodes whose last number is remembered; each start of a node is another.
const NODES_REMEMBERED: usize = 10_000;
