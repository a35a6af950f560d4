//! The admission of new clients, by the limits of the server and by the program.
//!
//! A first request enters. The parts of a new session leave, or a refusal, or the program's own
//! response. The numbers are counted in `limits/`.

use actix_web::{HttpMessage, HttpRequest, HttpResponse};

use crate::config::Transport;
use crate::handshake::{Extensions, Handshake, Revision};
use crate::limits::Place;
use crate::link::BinaryForm;
use crate::session::{Engine, NewClient};
use crate::telemetry::SpanScope;
use crate::transport::connection_error;
use crate::transport::handshake::{client, handshake, size};
use crate::transport::hooks::Hooks;
use crate::transport::refusal::Refusal;

/// The first request of a client that the limits and the program have admitted.
pub(crate) struct Admitted {
    revision: Revision,
    size: usize,
    place: Option<Place>,
    pub(crate) extensions: Extensions,
}

impl Admitted {
    pub(crate) fn handshake(&self, engine: &Engine, request: &HttpRequest) -> Handshake {
        let (http, extensions) = (&engine.config.http, self.extensions.clone());
        handshake(request, self.size, http, self.revision, extensions)
    }

    pub(crate) fn client(
        self,
        engine: &Engine,
        request: &HttpRequest,
        form: BinaryForm,
    ) -> NewClient {
        NewClient {
            handshake: self.handshake(engine, request),
            place: self.place,
            form,
        }
    }
}

/// Admits a client, or returns the response of the program that refuses it.
pub(crate) async fn admit(
    engine: &Engine,
    hooks: &Hooks,
    request: &HttpRequest,
    revision: Revision,
) -> Result<Result<Admitted, HttpResponse>, Refusal> {
    let size = size(request);
    if size > engine.config.limits.handshake_limit {
        return Err(Refusal::HandshakeTooLarge);
    }
    // Before the hooks of the program, which may take longer.
    let place = reserve(engine, request)?;
    let mut admitted = Admitted {
        revision,
        size,
        place,
        extensions: Extensions::default(),
    };
    if hooks.asks() {
        // For the client's address, which depends on the server's options.
        let seen = admitted.handshake(engine, request);
        request.extensions_mut().insert(seen);
    }
    // Before any state of the client is made.
    match hooks.admit(request).await {
        Ok(extensions) => admitted.extensions = extensions,
        Err(response) => return Ok(Err(not_allowed(engine, hooks, request, response))),
    }
    Ok(Ok(admitted))
}

/// Begins the span of a handshake.
pub(crate) fn handshake_scope(
    engine: &Engine,
    transport: Transport,
    request: &HttpRequest,
) -> SpanScope {
    let parent = || request.headers().get("traceparent")?.to_str().ok();
    let spans = &engine.config.telemetry.spans;
    spans.handshake(transport.as_str(), parent)
}

/// Reserves the place of a session; `None` if the server has no limit of admission. A request that
/// is refused later gives its place back.
fn reserve(engine: &Engine, request: &HttpRequest) -> Result<Option<Place>, Refusal> {
    let Some(admission) = engine.admission() else {
        return Ok(None);
    };
    let address = client(request, &engine.config.http).address;
    let admitted = admission.admit(address, engine.now());
    admitted.map(Some).map_err(Refusal::NotAdmitted)
}

/// Reports a request that the program has refused with its own response.
fn not_allowed(
    engine: &Engine,
    hooks: &Hooks,
    request: &HttpRequest,
    response: HttpResponse,
) -> HttpResponse {
    connection_error::report(&engine.config, hooks, request, Refusal::NotAllowed);
    response
}
