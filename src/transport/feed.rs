//! What a WebSocket sends: what it says by itself first, then what its session's outbox has.
//!
//! A WebSocket that takes a session over begins with an outbox for the answers to its probe; the
//! session's outbox follows when the session has agreed. How the bytes get to the client is the
//! business of whoever holds the WebSocket.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use crate::link::{Frame, Link, Outbox, WriteFrames};

/// The frames of one WebSocket. Dropped when the WebSocket has gone, or has said all there was to
/// say; its session is told.
pub(crate) struct OutboundStream {
    probe_outbox: Option<Arc<ProbeOutbox>>,
    link: Arc<Link>,
}

impl OutboundStream {
    /// Sends what the session sends.
    pub(crate) fn of(link: &Arc<Link>) -> Self {
        let link = Arc::clone(link);
        Self {
            probe_outbox: None,
            link,
        }
    }

    /// Sends what the probe's outbox has, and then, if the probe succeeds, what the session sends.
    pub(crate) fn behind(probe_outbox: &Arc<ProbeOutbox>, link: &Arc<Link>) -> Self {
        Self {
            probe_outbox: Some(Arc::clone(probe_outbox)),
            link: Arc::clone(link),
        }
    }

    /// Puts bytes in front of everything.
    pub(crate) fn preface(&self, bytes: Bytes) {
        let outbox = match &self.probe_outbox {
            Some(probe_outbox) => &probe_outbox.outbox,
            None => &self.link.outbox,
        };
        outbox.preface(bytes);
    }

    /// Takes the next chunk; `None` is the end.
    pub(crate) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(probe_outbox) = &self.probe_outbox {
            match ready!(probe_outbox.outbox.poll_chunk(cx)) {
                None if probe_outbox.has_succeeded() => self.probe_outbox = None,
                chunk => return Poll::Ready(chunk),
            }
        }
        self.link.outbox.poll_chunk(cx)
    }

    /// Writes what there is by `write`; `Ok` is the end.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        write: &mut WriteFrames<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(probe_outbox) = &self.probe_outbox {
            ready!(probe_outbox.outbox.poll_write(cx, write))?;
            if !probe_outbox.has_succeeded() {
                return Poll::Ready(Ok(()));
            }
            self.probe_outbox = None;
        }
        self.link.outbox.poll_write(cx, write)
    }
}

impl Drop for OutboundStream {
    /// A WebSocket that goes between its upgrade and its first byte takes the session with it; one
    /// that goes before leaves it alone.
    fn drop(&mut self) {
        let has_session = match &self.probe_outbox {
            Some(probe_outbox) => probe_outbox.state.swap(GONE, Ordering::AcqRel) == SUCCEEDED,
            None => true,
        };
        if has_session {
            self.link.gone();
        }
    }
}

/// What a WebSocket sends before it has a session's outbox.
pub(crate) struct ProbeOutbox {
    outbox: Outbox,
    /// The feed and the candidate write it; the second of `SUCCEEDED` and `GONE` sees the first.
    state: AtomicU8,
}

impl ProbeOutbox {
    pub(crate) fn new() -> Self {
        let outbox = Outbox::new(PROBE_LIMIT, 0);
        outbox.attach_websocket();
        Self {
            outbox,
            state: AtomicU8::new(PROBING),
        }
    }

    pub(crate) fn send(&self, frame: Frame) {
        if self.outbox.push(frame.into()).is_err() {
            // It pings without reading.
            self.fail();
        }
    }

    /// Lets the session's outbox follow; tells whether there still is a WebSocket to follow by.
    pub(crate) fn succeed(&self) -> bool {
        let before = self.state.swap(SUCCEEDED, Ordering::AcqRel);
        self.outbox.close(None);
        before != GONE
    }

    /// Ends the WebSocket.
    pub(crate) fn fail(&self) {
        self.outbox.close(Some(Frame::close(None)));
    }

    fn has_succeeded(&self) -> bool {
        self.state.load(Ordering::Acquire) == SUCCEEDED
    }
}

/// The states of a probe's outbox.
const PROBING: u8 = 0;
const SUCCEEDED: u8 = 1;
const GONE: u8 = 2;

/// Bytes that a probe's outbox may have waiting: the handshake's answer, and answers to probes and
/// pings.
const PROBE_LIMIT: usize = 16 * 1024;
