//! A packet for a client, encoded once.

use crate::link::Frame;

/// An encoded Socket.IO packet: its text, directly followed by its attachments.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) frame: Frame,
    pub(crate) attached: Vec<Frame>,
}

impl Outgoing {
    /// Returns its size on a WebSocket, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.frame.len() + self.attached.iter().map(Frame::len).sum::<usize>()
    }

    /// Returns its cost in an outbox.
    pub(crate) fn cost(&self) -> usize {
        let attached = self.attached.iter().map(Frame::cost);
        self.frame.cost() + attached.sum::<usize>()
    }

    /// Returns the approximate maximal memory of the packet, without the value itself, in bytes.
    pub(crate) fn footprint(&self) -> usize {
        let attached = self.attached.iter();
        let attached = attached.map(|frame| size_of::<Frame>() + frame.footprint());
        self.frame.footprint() + attached.sum::<usize>()
    }

    /// Marks the packet as not worth compressing.
    pub(crate) fn without_compression(self) -> Self {
        let attached = self.attached.into_iter();
        Self {
            frame: self.frame.without_compression(),
            attached: attached.map(Frame::without_compression).collect(),
        }
    }

    /// Lets the recipients share the compressed frames of the packet, from `threshold` bytes on.
    pub(crate) fn shared(self, threshold: usize) -> Self {
        let attached = self.attached.into_iter();
        Self {
            frame: self.frame.shared(threshold),
            attached: attached.map(|frame| frame.shared(threshold)).collect(),
        }
    }
}

impl From<Frame> for Outgoing {
    fn from(frame: Frame) -> Self {
        Self {
            frame,
            attached: Vec::new(),
        }
    }
}
