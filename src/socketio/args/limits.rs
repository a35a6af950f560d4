//! The size limits of a packet to a client.
//!
//! Numbers of attachments and bytes enter, an error that names both numbers leaves. The limits come
//! from the caller.

use bytes::Bytes;

use crate::socketio::args::ArgsError;

/// The limits of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PacketLimits {
    pub(crate) attachments: usize,
    /// Bytes of its Socket.IO text and its attachments together.
    pub(crate) bytes: usize,
}

impl PacketLimits {
    /// Ten attachments, because official clients close the connection if there are more, and 16
    /// MiB.
    pub(crate) const DEFAULT: Self = Self {
        attachments: 10,
        bytes: 16 << 20,
    };

    /// For packets that are checked already or that are not sent.
    #[allow(dead_code, reason = "tests and the feature `testing` have such")]
    pub(crate) const NONE: Self = Self {
        attachments: usize::MAX,
        bytes: usize::MAX,
    };

    /// Returns an error if a packet with a text of `text` bytes and these attachments exceeds a
    /// limit.
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
            "packet of 11 bytes, the limit is 10 bytes"
        );
        let three = [data.clone(), data.clone(), data];
        let error = limits.check(0, &three).unwrap_err();
        assert_eq!(
            error.to_string(),
            "packet with 3 attachments, the limit is 2"
        );
    }
}
