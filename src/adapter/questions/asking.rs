//! A question in progress: the nodes that have answered, and those that will not answer.
//!
//! The broker lists the nodes that subscribe, and removes one with its last connection. So a
//! question ends early if a node ends, and names that node. A task of its own drives it.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use log::Level;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::adapter::broker::Broker;
use crate::adapter::context::NodeContext;
use crate::adapter::format::{Format, Peers};
use crate::adapter::health::Health;
use crate::adapter::questions::Pending;
use crate::adapter::questions::tracker::ResponseTracker;
use crate::adapter::roster::Roster;
use crate::adapter::sending::Outbound;
use crate::cluster::{Answer, ClusterError, Coverage, NodeId, Question, Reply, Scope};
use crate::logging::{LogKind, LogLimits};
use crate::tasks::TaskGroup;

/// Asks the other nodes.
#[derive(Debug)]
pub(crate) struct Questions {
    format: Arc<dyn Format>,
    broker: Arc<dyn Broker>,
    roster: Roster,
    outbound: Arc<Outbound>,
    pending: Arc<Pending>,
    health: Arc<Health>,
    tasks: TaskGroup<&'static str>,
    closed: CancellationToken,
    line_limits: Arc<LogLimits>,
}

impl Questions {
    pub(crate) fn new(
        context: &NodeContext,
        outbound: &Arc<Outbound>,
        pending: &Arc<Pending>,
    ) -> Arc<Self> {
        Arc::new(Self {
            format: Arc::clone(&context.format),
            broker: Arc::clone(&context.broker),
            roster: Roster::new(&context.format, &context.broker),
            outbound: Arc::clone(outbound),
            pending: Arc::clone(pending),
            health: Arc::clone(&context.health),
            tasks: context.tasks.clone(),
            closed: context.closed.clone(),
            line_limits: Arc::clone(&context.line_limits),
        })
    }

    /// Sends a request to all other nodes. Fails at once if the broker is unreachable: a queued
    /// request would arrive after its timeout.
    pub(crate) fn start(
        self: &Arc<Self>,
        namespace: &Arc<str>,
        question: &Question,
        limit: Duration,
    ) -> UnboundedReceiver<Answer> {
        let (answers, receiver) = unbounded_channel();
        let deadline = Instant::now() + limit;
        if let Err(error) = self.check_connection() {
            self.cut_off(&answers, error);
            return receiver;
        }
        let request = new_request();
        // At once, so that it keeps its position after earlier messages.
        let replies = self.pending.expect(&request);
        if let Err(error) = self.outbound.ask(namespace, question, &request) {
            self.pending.forget(&request);
            self.cut_off(&answers, error);
            return receiver;
        }
        let counts_clients = matches!(question, Question::Emit { .. });
        let tracker = ResponseTracker::new(counts_clients);
        let asking = Asking {
            questions: Arc::clone(self),
            namespace: Arc::clone(namespace),
            request,
            replies,
            answers,
            tracker,
            deadline,
        };
        self.tasks.spawn("question", asking.run());
        receiver
    }

    /// Returns the names of all nodes of a namespace, including this one.
    ///
    /// # Errors
    ///
    /// If the broker cannot be asked, or the format does not support it.
    pub(crate) async fn nodes(&self, namespace: &str) -> Result<Vec<NodeId>, ClusterError> {
        let others = self.peers(namespace).await?;
        let others = others.ok_or(ClusterError::Unsupported("the list of nodes"))?;
        let names = if others.names.len() > others.count {
            self.who_answers(namespace, others.count).await?
        } else {
            others.names
        };
        let own = std::iter::once(self.format.uid());
        let all = own.chain(names.iter().map(String::as_str));
        Ok(all.map(NodeId::new).collect())
    }

    /// Discovers the other nodes if their channels cannot be told from room channels: sends a
    /// fetch-sockets request that matches no socket, and returns the nodes that respond.
    ///
    /// # Errors
    ///
    /// If they cannot be asked.
    async fn who_answers(
        &self,
        namespace: &str,
        count: usize,
    ) -> Result<HashSet<String>, ClusterError> {
        let expecting = Expecting {
            pending: &self.pending,
            request: new_request(),
        };
        let mut replies = self.pending.expect(&expecting.request);
        let nobody = Scope {
            rooms: vec![expecting.request.clone()],
            except: Vec::new(),
        };
        let question = Question::Sockets(nobody);
        self.outbound
            .ask(namespace, &question, &expecting.request)?;
        let mut names = HashSet::new();
        let deadline = Instant::now() + ROLL_CALL_LIMIT;
        while names.len() < count {
            match timeout_at(deadline, replies.recv()).await {
                Ok(Some((name, _))) => names.insert(name),
                Ok(None) | Err(_) => break,
            };
        }
        Ok(names)
    }

