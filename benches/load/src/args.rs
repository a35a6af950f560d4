//! The command line. In: the process's arguments. Out: [`Args`], checked.

use std::env;
use std::fmt::Display;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::str::FromStr;
use std::time::Duration;

use crate::Failure;

/// The server to run against, the scenario, and the load.
pub(crate) struct Args {
    pub(crate) addr: SocketAddr,
    pub(crate) workload: Workload,
    pub(crate) transport: Transport,
    pub(crate) connections: usize,
    pub(crate) in_flight: usize,
    pub(crate) payload: usize,
    /// Whether the payload is an attachment.
    pub(crate) binary: bool,
    /// Messages per second in all, whether or not they are answered.
    pub(crate) rate: Option<NonZeroU64>,
    /// How many rooms a client has.
    pub(crate) rooms: u64,
    /// Whether all clients have the same rooms.
    pub(crate) shared: bool,
    /// The address of every second client: another node of the same cluster.
    pub(crate) second: Option<SocketAddr>,
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
        let mut args = Self::defaults();
        while let Some(flag) = words.next() {
            if flag == "--help" {
                return Err(USAGE.into());
            }
            let Some(word) = words.next() else {
                return Err(format!("{flag} has no value\n{USAGE}").into());
            };
            match flag.as_str() {
                "--addr" => addr = Some(value(&flag, &word)?),
                "--second" => args.second = Some(value(&flag, &word)?),
                "--workload" => workload = Some(value(&flag, &word)?),
                "--transport" => args.transport = value(&flag, &word)?,
                "--connections" => args.connections = value(&flag, &word)?,
                "--in-flight" => args.in_flight = value(&flag, &word)?,
                "--payload" => args.payload = value(&flag, &word)?,
                "--binary" => args.binary = yes(&flag, &word)?,
                "--rate" => args.rate = Some(value(&flag, &word)?),
                "--rooms" => args.rooms = value(&flag, &word)?,
                "--shared" => args.shared = yes(&flag, &word)?,
                "--seconds" => args.seconds = seconds(&flag, &word)?,
                "--warmup" => args.warmup = seconds(&flag, &word)?,
                "--pid" => args.pid = Some(value(&flag, &word)?),
                _ => return Err(format!("unknown flag {flag}\n{USAGE}").into()),
            }
        }
        args.addr = addr.ok_or_else(|| format!("--addr is missing\n{USAGE}"))?;
        args.workload = workload.ok_or_else(|| format!("--workload is missing\n{USAGE}"))?;
        args.check()?;
        Ok(args)
    }

    fn defaults() -> Self {
        Self {
            addr: SocketAddr::from(([127, 0, 0, 1], 0)),
            workload: Workload::Echo,
            transport: Transport::WebSocket,
            connections: 100,
            in_flight: 1,
            payload: 32,
            binary: false,
            rate: None,
            second: None,
            rooms: 100,
            shared: false,
            seconds: Duration::from_secs(4),
            warmup: Duration::from_secs(1),
            pid: None,
        }
    }

    /// Refuses what cannot be run, so that no flag is passed over in silence.
    fn check(&self) -> Result<(), &'static str> {
        if self.connections == 0 || self.in_flight == 0 || self.rooms == 0 {
            return Err("--connections, --in-flight and --rooms must be at least 1");
        }
        if self.transport == Transport::Polling && (self.workload != Workload::Echo || self.binary)
        {
            return Err("--transport polling is for the workload echo, without --binary yes");
        }
        if self.binary && self.workload != Workload::Echo {
            return Err("--binary yes is for the workload echo");
        }
        if self.rate.is_some() && !matches!(self.workload, Workload::Echo | Workload::Ack) {
            return Err("--rate is for the workloads echo and ack");
        }
        Ok(())
    }
}

/// The kinds of traffic; the README says what each sends and counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Workload {
    Echo,
    Ack,
    Bcast,
    Rcast,
    Rooms,
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
            Self::Rooms => "rooms",
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
            Self::Rooms,
            Self::Idle,
            Self::Connect,
        ]
        .into_iter()
        .find(|workload| workload.name() == name)
        .ok_or("is none of echo, ack, bcast, rcast, rooms, idle, connect")
    }
}

