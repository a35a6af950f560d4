//! The requests of this node that wait for answers of others.

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::cluster::Reply;

/// The requests, by their ids.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    requests: Mutex<HashMap<String, UnboundedSender<(String, Reply)>>>,
}

impl Pending {
    /// Registers a request. Its answers arrive on the channel, each with its node's name.
    pub(crate) fn expect(&self, request: &str) -> UnboundedReceiver<(String, Reply)> {
        let (sender, receiver) = unbounded_channel();
        self.requests.lock().insert(request.to_owned(), sender);
        receiver
    }

    pub(crate) fn forget(&self, request: &str) {
        self.requests.lock().remove(request);
    }

    /// Passes an answer to the task that awaits it, if there is one.
    pub(crate) fn answered(&self, from: String, request: &str, reply: Reply) {
        if let Some(waiting) = self.requests.lock().get(request) {
            // The task may have ended.
            let _ = waiting.send((from, reply));
        }
    }
}
