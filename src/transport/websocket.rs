//! The opening of a WebSocket, and the choice of its owner.
//!
//! There are two owners, and the sessions above cannot distinguish them: the bodies of an HTTP
//! exchange on any `HttpServer`, or the TCP connection itself on a server of this crate.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};

use crate::config::Transport;
use crate::link::{Deflater, Inbound};
use crate::session::{Engine, NewClient};
use crate::transport::bodies::{FrameBody, FrameReader};
use crate::transport::direct::{self, ConnectionTakeover};
use crate::transport::feed::OutboundStream;
use crate::transport::frames::Frames;
use crate::transport::hooks::Hooks;
use crate::transport::opening::{Opening, answer};
use crate::transport::refusal::Refusal;
use crate::websocket::Compression;

/// Opens a session whose first transport is a WebSocket.
pub(crate) fn open(
    engine: &Arc<Engine>,
    hooks: &Hooks,
    request: &HttpRequest,
    payload: web::Payload,
    client: NewClient,
) -> Result<HttpResponse, Refusal> {
    let opening = answer(hooks, &engine.config, request)?;
    let link = engine.welcome(client);
    let feed = OutboundStream::of(&link);
    let engine = Arc::clone(engine);
    let start = move |inbound| engine.open_stream(link, Transport::WebSocket, inbound);
    Ok(hold(request, payload, opening, feed, start))
}

/// Sends `feed` to the client, and passes the client's messages to `start`, after the WebSocket is
/// open.
pub(crate) fn hold(
    request: &HttpRequest,
    payload: web::Payload,
    mut opening: Opening,
    feed: OutboundStream,
    start: impl FnOnce(Box<dyn Inbound>) + 'static,
) -> HttpResponse {
    let config = feed.config();
    let frames = Frames::new(config.limits.max_payload, opening.deflate);
    let mut feed = match (&config.engine.per_message_deflate, opening.deflate) {
        (Some(options), Some(parameters)) => {
            let (window_bits, level) = (parameters.sent.bits, options.level);
            let compression = Compression { window_bits, level };
            let keeps_context = parameters.sent.is_kept;
            feed.deflating(Deflater::new(options.threshold, compression, keeps_context))
        }
        _ => feed,
    };
    if let Some(takeover) = ConnectionTakeover::offered(request) {
        takeover.accept(move |wire| start(direct::hold(wire, feed, frames)));
        return opening.response.finish();
    }
    feed.begin(None);
    start(Box::new(FrameReader::new(payload, frames)));
    opening.response.body(FrameBody::new(feed))
}
