//! Refused requests: the log line, and the program's hooks.
//!
//! A refusal and its request enter; a log line leaves, and the program's hooks are called.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::http::header;
use log::Level;

use crate::config::Config;
use crate::limits::{Limit, LimitHit};
use crate::logging::{LogKind, Quoted, TARGET_REQUEST};
use crate::panics::catch_panic;
use crate::transport::handshake;
use crate::transport::hooks::{Hooks, panicked};
use crate::transport::refusal::Refusal;
use crate::transport::request::Query;

/// A refused request, for [`Builder::on_connection_error`](crate::Builder::on_connection_error).
///
/// | code | message | cause |
/// | --- | --- | --- |
/// | 0 | `Transport unknown` | no transport, or one that the server does not serve |
/// | 1 | `Session ID unknown` | the session has ended, or never existed here |
/// | 2 | `Bad handshake method` | a first request that is not a GET |
/// | 3 | `Bad request` | a WebSocket handshake or a request of a session that violates a rule |
/// | 4 | `Forbidden` | the origin is not allowed, or `allow_request` refused |
/// | 5 | `Unsupported protocol version` | a revision of Engine.IO other than the fourth |
/// | 6 | `Too many sessions`, `Too many sessions of this address`, `Too many handshakes`, `Too many handshakes of this address`, `Server out of memory` | a limit of new clients, as of [`Builder::max_sessions`](crate::Builder::max_sessions) |
///
/// # Examples
///
/// ```
/// use actix_socketio::{ConnectionError, SocketIo};
///
/// fn count(error: &ConnectionError<'_>) {
///     let agent = error.request().headers().get("user-agent");
///     println!("{} {}: {agent:?}", error.code(), error.message());
/// }
///
/// let builder = SocketIo::builder().on_connection_error(count);
/// ```
#[derive(Debug)]
pub struct ConnectionError<'a> {
    request: &'a HttpRequest,
    code: u8,
    message: &'static str,
}

impl ConnectionError<'_> {
    /// Returns the request.
    #[must_use]
    pub fn request(&self) -> &HttpRequest {
        self.request
    }

    /// Returns the code, which the client receives too.
    #[must_use]
    pub fn code(&self) -> u8 {
        self.code
    }

    /// Returns the message of the code.
    #[must_use]
    pub fn message(&self) -> &str {
        self.message
    }
}

/// Called for refused requests.
pub(crate) type ConnectionErrorHook = dyn Fn(&ConnectionError<'_>) + Send + Sync;

/// Reports a refused request to the log and the program.
pub(crate) fn report(config: &Config, hooks: &Hooks, request: &HttpRequest, refusal: Refusal) {
    let address = handshake::client(request, &config.http).address;
    let line = Line {
        config,
        request,
        address,
        refusal,
    };
    match refusal.level() {
        Level::Debug => log::debug!(target: TARGET_REQUEST, "{line}"),
        level => {
            let kind = match refusal {
                Refusal::TooLarge => LogKind::TooLarge,
                _ => LogKind::Refused,
            };
            config
                .line_limits
                .write(kind, level, format_args!("{line}"));
        }
    }
    config.telemetry.metrics.refused(refusal.label());
    count(config, address, refusal);
    let Some((code, message)) = refusal.code() else {
        return;
    };
    let error = ConnectionError {
        request,
        code,
        message,
    };
    for hook in hooks.connection_error() {
        if let Err(panic) = catch_panic(|| hook(&error)) {
            panicked("on_connection_error", &panic);
        }
    }
}

/// Reports the limit for which a request was refused.
fn count(config: &Config, address: Option<IpAddr>, refusal: Refusal) {
    let (limit, value) = match refusal {
        Refusal::TooLarge => (Limit::MaxPayload, config.limits.max_payload),
        Refusal::HandshakeTooLarge => (Limit::HandshakeLimit, config.limits.handshake_limit),
        Refusal::NotAdmitted(refused) => (
            refused.limit,
            usize::try_from(refused.value).unwrap_or(usize::MAX),
        ),
        _ => return,
    };
    let hit = LimitHit::new(limit, value).of_address(address);
    config.limit_hooks.hit(&hit);
}

/// The line of a refused request. It omits the query, which may contain a session's id, a secret.
struct Line<'a> {
    config: &'a Config,
    request: &'a HttpRequest,
    /// The client's.
    address: Option<IpAddr>,
    refusal: Refusal,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (config, request) = (self.config, self.request);
        f.write_str("request of ")?;
        match self.address {
            Some(address) => write!(f, "{address}")?,
            None => f.write_str("a client without an address")?,
        }
        write!(f, " refused: {}", self.refusal.cause())?;
        let parameter = |name| Query::value(request.query_string(), name);
        let header = |name| {
            let value = request.headers().get(name)?;
            Some(String::from_utf8_lossy(value.as_bytes()))
        };
        let (name, value): (_, Option<Cow<'_, str>>) = match self.refusal {
            Refusal::UnknownTransport => ("transport", parameter("transport")),
            Refusal::UnsupportedProtocol => ("EIO", parameter("EIO")),
            Refusal::BadMethod => ("method", Some(request.method().as_str().into())),
            Refusal::Forbidden => ("origin", header(header::ORIGIN)),
            Refusal::WebSocketVersion => ("version", header(header::SEC_WEBSOCKET_VERSION)),
            Refusal::TooLarge => {
                write!(f, " of {} bytes", config.limits.max_payload)?;
                ("content-length", header(header::CONTENT_LENGTH))
            }
            Refusal::NotAdmitted(refused) => {
                return write!(f, " `{}` of {}", refused.limit, refused.value);
            }
            Refusal::HandshakeTooLarge => {
                let size = handshake::size(request);
                return write!(f, " of {} bytes: {size}", config.limits.handshake_limit);
            }
            _ => return Ok(()),
        };
        match value {
            Some(value) => write!(f, ": {name} {}", Quoted(&value)),
            None => write!(f, ": no {name}"),
        }
    }
}
