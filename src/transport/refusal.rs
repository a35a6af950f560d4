//! The responses to invalid requests.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use log::Level;
use serde_json::json;

use crate::limits::{Limit, NotAdmitted};
use crate::session::PollError;

/// The reason for refusing a request; most causes have a number that clients know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    UnknownTransport,
    UnknownSession,
    BadMethod,
    BadRequest,
    /// A request of a session that is on a WebSocket, or has ended because of its packets.
    NotPolling,
    UnsupportedProtocol,
    /// RFC 6455, 4.4: an unknown version of the WebSocket protocol.
    WebSocketVersion,
    /// A hook of the program panicked.
    HookFailed,
    /// A page of an origin that is not allowed.
    Forbidden,
    /// `allow_request` or `handshake_extensions` has refused; the response is the program's.
    NotAllowed,
    /// `ServerSentEvents::rooms` does not let the client in.
    RoomNotAllowed,
    /// A limit of new clients is reached.
    NotAdmitted(NotAdmitted),
    /// The server accepts no new clients.
    ShuttingDown,
    /// The body is larger than `maxPayload`; the session continues.
    TooLarge,
    /// The head of a client's first request is larger than `handshake_limit`.
    HandshakeTooLarge,
    /// The request violates a rule and thereby ends the session; the body has no details.
    Violation,
}

impl Refusal {
    /// Returns the response, which caches do not store.
    pub(crate) fn response(self) -> HttpResponse {
        let mut response = self.answer();
        let never = HeaderValue::from_static("no-store");
        response.headers_mut().insert(header::CACHE_CONTROL, never);
        response
    }

    fn answer(self) -> HttpResponse {
        if let Some((code, message)) = self.code() {
            let mut response = match self {
                Self::Forbidden | Self::NotAllowed | Self::RoomNotAllowed => {
                    HttpResponse::Forbidden()
                }
                Self::NotAdmitted(refused) if is_of_client(refused) => {
                    HttpResponse::TooManyRequests()
                }
                Self::NotAdmitted(_) => HttpResponse::ServiceUnavailable(),
                _ => HttpResponse::BadRequest(),
            };
            if self == Self::WebSocketVersion {
                response.insert_header((header::SEC_WEBSOCKET_VERSION, "13"));
            }
            if let Self::NotAdmitted(refused) = self {
                let seconds = seconds(refused.retry_after);
                response.insert_header((header::RETRY_AFTER, seconds.to_string()));
            }
            return response.json(json!({ "code": code, "message": message }));
        }
        match self {
            Self::ShuttingDown => {
                let message = json!({ "message": "server shutting down" });
                HttpResponse::ServiceUnavailable().json(message)
            }
            Self::HookFailed => HttpResponse::InternalServerError().finish(),
            Self::TooLarge => HttpResponse::build(StatusCode::PAYLOAD_TOO_LARGE).finish(),
            Self::HandshakeTooLarge => {
                HttpResponse::build(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE).finish()
            }
            _ => HttpResponse::BadRequest().finish(),
        }
    }

    /// Returns the code that clients and the program know, and its message.
    pub(crate) fn code(self) -> Option<(u8, &'static str)> {
        Some(match self {
            Self::UnknownTransport => (0, "Transport unknown"),
            Self::UnknownSession => (1, "Session ID unknown"),
            Self::BadMethod => (2, "Bad handshake method"),
            Self::BadRequest | Self::NotPolling | Self::WebSocketVersion => (3, "Bad request"),
            Self::Forbidden | Self::NotAllowed | Self::RoomNotAllowed => (4, "Forbidden"),
            Self::UnsupportedProtocol => (5, "Unsupported protocol version"),
            Self::NotAdmitted(refused) => (6, message(refused)),
            Self::HookFailed
            | Self::ShuttingDown
            | Self::TooLarge
            | Self::HandshakeTooLarge
            | Self::Violation => return None,
        })
    }

    /// Returns the cause, for the log.
    pub(crate) fn cause(self) -> &'static str {
        match self {
            Self::UnknownTransport => "unknown transport",
            Self::UnknownSession => "unknown session",
            Self::BadMethod => "bad handshake method",
            Self::BadRequest => "bad handshake",
            Self::NotPolling => "the session is not on polling",
            Self::UnsupportedProtocol => "unsupported protocol version",
            Self::WebSocketVersion => "unsupported WebSocket version",
            Self::HookFailed => "a hook panicked",
            Self::Forbidden => "not allowed by `Builder::cors`",
            Self::NotAllowed => "not allowed by `Builder::allow_request`",
            Self::RoomNotAllowed => "room not allowed by `ServerSentEvents::rooms`",
            Self::NotAdmitted(_) => "limit",
            Self::ShuttingDown => "server shutting down",
            Self::TooLarge => "body larger than `max_payload`",
            Self::HandshakeTooLarge => "head larger than `handshake_limit`",
            Self::Violation => "overlapping or invalid polling requests",
        }
    }

    /// Returns the cause, for metrics.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::UnknownTransport => "unknown_transport",
            Self::UnknownSession => "unknown_session",
            Self::BadMethod => "bad_method",
            Self::BadRequest => "bad_request",
            Self::NotPolling => "not_polling",
            Self::UnsupportedProtocol => "unsupported_protocol",
            Self::WebSocketVersion => "websocket_version",
            Self::HookFailed => "hook_failed",
            Self::Forbidden => "forbidden",
            Self::NotAllowed => "not_allowed",
            Self::RoomNotAllowed => "room_not_allowed",
            Self::NotAdmitted(refused) => refused.limit.as_str(),
            Self::ShuttingDown => "shutting_down",
            Self::TooLarge => "too_large",
            Self::HandshakeTooLarge => "handshake_too_large",
            Self::Violation => "violation",
        }
    }

    /// Returns the level of its line. If the session ends, it has a line of its own.
    pub(crate) fn level(self) -> Level {
        match self {
            Self::TooLarge | Self::HandshakeTooLarge => Level::Warn,
            Self::NotPolling | Self::HookFailed | Self::ShuttingDown | Self::Violation => {
                Level::Debug
            }
            _ => Level::Info,
        }
    }
}

impl From<PollError> for Refusal {
    fn from(unpolled: PollError) -> Self {
        match unpolled {
            PollError::Unknown => Self::UnknownSession,
            PollError::Refused => Self::NotPolling,
            PollError::Violation => Self::Violation,
        }
    }
}

/// Returns the message for the client. It has no number: an attacker would measure with it.
fn message(refused: NotAdmitted) -> &'static str {
    match refused.limit {
        Limit::MaxSessions => "Too many sessions",
        Limit::SessionsPerAddress => "Too many sessions of this address",
        Limit::HandshakesPerSecondPerAddress => "Too many handshakes of this address",
        Limit::HandshakesPerSecond => "Too many handshakes",
        _ => "Server out of memory",
    }
}

/// RFC 6585, 4, and RFC 9110, 15.6.4: 429 if the client's own address is the cause, 503 otherwise.
fn is_of_client(refused: NotAdmitted) -> bool {
    matches!(
        refused.limit,
        Limit::SessionsPerAddress | Limit::HandshakesPerSecondPerAddress
    )
}

/// RFC 9110, 10.2.3: `Retry-After` is in whole seconds.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}
