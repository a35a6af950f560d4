//! The output of a session: frames of its outbox, written to its stream.

use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::Bytes;
use quinn::{SendStream, WriteError};

use crate::engineio::{self, EMPTY_BINARY, push_header};
use crate::link::{Frame, FramePart};
use crate::transport::feed::OutboundStream;

/// Writes the frames of `feed` up to its end.
///
/// # Errors
///
/// The stream is closed, or its connection.
pub(super) async fn write(
    feed: &mut OutboundStream,
    stream: &mut SendStream,
) -> Result<(), WriteError> {
    let mut batch = Batch::default();
    while poll_fn(|cx| batch.poll_fill(feed, cx)).await {
        stream.write_all_chunks(&mut batch.take()).await?;
    }
    Ok(())
}

/// Frames that are written at once. They have left their outbox, so there are few of them.
#[derive(Default)]
struct Batch {
    chunks: Vec<Bytes>,
    /// Small messages and headers that follow the chunks.
    joined: Vec<u8>,
    length: usize,
}

impl Batch {
    /// Takes the frames that are queued, as many as are worth one write. Returns `false` at their
    /// end.
    fn poll_fill(&mut self, feed: &mut OutboundStream, cx: &mut Context<'_>) -> Poll<bool> {
        while self.length < BATCH {
            match feed.poll_frame(cx) {
                Poll::Ready(Some(frame)) => self.push(&frame),
                Poll::Ready(None) => break,
                Poll::Pending if self.length == 0 => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(self.length > 0)
    }

    fn push(&mut self, frame: &Frame) {
        let (is_binary, payload) = match frame.part() {
            // The end of the stream says it.
            FramePart::Text(text) if text == engineio::CLOSE.as_bytes() => return,
            FramePart::Text(text) => (false, text),
            FramePart::Binary([]) => (false, EMPTY_BINARY.as_bytes()),
            FramePart::Binary(data) => (true, data),
        };
        push_header(&mut self.joined, is_binary, payload.len());
        self.length += payload.len();
        if payload.len() < JOINED {
            self.joined.extend_from_slice(payload);
            return;
        }
        self.flush();
        // The payload is the end of the frame that all recipients share.
        let shared = frame.websocket();
        let start = shared.len().saturating_sub(payload.len());
        self.chunks.push(shared.slice(start..));
    }

    fn flush(&mut self) {
        if !self.joined.is_empty() {
            self.chunks.push(std::mem::take(&mut self.joined).into());
        }
    }

    fn take(&mut self) -> Vec<Bytes> {
        self.flush();
        self.length = 0;
        std::mem::take(&mut self.chunks)
    }
}

/// The size from which a batch is written.
const BATCH: usize = 16 * 1024;

/// The size of a payload from which it is not copied.
const JOINED: usize = 2 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn written(frames: &[Frame]) -> Vec<Vec<u8>> {
        let mut batch = Batch::default();
        frames.iter().for_each(|frame| batch.push(frame));
        batch.take().iter().map(|chunk| chunk.to_vec()).collect()
    }

    #[test]
    fn small_packets_are_one_chunk() {
        let frames = [
            Frame::packet("2"),
            Frame::binary(&[1, 2]),
            Frame::packet("4é"),
        ];
        assert_eq!(
            written(&frames),
            [[&[1, b'2', 0x82, 1, 2, 3][..], "4é".as_bytes()].concat()]
        );
    }

    #[test]
    fn a_large_packet_is_not_copied() {
        let large = Frame::binary(&[7; 70_000]);
        let mut batch = Batch::default();
        batch.push(&Frame::packet("2"));
        batch.push(&large);
        batch.push(&Frame::packet("3"));
        let chunks = batch.take();
        assert_eq!(chunks[0][..], [1, b'2', 0xFF, 0, 0, 0, 0, 0, 1, 0x11, 0x70]);
        assert!(chunks[1].iter().all(|byte| *byte == 7));
        assert_eq!(chunks[1].len(), 70_000);
        let end = large.websocket().as_ptr_range().end;
        assert_eq!(chunks[1].as_ptr_range().end, end);
        assert_eq!(chunks[2][..], [1, b'3']);
        assert!(batch.take().is_empty());
    }

    #[test]
    fn a_binary_message_without_a_byte_is_text() {
        assert_eq!(written(&[Frame::binary(&[])]), [[1, b'b']]);
    }

    #[test]
    fn a_close_is_no_packet() {
        assert!(written(&[Frame::close(None)]).is_empty());
    }
}
