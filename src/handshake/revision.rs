//! The revision of Engine.IO that a client speaks.

/// A revision of the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Revision {
    /// The clients of Socket.IO 1 and 2.
    V3,
    /// The clients from Socket.IO 3 on.
    #[default]
    V4,
}

impl Revision {
    /// Returns the number in the query's `EIO`.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::V3 => 3,
            Self::V4 => 4,
        }
    }
}
