//! The result of a drain, as a value.

/// The result of [`SocketIo::drain`](crate::SocketIo::drain).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainReport {
    pub(crate) clients: usize,
    pub(crate) is_complete: bool,
}

impl DrainReport {
    /// Returns the number of clients that were connected after the delay.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.clients
    }

    /// Returns `true` if all handlers have ended, all clients have received their last packets, and
    /// all messages to other nodes were sent, within the limit and the grace.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }
}
