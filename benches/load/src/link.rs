//! The response of a WebSocket client to a frame. In: frames. Out: what the protocol demands in
//! return, and whether the client is ready or at its end; what a ready client receives goes to the
//! traffic.

use crate::client::{Progress, Stage};
use crate::frame;
use crate::scan::Frame;
use crate::tally::Tally;
use crate::traffic::{Traffic, Turn};

/// One client's frames on their way to whom they concern.
pub(crate) struct Link<'a> {
    pub(crate) index: usize,
    pub(crate) progress: &'a mut Progress,
    pub(crate) traffic: &'a mut Traffic,
    pub(crate) turn: &'a mut Turn,
    pub(crate) tally: &'a mut Tally,
}

impl Link<'_> {
    pub(crate) fn on_frame(&mut self, frame: &Frame<'_>) {
        match frame.opcode {
            frame::TEXT => {
                if let Err(error) = self.on_packet(frame.start) {
                    let packet = String::from_utf8_lossy(frame.start);
                    self.tally.error(&format!("{error}: {packet}"));
                }
            }
            frame::BINARY => self.on_attachment(frame.start),
            // A message counts when its first frame is complete.
            frame::CONTINUATION | frame::PONG => {}
            frame::PING => self.turn.replies.extend(frame::pong(frame.start)),
            frame::CLOSE => self.turn.closed = true,
            opcode => self.tally.error(&format!("unexpected opcode {opcode}")),
        }
    }

    fn on_attachment(&mut self, attachment: &[u8]) {
        let Self {
            progress,
            traffic,
            turn,
            tally,
            ..
        } = self;
        if progress.stage == Stage::Closing {
            return;
        }
        let latencies = &mut tally.latencies;
        if let Err(error) = traffic.receive_attachment(attachment, progress, turn, latencies) {
            tally.error(error);
        }
    }

    fn on_packet(&mut self, packet: &[u8]) -> Result<(), &'static str> {
        match (self.progress.stage, packet) {
            (Stage::Ready, [b'4', b'2' | b'3', ..]) => {
                let Self {
                    index,
                    progress,
                    traffic,
                    turn,
                    tally,
                } = self;
                return traffic.receive(packet, *index, progress, turn, &mut tally.latencies);
            }
            (Stage::Ready, [b'4', b'5', ..]) => {
                return self.traffic.receive_binary(packet, self.progress);
            }
            // Engine.IO v4, Heartbeat: the server pings, the client answers.
            (_, b"2") => self.turn.replies.extend(frame::text("3")),
            (Stage::Opening, [b'0', ..]) => self.turn.replies.extend(frame::text("40")),
            (Stage::Opening, [b'4', b'0', ..]) => self.on_connected(),
            (Stage::Joining, [b'4', b'2', ..]) => self.become_ready(),
            (Stage::Probing, b"3probe") => self.progress.stage = Stage::Probed,
            (_, b"6") | (Stage::Closing, _) => {}
            _ => return Err("unexpected packet"),
        }
        Ok(())
    }

    /// Goes on from where WebSocket carries the session and the namespace is joined.
    pub(crate) fn on_connected(&mut self) {
        match self.traffic.join(self.index) {
            Some(frames) => {
                self.turn.replies.extend(frames);
                self.progress.stage = Stage::Joining;
            }
            None => self.become_ready(),
        }
    }

    fn become_ready(&mut self) {
        self.progress.stage = Stage::Ready;
        self.turn.ready = true;
    }
}
