//! Wiring: the values that a program builds, mounts and holds.
//!
//! [`SocketIo`] connects the layers and is the program's handle for them; [`EngineIo`] does the
//! same for Engine.IO alone. The builders make them from the program's options. This module makes
//! no decisions of the protocol or of routing.

mod admission;
mod all_namespaces;
mod app_server;
mod background;
#[cfg(feature = "webtransport")]
mod bind_webtransport;
mod builder;
mod closing;
mod dealing;
mod drain;
mod drain_report;
mod drain_schedule;
mod engine_io;
mod extractors;
#[cfg(feature = "session")]
mod http_session;
#[cfg(feature = "admin")]
mod instrumented;
mod logins;
#[cfg(feature = "session")]
mod logout;
mod namespace;
mod operations;
mod operator;
mod options;
mod parsers;
mod pattern;
mod readiness;
mod running;
mod sampling;
#[cfg(feature = "session")]
mod session_cookie;
mod site;
mod socket_io;
mod start_error;
mod supervising;
#[cfg(any(feature = "metrics", feature = "tracing"))]
mod telemetry;
mod tuning;
mod weak;
#[cfg(feature = "webtransport")]
mod webtransport;
#[cfg(not(feature = "webtransport"))]
#[path = "webtransport_off.rs"]
mod webtransport;

#[cfg(feature = "testing")]
pub(crate) use crate::transport::InMemory;
pub use all_namespaces::AllNamespaces;
pub use app_server::AppServer;
pub use builder::{Buildable, Builder};
pub use drain_report::DrainReport;
pub use engine_io::{EngineIo, EngineIoBuilder};
#[cfg(feature = "session")]
pub use http_session::HttpSession;
#[cfg(feature = "session")]
pub use logout::LogoutStore;
pub use namespace::Namespace;
pub use operations::SlowSession;
pub use pattern::NamespacePattern;
pub use readiness::{NotReady, Readiness};
pub use running::{AppServerHandle, RunningAppServer};
pub use socket_io::SocketIo;
pub use start_error::StartError;
pub use tuning::Tunable;
pub(crate) use weak::WeakSocketIo;
