//! HTTP around the protocols: App, hooks, headers, sessions of programs.

mod compression;
mod edge;
mod hooks;
#[cfg(feature = "session")]
mod sessions;
