//! The body of an event stream: the frames of the session's outbox, written as events.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;

use crate::link::{Frame, FramePart, Link};
use crate::transport::events::client::PacketSender;
use crate::transport::events::text::{EventText, Heard};
use crate::transport::feed::OutboundStream;

/// The stream of one client. The session ends if it is dropped.
pub(super) struct EventBody {
    feed: OutboundStream,
    client: PacketSender,
    text: EventText,
    outcome: Option<Outcome>,
    /// Events that were written before the response began.
    written: String,
    has_ended: bool,
}

/// The program's decision about a client.
pub(super) enum Outcome {
    Connected,
    /// The JSON text of the error.
    Refused(String),
    /// The session has ended before the decision.
    Ended,
}

impl EventBody {
    pub(super) fn new(link: &Arc<Link>, client: PacketSender, pid: Option<String>) -> Self {
        Self {
            feed: OutboundStream::of(link),
            client,
            text: EventText::new(pid),
            outcome: None,
            written: String::new(),
            has_ended: false,
        }
    }

    /// Waits for the program's decision.
    pub(super) async fn outcome(&mut self) -> Outcome {
        poll_fn(|cx| {
            loop {
                if let Some(outcome) = self.outcome.take() {
                    return Poll::Ready(outcome);
                }
                if self.has_ended {
                    return Poll::Ready(Outcome::Ended);
                }
                ready!(self.poll_frame(cx));
            }
        })
        .await
    }

    /// Takes the next frame, and writes its event.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match ready!(self.feed.poll_frame(cx)) {
            Some(frame) => self.frame(&frame),
            None => self.has_ended = true,
        }
        Poll::Ready(())
    }

    fn frame(&mut self, frame: &Frame) {
        let heard = match frame.part() {
            FramePart::Text(packet) => {
                let packet = String::from_utf8_lossy(packet);
                self.text.packet(&packet, &mut self.written)
            }
            FramePart::Binary(data) => {
                self.text.attachment(data, &mut self.written);
                Heard::Text
            }
        };
        match heard {
            Heard::Text => {}
            Heard::Ping => self.client.send("3"),
            Heard::Connected => self.outcome = Some(Outcome::Connected),
            Heard::Refused(error) => self.outcome = Some(Outcome::Refused(error)),
            Heard::Ended => self.has_ended = true,
        }
    }
}

impl MessageBody for EventBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        // Events that wait together are one write.
        while self.written.len() < CHUNK && !self.has_ended && self.poll_frame(cx).is_ready() {}
        if !self.written.is_empty() {
            let written = std::mem::take(&mut self.written);
            return Poll::Ready(Some(Ok(written.into())));
        }
        match self.has_ended {
            true => Poll::Ready(None),
            false => Poll::Pending,
        }
    }
}

/// The size from which waiting events are written.
const CHUNK: usize = 32 * 1024;
