//! The contract between a session and what speaks through it.
//!
//! The session calls it in place, on its own worker, with what its client has sent. How a message
//! came and when the session ends is the session's business; what a message means is not.

use std::fmt;
use std::time::Instant;

use bytes::Bytes;

use crate::reason::CloseReason;

/// What speaks through a session: Socket.IO, or a program's own messages.
///
/// An `Err` closes the session for that reason.
pub(crate) trait Protocol: Send {
    /// A text message has come.
    fn text(&mut self, text: &str) -> Result<(), CloseReason>;

    /// A binary message has come.
    fn binary(&mut self, data: Bytes) -> Result<(), CloseReason>;

    /// Somebody says that there is news.
    fn state_changed(&mut self) -> Result<(), CloseReason> {
        Ok(())
    }

    /// Tells whether another message may come now; where not, it is woken when one may.
    fn has_room(&self) -> bool {
        true
    }

    /// Returns when [`lapsed`](Self::lapsed) is to be called.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// The deadline is over.
    fn lapsed(&mut self) -> Result<(), CloseReason> {
        Ok(())
    }

    /// Tells whether there is something that was taken before and has yet to begin.
    fn is_busy(&self) -> bool {
        false
    }

    /// The program closes the session: what is sent now still reaches the client.
    fn closing(&mut self) {}

    /// Writes who is closed with the session, for the log.
    fn name_sockets(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }

    /// The session is over; nothing will come any more.
    fn closed(&mut self, reason: CloseReason);
}
