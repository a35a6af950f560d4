//! A question that is on its way: who has answered, and who will not any more.
//!
//! The nodes that listen are known from Redis, which forgets one with its last connection; so the
//! question ends early where a node dies, and says which. A task of its own drives it.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use log::Level;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use uuid::Uuid;

use crate::adapter::format::Others;
use crate::adapter::node::Node;
use crate::cluster::{Answer, ClusterError, NodeId, Question, Reach, Reply, Scope};
use crate::logging::LogKind;

/// Asks every other node, if there is a way to them: what waited for one would be asked later, when
/// nobody expects it any more.
pub(crate) fn start(
    node: &Arc<Node>,
    namespace: &Arc<str>,
    question: &Question,
    limit: Duration,
) -> UnboundedReceiver<Answer> {
    let (answers, receiver) = unbounded_channel();
    let deadline = Instant::now() + limit;
    if let Err(error) = node.connection() {
        cut_off(node, &answers, error);
        return receiver;
    }
    let request = new_request();
    // At once, so that it keeps its place behind what was told before it.
    let replies = node.expect(&request);
    let written = node.format.ask(namespace, question, &request);
    if let Err(error) = written.and_then(|parcels| node.queue.push(parcels)) {
        node.forget(&request);
        cut_off(node, &answers, error);
        return receiver;
    }
    let tally = Tally {
        counts_clients: matches!(question, Question::Emit { .. }),
        ..Tally::default()
    };
    let asking = Asking {
        node: Arc::clone(node),
        namespace: Arc::clone(namespace),
        request,
        replies,
        answers,
        tally,
        deadline,
    };
    node.arbiter.spawn(asking.run());
    receiver
}

/// Finds out who the other nodes of a namespace are where their channels do not tell, since rooms
/// have names like theirs: asks all for the sockets of nobody, and returns who answers.
///
/// # Errors
///
/// Where they cannot be asked.
pub(crate) async fn who_answers(
    node: &Node,
    namespace: &str,
    count: usize,
) -> Result<HashSet<String>, ClusterError> {
    let expecting = Expecting {
        node,
        request: new_request(),
    };
    let mut replies = node.expect(&expecting.request);
    let nobody = Scope {
        rooms: vec![expecting.request.clone()],
        except: Vec::new(),
    };
    let question = Question::Sockets(nobody);
    let written = node.format.ask(namespace, &question, &expecting.request)?;
    node.queue.push(written)?;
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

/// A request whose answers are waited for, for as long as it lives.
struct Expecting<'n> {
    node: &'n Node,
    request: String,
}

impl Drop for Expecting<'_> {
    fn drop(&mut self) {
        self.node.forget(&self.request);
    }
}

fn new_request() -> String {
    Uuid::new_v4().simple().to_string()[..REQUEST].to_owned()
}

fn cut_off(node: &Node, answers: &UnboundedSender<Answer>, error: ClusterError) {
    let line = format_args!("other nodes are not asked: {error}");
    node.line_limits.write(LogKind::Foreign, Level::Warn, line);
    // Whoever asked may have gone.
    let _ = answers.send(Answer::Reach(Reach {
        cut_off: Some(error),
        ..Reach::default()
    }));
}

struct Asking {
    node: Arc<Node>,
    namespace: Arc<str>,
    request: String,
    replies: UnboundedReceiver<(String, Reply)>,
    answers: UnboundedSender<Answer>,
    tally: Tally,
    deadline: Instant,
}

impl Asking {
    async fn run(mut self) {
        let roll = timeout_at(self.deadline, self.node.roll(&self.namespace)).await;
        self.tally.only_one = match roll {
            Ok(Ok(Some(nodes))) => {
                self.tally.expect(nodes);
                false
            }
            // Nobody knows who listens; what is asked there has one answer.
            Ok(Ok(None)) => true,
            Ok(Err(error)) => return cut_off(&self.node, &self.answers, error),
            Err(_) => {
                let error = ClusterError::Unavailable("Redis does not answer".to_owned());
                return cut_off(&self.node, &self.answers, error);
            }
        };
        let mut looking = pin!(look(
            &self.node,
            &self.namespace,
            self.tally.expected.clone()
        ));
        while !self.tally.is_done() {
            tokio::select! {
                biased;
                Some((from, reply)) = self.replies.recv() => {
                    let is_asked_for = self.tally.count(&from, &reply);
                    if is_asked_for && self.answers.send(Answer::Reply(reply)).is_err() {
                        return;
                    }
                }
                () = self.answers.closed() => return,
                () = sleep_until(self.deadline) => {
                    self.tally.timed_out = true;
                    break;
                }
                nodes = &mut looking => {
                    // While Redis is away nobody is given up.
                    if let Some(nodes) = nodes {
                        self.tally.only(&nodes);
                    }
                    looking.set(look(&self.node, &self.namespace, self.tally.expected.clone()));
                }
            }
        }
        let _ = self.answers.send(Answer::Reach(self.tally.reach()));
    }
}

/// Looks in a while which of these nodes are still there; `None` where nobody says.
async fn look(node: &Node, namespace: &str, nodes: HashSet<String>) -> Option<Others> {
    sleep(LOOK).await;
    node.still_there(namespace, &nodes).await.ok().flatten()
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.node.forget(&self.request);
    }
}

