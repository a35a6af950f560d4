//! A session on the client's side: one waiting poll, and one POST at a time.

use std::cell::RefCell;
use std::fmt;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::HeaderMap;
use serde_json::Value;
use tokio::sync::{Mutex, Notify};
use tokio::time::timeout;

use crate::config::ParserId;
use crate::id::Id;
use crate::link::Outgoing;
use crate::members::Encoder;
use crate::session::Engine;
use crate::socketio::Encoding;
use crate::testing::error::{ConnectFailed, TestError};
use crate::testing::inbox::Inbox;
use crate::testing::service::{AnyService, Requests};

/// The state that all handles of one session share.
pub(crate) struct Session {
    service: AnyService,
    requests: Requests,
    sid: String,
    /// The parser that the server has chosen for this client.
    encoding: Encoding,
    parser: ParserId,
    engine: Arc<Engine>,
    answers_pings: bool,
    response_headers: HeaderMap,
    inbox: RefCell<Inbox>,
    /// The number of frames received from the server.
    received: RefCell<u64>,
    changed: Notify,
    /// Engine.IO v4, HTTP long-polling: one POST at a time.
    posting: Mutex<()>,
}

impl Session {
    /// Opens a session: performs the handshake, and then polls.
    pub(crate) async fn open(
        engine: &Arc<Engine>,
        service: AnyService,
        requests: Requests,
        answers_pings: bool,
    ) -> Result<Rc<Self>, ConnectFailed> {
        let response = service(requests.get(None)).await;
        let sid = session_id(&response.body);
        let (Some(sid), 200) = (sid, response.status) else {
            return Err(ConnectFailed::Http {
                status: response.status,
                body: response.body,
            });
        };
        let link = Id::parse(&sid).and_then(|id| engine.find(id));
        let link = link.map(|handle| Arc::clone(&handle.link));
        // A session that has ended already gets no packet.
        let parser = link.as_ref().map_or(ParserId::JSON, |link| link.parser());
        let parsers = link.map(|link| Arc::clone(&link.config.parsers));
        let encoding = parsers.map_or(Encoding::Json, |parsers| parsers.get(parser).clone());
        let session = Rc::new(Self {
            inbox: RefCell::new(Inbox::new(encoding.clone())),
            encoding,
            parser,
            sid,
            service,
            requests,
            engine: Arc::clone(engine),
            answers_pings,
            response_headers: response.headers,
            received: RefCell::default(),
            changed: Notify::new(),
            posting: Mutex::new(()),
        });
        actix_rt::spawn(poll(Rc::downgrade(&session)));
        Ok(session)
    }

    pub(crate) fn response_headers(&self) -> &HeaderMap {
        &self.response_headers
    }

    /// Returns the encoder of the packets to the server, which are the same in both directions.
    pub(crate) fn encoder(&self) -> Encoder<'_> {
        Encoder::by(&self.encoding, self.parser)
    }

    /// Gives access to the received packets.
    pub(crate) fn inbox<T>(&self, look: impl FnOnce(&mut Inbox) -> T) -> T {
        look(&mut self.inbox.borrow_mut())
    }

    /// Waits until `look` finds a value in the received packets; `None` after the time limit.
    pub(crate) async fn wait<T>(
        &self,
        limit: Duration,
        mut look: impl FnMut(&mut Inbox) -> Option<T>,
    ) -> Option<T> {
        let waiting = async {
            loop {
                let changed = self.changed.notified();
                if let Some(found) = self.inbox(&mut look) {
                    return found;
                }
                changed.await;
            }
        };
        timeout(limit, waiting).await.ok()
    }

    /// Sends a packet. The server has received it when this returns, and its handler has run up to
    /// its first wait.
    pub(crate) async fn post(&self, packet: &Outgoing) -> Result<(), TestError> {
        let mut body = Vec::new();
        let frames = std::iter::once(&packet.frame).chain(packet.attached());
        for frame in frames {
            if !body.is_empty() {
                body.push(0x1E);
            }
            frame.push_polling(&mut body);
        }
        self.post_body(body).await
    }

    async fn post_body(&self, body: Vec<u8>) -> Result<(), TestError> {
        let _turn = self.posting.lock().await;
        if self.inbox(|inbox| inbox.ended) {
            return Err(TestError::NotConnected);
        }
        match (self.service)(self.requests.post(&self.sid, body))
            .await
            .status
        {
            200 => Ok(()),
            _ => Err(TestError::NotConnected),
        }
    }

    /// Ends the session, like a client that disconnects.
    pub(crate) async fn close(&self) {
        // If the session has ended already, the goal is reached too.
        let _ = self.post_body(b"1".to_vec()).await;
    }

    /// Waits until everything that the server has queued for this client has arrived.
    pub(crate) async fn settle(&self, limit: Duration) {
        let handle = Id::parse(&self.sid).and_then(|id| self.engine.find(id));
        // An ended session sends nothing more.
        let Some(handle) = handle else { return };
        let due = handle.link.outbox.pushed();
        self.wait(limit, |inbox| {
            (inbox.ended || *self.received.borrow() >= due).then_some(())
        })
        .await;
    }

    /// Reads the response to a poll. Returns whether to poll again.
    async fn take(&self, status: u16, body: &str) -> bool {
        if status == 200 {
            self.inbox(|inbox| inbox.take(body));
        } else {
            self.inbox(Inbox::end);
        }
        self.count_received();
        let pings = self.inbox(|inbox| std::mem::take(&mut inbox.pings));
        self.changed.notify_waiters();
        if self.answers_pings {
            for _ in 0..pings {
                // If this fails, the next poll returns the reason.
                let _ = self.post_body(b"3".to_vec()).await;
            }
        }
        !self.inbox(|inbox| inbox.ended)
    }

    fn count_received(&self) {
        let Some(handle) = Id::parse(&self.sid).and_then(|id| self.engine.find(id)) else {
            return;
        };
        let mut received = self.received.borrow_mut();
        while handle.link.outbox.has_drained(*received + 1) {
            *received += 1;
        }
    }
}

impl Drop for Session {
    /// The last handle is dropped, so the client disconnects.
    fn drop(&mut self) {
        let ended = self.inbox.borrow().ended;
        if !ended && actix_rt::System::try_current().is_some() {
            let request = self.requests.post(&self.sid, b"1".to_vec());
            let posted = (self.service)(request);
            actix_rt::spawn(async move {
                posted.await;
            });
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("inbox", &self.inbox)
            .finish_non_exhaustive()
    }
}

/// Keeps one poll waiting while a handle of the session exists.
async fn poll(session: Weak<Session>) {
    loop {
        let Some(request) = session
            .upgrade()
            .map(|session| (session.service)(session.requests.get(Some(&session.sid))))
        else {
            return;
        };
        let response = request.await;
        let Some(session) = session.upgrade() else {
            return;
        };
        if !session.take(response.status, &response.body).await {
            return;
        }
    }
}

/// Returns the session's id from an OPEN packet.
pub(crate) fn session_id(body: &str) -> Option<String> {
    let open: Value = serde_json::from_str(body.strip_prefix('0')?).ok()?;
    open["sid"].as_str().map(str::to_owned)
}
