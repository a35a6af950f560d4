//! The messages that wait for the actor of a room: questions of clients that want in, changes of
//! seats, events.
//!
//! Messages leave in the order in which they entered. Only events are bounded, in number and bytes:
//! the clients that send one above a limit are not read until it is handled. The other messages are
//! bounded by the number of clients.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use actix::Context;

use crate::members::{Entry, EntryAnswer, SocketState};
use crate::rooms::actor::RoomActor;
use crate::rooms::seats::SeatChange;

/// The messages of one room.
pub(super) struct Inbox<A: RoomActor> {
    waiting: VecDeque<RoomMessage<A>>,
    /// The events among them.
    events: usize,
    /// Their bytes.
    bytes: usize,
}

pub(super) enum RoomMessage<A: RoomActor> {
    Ask(Question),
    Seat(SeatChange),
    Event(RoomEvent<A>),
}

/// A client that wants in.
pub(super) struct Question {
    pub(super) socket: Arc<SocketState>,
    pub(super) answer: EntryAnswer,
    /// The actor does not end before the decision.
    pub(super) entry: Entry,
}

/// An event whose arguments are extracted.
pub(super) struct RoomEvent<A: RoomActor> {
    pub(super) bytes: usize,
    /// If it is dropped, the event is answered with an error.
    pub(super) run: RunEvent<A>,
}

pub(super) type RunEvent<A> = Box<dyn FnOnce(&mut A, &mut Context<A>) + Send>;

/// The bounds of the events that wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct InboxLimits {
    pub(super) events: usize,
    pub(super) bytes: usize,
}

impl<A: RoomActor> Inbox<A> {
    /// Returns `true` if the client of one more event must wait.
    pub(super) fn is_full(&self, limits: InboxLimits) -> bool {
        self.events >= limits.events || self.bytes >= limits.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn push(&mut self, message: RoomMessage<A>) {
        if let RoomMessage::Event(event) = &message {
            self.events += 1;
            self.bytes += event.bytes;
        }
        self.waiting.push_back(message);
    }

    pub(super) fn pop(&mut self) -> Option<RoomMessage<A>> {
        let message = self.waiting.pop_front()?;
        if let RoomMessage::Event(event) = &message {
            self.events -= 1;
            self.bytes -= event.bytes;
        }
        Some(message)
    }

    /// Releases the memory of an inbox that is empty: a room that was busy is as small as a new one.
    pub(super) fn rest(&mut self) {
        if self.waiting.is_empty() {
            self.waiting.shrink_to_fit();
        }
    }

    /// Takes all messages.
    pub(super) fn close(&mut self) -> VecDeque<RoomMessage<A>> {
        (self.events, self.bytes) = (0, 0);
        std::mem::take(&mut self.waiting)
    }
}

impl<A: RoomActor> Default for Inbox<A> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            events: 0,
            bytes: 0,
        }
    }
}

impl<A: RoomActor> fmt::Debug for Inbox<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox")
            .field("waiting", &self.waiting.len())
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}
