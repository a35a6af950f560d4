//! A load generator for Socket.IO servers.
//!
//! One thread, one epoll, WebSocket and HTTP by hand: it has to be so much cheaper than the server it
//! drives that the server is the one to run out of CPU. In: a server's address and a workload. Out:
//! one line of JSON on stdout. It knows the protocol only as far as the workloads need it, and it
//! must not know which server it drives.
//!
//! The exit code is 0 only if the load ran, saw no error, and (but for `idle`) counted something.

use std::error::Error;
use std::process::ExitCode;

use crate::args::Args;

mod acks;
mod args;
mod broadcast;
mod client;
mod clients;
mod clock;
mod closing;
mod exchange;
mod frame;
mod histogram;
mod http;
mod link;
mod load;
mod payload;
mod poller;
mod polling;
mod polling_start;
mod rate;
mod report;
mod rooms;
mod run;
mod scan;
mod server;
mod tally;
mod traffic;
mod wire;

type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    match Args::from_env().and_then(|args| run::run(&args)) {
        Ok(report) => {
            println!("{}", report.json());
            if report.is_sound() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(failure) => {
            eprintln!("load: {failure}");
            ExitCode::from(2)
        }
    }
}
