//! The calls to one socket that wait for an acknowledgement.
//!
//! A call enters with its id, and leaves with the client's answer, or without one if the socket
//! ends. The number of calls has a limit.

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use crate::error::EmitError;
use crate::id::SocketId;
use crate::socketio::Args;

/// The calls to one socket.
#[derive(Debug, Default)]
pub(super) struct Calls(Mutex<Option<Box<Waiting>>>);

/// The calls that wait, by the id of their acknowledgement. Made with the first call: most sockets
/// are never called.
#[derive(Debug, Default)]
struct Waiting {
    by_id: HashMap<u64, Caller>,
}

/// The task that waits for an acknowledgement.
#[derive(Debug)]
pub(super) enum Caller {
    /// A call to this socket.
    One(oneshot::Sender<Args>),
    /// A call to many sockets, including this one. If it is dropped unanswered, one answer less is
    /// awaited.
    Many(UnboundedSender<(SocketId, Args)>),
}

impl Calls {
    /// Registers a call, unless there are `limit` calls, or `has_ended`.
    pub(super) fn expect(
        &self,
        id: u64,
        caller: Caller,
        limit: usize,
        has_ended: impl FnOnce() -> bool,
    ) -> Result<(), EmitError> {
        let mut calls = self.0.lock();
        let calls = &mut calls.get_or_insert_default().by_id;
        if calls.len() >= limit {
            return Err(EmitError::TooManyCalls(limit));
        }
        // Checked under the lock that the end of the socket takes last, so no call remains pending.
        if has_ended() {
            return Err(EmitError::Disconnected);
        }
        calls.insert(id, caller);
        Ok(())
    }

    /// Gives a call the answer of this socket; an unknown id is ignored.
    pub(super) fn answer(&self, id: u64, socket: &SocketId, args: Args) {
        let waiting = self.take(id);
        // The caller may have stopped waiting.
        match waiting {
            Some(Caller::One(answer)) => drop(answer.send(args)),
            Some(Caller::Many(answers)) => drop(answers.send((socket.clone(), args))),
            None => {}
        }
    }

    /// Returns `true` if a call with this id waits for its answer.
    pub(super) fn awaits(&self, id: u64) -> bool {
        let calls = self.0.lock();
        calls
            .as_ref()
            .is_some_and(|calls| calls.by_id.contains_key(&id))
    }

    pub(super) fn forget(&self, id: u64) {
        self.take(id);
    }

    /// Ends all calls without an answer.
    pub(super) fn end(&self) {
        let calls = self.0.lock().take();
        drop(calls);
    }

    fn take(&self, id: u64) -> Option<Caller> {
        self.0.lock().as_mut()?.by_id.remove(&id)
    }
}
