//! The admission of new clients: the refusal of a first request because of a limit.
//!
//! A request enters; the place of its session leaves, or the refusal. The numbers are counted in
//! `limits/`.

use actix_web::HttpRequest;

use crate::limits::Place;
use crate::session::Engine;
use crate::transport::handshake::client;
use crate::transport::refusal::Refusal;

/// Reserves the place of a session; `None` if the server has no limit of admission. A request that
/// is refused later gives its place back.
pub(crate) fn admit(engine: &Engine, request: &HttpRequest) -> Result<Option<Place>, Refusal> {
    let Some(admission) = engine.admission() else {
        return Ok(None);
    };
    let address = client(request, &engine.config.http).address;
    let admitted = admission.admit(address, engine.now());
    admitted.map(Some).map_err(Refusal::NotAdmitted)
}
