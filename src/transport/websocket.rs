//! The opening of a WebSocket, and the choice of its owner.
//!
//! There are two owners, and the sessions above cannot distinguish them: the bodies of an HTTP
//! exchange on any `HttpServer`, or the TCP connection itself on a server of this crate.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};

use crate::handshake::Handshake;
use crate::limits::Place;
use crate::link::Inbound;
use crate::session::Engine;
use crate::transport::bodies::{FrameBody, FrameReader};
use crate::transport::direct::{self, ConnectionTakeover};
use crate::transport::feed::OutboundStream;
use crate::transport::hooks::Hooks;
use crate::transport::opening::answer;
use crate::transport::refusal::Refusal;

/// Opens a session whose first transport is a WebSocket.
pub(crate) fn open(
    engine: &Arc<Engine>,
    hooks: &Hooks,
    request: &HttpRequest,
    payload: web::Payload,
    (handshake, place): (Handshake, Option<Place>),
) -> Result<HttpResponse, Refusal> {
    let response = answer(hooks, request)?;
    let link = engine.welcome(handshake, place);
    let feed = OutboundStream::of(&link);
    let max_message = engine.config.limits.max_payload;
    let engine = Arc::clone(engine);
    let start = move |inbound| engine.open_websocket(link, inbound);
    Ok(hold(request, payload, response, feed, max_message, start))
}

/// Sends `feed` to the client, and passes the client's messages to `start`, after the WebSocket is
/// open.
pub(crate) fn hold(
    request: &HttpRequest,
    payload: web::Payload,
    mut response: HttpResponseBuilder,
    feed: OutboundStream,
    max_message: usize,
    start: impl FnOnce(Box<dyn Inbound>) + 'static,
) -> HttpResponse {
    if let Some(takeover) = ConnectionTakeover::offered(request) {
        takeover.accept(move |wire| start(direct::hold(wire, feed, max_message)));
        return response.finish();
    }
    start(Box::new(FrameReader::new(payload, max_message)));
    response.body(FrameBody::new(feed))
}
