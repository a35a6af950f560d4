//! Servers and clients for the tests: real sockets, raw bytes, and an end to every wait.
//!
//! [`Server`] runs the crate's routes on a port of its own. [`Request`], [`Polling`] and
//! [`WebSocket`] talk to it, each wait of theirs bounded by [`PATIENCE`]. [`channel`] carries what
//! a handler saw back to its test. Nothing here knows what Socket.IO is.

pub(crate) mod eio3;
pub(crate) mod held;
mod http;
pub(crate) mod http2;
pub(crate) mod log;
pub(crate) mod panics;
mod path;
mod polling;
#[cfg(unix)]
pub(crate) mod process;
#[cfg(feature = "redis")]
pub(crate) mod redis;
mod server;
pub(crate) mod socketio;
#[cfg(feature = "rustls-0_23")]
pub(crate) mod tls;
pub(crate) mod ways;
mod websocket;
#[cfg(feature = "webtransport")]
pub(crate) mod webtransport;

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

pub(crate) use http::{Connection, Pending, Request, Response};
pub(crate) use path::{ServerPath, TestRun, run_on};
pub(crate) use polling::{Polling, packets};
pub(crate) use server::{Served, Server, Site, echo, recording, serve};
pub(crate) use websocket::{Frame, Received, WebSocket, opcode};

/// How long a test waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Awaits what should come; panics with `what` where it does not within [`PATIENCE`].
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("waited {PATIENCE:?} for {what}"))
}

/// Makes a way from a handler back to its test: the sender is cloned into handlers.
pub(crate) fn channel<T: Debug>() -> (UnboundedSender<T>, Heard<T>) {
    let (sender, receiver) = unbounded_channel();
    (sender, Heard(receiver))
}

/// The values that handlers send to their test.
#[derive(Debug)]
pub(crate) struct Heard<T>(UnboundedReceiver<T>);

impl<T: Debug> Heard<T> {
    /// Returns what a handler told, in order; panics where none does in time.
    pub(crate) async fn next(&mut self) -> T {
        within("a handler", self.0.recv())
            .await
            .expect("a server that still has its handlers")
    }

    /// Returns what has been told already, without waiting.
    pub(crate) fn so_far(&mut self) -> Vec<T> {
        std::iter::from_fn(|| self.0.try_recv().ok()).collect()
    }
}

/// The OPEN packet of a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Open {
    pub(crate) sid: String,
    pub(crate) upgrades: Vec<String>,
}

impl Open {
    /// Reads `0{…}`.
    pub(crate) fn read(packet: &str) -> Self {
        let json = packet
            .strip_prefix('0')
            .unwrap_or_else(|| panic!("no OPEN packet: {packet:?}"));
        let open: Value = serde_json::from_str(json).unwrap();
        let upgrades = open["upgrades"].as_array().unwrap();
        Self {
            sid: open["sid"].as_str().unwrap().to_owned(),
            upgrades: upgrades
                .iter()
                .map(|name| name.as_str().unwrap().to_owned())
                .collect(),
        }
    }
}
