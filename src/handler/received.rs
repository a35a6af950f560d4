//! A received event, before a handler is chosen.
//!
//! The session fills it from a packet; the table reads it. It borrows all its parts, and depends on
//! neither tables nor calls.

use std::cell::{Cell, OnceCell};
use std::sync::Arc;

use bytes::Bytes;

use crate::handler::context::NamespaceContext;
use crate::handler::extract::{EventContext, size_of_args};
use crate::logging::{Quoted, TARGET_EVENT};
use crate::socket::Socket;

/// An event as the session has decoded it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received<'a> {
    pub(crate) socket: &'a Socket,
    pub(crate) name: &'a str,
    pub(crate) args: &'a str,
    pub(crate) attachments: &'a [Bytes],
    pub(crate) id: Option<u64>,
    pub(crate) context: &'a Arc<NamespaceContext>,
}

impl<'a> Received<'a> {
    /// Separate, so that a program without such lines pays only for a check of the level.
    #[cold]
    pub(super) fn log(&self) {
        let (name, socket) = (Quoted(self.name), self.socket.state());
        let size = size_of_args(self.args, self.attachments);
        let ack = if self.id.is_some() {
            ", expects an acknowledgement"
        } else {
            ""
        };
        log::debug!(target: TARGET_EVENT, "event {name}: {size} bytes from {socket}{ack}");
    }

    pub(super) fn incoming<'b>(&self, event: &'b Arc<str>) -> EventContext<'b>
    where
        'a: 'b,
    {
        EventContext {
            socket: self.socket,
            event,
            args: self.args,
            attachments: self.attachments,
            ack: Cell::new(self.id),
            lent: OnceCell::new(),
            context: self.context,
        }
    }
}
