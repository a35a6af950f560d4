//! Micro-benchmarks of the library's codecs, outbox and routing, by divan.

#![allow(
    dead_code,
    unused_imports,
    reason = "the library's modules stand here whole, and only parts of them are measured"
)]

include!("library.rs");

mod codecs;
mod routing;
mod server_fixture;
mod wire;

use std::time::Duration;

use divan::Divan;

fn main() {
    // Before the arguments, which may ask for more.
    let divan = Divan::default().min_time(MEASURED).config_with_args();
    divan.run_benches();
}

/// How long each benchmark is measured at least: its default samples take a few milliseconds, less
/// than what else the machine does.
const MEASURED: Duration = Duration::from_millis(250);
