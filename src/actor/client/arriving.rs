//! Clients that may have been on another node: the cluster is asked what they had there.
//!
//! The answer comes as a nudge; what the client sends meanwhile waits.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::actor::client::{Client, Waiting};
use crate::actor::registry::Seat;
use crate::reason::CloseReason;
use crate::socket::{Back, Claim, Recovery};

/// A client that may have been on another node, in one namespace.
pub(super) struct Arriving {
    pub(super) namespace: Seat,
    auth: Option<Box<str>>,
    pub(super) waiting: Vec<Waiting>,
}

/// What the cluster has found, by the namespace's name.
pub(super) type Found = Mutex<Vec<(Arc<str>, Option<Back>)>>;

impl Client {
    /// Asks the cluster what the client had; the answer comes with a nudge.
    pub(super) fn ask_cluster(&mut self, namespace: Seat, auth: Option<&str>, claim: Claim) {
        let membership = Arc::clone(&namespace.membership);
        self.arriving.push(Arriving {
            namespace,
            auth: auth.map(Into::into),
            waiting: Vec::new(),
        });
        let Some(adapter) = membership.remembering().cloned() else {
            return;
        };
        let (found, link) = (Arc::downgrade(&self.found), Arc::clone(&self.link));
        self.registry.arbiter().spawn(async move {
            let name = Arc::clone(membership.shared_name());
            let back = Arc::clone(&adapter)
                .restore(Arc::clone(&membership), claim)
                .await;
            match (found.upgrade(), back) {
                (Some(found), back) => {
                    found.lock().push((name, back));
                    link.nudge();
                }
                // The client has gone meanwhile, and may try again.
                (None, Some(back)) => membership.keep_again(back),
                (None, None) => {}
            }
        });
    }

    /// Goes on with those of whom the cluster has said what they had.
    pub(super) fn arrived(&mut self) {
        let found = std::mem::take(&mut *self.found.lock());
        for (name, back) in found {
            let is_it = |it: &Arriving| it.namespace.membership.shared_name() == &name;
            let Some(at) = self.arriving.iter().position(is_it) else {
                continue;
            };
            let Arriving {
                namespace,
                auth,
                waiting,
            } = self.arriving.swap_remove(at);
            let resume = back.map_or_else(Recovery::anew, Recovery::again);
            let at = self.enter(namespace, auth.as_deref(), Some(resume));
            for packet in waiting {
                self.slots[at].wait(&packet.text, packet.attachments);
            }
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
