//! From a client's bytes to its messages, whoever has read them.

use std::cell::RefCell;
use std::ops::ControlFlow;

use crate::session::Lost;
use crate::websocket::{Decoder, Kind, Message};

/// The decoder of one client, over a buffer that all clients of a worker share.
pub(crate) struct Frames {
    decoder: Decoder,
    /// The client has said that it closes: nothing of meaning follows.
    has_closed: bool,
}

impl Frames {
    pub(crate) fn new(max_message: usize) -> Self {
        Self {
            decoder: Decoder::new(max_message),
            has_closed: false,
        }
    }

    /// Tells whether the client's close frame has been handed on.
    pub(crate) fn has_closed(&self) -> bool {
        self.has_closed
    }

    /// Takes bytes off the front of `input` and hands the messages in them on, until `take` breaks
    /// off or all is used up.
    pub(crate) fn decode(
        &mut self,
        input: &mut &[u8],
        take: &mut dyn FnMut(Result<Message<'_>, Lost>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if input.is_empty() {
            return ControlFlow::Continue(());
        }
        // Taken out while it is used: a handler of the program runs within `take`.
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
            if take(message.map_err(Lost::Refused)).is_break() || is_lost {
                break ControlFlow::Break(());
            }
        };
        if scratch.capacity() <= SCRATCH_KEPT {
            SCRATCH.with(|kept| kept.replace(scratch));
        }
        flow
    }
}

thread_local! {
    /// Where the payload of a message lies while it is read.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Bytes of scratch that a worker keeps between two reads.
const SCRATCH_KEPT: usize = 64 * 1024;
