//! The upgrade: a WebSocket proves itself beside a polling session, and takes it over.
//!
//! The WebSocket may be on another worker than the session. Here, beside the WebSocket, the probe is
//! answered; the session's actor agrees twice, and moves here at the end. Whatever goes wrong ends
//! the WebSocket alone: the session goes on polling.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use tokio::time::timeout;

use crate::actor::{Engine, HandOver, Handle, Inbound, Probe, ProbeFailed, Session};
use crate::config::Transport;
use crate::engineio;
use crate::link::{Frame, Link, Outbox};
use crate::transport::refusal::Refusal;
use crate::transport::websocket::{FrameBody, FrameReader, handshake};
use crate::websocket::Message;

/// Answers the handshake of a WebSocket that wants to take a session over.
pub(crate) fn begin(
    engine: &Arc<Engine>,
    handle: &Handle,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Refusal> {
    let mut response = handshake(request)?;
    let lane = Arc::new(Lane::new());
    if handle.transport == Transport::WebSocket {
        // Clients expect a WebSocket that closes rather than a refused handshake.
        lane.fail();
    }
    let candidate = Candidate {
        engine: Arc::clone(engine),
        handle: handle.clone(),
        lane: Arc::clone(&lane),
        frames: Box::new(FrameReader::new(payload, engine.config.max_payload)),
        agreed: false,
    };
    actix_rt::spawn(candidate.run());
    Ok(response.body(ProbeBody {
        lane,
        link: Arc::clone(&handle.link),
        taken_over: None,
    }))
}

/// A WebSocket that is not the session's transport yet.
struct Candidate {
    engine: Arc<Engine>,
    handle: Handle,
    lane: Arc<Lane>,
    frames: Box<dyn Inbound>,
    /// The session waits for this candidate.
    agreed: bool,
}

impl Candidate {
    async fn run(mut self) {
        let limit = self.engine.config.upgrade_timeout;
        if timeout(limit, self.probe()).await == Ok(true) {
            return self.hand_over().await;
        }
        if self.agreed {
            // Engine.IO v4, Upgrade: the session goes on with polling. A life-cycle message.
            self.handle.session.do_send(ProbeFailed);
        }
        self.lane.fail();
    }

    /// Engine.IO v4, Upgrade: `2probe` is answered with `3probe`, and `5` asks for the session. Tells
    /// whether it came to that.
    async fn probe(&mut self) -> bool {
        if !self.next_is(engineio::PROBE).await {
            return false;
        }
        // `send` by an address of this candidate's own: the mailbox is not full for it, and the
        // whole probe has a deadline.
        self.agreed = matches!(self.handle.session.send(Probe).await, Ok(Ok(())));
        if !self.agreed {
            return false;
        }
        self.lane.send(&Frame::packet(engineio::PROBE_ANSWER));
        self.next_is(engineio::UPGRADE).await
    }

    /// Lets the session move to an actor beside this WebSocket.
    async fn hand_over(self) {
        let heir = Session::await_arrival(&self.engine, self.frames);
        let limit = self.engine.config.upgrade_timeout;
        let agreed = timeout(limit, self.handle.session.send(HandOver { heir })).await;
        match agreed {
            Ok(Ok(Ok(()))) => self.lane.succeed(),
            Ok(Ok(Err(_)) | Err(_)) | Err(_) => self.lane.fail(),
        }
    }

    /// Tells whether the next text is this one; control frames are answered meanwhile.
    async fn next_is(&mut self, expected: &str) -> bool {
        let mut scratch = Vec::new();
        loop {
            let next = poll_fn(|cx| {
                let polled = self.frames.poll_message(cx, &mut scratch);
                polled.map(|message| match message {
                    Ok(Message::Text(text)) => Some(text == expected),
                    Ok(Message::Ping(payload)) => {
                        self.lane.send(&Frame::pong(payload));
                        None
                    }
                    Ok(Message::Pong) => None,
                    Ok(Message::Binary(_) | Message::Close(_)) | Err(_) => Some(false),
                })
            });
            if let Some(answer) = next.await {
                return answer;
            }
        }
    }
}

/// What a candidate sends before it has the session's outbox.
struct Lane {
    outbox: Outbox,
    succeeded: AtomicBool,
}

impl Lane {
    fn new() -> Self {
        let outbox = Outbox::new(LANE_LIMIT);
        outbox.attach_websocket();
        Self {
            outbox,
            succeeded: AtomicBool::new(false),
        }
    }

    fn send(&self, frame: &Frame) {
        if self.outbox.push(frame, &[]).is_err() {
            // It pings without reading.
            self.fail();
        }
    }

    fn succeed(&self) {
        self.succeeded.store(true, Ordering::Release);
        self.outbox.close(None);
    }

    fn fail(&self) {
        self.outbox.close(Some(Frame::close(None)));
    }
}

/// The response's body: the lane, and after it the session's outbox.
struct ProbeBody {
    lane: Arc<Lane>,
    link: Arc<Link>,
    taken_over: Option<FrameBody>,
}

impl MessageBody for ProbeBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        if self.taken_over.is_none() {
            match self.lane.outbox.poll_chunk(cx) {
                Poll::Ready(None) if self.lane.succeeded.load(Ordering::Acquire) => {
                    self.taken_over = Some(FrameBody::new(&self.link));
                }
                lane => return lane.map(|chunk| chunk.map(Ok)),
            }
        }
        match &mut self.taken_over {
            Some(body) => Pin::new(body).poll_next(cx),
            None => Poll::Ready(None),
        }
    }
}

impl Drop for ProbeBody {
    /// A WebSocket that goes between its upgrade and its first byte takes the session with it.
    fn drop(&mut self) {
        if self.taken_over.is_none() && self.lane.succeeded.load(Ordering::Acquire) {
            self.link.gone();
        }
    }
}

/// Bytes that a candidate may have waiting: answers to a few pings.
const LANE_LIMIT: usize = 1024;
