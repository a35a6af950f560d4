//! A question that is under way: the nodes that have answered, and those that will not any more.
//!
//! The broker knows the nodes that listen, and forgets one with its last connection. So a question
//! ends early if a node dies, and says which. A task of its own drives it.

use std::collections::{HashMap, HashSet};
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
use crate::adapter::roster::Roster;
use crate::adapter::sending::Outbound;
use crate::adapter::tasks::Tasks;
use crate::cluster::{Answer, ClusterError, NodeId, Question, Reach, Reply, Scope};
use crate::logging::{LogKind, LogLimits};

/// Asks the other nodes.
#[derive(Debug)]
pub(crate) struct Questions {
    format: Arc<dyn Format>,
    broker: Arc<dyn Broker>,
    roster: Roster,
    outbound: Arc<Outbound>,
    pending: Arc<Pending>,
    health: Arc<Health>,
    tasks: Arc<Tasks>,
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
            tasks: Arc::clone(&context.tasks),
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
        // At once, so that it keeps its place behind the messages before it.
        let replies = self.pending.expect(&request);
        if let Err(error) = self.outbound.ask(namespace, question, &request) {
            self.pending.forget(&request);
            self.cut_off(&answers, error);
            return receiver;
        }
        let tracker = ResponseTracker {
            counts_clients: matches!(question, Question::Emit { .. }),
            ..ResponseTracker::default()
        };
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

    /// Returns the names of all nodes of a namespace, this one included.
    ///
    /// # Errors
    ///
    /// If the broker cannot be asked, or the format cannot tell.
    pub(crate) async fn nodes(&self, namespace: &str) -> Result<Vec<NodeId>, ClusterError> {
        let others = self.peers(namespace).await?;
        let others = others.ok_or(ClusterError::Unsupported("which nodes there are"))?;
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

    /// Waits for a while, then returns those of these nodes that are still there; `None` if nobody
    /// can tell.
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
        let line = format_args!("other nodes are not asked: {error}");
        self.line_limits.write(LogKind::Foreign, Level::Warn, line);
        // The task that has asked may have ended.
        let _ = answers.send(Answer::Reach(Reach {
            cut_off: Some(error),
            ..Reach::default()
        }));
    }
}

