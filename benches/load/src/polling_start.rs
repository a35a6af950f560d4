//! How a session that is to be upgraded begins: on polling. In: answers to polls. Out: the session's
//! id once the namespace is joined, and later the word that WebSocket may take over. The WebSocket
//! side, and the probe on it, are the client's.
//!
//! The requests follow each other on one stream. The default client has a second one for its POSTs,
//! but there is nothing here for the two to do at the same time.

use std::net::SocketAddr;

use mio::event::Event;
use mio::{Registry, Token};

use crate::client::Birth;
use crate::exchange::Exchange;
use crate::http;
use crate::payload::{packets, sid};

pub(crate) struct PollingStart {
    exchange: Exchange,
    addr: SocketAddr,
    state: State,
    sid: String,
    /// Whether the server has pinged on a poll. A second stream for the PONG is not worth having:
    /// it goes out on WebSocket, a moment later.
    pub(crate) pong_due: bool,
    pub(crate) birth: Birth,
}

impl PollingStart {
    /// Sends the handshake.
    pub(crate) fn open(
        addr: SocketAddr,
        registry: &Registry,
        token: Token,
        birth: Birth,
    ) -> std::io::Result<Self> {
        let mut exchange = Exchange::new(addr, token);
        exchange.request(registry, &http::get(addr, None))?;
        Ok(Self {
            exchange,
            addr,
            state: State::Handshake,
            sid: String::new(),
            pong_due: false,
            birth,
        })
    }

    pub(crate) fn sid(&self) -> &str {
        &self.sid
    }

    pub(crate) fn hang_up(&mut self, registry: &Registry) {
        self.exchange.hang_up(registry);
    }

    /// Takes in what the stream is ready for, and sends the request behind an answer.
    ///
    /// Once WebSocket has answered the probe, no poll follows the open one.
    ///
    /// # Errors
    ///
    /// The answer is none to what was asked, or the stream is broken.
    pub(crate) fn on_event(
        &mut self,
        event: &Event,
        registry: &Registry,
        buffer: &mut [u8],
        probed: bool,
    ) -> Result<Step, String> {
        if event.is_writable() {
            self.exchange
                .on_writable()
                .map_err(|error| error.to_string())?;
        }
        let end_seen = event.is_read_closed();
        if event.is_readable() && self.exchange.on_readable(registry, buffer, end_seen)? {
            self.on_answer(registry, probed)
        } else {
            Ok(Step::Wait)
        }
    }

    fn on_answer(&mut self, registry: &Registry, probed: bool) -> Result<Step, String> {
        let step = match self.state {
            State::Handshake => {
                let handshake = packets(self.exchange.body()).find_map(sid);
                self.sid = handshake.ok_or_else(|| self.unexpected())?;
                self.state = State::Connect;
                let mut request = Vec::new();
                http::post(&http::post_head(self.addr, &self.sid), b"40", &mut request);
                self.request(registry, &request)?;
                return Ok(Step::Wait);
            }
            State::Connect => {
                self.state = State::Polling;
                Step::Wait
            }
            State::Polling => {
                if self.read_packets()? {
                    self.state = State::Connected;
                    Step::OpenWebSocket
                } else {
                    Step::Wait
                }
            }
            State::Connected => {
                self.read_packets()?;
                if probed {
                    return Ok(Step::TakeOver);
                }
                Step::Wait
            }
        };
        self.request(registry, &http::get(self.addr, Some(&self.sid)))?;
        Ok(step)
    }

    /// Returns whether one of the packets is the reply to CONNECT.
    fn read_packets(&mut self) -> Result<bool, String> {
        let mut connected = false;
        for packet in packets(self.exchange.body()) {
            match packet {
                [b'4', b'0', ..] => connected = true,
                b"2" => self.pong_due = true,
                b"6" => {}
                _ => return Err(self.unexpected()),
            }
        }
        Ok(connected)
    }

    fn request(&mut self, registry: &Registry, request: &[u8]) -> Result<(), String> {
        self.exchange
            .request(registry, request)
            .map_err(|error| error.to_string())
    }

    fn unexpected(&self) -> String {
        let body = String::from_utf8_lossy(self.exchange.body());
        format!("unexpected answer to a poll: {body}")
    }
}

/// The step after an answer.
pub(crate) enum Step {
    Wait,
    /// The namespace is joined, and the next poll is open.
    OpenWebSocket,
    /// The open poll was released behind the probe: WebSocket may carry the session.
    TakeOver,
}

/// Handshake → Connect → Polling → Connected
#[derive(Clone, Copy)]
enum State {
    /// The first GET is sent.
    Handshake,
    /// CONNECT is POSTed.
    Connect,
    /// Polls for the reply to it.
    Polling,
    /// Has it, and keeps a poll open until WebSocket takes over.
    Connected,
}