/// Who has answered so far.
#[derive(Clone, Debug, Default)]
struct Tally {
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

impl Tally {
    /// Takes note of a reply, and tells whether it is one that was asked for: a client answers
    /// once, after its node has counted it, and so does a node. Others would fill what the asker
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
    fn expect(&mut self, nodes: Others) {
        self.nodes = nodes.count;
        self.left = nodes.count;
        self.expected = nodes.names;
    }

    /// Takes note of which nodes there still are.
    fn only(&mut self, nodes: &Others) {
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

    fn tally(names: &[&str], counts_clients: bool) -> Tally {
        let mut tally = Tally {
            counts_clients,
            ..Tally::default()
        };
        tally.expect(nodes(names));
        tally
    }

    fn nodes(names: &[&str]) -> Others {
        Others {
            names: names.iter().map(|&name| name.to_owned()).collect(),
            count: names.len(),
        }
    }

    #[test]
    fn it_is_done_when_every_node_has_answered() {
        let mut tally = tally(&["a", "b"], false);
        tally.count("a", &Reply::Rooms(Vec::new()));
        assert!(!tally.is_done());
        tally.count("", &Reply::Rooms(Vec::new()));
        assert!(tally.is_done());
        assert!(tally.reach().is_complete());
    }

    #[test]
    fn a_node_that_ends_is_named_and_not_waited_for() {
        let mut tally = tally(&["a", "b"], false);
        tally.count("a", &Reply::Rooms(Vec::new()));
        tally.only(&nodes(&["a"]));
        assert!(tally.is_done());
        assert_eq!(tally.reach().silent(), [NodeId::new("b")]);
    }

    #[test]
    fn answers_without_names_are_those_of_nodes_that_are_there() {
        let mut tally = tally(&["a", "b"], false);
        tally.only(&nodes(&["a"]));
        assert!(!tally.is_done());
        tally.count("", &Reply::Rooms(Vec::new()));
        assert!(tally.is_done());
        assert_eq!(tally.reach().silent(), [NodeId::new("b")]);
    }

    #[test]
    fn a_name_too_many_is_no_node() {
        let mut tally = tally(&[], false);
        let others = Others {
            count: 2,
            ..nodes(&["a", "b", "room"])
        };
        tally.expect(others.clone());
        tally.count("a", &Reply::Rooms(Vec::new()));
        tally.only(&others);
        assert!(!tally.is_done());
        let reach = tally.reach();
        assert_eq!(
            (reach.nodes(), reach.silent(), reach.unnamed()),
            (2, &[][..], 1)
        );
        let mut ended = tally.clone();
        tally.count("b", &Reply::Rooms(Vec::new()));
        assert!(tally.is_done() && tally.reach().is_complete());
        ended.only(&Others {
            count: 1,
            ..nodes(&["a", "room"])
        });
        assert!(ended.is_done());
        assert_eq!(ended.reach().silent(), [NodeId::new("b")]);
    }

    #[test]
    fn counts_that_are_too_large_are_no_panic() {
        let mut tally = tally(&["a", "b"], true);
        for node in ["a", "b", "", ""] {
            tally.count(node, &Reply::Asked(usize::MAX));
        }
        assert!(!tally.is_done());
    }

    #[test]
    fn clients_are_waited_for_but_those_of_a_node_that_has_ended() {
        let mut tally = tally(&["a", "b"], true);
        tally.count("a", &Reply::Asked(2));
        tally.count("b", &Reply::Asked(1));
        tally.count("a", &Reply::Acknowledged(None, Default::default()));
        assert!(!tally.is_done());
        tally.count("a", &Reply::Gone(1));
        assert!(!tally.is_done());
        assert!(tally.reach().silent().is_empty());
        tally.only(&nodes(&["a"]));
        assert!(tally.is_done());
        assert_eq!(tally.reach().silent(), [NodeId::new("b")]);
    }

    #[test]
    fn what_was_not_asked_for_is_not_passed_on() {
        let acknowledged = || Reply::Acknowledged(None, Default::default());
        let mut clients = tally(&["a", "b"], true);
        assert!(!clients.count("a", &acknowledged()));
        assert!(clients.count("a", &Reply::Asked(2)));
        assert!(!clients.count("a", &Reply::Asked(2)));
        assert!(clients.count("a", &acknowledged()));
        assert!(clients.count("a", &acknowledged()));
        assert!(!clients.count("a", &acknowledged()));
        assert!(clients.count("", &Reply::Asked(1)));
        assert!(clients.count("", &acknowledged()));
        assert!(!clients.count("", &acknowledged()));
        let mut nodes = tally(&["a", "b"], false);
        assert!(nodes.count("a", &Reply::Rooms(Vec::new())));
        assert!(!nodes.count("a", &Reply::Rooms(Vec::new())));
        for is_asked_for in [true, true, false] {
            assert_eq!(nodes.count("", &Reply::Rooms(Vec::new())), is_asked_for);
        }
        let mut only_one = Tally {
            only_one: true,
            ..Tally::default()
        };
        assert!(only_one.count("", &acknowledged()));
        assert!(!only_one.count("", &acknowledged()));
    }

    #[test]
    fn who_is_silent_until_time_is_up_is_counted_where_it_cannot_be_named() {
        let mut tally = tally(&["a", "b", "c"], false);
        tally.count("", &Reply::Rooms(Vec::new()));
        let reach = tally.reach();
        assert_eq!((reach.silent(), reach.unnamed()), (&[][..], 2));
    }
}
