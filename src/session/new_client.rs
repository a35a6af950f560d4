//! A client that has been admitted and has no session yet, and its new session on polling.

use crate::handshake::Handshake;
use crate::id::Id;
use crate::limits::Place;
use crate::link::BinaryForm;

/// The values of a client from which its session is made.
pub(crate) struct NewClient {
    pub(crate) handshake: Handshake,
    /// Its place among the server's limits of sessions.
    pub(crate) place: Option<Place>,
    /// The form of its binary messages.
    pub(crate) form: BinaryForm,
}

/// A session that was opened on polling.
pub(crate) struct Opened {
    pub(crate) sid: Id,
    /// The OPEN packet, the response to the handshake.
    pub(crate) packet: String,
}

#[cfg(test)]
impl NewClient {
    /// A client whose handshake has no content.
    pub(crate) fn empty() -> Self {
        Self {
            handshake: Handshake::empty(),
            place: None,
            form: BinaryForm::V4,
        }
    }
}
