//! A question that is on its way: who has answered, and who will not any more.
//!
//! The nodes that listen are known from Redis, which forgets one with its last connection; so the
//! question ends early where a node dies, and says which. A task of its own drives it.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use uuid::Uuid;

use crate::adapter::node::Node;
use crate::cluster::{Answer, ClusterError, NodeId, Question, Reach, Reply};

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
        cut_off(&answers, error);
        return receiver;
    }
    let request = Uuid::new_v4().simple().to_string()[..REQUEST].to_owned();
    // At once, so that it keeps its place behind what was told before it.
    let replies = node.expect(&request);
    let written = node.format.ask(namespace, question, &request);
    if let Err(error) = written.and_then(|parcels| node.queue.push(parcels)) {
        node.forget(&request);
        cut_off(&answers, error);
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

fn cut_off(answers: &UnboundedSender<Answer>, error: ClusterError) {
    log::warn!("the other nodes are not asked: {error}");
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
                self.tally.expected = nodes.into_iter().collect();
                false
            }
            // Nobody knows who listens; what is asked there has one answer.
            Ok(Ok(None)) => true,
            Ok(Err(error)) => return cut_off(&self.answers, error),
            Err(_) => {
                let error = ClusterError::Unavailable("Redis does not answer".to_owned());
                return cut_off(&self.answers, error);
            }
        };
        let mut looking = pin!(look(&self.node, &self.namespace));
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
                    if let Some(nodes) = nodes {
                        self.tally.only(&nodes.into_iter().collect());
                    }
                    looking.set(look(&self.node, &self.namespace));
                }
            }
        }
        let _ = self.answers.send(Answer::Reach(self.tally.reach()));
    }
}

/// Looks in a while which nodes there are; `None` where nobody says, as while Redis is away.
async fn look(node: &Node, namespace: &str) -> Option<Vec<String>> {
    sleep(LOOK).await;
    node.roll(namespace).await.ok().flatten()
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.node.forget(&self.request);
    }
}

/// Who has answered so far.
#[derive(Debug, Default)]
struct Tally {
    expected: HashSet<String>,
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
    /// Takes note of a reply, and tells whether it is one that was asked for: a client answers once, after
    /// its node has counted it, and so does a node. Others would fill what the asker has yet to read.
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
        self.waiting += clients;
        self.unnamed <= self.expected.len()
    }

    /// Takes note of which nodes there still are.
    fn only(&mut self, nodes: &HashSet<String>) {
        self.gone = self.expected.difference(nodes).cloned().collect();
    }

    fn is_done(&self) -> bool {
        if self.only_one {
            return self.heard_one;
        }
        let silent = self.silent().filter(|node| !self.gone.contains(*node));
        let all_said = silent.count() <= self.unnamed;
        let clients = self
            .said
            .iter()
            .filter(|(node, _)| !self.gone.contains(*node));
        let waiting = self.waiting + clients.map(|(_, waiting)| waiting).sum::<usize>();
        all_said && (!self.counts_clients || waiting == 0)
    }

    /// Returns who has not said what it was to say: also who has ended with clients that were asked.
    fn silent(&self) -> impl Iterator<Item = &String> {
        self.expected
            .iter()
            .filter(|node| match self.said.get(*node) {
                Some(waiting) => *waiting > 0 && self.gone.contains(*node),
                None => true,
            })
    }

    fn reach(&self) -> Reach {
        let silent: Vec<NodeId> = self.silent().map(|node| NodeId::new(node)).collect();
        let missing = silent.len().saturating_sub(self.unnamed);
        let (silent, unnamed) = match (missing, self.unnamed) {
            (0, _) => (Vec::new(), 0),
            (_, 0) => (silent, 0),
            // Some of them have answered without a name; those that have gone are known.
            _ => {
                let gone = silent
                    .into_iter()
                    .filter(|node| self.gone.contains(node.as_str()));
                let gone: Vec<_> = gone.take(missing).collect();
                let unnamed = missing - gone.len();
                (gone, unnamed)
            }
        };
        Reach {
            nodes: self.expected.len(),
            silent,
            unnamed,
            cut_off: None,
            timed_out: self.timed_out,
        }
    }
}

/// Characters of a request's id: few enough for a number of JSON.
const REQUEST: usize = 12;

/// How often it is looked whether the nodes that have not answered are still there.
const LOOK: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(nodes: &[&str], counts_clients: bool) -> Tally {
        Tally {
            expected: nodes.iter().map(|&node| node.to_owned()).collect(),
            counts_clients,
            ..Tally::default()
        }
    }

    fn nodes(names: &[&str]) -> HashSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
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
