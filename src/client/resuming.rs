//! Clients that may have been on another node: the cluster is asked what they had there.
//!
//! The answer comes as a nudge; what the client sends meanwhile waits.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::client::sockets::{Client, Waiting};
use crate::namespace::Seat;
use crate::reason::CloseReason;
use crate::socket::{Back, Claim, Membership, Recovery};

/// A client that may have been on another node, in one namespace.
pub(super) struct Arriving {
    /// Which of the client's questions to the cluster it is.
    number: u64,
    pub(super) namespace: Seat,
    auth: Option<Box<str>>,
    pub(super) waiting: Vec<Waiting>,
}

/// What the cluster has been asked, and what it has found that nobody has looked at yet; `None`
/// where the client has gone.
#[derive(Default)]
pub(super) struct Asked {
    count: u64,
    found: Arc<Mutex<Option<Vec<Found>>>>,
}

struct Found {
    number: u64,
    membership: Arc<Membership>,
    back: Option<Back>,
}

impl Client {
    /// Asks the cluster what the client had; the answer comes with a nudge.
    pub(super) fn ask_cluster(&mut self, namespace: Seat, auth: Option<&str>, claim: Claim) {
        let membership = Arc::clone(&namespace.membership);
        self.asked.count += 1;
        let number = self.asked.count;
        self.arriving.push(Arriving {
            number,
            namespace,
            auth: auth.map(Into::into),
            waiting: Vec::new(),
        });
        let Some(adapter) = membership.remembering().cloned() else {
            return;
        };
        self.asked.found.lock().get_or_insert_default();
        let (found, link) = (Arc::clone(&self.asked.found), Arc::clone(&self.link));
        self.registry.arbiter().spawn(async move {
            let restoring = Arc::clone(&adapter).restore(Arc::clone(&membership), claim);
            let back = restoring.await;
            let answer = Found {
                number,
                membership,
                back,
            };
            match &mut *found.lock() {
                Some(found) => found.push(answer),
                None => return answer.come_again(),
            }
            link.nudge();
        });
    }

    /// Goes on with those of whom the cluster has said what they had.
    pub(super) fn arrived(&mut self) {
        let found = self.asked.found.lock().as_mut().map(std::mem::take);
        for found in found.unwrap_or_default() {
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
            let resume = found.back.map(Recovery::again);
            let resume = resume.or_else(|| namespace.membership.begin_anew());
            let at = self.enter(namespace, auth.as_deref(), resume);
            for packet in waiting {
                self.slots[at].wait(&packet.text, packet.attachments);
            }
        }
    }

    /// The client does not want to come back after all; tells whether it was about to.
    pub(super) fn turn_back(&mut self, name: &str) -> bool {
        let is_it = |it: &Arriving| it.namespace.membership.name() == name;
        let at = self.arriving.iter().position(is_it);
        at.map(|at| self.arriving.swap_remove(at)).is_some()
    }

    /// The client has gone, and may try again.
    pub(super) fn come_again(&mut self) {
        self.arriving.clear();
        let found = self.asked.found.lock().take();
        for found in found.unwrap_or_default() {
            found.come_again();
        }
    }

    /// Takes a packet for a namespace that the client is not in yet, or not any more.
    pub(super) fn early(
        &mut self,
        name: &str,
        text: &str,
        attachments: Vec<Bytes>,
    ) -> Result<(), CloseReason> {
        let is_it = |it: &&mut Arriving| it.namespace.membership.name() == name;
        let Some(arriving) = self.arriving.iter_mut().find(is_it) else {
            return self.stray(name);
        };
        arriving.waiting.push(Waiting {
            text: text.to_owned(),
            attachments,
        });
        Ok(())
    }
}

impl Found {
    fn come_again(self) {
        if let Some(back) = self.back {
            self.membership.keep_again(back);
        }
    }

    fn forget(self) {
        if let (Some(back), Some(recovery)) = (self.back, &self.membership.recovery) {
            recovery.lock().expect_no_more(back.state.id);
        }
    }
}
