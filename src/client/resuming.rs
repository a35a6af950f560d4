//! Clients that may have been on another node: a request to the cluster for their stored state.
//!
//! The result wakes the session; the client's packets wait until then.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use log::Level;
use parking_lot::Mutex;
use tokio::time::timeout;

use crate::client::message::Message;
use crate::client::passing::not_recovered;
use crate::client::state::{Arriving, Asked, Client, Found};
use crate::link::Link;
use crate::logging::{LogKind, LogLimits};
use crate::members::{Membership, Recovery, ResumeRequest, Resumed};
use crate::message::PanicSource;
use crate::namespace::NamespaceLease;
use crate::reason::CloseReason;

impl Client {
    /// Requests the client's stored state from the cluster; the result wakes the session.
    pub(super) fn ask_cluster(
        &mut self,
        namespace: NamespaceLease,
        auth: Option<&str>,
        request: ResumeRequest,
    ) {
        let Some(cluster) = self.registry.cluster.clone() else {
            let resume = namespace.membership.start_new_session();
            self.enter(namespace, auth, resume);
            return;
        };
        let membership = Arc::clone(&namespace.membership);
        let asked = Arc::clone(self.asked.get_or_insert_default());
        let number = {
            let mut asked = asked.lock();
            asked.found.get_or_insert_default();
            asked.count += 1;
            asked.count
        };
        self.arriving.push(Arriving {
            number,
            namespace,
            auth: auth.map(Into::into),
            waiting: Vec::new(),
        });
        let question = Question {
            number,
            membership: Arc::clone(&membership),
            asked,
            link: Arc::clone(&self.link),
            is_answered: false,
        };
        // Half of the timeout of a session without a socket, so that the client starts a new
        // session well before that.
        let limit = self.link.config.sockets.connect_timeout / 2;
        let log = Arc::clone(&self.registry.server_context.line_limits);
        let name = Arc::clone(membership.shared_name());
        let restoring = cluster.restore(membership, request);
        let work = question.run(restoring, limit, log);
        self.registry
            .supervisor
            .spawn(PanicSource::Adapter, &name, work);
    }

    /// Continues with the clients whose results have arrived.
    pub(super) fn arrived(&mut self) {
        for found in self.found() {
            let is_it = |it: &Arriving| it.number == found.number;
            let Some(at) = self.arriving.iter().position(is_it) else {
                found.forget();
                continue;
            };
            let Arriving {
                namespace,
                auth,
                waiting,
                ..
            } = self.arriving.swap_remove(at);
            let resume = found.resumed.map(Recovery::resume);
            if resume.is_none() {
                not_recovered(&namespace);
            }
            let resume = resume.or_else(|| namespace.membership.start_new_session());
            let at = self.enter(namespace, auth.as_deref(), resume);
            for packet in waiting {
                self.slots[at].wait(packet);
            }
        }
    }

    /// Takes the results that have arrived.
    fn found(&self) -> Vec<Found> {
        let Some(asked) = &self.asked else {
            return Vec::new();
        };
        let mut asked = asked.lock();
        asked.found.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The client cancels its reconnect. Returns whether a request was pending.
    pub(super) fn cancel_reconnect(&mut self, name: &str) -> bool {
        let is_it = |it: &Arriving| it.namespace.membership.name() == name;
        let at = self.arriving.iter().position(is_it);
        at.map(|at| self.arriving.swap_remove(at)).is_some()
    }

    /// The client has disconnected, and may try again.
    pub(super) fn store_again(&mut self) {
        self.arriving.clear();
        let asked = self.asked.as_ref();
        let found = asked.and_then(|asked| asked.lock().found.take());
        for found in found.unwrap_or_default() {
            found.store_again();
        }
    }

    /// Handles a packet for a namespace to which the client is not yet, or no longer, connected.
    pub(super) fn early(&mut self, name: &str, message: Message<'_>) -> Result<(), CloseReason> {
        let is_it = |it: &&mut Arriving| it.namespace.membership.name() == name;
        let Some(arriving) = self.arriving.iter_mut().find(is_it) else {
            return self.stray(name, message.bytes());
        };
        arriving.waiting.push(message.into_owned());
        Ok(())
    }
}

/// A request to the cluster. Its client always gets an answer: if the requesting task panics or is
/// dropped, the answer is that no state was found.
struct Question {
    number: u64,
    membership: Arc<Membership>,
    asked: Arc<Mutex<Asked>>,
    link: Arc<Link>,
    is_answered: bool,
}

impl Question {
    /// Waits up to `limit` for the client's state. A later result is stored again, because it was
    /// taken from the cluster for a client that has started a new session.
    async fn run(
        mut self,
        restoring: impl Future<Output = Option<Resumed>>,
        limit: Duration,
        log: Arc<LogLimits>,
    ) {
        let mut restoring = pin!(restoring);
        if let Ok(resumed) = timeout(limit, restoring.as_mut()).await {
            return self.answer(resumed);
        }
        self.not_recovered(limit, &log);
        self.answer(None);
        if let Some(resumed) = restoring.await {
            self.membership.persist_again(resumed);
        }
    }

