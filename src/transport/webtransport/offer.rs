//! The acceptance of a session by a route of the App.
//!
//! The request carries a [`SessionOffer`]. The route of a server registers itself, and answers 200.
//! Whether the session is opened is known only after the response has passed through the program's
//! middleware.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::{HttpMessage, HttpRequest, HttpResponse};

use crate::session::Engine;
use crate::transport::handshake::size;
use crate::transport::hooks::Hooks;
use crate::transport::refusal::Refusal;

/// An offer to open a session.
#[derive(Clone, Default)]
pub(crate) struct SessionOffer(Rc<RefCell<Option<Accepted>>>);

/// The server that has accepted, with the request.
pub(crate) struct Accepted {
    pub(super) engine: Arc<Engine>,
    pub(super) hooks: Arc<Hooks>,
    pub(super) request: HttpRequest,
}

impl SessionOffer {
    /// Returns the request's offer, if it is one of WebTransport.
    pub(crate) fn offered(request: &HttpRequest) -> Option<Self> {
        request.extensions().get::<Self>().cloned()
    }

    /// Accepts the offer. The first packet will say whether the request is for a new session or an
    /// upgrade.
    ///
    /// # Errors
    ///
    /// The refusal of a request that is too large.
    pub(crate) fn answer(
        &self,
        engine: &Arc<Engine>,
        hooks: &Arc<Hooks>,
        request: &HttpRequest,
    ) -> Result<HttpResponse, Refusal> {
        if size(request) > engine.config.limits.handshake_limit {
            return Err(Refusal::HandshakeTooLarge);
        }
        self.0.replace(Some(Accepted {
            engine: Arc::clone(engine),
            hooks: Arc::clone(hooks),
            request: request.clone(),
        }));
        Ok(HttpResponse::Ok().finish())
    }
}

/// The side of an offer that has the connection.
#[derive(Default)]
pub(super) struct Offering(SessionOffer);

impl Offering {
    /// Returns the offer for the request.
    pub(super) fn offer(&self) -> SessionOffer {
        self.0.clone()
    }

    /// Returns the server that has accepted.
    pub(super) fn accepted(&self) -> Option<Accepted> {
        self.0.0.take()
    }
}

impl Drop for Offering {
    /// The request has the offer, and the offer has the request.
    fn drop(&mut self) {
        self.accepted();
    }
}
