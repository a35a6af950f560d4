//! A received event, before a handler is chosen.
//!
//! The session fills it from a packet; the table reads it. It borrows all its parts, and depends on
//! neither tables nor calls.

use std::cell::{Cell, OnceCell};
use std::sync::Arc;

use crate::handler::context::NamespaceContext;
use crate::handler::extract::EventContext;
use crate::handler::failure::FailureCause;
use crate::handler::trace_parent::split_parent;
use crate::logging::{Quoted, TARGET_EVENT};
use crate::socket::Socket;
use crate::socketio::ArgsRef;
use crate::telemetry::{EventParts, EventTimer, SpanScope};

/// An event as the session has decoded it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received<'a> {
    pub(crate) socket: &'a Socket,
    pub(crate) name: &'a str,
    pub(crate) args: ArgsRef<'a>,
    pub(crate) id: Option<u64>,
    pub(crate) context: &'a Arc<NamespaceContext>,
}

impl<'a> Received<'a> {
    /// Separate, so that a program without such lines pays only for a check of the level.
    #[cold]
    pub(super) fn log(&self) {
        let (name, socket) = (Quoted(self.name), self.socket.state());
        let size = self.args.size();
        let ack = if self.id.is_some() {
            ", expects an acknowledgement"
        } else {
            ""
        };
        log::debug!(target: TARGET_EVENT, "event {name}: {size} bytes from {socket}{ack}");
    }

    /// Ends the event without a call of a handler.
    pub(crate) fn refuse(&self, cause: FailureCause) {
        let name = self.name.into();
        self.incoming(&name, None).take_reply().fail(cause);
    }

    /// Returns the size of the name, the arguments and the attachments, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.name.len() + self.args.size()
    }

    /// Makes the span of the event, and takes the arguments that belong to it.
    pub(super) fn in_span(&self) -> (SpanScope, Self) {
        let handshake = &self.socket.state().link.handshake;
        let spans = &self.context.server_context.telemetry.spans;
        let parts = EventParts {
            namespace: self.socket.namespace(),
            event: self.name,
            socket: &self.socket.state().id,
            ack: self.id,
        };
        let parent = || handshake.header("traceparent");
        let (args, own) = if spans.reads_events() {
            split_parent(self.args)
        } else {
            (self.args, None)
        };
        let scope = spans.event(&parts, own.as_deref(), parent);
        (scope, Self { args, ..*self })
    }

    /// Returns what handlers get; `timer` measures their calls.
    pub(super) fn incoming<'b>(
        &self,
        event: &'b Arc<str>,
        timer: Option<&'b EventTimer>,
    ) -> EventContext<'b>
    where
        'a: 'b,
    {
        EventContext {
            socket: self.socket,
            event,
            args: self.args,
            ack: Cell::new(self.id),
            lent: OnceCell::new(),
            context: self.context,
            timer,
        }
    }
}
