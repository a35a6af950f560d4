//! A session on HTTP long-polling: a request takes what is to be sent, or brings what the client
//! sent.
//!
//! Whoever holds the request calls this, on its own thread; a request that another node of the
//! cluster got is no different. What requests and answers look like is the transport's.

use std::future::poll_fn;

use log::Level;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::config::Transport;
use crate::engineio;
use crate::link::{PollRefused, PostTurn};
use crate::logging::LogKind;
use crate::reason::CloseReason;
use crate::session::actor::Deliver;
use crate::session::engine::Handle;

/// What a request wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Poll {
    /// What there is to send, as soon as there is something.
    Take,
    /// That these packets are taken.
    Bring(String),
}

/// What it gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Polled {
    /// Packets, which somebody wants compressed or not.
    Packets { body: Vec<u8>, compress: bool },
    /// Its packets have been taken.
    Taken,
}

impl Polled {
    /// Engine.IO v4, Packet types: a noop, with which a client polls anew.
    pub(crate) fn noop() -> Self {
        Self::Packets {
            body: engineio::NOOP.as_bytes().to_vec(),
            compress: false,
        }
    }
}

/// Why it gets nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unpolled {
    /// There is no such session, or none any more.
    Unknown,
    /// The session is not, or no longer, on polling, or has ended over what it was sent.
    Refused,
    /// The request breaks a rule that ends the session.
    Violation,
}

impl Handle {
    pub(crate) fn check_polling(&self) -> Result<(), Unpolled> {
        match self.transport {
            Transport::Polling => Ok(()),
            Transport::WebSocket => Err(Unpolled::Refused),
        }
    }

    /// Waits until there is something to send, and takes all of it.
    pub(crate) async fn take(&self) -> Result<Polled, Unpolled> {
        let link = &self.link;
        let mut poll = match link.outbox.begin_poll() {
            Ok(poll) => poll,
            Err(PollRefused::Upgraded) => return Err(Unpolled::Refused),
            // One poll at a time: the client is not in order, and the first poll gets the close.
            Err(PollRefused::Busy) => return Err(self.violation(CloseReason::TransportError)),
        };
        let unfinished = CloseOnDrop::new(|| link.close(CloseReason::TransportError));
        let body = poll_fn(|cx| poll.poll_body(cx)).await;
        unfinished.finished();
        let compress = poll.wants_compression();
        drop(poll);
        if link.outbox.is_closed() {
            // The session has waited for this poll, which may have taken its last packets.
            link.nudge();
        }
        match body {
            Some(body) => Ok(Polled::Packets { body, compress }),
            // The upgrade is complete, and what is queued belongs to the WebSocket.
            None if link.outbox.has_websocket() => Ok(Polled::noop()),
            None => Err(Unpolled::Unknown),
        }
    }

    /// Begins to bring packets.
    pub(crate) fn begin_post(&self) -> Result<PostTurn<'_>, Unpolled> {
        let turn = self.link.begin_post();
        turn.ok_or_else(|| self.violation(CloseReason::TransportError))
    }

    /// Hands packets to the session's actor, and waits until it has taken them; the caller has the
    /// turn.
    pub(crate) async fn bring(&self, body: String) -> Result<Polled, Unpolled> {
        let link = &self.link;
        let (done, taken) = oneshot::channel();
        // `do_send`: the answer comes by the channel, from whoever holds the session by then.
        self.session.do_send(Deliver { body, done });
        match timeout(link.config.silence_limit(), taken).await {
            Ok(Ok(())) => Ok(Polled::Taken),
            // The session ended over what it was sent.
            Ok(Err(_)) => Err(Unpolled::Refused),
            Err(_) => {
                let number = link.number;
                let line = format_args!("session {number} closed: its handlers do not end");
                link.config
                    .line_limits
                    .write(LogKind::Failed, Level::Warn, line);
                Err(self.violation(CloseReason::TransportError))
            }
        }
    }

    fn violation(&self, reason: CloseReason) -> Unpolled {
        self.link.close(reason);
        Unpolled::Violation
    }
}

/// Closes the session when the client gives its request up: what was on the way is lost.
#[derive(Debug)]
pub(crate) struct CloseOnDrop<F: Fn()> {
    close: Option<F>,
}

impl<F: Fn()> CloseOnDrop<F> {
    pub(crate) fn new(close: F) -> Self {
        Self { close: Some(close) }
    }

    pub(crate) fn finished(mut self) {
        self.close = None;
    }
}

impl<F: Fn()> Drop for CloseOnDrop<F> {
    fn drop(&mut self) {
        if let Some(close) = &self.close {
            close();
        }
    }
}
