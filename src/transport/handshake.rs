//! A session's first request, on its way to the session: what is kept of it.

use std::time::SystemTime;

use actix_web::HttpRequest;

use crate::config::Config;
use crate::handshake::{Carried, Facts, Handshake, Peer};

/// Keeps what a request says.
pub(crate) fn handshake(request: &HttpRequest, config: &Config, carried: Carried) -> Handshake {
    let url = request.uri().path_and_query();
    let headers = || {
        let all = request.headers().iter();
        all.map(|(name, value)| (name.as_str(), value.as_bytes()))
    };
    let peer = Peer {
        address: request.peer_addr().map(|address| address.ip()),
        is_secure: request.app_config().secure(),
        hops: 0,
    };
    let facts = Facts {
        peer: config.trusted_proxies.see_through(peer, headers()),
        time: SystemTime::now(),
        carried,
    };
    Handshake::new(url.map_or("/", |url| url.as_str()), headers(), facts)
}
