//! Pages of other origins: the check of the `Origin` header.

use actix_web::HttpRequest;
use actix_web::http::header;
use log::Level;

use crate::config::{Cors, HttpConfig};
use crate::handshake::{Extensions, Revision};
use crate::logging::{LogKind, LogLimits, cut};
use crate::panics::catch_panic;
use crate::transport::handshake::{handshake, size};
use crate::transport::refusal::Refusal;

/// Refuses a request of a page whose origin is not allowed, if the server refuses such requests.
pub(crate) fn check(config: &HttpConfig, request: &HttpRequest) -> Result<(), Refusal> {
    let Some(cors) = config.cors.as_ref().filter(|cors| cors.refuses()) else {
        return Ok(());
    };
    let Some(origin) = request.headers().get(header::ORIGIN) else {
        return Ok(());
    };
    if origin.to_str().is_ok_and(|origin| lets_in(cors, origin))
        || handshake(
            request,
            size(request),
            config,
            Revision::default(),
            Extensions::default(),
        )
        .is_of_own_page()
    {
        return Ok(());
    }
    Err(Refusal::Forbidden)
}

/// Refuses a script request of a page whose origin is not allowed. A browser sends no `Origin` with
/// it, so pages of other sites could read the packets of their visitors.
// W3C Fetch Metadata, 2.3: browsers of today name the relation of the page to the server.
pub(crate) fn check_script(config: &HttpConfig, request: &HttpRequest) -> Result<(), Refusal> {
    let Some(cors) = config.cors.as_ref().filter(|cors| cors.refuses()) else {
        return Ok(());
    };
    let text = |name| request.headers().get(name)?.to_str().ok();
    match text("sec-fetch-site") {
        None | Some("same-origin" | "none") => Ok(()),
        Some(_) => {
            let page = text("referer").and_then(origin_of);
            match page.is_some_and(|origin| lets_in(cors, origin)) {
                true => Ok(()),
                false => Err(Refusal::Forbidden),
            }
        }
    }
}

/// Returns the part of a URL before its path.
fn origin_of(url: &str) -> Option<&str> {
    let host = url.find("://")? + "://".len();
    let end = url[host..].find(['/', '?', '#']);
    Some(end.map_or(url, |end| &url[..host + end]))
}

/// Returns `true` if the program allows an origin. A predicate that panics allows none.
pub(crate) fn lets_in(cors: &Cors, origin: &str) -> bool {
    cors.lists(origin)
        || cors.predicates.iter().any(|predicate| {
            catch_panic(|| predicate(origin)).unwrap_or_else(|panic| {
                let line = format_args!(
                    "predicate of `Cors` panicked, the origin is refused: {}",
                    cut(panic)
                );
                LogLimits::of_process().write(LogKind::Panicked, Level::Error, line);
                false
            })
        })
}
