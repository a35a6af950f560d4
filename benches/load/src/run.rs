//! The course of a run: open, warm up, measure. In: the command line. Out: the report.

use std::time::Duration;

use crate::Failure;
use crate::args::{Args, Workload};
use crate::clock::cpu_seconds;
use crate::load::{Load, raise_open_files};
use crate::report::Report;
use crate::server::Server;

pub(crate) fn run(args: &Args) -> Result<Report, Failure> {
    raise_open_files(args.connections)
        .map_err(|error| format!("{} open files: {error}", args.connections))?;
    let mut load = Load::new(args)?;
    let mut report = Report::new(args);
    let server = args.pid.map(Server::new);
    if args.workload == Workload::Idle {
        idle(args, &mut load, server, &mut report)?;
    } else {
        traffic(args, &mut load, server, &mut report)?;
    }
    report.put_errors(load.tally.errors);
    if let Some(error) = &load.tally.first_error {
        eprintln!("load: first of {} errors: {error}", load.tally.errors);
    }
    Ok(report)
}

fn traffic(
    args: &Args,
    load: &mut Load,
    server: Option<Server>,
    report: &mut Report,
) -> Result<(), Failure> {
    if args.workload != Workload::Connect {
        load.open_all()?;
        // Time for joins that a server has answered before they took effect.
        load.drive(PAUSE, |_| false)?;
    }
    load.start()?;
    load.drive(args.warmup, |_| false)?;
    load.tally.latencies.clear();
    let before = Usage::now(load, server)?;
    load.drive(args.seconds, |_| false)?;
    let after = Usage::now(load, server)?;

    let seconds = after.seconds - before.seconds;
    report.put_messages(&load.tally.latencies, seconds);
    report.put(
        "load_cpu",
        format_args!("{:.2}", (after.own - before.own) / seconds),
    );
    let spent = after
        .server
        .zip(before.server)
        .map(|(after, before)| after - before);
    report.put_or_null(
        "server_cpu",
        spent.map(|spent| format!("{:.2}", spent / seconds)),
    );
    Ok(())
}

/// Opens everybody twice, and looks at the server's memory after each step.
fn idle(
    args: &Args,
    load: &mut Load,
    server: Option<Server>,
    report: &mut Report,
) -> Result<(), Failure> {
    let start = settled_rss(load, server)?;
    report.put("seconds", args.seconds.as_secs_f64());
    report.put_or_null("rss_start_kib", start);
    for wave in 1..=2 {
        load.open_all()?;
        load.drive(args.seconds, |_| false)?;
        let open = rss(server)?;
        load.close_all();
        load.drive(CLOSE_ALL_MAX, |load| load.open == 0)?;
        let closed = settled_rss(load, server)?;
        let each = |rss: Option<u64>| {
            let grown = rss? as f64 - start? as f64;
            Some(format!("{:.0}", grown * 1024.0 / args.connections as f64))
        };
        report.put_or_null(&format!("rss_open_{wave}_kib"), open);
        report.put_or_null(&format!("rss_closed_{wave}_kib"), closed);
        report.put_or_null(&format!("bytes_per_connection_open_{wave}"), each(open));
        report.put_or_null(&format!("bytes_per_connection_closed_{wave}"), each(closed));
    }
    Ok(())
}

/// Waits, but not for ever, until the server's memory has stopped changing.
fn settled_rss(load: &mut Load, server: Option<Server>) -> Result<Option<u64>, Failure> {
    let mut last = rss(server)?;
    let mut steady = 0;
    for _ in 0..SAMPLES_MAX {
        load.drive(PAUSE, |_| false)?;
        let next = rss(server)?;
        steady = if next == last { steady + 1 } else { 0 };
        last = next;
        if steady == STEADY_SAMPLES {
            break;
        }
    }
    Ok(last)
}

fn rss(server: Option<Server>) -> Result<Option<u64>, Failure> {
    server.map(Server::rss_kib).transpose()
}

/// What has been used up so far.
struct Usage {
    seconds: f64,
    own: f64,
    server: Option<f64>,
}

impl Usage {
    fn now(load: &Load, server: Option<Server>) -> Result<Self, Failure> {
        Ok(Self {
            seconds: load.clock.now() as f64 / 1e9,
            own: cpu_seconds(),
            server: server.map(Server::cpu_seconds).transpose()?,
        })
    }
}

const PAUSE: Duration = Duration::from_millis(250);
const STEADY_SAMPLES: u32 = 6;
const SAMPLES_MAX: u32 = 80;
const CLOSE_ALL_MAX: Duration = Duration::from_secs(30);
