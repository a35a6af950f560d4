//! The opening handshake of a WebSocket, RFC 6455, 4.2.
//!
//! A request enters; the response that opens the WebSocket leaves, or a refusal. The owner of the
//! WebSocket, and its purpose, are not known here.

use actix_http::ws::hash_key;
use actix_web::http::{Method, Version, header};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::config::Config;
use crate::logging::Quoted;
use crate::transport::extensions::{agree, is_token};
use crate::transport::hooks::Hooks;
use crate::transport::refusal::Refusal;
use crate::websocket::DeflateParameters;

/// A WebSocket that can be opened.
pub(crate) struct Opening {
    /// The response to the opening handshake, before the upgrade.
    pub(crate) response: HttpResponseBuilder,
    /// The parameters of compression that it names.
    pub(crate) deflate: Option<DeflateParameters>,
}

/// Answers the opening handshake.
///
/// # Errors
///
/// The refusal, if the request is not an opening handshake.
pub(crate) fn answer(
    hooks: &Hooks,
    config: &Config,
    request: &HttpRequest,
) -> Result<Opening, Refusal> {
    let key = key(request).inspect_err(|refusal| {
        log::debug!("invalid WebSocket handshake: {}", refusal.cause());
    })?;
    let offered = offered(request)?;
    let mut response = HttpResponse::SwitchingProtocols();
    response
        .upgrade("websocket")
        .insert_header((header::SEC_WEBSOCKET_ACCEPT, &hash_key(key.as_bytes())[..]));
    if !offered.is_empty()
        && let Some(chosen) = hooks.subprotocol(request, &offered)?
    {
        response.insert_header((header::SEC_WEBSOCKET_PROTOCOL, chosen));
    }
    let mut deflate = None;
    if let Some(options) = &config.engine.per_message_deflate
        && let Some(agreed) = agree(options, request)?
    {
        response.insert_header((header::SEC_WEBSOCKET_EXTENSIONS, agreed.answer));
        deflate = Some(agreed.parameters);
    }
    Ok(Opening { response, deflate })
}

/// RFC 6455, 4.2.1: checks the required headers, and returns the key.
fn key(request: &HttpRequest) -> Result<&str, Refusal> {
    let headers = request.headers();
    // A GET of HTTP/1.1 without a body: after one with a body the frames would belong to the body.
    let has_length = headers
        .get_all(header::CONTENT_LENGTH)
        .any(|length| length.as_bytes().trim_ascii() != b"0");
    if request.method() != Method::GET
        || request.version() != Version::HTTP_11
        || headers.contains_key(header::TRANSFER_ENCODING)
        || has_length
    {
        return Err(Refusal::BadRequest);
    }
    // actix-http does not upgrade for a list of protocols, such as `websocket, h2c`.
    let asks = headers.get_all(header::UPGRADE).any(|name| {
        name.as_bytes()
            .trim_ascii()
            .eq_ignore_ascii_case(b"websocket")
    });
    if !asks || !request.head().upgrade() {
        return Err(Refusal::BadRequest);
    }
    // RFC 6455, 4.4: the response names the supported version.
    if single(request, &header::SEC_WEBSOCKET_VERSION) != Some("13") {
        return Err(Refusal::WebSocketVersion);
    }
    let key = single(request, &header::SEC_WEBSOCKET_KEY).ok_or(Refusal::BadRequest)?;
    // The decoder requires space for whole groups of three bytes.
    let mut nonce = [0; NONCE + 2];
    match STANDARD.decode_slice(key, &mut nonce) {
        Ok(NONCE) => Ok(key),
        Ok(_) | Err(_) => Err(Refusal::BadRequest),
    }
}

/// Returns a header's value, if the request has it exactly once.
fn single<'r>(request: &'r HttpRequest, name: &header::HeaderName) -> Option<&'r str> {
    let mut values = request.headers().get_all(name);
    let value = values.next()?.to_str().ok()?.trim();
    values.next().is_none().then_some(value)
}

/// RFC 6455, 4.1 and 11.3.4: the subprotocols that the client offers, in its order of preference:
/// tokens, each of them once, in one header or several.
fn offered(request: &HttpRequest) -> Result<Vec<&str>, Refusal> {
    let mut offered = Vec::new();
    for value in request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL) {
        let names = value.to_str().map_err(|_| Refusal::BadRequest)?;
        for name in names.split(',') {
            let name = name.trim_matches([' ', '\t']);
            if !is_token(name) || offered.contains(&name) {
                log::debug!(
                    "invalid WebSocket handshake: {} is not a list of subprotocols",
                    Quoted(names)
                );
                return Err(Refusal::BadRequest);
            }
            if offered.len() == MAX_SUBPROTOCOLS {
                return Err(Refusal::BadRequest);
            }
            offered.push(name);
        }
    }
    Ok(offered)
}

/// Bytes of a key, before base64.
const NONCE: usize = 16;

/// Subprotocols that a client may offer; each is compared with those before it.
const MAX_SUBPROTOCOLS: usize = 64;
