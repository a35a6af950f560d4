//! An entry of a stream, as a broker's log returns it.
//!
//! The fields of the entry enter. The event in it leaves, decoded once for all clients that missed
//! it.

use std::sync::OnceLock;

use crate::adapter::format::{Received, from_fields};
use crate::adapter::sending::{OWN, SEQUENCE};
use crate::cluster::{EventPayload, Message, Scope};
use crate::members::EventSource;

/// An entry of a stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogEntry {
    pub(crate) id: String,
    pub(crate) uid: String,
    pub(crate) namespace: String,
    pub(crate) kind: String,
    pub(crate) data: Vec<u8>,
    /// The entry's number among all entries of its node.
    pub(crate) sequence: Option<u64>,
    /// The event's number among its node's own events.
    pub(crate) own: Option<u64>,
    event: OnceLock<Option<LoggedEvent>>,
}

/// An event that may be sent again.
#[derive(Clone, Debug)]
pub(crate) struct LoggedEvent {
    pub(crate) content: EventPayload,
    pub(crate) scope: Scope,
}

impl LogEntry {
    pub(crate) fn new(id: String) -> Self {
        Self {
            id,
            ..Self::default()
        }
    }

    /// Sets a field; an unknown one is ignored.
    pub(crate) fn set(&mut self, name: &str, value: Vec<u8>) {
        let text = |value| String::from_utf8(value).unwrap_or_default();
        match name {
            "uid" => self.uid = text(value),
            "nsp" => self.namespace = text(value),
            "type" => self.kind = text(value),
            "data" => self.data = value,
            SEQUENCE => self.sequence = text(value).parse().ok(),
            OWN => self.own = text(value).parse().ok(),
            _ => {}
        }
    }

    /// Returns `true` if the entry may have an event that can be sent again. Questions have another
    /// text of the same number.
    pub(crate) fn is_event(&self) -> bool {
        self.kind == EVENT
    }

    /// Returns the event in it; `None` if it has none, or a volatile one.
    pub(crate) fn event(&self) -> Option<&LoggedEvent> {
        let event = self.event.get_or_init(|| {
            let heard = from_fields(&self.uid, &self.namespace, &self.kind, &self.data).ok()??;
            match heard.word {
                Received::Message(Message::Emit {
                    content,
                    scope,
                    flags,
                }) if !flags.volatile => Some(LoggedEvent { content, scope }),
                _ => None,
            }
        });
        event.as_ref()
    }

    /// Returns the number of its bytes.
    pub(crate) fn len(&self) -> usize {
        self.id.len() + self.uid.len() + self.namespace.len() + self.data.len()
    }

    /// Returns the origin of the event in it.
    pub(crate) fn origin(&self) -> EventSource<'_> {
        match self.id.parse() {
            Ok(id) => EventSource::Entry(id, &self.uid, self.own.unwrap_or(0)),
            Err(()) => EventSource::SingleNode,
        }
    }
}

/// The type of events.
const EVENT: &str = "3";
