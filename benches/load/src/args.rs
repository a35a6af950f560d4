//! The command line. In: the process's arguments. Out: [`Args`], checked.

use std::env;
use std::fmt::Display;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use crate::Failure;

/// What to run, against whom, and how hard.
pub(crate) struct Args {
    pub(crate) addr: SocketAddr,
    pub(crate) workload: Workload,
    pub(crate) connections: usize,
    pub(crate) in_flight: usize,
    pub(crate) payload: usize,
    pub(crate) seconds: Duration,
    pub(crate) warmup: Duration,
    /// The server's process, for its memory and CPU time.
    pub(crate) pid: Option<u32>,
}

impl Args {
    pub(crate) fn from_env() -> Result<Self, Failure> {
        Self::parse(env::args().skip(1))
    }

    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut addr = None;
        let mut workload = None;
        let mut args = Self {
            addr: SocketAddr::from(([127, 0, 0, 1], 0)),
            workload: Workload::Echo,
            connections: 100,
            in_flight: 1,
            payload: 32,
            seconds: Duration::from_secs(4),
            warmup: Duration::from_secs(1),
            pid: None,
        };
        while let Some(flag) = words.next() {
            if flag == "--help" {
                return Err(USAGE.into());
            }
            let Some(word) = words.next() else {
                return Err(format!("{flag} has no value\n{USAGE}").into());
            };
            match flag.as_str() {
                "--addr" => addr = Some(value(&flag, &word)?),
                "--workload" => workload = Some(value(&flag, &word)?),
                "--connections" => args.connections = value(&flag, &word)?,
                "--in-flight" => args.in_flight = value(&flag, &word)?,
                "--payload" => args.payload = value(&flag, &word)?,
                "--seconds" => args.seconds = seconds(&flag, &word)?,
                "--warmup" => args.warmup = seconds(&flag, &word)?,
                "--pid" => args.pid = Some(value(&flag, &word)?),
                _ => return Err(format!("unknown flag {flag}\n{USAGE}").into()),
            }
        }
        if args.connections == 0 || args.in_flight == 0 {
            return Err("--connections and --in-flight must be at least 1".into());
        }
        args.addr = addr.ok_or_else(|| format!("--addr is missing\n{USAGE}"))?;
        args.workload = workload.ok_or_else(|| format!("--workload is missing\n{USAGE}"))?;
        Ok(args)
    }
}

/// The kinds of traffic; the README says what each sends and counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Workload {
    Echo,
    Ack,
    Bcast,
    Rcast,
    Idle,
    Connect,
}

impl Workload {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Ack => "ack",
            Self::Bcast => "bcast",
            Self::Rcast => "rcast",
            Self::Idle => "idle",
            Self::Connect => "connect",
        }
    }
}

impl FromStr for Workload {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        [
            Self::Echo,
            Self::Ack,
            Self::Bcast,
            Self::Rcast,
            Self::Idle,
            Self::Connect,
        ]
        .into_iter()
        .find(|workload| workload.name() == name)
        .ok_or("is none of echo, ack, bcast, rcast, idle, connect")
    }
}

fn value<T: FromStr<Err: Display>>(flag: &str, word: &str) -> Result<T, Failure> {
    word.parse()
        .map_err(|error| format!("{flag} {word}: {error}").into())
}

fn seconds(flag: &str, word: &str) -> Result<Duration, Failure> {
    Duration::try_from_secs_f64(value(flag, word)?)
        .map_err(|error| format!("{flag} {word}: {error}").into())
}

const USAGE: &str = "\
usage: load --addr IP:PORT --workload echo|ack|bcast|rcast|idle|connect
            [--connections N] [--in-flight K] [--payload BYTES]
            [--seconds S] [--warmup S] [--pid SERVER]";

#[cfg(test)]
mod tests {
    use super::{Args, Workload};
    use crate::Failure;

    fn parse(line: &str) -> Result<Args, Failure> {
        Args::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn flags_replace_the_defaults() {
        let args = parse("--addr 127.0.0.1:80 --workload rcast --seconds 0.5 --pid 7").unwrap();
        assert_eq!(args.workload, Workload::Rcast);
        assert_eq!(args.seconds.as_millis(), 500);
        assert_eq!((args.connections, args.pid), (100, Some(7)));
    }

    #[test]
    fn bad_lines_are_refused() {
        for line in [
            "",
            "--addr 127.0.0.1:80",
            "--workload echo",
            "--addr",
            "--addr 127.0.0.1:80 --workload shout",
            "--addr 127.0.0.1:80 --workload echo --connections 0",
            "--addr 127.0.0.1:80 --workload echo --seconds -1",
            "--addr 127.0.0.1:80 --workload echo --port 80",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
