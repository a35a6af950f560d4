//! HTTP long-polling: a GET waits for the server's packets, a POST brings the client's packets.
//!
//! Bodies enter and leave here, on the worker that received the request, and on any node of a
//! cluster. A GET drains the session's outbox itself; a POST's body is sent to the session's actor
//! as a whole.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{ConnectionType, Method};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_core::Stream;
use tokio::time::timeout;

use crate::config::{Config, HttpConfig};
use crate::engineio::v3;
use crate::handshake::Revision;
use crate::reason::CloseReason;
use crate::session::{
    CloseOnDrop, Engine, Handle, NewClient, PollRequest, PollResponse, PostBody, RemoteSession,
    payload_of,
};
use crate::transport::compression::Coding;
use crate::transport::hooks::Hooks;
use crate::transport::jsonp;
use crate::transport::refusal::Refusal;
use crate::transport::request::Query;

/// Engine.IO v4, Handshake: the response is the OPEN packet.
pub(crate) fn handshake(
    engine: &Arc<Engine>,
    hooks: &Hooks,
    client: NewClient,
    (query, request): (&Query, &HttpRequest),
) -> HttpResponse {
    let opened = engine.open_polling(client);
    let payload = payload_of(&opened.packet, query.revision);
    let mut response = match query.jsonp {
        Some(index) => packets(index.script(&payload), SCRIPT),
        None => packets(payload, TEXT),
    };
    protect_old_browsers(request, &mut response);
    hooks.add_cookie(opened.sid, response.headers_mut());
    response
}

/// Engine.IO v4, HTTP long-polling: waits until packets are queued, and sends all of them.
pub(crate) async fn get(
    handle: &Handle,
    query: &Query,
    request: &HttpRequest,
) -> Result<HttpResponse, Refusal> {
    let polled = handle.take().await?;
    Ok(answer(polled, query, request, &handle.link.config.http))
}

