//! A session on HTTP long-polling: a request takes queued packets, or brings packets of the client.
//!
//! The code that holds the request calls this on its own thread; a request that another node of the
//! cluster received is no different. The transport defines the format of requests and responses.

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

/// The purpose of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Poll {
    /// Take the queued packets, as soon as there are some.
    Take,
    /// Bring these packets.
    Bring(String),
}

/// The response to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Polled {
    /// Packets, with or without compression.
    Packets { body: Vec<u8>, compress: bool },
    /// Its packets were handled.
    Taken,
}

impl Polled {
    /// Engine.IO v4, Packet types: a noop, after which a client polls again.
    pub(crate) fn noop() -> Self {
        Self::Packets {
            body: engineio::NOOP.as_bytes().to_vec(),
            compress: false,
        }
    }
}

/// The reason why a request has no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unpolled {
    /// The session does not exist, or has ended.
    Unknown,
    /// The session is not on polling, or has ended because of the packets.
    Refused,
    /// The request violates a rule and thereby ends the session.
    Violation,
}

impl Handle {
    pub(crate) fn check_polling(&self) -> Result<(), Unpolled> {
        match self.transport {
            Transport::Polling => Ok(()),
            Transport::WebSocket => Err(Unpolled::Refused),
        }
    }

    /// Waits until packets are queued, and takes all of them.
    pub(crate) async fn take(&self) -> Result<Polled, Unpolled> {
        let link = &self.link;
        let mut poll = match link.outbox.begin_poll() {
            Ok(poll) => poll,
            Err(PollRefused::Upgraded) => return Err(Unpolled::Refused),
            // Only one poll at a time: the client violates the protocol, and the first poll
            // receives the close.
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
            // The upgrade is complete, and queued packets belong to the WebSocket.
            None if link.outbox.has_websocket() => Ok(Polled::noop()),
            None => Err(Unpolled::Unknown),
        }
    }

    /// Starts to bring packets.
    pub(crate) fn begin_post(&self) -> Result<PostTurn<'_>, Unpolled> {
        let turn = self.link.begin_post();
        turn.ok_or_else(|| self.violation(CloseReason::TransportError))
    }

    /// Sends packets to the session's actor, and waits until it has handled them; the caller has
    /// the turn.
    pub(crate) async fn bring(&self, body: String) -> Result<Polled, Unpolled> {
        let link = &self.link;
        let (done, taken) = oneshot::channel();
        // `do_send`: the present holder of the session answers by the channel.
        self.session.do_send(Deliver { body, done });
        match timeout(link.config.silence_limit(), taken).await {
            Ok(Ok(())) => Ok(Polled::Taken),
            // The session ended because of the packets.
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

/// Closes the session if the client aborts its request, because packets in transit were lost.
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
