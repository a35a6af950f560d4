//! The contract between a session and the protocol on top of it.
//!
//! The session calls it in place, on its own worker, with the client's messages. The session
//! receives the transport of a message and decides about its own end; it does not depend on the
//! meaning of a message.

use std::fmt;
use std::time::Instant;

use bytes::Bytes;

use crate::reason::CloseReason;

/// The protocol on top of a session: Socket.IO, or a program's own messages.
///
/// An `Err` closes the session for that reason.
pub(crate) trait Protocol: Send {
    /// The session has opened. Called once, before all messages.
    fn opened(&mut self) -> Result<(), CloseReason> {
        Ok(())
    }

    /// Handles a text message.
    fn text(&mut self, text: &str) -> Result<(), CloseReason>;

    /// Handles a binary message.
    fn binary(&mut self, data: Bytes) -> Result<(), CloseReason>;

    /// Handles a wake: the state of a socket has changed.
    fn state_changed(&mut self) -> Result<(), CloseReason> {
        Ok(())
    }

    /// Returns `true` if it can handle another message now; otherwise it is woken later.
    fn has_room(&self) -> bool {
        true
    }

    /// Returns the time at which [`lapsed`](Self::lapsed) must be called.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// The deadline is over.
    fn lapsed(&mut self) -> Result<(), CloseReason> {
        Ok(())
    }

    /// Returns `true` if it has accepted work that has not started.
    fn is_busy(&self) -> bool {
        false
    }

    /// The program closes the session: packets that are sent now still reach the client.
    fn closing(&mut self) {}

    /// Writes the sockets that are closed with the session, for the log.
    fn name_sockets(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }

    /// The session has ended; no more calls will follow.
    fn closed(&mut self, reason: CloseReason);
}
