//! A session's first request: the part that is kept of it.

use std::time::SystemTime;

use actix_web::HttpRequest;

use crate::config::HttpConfig;
use crate::handshake::{Extensions, Handshake, HandshakeMeta, Peer, Revision};

/// Returns the size of a request's head in bytes: the path with the query, and each header with its
/// `: ` and its line end.
pub(crate) fn size(request: &HttpRequest) -> usize {
    let url = request.uri().path_and_query();
    let url = url.map_or(0, |url| url.as_str().len());
    let headers = request.headers().iter();
    let headers = headers.map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    headers.fold(url, |size, header| size + header)
}

/// Keeps the content of a request whose head has `size` bytes.
pub(crate) fn handshake(
    request: &HttpRequest,
    size: usize,
    config: &HttpConfig,
    revision: Revision,
    extensions: Extensions,
) -> Handshake {
    let url = request.uri().path_and_query();
    let headers = || {
        let all = request.headers().iter();
        all.map(|(name, value)| (name.as_str(), value.as_bytes()))
    };
    let facts = HandshakeMeta {
        peer: client(request, config),
        time: SystemTime::now(),
        revision,
        extensions,
    };
    Handshake::new(url.map_or("/", |url| url.as_str()), size, headers(), facts)
}

/// Returns the client of a request.
pub(crate) fn client(request: &HttpRequest, config: &HttpConfig) -> Peer {
    let headers = request.headers().iter();
    let headers = headers.map(|(name, value)| (name.as_str(), value.as_bytes()));
    let peer = Peer {
        address: request.peer_addr().map(|address| address.ip()),
        is_secure: request.app_config().secure(),
        hops: 0,
    };
    config.trusted_proxies.see_through(peer, headers)
}
