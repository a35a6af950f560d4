//! How large a packet to a client may be.
//!
//! Numbers of attachments and bytes enter, an error that names both numbers leaves. Who sets the
//! limits is not known here.

use bytes::Bytes;

use crate::socketio::args::ArgsError;

/// What one packet may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PacketLimits {
    pub(crate) attachments: usize,
    /// Of its Socket.IO text and its attachments together.
    pub(crate) bytes: usize,
}

impl PacketLimits {
    /// Ten attachments, since official clients close the connection over more, and 16 MiB.
    pub(crate) const DEFAULT: Self = Self {
        attachments: 10,
        bytes: 16 << 20,
    };

    /// For packets that have been checked, or that nobody gets.
    #[allow(dead_code, reason = "tests and the feature `testing` have such")]
    pub(crate) const NONE: Self = Self {
        attachments: usize::MAX,
        bytes: usize::MAX,
    };

    /// Returns an error if a packet with a text of so many bytes, and with these attachments, has
    /// more than it may.
    pub(crate) fn check(self, text: usize, attachments: &[Bytes]) -> Result<(), ArgsError> {
        if attachments.len() > self.attachments {
            return Err(ArgsError::TooManyAttachments {
                attachments: attachments.len(),
                limit: self.attachments,
            });
        }
        let bytes = text + attachments.iter().map(Bytes::len).sum::<usize>();
        if bytes > self.bytes {
            return Err(ArgsError::TooLarge {
                bytes,
                limit: self.bytes,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_and_the_attachments_count_together() {
        let limits = PacketLimits {
            attachments: 2,
            bytes: 10,
        };
        let data = Bytes::from_static(b"abc");
        let both = [data.clone(), data.clone()];
        assert!(limits.check(10, &[]).is_ok());
        assert!(limits.check(4, &both).is_ok());
        let error = limits.check(5, &both).unwrap_err();
        assert_eq!(
            error.to_string(),
            "11 bytes, and a packet to a client has at most 10"
        );
        let three = [data.clone(), data.clone(), data];
        let error = limits.check(0, &three).unwrap_err();
        assert_eq!(
            error.to_string(),
            "3 attachments, and a packet has at most 2"
        );
    }
}
