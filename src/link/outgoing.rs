//! A packet for a client, encoded once for each parser of its recipients.

use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::config::ParserId;
use crate::link::Frame;
use crate::socketio::Args;

/// An encoded Socket.IO packet: its first message, directly followed by the others.
///
/// Most have one message for one parser, and each recipient gets a copy, so the rest is behind one
/// pointer.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) frame: Frame,
    more: Option<Arc<More>>,
    /// The parser that reads these messages.
    parser: ParserId,
}

#[derive(Debug, Default)]
struct More {
    /// The attachments in JSON, or the further messages of a program's parser.
    attached: Vec<Frame>,
    others: Option<Arc<Others>>,
}

/// The packet for the clients of other parsers, if the server has several.
#[derive(Debug)]
struct Others {
    made: Mutex<Vec<Outgoing>>,
    /// An event from which it can be made later, for clients that connect later.
    source: Option<EmittedEvent>,
    is_compressible: bool,
    shared_from: Option<usize>,
}

/// An event as a list of its name and its arguments.
#[derive(Clone, Debug)]
pub(crate) struct EmittedEvent {
    pub(crate) id: Option<u64>,
    pub(crate) list: Args,
}

impl Outgoing {
    /// Makes a packet of its messages. It is for clients of the parser only.
    #[inline]
    pub(crate) fn new(parser: ParserId, frame: Frame, attached: Vec<Frame>) -> Self {
        let more = if attached.is_empty() {
            None
        } else {
            Some(More::with(attached))
        };
        Self {
            frame,
            more,
            parser,
        }
    }

    /// Returns a packet that sends nothing, in the place of one that cannot be encoded.
    pub(crate) fn nothing(parser: ParserId) -> Self {
        Self::new(parser, Frame::raw(Bytes::new()), Vec::new())
    }

    /// Adds the same packet for other parsers.
    pub(crate) fn with_others(self, made: Vec<Self>) -> Self {
        self.with(Others {
            made: Mutex::new(made),
            ..Others::default()
        })
    }

    /// Adds the event from which the packet can be made for parsers that clients use later.
    pub(crate) fn with_source(self, source: EmittedEvent) -> Self {
        let others = match self.others() {
            Some(others) => others.changed(|packet| packet),
            None => Others::default(),
        };
        self.with(Others {
            source: Some(source),
            ..others
        })
    }

    fn with(self, others: Others) -> Self {
        let more = More {
            attached: self.attached().to_vec(),
            others: Some(Arc::new(others)),
        };
        Self {
            more: Some(Arc::new(more)),
            ..self
        }
    }

    /// Returns the messages that directly follow the first one.
    #[inline]
    pub(crate) fn attached(&self) -> &[Frame] {
        self.more.as_ref().map_or(&[], |more| &more.attached)
    }

    /// Returns the first message, and those that follow it.
    #[inline]
    pub(crate) fn into_messages(self) -> (Frame, Option<impl Deref<Target = [Frame]>>) {
        (self.frame, self.more.map(Attached))
    }

    /// Returns `true` if the packet is more than a text.
    #[inline]
    pub(crate) fn is_more(&self) -> bool {
        self.more.is_some() || self.frame.is_binary()
    }

    /// Returns the parser that reads the packet.
    #[inline]
    pub(crate) fn parser(&self) -> ParserId {
        self.parser
    }

    fn others(&self) -> Option<&Arc<Others>> {
        self.more.as_ref()?.others.as_ref()
    }

    /// Changes each message.
    pub(crate) fn map(self, change: impl Fn(Frame) -> Frame) -> Self {
        let more = self.more.map(|more| {
            let attached = more.attached.iter().cloned().map(&change).collect();
            let others = more.others.clone();
            Arc::new(More { attached, others })
        });
        Self {
            frame: change(self.frame),
            more,
            parser: self.parser,
        }
    }

