//! HTTP around the protocols: App, hooks, headers, sessions of programs.

mod compression;
mod edge;
mod events;
mod hooks;
mod http2;
#[cfg(feature = "session")]
mod sessions;
mod transports;