    async fn peers(&self, namespace: &str) -> Result<Option<Peers>, ClusterError> {
        self.check_connection()?;
        self.roster.peers(namespace).await
    }

    /// Waits for a while, then returns those of these nodes that still exist; `None` if that is
    /// unknown.
    async fn look(&self, namespace: &str, nodes: HashSet<String>) -> Option<Peers> {
        sleep(LOOK).await;
        let left = self.roster.still_there(namespace, &nodes).await;
        left.ok().flatten()
    }

    fn check_connection(&self) -> Result<(), ClusterError> {
        match self.broker.is_connected() {
            true => Ok(()),
            false => Err(self.health.unavailable()),
        }
    }

    fn cut_off(&self, answers: &UnboundedSender<Answer>, error: ClusterError) {
        let line = format_args!("question to other nodes not sent: {error}");
        self.line_limits.write(LogKind::Foreign, Level::Warn, line);
        // The task that asked may have ended.
        let _ = answers.send(Answer::Coverage(Coverage {
            cut_off: Some(error),
            ..Coverage::default()
        }));
    }
}

/// A request whose answers are awaited while it exists.
struct Expecting<'p> {
    pending: &'p Pending,
    request: String,
}

impl Drop for Expecting<'_> {
    fn drop(&mut self) {
        self.pending.forget(&self.request);
    }
}

fn new_request() -> String {
    Uuid::new_v4().simple().to_string()[..REQUEST].to_owned()
}

struct Asking {
    questions: Arc<Questions>,
    namespace: Arc<str>,
    request: String,
    replies: UnboundedReceiver<(String, Reply)>,
    answers: UnboundedSender<Answer>,
    tracker: ResponseTracker,
    deadline: Instant,
}

impl Asking {
    async fn run(mut self) {
        let closed = self.questions.closed.clone();
        let asked = tokio::select! {
            biased;
            asked = self.pass_on() => asked,
            () = closed.cancelled() => {
                // A node that has closed receives no answers.
                self.tracker.timed_out = true;
                Ok(())
            }
        };
        match asked {
            // The task that asked may have ended.
            Ok(()) => drop(self.answers.send(Answer::Coverage(self.tracker.coverage()))),
            Err(error) => self.questions.cut_off(&self.answers, error),
        }
    }

    /// Passes answers on until all expected ones have arrived.
    ///
    /// # Errors
    ///
    /// If the nodes are unknown.
    async fn pass_on(&mut self) -> Result<(), ClusterError> {
        let questions = Arc::clone(&self.questions);
        let discovery = timeout_at(self.deadline, questions.peers(&self.namespace)).await;
        self.tracker.only_one = match discovery {
            Ok(Ok(Some(nodes))) => {
                self.tracker.expect(nodes);
                false
            }
            // The subscribers are unknown; such a question has one answer.
            Ok(Ok(None)) => true,
            Ok(Err(error)) => return Err(error),
            Err(_) => {
                let cause = "the broker does not respond".to_owned();
                return Err(ClusterError::Unavailable(cause));
            }
        };
        let mut looking = pin!(questions.look(&self.namespace, self.tracker.expected.clone()));
        while !self.tracker.is_done() {
            tokio::select! {
                biased;
                Some((from, reply)) = self.replies.recv() => {
                    let is_asked_for = self.tracker.count(&from, &reply);
                    if is_asked_for && self.answers.send(Answer::Reply(reply)).is_err() {
                        break;
                    }
                }
                () = self.answers.closed() => break,
                () = sleep_until(self.deadline) => {
                    self.tracker.timed_out = true;
                    break;
                }
                nodes = &mut looking => {
                    // While the broker is unreachable, no node is given up.
                    if let Some(nodes) = nodes {
                        self.tracker.only(&nodes);
                    }
                    looking.set(questions.look(&self.namespace, self.tracker.expected.clone()));
                }
            }
        }
        Ok(())
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.questions.pending.forget(&self.request);
    }
}

/// The number of characters of a request's id: few enough for a number of JSON.
const REQUEST: usize = 12;

/// The time limit for nodes to announce themselves.
const ROLL_CALL_LIMIT: Duration = Duration::from_secs(5);

/// The interval of the check whether the nodes that have not answered still exist.
const LOOK: Duration = Duration::from_millis(250);
