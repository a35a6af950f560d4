//! The body of an event stream: the frames of the session's outbox, written as events.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use actix_web::body::{BodySize, MessageBody};
use bytes::{Buf, Bytes, BytesMut};

use crate::link::Link;
use crate::transport::events::client::PacketSender;
use crate::transport::events::text::{EventText, Heard};
use crate::transport::feed::OutboundStream;

/// The stream of one client. The session ends if it is dropped.
pub(super) struct EventBody {
    feed: OutboundStream,
    client: PacketSender,
    text: EventText,
    /// Frames that were not handled yet.
    frames: BytesMut,
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
            frames: BytesMut::new(),
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
                ready!(self.poll_frames(cx));
            }
        })
        .await
    }

    /// Takes the next frames, and writes their events.
    fn poll_frames(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match ready!(self.feed.poll_chunk(cx)) {
            Some(chunk) => {
                self.frames.extend_from_slice(&chunk);
                while let Some((opcode, payload)) = next_frame(&mut self.frames) {
                    self.frame(opcode, &payload);
                }
            }
            None => self.has_ended = true,
        }
        Poll::Ready(())
    }

    fn frame(&mut self, opcode: u8, payload: &[u8]) {
        let heard = match opcode {
            TEXT => {
                let packet = String::from_utf8_lossy(payload);
                self.text.packet(&packet, &mut self.written)
            }
            BINARY => {
                self.text.attachment(payload, &mut self.written);
                Heard::Text
            }
            CLOSE => Heard::Ended,
            _ => Heard::Text,
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
        loop {
            if !self.written.is_empty() {
                let written = std::mem::take(&mut self.written);
                return Poll::Ready(Some(Ok(written.into())));
            }
            if self.has_ended {
                return Poll::Ready(None);
            }
            ready!(self.poll_frames(cx));
        }
    }
}

/// RFC 6455, 5.2: takes the first whole frame of a server: its opcode and its payload.
fn next_frame(frames: &mut BytesMut) -> Option<(u8, Bytes)> {
    let (first, second) = (*frames.first()?, *frames.get(1)?);
    let (header, length) = match second & 0x7f {
        126 => (
            4,
            u64::from(u16::from_be_bytes(*frames.get(2..)?.first_chunk()?)),
        ),
        127 => (10, u64::from_be_bytes(*frames.get(2..)?.first_chunk()?)),
        short => (2, u64::from(short)),
    };
    let length = usize::try_from(length).ok()?;
    if frames.len() - header < length {
        return None;
    }
    frames.advance(header);
    Some((first & 0x0f, frames.split_to(length).freeze()))
}

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Frame;

    #[test]
    fn frames_are_taken_one_after_another_wherever_they_are_cut() {
        let texts = ["", "2", &"x".repeat(200), &"y".repeat(70_000)];
        let mut bytes = Vec::new();
        for text in texts {
            bytes.extend_from_slice(Frame::packet(text).websocket());
        }
        for cut in [0, 1, 2, 3, 5, 9, 210, 215, bytes.len()] {
            let (mut frames, mut taken) = (BytesMut::new(), Vec::new());
            for part in [&bytes[..cut], &bytes[cut..]] {
                frames.extend_from_slice(part);
                while let Some((opcode, payload)) = next_frame(&mut frames) {
                    assert_eq!(opcode, TEXT);
                    taken.push(payload);
                }
            }
            assert_eq!(taken, texts, "{cut}");
        }
    }
}
