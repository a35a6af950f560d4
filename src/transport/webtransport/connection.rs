//! One connection of WebTransport, from its first packet to its end.
//!
//! ```text
//!            response 200      first packet         outbox ended          closed by both, or LINGER
//!   Request ────────────▶ Open ───────────▶ Session ────────────▶ Closing ─────────────────▶ gone
//!      └── refused, or too late ──┴── a session that the client closes, or whose connection breaks ──┘
//! ```
//! The task is on the worker of the session. It ends within [`LINGER`] after the session.

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::body::BoxBody;
use actix_http::header::HeaderMap;
use actix_http::{HttpMessage, Request, Response, StatusCode};
use actix_service::Service;
use quinn::{Connection, RecvStream, SendStream, VarInt};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::link::InboundError;
use crate::logging::TARGET_REQUEST;
use crate::transport::feed::OutboundStream;
use crate::transport::refusal::Refusal;
use crate::transport::webtransport::http3::{H3_NO_ERROR, Http3, Http3Error};
use crate::transport::webtransport::inbound::{Shared, StreamReader};
use crate::transport::webtransport::listener::Attempt;
use crate::transport::webtransport::offer::{Accepted, Offering};
use crate::transport::webtransport::request::request;
use crate::transport::webtransport::writer::write;

/// Serves an attempt: its request through the App, and then its session. An attempt without a
/// session ends when `draining` is cancelled.
pub(crate) async fn serve<S>(attempt: Attempt, app: Rc<S>, draining: CancellationToken)
where
    S: Service<Request, Response = Response<BoxBody>, Error = Response<BoxBody>>,
{
    let Attempt {
        incoming,
        unopened,
        config,
    } = attempt;
    let opening = async {
        let limit = config.engine.upgrade_timeout;
        let connecting = incoming.accept().ok()?;
        let connection = within(limit, connecting).await?.ok()?;
        let session = open(&connection, &*app, &config).await;
        if session.is_none() {
            close_with(&connection, H3_NO_ERROR);
        }
        session
    };
    let session = tokio::select! {
        biased;
        () = draining.cancelled() => None,
        session = opening => session,
    };
    drop((unopened, app));
    if let Some(session) = session {
        session.run().await;
    }
}

