//! One simulated client that stays on polling: a connection for its POSTs, one for its polls, and what
//! it has in flight. In: answers. Out: latencies, and requests.
//!
//! Like the default client it has one POST in flight at a time. Packets that are due meanwhile are
//! sent together in the next one, and their latency counts from the time at which they were due.

use std::collections::VecDeque;
use std::net::SocketAddr;

use mio::{Registry, Token};

use crate::exchange::Exchange;
use crate::histogram::Histogram;
use crate::http;
use crate::payload::{SEPARATOR, packets, sid};

pub(crate) struct Poller {
    addr: SocketAddr,
    pub(crate) stage: Stage,
    polls: Exchange,
    posts: Exchange,
    poll_request: Vec<u8>,
    post_head: Vec<u8>,
    /// Since when each message not sent yet has waited.
    waiting: VecDeque<u64>,
    /// The same for those sent and not answered yet.
    sent: VecDeque<u64>,
    connect_due: bool,
    pong_due: bool,
}

impl Poller {
    /// Sends the handshake.
    pub(crate) fn open(
        addr: SocketAddr,
        registry: &Registry,
        tokens: [Token; 2],
    ) -> std::io::Result<Self> {
        let [polls, posts] = tokens.map(|token| Exchange::new(addr, token));
        let mut poller = Self {
            addr,
            stage: Stage::Opening,
            polls,
            posts,
            poll_request: Vec::new(),
            post_head: Vec::new(),
            waiting: VecDeque::new(),
            sent: VecDeque::new(),
            connect_due: false,
            pong_due: false,
        };
        poller.polls.request(registry, &http::get(addr, None))?;
        Ok(poller)
    }

    pub(crate) fn exchange(&mut self, side: Side) -> &mut Exchange {
        match side {
            Side::Polls => &mut self.polls,
            Side::Posts => &mut self.posts,
        }
    }

    /// Takes in an answer, and returns how many messages it answers.
    ///
    /// # Errors
    ///
    /// The answer is none to what was asked.
    pub(crate) fn on_answer(
        &mut self,
        side: Side,
        now: u64,
        latencies: &mut Histogram,
    ) -> Result<usize, String> {
        if side == Side::Posts {
            return Ok(0);
        }
        let mut answered = 0;
        for packet in packets(self.polls.body()) {
            let sound = match (self.stage, packet) {
                (Stage::Ready, _) if packet.starts_with(br#"42["echo""#) => {
                    let sent_at = self.sent.pop_front();
                    answered += 1;
                    if let Some(sent_at) = sent_at {
                        latencies.record(now.saturating_sub(sent_at));
                    }
                    sent_at.is_some()
                }
                (Stage::Opening, [b'0', ..]) => match sid(packet) {
                    Some(sid) => {
                        self.poll_request = http::get(self.addr, Some(&sid));
                        self.post_head = http::post_head(self.addr, &sid);
                        self.stage = Stage::Connecting;
                        self.connect_due = true;
                        true
                    }
                    None => false,
                },
                (Stage::Connecting, [b'4', b'0', ..]) => {
                    self.stage = Stage::Ready;
                    true
                }
                // Engine.IO v4, Heartbeat: the server pings, the client answers.
                (_, b"2") => {
                    self.pong_due = true;
                    true
                }
                (_, b"6") => true,
                _ => false,
            };
            if !sound {
                let packet = String::from_utf8_lossy(packet);
                return Err(format!("unexpected packet: {packet}"));
            }
        }
        Ok(answered)
    }

    /// Puts down a message to be sent, since `at`.
    pub(crate) fn add(&mut self, at: u64) {
        self.waiting.push_back(at);
    }

    /// Returns how many messages are not answered.
    pub(crate) fn pending(&self) -> usize {
        self.waiting.len() + self.sent.len()
    }

    /// Sends what there is to send, if the connections are free for it.
    pub(crate) fn flush(
        &mut self,
        registry: &Registry,
        message: &[u8],
        scratch: &mut Scratch,
    ) -> std::io::Result<()> {
        if !self.posts.is_busy() && self.write_body(message, &mut scratch.body) {
            http::post(&self.post_head, &scratch.body, &mut scratch.request);
            self.posts.request(registry, &scratch.request)?;
        }
        if !self.polls.is_busy() {
            self.polls.request(registry, &self.poll_request)?;
        }
        Ok(())
    }

    /// Writes the packets that wait, and returns whether there are any.
    fn write_body(&mut self, message: &[u8], body: &mut Vec<u8>) -> bool {
        body.clear();
        let connect = std::mem::take(&mut self.connect_due).then_some(&b"40"[..]);
        let pong = std::mem::take(&mut self.pong_due).then_some(&b"3"[..]);
        let count = self.waiting.len().min(MESSAGES_MAX);
        let messages = std::iter::repeat_n(message, count);
        for packet in connect.into_iter().chain(pong).chain(messages) {
            if !body.is_empty() {
                body.push(SEPARATOR);
            }
            body.extend_from_slice(packet);
        }
        self.sent.extend(self.waiting.drain(..count));
        !body.is_empty()
    }
}

/// One of a client's two connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    Polls,
    Posts,
}

/// Opening → Connecting → Ready
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The handshake is sent.
    Opening,
    /// CONNECT is sent, or waits to be.
    Connecting,
    Ready,
}

/// The buffers for one request. Reused, so that a POST allocates nothing.
#[derive(Default)]
pub(crate) struct Scratch {
    body: Vec<u8>,
    request: Vec<u8>,
}

/// How many messages one POST may carry: python-engineio refuses payloads of more than sixteen
/// packets, and a PONG may come on top.
const MESSAGES_MAX: usize = 15;
