//! A node of a cluster: the owners of its parts, and the trait for namespaces.
//!
//! Each part owns its state and its tasks; the node makes them, and delegates to them.

use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::ArbiterHandle;
use parking_lot::Mutex;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use crate::adapter::broker::{Broker, BrokerTask, Wires};
use crate::adapter::context::NodeContext;
use crate::adapter::format::Format;
use crate::adapter::forwarding::PollForwarder;
use crate::adapter::namespaces::Namespaces;
use crate::adapter::positions::Positions;
use crate::adapter::questions::{Pending, Questions};
use crate::adapter::receiving::Delivery;
use crate::adapter::recovery::{Restorer, keep_writing, key, to_text};
use crate::adapter::sending::{Outbound, Queue, RecordKey};
use crate::adapter::setup::AdapterSetup;
use crate::adapter::subscriptions::Subscriptions;
use crate::cluster::{AdapterHealth, Answer, ClusterError, EntryId, Message, Question};
use crate::config::SocketConfig;
use crate::id::Tag;
use crate::members::{Adapter, Membership, NodesFuture, PersistedSocket, ResumeRequest};
use crate::namespace::{ClosedFuture, Cluster, ResumedFuture, SettledFuture};
use crate::session::{Engine, Forwarding};
use crate::supervision::ChildPanic;
use crate::tasks::TaskGroup;

/// A node of a cluster.
#[derive(Debug)]
pub(crate) struct Node {
    format: Arc<dyn Format>,
    broker: Arc<dyn Broker>,
    wires: Wires,
    outbound: Arc<Outbound>,
    delivery: Arc<Delivery>,
    questions: Arc<Questions>,
    forwarder: Arc<PollForwarder>,
    restorer: Arc<Restorer>,
    namespaces: Arc<Namespaces>,
    tasks: TaskGroup<&'static str>,
    closed: CancellationToken,
    /// The address of the actor that runs the connections: it keeps the actor running.
    actor: Mutex<Option<Box<dyn Any + Send>>>,
    ack_timeout: Duration,
    disconnect_event: Cow<'static, str>,
}

impl Node {
    pub(crate) fn new(
        setup: AdapterSetup,
        arbiter: &ArbiterHandle,
        sockets: &SocketConfig,
        fallen: Arc<dyn Fn(ChildPanic) + Send + Sync>,
    ) -> Arc<Self> {
        let AdapterSetup { format, broker, .. } = setup;
        let tag = Tag::random();
        let channel = format.poll_channel(tag);
        // From the first connection on, so that this node receives the answers that it awaits.
        let subscriptions = Arc::new(Subscriptions::default());
        subscriptions.listen(channel.clone());
        let queue = Arc::new(Queue::new(setup.queue_limit));
        let namespaces = Arc::new(Namespaces::default());
        let pending = Arc::new(Pending::default());
        let context = NodeContext::new(format, broker, arbiter, fallen);
        let outbound = Outbound::new(&context.format, &queue, &context.line_limits);
        let forwarder = PollForwarder::new(&context, tag, channel);
        let delivery = Delivery::new(
            &context,
            &namespaces,
            &outbound,
            &pending,
            &forwarder,
            setup.requests_in_flight,
        );
        let questions = Questions::new(&context, &outbound, &pending);
        let positions = Arc::new(Positions::default());
        let restorer = Restorer::new(&context, &queue, &outbound, &positions);
        let wires = Wires {
            queue,
            subscriptions,
            positions,
            inbound: Arc::clone(&delivery) as _,
            health: Arc::clone(&context.health),
        };
        Arc::new(Self {
            format: context.format,
            broker: context.broker,
            tasks: context.tasks,
            closed: context.closed,
            wires,
            outbound,
            delivery,
            questions,
            forwarder,
            restorer,
            namespaces,
            actor: Mutex::new(None),
            ack_timeout: sockets.ack_timeout,
            disconnect_event: sockets.disconnect_event.clone(),
        })
    }

    /// Keeps the actor running that runs the connections, by its address.
    pub(crate) fn keep_running(&self, actor: impl Any + Send) {
        *self.actor.lock() = Some(Box::new(actor));
    }

    /// Returns the tasks that run as long as the node.
    pub(crate) fn connections(&self) -> Vec<BrokerTask> {
        let mut tasks = Arc::clone(&self.broker).tasks(&self.wires);
        tasks.push(Box::pin(Arc::clone(&self.forwarder).watch()));
        if self.stores_records() {
            let (namespaces, queue) = (&self.namespaces, &self.wires.queue);
            tasks.push(Box::pin(keep_writing(
                Arc::clone(namespaces),
                Arc::clone(queue),
            )));
        }
        tasks
    }

    /// Returns the token that is cancelled after the node has closed.
    pub(crate) fn closed(&self) -> CancellationToken {
        self.closed.clone()
    }

    /// Records that there will be no more connections.
    pub(crate) fn ended(&self) {
        self.forwarder.listens(false);
        self.broker.ended();
        self.wires.health.ended();
    }

