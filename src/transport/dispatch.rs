//! The dispatch of requests: each is checked, and goes to polling, to a WebSocket or to another node.
//!
//! A request enters. Its response leaves, or that of a refusal.

use std::sync::Arc;

#[cfg(feature = "testing")]
use actix_web::HttpMessage;
use actix_web::http::{Method, header};
use actix_web::{HttpRequest, HttpResponse, web};

use crate::config::Transport;
use crate::handshake::Revision;
use crate::link::BinaryForm;
use crate::session::{Engine, Stage};
#[cfg(feature = "testing")]
use crate::transport::InMemory;
use crate::transport::admission::{admit, handshake_scope};
use crate::transport::events::{self, ServerSentEvents, Subscription};
use crate::transport::hooks::Hooks;
use crate::transport::refusal::Refusal;
use crate::transport::request::Query;
#[cfg(feature = "webtransport")]
use crate::transport::webtransport::SessionOffer;
use crate::transport::{connection_error, origin, polling, upgrade, websocket};

/// Answers one request.
pub(super) async fn handle(
    engine: &Arc<Engine>,
    hooks: &Arc<Hooks>,
    request: &HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    match route(engine, hooks, request, payload).await {
        Ok(response) => response,
        Err(refusal) => {
            connection_error::report(&engine.config, hooks, request, refusal);
            refusal.response()
        }
    }
}

/// Engine.IO v4, Transports: the transport and the session of a request.
async fn route(
    engine: &Arc<Engine>,
    hooks: &Arc<Hooks>,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Refusal> {
    if engine.stage.has_reached(Stage::Refusing) && !Query::names_session(request.query_string()) {
        // Before all other checks: a proxy that checks the health of this node must receive it.
        return Err(Refusal::ShuttingDown);
    }
    origin::check(&engine.config.http, request)?;
    if let Some(options) = hooks.events()
        && events::is_path(request)
    {
        let scope = handshake_scope(engine, Transport::ServerSentEvents, request);
        return scope
            .follow(open_events(engine, hooks, options, request))
            .await;
    }
    #[cfg(feature = "webtransport")]
    if let Some(offer) = SessionOffer::offered(request) {
        return offer.answer(engine, hooks, request);
    }
    let query = Query::parse(request.query_string(), |transport| {
        engine.config.engine.allows(transport) || is_in_memory(request)
    })?;
    if query.jsonp.is_some() {
        origin::check_script(&engine.config.http, request)?;
    }
    let Some(sid) = query.sid else {
        let scope = handshake_scope(engine, query.transport, request);
        let opening = open(engine, hooks, &query, request, payload);
        return scope.follow(opening).await;
    };
    let Some(handle) = engine.find(sid) else {
        let elsewhere = engine.elsewhere(sid).ok_or(Refusal::UnknownSession)?;
        query.check_protocol(engine.config.engine.allow_eio3, Refusal::BadRequest)?;
        if query.transport != Transport::Polling {
            return Err(Refusal::UnknownSession);
        }
        return polling::forward(engine, &elsewhere, &query, request, payload).await;
    };
    if query.revision != handle.link.handshake.revision() {
        return Err(Refusal::BadRequest);
    }
    if query.transport == Transport::WebSocket {
        if !engine.config.engine.allow_upgrades {
            return Err(Refusal::BadRequest);
        }
        return upgrade::begin(engine, hooks, (&handle, query.form()), request, payload);
    }
    handle.check_polling(query.revision)?;
    match *request.method() {
        Method::GET => polling::get(&handle, &query, request).await,
        Method::POST => polling::post(&handle, &query, request, payload).await,
        _ => Err(Refusal::BadMethod),
    }
}

/// Engine.IO v4, Handshake: a request without a session opens one.
async fn open(
    engine: &Arc<Engine>,
    hooks: &Hooks,
    query: &Query,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Refusal> {
    if request.method() != Method::GET {
        return Err(Refusal::BadMethod);
    }
    let allow_eio3 = engine.config.engine.allow_eio3;
    query.check_protocol(allow_eio3, Refusal::UnsupportedProtocol)?;
    if query.transport == Transport::Polling && asks_websocket(request) {
        return Err(Refusal::BadRequest);
    }
    let admitted = match admit(engine, hooks, request, query.revision).await? {
        Ok(admitted) => admitted,
        Err(response) => return Ok(response),
    };
    let client = admitted.client(engine, request, query.form());
    let mut response = match query.transport {
        Transport::Polling => polling::handshake(engine, hooks, client, (query, request)),
        Transport::WebSocket => websocket::open(engine, hooks, request, payload, client)?,
        // These are found by other signs.
        Transport::ServerSentEvents | Transport::WebTransport => {
            return Err(Refusal::UnknownTransport);
        }
    };
    hooks.on_initial_headers(request, response.headers_mut());
    Ok(response)
}

/// HTML, Server-sent events: a GET opens a session that only sends.
async fn open_events(
    engine: &Arc<Engine>,
    hooks: &Hooks,
    options: &ServerSentEvents,
    request: &HttpRequest,
) -> Result<HttpResponse, Refusal> {
    if request.method() != Method::GET {
        return Err(Refusal::BadMethod);
    }
    let subscription = Subscription::of(request)?;
    let mut admitted = match admit(engine, hooks, request, Revision::V4).await? {
        Ok(admitted) => admitted,
        Err(response) => return Ok(response),
    };
    if let Some(rooms) = subscription.rooms(options, || admitted.handshake(engine, request))? {
        admitted.extensions.insert(rooms);
    }
    let client = admitted.client(engine, request, BinaryForm::V4);
    let mut response = events::open(engine, client, subscription).await;
    hooks.on_initial_headers(request, response.headers_mut());
    Ok(response)
}

/// Returns `true` if it is a test client's request.
fn is_in_memory(request: &HttpRequest) -> bool {
    #[cfg(feature = "testing")]
    return request.extensions().contains::<InMemory>();
    #[cfg(not(feature = "testing"))]
    {
        let _ = request;
        false
    }
}

/// RFC 9110, 7.8: an `Upgrade` is valid only if `Connection` names it. A protocol other than
/// WebSocket, such as `h2c`, may be ignored.
fn asks_websocket(request: &HttpRequest) -> bool {
    let mut protocols = request.headers().get_all(header::UPGRADE);
    let is_named = request.head().upgrade();
    is_named
        && protocols.any(|value| {
            let mut names = value.as_bytes().split(|byte| *byte == b',');
            names.any(|name| name.trim_ascii().eq_ignore_ascii_case(b"websocket"))
        })
}
