//! The requests that this node has forwarded and whose answers it awaits.
//!
//! No request is registered while this node does not receive answers, or is about to end. This
//! module depends on no broker.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::timeout;

use crate::id::{Id, Tag};
use crate::session::{PollError, PollResponse};

/// The forwarded requests by number, and whether there may be more.
#[derive(Debug, Default)]
pub(super) struct Forwards {
    next: AtomicU64,
    standing: watch::Sender<LinkState>,
    waiting: Mutex<HashMap<u64, Waiting>>,
    emptied: Notify,
}

/// Whether this node may forward requests.
#[derive(Clone, Copy, Debug, Default)]
struct LinkState {
    /// It is subscribed to its channel, and so receives answers.
    listens: bool,
    /// It is about to end, and no polls may wait here.
    ends: bool,
}

/// A request that waits for its answer.
#[derive(Debug)]
pub(super) struct Waiting {
    session: Id,
    takes: bool,
    pub(super) answer: oneshot::Sender<Result<PollResponse, PollError>>,
}

impl Forwards {
    /// Records whether answers can arrive; if they cannot, every request ends.
    pub(super) fn listens(&self, listens: bool) {
        self.standing
            .send_modify(|standing| standing.listens = listens);
        if !listens {
            self.waiting.lock().clear();
        }
    }

    /// Records that this node is about to end.
    pub(super) fn ends(&self) {
        self.standing.send_modify(|standing| standing.ends = true);
    }

    /// Waits until answers can be received; `false` if it takes too long.
    pub(super) async fn can_listen(&self) -> bool {
        let mut standing = self.standing.subscribe();
        until_listening(&mut standing, false).await.is_some()
    }

    /// Registers a request, as soon as its answer can be received; `None` for a poll that may not
    /// wait here.
    pub(super) async fn expect(
        &self,
        session: Id,
        takes: bool,
    ) -> Result<Option<Expected>, PollError> {
        let mut standing = self.standing.subscribe();
        let listening = until_listening(&mut standing, takes);
        // No race: either the writer sees this request in the table, or this request sees the
        // written state.
        let now = listening.await.ok_or(PollError::Unknown)?;
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

    /// Waits until no request is in progress.
    pub(super) async fn finished(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.waiting.lock().is_empty() {
                return;
            }
            emptied.await;
        }
    }

    /// Removes a request; `None` if it has ended.
    pub(super) fn forget(&self, number: u64) -> Option<Waiting> {
        let mut waiting = self.waiting.lock();
        let forgotten = waiting.remove(&number);
        if waiting.is_empty() {
            self.emptied.notify_waiters();
        }
        forgotten
    }

    /// Returns the sessions whose polls wait.
    pub(super) fn polled(&self) -> Vec<Id> {
        let waiting = self.waiting.lock();
        let polls = waiting.values().filter(|waiting| waiting.takes);
        polls.map(|waiting| waiting.session).collect()
    }

    /// Returns the nodes whose answers are awaited.
    pub(super) fn waited_for(&self) -> HashSet<Tag> {
        let waiting = self.waiting.lock();
        waiting
            .values()
            .map(|waiting| waiting.session.tag())
            .collect()
    }

    /// Ends the requests to a node.
    pub(super) fn give_up_on(&self, node: Tag) {
        self.waiting
            .lock()
            .retain(|_, waiting| waiting.session.tag() != node);
    }
}

/// Waits until answers can be received, or until a poll may no longer wait here; `None` if it takes
/// too long.
async fn until_listening(
    standing: &mut watch::Receiver<LinkState>,
    takes: bool,
) -> Option<watch::Ref<'_, LinkState>> {
    let listening = standing.wait_for(|now| now.listens || takes && now.ends);
    timeout(OUTAGE_LIMIT, listening).await.ok()?.ok()
}

/// A request that has been registered.
pub(super) struct Expected {
    pub(super) number: u64,
    pub(super) answered: oneshot::Receiver<Result<PollResponse, PollError>>,
}

/// The time limit of a request while the broker is unreachable: in an outage clients change nodes.
const OUTAGE_LIMIT: Duration = Duration::from_secs(3);
