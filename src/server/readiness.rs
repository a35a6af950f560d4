//! Whether a server takes new clients, and the routes that report it.
//!
//! The state of the sessions, the adapter and the limits enter; a list of reasons leaves.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, web};
use serde_json::json;

use crate::server::closing::Closing;
use crate::session::{Engine, Stage};

/// The answer of [`SocketIo::readiness`](crate::SocketIo::readiness): whether a load balancer
/// should send new clients to this server.
///
/// # Examples
///
/// ```
/// use actix_socketio::SocketIo;
///
/// fn report(io: &SocketIo) {
///     for reason in io.readiness().reasons() {
///         log::warn!("no new clients: {reason}");
///     }
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    reasons: Vec<NotReady>,
}

impl Readiness {
    /// Returns `true` if there is no reason against new clients.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.reasons.is_empty()
    }

    /// Returns the reasons against new clients; none if the server is ready.
    #[must_use]
    pub fn reasons(&self) -> &[NotReady] {
        &self.reasons
    }

    /// Returns the response of `/ready`.
    fn response(&self) -> HttpResponse {
        let reasons: Vec<_> = self.reasons.iter().map(NotReady::as_str).collect();
        let status = if self.is_ready() {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        let body = json!({ "ready": self.is_ready(), "reasons": reasons });
        uncached(HttpResponse::build(status).json(body))
    }
}

/// A reason of a server against new clients.
///
/// | variant | effect on the present clients |
/// | --- | --- |
/// | `Draining` | none in the delay, then they are closed one after another |
/// | `Closing` | they are closed |
/// | `AdapterDisconnected` | they stay, without the events of other nodes |
/// | `MaxSessions`, `MemoryLimit` | none; new clients are refused |
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotReady {
    /// [`SocketIo::drain`](crate::SocketIo::drain) was called.
    Draining,
    /// The server closes, or has closed.
    Closing,
    /// A connection to the other nodes of the cluster is broken.
    AdapterDisconnected {
        /// The cause, as [`AdapterHealth::error`](crate::AdapterHealth::error) returns it.
        error: Option<String>,
    },
    /// The server has as many sessions as `Builder::max_sessions` allows.
    MaxSessions,
    /// The process has more memory than `Builder::memory_limit` allows.
    MemoryLimit,
}

impl NotReady {
    /// Returns the name of the reason, for example `adapter_disconnected`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Draining => "draining",
            Self::Closing => "closing",
            Self::AdapterDisconnected { .. } => "adapter_disconnected",
            Self::MaxSessions => "max_sessions",
            Self::MemoryLimit => "memory_limit",
        }
    }
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Draining => f.write_str("the server drains"),
            Self::Closing => f.write_str("the server closes"),
            Self::AdapterDisconnected { error: None } => f.write_str("the adapter is disconnected"),
            Self::AdapterDisconnected { error: Some(error) } => {
                write!(f, "the adapter is disconnected: {error}")
            }
            Self::MaxSessions => f.write_str("`max_sessions` is reached"),
            Self::MemoryLimit => f.write_str("`memory_limit` is exceeded"),
        }
    }
}

impl Closing {
    /// Returns whether a load balancer should send new clients.
    pub(crate) fn readiness(&self) -> Readiness {
        let mut reasons = Vec::new();
        if self.engine.stage.has_reached(Stage::Closing) {
            reasons.push(NotReady::Closing);
        } else if self.engine.stage.has_reached(Stage::Draining) {
            reasons.push(NotReady::Draining);
        }
        let cluster = self.registry.as_ref().and_then(|it| it.cluster.as_ref());
        let health = cluster.map(|cluster| cluster.health());
        if let Some(health) = health.filter(|health| !health.is_connected()) {
            let error = health.error().map(str::to_owned);
            reasons.push(NotReady::AdapterDisconnected { error });
        }
        reasons.extend(limits_reached(&self.engine));
        Readiness { reasons }
    }

    /// Returns the routes `/live` and `/ready`.
    pub(crate) fn health_routes(
        &self,
    ) -> impl FnOnce(&mut web::ServiceConfig) + Clone + Send + use<> {
        let closing = self.clone();
        move |app: &mut web::ServiceConfig| {
            let live = || async { uncached(HttpResponse::Ok().json(json!({ "live": true }))) };
            let ready = move || {
                let response = closing.readiness().response();
                async move { response }
            };
            let route = |path| web::resource(path);
            let (get, head) = (web::get(), web::head());
            app.service(route("/live").route(get.to(live)).route(head.to(live)));
            let (get, head) = (web::get(), web::head());
            let again = ready.clone();
            app.service(route("/ready").route(get.to(ready)).route(head.to(again)));
        }
    }
}

/// Returns the limits above which new clients are refused.
fn limits_reached(engine: &Engine) -> impl Iterator<Item = NotReady> {
    let limit = engine.config.admission.max_sessions;
    let is_full = limit.is_some_and(|limit| engine.count() >= limit);
    let admission = engine.admission();
    let is_large = admission.is_some_and(|admission| admission.is_out_of_memory(engine.now()));
    let full = is_full.then_some(NotReady::MaxSessions);
    full.into_iter()
        .chain(is_large.then_some(NotReady::MemoryLimit))
}

fn uncached(mut response: HttpResponse) -> HttpResponse {
    let never = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, never);
    response
}
