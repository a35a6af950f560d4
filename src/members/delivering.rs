//! The delivery of packets to one socket, from any thread.
//!
//! A packet enters with the way in which it may wait. It leaves in the outbox of the socket's link,
//! or is held back until the CONNECT packet.

use crate::error::EmitError;
use crate::link::{Outgoing, Pushed, Turn};
use crate::members::encode::Encoder;
use crate::members::socket::{Phase, SocketState};
use crate::members::waiting;
use crate::socketio::ArgsError;

impl SocketState {
    /// Queues a packet without waiting for room. If there is none, the server's policy decides
    /// about the client.
    pub(crate) fn deliver(&self, mut packet: Outgoing) -> Result<Pushed, EmitError> {
        self.make_readable(&mut packet)?;
        match self.phase() {
            Phase::Connected => Ok(self.link.send(packet)?),
            Phase::Connecting | Phase::Accepted => {
                if let Some(packet) = self.hold(packet).inspect_err(|error| self.full(error))? {
                    return Ok(self.link.send(packet)?);
                }
                Ok(Pushed::Within)
            }
            Phase::Ended | Phase::Abandoned => Err(EmitError::Disconnected),
        }
    }

    /// Queues a packet if there is room; otherwise the client stays connected.
    pub(crate) fn try_deliver(&self, packet: Outgoing) -> Result<(), EmitError> {
        match self.open_to(packet)? {
            Some(packet) => Ok(self.link.try_send(packet)?),
            None => Ok(()),
        }
    }

    /// Queues a packet when there is room. If there is none before the deadline, the server's
    /// policy decides about the client.
    pub(crate) async fn deliver_in_turn(&self, packet: Outgoing) -> Result<(), EmitError> {
        match self.open_to(packet)? {
            Some(packet) => waiting::send(&self.link, packet).await,
            None => Ok(()),
        }
    }

    /// Waits for room for a packet of about `bytes` bytes, if the client is connected. The packet
    /// must be queued while the turn is held.
    pub(crate) async fn turn(&self, bytes: usize) -> Result<Option<Turn>, EmitError> {
        if self.phase() != Phase::Connected {
            return Ok(None);
        }
        Ok(Some(waiting::turn(&self.link, bytes).await?))
    }

    /// Returns `true` if a packet of about `bytes` bytes may be queued at once.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.phase() != Phase::Connected || self.link.outbox.has_room(bytes)
    }

    /// Returns the packet if it may be sent at once, or holds it back if CONNECT must be first.
    fn open_to(&self, mut packet: Outgoing) -> Result<Option<Outgoing>, EmitError> {
        self.make_readable(&mut packet)?;
        match self.phase() {
            Phase::Connected => Ok(Some(packet)),
            Phase::Connecting | Phase::Accepted => self.hold(packet),
            Phase::Ended | Phase::Abandoned => Err(EmitError::Disconnected),
        }
    }

    /// Queues a packet that its namespace keeps: a socket that is being recovered receives it among
    /// the missed events.
    pub(crate) fn deliver_kept(&self, packet: Outgoing) -> Option<Pushed> {
        if self.resumed().is_none() || self.phase() == Phase::Connected {
            // A client that is disconnected or slow is not the sender's error.
            return self.deliver(packet).ok();
        }
        None
    }

    /// Queues a packet that is useless later: it is dropped if the outbox is not empty. Returns
    /// whether it was queued.
    pub(crate) fn deliver_volatile(&self, mut packet: Outgoing) -> bool {
        self.phase() == Phase::Connected
            && self.make_readable(&mut packet).is_ok()
            && self.link.send_volatile(packet)
    }

    /// Gives a packet the form that the client's parser reads.
    #[inline]
    pub(super) fn make_readable(&self, packet: &mut Outgoing) -> Result<(), EmitError> {
        if packet.parser() != self.link.parser() {
            *packet = self.for_own_parser(packet)?;
        }
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn for_own_parser(&self, packet: &Outgoing) -> Result<Outgoing, EmitError> {
        let parsers = &self.link.config.parsers;
        let parser = self.link.parser();
        let mut refused = None;
        let made = packet.for_parser(parser, |source| {
            let decoded;
            let event = match source {
                Some(source) => source,
                None => {
                    decoded = Encoder::new(parsers, packet.parser()).decoded(packet)?;
                    &decoded
                }
            };
            let encoder = Encoder::new(parsers, parser);
            let encoded = encoder.relayed(&self.namespace, event.id, &event.list);
            encoded.map_err(|error| refused = Some(error)).ok()
        });
        made.ok_or_else(|| {
            let cause = "the event has no form in the parser of the client";
            let error = refused.unwrap_or_else(|| ArgsError::no_form(cause));
            log::debug!("{self} does not get an event: {error}");
            EmitError::Encode(error)
        })
    }
}