    /// Every client that reconnects may cause this line.
    fn not_recovered(&self, limit: Duration, log: &Arc<LogLimits>) {
        let line = format_args!(
            "{}: client not recovered, it starts a new session: no response of the cluster within {limit:?}",
            self.link
        );
        log.write(LogKind::NotRecovered, Level::Warn, line);
    }

    fn answer(&mut self, resumed: Option<Resumed>) {
        if std::mem::replace(&mut self.is_answered, true) {
            return;
        }
        let answer = Found {
            number: self.number,
            membership: Arc::clone(&self.membership),
            resumed,
        };
        // The state of a client has values of the program, which must not be dropped under the lock.
        let unwanted = match &mut self.asked.lock().found {
            Some(found) => {
                found.push(answer);
                None
            }
            None => Some(answer),
        };
        match unwanted {
            Some(answer) => answer.store_again(),
            None => self.link.wake(),
        }
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.answer(None);
    }
}

impl Found {
    fn store_again(self) {
        if let Some(resumed) = self.resumed {
            self.membership.persist_again(resumed);
        }
    }

    fn forget(self) {
        if let (Some(resumed), Some(recovery)) = (self.resumed, &self.membership.recovery) {
            recovery.lock().forget_received(&resumed.state.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;
    use crate::clock::now;
    use crate::config::Config;
    use crate::handshake::Handshake;
    use crate::id::Id;
    use crate::panics::Caught;

    fn new_question() -> Question {
        let config = Arc::new(Config::new("/"));
        Question {
            number: 1,
            membership: Membership::new("/", Vec::new()),
            asked: Arc::new(Mutex::new(Asked {
                count: 1,
                found: Some(Vec::new()),
            })),
            link: Link::new(Id::random(), &config, Handshake::empty(), now()),
            is_answered: false,
        }
    }

    fn run(
        question: Question,
        restoring: impl Future<Output = Option<Resumed>>,
    ) -> impl Future<Output = ()> {
        question.run(
            restoring,
            Duration::from_secs(1),
            Arc::clone(LogLimits::of_process()),
        )
    }

    /// Returns for each answer whether a state was found.
    fn answers(asked: &Mutex<Asked>) -> Vec<(u64, bool)> {
        let asked = asked.lock();
        let answers = asked.found.iter().flatten();
        answers
            .map(|it| (it.number, it.resumed.is_some()))
            .collect()
    }

    #[actix_rt::test]
    async fn a_recovery_request_gets_one_response_if_its_task_panics_or_is_dropped() {
        let question = new_question();
        let asked = Arc::clone(&question.asked);
        run(question, ready(None)).await;
        assert_eq!(answers(&asked), [(1, false)]);

        let question = new_question();
        let asked = Arc::clone(&question.asked);
        let panics = run(question, async { panic!("in the restore") });
        assert_eq!(Caught::new(panics).await, Err("in the restore".to_owned()));
        assert_eq!(answers(&asked), [(1, false)]);

        let question = new_question();
        let asked = Arc::clone(&question.asked);
        drop(run(question, ready(None)));
        assert_eq!(answers(&asked), [(1, false)]);
    }

    #[actix_rt::test]
    async fn a_recovery_request_gets_a_response_at_its_deadline() {
        tokio::time::pause();
        for (after, count) in [(999, 0), (1000, 1)] {
            let question = new_question();
            let asked = Arc::clone(&question.asked);
            let mut running = pin!(run(question, pending()));
            let limit = Duration::from_millis(after);
            assert!(timeout(limit, running.as_mut()).await.is_err());
            assert_eq!(answers(&asked).len(), count, "{after}");
        }
    }
}
