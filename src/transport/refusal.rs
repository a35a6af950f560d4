//! The answers to requests that are not in order.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
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
    /// A page of an origin that is not allowed.
    Forbidden,
    /// The server takes no new clients any more.
    ShuttingDown,
    /// The body is larger than `maxPayload`; the session goes on.
    TooLarge,
    /// The head of a client's first request is larger than `handshake_limit`.
    HandshakeTooLarge,
    /// The request breaks a rule that ends the session; the body says no more.
    Violation,
}

impl Refusal {
    /// Returns the answer, which no cache keeps.
    pub(crate) fn response(self) -> HttpResponse {
        let mut response = self.answer();
        let never = HeaderValue::from_static("no-store");
        response.headers_mut().insert(header::CACHE_CONTROL, never);
        response
    }

    fn answer(self) -> HttpResponse {
        let (code, message) = match self {
            Self::UnknownTransport => (0, "Transport unknown"),
            Self::UnknownSession => (1, "Session ID unknown"),
            Self::BadMethod => (2, "Bad handshake method"),
            Self::BadRequest | Self::WebSocketVersion => (3, "Bad request"),
            Self::UnsupportedProtocol => (5, "Unsupported protocol version"),
            Self::Forbidden => {
                let message = json!({ "code": 4, "message": "Forbidden" });
                return HttpResponse::Forbidden().json(message);
            }
            Self::ShuttingDown => {
                let message = json!({ "message": "server shutting down" });
                return HttpResponse::ServiceUnavailable().json(message);
            }
            Self::HookFailed => return HttpResponse::InternalServerError().finish(),
            Self::TooLarge => return HttpResponse::build(StatusCode::PAYLOAD_TOO_LARGE).finish(),
            Self::HandshakeTooLarge => {
                return HttpResponse::build(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE).finish();
            }
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
