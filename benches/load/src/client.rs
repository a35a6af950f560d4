//! One simulated client on WebSocket: its stream, how far it has come, and what it has in flight. It
//! moves bytes and knows no workload.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

use mio::{Registry, Token};

use crate::acks::Acks;
use crate::scan::Scanner;
use crate::wire::Wire;

pub(crate) struct Client {
    pub(crate) wire: Wire,
    pub(crate) scanner: Scanner,
    pub(crate) progress: Progress,
    /// The response to the upgrade request, as far as it has come.
    response: Vec<u8>,
    pub(crate) birth: Birth,
}

impl Client {
    /// Connects, for a new session or for one that was opened on polling.
    pub(crate) fn connect(
        addr: SocketAddr,
        registry: &Registry,
        index: usize,
        sid: Option<&str>,
        birth: Birth,
    ) -> io::Result<Self> {
        let request = upgrade_request(addr, sid).into_bytes();
        Ok(Self {
            wire: Wire::connect(addr, registry, Token(index), request)?,
            scanner: Scanner::new(),
            progress: Progress::new(),
            response: Vec::new(),
            birth,
        })
    }

    /// Takes the response to the upgrade request off the front of a chunk.
    ///
    /// Returns how long that part is once the response is complete.
    pub(crate) fn upgrade(&mut self, chunk: &[u8]) -> Result<Option<usize>, String> {
        let before = self.response.len();
        self.response.extend_from_slice(chunk);
        let end = self
            .response
            .windows(4)
            .position(|window| window == b"\r\n\r\n");
        let Some(end) = end else {
            return Ok(None);
        };
        if !self.response.starts_with(b"HTTP/1.1 101 ") {
            let line = self
                .response
                .split(|byte| *byte == b'\r')
                .next()
                .unwrap_or_default();
            return Err(format!(
                "upgrade refused: {}",
                String::from_utf8_lossy(line)
            ));
        }
        self.response = Vec::new();
        self.progress.stage = Stage::Opening;
        Ok(Some(end + 4 - before))
    }
}

/// When a client was opened, and what tells it from an earlier one at the same index.
#[derive(Clone, Copy)]
pub(crate) struct Birth {
    pub(crate) opened_at: u64,
    pub(crate) serial: u64,
}

/// How far a client has come, and what a workload keeps of it.
pub(crate) struct Progress {
    pub(crate) stage: Stage,
    /// When each message in flight was sent.
    pub(crate) sent: VecDeque<u64>,
    /// The same where ids are never used twice.
    pub(crate) acks: Acks,
    /// How many broadcasts have come in.
    pub(crate) received: u64,
    /// Whether the next binary frame completes an event.
    pub(crate) attachment_due: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self {
            stage: Stage::Upgrading,
            sent: VecDeque::new(),
            acks: Acks::default(),
            received: 0,
            attachment_due: false,
        }
    }

    /// Returns how many messages are not answered.
    pub(crate) fn pending(&self) -> usize {
        self.sent.len() + self.acks.pending()
    }
}

/// Upgrading → Opening → (Joining →) Ready → Closing, or, if the session began on polling,
/// Upgrading → Probing → Probed → (Joining →) Ready → Closing
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The upgrade request is sent, or waits for the TCP handshake.
    Upgrading,
    /// WebSocket is up; Engine.IO's handshake or the namespace's CONNECT is missing.
    Opening,
    /// WebSocket is up beside polling, and the probe is sent.
    Probing,
    /// The probe is answered; the open poll is not.
    Probed,
    /// Asked for its room, and for an echo that shows the server has seen that.
    Joining,
    Ready,
    /// The close frame is sent; the server ends the stream (RFC 6455, 7.1.1).
    Closing,
}

fn upgrade_request(addr: SocketAddr, sid: Option<&str>) -> String {
    let (parameter, sid) = match sid {
        Some(sid) => ("&sid=", sid),
        None => ("", ""),
    };
    format!(
        "GET /socket.io/?EIO=4&transport=websocket{parameter}{sid} HTTP/1.1\r\n\
         Host: {addr}\r\n\
         Connection: Upgrade\r\n\
         Upgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}
