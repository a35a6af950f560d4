//! Binary packets of a client, from their head to their last attachment.
//!
//! The head of a packet for a namespace to which the client is not connected is refused before its
//! attachments arrive. The attachments of a packet have a size limit and a time limit.

use std::borrow::Cow;
use std::time::Instant;

use bytes::Bytes;

use crate::client::message::Message;
use crate::client::state::Client;
use crate::clock::now;
use crate::limits::Limit;
use crate::link::Protocol;
use crate::logging::TARGET_SESSION;
use crate::reason::CloseReason;

impl Client {
    /// Handles the text of a packet whose `attachments` are missing.
    pub(super) fn head(
        &mut self,
        name: &str,
        text: &str,
        attachments: usize,
    ) -> Result<(), CloseReason> {
        let limit = self.link.config.limits.max_payload;
        if self.position(name).is_some() || self.is_arriving(name) {
            self.assembler.begin(text, attachments, limit);
        } else {
            self.stray(name, text.len())?;
            // The client does not know yet that it is disconnected from the namespace.
            self.assembler.skip(attachments, limit);
        }
        self.attachments_by = Some(now() + self.link.config.sockets.attachments_timeout);
        Ok(())
    }

    /// Handles the next attachment, and with the last one the whole packet.
    pub(super) fn attachment(&mut self, data: Bytes) -> Result<(), CloseReason> {
        let added = self.assembler.add(data);
        let whole = added.map_err(|error| self.refused(&error))?;
        if !self.assembler.is_waiting() {
            self.attachments_by = None;
        }
        match whole {
            Some(whole) => self.packet(Message::Json(Cow::Owned(whole.text), whole.attachments)),
            None => Ok(()),
        }
    }

    /// Closes the session if attachments have not arrived in time, unless the server itself has
    /// paused reading.
    pub(super) fn attachments_lapsed(&mut self, now: Instant) -> Result<(), CloseReason> {
        if self.attachments_by.is_none_or(|due| due > now) {
            return Ok(());
        }
        let limit = self.link.config.sockets.attachments_timeout;
        if Protocol::has_room(self) && self.link.in_flight.has_room() {
            self.link.hit(Limit::AttachmentsTimeout, limit.as_millis());
            log::debug!(
                target: TARGET_SESSION,
                "{}: attachments of a packet did not arrive within {limit:?}",
                self.link
            );
            return Err(CloseReason::AttachmentsTimeout);
        }
        self.attachments_by = Some(now + limit);
        Ok(())
    }

    pub(super) fn is_arriving(&self, name: &str) -> bool {
        let mut arriving = self.arriving.iter();
        arriving.any(|it| it.namespace.membership.name() == name)
    }
}
