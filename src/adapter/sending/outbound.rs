//! The messages of this node, before the queue.
//!
//! A message is encoded on the thread of its sender and queued; nothing here waits. The node's own
//! events are numbered here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use log::Level;

use crate::adapter::format::{Envelope, Format, Requester};
use crate::adapter::sending::Queue;
use crate::cluster::{ClusterError, Message, Question, Reply};
use crate::logging::{LogKind, LogLimits, plain};

/// Encodes messages and queues them.
#[derive(Debug)]
pub(crate) struct Outbound {
    format: Arc<dyn Format>,
    queue: Arc<Queue>,
    /// The number of the next event of this node, which is part of the clients' offsets.
    own: AtomicU64,
    line_limits: Arc<LogLimits>,
}

impl Outbound {
    pub(crate) fn new(
        format: &Arc<dyn Format>,
        queue: &Arc<Queue>,
        line_limits: &Arc<LogLimits>,
    ) -> Arc<Self> {
        Arc::new(Self {
            format: Arc::clone(format),
            queue: Arc::clone(queue),
            own: AtomicU64::new(1),
            line_limits: Arc::clone(line_limits),
        })
    }

    /// Queues a message for all other nodes.
    pub(crate) fn tell(&self, namespace: &str, message: &Message) -> Result<(), ClusterError> {
        self.queue.push(self.format.encode(namespace, message)?)
    }

    /// Returns the number of this node's next event.
    pub(crate) fn reserve(&self) -> u64 {
        self.own.fetch_add(1, Ordering::Relaxed)
    }

    /// Queues a message under a [reserved](Self::reserve) number.
    pub(crate) fn tell_as(
        &self,
        number: u64,
        namespace: &str,
        message: &Message,
    ) -> Result<(), ClusterError> {
        let mut envelopes = self.format.encode(namespace, message)?;
        for envelope in &mut envelopes {
            if let Envelope::Append { fields, .. } = envelope {
                fields.push((OWN, number.to_string().into()));
            }
        }
        self.queue.push(envelopes)
    }

    /// Queues a question for all other nodes.
    pub(crate) fn ask(
        &self,
        namespace: &str,
        question: &Question,
        request: &str,
    ) -> Result<(), ClusterError> {
        self.queue
            .push(self.format.encode_question(namespace, question, request)?)
    }

    /// Queues an answer. If it cannot be queued it is lost, and the node that asked waits until its
    /// timeout.
    pub(crate) fn answer(&self, namespace: &str, requester: &Requester, reply: &Reply) {
        let written = self.format.encode_reply(namespace, requester, reply);
        let queued = written.and_then(|envelope| match envelope {
            Some(envelope) => self.queue.push(vec![envelope]),
            None => Ok(()),
        });
        if let Err(error) = queued {
            let line = format_args!("answer to node {} dropped: {error}", plain(&requester.uid));
            self.line_limits.write(LogKind::Foreign, Level::Warn, line);
        }
    }
}

/// The field of an entry with the number of a node's own event; other readers ignore it.
pub(crate) const OWN: &str = "own";