/// A request whose answers are waited for, for as long as it lives.
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
                // Nobody answers a node that has closed.
                self.tracker.timed_out = true;
                Ok(())
            }
        };
        match asked {
            // The task that has asked may have ended.
            Ok(()) => drop(self.answers.send(Answer::Reach(self.tracker.reach()))),
            Err(error) => self.questions.cut_off(&self.answers, error),
        }
    }

    /// Passes answers on until all have come that will.
    ///
    /// # Errors
    ///
    /// If nobody says which nodes there are.
    async fn pass_on(&mut self) -> Result<(), ClusterError> {
        let questions = Arc::clone(&self.questions);
        let roll = timeout_at(self.deadline, questions.peers(&self.namespace)).await;
        self.tracker.only_one = match roll {
            Ok(Ok(Some(nodes))) => {
                self.tracker.expect(nodes);
                false
            }
            // Nobody knows who listens; what is asked there has one answer.
            Ok(Ok(None)) => true,
            Ok(Err(error)) => return Err(error),
            Err(_) => {
                let cause = "the broker does not answer".to_owned();
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
                    // While the broker is away nobody is given up.
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

/// Who has answered so far.
#[derive(Clone, Debug, Default)]
struct ResponseTracker {
    /// Names of nodes; there may be more of them than nodes.
    expected: HashSet<String>,
    /// How many nodes there are.
    nodes: usize,
    /// How many of them there are at the last look, or fewer.
    left: usize,
    /// Nodes that have ended while they were asked.
    gone: HashSet<String>,
    /// What each node has said: how many clients it asks, and how many of them are still to answer.
    said: HashMap<String, usize>,
    /// Answers that do not say whose they are.
    unnamed: usize,
    /// Clients of those nodes that are still to answer.
    waiting: usize,
    /// Each node counts its clients first, and these answer one by one.
    counts_clients: bool,
    /// The only answer there will be is a client's.
    only_one: bool,
    heard_one: bool,
    timed_out: bool,
}

impl ResponseTracker {
    /// Takes note of a reply, and tells whether it is one that was asked for: a client answers
    /// once, after its node has counted it, and so does a node. Others would fill what the requester
    /// has yet to read.
    fn count(&mut self, from: &str, reply: &Reply) -> bool {
        match reply {
            Reply::Acknowledged(..) | Reply::Gone(_) if self.only_one => {
                !std::mem::replace(&mut self.heard_one, true)
            }
            Reply::Acknowledged(..) => self.answered(from, 1),
            Reply::Gone(count) => self.answered(from, *count),
            Reply::Asked(clients) => self.said(from, *clients),
            _ => self.said(from, 0),
        }
    }

    /// So many clients have answered, or gone.
    fn answered(&mut self, from: &str, count: usize) -> bool {
        let waiting = self.said.get_mut(from).unwrap_or(&mut self.waiting);
        let is_awaited = *waiting >= count;
        *waiting = waiting.saturating_sub(count);
        is_awaited
    }

    /// A node has answered, and has so many clients that are still to do so.
    fn said(&mut self, from: &str, clients: usize) -> bool {
        if !from.is_empty() {
            let is_first = !self.said.contains_key(from);
            self.said.entry(from.to_owned()).or_insert(clients);
            return is_first;
        }
        self.unnamed += 1;
        self.waiting = self.waiting.saturating_add(clients);
        self.unnamed <= self.nodes
    }

    /// Takes note of which nodes are asked.
    fn expect(&mut self, nodes: Peers) {
        self.nodes = nodes.count;
        self.left = nodes.count;
        self.expected = nodes.names;
    }

    /// Takes note of which nodes there still are.
    fn only(&mut self, nodes: &Peers) {
        self.gone = self.expected.difference(&nodes.names).cloned().collect();
        self.left = self.left.min(nodes.count);
    }

    fn is_done(&self) -> bool {
        if self.only_one {
            return self.heard_one;
        }
        let is_there = |node: &&String| !self.gone.contains(*node);
        let said = self.said.keys().filter(is_there).count();
        let silent = self.silent().filter(is_there).count();
        // Of more names than nodes some are no nodes', and nobody answers for those.
        let silent = silent.min(self.left.saturating_sub(said));
        let clients = self.said.iter().filter(|(node, _)| is_there(node));
        let waiting = clients.fold(self.waiting, |sum, (_, waiting)| {
            sum.saturating_add(*waiting)
        });
        silent <= self.unnamed && (!self.counts_clients || waiting == 0)
    }

    /// Returns those of the names that have said nothing.
    fn silent(&self) -> impl Iterator<Item = &String> {
        let expected = self.expected.iter();
        expected.filter(|node| !self.said.contains_key(*node))
    }

    /// Returns who has ended with clients that were asked, and have not answered.
    fn lost(&self) -> impl Iterator<Item = NodeId> {
        let said = self.said.iter();
        let lost = said.filter(|(node, waiting)| **waiting > 0 && self.gone.contains(*node));
        lost.map(|(node, _)| NodeId::new(node))
    }

    fn reach(&self) -> Reach {
        let silent: Vec<NodeId> = self.silent().map(|node| NodeId::new(node)).collect();
        let missing = silent.len().min(self.nodes.saturating_sub(self.said.len()));
        let missing = missing.saturating_sub(self.unnamed);
        let (mut silent, unnamed) = if missing == silent.len() {
            (silent, 0)
        } else {
            // Some of these have answered without a name, or are no nodes; those that have gone are
            // known.
            let gone = silent
                .into_iter()
                .filter(|node| self.gone.contains(node.as_str()));
            let gone: Vec<_> = gone.take(missing).collect();
            let unnamed = missing - gone.len();
            (gone, unnamed)
        };
        silent.extend(self.lost());
        Reach {
            nodes: self.nodes,
            silent,
            unnamed,
            cut_off: None,
            timed_out: self.timed_out,
        }
    }
}

/// Characters of a request's id: few enough for a number of JSON.
const REQUEST: usize = 12;

/// How long nodes may take to say that they are there.
const ROLL_CALL_LIMIT: Duration = Duration::from_secs(5);

/// How often it is looked whether the nodes that have not answered are still there.
const LOOK: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    fn tracker(names: &[&str], counts_clients: bool) -> ResponseTracker {
        let mut tracker = ResponseTracker {
            counts_clients,
            ..ResponseTracker::default()
        };
        tracker.expect(nodes(names));
        tracker
    }

    fn nodes(names: &[&str]) -> Peers {
        Peers {
            names: names.iter().map(|&name| name.to_owned()).collect(),
            count: names.len(),
        }
    }

    #[test]
    fn it_is_done_when_every_node_has_answered() {
        let mut tracker = tracker(&["a", "b"], false);
        tracker.count("a", &Reply::Rooms(Vec::new()));
        assert!(!tracker.is_done());
        tracker.count("", &Reply::Rooms(Vec::new()));
        assert!(tracker.is_done());
        assert!(tracker.reach().is_complete());
    }

    #[test]
    fn a_node_that_ends_is_named_and_not_waited_for() {
        let mut tracker = tracker(&["a", "b"], false);
        tracker.count("a", &Reply::Rooms(Vec::new()));
        tracker.only(&nodes(&["a"]));
        assert!(tracker.is_done());
        assert_eq!(tracker.reach().silent(), [NodeId::new("b")]);
    }

    #[test]
    fn answers_without_names_are_those_of_nodes_that_are_there() {
        let mut tracker = tracker(&["a", "b"], false);
        tracker.only(&nodes(&["a"]));
        assert!(!tracker.is_done());
        tracker.count("", &Reply::Rooms(Vec::new()));
        assert!(tracker.is_done());
        assert_eq!(tracker.reach().silent(), [NodeId::new("b")]);
    }

    #[test]
    fn a_name_too_many_is_no_node() {
        let mut tracker = tracker(&[], false);
        let others = Peers {
            count: 2,
            ..nodes(&["a", "b", "room"])
        };
        tracker.expect(others.clone());
        tracker.count("a", &Reply::Rooms(Vec::new()));
        tracker.only(&others);
        assert!(!tracker.is_done());
        let reach = tracker.reach();
        assert_eq!(
            (reach.nodes(), reach.silent(), reach.unnamed()),
            (2, &[][..], 1)
        );
        let mut ended = tracker.clone();
        tracker.count("b", &Reply::Rooms(Vec::new()));
        assert!(tracker.is_done() && tracker.reach().is_complete());
        ended.only(&Peers {
            count: 1,
            ..nodes(&["a", "room"])
        });
        assert!(ended.is_done());
        assert_eq!(ended.reach().silent(), [NodeId::new("b")]);
    }

    #[test]
    fn counts_that_are_too_large_are_no_panic() {
        let mut tracker = tracker(&["a", "b"], true);
        for node in ["a", "b", "", ""] {
            tracker.count(node, &Reply::Asked(usize::MAX));
        }
        assert!(!tracker.is_done());
    }

    #[test]
    fn clients_are_waited_for_but_those_of_a_node_that_has_ended() {
        let mut tracker = tracker(&["a", "b"], true);
        tracker.count("a", &Reply::Asked(2));
        tracker.count("b", &Reply::Asked(1));
        tracker.count("a", &Reply::Acknowledged(None, Default::default()));
        assert!(!tracker.is_done());
        tracker.count("a", &Reply::Gone(1));
        assert!(!tracker.is_done());
        assert!(tracker.reach().silent().is_empty());
        tracker.only(&nodes(&["a"]));
        assert!(tracker.is_done());
        assert_eq!(tracker.reach().silent(), [NodeId::new("b")]);
    }

    #[test]
    fn what_was_not_asked_for_is_not_passed_on() {
        let acknowledged = || Reply::Acknowledged(None, Default::default());
        let mut clients = tracker(&["a", "b"], true);
        assert!(!clients.count("a", &acknowledged()));
        assert!(clients.count("a", &Reply::Asked(2)));
        assert!(!clients.count("a", &Reply::Asked(2)));
        assert!(clients.count("a", &acknowledged()));
        assert!(clients.count("a", &acknowledged()));
        assert!(!clients.count("a", &acknowledged()));
        assert!(clients.count("", &Reply::Asked(1)));
        assert!(clients.count("", &acknowledged()));
        assert!(!clients.count("", &acknowledged()));
        let mut nodes = tracker(&["a", "b"], false);
        assert!(nodes.count("a", &Reply::Rooms(Vec::new())));
        assert!(!nodes.count("a", &Reply::Rooms(Vec::new())));
        for is_asked_for in [true, true, false] {
            assert_eq!(nodes.count("", &Reply::Rooms(Vec::new())), is_asked_for);
        }
        let mut only_one = ResponseTracker {
            only_one: true,
            ..ResponseTracker::default()
        };
        assert!(only_one.count("", &acknowledged()));
        assert!(!only_one.count("", &acknowledged()));
    }

    #[test]
    fn who_is_silent_until_time_is_up_is_counted_where_it_cannot_be_named() {
        let mut tracker = tracker(&["a", "b", "c"], false);
        tracker.count("", &Reply::Rooms(Vec::new()));
        let reach = tracker.reach();
        assert_eq!((reach.silent(), reach.unnamed()), (&[][..], 2));
    }
}