    /// Returns the same packet for another parser. `make` makes it, of its source if it has one, once
    /// for all recipients.
    #[cold]
    pub(crate) fn for_parser(
        &self,
        parser: ParserId,
        make: impl FnOnce(Option<&EmittedEvent>) -> Option<Self>,
    ) -> Option<Self> {
        let Some(others) = self.others() else {
            return make(None);
        };
        // Held while it is made, so that no other thread makes it too.
        let mut made = others.made.lock();
        if let Some(packet) = made.iter().find(|packet| packet.parser == parser) {
            return Some(packet.clone());
        }
        let mut packet = make(others.source.as_ref())?;
        if !others.is_compressible {
            packet = packet.without_compression();
        }
        if let Some(threshold) = others.shared_from {
            packet = packet.shared(threshold);
        }
        made.push(packet.clone());
        Some(packet)
    }

    /// Returns its size on a WebSocket, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.frame.len() + self.attached().iter().map(Frame::len).sum::<usize>()
    }

    /// Returns its cost in an outbox.
    pub(crate) fn cost(&self) -> usize {
        let attached = self.attached().iter().map(Frame::cost);
        self.frame.cost() + attached.sum::<usize>()
    }

    /// Returns the approximate maximal memory of the packet, without the value itself, in bytes.
    pub(crate) fn footprint(&self) -> usize {
        let attached = self.attached().iter();
        let attached = attached.map(|frame| size_of::<Frame>() + frame.footprint());
        let more = match &self.more {
            Some(_) => size_of::<More>() + self.others().map_or(0, |others| others.footprint()),
            None => 0,
        };
        self.frame.footprint() + attached.sum::<usize>() + more
    }

    /// Marks the packet as not worth compressing.
    pub(crate) fn without_compression(self) -> Self {
        let others = self.others().map(|others| Others {
            is_compressible: false,
            ..others.changed(Self::without_compression)
        });
        let changed = self.map(Frame::without_compression);
        match others {
            Some(others) => changed.with(others),
            None => changed,
        }
    }

    /// Lets the recipients share the compressed frames of the packet, from `threshold` bytes on.
    pub(crate) fn shared(self, threshold: usize) -> Self {
        let others = self.others().map(|others| Others {
            shared_from: Some(threshold),
            ..others.changed(|packet| packet.shared(threshold))
        });
        let changed = self.map(|frame| frame.shared(threshold));
        match others {
            Some(others) => changed.with(others),
            None => changed,
        }
    }
}

impl More {
    /// Apart from the usual case, a packet of one message.
    #[cold]
    fn with(attached: Vec<Frame>) -> Arc<Self> {
        Arc::new(Self {
            attached,
            others: None,
        })
    }
}

/// The messages behind the first one.
struct Attached(Arc<More>);

impl Deref for Attached {
    type Target = [Frame];

    fn deref(&self) -> &[Frame] {
        &self.0.attached
    }
}

impl Others {
    /// Returns a copy whose packets are changed.
    fn changed(&self, change: impl Fn(Outgoing) -> Outgoing) -> Self {
        let made = self.made.lock().iter().cloned().map(change).collect();
        Self {
            made: Mutex::new(made),
            source: self.source.clone(),
            ..*self
        }
    }

    fn footprint(&self) -> usize {
        let made = self.made.lock();
        let made = made
            .iter()
            .map(|packet| size_of::<Outgoing>() + packet.footprint());
        let source = self
            .source
            .as_ref()
            .map(|source| source.list.as_args_ref().size());
        size_of::<Self>() + made.sum::<usize>() + source.unwrap_or_default()
    }
}

impl Default for Others {
    fn default() -> Self {
        Self {
            made: Mutex::default(),
            source: None,
            is_compressible: true,
            shared_from: None,
        }
    }
}

/// A message of JSON alone.
impl From<Frame> for Outgoing {
    fn from(frame: Frame) -> Self {
        Self {
            frame,
            more: None,
            parser: ParserId::JSON,
        }
    }
}
