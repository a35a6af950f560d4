//! Binary packets, assembled from several messages.
//!
//! The text of a packet that announces attachments enters, then one binary message after the other.
//! The text and its attachments leave after the last one. The text is kept as received and is
//! decoded again by the caller, because a decoded packet borrows from it.
//!
//! ```text
//!         begin(text, n)             add(last)
//!  idle ----------------> waiting ----------------> idle, and the whole packet
//!                          |   ^
//!                          +---+ add(other)
//! ```

use bytes::Bytes;

use crate::socketio::error::DecodeError;

/// Keeps one packet until its attachments have arrived.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    // Boxed, for there is one assembler per session and most of them never see an attachment.
    waiting: Option<Box<Waiting>>,
}

impl Assembler {
    /// Returns `true` if attachments are missing. A text message is then an error:
    /// [`DecodeError::TextAmongAttachments`].
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Keeps a packet's text until its attachments have arrived. All of them together have up to
    /// `limit` bytes. A packet kept before is dropped.
    ///
    /// The number of attachments was checked when the text was decoded.
    pub(crate) fn begin(&mut self, text: &str, attachments: usize, limit: usize) {
        let packet = Assembled {
            text: text.to_owned(),
            attachments: Vec::with_capacity(attachments.min(MAX_RESERVED_ATTACHMENTS)),
        };
        self.wait(Some(packet), attachments, limit);
    }

    /// Waits for the attachments of a packet that is not used, and drops them.
    pub(crate) fn skip(&mut self, attachments: usize, limit: usize) {
        self.wait(None, attachments, limit);
    }

    fn wait(&mut self, packet: Option<Assembled>, missing: usize, limit: usize) {
        self.waiting = (missing > 0).then(|| {
            Box::new(Waiting {
                missing,
                limit,
                bytes: 0,
                packet,
            })
        });
    }

    /// Takes the next attachment. Returns the whole packet if it was the last one.
    ///
    /// # Errors
    ///
    /// Refuses an unexpected attachment, and one that exceeds the limit together with those before
    /// it. In both cases the assembler stops waiting.
    pub(crate) fn add(&mut self, attachment: Bytes) -> Result<Option<Assembled>, DecodeError> {
        let mut waiting = self
            .waiting
            .take()
            .ok_or(DecodeError::UnexpectedAttachment)?;
        waiting.bytes += attachment.len();
        if waiting.bytes > waiting.limit {
            return Err(DecodeError::AttachmentsTooLarge(waiting.limit));
        }
        if let Some(packet) = &mut waiting.packet {
            packet.attachments.push(attachment);
        }
        waiting.missing -= 1;
        if waiting.missing == 0 {
            Ok(waiting.packet)
        } else {
            self.waiting = Some(waiting);
            Ok(None)
        }
    }
}

/// A packet with all its attachments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assembled {
    /// The packet's text, as given to [`Assembler::begin`].
    pub(crate) text: String,
    /// Its attachments, in order.
    pub(crate) attachments: Vec<Bytes>,
}

#[derive(Debug)]
struct Waiting {
    // Never 0.
    missing: usize,
    limit: usize,
    /// The total size of the received attachments.
    bytes: usize,
    /// `None` if the attachments are dropped.
    packet: Option<Assembled>,
}

/// Memory for more attachments than this is allocated only as they arrive.
const MAX_RESERVED_ATTACHMENTS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 3;

    const fn is_send<T: Send>() {}
    const _: () = is_send::<Assembler>();

    #[test]
    fn an_idle_assembler_is_one_word() {
        assert_eq!(size_of::<Assembler>(), size_of::<usize>());
    }

    #[test]
    fn the_packet_comes_with_its_last_attachment() {
        let mut assembler = Assembler::default();
        assembler.begin("52-[\"a\"]", 2, LIMIT);
        assert!(assembler.is_waiting());
        assert_eq!(assembler.add(Bytes::from_static(b"1")), Ok(None));
        assert!(assembler.is_waiting());
        assert_eq!(
            assembler.add(Bytes::from_static(b"2")),
            Ok(Some(Assembled {
                text: "52-[\"a\"]".to_owned(),
                attachments: vec![Bytes::from_static(b"1"), Bytes::from_static(b"2")],
            }))
        );
        assert!(!assembler.is_waiting());
    }

    #[test]
    fn an_unannounced_attachment_is_refused() {
        let mut assembler = Assembler::default();
        let refused = Err(DecodeError::UnexpectedAttachment);
        assert_eq!(assembler.add(Bytes::new()), refused);
        assembler.begin("51-[\"a\"]", 1, LIMIT);
        assert!(matches!(assembler.add(Bytes::new()), Ok(Some(_))));
        assert_eq!(assembler.add(Bytes::new()), refused);
    }

    #[test]
    fn packet_without_attachments_is_not_awaited() {
        let mut assembler = Assembler::default();
        assembler.begin("2[\"a\"]", 0, LIMIT);
        assert!(!assembler.is_waiting());
    }

    #[test]
    fn a_huge_announcement_reserves_nothing() {
        let mut assembler = Assembler::default();
        assembler.begin("5…", usize::MAX, LIMIT);
        assert_eq!(assembler.add(Bytes::new()), Ok(None));
    }

    /// The last size that passes, and the first that does not, in one attachment and in several.
    #[test]
    fn attachments_have_a_limit_together() {
        let refused = Err(DecodeError::AttachmentsTooLarge(LIMIT));
        let table: [(&[usize], bool); 4] = [
            (&[3], true),
            (&[4], false),
            (&[1, 2], true),
            (&[2, 2], false),
        ];
        for (sizes, passes) in table {
            let (mut kept, mut skipped) = (Assembler::default(), Assembler::default());
            kept.begin("5…", sizes.len(), LIMIT);
            skipped.skip(sizes.len(), LIMIT);
            let (mut last, mut dropped) = (Ok(None), Ok(None));
            for &size in sizes {
                last = kept.add(Bytes::from(vec![0; size]));
                dropped = skipped.add(Bytes::from(vec![0; size]));
            }
            if passes {
                assert!(matches!(last, Ok(Some(_))));
                assert_eq!(dropped, Ok(None));
            } else {
                assert_eq!(last, refused);
                assert_eq!(dropped, refused);
            }
            assert!(!kept.is_waiting() && !skipped.is_waiting());
        }
    }
}
