//! A session, seen from outside, and the requests of HTTP long-polling to it: they take queued
//! packets, or bring packets of the client.
//!
//! The code that holds the request calls this on its own thread; a request that another node of the
//! cluster received is no different. The transport defines the format of requests and responses.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use log::Level;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::clock::now;
use crate::config::Transport;
use crate::handshake::Revision;
use crate::link::{Link, PollRefused, PostTurn};
use crate::logging::LogKind;
use crate::reason::CloseReason;
use crate::session::actor::Session;
use crate::session::poll::{PollError, PollResponse, PostBody};
use crate::session::post::Deliver;

/// A session, seen from outside.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    pub(crate) link: Arc<Link>,
    pub(crate) session: Addr<Session>,
    pub(crate) transport: Transport,
    /// The engine's flag: the session has closed, and its client has not yet received the last
    /// packets.
    pub(super) has_closed: bool,
}

impl Handle {
    /// Checks that a client of this revision may poll.
    pub(crate) fn check_polling(&self, revision: Revision) -> Result<(), PollError> {
        match self.transport {
            Transport::Polling if revision == self.link.handshake.revision() => Ok(()),
            _ => Err(PollError::Refused),
        }
    }

    /// Waits until packets are queued, and takes all of them.
    pub(crate) async fn take(&self) -> Result<PollResponse, PollError> {
        let link = &self.link;
        let (begun, had_candidate) = (now(), link.has_candidate());
        let mut poll = match link.outbox.begin_poll() {
            Ok(poll) => poll,
            Err(PollRefused::Upgraded) => return Err(PollError::Refused),
            // Only one poll at a time: the client violates the protocol, and the first poll
            // receives the close.
            Err(PollRefused::Busy) => return Err(self.violation(CloseReason::TransportError)),
        };
        let unfinished = CloseOnDrop::new(|| link.close(CloseReason::TransportError));
        let body = poll_fn(|cx| poll.poll_body(cx)).await;
        unfinished.finished();
        let (compress, is_binary) = (poll.wants_compression(), poll.is_binary());
        drop(poll);
        if link.outbox.is_closed() {
            // The session has waited for this poll, which may have taken its last packets.
            link.wake();
        }
        match body {
            Some(body) => Ok(PollResponse::Packets {
                body,
                compress,
                is_binary,
            }),
            // The client has sent this poll behind the request for the upgrade, which was read later: on
            // another worker, by way of the session's own.
            None if had_candidate
                && link.outbox.has_websocket()
                && now().saturating_duration_since(begun) < OVERTAKING =>
            {
                Err(PollError::Refused)
            }
            // The upgrade is complete, and queued packets belong to the WebSocket.
            None if link.outbox.has_websocket() => {
                Ok(PollResponse::noop(link.handshake.revision()))
            }
            None => Err(PollError::Unknown),
        }
    }

    /// Starts to bring packets.
    pub(crate) fn begin_post(&self) -> Result<PostTurn<'_>, PollError> {
        let turn = self.link.begin_post();
        turn.ok_or_else(|| self.violation(CloseReason::TransportError))
    }

    /// Sends packets to the session's actor, and waits until it has handled them; the caller has
    /// the turn.
    pub(crate) async fn bring(&self, body: PostBody) -> Result<PollResponse, PollError> {
        let link = &self.link;
        let (done, taken) = oneshot::channel();
        // `do_send`: the present holder of the session answers by the channel.
        self.session.do_send(Deliver { body, done });
        let limit = link.config.engine.silence_limit();
        match timeout(limit, taken).await {
            Ok(Ok(())) => Ok(PollResponse::Taken),
            // The session ended because of the packets.
            Ok(Err(_)) => Err(PollError::Refused),
            Err(_) => {
                let line = format_args!(
                    "{link} closed: its handlers left no room for a POST within {limit:?}"
                );
                link.config
                    .line_limits
                    .write(LogKind::Failed, Level::Warn, line);
                Err(self.violation(CloseReason::TransportError))
            }
        }
    }

    fn violation(&self, reason: CloseReason) -> PollError {
        self.link.close(reason);
        PollError::Violation
    }
}

/// The maximal time by which a poll overtakes the packets of another connection that its client sent
/// before. A poll that waits for longer was sent before the upgrade.
const OVERTAKING: Duration = Duration::from_millis(100);

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
