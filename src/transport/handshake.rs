//! A session's first request: the part that is kept of it.

use std::time::SystemTime;

use actix_web::HttpRequest;
use actix_web::http::Version;
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::uri::Authority;

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
    let facts = HandshakeMeta {
        peer: client(request, config),
        time: SystemTime::now(),
        revision,
        extensions,
    };
    let url = url.map_or("/", |url| url.as_str());
    let all = request.headers().iter();
    let headers = all.map(|(name, value)| (name.as_str(), value.as_bytes()));
    if request.version() < Version::HTTP_2 {
        return Handshake::new(url, size, headers, facts);
    }
    let (host, cookies) = lines_of_http1(request);
    let headers = headers.filter(|(name, _)| *name != header::COOKIE.as_str());
    let host = host.map(|host| (header::HOST.as_str(), host.as_bytes()));
    let cookies = cookies.as_deref();
    let cookies = cookies.map(|cookies| (header::COOKIE.as_str(), cookies));
    Handshake::new(
        url,
        size,
        host.into_iter().chain(headers).chain(cookies),
        facts,
    )
}

/// RFC 9113, 8.3.1 and 8.2.3: HTTP/2 has the host in the URI, and may have each cookie in a line of
/// its own. Returns `Host`, unless it was sent, and `Cookie`, as HTTP/1.1 has them.
fn lines_of_http1(request: &HttpRequest) -> (Option<&str>, Option<Vec<u8>>) {
    let headers = request.headers();
    let host = request.uri().authority().map(Authority::as_str);
    let host = host.filter(|_| !headers.contains_key(header::HOST));
    let cookies = headers.get_all(header::COOKIE);
    let cookies: Vec<&[u8]> = cookies.map(HeaderValue::as_bytes).collect();
    (
        host,
        (!cookies.is_empty()).then(|| cookies.join(&b"; "[..])),
    )
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
