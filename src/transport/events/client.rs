//! The client of an event stream, as its session sees it: it sends CONNECT, and answers each ping.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::task::{Context, Waker};

use crate::link::{Inbound, InboundError, InboundMessage};

/// The source of the client's packets.
pub(super) struct EventClient {
    queue: Rc<RefCell<Queue>>,
}

/// The end at which packets enter.
pub(super) struct PacketSender {
    queue: Rc<RefCell<Queue>>,
}

#[derive(Default)]
struct Queue {
    packets: VecDeque<String>,
    waker: Option<Waker>,
    /// The response is no longer read.
    is_closed: bool,
}

impl EventClient {
    /// Makes a client whose first packet is this one.
    pub(super) fn new(first: String) -> (PacketSender, Self) {
        let queue = Rc::new(RefCell::new(Queue {
            packets: VecDeque::from([first]),
            ..Queue::default()
        }));
        let sender = PacketSender {
            queue: Rc::clone(&queue),
        };
        (sender, Self { queue })
    }
}

impl PacketSender {
    /// Sends an Engine.IO packet to the session.
    pub(super) fn send(&self, packet: &str) {
        self.change(|queue| queue.packets.push_back(packet.to_owned()));
    }

    fn change(&self, change: impl FnOnce(&mut Queue)) {
        let waker = {
            let mut queue = self.queue.borrow_mut();
            change(&mut queue);
            queue.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for PacketSender {
    fn drop(&mut self) {
        self.change(|queue| queue.is_closed = true);
    }
}

impl Inbound for EventClient {
    fn read(
        &mut self,
        cx: &mut Context<'_>,
        take: &mut dyn FnMut(Result<InboundMessage<'_>, InboundError>) -> ControlFlow<()>,
    ) {
        loop {
            // Released before a handler of the program runs within `take`.
            let next = {
                let mut queue = self.queue.borrow_mut();
                match queue.packets.pop_front() {
                    Some(packet) => Some(packet),
                    None if queue.is_closed => None,
                    None => {
                        queue.waker = Some(cx.waker().clone());
                        return;
                    }
                }
            };
            let message = next.as_deref().map(InboundMessage::Text);
            let is_end = message.is_none();
            if take(message.ok_or(InboundError::Closed)).is_break() || is_end {
                return;
            }
        }
    }
}
