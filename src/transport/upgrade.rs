//! The upgrade: a WebSocket sends a probe while its session is polling, and then takes it over. A
//! stream of WebTransport does the same.
//!
//! The new transport may be on another worker than the session. The probe is answered here, beside
//! it; the session's actor agrees twice, and moves here at the end. An error ends the new transport
//! alone: the session continues with polling.

use std::future::{Future, poll_fn};
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use actix_web::{HttpRequest, HttpResponse, web};
use tokio::time::timeout;

use crate::config::Transport;
use crate::engineio;
use crate::limits::Limit;
use crate::link::{BinaryForm, CandidateTurn, Frame, Inbound, InboundMessage, Link};
use crate::logging::TARGET_SESSION;
use crate::panics::Caught;
use crate::session::{Engine, HandOver, Handle, Probe, ProbeFailed};
use crate::transport::feed::{OutboundStream, ProbeOutbox};
use crate::transport::hooks::Hooks;
use crate::transport::opening::answer;
use crate::transport::refusal::Refusal;
use crate::transport::websocket::hold;

/// Answers the handshake of a WebSocket that requests the upgrade of a session.
pub(crate) fn begin(
    engine: &Arc<Engine>,
    hooks: &Hooks,
    (handle, form): (&Handle, BinaryForm),
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Refusal> {
    let opening = answer(hooks, &engine.config, request)?;
    let (feed, start) = candidate(engine, handle, form, Transport::WebSocket);
    Ok(hold(request, payload, opening, feed, start))
}

/// Makes a candidate for the transport of a session: its output, and the function that reads its
/// messages from now on.
pub(crate) fn candidate(
    engine: &Arc<Engine>,
    handle: &Handle,
    form: BinaryForm,
    transport: Transport,
) -> (OutboundStream, impl FnOnce(Box<dyn Inbound>) + 'static) {
    let probe_outbox = Arc::new(ProbeOutbox::new());
    let turn = match handle.transport {
        Transport::Polling => handle.link.begin_candidate(),
        _ => None,
    };
    if turn.is_none() {
        // Clients expect a WebSocket that closes, not a refused handshake.
        probe_outbox.fail();
    }
    let feed = OutboundStream::behind(&probe_outbox, &handle.link);
    let (engine, handle) = (Arc::clone(engine), handle.clone());
    let start = move |frames| {
        let candidate = Candidate {
            engine,
            handle,
            form,
            transport,
            probe_outbox,
            frames,
            turn,
            agreed: false,
        };
        actix_rt::spawn(candidate.run_caught());
    };
    (feed, start)
}

/// A transport that is not yet the session's.
struct Candidate {
    engine: Arc<Engine>,
    handle: Handle,
    form: BinaryForm,
    transport: Transport,
    probe_outbox: Arc<ProbeOutbox>,
    frames: Box<dyn Inbound>,
    /// Held until it has the session, or has failed; `None` if it was refused.
    turn: Option<CandidateTurn>,
    /// The session waits for this candidate.
    agreed: bool,
}

impl Candidate {
    /// No task waits for it: it ends within the upgrade timeout, or with its transport.
    async fn run_caught(self) {
        let link = Arc::clone(&self.handle.link);
        let outbox = Arc::clone(&self.probe_outbox);
        if let Err(panic) = Caught::new(self.run()).await {
            // The session continues with polling after its own upgrade timeout.
            outbox.fail();
            link.report_panic("upgrade", &panic);
        }
    }

    async fn run(mut self) {
        let limit = self.engine.config.engine.upgrade_timeout;
        let probed = timeout(limit, self.probe()).await;
        if probed == Ok(true) {
            return self.hand_over().await;
        }
        let was_refused = self.turn.is_none();
        if probed.is_err() && !was_refused {
            let link = &self.handle.link;
            link.hit(Limit::UpgradeTimeout, limit.as_millis());
        }
        let outcome = match (probed, self.agreed) {
            _ if was_refused => "refused",
            (Err(_), _) => "timed_out",
            (Ok(_), true) => "abandoned",
            (Ok(_), false) => "refused",
        };
        count(&self.handle.link, outcome);
        log::debug!(target: TARGET_SESSION, "{} not upgraded", self.handle.link);
        if self.agreed {
            // Engine.IO v4, Upgrade: the session continues with polling. A life-cycle message.
            self.handle.session.do_send(ProbeFailed);
        }
        // Before the client knows: its next candidate must not be refused.
        self.turn = None;
        self.probe_outbox.fail();
    }

    /// Engine.IO v4, Upgrade: each `2probe` is answered with `3probe`, and `5` requests the
    /// session. As on the Node.js server it may come without a probe. Returns `true` after the `5`,
    /// and `false` if the session has ended.
    async fn probe(&mut self) -> bool {
        let link = Arc::clone(&self.handle.link);
        let mut ended = pin!(link.in_flight.ended());
        loop {
            let step = self.next_step(ended.as_mut()).await;
            if step == Step::Wrong {
                return false;
            }
            if self.turn.is_none() {
                return false;
            }
            if !self.agreed {
                // `send` to an address of this candidate's own: the mailbox always has room for it,
                // and the whole probe has a deadline.
                self.agreed = matches!(self.handle.session.send(Probe).await, Ok(Ok(())));
                if !self.agreed {
                    return false;
                }
            }
            if step == Step::Upgrade {
                return true;
            }
            self.probe_outbox
                .send(Frame::packet(engineio::PROBE_ANSWER));
        }
    }

    /// Moves the session to an actor beside this transport.
    async fn hand_over(mut self) {
        let hand_over = HandOver {
            heir: self.engine.await_arrival(self.frames),
            form: self.form,
            transport: self.transport,
        };
        let limit = self.engine.config.engine.upgrade_timeout;
        let agreed = timeout(limit, self.handle.session.send(hand_over)).await;
        let is_moved = matches!(agreed, Ok(Ok(Ok(()))));
        count(
            &self.handle.link,
            if is_moved { "completed" } else { "refused" },
        );
        self.turn = None;
        if !is_moved {
            self.probe_outbox.fail();
        } else if !self.probe_outbox.succeed() {
            // The transport broke while the session moved, so its feed could not notify it.
            self.handle.link.gone();
        }
    }

    /// Waits for the next packet, or the end of the session; control frames are answered in the
    /// meantime.
    async fn next_step(&mut self, mut ended: Pin<&mut impl Future<Output = ()>>) -> Step {
        let Self {
            frames,
            probe_outbox,
            ..
        } = self;
        poll_fn(|cx| {
            let mut step = None;
            frames.read(cx, &mut |message| {
                step = match message {
                    Ok(InboundMessage::Text(engineio::PROBE)) => Some(Step::Probe),
                    Ok(InboundMessage::Text(engineio::UPGRADE)) => Some(Step::Upgrade),
                    Ok(InboundMessage::Ping(payload)) => {
                        probe_outbox.send(Frame::pong(payload));
                        None
                    }
                    Ok(InboundMessage::Pong | InboundMessage::Fragment) => None,
                    Ok(
                        InboundMessage::Text(_)
                        | InboundMessage::Binary(_)
                        | InboundMessage::Close(_),
                    )
                    | Err(_) => Some(Step::Wrong),
                };
                match step {
                    Some(_) => ControlFlow::Break(()),
                    None => ControlFlow::Continue(()),
                }
            });
            match step {
                Some(step) => Poll::Ready(step),
                // Reference server, upgrade: a candidate closes with its session.
                None => ended.as_mut().poll(cx).map(|()| Step::Wrong),
            }
        })
        .await
    }
}

/// Counts the end of an upgrade.
fn count(link: &Link, outcome: &'static str) {
    link.config.telemetry.metrics.upgraded(outcome);
}

/// A packet of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Probe,
    Upgrade,
    /// Any other packet, its end, or that of the session.
    Wrong,
}
