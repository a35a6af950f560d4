//! The course of a run: open, warm up, measure. In: the command line. Out: the report.

use std::io;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::Failure;
use crate::args::{Args, Transport, Workload};
use crate::clients::Clients;
use crate::clock::{Clock, cpu_seconds};
use crate::load::Load;
use crate::polling::Polling;
use crate::rate::Rate;
use crate::report::Report;
use crate::rooms::Verb;
use crate::server::Server;
use crate::tally::Tally;

pub(crate) fn run(args: &Args) -> Result<Report, Failure> {
    raise_open_files(args)
        .map_err(|error| format!("open files for {} clients: {error}", args.connections))?;
    let mut report = Report::new(args);
    let server = args.pid.map(Server::new);
    if args.transport == Transport::Polling {
        let mut polling = Polling::new(args)?;
        traffic(args, &mut polling, server, &mut report)?;
        put_errors(polling.tally(), &mut report);
        return Ok(report);
    }
    let mut load = Load::new(args)?;
    match args.workload {
        Workload::Idle => idle(args, &mut load, server, &mut report)?,
        Workload::Rooms => rooms(&mut load, server, &mut report)?,
        _ => traffic(args, &mut load, server, &mut report)?,
    }
    put_errors(&load.tally, &mut report);
    Ok(report)
}

fn traffic(
    args: &Args,
    clients: &mut impl Clients,
    server: Option<Server>,
    report: &mut Report,
) -> Result<(), Failure> {
    if args.workload != Workload::Connect {
        clients.open_all()?;
        // Time for joins that a server has answered before they took effect.
        clients.run_for(PAUSE)?;
    }
    clients.start()?;
    clients.run_for(args.warmup)?;
    clients.tally().latencies.clear();
    if let Some(rate) = clients.rate() {
        rate.lateness.clear();
    }
    let before = Usage::now(clients.clock(), server)?;
    clients.run_for(args.seconds)?;
    let after = Usage::now(clients.clock(), server)?;

    let messages = clients.tally().latencies.total();
    let mut unanswered = 0;
    if let Some(rate) = clients.rate() {
        rate.stop();
        // The messages that would be left out otherwise are the slowest.
        unanswered = clients.settle(SETTLE_MAX)?;
    }
    let seconds = after.seconds - before.seconds;
    report.put_messages(messages, &clients.tally().latencies, seconds);
    if let Some(Rate { lateness, .. }) = clients.rate() {
        report.put_pace(lateness, unanswered, seconds);
    }
    put_cpu(&before, &after, report);
    Ok(())
}

/// Lets everybody join all their rooms, and leave them again.
fn rooms(load: &mut Load, server: Option<Server>, report: &mut Report) -> Result<(), Failure> {
    load.open_all()?;
    load.run_for(PAUSE)?;
    let before = Usage::now(load.clock, server)?;
    for verb in [Verb::Join, Verb::Leave] {
        load.tally.latencies.clear();
        load.begin_rooms(verb);
        load.start()?;
        let spent = Usage::now(load.clock, None)?.seconds - before.seconds;
        let left = ROOMS_MAX.saturating_sub(Duration::from_secs_f64(spent));
        load.drive(left, |load| {
            load.tally.errors > 0 || load.course().is_none_or(|course| course.is_over())
        })?;
        let Some(course) = load.course() else {
            return Ok(());
        };
        if !course.is_over() {
            let (verb, done) = (verb.plural(), course.done());
            let cause = load.tally.first_error.as_deref();
            let cause = cause.unwrap_or("the time is up");
            return Err(format!("ended behind {done} {verb}: {cause}").into());
        }
        report.put_course(verb, course, &load.tally.latencies);
    }
    let after = Usage::now(load.clock, server)?;
    let seconds = after.seconds - before.seconds;
    report.put("seconds", format_args!("{seconds:.3}"));
    put_cpu(&before, &after, report);
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
        let before = Usage::now(load.clock, server)?;
        load.run_for(args.seconds)?;
        let cpu = before.server_cores(&Usage::now(load.clock, server)?);
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
        if let Some(cpu) = cpu {
            // Four digits, as the kernel counts in hundredths of a second, over many seconds.
            report.put(&format!("idle_cpu_wave_{wave}"), format_args!("{cpu:.4}"));
        }
    }
    Ok(())
}

/// Waits, but not for ever, until the server's memory has stopped changing.
fn settled_rss(load: &mut Load, server: Option<Server>) -> Result<Option<u64>, Failure> {
    let mut last = rss(server)?;
    let mut steady = 0;
    for _ in 0..SAMPLES_MAX {
        load.run_for(PAUSE)?;
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

fn put_cpu(before: &Usage, after: &Usage, report: &mut Report) {
    let own = (after.own - before.own) / (after.seconds - before.seconds);
    report.put("load_cpu", format_args!("{own:.2}"));
    let cores = before.server_cores(after);
    report.put_or_null("server_cpu", cores.map(|cores| format!("{cores:.2}")));
}

fn put_errors(tally: &Tally, report: &mut Report) {
    report.put_errors(tally.errors);
    if let Some(error) = &tally.first_error {
        eprintln!("load: first of {} errors: {error}", tally.errors);
    }
}

/// The time and CPU used so far.
struct Usage {
    seconds: f64,
    own: f64,
    server: Option<f64>,
}

impl Usage {
    fn now(clock: Clock, server: Option<Server>) -> Result<Self, Failure> {
        Ok(Self {
            seconds: clock.now() as f64 / 1e9,
            own: cpu_seconds(),
            server: server.map(Server::cpu_seconds).transpose()?,
        })
    }

    /// Returns how many cores the server has kept busy from here to there.
    fn server_cores(&self, later: &Self) -> Option<f64> {
        Some((later.server? - self.server?) / (later.seconds - self.seconds))
    }
}

/// Raises the limit of open files as far as the clients need it.
///
/// # Errors
///
/// The hard limit is lower.
fn raise_open_files(args: &Args) -> io::Result<()> {
    let streams = match args.transport {
        Transport::WebSocket => args.connections,
        Transport::Polling | Transport::Upgrade => 2 * args.connections,
    };
    let wanted = streams as u64 + SPARE_FILES;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        setrlimit(
            Resource::Nofile,
            Rlimit {
                current: Some(wanted),
                maximum: limit.maximum,
            },
        )?;
    }
    Ok(())
}

const PAUSE: Duration = Duration::from_millis(250);
const SETTLE_MAX: Duration = Duration::from_secs(2);
const ROOMS_MAX: Duration = Duration::from_secs(120);
const STEADY_SAMPLES: u32 = 6;
const SAMPLES_MAX: u32 = 80;
const CLOSE_ALL_MAX: Duration = Duration::from_secs(30);
const SPARE_FILES: u64 = 64;
