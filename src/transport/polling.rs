//! HTTP long-polling: a GET waits for what the server sends, a POST brings what the client sends.
//!
//! Bodies come in and go out here, on whatever worker the request landed on. A GET drains the
//! session's outbox by itself; a POST's body is handed to the session's actor, whole.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_core::Stream;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::actor::{Deliver, Engine, Handle};
use crate::handshake::Handshake;
use crate::link::{Link, PollRefused};
use crate::reason::CloseReason;
use crate::transport::compression::Coding;
use crate::transport::hooks::Hooks;
use crate::transport::refusal::Refusal;

/// Engine.IO v4, Handshake: the answer is the OPEN packet.
pub(crate) fn handshake(engine: &Arc<Engine>, hooks: &Hooks, handshake: Handshake) -> HttpResponse {
    let opened = engine.open_polling(handshake);
    let mut response = packets(opened.packet.into_bytes());
    hooks.add_cookie(opened.sid, response.headers_mut());
    response
}

/// Engine.IO v4, HTTP long-polling: waits until there is something to send, and sends all of it.
pub(crate) async fn get(handle: &Handle, request: &HttpRequest) -> Result<HttpResponse, Refusal> {
    let link = &handle.link;
    let mut poll = match link.outbox.begin_poll() {
        Ok(poll) => poll,
        Err(PollRefused::Upgraded) => return Err(Refusal::BadRequest),
        Err(PollRefused::Busy) => {
            // One poll at a time: the client is not in order, and the first poll gets the close.
            link.close(CloseReason::TransportError);
            return Err(Refusal::Violation);
        }
    };
    let unfinished = CloseOnDrop::new(link);
    let body = poll_fn(|cx| poll.poll_body(cx)).await;
    unfinished.finished();
    let is_worth_it = poll.wants_compression();
    drop(poll);
    if link.outbox.is_spent() {
        // The session has waited for this poll to take its last packets.
        link.nudge();
    }
    let body = body.ok_or(Refusal::UnknownSession)?;
    let threshold = link.config.http_compression.filter(|_| is_worth_it);
    Ok(match threshold {
        Some(threshold) if body.len() >= threshold => compressed(request, body),
        _ => packets(body),
    })
}

/// Engine.IO v4, HTTP long-polling: takes the packets of one body.
pub(crate) async fn post(
    handle: &Handle,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Refusal> {
    let link = &handle.link;
    let Some(turn) = link.begin_post() else {
        link.close(CloseReason::TransportError);
        return Err(Refusal::Violation);
    };
    if has_binary_body(request) {
        link.close(CloseReason::TransportError);
        return Err(Refusal::Violation);
    }
    let unfinished = CloseOnDrop::new(link);
    let reading = read(payload, link.config.max_payload);
    // A body that stops half-way must not outlive its session.
    let body = timeout(link.config.silence_limit(), reading).await;
    let body = body.unwrap_or(Err(Refusal::Violation));
    if body != Err(Refusal::Violation) {
        unfinished.finished();
    }
    let body = body?;
    let Ok(body) = String::from_utf8(body) else {
        link.close(CloseReason::ParseError);
        return Err(Refusal::Violation);
    };
    let (done, taken) = oneshot::channel();
    // `do_send`: the answer comes by the channel, from whoever holds the session by then.
    handle.session.do_send(Deliver { body, done });
    let taken = timeout(link.config.silence_limit(), taken).await;
    drop(turn);
    match taken {
        Ok(Ok(())) => Ok(HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, HeaderValue::from_static("text/html")))
            .body("ok")),
        // The session ended over what it was sent.
        Ok(Err(_)) => Err(Refusal::BadRequest),
        Err(_) => {
            log::warn!("session {}: its handlers do not end", link.id);
            link.close(CloseReason::TransportError);
            Err(Refusal::Violation)
        }
    }
}

/// Reads a body of up to `limit` bytes. Of a larger one as much again is read and dropped, so that a
/// client that is still sending gets to see the answer; it is kept nowhere.
async fn read(mut payload: web::Payload, limit: usize) -> Result<Vec<u8>, Refusal> {
    let mut body = Vec::new();
    let mut length = 0_usize;
    while let Some(chunk) = poll_fn(|cx| Pin::new(&mut payload).poll_next(cx)).await {
        let chunk = chunk.map_err(|_| Refusal::Violation)?;
        length = length.saturating_add(chunk.len());
        if length <= limit {
            body.extend_from_slice(&chunk);
        } else if length > limit.saturating_mul(2) {
            break;
        }
    }
    if length > limit {
        return Err(Refusal::TooLarge);
    }
    Ok(body)
}

/// Engine.IO v4 sends binary as base64; a binary body is of the third revision.
fn has_binary_body(request: &HttpRequest) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/octet-stream"))
}

/// Answers with packets in a coding that the client accepts, or as they are.
fn compressed(request: &HttpRequest, body: Vec<u8>) -> HttpResponse {
    let coding = Coding::accepted(request.headers());
    let Some((coding, encoded)) = coding.and_then(|coding| Some((coding, coding.encode(&body)?)))
    else {
        return packets(body);
    };
    let mut response = packets(encoded);
    let headers = response.headers_mut();
    let name = HeaderValue::from_static(coding.as_str());
    headers.insert(header::CONTENT_ENCODING, name);
    let varies = HeaderValue::from_static("Accept-Encoding");
    headers.insert(header::VARY, varies);
    response
}

fn packets(body: Vec<u8>) -> HttpResponse {
    let text = HeaderValue::from_static("text/plain; charset=UTF-8");
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, text))
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .body(body)
}

/// Closes the session when the client gives its request up: what was on the way is lost.
struct CloseOnDrop<'a> {
    link: Option<&'a Link>,
}

impl<'a> CloseOnDrop<'a> {
    fn new(link: &'a Link) -> Self {
        Self { link: Some(link) }
    }

    fn finished(mut self) {
        self.link = None;
    }
}

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(link) = self.link {
            link.close(CloseReason::TransportError);
        }
    }
}
