//! The answers to requests that are not in order.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use serde_json::json;

use crate::actor::Unpolled;

/// Why a request is refused; most causes have a number that clients know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    UnknownTransport,
    UnknownSession,
    BadMethod,
    BadRequest,
    UnsupportedProtocol,
    /// RFC 6455, 4.4: a version of the WebSocket protocol that there is not.
    WebSocketVersion,
    /// A hook of the program panicked.
    HookFailed,
    /// The server takes no new clients any more.
    ShuttingDown,
    /// The body is larger than `maxPayload`; the session goes on.
    TooLarge,
    /// The request breaks a rule that ends the session; the body says no more.
    Violation,
}

impl Refusal {
    pub(crate) fn response(self) -> HttpResponse {
        let (code, message) = match self {
            Self::UnknownTransport => (0, "Transport unknown"),
            Self::UnknownSession => (1, "Session ID unknown"),
            Self::BadMethod => (2, "Bad handshake method"),
            Self::BadRequest | Self::WebSocketVersion => (3, "Bad request"),
            Self::UnsupportedProtocol => (5, "Unsupported protocol version"),
            Self::ShuttingDown => {
                let message = json!({ "message": "server shutting down" });
                return HttpResponse::ServiceUnavailable().json(message);
            }
            Self::HookFailed => return HttpResponse::InternalServerError().finish(),
            Self::TooLarge => return HttpResponse::build(StatusCode::PAYLOAD_TOO_LARGE).finish(),
            Self::Violation => return HttpResponse::BadRequest().finish(),
        };
        let mut response = HttpResponse::BadRequest();
        if self == Self::WebSocketVersion {
            response.insert_header((header::SEC_WEBSOCKET_VERSION, "13"));
        }
        response.json(json!({ "code": code, "message": message }))
    }
}

impl From<Unpolled> for Refusal {
    fn from(unpolled: Unpolled) -> Self {
        match unpolled {
            Unpolled::Unknown => Self::UnknownSession,
            Unpolled::Refused => Self::BadRequest,
            Unpolled::Violation => Self::Violation,
        }
    }
}