/// Opens the session of a connection; `None` if it was refused, or has ended.
async fn open<S>(connection: &Connection, app: &S, config: &Arc<Config>) -> Option<Session>
where
    S: Service<Request, Response = Response<BoxBody>, Error = Response<BoxBody>>,
{
    let limit = config.engine.upgrade_timeout;
    let head_limit = config.limits.handshake_limit;
    let exchange = Http3::accept(connection.clone(), head_limit);
    let (mut http3, fields) = match within(limit, exchange).await? {
        Ok(accepted) => accepted,
        Err(error) => {
            close_for(connection, &error);
            return None;
        }
    };
    let fields = fields.map_err(|_| StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let request = fields.and_then(|fields| request(&fields, http3.client()));
    let answered = match request {
        Ok(request) => answer(connection, app, request).await?,
        Err(status) => (status, HeaderMap::new(), None),
    };
    let (status, headers, accepted) = answered;
    let responding = http3.respond(status, &headers);
    if let Err(error) = within(limit, responding).await? {
        close_for(connection, &error);
        return None;
    }
    let accepted = accepted?;
    let max_payload = accepted.max_payload();
    let streams = async {
        let (send, recv) = http3.stream().await?;
        Ok::<_, Http3Error>(first_packet(send, recv, max_payload).await)
    };
    match within(limit, streams).await {
        Some(Ok(first)) => begin(http3, accepted, first).await,
        Some(Err(error)) => {
            close_for(connection, &error);
            None
        }
        None => {
            close(http3, 0, "").await;
            None
        }
    }
}

/// Sends a request through the App. Returns the status for the client, the headers, and the server
/// that has accepted the session.
async fn answer<S>(
    connection: &Connection,
    app: &S,
    request: Request,
) -> Option<(StatusCode, HeaderMap, Option<Accepted>)>
where
    S: Service<Request, Response = Response<BoxBody>, Error = Response<BoxBody>>,
{
    let offering = Offering::default();
    request.extensions_mut().insert(offering.offer());
    // An App may take any time: it is dropped if its client disconnects.
    let answer = tokio::select! {
        answer = app.call(request) => answer,
        _ = connection.closed() => return None,
    };
    let (Ok(answer) | Err(answer)) = answer;
    let accepted = offering.accepted();
    Some(match (answer.status(), accepted) {
        (status, Some(accepted)) if status.is_success() => {
            (status, answer.headers().clone(), Some(accepted))
        }
        // Another route of the App has answered: it has no session.
        (status, None) if status.is_success() => (StatusCode::NOT_FOUND, HeaderMap::new(), None),
        (status, _) => (status, answer.headers().clone(), None),
    })
}

/// The stream of a session, and its first packet, if that is text.
struct First {
    send: SendStream,
    reader: StreamReader,
    packet: Option<String>,
}

async fn first_packet(send: SendStream, recv: RecvStream, max_payload: usize) -> First {
    let mut reader = StreamReader::new(recv, max_payload);
    let packet = reader.text().await;
    First {
        send,
        reader,
        packet,
    }
}

/// Opens the session that the first packet requests.
async fn begin(mut http3: Http3, accepted: Accepted, first: First) -> Option<Session> {
    let First {
        send,
        reader,
        packet,
    } = first;
    let shared = reader.shared();
    let opened = tokio::select! {
        opened = accepted.open(packet.as_deref(), reader) => opened,
        _ = http3.closed() => return None,
    };
    match opened {
        Ok(feed) => Some(Session {
            http3,
            feed,
            send,
            shared,
        }),
        Err(refusal) => {
            let (code, message) = refused(refusal);
            close(http3, code, message).await;
            None
        }
    }
}

/// Returns the code and the reason with which a refused session is closed: those of Engine.IO.
fn refused(refusal: Refusal) -> (u32, &'static str) {
    match refusal.code() {
        Some((code, message)) => (u32::from(code), message),
        None => (0, refusal.cause()),
    }
}

/// An open session.
struct Session {
    http3: Http3,
    feed: OutboundStream,
    send: SendStream,
    shared: Rc<Shared>,
}

impl Session {
    async fn run(self) {
        let Self {
            mut http3,
            mut feed,
            mut send,
            shared,
        } = self;
        let end = tokio::select! {
            written = write(&mut feed, &mut send) => match written {
                Ok(()) => End::OfServer,
                Err(_) => End::OfClient(InboundError::Broken),
            },
            end = http3.closed() => End::OfClient(end),
            () = lingered(&shared) => End::Abandoned,
        };
        let ending = async {
            match end {
                End::OfServer => {
                    // The server's part of the stream ends; what it has sent is received first.
                    drop(feed);
                    if send.finish().is_ok() {
                        let _ = send.stopped().await;
                        // A browser drops what its page has not read when the session is closed.
                        let _ = timeout(READ_TIME, http3.closed()).await;
                    }
                }
                End::OfClient(end) => {
                    // The session reads what has arrived, and releases the stream.
                    shared.end(end);
                    shared.released().await;
                    drop(feed);
                }
                End::Abandoned => return,
            }
            http3.close(0, "").await;
            http3.connection.closed().await;
        };
        within(LINGER, ending).await;
        close_with(&http3.connection, H3_NO_ERROR);
    }
}

/// The first sign of a session's end.
enum End {
    /// Its outbox has ended, and all frames are written.
    OfServer,
    OfClient(InboundError),
    /// The session has ended, and the client does not read.
    Abandoned,
}

/// Waits until the session has released its stream, and for the time in which the rest is written.
async fn lingered(shared: &Shared) {
    shared.released().await;
    tokio::time::sleep(LINGER).await;
}

/// Closes a session, waits for the client to close the connection, and closes it.
async fn close(mut http3: Http3, code: u32, reason: &str) {
    let closing = async {
        http3.close(code, reason).await;
        http3.connection.closed().await
    };
    within(LINGER, closing).await;
    close_with(&http3.connection, H3_NO_ERROR);
}

/// Closes a connection with a code of HTTP/3.
fn close_with(connection: &Connection, code: u32) {
    connection.close(VarInt::from_u32(code), b"");
}

/// Closes a connection that has no session.
fn close_for(connection: &Connection, error: &Http3Error) {
    let code = match error {
        Http3Error::Violation { code, cause } => {
            let client = connection.remote_address().ip();
            log::debug!(target: TARGET_REQUEST, "connection of {client} closed: {cause}");
            (*code).max(H3_NO_ERROR)
        }
        Http3Error::Lost(_) | Http3Error::HeadTooLarge => H3_NO_ERROR,
    };
    close_with(connection, code);
}

/// Waits for a future with a time limit.
async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    timeout(limit, future).await.ok()
}

/// The time in which the last packets are received, and in which the client closes its side.
const LINGER: Duration = Duration::from_secs(2);

/// The time for which a page may read what its browser has received.
const READ_TIME: Duration = Duration::from_millis(100);
