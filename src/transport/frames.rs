//! The decoding of a client's bytes to messages, for either kind of connection.

use std::cell::RefCell;
use std::ops::ControlFlow;

use crate::link::{InboundError, InboundMessage, Violation};
use crate::websocket::{DecodeError, Decoder, DeflateParameters, Kind, Message, Scratch};

/// The decoder of one client, with buffers that all clients of a worker share.
pub(crate) struct Frames {
    decoder: Decoder,
    /// The client has sent a close frame: later bytes are ignored.
    has_closed: bool,
}

impl Frames {
    /// Decodes messages of up to `max_message` bytes, also compressed ones if that was agreed.
    pub(crate) fn new(max_message: usize, deflate: Option<DeflateParameters>) -> Self {
        let decoder = Decoder::new(max_message);
        Self {
            decoder: match deflate {
                Some(parameters) => decoder.inflating(parameters.received),
                None => decoder,
            },
            has_closed: false,
        }
    }

    /// Returns `true` if the client's close frame was passed on.
    pub(crate) fn has_closed(&self) -> bool {
        self.has_closed
    }

    /// Takes bytes from the front of `input` and passes the messages in them to `take`, until it
    /// breaks or all input is used up.
    pub(crate) fn decode(
        &mut self,
        input: &mut &[u8],
        take: &mut dyn FnMut(Result<InboundMessage<'_>, InboundError>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if input.is_empty() {
            return ControlFlow::Continue(());
        }
        // Taken out during its use, because a handler of the program runs within `take`.
        let mut scratch = SCRATCH.with(RefCell::take);
        let flow = loop {
            let message = match self.decoder.decode(input, &mut scratch) {
                Ok(None) => break ControlFlow::Continue(()),
                Ok(Some(kind)) => {
                    self.has_closed |= kind == Kind::Close;
                    kind.message(&mut scratch)
                }
                Err(error) => Err(error),
            };
            let is_lost = message.is_err();
            if take(message.map(inbound).map_err(refused)).is_break() || is_lost {
                break ControlFlow::Break(());
            }
        };
        scratch.trim(SCRATCH_KEPT);
        SCRATCH.with(|kept| kept.replace(scratch));
        flow
    }
}

/// Says a WebSocket's message in the words of all transports.
fn inbound(message: Message<'_>) -> InboundMessage<'_> {
    match message {
        Message::Text(text) => InboundMessage::Text(text),
        Message::Binary(data) => InboundMessage::Binary(data),
        Message::Ping(payload) => InboundMessage::Ping(payload),
        Message::Pong => InboundMessage::Pong,
        Message::Fragment => InboundMessage::Fragment,
        Message::Close(code) => InboundMessage::Close(code),
    }
}

/// The end of a client whose data violates the protocol.
#[cold]
fn refused(error: DecodeError) -> InboundError {
    InboundError::Refused(Violation {
        cause: error.to_string(),
        is_too_large: matches!(
            error,
            DecodeError::MessageTooBig { .. } | DecodeError::InflatedTooBig { .. }
        ),
        close_code: error.close_code(),
    })
}

thread_local! {
    /// The buffers for the payload of a message while it is read.
    static SCRATCH: RefCell<Scratch> = const { RefCell::new(Scratch::new()) };
}

/// The number of bytes of each buffer that a worker keeps between two reads.
const SCRATCH_KEPT: usize = 64 * 1024;