    /// Returns the forwarding to sessions of other nodes.
    pub(crate) fn forwarding(&self) -> Arc<dyn Forwarding> {
        Arc::clone(&self.forwarder) as _
    }

    /// Answers requests of other nodes for this one's sessions from now on.
    pub(crate) fn serve(&self, engine: &Arc<Engine>) {
        self.forwarder.serve(engine);
    }
}

impl Adapter for Node {
    fn tell(&self, namespace: &Arc<str>, message: &Message) -> Result<(), ClusterError> {
        self.outbound.tell(namespace, message)
    }

    fn ask(
        self: Arc<Self>,
        namespace: &Arc<str>,
        question: Question,
        limit: Duration,
    ) -> UnboundedReceiver<Answer> {
        self.questions.start(namespace, &question, limit)
    }

    fn nodes(self: Arc<Self>, namespace: &Arc<str>) -> NodesFuture {
        let namespace = Arc::clone(namespace);
        Box::pin(async move { self.questions.nodes(&namespace).await })
    }

    fn stores_records(&self) -> bool {
        self.format.capabilities().recovery
    }

    fn uid(&self) -> &str {
        self.format.uid()
    }

    fn reserve(&self) -> u64 {
        self.outbound.reserve()
    }

    fn tell_as(
        &self,
        number: u64,
        namespace: &Arc<str>,
        message: &Message,
    ) -> Result<(), ClusterError> {
        self.outbound.tell_as(number, namespace, message)
    }

    fn read_position(&self, namespace: &str) -> Option<EntryId> {
        let stream = self.format.stream(namespace)?;
        self.wires
            .positions
            .get(&stream)
            .map(|position| position.at)
    }

    fn store_record(&self, persisted: PersistedSocket, limit: Duration) {
        let Some(value) = to_text(&persisted) else {
            return;
        };
        let key = RecordKey {
            name: key(&persisted.pid),
            moves: persisted.moves,
        };
        let now = Instant::now();
        self.wires.queue.keep(key, value.into(), limit, now);
    }

    fn delete_record(&self, pid: &str, moves: u64) {
        let key = RecordKey {
            name: key(pid),
            moves,
        };
        self.wires.queue.forget(key, Instant::now());
    }

    fn room_changed(&self, namespace: &Arc<str>, room: &Arc<str>, began: bool) {
        match self.format.room_channel(namespace, room) {
            Some(channel) if began => self.wires.subscriptions.listen(channel),
            Some(channel) => self.wires.subscriptions.leave(&channel),
            None => {}
        }
    }

    fn asks_for_rooms(&self) -> bool {
        self.format.capabilities().rooms
    }

    fn disconnect_event(&self) -> &str {
        &self.disconnect_event
    }

    fn ack_timeout(&self) -> Duration {
        self.ack_timeout
    }
}

impl Cluster for Node {
    fn enter(&self, membership: &Arc<Membership>) {
        if membership.recovery.is_some() {
            self.wires.positions.keep_events();
        }
        self.namespaces.add(membership);
        for channel in self.format.channels(membership.name()) {
            self.wires.subscriptions.listen(channel);
        }
    }

    fn leave(&self, namespace: &Arc<str>) {
        self.namespaces.remove(namespace);
        for channel in self.format.channels(namespace) {
            self.wires.subscriptions.leave(&channel);
        }
    }

    fn restore(
        self: Arc<Self>,
        membership: Arc<Membership>,
        request: ResumeRequest,
    ) -> ResumedFuture {
        Box::pin(async move { self.restorer.run(membership, request).await })
    }

    fn health(&self) -> AdapterHealth {
        let (queued_bytes, refused) = self.wires.queue.state();
        let report = self.wires.health.report();
        AdapterHealth {
            connected: report.connected && !self.closed.is_cancelled(),
            queued_bytes,
            refused,
            ..report
        }
    }

    fn recorded(self: Arc<Self>) -> SettledFuture {
        Box::pin(async move { self.wires.queue.recorded().await })
    }

    fn settle(self: Arc<Self>) -> SettledFuture {
        Box::pin(async move { self.delivery.settled().await })
    }

    fn close(self: Arc<Self>, limit: Duration) -> ClosedFuture {
        Box::pin(async move {
            let deadline = tokio::time::Instant::now() + limit;
            let done = async {
                self.forwarder.answered().await;
                // A program that goes on emitting does not delay the end: its later messages get an
                // error.
                self.wires.queue.flushed().await;
                self.wires.queue.close();
                self.wires.queue.drained().await;
                self.wires.queue.recorded().await;
            };
            let drained = tokio::time::timeout_at(deadline, done).await;
            self.wires.queue.close();
            self.closed.cancel();
            self.ended();
            // Without a connection they can only wait for clients.
            let _ = tokio::time::timeout_at(deadline, self.tasks.ended()).await;
            drained.is_ok()
        })
    }
}
