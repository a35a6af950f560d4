//! The outgoing bytes of a WebSocket: its own frames first, then those of its session's outbox. Other
//! streams take the frames, and write them in a form of their own.
//!
//! A transport that upgrades a session starts with an outbox for the responses to its probe; the
//! session's outbox follows after the session has agreed. The owner of the transport sends the bytes
//! to the client.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::time::{Sleep, sleep};

use crate::config::Config;
use crate::link::{Deflater, Frame, Link, Outbox, Stop, WriteFrames};

/// The frames of one WebSocket. It is dropped if the WebSocket has closed, or has sent all frames;
/// its session is notified.
pub(crate) struct OutboundStream {
    probe_outbox: Option<Arc<ProbeOutbox>>,
    link: Arc<Link>,
    deflating: Option<Box<Deflating>>,
    pause: PauseTimer,
}

/// The state of a WebSocket that compresses.
struct Deflating {
    deflater: Deflater,
    /// The rest of a chunk that is partly written.
    rest: Bytes,
}

impl OutboundStream {
    /// Sends the frames of the session.
    pub(crate) fn of(link: &Arc<Link>) -> Self {
        let link = Arc::clone(link);
        Self {
            probe_outbox: None,
            link,
            deflating: None,
            pause: PauseTimer::default(),
        }
    }

    /// Sends the frames of the probe's outbox and then, if the probe succeeds, those of the
    /// session.
    pub(crate) fn behind(probe_outbox: &Arc<ProbeOutbox>, link: &Arc<Link>) -> Self {
        Self {
            probe_outbox: Some(Arc::clone(probe_outbox)),
            link: Arc::clone(link),
            deflating: None,
            pause: PauseTimer::default(),
        }
    }

    /// Compresses the frames from now on.
    pub(crate) fn deflating(mut self, deflater: Deflater) -> Self {
        let rest = Bytes::new();
        self.deflating = Some(Box::new(Deflating { deflater, rest }));
        self
    }

    /// Returns the options of its server.
    pub(crate) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.link.config)
    }

    /// Begins with the response to the opening handshake, or behind it if the owner writes it.
    pub(crate) fn begin(&mut self, response: Option<Bytes>) {
        match (&self.probe_outbox, response) {
            // Nothing is sent before the client's probe.
            (Some(probe_outbox), response) => {
                self.pause.is_open = true;
                if let Some(response) = response {
                    probe_outbox.outbox.preface(response);
                }
            }
            (None, response) => self.link.outbox.begin_apart(response),
        }
    }

    /// Takes the next chunk; `None` is the end.
    pub(crate) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let deflating = &mut self.deflating;
        let mut chunk_of = |outbox: &Outbox, cx: &mut Context<'_>| match deflating {
            Some(deflating) => outbox.poll_deflated(cx, &mut deflating.deflater),
            None => outbox.poll_chunk(cx),
        };
        if let Some(probe_outbox) = &self.probe_outbox {
            match ready!(chunk_of(&probe_outbox.outbox, cx)) {
                None if probe_outbox.has_succeeded() => self.probe_outbox = None,
                chunk => return Poll::Ready(chunk),
            }
        }
        loop {
            let chunk = ready!(chunk_of(&self.link.outbox, cx));
            if chunk.is_some() || ready!(self.pause.poll(&self.link.outbox, cx)) == Stop::End {
                return Poll::Ready(chunk);
            }
        }
    }

    /// Takes the next frame; `None` is the end.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Frame>> {
        if let Some(probe_outbox) = &self.probe_outbox {
            match ready!(probe_outbox.outbox.poll_frame(cx)) {
                None if probe_outbox.has_succeeded() => self.probe_outbox = None,
                frame => return Poll::Ready(frame),
            }
        }
        loop {
            let frame = ready!(self.link.outbox.poll_frame(cx));
            if frame.is_some() || self.link.outbox.stop() == Stop::End {
                return Poll::Ready(frame);
            }
            // A stream has no segments that its client could read at once.
            self.link.outbox.resume();
        }
    }

    /// Writes the queued frames with `write`; `Ok` is the end.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        write: &mut WriteFrames<'_>,
    ) -> Poll<io::Result<()>> {
        if self.deflating.is_some() {
            return self.poll_write_chunks(cx, write);
        }
        if let Some(probe_outbox) = &self.probe_outbox {
            ready!(probe_outbox.outbox.poll_write(cx, write))?;
            if !probe_outbox.has_succeeded() {
                return Poll::Ready(Ok(()));
            }
            self.probe_outbox = None;
        }
        loop {
            ready!(self.link.outbox.poll_write(cx, write))?;
            if ready!(self.pause.poll(&self.link.outbox, cx)) == Stop::End {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// The same with compression: chunk after chunk. A frame leaves its outbox before it is written.
    fn poll_write_chunks(
        &mut self,
        cx: &mut Context<'_>,
        write: &mut WriteFrames<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if let Some(deflating) = &mut self.deflating {
                while !deflating.rest.is_empty() {
                    let slices = [IoSlice::new(&deflating.rest)];
                    match ready!(write(cx, &slices))? {
                        0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                        written => deflating.rest.advance(written),
                    }
                }
            }
            let Some(chunk) = ready!(self.poll_chunk(cx)) else {
                return Poll::Ready(Ok(()));
            };
            if let Some(deflating) = &mut self.deflating {
                deflating.rest = chunk;
            }
        }
    }
}

/// The pauses of a WebSocket.
#[derive(Default)]
struct PauseTimer {
    timer: Option<Pin<Box<Sleep>>>,
    /// The pause behind the response to the opening handshake is over.
    is_open: bool,
}

impl PauseTimer {
    /// Waits for the end of a pause, if it is the reason why the reader of this outbox has stopped.
    fn poll(&mut self, outbox: &Outbox, cx: &mut Context<'_>) -> Poll<Stop> {
        let stop = outbox.stop();
        if stop == Stop::Pause {
            let length = match self.is_open {
                true => BEHIND_PACKET,
                false => BEHIND_RESPONSE,
            };
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(length)));
            ready!(timer.as_mut().poll(cx));
            self.timer = None;
            self.is_open = true;
            outbox.resume();
        }
        Poll::Ready(stop)
    }
}

impl Drop for OutboundStream {
    /// A WebSocket that closes between its upgrade and its first byte ends the session too; one
    /// that closes before does not affect it.
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

/// The outgoing frames of a WebSocket before it has a session's outbox.
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
            // The client pings without reading.
            self.fail();
        }
    }

    /// Makes the session's outbox follow. Returns whether the WebSocket is still connected.
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

// A turn of the event loop is no pause: in eight of ten runs the next packet reached the client
// before it had read the first.

/// The pause behind the response to the opening handshake, for a client that waits for its end.
const BEHIND_RESPONSE: Duration = Duration::from_millis(1);

/// The pause behind the OPEN packet and each CONNECT packet. A client handles them for the first time,
/// so it takes longer.
const BEHIND_PACKET: Duration = Duration::from_millis(5);

/// The states of a probe's outbox.
const PROBING: u8 = 0;
const SUCCEEDED: u8 = 1;
const GONE: u8 = 2;

/// The limit in bytes of a probe's outbox: the handshake's response, and responses to probes and
/// pings.
const PROBE_LIMIT: usize = 16 * 1024;
