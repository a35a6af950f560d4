//! Micro-benchmarks of the library's codecs, outbox and routing.
//!
//! Without arguments, or with divan's, the benchmarks run. `micro count PATH TIMES` goes along one
//! hot path so many times and prints nothing: `benches/instructions` counts what that takes.

#![allow(
    dead_code,
    unused_imports,
    reason = "the library's modules stand here whole, and only their hot paths are used"
)]

#[path = "../../../src/config.rs"]
mod config;
#[path = "../../../src/engineio/mod.rs"]
mod engineio;
#[path = "../../../src/error.rs"]
mod error;
#[path = "../../../src/handshake/mod.rs"]
mod handshake;
#[path = "../../../src/id.rs"]
mod id;
#[path = "../../../src/link/mod.rs"]
mod link;
#[path = "../../../src/message.rs"]
mod message;
#[path = "../../../src/reason.rs"]
mod reason;
#[path = "../../../src/socket/mod.rs"]
mod socket;
#[path = "../../../src/socketio/mod.rs"]
mod socketio;
#[path = "../../../src/websocket/mod.rs"]
mod websocket;

mod codecs;
mod paths;
mod routing;

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    if words.first().map(String::as_str) != Some("count") {
        divan::Divan::from_args().run_benches();
        return ExitCode::SUCCESS;
    }
    match (words.get(1), words.get(2).map(|times| times.parse())) {
        (Some(path), Some(Ok(times))) if paths::walk(path, times) => ExitCode::SUCCESS,
        _ => {
            eprintln!("usage: micro count event|ack|broadcast TIMES");
            ExitCode::from(2)
        }
    }
}
