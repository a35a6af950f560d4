//! The options of a server, set once by its builder.
//!
//! Each part has the options of one floor: the HTTP edge, the sessions, the sockets, and the limits
//! of all. Each limit names its subject, each time is a `Duration`. The defaults are those of the
//! Node.js server if it has the option. The module holds values only.

mod cors;
mod deflate;
mod drain;
mod engine;
mod http;
mod limits;
mod parsers;
mod sockets;

use std::sync::Arc;

use crate::limits::{AdmissionLimits, EventRates, LimitHooks};
use crate::logging::LogLimits;
use crate::panics::PanicReports;
use crate::telemetry::Telemetry;

pub use cors::Cors;
pub use deflate::PerMessageDeflate;
pub use drain::DrainOptions;
pub(crate) use drain::Pace;
pub(crate) use engine::EngineConfig;
pub use engine::{SlowClientPolicy, Transport};
pub(crate) use http::HttpConfig;
pub(crate) use limits::Limits;
pub(crate) use parsers::{ParserId, Parsers};
pub use sockets::SessionScope;
pub(crate) use sockets::SocketConfig;

/// The options of a server, shared by all its parts.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) http: HttpConfig,
    pub(crate) engine: EngineConfig,
    pub(crate) sockets: SocketConfig,
    pub(crate) limits: Limits,
    pub(crate) parsers: Arc<Parsers>,
    /// The rate limits of log lines that clients cause.
    pub(crate) line_limits: Arc<LogLimits>,
    /// The limits of new clients.
    pub(crate) admission: AdmissionLimits,
    /// The rates of each socket.
    pub(crate) rates: EventRates,
    /// Counts and reports the hits of limits.
    pub(crate) limit_hooks: LimitHooks,
    /// Set by the builder at the start.
    pub(crate) panic_reports: PanicReports,
    pub(crate) telemetry: Telemetry,
    /// The drain by a signal, if the server drains.
    pub(crate) drain_on_signal: Option<DrainOptions>,
}

impl Config {
    /// Returns an error that names an invalid option and the reason.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.http.check()?;
        if let Some(deflate) = &self.engine.per_message_deflate {
            deflate.check()?;
        }
        self.parsers.check()?;
        self.admission.check()
    }

    /// Returns the default options of a server at `path`.
    pub(crate) fn new(path: &str) -> Self {
        Self {
            http: HttpConfig::new(path),
            engine: EngineConfig::default(),
            sockets: SocketConfig::default(),
            limits: Limits::default(),
            parsers: Arc::default(),
            line_limits: LogLimits::new(),
            admission: AdmissionLimits::default(),
            rates: EventRates::default(),
            limit_hooks: LimitHooks::default(),
            panic_reports: PanicReports::default(),
            telemetry: Telemetry::default(),
            drain_on_signal: None,
        }
    }
}