/// The transport of a client's session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Transport {
    /// WebSocket from the first byte.
    WebSocket,
    Polling,
    /// Polling at first, then WebSocket: what clients do unless they are told otherwise.
    Upgrade,
}

impl Transport {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::Polling => "polling",
            Self::Upgrade => "upgrade",
        }
    }
}

impl FromStr for Transport {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        [Self::WebSocket, Self::Polling, Self::Upgrade]
            .into_iter()
            .find(|transport| transport.name() == name)
            .ok_or("is none of websocket, polling, upgrade")
    }
}

fn value<T: FromStr<Err: Display>>(flag: &str, word: &str) -> Result<T, Failure> {
    word.parse()
        .map_err(|error| format!("{flag} {word}: {error}").into())
}

fn yes(flag: &str, word: &str) -> Result<bool, Failure> {
    match word {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(format!("{flag} {word}: is neither yes nor no").into()),
    }
}

fn seconds(flag: &str, word: &str) -> Result<Duration, Failure> {
    Duration::try_from_secs_f64(value(flag, word)?)
        .map_err(|error| format!("{flag} {word}: {error}").into())
}

const USAGE: &str = "\
usage: load --addr IP:PORT --workload echo|ack|bcast|rcast|rooms|idle|connect
            [--second IP:PORT]
            [--transport websocket|polling|upgrade] [--connections N]
            [--in-flight K] [--payload BYTES] [--binary yes|no]
            [--rate PER_SECOND] [--rooms R] [--shared yes|no]
            [--seconds S] [--warmup S] [--pid SERVER]

  --second     another node of the same cluster, for every second client
  --transport  how sessions are opened and carried (websocket); polling is for
               echo alone
  --binary     echo: the payload is an attachment (no)
  --rate       echo, ack: so many messages per second in all, due whether or not
               others are answered, instead of K in flight
  --rooms      rooms: how many rooms each client joins and leaves (100)
  --shared     rooms: whether all clients have the same rooms (no)";

#[cfg(test)]
mod tests {
    use super::{Args, Transport, Workload};
    use crate::Failure;

    impl Args {
        /// Returns what a sound command line says, for tests of those who read it.
        pub(crate) fn example(line: &str) -> Self {
            parse(&format!("--addr 127.0.0.1:80 {line}")).unwrap()
        }
    }

    fn parse(line: &str) -> Result<Args, Failure> {
        Args::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn flags_replace_the_defaults() {
        let args = parse("--addr 127.0.0.1:80 --workload rcast --seconds 0.5 --pid 7").unwrap();
        assert_eq!(args.workload, Workload::Rcast);
        assert_eq!(args.seconds.as_millis(), 500);
        assert_eq!((args.connections, args.pid), (100, Some(7)));
        assert_eq!(args.transport, Transport::WebSocket);
        assert_eq!((args.binary, args.shared, args.rooms), (false, false, 100));
        assert_eq!(args.rate, None);
    }

    #[test]
    fn each_workload_takes_its_flags() {
        let args = Args::example("--workload echo --binary yes --rate 500 --transport upgrade");
        assert!(args.binary);
        assert_eq!(args.rate.map(u64::from), Some(500));
        assert_eq!(args.transport, Transport::Upgrade);
        let args = Args::example("--workload echo --transport polling --rate 1");
        assert_eq!(args.transport, Transport::Polling);
        let args = Args::example("--workload rooms --rooms 7 --shared yes");
        assert_eq!((args.rooms, args.shared), (7, true));
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
            "--addr 127.0.0.1:80 --workload echo --transport udp",
            "--addr 127.0.0.1:80 --workload echo --binary maybe",
            "--addr 127.0.0.1:80 --workload echo --binary yes --transport polling",
            "--addr 127.0.0.1:80 --workload echo --rate 0",
            "--addr 127.0.0.1:80 --workload ack --binary yes",
            "--addr 127.0.0.1:80 --workload ack --transport polling",
            "--addr 127.0.0.1:80 --workload bcast --rate 10",
            "--addr 127.0.0.1:80 --workload rooms --rooms 0",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
