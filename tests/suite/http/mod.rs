//! HTTP around the protocols: App, hooks, headers, sessions of programs.

mod compression;
mod edge;
mod events;
mod hooks;
#[cfg(feature = "session")]
mod sessions;