/// Engine.IO v4, HTTP long-polling: handles the packets of one body.
pub(crate) async fn post(
    handle: &Handle,
    query: &Query,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Refusal> {
    let link = &handle.link;
    let close = |reason| link.close(reason);
    let _turn = handle.begin_post()?;
    let body = packets_of(request, payload, &link.config, query, close).await?;
    let polled = handle.bring(body).await?;
    Ok(answer(polled, query, request, &link.config.http))
}

/// Forwards the request to the node of its session.
pub(crate) async fn forward(
    engine: &Engine,
    elsewhere: &RemoteSession,
    query: &Query,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Refusal> {
    let config = &engine.config;
    let poll = match *request.method() {
        Method::GET => PollRequest::Receive,
        Method::POST => {
            // A client can invent an id: for an id without a node, no byte is read and nothing is
            // published.
            if !elsewhere.is_there().await {
                return Err(Refusal::UnknownSession);
            }
            let close = |reason| elsewhere.end(reason);
            PollRequest::Send(packets_of(request, payload, config, query, close).await?)
        }
        _ => return Err(Refusal::UnknownSession),
    };
    let polled = elsewhere.poll(query.revision, poll).await?;
    let mut response = answer(polled, query, request, &config.http);
    if engine.is_closing() {
        // So that the next request may reach another node, if a load balancer in front can choose.
        response
            .head_mut()
            .set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}

fn answer(
    polled: PollResponse,
    query: &Query,
    request: &HttpRequest,
    config: &HttpConfig,
) -> HttpResponse {
    let mut response = match polled {
        PollResponse::Packets {
            body,
            compress,
            is_binary,
        } => {
            let (body, kind) = match query.jsonp {
                Some(index) if is_binary => {
                    // The session was opened by a client that reads bytes.
                    (
                        index.script(&v3::as_text(&body).unwrap_or_default()),
                        SCRIPT,
                    )
                }
                Some(index) => (index.script(&body), SCRIPT),
                None if is_binary => (body, BINARY),
                None => (body, TEXT),
            };
            let threshold = config.http_compression.filter(|_| compress);
            match threshold {
                Some(threshold) if body.len() >= threshold => compressed(request, body, kind),
                _ => packets(body, kind),
            }
        }
        PollResponse::Taken => HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, HeaderValue::from_static("text/html")))
            .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
            .body("ok"),
    };
    protect_old_browsers(request, &mut response);
    response
}

/// Reference server: Internet Explorer takes a payload for an injection of its page, and changes it.
fn protect_old_browsers(request: &HttpRequest, response: &mut HttpResponse) {
    let agent = request.headers().get(header::USER_AGENT);
    let is_old = |agent: &HeaderValue| {
        let agent = String::from_utf8_lossy(agent.as_bytes());
        agent.contains(";MSIE") || agent.contains("Trident/")
    };
    if agent.is_some_and(is_old) {
        let off = HeaderValue::from_static("0");
        response.headers_mut().insert(header::X_XSS_PROTECTION, off);
    }
}

/// Reads the body of a POST; if it is invalid, `close` ends the session.
async fn packets_of(
    request: &HttpRequest,
    payload: web::Payload,
    config: &Config,
    query: &Query,
    close: impl Fn(CloseReason),
) -> Result<PostBody, Refusal> {
    let is_binary = has_binary_body(request);
    if is_binary && (query.revision == Revision::V4 || query.jsonp.is_some()) {
        close(CloseReason::TransportError);
        return Err(Refusal::Violation);
    }
    let unfinished = CloseOnDrop::new(|| close(CloseReason::TransportError));
    let reading = read(payload, config.limits.max_payload, declared(request));
    // A body that stops half-way must not outlive its session.
    let body = timeout(config.engine.silence_limit(), reading).await;
    let body = body.unwrap_or(Err(Refusal::Violation));
    if body != Err(Refusal::Violation) {
        unfinished.finished();
    }
    let body = body?;
    if is_binary {
        return Ok(PostBody::Binary(body));
    }
    let text = match query.jsonp {
        Some(_) => jsonp::payload_in(&body),
        None => String::from_utf8(body).ok(),
    };
    let text = text.ok_or_else(|| {
        close(CloseReason::ParseError);
        Refusal::Violation
    })?;
    Ok(PostBody::Text(text))
}

/// Reads a body of up to `limit` bytes. Of a larger one, up to `limit` further bytes are read and
/// dropped, so that a client that is still sending can receive the response.
async fn read(
    mut payload: web::Payload,
    limit: usize,
    declared: Option<usize>,
) -> Result<Vec<u8>, Refusal> {
    let mut body = Vec::new();
    let mut length = 0_usize;
    while declared.is_none_or(|declared| length < declared)
        && let Some(chunk) = poll_fn(|cx| Pin::new(&mut payload).poll_next(cx)).await
    {
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
    body.truncate(declared.unwrap_or(usize::MAX));
    Ok(body)
}

/// Returns the declared length of a body of an upgrade request, which actix-http does not end
/// there.
fn declared(request: &HttpRequest) -> Option<usize> {
    let headers = request.headers();
    if !headers.contains_key(header::UPGRADE) {
        return None;
    }
    let length = headers.get(header::CONTENT_LENGTH)?.to_str().ok()?;
    length.trim().parse().ok()
}

/// Engine.IO v4 sends binary as base64; a binary body belongs to revision 3.
fn has_binary_body(request: &HttpRequest) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/octet-stream"))
}

/// Answers with packets in a coding that the client accepts, or unencoded.
fn compressed(request: &HttpRequest, body: Vec<u8>, kind: &'static str) -> HttpResponse {
    let coding = Coding::accepted(request.headers());
    let Some((coding, encoded)) = coding.and_then(|coding| Some((coding, coding.encode(&body)?)))
    else {
        return packets(body, kind);
    };
    let mut response = packets(encoded, kind);
    let headers = response.headers_mut();
    let name = HeaderValue::from_static(coding.as_str());
    headers.insert(header::CONTENT_ENCODING, name);
    let varies = HeaderValue::from_static("Accept-Encoding");
    headers.insert(header::VARY, varies);
    response
}

fn packets(body: Vec<u8>, kind: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, HeaderValue::from_static(kind)))
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .body(body)
}

/// The content type of a payload as text.
const TEXT: &str = "text/plain; charset=UTF-8";

/// The content type of a script that passes a payload to its client.
const SCRIPT: &str = "text/javascript; charset=UTF-8";

/// The content type of a binary payload of Engine.IO v3.
const BINARY: &str = "application/octet-stream";
