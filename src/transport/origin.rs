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
